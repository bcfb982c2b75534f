/* SPDX-License-Identifier: Apache-2.0
 *
 * What every .cu file includes. nvcc builds it for a GPU; g++ builds the same text over cuemu.h, which runs kernels on
 * the CPU, so that a machine without a GPU checks them against the definitions.
 *
 * Rules: launch by CU_LAUNCH on c->stream, dynamic shared memory by CU_DYN_SHARED; read c->step inside kernels only (it
 * lies in device memory, because a captured graph is replayed while it changes); arithmetic in float whatever the
 * storage; no float atomics: sums are reduced in a fixed order, in two stages where one block does not do. */
#ifndef DOR_KERNELS_CUDA_CUH
#define DOR_KERNELS_CUDA_CUH

#include <cmath>
#include <cstdint>
#include <cstring>

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#define CU_LAUNCH(kernel, grid, block, shared, stream, ...) kernel<<<(grid), (block), (shared), (cudaStream_t)(stream)>>>(__VA_ARGS__)
#define CU_DYN_SHARED(T, name)                                \
  extern __shared__ __align__(16) unsigned char cu_dynamic[]; \
  T *name = reinterpret_cast<T *>(cu_dynamic)
#else
#include "kernels/cuemu.h"
#endif

extern "C" {
#include "kernels/kernel.h"
#include "ops/attrs.h"
}
#include "kernels/scalar.h"

/* Stored numbers: a value of type T is read by real() and written by cut<T>(), nearest, ties to even. */
struct bf16 { uint16_t bits; };
struct f16 { uint16_t bits; };

__device__ __forceinline__ float real(float x) { return x; }
__device__ __forceinline__ float real(bf16 x) { return __uint_as_float((uint32_t)x.bits << 16); }
#ifdef __CUDACC__
__device__ __forceinline__ float real(f16 x) { return __half2float(__ushort_as_half(x.bits)); }
#else
static inline float real(f16 x) { return cuemu::half_to_float(x.bits); }
#endif

template <class T> __device__ __forceinline__ T cut(float x);
template <> __device__ __forceinline__ float cut<float>(float x) { return x; }
template <> __device__ __forceinline__ bf16 cut<bf16>(float x)
{
  uint32_t u = __float_as_uint(x);
  if ((u & 0x7fffffffu) > 0x7f800000u) return bf16{0x7fff};
  return bf16{(uint16_t)((u + 0x7fffu + (u >> 16 & 1u)) >> 16)};
}
#ifdef __CUDACC__
template <> __device__ __forceinline__ f16 cut<f16>(float x) { return f16{__half_as_ushort(__float2half_rn(x))}; }
#else
template <> inline f16 cut<f16>(float x) { return f16{cuemu::float_to_half(x)}; }
#endif

/* CU_BY_TYPE(c->in[0].dtype, T, launch<T>(...)): the statement with T as float, bf16 or f16. */
#define CU_BY_TYPE(dtype, T, ...)                   \
  switch (dtype) {                                  \
    case DOR_BF16: { typedef bf16 T; __VA_ARGS__; break; }  \
    case DOR_F16: { typedef f16 T; __VA_ARGS__; break; }    \
    default: { typedef float T; __VA_ARGS__; }      \
  }

enum { CU_BLOCK = 256 };

/* Blocks of CU_BLOCK threads for n elements; kernels stride by cu_stride() where the grid is too small. */
static inline dim3 cu_grid(int64_t n)
{
  int64_t blocks = (n + CU_BLOCK - 1) / CU_BLOCK;
  return dim3((unsigned)(blocks < 1 ? 1 : blocks > 65535 ? 65535 : blocks));
}
__device__ __forceinline__ int64_t cu_first() { return (int64_t)blockIdx.x * blockDim.x + threadIdx.x; }
__device__ __forceinline__ int64_t cu_stride() { return (int64_t)gridDim.x * blockDim.x; }

__device__ __forceinline__ float cu_warp_sum(float v)
{
  for (int o = 16; o; o >>= 1) v += __shfl_xor_sync(0xffffffffu, v, o);
  return v;
}

/* The sum over a block, in every thread; all threads of the block must come. The same order, so the same bits, each time. */
static __device__ __forceinline__ float cu_block_sum(float v)
{
  __shared__ float part[32];
  unsigned lane = threadIdx.x & 31u, warp = threadIdx.x >> 5, warps = (blockDim.x + 31u) >> 5;
  v = cu_warp_sum(v);
  __syncthreads(); /* part may still be read from the last call */
  if (!lane) part[warp] = v;
  __syncthreads();
  return cu_warp_sum(lane < warps ? part[lane] : 0.0f);
}

/* A fleet: blocks of plane z work for model z, whose memory lies z strides behind the first one's. A kernel offered by DOR_CUDA_FLEET
 * is launched on cu_fleet(c, grid) and begins with cu_to_model(stride, its pointers...). */
static inline dim3 cu_fleet(const dor_call *c, dim3 grid)
{
  grid.z = c->models > 1 ? (unsigned)c->models : 1u;
  return grid;
}
template <class T> __device__ __forceinline__ void cu_move(size_t by, T *&p) { p = p ? (T *)((uintptr_t)p + by) : p; }
template <class... T> __device__ __forceinline__ void cu_to_model(size_t stride, T *&...p) { (cu_move(blockIdx.z * stride, p), ...); }

/* An own kernel: DOR_CUDA(relu) offers relu_run as relu_cuda; DOR_CUDA_SCRATCH adds a prepare that asks for scratch or declines. */
#define DOR_CUDA_KERNEL(op, prepare, fleet)                                                                   \
  extern "C" {                                                                                                \
  extern const dor_kernel op##_cuda;                                                                          \
  const dor_kernel op##_cuda = {#op "_cuda", prepare, nullptr, op##_run, nullptr, nullptr, nullptr, fleet, true}; \
  }
#define DOR_CUDA_SCRATCH(op, prepare) DOR_CUDA_KERNEL(op, prepare, false)
#define DOR_CUDA_FLEET(op, prepare) DOR_CUDA_KERNEL(op, prepare, true)
#define DOR_CUDA(op) DOR_CUDA_SCRATCH(op, nullptr)

#endif
