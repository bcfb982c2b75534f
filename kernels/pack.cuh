/* SPDX-License-Identifier: Apache-2.0
 *
 * Several stored numbers in one access, up to 16 bytes of them, as floats; and
 * numbers that are only moved, in units of any such size. The caller says by
 * cu_aligned() on the host whether its addresses allow it. */
#ifndef DOR_KERNELS_PACK_CUH
#define DOR_KERNELS_PACK_CUH

#include "kernels/cuda.cuh"

/* BYTES of memory that move as one. */
template <int BYTES> struct cu_unit;
template <> struct __attribute__((may_alias, aligned(1))) cu_unit<1> { uint8_t w[1]; };
template <> struct __attribute__((may_alias, aligned(2))) cu_unit<2> { uint16_t w[1]; };
template <> struct __attribute__((may_alias, aligned(4))) cu_unit<4> { uint32_t w[1]; };
template <> struct __attribute__((may_alias, aligned(8))) cu_unit<8> { uint32_t w[2]; };
template <> struct __attribute__((may_alias, aligned(16))) cu_unit<16> { uint32_t w[4]; };

/* The numbers of a type that one thread takes where it can: 16 bytes. */
template <class T> constexpr int cu_lanes = 16 / (int)sizeof(T);

/* How many bytes one access of N numbers of type T moves. */
template <int N, class T> constexpr int cu_access = N * (int)sizeof(T) < 16 ? N * (int)sizeof(T) : 16;

template <int N, class T> __device__ __forceinline__ void cu_load(const T *from, float (&v)[N])
{
  constexpr int B = cu_access<N, T>, K = B / (int)sizeof(T);
#pragma unroll
  for (int i = 0; i < N; i += K) {
    cu_unit<B> unit = *reinterpret_cast<const cu_unit<B> *>(from + i);
    T t[K];
    memcpy(t, &unit, B);
#pragma unroll
    for (int k = 0; k < K; k++) v[i + k] = real(t[k]);
  }
}

template <int N, class T> __device__ __forceinline__ void cu_store(T *to, const float (&v)[N])
{
  constexpr int B = cu_access<N, T>, K = B / (int)sizeof(T);
#pragma unroll
  for (int i = 0; i < N; i += K) {
    T t[K];
#pragma unroll
    for (int k = 0; k < K; k++) t[k] = cut<T>(v[i + k]);
    cu_unit<B> unit;
    memcpy(&unit, t, B);
    *reinterpret_cast<cu_unit<B> *>(to + i) = unit;
  }
}

static inline bool cu_aligned(const void *p) { return (uintptr_t)p % 16 == 0; }

#endif
