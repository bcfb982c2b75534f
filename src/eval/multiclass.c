/* SPDX-License-Identifier: Apache-2.0
 *
 * Several classes: the confusion matrix, macro averages of the two-class
 * figures, and scores of probabilities and values. Weighted recall is left out
 * on purpose: it equals accuracy. */
#include "eval/eval.h"

#include <math.h>

#include "base/mem.h"

void dor_confusion(int32_t n, int32_t k, const int32_t *truth, const int32_t *decided, int64_t *confusion)
{
  for (int32_t i = 0; i < k * k; i++) confusion[i] = 0;
  for (int32_t i = 0; i < n; i++) confusion[truth[i] * k + decided[i]]++;
}

dor_counts dor_one_v_rest(int32_t k, const int64_t *confusion, int32_t c)
{
  int64_t row = 0, column = 0, all = 0;
  for (int32_t i = 0; i < k; i++) {
    row += confusion[c * k + i], column += confusion[i * k + c];
    for (int32_t j = 0; j < k; j++) all += confusion[i * k + j];
  }
  int64_t tp = confusion[c * k + c];
  return (dor_counts){.tp = tp, .fn = row - tp, .fp = column - tp, .tn = all - row - column + tp};
}

double dor_macro(int32_t k, const int64_t *confusion, double (*metric)(dor_counts))
{
  double sum = 0;
  for (int32_t c = 0; c < k; c++) sum += metric(dor_one_v_rest(k, confusion, c));
  return k ? sum / k : NAN;
}

static int64_t total(int32_t k, const int64_t *confusion, int64_t *diagonal)
{
  int64_t all = 0;
  *diagonal = 0;
  for (int32_t i = 0; i < k; i++) {
    *diagonal += confusion[i * k + i];
    for (int32_t j = 0; j < k; j++) all += confusion[i * k + j];
  }
  return all;
}

double dor_multiclass_accuracy(int32_t k, const int64_t *confusion)
{
  int64_t right, all = total(k, confusion, &right);
  return all ? (double)right / (double)all : NAN;
}

/* source: Gorodkin, Comput Biol Chem 2004. Equals dor_mcc for two classes; 0 where a factor is 0. */
double dor_multiclass_mcc(int32_t k, const int64_t *confusion)
{
  int64_t right, all = total(k, confusion, &right);
  double n = (double)all, cross = 0, truth = 0, decided = 0;
  for (int32_t c = 0; c < k; c++) {
    dor_counts o = dor_one_v_rest(k, confusion, c);
    double t = (double)(o.tp + o.fn), d = (double)(o.tp + o.fp);
    cross += t * d, truth += t * t, decided += d * d;
  }
  double product = (n * n - truth) * (n * n - decided);
  return !all ? NAN : product > 0 ? ((double)right * n - cross) / sqrt(product) : 0;
}

static dor_status macro_auc(int32_t n, int32_t k, const double *p, const int32_t *truth, double *score, uint8_t *is, double *out)
{
  double sum = 0;
  for (int32_t c = 0; c < k; c++) {
    for (int32_t i = 0; i < n; i++) score[i] = p[i * k + c], is[i] = truth[i] == c;
    dor_auc a;
    DOR_TRY(dor_delong(n, score, is, &a));
    sum += a.auc;
  }
  *out = sum / k;
  return DOR_OK;
}

dor_status dor_macro_auc(int32_t n, int32_t k, const double *p, const int32_t *truth, double *out)
{
  double *score = dor_calloc((size_t)n, sizeof *score);
  uint8_t *is = dor_calloc((size_t)n, 1);
  dor_status s = score && is ? macro_auc(n, k, p, truth, score, is, out) : DOR_FAIL(NOMEM, "AUC of %d scores", n);
  dor_free(score);
  dor_free(is);
  return s;
}

double dor_brier(int32_t n, const double *p, const uint8_t *truth)
{
  double sum = 0;
  for (int32_t i = 0; i < n; i++) sum += (p[i] - truth[i]) * (p[i] - truth[i]);
  return n ? sum / n : NAN;
}

double dor_log_loss(int32_t n, int32_t k, const double *p, const int32_t *truth, int64_t *clipped)
{
  double sum = 0;
  *clipped = 0;
  for (int32_t i = 0; i < n; i++) {
    double q = p[i * k + truth[i]];
    if (q < 1e-15) q = 1e-15, ++*clipped;
    sum -= log(q);
  }
  return n ? sum / n : NAN;
}

double dor_mean_absolute_error(int32_t n, const double *predicted, const double *value)
{
  double sum = 0;
  for (int32_t i = 0; i < n; i++) sum += fabs(predicted[i] - value[i]);
  return n ? sum / n : NAN;
}

double dor_rmse(int32_t n, const double *predicted, const double *value)
{
  double sum = 0;
  for (int32_t i = 0; i < n; i++) sum += (predicted[i] - value[i]) * (predicted[i] - value[i]);
  return n ? sqrt(sum / n) : NAN;
}
