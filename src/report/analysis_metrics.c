/* SPDX-License-Identifier: Apache-2.0
 *
 * The rows of metrics.csv: every metric of every arm over all units with its
 * interval, then by fold and by single seed as description. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "report/analysis.h"

typedef struct spec { /* what is asked of an arm */
  dor_metric_id metric;
  int32_t cls;        /* -1: all */
} spec;

typedef struct specs {
  int32_t n;
  spec *at;
} specs;

static void ask(specs *s, dor_metric_id metric, int32_t cls) { s->at[s->n++] = (spec){metric, cls}; }

static const dor_metric_id by_class[] = {DOR_METRIC_sensitivity, DOR_METRIC_specificity, DOR_METRIC_precision, DOR_METRIC_npv, DOR_METRIC_f1};
enum { BY_CLASS = sizeof by_class / sizeof *by_class, OVERALL = 8 };

static dor_status list(const dor_analysis *x, specs *s)
{
  int32_t k = x->p->n_classes, positive = dor_positive(x);
  *s = (specs){.at = dor_arena_alloc(x->a, ((size_t)k * (BY_CLASS + 1) + BY_CLASS + OVERALL) * sizeof *s->at)};
  DOR_NEED(s->at, NOMEM, "%d classes", k);
  ask(s, DOR_METRIC_accuracy, -1);
  for (int32_t i = 0; i < BY_CLASS; i++) ask(s, by_class[i], positive);
  ask(s, DOR_METRIC_balanced_accuracy, -1);
  ask(s, DOR_METRIC_mcc, -1);
  ask(s, DOR_METRIC_auc, positive);
  ask(s, DOR_METRIC_brier, positive);
  ask(s, DOR_METRIC_log_loss, -1);
  for (int32_t c = 0; k > 2 && c < k; c++) {
    for (int32_t i = 0; i < BY_CLASS; i++) ask(s, by_class[i], c);
    ask(s, DOR_METRIC_auc, c);
  }
  return DOR_OK;
}

static dor_status add(dor_analysis *x, dor_result r)
{
  if (x->n_rows == x->rows_cap) {
    int32_t cap = x->rows_cap ? 2 * x->rows_cap : 256;
    dor_result *grown = dor_arena_alloc(x->a, (size_t)cap * sizeof *grown);
    DOR_NEED(grown, NOMEM, "%d metrics", cap);
    if (x->n_rows) memcpy(grown, x->row, (size_t)x->n_rows * sizeof *grown);
    x->row = grown, x->rows_cap = cap;
  }
  x->row[x->n_rows++] = r;
  return DOR_OK;
}

/* k of n for the metrics that are proportions of units; k -1: it is none. */
static void proportion(dor_metric_id metric, dor_counts c, int64_t right, int64_t all, dor_result *r)
{
  r->k = -1;
  switch (metric) {
    case DOR_METRIC_accuracy: r->k = right, r->n = all; break;
    case DOR_METRIC_sensitivity: r->k = c.tp, r->n = c.tp + c.fn; break;
    case DOR_METRIC_specificity: r->k = c.tn, r->n = c.tn + c.fp; break;
    case DOR_METRIC_precision: r->k = c.tp, r->n = c.tp + c.fp; break;
    case DOR_METRIC_npv: r->k = c.tn, r->n = c.tn + c.fn; break;
    default: break;
  }
}

static const char *average_of(const dor_analysis *x, spec s)
{
  dor_metric_needs needs = dor_metrics[s.metric].needs;
  return x->p->n_classes > 2 && s.cls < 0 && (needs == DOR_NEEDS_COUNTS || s.metric == DOR_METRIC_auc) ? "macro" : "none";
}

/* Is everything decided alike, or all of one class? Then a factor of MCC's denominator is 0. */
static bool one_sided(const dor_scores *s)
{
  bool decided = true, truth = true;
  for (int32_t i = 1; i < s->n; i++) {
    decided = decided && s->decided[i] == s->decided[0];
    truth = truth && s->truth[i] == s->truth[0];
  }
  return s->n > 0 && (decided || truth);
}

