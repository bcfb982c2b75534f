/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernels of norm.h for LANES floats to a register, defined as ISA. Rows are
 * shared among threads; sums are taken in registers along a stretch of rows and
 * added up in double, one set for each of a fixed number of pieces, so that they
 * do not depend on the number of threads. */
#include <math.h>

#include "kernels/norm.h"
#include "kernels/vector.h"

enum { WIDE = 4, STRETCH = 64 }; /* registers across at a time; rows summed in float */

typedef struct job {
  const dor_norm *s;
  const float *x, *dy, *y_in, *r, *mean, *var, *gamma;
  float *y, *dgamma, *dbeta;
  bool relu;
  const float *a, *b;
  float *factor[3]; /* [C] each, in scratch */
  double *sums;     /* [pieces,2,C], in scratch */
} job;

/* --- forward ----------------------------------------------------------------- */

INLINE void forward_rows(const job *j, span rows, bool residual, bool relu)
{
  size_t c = (size_t)j->s->c;
  for (int64_t i = rows.from; i < rows.to; i++) {
    size_t at = (size_t)i * c;
    for (size_t k = 0; k < c; k += LANES) {
      vec v = load(j->x + at + k) * load(j->a + k) + load(j->b + k);
      if (residual) v += load(j->r + at + k);
      store(j->y + at + k, relu ? positive(v) : v);
    }
  }
}

static void forward_part(const void *of, part me)
{
  const job *j = of;
  span rows = share(j->s->rows, me);
  if (j->r && j->relu) forward_rows(j, rows, true, true);
  else if (j->r) forward_rows(j, rows, true, false);
  else if (j->relu) forward_rows(j, rows, false, true);
  else forward_rows(j, rows, false, false);
}

static void forward(const dor_norm *s, const float *x, const float *a, const float *b, const float *r, bool relu, float *y)
{
  job j = {.s = s, .x = x, .a = a, .b = b, .r = r, .relu = relu, .y = y};
  run_parts(&j, s->threads, forward_part);
}

/* --- backward ---------------------------------------------------------------- */

/* The gradient before batch norm's output: dy where the ReLU passed. */
INLINE vec gradient(const job *j, size_t at, bool relu)
{
  vec g = load(j->dy + at);
  return relu ? keep(load(j->y_in + at) > 0, g) : g;
}

/* sums += (sum g, sum g (x - mean)) over rows, `wide` registers of channels from k on. */
INLINE void sum_channels(const job *j, span rows, size_t k, int32_t wide, bool relu, double *sums)
{
  size_t c = (size_t)j->s->c;
  vec mean[WIDE], sum[WIDE], product[WIDE];
  UNROLL
  for (int32_t v = 0; v < wide; v++) mean[v] = load(j->mean + k + (size_t)v * LANES), sum[v] = product[v] = splat(0);
  for (int64_t i = rows.from; i < rows.to; i++) {
    UNROLL
    for (int32_t v = 0; v < wide; v++) {
      size_t at = (size_t)i * c + k + (size_t)v * LANES;
      vec g = gradient(j, at, relu);
      sum[v] += g;
      product[v] += g * (load(j->x + at) - mean[v]);
    }
  }
  UNROLL
  for (int32_t v = 0; v < wide; v++) {
    add_sums(sums + k + (size_t)v * LANES, sum[v]);
    add_sums(sums + c + k + (size_t)v * LANES, product[v]);
  }
}

INLINE void sum_rows(const job *j, span rows, bool relu, double *sums)
{
  size_t c = (size_t)j->s->c, k;
  for (int64_t from = rows.from; from < rows.to; from += STRETCH) {
    span s = {from, from + STRETCH < rows.to ? from + STRETCH : rows.to};
    for (k = 0; k + WIDE * LANES <= c; k += WIDE * LANES) sum_channels(j, s, k, WIDE, relu, sums);
    for (; k < c; k += LANES) sum_channels(j, s, k, 1, relu, sums);
  }
}

/* The sums are the gradients of gamma and beta; they and the count make the factors of dx. */
static void make_factors(const job *j)
{
  size_t c = (size_t)j->s->c;
  double count = (double)j->s->rows;
  for (size_t k = 0; k < c; k++) {
    double rstd = 1 / sqrt((double)j->var[k] + j->s->eps), dbeta = 0, dgamma = 0;
    for (size_t p = 0; p < DOR_NORM_PIECES; p++) dbeta += j->sums[2 * p * c + k], dgamma += j->sums[(2 * p + 1) * c + k];
    dgamma *= rstd;
    double a = (double)j->gamma[k] * rstd, b = -a * rstd * dgamma / count;
    j->dbeta[k] = (float)dbeta;
    j->dgamma[k] = (float)dgamma;
    j->factor[0][k] = (float)a;
    j->factor[1][k] = (float)b;
    j->factor[2][k] = (float)(-a * dbeta / count - b * (double)j->mean[k]);
  }
}

/* dx = a g + b x + c */
INLINE void spread_rows(const job *j, span rows, bool relu)
{
  size_t c = (size_t)j->s->c;
  for (int64_t i = rows.from; i < rows.to; i++)
    for (size_t k = 0; k < c; k += LANES) {
      size_t at = (size_t)i * c + k;
      store(j->y + at, load(j->factor[0] + k) * gradient(j, at, relu) + (load(j->factor[1] + k) * load(j->x + at) + load(j->factor[2] + k)));
    }
}

static void sum_piece(const job *j, int64_t piece)
{
  span rows = share(j->s->rows, (part){(int32_t)piece, DOR_NORM_PIECES});
  double *sums = j->sums + (size_t)piece * 2 * (size_t)j->s->c;
  memset(sums, 0, 2 * (size_t)j->s->c * sizeof *sums);
  if (j->y_in) sum_rows(j, rows, true, sums);
  else sum_rows(j, rows, false, sums);
}

static void backward_part(const void *of, part me)
{
  const job *j = of;
  span rows = share(j->s->rows, me), pieces = share(DOR_NORM_PIECES, me);
  for (int64_t i = pieces.from; i < pieces.to; i++) sum_piece(j, i);
  wait_for_all(me);
  if (me.rank == 0) make_factors(j);
  wait_for_all(me);
  if (j->y_in) spread_rows(j, rows, true);
  else spread_rows(j, rows, false);
}

static void backward(const dor_norm *s, const float *dy, const float *x, const float *y, const float *mean, const float *var, const float *gamma, float *dx,
                     float *dgamma, float *dbeta, void *scratch)
{
  job j = {.s = s, .dy = dy, .x = x, .y_in = y, .mean = mean, .var = var, .gamma = gamma, .y = dx, .dgamma = dgamma, .dbeta = dbeta};
  size_t c = ((size_t)s->c + 15) / 16 * 16;
  for (size_t i = 0; i < 3; i++) j.factor[i] = (float *)scratch + i * c;
  j.sums = (double *)(void *)((float *)scratch + 3 * c + 16);
  run_parts(&j, s->threads, backward_part);
}

const dor_norm_isa ISA = {.name = ISA_NAME, .lanes = LANES, .forward = forward, .backward = backward};
