/* SPDX-License-Identifier: Apache-2.0
 *
 * Distribution functions and their inverses. The incomplete beta function is
 * the one primitive: binomial, t and Clopper-Pearson all come from it. */
#include "eval/eval.h"

#include <float.h>
#include <math.h>

static const double SQRT_HALF = 0.70710678118654752440, SQRT_2PI = 2.50662827463100050242;

double dor_normal_cdf(double x) { return 0.5 * erfc(-x * SQRT_HALF); }

/* Abramowitz & Stegun 26.2.23 is good to 4.5e-4; each Halley step then cubes the error. */
static double lower_quantile(double p)
{
  double t = sqrt(-2 * log(p));
  double x = (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308))) - t;
  for (int i = 0; i < 3; i++) {
    double u = (dor_normal_cdf(x) - p) * SQRT_2PI * exp(0.5 * x * x);
    x -= u / (1 + 0.5 * x * u);
  }
  return x;
}

double dor_normal_quantile(double p)
{
  if (!(p >= 0 && p <= 1)) return NAN;
  if (p == 0 || p == 1) return p > 0 ? INFINITY : -INFINITY;
  if (p == 0.5) return 0;
  return p < 0.5 ? lower_quantile(p) : -lower_quantile(1 - p);
}

static double log_beta(double a, double b)
{
  int sign;
  return lgamma_r(a, &sign) + lgamma_r(b, &sign) - lgamma_r(a + b, &sign);
}

static double away_from_zero(double x) { return fabs(x) < DBL_MIN ? DBL_MIN : x; }

/* The continued fraction 8.17.22 of DLMF, by the modified Lentz method. */
static double beta_fraction(double x, double a, double b)
{
  double c = 1, d = 1 / away_from_zero(1 - (a + b) * x / (a + 1)), h = d;
  for (int m = 1; m < 100000; m++) {
    double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away_from_zero(1 + even * d);
    c = away_from_zero(1 + even / c);
    h *= d * c;
    double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away_from_zero(1 + odd * d);
    c = away_from_zero(1 + odd / c);
    h *= d * c;
    if (fabs(d * c - 1) < DBL_EPSILON) break;
  }
  return h;
}

static double beta_lower(double x, double y, double a, double b) /* y = 1 - x, kept apart for its digits */
{
  return exp(a * log(x) + b * log(y) - log_beta(a, b)) * beta_fraction(x, a, b) / a;
}

double dor_beta_cdf(double x, double a, double b)
{
  if (isnan(x) || !(a > 0) || !(b > 0)) return NAN;
  if (x <= 0 || x >= 1) return x >= 1;
  double p = x <= (a + 1) / (a + b + 2) ? beta_lower(x, 1 - x, a, b) : 1 - beta_lower(1 - x, x, b, a);
  return p < 0 ? 0 : p > 1 ? 1 : p;
}

/* Newton inside a bracket: bisection guards the steps that leave it. */
double dor_beta_quantile(double p, double a, double b)
{
  if (!(p >= 0 && p <= 1) || !(a > 0) || !(b > 0)) return NAN;
  if (p == 0 || p == 1) return p;
  double lo = 0, hi = 1, x = a / (a + b), norm = log_beta(a, b);
  for (int i = 0; i < 300; i++) {
    double f = dor_beta_cdf(x, a, b) - p;
    if (f > 0) hi = x;
    else lo = x;
    double next = x - f / exp((a - 1) * log(x) + (b - 1) * log1p(-x) - norm);
    if (!(next > lo && next < hi)) next = 0.5 * (lo + hi);
    if (fabs(next - x) <= 0.5 * DBL_EPSILON * x) return next;
    x = next;
  }
  return x;
}

double dor_binomial_cdf(int64_t k, int64_t n, double p)
{
  if (n < 0 || !(p >= 0 && p <= 1)) return NAN;
  if (k < 0) return 0;
  if (k >= n) return 1;
  return dor_beta_cdf(1 - p, (double)(n - k), (double)k + 1);
}

double dor_t_quantile(double p, double df)
{
  if (!(p >= 0 && p <= 1) || !(df > 0)) return NAN;
  if (p == 0.5) return 0;
  double tail = p < 0.5 ? p : 1 - p;
  double x = dor_beta_quantile(2 * tail, 0.5 * df, 0.5);
  double t = sqrt(df * (1 - x) / x);
  return p < 0.5 ? -t : t;
}
