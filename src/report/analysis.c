/* SPDX-License-Identifier: Apache-2.0
 *
 * The frame of an analysis: which arms, their scores, and finding things again. */
#include "report/analysis.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool dor_contrasts_exact(const dor_analysis *x)
{
  for (int32_t i = 0; i < x->n_contrasts; i++)
    if (!strcmp(x->contrast[i].metric, x->m->metric) && !strcmp(x->contrast[i].test, "McNemar exact")) return true;
  return false;
}

const char *dor_stamp(const dor_report_meta *m)
{
  static const char *const text[8] = {"", "SYNTHETIC", "LEAKS", "SYNTHETIC LEAKS", "QUICK", "SYNTHETIC QUICK", "LEAKS QUICK", "SYNTHETIC LEAKS QUICK"};
  return text[m->synthetic + 2 * m->leaks + 4 * m->quick];
}

int32_t dor_positive(const dor_analysis *x) { return x->p->n_classes == 2 ? 1 : -1; }

const char *dor_fold_name(const dor_analysis *x, int32_t fold)
{
  const char *name = x->p->fold_name ? x->p->fold_name[fold] : dor_arena_fmt(x->a, "%d", fold);
  return name ? name : "";
}

const dor_result *dor_result_find(const dor_analysis *x, int32_t arm, int32_t fold, int64_t seed, const char *metric, int32_t cls)
{
  for (int32_t i = 0; i < x->n_rows; i++) {
    const dor_result *r = &x->row[i];
    if (r->arm == arm && r->fold == fold && r->seed == seed && r->cls == cls && !strcmp(r->metric, metric)) return r;
  }
  return NULL;
}

const dor_contrast *dor_contrast_find(const dor_analysis *x, int32_t arm, const char *metric)
{
  for (int32_t i = 0; i < x->n_contrasts; i++)
    if (x->contrast[i].arm == arm && !strcmp(x->contrast[i].metric, metric)) return &x->contrast[i];
  return NULL;
}

bool dor_contrast_shown(const dor_analysis *x, const dor_contrast *c) { return (c->primary ? c->p : c->p_holm) < 1 - x->m->level - 1e-12; }

const char *dor_contrast_verdict(const dor_analysis *x, const dor_contrast *c)
{
  if (!dor_contrast_shown(x, c)) return "not shown to differ";
  return (c->difference > 0) == dor_metrics[dor_metric_find(c->metric)].up ? "better" : "worse";
}

static int32_t find_arm(const dor_predictions *p, const char *name)
{
  for (int32_t i = 0; i < p->n_arms; i++)
    if (!strcmp(p->arm_name[i], name)) return i;
  return -1;
}

static int32_t find_result(const dor_analysis *x, const char *name)
{
  for (int32_t i = 0; name && i < x->n_arms; i++)
    if (!strcmp(x->arm[i].arm->name, name)) return i;
  return -1;
}

static int32_t count_seeds(const dor_predictions *p, int32_t arm)
{
  int32_t n = 0;
  for (int32_t i = 0; i < p->n; i++) {
    bool seen = p->arm[i] != arm;
    for (int32_t j = 0; !seen && j < i; j++) seen = p->arm[j] == arm && p->seed[j] == p->seed[i];
    n += !seen;
  }
  return n;
}

static dor_status take_arm(dor_analysis *x, const dor_report_arm *arm, int32_t index)
{
  dor_arm_result *r = &x->arm[x->n_arms++];
  int32_t k = x->p->n_classes;
  *r = (dor_arm_result){.arm = arm, .index = index, .commonest = -1, .nir_p = NAN, .n_seeds = count_seeds(x->p, index)};
  DOR_TRY(dor_scores_of(x->a, x->p, index, -1, -1, &r->scores));
  r->confusion = dor_arena_alloc(x->a, ((size_t)k * (size_t)k + 1) * sizeof *r->confusion);
  DOR_NEED(r->confusion, NOMEM, "%d classes", k);
  if (k) dor_confusion(r->scores.n, k, r->scores.truth, r->scores.decided, r->confusion);
  return DOR_OK;
}

static int ascending(const void *a, const void *b)
{
  const int32_t *x = a, *y = b;
  return (*x > *y) - (*x < *y);
}

static dor_status number_folds(dor_analysis *x)
{
  const dor_predictions *p = x->p;
  x->fold = dor_arena_copy(x->a, p->fold, (size_t)p->n * sizeof *x->fold);
  DOR_NEED(x->fold, NOMEM, "%d rows", p->n);
  qsort(x->fold, (size_t)p->n, sizeof *x->fold, ascending);
  for (int32_t i = 0; i < p->n; i++)
    if (!i || x->fold[i] != x->fold[x->n_folds - 1]) x->fold[x->n_folds++] = x->fold[i];
  return DOR_OK;
}

static bool has_clusters(const dor_predictions *p) { return p->n_clusters < p->n_units; }

dor_status dor_analyse(dor_arena *a, const dor_report_meta *m, const dor_predictions *p, dor_analysis *out)
{
  dor_analysis x = {.a = a, .m = m, .p = p, .clustered = has_clusters(p)};
  x.arm = dor_arena_alloc(a, ((size_t)m->n_arms + 1) * sizeof *x.arm);
  x.reason = dor_arena_alloc(a, ((size_t)m->n_arms + 1) * sizeof *x.reason);
  DOR_NEED(x.arm && x.reason, NOMEM, "%d arms", m->n_arms);
  for (int32_t i = 0; i < m->n_arms; i++) {
    int32_t index = find_arm(p, m->arm[i].name);
    if (index >= 0) DOR_TRY(take_arm(&x, &m->arm[i], index));
  }
  DOR_NEED(x.n_arms > 0, DATA, "predictions: none of the %d arms has a row", m->n_arms);
  x.reference = find_result(&x, m->reference), x.primary = find_result(&x, m->primary);
  if (x.reference < 0) x.reference = 0;
  DOR_TRY(number_folds(&x));
  DOR_TRY(dor_analyse_metrics(&x));
  DOR_TRY(dor_analyse_contrasts(&x));
  *out = x;
  return DOR_OK;
}
