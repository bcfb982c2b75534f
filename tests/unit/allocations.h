/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DOR_TESTS_UNIT_ALLOCATIONS_H
#define DOR_TESTS_UNIT_ALLOCATIONS_H

/* How often this program has asked for memory, libraries left out; -1 where a sanitizer owns the allocator. */
long test_allocations(void);

#endif
