/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch norm: column sums for the statistics and the gradients of gamma and
 * beta, one pass y = x scale + shift for the rest. */
#include <math.h>

#include "kernels/reduce.h"
#include "ops/attrs.h"

static int64_t channels_of(dor_shape s) { return s.d[s.n - 1]; }

typedef struct moments { const float *x, *dy, *mean; } moments;

DOR_CLONES static void var_body(const void *job, int64_t lo, int64_t hi, int64_t n, float *restrict a, float *b)
{
  const moments *s = job;
  (void)b;
  for (int64_t r = lo; r < hi; r++)
    for (int64_t k = 0; k < n; k++) {
      float d = s->x[r * n + k] - s->mean[k];
      a[k] += d * d;
    }
}

/* a: sum dy (x - mean), b: sum dy */
DOR_CLONES static void grad_body(const void *job, int64_t lo, int64_t hi, int64_t n, float *restrict a, float *restrict b)
{
  const moments *s = job;
  for (int64_t r = lo; r < hi; r++)
    for (int64_t k = 0; k < n; k++) {
      float dy = s->dy[r * n + k];
      a[k] += dy * (s->x[r * n + k] - s->mean[k]);
      b[k] += dy;
    }
}

static dor_status sums_prepare(const dor_prep *p, void **plan, size_t *scratch)
{
  (void)plan;
  int64_t n = channels_of(p->in[0].shape);
  *scratch = dor_sum_scratch(dor_shape_size(p->in[0].shape) / n, n);
  return DOR_OK;
}

static void bn_stats_run(const dor_call *c)
{
  int64_t n = channels_of(c->in[0].shape), rows = dor_shape_size(c->in[0].shape) / n;
  float *mean = c->out[0].data, *var = c->out[1].data;
  moments s = {c->in[0].data, NULL, mean};
  double *a = dor_sum_columns(c, rows, n, s.x), *b;
  for (int64_t k = 0; k < n; k++) mean[k] = (float)(a[k] / (double)rows);
  dor_sum_rows(c, rows, n, var_body, &s, &a, &b);
  for (int64_t k = 0; k < n; k++) var[k] = (float)(a[k] / (double)rows);
}
const dor_kernel bn_stats_cpu = {.name = "bn_stats_cpu", .prepare = sums_prepare, .run = bn_stats_run};

static float inverse(const dor_call *c, int32_t var, int64_t k)
{
  return (float)(1 / sqrt((double)((const float *)c->in[var].data)[k] + ((const dor_bn_attr *)c->attr)->eps));
}

static void bn_reduce_run(const dor_call *c)
{
  int64_t n = channels_of(c->in[0].shape), rows = dor_shape_size(c->in[0].shape) / n;
  moments s = {c->in[1].data, c->in[0].data, c->in[2].data};
  double *a, *b;
  dor_sum_rows(c, rows, n, grad_body, &s, &a, &b);
  float *dgamma = c->out[0].data, *dbeta = c->out[1].data;
  for (int64_t k = 0; k < n; k++) dgamma[k] = (float)(a[k] * (double)inverse(c, 3, k)), dbeta[k] = (float)b[k];
}
const dor_kernel bn_reduce_cpu = {.name = "bn_reduce_cpu", .prepare = sums_prepare, .run = bn_reduce_run};

/* y = (x - mean) scale + shift, and the gradient's dx = dy scale + (x - mean) slope + shift, by rows */
typedef struct affine { const float *x, *dy, *mean, *scale, *slope, *shift; float *y; int64_t n; } affine;

DOR_CLONES static void norm_body(const void *job, int64_t lo, int64_t hi)
{
  const affine *s = job;
  for (int64_t r = lo; r < hi; r++) {
    const float *x = s->x + r * s->n;
    float *restrict y = s->y + r * s->n;
    for (int64_t k = 0; k < s->n; k++) y[k] = (x[k] - s->mean[k]) * s->scale[k] + s->shift[k];
  }
}

DOR_CLONES static void dx_body(const void *job, int64_t lo, int64_t hi)
{
  const affine *s = job;
  for (int64_t r = lo; r < hi; r++) {
    const float *x = s->x + r * s->n, *dy = s->dy + r * s->n;
    float *restrict y = s->y + r * s->n;
    for (int64_t k = 0; k < s->n; k++) y[k] = dy[k] * s->scale[k] + ((x[k] - s->mean[k]) * s->slope[k] + s->shift[k]);
  }
}

