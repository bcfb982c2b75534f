/* SPDX-License-Identifier: Apache-2.0
 *
 * What must hold for any labels and scores. */
#include "eval/eval.h"

#include <math.h>

#include "tests/test.h"

enum { N = 60, ROUNDS = 40 };

typedef struct cases {
  double score[N], p[N * 3];
  uint8_t truth[N];
  int32_t label[N], decided[N];
} cases;

static cases draw(uint64_t round)
{
  cases c = {0};
  dor_rng r = dor_rng_stream(11, 5, round);
  for (int32_t i = 0; i < N; i++) {
    c.label[i] = i < 3 ? i : (int32_t)dor_rng_below(&r, 3), c.decided[i] = (int32_t)dor_rng_below(&r, 3);
    c.truth[i] = c.label[i] == 1;
    c.score[i] = (dor_rng_below(&r, 20) + 3.0 * c.truth[i]) / 24; /* with ties */
    for (int32_t k = 0; k < 3; k++) c.p[i * 3 + k] = dor_rng_real(&r);
  }
  return c;
}

static double slow_auc(const double *score, const uint8_t *truth)
{
  double won = 0, pairs = 0;
  for (int32_t i = 0; i < N; i++)
    for (int32_t j = 0; j < N; j++)
      if (truth[i] && !truth[j]) pairs++, won += score[i] > score[j] ? 1 : score[i] == score[j] ? 0.5 : 0;
  return won / pairs;
}

TEST(property_auc)
{
  for (uint64_t round = 0; round < ROUNDS; round++) {
    cases c = draw(round);
    dor_auc a, b;
    OK(dor_delong(N, c.score, c.truth, &a));
    CHECK(a.auc == slow_auc(c.score, c.truth), "%.17g", a.auc);
    double mapped[N], turned[N];
    uint8_t other[N];
    for (int32_t i = 0; i < N; i++) mapped[i] = exp(3 * c.score[i]) - 7, other[i] = !c.truth[i], turned[i] = -c.score[i];
    OK(dor_delong(N, mapped, c.truth, &b));
    CHECK(a.auc == b.auc && a.variance == b.variance, "a monotone map changes nothing");
    OK(dor_delong(N, c.score, other, &b));
    CHECK(fabs(a.auc + b.auc - 1) < 1e-15 && fabs(a.variance - b.variance) < 1e-15, "swapped classes: %g %g", a.auc, b.auc);
    OK(dor_delong(N, turned, c.truth, &b));
    CHECK(fabs(a.auc + b.auc - 1) < 1e-15, "turned scores: %g %g", a.auc, b.auc);
  }
}

TEST(property_order_of_subjects)
{
  for (uint64_t round = 0; round < ROUNDS; round++) {
    cases c = draw(round), d = c;
    int32_t order[N];
    dor_rng r = dor_rng_stream(3, 4, round);
    for (int32_t i = 0; i < N; i++) order[i] = i;
    dor_rng_shuffle(&r, order, N);
    for (int32_t i = 0; i < N; i++) {
      d.score[i] = c.score[order[i]], d.truth[i] = c.truth[order[i]], d.label[i] = c.label[order[i]], d.decided[i] = c.decided[order[i]];
      for (int32_t k = 0; k < 3; k++) d.p[i * 3 + k] = c.p[order[i] * 3 + k];
    }
    dor_auc a, b;
    double ma, mb;
    int64_t x[9], y[9];
    OK(dor_delong(N, c.score, c.truth, &a));
    OK(dor_delong(N, d.score, d.truth, &b));
    OK(dor_macro_auc(N, 3, c.p, c.label, &ma));
    OK(dor_macro_auc(N, 3, d.p, d.label, &mb));
    dor_confusion(N, 3, c.label, c.decided, x);
    dor_confusion(N, 3, d.label, d.decided, y);
    CHECK(a.auc == b.auc && ma == mb && fabs(a.variance - b.variance) < 1e-16, "scores");
    CHECK(dor_multiclass_mcc(3, x) == dor_multiclass_mcc(3, y) && dor_macro(3, x, dor_f1) == dor_macro(3, y, dor_f1), "counts");
  }
}

TEST(property_counts)
{
  for (uint64_t round = 0; round < ROUNDS; round++) {
    cases c = draw(round);
    int64_t x[9];
    dor_confusion(N, 3, c.label, c.decided, x);
    double weighted = 0;
    for (int32_t k = 0; k < 3; k++) {
      dor_counts o = dor_one_v_rest(3, x, k), again = dor_count(N, c.label, c.decided, k);
      CHECK(o.tp == again.tp && o.fn == again.fn && o.fp == again.fp && o.tn == again.tn, "class %d", k);
      weighted += dor_sensitivity(o) * (double)(o.tp + o.fn) / N;
    }
    CHECK(fabs(weighted - dor_multiclass_accuracy(3, x)) < 1e-15, "weighted recall is accuracy");
    dor_counts o = dor_one_v_rest(3, x, 1), swapped = {.tp = o.tn, .fn = o.fp, .tn = o.tp, .fp = o.fn};
    CHECK(dor_sensitivity(o) == dor_specificity(swapped) && dor_specificity(o) == dor_sensitivity(swapped), "swap");
    CHECK(fabs(dor_mcc(o) - dor_mcc(swapped)) < 1e-15 && fabs(dor_kappa(o) - dor_kappa(swapped)) < 1e-15, "swap keeps MCC and kappa");
    int64_t two[4] = {o.tn, o.fp, o.fn, o.tp};
    CHECK(fabs(dor_multiclass_mcc(2, two) - dor_mcc(o)) < 1e-14, "the two MCCs agree");
  }
}

TEST(property_intervals)
{
  for (int64_t n = 1; n < 40; n++)
    for (int64_t k = 0; k <= n; k++) {
      dor_interval w = dor_wilson(k, n, 0.95), m = dor_wilson(n - k, n, 0.95), c = dor_clopper_pearson(k, n, 0.95);
      double p = (double)k / (double)n;
      CHECK(w.lo >= 0 && w.lo <= p && p <= w.hi && w.hi <= 1, "Wilson %lld/%lld", (long long)k, (long long)n);
      CHECK(c.lo <= p && p <= c.hi, "Clopper-Pearson %lld/%lld", (long long)k, (long long)n);
      CHECK(fabs(w.lo + m.hi - 1) < 1e-14, "Wilson mirrors");
      if (k > 0) CHECK(fabs(1 - dor_binomial_cdf(k - 1, n, c.lo) - 0.025) < 1e-12, "the lower limit is where k or more has 2.5 %%");
    }
}
