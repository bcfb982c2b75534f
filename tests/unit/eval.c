/* SPDX-License-Identifier: Apache-2.0
 *
 * Statistics against values from elsewhere: mpmath 1.3 at 40 digits, exact
 * rationals, SciPy 1.17 and scikit-learn 1.9, each named where it stands. */
#include "eval/eval.h"

#include <math.h>
#include <string.h>

#include "tests/test.h"

static bool near(double got, double want, double tolerance) { return fabs(got - want) <= tolerance; }
#define NEAR(got, want, tolerance) CHECK(near(got, want, tolerance), "%.17g, not %.17g", (double)(got), (double)(want))

TEST(eval_normal)
{
  NEAR(dor_normal_quantile(0.025), -1.9599639845400542355, 1e-15); /* mpmath */
  NEAR(dor_normal_quantile(0.3), -0.52440051270804078404, 1e-15);
  NEAR(dor_normal_quantile(1e-10), -6.3613409024040562047, 1e-14);
  NEAR(dor_normal_quantile(0.975), 1.9599639845400542355, 1e-14);
  CHECK(dor_normal_quantile(0) == -INFINITY && dor_normal_quantile(1) == INFINITY && isnan(dor_normal_quantile(1.5)), "ends");
  for (double p = 0.001; p < 1; p += 0.001) NEAR(dor_normal_cdf(dor_normal_quantile(p)), p, 1e-15);
}

TEST(eval_beta)
{
  NEAR(dor_beta_cdf(0.1, 0.5, 0.5), 0.20483276469913345754, 1e-15); /* mpmath */
  NEAR(dor_beta_cdf(0.9, 100, 20), 0.98553749132495547322, 1e-13);
  NEAR(dor_beta_cdf(0.999, 1000, 3), 0.91942240963979542965, 1e-12);
  NEAR(dor_beta_cdf(0.48, 5000, 5000) / 3.1470916320309822199e-5, 1, 1e-9);
  NEAR(dor_beta_quantile(0.975, 8, 43), 0.2673960024970084121, 1e-14);
  NEAR(dor_beta_quantile(0.025, 0.5, 10) / 5.0344720137334360647e-5, 1, 1e-12);
  NEAR(dor_beta_quantile(0.01, 1000, 3), 0.99163760296959552492, 1e-14);
  CHECK(isnan(dor_beta_cdf(NAN, 1, 1)) && isnan(dor_beta_cdf(0.5, 0, 1)), "no value for no distribution");
}

TEST(eval_binomial_and_t)
{
  NEAR(dor_binomial_cdf(3, 10, 0.4), 0.38228060159999994431, 1e-14); /* mpmath */
  NEAR(dor_binomial_cdf(500, 2000, 0.26), 0.16010036865843562174, 1e-12);
  NEAR(dor_t_quantile(0.975, 1), 12.706204736174693314, 1e-12);
  NEAR(dor_t_quantile(0.975, 4), 2.7764451051977934898, 1e-13);
  NEAR(dor_t_quantile(0.1, 2.5), -1.730250928807176833, 1e-12);
}

static void interval_is(dor_interval i, double lo, double hi, double tolerance)
{
  NEAR(i.lo, lo, tolerance);
  NEAR(i.hi, hi, tolerance);
}

TEST(eval_proportions) /* statistics.md section 11: 60-digit bisection */
{
  interval_is(dor_clopper_pearson(7, 50, 0.95), 0.058191700340372085, 0.267396002497008437, 1e-14);
  interval_is(dor_clopper_pearson(78, 83, 0.95), 0.864991760316, 0.980152678759, 1e-12);
  interval_is(dor_clopper_pearson(23, 26, 0.95), 0.698459599892, 0.975541924682, 1e-12);
  interval_is(dor_wilson(7, 50, 0.95), 0.06950833427016294, 0.2618619371058554, 1e-14);
  interval_is(dor_wilson(0, 10, 0.95), 0, 0.2775327998628892, 1e-14);
  interval_is(dor_wilson(10, 10, 0.95), 1 - 0.2775327998628892, 1, 1e-14);
  CHECK(isnan(dor_wilson(0, 0, 0.95).lo) && isnan(dor_clopper_pearson(0, 0, 0.95).hi), "nothing counted, nothing known");
  CHECK(dor_clopper_pearson(0, 9, 0.95).lo == 0 && dor_clopper_pearson(9, 9, 0.95).hi == 1, "ends");
}

TEST(eval_newcombe) /* statistics.md section 11 */
{
  double d;
  interval_is(dor_newcombe_paired(36, 12, 2, 0, 0.95, &d), 0.05692958, 0.34042760, 5e-9);
  NEAR(d, 0.2, 1e-16);
  interval_is(dor_newcombe_paired(71, 12, 7, 0, 0.95, &d), -0.0419, 0.1537, 5e-5);
  NEAR(d, 5.0 / 90, 1e-16);
  interval_is(dor_newcombe_paired(50, 0, 0, 0, 0.95, &d), -dor_wilson(0, 50, 0.95).hi, dor_wilson(0, 50, 0.95).hi, 1e-14);
}

