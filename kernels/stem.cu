/* SPDX-License-Identifier: Apache-2.0
 *
 * The first block of a silhouette net without its map: 3x3 convolution of one channel, batch norm, ReLU, 2x2 max pool,
 * forward and backward, as stem.h says: moments and gradients come from the products of a pixel's 9 neighbours. These are
 * summed in double, in which the product of two floats is exact, so that a picture far from 0 keeps its variance. */
#include "kernels/batch_norm.cuh"
#include "kernels/index.cuh"

namespace {

enum { TAPS = 9, PAIRS = 45, GRAM = PAIRS + TAPS, STRIP = 8, WIDE = 4, WIDE_BACK = 2 }; /* STRIP: rows that a thread goes down; WIDE: channels of a thread */

struct picture { /* x [N,H,W,1] */
  int32_t n, h, w, channels;
  cu_divisor across, down; /* of what is counted: windows or strips */
  int64_t count;
};

picture windows_of(dor_shape x, int32_t channels)
{
  picture s = {x.d[0], x.d[1], x.d[2], channels, cu_divide_by(x.d[2] / 2), cu_divide_by(x.d[1] / 2), 0};
  s.count = (int64_t)x.d[0] * (x.d[1] / 2) * (x.d[2] / 2);
  return s;
}

picture strips_of(dor_shape x)
{
  const int32_t strips = (x.d[1] + STRIP - 1) / STRIP;
  picture s = {x.d[0], x.d[1], x.d[2], 0, cu_divide_by(x.d[2]), cu_divide_by(strips), 0};
  s.count = (int64_t)x.d[0] * strips * x.d[2];
  return s;
}

template <class T> __device__ __forceinline__ float pixel(const picture &s, const T *x, int64_t image, int32_t i, int32_t j)
{
  const bool inside = i >= 0 && j >= 0 && i < s.h && j < s.w;
  return inside ? real(x[(image * s.h + i) * s.w + j]) : 0.0f;
}

/* ---- products of neighbours ---- */

/* sum += products of the 9 numbers with those from them on, and the numbers. */
__device__ __forceinline__ void add_products(const double (&v)[TAPS], double (&sum)[GRAM])
{
  int k = 0;
#pragma unroll
  for (int a = 0; a < TAPS; a++) {
#pragma unroll
    for (int b = a; b < TAPS; b++) sum[k++] += v[a] * v[b];
    sum[PAIRS + a] += v[a];
  }
}

template <class T> __device__ __forceinline__ void go_down(const picture &s, const T *x, uint32_t strip, double (&sum)[GRAM])
{
  const int32_t j = (int32_t)cu_rest(strip, s.across), from = (int32_t)cu_rest(strip, s.down) * STRIP;
  const int32_t to = from + STRIP < s.h ? from + STRIP : s.h;
  const int64_t image = strip;
  double v[TAPS];
#pragma unroll
  for (int t = 3; t < TAPS; t++) v[t] = (double)pixel(s, x, image, from + t / 3 - 2, j + t % 3 - 1);
  for (int32_t i = from; i < to; i++) {
#pragma unroll
    for (int t = 0; t < TAPS; t++) v[t] = t < 6 ? v[t + 3] : (double)pixel(s, x, image, i + 1, j + t % 3 - 1);
    add_products(v, sum);
  }
}

/* part [blocks,GRAM] */
template <class T> __global__ void __launch_bounds__(CU_BLOCK) products_of_blocks(picture s, const T *x, double *part, size_t stride)
{
  cu_to_model(stride, x, part);
  __shared__ double warps[CU_BLOCK / 32][GRAM];
  double sum[GRAM] = {};
  for (int64_t k = cu_first(); k < s.count; k += cu_stride()) go_down(s, x, (uint32_t)k, sum);
#pragma unroll
  for (int k = 0; k < GRAM; k++) {
    for (int o = 16; o; o /= 2) sum[k] += __shfl_xor_sync(0xffffffffu, sum[k], o);
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32][k] = sum[k];
  }
  __syncthreads();
  if (threadIdx.x >= GRAM) return;
  double whole = 0;
  for (int w = 0; w < CU_BLOCK / 32; w++) whole += warps[w][threadIdx.x];
  part[blockIdx.x * GRAM + threadIdx.x] = whole;
}

