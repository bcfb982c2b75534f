/* SPDX-License-Identifier: Apache-2.0
 *
 * Sizes, centres, scales and affine matrices of the test-time resize as the
 * original computed them (tests/golden/resize.h5). */
#include <math.h>

#include "pose/resize.h"
#include "tests/golden/h5file.h"

enum { COLUMNS = 17 }; /* w h input scale min_scale, out_w out_h centre_x centre_y scale_x scale_y, m00 m01 m02 m10 m11 m12 */

static double there_and_back(const dor_fit *f)
{
  dor_affine there = dor_fit_matrix(f, f->w, f->h), back = dor_fit_inverse(f, f->w, f->h);
  double map[2], picture[2];
  dor_affine_apply(&there, 12.25, 7.5, map);
  dor_affine_apply(&back, map[0], map[1], picture);
  return fmax(fabs(picture[0] - 12.25), fabs(picture[1] - 7.5));
}

TEST(golden_resize)
{
  const char *path = test_golden("resize.h5");
  REQUIRE(path, "tests/golden/resize.h5 is missing");
  hid_t f = h5_open(path);
  h5_set t = h5_read(f, "table", H5T_NATIVE_DOUBLE);
  REQUIRE(t.data && t.d[1] == COLUMNS, "no table");
  for (size_t i = 0; i < t.d[0]; i++) {
    const double *r = (const double *)t.data + i * COLUMNS;
    dor_fit fit;
    double worst = 0;
    OK(dor_fit_of((int32_t)r[0], (int32_t)r[1], (int32_t)r[2], r[3], r[4], &fit));
    CHECK(fit.w == r[5] && fit.h == r[6] && fit.centre_x == r[7] && fit.centre_y == r[8], "%g x %g, input %g, scale %g: %d x %d about %d, %d", r[0], r[1],
          r[2], r[3], fit.w, fit.h, fit.centre_x, fit.centre_y);
    CHECK(fit.scale_w == r[9] && fit.scale_h == r[10], "%g x %g: scales %.17g, %.17g, wanted %.17g, %.17g", r[0], r[1], fit.scale_w, fit.scale_h, r[9], r[10]);
    dor_affine a = dor_fit_matrix(&fit, fit.w, fit.h);
    for (int k = 0; k < 6; k++) worst = fmax(worst, fabs(a.m[k] - r[11 + k]));
    CHECK(worst < 1e-11, "%g x %g: a matrix is off by %g", r[0], r[1], worst);
    CHECK(there_and_back(&fit) < 1e-9, "%g x %g: there and back moves by %g", r[0], r[1], there_and_back(&fit));
  }
  dor_free(t.data);
  H5Fclose(f);
}

TEST(resize_refuses_strips)
{
  dor_fit f;
  CHECK(dor_fit_of(1700, 100, 512, 1, 1, &f) == DOR_E_DATA, "17 times as wide as high was taken");
  CHECK(dor_fit_of(0, 100, 512, 1, 1, &f) == DOR_E_DATA, "a width of 0 was taken");
  OK(dor_fit_of(1600, 100, 512, 1, 1, &f));
}