TEST(eval_mcnemar) /* statistics.md section 11: exact in binary */
{
  dor_mcnemar m = dor_mcnemar_test(12, 7);
  CHECK(m.exact == 0.359283447265625 && m.mid == 0.26317596435546875, "%.17g %.17g", m.exact, m.mid);
  m = dor_mcnemar_test(0, 5);
  CHECK(m.exact == 0.0625 && m.mid == 0.03125, "%.17g %.17g", m.exact, m.mid);
  m = dor_mcnemar_test(0, 0);
  CHECK(m.exact == 1 && m.mid == 0.5, "%.17g %.17g", m.exact, m.mid);
  m = dor_mcnemar_test(4, 4);
  CHECK(m.exact == 1 && m.mid < 1, "%.17g %.17g", m.exact, m.mid);
  NEAR(dor_mcnemar_test(480, 525).exact, 2 * dor_binomial_cdf(480, 1005, 0.5), 1e-14);
}

TEST(eval_nir) /* mpmath: BACK-to-MOVE's two rows against 57/83 */
{
  NEAR(dor_nir_test(78, 83, 57.0 / 83) / 1.8845973481292596858e-8, 1, 1e-12);
  NEAR(dor_nir_test(57, 83, 57.0 / 83), 0.55282440827266323247, 1e-13);
  CHECK(dor_nir_test(0, 10, 0.5) == 1, "at least none");
}

TEST(eval_holm)
{
  double p[] = {0.04, NAN, 0.01, 0.03, 0.01, 0.9}, got[6], want[] = {0.09, NAN, 0.05, 0.09, 0.05, 0.9};
  dor_holm(6, p, got);
  for (int i = 0; i < 6; i++) CHECK(isnan(want[i]) ? isnan(got[i]) : near(got[i], want[i], 1e-15), "%d: %g, not %g", i, got[i], want[i]);
}

TEST(eval_resampled_t) /* SciPy */
{
  double d[] = {.02, .05, -.01, .03, .04, .01, .02, .0, .06, .03};
  dor_corrected_t t = dor_resampled_t(10, d, 0.2, 0.8);
  NEAR(t.t, 1.9446111706564932, 1e-13);
  NEAR(t.p, 0.0836876865138848, 1e-13);
  CHECK(isnan(dor_resampled_t(1, d, 0.2, 0.8).p), "one difference has no variance");
}

static const double first[10] = {.9, .8, .7, .55, .4, .6, .5, .4, .3, .1}, second[10] = {.7, .9, .4, .6, .5, .65, .3, .45, .2, .5};
static const uint8_t truth[10] = {1, 1, 1, 1, 1, 0, 0, 0, 0, 0};

TEST(eval_delong) /* statistics.md section 11: exact rationals */
{
  dor_auc a, b;
  OK(dor_delong(10, first, truth, &a));
  OK(dor_delong(10, second, truth, &b));
  NEAR(a.auc, 43.0 / 50, 1e-16);
  NEAR(a.variance, 19.0 / 1250, 1e-17);
  NEAR(b.auc, 39.0 / 50, 1e-16);
  NEAR(b.variance, 0.0248, 1e-17);
  dor_auc_difference d;
  OK(dor_delong_paired(10, first, second, truth, &d));
  NEAR(d.z, 0.4980582450917523, 1e-14);
  NEAR(d.se * d.se, 0.0152 + 0.0248 - 2 * 0.0071, 1e-16);
  NEAR(d.p, 2 * dor_normal_cdf(-0.4980582450917523), 1e-14);
  OK(dor_delong_paired(10, first, first, truth, &d));
  CHECK(d.difference == 0 && d.p == 1, "an arm does not differ from itself: %g", d.p);
}

TEST(eval_delong_ends)
{
  const double good[6] = {3, 4, 5, 1, 2, 2}, flat[6] = {1, 1, 1, 1, 1, 1}, bad[2] = {1, NAN};
  const uint8_t t[6] = {1, 1, 1, 0, 0, 0}, one[2] = {1, 1};
  dor_auc a;
  OK(dor_delong(6, good, t, &a));
  dor_interval i = dor_delong_interval(a, 0.95);
  CHECK(a.auc == 1 && i.hi == 1 && i.lo == dor_clopper_pearson(3, 3, 0.95).lo, "%g [%g, %g]", a.auc, i.lo, i.hi);
  OK(dor_delong(6, flat, t, &a));
  CHECK(a.auc == 0.5 && isnan(dor_delong_interval(a, 0.95).lo), "a constant says nothing");
  CHECK(dor_delong(2, good, one, &a) == DOR_E_RANGE, "one class");
  CHECK(dor_delong(2, bad, t + 2, &a) == DOR_E_NUMERIC, "a score that is none");
}

