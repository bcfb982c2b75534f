/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 64 * 1024, ALIGN = 16 };

struct dor_block {
  struct dor_block *next;
  size_t used, size;
  _Alignas(16) unsigned char data[];
};

void *dor_arena_alloc(dor_arena *a, size_t size)
{
  if (size > SIZE_MAX - BLOCK) return NULL;
  size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
  struct dor_block *b = a->head;
  if (!b || b->size - b->used < size) {
    size_t cap = size > BLOCK ? size : BLOCK;
    b = dor_calloc(1, sizeof *b + cap);
    if (!b) return NULL;
    b->size = cap;
    b->next = a->head;
    a->head = b;
  }
  void *p = b->data + b->used;
  b->used += size;
  return p;
}

void *dor_arena_copy(dor_arena *a, const void *src, size_t size)
{
  void *p = dor_arena_alloc(a, size);
  return p ? memcpy(p, src, size) : NULL;
}

char *dor_arena_str(dor_arena *a, const char *s) { return dor_arena_copy(a, s, strlen(s) + 1); }

char *dor_arena_fmt(dor_arena *a, const char *fmt, ...)
{
  va_list ap, again;
  va_start(ap, fmt);
  va_copy(again, ap);
  int n = vsnprintf(NULL, 0, fmt, ap);
  va_end(ap);
  char *p = n < 0 ? NULL : dor_arena_alloc(a, (size_t)n + 1);
  if (p) vsnprintf(p, (size_t)n + 1, fmt, again);
  va_end(again);
  return p;
}

void dor_arena_release(dor_arena *a)
{
  for (struct dor_block *b = a->head, *next; b; b = next) {
    next = b->next;
    dor_free(b);
  }
  a->head = NULL;
}
