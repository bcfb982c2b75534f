/* SPDX-License-Identifier: Apache-2.0
 *
 * What own convolution kernels share: the geometry of a window between two maps, and numbers whose type is known at run
 * time only (weights and their gradients, which may be of another type than the maps). */
#ifndef DOR_KERNELS_CONV_CUH
#define DOR_KERNELS_CONV_CUH

#include "kernels/index.cuh"
#include "kernels/pack.cuh"

enum { CONV_THREADS = 256, CONV_FAR = -(1 << 29) }; /* FAR: a row or column outside every map, whatever a tap adds */

struct cu_number { const void *at; int32_t dtype; };

__device__ __forceinline__ float cu_get(cu_number p, int64_t i)
{
  if (p.dtype == DOR_F32) return static_cast<const float *>(p.at)[i];
  return p.dtype == DOR_BF16 ? real(static_cast<const bf16 *>(p.at)[i]) : real(static_cast<const f16 *>(p.at)[i]);
}

__device__ __forceinline__ void cu_put(void *at, int32_t dtype, int64_t i, float v)
{
  if (dtype == DOR_F32) static_cast<float *>(at)[i] = v;
  else if (dtype == DOR_BF16) static_cast<bf16 *>(at)[i] = cut<bf16>(v);
  else static_cast<f16 *>(at)[i] = cut<f16>(v);
}

static inline cu_number cu_number_of(const dor_view &v) { return cu_number{v.data, v.dtype}; }
static inline bool cu_is_real(dor_dtype t) { return t == DOR_F32 || t == DOR_BF16 || t == DOR_F16; }

/* Pixels of a map and the window that slides over another one. */
struct window {
  int32_t taps, across;                     /* of the window: all, and in one row */
  int32_t stride[2], pad[2], dilation[2];
  cu_divisor width, height;                 /* of the map whose pixels are counted */
  uint32_t pixels;
};

static inline window window_of(const dor_conv2d_attr *a, dor_shape counted)
{
  window w = {};
  w.taps = a->kernel[0] * a->kernel[1], w.across = a->kernel[1];
  for (int i = 0; i < 2; i++) w.stride[i] = a->stride[i], w.pad[i] = a->pad[i], w.dilation[i] = a->dilation[i];
  w.width = cu_divide_by(counted.d[2]), w.height = cu_divide_by(counted.d[1]);
  w.pixels = (uint32_t)(counted.d[0] * counted.d[1] * counted.d[2]);
  return w;
}

/* A convolution's maps are of one type, its other operands of any, and pixels can be counted in 31 bits. */
static inline dor_status conv_takes(const dor_type *map, const dor_type *other, dor_dtype weights)
{
  DOR_NEED(cu_is_real(map->dtype) && other->dtype == map->dtype && cu_is_real(weights), UNSUPPORTED, "own CUDA convolutions want maps of one type");
  const dor_type *both[2] = {map, other};
  for (int i = 0; i < 2; i++) {
    dor_shape s = both[i]->shape;
    DOR_NEED((int64_t)s.d[0] * s.d[1] * s.d[2] < (int64_t)1 << 31, UNSUPPORTED, "own CUDA convolutions count pixels to 2^31");
  }
  return DOR_OK;
}

#endif
