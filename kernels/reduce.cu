/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums over any axes (sum, mean, mul_db) and what spreads them again (expand).
 * Where the last axis stays, a block adds rows under columns of 16 bytes; where
 * it goes, a warp adds along it. Long sums are cut into slices, as many as the
 * shape says, which a second launch adds in their order. */
#include "kernels/index.cuh"
#include "kernels/pack.cuh"

namespace {

/* Output (image, column) is factor times the sum over rows of x[kept place of image + gone place of row + column]. A sum along the last axis
 * (`along`) has one column and its outputs as images. */
struct sums { cu_axes kept, gone; int64_t images, columns, rows, slices; float factor; bool along; };

constexpr int64_t SLICES = 1024, BLOCKS = 512, FEW_TURNS = 8, MANY_TURNS = 512;

/* So many that the device has work, none too short to be worth it, none so long that its sum loses digits. */
int64_t slices_of(int64_t blocks, int64_t turns)
{
  int64_t want = BLOCKS / blocks, most = turns / FEW_TURNS, least = turns / MANY_TURNS;
  int64_t n = want < most ? want : most;
  n = n > least ? n : least;
  return n < 1 ? 1 : n < SLICES ? n : SLICES;
}

/* Threads of a block side by side: a power of two up to a warp. */
uint32_t across_of(int64_t packs)
{
  uint32_t n = 1;
  while (n < 32 && n < packs) n *= 2;
  return n;
}

__device__ __forceinline__ int64_t slice_start(int64_t rows, int64_t slice, int64_t slices) { return rows * slice / slices; }

/* blockIdx: x columns, y slices, z images. With PAIR the terms are products x z. */
template <int L, bool PAIR, class T, class O> __global__ void add_columns(const T *x, const T *z, O *y, const __grid_constant__ sums s, uint32_t across)
{
  __shared__ float part[L * CU_BLOCK];
  uint32_t t = threadIdx.x, down = CU_BLOCK / across, row = t / across;
  int64_t column = ((int64_t)blockIdx.x * across + t % across) * L, slice = blockIdx.y;
  int64_t from = slice_start(s.rows, slice, s.slices) + row, to = column < s.columns ? slice_start(s.rows, slice + 1, s.slices) : 0;
  for (int64_t image = blockIdx.z; image < s.images; image += gridDim.z) {
    int64_t base = cu_place(s.kept, (uint32_t)image) + column;
    float sum[L] = {0}, u[L], v[L];
    for (int64_t r = from; r < to; r += down) {
      int64_t at = base + cu_place(s.gone, (uint32_t)r);
      cu_load(x + at, u);
      if (PAIR) cu_load(z + at, v);
#pragma unroll
      for (int k = 0; k < L; k++) sum[k] += PAIR ? u[k] * v[k] : u[k];
    }
#pragma unroll
    for (int k = 0; k < L; k++) part[k * CU_BLOCK + t] = sum[k];
    __syncthreads();
    for (uint32_t half = down / 2; half; half /= 2) {
      if (row < half)
        for (int k = 0; k < L; k++) part[k * CU_BLOCK + t] += part[k * CU_BLOCK + t + half * across];
      __syncthreads();
    }
    if (!row && column < s.columns) {
#pragma unroll
      for (int k = 0; k < L; k++) sum[k] = part[k * CU_BLOCK + t] * s.factor;
      cu_store(y + (slice * s.images + image) * s.columns + column, sum);
    }
    __syncthreads(); /* the next image overwrites part */
  }
}

/* One warp an output and slice; rows are packs of L numbers along x's last axis. */
template <int L, class T, class O> __global__ void add_along(const T *x, O *y, const __grid_constant__ sums s)
{
  int64_t lane = threadIdx.x % 32, all = s.images * s.slices;
  for (int64_t k = cu_first() / 32; k < all; k += cu_stride() / 32) {
    int64_t slice = k / s.images, base = cu_place(s.kept, (uint32_t)(k - slice * s.images)), to = slice_start(s.rows, slice + 1, s.slices);
    float sum = 0, u[L];
    for (int64_t r = slice_start(s.rows, slice, s.slices) + lane; r < to; r += 32) {
      cu_load(x + base + cu_place(s.gone, (uint32_t)r), u);
#pragma unroll
      for (int j = 0; j < L; j++) sum += u[j];
    }
    sum = cu_warp_sum(sum);
    if (!lane) y[k] = cut<O>(sum * s.factor);
  }
}

template <bool PAIR, class T, class O> void launch_columns(void *stream, const T *x, const T *z, O *y, const sums &s)
{
  bool wide = s.columns % cu_lanes<T> == 0 && cu_aligned(x) && cu_aligned(z) && cu_aligned(y);
  int64_t packs = wide ? s.columns / cu_lanes<T> : s.columns;
  uint32_t across = across_of(packs);
  dim3 grid((unsigned)((packs + across - 1) / across), (unsigned)s.slices, (unsigned)(s.images < 65535 ? s.images : 65535));
  auto kernel = wide ? add_columns<cu_lanes<T>, PAIR, T, O> : add_columns<1, PAIR, T, O>;
  CU_LAUNCH(kernel, grid, CU_BLOCK, 0, stream, x, z, y, s, across);
}

template <class T, class O> void launch_along(void *stream, const T *x, O *y, sums s)
{
  int32_t last = s.gone.n - 1;
  uint64_t all = s.gone.size[last].by;
  for (int32_t i = 0; i < last; i++) all |= (uint64_t)s.gone.step[i];
  for (int32_t i = 0; i < s.kept.n; i++) all |= (uint64_t)s.kept.step[i];
  bool wide = all % cu_lanes<T> == 0 && cu_aligned(x);
  if (wide) {
    s.gone.size[last] = cu_divide_by(s.gone.size[last].by / cu_lanes<T>);
    s.gone.step[last] = cu_lanes<T>;
    s.rows /= cu_lanes<T>;
  }
  auto kernel = wide ? add_along<cu_lanes<T>, T, O> : add_along<1, T, O>;
  CU_LAUNCH(kernel, cu_grid(s.images * s.slices * 32), CU_BLOCK, 0, stream, x, y, s);
}

/* All slices into scratch, then scratch into y as the sum of so many rows; or straight into y. */
template <bool PAIR, class T, class O> void launch_sums(const dor_call *c, const sums &s)
{
  const T *x = (const T *)c->in[0].data, *z = PAIR ? (const T *)c->in[1].data : x;
  O *y = (O *)c->out[0].data;
  float *part = (float *)c->scratch;
  if (s.slices == 1) {
    if (s.along) launch_along(c->stream, x, y, s);
    else launch_columns<PAIR>(c->stream, x, z, y, s);
    return;
  }
  sums first = s, second = {{}, {}, 1, s.images * s.columns, s.slices, 1, s.factor, false};
  first.factor = 1;
  cu_outer(&second.gone, s.slices, second.columns);
  if (s.along) launch_along(c->stream, x, part, first);
  else launch_columns<PAIR>(c->stream, x, z, part, first);
  launch_columns<false>(c->stream, (const float *)part, (const float *)part, y, second);
}

/* The output is stored as x is, or in float. */
template <bool PAIR> void run_sums(const dor_call *c, const sums &s)
{
  bool same = c->out[0].dtype != DOR_F32;
  CU_BY_TYPE(c->in[0].dtype, T, same ? launch_sums<PAIR, T, T>(c, s) : launch_sums<PAIR, T, float>(c, s))
}

size_t scratch_of(const sums &s) { return s.slices == 1 ? 0 : (size_t)(s.slices * s.images * s.columns) * sizeof(float); }

void cut_columns(sums *s, dor_dtype t)
{
  int64_t lanes = (int64_t)(16 / dor_dtype_size(t)), packs = s->columns % lanes ? s->columns : s->columns / lanes, across = across_of(packs);
  s->slices = slices_of(s->images * ((packs + across - 1) / across), s->rows / (CU_BLOCK / across));
}

/* sum and mean of x over the axes whose bits are set. */
sums sums_of(dor_type x, int32_t axes, float factor)
{
  sums s = {{}, {}, 1, 1, 1, 1, factor, (bool)(axes >> (x.shape.n - 1) & 1)};
  int64_t step = 1;
  bool columns = !s.along;
  for (int32_t i = x.shape.n - 1; i >= 0; i--) {
    int64_t d = x.shape.d[i];
    bool goes = axes >> i & 1;
    columns = columns && !goes;
    if (goes) cu_outer(&s.gone, d, step), s.rows *= d;
    else if (columns) s.columns *= d;
    else cu_outer(&s.kept, d, step), s.images *= d;
    step *= d;
  }
  if (s.along) s.slices = slices_of((s.images + 7) / 8, s.rows / 32);
  else cut_columns(&s, x.dtype);
  return s;
}

dor_status reduce_prepare(const dor_prep *p, void **plan, size_t *scratch)
{
  *scratch = scratch_of(sums_of(p->in[0], ((const dor_reduce_attr *)p->attr)->axes, 1));
  return cu_countable(p, plan, scratch);
}

void reduce(const dor_call *c, bool mean)
{
  dor_type x = {c->in[0].shape, c->in[0].dtype};
  float share = (float)((double)dor_shape_size(c->out[0].shape) / (double)dor_shape_size(x.shape));
  sums s = sums_of(x, ((const dor_reduce_attr *)c->attr)->axes, mean ? share : 1.0f);
  run_sums<false>(c, s);
}

void sum_run(const dor_call *c) { reduce(c, false); }
void mean_run(const dor_call *c) { reduce(c, true); }

/* mul_db: rows of dy and a, multiplied, under b [C] or each image's [C] of b [N,C]. */
sums products_of(dor_type dy, dor_shape b)
{
  int64_t images = b.n == 2 ? b.d[0] : 1, columns = b.d[b.n - 1], rows = dor_shape_size(dy.shape) / (images * columns);
  sums s = {{}, {}, images, columns, rows, 1, 1, false};
  cu_outer(&s.gone, rows, columns);
  cu_outer(&s.kept, images, rows * columns);
  cut_columns(&s, dy.dtype);
  return s;
}

dor_status mul_db_prepare(const dor_prep *p, void **plan, size_t *scratch)
{
  *scratch = scratch_of(products_of(p->in[0], p->in[2].shape));
  return cu_countable(p, plan, scratch);
}

void mul_db_run(const dor_call *c) { run_sums<true>(c, products_of({c->in[0].shape, c->in[0].dtype}, c->in[2].shape)); }

/* y[i] = factor x[place of i]; a pack of y shows one number of x where y's last axis came back. */
template <int L, class T> __global__ void spread(const T *x, T *y, uint32_t packs, const __grid_constant__ cu_axes axes, float factor, bool alike)
{
  for (int64_t i = cu_first(); i < packs; i += cu_stride()) {
    int64_t at = cu_place(axes, (uint32_t)i);
    float one[1] = {0}, v[L] = {0};
    if (alike) cu_load(x + at, one);
    else cu_load(x + at, v);
#pragma unroll
    for (int k = 0; k < L; k++) v[k] = factor * (alike ? one[0] : v[k]);
    cu_store(y + i * L, v);
  }
}

template <class T> void launch_spread(const dor_call *c, cu_axes axes, float factor)
{
  const T *x = (const T *)c->in[0].data;
  T *y = (T *)c->out[0].data;
  int32_t last = axes.n - 1;
  bool alike = !axes.step[last];
  uint64_t all = axes.size[last].by;
  for (int32_t i = 0; i < last && !alike; i++) all |= (uint64_t)axes.step[i];
  bool wide = all % cu_lanes<T> == 0 && cu_aligned(x) && cu_aligned(y);
  int64_t packs = dor_shape_size(c->out[0].shape) / (wide ? cu_lanes<T> : 1);
  if (wide) {
    axes.size[last] = cu_divide_by(axes.size[last].by / cu_lanes<T>);
    axes.step[last] *= cu_lanes<T>;
  }
  auto kernel = wide ? spread<cu_lanes<T>, T> : spread<1, T>;
  CU_LAUNCH(kernel, cu_grid(packs), CU_BLOCK, 0, c->stream, x, y, (uint32_t)packs, axes, factor, alike);
}

void expand_run(const dor_call *c)
{
  const dor_expand_attr *a = (const dor_expand_attr *)c->attr;
  dor_shape y = c->out[0].shape;
  cu_axes axes = {};
  int64_t step = 1;
  for (int32_t i = y.n - 1; i >= 0; i--) {
    bool goes = a->axes >> i & 1;
    cu_outer(&axes, y.d[i], goes ? 0 : step);
    if (!goes) step *= y.d[i];
  }
  CU_BY_TYPE(c->out[0].dtype, T, launch_spread<T>(c, axes, (float)a->factor))
}

} /* namespace */

DOR_CUDA_SCRATCH(sum, reduce_prepare)
DOR_CUDA_SCRATCH(mean, reduce_prepare)
DOR_CUDA_SCRATCH(mul_db, mul_db_prepare)
DOR_CUDA_SCRATCH(expand, cu_countable)
