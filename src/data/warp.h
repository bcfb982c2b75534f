/* SPDX-License-Identifier: Apache-2.0
 *
 * Affine maps between pictures, and the integer paths that the op warp_affine
 * (ops/warp_affine.c) follows: training's random crops and the test-time resize
 * are the same op with other paths. Matrices are double and map from the picture
 * to the output, as cv2.warpAffine takes them. */
#ifndef DOR_DATA_WARP_H
#define DOR_DATA_WARP_H

#include <stdbool.h>
#include <stdint.h>

#include "ops/attrs.h"

typedef struct dor_affine { double m[6]; } dor_affine; /* x' = m0 x + m1 y + m2; y' = m3 x + m4 y + m5 */

/* The inverse, by the operations of OpenCV in their order; of a singular one: all zeros. */
dor_affine dor_affine_inverse(dor_affine a);
void dor_affine_apply(const dor_affine *a, double x, double y, double out[2]);

/* `a` for a picture whose pixels are the means of sx x sy of the one it was made for. */
dor_affine dor_affine_reduced(const dor_affine *a, double sx, double sy);

/* A square of `side` source pixels about (x, y), turned by deg, onto h x w: HigherHRNet's training crop. */
dor_affine dor_affine_crop(double x, double y, double side, double deg, int32_t h, int32_t w);

/* The `path` [2(h+w)] of one picture for warp_affine. mirror: the output's columns in reverse order, exactly. */
void dor_warp_path(const dor_affine *a, int32_t h, int32_t w, bool mirror, int32_t *path);

/* RGB at h x w, normalised by the moments of ImageNet's pictures: what the networks take. */
dor_warp_attr dor_warp_rgb(int32_t h, int32_t w);

#endif
