/* SPDX-License-Identifier: Apache-2.0
 *
 * The update of all parameters in one launch, and their gradient's norm in two: one pass, four numbers at a time. What
 * depends on the step alone (rates, bias corrections) is worked out in double in each block from the step block, which lies
 * on the device: the same formulas in the same order as on the CPU. */
#include "kernels/index.cuh"
#include "kernels/loss_scale.h"

namespace {

/* ---- runs ----
 * A launch knows its runs by value. Each of its blocks takes as long a span of the flat block, in strips of a quad for each thread. */

enum { STRIP = 4 * CU_BLOCK, MOST_BLOCKS = 2048, FEW = 32, MANY = 1024, GROUPS = 8 };

struct group { double lr_factor, decay; };

template <int N> struct table {
  int n, groups;
  uint32_t span;               /* numbers of a block */
  uint32_t begin[N], end[N];
  unsigned char of[N];         /* group */
  group rates[GROUPS];
};

struct quad { uint32_t at; int n, run; }; /* n numbers, 1 to 4, of a run; 0: of none */

/* Calls f(quad) for each of this thread's. */
template <int N, class F> __device__ __forceinline__ void each_quad(const table<N> &t, F f)
{
  const uint32_t lo = t.begin[0] + blockIdx.x * t.span, last = t.end[t.n - 1], hi = last - lo < t.span ? last : lo + t.span;
  int run = 0;
  for (int above = t.n - 1; run < above;) {
    const int middle = (run + above) / 2;
    if (t.end[middle] > lo) above = middle;
    else run = middle + 1;
  }
  for (uint32_t i = lo + 4 * threadIdx.x; i < hi; i += STRIP) {
    while (t.end[run] <= i) run++;
    if (i < t.begin[run]) continue;
    f(quad{i, t.end[run] - i < 4 ? (int)(t.end[run] - i) : 4, run});
  }
}

__device__ __forceinline__ void load4(const float *x, const quad &q, float to[4])
{
  if (q.n == 4) {
    const float4 v = *(const float4 *)(x + q.at);
    to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
  } else
    for (int k = 0; k < 4; k++) to[k] = k < q.n ? x[q.at + k] : 0.0f;
}

__device__ __forceinline__ void store4(float *x, const quad &q, const float v[4])
{
  if (q.n == 4) *(float4 *)(x + q.at) = make_float4(v[0], v[1], v[2], v[3]);
  else
    for (int k = 0; k < 4; k++)
      if (k < q.n) x[q.at + k] = v[k];
}

/* ---- the gradient's norm ---- */

template <int N> __global__ void __launch_bounds__(CU_BLOCK) square(const __grid_constant__ table<N> t, const float *grad, float *part, size_t stride)
{
  cu_to_model(stride, grad, part);
  float sum = 0.0f;
  each_quad(t, [&](const quad &q) {
    float g[4];
    load4(grad, q, g);
    sum += g[0] * g[0] + g[1] * g[1] + (g[2] * g[2] + g[3] * g[3]);
  });
  sum = cu_block_sum(sum);
  if (!threadIdx.x) part[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(CU_BLOCK) clip(const float *part, int n, double most, const dor_step *step, float *factor, float *norm, size_t stride)
{
  cu_to_model(stride, part, step, factor, norm);
  float sum = 0.0f;
  for (int i = (int)threadIdx.x; i < n; i += CU_BLOCK) sum += part[i];
  sum = cu_block_sum(sum);
  if (threadIdx.x) return;
  const double length = sqrt((double)sum) * (double)step->grad_scale;
  *factor = (float)fmin(1.0, most / (length + 1e-6));
  *norm = (float)length;
}

/* A model that sits the step out keeps its state. */
__global__ void __launch_bounds__(CU_BLOCK) clip_scaled(const float *part, int n, double most, int patience, const dor_step *step, float *factor, float *norm,
                                                        float *state, size_t stride)
{
  cu_to_model(stride, part, step, factor, norm, state);
  float sum = 0.0f;
  for (int i = (int)threadIdx.x; i < n; i += CU_BLOCK) sum += part[i];
  sum = cu_block_sum(sum);
  if (threadIdx.x) return;
  factor[0] = scalar_scaled_clip((double)sum, (double)step->grad_scale, scalar_loss_scale(state), most, norm);
  factor[1] = state[2];
  if (!step->idle) scalar_scale_next(factor[0] >= 0.0f, patience, state);
}

__global__ void scale_of(const float *state, float *scale, size_t stride)
{
  cu_to_model(stride, state, scale);
  *scale = (float)scalar_loss_scale(state);
}

/* ---- rules ---- */

struct blocks { /* of a model */
  float *p, *m, *v, *average;
  const float *g, *clip, *skipped;
  const dor_step *step;
  size_t stride;
  float follow; /* of the average */
};
struct state { float p, m, v, g; };

struct sgd_rule {
  enum { MOMENTS = 0 };
  struct rates { float lr, decay; };
  static __device__ void rates_of(const dor_update_attr &, const group &x, const dor_step *s, double, rates *r)
  {
    *r = {(float)((double)s->lr * x.lr_factor), (float)x.decay};
  }
  static __device__ __forceinline__ void move(const rates &r, state &s) { s.p = s.p - r.lr * (s.g + r.decay * s.p); }
};

struct momentum_rule { /* the step is g b + m c, which is m, or g + momentum m with Nesterov */
  enum { MOMENTS = 1 };
  struct rates { float lr, decay, momentum, b, c; };
  static __device__ void rates_of(const dor_update_attr &a, const group &x, const dor_step *s, double, rates *r)
  {
    const float m = (float)a.momentum;
    *r = {(float)((double)s->lr * x.lr_factor), (float)x.decay, m, a.nesterov ? 1.0f : 0.0f, a.nesterov ? m : 1.0f};
  }
  static __device__ __forceinline__ void move(const rates &r, state &s)
  {
    const float g = s.g + r.decay * s.p, m = r.momentum * s.m + g;
    s.m = m;
    s.p = s.p - r.lr * (r.b * g + r.c * m);
  }
};

struct adam_rule { /* lr: lr / (1 - b1^t); c: 1 / sqrt(1 - b2^t); shrink: 1 - lr decay (adamw) */
  enum { MOMENTS = 2 };
  struct rates { float lr, decay, shrink, ra, b, rb, c, eps; };
  static __device__ void rates_of(const dor_update_attr &a, const group &x, const dor_step *s, double t, rates *r)
  {
    const bool decoupled = a.rule == DOR_RULE_ADAMW;
    const double lr = (double)s->lr * x.lr_factor;
    r->lr = (float)(lr / (1 - pow(a.beta1, t)));
    r->decay = decoupled ? 0.0f : (float)x.decay;
    r->shrink = decoupled ? (float)(1 - lr * x.decay) : 1.0f;
    r->ra = (float)(1 - a.beta1), r->b = (float)a.beta2, r->rb = (float)(1 - a.beta2);
    r->c = (float)(1 / sqrt(1 - pow(a.beta2, t)));
    r->eps = (float)a.eps;
  }
  static __device__ __forceinline__ void move(const rates &r, state &s)
  {
    const float g = s.g + r.decay * s.p, m = s.m + r.ra * (g - s.m), v = r.b * s.v + r.rb * (g * g);
    s.m = m, s.v = v;
    s.p = s.p * r.shrink - r.lr * m / (sqrtf(v) * r.c + r.eps);
  }
};

template <class R> __device__ __forceinline__ void move4(const blocks &u, const quad &q, const typename R::rates &r, float scale)
{
  float p[4], m[4] = {}, v[4] = {}, g[4], average[4];
  load4(u.p, q, p);
  load4(u.g, q, g);
  if (R::MOMENTS > 0) load4(u.m, q, m);
  if (R::MOMENTS > 1) load4(u.v, q, v);
  if (u.average) load4(u.average, q, average);
  for (int k = 0; k < 4; k++) {
    state s = {p[k], m[k], v[k], g[k] * scale};
    R::move(r, s);
    p[k] = s.p, m[k] = s.m, v[k] = s.v;
  }
  store4(u.p, q, p);
  if (R::MOMENTS > 0) store4(u.m, q, m);
  if (R::MOMENTS > 1) store4(u.v, q, v);
  if (!u.average) return;
  for (int k = 0; k < 4; k++) average[k] = average[k] + u.follow * (p[k] - average[k]);
  store4(u.average, q, average);
}

template <class R, int N>
__global__ void __launch_bounds__(CU_BLOCK) apply(const __grid_constant__ table<N> t, blocks u, const __grid_constant__ dor_update_attr a)
{
  __shared__ typename R::rates rates[GROUPS];
  cu_to_model(u.stride, u.p, u.m, u.v, u.average, u.g, u.clip, u.skipped, u.step);
  if (u.step->idle) return;
  if (u.clip && *u.clip < 0.0f) return;
  const double number = (double)u.step->step + 1 - (u.skipped ? (double)*u.skipped : 0);
  if ((int)threadIdx.x < t.groups) R::rates_of(a, t.rates[threadIdx.x], u.step, number, &rates[threadIdx.x]);
  __syncthreads();
  const float scale = u.step->grad_scale * (u.clip ? *u.clip : 1.0f);
  each_quad(t, [&](const quad &q) { move4<R>(u, q, rates[t.of[q.run]], scale); });
}

} // namespace

/* ---- launches ---- */

/* The group of these rates, made where there is none yet; -1: no room. */
template <int N> static int group_of(table<N> *t, const dor_range *r)
{
  for (int i = 0; i < t->groups; i++)
    if (!memcmp(&t->rates[i].lr_factor, &r->lr_factor, sizeof(double)) && !memcmp(&t->rates[i].decay, &r->decay, sizeof(double))) return i;
  if (t->groups == GROUPS) return -1;
  t->rates[t->groups] = {r->lr_factor, r->decay};
  return t->groups++;
}

/* As many runs from `from` on as fit. Returns the blocks that take them. */
template <int N> static unsigned fill(table<N> *t, int32_t n, const dor_range *run, int32_t from)
{
  t->n = t->groups = 0;
  for (int32_t i = from, g; i < n && t->n < N && (g = group_of(t, &run[i])) >= 0; i++) {
    t->begin[t->n] = (uint32_t)run[i].begin, t->end[t->n] = (uint32_t)run[i].end;
    t->of[t->n++] = (unsigned char)g;
  }
  const uint32_t all = t->end[t->n - 1] - t->begin[0], strips = (all + STRIP - 1) / STRIP, of_each = (strips + MOST_BLOCKS - 1) / MOST_BLOCKS;
  t->span = of_each * STRIP;
  return (strips + of_each - 1) / of_each;
}

template <int N> static int square_runs(const dor_call *c, const dor_clip_attr *a, float *part)
{
  int done = 0;
  table<N> t;
  for (int32_t from = 0; from < a->n; from += t.n) {
    const unsigned blocks = fill(&t, a->n, a->run, from);
    CU_LAUNCH(square<N>, cu_fleet(c, blocks), CU_BLOCK, 0, c->stream, t, (const float *)c->in[0].data, part + done, c->stride);
    done += (int)blocks;
  }
  return done;
}

/* Every launch but the last has N runs or GROUPS + 1 kinds of them. */
static dor_status clip_prepare(const dor_prep *p, void **, size_t *scratch)
{
  const dor_clip_attr *a = (const dor_clip_attr *)p->attr;
  *scratch = (size_t)MOST_BLOCKS * (size_t)(a->n / GROUPS + 1) * sizeof(float);
  return DOR_OK;
}

static int square_all(const dor_call *c, const dor_clip_attr *a, float *part)
{
  return a->n <= FEW ? square_runs<FEW>(c, a, part) : square_runs<MANY>(c, a, part);
}

static void clip_norm_run(const dor_call *c)
{
  const dor_clip_attr *a = (const dor_clip_attr *)c->attr;
  float *part = (float *)c->scratch;
  const int n = square_all(c, a, part);
  CU_LAUNCH(clip, cu_fleet(c, 1), CU_BLOCK, 0, c->stream, part, n, a->max_norm, c->step, (float *)c->out[0].data, (float *)c->out[1].data, c->stride);
}
DOR_CUDA_FLEET(clip_norm, clip_prepare)

static void clip_scaled_run(const dor_call *c)
{
  const dor_scaled_attr *a = (const dor_scaled_attr *)c->attr;
  float *part = (float *)c->scratch;
  const int n = square_all(c, &a->clip, part);
  CU_LAUNCH(clip_scaled, cu_fleet(c, 1), CU_BLOCK, 0, c->stream, part, n, a->clip.max_norm, a->patience, c->step, (float *)c->out[0].data,
            (float *)c->out[1].data, (float *)c->out[2].data, c->stride);
}
DOR_CUDA_FLEET(clip_scaled, clip_prepare) /* its attributes begin with clip_norm's */

static void loss_scale_run(const dor_call *c)
{
  CU_LAUNCH(scale_of, cu_fleet(c, 1), 1, 0, c->stream, (const float *)c->in[0].data, (float *)c->out[0].data, c->stride);
}
DOR_CUDA_FLEET(loss_scale, nullptr)

static blocks blocks_of(const dor_call *c)
{
  const dor_update_attr *a = (const dor_update_attr *)c->attr;
  const int64_t n = dor_shape_size(c->in[0].shape);
  const int kept = dor_update_kept(a);
  blocks u = {};
  float *m = (float *)c->out[1].data;
  u.p = (float *)c->out[0].data, u.g = (const float *)c->in[2].data;
  u.m = kept > 0 ? m : nullptr, u.v = kept > 1 ? m + n : nullptr, u.average = a->ema > 0 ? m + kept * n : nullptr;
  u.clip = c->nin > 3 ? (const float *)c->in[3].data : nullptr;
  u.skipped = c->nin > 3 && dor_shape_size(c->in[3].shape) > 1 ? u.clip + 1 : nullptr;
  u.step = c->step, u.stride = c->stride, u.follow = (float)(1 - a->ema);
  return u;
}

template <class R, int N> static void move_runs(const dor_call *c)
{
  const dor_update_attr *a = (const dor_update_attr *)c->attr;
  table<N> t;
  for (int32_t from = 0; from < a->n; from += t.n) {
    const unsigned grid = fill(&t, a->n, a->run, from);
    CU_LAUNCH((apply<R, N>), cu_fleet(c, grid), CU_BLOCK, 0, c->stream, t, blocks_of(c), *a);
  }
}

template <class R> static void move(const dor_call *c)
{
  if (((const dor_update_attr *)c->attr)->n <= FEW) move_runs<R, FEW>(c);
  else move_runs<R, MANY>(c);
}

static void update_run(const dor_call *c)
{
  const dor_update_attr *a = (const dor_update_attr *)c->attr;
  if (a->rule != DOR_RULE_SGD) move<adam_rule>(c);
  else if (a->momentum > 0) move<momentum_rule>(c);
  else move<sgd_rule>(c);
}
DOR_CUDA_FLEET(update, nullptr)
