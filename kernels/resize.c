/* SPDX-License-Identifier: Apache-2.0
 *
 * resize to any size by the nearest pixel, and its gradient. */
#include <string.h>

#include "kernels/reduce.h"

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

DOR_CLONES static void add(float *restrict to, const float *from, int64_t n)
{
  for (int64_t k = 0; k < n; k++) to[k] += from[k];
}

static void dx_body(const void *job, int64_t lo, int64_t hi) /* rows of dx, through all images */
{
  const resize *s = job;
  int64_t c = s->small.d[3], large = s->large.d[1], small = s->small.d[1];
  memset(s->to + lo * s->small.d[2] * c, 0, (size_t)((hi - lo) * s->small.d[2] * c) * sizeof *s->to);
  for (int64_t row = lo; row < hi; row++)
    for (int64_t i = (row % small * large + small - 1) / small; i < large && i * small / large == row % small; i++) /* the rows copied from this one */
      for (int64_t j = 0, from = row / small * large + i; j < s->large.d[2]; j++)
        add(s->to + source(s, from, j) * c, s->from + (from * s->large.d[2] + j) * c, c);
}

static void resize_run(const dor_call *c)
{
  resize s = {c->out[0].shape, c->in[0].shape, c->in[0].data, c->out[0].data};
  dor_parallel(c->threads, (int64_t)s.large.d[0] * s.large.d[1], 8, body, &s);
}

static void resize_dx_run(const dor_call *c)
{
  resize s = {c->in[0].shape, c->out[0].shape, c->in[0].data, c->out[0].data};
  dor_parallel(c->threads, (int64_t)s.small.d[0] * s.small.d[1], 4, dx_body, &s);
}

const dor_kernel resize_cpu = {.name = "resize_cpu", .run = resize_run};
const dor_kernel resize_dx_cpu = {.name = "resize_dx_cpu", .run = resize_dx_run};