static dor_result describe(const dor_analysis *x, int32_t arm, const dor_scores *s, spec q, double value)
{
  dor_result r = {.arm = arm, .fold = DOR_ALL, .seed = DOR_ALL, .cls = q.cls, .metric = dor_metrics[q.metric].name, .average = average_of(x, q),
                  .value = value, .ci = {NAN, NAN, ""}, .n = s->n, .k = -1, .n_pos = -1, .n_neg = -1};
  int64_t right = 0;
  for (int32_t i = 0; i < s->n; i++) right += s->truth[i] == s->decided[i];
  int32_t positive = q.cls >= 0 ? q.cls : dor_positive(x);
  if (positive >= 0) {
    dor_counts c = dor_count(s->n, s->truth, s->decided, positive);
    r.n_pos = c.tp + c.fn, r.n_neg = c.tn + c.fp;
    if (q.cls >= 0) proportion(q.metric, c, right, s->n, &r);
  }
  if (q.metric == DOR_METRIC_accuracy) r.k = right;
  r.set_to_zero = q.metric == DOR_METRIC_mcc && one_sided(s);
  if (r.set_to_zero) r.ci.method = "set to 0: a factor is 0";
  return r;
}

static dor_status delong(const dor_analysis *x, const dor_scores *s, int32_t cls, dor_interval *ci)
{
  double *score = dor_calloc((size_t)s->n, sizeof *score);
  uint8_t *truth = dor_calloc((size_t)s->n, 1);
  dor_auc a = {0};
  dor_status status = score && truth ? DOR_OK : DOR_FAIL(NOMEM, "%d scores", s->n);
  for (int32_t i = 0; !status && i < s->n; i++) score[i] = s->p[i * s->n_classes + cls], truth[i] = s->truth[i] == cls;
  if (!status) status = dor_delong(s->n, score, truth, &a);
  if (!status) *ci = dor_delong_interval(a, x->m->level);
  dor_free(score);
  dor_free(truth);
  return status;
}

/* Is a unit among the n of the proportion? */
static bool counts(spec q, int32_t truth, int32_t decided)
{
  switch (q.metric) {
    case DOR_METRIC_sensitivity: return truth == q.cls;
    case DOR_METRIC_specificity: return truth != q.cls;
    case DOR_METRIC_precision: return decided == q.cls;
    case DOR_METRIC_npv: return decided != q.cls;
    default: return true;
  }
}

/* All right or all wrong: no resample says otherwise, so the bootstrap is blind; clusters, being independent, are counted as one unit each. */
static dor_status by_clusters(const dor_analysis *x, const dor_scores *s, spec q, dor_result *r)
{
  bool *seen = dor_calloc((size_t)s->n, sizeof *seen);
  int32_t n = 0;
  DOR_NEED(seen, NOMEM, "%d units", s->n);
  for (int32_t i = 0; i < s->n; i++) {
    if (!counts(q, s->truth[i], s->decided[i]) || seen[s->cluster[i]]) continue;
    seen[s->cluster[i]] = true, n++;
  }
  dor_free(seen);
  r->ci = dor_wilson(r->k ? n : 0, n, x->m->level);
  r->ci.method = "Wilson over clusters, all replicates equal";
  return DOR_OK;
}

static dor_status interval(const dor_analysis *x, const dor_scores *s, const dor_figure *f, dor_result *r)
{
  if (isnan(r->value) || r->set_to_zero) return DOR_OK;
  if (!x->clustered && r->k >= 0) return r->ci = dor_wilson(r->k, r->n, x->m->level), DOR_OK;
  if (!x->clustered && f->metric == DOR_METRIC_auc && f->cls >= 0) return delong(x, s, f->cls, &r->ci);
  if (r->n && (!r->k || r->k == r->n)) return by_clusters(x, s, (spec){f->metric, f->cls}, r);
  return dor_bca(f, dor_figure_value, s->n, s->cluster, s->truth, x->m->replicates, x->m->bootstrap_seed, x->m->level, &r->ci);
}

