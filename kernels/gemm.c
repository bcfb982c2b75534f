/* SPDX-License-Identifier: Apache-2.0
 *
 * The product of gemm.h: 16 columns of C at a time (the last ones from a copy of
 * B's, filled up with zeros), 4 rows at a time (the last ones with a row twice). */
#include "kernels/gemm.h"

#include <string.h>

#include "kernels/reduce.h"
#include "kernels/tile.h"

enum { COLUMNS = DOR_TILE_COLUMNS, ROWS = DOR_TILE_ROWS, DEPTH = 256, SMALL = 1 << 15 };

typedef struct panel { const dor_gemm *g; int64_t column, width; } panel;

/* Add k of [lo, hi) of one tile; b has ldb numbers a row. */
DOR_TILE_FN void tile(const dor_gemm *g, int64_t i, int64_t lo, int64_t hi, const float *b, int64_t ldb, dor_v8 acc[4][2])
{
  const float *a[ROWS];
  for (int64_t r = 0; r < ROWS; r++) a[r] = g->a + (i + r < g->m ? i + r : g->m - 1) * g->row + lo * g->step;
  dor_tile16(acc, a, g->step, b, ldb, hi - lo);
}

/* The sums begin with the bias, or with zeros; bias has a whole tile's columns. */
DOR_TILE_FN void start(const float *bias, dor_v8 acc[4][2])
{
  for (int r = 0; r < ROWS; r++)
    for (int h = 0; h < 2; h++) acc[r][h] = bias ? (dor_v8)*(const dor_v8u *)(bias + 8 * h) : (dor_v8){0};
}

DOR_TILE_FN void positive(dor_v8 acc[4][2])
{
  for (int r = 0; r < ROWS; r++)
    for (int h = 0; h < 2; h++) acc[r][h] = (dor_v8)((dor_v8i)acc[r][h] & ~(acc[r][h] < 0));
}

/* Full panels read B where it lies. */
DOR_CLONES static void wide(const panel *p, int64_t lo, int64_t hi)
{
  const dor_gemm *g = p->g;
  for (int64_t i = lo; i < hi; i += ROWS) {
    dor_v8 acc[4][2];
    start(g->bias ? g->bias + p->column : NULL, acc);
    tile(g, i, 0, g->k, g->b + p->column, g->n, acc);
    if (g->relu) positive(acc);
    for (int64_t r = 0; r < ROWS && i + r < g->m; r++) {
      float *c = g->c + (i + r) * g->n + p->column;
      *(dor_v8u *)c = acc[r][0], *(dor_v8u *)(c + 8) = acc[r][1];
    }
  }
}

/* One depth of a narrow panel's row into C: added to what stands there from the depths before, with ReLU after the last. */
DOR_TILE_FN void put(const panel *p, int64_t i, const float row[COLUMNS], bool first, bool last)
{
  float *c = p->g->c + i * p->g->n + p->column;
  for (int64_t k = 0; k < p->width; k++) {
    float sum = first ? row[k] : c[k] + row[k];
    c[k] = last && p->g->relu && sum < 0 ? 0 : sum;
  }
}

/* Rows [lo, hi) for one depth of B, which stands copied in b [.][16], bias in its width. */
DOR_CLONES static void narrow16(const panel *p, int64_t lo, int64_t hi, int64_t from, int64_t to, const float *b, const float *bias)
{
  for (int64_t i = lo; i < hi; i += ROWS) {
    dor_v8 acc[4][2];
    start(from ? NULL : bias, acc);
    tile(p->g, i, from, to, b, COLUMNS, acc);
    for (int64_t r = 0; r < ROWS && i + r < hi; r++) {
      float row[COLUMNS];
      *(dor_v8u *)row = acc[r][0], *(dor_v8u *)(row + 8) = acc[r][1];
      put(p, i + r, row, !from, to == p->g->k);
    }
  }
}

/* The same with b [.][8], for at most 8 columns. */
DOR_CLONES static void narrow8(const panel *p, int64_t lo, int64_t hi, int64_t from, int64_t to, const float *b, const float *bias)
{
  const dor_gemm *g = p->g;
  for (int64_t i = lo; i < hi; i += 8) {
    const float *a[8];
    dor_v8 acc[8];
    for (int64_t r = 0; r < 8; r++) {
      a[r] = g->a + (i + r < hi ? i + r : hi - 1) * g->row + from * g->step;
      acc[r] = from ? (dor_v8){0} : (dor_v8)*(const dor_v8u *)bias;
    }
    dor_tile8(acc, a, g->step, b, 8, to - from);
    for (int64_t r = 0; r < 8 && i + r < hi; r++) {
      float row[COLUMNS];
      *(dor_v8u *)row = acc[r];
      put(p, i + r, row, !from, to == g->k);
    }
  }
}

/* The last columns: B's are copied in depths that fit on the stack, filled up with zeros. */
static void narrow(const panel *p, int64_t lo, int64_t hi)
{
  const dor_gemm *g = p->g;
  float b[DEPTH * COLUMNS], bias[COLUMNS] = {0};
  int64_t wide_as = p->width <= 8 ? 8 : COLUMNS;
  if (g->bias) memcpy(bias, g->bias + p->column, (size_t)p->width * sizeof *bias);
  for (int64_t from = 0; from < g->k || !from; from += DEPTH) {
    int64_t to = from + DEPTH < g->k ? from + DEPTH : g->k;
    memset(b, 0, (size_t)((to - from) * wide_as) * sizeof *b);
    for (int64_t k = from; k < to; k++)
      for (int64_t j = 0; j < p->width; j++) b[(k - from) * wide_as + j] = g->b[k * g->n + p->column + j];
    if (wide_as == 8) narrow8(p, lo, hi, from, to, b, bias);
    else narrow16(p, lo, hi, from, to, b, bias);
  }
}

static void rows(const void *job, int64_t lo, int64_t hi)
{
  const dor_gemm *g = job;
  for (int64_t column = 0; column < g->n; column += COLUMNS) {
    panel p = {g, column, g->n - column < COLUMNS ? g->n - column : COLUMNS};
    if (p.width == COLUMNS) wide(&p, lo, hi);
    else narrow(&p, lo, hi);
  }
}

static void columns(const void *job, int64_t lo, int64_t hi)
{
  const dor_gemm *g = job;
  for (int64_t k = lo; k < hi; k++) {
    panel p = {g, k * COLUMNS, g->n - k * COLUMNS < COLUMNS ? g->n - k * COLUMNS : COLUMNS};
    if (p.width == COLUMNS) wide(&p, 0, g->m);
    else narrow(&p, 0, g->m);
  }
}

void dor_gemm_run(int32_t threads, const dor_gemm *g)
{
  if (g->m * g->n * g->k < SMALL) rows(g, 0, g->m);
  else if (g->m >= g->n) dor_parallel(threads, g->m, 4 * ROWS, rows, g);
  else dor_parallel(threads, (g->n + COLUMNS - 1) / COLUMNS, 1, columns, g);
}

void dor_transpose_to(const float *in, int64_t m, int64_t n, float *out)
{
  enum { BLOCK = 16 };
  for (int64_t i = 0; i < m; i += BLOCK)
    for (int64_t j = 0; j < n; j += BLOCK)
      for (int64_t r = i; r < m && r < i + BLOCK; r++)
        for (int64_t s = j; s < n && s < j + BLOCK; s++) out[s * m + r] = in[r * n + s];
}
