/* SPDX-License-Identifier: Apache-2.0
 *
 * Copies of weights: what a library wants turned, or in the maps' type, is asked for in `prepare` and made for all nodes of a
 * program at once, by one node that the program puts first (copy_weights). Forward and backward share a copy. */
#ifndef DOR_KERNELS_COPIES_H
#define DOR_KERNELS_COPIES_H

#include "kernels/kernel.h"
#include "ops/attrs.h"

typedef struct dor_copies { /* of a program, while it is bound */
  dor_arena *arena;
  dor_graph *graph;
  dor_dtype dtype;     /* of all of them */
  int32_t n, cap;
  int64_t size;        /* numbers */
  dor_copied *at;
} dor_copies;

/* Where the copy of input i, taken as a matrix of so many columns and turned or not, will lie behind dor_call.copies, in numbers of
 * type t. -1: see to it yourself: the program keeps no copies of that type, or the input is no parameter. */
int64_t dor_copy_ask(const dor_prep *p, int32_t i, dor_dtype t, int32_t columns, bool turned);

#endif
