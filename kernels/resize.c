/* SPDX-License-Identifier: Apache-2.0
 *
 * resize to any size by the nearest pixel, its gradient, and sums of resized maps. */
#include <math.h>
#include <string.h>

#include "kernels/reduce.h"
#include "kernels/tile.h"
#include "ops/attrs.h"

typedef struct resize { dor_shape large, small; const float *from; float *to; } resize;

/* The pixel of `small` that (row, j) of `large` copies; rows count through the images. */
static int64_t source(const resize *s, int64_t row, int64_t j)
{
  int64_t n = row / s->large.d[1], i = row % s->large.d[1];
  return (n * s->small.d[1] + i * s->small.d[1] / s->large.d[1]) * s->small.d[2] + j * s->small.d[2] / s->large.d[2];
}

static void body(const void *job, int64_t lo, int64_t hi) /* rows of y */
{
  const resize *s = job;
  int64_t c = s->large.d[3];
  for (int64_t row = lo; row < hi; row++)
    for (int64_t j = 0; j < s->large.d[2]; j++)
      memcpy(s->to + (row * s->large.d[2] + j) * c, s->from + source(s, row, j) * c, (size_t)c * sizeof *s->to);
}

DOR_CLONES static void add_row(const resize *s, const float *restrict from, float *restrict to, int64_t c)
{
  for (int64_t j = 0; j < s->large.d[2]; j++, from += c) {
    float *pixel = to + j * s->small.d[2] / s->large.d[2] * c;
    for (int64_t k = 0; k < c; k++) pixel[k] += from[k];
  }
}

/* The first row of `large` that copies row i of `small`: the least r with floor(r h / H) >= i. */
static int64_t first_copy(const resize *s, int64_t i) { return (i * s->large.d[1] + s->small.d[1] - 1) / s->small.d[1]; }

static void dx_body(const void *job, int64_t lo, int64_t hi) /* rows of dx */
{
  const resize *s = job;
  int64_t c = s->large.d[3], width = s->small.d[2] * c;
  for (int64_t row = lo; row < hi; row++) {
    int64_t n = row / s->small.d[1], i = row % s->small.d[1];
    float *to = s->to + row * width;
    memset(to, 0, (size_t)width * sizeof *to);
    for (int64_t r = first_copy(s, i); r < first_copy(s, i + 1); r++) add_row(s, s->from + (n * s->large.d[1] + r) * s->large.d[2] * c, to, c);
  }
}

static void resize_run(const dor_call *c)
{
  resize s = {c->out[0].shape, c->in[0].shape, c->in[0].data, c->out[0].data};
  dor_parallel(c->threads, (int64_t)s.large.d[0] * s.large.d[1], 8, body, &s);
}

static void resize_dx_run(const dor_call *c)
{
  resize s = {c->in[0].shape, c->out[0].shape, c->in[0].data, c->out[0].data};
  dor_parallel(c->threads, (int64_t)s.small.d[0] * s.small.d[1], 1, dx_body, &s);
}

const dor_kernel resize_cpu = {.name = "resize_cpu", .run = resize_run};
const dor_kernel resize_dx_cpu = {.name = "resize_dx_cpu", .run = resize_dx_run};

/* resize_sum: a row of y at a time, its terms' rows side by side in registers. */
enum { TERMS = 16 };

typedef struct maps { dor_shape y; int32_t n; dor_shape shape[TERMS]; const float *from[TERMS]; float *to; float low; } maps;

DOR_CLONES static void sum_pixel(const float *const x[], int32_t n, int64_t c, float low, float *restrict y)
{
  int64_t k = 0;
  for (; k + 8 <= c; k += 8) {
    dor_v8 v = *(const dor_v8u *)(x[0] + k), least = low - (dor_v8){0};
    for (int32_t t = 1; t < n; t++) v += *(const dor_v8u *)(x[t] + k);
    dor_v8i below = v < least;
    *(dor_v8u *)(y + k) = (dor_v8)((below & (dor_v8i)least) | (~below & (dor_v8i)v));
  }
  for (; k < c; k++) {
    float v = x[0][k];
    for (int32_t t = 1; t < n; t++) v += x[t][k];
    y[k] = v < low ? low : v;
  }
}

static void sum_body(const void *job, int64_t lo, int64_t hi) /* rows of y */
{
  const maps *m = job;
  int64_t c = m->y.d[3], across = m->y.d[2];
  for (int64_t row = lo; row < hi; row++) {
    int64_t n = row / m->y.d[1], i = row % m->y.d[1];
    const float *line[TERMS], *x[TERMS];
    for (int32_t t = 0; t < m->n; t++) {
      dor_shape s = m->shape[t];
      line[t] = m->from[t] + (n * s.d[1] + i * s.d[1] / m->y.d[1]) * s.d[2] * c;
    }
    for (int64_t j = 0; j < across; j++) {
      for (int32_t t = 0; t < m->n; t++) x[t] = line[t] + j * m->shape[t].d[2] / across * c;
      sum_pixel(x, m->n, c, m->low, m->to + (row * across + j) * c);
    }
  }
}

static dor_status sum_prepare(const dor_prep *p, void **plan, size_t *scratch)
{
  (void)plan, (void)scratch;
  DOR_NEED(p->nin <= TERMS, UNSUPPORTED, "resize_sum: %d maps, at most %d", p->nin, TERMS);
  return DOR_OK;
}

static void resize_sum_run(const dor_call *c)
{
  maps m = {.y = c->out[0].shape, .n = c->nin, .to = c->out[0].data, .low = ((const dor_sum_attr *)c->attr)->relu ? 0 : -INFINITY};
  for (int32_t t = 0; t < c->nin; t++) m.shape[t] = c->in[t].shape, m.from[t] = c->in[t].data;
  dor_parallel(c->threads, (int64_t)m.y.d[0] * m.y.d[1], 4, sum_body, &m);
}

const dor_kernel resize_sum_cpu = {.name = "resize_sum_cpu", .prepare = sum_prepare, .run = resize_sum_run};