static dor_status over_all(dor_analysis *x, int32_t arm, const specs *q)
{
  const dor_scores *s = &x->arm[arm].scores;
  for (int32_t i = 0; i < q->n; i++) {
    dor_figure f;
    DOR_TRY(dor_figure_init(&f, x->a, s, q->at[i].metric, q->at[i].cls));
    dor_result r = describe(x, arm, s, q->at[i], dor_figure_all(&f));
    DOR_TRY(interval(x, s, &f, &r));
    DOR_TRY(add(x, r));
    if (x->clustered || r.k < 0) continue;
    r.ci = dor_clopper_pearson(r.k, r.n, x->m->level);
    DOR_TRY(add(x, r));
  }
  return DOR_OK;
}

/* A probability of 0 for what was true would make the log loss infinite: those are clipped, and counted. */
static dor_status clipped_row(dor_analysis *x, int32_t arm)
{
  const dor_scores *s = &x->arm[arm].scores;
  int64_t clipped = 0;
  dor_log_loss(s->n, s->n_classes, s->p, s->truth, &clipped);
  return add(x, (dor_result){.arm = arm, .fold = DOR_ALL, .seed = DOR_ALL, .cls = -1, .metric = "log_loss_clipped", .average = "none",
                             .value = (double)clipped, .ci = {NAN, NAN, ""}, .n = s->n, .k = clipped, .n_pos = -1, .n_neg = -1});
}

/* Against always answering the commonest class: binomial, or, where units are not independent, half the two-sided bootstrap p. */
static dor_status better_than_nothing(dor_analysis *x, dor_arm_result *r)
{
  int32_t k = x->p->n_classes;
  int64_t most = 0, right = 0;
  for (int32_t c = 0; c < k; c++) {
    dor_counts o = dor_one_v_rest(k, r->confusion, c);
    right += o.tp;
    if (o.tp + o.fn > most) most = o.tp + o.fn, r->commonest = c;
  }
  r->nir_p = dor_nir_test(right, r->scores.n, (double)most / r->scores.n);
  if (!x->clustered) return DOR_OK;
  dor_scores always = r->scores;
  int32_t *decided = dor_arena_alloc(x->a, (size_t)always.n * sizeof *decided);
  DOR_NEED(decided, NOMEM, "%d units", always.n);
  for (int32_t i = 0; i < always.n; i++) decided[i] = r->commonest;
  always.decided = decided;
  dor_figure mine, nothing;
  dor_paired_bootstrap d;
  DOR_TRY(dor_figure_init(&mine, x->a, &r->scores, DOR_METRIC_accuracy, -1));
  DOR_TRY(dor_figure_init(&nothing, x->a, &always, DOR_METRIC_accuracy, -1));
  DOR_TRY(dor_bootstrap_difference(&mine, &nothing, dor_figure_value, always.n, always.cluster, always.truth, x->m->replicates, x->m->bootstrap_seed,
                                   x->m->level, &d));
  r->nir_p = d.difference > 0 ? 0.5 * d.p : 1 - 0.5 * d.p;
  return DOR_OK;
}

static dor_status nothing_rows(dor_analysis *x, int32_t arm)
{
  dor_arm_result *r = &x->arm[arm];
  DOR_TRY(better_than_nothing(x, r));
  dor_counts c = dor_one_v_rest(x->p->n_classes, r->confusion, r->commonest);
  dor_result row = {.arm = arm, .fold = DOR_ALL, .seed = DOR_ALL, .cls = r->commonest, .metric = "no_information_rate", .average = "none",
                    .value = (double)(c.tp + c.fn) / r->scores.n, .ci = {NAN, NAN, ""}, .n = r->scores.n, .k = c.tp + c.fn, .n_pos = c.tp + c.fn,
                        .n_neg = c.tn + c.fp};
  DOR_TRY(add(x, row));
  row.metric = "p_no_information", row.value = r->nir_p, row.k = -1;
  row.ci.method = x->clustered ? "bootstrap over clusters, one-sided" : "binomial, one-sided";
  return add(x, row);
}

