/* SPDX-License-Identifier: Apache-2.0 */
#include "pose/resize.h"

#include <math.h>

/* a long side at the smallest scale: up to the next multiple of 64 */
static double stepped(double side) { return floor((side + DOR_FIT_STEP - 1) / DOR_FIT_STEP) * DOR_FIT_STEP; }

dor_status dor_fit_of(int32_t w, int32_t h, int32_t size, double scale, double least, dor_fit *out)
{
  DOR_NEED(w > 0 && h > 0 && w / DOR_FIT_ASPECT <= h && h / DOR_FIT_ASPECT <= w, DATA, "a picture of %d x %d; one side may be at most %d times the other", w, h,
           DOR_FIT_ASPECT);
  double s = trunc(stepped(least * size));
  double short_side = w < h ? w : h, long_side = w < h ? h : w;
  double fit_short = trunc(s * scale / least), fit_long = trunc(trunc(stepped(s / short_side * long_side)) * scale / least);
  *out = (dor_fit){.centre_x = (int32_t)(w / 2.0 + 0.5), .centre_y = (int32_t)(h / 2.0 + 0.5)};
  if (w < h) {
    out->w = (int32_t)fit_short, out->h = (int32_t)fit_long;
    out->scale_w = w / 200.0;
    out->scale_h = fit_long / fit_short * w / 200.0;
  } else {
    out->w = (int32_t)fit_long, out->h = (int32_t)fit_short;
    out->scale_w = fit_long / fit_short * h / 200.0;
    out->scale_h = h / 200.0;
  }
  return DOR_OK;
}

/* The original solves for the matrix from three points kept in single precision: the centre, half a width above it, and that turned
 * by a right angle. Without rotation this leaves a factor for each axis, and the rounding of the points is in both. */
typedef struct points { double x, y, reach_x, reach_y; } points;

static points of_picture(const dor_fit *f)
{
  float x = (float)f->centre_x, y = (float)f->centre_y, above = (float)(f->centre_y - f->scale_w * 200.0 * 0.5);
  float beside = x - (y - above);
  return (points){(double)x, (double)y, (double)x - (double)beside, (double)y - (double)above};
}

static points of_map(int32_t w, int32_t h) { return (points){w * 0.5, h * 0.5, w * 0.5, w * 0.5}; }

static dor_affine between(points from, points to)
{
  double x = to.reach_x / from.reach_x, y = to.reach_y / from.reach_y;
  return (dor_affine){{x, 0, to.x - x * from.x, 0, y, to.y - y * from.y}};
}

dor_affine dor_fit_matrix(const dor_fit *f, int32_t to_w, int32_t to_h) { return between(of_picture(f), of_map(to_w, to_h)); }
dor_affine dor_fit_inverse(const dor_fit *f, int32_t to_w, int32_t to_h) { return between(of_map(to_w, to_h), of_picture(f)); }
