/* SPDX-License-Identifier: Apache-2.0
 *
 * Number types: every half-precision number comes back, and what lies between
 * two of them goes to the nearer. */
#include "tensor/convert.h"

#include <math.h>

#include "tests/test.h"

static void check_all(dor_dtype t, double largest)
{
  int wrong = 0, uneven = 0;
  double before = 0, most = 0;
  for (uint32_t bits = 0; bits < 65536; bits++) {
    uint16_t in = (uint16_t)bits, out;
    double x;
    dor_to_real(t, &in, 1, &x);
    dor_from_real(t, &x, 1, &out);
    wrong += isnan(x) ? (out & 0x7C00) != 0x7C00 : out != in;
    if (bits && bits < 0x8000 && isfinite(x)) { /* between this number and the one before */
      double middle = before + (x - before) / 2, above = before + (x - before) * 0.75;
      uint16_t tie, high;
      dor_from_real(t, &middle, 1, &tie);
      dor_from_real(t, &above, 1, &high);
      uneven += tie != (bits & 1 ? bits - 1 : bits) || high != bits;
      most = fmax(most, x);
    }
    before = x;
  }
  CHECK(!wrong, "%s: %d numbers do not come back", dor_dtype_name(t), wrong);
  CHECK(fabs(most / largest - 1) < 1e-3, "%s: the largest is %g", dor_dtype_name(t), most);
  CHECK(!uneven, "%s: %d are rounded the wrong way", dor_dtype_name(t), uneven);
}

TEST(convert_half_types_round_to_nearest_even)
{
  check_all(DOR_F16, 65504);
  check_all(DOR_BF16, 3.3895e38);
  const double beyond[] = {65519, 65520, -1e9};
  uint16_t f16[3];
  double back[3];
  dor_from_real(DOR_F16, beyond, 3, f16);
  dor_to_real(DOR_F16, f16, 3, back);
  CHECK(back[0] == 65504 && isinf(back[1]) && back[2] == -INFINITY, "%g %g %g", back[0], back[1], back[2]);
}

TEST(convert_integers_are_cut_to_their_range)
{
  const double in[] = {-3, 0.4, 254.6, 1e9, NAN};
  uint8_t u8[5];
  int32_t i32[5];
  dor_from_real(DOR_U8, in, 5, u8);
  dor_from_real(DOR_I32, in, 5, i32);
  CHECK(u8[0] == 0 && u8[1] == 0 && u8[2] == 255 && u8[3] == 255 && u8[4] == 0, "u8 %d %d %d %d %d", u8[0], u8[1], u8[2], u8[3], u8[4]);
  CHECK(i32[0] == -3 && i32[2] == 255 && i32[3] == 1000000000 && i32[4] == INT32_MIN, "i32 %d %d %d %d", i32[0], i32[2], i32[3], i32[4]);
}
