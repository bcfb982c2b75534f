/* SPDX-License-Identifier: Apache-2.0
 *
 * A convolution's gradient by its weights, dw[tap, c, o] = sum over pixels of x[source of pixel, c] dy[pixel, o], without atomics:
 * pixels are cut into slices, a block sums one slice for a tile of R (tap, channel) rows by O output channels, and a second kernel adds the
 * slices in order. Where rows and outputs are few (stems), G groups of threads share a tile and take every G-th pixel. Groups of few
 * channels (depthwise) go number by number. The slices depend on the shapes alone. */
#include "kernels/conv.cuh"

enum { NARROW = 8, WANTED = 512, STEP = 16 }; /* blocks wanted; pixels that a thread takes between two barriers */

struct wgrad {
  window win;                    /* counts the pixels of dy */
  int32_t h, w, c, channels;     /* of x; of dy */
  int32_t cg, og;                /* channels of a group */
  int32_t rows, slices, length;  /* taps x cg; of a slice: pixels, or rows of dy */
  int32_t across;                /* tiles of a group's outputs */
  size_t stride;                 /* from a model of a fleet to the next */
  const void *x, *dy;
  float *part;                   /* [slices][rows][channels] */
};

template <int R, int O> struct alignas(16) tile {
  static constexpr int32_t TEAM = R * O / 16, G = CONV_THREADS / TEAM, DEPTH = STEP * G;
  union {
    struct { float a[DEPTH][R + 4], b[DEPTH][O + 4]; } in;
    float sum[G][R * O];
  } u;
  int32_t row[DEPTH], column[DEPTH], image[DEPTH]; /* where each pixel's window begins in x */
  int32_t down[R], right[R], channel[R];           /* of each (tap, channel); channel -1: past the end */
};

template <int R, int O> __device__ __forceinline__ void take_rows(const wgrad &k, tile<R, O> &t)
{
  if (threadIdx.x >= R) return;
  int32_t number = (int32_t)blockIdx.x / k.across * R + (int32_t)threadIdx.x, tap = number / k.cg;
  t.down[threadIdx.x] = tap / k.win.across * k.win.dilation[0];
  t.right[threadIdx.x] = tap % k.win.across * k.win.dilation[1];
  t.channel[threadIdx.x] = number < k.rows ? number % k.cg : -1;
}

template <int R, int O> __device__ __forceinline__ void take_places(const wgrad &k, tile<R, O> &t, int64_t first, int64_t end)
{
  if ((int32_t)threadIdx.x >= tile<R, O>::DEPTH) return;
  int64_t pixel = first + threadIdx.x;
  uint32_t n = (uint32_t)pixel;
  int32_t j = (int32_t)cu_rest(n, k.win.width), i = (int32_t)cu_rest(n, k.win.height);
  t.row[threadIdx.x] = pixel < end ? i * k.win.stride[0] - k.win.pad[0] : CONV_FAR;
  t.column[threadIdx.x] = j * k.win.stride[1] - k.win.pad[1];
  t.image[threadIdx.x] = (int32_t)n * k.h;
}

template <class T, int R, int O> __device__ __forceinline__ void take_operands(const wgrad &k, tile<R, O> &t, int64_t first, int32_t group)
{
  constexpr int32_t DEPTH = tile<R, O>::DEPTH;
  const T *x = static_cast<const T *>(k.x) + (int64_t)group * k.cg, *dy = static_cast<const T *>(k.dy) + first * k.channels + (int64_t)group * k.og;
  for (int32_t e = threadIdx.x; e < DEPTH * R; e += CONV_THREADS) {
    int32_t d = e / R, r = e % R, i = t.row[d] + t.down[r], j = t.column[d] + t.right[r];
    bool inside = t.channel[r] >= 0 && i >= 0 && j >= 0 && i < k.h && j < k.w;
    t.u.in.a[d][r] = inside ? real(x[((int64_t)(t.image[d] + i) * k.w + j) * k.c + t.channel[r]]) : 0.0f;
  }
  for (int32_t e = threadIdx.x; e < DEPTH * O; e += CONV_THREADS) {
    int32_t d = e / O, o = (int32_t)blockIdx.x % k.across * O + e % O;
    t.u.in.b[d][e % O] = t.row[d] != CONV_FAR && o < k.og ? real(dy[(int64_t)d * k.channels + o]) : 0.0f;
  }
}

