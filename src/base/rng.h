/* SPDX-License-Identifier: Apache-2.0
 *
 * Counter-based random numbers, Philox4x32-10 (Salmon et al., SC'11): the same
 * integers on CPU and GPU, in any thread order, with no state to save.
 * key = seed and purpose, counter = (where, element). Header-only, also for nvcc. */
#ifndef DOR_BASE_RNG_H
#define DOR_BASE_RNG_H

#include <stdint.h>

#ifdef __CUDACC__
#define DOR_RNG_FN static inline __host__ __device__
#else
#define DOR_RNG_FN static inline
#endif

typedef struct dor_rng4 { uint32_t v[4]; } dor_rng4;

DOR_RNG_FN dor_rng4 dor_philox(uint64_t key, uint64_t hi, uint64_t lo)
{
  uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
  uint32_t c0 = (uint32_t)lo, c1 = (uint32_t)(lo >> 32), c2 = (uint32_t)hi, c3 = (uint32_t)(hi >> 32);
  for (int round = 0; round < 10; round++) {
    uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
    c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
    c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
    c1 = (uint32_t)p1;
    c3 = (uint32_t)p0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  dor_rng4 r;
  r.v[0] = c0, r.v[1] = c1, r.v[2] = c2, r.v[3] = c3;
  return r;
}

/* Combine a seed with the hash of a purpose into a key. */
DOR_RNG_FN uint64_t dor_rng_key(uint64_t seed, uint64_t purpose)
{
  uint64_t z = seed * 0x9E3779B97F4A7C15u + purpose;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

/* The high counter of what is drawn in an update and its part of the batch. */
DOR_RNG_FN uint64_t dor_rng_where(uint64_t step, uint64_t micro) { return step << 16 ^ micro; }

/* Uniform in [0, 1), 24 bits: exact in float. */
DOR_RNG_FN float dor_rng_unit(uint32_t bits) { return (float)(bits >> 8) * (1.0f / 16777216.0f); }

/* A stream for host code that wants one number after another (synth, bootstrap, shuffles). */
typedef struct dor_rng {
  uint64_t key, hi, lo;
  dor_rng4 block;
  int32_t left;
} dor_rng;

DOR_RNG_FN dor_rng dor_rng_stream(uint64_t seed, uint64_t purpose, uint64_t where)
{
  dor_rng r;
  r.key = dor_rng_key(seed, purpose), r.hi = where, r.lo = 0, r.left = 0;
  r.block.v[0] = r.block.v[1] = r.block.v[2] = r.block.v[3] = 0;
  return r;
}

DOR_RNG_FN uint32_t dor_rng_u32(dor_rng *r)
{
  if (!r->left) r->block = dor_philox(r->key, r->hi, r->lo++), r->left = 4;
  return r->block.v[--r->left];
}

DOR_RNG_FN double dor_rng_real(dor_rng *r) /* uniform in [0, 1), 53 bits */
{
  uint64_t hi = dor_rng_u32(r), lo = dor_rng_u32(r);
  return (double)((hi << 21) ^ (lo >> 11)) * 0x1p-53;
}

double dor_rng_normal(dor_rng *r);                              /* mean 0, sd 1 (Box-Muller) */
uint32_t dor_rng_below(dor_rng *r, uint32_t n);                 /* uniform in [0, n), unbiased */
void dor_rng_shuffle(dor_rng *r, int32_t *index, int32_t n);    /* Fisher-Yates */

#endif