TEST(eval_counts) /* scikit-learn; BACK-to-MOVE's video row */
{
  dor_counts c = {.tp = 55, .fn = 2, .tn = 23, .fp = 3};
  NEAR(dor_accuracy(c), 78.0 / 83, 1e-16);
  NEAR(dor_mcc(c), 0.858850607471797, 1e-14);
  NEAR(dor_kappa(c), 0.8585066484827821, 1e-14);
  NEAR(dor_f1(c), 110.0 / 115, 1e-16);
  NEAR(dor_balanced_accuracy(c), 0.5 * (55.0 / 57 + 23.0 / 26), 1e-16);
  dor_counts none = {.fn = 4, .tn = 6};
  CHECK(isnan(dor_precision(none)) && dor_sensitivity(none) == 0 && dor_mcc(none) == 0 && dor_f1(none) == 0, "nothing was called positive");
  CHECK(isnan(dor_accuracy((dor_counts){0})) && isnan(dor_mcc((dor_counts){0})), "nothing at all");
  const int64_t confusion[9] = {5, 2, 1, 1, 7, 2, 0, 3, 9};
  NEAR(dor_multiclass_mcc(3, confusion), 0.5445716454489961, 1e-14);
  NEAR(dor_macro(3, confusion, dor_sensitivity), (5.0 / 8 + 7.0 / 10 + 9.0 / 12) / 3, 1e-15);
}

TEST(eval_scores)
{
  const double p[20] = {.1, .9, .2, .8, .3, .7, .45, .55, .6, .4, .4, .6, .5, .5, .6, .4, .7, .3, .9, .1};
  const int32_t t[10] = {1, 1, 1, 1, 1, 0, 0, 0, 0, 0};
  NEAR(dor_brier(10, first, truth), 0.15725, 1e-16); /* exact rational */
  double auc;
  OK(dor_macro_auc(10, 2, p, t, &auc));
  NEAR(auc, 43.0 / 50, 1e-15);
  int64_t clipped;
  double want = -(log(.9) + log(.8) + log(.7) + log(.55) + log(.4) + log(.4) + log(.5) + log(.6) + log(.7) + log(.9)) / 10;
  NEAR(dor_log_loss(10, 2, p, t, &clipped), want, 1e-15);
  CHECK(clipped == 0, "%lld", (long long)clipped);
  const double sure[2] = {1, 0};
  const int32_t other = 1;
  NEAR(dor_log_loss(1, 2, sure, &other, &clipped), -log(1e-15), 1e-12);
  CHECK(clipped == 1, "%lld", (long long)clipped);
  NEAR(dor_mean_absolute_error(3, first, second), 0.2, 1e-15);
  NEAR(dor_rmse(3, first, second), sqrt((.04 + .01 + .09) / 3), 1e-15);
}

TEST(eval_roc)
{
  dor_arena a = {0};
  dor_roc_point *roc;
  int32_t n;
  OK(dor_roc(&a, 10, first, truth, &roc, &n));
  double area = 0;
  for (int32_t i = 1; i < n; i++) area += (roc[i].fpr - roc[i - 1].fpr) * 0.5 * (roc[i].tpr + roc[i - 1].tpr);
  NEAR(area, 43.0 / 50, 1e-15);
  CHECK(n == 10 && roc[0].tpr == 0 && roc[n - 1].fpr == 1 && roc[n - 1].tpr == 1, "%d points", n); /* nine distinct scores */
  dor_arena_release(&a);
}

static const double sample[15] = {3.1, 2.2, 8.7, 1.9, 2.5, 4.4, 0.8, 6.3, 2.1, 3.3, 12.4, 1.2, 2.9, 5.5, 3.8};
static const int32_t cluster[15] = {0, 0, 1, 1, 1, 2, 3, 3, 4, 4, 5, 6, 6, 7, 7};

static double mean(const void *data, const int32_t *index, int32_t m)
{
  const double *x = data;
  double sum = 0;
  for (int32_t i = 0; i < m; i++) sum += x[index[i]];
  return sum / m;
}

TEST(eval_bca) /* SciPy's BCa with 200000 replicates; the clustered one from a numpy loop of the same formulas */
{
  dor_interval i, again;
  OK(dor_bca(sample, mean, 15, NULL, NULL, 20000, 1, 0.95, &i));
  interval_is(i, 2.9067, 6.1533, 0.06);
  OK(dor_bca(sample, mean, 15, cluster, NULL, 20000, 1, 0.95, &i));
  interval_is(i, 3.1154, 6.3692, 0.06);
  OK(dor_bca(sample, mean, 15, cluster, NULL, 20000, 1, 0.95, &again));
  CHECK(i.lo == again.lo && i.hi == again.hi, "same seed, same bits");
  OK(dor_bca(sample, mean, 15, cluster, NULL, 20000, 2, 0.95, &again));
  CHECK(i.lo != again.lo, "another seed, other replicates");
}

