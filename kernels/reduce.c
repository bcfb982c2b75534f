/* SPDX-License-Identifier: Apache-2.0
 *
 * The shared parts of kernels/reduce.h: teams of threads, and column sums in a
 * fixed order. */
#include "kernels/reduce.h"

#include <omp.h>
#include <string.h>

void dor_parallel_team(int32_t threads, int64_t n, int64_t grain, dor_body *body, const void *job)
{
  int64_t pieces = (n + grain - 1) / grain;
#pragma omp parallel num_threads(threads)
  {
    int64_t team = omp_get_num_threads(), me = omp_get_thread_num();
    int64_t lo = pieces * me / team * grain, hi = pieces * (me + 1) / team * grain;
    if (hi > n) hi = n;
    if (lo < hi) body(job, lo, hi);
  }
}

/* A piece is a run of whole blocks; its sums stand in scratch as two double rows, with two float rows for a block. */
typedef struct sums {
  int64_t rows, channels, blocks, pieces;
  double *total;  /* [pieces][2][channels] */
  float *part;    /* [pieces][2][channels] */
  dor_sum_body *body;
  const void *job;
} sums;

static int64_t pieces_of(int64_t rows)
{
  int64_t blocks = (rows + DOR_SUM_ROWS - 1) / DOR_SUM_ROWS;
  return blocks < DOR_SUM_PIECES ? blocks : DOR_SUM_PIECES;
}

size_t dor_sum_scratch(int64_t rows, int64_t channels)
{
  return (size_t)(pieces_of(rows) * 2 * channels) * (sizeof(double) + sizeof(float));
}

DOR_CLONES static void gather(int64_t n, double *total, float *part)
{
  for (int64_t k = 0; k < n; k++) total[k] += (double)part[k], part[k] = 0;
}

static void piece(const void *job, int64_t lo, int64_t hi)
{
  const sums *s = job;
  for (int64_t p = lo; p < hi; p++) {
    double *total = s->total + p * 2 * s->channels;
    float *part = s->part + p * 2 * s->channels;
    memset(total, 0, (size_t)(2 * s->channels) * sizeof *total);
    memset(part, 0, (size_t)(2 * s->channels) * sizeof *part);
    int64_t end = s->blocks * (p + 1) / s->pieces * DOR_SUM_ROWS;
    if (end > s->rows) end = s->rows;
    for (int64_t r = s->blocks * p / s->pieces * DOR_SUM_ROWS; r < end; r += DOR_SUM_ROWS) {
      s->body(s->job, r, r + DOR_SUM_ROWS < end ? r + DOR_SUM_ROWS : end, s->channels, part, part + s->channels);
      gather(2 * s->channels, total, part);
    }
  }
}

void dor_sum_rows(const dor_call *c, int64_t rows, int64_t channels, dor_sum_body *body, const void *job, double **a, double **b)
{
  int64_t pieces = pieces_of(rows);
  double *total = c->scratch;
  sums s = {rows, channels, (rows + DOR_SUM_ROWS - 1) / DOR_SUM_ROWS, pieces, total, (float *)(total + pieces * 2 * channels), body, job};
  dor_parallel(rows * channels < 8192 ? 1 : c->threads, pieces, 1, piece, &s);
  for (int64_t p = 1; p < pieces; p++)
    for (int64_t k = 0; k < 2 * channels; k++) total[k] += total[p * 2 * channels + k];
  *a = total;
  *b = total + channels;
}

DOR_CLONES static void sum_body(const void *job, int64_t lo, int64_t hi, int64_t n, float *restrict a, float *b)
{
  const float *x = job;
  (void)b;
  for (int64_t r = lo; r < hi; r++)
    for (int64_t k = 0; k < n; k++) a[k] += x[r * n + k];
}

double *dor_sum_columns(const dor_call *c, int64_t rows, int64_t channels, const float *x)
{
  double *a, *b;
  dor_sum_rows(c, rows, channels, sum_body, x, &a, &b);
  return a;
}
