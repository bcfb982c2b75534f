/* SPDX-License-Identifier: Apache-2.0
 *
 * A graph evaluated by its ops' definitions, in double. */
#ifndef DOR_TESTS_OPS_REFERENCE_H
#define DOR_TESTS_OPS_REFERENCE_H

#include "graph/graph.h"

typedef struct numbers { /* a graph's values; each version of memory that is overwritten has its own */
  const dor_graph *g;
  int32_t n;
  double **at;
} numbers;

extern const dor_step test_step;

numbers numbers_new(const dor_graph *g);
void numbers_free(numbers x);
void numbers_run(numbers x, int32_t first, int32_t end); /* nodes first .. end - 1 */

#endif
