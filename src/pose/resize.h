/* SPDX-License-Identifier: Apache-2.0
 *
 * How a picture of any size is laid into the network's input at test time, and
 * back. The short side gets the wanted length, the long side the next multiple of
 * 64; one factor for both, about the picture's centre; what is left of the long
 * side is black, half on each end. Equal to the original, its roundings included. */
#ifndef DOR_POSE_RESIZE_H
#define DOR_POSE_RESIZE_H

#include <stdint.h>

#include "base/status.h"
#include "data/warp.h"

enum { DOR_FIT_STEP = 64, DOR_FIT_ASPECT = 16 };

typedef struct dor_fit {
  int32_t w, h;                /* of the input, pixels */
  int32_t centre_x, centre_y;  /* of the picture, pixels */
  double scale_w, scale_h;     /* the part of the picture's plane that the input shows, in 200 pixels */
} dor_fit;

/* The input for a picture [h,w] whose short side becomes `size` at scale 1. `least`: the smallest of the scales in use; sizes
 * are multiples of 64 at that one. errors DATA: a side of 0, or longer than 16 times the other */
DOR_MUST dor_status dor_fit_of(int32_t w, int32_t h, int32_t size, double scale, double least, dor_fit *out);

/* Picture to map [to_h,to_w] that shows the same as the input, and back. Corners count from 0 in both, as OpenCV has it: no half pixels. */
dor_affine dor_fit_matrix(const dor_fit *f, int32_t to_w, int32_t to_h);
dor_affine dor_fit_inverse(const dor_fit *f, int32_t to_w, int32_t to_h);

#endif
