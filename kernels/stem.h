/* SPDX-License-Identifier: Apache-2.0
 *
 * The first block of a silhouette net without its map: 3x3 convolution of one
 * channel, batch norm, ReLU, 2x2 max pool, forward and backward.
 *
 * Moments need no map: with G [9,9] the products of a pixel's 9 neighbours
 * summed over all pixels, and s [9] their sums, y = w' x has mean w's / n and
 * mean square w'G w / n. So has the gradient: dy = a g + b y + c with g not 0 at
 * one pixel a window, hence dw = a (sum of g x) + b G w + c s. */
#ifndef DOR_KERNELS_STEM_H
#define DOR_KERNELS_STEM_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/kernel.h"

typedef struct dor_stem {
  int32_t n, h, w, c, threads; /* x [N,H,W,1] -> C channels */
  double eps;
  const struct dor_stem_isa *isa;
} dor_stem;

typedef struct dor_stem_out { /* p, arg [N,H/2,W/2,C]; mean, var [C] */
  float *p;
  uint8_t *arg;
  float *mean, *var;
} dor_stem_out;

typedef struct dor_stem_back {
  const float *dp, *p;
  const uint8_t *arg;
  const float *mean, *var, *gamma;
  float *dw, *dgamma, *dbeta;
} dor_stem_back;

typedef struct dor_stem_isa {
  const char *name;
  int32_t lanes; /* C must be a multiple */
  void (*forward)(const dor_stem *s, const float *x, const float *w, const float *gamma, const float *beta, const dor_stem_out *out, void *scratch);
  void (*backward)(const dor_stem *s, const float *x, const float *w, const dor_stem_back *b, void *scratch);
} dor_stem_isa;

extern const dor_stem_isa dor_stem_plain, dor_stem_avx2, dor_stem_avx512;
size_t dor_stem_bytes(const dor_stem *s); /* of scratch */

#endif
