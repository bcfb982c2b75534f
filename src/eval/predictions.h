/* SPDX-License-Identifier: Apache-2.0
 *
 * predictions.csv: the primary output of a run. Out-of-fold only, one row per
 * subject (or trial), arm, seed and repeat; class names, not numbers.
 *
 *   subject_id,trial,site,fold,repeat,seed,arm,y_true,y_pred,p_<class>...,n_clips,threshold[,group][,stamp]
 *
 * Of two classes the second p_ column is the positive one. `group` (near-duplicates,
 * families: what intervals resample in place of the subject) stands only where a row has one,
 * `stamp` (SYNTHETIC LEAKS QUICK, or some of them) only where the run bears one: whoever passes the file on passes it on. */
#ifndef DOR_EVAL_PREDICTIONS_H
#define DOR_EVAL_PREDICTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/csv.h"
#include "base/status.h"

typedef struct dor_predictions {
  int32_t n, n_classes, n_arms;     /* rows; classes (0: values); arms in order of appearance */
  const char *const *class_name, *const *arm_name;
  const char *const *subject, *const *trial, *const *site, *const *group; /* [n]; "" where not given; write: trial, site, group may be NULL */
  const int32_t *arm, *fold, *repeat, *truth, *n_clips;    /* [n]; write: n_clips may be NULL (1) */
  const int64_t *seed;              /* [n] */
  const double *p;                  /* [n, n_classes] */
  const double *value, *predicted;  /* [n] when n_classes is 0 */
  const double *threshold;          /* [n] on p[1]; NaN where none (several classes); write: NULL: .5 */
  const char *stamp;                /* of all rows, words with a space between; read: what any row says; NULL or "": none */
  const char *const *fold_name;     /* read: by the number in `fold`, where the file calls its folds otherwise; else NULL */
  /* made by read, ignored by write: */
  int32_t n_units, n_clusters;
  const int32_t *unit;              /* [n] subject and trial, numbered by first appearance */
  const int32_t *cluster;           /* [n_units] what intervals resample: group if known, else subject */
} dor_predictions;

DOR_MUST dor_status dor_predictions_write(const dor_predictions *t, const char *path);

/* Foreign files too: `subject_id|subject`, `y_true|label`, `p_CLASS` or `probability` with `positive`, `fold`, `arm`, `seed`, `trial`,
 * `group`, `threshold`, `stamp`; other names by rename = {"label=COL", ...}. Classes stand in the order `order` (NULL: of the p_ columns); of two the
 * positive is put second. Without a trial column a subject's later rows become its trials 2, 3, ...
 * Folds that are no whole numbers are numbered from 1 as they appear and keep their names.
 * errors USAGE: `positive` is missing, or no class of the file, naming those there are; DATA file:line: column (unknown class, p outside
 * [0,1] or not summing to 1, y_pred that p and threshold contradict, a row twice, two truths for one unit) */
typedef struct dor_predictions_options {
  const char *positive;
  const char *const *rename;
  int32_t n_rename;
  const char *const *order;
  int32_t n_order;
} dor_predictions_options;
DOR_MUST dor_status dor_predictions_read(dor_arena *a, const char *path, const dor_predictions_options *o, dor_predictions *out);

/* Of two classes 1 when p[1] >= threshold; of more the most probable, the first of equals. */
int32_t dor_decide(int32_t n_classes, const double *p, double threshold);

/* What one arm says about each unit: probabilities averaged over seeds and repeats first, then decided. */
typedef struct dor_scores {
  int32_t n, n_classes;
  const char *const *subject, *const *trial;
  const int32_t *unit;              /* [n] ascending: pairs the units of two arms */
  const int32_t *truth, *decided, *fold; /* fold: of the first row */
  const int32_t *cluster;           /* [n] in [0, n) */
  const double *p;                  /* [n, n_classes] */
  const double *value, *predicted;  /* [n] when n_classes is 0 */
} dor_scores;
/* seed < 0: all, averaged; repeat < 0: likewise. Units in order of first appearance. */
DOR_MUST dor_status dor_scores_of(dor_arena *a, const dor_predictions *t, int32_t arm, int64_t seed, int32_t repeat, dor_scores *out);

#endif