struct fold_products {
  double *gram;
  __device__ __forceinline__ void to_model(size_t stride) { cu_to_model(stride, gram); }
  __device__ __forceinline__ void take(int32_t, double (&)[1]) const {}
  __device__ __forceinline__ void end(int32_t k, const double (&sum)[1]) const { gram[k] = sum[0]; }
};

/* of neighbours a and b, from GRAM numbers */
__device__ __forceinline__ double product(const double *gram, int a, int b)
{
  const int low = a < b ? a : b, high = a < b ? b : a;
  return gram[low * TAPS - low * (low - 1) / 2 + high - low];
}

enum { PRODUCT_BLOCKS = 528 };
uint32_t product_blocks(const picture &s)
{
  const int64_t blocks = (s.count + CU_BLOCK - 1) / CU_BLOCK;
  return (uint32_t)(blocks < PRODUCT_BLOCKS ? blocks : (int64_t)PRODUCT_BLOCKS);
}

/* Scratch: products in double, then sums [10,C] in double (or the weights, in float), then parts of sums. */
size_t products_room() { return (GRAM + 7) / 8 * 8; }
size_t sums_room(int32_t channels) { return (size_t)((TAPS + 1) * channels + 7) / 8 * 8; }
double *gram_of(const dor_call *c) { return (double *)c->scratch; }
double *sums_of_map(const dor_call *c) { return gram_of(c) + products_room(); }
float *weights_of(const dor_call *c) { return (float *)sums_of_map(c); }
double *parts_of(const dor_call *c, int32_t channels) { return sums_of_map(c) + sums_room(channels); }

size_t scratch_for(dor_shape x, int32_t channels, int k)
{
  const size_t fixed = (products_room() + sums_room(channels)) * sizeof(double);
  const size_t products = product_blocks(strips_of(x)) * GRAM * sizeof(double);
  const size_t sums = k ? sum_scratch(windows_of(x, channels).count, channels, WIDE_BACK, k) : 0;
  return fixed + (products > sums ? products : sums);
}

template <class T> void products(const dor_call *c, const dor_view &x, int32_t channels)
{
  const picture s = strips_of(x.shape);
  const uint32_t blocks = product_blocks(s);
  double *part = parts_of(c, channels);
  CU_LAUNCH(products_of_blocks<T>, cu_fleet(c, dim3(blocks)), CU_BLOCK, 0, c->stream, s, (const T *)x.data, part, c->stride);
  launch_fold<1>(c, part, blocks, GRAM, fold_products{gram_of(c)});
}

/* ---- forward ---- */

/* mean and var of y, and the weights [10,C] that turn x into bn(x * w). */
__global__ void scale_weights(picture s, const float *w, const float *gamma, const float *beta, double eps, const double *gram,
                                                 float *mean, float *var, float *scaled, size_t stride)
{
  cu_to_model(stride, w, gamma, beta, gram, mean, var, scaled);
  const double n = (double)s.n * s.h * s.w;
  const int32_t c = s.channels;
  for (int64_t o = cu_first(); o < c; o += cu_stride()) {
    double m = 0, v = 0;
    for (int a = 0; a < TAPS; a++) {
      const double wa = (double)w[a * c + o];
      m += wa * gram[PAIRS + a] / n;
      for (int b = 0; b < TAPS; b++)
        v += wa * (double)w[b * c + o] * (product(gram, a, b) / n - gram[PAIRS + a] / n * (gram[PAIRS + b] / n));
    }
    if (v < 0) v = 0;
    const double scale = (double)gamma[o] / sqrt(v + eps);
    for (int a = 0; a < TAPS; a++) scaled[a * c + o] = (float)((double)w[a * c + o] * scale);
    scaled[TAPS * c + o] = (float)((double)beta[o] - m * scale);
    mean[o] = (float)m;
    var[o] = (float)v;
  }
}

/* The 4x4 pixels around window k. */
template <class T> __device__ __forceinline__ void around(const picture &s, const T *x, int64_t k, float (&v)[16])
{
  uint32_t n = (uint32_t)k;
  const int32_t j = 2 * (int32_t)cu_rest(n, s.across), i = 2 * (int32_t)cu_rest(n, s.down);
#pragma unroll
  for (int u = 0; u < 16; u++) v[u] = pixel(s, x, n, i + u / 4 - 1, j + u % 4 - 1);
}

