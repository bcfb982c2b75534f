/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolutions of any stride, padding, dilation and groups by our own hand: forward, by x, transposed, and what fuses with them.
 * All are one gather, to[pixel, o] = sum over taps and channels of from[source of pixel, c] w[tap, c, o]: a block makes a tile of
 * 4096 / N pixels by N output channels, 16 numbers a thread in registers, the operands of 16 (tap, channel) pairs at a time in
 * shared memory; few channels (stems) lose nothing, because taps and channels are one list. Groups of few channels go output by output.
 * Moments of the output are taken per tile around the tile's own mean, and merged in the order of tiles (Chan et al., 1983). */
#include "kernels/conv.cuh"

enum { DEPTH = 16, NARROW = 8, MERGERS = 32 }; /* NARROW: groups of fewer outputs go output by output */

struct tail { /* what happens to a sum before it is stored */
  const float *mean, *var, *gamma, *beta; /* batch norm of inference, or null */
  float eps;
  bool relu;
  const void *plus;                       /* a map to add, or null */
  float *part;                            /* moments by tile [tiles][channels][2], or null */
};

struct conv {
  window win;                             /* counts the pixels of `to` */
  bool back;                              /* by x: a source is found by dividing by the stride */
  int32_t h, w, c;                        /* of `from` */
  int32_t fc, tc, channels;               /* channels of a group: from, to; of `to`: all */
  int32_t tiles;                          /* of a group's channels */
  size_t stride;                          /* from a model of a fleet to the next */
  const void *from;
  cu_number weights;
  void *to;
  tail end;
};

/* Where in `from` the tap `step` rows (columns) on looks from `base`; negative: nowhere. */
__device__ __forceinline__ int32_t source(const conv &k, int axis, int32_t base, int32_t step)
{
  int32_t at = base + step, size = axis ? k.w : k.h;
  if (k.back && k.win.stride[axis] > 1) {
    if (at < 0 || at % k.win.stride[axis]) return -1;
    at /= k.win.stride[axis];
  }
  return at < size ? at : -1;
}

struct place { int32_t row, column, image; }; /* of an output pixel: where its window begins; image: rows of `from` before its own */

__device__ __forceinline__ place place_of(const conv &k, uint32_t pixel)
{
  if (pixel >= k.win.pixels) return place{CONV_FAR, CONV_FAR, 0};
  uint32_t n = pixel;
  int32_t j = (int32_t)cu_rest(n, k.win.width), i = (int32_t)cu_rest(n, k.win.height);
  if (k.back) return place{i + k.win.pad[0], j + k.win.pad[1], (int32_t)n * k.h};
  return place{i * k.win.stride[0] - k.win.pad[0], j * k.win.stride[1] - k.win.pad[1], (int32_t)n * k.h};
}

struct step { int32_t row, column, channel; int64_t weight; }; /* one (tap, channel) pair; channel -1: past the end */

__device__ __forceinline__ step step_of(const conv &k, int32_t number)
{
  int32_t tap = number / k.fc, channel = number % k.fc, u = tap / k.win.across * k.win.dilation[0], v = tap % k.win.across * k.win.dilation[1];
  if (tap >= k.win.taps) return step{0, 0, -1, 0};
  if (k.back) return step{-u, -v, channel, (int64_t)tap * k.tc * k.c + channel};
  return step{u, v, channel, ((int64_t)tap * k.fc + channel) * k.channels};
}

template <int N> struct alignas(16) tile {
  static constexpr int32_t M = 4096 / N;
  float a[DEPTH][M + 4], b[DEPTH][N + 4];
  place at[M];
  step steps[DEPTH];
};

/* Which group of channels a block works for, and from which of the group's outputs on. */
__device__ __forceinline__ int32_t group_of(const conv &k) { return (int32_t)blockIdx.y / k.tiles; }
template <int N> __device__ __forceinline__ int32_t first_of(const conv &k) { return (int32_t)blockIdx.y % k.tiles * N; }

__device__ __forceinline__ void to_model(conv &k)
{
  cu_to_model(k.stride, k.from, k.weights.at, k.to, k.end.mean, k.end.var, k.end.gamma, k.end.beta, k.end.plus, k.end.part);
}

