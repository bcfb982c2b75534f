/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"

#include <math.h>

double dor_rng_normal(dor_rng *r)
{
  double u = 1.0 - dor_rng_real(r), v = dor_rng_real(r); /* u in (0, 1]: its logarithm is finite */
  return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

uint32_t dor_rng_below(dor_rng *r, uint32_t n)
{
  uint32_t reject = n ? (0u - n) % n : 0; /* 2^32 mod n: values below it would favour the small ones (Lemire 2019) */
  for (;;) {
    uint64_t m = (uint64_t)dor_rng_u32(r) * n;
    if ((uint32_t)m >= reject) return (uint32_t)(m >> 32);
  }
}

void dor_rng_shuffle(dor_rng *r, int32_t *index, int32_t n)
{
  for (int32_t i = n - 1; i > 0; i--) {
    int32_t j = (int32_t)dor_rng_below(r, (uint32_t)i + 1), t = index[i];
    index[i] = index[j];
    index[j] = t;
  }
}
