/* SPDX-License-Identifier: Apache-2.0
 *
 * resize to any size by the nearest pixel, its gradient as a sum over the pixels
 * that copied one, and sums of resized maps: a thread makes 16 bytes of a pixel. */
#include "kernels/index.cuh"
#include "kernels/pack.cuh"

namespace {

/* Packs of an output map [N,H,W,C], numbered channel fastest. */
struct map { uint32_t n; cu_divisor packs, w, h; };
struct spot { uint32_t image, i, j, pack; };

map map_of(dor_shape y, int64_t lanes)
{
  return map{(uint32_t)(dor_shape_size(y) / lanes), cu_divide_by(y.d[3] / lanes), cu_divide_by(y.d[2]), cu_divide_by(y.d[1])};
}

__device__ __forceinline__ spot spot_of(const map &m, uint32_t k)
{
  spot s;
  s.pack = cu_rest(k, m.packs);
  s.j = cu_rest(k, m.w);
  s.i = cu_rest(k, m.h);
  s.image = k;
  return s;
}

/* The other map's height and width, and channels of both. */
struct side { uint32_t h, w, c; };

side side_of(dor_shape s) { return side{(uint32_t)s.d[1], (uint32_t)s.d[2], (uint32_t)s.d[3]}; }

__device__ __forceinline__ int64_t pixel(const side &s, uint32_t image, uint32_t i, uint32_t j) { return (((int64_t)image * s.h + i) * s.w + j) * s.c; }

template <int L, class T> __global__ void nearest(const T *x, T *y, map m, side from)
{
  for (int64_t k = cu_first(); k < m.n; k += cu_stride()) {
    spot s = spot_of(m, (uint32_t)k);
    float v[L];
    cu_load(x + pixel(from, s.image, cu_div(s.i * from.h, m.h), cu_div(s.j * from.w, m.w)) + s.pack * L, v);
    cu_store(y + k * L, v);
  }
}

/* The first of `large` that copies i of `small`: the least r with floor(r small / large) >= i. */
__device__ __forceinline__ uint32_t first_copy(uint32_t i, uint32_t large, cu_divisor small) { return cu_div(i * large + small.by - 1, small); }

template <int L, class T> __global__ void nearest_dx(const T *dy, T *dx, map m, side large)
{
  for (int64_t k = cu_first(); k < m.n; k += cu_stride()) {
    spot s = spot_of(m, (uint32_t)k);
    uint32_t bottom = first_copy(s.i + 1, large.h, m.h), right = first_copy(s.j + 1, large.w, m.w);
    float sum[L] = {0}, v[L];
    for (uint32_t i = first_copy(s.i, large.h, m.h); i < bottom; i++)
      for (uint32_t j = first_copy(s.j, large.w, m.w); j < right; j++) {
        cu_load(dy + pixel(large, s.image, i, j) + s.pack * L, v);
#pragma unroll
        for (int o = 0; o < L; o++) sum[o] += v[o];
      }
    cu_store(dx + k * L, sum);
  }
}

/* Sides so short that their products stay below 2^31. */
dor_status resize_prepare(const dor_prep *p, void **plan, size_t *scratch)
{
  dor_shape y = p->out[0].shape;
  for (int32_t t = 0; t < p->nin; t++)
    for (int k = 1; k < 3; k++)
      DOR_NEED((int64_t)(p->in[t].shape.d[k] + 1) * (y.d[k] + 1) < (int64_t)1 << 31, UNSUPPORTED, "a resize from %d to %d pixels", p->in[t].shape.d[k], y.d[k]);
  return cu_countable(p, plan, scratch);
}

template <class T> bool is_wide(const dor_call *c)
{
  bool wide = c->out[0].shape.d[3] % cu_lanes<T> == 0 && cu_aligned(c->out[0].data);
  for (int32_t t = 0; t < c->nin; t++) wide = wide && cu_aligned(c->in[t].data);
  return wide;
}

template <class T> void launch_nearest(const dor_call *c, bool back)
{
  bool wide = is_wide<T>(c);
  map m = map_of(c->out[0].shape, wide ? cu_lanes<T> : 1);
  auto kernel = back ? (wide ? nearest_dx<cu_lanes<T>, T> : nearest_dx<1, T>) : wide ? nearest<cu_lanes<T>, T> : nearest<1, T>;
  CU_LAUNCH(kernel, cu_grid(m.n), CU_BLOCK, 0, c->stream, (const T *)c->in[0].data, (T *)c->out[0].data, m, side_of(c->in[0].shape));
}

void resize_run(const dor_call *c) { CU_BY_TYPE(c->out[0].dtype, T, launch_nearest<T>(c, false)) }
void resize_dx_run(const dor_call *c) { CU_BY_TYPE(c->out[0].dtype, T, launch_nearest<T>(c, true)) }

/* resize_sum */
enum { TERMS = 16 };

template <class T> struct terms { int32_t n; float least; const T *x[TERMS]; uint32_t h[TERMS], w[TERMS]; };

template <int L, class T> __global__ void nearest_sum(terms<T> t, T *y, map m, uint32_t channels)
{
  for (int64_t k = cu_first(); k < m.n; k += cu_stride()) {
    spot s = spot_of(m, (uint32_t)k);
    float sum[L] = {0}, v[L];
    for (int32_t a = 0; a < t.n; a++) {
      side from = {t.h[a], t.w[a], channels};
      cu_load(t.x[a] + pixel(from, s.image, cu_div(s.i * from.h, m.h), cu_div(s.j * from.w, m.w)) + s.pack * L, v);
#pragma unroll
      for (int o = 0; o < L; o++) sum[o] += v[o];
    }
#pragma unroll
    for (int o = 0; o < L; o++) sum[o] = sum[o] < t.least ? t.least : sum[o];
    cu_store(y + k * L, sum);
  }
}

template <class T> void launch_sum(const dor_call *c)
{
  bool wide = is_wide<T>(c);
  map m = map_of(c->out[0].shape, wide ? cu_lanes<T> : 1);
  terms<T> t = {};
  t.n = c->nin;
  t.least = ((const dor_sum_attr *)c->attr)->relu ? 0.0f : -INFINITY;
  for (int32_t a = 0; a < c->nin; a++) {
    t.x[a] = (const T *)c->in[a].data;
    t.h[a] = (uint32_t)c->in[a].shape.d[1], t.w[a] = (uint32_t)c->in[a].shape.d[2];
  }
  auto kernel = wide ? nearest_sum<cu_lanes<T>, T> : nearest_sum<1, T>;
  CU_LAUNCH(kernel, cu_grid(m.n), CU_BLOCK, 0, c->stream, t, (T *)c->out[0].data, m, (uint32_t)c->out[0].shape.d[3]);
}

dor_status resize_sum_prepare(const dor_prep *p, void **plan, size_t *scratch)
{
  DOR_NEED(p->nin <= TERMS, UNSUPPORTED, "resize_sum: %d maps, at most %d", p->nin, (int)TERMS);
  return resize_prepare(p, plan, scratch);
}

void resize_sum_run(const dor_call *c) { CU_BY_TYPE(c->out[0].dtype, T, launch_sum<T>(c)) }

} /* namespace */

DOR_CUDA_SCRATCH(resize, resize_prepare)
DOR_CUDA_SCRATCH(resize_dx, resize_prepare)
DOR_CUDA_SCRATCH(resize_sum, resize_sum_prepare)
