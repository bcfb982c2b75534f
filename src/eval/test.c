/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests: McNemar exact and mid-p, better than always answering the commonest
 * class, Holm, and the corrected resampled t for repeated cross-validation. */
#include "eval/eval.h"

#include <math.h>

/* P(Bin(n, 1/2) = k) and P(<= k). Summed for small n, where every step is exact in binary. */
static double half_binomial(int64_t k, int64_t n, double *equal)
{
  if (n > 1000) {
    double below = dor_binomial_cdf(k, n, 0.5);
    *equal = below - dor_binomial_cdf(k - 1, n, 0.5);
    return below;
  }
  double term = ldexp(1, (int)-n), sum = term;
  for (int64_t i = 0; i < k; i++) term = term * (double)(n - i) / (double)(i + 1), sum += term;
  *equal = term;
  return sum;
}

/* source: Fagerland, Lydersen & Laake, BMC Med Res Methodol 2013 */
dor_mcnemar dor_mcnemar_test(int64_t b, int64_t c)
{
  double equal, tail = half_binomial(b < c ? b : c, b + c, &equal);
  double exact = fmin(1, 2 * tail);
  return (dor_mcnemar){b, c, exact, b == c ? 1 - 0.5 * equal : 2 * tail - equal};
}

double dor_nir_test(int64_t correct, int64_t n, double rate)
{
  if (n < 0 || !(rate >= 0 && rate <= 1)) return NAN;
  if (correct <= 0) return 1;
  if (correct > n) return 0;
  return dor_beta_cdf(rate, (double)correct, (double)(n - correct) + 1);
}

/* What follows p[last] in ascending order, equal ones in order of place; last < 0: the first; -1 when none is left. */
static int32_t next_smallest(int32_t n, const double *p, int32_t last)
{
  int32_t best = -1;
  for (int32_t i = 0; i < n; i++) {
    if (isnan(p[i]) || i == last) continue;
    if (last >= 0 && (p[i] < p[last] || (p[i] == p[last] && i < last))) continue;
    if (best < 0 || p[i] < p[best]) best = i;
  }
  return best;
}

/* source: Holm, Scand J Stat 1979 */
void dor_holm(int32_t n, const double *p, double *adjusted)
{
  int32_t left = 0;
  for (int32_t i = 0; i < n; i++) left += !isnan(p[i]), adjusted[i] = NAN;
  double highest = 0;
  for (int32_t at = next_smallest(n, p, -1); at >= 0; at = next_smallest(n, p, at)) {
    highest = fmax(highest, fmin(1, left-- * p[at]));
    adjusted[at] = highest;
  }
}

/* source: Nadeau & Bengio, Mach Learn 2003; Bouckaert & Frank 2004 */
dor_corrected_t dor_resampled_t(int32_t n, const double *difference, double test_share, double train_share)
{
  double mean = 0, square = 0, df = n - 1;
  for (int32_t i = 0; i < n; i++) mean += difference[i] / n;
  for (int32_t i = 0; i < n; i++) square += (difference[i] - mean) * (difference[i] - mean);
  if (n < 2 || !(square > 0)) return (dor_corrected_t){NAN, NAN, df};
  double t = mean / sqrt((1.0 / n + test_share / train_share) * square / df);
  return (dor_corrected_t){t, dor_beta_cdf(df / (df + t * t), 0.5 * df, 0.5), df};
}