/* The tile of `from`: V channels of a pixel at once. */
template <class T, int N, int V> __device__ __forceinline__ void take_pixels(const conv &k, tile<N> &t)
{
  const T *from = static_cast<const T *>(k.from) + (int64_t)group_of(k) * k.fc;
  for (int32_t e = threadIdx.x; e < tile<N>::M * DEPTH / V; e += CONV_THREADS) {
    int32_t p = e / (DEPTH / V), d = e % (DEPTH / V) * V;
    const step &s = t.steps[d];
    const place &at = t.at[p];
    int32_t r = s.channel < 0 ? -1 : source(k, 0, at.row, s.row), c = source(k, 1, at.column, s.column);
    float v[V] = {};
    if (r >= 0 && c >= 0) cu_load<V>(from + ((int64_t)(at.image + r) * k.w + c) * k.c + s.channel, v);
#pragma unroll
    for (int i = 0; i < V; i++) t.a[d + i][p] = v[i];
  }
}

/* The tile of weights, along whichever index lies side by side in memory. */
template <int N> __device__ __forceinline__ void take_weights(const conv &k, tile<N> &t)
{
  int32_t group = group_of(k), first = first_of<N>(k);
  for (int32_t e = threadIdx.x; e < N * DEPTH; e += CONV_THREADS) {
    int32_t d = k.back ? e % DEPTH : e / N, n = k.back ? e / DEPTH : e % N, out = first + n;
    const step &s = t.steps[d];
    int64_t at = k.back ? s.weight + (int64_t)out * k.c + group * k.fc : s.weight + group * k.tc + out;
    t.b[d][n] = s.channel >= 0 && out < k.tc ? cu_get(k.weights, at) : 0.0f;
  }
}

template <int N> __device__ __forceinline__ void multiply(const tile<N> &t, float (&sum)[4][4])
{
  int32_t n = threadIdx.x % (N / 4) * 4, m = threadIdx.x / (N / 4) * 4;
#pragma unroll
  for (int d = 0; d < DEPTH; d++) {
    float a[4], b[4];
    cu_load<4>(&t.a[d][m], a);
    cu_load<4>(&t.b[d][n], b);
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
      for (int j = 0; j < 4; j++) sum[i][j] += a[i] * b[j];
  }
}

/* Sums of one value per (pixel group, channel) over the tile's pixel groups, in order; for all threads, in t.b[0]. */
template <int N> __device__ __forceinline__ void sum_columns(tile<N> &t, const float (&v)[4], float factor)
{
  float *all = &t.a[0][0];
#pragma unroll
  for (int j = 0; j < 4; j++) all[threadIdx.x * 4 + j] = v[j];
  __syncthreads();
  if (threadIdx.x < N) {
    float sum = 0;
    for (int32_t g = 0; g < CONV_THREADS * 4 / N; g++) sum += all[g * N + (int32_t)threadIdx.x];
    t.b[0][threadIdx.x] = sum * factor;
  }
  __syncthreads();
}

/* Mean and sum of squares around it, of the tile's real pixels. */
template <int N> __device__ __forceinline__ void take_moments(const conv &k, tile<N> &t, const float (&sum)[4][4])
{
  constexpr int32_t M = tile<N>::M;
  int32_t n = threadIdx.x % (N / 4) * 4, m = threadIdx.x / (N / 4) * 4, left = (int32_t)(k.win.pixels - blockIdx.x * M);
  int32_t out = first_of<N>(k) + (int32_t)threadIdx.x;
  float *part = k.end.part + ((int64_t)blockIdx.x * k.channels + group_of(k) * k.tc + out) * 2;
  float v[4] = {};
#pragma unroll
  for (int i = 0; i < 4; i++) /* pixels past the end are sums of nothing: 0 */
#pragma unroll
    for (int j = 0; j < 4; j++) v[j] += sum[i][j];
  sum_columns<N>(t, v, 1.0f / (float)(left < M ? left : M));
  if (threadIdx.x < N && out < k.tc) part[0] = t.b[0][threadIdx.x];
#pragma unroll
  for (int j = 0; j < 4; j++) {
    float mean = t.b[0][n + j];
    v[j] = 0;
#pragma unroll
    for (int i = 0; i < 4; i++) v[j] += m + i < left ? (sum[i][j] - mean) * (sum[i][j] - mean) : 0.0f;
  }
  __syncthreads();
  sum_columns<N>(t, v, 1.0f);
  if (threadIdx.x < N && out < k.tc) part[1] = t.b[0][threadIdx.x];
}

