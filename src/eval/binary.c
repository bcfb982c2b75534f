/* SPDX-License-Identifier: Apache-2.0
 *
 * Two classes: counts and what is made of them, and the area under the ROC
 * curve with DeLong's variance by midranks. */
#include "eval/eval.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

dor_counts dor_count(int32_t n, const int32_t *truth, const int32_t *decided, int32_t positive)
{
  dor_counts c = {0};
  for (int32_t i = 0; i < n; i++) {
    bool said = decided[i] == positive;
    if (truth[i] == positive) said ? c.tp++ : c.fn++;
    else said ? c.fp++ : c.tn++;
  }
  return c;
}

static double ratio(int64_t k, int64_t n) { return n ? (double)k / (double)n : NAN; }

double dor_accuracy(dor_counts c) { return ratio(c.tp + c.tn, c.tp + c.fn + c.tn + c.fp); }
double dor_sensitivity(dor_counts c) { return ratio(c.tp, c.tp + c.fn); }
double dor_specificity(dor_counts c) { return ratio(c.tn, c.tn + c.fp); }
double dor_precision(dor_counts c) { return ratio(c.tp, c.tp + c.fp); }
double dor_npv(dor_counts c) { return ratio(c.tn, c.tn + c.fn); }
double dor_f1(dor_counts c) { return ratio(2 * c.tp, 2 * c.tp + c.fp + c.fn); }
double dor_balanced_accuracy(dor_counts c) { return 0.5 * (dor_sensitivity(c) + dor_specificity(c)); }

double dor_mcc(dor_counts c)
{
  if (c.tp + c.fn + c.tn + c.fp == 0) return NAN;
  double tp = (double)c.tp, fn = (double)c.fn, tn = (double)c.tn, fp = (double)c.fp;
  double product = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn);
  return product > 0 ? (tp * tn - fp * fn) / sqrt(product) : 0;
}

double dor_kappa(dor_counts c)
{
  double tp = (double)c.tp, fn = (double)c.fn, tn = (double)c.tn, fp = (double)c.fp, n = tp + fn + tn + fp;
  double chance = ((tp + fp) * (tp + fn) + (fn + tn) * (fp + tn)) / (n * n);
  return n > 0 && chance < 1 ? (dor_accuracy(c) - chance) / (1 - chance) : NAN;
}

typedef struct scored {
  double score;
  int32_t at;
} scored;

static int by_score(const void *a, const void *b)
{
  const scored *x = a, *y = b;
  if (x->score != y->score) return x->score < y->score ? -1 : 1;
  return (x->at > y->at) - (x->at < y->at);
}

static dor_status sorted(int32_t n, const double *score, scored *s)
{
  for (int32_t i = 0; i < n; i++) {
    DOR_NEED(isfinite(score[i]), NUMERIC, "score %d is not finite", i);
    s[i] = (scored){score[i], i};
  }
  qsort(s, (size_t)n, sizeof *s, by_score);
  return DOR_OK;
}

static int32_t end_of_tie(const scored *s, int32_t n, int32_t from)
{
  int32_t to = from;
  while (to < n && s[to].score == s[from].score) to++;
  return to;
}

/* place[i]: for a positive the share of negatives below it, for a negative the share of positives above it; ties count half.
 * *auc: the mean over pairs. Sums of halves are exact, so the order of rows does not matter. */
static void placements(int32_t n, const scored *s, const uint8_t *truth, double n_pos, double n_neg, double *place, double *auc)
{
  double pos_below = 0, neg_below = 0, won = 0;
  for (int32_t i = 0; i < n;) {
    int32_t end = end_of_tie(s, n, i);
    double pos = 0, neg = 0;
    for (int32_t j = i; j < end; j++) truth[s[j].at] ? pos++ : neg++;
    for (int32_t j = i; j < end; j++)
      place[s[j].at] = truth[s[j].at] ? (neg_below + 0.5 * neg) / n_neg : (n_pos - pos_below - 0.5 * pos) / n_pos;
    won += pos * (neg_below + 0.5 * neg);
    pos_below += pos, neg_below += neg;
    i = end;
  }
  *auc = won / (n_pos * n_neg);
}

/* Covariance of two AUCs of the same cases: S10/m + S01/n. source: DeLong 1988 */
static double covariance(int32_t n, const double *x, const double *y, const uint8_t *truth, const dor_auc *a, const dor_auc *b)
{
  double pos = 0, neg = 0, m = (double)a->n_pos, k = (double)a->n_neg;
  for (int32_t i = 0; i < n; i++) {
    double product = (x[i] - a->auc) * (y[i] - b->auc);
    if (truth[i]) pos += product;
    else neg += product;
  }
  return a->n_pos > 1 && a->n_neg > 1 ? pos / (m - 1) / m + neg / (k - 1) / k : NAN;
}

