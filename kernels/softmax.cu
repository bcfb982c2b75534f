/* SPDX-License-Identifier: Apache-2.0
 *
 * softmax and its gradient: as many lanes of a warp as a row has numbers, so that
 * short rows (classes) fill a warp together; long ones are read again from cache. */
#include "kernels/cuda.cuh"

namespace {

struct rows { int64_t n, k; uint32_t shift; }; /* 1 << shift lanes a row, at most a warp */

__device__ __forceinline__ float lanes_sum(float v, uint32_t shift)
{
  for (uint32_t o = 1u << shift >> 1; o; o >>= 1) v += __shfl_xor_sync(0xffffffffu, v, o);
  return v;
}

__device__ __forceinline__ float lanes_largest(float v, uint32_t shift)
{
  for (uint32_t o = 1u << shift >> 1; o; o >>= 1) {
    float w = __shfl_xor_sync(0xffffffffu, v, o);
    v = w > v ? w : v;
  }
  return v;
}

/* One thread's part: numbers [from, to) by `step` of its row, then the row `apart` further. A warp goes on while any of its rows is left. */
struct part { int64_t first, apart, in_warp, lane, step; };

__device__ __forceinline__ part part_of(const rows &s)
{
  int64_t row = cu_first() >> s.shift, in_warp = row & (31 >> s.shift);
  return part{row - in_warp, cu_stride() >> s.shift, in_warp, threadIdx.x & ((1u << s.shift) - 1), 1 << s.shift};
}

/* A NaN of a row is not its largest, but it reaches all of the row through the sum. */
template <class T> __global__ void forward(const T *x, T *y, rows s, size_t stride)
{
  cu_to_model(stride, x, y);
  part p = part_of(s);
  for (int64_t base = p.first; base < s.n; base += p.apart) {
    int64_t row = base + p.in_warp, end = row < s.n ? s.k : 0, at = row * s.k;
    float top = -INFINITY, sum = 0;
    for (int64_t j = p.lane; j < end; j += p.step) top = real(x[at + j]) > top ? real(x[at + j]) : top;
    top = lanes_largest(top, s.shift);
    for (int64_t j = p.lane; j < end; j += p.step) sum += scalar_exp(real(x[at + j]) - top);
    float inv = 1.0f / lanes_sum(sum, s.shift);
    for (int64_t j = p.lane; j < end; j += p.step) y[at + j] = cut<T>(scalar_exp(real(x[at + j]) - top) * inv);
  }
}

template <class T> __global__ void backward(const T *y, const T *dy, T *dx, rows s, size_t stride)
{
  cu_to_model(stride, y, dy, dx);
  part p = part_of(s);
  for (int64_t base = p.first; base < s.n; base += p.apart) {
    int64_t row = base + p.in_warp, end = row < s.n ? s.k : 0, at = row * s.k;
    float sum = 0;
    for (int64_t j = p.lane; j < end; j += p.step) sum += real(y[at + j]) * real(dy[at + j]);
    sum = lanes_sum(sum, s.shift);
    for (int64_t j = p.lane; j < end; j += p.step) dx[at + j] = cut<T>(real(y[at + j]) * (real(dy[at + j]) - sum));
  }
}

rows rows_of(const dor_call *c)
{
  dor_shape x = c->in[0].shape;
  rows s = {1, x.n ? x.d[x.n - 1] : 1, 0};
  s.n = dor_shape_size(x) / s.k;
  while (s.shift < 5 && 1 << s.shift < s.k) s.shift++;
  return s;
}

void softmax_run(const dor_call *c)
{
  rows s = rows_of(c);
  CU_BY_TYPE(c->in[0].dtype, T,
             CU_LAUNCH(forward<T>, cu_fleet(c, cu_grid(s.n << s.shift)), CU_BLOCK, 0, c->stream, (const T *)c->in[0].data, (T *)c->out[0].data, s, c->stride))
}

void softmax_bwd_run(const dor_call *c)
{
  rows s = rows_of(c);
  CU_BY_TYPE(c->in[0].dtype, T,
             CU_LAUNCH(backward<T>, cu_fleet(c, cu_grid(s.n << s.shift)), CU_BLOCK, 0, c->stream, (const T *)c->in[0].data, (const T *)c->in[1].data,
                       (T *)c->out[0].data, s, c->stride))
}

} /* namespace: other files have kernels of these names too */

DOR_CUDA_FLEET(softmax, nullptr)
DOR_CUDA_FLEET(softmax_bwd, nullptr)
