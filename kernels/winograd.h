/* SPDX-License-Identifier: Apache-2.0
 *
 * 3x3 convolution, stride 1, zero border 1, by Winograd's F(4x4,3x3): forward,
 * backward data (the same with rotated weights) and backward weights. NHWC f32.
 * One source (winograd_body.h) is compiled for AVX2 and for AVX-512.
 *
 *   source  Lavin & Gray, arXiv:1509.09308 (the transforms, points 0 +-1 +-2)
 *   error   about 10x that of a direct f32 sum: 2e-6 .. 2e-5 of the largest value */
#ifndef DOR_KERNELS_WINOGRAD_H
#define DOR_KERNELS_WINOGRAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct dor_winograd {  /* a plan, immutable: x [N,H,W,C] -> y [N,H,W,K] */
  int32_t n, h, w, c, k;
  int32_t down, across;        /* 4x4 output tiles per image */
  int64_t tiles;               /* of all images */
  int32_t block;               /* tiles transformed together */
  int32_t threads;
  bool team;                   /* all threads share each block (few tiles, many channels); else each has its own */
  bool strips;                 /* instead: all tiles are one block, and each thread makes strips of output channels (fewest tiles) */
  int32_t chunk, strip;        /* channels of x and of y in a product of strips; otherwise C and K */
  size_t u_plane;              /* floats between two of the 36 planes of transformed weights [C,K], or [chunk,strip] */
  size_t v_plane, m_plane;     /* the same of transformed tiles [block,chunk] and [block,strip] */
  size_t member;               /* floats of one member's own: tiles of both kinds, or a strip's weights and outputs */
  const struct dor_winograd_isa *isa;
} dor_winograd;

typedef struct dor_winograd_tail { /* done to y while it is in registers; every member may be NULL or false */
  const float *scale, *bias, *residual; /* [K], [K], as y: y = scale conv + bias + residual */
  bool relu;
  float *mean, *var;               /* [K] of what was written, over N, H and W; var is divided by the count */
} dor_winograd_tail;

typedef struct dor_winograd_isa {
  const char *name;
  int32_t lanes;               /* C and K must be multiples of it */
  /* w [3,3,C,K]; when `rotate`, w [3,3,K,C] of the convolution whose backward data this is */
  void (*forward)(const dor_winograd *p, const float *x, const float *w, bool rotate, float *y, const dor_winograd_tail *tail, float *scratch);
  void (*weights)(const dor_winograd *p, const float *x, const float *dy, float *dw, float *scratch); /* dw [3,3,C,K] */
} dor_winograd_isa;

extern const dor_winograd_isa dor_winograd_avx2, dor_winograd_avx512;
const dor_winograd_isa *dor_winograd_find(void); /* the best this machine runs; NULL when there is none */

/* errors UNSUPPORTED: no such CPU, or channels that are no multiple of its lanes */
DOR_MUST dor_status dor_winograd_plan(dor_winograd *p, const dor_winograd_isa *isa, int32_t n, int32_t h, int32_t w, int32_t c, int32_t k, int32_t threads);
size_t dor_winograd_u_floats(const dor_winograd *p);      /* of transformed weights, all members' */
size_t dor_winograd_d_floats(const dor_winograd *p);      /* of their gradients */
size_t dor_winograd_forward_bytes(const dor_winograd *p); /* of scratch, 64-byte aligned */
size_t dor_winograd_weights_bytes(const dor_winograd *p);

#endif
