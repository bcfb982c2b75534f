/* SPDX-License-Identifier: Apache-2.0
 *
 * Arms against the reference, paired by unit: McNemar and Newcombe for
 * proportions, DeLong for AUC, the bootstrap for the rest and wherever units
 * come in clusters. Holm over all but the primary contrast, metric by metric. */
#include <math.h>
#include <string.h>

#include "report/analysis.h"

enum { MOST_ARMS = 256 };

typedef struct paired {      /* the units both arms have, in the same order */
  dor_scores a, b;           /* a: the arm, b: the reference */
  bool same_folds;           /* no unit was tested in another fold */
} paired;

typedef struct columns {
  int32_t *truth, *decided, *cluster;
  double *p;
} columns;

static dor_status allocate(dor_arena *a, int32_t n, int32_t k, columns *c)
{
  size_t ints = ((size_t)n + 1) * sizeof(int32_t);
  c->truth = dor_arena_alloc(a, ints), c->decided = dor_arena_alloc(a, ints), c->cluster = dor_arena_alloc(a, ints);
  c->p = dor_arena_alloc(a, ((size_t)n + 1) * (size_t)k * sizeof *c->p);
  DOR_NEED(c->truth && c->decided && c->cluster && c->p, NOMEM, "%d units", n);
  return DOR_OK;
}

static void copy(const dor_scores *s, int32_t from, columns *c, int32_t to)
{
  int32_t k = s->n_classes;
  c->truth[to] = s->truth[from], c->decided[to] = s->decided[from], c->cluster[to] = s->cluster[from];
  memcpy(c->p + to * k, s->p + from * k, (size_t)k * sizeof *c->p);
}

static dor_scores wrap(const columns *c, int32_t n, int32_t k)
{
  return (dor_scores){.n = n, .n_classes = k, .truth = c->truth, .decided = c->decided, .cluster = c->cluster, .p = c->p};
}

/* Units are ascending in both: one merge finds the common ones. Cluster numbers stay below the larger arm's n, so they are made dense again. */
static dor_status pair(dor_arena *arena, const dor_scores *a, const dor_scores *b, paired *out)
{
  columns x = {0}, y = {0};
  int32_t n = 0, used = 0, *dense = dor_arena_alloc(arena, ((size_t)a->n + 1) * sizeof *dense);
  DOR_NEED(dense, NOMEM, "%d units", a->n);
  DOR_TRY(allocate(arena, a->n, a->n_classes, &x));
  DOR_TRY(allocate(arena, a->n, a->n_classes, &y));
  out->same_folds = true;
  for (int32_t i = 0, j = 0; i < a->n && j < b->n;) {
    if (a->unit[i] < b->unit[j]) i++;
    else if (a->unit[i] > b->unit[j]) j++;
    else {
      out->same_folds &= a->fold[i] == b->fold[j];
      copy(a, i++, &x, n), copy(b, j++, &y, n++);
    }
  }
  for (int32_t i = 0; i < n; i++) {
    if (!dense[x.cluster[i]]) dense[x.cluster[i]] = ++used;
    x.cluster[i] = dense[x.cluster[i]] - 1;
  }
  out->a = wrap(&x, n, a->n_classes), out->b = wrap(&y, n, a->n_classes);
  return DOR_OK;
}

/* Right decisions of both, crossed: of all units, or of those that are positive (sensitivity) or not (specificity). */
static void mcnemar(const dor_analysis *x, const paired *s, const char *metric, dor_contrast *c)
{
  int64_t n[2][2] = {{0}};
  for (int32_t i = 0; i < s->a.n; i++) {
    int32_t truth = s->a.truth[i];
    if (!strcmp(metric, "sensitivity") && truth != 1) continue;
    if (!strcmp(metric, "specificity") && truth == 1) continue;
    n[s->a.decided[i] == truth][s->b.decided[i] == truth]++;
  }
  dor_mcnemar m = dor_mcnemar_test(n[1][0], n[0][1]);
  c->n = n[0][0] + n[0][1] + n[1][0] + n[1][1];
  c->only_arm = n[1][0], c->only_reference = n[0][1];
  c->ci = dor_newcombe_paired(n[1][1], n[1][0], n[0][1], n[0][0], x->m->level, &c->difference);
  c->value = (double)(n[1][1] + n[1][0]) / (double)c->n, c->reference_value = (double)(n[1][1] + n[0][1]) / (double)c->n;
  c->p = m.exact, c->p_mid = m.mid, c->test = "McNemar exact";
}

