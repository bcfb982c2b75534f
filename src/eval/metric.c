/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/metric.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define UP true
#define DOWN false
#define METRIC(name_, title_, up_, least_, most_, needs_, source_) \
  {.name = #name_, .title = title_, .up = up_, .least = least_, .most = most_, .needs = DOR_NEEDS_##needs_, .source = source_},
const dor_metric dor_metrics[DOR_METRIC_COUNT] = {
#include "eval/metrics.def"
};
#undef METRIC
#undef UP
#undef DOWN

int dor_metric_find(const char *name)
{
  for (int i = 0; i < DOR_METRIC_COUNT; i++)
    if (!strcmp(dor_metrics[i].name, name)) return i;
  return DOR_METRIC_NONE;
}

typedef struct scored {
  double p;
  int32_t at;
} scored;

static int ascending(const void *a, const void *b)
{
  const scored *x = a, *y = b;
  if (x->p != y->p) return x->p < y->p ? -1 : 1;
  return (x->at > y->at) - (x->at < y->at);
}

/* Sorted once: a replicate only changes how often each unit counts. */
static dor_status sort_scores(dor_figure *f, dor_arena *a)
{
  int32_t n = f->scores->n, k = f->scores->n_classes;
  scored *s = dor_arena_alloc(a, (size_t)n * sizeof *s);
  f->order = dor_arena_alloc(a, (size_t)n * (size_t)k * sizeof *f->order);
  DOR_NEED(s && f->order, NOMEM, "%d scores", n);
  for (int32_t c = 0; c < k; c++) {
    for (int32_t i = 0; i < n; i++) s[i] = (scored){f->scores->p[i * k + c], i};
    qsort(s, (size_t)n, sizeof *s, ascending);
    for (int32_t i = 0; i < n; i++) f->order[c * n + i] = s[i].at;
  }
  return DOR_OK;
}

dor_status dor_figure_init(dor_figure *f, dor_arena *a, const dor_scores *s, dor_metric_id metric, int32_t cls)
{
  *f = (dor_figure){.scores = s, .metric = metric, .cls = cls < 0 && s->n_classes == 2 ? 1 : cls};
  f->weight = dor_arena_alloc(a, ((size_t)s->n + 1) * sizeof *f->weight);
  f->confusion = dor_arena_alloc(a, ((size_t)s->n_classes * (size_t)s->n_classes + 1) * sizeof *f->confusion);
  f->all = dor_arena_alloc(a, ((size_t)s->n + 1) * sizeof *f->all);
  DOR_NEED(f->weight && f->confusion && f->all, NOMEM, "%d scores", s->n);
  for (int32_t i = 0; i < s->n; i++) f->all[i] = i;
  return metric == DOR_METRIC_auc ? sort_scores(f, a) : DOR_OK;
}

/* Area under the curve of class c with weights; sums of halves, exact. */
static double weighted_auc(const dor_figure *f, int32_t c)
{
  const dor_scores *s = f->scores;
  const int32_t *order = f->order + c * s->n;
  double below = 0, all_pos = 0, won = 0;
  for (int32_t i = 0; i < s->n;) {
    double pos = 0, neg = 0, p = s->p[order[i] * s->n_classes + c];
    for (; i < s->n && s->p[order[i] * s->n_classes + c] == p; i++)
      *(s->truth[order[i]] == c ? &pos : &neg) += f->weight[order[i]];
    won += pos * (below + 0.5 * neg);
    below += neg, all_pos += pos;
  }
  return all_pos > 0 && below > 0 ? won / (all_pos * below) : NAN;
}

static double auc(const dor_figure *f, const int32_t *index, int32_t m)
{
  int32_t k = f->scores->n_classes;
  memset(f->weight, 0, (size_t)f->scores->n * sizeof *f->weight);
  for (int32_t i = 0; i < m; i++) f->weight[index[i]]++;
  if (f->cls >= 0) return weighted_auc(f, f->cls);
  double sum = 0;
  for (int32_t c = 0; c < k; c++) sum += weighted_auc(f, c);
  return sum / k;
}

static double counted(const dor_figure *f, dor_counts c)
{
  switch (f->metric) {
    case DOR_METRIC_sensitivity: return dor_sensitivity(c);
    case DOR_METRIC_specificity: return dor_specificity(c);
    case DOR_METRIC_precision: return dor_precision(c);
    case DOR_METRIC_npv: return dor_npv(c);
    default: return dor_f1(c);
  }
}

static double of_confusion(const dor_figure *f, const int32_t *index, int32_t m)
{
  int32_t k = f->scores->n_classes;
  memset(f->confusion, 0, (size_t)k * (size_t)k * sizeof *f->confusion);
  for (int32_t i = 0; i < m; i++) f->confusion[f->scores->truth[index[i]] * k + f->scores->decided[index[i]]]++;
  if (f->metric == DOR_METRIC_accuracy) return dor_multiclass_accuracy(k, f->confusion);
  if (f->metric == DOR_METRIC_mcc) return dor_multiclass_mcc(k, f->confusion);
  if (f->metric == DOR_METRIC_balanced_accuracy) return dor_macro(k, f->confusion, dor_sensitivity);
  if (f->cls >= 0) return counted(f, dor_one_v_rest(k, f->confusion, f->cls));
  double sum = 0;
  for (int32_t c = 0; c < k; c++) sum += counted(f, dor_one_v_rest(k, f->confusion, c));
  return sum / k;
}

static double probability_score(const dor_figure *f, const int32_t *index, int32_t m)
{
  const dor_scores *s = f->scores;
  double sum = 0;
  for (int32_t i = 0; i < m; i++) {
    const double *p = s->p + index[i] * s->n_classes;
    int32_t truth = s->truth[index[i]];
    if (f->metric == DOR_METRIC_log_loss) sum -= log(fmax(p[truth], 1e-15));
    else if (f->cls >= 0) sum += (p[f->cls] - (truth == f->cls)) * (p[f->cls] - (truth == f->cls));
    else for (int32_t c = 0; c < s->n_classes; c++) sum += (p[c] - (truth == c)) * (p[c] - (truth == c));
  }
  return m ? sum / m : NAN;
}

static double value_score(const dor_figure *f, const int32_t *index, int32_t m)
{
  double sum = 0;
  for (int32_t i = 0; i < m; i++) {
    double error = f->scores->predicted[index[i]] - f->scores->value[index[i]];
    sum += f->metric == DOR_METRIC_rmse ? error * error : fabs(error);
  }
  return !m ? NAN : f->metric == DOR_METRIC_rmse ? sqrt(sum / m) : sum / m;
}

double dor_figure_value(const void *data, const int32_t *index, int32_t m)
{
  const dor_figure *f = data;
  dor_metric_needs needs = dor_metrics[f->metric].needs;
  if (needs == DOR_NEEDS_VALUES) return value_score(f, index, m);
  if (needs != DOR_NEEDS_SCORES) return of_confusion(f, index, m);
  return f->metric == DOR_METRIC_auc ? auc(f, index, m) : probability_score(f, index, m);
}

double dor_figure_all(const dor_figure *f) { return dor_figure_value(f, f->all, f->scores->n); }
