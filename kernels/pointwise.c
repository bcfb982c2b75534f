/* SPDX-License-Identifier: Apache-2.0
 *
 * Ops that treat each element alone: one loop each, made from scalar.h. */
#include "kernels/reduce.h"
#include "kernels/scalar.h"
#include "ops/attrs.h"

enum { GRAIN = 16384 };

typedef struct each { const float *a, *b; float *y; float k; int64_t c; } each;

static each job_of(const dor_call *c)
{
  return (each){c->in[0].data, c->nin > 1 ? c->in[1].data : NULL, c->out[0].data, 0, 0};
}

/* OP_cpu runs y[i] = value over all i; `setup` may put the attributes into e. */
#define EACH(op, setup, value)                                              \
  DOR_CLONES static void op##_body(const void *job, int64_t lo, int64_t hi) \
  {                                                                           \
    const each *e = job;                                                      \
    const float *a = e->a, *b = e->b, k = e->k;                               \
    float *restrict y = e->y;                                                 \
    (void)a, (void)b, (void)k;                                                      \
    for (int64_t i = lo; i < hi; i++) y[i] = value;                           \
  }                                                                           \
  static void op##_run(const dor_call *c)                                   \
  {                                                                           \
    each e = job_of(c);                                                       \
    setup;                                                                    \
    dor_parallel(c->threads, dor_shape_size(c->out[0].shape), GRAIN, op##_body, &e); \
  }                                                                           \
  const dor_kernel op##_cpu = {.name = #op "_cpu", .run = op##_run};

EACH(add, , a[i] + b[i])
EACH(accumulate, , a[i] + b[i])
EACH(relu, , scalar_relu(a[i]))
EACH(relu_bwd, , scalar_relu_bwd(a[i], b[i]))
EACH(leaky_relu, e.k = (float)((const dor_slope_attr *)c->attr)->slope, scalar_leaky(a[i], a[i], k))
EACH(leaky_relu_bwd, e.k = (float)((const dor_slope_attr *)c->attr)->slope, scalar_leaky(a[i], b[i], k))
EACH(sigmoid, , scalar_sigmoid(a[i]))
EACH(sigmoid_bwd, , scalar_sigmoid_bwd(a[i], b[i]))
EACH(tanh, , scalar_tanh(a[i]))
EACH(tanh_bwd, , scalar_tanh_bwd(a[i], b[i]))
EACH(scale, e.k = (float)((const dor_scale_attr *)c->attr)->factor, k * a[i])
EACH(loss_bwd, e.k = *e.a, k * b[i])

DOR_CLONES static void add_into_body(const void *job, int64_t lo, int64_t hi)
{
  const each *e = job;
  for (int64_t i = lo; i < hi; i++) e->y[i] = e->a[i] + e->b[i];
}

static void add_into_run(const dor_call *c)
{
  each e = job_of(c);
  dor_parallel(c->threads, dor_shape_size(c->out[0].shape), GRAIN, add_into_body, &e);
}
const dor_kernel add_into_cpu = {.name = "add_into_cpu", .run = add_into_run};

/* Rows of c numbers, b repeated over them. */
#define ROWS(op, value)                                                       \
  DOR_CLONES static void op##_body(const void *job, int64_t lo, int64_t hi) \
  {                                                                           \
    const each *e = job;                                                      \
    for (int64_t r = lo; r < hi; r++) {                                       \
      const float *a = e->a + r * e->c, *b = e->b;                            \
      float *restrict y = e->y + r * e->c;                                    \
      for (int64_t i = 0; i < e->c; i++) y[i] = value;                        \
    }                                                                         \
  }

static void rows(const dor_call *c, dor_body *body)
{
  each e = job_of(c);
  e.c = c->in[1].shape.d[0];
  int64_t grain = GRAIN / e.c;
  dor_parallel(c->threads, dor_shape_size(c->out[0].shape) / e.c, grain > 1 ? grain : 1, body, &e);
}

ROWS(bias, a[i] + b[i])
static void bias_run(const dor_call *c) { rows(c, bias_body); }
const dor_kernel bias_cpu = {.name = "bias_cpu", .run = bias_run};

DOR_CLONES static void mul_same_body(const void *job, int64_t lo, int64_t hi)
{
  const each *e = job;
  float *restrict y = e->y;
  for (int64_t i = lo; i < hi; i++) y[i] = e->a[i] * e->b[i];
}

ROWS(mul_channel, a[i] * b[i])

static void mul_run(const dor_call *c)
{
  dor_shape a = c->in[0].shape, b = c->in[1].shape;
  each e = job_of(c);
  int64_t n = dor_shape_size(a);
  if (dor_shape_same(a, b)) {
    dor_parallel(c->threads, n, GRAIN, mul_same_body, &e);
    return;
  }
  if (b.n == 1) {
    rows(c, mul_channel_body);
    return;
  }
  e.c = b.d[1];
  int64_t size = n / a.d[0]; /* a gate [N,C]: image by image */
  for (int64_t k = 0; k < a.d[0]; k++, e.a += size, e.y += size, e.b += e.c) dor_parallel(c->threads, size / e.c, GRAIN, mul_channel_body, &e);
}
const dor_kernel mul_cpu = {.name = "mul_cpu", .run = mul_run};
