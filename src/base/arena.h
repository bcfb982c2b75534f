/* SPDX-License-Identifier: Apache-2.0
 *
 * Arena: many allocations, one free. Everything built before the step loop
 * (graphs, plans, configs, tables) lives in one; nothing in it is freed on its own. */
#ifndef DOR_BASE_ARENA_H
#define DOR_BASE_ARENA_H

#include <stddef.h>

#include "base/status.h"

typedef struct dor_arena {
  struct dor_block *head;
} dor_arena; /* zero-initialised is ready to use */

void *dor_arena_alloc(dor_arena *a, size_t size); /* zeroed, 16-byte aligned; NULL when out of memory */
void *dor_arena_copy(dor_arena *a, const void *src, size_t size);
char *dor_arena_str(dor_arena *a, const char *s);
char *dor_arena_fmt(dor_arena *a, const char *fmt, ...) DOR_PRINTF(2, 3);
void dor_arena_release(dor_arena *a);

#endif
