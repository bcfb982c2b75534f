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

const dor_backend *dor_backend_find(const char *name)
{
  for (size_t i = 0; i < sizeof backends / sizeof *backends; i++)
    if (!strcmp(backends[i]->name, name)) return backends[i];
  return NULL;
}

bool dor_backend_has(const void *backend, const dor_op *op)
{
  const dor_backend *b = backend;
  for (int32_t i = 0; i < DOR_COLUMNS; i++)
    if (b->column[i] && b->column[i][op->id]) return true;
  return op->view;
}