TEST(eval_bca_strata) /* a stratum keeps its size, so the share of each is fixed */
{
  const double x[6] = {1, 1, 1, 0, 0, 0};
  const int32_t stratum[6] = {0, 0, 0, 2, 2, 2}, wrong[6] = {0, 0, 0, 0, 0, 6};
  dor_interval i;
  OK(dor_bca(x, mean, 6, NULL, stratum, 500, 1, 0.95, &i));
  CHECK(isnan(i.lo) && isnan(i.hi) && strstr(i.method, "all replicates equal"), "[%g, %g] %s", i.lo, i.hi, i.method);
  OK(dor_bca(x, mean, 6, NULL, NULL, 500, 1, 0.95, &i));
  CHECK(i.lo < 0.5 && i.hi > 0.5, "[%g, %g] %s", i.lo, i.hi, i.method);
  const int32_t of_two = 2;
  OK(dor_bca(x, mean, 1, NULL, &of_two, 50, 1, 0.95, &i));
  CHECK(isnan(i.lo) && isnan(i.hi), "one thing of class 2: %g %g", i.lo, i.hi);
  CHECK(dor_bca(x, mean, 6, wrong, NULL, 500, 1, 0.95, &i) == DOR_E_RANGE, "a cluster out of range");
}

TEST(eval_bootstrap_difference)
{
  double other[15];
  for (int i = 0; i < 15; i++) other[i] = sample[i] + (i % 3 ? 0.5 : -0.2);
  dor_paired_bootstrap d;
  OK(dor_bootstrap_difference(other, sample, mean, 15, NULL, NULL, 4000, 7, 0.95, &d));
  NEAR(d.difference, (10 * 0.5 - 5 * 0.2) / 15, 1e-14);
  CHECK(d.p < 0.02 && d.interval.lo > 0 && d.interval.hi < 0.5, "p %g [%g, %g]", d.p, d.interval.lo, d.interval.hi);
  OK(dor_bootstrap_difference(sample, sample, mean, 15, NULL, NULL, 400, 7, 0.95, &d));
  CHECK(d.difference == 0 && d.p == 1, "p %g", d.p);
}

static const double features[16] = {.2, 1, 1.1, -.5, 2.3, .7, -.4, .1, 1.9, -1.2, .6, 2., 3.1, .3, -1., -.8};

TEST(eval_logistic) /* scikit-learn, C = 2 and C = 1; of two classes its ridge acts on the difference of our two rows */
{
  const int32_t y[8] = {0, 0, 1, 0, 1, 1, 1, 0}, y3[8] = {0, 2, 1, 0, 1, 2, 1, 2};
  const double x[4] = {1, .5, -1, 2};
  double w[9], p[3];
  OK(dor_logistic_fit(8, 2, features, y, 2, 1.0, w));
  NEAR(w[3] - w[0], 1.54143098, 2e-5); /* the ridge on the intercept, 1e-6, shows in the sixth digit */
  NEAR(w[4] - w[1], 0.60631664, 2e-5);
  dor_logistic_predict(2, 2, w, x, p);
  NEAR(p[1], 0.54570689, 2e-5);
  OK(dor_logistic_fit(8, 2, features, y3, 3, 1.0, w));
  dor_logistic_predict(2, 3, w, x, p);
  NEAR(p[0], 0.26875447, 2e-5);
  NEAR(p[2], 0.45199125, 2e-5);
  dor_logistic_predict(2, 3, w, x + 2, p);
  NEAR(p[1], 0.01080872, 2e-5);
}

TEST(eval_logistic_separable)
{
  const double x[4] = {-2, -1, 1, 2}, bad[4] = {0, INFINITY, 0, 0};
  const int32_t y[4] = {0, 0, 1, 1}, one[4] = {1, 1, 1, 1};
  double w[4], p[2];
  OK(dor_logistic_fit(4, 1, x, y, 2, 1e-3, w));
  dor_logistic_predict(1, 2, w, x, p);
  CHECK(isfinite(w[0]) && p[0] > 0.9, "p %g", p[0]);
  OK(dor_logistic_fit(4, 1, x, one, 2, 1e-3, w));
  dor_logistic_predict(1, 2, w, x, p);
  CHECK(p[1] > 0.99, "a class that is alone is sure: %g", p[1]);
  CHECK(dor_logistic_fit(4, 1, bad, y, 2, 1e-3, w) == DOR_E_NUMERIC, "infinite feature");
}
