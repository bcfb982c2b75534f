/* SPDX-License-Identifier: Apache-2.0
 *
 * Bilinear resize, and its gradient: a row of x gathers from the rows of dy that
 * read it, so that rows are independent whatever the sizes. */
#include <math.h>
#include <string.h>

#include "kernels/reduce.h"

typedef struct resize { dor_shape small, large; const float *from; float *to; } resize; /* small: x, large: y (or their gradients), whatever the sizes */

typedef struct taps { int64_t at[2]; float weight[2]; } taps; /* what an output index reads along one axis */

static taps taps_of(int64_t i, int64_t from, int64_t to)
{
  double s = ((double)i + 0.5) * (double)from / (double)to - 0.5;
  if (s < 0) s = 0;
  int64_t r = (int64_t)s;
  float f = (float)(s - (double)r);
  return (taps){{r, r + 1 < from ? r + 1 : from - 1}, {1 - f, f}};
}

DOR_CLONES static void blend(float *restrict y, const float *const x[4], const float w[4], int64_t n)
{
  for (int64_t k = 0; k < n; k++) y[k] = w[0] * x[0][k] + w[1] * x[1][k] + w[2] * x[2][k] + w[3] * x[3][k];
}

static void body(const void *job, int64_t lo, int64_t hi) /* rows of y, through all images */
{
  const resize *s = job;
  int64_t c = s->large.d[3];
  for (int64_t row = lo; row < hi; row++) {
    taps v = taps_of(row % s->large.d[1], s->small.d[1], s->large.d[1]);
    for (int64_t j = 0; j < s->large.d[2]; j++) {
      taps h = taps_of(j, s->small.d[2], s->large.d[2]);
      const float *x[4];
      float w[4];
      for (int k = 0; k < 4; k++) {
        x[k] = s->from + ((row / s->large.d[1] * s->small.d[1] + v.at[k / 2]) * s->small.d[2] + h.at[k % 2]) * c;
        w[k] = v.weight[k / 2] * h.weight[k % 2];
      }
      blend(s->to + (row * s->large.d[2] + j) * c, x, w, c);
    }
  }
}

DOR_CLONES static void add_scaled(float *restrict x, const float *y, float w, int64_t n)
{
  for (int64_t k = 0; k < n; k++) x[k] += w * y[k];
}

/* Row i of dy, with the weight its row of x had, into that row. */
static void add_row(const resize *s, const float *dy, float weight, float *dx)
{
  int64_t c = s->large.d[3];
  for (int64_t j = 0; j < s->large.d[2]; j++) {
    taps h = taps_of(j, s->small.d[2], s->large.d[2]);
    for (int k = 0; k < 2; k++) add_scaled(dx + h.at[k] * c, dy + j * c, weight * h.weight[k], c);
  }
}

/* The first output row that can read row r: one too early does no harm. */
static int64_t first_reader(const resize *s, int64_t r)
{
  int64_t i = (int64_t)(((double)r - 0.5) * s->large.d[1] / s->small.d[1] - 0.5) - 1;
  return i > 0 ? i : 0;
}

static void dx_body(const void *job, int64_t lo, int64_t hi) /* rows of dx, through all images */
{
  const resize *s = job;
  int64_t wide = (int64_t)s->small.d[2] * s->small.d[3], h = s->small.d[1];
  for (int64_t row = lo; row < hi; row++) {
    int64_t r = row % h;
    float *dx = s->to + row * wide;
    memset(dx, 0, (size_t)wide * sizeof *dx);
    for (int64_t i = first_reader(s, r); i < s->large.d[1]; i++) {
      taps v = taps_of(i, h, s->large.d[1]);
      if (v.at[0] > r) break;
      const float *dy = s->from + (row / h * s->large.d[1] + i) * s->large.d[2] * s->large.d[3];
      for (int k = 0; k < 2; k++)
        if (v.at[k] == r) add_row(s, dy, v.weight[k], dx);
    }
  }
}

static void resize_run(const dor_call *c)
{
  resize s = {c->in[0].shape, c->out[0].shape, c->in[0].data, c->out[0].data};
  dor_parallel(c->threads, (int64_t)s.large.d[0] * s.large.d[1], 8, body, &s);
}

static void resize_dx_run(const dor_call *c)
{
  resize s = {c->out[0].shape, c->in[0].shape, c->in[0].data, c->out[0].data};
  dor_parallel(c->threads, (int64_t)s.small.d[0] * s.small.d[1], 4, dx_body, &s);
}

const dor_kernel resize_bilinear_cpu = {.name = "resize_bilinear_cpu", .run = resize_run};
const dor_kernel resize_bilinear_dx_cpu = {.name = "resize_bilinear_dx_cpu", .run = resize_dx_run};
