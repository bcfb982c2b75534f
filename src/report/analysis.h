/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything a report says, computed once: metrics with intervals, contrasts
 * between arms. Tables, figures and pages only format it (private to report). */
#ifndef DOR_REPORT_ANALYSIS_H
#define DOR_REPORT_ANALYSIS_H

#include "eval/metric.h"
#include "report/report.h"

enum { DOR_ALL = -1, DOR_MEAN = -2, DOR_SD = -3 }; /* in place of a fold or seed */

typedef struct dor_result {    /* a row of metrics.csv */
  int32_t arm, fold, cls;      /* arm in dor_analysis; cls -1: none */
  int64_t seed;
  const char *metric, *average;
  double value;
  dor_interval ci;             /* NaN: none */
  int64_t n, k, n_pos, n_neg;  /* -1: does not apply */
  bool set_to_zero;            /* MCC with a factor of 0 in its denominator: 0 by convention, and no estimate */
} dor_result;

typedef struct dor_arm_result {
  const dor_report_arm *arm;
  int32_t index;               /* in the predictions */
  dor_scores scores;           /* averaged over seeds and repeats */
  int64_t *confusion;          /* [n_classes, n_classes] row truth, column decided */
  int32_t commonest;           /* class */
  double nir_p;                /* one-sided, better than always the commonest class */
  int32_t n_seeds;             /* with rows of this arm */
} dor_arm_result;

typedef struct dor_contrast {  /* an arm against the reference, by one metric */
  int32_t arm;
  const char *metric, *test;
  bool primary;
  int64_t n, only_arm, only_reference; /* units in both; right in one alone (-1: does not apply) */
  double reference_value, value, difference;
  dor_interval ci;
  double p, p_mid, p_holm;     /* p_holm is NaN for the primary contrast */
} dor_contrast;

typedef struct dor_analysis {
  dor_arena *a;
  const dor_report_meta *m;
  const dor_predictions *p;
  bool clustered;              /* some cluster holds more than one unit */
  int32_t n_arms, reference, primary; /* primary -1: none */
  int32_t n_folds, *fold;      /* the folds' numbers, ascending */
  dor_arm_result *arm;
  int32_t n_rows, rows_cap, n_contrasts;
  dor_result *row;
  dor_contrast *contrast;      /* by metric, then arm */
  const char **reason;         /* [n_arms] why an arm is not compared; NULL: it is */
  int32_t best;                /* most accurate of the arms that are no baselines */
  bool *tied, alone;           /* [n_arms] not shown to be less accurate than the best; alone: nothing is (paired tests, Holm) */
} dor_analysis;

DOR_MUST dor_status dor_analyse(dor_arena *a, const dor_report_meta *m, const dor_predictions *p, dor_analysis *out);

DOR_MUST dor_status dor_analyse_metrics(dor_analysis *x);   /* analysis_metrics.c */
DOR_MUST dor_status dor_analyse_contrasts(dor_analysis *x); /* analysis_contrasts.c */

/* NULL when there is none. The first interval (Wilson before Clopper-Pearson). */
const dor_result *dor_result_find(const dor_analysis *x, int32_t arm, int32_t fold, int64_t seed, const char *metric, int32_t cls);
const dor_contrast *dor_contrast_find(const dor_analysis *x, int32_t arm, const char *metric);
bool dor_contrast_shown(const dor_analysis *x, const dor_contrast *c); /* its p, corrected where it must be, is below 1 - level */
const char *dor_contrast_verdict(const dor_analysis *x, const dor_contrast *c); /* "better", "worse", "not shown to differ" */
bool dor_contrasts_exact(const dor_analysis *x); /* McNemar's test decides by the metric that arms are compared by */
const char *dor_stamp(const dor_report_meta *m);            /* "SYNTHETIC LEAKS QUICK", "" */
int32_t dor_positive(const dor_analysis *x);                /* 1 of two classes, else -1 */
const char *dor_fold_name(const dor_analysis *x, int32_t fold); /* as the predictions call it; "" when out of memory */

#endif