template <class T, int V> struct stem_lane {
  enum { BATCH = 1 };
  struct in { float v[16]; };
  picture s;
  const T *x;
  T *p;
  uint8_t *arg;
  float w[TAPS][V], shift[V];
  __device__ __forceinline__ in load(int64_t k, int64_t) const
  {
    in v;
    around(s, x, k, v.v);
    return v;
  }
  __device__ __forceinline__ void store(int64_t, int64_t to, const in &v) const
  {
    largest<V> best;
#pragma unroll
    for (int i = 0; i < V; i++) {
#pragma unroll
      for (int at = 0; at < 4; at++) {
        float y = shift[i];
#pragma unroll
        for (int t = 0; t < TAPS; t++) y += v.v[(at / 2 + t / 3) * 4 + at % 2 + t % 3] * w[t][i];
        best.take(i, at, y);
      }
    }
    best.store(p + to, arg + to);
  }
};

template <class T, int V> struct stem_rows {
  picture s;
  const T *x;
  T *p;
  uint8_t *arg;
  const float *scaled;
  __device__ __forceinline__ void to_model(size_t stride) { cu_to_model(stride, x, p, arg, scaled); }
  __device__ __forceinline__ stem_lane<T, V> at(int32_t channel) const
  {
    stem_lane<T, V> l;
    l.s = s, l.x = x, l.p = p, l.arg = arg;
#pragma unroll
    for (int i = 0; i < V; i++) {
#pragma unroll
      for (int t = 0; t < TAPS; t++) l.w[t][i] = scaled[t * s.channels + channel + i];
      l.shift[i] = scaled[TAPS * s.channels + channel + i];
    }
    return l;
  }
};

double eps_of(const dor_call *c) { return ((const dor_bn_pool_attr *)c->attr)->eps; }

template <class T, int V> void forward(const dor_call *c)
{
  const picture s = windows_of(c->in[0].shape, c->in[1].shape.d[3]);
  const T *x = (const T *)c->in[0].data;
  products<T>(c, c->in[0], s.channels);
  CU_LAUNCH(scale_weights, cu_fleet(c, cu_grid(s.channels)), CU_BLOCK, 0, c->stream, s, (const float *)c->in[1].data, (const float *)c->in[2].data,
            (const float *)c->in[3].data, eps_of(c), gram_of(c), (float *)c->out[2].data, (float *)c->out[3].data, weights_of(c),
            c->stride);
  launch_each_row<V>(c, s.count, s.channels, stem_rows<T, V>{s, x, (T *)c->out[0].data, (uint8_t *)c->out[1].data, weights_of(c)});
}

/* ---- backward ---- */

/* Sums of g times the neighbours of the largest pixel, and of g: dp where the ReLU passed. */
template <class T, int V> struct stem_sum_lane {
  picture s;
  const T *dp, *p, *x;
  const uint8_t *arg;
  __device__ __forceinline__ void add(int64_t k, int64_t place, float (&sum)[(TAPS + 1) * V]) const
  {
    float v[16], g[V], passed[V];
    int where[V];
    around(s, x, k, v);
    cu_load(dp + place, g);
    cu_load(p + place, passed);
    cu_load_bytes(arg + place, where);
#pragma unroll
    for (int i = 0; i < V; i++) {
      const float whole = scalar_relu_bwd(passed[i], g[i]);
#pragma unroll
      for (int at = 0; at < 4; at++) {
        const float mine = where[i] == at ? whole : 0.0f;
#pragma unroll
        for (int t = 0; t < TAPS; t++) sum[t * V + i] += mine * v[(at / 2 + t / 3) * 4 + at % 2 + t % 3];
      }
      sum[TAPS * V + i] += whole;
    }
  }
};

template <class T, int V> struct stem_sum_rows {
  picture s;
  const T *dp, *p, *x;
  const uint8_t *arg;
  __device__ __forceinline__ void to_model(size_t stride) { cu_to_model(stride, dp, p, x, arg); }
  __device__ __forceinline__ stem_sum_lane<T, V> at(int32_t) const { return stem_sum_lane<T, V>{s, dp, p, x, arg}; }
};

