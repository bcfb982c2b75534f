/* SPDX-License-Identifier: Apache-2.0
 *
 * The short types bit by bit: what kernels do by whole numbers against what
 * tensor/convert.h does by ldexp and rounding. */
#include <math.h>

#include "kernels/scalar.h"
#include "ops/ops.h"
#include "tensor/convert.h"
#include "tests/test.h"

typedef struct kind { dor_dtype type; float (*from)(uint16_t); uint16_t (*to)(float); } kind;
static const kind kinds[] = {{DOR_BF16, scalar_from_bf16, scalar_to_bf16}, {DOR_F16, scalar_from_f16, scalar_to_f16}};

static bool same(float a, double b) { return isnan(b) ? isnan(a) : (double)a == b && !signbit(a) == !signbit(b); }

static int64_t wrong_to(const kind *k, float x)
{
  uint16_t want;
  dor_from_real(k->type, &(double){(double)x}, 1, &want);
  return k->to(x) != want;
}

TEST(op_cast_rounds_as_the_definition_does)
{
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    const kind *k = &kinds[i];
    int64_t from = 0, to = 0;
    for (uint32_t h = 0; h < 65536; h++) {
      uint16_t bits = (uint16_t)h, next = (uint16_t)(h ^ 1);
      double want, beside;
      dor_to_real(k->type, &bits, 1, &want);
      dor_to_real(k->type, &next, 1, &beside);
      from += !same(k->from(bits), want);
      float middle = (float)((want + beside) / 2); /* between neighbours: a tie, and a hair to either side of it */
      to += wrong_to(k, (float)want) + wrong_to(k, middle) + wrong_to(k, nextafterf(middle, INFINITY)) + wrong_to(k, nextafterf(middle, -INFINITY));
    }
    for (uint32_t u = 0; u < 1u << 20; u++) to += wrong_to(k, scalar_float(u * 4099u));
    CHECK(!from && !to, "%s: %lld of 65536 are read wrongly, %lld written", dor_dtype_name(k->type), (long long)from, (long long)to);
  }
}

