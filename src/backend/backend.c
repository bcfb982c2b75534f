/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of backends, and what can be asked of any of them. */
#include "backend/backend.h"

#include <string.h>

#define BACKEND(name) extern const dor_backend dor_backend_##name;
#include "backend/backends.def"
#undef BACKEND

static const dor_backend *const backends[] = {
#define BACKEND(name) &dor_backend_##name,
#include "backend/backends.def"
#undef BACKEND
};

extern const dor_backend *const dor_devices[]; /* devices.c */

const dor_backend *dor_backend_find(const char *name)
{
  for (size_t i = 0; i < sizeof backends / sizeof *backends; i++)
    if (!strcmp(backends[i]->name, name)) return backends[i];
  for (size_t i = 0; dor_devices[i]; i++)
    if (!strcmp(dor_devices[i]->name, name)) return dor_devices[i];
  return NULL;
}

const char *dor_format_name(dor_format f)
{
  static const char *const name[] = {[DOR_FORMAT_FP32] = "fp32", [DOR_FORMAT_TF32] = "tf32", [DOR_FORMAT_BF16] = "bf16", [DOR_FORMAT_FP16] = "fp16"};
  return name[f];
}

/* Kernels that want float get copies of bf16 (widen.h). Half wants a scale for its gradients besides, which is a GPU's. */
bool dor_backend_takes(const dor_backend *b, dor_format f) { return f != DOR_FORMAT_FP16 || (b && b->narrow); }

dor_format dor_backend_format(const dor_backend *b, dor_format asked)
{
  return asked == DOR_FORMAT_TF32 && !(b && b->library) ? DOR_FORMAT_FP32 : asked;
}

bool dor_backend_has(const void *backend, const dor_op *op)
{
  const dor_backend *b = backend;
  for (int32_t i = 0; i < DOR_COLUMNS; i++)
    if (b->column[i] && b->column[i][op->id]) return true;
  return op->view;
}

const char *dor_backend_device(const dor_backend *b)
{
  if (!b) return dor_backend_cpu.name;
  return b->device ? b->device->describe() : b->name;
}
