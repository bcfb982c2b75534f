/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch norm in pieces and fused with the ReLU and the residual around it. All of it is bound by memory: statistics and
 * gradient sums read their maps once, the rest is one pass that reads each map once and writes one. */
#include "kernels/batch_norm.cuh"

namespace {

int32_t channels_of(dor_shape s) { return s.d[s.n - 1]; }
int64_t rows_of(dor_shape s) { return dor_shape_size(s) / channels_of(s); }

/* ---- statistics ---- */

/* Of n numbers in each of V channels: mean, and sum of (x - mean)^2. */
template <int V> struct moments { float n, mean[V], squares[V]; };

/* a of a and b: Chan, Golub & LeVeque, COMPSTAT 1982 */
template <int V> __device__ __forceinline__ void merge(moments<V> &a, const moments<V> &b)
{
  if (b.n == 0) return;
  const float n = a.n + b.n, share = b.n / n;
#pragma unroll
  for (int i = 0; i < V; i++) {
    const float d = b.mean[i] - a.mean[i];
    a.mean[i] += d * share;
    a.squares[i] += b.squares[i] + d * d * (a.n * share);
  }
  a.n = n;
}

/* Rows from..to of a thread, relative to origin. Sums are taken about the first of these rows: as that is one of them, what
 * cancels in the end is at most as many times too large as there are rows, wherever the mean lies. */
template <class T, int V>
__device__ __forceinline__ moments<V> stretch(const T *x, const float (&origin)[V], int64_t from, int64_t to, const columns &s, const column_place &p)
{
  float first[V], squares[V] = {};
  moments<V> m = {};
  cu_load(x + from * s.channels + p.channel, first);
#pragma unroll 4
  for (int64_t r = from; r < to; r += p.step) {
    float v[V];
    cu_load(x + r * s.channels + p.channel, v);
#pragma unroll
    for (int i = 0; i < V; i++) {
      const float d = v[i] - first[i];
      m.mean[i] += d;
      squares[i] += d * d;
    }
    m.n += 1;
  }
#pragma unroll
  for (int i = 0; i < V; i++) {
    const float part = m.mean[i] / m.n, rest = squares[i] - part * m.mean[i];
    m.squares[i] = rest < 0 ? 0 : rest;
    m.mean[i] = first[i] - origin[i] + part;
  }
  return m;
}

template <int V> __device__ __forceinline__ void put_moments(const moments<V> &m, float (&part)[2 * V + 1][CU_BLOCK], uint32_t t)
{
  part[2 * V][t] = m.n;
#pragma unroll
  for (int i = 0; i < V; i++) part[i][t] = m.mean[i], part[V + i][t] = m.squares[i];
}

/* m of the block's first row of threads becomes that of all its rows. */
template <int V> static __device__ __forceinline__ void merge_block(const columns &s, const column_place &p, moments<V> &m)
{
  __shared__ float part[2 * V + 1][CU_BLOCK];
  const uint32_t t = threadIdx.x;
  put_moments(m, part, t);
  for (uint32_t half = column_half(s.tall); half; half /= 2) {
    __syncthreads();
    if (p.down >= half || p.down + half >= s.tall) continue;
    const uint32_t with = t + half * s.across;
    moments<V> other;
    other.n = part[2 * V][with];
#pragma unroll
    for (int i = 0; i < V; i++) other.mean[i] = part[i][with], other.squares[i] = part[V + i][with];
    merge(m, other);
    put_moments(m, part, t);
  }
}

/* part [blocks,2,C]: means relative to the first row, sums of squares about them */
template <class T, int V> __global__ void __launch_bounds__(CU_BLOCK) moments_of_blocks(columns s, const T *x, float *part, size_t stride)
{
  cu_to_model(stride, x, part);
  const column_place p = place_in<V>(s);
  moments<V> all = {};
  if (p.on) {
    float origin[V];
    cu_load(x + p.channel, origin);
    for (int64_t from = p.row; from < s.rows; from += SUM_STRETCH * p.step) {
      const int64_t to = from + SUM_STRETCH * p.step < s.rows ? from + SUM_STRETCH * p.step : s.rows;
      merge(all, stretch(x, origin, from, to, s, p));
    }
  }
  merge_block(s, p, all);
  float v[2 * V];
#pragma unroll
  for (int i = 0; i < V; i++) v[i] = all.mean[i], v[V + i] = all.squares[i];
  put_part<2, V>(s, p, v, part);
}

/* The blocks' moments as sums that add up: x and x^2, relative to the first row. Block b had `even` rows of whole rounds and a share of the rest. */
template <class T> struct fold_moments {
  const T *x;
  float *mean, *var;
  int64_t rows, even, rest, tall;
  __device__ __forceinline__ void to_model(size_t stride) { cu_to_model(stride, x, mean, var); }
  __device__ __forceinline__ void take(int32_t b, double (&v)[2]) const
  {
    const int64_t left = rest - b * tall, n = even + (left < 0 ? 0 : left < tall ? left : tall);
    v[1] += (double)n * v[0] * v[0];
    v[0] *= (double)n;
  }
  __device__ __forceinline__ void end(int32_t channel, const double (&sum)[2]) const
  {
    const double m = sum[0] / (double)rows, v = sum[1] / (double)rows - m * m;
    mean[channel] = (float)(m + (double)real(x[channel]));
    var[channel] = v < 0 ? 0.0f : (float)v;
  }
};

template <class T, int V> void stats(const dor_call *c)
{
  const T *x = (const T *)c->in[0].data;
  columns s = sums_of(rows_of(c->in[0].shape), channels_of(c->in[0].shape), V);
  float *part = (float *)c->scratch;
  auto kernel = moments_of_blocks<T, V>;
  CU_LAUNCH(kernel, cu_fleet(c, dim3(s.blocks, s.tiles)), CU_BLOCK, 0, c->stream, s, x, part, c->stride);
  const int64_t tall = s.tall, round = tall * s.blocks;
  fold_moments<T> of = {x, (float *)c->out[0].data, (float *)c->out[1].data, s.rows, s.rows / round * tall, s.rows % round, tall};
  launch_fold<2>(c, part, s.blocks, s.channels, of);
}

/* With 16 bytes to a thread where channels and addresses allow, else one channel. */
#define BY_CHANNELS(view, f, ...)                                                                             \
  CU_BY_TYPE((view).dtype, T,                                                                                 \
             if (columns_wide(c, channels_of((view).shape), cu_lanes<T>)) f<T, cu_lanes<T>>(__VA_ARGS__); \
             else f<T, 1>(__VA_ARGS__))

dor_status sums_prepare(const dor_prep *p, void **, size_t *scratch)
{
  dor_shape x = p->in[0].shape;
  *scratch = sum_scratch(rows_of(x), channels_of(x), (int)(16 / dor_dtype_size(p->in[0].dtype)), 2);
  return DOR_OK;
}

void bn_stats_run(const dor_call *c) { BY_CHANNELS(c->in[0], stats, c) }

/* ---- sums of the gradient ---- */

/* sum g (x - mean) and sum g, with g = dy where the ReLU passed (y > 0; y may be NULL) */
template <class T, int V> struct gradient_lane {
  const T *dy, *x, *y;
  float mean[V];
  __device__ __forceinline__ void add(int64_t, int64_t at, float (&sum)[2 * V]) const
  {
    float g[V], v[V], passed[V];
    cu_load(dy + at, g);
    cu_load(x + at, v);
    if (y) cu_load(y + at, passed);
#pragma unroll
    for (int i = 0; i < V; i++) {
      if (y) g[i] = scalar_relu_bwd(passed[i], g[i]);
      sum[i] += g[i] * (v[i] - mean[i]);
      sum[V + i] += g[i];
    }
  }
};

template <class T, int V> struct gradient_rows {
  const T *dy, *x, *y;
  const float *mean;
  __device__ __forceinline__ void to_model(size_t stride) { cu_to_model(stride, dy, x, y, mean); }
  __device__ __forceinline__ gradient_lane<T, V> at(int32_t channel) const
  {
    gradient_lane<T, V> l;
    l.dy = dy, l.x = x, l.y = y;
#pragma unroll
    for (int i = 0; i < V; i++) l.mean[i] = mean[channel + i];
    return l;
  }
};

float eps_of(const dor_call *c) { return (float)((const dor_bn_attr *)c->attr)->eps; }

/* inputs dy, x, mean, var and y where there is one; dgamma and dbeta from output `to` on */
template <class T, int V> void gradient_sums(const dor_call *c, const T *y, int32_t to)
{
  dor_shape x = c->in[1].shape;
  gradient_rows<T, V> in = {(const T *)c->in[0].data, (const T *)c->in[1].data, y, (const float *)c->in[2].data};
  fold_gradient of = {(const float *)c->in[3].data, eps_of(c), (float *)c->out[to].data, (float *)c->out[to + 1].data};
  launch_sums<2, V>(c, rows_of(x), channels_of(x), in, of);
}

void bn_reduce_run(const dor_call *c) { BY_CHANNELS(c->in[0], gradient_sums, c, nullptr, 0) }

/* ---- y = gamma (x - mean) / sd + beta, a residual, ReLU ---- */

template <class T, int V> struct norm_lane {
  enum { BATCH = 4 };
  struct in { float x[V], r[V]; };
  const T *x, *r;
  T *y;
  bool relu;
  float mean[V], scale[V], shift[V];
  __device__ __forceinline__ in load(int64_t, int64_t at) const
  {
    in v = {};
    cu_load(x + at, v.x);
    if (r) cu_load(r + at, v.r);
    return v;
  }
  __device__ __forceinline__ void store(int64_t, int64_t at, const in &v) const
  {
    float to[V];
#pragma unroll
    for (int i = 0; i < V; i++) {
      to[i] = (v.x[i] - mean[i]) * scale[i] + shift[i];
      if (r) to[i] += v.r[i];
      if (relu) to[i] = scalar_relu(to[i]);
    }
    cu_store(y + at, to);
  }
};

template <class T, int V> struct norm_rows {
  const T *x, *r;
  T *y;
  bool relu;
  float eps;
  const float *mean, *var, *gamma, *beta;
  __device__ __forceinline__ void to_model(size_t stride) { cu_to_model(stride, x, r, y, mean, var, gamma, beta); }
  __device__ __forceinline__ norm_lane<T, V> at(int32_t channel) const
  {
    norm_lane<T, V> l;
    l.x = x, l.r = r, l.y = y, l.relu = relu;
#pragma unroll
    for (int i = 0; i < V; i++) {
      l.mean[i] = mean[channel + i];
      l.scale[i] = gamma[channel + i] * inverse_sd(var[channel + i], eps);
      l.shift[i] = beta[channel + i];
    }
    return l;
  }
};

template <class T, int V> void norm(const dor_call *c, float eps, const T *r, bool relu)
{
  dor_shape x = c->in[0].shape;
  norm_rows<T, V> of = {(const T *)c->in[0].data,     r, (T *)c->out[0].data, relu, eps, (const float *)c->in[1].data, (const float *)c->in[2].data,
                        (const float *)c->in[3].data, (const float *)c->in[4].data};
  launch_each_row<V>(c, rows_of(x), channels_of(x), of);
}

void bn_norm_run(const dor_call *c) { BY_CHANNELS(c->in[0], norm, c, eps_of(c), nullptr, false) }
void bn_infer_run(const dor_call *c) { bn_norm_run(c); }

void bn_act_run(const dor_call *c)
{
  const dor_bn_act_attr *a = (const dor_bn_act_attr *)c->attr;
  const void *r = c->nin > 5 ? c->in[5].data : nullptr;
  BY_CHANNELS(c->in[0], norm, c, (float)a->eps, (const T *)r, a->relu)
}

/* ---- dx = a g + b (x - mean) + rest ---- */

template <class T, int V> struct dx_lane {
  enum { BATCH = 4 };
  struct in { float g[V], x[V], y[V]; };
  const T *dy, *x, *y;
  T *dx;
  float a[V], b[V], rest[V], mean[V];
  __device__ __forceinline__ in load(int64_t, int64_t at) const
  {
    in v = {};
    cu_load(dy + at, v.g);
    if (x) cu_load(x + at, v.x);
    if (y) cu_load(y + at, v.y);
    return v;
  }
  __device__ __forceinline__ void store(int64_t, int64_t at, const in &v) const
  {
    float to[V];
#pragma unroll
    for (int i = 0; i < V; i++) {
      const float g = y ? scalar_relu_bwd(v.y[i], v.g[i]) : v.g[i];
      to[i] = a[i] * g;
      if (x) to[i] += (v.x[i] - mean[i]) * b[i] + rest[i];
    }
    cu_store(dx + at, to);
  }
};

/* Without x: of moments that are constants, dx = a g. */
template <class T, int V> struct dx_rows {
  const T *dy, *x, *y;
  T *dx;
  float eps, rows;
  const float *mean, *var, *gamma, *dgamma, *dbeta;
  __device__ __forceinline__ void to_model(size_t stride) { cu_to_model(stride, dy, x, y, dx, mean, var, gamma, dgamma, dbeta); }
  __device__ __forceinline__ dx_lane<T, V> at(int32_t channel) const
  {
    dx_lane<T, V> l;
    l.dy = dy, l.x = x, l.y = y, l.dx = dx;
#pragma unroll
    for (int i = 0; i < V; i++) {
      const int32_t k = channel + i;
      const float inverse = inverse_sd(var[k], eps);
      l.a[i] = gamma[k] * inverse;
      l.b[i] = x ? -l.a[i] * inverse * (dgamma[k] / rows) : 0;
      l.rest[i] = x ? -l.a[i] * (dbeta[k] / rows) : 0;
      l.mean[i] = x ? mean[k] : 0;
    }
    return l;
  }
};

/* inputs dy, x, mean, var, gamma */
template <class T, int V> void input_gradient(const dor_call *c, const T *y, const void *dgamma, const void *dbeta)
{
  dor_shape x = c->in[1].shape;
  dx_rows<T, V> of = {(const T *)c->in[0].data,     (const T *)c->in[1].data,     y, (T *)c->out[0].data, eps_of(c), (float)rows_of(x),
                      (const float *)c->in[2].data, (const float *)c->in[3].data, (const float *)c->in[4].data, (const float *)dgamma, (const float *)dbeta};
  launch_each_row<V>(c, rows_of(x), channels_of(x), of);
}

void bn_dx_run(const dor_call *c) { BY_CHANNELS(c->in[0], input_gradient, c, nullptr, c->in[5].data, c->in[6].data) }

template <class T, int V> void both_gradients(const dor_call *c, const T *y)
{
  gradient_sums<T, V>(c, y, 1);
  input_gradient<T, V>(c, y, c->out[1].data, c->out[2].data);
}

void bn_bwd_run(const dor_call *c)
{
  const void *y = c->nin > 5 ? c->in[5].data : nullptr;
  BY_CHANNELS(c->in[0], both_gradients, c, (const T *)y)
}

template <class T, int V> void constant_gradient(const dor_call *c)
{
  dor_shape s = c->in[0].shape;
  dx_rows<T, V> of = {};
  of.dy = (const T *)c->in[0].data, of.dx = (T *)c->out[0].data;
  of.var = (const float *)c->in[1].data, of.gamma = (const float *)c->in[2].data, of.eps = eps_of(c);
  launch_each_row<V>(c, rows_of(s), channels_of(s), of);
}

void bn_infer_dx_run(const dor_call *c) { BY_CHANNELS(c->in[0], constant_gradient, c) }

/* ---- running moments ---- */

__global__ void move_moments(float *mean, float *var, int32_t *batches, const float *new_mean, const float *new_var, const dor_step *step, size_t stride,
                             int32_t n, float keep, float take, float take_var)
{
  cu_to_model(stride, mean, var, batches, new_mean, new_var, step);
  if (step->idle) return;
  for (int64_t k = cu_first(); k < n; k += cu_stride()) {
    mean[k] = keep * mean[k] + take * new_mean[k];
    var[k] = keep * var[k] + take_var * new_var[k];
    if (k == 0) *batches += 1;
  }
}

void bn_running_run(const dor_call *c) /* the first three inputs are the outputs */
{
  const dor_bn_running_attr *a = (const dor_bn_running_attr *)c->attr;
  const int32_t n = c->out[0].shape.d[0];
  CU_LAUNCH(move_moments, cu_fleet(c, cu_grid(n)), CU_BLOCK, 0, c->stream, (float *)c->out[0].data, (float *)c->out[1].data, (int32_t *)c->out[2].data,
            (const float *)c->in[3].data, (const float *)c->in[4].data, c->step, c->stride, n, (float)(1 - a->momentum), (float)a->momentum,
            (float)(a->momentum * a->unbias));
}

} // namespace

DOR_CUDA_FLEET(bn_stats, sums_prepare)
DOR_CUDA_FLEET(bn_reduce, sums_prepare)
DOR_CUDA_FLEET(bn_bwd, sums_prepare)
DOR_CUDA_FLEET(bn_norm, nullptr)
DOR_CUDA_FLEET(bn_infer, nullptr)
DOR_CUDA_FLEET(bn_infer_dx, nullptr)
DOR_CUDA_FLEET(bn_dx, nullptr)
DOR_CUDA_FLEET(bn_act, nullptr)
DOR_CUDA_FLEET(bn_running, nullptr)
