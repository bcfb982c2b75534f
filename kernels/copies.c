/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/copies.h"

enum { ALIGN = 128 }; /* numbers: 256 bytes of the shortest */

static dor_copied *room(dor_copies *c)
{
  if (c->n < c->cap) return &c->at[c->n];
  const int32_t cap = c->cap ? 2 * c->cap : 64;
  dor_copied *at = dor_arena_alloc(c->arena, (size_t)cap * sizeof *at);
  if (!at) return NULL;
  for (int32_t i = 0; i < c->n; i++) at[i] = c->at[i];
  c->at = at, c->cap = cap;
  return &at[c->n];
}

int64_t dor_copy_ask(const dor_prep *p, int32_t i, dor_dtype t, int32_t columns, bool turned)
{
  dor_copies *c = p->copies;
  const dor_value *v = c ? &c->graph->value[p->node->in[i]] : NULL;
  if (!c || t != c->dtype || v->kind != DOR_PARAM || v->type.dtype != DOR_F32) return -1;
  const int64_t from = (int64_t)(v->offset / sizeof(float)), size = dor_shape_size(v->type.shape), to = (c->size + ALIGN - 1) / ALIGN * ALIGN;
  for (int32_t k = 0; k < c->n; k++)
    if (c->at[k].from == from && c->at[k].columns == columns && c->at[k].turned == turned) return c->at[k].to;
  dor_copied *m = to + size <= INT32_MAX ? room(c) : NULL;
  if (!m) return -1;
  *m = (dor_copied){(int32_t)from, (int32_t)to, (int32_t)(size / columns), columns, turned};
  c->n++, c->size = to + size;
  return to;
}
