/* SPDX-License-Identifier: Apache-2.0
 *
 * Small work on pictures that sources, importers and the loader share: resizing
 * by box average, turning, frames at even phase, bytes to floats. */
#ifndef DOR_DATA_PIXELS_H
#define DOR_DATA_PIXELS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Each output pixel is the mean of the input under it, exact in integers, rounded half up. in [h,w,c], out [oh,ow,c]. errors NOMEM */
DOR_MUST dor_status dor_pixels_resize(int32_t h, int32_t w, int32_t c, const uint8_t *in, int32_t oh, int32_t ow, uint8_t *out);

/* Pick n of count frames (n <= count), each the nearest to phase (i + .5) / n that keeps them distinct and in order.
 * phase [count] in order of time; NULL: even in time. out [n] */
void dor_pixels_even(int32_t count, const float *phase, int32_t n, int32_t *out);

/* Turn and mirror by an EXIF orientation, 1 to 8. in [h,w,c]; out [h,w,c], from 5 on [w,h,c] */
void dor_pixels_orient(int32_t h, int32_t w, int32_t c, const uint8_t *in, int orientation, uint8_t *out);

/* 0..255 -> 0..1 (x / 255, correctly rounded) */
void dor_pixels_unit(size_t n, const uint8_t *in, float *out);

#endif
