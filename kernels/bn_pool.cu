/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch norm, ReLU and 2x2 max pool in one pass over the map, and their backward: one pass for the sums, one for the
 * map's gradient. A thread has a window, and 16 bytes of channels where they allow. */
#include "kernels/batch_norm.cuh"
#include "kernels/index.cuh"

namespace {

struct windows { /* 2x2 cells of a map, and where they lie; with `all` also those cut by an odd last row or column */
  cu_divisor h, w;
  int32_t map_h, map_w, pooled_h, pooled_w, channels;
  int64_t count;
};

windows windows_of(dor_shape x, bool all)
{
  windows s = {};
  s.map_h = x.d[1], s.map_w = x.d[2], s.channels = x.d[3];
  s.pooled_h = x.d[1] / 2, s.pooled_w = x.d[2] / 2;
  const int64_t h = (x.d[1] + all) / 2, w = (x.d[2] + all) / 2;
  s.h = cu_divide_by(h), s.w = cu_divide_by(w);
  s.count = x.d[0] * h * w;
  return s;
}

struct cell { int64_t first, pooled; bool right, below; }; /* its first pixel; its window, if right and below: the cell is whole */

__device__ __forceinline__ cell cell_of(const windows &s, int64_t k)
{
  uint32_t n = (uint32_t)k;
  const int32_t j = (int32_t)cu_rest(n, s.w), i = (int32_t)cu_rest(n, s.h);
  cell c;
  c.first = ((int64_t)n * s.map_h + 2 * i) * s.map_w + 2 * j;
  c.pooled = ((int64_t)n * s.pooled_h + i) * s.pooled_w + j;
  c.right = 2 * j + 1 < s.map_w;
  c.below = 2 * i + 1 < s.map_h;
  return c;
}

/* Place of pixel 2 u + v of a cell. */
__device__ __forceinline__ int64_t pixel_at(const windows &s, int64_t first, int at, int32_t channel)
{
  return (first + at / 2 * s.map_w + at % 2) * s.channels + channel;
}

/* ---- forward ---- */

template <class T, int V> struct pool_lane {
  enum { BATCH = 1 };
  struct in { float x[4][V]; };
  windows s;
  const T *x;
  T *p;
  uint8_t *arg;
  int32_t channel;
  float mean[V], scale[V], shift[V];
  __device__ __forceinline__ in load(int64_t k, int64_t) const
  {
    in v;
    const cell c = cell_of(s, k);
#pragma unroll
    for (int at = 0; at < 4; at++) cu_load(x + pixel_at(s, c.first, at, channel), v.x[at]);
    return v;
  }
  __device__ __forceinline__ void store(int64_t, int64_t to, const in &v) const
  {
    largest<V> best;
#pragma unroll
    for (int i = 0; i < V; i++) {
#pragma unroll
      for (int at = 0; at < 4; at++) best.take(i, at, (v.x[at][i] - mean[i]) * scale[i] + shift[i]);
    }
    best.store(p + to, arg + to);
  }
};

template <class T, int V> struct pool_rows {
  windows s;
  const T *x;
  T *p;
  uint8_t *arg;
  float eps;
  const float *mean, *var, *gamma, *beta;
  __device__ __forceinline__ void to_model(size_t stride) { cu_to_model(stride, x, p, arg, mean, var, gamma, beta); }
  __device__ __forceinline__ pool_lane<T, V> at(int32_t channel) const
  {
    pool_lane<T, V> l;
    l.s = s, l.x = x, l.p = p, l.arg = arg, l.channel = channel;
#pragma unroll
    for (int i = 0; i < V; i++) {
      l.mean[i] = mean[channel + i];
      l.scale[i] = gamma[channel + i] / sqrtf(var[channel + i] + eps);
      l.shift[i] = beta[channel + i];
    }
    return l;
  }
};

float eps_of(const dor_call *c) { return (float)((const dor_bn_pool_attr *)c->attr)->eps; }

template <class T, int V> void forward(const dor_call *c)
{
  const windows s = windows_of(c->in[0].shape, false);
  pool_rows<T, V> of = {s, (const T *)c->in[0].data, (T *)c->out[0].data, (uint8_t *)c->out[1].data, eps_of(c), (const float *)c->in[1].data,
                        (const float *)c->in[2].data, (const float *)c->in[3].data, (const float *)c->in[4].data};
  launch_each_row<V>(c, s.count, s.channels, of);
}

/* ---- backward ---- */

template <class T> struct pool_back { /* inputs and outputs of bn_relu_pool_bwd */
  windows s;
  const T *dp, *p, *x;
  const uint8_t *arg;
  T *dx;
  float eps, pixels;
  const float *mean, *var, *gamma;
  float *dgamma, *dbeta;
  __device__ __forceinline__ void to_model(size_t stride) { cu_to_model(stride, dp, p, x, arg, dx, mean, var, gamma, dgamma, dbeta); }
};

template <class T> pool_back<T> back_of(const dor_call *c, bool all)
{
  const dor_shape x = c->in[3].shape;
  pool_back<T> b = {};
  b.s = windows_of(x, all);
  b.dp = (const T *)c->in[0].data, b.p = (const T *)c->in[2].data, b.x = (const T *)c->in[3].data, b.dx = (T *)c->out[0].data;
  b.arg = (const uint8_t *)c->in[1].data;
  b.eps = eps_of(c), b.pixels = (float)(dor_shape_size(x) / x.d[3]);
  b.mean = (const float *)c->in[4].data, b.var = (const float *)c->in[5].data, b.gamma = (const float *)c->in[6].data;
  b.dgamma = (float *)c->out[1].data, b.dbeta = (float *)c->out[2].data;
  return b;
}

/* What a window hands on, dp where the ReLU passed, and to which of its pixels. */
template <int V, class T> __device__ __forceinline__ void window_gradient(const pool_back<T> &b, int64_t place, float (&g)[V], int (&where)[V])
{
  float p[V];
  cu_load(b.dp + place, g);
  cu_load(b.p + place, p);
  cu_load_bytes(b.arg + place, where);
#pragma unroll
  for (int i = 0; i < V; i++) g[i] = scalar_relu_bwd(p[i], g[i]);
}

template <class T, int V> struct pool_sum_lane {
  pool_back<T> b;
  int32_t channel;
  float mean[V];
  __device__ __forceinline__ void add(int64_t k, int64_t place, float (&sum)[2 * V]) const
  {
    float g[V], x[4][V];
    int where[V];
    const cell c = cell_of(b.s, k);
    window_gradient(b, place, g, where);
#pragma unroll
    for (int at = 0; at < 4; at++) cu_load(b.x + pixel_at(b.s, c.first, at, channel), x[at]);
#pragma unroll
    for (int i = 0; i < V; i++) {
      const float upper = where[i] & 1 ? x[1][i] : x[0][i], lower = where[i] & 1 ? x[3][i] : x[2][i];
      sum[i] += g[i] * ((where[i] & 2 ? lower : upper) - mean[i]);
      sum[V + i] += g[i];
    }
  }
};

template <class T, int V> struct pool_sum_rows {
  pool_back<T> b;
  __device__ __forceinline__ void to_model(size_t stride) { b.to_model(stride); }
  __device__ __forceinline__ pool_sum_lane<T, V> at(int32_t channel) const
  {
    pool_sum_lane<T, V> l;
    l.b = b, l.channel = channel;
#pragma unroll
    for (int i = 0; i < V; i++) l.mean[i] = b.mean[channel + i];
    return l;
  }
};

/* dx = a g + slope (x - mean) + rest in a cell's pixels; g is not 0 only where the largest stood. */
template <class T, int V> struct spread_lane {
  enum { BATCH = 1 };
  struct in { float x[4][V], g[V]; int where[V]; cell c; };
  pool_back<T> b;
  int32_t channel;
  float a[V], slope[V], rest[V], mean[V];
  __device__ __forceinline__ bool inside(const cell &c, int at) const { return (at % 2 == 0 || c.right) && (at / 2 == 0 || c.below); }
  __device__ __forceinline__ in load(int64_t k, int64_t) const
  {
    in v = {};
    v.c = cell_of(b.s, k);
    if (v.c.right && v.c.below) window_gradient(b, v.c.pooled * b.s.channels + channel, v.g, v.where);
#pragma unroll
    for (int at = 0; at < 4; at++)
      if (inside(v.c, at)) cu_load(b.x + pixel_at(b.s, v.c.first, at, channel), v.x[at]);
    return v;
  }
  __device__ __forceinline__ void store(int64_t, int64_t, const in &v) const
  {
#pragma unroll
    for (int at = 0; at < 4; at++) {
      float to[V];
#pragma unroll
      for (int i = 0; i < V; i++) to[i] = a[i] * (v.where[i] == at ? v.g[i] : 0.0f) + ((v.x[at][i] - mean[i]) * slope[i] + rest[i]);
      if (inside(v.c, at)) cu_store(b.dx + pixel_at(b.s, v.c.first, at, channel), to);
    }
  }
};

template <class T, int V> struct spread_rows {
  pool_back<T> b;
  __device__ __forceinline__ void to_model(size_t stride) { b.to_model(stride); }
  __device__ __forceinline__ spread_lane<T, V> at(int32_t channel) const
  {
    spread_lane<T, V> l;
    l.b = b, l.channel = channel;
#pragma unroll
    for (int i = 0; i < V; i++) {
      const int32_t k = channel + i;
      const float inverse = inverse_sd(b.var[k], b.eps);
      l.mean[i] = b.mean[k];
      l.a[i] = b.gamma[k] * inverse;
      l.slope[i] = -l.a[i] * inverse * (b.dgamma[k] / b.pixels);
      l.rest[i] = -l.a[i] * (b.dbeta[k] / b.pixels);
    }
    return l;
  }
};

template <class T, int V> void backward(const dor_call *c)
{
  const pool_sum_rows<T, V> in = {back_of<T>(c, false)};
  const fold_gradient of = {in.b.var, in.b.eps, in.b.dgamma, in.b.dbeta};
  launch_sums<2, V>(c, in.b.s.count, in.b.s.channels, in, of);
  const spread_rows<T, V> spread = {back_of<T>(c, true)};
  launch_each_row<V>(c, spread.b.s.count, spread.b.s.channels, spread);
}

#define BY_CHANNELS(view, f)                                                                                          \
  CU_BY_TYPE((view).dtype, T, if (columns_wide(c, (view).shape.d[3], cu_lanes<T>)) f<T, cu_lanes<T>>(c); else f<T, 1>(c))

void bn_relu_pool_run(const dor_call *c) { BY_CHANNELS(c->in[0], forward) }
void bn_relu_pool_bwd_run(const dor_call *c) { BY_CHANNELS(c->in[3], backward) }

dor_status back_prepare(const dor_prep *p, void **plan, size_t *scratch)
{
  const dor_type x = p->in[3];
  *scratch = sum_scratch(windows_of(x.shape, false).count, x.shape.d[3], (int)(16 / dor_dtype_size(x.dtype)), 2);
  return cu_countable(p, plan, scratch);
}

} // namespace

DOR_CUDA_FLEET(bn_relu_pool, cu_countable)
DOR_CUDA_FLEET(bn_relu_pool_bwd, back_prepare)