/* Into sums [10,C], as the weights lie. */
struct fold_stem {
  double *to;
  __device__ __forceinline__ void to_model(size_t stride) { cu_to_model(stride, to); }
  int32_t channels;
  __device__ __forceinline__ void take(int32_t, double (&)[TAPS + 1]) const {}
  __device__ __forceinline__ void end(int32_t channel, const double (&sum)[TAPS + 1]) const
  {
#pragma unroll
    for (int t = 0; t <= TAPS; t++) to[t * channels + channel] = sum[t];
  }
};

/* One channel of dw, dgamma, dbeta: with a g + b (y - mean) + rest the gradient of the map, dw is its sum times x. */
__global__ void finish_weights(picture s, const float *w, const float *mean, const float *var, const float *gamma, double eps,
                                                  const double *gram, const double *sums, float *dw, float *dgamma, float *dbeta, size_t stride)
{
  cu_to_model(stride, w, mean, var, gamma, gram, sums, dw, dgamma, dbeta);
  const double n = (double)s.n * s.h * s.w;
  const int32_t c = s.channels;
  for (int64_t o = cu_first(); o < c; o += cu_stride()) {
    const double m = (double)mean[o], g = sums[TAPS * c + o], inverse = 1 / sqrt((double)var[o] + eps);
    double slope = -m * g;
    for (int t = 0; t < TAPS; t++) slope += (double)w[t * c + o] * sums[t * c + o];
    slope *= inverse;
    const double a = (double)gamma[o] * inverse, b = -a * inverse * slope / n, rest = -a * g / n - b * m;
    for (int t = 0; t < TAPS; t++) {
      double map = 0;
      for (int u = 0; u < TAPS; u++) map += product(gram, t, u) * (double)w[u * c + o];
      dw[t * c + o] = (float)(a * sums[t * c + o] + b * map + rest * gram[PAIRS + t]);
    }
    dgamma[o] = (float)slope;
    dbeta[o] = (float)g;
  }
}

template <class T, int V> void backward(const dor_call *c)
{
  const picture s = windows_of(c->in[3].shape, c->in[4].shape.d[3]);
  const T *x = (const T *)c->in[3].data;
  products<T>(c, c->in[3], s.channels);
  const stem_sum_rows<T, V> in = {s, (const T *)c->in[0].data, (const T *)c->in[2].data, x, (const uint8_t *)c->in[1].data};
  const columns blocks = sums_of(s.count, s.channels, V);
  float *part = (float *)parts_of(c, s.channels);
  double *sums = sums_of_map(c);
  auto kernel = sum_columns<TAPS + 1, V, stem_sum_rows<T, V>>;
  CU_LAUNCH(kernel, cu_fleet(c, dim3(blocks.blocks, blocks.tiles)), CU_BLOCK, 0, c->stream, blocks, in, part, c->stride);
  launch_fold<TAPS + 1>(c, part, blocks.blocks, s.channels, fold_stem{sums, s.channels});
  CU_LAUNCH(finish_weights, cu_fleet(c, cu_grid(s.channels)), CU_BLOCK, 0, c->stream, s, (const float *)c->in[4].data, (const float *)c->in[5].data,
            (const float *)c->in[6].data, (const float *)c->in[7].data, eps_of(c), gram_of(c), sums, (float *)c->out[0].data, (float *)c->out[1].data,
            (float *)c->out[2].data, c->stride);
}

#define BY_CHANNELS(x, channels, wide, f) CU_BY_TYPE((x).dtype, T, if (columns_wide(c, channels, wide)) f<T, wide>(c); else f<T, 1>(c))

void conv_bn_pool_run(const dor_call *c) { BY_CHANNELS(c->in[0], c->in[1].shape.d[3], WIDE, forward) }
void conv_bn_pool_dw_run(const dor_call *c) { BY_CHANNELS(c->in[3], c->in[4].shape.d[3], WIDE_BACK, backward) }

dor_status prepare(const dor_prep *p, void **plan, size_t *scratch)
{
  *scratch = scratch_for(p->in[0].shape, p->in[1].shape.d[3], 0);
  return cu_countable(p, plan, scratch);
}

dor_status back_prepare(const dor_prep *p, void **plan, size_t *scratch)
{
  *scratch = scratch_for(p->in[3].shape, p->in[4].shape.d[3], TAPS + 1);
  return cu_countable(p, plan, scratch);
}

} // namespace

DOR_CUDA_FLEET(conv_bn_pool, prepare)
DOR_CUDA_FLEET(conv_bn_pool_dw, back_prepare)
