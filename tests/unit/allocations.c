/* SPDX-License-Identifier: Apache-2.0
 *
 * The allocator's entry points, counted: they stand before glibc's for the whole
 * process, so that a library that allocates in a step is seen too. */
#include "tests/unit/allocations.h"

#include <errno.h>
#include <stdlib.h>

#ifdef __SANITIZE_ADDRESS__
long test_allocations(void) { return -1; }
#else
static _Atomic long count;

long test_allocations(void) { return count; }

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);

void *malloc(size_t n)
{
  count++;
  return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
  count++;
  return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
  count++;
  return __libc_realloc(p, n);
}

void *aligned_alloc(size_t align, size_t n)
{
  count++;
  return __libc_memalign(align, n);
}

int posix_memalign(void **p, size_t align, size_t n)
{
  count++;
  *p = __libc_memalign(align, n);
  return *p ? 0 : ENOMEM;
}
#endif
