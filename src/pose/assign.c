/* SPDX-License-Identifier: Apache-2.0
 *
 * Munkres' algorithm with stars and primes. The order in which zeros are looked
 * for, and that of the additions, are the Python package's: both decide ties. */
#include "pose/assign.h"

#include <math.h>
#include <string.h>

enum { PLAIN, STAR, PRIME };

dor_status dor_assign_make(dor_assign *w, dor_arena *a, int32_t most)
{
  size_t n = (size_t)most;
  *w = (dor_assign){.most = most};
  w->cost = dor_arena_alloc(a, n * n * sizeof *w->cost);
  w->mark = dor_arena_alloc(a, n * n);
  w->row_covered = dor_arena_alloc(a, n * sizeof *w->row_covered);
  w->col_covered = dor_arena_alloc(a, n * sizeof *w->col_covered);
  w->path = dor_arena_alloc(a, 4 * n * sizeof *w->path);
  DOR_NEED(w->cost && w->mark && w->row_covered && w->col_covered && w->path, NOMEM, "assignment of %d", most);
  return DOR_OK;
}

static int32_t at(const dor_assign *w, int32_t row, int32_t col) { return row * w->n + col; }

static void uncover(dor_assign *w)
{
  memset(w->row_covered, 0, (size_t)w->n * sizeof *w->row_covered);
  memset(w->col_covered, 0, (size_t)w->n * sizeof *w->col_covered);
}

static int32_t in_row(const dor_assign *w, int32_t row, uint8_t mark) /* its first column; -1 */
{
  for (int32_t j = 0; j < w->n; j++)
    if (w->mark[at(w, row, j)] == mark) return j;
  return -1;
}

static int32_t star_in_col(const dor_assign *w, int32_t col)
{
  for (int32_t i = 0; i < w->n; i++)
    if (w->mark[at(w, i, col)] == STAR) return i;
  return -1;
}

/* A square problem: the missing rows cost nothing. Each row then starts from its own smallest cost. */
static void load(dor_assign *w, int32_t rows, int32_t cols, const double *cost)
{
  w->n = cols;
  memset(w->cost, 0, (size_t)cols * (size_t)cols * sizeof *w->cost);
  memcpy(w->cost, cost, (size_t)rows * (size_t)cols * sizeof *w->cost);
  memset(w->mark, PLAIN, (size_t)cols * (size_t)cols);
  for (int32_t i = 0; i < rows; i++) {
    double least = INFINITY;
    for (int32_t j = 0; j < cols; j++) least = fmin(least, w->cost[at(w, i, j)]);
    for (int32_t j = 0; j < cols; j++) w->cost[at(w, i, j)] -= least;
  }
}

static void first_stars(dor_assign *w)
{
  uncover(w);
  for (int32_t i = 0; i < w->n; i++)
    for (int32_t j = 0; j < w->n; j++)
      if (w->cost[at(w, i, j)] == 0 && !w->col_covered[j]) {
        w->mark[at(w, i, j)] = STAR;
        w->col_covered[j] = true;
        break;
      }
  uncover(w);
}

static bool cover_stars(dor_assign *w) /* true: every column has one, done */
{
  int32_t count = 0;
  for (int32_t i = 0; i < w->n; i++)
    for (int32_t j = 0; j < w->n; j++)
      if (w->mark[at(w, i, j)] == STAR && !w->col_covered[j]) w->col_covered[j] = true, count++;
  return count >= w->n;
}

/* From (row, col) on, wrapping round: the first row with an uncovered zero, and of that row the last zero in that order. */
static bool find_zero(const dor_assign *w, int32_t *row, int32_t *col)
{
  for (int32_t r = 0; r < w->n; r++) {
    int32_t i = (*row + r) % w->n, found = -1;
    if (w->row_covered[i]) continue;
    for (int32_t c = 0; c < w->n; c++) {
      int32_t j = (*col + c) % w->n;
      if (w->cost[at(w, i, j)] == 0 && !w->col_covered[j]) found = j;
    }
    if (found >= 0) {
      *row = i, *col = found;
      return true;
    }
  }
  return false;
}

/* Prime uncovered zeros until one has no star in its row (true), or none is left. */
static bool prime_zeros(dor_assign *w, int32_t *row, int32_t *col)
{
  *row = *col = 0;
  while (find_zero(w, row, col)) {
    w->mark[at(w, *row, *col)] = PRIME;
    int32_t star = in_row(w, *row, STAR);
    if (star < 0) return true;
    *col = star;
    w->row_covered[*row] = true;
    w->col_covered[star] = false;
  }
  return false;
}

/* Along prime, star, prime, ... from (row, col): stars become plain and primes stars, so there is one star more. */
static void augment(dor_assign *w, int32_t row, int32_t col)
{
  int32_t n = 0;
  for (;; n += 2) {
    w->path[2 * n] = row, w->path[2 * n + 1] = col;
    row = star_in_col(w, col);
    if (row < 0) break;
    w->path[2 * n + 2] = row, w->path[2 * n + 3] = col;
    col = in_row(w, row, PRIME);
  }
  for (int32_t i = 0; i <= n; i++) {
    uint8_t *m = &w->mark[at(w, w->path[2 * i], w->path[2 * i + 1])];
    *m = *m == STAR ? PLAIN : STAR;
  }
  uncover(w);
  for (int32_t i = 0; i < w->n * w->n; i++)
    if (w->mark[i] == PRIME) w->mark[i] = PLAIN;
}

/* The smallest uncovered cost becomes zero. Where a row is covered and a column is not, adding and taking away is not
 * left out: it rounds. */
static void shift(dor_assign *w)
{
  double least = INFINITY;
  for (int32_t i = 0; i < w->n; i++)
    for (int32_t j = 0; j < w->n; j++)
      if (!w->row_covered[i] && !w->col_covered[j]) least = fmin(least, w->cost[at(w, i, j)]);
  for (int32_t i = 0; i < w->n; i++)
    for (int32_t j = 0; j < w->n; j++) {
      if (w->row_covered[i]) w->cost[at(w, i, j)] += least;
      if (!w->col_covered[j]) w->cost[at(w, i, j)] -= least;
    }
}

void dor_assign_solve(dor_assign *w, int32_t rows, int32_t cols, const double *cost, int32_t *col_of)
{
  load(w, rows, cols, cost);
  first_stars(w);
  while (!cover_stars(w)) {
    int32_t row, col;
    while (!prime_zeros(w, &row, &col)) shift(w);
    augment(w, row, col);
  }
  for (int32_t i = 0; i < rows; i++) col_of[i] = in_row(w, i, STAR);
}
