/* SPDX-License-Identifier: Apache-2.0
 *
 * Direct convolution, NHWC f32, for what Winograd does not take: strides above
 * all, and backward data of those, which is how a transposed convolution runs
 * forward. An indirect matrix product: six output pixels by
 * registers full of output channels, over taps and input channels; pixels
 * outside the image are a run of zeros. No column matrix is ever written.
 *
 *   source  Dukhan, arXiv:1907.02129 (the indirect convolution algorithm) */
#ifndef DOR_KERNELS_DIRECT_H
#define DOR_KERNELS_DIRECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ops/attrs.h"
#include "kernels/kernel.h"

enum { DOR_DIRECT_TAPS = 49, DOR_DIRECT_PHASES = 4, DOR_DIRECT_STRETCH = 96 };

/* Outputs whose sources lie alike: output (i, j) of the phase is y's pixel first + step (i, j), and tap t reads x's
 * pixel source (i, j) + at[t] with weights of kernel position w[t]. */
typedef struct dor_direct_phase {
  int32_t rows, cols, first[2], step, source[2], taps;
  int32_t at[DOR_DIRECT_TAPS][2], w[DOR_DIRECT_TAPS];
  int32_t least[2], most[2];          /* of at */
  ptrdiff_t offset[DOR_DIRECT_TAPS];  /* of at, in floats of x */
  size_t packed; /* where its weights start, in floats */
} dor_direct_phase;

typedef struct dor_direct { /* a plan, immutable: x [N,H,W,C] -> y [N,down,across,K] */
  int32_t n, h, w, c, down, across, k, threads;
  int32_t taps;
  bool back;                /* w is [taps,K,C]: backward data of the convolution that has it */
  int32_t phases;
  dor_direct_phase phase[DOR_DIRECT_PHASES];
  const struct dor_direct_isa *isa;
} dor_direct;

typedef struct dor_direct_tail { /* done to y while it is in registers; every member may be NULL or false */
  const float *scale, *bias, *residual; /* [K], [K], as y: y = scale conv + bias + residual */
  bool relu;
  float *mean, *var;                    /* [K] of what was written, over N and pixels; one phase only */
} dor_direct_tail;

typedef struct dor_direct_isa {
  const char *name;
  int32_t lanes;            /* K must be a multiple */
  void (*run)(const dor_direct *p, const float *x, const float *w, float *y, const dor_direct_tail *tail, void *scratch);
  /* dw [taps,C,K] of a forward plan; the same bits for any number of threads */
  void (*weights)(const dor_direct *p, const float *x, const float *dy, float *dw, void *scratch);
} dor_direct_isa;

extern const dor_direct_isa dor_direct_avx2, dor_direct_avx512;
const dor_direct_isa *dor_direct_find(dor_isa isa); /* NULL: none for it */

/* errors UNSUPPORTED: no such CPU, output channels that are no multiple of its lanes, few input channels, groups, a kernel of 1
 * or more than 49 taps, backward data of a stride above 2 */
DOR_MUST dor_status dor_direct_plan(dor_direct *p, const dor_direct_isa *isa, const dor_conv2d_attr *a, bool back, dor_shape x, dor_shape y, int32_t threads);
size_t dor_direct_bytes(const dor_direct *p); /* of scratch, 64-byte aligned */

/* The same for `weights`, of which x -> y is the convolution: any K. */
DOR_MUST dor_status dor_direct_plan_weights(dor_direct *p, const dor_direct_isa *isa, const dor_conv2d_attr *a, dor_shape x, dor_shape y, int32_t threads);
size_t dor_direct_weights_bytes(const dor_direct *p);

#endif
