/* SPDX-License-Identifier: Apache-2.0
 *
 * The assignment problem, solved step by step as the Python package munkres
 * (1.1.4) does it, so that of several assignments of equal cost the same one
 * comes out: whom a joint is given to then never depends on the program. */
#ifndef DOR_POSE_ASSIGN_H
#define DOR_POSE_ASSIGN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

typedef struct dor_assign { /* room for problems of up to most x most */
  int32_t most, n;
  double *cost;               /* [n,n] */
  uint8_t *mark;              /* [n,n] */
  bool *row_covered, *col_covered;
  int32_t *path;              /* [2n,2] row, column */
} dor_assign;

DOR_MUST dor_status dor_assign_make(dor_assign *w, dor_arena *a, int32_t most);

/* Give each row a column of its own so that the sum of costs is least.
 *
 *   cost    [rows,cols] finite, rows <= cols <= most
 *   col_of  [rows]
 *   source  Munkres, J SIAM 5:32 (1957); O(n^3) */
void dor_assign_solve(dor_assign *w, int32_t rows, int32_t cols, const double *cost, int32_t *col_of);

#endif