/* Values without intervals: a part of the units, or one seed. */
static dor_status describe_all(dor_analysis *x, int32_t arm, const dor_scores *s, const specs *q, int32_t fold, int64_t seed)
{
  for (int32_t i = 0; i < q->n; i++) {
    dor_figure f;
    DOR_TRY(dor_figure_init(&f, x->a, s, q->at[i].metric, q->at[i].cls));
    dor_result r = describe(x, arm, s, q->at[i], dor_figure_all(&f));
    r.fold = fold, r.seed = seed;
    DOR_TRY(add(x, r));
  }
  return DOR_OK;
}

/* The units of one fold. */
static dor_status part_of(dor_arena *a, const dor_scores *s, int32_t fold, dor_scores *out)
{
  int32_t k = s->n_classes, n = 0, *truth = dor_arena_alloc(a, (size_t)s->n * sizeof *truth), *decided = dor_arena_alloc(a, (size_t)s->n * sizeof *decided);
  double *p = dor_arena_alloc(a, ((size_t)s->n * (size_t)k + 1) * sizeof *p);
  DOR_NEED(truth && decided && p, NOMEM, "%d units", s->n);
  for (int32_t i = 0; i < s->n; i++) {
    if (s->fold[i] != fold) continue;
    truth[n] = s->truth[i], decided[n] = s->decided[i];
    memcpy(p + n * k, s->p + i * k, (size_t)k * sizeof *p);
    n++;
  }
  *out = (dor_scores){.n = n, .n_classes = k, .truth = truth, .decided = decided, .p = p};
  return DOR_OK;
}

static void mean_and_sd(const double *v, int32_t n, double *mean, double *sd)
{
  *mean = 0, *sd = 0;
  for (int32_t i = 0; i < n; i++) *mean += v[i] / n;
  for (int32_t i = 0; i < n; i++) *sd += (v[i] - *mean) * (v[i] - *mean);
  *sd = n > 1 ? sqrt(*sd / (n - 1)) : NAN;
}

/* Mean and SD over the rows just added, metric by metric. A fold in which a metric is undefined does not count; a seed does. */
static dor_status summarise(dor_analysis *x, int32_t arm, const specs *q, int32_t first, bool folds)
{
  int32_t parts = q->n ? (x->n_rows - first) / q->n : 0;
  double *v = dor_arena_alloc(x->a, ((size_t)parts + 1) * sizeof *v);
  DOR_NEED(v, NOMEM, "%d parts", parts);
  for (int32_t i = 0; i < q->n && parts; i++) {
    int32_t n = 0;
    for (int32_t j = 0; j < parts; j++) {
      double value = x->row[first + j * q->n + i].value;
      if (!folds || !isnan(value)) v[n++] = value;
    }
    dor_result r = describe(x, arm, &x->arm[arm].scores, q->at[i], NAN);
    double mean, sd;
    mean_and_sd(v, n, &mean, &sd);
    r.k = -1, r.n = n;
    r.fold = folds ? DOR_MEAN : DOR_ALL, r.seed = folds ? DOR_ALL : DOR_MEAN, r.value = n ? mean : NAN;
    DOR_TRY(add(x, r));
    r.fold = folds ? DOR_SD : DOR_ALL, r.seed = folds ? DOR_ALL : DOR_SD, r.value = n ? sd : NAN;
    DOR_TRY(add(x, r));
  }
  return DOR_OK;
}

static dor_status by_fold(dor_analysis *x, int32_t arm, const specs *q)
{
  dor_scores first_repeat, part;
  int32_t first = x->n_rows, repeat = INT32_MAX;
  for (int32_t i = 0; i < x->p->n; i++)
    if (x->p->arm[i] == x->arm[arm].index && x->p->repeat[i] < repeat) repeat = x->p->repeat[i];
  DOR_TRY(dor_scores_of(x->a, x->p, x->arm[arm].index, -1, repeat, &first_repeat));
  for (int32_t k = 0; k < x->n_folds && x->n_folds > 1; k++) {
    DOR_TRY(part_of(x->a, &first_repeat, x->fold[k], &part));
    if (part.n) DOR_TRY(describe_all(x, arm, &part, q, x->fold[k], DOR_ALL));
  }
  return summarise(x, arm, q, first, true);
}

