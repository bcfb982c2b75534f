/* SPDX-License-Identifier: Apache-2.0
 *
 * The inner loop of own products and convolutions: a tile of 4 rows by 16 columns
 * (or 8 by 8) held in registers, acc[i][.] += a_i[k] b[k][.]. Inlined into bodies
 * that are compiled for each instruction set. */
#ifndef DOR_KERNELS_TILE_H
#define DOR_KERNELS_TILE_H

#include <stdint.h>

typedef float dor_v8 __attribute__((vector_size(32)));
typedef float dor_v8u __attribute__((vector_size(32), aligned(4), may_alias)); /* anywhere in memory */

typedef int32_t dor_v8i __attribute__((vector_size(32)));

enum { DOR_TILE_ROWS = 4, DOR_TILE_COLUMNS = 16 };
#define DOR_TILE_FN static inline __attribute__((always_inline))

DOR_TILE_FN void dor_tile16(dor_v8 acc[4][2], const float *const a[4], int64_t step, const float *b, int64_t ldb, int64_t n)
{
  dor_v8 c00 = acc[0][0], c01 = acc[0][1], c10 = acc[1][0], c11 = acc[1][1];
  dor_v8 c20 = acc[2][0], c21 = acc[2][1], c30 = acc[3][0], c31 = acc[3][1];
  const float *a0 = a[0], *a1 = a[1], *a2 = a[2], *a3 = a[3];
  for (int64_t k = 0; k < n; k++, b += ldb) {
    dor_v8 b0 = *(const dor_v8u *)b, b1 = *(const dor_v8u *)(b + 8);
    float x0 = a0[k * step], x1 = a1[k * step], x2 = a2[k * step], x3 = a3[k * step];
    c00 += x0 * b0, c01 += x0 * b1;
    c10 += x1 * b0, c11 += x1 * b1;
    c20 += x2 * b0, c21 += x2 * b1;
    c30 += x3 * b0, c31 += x3 * b1;
  }
  acc[0][0] = c00, acc[0][1] = c01, acc[1][0] = c10, acc[1][1] = c11;
  acc[2][0] = c20, acc[2][1] = c21, acc[3][0] = c30, acc[3][1] = c31;
}

DOR_TILE_FN void dor_tile8(dor_v8 acc[8], const float *const a[8], int64_t step, const float *b, int64_t ldb, int64_t n)
{
  dor_v8 c0 = acc[0], c1 = acc[1], c2 = acc[2], c3 = acc[3], c4 = acc[4], c5 = acc[5], c6 = acc[6], c7 = acc[7];
  for (int64_t k = 0; k < n; k++, b += ldb) {
    dor_v8 x = *(const dor_v8u *)b;
    c0 += a[0][k * step] * x, c1 += a[1][k * step] * x, c2 += a[2][k * step] * x, c3 += a[3][k * step] * x;
    c4 += a[4][k * step] * x, c5 += a[5][k * step] * x, c6 += a[6][k * step] * x, c7 += a[7][k * step] * x;
  }
  acc[0] = c0, acc[1] = c1, acc[2] = c2, acc[3] = c3, acc[4] = c4, acc[5] = c5, acc[6] = c6, acc[7] = c7;
}

#endif