static dor_status place_all(int32_t n, const double *score, const uint8_t *truth, scored *s, double *place, dor_auc *out)
{
  *out = (dor_auc){0};
  for (int32_t i = 0; i < n; i++) truth[i] ? out->n_pos++ : out->n_neg++;
  DOR_NEED(out->n_pos && out->n_neg, RANGE, "AUC needs both classes, not %lld and %lld", (long long)out->n_pos, (long long)out->n_neg);
  DOR_TRY(sorted(n, score, s));
  placements(n, s, truth, (double)out->n_pos, (double)out->n_neg, place, &out->auc);
  out->variance = covariance(n, place, place, truth, out, out);
  return DOR_OK;
}

dor_status dor_delong(int32_t n, const double *score, const uint8_t *truth, dor_auc *out)
{
  dor_arena a = {0};
  scored *s = dor_arena_alloc(&a, (size_t)n * sizeof *s);
  double *place = dor_arena_alloc(&a, (size_t)n * sizeof *place);
  dor_status status = s && place ? place_all(n, score, truth, s, place, out) : DOR_FAIL(NOMEM, "AUC of %d scores", n);
  dor_arena_release(&a);
  return status;
}

/* All pairs won or lost leave no variance; but min(m, n) disjoint pairs are independent trials that all agreed. */
static dor_interval perfect(const dor_auc *a, double level)
{
  int64_t pairs = a->n_pos < a->n_neg ? a->n_pos : a->n_neg;
  dor_interval i = dor_clopper_pearson(a->auc > 0 ? pairs : 0, pairs, level);
  i.method = "Clopper-Pearson of disjoint pairs";
  return i;
}

dor_interval dor_delong_interval(dor_auc a, double level)
{
  if (a.auc <= 0 || a.auc >= 1) return perfect(&a, level);
  if (!(a.variance > 0)) return (dor_interval){NAN, NAN, ""};
  double centre = log(a.auc / (1 - a.auc));
  double half = dor_normal_quantile(0.5 + 0.5 * level) * sqrt(a.variance) / (a.auc * (1 - a.auc));
  return (dor_interval){1 / (1 + exp(half - centre)), 1 / (1 + exp(-half - centre)), "DeLong, logit"};
}

static dor_status paired(int32_t n, const double *a, const double *b, const uint8_t *truth, scored *s, double *pa, double *pb, dor_auc_difference *out)
{
  dor_auc x, y;
  DOR_TRY(place_all(n, a, truth, s, pa, &x));
  DOR_TRY(place_all(n, b, truth, s, pb, &y));
  double variance = x.variance + y.variance - 2 * covariance(n, pa, pb, truth, &x, &y);
  out->difference = x.auc - y.auc;
  out->se = variance > 0 ? sqrt(variance) : variance <= 0 ? 0 : NAN;
  out->z = out->difference == 0 ? 0 : out->se > 0 ? out->difference / out->se : NAN;
  out->p = erfc(fabs(out->z) * sqrt(0.5));
  return DOR_OK;
}

dor_status dor_delong_paired(int32_t n, const double *a, const double *b, const uint8_t *truth, dor_auc_difference *out)
{
  dor_arena arena = {0};
  size_t bytes = (size_t)n * sizeof(double);
  scored *s = dor_arena_alloc(&arena, (size_t)n * sizeof *s);
  double *pa = dor_arena_alloc(&arena, bytes), *pb = dor_arena_alloc(&arena, bytes);
  dor_status status = s && pa && pb ? paired(n, a, b, truth, s, pa, pb, out) : DOR_FAIL(NOMEM, "AUCs of %d scores", n);
  dor_arena_release(&arena);
  return status;
}

static int32_t walk(int32_t n, const scored *s, const uint8_t *truth, dor_roc_point *roc)
{
  double pos = 0, neg = 0;
  int32_t points = 1;
  roc[0] = (dor_roc_point){0, 0, INFINITY};
  for (int32_t i = n; i > 0; i--) { /* from the highest score down; a tie is one point */
    truth[s[i - 1].at] ? pos++ : neg++;
    if (i == 1 || s[i - 2].score != s[i - 1].score) roc[points++] = (dor_roc_point){neg, pos, s[i - 1].score};
  }
  for (int32_t i = 1; i < points; i++) roc[i].fpr /= neg, roc[i].tpr /= pos;
  return points;
}

dor_status dor_roc(dor_arena *a, int32_t n, const double *score, const uint8_t *truth, dor_roc_point **out, int32_t *n_out)
{
  int32_t pos = 0;
  for (int32_t i = 0; i < n; i++) pos += truth[i] != 0;
  DOR_NEED(pos && pos < n, RANGE, "ROC needs both classes, not %d and %d", pos, n - pos);
  scored *s = dor_calloc((size_t)n, sizeof *s);
  *out = dor_arena_alloc(a, ((size_t)n + 1) * sizeof **out);
  dor_status status = s && *out ? sorted(n, score, s) : DOR_FAIL(NOMEM, "ROC of %d scores", n);
  if (!status) *n_out = walk(n, s, truth, *out);
  dor_free(s);
  return status;
}
