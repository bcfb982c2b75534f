/* SPDX-License-Identifier: Apache-2.0
 *
 * An arm may have a split or a threshold of its own. What the predictions show of
 * that is said wherever split and threshold are. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/by_arm.h"

static const dor_report_arm *arm_of(const dor_report_meta *m, const dor_predictions *p, int32_t arm)
{
  for (int32_t i = 0; i < m->n_arms; i++)
    if (!strcmp(m->arm[i].name, p->arm_name[arm])) return m->arm[i].baseline ? NULL : &m->arm[i];
  return NULL;
}

/* The one threshold of an arm's rows; NaN when they differ. */
static double threshold_of(const dor_predictions *p, int32_t arm)
{
  double t = -1;
  for (int32_t i = 0; i < p->n; i++)
    if (p->arm[i] == arm) {
      if (t >= 0 && p->threshold[i] != t) return NAN;
      t = p->threshold[i];
    }
  return t;
}

static const char *threshold_text(dor_arena *a, double t)
{
  char text[32];
  if (isnan(t)) return "threshold row by row";
  snprintf(text, sizeof text, "%g", t);
  return dor_arena_fmt(a, "threshold %s, fixed", text[0] == '0' && text[1] ? text + 1 : text);
}

static bool alike(double a, double b) { return a == b || (isnan(a) && isnan(b)); }

const char *dor_thresholds(dor_arena *a, const dor_report_meta *m, const dor_predictions *p)
{
  if (p->n_classes != 2) return "the most probable class";
  const char *text = NULL;
  double first = -1;
  for (int32_t i = 0; i < p->n_arms; i++) {
    const dor_report_arm *arm = arm_of(m, p, i);
    double t = arm ? threshold_of(p, i) : -1;
    if (!arm || (text && alike(t, first))) continue;
    const char *own = threshold_text(a, t);
    if (!text) first = t, text = own;
    else if (own) text = dor_arena_fmt(a, "%s; %s: %s", text, arm->title, own);
    if (!own || !text) return NULL;
  }
  return text ? text : threshold_text(a, p->n ? p->threshold[0] : .5);
}

/* The fold of each unit in an arm's first row about it; 0: none. */
static int32_t folds_of(const dor_predictions *p, int32_t arm, int32_t fold[])
{
  int32_t most = 0;
  memset(fold, 0, (size_t)p->n_units * sizeof *fold);
  for (int32_t i = 0; i < p->n; i++) {
    if (p->arm[i] != arm) continue;
    if (!fold[p->unit[i]]) fold[p->unit[i]] = p->fold[i];
    most = p->fold[i] > most ? p->fold[i] : most;
  }
  return most;
}

static bool contradict(int32_t n, const int32_t a[], const int32_t b[])
{
  for (int32_t i = 0; i < n; i++)
    if (a[i] && b[i] && a[i] != b[i]) return true;
  return false;
}

const char *dor_schemes(dor_arena *a, const char *scheme, const dor_report_meta *m, const dor_predictions *p)
{
  size_t bytes = ((size_t)p->n_units + 1) * sizeof(int32_t);
  int32_t *first = dor_arena_alloc(a, bytes), *fold = dor_arena_alloc(a, bytes), known = 0;
  if (!first || !fold) return NULL;
  for (int32_t i = 0; i < p->n_arms && scheme; i++) {
    const dor_report_arm *arm = arm_of(m, p, i);
    if (!arm) continue;
    int32_t n = folds_of(p, i, known ? fold : first);
    if (known++ && contradict(p->n_units, first, fold)) scheme = dor_arena_fmt(a, "%s; %s: folds of its own, %d", scheme, arm->title, n);
  }
  return scheme;
}
