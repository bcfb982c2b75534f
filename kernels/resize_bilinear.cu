/* SPDX-License-Identifier: Apache-2.0
 *
 * Bilinear resize, and its gradient, which gathers: a pixel of dx sums over the
 * pixels of dy that read it. Positions are fractions of whole numbers, so exact. */
#include "kernels/index.cuh"
#include "kernels/pack.cuh"

namespace {

/* One axis: `from` pixels of x, `to` of y. Output i reads at s = ((2i + 1) from - to) / 2to, not below 0. */
struct axis { uint32_t from, to; cu_divisor by; }; /* by: 2to */
struct taps { uint32_t at[2]; float weight[2]; };

__device__ __forceinline__ taps taps_of(uint32_t i, const axis &a)
{
  uint32_t over = (2 * i + 1) * a.from, s = over > a.to ? over - a.to : 0, rest = cu_rest(s, a.by);
  float f = (float)rest / (float)a.by.by;
  return taps{{s, s + 1 < a.from ? s + 1 : a.from - 1}, {1.0f - f, f}};
}

/* A map [N,H,W,C] in packs of channels, channel fastest; `rows` and `columns` say how it lies to the other map. */
struct job { uint32_t n, channels; cu_divisor packs, wide, tall; axis rows, columns; };

axis axis_of(int32_t from, int32_t to) { return axis{(uint32_t)from, (uint32_t)to, cu_divide_by(2 * (int64_t)to)}; }

job job_of(dor_shape out, dor_shape x, dor_shape y, int64_t lanes)
{
  return job{(uint32_t)(dor_shape_size(out) / lanes), (uint32_t)out.d[3], cu_divide_by(out.d[3] / lanes), cu_divide_by(out.d[2]), cu_divide_by(out.d[1]),
             axis_of(x.d[1], y.d[1]), axis_of(x.d[2], y.d[2])};
}

template <int L, class T> __global__ void forward(const T *x, T *y, job b)
{
  for (int64_t k = cu_first(); k < b.n; k += cu_stride()) {
    uint32_t image = (uint32_t)k, pack = cu_rest(image, b.packs), j = cu_rest(image, b.wide), i = cu_rest(image, b.tall);
    taps v = taps_of(i, b.rows), h = taps_of(j, b.columns);
    float sum[L] = {0}, u[L];
#pragma unroll
    for (int t = 0; t < 4; t++) {
      float w = v.weight[t / 2] * h.weight[t % 2];
      cu_load(x + (((int64_t)image * b.rows.from + v.at[t / 2]) * b.columns.from + h.at[t % 2]) * b.channels + pack * L, u);
#pragma unroll
      for (int o = 0; o < L; o++) sum[o] += w * u[o];
    }
    cu_store(y + k * L, sum);
  }
}

/* The first output that can read pixel r: none before it reads further than r - 1. */
__device__ __forceinline__ uint32_t first_reader(uint32_t r, const axis &a)
{
  uint32_t i = r ? ((2 * r - 1) * a.to / a.from) / 2 : 0;
  return i ? i - 1 : 0;
}

/* What output i takes of pixel r. */
__device__ __forceinline__ float share_of(const taps &t, uint32_t r) { return (t.at[0] == r ? t.weight[0] : 0.0f) + (t.at[1] == r ? t.weight[1] : 0.0f); }

template <int L, class T> __global__ void backward(const T *dy, T *dx, job b)
{
  for (int64_t k = cu_first(); k < b.n; k += cu_stride()) {
    uint32_t image = (uint32_t)k, pack = cu_rest(image, b.packs), c = cu_rest(image, b.wide), r = cu_rest(image, b.tall);
    float sum[L] = {0}, u[L];
    for (uint32_t i = first_reader(r, b.rows); i < b.rows.to; i++) {
      taps v = taps_of(i, b.rows);
      if (v.at[0] > r) break;
      for (uint32_t j = first_reader(c, b.columns); j < b.columns.to; j++) {
        taps h = taps_of(j, b.columns);
        if (h.at[0] > c) break;
        float w = share_of(v, r) * share_of(h, c);
        if (!(w > 0)) continue; /* not read: a NaN there is not ours */
        cu_load(dy + (((int64_t)image * b.rows.to + i) * b.columns.to + j) * b.channels + pack * L, u);
#pragma unroll
        for (int o = 0; o < L; o++) sum[o] += w * u[o];
      }
    }
    cu_store(dx + k * L, sum);
  }
}

/* Sides so short that (2i + 1) from stays below 2^31. */
dor_status prepare(const dor_prep *p, void **plan, size_t *scratch)
{
  dor_shape x = p->in[0].shape, y = p->out[0].shape;
  for (int k = 1; k < 3; k++)
    DOR_NEED((2 * (int64_t)x.d[k] + 1) * (2 * (int64_t)y.d[k] + 1) < (int64_t)1 << 31, UNSUPPORTED, "a resize from %d to %d pixels", x.d[k], y.d[k]);
  return cu_countable(p, plan, scratch);
}

template <class T> void launch(const dor_call *c, bool back)
{
  dor_shape in = c->in[0].shape, out = c->out[0].shape;
  bool wide = out.d[3] % cu_lanes<T> == 0 && cu_aligned(c->in[0].data) && cu_aligned(c->out[0].data);
  job b = job_of(out, back ? out : in, back ? in : out, wide ? cu_lanes<T> : 1);
  auto kernel = back ? (wide ? backward<cu_lanes<T>, T> : backward<1, T>) : wide ? forward<cu_lanes<T>, T> : forward<1, T>;
  CU_LAUNCH(kernel, cu_grid(b.n), CU_BLOCK, 0, c->stream, (const T *)c->in[0].data, (T *)c->out[0].data, b);
}

void resize_bilinear_run(const dor_call *c) { CU_BY_TYPE(c->out[0].dtype, T, launch<T>(c, false)) }
void resize_bilinear_dx_run(const dor_call *c) { CU_BY_TYPE(c->out[0].dtype, T, launch<T>(c, true)) }

} /* namespace */

DOR_CUDA_SCRATCH(resize_bilinear, prepare)
DOR_CUDA_SCRATCH(resize_bilinear_dx, prepare)
