/* SPDX-License-Identifier: Apache-2.0
 *
 * Agreement of two measurements, against numpy on 33 pairs of 6 people. */
#include "eval/agreement.h"

#include <math.h>

#include "tests/test.h"

enum { PAIRS = 33, PEOPLE = 6 };

static void fill(double *estimate, double *truth, int32_t *subject)
{
  for (int32_t s = 0, k = 0; s < PEOPLE; s++)
    for (int32_t i = 0; i < 3 + s; i++, k++) {
      subject[k] = s;
      truth[k] = 170 - 7 * (((k + 1) * 37) % 11) + s;
      estimate[k] = truth[k] + 0.5 * ((s * 5) % 7 - 3) + 0.25 * (((k + 1) * 29) % 9 - 4);
    }
}

static void near(const char *what, double got, double want) { CHECK(fabs(got - want) < 1e-12, "%s is %.17g, wanted %.17g", what, got, want); }

TEST(agreement_is_that_of_numpy)
{
  double estimate[PAIRS + 1], truth[PAIRS + 1];
  int32_t subject[PAIRS + 1];
  dor_agreement a;
  fill(estimate, truth, subject);
  estimate[PAIRS] = 1, truth[PAIRS] = NAN, subject[PAIRS] = 0;
  OK(dor_agreement_of(PAIRS + 1, estimate, truth, subject, PEOPLE + 2, 500, 1, 0.95, &a));
  CHECK(a.n == PAIRS && a.missing == 1 && a.subjects == PEOPLE, "%lld pairs, %lld missing, %d people", (long long)a.n, (long long)a.missing, a.subjects);
  near("rmse", a.rmse.value, 1.2169883343979129);
  near("bias", a.bias.value, 0.24242424242424243);
  near("lower limit", a.lower.value, -2.2738397800762264);
  near("upper limit", a.upper.value, 2.7586882649247118);
  near("sd between", a.sd_between, 1.0744837541677372);
  near("sd within", a.sd_within, 0.7026440521495674);
  near("icc", a.icc.value, 0.9985423236423642);
  CHECK(a.bias.interval.lo < a.bias.value && a.bias.value < a.bias.interval.hi && a.rmse.interval.lo < a.rmse.value, "intervals");
}

TEST(agreement_of_one_person_has_no_limits)
{
  static const double estimate[2] = {10, 12}, truth[2] = {9, 13};
  static const int32_t subject[2] = {0, 0};
  dor_agreement a;
  OK(dor_agreement_of(2, estimate, truth, subject, 1, 100, 1, 0.95, &a));
  CHECK(a.rmse.value == 1 && a.bias.value == 0 && isnan(a.upper.value) && isnan(a.rmse.interval.lo), "%g, %g", a.rmse.value, a.upper.value);
  static const double none[2] = {NAN, NAN};
  CHECK(dor_agreement_of(2, none, truth, subject, 1, 100, 1, 0.95, &a) == DOR_E_RANGE, "nothing to compare was taken");
}
