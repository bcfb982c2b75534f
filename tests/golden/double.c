/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/golden/double.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/reduce.h"
#include "ops/ops.h"
#include "tests/test.h"

enum { THREADS = 1 };

typedef struct conv { /* x * w = y, one of them wanted: into `out` */
  const dor_conv2d_attr *a;
  dor_shape x, y;
  const double *p, *q; /* x and w, dy and w', x and dy */
  double *out;
} conv;

/* to[k][o] += sum_c from[k][c] w[c][o] for n pixels */
DOR_CLONES static void add_products(double *to, int64_t to_step, const double *from, int64_t from_step, const double *w, int64_t n, int64_t ci, int64_t co)
{
  for (int64_t k = 0; k < n; k++)
    for (int64_t c = 0; c < ci; c++) {
      double *restrict y = to + k * to_step;
      const double x = from[k * from_step + c], *b = w + c * co;
      for (int64_t o = 0; o < co; o++) y[o] += x * b[o];
    }
}

/* The columns of y whose source under tap v lies in x: [*lo, *hi), and the first of those sources. */
static int64_t valid(const conv *s, int32_t v, int64_t *lo, int64_t *hi)
{
  int64_t stride = s->a->stride[1], off = v - s->a->pad[1];
  *lo = off >= 0 ? 0 : (-off + stride - 1) / stride;
  *hi = s->x.d[2] - off <= 0 ? 0 : (s->x.d[2] - off - 1) / stride + 1;
  if (*hi > s->y.d[2]) *hi = s->y.d[2];
  if (*hi < *lo) *hi = *lo;
  return *lo * stride + off;
}

static void forward(const void *job, int64_t first, int64_t end) /* rows of y */
{
  const conv *s = job;
  int64_t ci = s->x.d[3], co = s->y.d[3], lo, hi;
  for (int64_t row = first; row < end; row++)
    for (int32_t u = 0; u < s->a->kernel[0]; u++)
      for (int32_t v = 0; v < s->a->kernel[1]; v++) {
        int64_t r = row % s->y.d[1] * s->a->stride[0] + u - s->a->pad[0], from = valid(s, v, &lo, &hi);
        if (r < 0 || r >= s->x.d[1]) continue;
        add_products(s->out + (row * s->y.d[2] + lo) * co, co, s->p + ((row / s->y.d[1] * s->x.d[1] + r) * s->x.d[2] + from) * ci, s->a->stride[1] * ci,
                     s->q + (u * s->a->kernel[1] + v) * ci * co, hi - lo, ci, co);
      }
}

static void backward(const void *job, int64_t first, int64_t end) /* rows of x */
{
  const conv *s = job;
  int64_t ci = s->x.d[3], co = s->y.d[3], lo, hi;
  for (int64_t row = first; row < end; row++)
    for (int32_t u = 0; u < s->a->kernel[0]; u++)
      for (int32_t v = 0; v < s->a->kernel[1]; v++) {
        int64_t i = row % s->x.d[1] + s->a->pad[0] - u, to = valid(s, v, &lo, &hi);
        if (i < 0 || i % s->a->stride[0] || i / s->a->stride[0] >= s->y.d[1]) continue;
        i = row / s->x.d[1] * s->y.d[1] + i / s->a->stride[0];
        add_products(s->out + (row * s->x.d[2] + to) * ci, s->a->stride[1] * ci, s->p + (i * s->y.d[2] + lo) * co, co,
                     s->q + (u * s->a->kernel[1] + v) * ci * co, hi - lo, co, ci);
      }
}

static void weights(const void *job, int64_t first, int64_t end) /* channels of x */
{
  const conv *s = job;
  int64_t ci = s->x.d[3], co = s->y.d[3], lo, hi;
  for (int64_t row = 0; row < (int64_t)s->y.d[0] * s->y.d[1]; row++)
    for (int32_t u = 0; u < s->a->kernel[0]; u++)
      for (int32_t v = 0; v < s->a->kernel[1]; v++) {
        int64_t r = row % s->y.d[1] * s->a->stride[0] + u - s->a->pad[0], from = valid(s, v, &lo, &hi);
        if (r < 0 || r >= s->x.d[1]) continue;
        const double *x = s->p + ((row / s->y.d[1] * s->x.d[1] + r) * s->x.d[2] + from) * ci;
        for (int64_t j = lo; j < hi; j++) /* an outer product of a pixel's channels */
          add_products(s->out + ((u * s->a->kernel[1] + v) * ci + first) * co, co, x + (j - lo) * s->a->stride[1] * ci + first, 1,
                       s->q + (row * s->y.d[2] + j) * co, end - first, 1, co);
      }
}

/* [tap][c][o] -> [tap][o][c] */
static double *turned(const double *w, dor_shape s)
{
  double *t = malloc((size_t)dor_shape_size(s) * sizeof *t);
  for (int64_t tap = 0; tap < s.d[0] * s.d[1]; tap++)
    for (int64_t c = 0; c < s.d[2]; c++)
      for (int64_t o = 0; o < s.d[3]; o++) t[(tap * s.d[3] + o) * s.d[2] + c] = w[(tap * s.d[2] + c) * s.d[3] + o];
  return t;
}

static dor_shape shape_of(numbers v, dor_val k) { return v.g->value[k].type.shape; }

static void run_conv(numbers v, const dor_node *n)
{
  bool dx = n->op == &dor_op_conv2d_dx, dw = n->op == &dor_op_conv2d_dw;
  conv s = {.a = n->attr, .p = v.at[n->in[0]], .q = v.at[n->in[1]], .out = v.at[n->out[0]]};
  s.x = shape_of(v, dx ? n->out[0] : n->in[0]), s.y = shape_of(v, dx ? n->in[0] : dw ? n->in[1] : n->out[0]);
  REQUIRE(s.a->groups == 1 && s.a->dilation[0] == 1, "no groups, no dilation");
  memset(s.out, 0, (size_t)dor_shape_size(shape_of(v, n->out[0])) * sizeof *s.out);
  double *t = dx ? turned(s.q, shape_of(v, n->in[1])) : NULL;
  if (dx) s.q = t;
  if (dw) dor_parallel(THREADS, s.x.d[3], 1, weights, &s);
  else dor_parallel(THREADS, dx ? s.x.d[0] * s.x.d[1] : s.y.d[0] * s.y.d[1], 1, dx ? backward : forward, &s);
  free(t);
}

void double_run(numbers v)
{
  for (int32_t k = 0; k < v.g->nnode; k++) {
    const dor_node *n = &v.g->node[k];
    if (n->op == &dor_op_conv2d || n->op == &dor_op_conv2d_dx || n->op == &dor_op_conv2d_dw) run_conv(v, n);
    else numbers_run(v, k, k + 1);
  }
}