struct affine { float scale, mean, beta; };

__device__ __forceinline__ affine affine_of(const tail &e, int32_t channel)
{
  if (!e.mean) return affine{1.0f, 0.0f, 0.0f};
  return affine{e.gamma[channel] / sqrtf(e.var[channel] + e.eps), e.mean[channel], e.beta[channel]};
}

__device__ __forceinline__ float finish(const tail &e, const affine &f, float sum, float plus)
{
  float v = (sum - f.mean) * f.scale + f.beta + plus;
  return e.relu ? scalar_relu(v) : v;
}

/* Four output channels of each of a thread's four pixels. */
template <class T, int N> __device__ __forceinline__ void store(const conv &k, const float (&sum)[4][4])
{
  constexpr int32_t M = tile<N>::M;
  int32_t n = first_of<N>(k) + (int32_t)threadIdx.x % (N / 4) * 4, channel = group_of(k) * k.tc + n, many = k.tc - n < 4 ? k.tc - n : 4;
  const T *plus = static_cast<const T *>(k.end.plus);
  affine f[4];
#pragma unroll
  for (int j = 0; j < 4; j++) f[j] = affine_of(k.end, j < many ? channel + j : 0);
#pragma unroll
  for (int i = 0; i < 4; i++) {
    uint32_t pixel = blockIdx.x * M + threadIdx.x / (N / 4) * 4 + i;
    if (pixel >= k.win.pixels) break;
    int64_t at = (int64_t)pixel * k.channels + channel;
    float v[4], r[4] = {};
#pragma unroll
    for (int j = 0; j < 4; j++) {
      if (plus && j < many) r[j] = real(plus[at + j]);
      v[j] = finish(k.end, f[j], sum[i][j], r[j]);
    }
    if (k.tc % 4 == 0 && many == 4) cu_store<4>(static_cast<T *>(k.to) + at, v);
    else
#pragma unroll
      for (int j = 0; j < 4; j++)
        if (j < many) static_cast<T *>(k.to)[at + j] = cut<T>(v[j]);
  }
}

template <class T, int N, int V> __global__ void __launch_bounds__(CONV_THREADS) gather(conv k)
{
  __shared__ tile<N> t;
  float sum[4][4] = {};
  to_model(k);
  int32_t steps = k.win.taps * k.fc;
  for (int32_t p = threadIdx.x; p < tile<N>::M; p += CONV_THREADS) t.at[p] = place_of(k, blockIdx.x * tile<N>::M + (uint32_t)p);
  if (threadIdx.x < DEPTH) t.steps[threadIdx.x] = step_of(k, (int32_t)threadIdx.x);
  __syncthreads();
  for (int32_t first = 0; first < steps; first += DEPTH) {
    take_pixels<T, N, V>(k, t);
    take_weights<N>(k, t);
    __syncthreads();
    if (threadIdx.x < DEPTH) t.steps[threadIdx.x] = step_of(k, first + DEPTH + (int32_t)threadIdx.x);
    multiply<N>(t, sum);
    __syncthreads();
  }
  store<T, N>(k, sum);
  if (k.end.part) take_moments<N>(k, t, sum);
}

