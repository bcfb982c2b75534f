/* SPDX-License-Identifier: Apache-2.0
 *
 * The allocator's entry points, counted where this program's own code calls
 * them. Libraries allocate as they like: oneDNN does so in every execution. */
#include "tests/unit/allocations.h"

#include <errno.h>
#include <stdlib.h>

#ifdef __SANITIZE_ADDRESS__
long test_allocations(void) { return -1; }
#else
static _Atomic long count;

long test_allocations(void) { return count; }

extern char __executable_start, etext; /* the linker's: where our code begins and ends */

static void count_call(const void *caller) { count += (const char *)caller >= &__executable_start && (const char *)caller < &etext; }

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);

void *malloc(size_t n)
{
  count_call(__builtin_return_address(0));
  return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
  count_call(__builtin_return_address(0));
  return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
  count_call(__builtin_return_address(0));
  return __libc_realloc(p, n);
}

void *aligned_alloc(size_t align, size_t n)
{
  count_call(__builtin_return_address(0));
  return __libc_memalign(align, n);
}

int posix_memalign(void **p, size_t align, size_t n)
{
  count_call(__builtin_return_address(0));
  *p = __libc_memalign(align, n);
  return *p ? 0 : ENOMEM;
}
#endif
