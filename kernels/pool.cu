/* SPDX-License-Identifier: Apache-2.0
 *
 * max_pool with the place of the largest, avg_pool, global_pool, and what carries their gradients back. One thread takes up to 16
 * bytes of a pixel's channels. Backwards is a gather too: a pixel asks the windows that cover it, in their order, so there are
 * neither atomics nor a pass that clears. */
#include "kernels/index.cuh"
#include "kernels/pack.cuh"

enum { LINES = 8 }; /* of pixels, side by side in a block of global_pool */

struct pool {
  int32_t kernel[2], stride[2], pad[2];
  int32_t h, w, oh, ow;                    /* of x; of y */
  cu_divisor packs, width, height;         /* of the map a thread writes: channels in units of a thread, columns, rows */
  int64_t count;                           /* threads' units in all */
  float share;                             /* of the mean: 1 / (K K) */
  size_t apart;                            /* from a model of a fleet to the next */
};

struct spot { uint32_t n, i, j, pack; };

__device__ __forceinline__ spot spot_of(const pool &p, int64_t unit)
{
  spot s;
  s.n = (uint32_t)unit;
  s.pack = cu_rest(s.n, p.packs);
  s.j = cu_rest(s.n, p.width);
  s.i = cu_rest(s.n, p.height);
  return s;
}

/* The V channels of pack `pack` at a pixel of a map of `rows` x `columns`. */
template <int V> __device__ __forceinline__ int64_t element(const pool &p, uint32_t n, int32_t rows, int32_t columns, int32_t i, int32_t j, uint32_t pack)
{
  return ((((int64_t)n * rows + i) * columns + j) * p.packs.by + pack) * V;
}

template <int V> struct alignas(V) bytes { uint8_t at[V]; };

template <class T, int V> __global__ void largest(pool p, const T *x, T *y, uint8_t *arg)
{
  cu_to_model(p.apart, x, y, arg);
  for (int64_t unit = cu_first(); unit < p.count; unit += cu_stride()) {
    spot s = spot_of(p, unit);
    int32_t top = (int32_t)s.i * p.stride[0] - p.pad[0], left = (int32_t)s.j * p.stride[1] - p.pad[1];
    float best[V] = {};
    bytes<V> where = {};
    bool first = true;
    for (int32_t u = 0; u < p.kernel[0]; u++)
      for (int32_t v = 0; v < p.kernel[1]; v++) {
        if (top + u < 0 || left + v < 0 || top + u >= p.h || left + v >= p.w) continue;
        float now[V];
        cu_load<V>(x + element<V>(p, s.n, p.h, p.w, top + u, left + v, s.pack), now);
#pragma unroll
        for (int k = 0; k < V; k++) {
          bool more = first || now[k] > best[k] || now[k] != now[k]; /* a NaN wins, so that it is seen */
          best[k] = more ? now[k] : best[k];
          where.at[k] = more ? (uint8_t)(u * p.kernel[1] + v) : where.at[k];
        }
        first = false;
      }
    cu_store<V>(y + unit * V, best);
    *reinterpret_cast<bytes<V> *>(arg + unit * V) = where;
  }
}

/* The windows along an axis that cover position `at`: [*first, *last]. */
__device__ __forceinline__ void covering(const pool &p, int axis, int32_t at, int32_t count, int32_t *first, int32_t *last)
{
  int32_t low = at + p.pad[axis] - p.kernel[axis];
  *first = low < 0 ? 0 : low / p.stride[axis] + 1;
  *last = (at + p.pad[axis]) / p.stride[axis];
  if (*last >= count) *last = count - 1;
}

/* dx of max_pool (arg) or of avg_pool (no arg). */
template <class T, int V> __global__ void gather_back(pool p, const T *dy, const uint8_t *arg, T *dx)
{
  cu_to_model(p.apart, dy, arg, dx);
  for (int64_t unit = cu_first(); unit < p.count; unit += cu_stride()) {
    spot s = spot_of(p, unit);
    int32_t top, bottom, left, right;
    covering(p, 0, (int32_t)s.i, p.oh, &top, &bottom);
    covering(p, 1, (int32_t)s.j, p.ow, &left, &right);
    float sum[V] = {};
    for (int32_t i = top; i <= bottom; i++)
      for (int32_t j = left; j <= right; j++) {
        int64_t at = element<V>(p, s.n, p.oh, p.ow, i, j, s.pack);
        int32_t place = ((int32_t)s.i + p.pad[0] - i * p.stride[0]) * p.kernel[1] + (int32_t)s.j + p.pad[1] - j * p.stride[1];
        float now[V];
        cu_load<V>(dy + at, now);
        bytes<V> where = {};
        if (arg) where = *reinterpret_cast<const bytes<V> *>(arg + at);
#pragma unroll
        for (int k = 0; k < V; k++) sum[k] += !arg ? p.share * now[k] : where.at[k] == place ? now[k] : 0.0f;
      }
    cu_store<V>(dx + unit * V, sum);
  }
}

