/* SPDX-License-Identifier: Apache-2.0
 *
 * The arithmetic of one element, written once: gcc builds it into the loops of
 * the CPU kernels (and vectorises it there), nvcc into the CUDA kernels. exp, log
 * and tanh are our own polynomials, so that they vectorise and give the same bits
 * with every C library. NaN goes through. */
#ifndef DOR_KERNELS_SCALAR_H
#define DOR_KERNELS_SCALAR_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef __CUDACC__
#define DOR_SCALAR static __host__ __device__ __forceinline__
#else
#define DOR_SCALAR static inline
#endif

DOR_SCALAR float scalar_relu(float x) { return x < 0.0f ? 0.0f : x; } /* NaN stays NaN */
DOR_SCALAR float scalar_relu_bwd(float y, float dy) { return y > 0.0f ? dy : 0.0f; }
DOR_SCALAR float scalar_leaky(float sign, float x, float slope) { return x * (sign > 0.0f ? 1.0f : slope); }

/* exp by x = n ln 2 + r and a polynomial in r (Cephes, Moshier), about 1 ulp; held to [-87, 88], which is [1.6e-38, 1.7e38] */
DOR_SCALAR float scalar_exp(float x)
{
  x = x > 88.0f ? 88.0f : x;
  x = x < -87.0f ? -87.0f : x;
  float t = x * 1.44269504f + 12582912.0f, n = t - 12582912.0f; /* 1.5 2^23 pushes the fraction out: n is rounded */
  float r = x - n * 0.693359375f + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  int32_t bits;
  memcpy(&bits, &t, sizeof bits);
  bits = (int32_t)((uint32_t)(bits + 127) << 23); /* the low bits of t hold n */
  float power;
  memcpy(&power, &bits, sizeof power);
  return p * power;
}

/* log of a normal positive number (Cephes), about 1 ulp */
DOR_SCALAR float scalar_log(float x)
{
  int32_t bits;
  memcpy(&bits, &x, sizeof bits);
  int32_t e = (bits - 0x3f3504f3) >> 23; /* so that the mantissa lies in [sqrt(1/2), sqrt(2)) */
  bits -= (int32_t)((uint32_t)e << 23);
  float m, n = (float)e;
  memcpy(&m, &bits, sizeof m);
  m -= 1.0f;
  float z = m * m, p = 7.0376836292e-2f;
  p = p * m - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  return m + (p * m * z + n * -2.12194440e-4f - 0.5f * z) + n * 0.693359375f + (x - x);
}

DOR_SCALAR float scalar_sigmoid(float x) { return 1.0f / (1.0f + scalar_exp(-x)); }
DOR_SCALAR float scalar_sigmoid_bwd(float y, float dy) { return dy * y * (1.0f - y); }

/* tanh by exp, and by a polynomial near 0 where that would cancel (Cephes) */
DOR_SCALAR float scalar_tanh(float x)
{
  float a = x < 0.0f ? -x : x, z = x * x;
  float far = 1.0f - 2.0f / (scalar_exp(2.0f * a) + 1.0f);
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  float near = p * z * x + x;
  far = x < 0.0f ? -far : far;
  return a < 0.625f ? near : far;
}

DOR_SCALAR float scalar_tanh_bwd(float y, float dy) { return dy * (1.0f - y * y); }

/* log(1 + e) for e >= 0, exact to the last bits where 1 + e rounds */
DOR_SCALAR float scalar_log1p(float e)
{
  float u = 1.0f + e;
  return u > 1.0f ? scalar_log(u) * (e / (u - 1.0f)) : e;
}

DOR_SCALAR float scalar_bce(float x, float t) { return scalar_relu(x) - x * t + scalar_log1p(scalar_exp(x < 0.0f ? x : -x)); }
DOR_SCALAR float scalar_bce_slope(float x, float t) { return scalar_sigmoid(x) - t; }
DOR_SCALAR float scalar_mse(float x, float t) { return (x - t) * (x - t); }
DOR_SCALAR float scalar_mse_slope(float x, float t) { return 2.0f * (x - t); }
DOR_SCALAR float scalar_mae(float x, float t) { return x > t ? x - t : t - x; }
DOR_SCALAR float scalar_mae_slope(float x, float t) { return x > t ? 1.0f : x < t ? -1.0f : 0.0f; }

/* The short types, by whole numbers alone: nearest, ties to even, NaN stays NaN. */
DOR_SCALAR uint32_t scalar_bits(float x)
{
  uint32_t u;
  memcpy(&u, &x, sizeof u);
  return u;
}

DOR_SCALAR float scalar_float(uint32_t u)
{
  float x;
  memcpy(&x, &u, sizeof x);
  return x;
}

DOR_SCALAR float scalar_from_bf16(uint16_t h) { return scalar_float((uint32_t)h << 16); }

DOR_SCALAR uint16_t scalar_to_bf16(float x)
{
  uint32_t u = scalar_bits(x), near = u + 0x7fffu + (u >> 16 & 1u);
  return (uint16_t)((u & 0x7fffffffu) > 0x7f800000u ? u >> 16 | 0x40u : near >> 16);
}

DOR_SCALAR float scalar_from_f16(uint16_t h)
{
  uint32_t a = (uint32_t)(h & 0x7fffu) << 13, exponent = a & 0x0f800000u, normal = a + (112u << 23); /* from bias 15 to 127 */
  float tiny = scalar_float(normal + (1u << 23)) - 0x1p-14f;
  uint32_t u = exponent == 0 ? scalar_bits(tiny) : exponent == 0x0f800000u ? normal + (112u << 23) : normal;
  return scalar_float(u | (uint32_t)(h & 0x8000u) << 16);
}

DOR_SCALAR uint16_t scalar_to_f16(float x)
{
  uint32_t u = scalar_bits(x), a = u & 0x7fffffffu, sign = u >> 16 & 0x8000u;
  uint32_t tiny = scalar_bits(scalar_float(a) + 0.5f) - 0x3f000000u; /* below 2^-14: 0.5 has the step of binary16's smallest */
  uint32_t near = (a - (112u << 23) + 0xfffu + (a >> 13 & 1u)) >> 13;
  uint32_t half = a < 0x38800000u ? tiny : a < 0x477ff000u ? near : a <= 0x7f800000u ? 0x7c00u : 0x7e00u; /* 2^-14; 65520 */
  return (uint16_t)(sign | half);
}

#endif
