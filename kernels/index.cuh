/* SPDX-License-Identifier: Apache-2.0
 *
 * From the number of an element to its place in another tensor, without a
 * division on the device: numbers below 2^31 are divided by multiplication
 * (Granlund & Montgomery, PLDI 1994, with the rounded-up multiplier). */
#ifndef DOR_KERNELS_INDEX_CUH
#define DOR_KERNELS_INDEX_CUH

#include "kernels/cuda.cuh"

#ifndef __CUDACC__
#define __grid_constant__ /* a parameter that is never written: no copy is made to index it */
#endif

struct cu_divisor { uint32_t by, factor, shift; };

static inline cu_divisor cu_divide_by(int64_t d) /* 1 <= d < 2^31 */
{
  uint32_t shift = 0;
  while ((int64_t)1 << shift < d) shift++;
  uint64_t factor = ((uint64_t)1 << 32) * (((uint64_t)1 << shift) - (uint64_t)d) / (uint64_t)d + 1;
  return cu_divisor{(uint32_t)d, (uint32_t)factor, shift};
}

__device__ __forceinline__ uint32_t cu_div(uint32_t n, cu_divisor d) /* n < 2^31 */
{
  return ((uint32_t)((uint64_t)n * d.factor >> 32) + n) >> d.shift;
}

/* n = the quotient; returns the rest */
__device__ __forceinline__ uint32_t cu_rest(uint32_t &n, cu_divisor d)
{
  uint32_t q = cu_div(n, d), rest = n - q * d.by;
  n = q;
  return rest;
}

/* A walk over axes, the last one fastest: element i lies at the sum of coordinate times step. */
struct cu_axes {
  int32_t n;
  cu_divisor size[DOR_MAX_DIMS];
  int64_t step[DOR_MAX_DIMS];
};

__device__ __forceinline__ int64_t cu_place(const cu_axes &a, uint32_t i)
{
  int64_t at = 0;
  for (int32_t k = a.n - 1; k > 0; k--) at += cu_rest(i, a.size[k]) * a.step[k];
  return at + i * a.step[0];
}

/* Put an axis outside those already there, or make it part of the outermost where it just continues that one. Axes of size 1 vanish,
 * unless there is no other. */
static inline void cu_outer(cu_axes *a, int64_t size, int64_t step)
{
  bool empty = a->n == 1 && a->size[0].by == 1;
  if (size == 1 && a->n) return;
  if (a->n && !empty && a->step[0] * a->size[0].by == step) {
    a->size[0] = cu_divide_by(a->size[0].by * size);
    return;
  }
  if (!empty)
    for (int32_t k = a->n++; k > 0; k--) a->size[k] = a->size[k - 1], a->step[k] = a->step[k - 1];
  a->size[0] = cu_divide_by(size);
  a->step[0] = step;
}

/* Kernels that find their place this way take tensors of fewer than 2^31 elements. */
static inline dor_status cu_countable(const dor_prep *p, void **, size_t *)
{
  for (int32_t i = 0; i < p->nin + p->nout; i++) {
    int64_t n = dor_shape_size((i < p->nin ? p->in[i] : p->out[i - p->nin]).shape);
    DOR_NEED(n < (int64_t)1 << 31, UNSUPPORTED, "a tensor of %lld elements, own CUDA kernels count to 2^31", (long long)n);
  }
  return DOR_OK;
}

#endif
