/* SPDX-License-Identifier: Apache-2.0
 *
 * predictions.csv: the primary output of a run. Out-of-fold only, one row per
 * subject (or trial), arm, seed and repeat; class names, not numbers.
 *
 *   subject_id,trial,site,fold,repeat,seed,arm,y_true,y_pred,p_<class>...,n_clips,threshold */
#ifndef DOR_EVAL_PREDICTIONS_H
#define DOR_EVAL_PREDICTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/csv.h"
#include "base/status.h"

typedef struct dor_predictions {
  int32_t n, n_classes, n_arms, n_clusters; /* rows; classes (0: values); arms in order of appearance */
  const char *const *class_name, *const *arm_name;
  const char *const *subject, *const *trial, *const *site; /* [n]; "" where not given */
  const int32_t *arm, *fold, *repeat, *truth, *n_clips;    /* [n] */
  const int64_t *seed;
  const double *p;           /* [n, n_classes] */
  const double *value, *predicted; /* [n] regression */
  const double *threshold;   /* [n] */
  const int32_t *cluster;    /* [n] what intervals resample: group if known, else subject */
} dor_predictions;

DOR_MUST dor_status dor_predictions_write(const dor_predictions *t, const char *path);

/* Foreign files too: `subject_id|subject`, `y_true|label`, `p_CLASS` or `probability` with `positive`, `fold`, `arm`, `seed`, `group`;
 * other names by rename = {"label=COL", ...}. classes in the order `order` (NULL: of appearance, sorted). errors DATA file:line: column */
typedef struct dor_predictions_options {
  const char *positive;
  const char *const *rename;
  int32_t n_rename;
  const char *const *order;
  int32_t n_order;
} dor_predictions_options;
DOR_MUST dor_status dor_predictions_read(dor_arena *a, const char *path, const dor_predictions_options *o, dor_predictions *out);

/* What one arm says about each unit: probabilities averaged over seeds and repeats first, then decided. */
typedef struct dor_scores {
  int32_t n, n_classes;
  const char *const *subject, *const *trial;
  const int32_t *truth, *decided, *cluster, *fold; /* fold: of the first repeat */
  const double *p;           /* [n, n_classes] */
} dor_scores;
/* seed < 0: all, averaged. Units in order of first appearance. Binary: decided = 1 (positive) when p[1] >= threshold. */
DOR_MUST dor_status dor_scores_of(dor_arena *a, const dor_predictions *t, int32_t arm, int64_t seed, dor_scores *out);

#endif
