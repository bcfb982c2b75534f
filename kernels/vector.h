/* SPDX-License-Identifier: Apache-2.0
 *
 * Vectors of LANES floats by GCC's vector types, and the sharing of work among
 * threads, for kernels that are compiled once per instruction set. Included by
 * files that define LANES. */
#ifndef DOR_KERNELS_VECTOR_H
#define DOR_KERNELS_VECTOR_H

#include <omp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if LANES > 1
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef float loose __attribute__((vector_size(4 * LANES), aligned(4), may_alias)); /* in memory, any address */
typedef int32_t mask __attribute__((vector_size(4 * LANES)));

INLINE vec load(const float *p) { return *(const loose *)p; }
INLINE void store(float *p, vec v) { *(loose *)p = v; }
INLINE vec splat(float x) { return x - (vec){0}; }
INLINE vec keep(mask m, vec v) { return (vec)(m & (mask)v); } /* v where m, else 0 */
INLINE vec positive(vec v) { return keep(v > 0, v); }

/* What GCC's vector types cannot say; one lane is the portable build. */
#if LANES == 16
INLINE vec at_least(vec v, vec least) { return (vec)_mm512_max_ps((__m512)least, (__m512)v); } /* NaN stays NaN */
INLINE vec pick(mask m, vec a, vec b) { return (vec)_mm512_mask_blend_ps(_mm512_movepi32_mask((__m512i)m), (__m512)b, (__m512)a); } /* m ? a : b */
INLINE mask load_bytes(const uint8_t *p) { return (mask)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i_u *)p)); }
INLINE void store_bytes(uint8_t *p, mask v) { _mm_storeu_si128((__m128i_u *)p, _mm512_cvtepi32_epi8((__m512i)v)); }
#elif LANES == 8
INLINE vec at_least(vec v, vec least) { return (vec)_mm256_max_ps((__m256)least, (__m256)v); }
INLINE vec pick(mask m, vec a, vec b) { return (vec)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)m); }
INLINE mask load_bytes(const uint8_t *p) { return (mask)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i_u *)p)); }
INLINE void store_bytes(uint8_t *p, mask v)
{
  __m128i words = _mm_packs_epi32(_mm256_castsi256_si128((__m256i)v), _mm256_extracti128_si256((__m256i)v, 1));
  _mm_storel_epi64((__m128i_u *)p, _mm_packus_epi16(words, words));
}
#else
INLINE vec at_least(vec v, vec least) { return (vec){v[0] < least[0] ? least[0] : v[0]}; }
INLINE vec pick(mask m, vec a, vec b) { return (vec)((m & (mask)a) | (~m & (mask)b)); }
INLINE mask load_bytes(const uint8_t *p) { return (mask){*p}; }
INLINE void store_bytes(uint8_t *p, mask v) { *p = (uint8_t)v[0]; }
#endif

/* Float sums of a stretch go into double ones, so that their error does not grow with the data. */
INLINE void add_sums(double *sums, vec v)
{
  for (int32_t l = 0; l < LANES; l++) sums[l] += (double)v[l];
}

typedef struct part { /* one thread's place */
  int32_t rank, size;
} part;

typedef struct span {
  int64_t from, to;
} span;

INLINE span share(int64_t n, part p) { return (span){n * p.rank / p.size, n * (p.rank + 1) / p.size}; }

INLINE void wait_for_all(part p)
{
  if (p.size > 1) {
#pragma omp barrier
  }
}

/* One region for the whole job; none for one thread. */
INLINE void run_parts(const void *job, int32_t threads, void (*work)(const void *job, part me))
{
  if (threads == 1) {
    work(job, (part){0, 1});
    return;
  }
#pragma omp parallel num_threads(threads)
  work(job, (part){omp_get_thread_num(), omp_get_num_threads()});
}

#endif
