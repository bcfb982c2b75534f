/* SPDX-License-Identifier: Apache-2.0
 *
 * Statistics: point estimates, intervals, tests. Every number that dorsum
 * prints comes from here. Undefined (0/0) is NaN, never 0; tables print NA. */
#ifndef DOR_EVAL_EVAL_H
#define DOR_EVAL_EVAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/rng.h"
#include "base/status.h"

/* ---- distributions (eval/distribution.c): own code, GSL and mpmath only as oracles in tests ---- */
double dor_normal_cdf(double x);
double dor_normal_quantile(double p);
double dor_beta_cdf(double x, double a, double b);       /* regularised incomplete beta */
double dor_beta_quantile(double p, double a, double b);
double dor_binomial_cdf(int64_t k, int64_t n, double p); /* P(X <= k) */
double dor_t_quantile(double p, double df);

typedef struct dor_interval { double lo, hi; const char *method; } dor_interval; /* method: "Wilson", "BCa", ... */

/* ---- proportions (eval/interval.c) ---- */
dor_interval dor_wilson(int64_t k, int64_t n, double level);
dor_interval dor_clopper_pearson(int64_t k, int64_t n, double level);
dor_interval dor_newcombe_paired(int64_t a, int64_t b, int64_t c, int64_t d, double level, double *difference); /* method 10: (b - c)/n */

/* ---- two classes (eval/binary.c) ---- */
typedef struct dor_counts { int64_t tp, fn, tn, fp; } dor_counts;
dor_counts dor_count(int32_t n, const int32_t *truth, const int32_t *decided, int32_t positive);
double dor_accuracy(dor_counts c);
double dor_sensitivity(dor_counts c);
double dor_specificity(dor_counts c);
double dor_precision(dor_counts c);
double dor_npv(dor_counts c);
double dor_f1(dor_counts c);
double dor_balanced_accuracy(dor_counts c);
double dor_mcc(dor_counts c);
double dor_kappa(dor_counts c);

typedef struct dor_auc { double auc, variance; int64_t n_pos, n_neg; } dor_auc;
/* Midranks, O(n log n). errors RANGE: a class is empty; NUMERIC: a score is not finite. source DeLong 1988; Sun & Xu 2014 */
DOR_MUST dor_status dor_delong(int32_t n, const double *score, const uint8_t *truth, dor_auc *out);
dor_interval dor_delong_interval(dor_auc a, double level); /* on the logit scale; auc 0 or 1: Clopper-Pearson-like note in method */
typedef struct dor_auc_difference { double difference, se, z, p; } dor_auc_difference;
DOR_MUST dor_status dor_delong_paired(int32_t n, const double *a, const double *b, const uint8_t *truth, dor_auc_difference *out);
typedef struct dor_roc_point { double fpr, tpr, threshold; } dor_roc_point;
DOR_MUST dor_status dor_roc(dor_arena *a, int32_t n, const double *score, const uint8_t *truth, dor_roc_point **out, int32_t *n_out);

/* ---- several classes (eval/multiclass.c) ---- */
/* confusion [k,k]: row truth, column decided */
void dor_confusion(int32_t n, int32_t k, const int32_t *truth, const int32_t *decided, int64_t *confusion);
dor_counts dor_one_v_rest(int32_t k, const int64_t *confusion, int32_t c);
double dor_macro(int32_t k, const int64_t *confusion, double (*metric)(dor_counts)); /* mean over classes; NaN if one is undefined */
double dor_multiclass_accuracy(int32_t k, const int64_t *confusion);
double dor_multiclass_mcc(int32_t k, const int64_t *confusion);                    /* Gorodkin 2004 */
DOR_MUST dor_status dor_macro_auc(int32_t n, int32_t k, const double *p, const int32_t *truth, double *out); /* one v rest */

/* ---- probability and value scores ---- */
double dor_brier(int32_t n, const double *p, const uint8_t *truth);
double dor_log_loss(int32_t n, int32_t k, const double *p, const int32_t *truth, int64_t *clipped);
double dor_mean_absolute_error(int32_t n, const double *predicted, const double *value);
double dor_rmse(int32_t n, const double *predicted, const double *value);

/* ---- bootstrap (eval/bootstrap.c) ---- */
/* A statistic of the things listed in index[0..m); NaN where undefined. */
typedef double dor_statistic(const void *data, const int32_t *index, int32_t m);
/* BCa over clusters, resampled within each stratum (that of the cluster's first thing); acceleration by leaving out one cluster at a time.
 *
 *   cluster  [n] in 0..n-1; NULL: each thing is its own     stratum  [n] from 0, e.g. classes; NULL: one
 *   out      NaN where the statistic is undefined or every replicate the same, which tells nothing of its spread; percentile where BCa is
 *            degenerate or a replicate is undefined; the method says so
 *   source   Efron, JASA 1987 */
DOR_MUST dor_status dor_bca(const void *data, dor_statistic *f, int32_t n, const int32_t *cluster, const int32_t *stratum, int32_t replicates,
                            uint64_t seed, double level, dor_interval *out);
typedef struct dor_paired_bootstrap { double difference, p; dor_interval interval; } dor_paired_bootstrap;
DOR_MUST dor_status dor_bootstrap_difference(const void *a, const void *b, dor_statistic *f, int32_t n, const int32_t *cluster,
                                             const int32_t *stratum, int32_t replicates, uint64_t seed, double level, dor_paired_bootstrap *out);

/* The replicates themselves, for figures that are curves: each(to, replicate, index, m) sees what the statistic of dor_bca would. */
typedef void dor_resampled(void *to, int32_t replicate, const int32_t *index, int32_t m);
DOR_MUST dor_status dor_resample(int32_t n, const int32_t *cluster, const int32_t *stratum, int32_t replicates, uint64_t seed, dor_resampled *each, void *to);

/* Pointwise percentile band of the ROC curve, vertical: lo, hi [points] at false positive rates i / (points - 1), linear between
 * thresholds. (eval/band.c) errors RANGE: a class is empty */
DOR_MUST dor_status dor_roc_band(int32_t n, const double *score, const uint8_t *truth, const int32_t *cluster, int32_t replicates, uint64_t seed,
                                 double level, int32_t points, double *lo, double *hi);

/* ---- tests (eval/test.c) ---- */
typedef struct dor_mcnemar { int64_t b, c; double exact, mid; } dor_mcnemar;
dor_mcnemar dor_mcnemar_test(int64_t b, int64_t c);
double dor_nir_test(int64_t correct, int64_t n, double rate);  /* P(Bin(n, rate) >= correct) */
void dor_holm(int32_t n, const double *p, double *adjusted);   /* NaN stays NaN and does not count */
typedef struct dor_corrected_t { double t, p; double df; } dor_corrected_t;
dor_corrected_t dor_resampled_t(int32_t n, const double *difference, double test_share, double train_share); /* Nadeau & Bengio */

/* ---- logistic regression for baselines (eval/logistic.c) ---- */
/* Newton's method on the softmax likelihood with a ridge on the slopes (separation stays finite), the same for every class.
 *
 *   x [n,p]  y [n] in 0..k-1  w [k,p+1] intercept last      errors RANGE; NUMERIC: x is not finite, or no convergence */
DOR_MUST dor_status dor_logistic_fit(int32_t n, int32_t p, const double *x, const int32_t *y, int32_t k, double ridge, double *w);
void dor_logistic_predict(int32_t p, int32_t k, const double *w, const double *x, double *prob);

#endif
