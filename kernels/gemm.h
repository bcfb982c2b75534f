/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrix products of own kernels: C [m,n] = A B (+ bias) (max 0), with A read at
 * any strides and the rows of B contiguous. Register tiles; the same bits for
 * any thread count. */
#ifndef DOR_KERNELS_GEMM_H
#define DOR_KERNELS_GEMM_H

#include <stdbool.h>
#include <stdint.h>

typedef struct dor_gemm {
  int64_t m, n, k;
  const float *a;
  int64_t row, step;  /* A[i][p] = a[i row + p step] */
  const float *b;     /* [k,n] */
  float *c;           /* [m,n] */
  const float *bias;  /* [n] or NULL */
  bool relu;
} dor_gemm;

void dor_gemm_run(int32_t threads, const dor_gemm *g);

/* out [n,m] = in [m,n] transposed */
void dor_transpose_to(const float *in, int64_t m, int64_t n, float *out);

#endif
