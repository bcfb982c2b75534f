/* SPDX-License-Identifier: Apache-2.0
 *
 * Parameter updates over flat ranges, one pass each, four numbers at a time. What depends on the step alone (rates, bias
 * corrections) is worked out in double by one thread of each block from the step block, which lies on the device: the
 * same formulas in the same order as on the CPU. */
#include "kernels/cuda.cuh"

namespace {

enum { PIECE = 4096, MOST_RANGES = 48, MOST_BLOCKS = 1024 };

/* ---- the gradient's norm ---- */

struct ranges { const float *g[MOST_RANGES]; int64_t n[MOST_RANGES]; int first[MOST_RANGES + 1]; size_t stride; }; /* first: piece of each */

__device__ __forceinline__ float squares(const float *g, int64_t lo, int64_t hi)
{
  float sum = 0.0f;
  for (int64_t i = lo + 4 * threadIdx.x; i < hi; i += 4 * CU_BLOCK) {
    if (i + 4 <= hi) {
      const float4 v = *(const float4 *)(g + i);
      sum += v.x * v.x + v.y * v.y + (v.z * v.z + v.w * v.w);
    } else
      for (int64_t k = i; k < hi; k++) sum += g[k] * g[k];
  }
  return sum;
}

__global__ void __launch_bounds__(CU_BLOCK) square(ranges r, float *part)
{
  int at = 0;
  while ((int)blockIdx.x >= r.first[at + 1]) at++;
  const int64_t lo = (int64_t)((int)blockIdx.x - r.first[at]) * PIECE, hi = lo + PIECE < r.n[at] ? lo + PIECE : r.n[at];
  const float *g = r.g[at];
  cu_to_model(r.stride, g, part);
  const float sum = cu_block_sum(squares(g, lo, hi));
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

/* ---- rules ---- */

struct update { /* out may be the memory of in */
  const float *p, *m, *v, *g, *clip;
  float *new_p, *new_m, *new_v;
  const dor_step *step;
  int64_t n;
  size_t stride;
};
struct state { float p, m, v, g; };

__device__ __forceinline__ float scale_of(const update &u) { return u.step->grad_scale * (u.clip ? *u.clip : 1.0f); }
__device__ __forceinline__ double rate_of(const update &u, double factor) { return (double)u.step->lr * factor; }

struct sgd_rule {
  enum { MOMENTS = 0 };
  dor_sgd_attr a;
  struct rates { float scale, lr, decay; };
  __device__ void rates_of(const update &u, rates *r) const { *r = {scale_of(u), (float)rate_of(u, a.lr_factor), (float)a.decay}; }
  static __device__ __forceinline__ void move(const rates &r, state &s) { s.p = s.p - r.lr * (s.g * r.scale + r.decay * s.p); }
};

struct momentum_rule { /* the step is g b + m c, which is m, or g + momentum m with Nesterov */
  enum { MOMENTS = 1 };
  dor_sgd_attr a;
  struct rates { float scale, lr, decay, momentum, b, c; };
  __device__ void rates_of(const update &u, rates *r) const
  {
    const float m = (float)a.momentum;
    *r = {scale_of(u), (float)rate_of(u, a.lr_factor), (float)a.decay, m, a.nesterov ? 1.0f : 0.0f, a.nesterov ? m : 1.0f};
  }
  static __device__ __forceinline__ void move(const rates &r, state &s)
  {
    const float g = s.g * r.scale + r.decay * s.p, m = r.momentum * s.m + g;
    s.m = m;
    s.p = s.p - r.lr * (r.b * g + r.c * m);
  }
};

struct adam_rule { /* lr: lr / (1 - b1^t); c: 1 / sqrt(1 - b2^t); shrink: 1 - lr decay (adamw) */
  enum { MOMENTS = 2 };
  dor_adam_attr a;
  struct rates { float scale, lr, decay, shrink, ra, b, rb, c, eps; };
  __device__ void rates_of(const update &u, rates *r) const
  {
    const double t = (double)u.step->step + 1, lr = rate_of(u, a.lr_factor);
    r->scale = scale_of(u);
    r->lr = (float)(lr / (1 - pow(a.beta1, t)));
    r->decay = a.decoupled ? 0.0f : (float)a.decay;
    r->shrink = a.decoupled ? (float)(1 - lr * a.decay) : 1.0f;
    r->ra = (float)(1 - a.beta1), r->b = (float)a.beta2, r->rb = (float)(1 - a.beta2);
    r->c = (float)(1 / sqrt(1 - pow(a.beta2, t)));
    r->eps = (float)a.eps;
  }
  static __device__ __forceinline__ void move(const rates &r, state &s)
  {
    const float g = s.g * r.scale + r.decay * s.p, m = s.m + r.ra * (g - s.m), v = r.b * s.v + r.rb * (g * g);
    s.m = m, s.v = v;
    s.p = s.p * r.shrink - r.lr * m / (sqrtf(v) * r.c + r.eps);
  }
};

struct ema_rule { /* the average is p, what it follows g */
  enum { MOMENTS = 0 };
  dor_ema_attr a;
  struct rates { float a; };
  __device__ void rates_of(const update &, rates *r) const { r->a = (float)(1 - a.decay); }
  static __device__ __forceinline__ void move(const rates &r, state &s) { s.p = s.p + r.a * (s.g - s.p); }
};

template <class R> __device__ __forceinline__ void move_one(const update &u, const typename R::rates &r, int64_t i)
{
  state s = {u.p[i], R::MOMENTS > 0 ? u.m[i] : 0.0f, R::MOMENTS > 1 ? u.v[i] : 0.0f, u.g[i]};
  R::move(r, s);
  u.new_p[i] = s.p;
  if (R::MOMENTS > 0) u.new_m[i] = s.m;
  if (R::MOMENTS > 1) u.new_v[i] = s.v;
}

__device__ __forceinline__ void load4(const float *x, int64_t i, float to[4])
{
  const float4 v = *(const float4 *)(x + i);
  to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
}

__device__ __forceinline__ void store4(float *x, int64_t i, const float v[4]) { *(float4 *)(x + i) = make_float4(v[0], v[1], v[2], v[3]); }

template <class R> __device__ __forceinline__ void move_four(const update &u, const typename R::rates &r, int64_t i)
{
  float p[4], m[4] = {}, v[4] = {}, g[4];
  load4(u.p, i, p);
  load4(u.g, i, g);
  if (R::MOMENTS > 0) load4(u.m, i, m);
  if (R::MOMENTS > 1) load4(u.v, i, v);
  for (int k = 0; k < 4; k++) {
    state s = {p[k], m[k], v[k], g[k]};
    R::move(r, s);
    p[k] = s.p, m[k] = s.m, v[k] = s.v;
  }
  store4(u.new_p, i, p);
  if (R::MOMENTS > 0) store4(u.new_m, i, m);
  if (R::MOMENTS > 1) store4(u.new_v, i, v);
}

template <class R> __global__ void __launch_bounds__(CU_BLOCK) apply(update u, R rule)
{
  __shared__ typename R::rates rates;
  cu_to_model(u.stride, u.p, u.m, u.v, u.g, u.clip, u.new_p, u.new_m, u.new_v, u.step);
  if (u.step->idle) return;
  if (!threadIdx.x) rule.rates_of(u, &rates);
  __syncthreads();
  const typename R::rates r = rates;
  for (int64_t i = 4 * cu_first(); i < u.n; i += 4 * cu_stride()) {
    if (i + 4 <= u.n) move_four<R>(u, r, i);
    else
      for (int64_t k = i; k < u.n; k++) move_one<R>(u, r, k);
  }
}

} // namespace

/* ---- launches ---- */

static int64_t pieces(dor_shape s) { return (dor_shape_size(s) + PIECE - 1) / PIECE; }

static dor_status clip_prepare(const dor_prep *p, void **, size_t *scratch)
{
  int64_t all = 0;
  for (int32_t i = 0; i < p->nin; i++) all += pieces(p->in[i].shape);
  DOR_NEED(all < INT32_MAX, UNSUPPORTED, "clip_norm: %lld pieces", (long long)all);
  *scratch = (size_t)all * sizeof(float);
  return DOR_OK;
}

/* The ranges from input `from` on, as many as a launch takes; how many pieces they have. */
static int ranges_from(const dor_call *c, int32_t from, ranges *r)
{
  int n = 0, at = 0;
  for (int32_t i = from; i < c->nin && at < MOST_RANGES; i++, at++) {
    r->g[at] = (const float *)c->in[i].data;
    r->n[at] = dor_shape_size(c->in[i].shape);
    r->first[at] = n;
    n += (int)pieces(c->in[i].shape);
  }
  r->first[at] = n;
  return n;
}

static void clip_norm_run(const dor_call *c)
{
  float *part = (float *)c->scratch;
  int done = 0;
  for (int32_t from = 0; from < c->nin; from += MOST_RANGES) {
    ranges r = {};
    r.stride = c->stride;
    int n = ranges_from(c, from, &r);
    if (n) CU_LAUNCH(square, cu_fleet(c, (unsigned)n), CU_BLOCK, 0, c->stream, r, part + done);
    done += n;
  }
  CU_LAUNCH(clip, cu_fleet(c, 1), CU_BLOCK, 0, c->stream, part, done, ((const dor_clip_attr *)c->attr)->max_norm, c->step, (float *)c->out[0].data,
            (float *)c->out[1].data, c->stride);
}
DOR_CUDA_FLEET(clip_norm, clip_prepare)

/* The gradient is input `grad`; what stands before it is the state, what comes after it the clip. */
template <class R> static void run(const dor_call *c, int32_t grad, const R &rule)
{
  update u = {};
  u.p = (const float *)c->in[0].data, u.new_p = (float *)c->out[0].data;
  if (R::MOMENTS > 0) u.m = (const float *)c->in[1].data, u.new_m = (float *)c->out[1].data;
  if (R::MOMENTS > 1) u.v = (const float *)c->in[2].data, u.new_v = (float *)c->out[2].data;
  u.g = (const float *)c->in[grad].data;
  u.clip = c->nin > grad + 1 ? (const float *)c->in[grad + 1].data : nullptr;
  u.step = c->step;
  u.n = dor_shape_size(c->out[0].shape), u.stride = c->stride;
  dim3 grid = cu_grid(u.n / 4 + 1);
  if (grid.x > MOST_BLOCKS) grid.x = MOST_BLOCKS; /* each works the rates out */
  CU_LAUNCH(apply<R>, cu_fleet(c, grid), CU_BLOCK, 0, c->stream, u, rule);
}

static void sgd_run(const dor_call *c) { run(c, 1, sgd_rule{*(const dor_sgd_attr *)c->attr}); }
static void sgd_momentum_run(const dor_call *c) { run(c, 2, momentum_rule{*(const dor_sgd_attr *)c->attr}); }
static void adam_run(const dor_call *c) { run(c, 3, adam_rule{*(const dor_adam_attr *)c->attr}); }
static void ema_run(const dor_call *c) { run(c, 1, ema_rule{*(const dor_ema_attr *)c->attr}); }
DOR_CUDA_FLEET(sgd, nullptr)
DOR_CUDA_FLEET(sgd_momentum, nullptr)
DOR_CUDA_FLEET(adam, nullptr)
DOR_CUDA_FLEET(ema, nullptr)