template <int R, int O> __device__ __forceinline__ void multiply(const tile<R, O> &t, float (&sum)[4][4])
{
  constexpr int32_t TEAM = tile<R, O>::TEAM, G = tile<R, O>::G;
  int32_t me = (int32_t)threadIdx.x % TEAM, r = me / (O / 4) * 4, o = me % (O / 4) * 4;
#pragma unroll 4
  for (int32_t s = 0; s < STEP; s++) {
    int32_t d = s * G + (int32_t)threadIdx.x / TEAM;
    float a[4], b[4];
    cu_load<4>(&t.u.in.a[d][r], a);
    cu_load<4>(&t.u.in.b[d][o], b);
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
      for (int j = 0; j < 4; j++) sum[i][j] += a[i] * b[j];
  }
}

/* The groups' sums, added in order, to the slice's part. */
template <int R, int O> __device__ __forceinline__ void store(const wgrad &k, tile<R, O> &t, const float (&sum)[4][4], int32_t group, int32_t slice)
{
  constexpr int32_t TEAM = tile<R, O>::TEAM, G = tile<R, O>::G;
  int32_t me = (int32_t)threadIdx.x % TEAM, r = me / (O / 4) * 4, o = me % (O / 4) * 4;
#pragma unroll
  for (int i = 0; i < 4; i++)
#pragma unroll
    for (int j = 0; j < 4; j++) t.u.sum[(int32_t)threadIdx.x / TEAM][(r + i) * O + o + j] = sum[i][j];
  __syncthreads();
  float *part = k.part + (int64_t)slice * k.rows * k.channels;
  for (int32_t e = threadIdx.x; e < R * O; e += CONV_THREADS) {
    int32_t row = (int32_t)blockIdx.x / k.across * R + e / O, out = (int32_t)blockIdx.x % k.across * O + e % O;
    float all = 0;
    for (int32_t g = 0; g < G; g++) all += t.u.sum[g][e];
    if (row < k.rows && out < k.og) part[(int64_t)row * k.channels + group * k.og + out] = all;
  }
}

template <class T, int R, int O> __global__ void __launch_bounds__(CONV_THREADS) sum_pixels(wgrad k)
{
  constexpr int32_t DEPTH = tile<R, O>::DEPTH;
  __shared__ tile<R, O> t;
  float sum[4][4] = {};
  cu_to_model(k.stride, k.x, k.dy, k.part);
  int32_t group = (int32_t)blockIdx.y / k.slices, slice = (int32_t)blockIdx.y % k.slices;
  int64_t first = (int64_t)slice * k.length, end = first + k.length < k.win.pixels ? first + k.length : k.win.pixels;
  take_rows(k, t);
  take_places(k, t, first, end);
  __syncthreads();
  for (; first < end; first += DEPTH) {
    take_operands<T>(k, t, first, group);
    __syncthreads();
    take_places(k, t, first + DEPTH, end);
    multiply(t, sum);
    __syncthreads();
  }
  store(k, t, sum, group, slice);
}

/* One number of dw a thread, over a slice of dy's rows. */
template <class T> __global__ void sum_pixels_narrow(wgrad k)
{
  cu_to_model(k.stride, k.x, k.dy, k.part);
  int32_t e = (int32_t)cu_first(), row = e / k.channels, o = e % k.channels;
  if (row >= k.rows) return;
  int32_t tap = row / k.cg, down = tap / k.win.across * k.win.dilation[0] - k.win.pad[0], right = tap % k.win.across * k.win.dilation[1] - k.win.pad[1];
  int32_t width = (int32_t)k.win.width.by, height = (int32_t)k.win.height.by, lines = (int32_t)(k.win.pixels / k.win.width.by);
  int32_t first = (int32_t)blockIdx.y * k.length, end = first + k.length < lines ? first + k.length : lines;
  const T *x = static_cast<const T *>(k.x) + o / k.og * k.cg + row % k.cg, *dy = static_cast<const T *>(k.dy) + o;
  float sum = 0;
  for (int32_t line = first; line < end; line++) {
    int32_t i = line % height * k.win.stride[0] + down;
    if (i < 0 || i >= k.h) continue;
    for (int32_t q = 0; q < width; q++) {
      int32_t j = q * k.win.stride[1] + right;
      if (j < 0 || j >= k.w) continue;
      sum += real(x[(((int64_t)(line / height) * k.h + i) * k.w + j) * k.c]) * real(dy[((int64_t)line * width + q) * k.channels]);
    }
  }
  k.part[(int64_t)blockIdx.y * k.rows * k.channels + e] = sum;
}

