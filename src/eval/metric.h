/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of metrics (metrics.def), and any of them as one number of an arm's
 * scores, of all units or of a bootstrap's resampled ones. */
#ifndef DOR_EVAL_METRIC_H
#define DOR_EVAL_METRIC_H

#include "eval/eval.h"
#include "eval/predictions.h"

typedef enum dor_metric_id {
#define METRIC(name, ...) DOR_METRIC_##name,
#include "eval/metrics.def"
#undef METRIC
  DOR_METRIC_COUNT
} dor_metric_id;

typedef enum dor_metric_needs { DOR_NEEDS_COUNTS, DOR_NEEDS_CONFUSION, DOR_NEEDS_SCORES, DOR_NEEDS_VALUES } dor_metric_needs;

typedef struct dor_metric {
  const char *name, *title;
  bool up;                     /* larger is better */
  double least, most;
  dor_metric_needs needs;
  const char *source;
} dor_metric;
extern const dor_metric dor_metrics[DOR_METRIC_COUNT];

enum { DOR_METRIC_NONE = -1 };
int dor_metric_find(const char *name); /* a dor_metric_id; DOR_METRIC_NONE when there is none */

/* One metric of one arm: cls >= 0: of that class against the rest; -1: of all (two classes: of class 1; more: macro). */
typedef struct dor_figure {
  const dor_scores *scores;
  dor_metric_id metric;
  int32_t cls;
  int32_t *order;              /* [n_classes, n] ascending p: for AUC */
  int32_t *weight;             /* [n] how often a unit was drawn */
  int32_t *all;                /* [n] 0, 1, 2, ... */
  int64_t *confusion;          /* [n_classes, n_classes] */
} dor_figure;

DOR_MUST dor_status dor_figure_init(dor_figure *f, dor_arena *a, const dor_scores *s, dor_metric_id metric, int32_t cls);
dor_statistic dor_figure_value;  /* data: dor_figure; not for two threads at once; NaN where undefined */
double dor_figure_all(const dor_figure *f);

#endif
