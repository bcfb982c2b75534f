/* SPDX-License-Identifier: Apache-2.0
 *
 * Parameter table <-> tensors. Weights that are not finite are refused on the
 * way in: nothing downstream looks again. */
#include "weights/weights.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

static char *block_of(const dor_param *p, const void *param_block, const void *state_block)
{
  return (char *)(uintptr_t)(p->spec.state ? state_block : param_block) + p->offset;
}

/* A counter is i32 in memory and, as PyTorch's num_batches_tracked, i64 in files. */
static dor_status collect_counter(dor_arena *a, const dor_param *q, const int32_t *memory, const char *name, dor_tensor *out)
{
  int64_t *file = dor_arena_alloc(a, sizeof *file);
  DOR_NEED(file, NOMEM, "no memory to write parameter '%s'", q->spec.name);
  *file = *memory;
  *out = (dor_tensor){.name = name, .type = DOR_TENSOR_I64, .rank = 0, .data = file, .bytes = sizeof *file};
  return DOR_OK;
}

dor_status dor_weights_collect(dor_arena *a, const dor_params *p, const char *prefix, const void *param_block, const void *state_block, dor_tensor *out)
{
  for (int32_t i = 0; i < p->n; i++) {
    const dor_param *q = &p->at[i];
    dor_shape shape = dor_param_file_shape(q);
    size_t bytes = (size_t)dor_shape_size(shape) * sizeof(float);
    float *file = dor_arena_alloc(a, bytes);
    char *name = dor_arena_fmt(a, "%s%s", prefix, q->spec.name);
    DOR_NEED(file && name, NOMEM, "no memory to write parameter '%s'", q->spec.name);
    if (q->spec.dtype == DOR_I32) {
      DOR_TRY(collect_counter(a, q, (const int32_t *)(const void *)block_of(q, param_block, state_block), name, &out[i]));
      continue;
    }
    dor_param_to_file(q, (const float *)(const void *)block_of(q, param_block, state_block), file);
    out[i] = (dor_tensor){.name = name, .type = DOR_TENSOR_F32, .rank = shape.n, .data = file, .bytes = bytes};
    for (int32_t k = 0; k < shape.n; k++) out[i].dim[k] = shape.d[k];
  }
  return DOR_OK;
}

static bool same_shape(const dor_tensor *t, dor_shape s)
{
  bool same = t->rank == s.n;
  for (int32_t i = 0; same && i < s.n; i++) same = t->dim[i] == s.d[i];
  return same;
}

static dor_status apply_one(const dor_param *q, const dor_tensor *t, const char *path, float *file, void *memory)
{
  dor_shape shape = dor_param_file_shape(q);
  dor_shape_text text;
  DOR_NEED(t->type == DOR_TENSOR_F32, DATA, "%s: tensor '%s' is %s, wanted F32", path, t->name, dor_tensor_type_name(t->type));
  DOR_NEED(same_shape(t, shape), DATA, "%s: tensor '%s' has another shape, wanted %s", path, t->name, dor_shape_print(shape, text));
  memcpy(file, t->data, t->bytes);
  for (size_t k = 0; k < t->bytes / sizeof(float); k++)
    DOR_NEED(isfinite(file[k]), DATA, "%s: tensor '%s': element %zu is not finite", path, t->name, k);
  dor_param_from_file(q, file, memory);
  return DOR_OK;
}

static dor_status apply_counter(const dor_tensor *t, const char *path, int32_t *memory)
{
  int64_t n = 0;
  DOR_NEED(t->type == DOR_TENSOR_I64 && t->bytes == sizeof n, DATA, "%s: tensor '%s' must be one I64", path, t->name);
  memcpy(&n, t->data, sizeof n);
  DOR_NEED(n >= 0 && n <= INT32_MAX, DATA, "%s: tensor '%s' counts %lld batches", path, t->name, (long long)n);
  *memory = (int32_t)n;
  return DOR_OK;
}

dor_status dor_weights_apply(const dor_params *p, const char *prefix, const dor_tensors *t, const char *path, void *param_block, void *state_block)
{
  dor_arena scratch = {0};
  dor_status s = DOR_OK;
  for (int32_t i = 0; i < p->n && !s; i++) {
    const dor_param *q = &p->at[i];
    char *name = dor_arena_fmt(&scratch, "%s%s", prefix, q->spec.name);
    float *file = dor_arena_alloc(&scratch, (size_t)dor_shape_size(q->spec.shape) * sizeof *file);
    const dor_tensor *found = name ? dor_tensors_find(t, name) : NULL;
    if (!name || !file) s = DOR_FAIL(NOMEM, "no memory to read parameter '%s'", q->spec.name);
    else if (!found && q->spec.dtype == DOR_I32) *(int32_t *)(void *)block_of(q, param_block, state_block) = 0; /* older files have none */
    else if (!found) s = DOR_FAIL(DATA, "%s: no tensor '%s'", path, name);
    else if (q->spec.dtype == DOR_I32) s = apply_counter(found, path, (int32_t *)(void *)block_of(q, param_block, state_block));
    else s = apply_one(q, found, path, file, block_of(q, param_block, state_block));
  }
  dor_arena_release(&scratch);
  return s;
}
