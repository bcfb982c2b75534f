/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch norm of inference as a factor and a shift for each channel, which the
 * convolutions apply while an output is in registers. Made in every step: a few
 * numbers a channel, so that one program serves whatever parameters it is given. */
#ifndef DOR_KERNELS_AFFINE_H
#define DOR_KERNELS_AFFINE_H

#include <math.h>

#include "kernels/kernel.h"
#include "ops/attrs.h"

typedef struct dor_affine { float *scale, *shift; } dor_affine; /* y = scale conv + shift */

static inline size_t dor_affine_bytes(int32_t channels) { return ((size_t)channels + 15) / 16 * 16 * 2 * sizeof(float); }

/* From inputs 2..5 (mean, var, gamma, beta) of a conv2d_affine, into `to` of dor_affine_bytes. */
static inline dor_affine dor_affine_fold(const dor_call *c, float *to)
{
  double eps = ((const dor_affine_attr *)c->attr)->eps;
  int32_t n = c->out[0].shape.d[3];
  dor_affine f = {to, to + (n + 15) / 16 * 16};
  const float *mean = c->in[2].data, *var = c->in[3].data, *gamma = c->in[4].data, *beta = c->in[5].data;
  for (int32_t k = 0; k < n; k++) {
    f.scale[k] = (float)((double)gamma[k] / sqrt((double)var[k] + eps));
    f.shift[k] = beta[k] - mean[k] * f.scale[k];
  }
  return f;
}

#endif