/* One output a thread: for groups of few channels. */
template <class T> __global__ void gather_narrow(conv k, cu_divisor channels)
{
  to_model(k);
  int64_t count = (int64_t)k.win.pixels * k.channels;
  const T *from = static_cast<const T *>(k.from), *plus = static_cast<const T *>(k.end.plus);
  for (int64_t i = cu_first(); i < count; i += cu_stride()) {
    uint32_t pixel = (uint32_t)i;
    int32_t channel = (int32_t)cu_rest(pixel, channels), group = channel / k.tc, out = channel % k.tc;
    place at = place_of(k, pixel);
    float sum = 0;
    for (int32_t tap = 0; tap < k.win.taps; tap++) {
      int32_t u = tap / k.win.across * k.win.dilation[0], v = tap % k.win.across * k.win.dilation[1];
      int32_t r = source(k, 0, at.row, k.back ? -u : u), c = source(k, 1, at.column, k.back ? -v : v);
      if (r < 0 || c < 0) continue;
      const T *x = from + ((int64_t)(at.image + r) * k.w + c) * k.c + group * k.fc;
      int64_t w = k.back ? ((int64_t)tap * k.tc + out) * k.c + group * k.fc : (int64_t)tap * k.fc * k.channels + channel;
      for (int32_t j = 0; j < k.fc; j++) sum += real(x[j]) * cu_get(k.weights, w + (int64_t)j * (k.back ? 1 : k.channels));
    }
    static_cast<T *>(k.to)[i] = cut<T>(finish(k.end, affine_of(k.end, channel), sum, plus ? real(plus[i]) : 0.0f));
  }
}

struct moments { float n, mean, square; }; /* square: the sum of squares around the mean */

__device__ __forceinline__ moments merged(moments a, moments b)
{
  float n = a.n + b.n, d = b.mean - a.mean;
  return n > 0 ? moments{n, a.mean + d * (b.n / n), a.square + b.square + d * d * (a.n * (b.n / n))} : a;
}

__global__ void merge_moments(const float *part, int32_t tiles, int32_t size, uint32_t pixels, int32_t channels, size_t stride, float *mean,
                              float *var)
{
  cu_to_model(stride, part, mean, var);
  __shared__ moments column[MERGERS][33];
  int32_t c = (int32_t)(blockIdx.x * 32 + threadIdx.x);
  moments all = {0, 0, 0};
  for (int32_t t = (int32_t)threadIdx.y; c < channels && t < tiles; t += MERGERS) {
    const float *p = part + ((int64_t)t * channels + c) * 2;
    uint32_t left = pixels - (uint32_t)t * (uint32_t)size;
    all = merged(all, moments{(float)(left < (uint32_t)size ? left : (uint32_t)size), p[0], p[1]});
  }
  column[threadIdx.y][threadIdx.x] = all;
  __syncthreads();
  if (threadIdx.y || c >= channels) return;
  for (int32_t t = 1; t < MERGERS; t++) all = merged(all, column[t][threadIdx.x]);
  mean[c] = all.mean;
  var[c] = all.square / all.n;
}

static int32_t tile_channels(int32_t tc) { return tc <= 16 ? 16 : tc <= 32 ? 32 : 64; }
static int32_t tile_pixels(int32_t tc) { return 4096 / tile_channels(tc); }
static int32_t tile_count(dor_shape y, int32_t tc) { return (int32_t)(((int64_t)y.d[0] * y.d[1] * y.d[2] + tile_pixels(tc) - 1) / tile_pixels(tc)); }

static conv conv_of(const dor_call *c, const dor_conv2d_attr *a, bool back)
{
  conv k = {};
  const dor_view *from = &c->in[0], *to = &c->out[0];
  dor_shape f = from->shape, t = to->shape;
  k.win = window_of(a, t);
  k.back = back;
  k.h = f.d[1], k.w = f.d[2], k.c = f.d[3], k.channels = t.d[3];
  k.fc = f.d[3] / a->groups, k.tc = t.d[3] / a->groups;
  k.tiles = (k.tc + tile_channels(k.tc) - 1) / tile_channels(k.tc);
  k.stride = c->stride;
  k.from = from->data, k.weights = cu_number_of(c->in[1]), k.to = to->data;
  return k;
}

template <class T, int N> static void launch_tile(const dor_call *c, const conv &k)
{
  dim3 grid = cu_fleet(c, dim3((k.win.pixels + tile<N>::M - 1) / tile<N>::M, (unsigned)(k.tiles * (k.channels / k.tc))));
  if (k.fc % 4) CU_LAUNCH((gather<T, N, 1>), grid, CONV_THREADS, 0, c->stream, k);
  else CU_LAUNCH((gather<T, N, 4>), grid, CONV_THREADS, 0, c->stream, k);
}

