/* SPDX-License-Identifier: Apache-2.0
 *
 * Intervals for proportions: Wilson for the page, Clopper-Pearson for the CSV,
 * Newcombe's method 10 for the difference of two paired proportions. */
#include "eval/eval.h"

#include <math.h>

static const dor_interval undefined = {NAN, NAN, ""};

/* source: Wilson, JASA 1927. At the ends the closed form is only nearly 0 or 1. */
dor_interval dor_wilson(int64_t k, int64_t n, double level)
{
  if (n <= 0 || k < 0 || k > n) return undefined;
  double z = dor_normal_quantile(0.5 + 0.5 * level), size = (double)n, p = (double)k / size, zz = z * z / size;
  double centre = p + 0.5 * zz, half = sqrt(zz * (p * (1 - p) + 0.25 * zz)), scale = 1 + zz;
  return (dor_interval){k == 0 ? 0 : (centre - half) / scale, k == n ? 1 : (centre + half) / scale, "Wilson"};
}

/* source: Clopper & Pearson, Biometrika 1934 */
dor_interval dor_clopper_pearson(int64_t k, int64_t n, double level)
{
  if (n <= 0 || k < 0 || k > n) return undefined;
  double tail = 0.5 * (1 - level), x = (double)k, rest = (double)(n - k);
  return (dor_interval){k == 0 ? 0 : dor_beta_quantile(tail, x, rest + 1),
                        k == n ? 1 : dor_beta_quantile(1 - tail, x + 1, rest), "Clopper-Pearson"};
}

/* Correlation of the two margins, shrunk by n/2 where it is positive. */
static double phi(double a, double b, double c, double d)
{
  double product = (a + b) * (c + d) * (a + c) * (b + d), n = a + b + c + d, top = a * d - b * c;
  if (product <= 0) return 0;
  if (top > 0) top = top > 0.5 * n ? top - 0.5 * n : 0;
  return top / sqrt(product);
}

static double combine(double x, double y, double f) { return sqrt(fmax(x * x - 2 * f * x * y + y * y, 0)); }

/* source: Newcombe, Stat Med 1998;17:2635-2650, method 10 */
dor_interval dor_newcombe_paired(int64_t a, int64_t b, int64_t c, int64_t d, double level, double *difference)
{
  int64_t n = a + b + c + d;
  *difference = n > 0 ? (double)(b - c) / (double)n : NAN;
  if (n <= 0) return undefined;
  double p1 = (double)(a + b) / (double)n, p2 = (double)(a + c) / (double)n;
  dor_interval first = dor_wilson(a + b, n, level), second = dor_wilson(a + c, n, level);
  double f = phi((double)a, (double)b, (double)c, (double)d);
  double below = combine(p1 - first.lo, second.hi - p2, f), above = combine(first.hi - p1, p2 - second.lo, f);
  return (dor_interval){*difference - below, *difference + above, "Newcombe"};
}
