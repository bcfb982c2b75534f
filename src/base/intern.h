/* SPDX-License-Identifier: Apache-2.0
 *
 * Names numbered by first appearance: subjects, arms, units, columns. */
#ifndef DOR_BASE_INTERN_H
#define DOR_BASE_INTERN_H

#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

typedef struct dor_intern {
  int32_t n, slots;             /* names; a power of two, more than twice the most names */
  int32_t *slot;                /* [slots] number + 1; 0: free */
  const char **name;            /* [n] */
} dor_intern;

DOR_MUST dor_status dor_intern_init(dor_intern *t, dor_arena *a, int32_t most);
int32_t dor_intern_find(const dor_intern *t, const char *name); /* -1 when absent */
/* The number of `name` (kept, not copied), new or old; *fresh tells which. */
int32_t dor_intern_put(dor_intern *t, const char *name, int32_t *fresh);

#endif
