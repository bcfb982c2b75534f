/* SPDX-License-Identifier: Apache-2.0
 *
 * softmax, its gradient, and the cross-entropy that makes loss and slope in one
 * pass. Rows are short (classes), so a block of rows is handled at once: the
 * exponentials of all of them in one vector loop, the logarithms in another. */
#include "kernels/reduce.h"
#include "kernels/scalar.h"
#include "ops/attrs.h"

typedef struct rows_job { const float *x, *dy; float *y; int64_t k; } rows_job;

static void row_shift(const float *x, float *y, int64_t k) /* y = x - max */
{
  float top = x[0];
  for (int64_t j = 1; j < k; j++) top = x[j] > top ? x[j] : top;
  for (int64_t j = 0; j < k; j++) y[j] = x[j] - top;
}

DOR_CLONES static void exp_all(float *y, int64_t n)
{
  for (int64_t i = 0; i < n; i++) y[i] = scalar_exp(y[i]);
}

static float row_sum(const float *y, int64_t k)
{
  float s = 0;
  for (int64_t j = 0; j < k; j++) s += y[j];
  return s;
}

static void softmax_body(const void *job, int64_t lo, int64_t hi)
{
  const rows_job *s = job;
  for (int64_t r = lo; r < hi; r++) row_shift(s->x + r * s->k, s->y + r * s->k, s->k);
  exp_all(s->y + lo * s->k, (hi - lo) * s->k);
  for (int64_t r = lo; r < hi; r++) {
    float *y = s->y + r * s->k, inv = 1.0f / row_sum(y, s->k);
    for (int64_t j = 0; j < s->k; j++) y[j] *= inv;
  }
}

static void bwd_body(const void *job, int64_t lo, int64_t hi)
{
  const rows_job *s = job;
  for (int64_t r = lo; r < hi; r++) {
    const float *y = s->x + r * s->k, *dy = s->dy + r * s->k;
    float sum = 0;
    for (int64_t j = 0; j < s->k; j++) sum += y[j] * dy[j];
    for (int64_t j = 0; j < s->k; j++) s->y[r * s->k + j] = y[j] * (dy[j] - sum);
  }
}

static void over_rows(const dor_call *c, dor_body *body)
{
  dor_shape x = c->in[0].shape;
  rows_job s = {c->in[0].data, c->nin > 1 ? c->in[1].data : NULL, c->out[0].data, x.n ? x.d[x.n - 1] : 1};
  dor_parallel(c->threads, dor_shape_size(x) / s.k, 1 + 4096 / s.k, body, &s);
}

static void softmax_run(const dor_call *c) { over_rows(c, softmax_body); }
static void softmax_bwd_run(const dor_call *c) { over_rows(c, bwd_body); }
const dor_kernel softmax_cpu = {.name = "softmax_cpu", .run = softmax_run};
const dor_kernel softmax_bwd_cpu = {.name = "softmax_bwd_cpu", .run = softmax_bwd_run};

/* Cross-entropy. Until a row is finished its slope holds exp(x - max). */
enum { BLOCK = 64 };
typedef struct entropy { const float *x, *label, *weight, *class_weight; float *slope; int64_t n, k; float e; } entropy;

DOR_CLONES static void log_all(float *y, int64_t n)
{
  for (int64_t i = 0; i < n; i++) y[i] = scalar_log(y[i]);
}

static float class_weight(const entropy *s, int64_t j) { return s->class_weight ? s->class_weight[j] : 1.0f; }

/* Loss of row r, and its slope before the division by the weights' sum. z = x - max of a class is recomputed from x. */
static double finish(const entropy *s, int64_t r, float sum, float log_sum, float inv_total)
{
  const float *x = s->x + r * s->k;
  float *slope = s->slope + r * s->k, w = s->weight[r], top = x[0], mass = 0, loss = 0;
  int64_t label = (int64_t)s->label[r];
  for (int64_t j = 1; j < s->k; j++) top = x[j] > top ? x[j] : top;
  float uniform = s->e / (float)s->k, scale = w * inv_total;
  for (int64_t j = 0; j < s->k; j++) {
    float q = class_weight(s, j) * ((j == label ? 1.0f - s->e : 0.0f) + uniform);
    loss += q * (log_sum - (x[j] - top));
    mass += q;
  }
  for (int64_t j = 0; j < s->k; j++) {
    float q = class_weight(s, j) * ((j == label ? 1.0f - s->e : 0.0f) + uniform);
    slope[j] = scale * (mass * slope[j] / sum - q);
  }
  return (double)(w * loss);
}