template <class T, int V> __global__ void average(pool p, const T *x, T *y)
{
  cu_to_model(p.apart, x, y);
  for (int64_t unit = cu_first(); unit < p.count; unit += cu_stride()) {
    spot s = spot_of(p, unit);
    int32_t top = (int32_t)s.i * p.stride[0] - p.pad[0], left = (int32_t)s.j * p.stride[1] - p.pad[1];
    float sum[V] = {};
    for (int32_t u = 0; u < p.kernel[0]; u++)
      for (int32_t v = 0; v < p.kernel[1]; v++) {
        if (top + u < 0 || left + v < 0 || top + u >= p.h || left + v >= p.w) continue;
        float now[V];
        cu_load<V>(x + element<V>(p, s.n, p.h, p.w, top + u, left + v, s.pack), now);
#pragma unroll
        for (int k = 0; k < V; k++) sum[k] += p.share * now[k];
      }
    cu_store<V>(y + unit * V, sum);
  }
}

/* A block takes 32 channels of an image: 8 lines of threads go through the pixels, and their sums are added in order. */
template <class T> __global__ void global_average(const T *x, int32_t pixels, int32_t channels, size_t stride, T *y)
{
  cu_to_model(stride, x, y);
  __shared__ float part[LINES][32];
  int32_t c = (int32_t)(blockIdx.x * 32 + threadIdx.x);
  const T *from = x + (int64_t)blockIdx.y * pixels * channels + c;
  float sum = 0;
  for (int32_t p = (int32_t)threadIdx.y; c < channels && p < pixels; p += LINES) sum += real(from[(int64_t)p * channels]);
  part[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y || c >= channels) return;
  for (int32_t line = 1; line < LINES; line++) sum += part[line][threadIdx.x];
  y[(int64_t)blockIdx.y * channels + c] = cut<T>(sum / (float)pixels);
}

template <class T, int V> __global__ void spread_global(pool p, const T *dy, T *dx)
{
  cu_to_model(p.apart, dy, dx);
  for (int64_t unit = cu_first(); unit < p.count; unit += cu_stride()) {
    spot s = spot_of(p, unit);
    float v[V];
    cu_load<V>(dy + ((int64_t)s.n * p.packs.by + s.pack) * V, v);
#pragma unroll
    for (int k = 0; k < V; k++) v[k] *= p.share;
    cu_store<V>(dx + unit * V, v);
  }
}

/* `written`: the map whose units the threads count. */
static pool pool_of(const dor_call *c, const dor_pool_attr *a, dor_shape x, dor_shape y, dor_shape written, int32_t lanes)
{
  pool p = {};
  for (int i = 0; a && i < 2; i++) p.kernel[i] = a->kernel[i], p.stride[i] = a->stride[i], p.pad[i] = a->pad[i];
  p.h = x.d[1], p.w = x.d[2], p.oh = y.d[1], p.ow = y.d[2];
  p.packs = cu_divide_by(written.d[3] / lanes), p.width = cu_divide_by(written.d[2]), p.height = cu_divide_by(written.d[1]);
  p.count = dor_shape_size(written) / lanes;
  p.apart = c->stride;
  p.share = a ? 1.0f / (float)(a->kernel[0] * a->kernel[1]) : 1.0f / ((float)x.d[1] * (float)x.d[2]);
  return p;
}

/* Run with as many channels a thread as divide them: 16 bytes, 4 numbers, or one. */
#define BY_LANES(channels, T, V, ...)                                                 \
  if ((channels) % cu_lanes<T> == 0) { constexpr int V = cu_lanes<T>; __VA_ARGS__; } \
  else if ((channels) % 4 == 0) { constexpr int V = 4; __VA_ARGS__; }                \
  else { constexpr int V = 1; __VA_ARGS__; }