/* What the seeds of an arm so far say about each of its units. */
typedef struct chorus { int32_t *said; bool *alike; } chorus; /* [units] said: -1: nothing yet */

static dor_status chorus_make(const dor_analysis *x, int32_t n, chorus *c)
{
  *c = (chorus){.said = dor_arena_alloc(x->a, (size_t)n * sizeof *c->said), .alike = dor_arena_alloc(x->a, (size_t)n * sizeof *c->alike)};
  DOR_NEED(c->said && c->alike, NOMEM, "%d units", n);
  for (int32_t i = 0; i < n; i++) c->said[i] = -1, c->alike[i] = true;
  return DOR_OK;
}

/* Units of one seed are among those of all, in the same order. */
static void chorus_add(chorus *c, const dor_scores *all, const dor_scores *seed)
{
  for (int32_t i = 0, k = 0; i < seed->n; i++) {
    while (all->unit[k] != seed->unit[i]) k++;
    c->alike[k] = c->alike[k] && (c->said[k] < 0 || c->said[k] == seed->decided[i]);
    c->said[k] = seed->decided[i];
  }
}

/* The share of units that all seeds decide alike: the accuracy of one who is right about those alone. */
static dor_status agreement(dor_analysis *x, int32_t arm, const chorus *c)
{
  dor_scores s = x->arm[arm].scores;
  if (x->arm[arm].n_seeds < 2 || !s.n_classes) return DOR_OK;
  int32_t *decided = dor_arena_alloc(x->a, (size_t)s.n * sizeof *decided);
  dor_figure f;
  DOR_NEED(decided, NOMEM, "%d units", s.n);
  for (int32_t i = 0; i < s.n; i++) decided[i] = c->alike[i] ? s.truth[i] : (s.truth[i] + 1) % s.n_classes;
  s.decided = decided;
  DOR_TRY(dor_figure_init(&f, x->a, &s, DOR_METRIC_accuracy, -1));
  dor_result r = describe(x, arm, &s, (spec){DOR_METRIC_accuracy, -1}, dor_figure_all(&f));
  r.metric = "seed_agreement", r.n_pos = r.n_neg = -1;
  DOR_TRY(interval(x, &s, &f, &r));
  return add(x, r);
}

static dor_status by_seed(dor_analysis *x, int32_t arm, const specs *q)
{
  int32_t first = x->n_rows, index = x->arm[arm].index;
  const dor_predictions *p = x->p;
  chorus c;
  DOR_TRY(chorus_make(x, x->arm[arm].scores.n, &c));
  for (int64_t last = -1;;) {
    int64_t seed = INT64_MAX;
    for (int32_t i = 0; i < p->n; i++)
      if (p->arm[i] == index && p->seed[i] > last && p->seed[i] < seed) seed = p->seed[i];
    if (seed == INT64_MAX) break;
    dor_scores s;
    DOR_TRY(dor_scores_of(x->a, p, index, seed, -1, &s));
    DOR_TRY(describe_all(x, arm, &s, q, DOR_ALL, seed));
    chorus_add(&c, &x->arm[arm].scores, &s);
    last = seed;
  }
  DOR_TRY(summarise(x, arm, q, first, false));
  return agreement(x, arm, &c);
}

dor_status dor_analyse_metrics(dor_analysis *x)
{
  specs q;
  DOR_TRY(list(x, &q));
  for (int32_t i = 0; i < x->n_arms; i++) {
    DOR_TRY(over_all(x, i, &q));
    DOR_TRY(clipped_row(x, i));
    DOR_TRY(nothing_rows(x, i));
    DOR_TRY(by_fold(x, i, &q));
    DOR_TRY(by_seed(x, i, &q));
  }
  return DOR_OK;
}
