/* SPDX-License-Identifier: Apache-2.0
 *
 * The update of all parameters, run by run, one pass each and one more for the average. What depends
 * on the step alone (rates, bias corrections) is worked out in double before the loop. */
#include <math.h>

#include "kernels/loss_scale.h"
#include "kernels/reduce.h"
#include "ops/attrs.h"

enum { GRAIN = 16384, PIECE = 4096 };

/* A piece's sum of squares, in rows of 64 that vectorise. */
DOR_CLONES static double squares(const float *g, int64_t n)
{
  float part[16] = {0};
  double sum = 0;
  int64_t k = 0;
  for (; k + 16 <= n; k += 16)
    for (int j = 0; j < 16; j++) part[j] += g[k + j] * g[k + j];
  for (int j = 0; j < 16; j++) sum += (double)part[j];
  for (; k < n; k++) sum += (double)(g[k] * g[k]);
  return sum;
}

typedef struct norm { const float *g; double *part; int64_t n; } norm;

static void norm_body(const void *job, int64_t lo, int64_t hi)
{
  const norm *s = job;
  for (int64_t p = lo; p < hi; p++) s->part[p] = squares(s->g + p * PIECE, s->n - p * PIECE < PIECE ? s->n - p * PIECE : PIECE);
}

static int64_t length(const dor_range *r) { return r->end - r->begin; }
static int64_t pieces(const dor_range *r) { return (length(r) + PIECE - 1) / PIECE; }

static dor_status clip_prepare(const dor_prep *p, void **plan, size_t *scratch)
{
  const dor_clip_attr *a = p->attr;
  (void)plan;
  for (int32_t i = 0; i < a->n; i++) {
    size_t bytes = (size_t)pieces(&a->run[i]) * sizeof(double);
    *scratch = bytes > *scratch ? bytes : *scratch;
  }
  return DOR_OK;
}

static double squares_of(const dor_call *c, const dor_clip_attr *a)
{
  double sum = 0;
  for (int32_t i = 0; i < a->n; i++) {
    const dor_range *r = &a->run[i];
    norm s = {(const float *)c->in[0].data + r->begin, c->scratch, length(r)};
    dor_parallel(c->threads, pieces(r), 4, norm_body, &s);
    for (int64_t p = 0; p < pieces(r); p++) sum += s.part[p];
  }
  return sum;
}

static void clip_norm_run(const dor_call *c)
{
  const dor_clip_attr *a = c->attr;
  double norm_of_all = sqrt(squares_of(c, a)) * (double)c->step->grad_scale;
  *(float *)c->out[0].data = (float)fmin(1, a->max_norm / (norm_of_all + 1e-6));
  *(float *)c->out[1].data = (float)norm_of_all;
}
const dor_kernel clip_norm_cpu = {.name = "clip_norm_cpu", .prepare = clip_prepare, .run = clip_norm_run};

static void loss_scale_run(const dor_call *c) { *(float *)c->out[0].data = (float)scalar_loss_scale(c->in[0].data); }
const dor_kernel loss_scale_cpu = {.name = "loss_scale_cpu", .run = loss_scale_run};

static void clip_scaled_run(const dor_call *c)
{
  const dor_scaled_attr *a = c->attr;
  float *factor = c->out[0].data, *state = c->out[2].data;
  factor[0] = scalar_scaled_clip(squares_of(c, &a->clip), (double)c->step->grad_scale, scalar_loss_scale(state), a->clip.max_norm, c->out[1].data);
  factor[1] = state[2];
  scalar_scale_next(factor[0] >= 0, a->patience, state);
}
const dor_kernel clip_scaled_cpu = {.name = "clip_scaled_cpu", .prepare = clip_prepare, .run = clip_scaled_run}; /* its attributes begin with clip_norm's */

typedef struct update { /* of one run: everything begins with it */
  float *p, *m, *v, *average;
  const float *g;
  float scale, lr, decay, shrink, a, b, c, ra, rb, eps;
} update;

DOR_CLONES static void sgd_body(const void *job, int64_t lo, int64_t hi)
{
  const update *u = job;
  const float scale = u->scale, decay = u->decay, lr = u->lr;
#pragma GCC ivdep
  for (int64_t i = lo; i < hi; i++) u->p[i] = u->p[i] - lr * (u->g[i] * scale + decay * u->p[i]);
}

