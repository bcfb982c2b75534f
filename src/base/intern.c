/* SPDX-License-Identifier: Apache-2.0 */
#include "base/intern.h"

#include <stddef.h>
#include <string.h>

#include "base/hash.h"

dor_status dor_intern_init(dor_intern *t, dor_arena *a, int32_t most)
{
  *t = (dor_intern){.slots = 16};
  while (t->slots <= 2 * (int64_t)most) {
    DOR_NEED(t->slots < INT32_MAX / 2, NOMEM, "%d names", most);
    t->slots *= 2;
  }
  t->slot = dor_arena_alloc(a, (size_t)t->slots * sizeof *t->slot);
  t->name = dor_arena_alloc(a, ((size_t)most + 1) * sizeof *t->name);
  DOR_NEED(t->slot && t->name, NOMEM, "%d names", most);
  return DOR_OK;
}

static int32_t *place(const dor_intern *t, const char *name)
{
  uint64_t mask = (uint64_t)t->slots - 1, at = dor_hash_name(name) & mask;
  while (t->slot[at] && strcmp(t->name[t->slot[at] - 1], name) != 0) at = (at + 1) & mask;
  return &t->slot[at];
}

int32_t dor_intern_find(const dor_intern *t, const char *name) { return *place(t, name) - 1; }

int32_t dor_intern_put(dor_intern *t, const char *name, int32_t *fresh)
{
  int32_t *slot = place(t, name), is_new = *slot == 0;
  if (is_new) t->name[t->n] = name, *slot = ++t->n;
  if (fresh) *fresh = is_new;
  return *slot - 1;
}