template <class T, int V> static void max_forward(const dor_call *c)
{
  pool p = pool_of(c, static_cast<const dor_pool_attr *>(c->attr), c->in[0].shape, c->out[0].shape, c->out[0].shape, V);
  CU_LAUNCH((largest<T, V>), cu_fleet(c, cu_grid(p.count)), CU_BLOCK, 0, c->stream, p, static_cast<const T *>(c->in[0].data), static_cast<T *>(c->out[0].data),
            static_cast<uint8_t *>(c->out[1].data));
}

template <class T, int V> static void back(const dor_call *c)
{
  pool p = pool_of(c, static_cast<const dor_pool_attr *>(c->attr), c->out[0].shape, c->in[0].shape, c->out[0].shape, V);
  CU_LAUNCH((gather_back<T, V>), cu_fleet(c, cu_grid(p.count)), CU_BLOCK, 0, c->stream, p, static_cast<const T *>(c->in[0].data),
            c->nin > 1 ? static_cast<const uint8_t *>(c->in[1].data) : nullptr, static_cast<T *>(c->out[0].data));
}

template <class T, int V> static void average_forward(const dor_call *c)
{
  pool p = pool_of(c, static_cast<const dor_pool_attr *>(c->attr), c->in[0].shape, c->out[0].shape, c->out[0].shape, V);
  CU_LAUNCH((average<T, V>), cu_fleet(c, cu_grid(p.count)), CU_BLOCK, 0, c->stream, p, static_cast<const T *>(c->in[0].data), static_cast<T *>(c->out[0].data));
}

template <class T> static void global_forward(const dor_call *c)
{
  dor_shape x = c->in[0].shape;
  dim3 grid = cu_fleet(c, dim3((unsigned)((x.d[3] + 31) / 32), (unsigned)x.d[0]));
  CU_LAUNCH(global_average<T>, grid, dim3(32, LINES), 0, c->stream, static_cast<const T *>(c->in[0].data), x.d[1] * x.d[2], x.d[3], c->stride,
            static_cast<T *>(c->out[0].data));
}

template <class T, int V> static void global_back(const dor_call *c)
{
  pool p = pool_of(c, nullptr, c->out[0].shape, c->out[0].shape, c->out[0].shape, V);
  CU_LAUNCH((spread_global<T, V>), cu_fleet(c, cu_grid(p.count)), CU_BLOCK, 0, c->stream, p, static_cast<const T *>(c->in[0].data),
            static_cast<T *>(c->out[0].data));
}

static void max_pool_run(const dor_call *c) { CU_BY_TYPE(c->in[0].dtype, T, BY_LANES(c->in[0].shape.d[3], T, V, max_forward<T, V>(c))) }
static void max_pool_dx_run(const dor_call *c) { CU_BY_TYPE(c->in[0].dtype, T, BY_LANES(c->in[0].shape.d[3], T, V, back<T, V>(c))) }
static void avg_pool_run(const dor_call *c) { CU_BY_TYPE(c->in[0].dtype, T, BY_LANES(c->in[0].shape.d[3], T, V, average_forward<T, V>(c))) }
static void avg_pool_dx_run(const dor_call *c) { max_pool_dx_run(c); }
static void global_pool_run(const dor_call *c) { CU_BY_TYPE(c->in[0].dtype, T, global_forward<T>(c)) }
static void global_pool_dx_run(const dor_call *c) { CU_BY_TYPE(c->in[0].dtype, T, BY_LANES(c->out[0].shape.d[3], T, V, global_back<T, V>(c))) }

static dor_status prepare(const dor_prep *p, void **plan, size_t *scratch)
{
  DOR_NEED(p->in[0].dtype == p->out[0].dtype && p->in[0].dtype <= DOR_F16, UNSUPPORTED, "own CUDA pooling wants maps of one type");
  return cu_countable(p, plan, scratch);
}

static dor_status prepare_global(const dor_prep *p, void **plan, size_t *scratch)
{
  DOR_NEED(p->in[0].shape.d[0] <= 65535, UNSUPPORTED, "own CUDA global pooling takes 65535 images");
  return prepare(p, plan, scratch);
}

DOR_CUDA_FLEET(max_pool, prepare)
DOR_CUDA_FLEET(max_pool_dx, prepare)
DOR_CUDA_FLEET(avg_pool, prepare)
DOR_CUDA_FLEET(avg_pool_dx, prepare)
DOR_CUDA_FLEET(global_pool, prepare_global)
DOR_CUDA_FLEET(global_pool_dx, prepare)
