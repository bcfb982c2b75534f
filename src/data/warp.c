/* SPDX-License-Identifier: Apache-2.0 */
#include "data/warp.h"

#include <math.h>

static const double DEG = 3.14159265358979323846 / 180;

dor_affine dor_affine_inverse(dor_affine a)
{
  const double *m = a.m;
  double d = m[0] * m[4] - m[1] * m[3];
  d = d != 0 ? 1 / d : 0;
  dor_affine r = {{m[4] * d, m[1] * -d, 0, m[3] * -d, m[0] * d, 0}};
  r.m[2] = -r.m[0] * m[2] - r.m[1] * m[5];
  r.m[5] = -r.m[3] * m[2] - r.m[4] * m[5];
  return r;
}

void dor_affine_apply(const dor_affine *a, double x, double y, double out[2])
{
  out[0] = a->m[0] * x + a->m[1] * y + a->m[2];
  out[1] = a->m[3] * x + a->m[4] * y + a->m[5];
}

dor_affine dor_affine_reduced(const dor_affine *a, double sx, double sy)
{
  const double *m = a->m, x = 0.5 * sx - 0.5, y = 0.5 * sy - 0.5; /* the middle of the first pixel */
  return (dor_affine){{m[0] * sx, m[1] * sy, m[0] * x + m[1] * y + m[2], m[3] * sx, m[4] * sy, m[3] * x + m[4] * y + m[5]}};
}

/* Scale and shift the square onto the output, then turn it about the output's middle. */
dor_affine dor_affine_crop(double x, double y, double side, double deg, int32_t h, int32_t w)
{
  const double sx = w / side, sy = h / side, tx = w * (-x / side + .5), ty = h * (-y / side + .5);
  const double co = cos(-deg * DEG), si = sin(-deg * DEG), mx = w / 2.0, my = h / 2.0;
  if (deg == 0) return (dor_affine){{sx, 0, tx, 0, sy, ty}};
  return (dor_affine){{co * sx, -si * sy, co * (tx - mx) - si * (ty - my) + mx, si * sx, co * sy, si * (tx - mx) + co * (ty - my) + my}};
}

/* In 1/1024 pixel, ties to even; far beyond any picture is far enough. */
static int32_t fixed(double v)
{
  const double far = 1 << 29, x = v * 1024;
  return (int32_t)lrint(!(x > -far) ? -far : x > far ? far : x);
}

void dor_warp_path(const dor_affine *a, int32_t h, int32_t w, bool mirror, int32_t *path)
{
  const dor_affine r = dor_affine_inverse(*a);
  int32_t *start = path + 2 * w;
  for (int32_t j = 0; j < w; j++) {
    const int32_t x = mirror ? w - 1 - j : j;
    path[j] = fixed(r.m[0] * x);
    path[w + j] = fixed(r.m[3] * x);
  }
  for (int32_t i = 0; i < h; i++) { /* half of 1/32 pixel: places are rounded to the nearest */
    start[i] = fixed(r.m[1] * i + r.m[2]) + 16;
    start[h + i] = fixed(r.m[4] * i + r.m[5]) + 16;
  }
}

dor_warp_attr dor_warp_rgb(int32_t h, int32_t w)
{
  return (dor_warp_attr){.size = {h, w}, .mean = {0.485, 0.456, 0.406}, .sd = {0.229, 0.224, 0.225}};
}
