/* SPDX-License-Identifier: Apache-2.0
 *
 * Assignments: least cost, by trying all; and of equal costs those that the Python
 * package munkres 1.1.4 finds. */
#include "pose/assign.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "tests/test.h"

enum { MOST = 6 };

static double best_of(int32_t rows, int32_t cols, const double *cost, int32_t row, uint32_t used)
{
  double best = row == rows ? 0 : INFINITY;
  for (int32_t j = 0; row < rows && j < cols; j++)
    if (!(used >> j & 1)) best = fmin(best, cost[row * cols + j] + best_of(rows, cols, cost, row + 1, used | 1u << j));
  return best;
}

TEST(assignments_cost_least)
{
  dor_arena a = {0};
  dor_assign w;
  dor_rng r = dor_rng_stream(1, 2, 3);
  OK(dor_assign_make(&w, &a, MOST));
  for (int n = 0; n < 400; n++) {
    int32_t cols = 1 + (int32_t)dor_rng_below(&r, MOST), rows = 1 + (int32_t)dor_rng_below(&r, (uint32_t)cols), col_of[MOST];
    double cost[MOST * MOST], sum = 0;
    uint32_t used = 0;
    for (int32_t i = 0; i < rows * cols; i++) cost[i] = n % 2 ? dor_rng_real(&r) : (double)dor_rng_below(&r, 4) * 100 - (double)dor_rng_below(&r, 3) / 4;
    dor_assign_solve(&w, rows, cols, cost, col_of);
    for (int32_t i = 0; i < rows; i++) sum += cost[i * cols + col_of[i]], used |= 1u << col_of[i];
    CHECK(__builtin_popcount(used) == rows, "a column is given twice");
    CHECK(fabs(sum - best_of(rows, cols, cost, 0, 0)) < 1e-9, "%d x %d: %g, least is %g", rows, cols, sum, best_of(rows, cols, cost, 0, 0));
  }
  dor_arena_release(&a);
}

/* cost (i, j) = 100 ((i i + 3 j + i j) mod 4) - (i mod 3) / 4: full of ties */
TEST(assignments_break_ties_as_the_original)
{
  static const struct { int32_t rows, cols, col_of[9]; } want[] = {
#include "tests/unit/assign_ties.inc"
  };
  dor_arena a = {0};
  dor_assign w;
  OK(dor_assign_make(&w, &a, 9));
  for (size_t n = 0; n < sizeof want / sizeof *want; n++) {
    double cost[81];
    int32_t got[9] = {0}, rows = want[n].rows, cols = want[n].cols;
    for (int32_t i = 0; i < rows; i++)
      for (int32_t j = 0; j < cols; j++) cost[i * cols + j] = 100 * ((i * i + 3 * j + i * j) % 4) - (i % 3) / 4.0;
    dor_assign_solve(&w, rows, cols, cost, got);
    CHECK(!memcmp(got, want[n].col_of, (size_t)rows * sizeof *got), "%d x %d: %d %d %d %d ...", rows, cols, got[0], got[1], got[2], got[3]);
  }
  dor_arena_release(&a);
}
