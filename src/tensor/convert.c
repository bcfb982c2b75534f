/* SPDX-License-Identifier: Apache-2.0
 *
 * bfloat16 is the upper half of a float. binary16 has 5 exponent and 10
 * fraction bits; both are reached by scaling with ldexp, which is exact. */
#include "tensor/convert.h"

#include <math.h>
#include <string.h>

static double from_bf16(uint16_t bits)
{
  uint32_t wide = (uint32_t)bits << 16;
  float x;
  memcpy(&x, &wide, sizeof x);
  return (double)x;
}

static double from_f16(uint16_t bits)
{
  int exponent = bits >> 10 & 31, fraction = bits & 1023;
  double size = exponent == 31 ? (fraction ? NAN : INFINITY) : exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
  return bits >> 15 ? -size : size;
}

static uint16_t to_bf16(double x)
{
  float narrow = (float)x;
  uint32_t bits;
  memcpy(&bits, &narrow, sizeof bits);
  if (isnan(narrow)) return (uint16_t)(bits >> 16 | 0x40);
  return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

static uint16_t to_f16(double x)
{
  uint16_t sign = signbit(x) ? 0x8000 : 0;
  double size = fabs(x);
  if (isnan(x)) return sign | 0x7E00;
  if (size >= 65520) return sign | 0x7C00; /* half a step above the largest, 65504 */
  if (size == 0) return sign;
  int exponent = 0;
  frexp(size, &exponent); /* size in [2^(e-1), 2^e) */
  int step = exponent - 11 < -24 ? -24 : exponent - 11;
  long units = lrint(ldexp(size, -step));
  if (step == -24 && units < 1024) return (uint16_t)(sign | units);
  if (units == 2048) units = 1024, step++;
  return (uint16_t)(sign | (step + 25) << 10 | (units - 1024));
}

static double clamp(double x, double least, double most) { return !(x > least) ? least : x > most ? most : x; }

void dor_to_real(dor_dtype t, const void *from, int64_t n, double *to)
{
  for (int64_t i = 0; i < n; i++) switch (t) {
    case DOR_F32: to[i] = (double)((const float *)from)[i]; break;
    case DOR_BF16: to[i] = from_bf16(((const uint16_t *)from)[i]); break;
    case DOR_F16: to[i] = from_f16(((const uint16_t *)from)[i]); break;
    case DOR_I32: to[i] = ((const int32_t *)from)[i]; break;
    case DOR_U8: to[i] = ((const uint8_t *)from)[i]; break;
    }
}

void dor_from_real(dor_dtype t, const double *from, int64_t n, void *to)
{
  for (int64_t i = 0; i < n; i++) switch (t) {
    case DOR_F32: ((float *)to)[i] = (float)from[i]; break;
    case DOR_BF16: ((uint16_t *)to)[i] = to_bf16(from[i]); break;
    case DOR_F16: ((uint16_t *)to)[i] = to_f16(from[i]); break;
    case DOR_I32: ((int32_t *)to)[i] = (int32_t)lrint(clamp(from[i], INT32_MIN, INT32_MAX)); break;
    case DOR_U8: ((uint8_t *)to)[i] = (uint8_t)lrint(clamp(from[i], 0, 255)); break;
    }
}