static dor_status norm_prepare(const dor_prep *p, void **plan, size_t *scratch)
{
  (void)plan;
  *scratch = (size_t)(3 * channels_of(p->in[0].shape)) * sizeof(float);
  return DOR_OK;
}

static void over_rows(const dor_call *c, const affine *s, dor_body *body)
{
  int64_t grain = 16384 / s->n;
  dor_parallel(c->threads, dor_shape_size(c->in[0].shape) / s->n, grain > 1 ? grain : 1, body, s);
}

static void bn_norm_run(const dor_call *c)
{
  int64_t n = channels_of(c->in[0].shape);
  const float *gamma = c->in[3].data;
  float *scale = c->scratch;
  for (int64_t k = 0; k < n; k++) scale[k] = gamma[k] * inverse(c, 2, k);
  affine s = {.x = c->in[0].data, .mean = c->in[1].data, .scale = scale, .shift = c->in[4].data, .y = c->out[0].data, .n = n};
  over_rows(c, &s, norm_body);
}
const dor_kernel bn_norm_cpu = {.name = "bn_norm_cpu", .prepare = norm_prepare, .run = bn_norm_run};
const dor_kernel bn_infer_cpu = {.name = "bn_infer_cpu", .prepare = norm_prepare, .run = bn_norm_run};

DOR_CLONES static void scale_body(const void *job, int64_t lo, int64_t hi)
{
  const affine *s = job;
  for (int64_t r = lo; r < hi; r++) {
    const float *dy = s->dy + r * s->n;
    float *restrict y = s->y + r * s->n;
    for (int64_t k = 0; k < s->n; k++) y[k] = dy[k] * s->scale[k];
  }
}

static void bn_infer_dx_run(const dor_call *c)
{
  int64_t n = channels_of(c->in[0].shape);
  const float *gamma = c->in[2].data;
  float *scale = c->scratch;
  for (int64_t k = 0; k < n; k++) scale[k] = gamma[k] * inverse(c, 1, k);
  affine s = {.dy = c->in[0].data, .scale = scale, .y = c->out[0].data, .n = n};
  over_rows(c, &s, scale_body);
}
const dor_kernel bn_infer_dx_cpu = {.name = "bn_infer_dx_cpu", .prepare = norm_prepare, .run = bn_infer_dx_run};

static void bn_dx_run(const dor_call *c)
{
  int64_t n = channels_of(c->in[0].shape);
  double rows = (double)(dor_shape_size(c->in[0].shape) / n);
  const float *gamma = c->in[4].data, *dgamma = c->in[5].data, *dbeta = c->in[6].data;
  float *scale = c->scratch, *slope = scale + n, *shift = slope + n;
  for (int64_t k = 0; k < n; k++) {
    float inv = inverse(c, 3, k);
    scale[k] = gamma[k] * inv;
    slope[k] = (float)(-(double)scale[k] * (double)inv * (double)dgamma[k] / rows);
    shift[k] = (float)(-(double)scale[k] * (double)dbeta[k] / rows);
  }
  affine s = {c->in[1].data, c->in[0].data, c->in[2].data, scale, slope, shift, c->out[0].data, n};
  over_rows(c, &s, dx_body);
}
const dor_kernel bn_dx_cpu = {.name = "bn_dx_cpu", .prepare = norm_prepare, .run = bn_dx_run};

static void bn_running_run(const dor_call *c)
{
  const dor_bn_running_attr *a = c->attr;
  float m = (float)a->momentum, u = (float)(a->momentum * a->unbias), old = (float)(1 - a->momentum);
  float *mean = c->out[0].data, *var = c->out[1].data;
  const float *was_mean = c->in[0].data, *was_var = c->in[1].data, *new_mean = c->in[3].data, *new_var = c->in[4].data;
  for (int32_t k = 0; k < c->out[0].shape.d[0]; k++) {
    mean[k] = old * was_mean[k] + m * new_mean[k];
    var[k] = old * was_var[k] + u * new_var[k];
  }
  *(int32_t *)c->out[2].data = *(const int32_t *)c->in[2].data + 1;
}
const dor_kernel bn_running_cpu = {.name = "bn_running_cpu", .run = bn_running_run};