/* a: momentum; the step is g b + m c, which is m, or g + momentum m with Nesterov */
DOR_CLONES static void momentum_body(const void *job, int64_t lo, int64_t hi)
{
  const update *u = job;
  const float scale = u->scale, decay = u->decay, lr = u->lr, a = u->a, b = u->b, c = u->c;
#pragma GCC ivdep
  for (int64_t i = lo; i < hi; i++) {
    float p = u->p[i], g = u->g[i] * scale + decay * p, m = a * u->m[i] + g;
    u->m[i] = m;
    u->p[i] = p - lr * (b * g + c * m);
  }
}

/* lr: lr / (1 - b1^t); c: 1 / sqrt(1 - b2^t); shrink: 1 - lr decay (adamw) */
DOR_CLONES static void adam_body(const void *job, int64_t lo, int64_t hi)
{
  const update *u = job;
  const float scale = u->scale, decay = u->decay, shrink = u->shrink, lr = u->lr, b = u->b, c = u->c;
  const float ra = u->ra, rb = u->rb, eps = u->eps;
#pragma GCC ivdep
  for (int64_t i = lo; i < hi; i++) {
    float p = u->p[i], g = u->g[i] * scale + decay * p, m = u->m[i] + ra * (g - u->m[i]), v = b * u->v[i] + rb * (g * g);
    u->m[i] = m;
    u->v[i] = v;
    u->p[i] = p * shrink - lr * m / (sqrtf(v) * c + eps);
  }
}

DOR_CLONES static void average_body(const void *job, int64_t lo, int64_t hi)
{
  const update *u = job;
  const float a = u->a;
#pragma GCC ivdep
  for (int64_t i = lo; i < hi; i++) u->average[i] = u->average[i] + a * (u->p[i] - u->average[i]);
}

/* What is kept of a run: its part of section k of the moments. */
static float *kept(const dor_call *c, const dor_range *r, int32_t k)
{
  const int64_t at = k * dor_shape_size(c->in[0].shape) + r->begin;
  return at < dor_shape_size(c->out[1].shape) ? (float *)c->out[1].data + at : NULL;
}

static update job_of(const dor_call *c, const dor_range *r)
{
  return (update){.p = (float *)c->out[0].data + r->begin, .m = kept(c, r, 0), .v = kept(c, r, 1), .average = kept(c, r, dor_update_kept(c->attr)),
                  .g = (const float *)c->in[2].data + r->begin, .scale = c->step->grad_scale * (c->nin > 3 ? *(const float *)c->in[3].data : 1.0f)};
}

static dor_body *sgd_of(const dor_call *c, const dor_range *r, update *u)
{
  const dor_update_attr *a = c->attr;
  u->lr = (float)((double)c->step->lr * r->lr_factor), u->decay = (float)r->decay;
  u->a = (float)a->momentum, u->b = a->nesterov ? 1 : 0, u->c = a->nesterov ? u->a : 1;
  return a->momentum > 0 ? momentum_body : sgd_body;
}

static dor_body *adam_of(const dor_call *c, const dor_range *r, update *u)
{
  const dor_update_attr *a = c->attr;
  const bool decoupled = a->rule == DOR_RULE_ADAMW;
  const double skipped = c->nin > 3 && dor_shape_size(c->in[3].shape) > 1 ? (double)((const float *)c->in[3].data)[1] : 0;
  double t = (double)c->step->step + 1 - skipped, lr = (double)c->step->lr * r->lr_factor;
  u->decay = decoupled ? 0 : (float)r->decay;
  u->shrink = decoupled ? (float)(1 - lr * r->decay) : 1;
  u->lr = (float)(lr / (1 - pow(a->beta1, t)));
  u->c = (float)(1 / sqrt(1 - pow(a->beta2, t)));
  u->ra = (float)(1 - a->beta1), u->b = (float)a->beta2, u->rb = (float)(1 - a->beta2), u->eps = (float)a->eps;
  return adam_body;
}

static void update_run(const dor_call *c)
{
  const dor_update_attr *a = c->attr;
  if (c->nin > 3 && *(const float *)c->in[3].data < 0) return;
  for (int32_t i = 0; i < a->n; i++) {
    update u = job_of(c, &a->run[i]);
    dor_parallel(c->threads, length(&a->run[i]), GRAIN, a->rule == DOR_RULE_SGD ? sgd_of(c, &a->run[i], &u) : adam_of(c, &a->run[i], &u), &u);
    if (!(a->ema > 0)) continue;
    u.a = (float)(1 - a->ema);
    dor_parallel(c->threads, length(&a->run[i]), GRAIN, average_body, &u);
  }
}
const dor_kernel update_cpu = {.name = "update_cpu", .run = update_run};
