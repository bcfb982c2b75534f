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

DOR_TILE_FN void start(const dor_gemm *g, int64_t column, int64_t width, dor_v8 acc[4][2])
{
  float bias[COLUMNS] = {0};
  if (g->bias) memcpy(bias, g->bias + column, (size_t)width * sizeof *bias);
  for (int r = 0; r < ROWS; r++) memcpy(acc[r], bias, sizeof bias);
}

DOR_TILE_FN void finish(const dor_gemm *g, int64_t i, int64_t column, int64_t width, const dor_v8 acc[4][2])
{
  for (int64_t r = 0; r < ROWS && i + r < g->m; r++) {
    float row[COLUMNS];
    memcpy(row, acc[r], sizeof row);
    if (g->relu)
      for (int k = 0; k < COLUMNS; k++) row[k] = row[k] > 0 ? row[k] : 0;
    if (width == COLUMNS) memcpy(g->c + (i + r) * g->n + column, row, sizeof row);
    else
      for (int64_t k = 0; k < width; k++) g->c[(i + r) * g->n + column + k] = row[k];
  }
}

/* Full panels read B where it lies. */
DOR_CLONES static void wide(const panel *p, int64_t lo, int64_t hi)
{
  const dor_gemm *g = p->g;
  for (int64_t i = lo; i < hi; i += ROWS) {
    dor_v8 acc[4][2];
    start(g, p->column, COLUMNS, acc);
    tile(g, i, 0, g->k, g->b + p->column, g->n, acc);
    finish(g, i, p->column, COLUMNS, (const dor_v8(*)[2])acc);
  }
}

/* The last columns: B's copied in depths that fit on the stack; C takes the sum of earlier depths up again. */
DOR_CLONES static void narrow(const panel *p, int64_t lo, int64_t hi)
{
  const dor_gemm *g = p->g;
  float b[DEPTH * COLUMNS];
  for (int64_t from = 0; from < g->k || !from; from += DEPTH) {
    int64_t to = from + DEPTH < g->k ? from + DEPTH : g->k;
    memset(b, 0, (size_t)(to - from) * COLUMNS * sizeof *b);
    for (int64_t k = from; k < to; k++)
      for (int64_t j = 0; j < p->width; j++) b[(k - from) * COLUMNS + j] = g->b[k * g->n + p->column + j];
    dor_gemm part = *g;
    part.relu = g->relu && to == g->k;
    if (from) part.bias = NULL;
    for (int64_t i = lo; i < hi; i += ROWS) {
      dor_v8 acc[4][2];
      start(&part, p->column, p->width, acc);
      for (int64_t r = 0; from && r < ROWS && i + r < g->m; r++)
        memcpy(acc[r], g->c + (i + r) * g->n + p->column, (size_t)p->width * sizeof(float));
      tile(g, i, from, to, b, COLUMNS, acc);
      finish(&part, i, p->column, p->width, (const dor_v8(*)[2])acc);
    }
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