template <class T> static void launch(const dor_call *c, const conv &k)
{
  int32_t groups = k.channels / k.tc;
  if (groups > 1 && k.tc < NARROW && !k.end.part && (int64_t)k.win.pixels * k.channels < (int64_t)1 << 31)
    CU_LAUNCH(gather_narrow<T>, cu_fleet(c, cu_grid((int64_t)k.win.pixels * k.channels)), CU_BLOCK, 0, c->stream, k, cu_divide_by(k.channels));
  else if (k.tc <= 16) launch_tile<T, 16>(c, k);
  else if (k.tc <= 32) launch_tile<T, 32>(c, k);
  else launch_tile<T, 64>(c, k);
}

static const dor_conv2d_attr *attr_of(const dor_call *c) { return static_cast<const dor_conv2d_attr *>(c->attr); }
static void run(const dor_call *c, const conv &k) { CU_BY_TYPE(c->in[0].dtype, T, launch<T>(c, k)) }

static void conv2d_run(const dor_call *c) { run(c, conv_of(c, attr_of(c), false)); }
static void conv2d_dx_run(const dor_call *c) { run(c, conv_of(c, attr_of(c), true)); }
static void conv_transpose2d_run(const dor_call *c) { conv2d_dx_run(c); }

static void conv2d_dx_add_run(const dor_call *c)
{
  conv k = conv_of(c, attr_of(c), true);
  k.end.plus = c->in[2].data;
  run(c, k);
}

static void conv2d_affine_run(const dor_call *c)
{
  const dor_affine_attr *a = static_cast<const dor_affine_attr *>(c->attr);
  conv k = conv_of(c, &a->conv, false);
  const float *v[4];
  for (int i = 0; i < 4; i++) v[i] = static_cast<const float *>(c->in[2 + i].data);
  k.end = tail{v[0], v[1], v[2], v[3], (float)a->eps, a->relu, c->nin > 6 ? c->in[6].data : nullptr, nullptr};
  run(c, k);
}

static void conv2d_stats_run(const dor_call *c)
{
  conv k = conv_of(c, attr_of(c), false);
  k.end.part = static_cast<float *>(c->scratch);
  run(c, k);
  CU_LAUNCH(merge_moments, cu_fleet(c, (unsigned)((k.channels + 31) / 32)), dim3(32, MERGERS), 0, c->stream, k.end.part,
            tile_count(c->out[0].shape, k.tc), tile_pixels(k.tc), k.win.pixels, k.channels, k.stride,
            static_cast<float *>(c->out[1].data), static_cast<float *>(c->out[2].data));
}

static dor_status prepare(const dor_prep *p, void **, size_t *) { return conv_takes(&p->in[0], &p->out[0], p->in[1].dtype); }

static dor_status prepare_add(const dor_prep *p, void **, size_t *)
{
  DOR_NEED(p->in[2].dtype == p->out[0].dtype, UNSUPPORTED, "own CUDA convolutions want maps of one type");
  return conv_takes(&p->in[0], &p->out[0], p->in[1].dtype);
}

static dor_status prepare_affine(const dor_prep *p, void **, size_t *)
{
  for (int i = 2; i < 6; i++) DOR_NEED(p->in[i].dtype == DOR_F32, UNSUPPORTED, "own CUDA convolutions want f32 moments");
  DOR_NEED(p->nin < 7 || p->in[6].dtype == p->out[0].dtype, UNSUPPORTED, "own CUDA convolutions want maps of one type");
  return conv_takes(&p->in[0], &p->out[0], p->in[1].dtype);
}

static dor_status prepare_stats(const dor_prep *p, void **, size_t *scratch)
{
  dor_shape y = p->out[0].shape;
  int32_t groups = static_cast<const dor_conv2d_attr *>(p->attr)->groups;
  DOR_TRY(conv_takes(&p->in[0], &p->out[0], p->in[1].dtype));
  *scratch = (size_t)tile_count(y, y.d[3] / groups) * (size_t)y.d[3] * 2 * sizeof(float);
  return DOR_OK;
}

DOR_CUDA_FLEET(conv2d, prepare)
DOR_CUDA_FLEET(conv2d_dx, prepare)
DOR_CUDA_FLEET(conv_transpose2d, prepare)
DOR_CUDA_FLEET(conv2d_dx_add, prepare_add)
DOR_CUDA_FLEET(conv2d_affine, prepare_affine)
DOR_CUDA_FLEET(conv2d_stats, prepare_stats)
