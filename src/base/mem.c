/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include "base/calls.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ALIGN = 256 };
static const size_t HUGE_PAGE = 2u << 20, LARGE = 4u << 20;

#ifdef DOR_FAULTS
dor_mem_calls dor_mem = {dor_fault_calloc, dor_fault_realloc};
static int refused(void) { return dor_fault_due("mem"); }
#else
dor_mem_calls dor_mem = {calloc, realloc};
static int refused(void) { return 0; }
#endif

void *dor_calloc(size_t n, size_t size)
{
  if (size && n > SIZE_MAX / size) return NULL;
  return dor_mem.calloc(n ? n : 1, size ? size : 1);
}

void *dor_realloc(void *p, size_t size) { return dor_mem.realloc(p, size ? size : 1); }
void dor_free(void *p) { free(p); }

size_t dor_memory_bytes(void)
{
  long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  return pages > 0 && page > 0 ? (size_t)pages * (size_t)page : (size_t)8 << 30;
}

/* A mapping that starts on a huge page, or the kernel cannot use one for its head. */
static void *map_aligned(size_t bytes)
{
  size_t whole = bytes + HUGE_PAGE;
  unsigned char *p = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return NULL;
  size_t head = (HUGE_PAGE - (uintptr_t)p % HUGE_PAGE) % HUGE_PAGE;
  if (head) munmap(p, head);
  munmap(p + head + bytes, whole - head - bytes);
  madvise(p + head, bytes, MADV_HUGEPAGE); /* advice: may fail */
  return p + head;
}

static size_t rounded(size_t bytes, size_t to) { return bytes ? (bytes + to - 1) / to * to : to; }

void *dor_block_alloc(size_t bytes)
{
  if (bytes > SIZE_MAX / 2 || refused()) return NULL;
  if (bytes >= LARGE) return map_aligned(rounded(bytes, 4096));
  void *p = aligned_alloc(ALIGN, rounded(bytes, ALIGN));
  return p ? memset(p, 0, rounded(bytes, ALIGN)) : NULL;
}

void dor_block_free(void *p, size_t bytes)
{
  if (!p) return;
  if (bytes >= LARGE) munmap(p, rounded(bytes, 4096));
  else free(p);
}