/* The same for the usual case of hard labels and no class weights. */
static double finish_hard(const entropy *s, int64_t r, float sum, float log_sum, float inv_total)
{
  const float *x = s->x + r * s->k;
  float *slope = s->slope + r * s->k, w = s->weight[r], top = x[0], scale = w * inv_total, each = scale / sum;
  int64_t label = (int64_t)s->label[r];
  for (int64_t j = 1; j < s->k; j++) top = x[j] > top ? x[j] : top;
  for (int64_t j = 0; j < s->k; j++) slope[j] *= each;
  slope[label] -= scale;
  return (double)(w * (log_sum - (x[label] - top)));
}

static double rows_of(const entropy *s, int64_t lo, int64_t n, float inv_total)
{
  float sum[BLOCK], logs[BLOCK];
  double loss = 0;
  bool hard = !s->class_weight && !(s->e > 0);
  for (int64_t r = 0; r < n; r++) row_shift(s->x + (lo + r) * s->k, s->slope + (lo + r) * s->k, s->k);
  exp_all(s->slope + lo * s->k, n * s->k);
  for (int64_t r = 0; r < n; r++) sum[r] = logs[r] = row_sum(s->slope + (lo + r) * s->k, s->k);
  log_all(logs, n);
  for (int64_t r = 0; r < n; r++) loss += (hard ? finish_hard : finish)(s, lo + r, sum[r], logs[r], inv_total);
  return loss;
}

/* Two classes: with d = the other's logit minus the label's, loss = log(1 + exp d) and the slope is +-sigmoid(d). */
DOR_CLONES static double two_classes(const entropy *s, float inv_total)
{
  double total = 0;
  float loss[BLOCK];
  for (int64_t from = 0; from < s->n; from += BLOCK) {
    int64_t n = s->n - from < BLOCK ? s->n - from : BLOCK;
    for (int64_t r = 0; r < n; r++) {
      const float *x = s->x + 2 * (from + r);
      float sign = s->label[from + r] > 0.5f ? -1.0f : 1.0f, d = sign * (x[1] - x[0]), w = s->weight[from + r];
      float e = scalar_exp(d < 0 ? d : -d), p = (d < 0 ? e : 1.0f) / (1.0f + e), slope = sign * w * inv_total * p;
      loss[r] = w * (scalar_relu(d) + scalar_log1p(e));
      s->slope[2 * (from + r)] = -slope, s->slope[2 * (from + r) + 1] = slope;
    }
    for (int64_t r = 0; r < n; r++) total += (double)loss[r];
  }
  return total;
}

static void softmax_ce_run(const dor_call *c)
{
  dor_shape x = c->in[0].shape;
  entropy s = {c->in[0].data, c->in[1].data, c->in[2].data, c->nin == 4 ? c->in[3].data : NULL, c->out[1].data, x.d[0], x.d[1],
               (float)((const dor_ce_attr *)c->attr)->smoothing};
  double total = 0, loss = 0;
  for (int64_t r = 0; r < s.n; r++) total += (double)(s.weight[r] * (s.class_weight ? s.class_weight[(int64_t)s.label[r]] : 1.0f));
  float inv = total > 0 ? (float)(1 / total) : 0;
  if (s.k == 2 && !s.class_weight && !(s.e > 0)) loss = two_classes(&s, inv);
  else
    for (int64_t r = 0; r < s.n; r += BLOCK) loss += rows_of(&s, r, s.n - r < BLOCK ? s.n - r : BLOCK, inv);
  *(float *)c->out[0].data = total > 0 ? (float)(loss / total) : 0;
}
const dor_kernel softmax_ce_cpu = {.name = "softmax_ce_cpu", .run = softmax_ce_run};