static dor_status delong(const dor_analysis *x, const paired *s, dor_contrast *c)
{
  int32_t n = s->a.n, positive = 0;
  double *a = dor_arena_alloc(x->a, ((size_t)n + 1) * sizeof *a), *b = dor_arena_alloc(x->a, ((size_t)n + 1) * sizeof *b);
  uint8_t *truth = dor_arena_alloc(x->a, (size_t)n + 1);
  DOR_NEED(a && b && truth, NOMEM, "%d units", n);
  for (int32_t i = 0; i < n; i++) a[i] = s->a.p[2 * i + 1], b[i] = s->b.p[2 * i + 1], truth[i] = s->a.truth[i] == 1, positive += truth[i];
  c->n = n, c->test = "DeLong";
  if (!positive || positive == n) return DOR_OK;
  dor_auc first, second;
  dor_auc_difference d;
  DOR_TRY(dor_delong(n, a, truth, &first));
  DOR_TRY(dor_delong(n, b, truth, &second));
  DOR_TRY(dor_delong_paired(n, a, b, truth, &d));
  double half = dor_normal_quantile(0.5 + 0.5 * x->m->level) * d.se;
  c->value = first.auc, c->reference_value = second.auc, c->difference = d.difference, c->p = d.p;
  c->ci = (dor_interval){d.difference - half, d.difference + half, "DeLong"};
  return DOR_OK;
}

static dor_status resampled(const dor_analysis *x, const paired *s, dor_metric_id metric, dor_contrast *c)
{
  dor_figure a, b;
  dor_paired_bootstrap d;
  int32_t cls = metric == DOR_METRIC_specificity || metric == DOR_METRIC_sensitivity ? 1 : -1;
  DOR_TRY(dor_figure_init(&a, x->a, &s->a, metric, cls));
  DOR_TRY(dor_figure_init(&b, x->a, &s->b, metric, cls));
  DOR_TRY(dor_bootstrap_difference(&a, &b, dor_figure_value, s->a.n, s->a.cluster, s->a.truth, x->m->replicates,
                                   x->m->bootstrap_seed, x->m->level, &d));
  c->n = s->a.n, c->test = x->clustered ? "bootstrap over clusters" : "bootstrap";
  c->value = dor_figure_all(&a), c->reference_value = dor_figure_all(&b);
  c->difference = d.difference, c->ci = d.interval, c->p = d.p;
  return DOR_OK;
}

static dor_status contrast(const dor_analysis *x, int32_t arm, dor_metric_id metric, const paired *s, dor_contrast *c)
{
  *c = (dor_contrast){.arm = arm, .metric = dor_metrics[metric].name, .primary = arm == x->primary && !strcmp(dor_metrics[metric].name, x->m->metric),
                      .only_arm = -1, .only_reference = -1, .ci = {NAN, NAN, ""}, .reference_value = NAN, .value = NAN, .difference = NAN,
                      .p = NAN, .p_mid = NAN, .p_holm = NAN, .test = ""};
  bool counts = metric == DOR_METRIC_accuracy || metric == DOR_METRIC_sensitivity || metric == DOR_METRIC_specificity;
  if (counts) mcnemar(x, s, c->metric, c);
  if (counts && !x->clustered) return DOR_OK;
  if (metric == DOR_METRIC_auc && !x->clustered && s->a.n_classes == 2) return delong(x, s, c);
  c->p_mid = NAN;
  return resampled(x, s, metric, c);
}

static void correct(dor_analysis *x, int32_t first)
{
  double p[MOST_ARMS] = {0}, adjusted[MOST_ARMS];
  int32_t n = x->n_contrasts - first;
  for (int32_t i = 0; i < n; i++) p[i] = x->contrast[first + i].primary ? NAN : x->contrast[first + i].p;
  dor_holm(n, p, adjusted);
  for (int32_t i = 0; i < n; i++) x->contrast[first + i].p_holm = adjusted[i];
}

