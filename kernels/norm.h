/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch norm over rows of C channels with what stands around it in a net: ReLU
 * and residual forward in one pass, and backward in two. These are bound by
 * memory: what counts is how often a map is read and written. */
#ifndef DOR_KERNELS_NORM_H
#define DOR_KERNELS_NORM_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/kernel.h"

enum { DOR_NORM_PIECES = 16 }; /* of rows: sums within each, then of all in their order */

typedef struct dor_norm {
  int64_t rows;
  int32_t c, threads;
  double eps;
  const struct dor_norm_isa *isa;
} dor_norm;

typedef struct dor_norm_isa {
  const char *name;
  int32_t lanes; /* C must be a multiple */
  /* y = max(a x + b + r, 0); r may be NULL; a, b [C] */
  void (*forward)(const dor_norm *s, const float *x, const float *a, const float *b, const float *r, bool relu, float *y);
  /* y: of the ReLU whose gradient dy is, or NULL */
  void (*backward)(const dor_norm *s, const float *dy, const float *x, const float *y, const float *mean, const float *var, const float *gamma, float *dx,
                   float *dgamma, float *dbeta, void *scratch);
} dor_norm_isa;

extern const dor_norm_isa dor_norm_plain, dor_norm_avx2, dor_norm_avx512;

#endif
