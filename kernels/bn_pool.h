/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch normalisation, ReLU and 2x2 max pooling in one pass over the map, and
 * backward in two: at the size of silhouettes these are bound by memory, so what
 * counts is how often the map is read and written. Also plain channel moments.
 *
 *   y [N,H,W,C]   p, arg [N,H/2,W/2,C] (an odd last row or column is in no window) */
#ifndef DOR_KERNELS_BN_POOL_H
#define DOR_KERNELS_BN_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/kernel.h"

typedef struct dor_bn_pool {
  int32_t n, h, w, c, threads;
  float eps;
  const struct dor_bn_pool_isa *isa;
} dor_bn_pool;

typedef struct dor_bn { /* [C] each */
  const float *mean, *var, *gamma, *beta;
} dor_bn;

typedef struct dor_bn_pool_isa {
  const char *name;
  int32_t lanes; /* C must be a multiple */
  void (*moments)(const dor_bn_pool *s, const float *y, float *mean, float *var, void *scratch);
  void (*forward)(const dor_bn_pool *s, const float *y, const dor_bn *bn, float *p, uint8_t *arg, void *scratch);
  void (*backward)(const dor_bn_pool *s, const float *dp, const uint8_t *arg, const float *p, const float *y, const dor_bn *bn, float *dy, float *dgamma,
                   float *dbeta, void *scratch); /* bn's beta is not read */
} dor_bn_pool_isa;

extern const dor_bn_pool_isa dor_bn_pool_plain, dor_bn_pool_avx2, dor_bn_pool_avx512;
const dor_bn_pool_isa *dor_bn_pool_find(dor_isa isa, int32_t channels); /* the best that takes so many channels; plain takes all */
size_t dor_bn_pool_bytes(const dor_bn_pool *s);                         /* of scratch */

#endif