static const char *why_not(const dor_analysis *x, int32_t arm, const paired *s)
{
  if (s->a.n == 0) return "no unit in common with the reference";
  if (!s->same_folds) return "other folds than the reference";
  bool same = s->a.n == x->arm[arm].scores.n && s->b.n == x->arm[x->reference].scores.n;
  return same || x->m->common ? NULL : "other units than the reference, and compare.subjects is not common";
}

/* The best arm against each other one, by accuracy: who is on a par with it? */
static dor_status rank_arms(dor_analysis *x)
{
  double p[MOST_ARMS] = {0}, adjusted[MOST_ARMS];
  double best = -1;
  x->best = -1, x->alone = true;
  for (int32_t i = 0; i < x->n_arms; i++) {
    const dor_result *r = dor_result_find(x, i, DOR_ALL, DOR_ALL, "accuracy", -1);
    if (!x->arm[i].arm->baseline && r && r->value > best) best = r->value, x->best = i;
  }
  for (int32_t i = 0; i < x->n_arms; i++) {
    paired s;
    dor_contrast c;
    p[i] = NAN;
    if (i == x->best || x->best < 0 || x->arm[i].arm->baseline) continue;
    DOR_TRY(pair(x->a, &x->arm[x->best].scores, &x->arm[i].scores, &s));
    if (s.a.n) DOR_TRY(contrast(x, x->best, DOR_METRIC_accuracy, &s, &c));
    p[i] = s.a.n ? c.p : 1;
  }
  dor_holm(x->n_arms, p, adjusted);
  for (int32_t i = 0; i < x->n_arms; i++)
    if (!isnan(adjusted[i]) && adjusted[i] >= 1 - x->m->level) x->tied[i] = true, x->alone = false;
  return DOR_OK;
}

static const dor_metric_id of_two[] = {DOR_METRIC_accuracy, DOR_METRIC_sensitivity, DOR_METRIC_specificity, DOR_METRIC_balanced_accuracy, DOR_METRIC_auc};
static const dor_metric_id of_more[] = {DOR_METRIC_accuracy, DOR_METRIC_balanced_accuracy, DOR_METRIC_auc};

static int32_t metrics_for(int32_t n_classes, const dor_metric_id **out)
{
  *out = n_classes == 2 ? of_two : of_more;
  return n_classes == 2 ? sizeof of_two / sizeof *of_two : sizeof of_more / sizeof *of_more;
}

dor_status dor_analyse_contrasts(dor_analysis *x)
{
  const dor_metric_id *metric;
  int32_t n = metrics_for(x->p->n_classes, &metric);
  DOR_NEED(x->n_arms <= MOST_ARMS, UNSUPPORTED, "%d arms in one comparison; %d at most", x->n_arms, MOST_ARMS);
  x->tied = dor_arena_alloc(x->a, ((size_t)x->n_arms + 1) * sizeof *x->tied);
  x->contrast = dor_arena_alloc(x->a, ((size_t)n * (size_t)x->n_arms + 1) * sizeof *x->contrast);
  paired *pairs = dor_arena_alloc(x->a, ((size_t)x->n_arms + 1) * sizeof *pairs);
  DOR_NEED(x->contrast && pairs && x->tied, NOMEM, "%d arms", x->n_arms);
  for (int32_t i = 0; i < x->n_arms; i++) {
    if (i == x->reference || x->arm[i].arm->baseline) continue;
    DOR_TRY(pair(x->a, &x->arm[i].scores, &x->arm[x->reference].scores, &pairs[i]));
    x->reason[i] = why_not(x, i, &pairs[i]);
  }
  for (int32_t m = 0; m < n; m++) {
    int32_t first = x->n_contrasts;
    for (int32_t i = 0; i < x->n_arms; i++)
      if (i != x->reference && !x->arm[i].arm->baseline && !x->reason[i]) DOR_TRY(contrast(x, i, metric[m], &pairs[i], &x->contrast[x->n_contrasts++]));
    correct(x, first);
  }
  return rank_arms(x);
}
