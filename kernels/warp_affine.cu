/* SPDX-License-Identifier: Apache-2.0
 *
 * warp_affine in integers, a pixel to a thread; what is rounded is normalised by the same float32 operations, in the same
 * order, as the table of the CPU kernel is made by, so that both give the same bits. */
#include "kernels/cuda.cuh"
#include "kernels/index.cuh"

namespace {

struct warp {
  int32_t from_h, from_w, channels, h, w;
  cu_divisor across, down;
  int64_t pixels;
  bool mask;
  float mean[DOR_WARP_CHANNELS], sd[DOR_WARP_CHANNELS];
};

struct source { const uint8_t *p; int32_t h, w; };

__device__ __forceinline__ int32_t corner(const warp &t, const source &s, int32_t y, int32_t x, int32_t k)
{
  return y < 0 || x < 0 || y >= s.h || x >= s.w ? 0 : s.p[((int64_t)y * t.from_w + x) * t.channels + k];
}

__device__ __forceinline__ float normalised(const warp &t, int32_t level, int32_t k)
{
  return t.mask ? (float)(level > 127) : __fdiv_rn(__fsub_rn(__fdiv_rn((float)level, 255.0f), t.mean[k]), t.sd[k]);
}

template <class T> __global__ void warp_pixels(warp t, const uint8_t *picture, const int32_t *size, const int32_t *path, T *to, size_t stride)
{
  cu_to_model(stride, picture, size, path, to);
  for (int64_t at = cu_first(); at < t.pixels; at += cu_stride()) {
    uint32_t n = (uint32_t)at;
    const int32_t j = (int32_t)cu_rest(n, t.across), i = (int32_t)cu_rest(n, t.down);
    const int32_t *step = path + 2 * (int64_t)n * (t.h + t.w), *start = step + 2 * t.w;
    const source s = {picture + (int64_t)n * t.from_h * t.from_w * t.channels, min(size[2 * n], t.from_h), min(size[2 * n + 1], t.from_w)};
    const int32_t fx = (start[i] + step[j]) >> 5, fy = (start[t.h + i] + step[t.w + j]) >> 5;
    const int32_t x = fx >> 5, y = fy >> 5, u = fx & 31, v = fy & 31;
#pragma unroll
    for (int32_t k = 0; k < DOR_WARP_CHANNELS; k++) {
      if (k == t.channels) break;
      const int32_t sum = (32 - v) * ((32 - u) * corner(t, s, y, x, k) + u * corner(t, s, y, x + 1, k)) +
                          v * ((32 - u) * corner(t, s, y + 1, x, k) + u * corner(t, s, y + 1, x + 1, k));
      to[at * t.channels + k] = cut<T>(normalised(t, (sum + 512) >> 10, k));
    }
  }
}

void warp_affine_run(const dor_call *c)
{
  const dor_warp_attr *a = (const dor_warp_attr *)c->attr;
  const dor_shape from = c->in[0].shape, y = c->out[0].shape;
  warp t = {from.d[1], from.d[2], from.d[3], y.d[1], y.d[2], cu_divide_by(y.d[2]), cu_divide_by(y.d[1]), (int64_t)y.d[0] * y.d[1] * y.d[2], a->mask, {}, {}};
  for (int k = 0; k < DOR_WARP_CHANNELS; k++) t.mean[k] = (float)a->mean[k], t.sd[k] = (float)a->sd[k];
  CU_BY_TYPE(c->out[0].dtype, T,
             CU_LAUNCH(warp_pixels<T>, cu_fleet(c, cu_grid(t.pixels)), CU_BLOCK, 0, c->stream, t, (const uint8_t *)c->in[0].data,
                       (const int32_t *)c->in[1].data, (const int32_t *)c->in[2].data, (T *)c->out[0].data, c->stride))
}

} // namespace

DOR_CUDA_FLEET(warp_affine, cu_countable)
