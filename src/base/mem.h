/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory through one replaceable door, so that a test can make the n-th
 * allocation fail (DORSUM_FAULT, test builds only). All of dorsum allocates here
 * or in an arena; libraries allocate as they like. */
#ifndef DOR_BASE_MEM_H
#define DOR_BASE_MEM_H

#include <stddef.h>

void *dor_calloc(size_t n, size_t size);       /* zeroed; NULL when out of memory or n * size overflows */
void *dor_realloc(void *p, size_t size);
void dor_free(void *p);

size_t dor_memory_bytes(void);                    /* of this machine; 8 GiB where it does not say */

void *dor_block_alloc(size_t bytes);           /* zeroed, 256-byte aligned (huge pages asked for when large): tensors */
void dor_block_free(void *p, size_t bytes);

#endif