__global__ void add_slices(const float *part, int32_t slices, int64_t size, size_t stride, void *dw, int32_t dtype)
{
  cu_to_model(stride, part, dw);
  for (int64_t i = cu_first(); i < size; i += cu_stride()) {
    float sum = 0;
    for (int32_t s = 0; s < slices; s++) sum += part[(int64_t)s * size + i];
    cu_put(dw, dtype, i, sum);
  }
}

static bool narrow(const wgrad &k) { return k.c > k.cg && k.og < NARROW; }
static int32_t pieces(int64_t n, int64_t of) { return (int32_t)((n + of - 1) / of); }

/* The side of a tile: what holds the smaller of rows and outputs. */
static int32_t side(const wgrad &k)
{
  int32_t least = k.rows < k.og ? k.rows : k.og;
  return least <= 16 ? 16 : least <= 32 ? 32 : 64;
}

/* As many slices as keep a GPU busy, of whole steps, and no more than 64 MiB of them. */
static void cut_slices(wgrad *k)
{
  int64_t size = (int64_t)k->rows * k->channels, most = ((int64_t)64 << 20) / (size * (int64_t)sizeof(float)), total = k->win.pixels, step, tiles;
  if (narrow(*k)) {
    step = 1, total = total / (int64_t)k->win.width.by, tiles = pieces(size, CU_BLOCK);
  } else {
    int32_t s = side(*k), groups = k->channels / k->og;
    step = (int64_t)STEP * CONV_THREADS * 16 / (s * s), tiles = (int64_t)pieces(k->rows, s) * pieces(k->og, s) * groups;
    if (most > 65535 / groups) most = 65535 / groups;
  }
  int64_t slices = WANTED / tiles;
  slices = slices > most ? most : slices;
  slices = slices < 1 ? 1 : slices;
  k->length = (int32_t)((pieces(total, slices) + step - 1) / step * step);
  k->slices = pieces(total, k->length);
}

static wgrad wgrad_of(const dor_conv2d_attr *a, dor_shape x, dor_shape dy)
{
  wgrad k = {};
  k.win = window_of(a, dy);
  k.h = x.d[1], k.w = x.d[2], k.c = x.d[3], k.channels = dy.d[3];
  k.cg = x.d[3] / a->groups, k.og = dy.d[3] / a->groups;
  k.rows = k.win.taps * k.cg;
  k.across = pieces(k.og, side(k));
  cut_slices(&k);
  return k;
}

template <class T, int S> static void launch_tile(const dor_call *c, const wgrad &k)
{
  dim3 grid = cu_fleet(c, dim3((unsigned)(pieces(k.rows, S) * k.across), (unsigned)(k.channels / k.og * k.slices)));
  CU_LAUNCH((sum_pixels<T, S, S>), grid, CONV_THREADS, 0, c->stream, k);
}

template <class T> static void launch(const dor_call *c, const wgrad &k)
{
  int32_t s = side(k);
  if (narrow(k)) {
    dim3 grid = cu_fleet(c, dim3((unsigned)pieces((int64_t)k.rows * k.channels, CU_BLOCK), (unsigned)k.slices));
    CU_LAUNCH(sum_pixels_narrow<T>, grid, CU_BLOCK, 0, c->stream, k);
  } else if (s == 16) launch_tile<T, 16>(c, k);
  else if (s == 32) launch_tile<T, 32>(c, k);
  else launch_tile<T, 64>(c, k);
}

static void conv2d_dw_run(const dor_call *c)
{
  wgrad k = wgrad_of(static_cast<const dor_conv2d_attr *>(c->attr), c->in[0].shape, c->in[1].shape);
  int64_t size = (int64_t)k.rows * k.channels;
  k.x = c->in[0].data, k.dy = c->in[1].data, k.part = static_cast<float *>(c->scratch), k.stride = c->stride;
  CU_BY_TYPE(c->in[0].dtype, T, launch<T>(c, k))
  CU_LAUNCH(add_slices, cu_fleet(c, cu_grid(size)), CU_BLOCK, 0, c->stream, static_cast<const float *>(k.part), k.slices, size, k.stride, c->out[0].data,
            (int32_t)c->out[0].dtype);
}

static dor_status prepare(const dor_prep *p, void **, size_t *scratch)
{
  DOR_TRY(conv_takes(&p->in[0], &p->in[1], p->out[0].dtype));
  wgrad k = wgrad_of(static_cast<const dor_conv2d_attr *>(p->attr), p->in[0].shape, p->in[1].shape);
  *scratch = (size_t)k.slices * (size_t)k.rows * (size_t)k.channels * sizeof(float);
  return DOR_OK;
}

DOR_CUDA_FLEET(conv2d_dw, prepare)
