/* SPDX-License-Identifier: Apache-2.0
 *
 * One arm's word on each unit: the mean of its rows over seeds and repeats. */
#include "eval/predictions.h"

#include <math.h>

typedef struct sums { /* by place among the arm's units */
  int32_t *unit, *truth, *decided, *cluster, *fold, *count;
  double *p, *value, *predicted, *threshold;
  const char **subject, **trial;
} sums;

static bool wanted(const dor_predictions *t, int32_t i, int32_t arm, int64_t seed, int32_t repeat)
{
  return t->arm[i] == arm && (seed < 0 || t->seed[i] == seed) && (repeat < 0 || t->repeat[i] == repeat);
}

#define COLUMN(s, field, n) ((s)->field = dor_arena_alloc(a, ((size_t)(n) + 1) * sizeof *(s)->field))

static dor_status allocate(dor_arena *a, int32_t n, int32_t k, sums *s)
{
  bool got = COLUMN(s, unit, n) && COLUMN(s, truth, n) && COLUMN(s, decided, n) && COLUMN(s, cluster, n) && COLUMN(s, fold, n) && COLUMN(s, count, n) &&
             COLUMN(s, value, n) && COLUMN(s, predicted, n) && COLUMN(s, threshold, n) && COLUMN(s, subject, n) && COLUMN(s, trial, n) &&
             COLUMN(s, p, (size_t)n * (size_t)k);
  DOR_NEED(got, NOMEM, "scores of %d units", n);
  return DOR_OK;
}

static void add(const dor_predictions *t, int32_t i, sums *s, int32_t at)
{
  int32_t k = t->n_classes;
  if (!s->count[at]++) {
    s->unit[at] = t->unit[i], s->truth[at] = t->truth[i], s->fold[at] = t->fold[i];
    s->subject[at] = t->subject[i], s->trial[at] = t->trial[i], s->value[at] = t->value[i];
  }
  for (int32_t c = 0; c < k; c++) s->p[at * k + c] += t->p[(size_t)i * (size_t)k + (size_t)c];
  s->predicted[at] += t->predicted[i];
  s->threshold[at] += t->threshold[i];
}

static void decide(int32_t n, int32_t k, sums *s)
{
  for (int32_t i = 0; i < n; i++) {
    for (int32_t c = 0; c < k; c++) s->p[i * k + c] /= s->count[i];
    s->predicted[i] /= s->count[i], s->threshold[i] /= s->count[i];
    if (k) s->decided[i] = dor_decide(k, s->p + i * k, s->threshold[i]);
  }
}

/* Clusters renumbered among the units at hand, by first appearance. */
static dor_status number_clusters(dor_arena *a, const dor_predictions *t, int32_t n, sums *s)
{
  int32_t *mine = dor_arena_alloc(a, ((size_t)t->n_clusters + 1) * sizeof *mine), used = 0;
  DOR_NEED(mine, NOMEM, "%d clusters", t->n_clusters);
  for (int32_t i = 0; i < n; i++) {
    int32_t c = t->cluster[s->unit[i]];
    if (!mine[c]) mine[c] = ++used;
    s->cluster[i] = mine[c] - 1;
  }
  return DOR_OK;
}

dor_status dor_scores_of(dor_arena *a, const dor_predictions *t, int32_t arm, int64_t seed, int32_t repeat, dor_scores *out)
{
  int32_t *place = dor_arena_alloc(a, ((size_t)t->n_units + 1) * sizeof *place), n = 0;
  DOR_NEED(place, NOMEM, "scores of %d units", t->n_units);
  for (int32_t i = 0; i < t->n; i++)
    if (wanted(t, i, arm, seed, repeat)) place[t->unit[i]] = 1;
  for (int32_t u = 0; u < t->n_units; u++) place[u] = place[u] ? n++ : -1;
  sums s = {0};
  DOR_TRY(allocate(a, n, t->n_classes, &s));
  for (int32_t i = 0; i < t->n; i++)
    if (wanted(t, i, arm, seed, repeat)) add(t, i, &s, place[t->unit[i]]);
  decide(n, t->n_classes, &s);
  DOR_TRY(number_clusters(a, t, n, &s));
  *out = (dor_scores){.n = n, .n_classes = t->n_classes, .subject = s.subject, .trial = s.trial, .unit = s.unit, .truth = s.truth, .decided = s.decided,
                      .fold = s.fold, .cluster = s.cluster, .p = s.p, .value = s.value, .predicted = s.predicted};
  return DOR_OK;
}
