/* SPDX-License-Identifier: Apache-2.0
 *
 * Parameter updates over flat ranges, one pass each. What depends on the step
 * alone (rates, bias corrections) is worked out in double before the loop. */
#include <math.h>

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

static int64_t pieces(dor_shape s) { return (dor_shape_size(s) + PIECE - 1) / PIECE; }

static dor_status clip_prepare(const dor_prep *p, void **plan, size_t *scratch)
{
  (void)plan;
  for (int32_t i = 0; i < p->nin; i++) {
    size_t bytes = (size_t)pieces(p->in[i].shape) * sizeof(double);
    *scratch = bytes > *scratch ? bytes : *scratch;
  }
  return DOR_OK;
}

static void clip_norm_run(const dor_call *c)
{
  double sum = 0;
  for (int32_t i = 0; i < c->nin; i++) {
    norm s = {c->in[i].data, c->scratch, dor_shape_size(c->in[i].shape)};
    dor_parallel(c->threads, pieces(c->in[i].shape), 4, norm_body, &s);
    for (int64_t p = 0; p < pieces(c->in[i].shape); p++) sum += s.part[p];
  }
  double length = sqrt(sum) * (double)c->step->grad_scale, most = ((const dor_clip_attr *)c->attr)->max_norm;
  *(float *)c->out[0].data = (float)fmin(1, most / (length + 1e-6));
  *(float *)c->out[1].data = (float)length;
}
const dor_kernel clip_norm_cpu = {.name = "clip_norm_cpu", .prepare = clip_prepare, .run = clip_norm_run};

typedef struct update { /* out may be the memory of in */
  const float *p, *m, *v, *g;
  float *new_p, *new_m, *new_v;
  float scale, lr, decay, shrink, a, b, c, ra, rb, eps;
} update;

static update job_of(const dor_call *c, int32_t grad)
{
  update u = {.p = c->in[0].data, .g = c->in[grad].data, .new_p = c->out[0].data};
  u.scale = c->step->grad_scale * (c->nin > grad + 1 ? *(const float *)c->in[grad + 1].data : 1.0f);
  if (grad > 1) u.m = c->in[1].data, u.new_m = c->out[1].data;
  if (grad > 2) u.v = c->in[2].data, u.new_v = c->out[2].data;
  return u;
}

static void each(const dor_call *c, dor_body *body, const update *u) { dor_parallel(c->threads, dor_shape_size(c->out[0].shape), GRAIN, body, u); }

DOR_CLONES static void sgd_body(const void *job, int64_t lo, int64_t hi)
{
  const update *u = job;
  const float scale = u->scale, decay = u->decay, lr = u->lr;
#pragma GCC ivdep
  for (int64_t i = lo; i < hi; i++) u->new_p[i] = u->p[i] - lr * (u->g[i] * scale + decay * u->p[i]);
}

static void sgd_run(const dor_call *c)
{
  const dor_sgd_attr *a = c->attr;
  update u = job_of(c, 1);
  u.lr = (float)((double)c->step->lr * a->lr_factor), u.decay = (float)a->decay;
  each(c, sgd_body, &u);
}
const dor_kernel sgd_cpu = {.name = "sgd_cpu", .run = sgd_run};

/* a: momentum; the step is g b + m c, which is m, or g + momentum m with Nesterov */
DOR_CLONES static void momentum_body(const void *job, int64_t lo, int64_t hi)
{
  const update *u = job;
  const float scale = u->scale, decay = u->decay, lr = u->lr, a = u->a, b = u->b, c = u->c;
#pragma GCC ivdep
  for (int64_t i = lo; i < hi; i++) {
    float p = u->p[i], g = u->g[i] * scale + decay * p, m = a * u->m[i] + g;
    u->new_m[i] = m;
    u->new_p[i] = p - lr * (b * g + c * m);
  }
}

static void sgd_momentum_run(const dor_call *c)
{
  const dor_sgd_attr *a = c->attr;
  update u = job_of(c, 2);
  u.lr = (float)((double)c->step->lr * a->lr_factor), u.decay = (float)a->decay;
  u.a = (float)a->momentum, u.b = a->nesterov ? 1 : 0, u.c = a->nesterov ? u.a : 1;
  each(c, momentum_body, &u);
}
const dor_kernel sgd_momentum_cpu = {.name = "sgd_momentum_cpu", .run = sgd_momentum_run};

/* lr: lr / (1 - b1^t); c: 1 / sqrt(1 - b2^t); shrink: 1 - lr decay (adamw) */
DOR_CLONES static void adam_body(const void *job, int64_t lo, int64_t hi)
{
  const update *u = job;
  const float scale = u->scale, decay = u->decay, shrink = u->shrink, lr = u->lr, b = u->b, c = u->c;
  const float ra = u->ra, rb = u->rb, eps = u->eps;
#pragma GCC ivdep
  for (int64_t i = lo; i < hi; i++) {
    float p = u->p[i], g = u->g[i] * scale + decay * p, m = u->m[i] + ra * (g - u->m[i]), v = b * u->v[i] + rb * (g * g);
    u->new_m[i] = m;
    u->new_v[i] = v;
    u->new_p[i] = p * shrink - lr * m / (sqrtf(v) * c + eps);
  }
}

static void adam_run(const dor_call *c)
{
  const dor_adam_attr *a = c->attr;
  double t = (double)c->step->step + 1, lr = (double)c->step->lr * a->lr_factor;
  update u = job_of(c, 3);
  u.decay = a->decoupled ? 0 : (float)a->decay;
  u.shrink = a->decoupled ? (float)(1 - lr * a->decay) : 1;
  u.lr = (float)(lr / (1 - pow(a->beta1, t)));
  u.c = (float)(1 / sqrt(1 - pow(a->beta2, t)));
  u.ra = (float)(1 - a->beta1), u.b = (float)a->beta2, u.rb = (float)(1 - a->beta2), u.eps = (float)a->eps;
  each(c, adam_body, &u);
}
const dor_kernel adam_cpu = {.name = "adam_cpu", .run = adam_run};

DOR_CLONES static void ema_body(const void *job, int64_t lo, int64_t hi)
{
  const update *u = job;
  const float a = u->a;
#pragma GCC ivdep
  for (int64_t i = lo; i < hi; i++) u->new_p[i] = u->p[i] + a * (u->g[i] - u->p[i]);
}

static void ema_run(const dor_call *c)
{
  update u = {.p = c->in[0].data, .g = c->in[1].data, .new_p = c->out[0].data, .a = (float)(1 - ((const dor_ema_attr *)c->attr)->decay)};
  each(c, ema_body, &u);
}
const dor_kernel ema_cpu = {.name = "ema_cpu", .run = ema_run};
