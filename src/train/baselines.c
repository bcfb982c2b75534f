/* SPDX-License-Identifier: Apache-2.0
 *
 * Features of a person, imputed and scaled on the training fold, and a logistic
 * regression with a small ridge. Sex is one indicator for each further text. */
#include "train/baselines.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eval/eval.h"

enum { MAX_LEVELS = 16 };
static const double RIDGE = 1e-3; /* of standardised features: separable folds stay finite, estimates move by less than a per mille */

typedef struct features {
  int32_t p;
  double *x; /* [subjects, p], NaN where missing */
} features;

/* ---- features ---- */

static dor_status new_features(dor_arena *a, const dor_dataset *d, int32_t p, features *f)
{
  size_t n = (size_t)d->n_subjects * (size_t)p;
  f->p = p;
  f->x = dor_arena_alloc(a, (n + 1) * sizeof *f->x);
  DOR_NEED(f->x, NOMEM, "no memory for the features of a baseline");
  for (size_t i = 0; i < n; i++) f->x[i] = NAN;
  return DOR_OK;
}

static int32_t level_of(const char *text, const char *levels[], int32_t *n)
{
  int32_t k = 0;
  while (k < *n && strcmp(levels[k], text)) k++;
  if (k == *n && *n < MAX_LEVELS) levels[(*n)++] = text;
  return k;
}

static dor_status age_sex(dor_arena *a, const dor_dataset *d, features *f)
{
  const char *levels[MAX_LEVELS];
  int32_t n = 0;
  for (int32_t i = 0; i < d->n_subjects && d->sex; i++)
    if (*d->sex[i]) level_of(d->sex[i], levels, &n);
  int32_t more = n > 1 ? n - 1 : 0;
  DOR_TRY(new_features(a, d, (d->age ? 1 : 0) + more, f));
  for (int32_t i = 0; i < d->n_subjects; i++) {
    double *x = f->x + (size_t)i * (size_t)f->p;
    if (d->age) *x++ = (double)d->age[i];
    for (int32_t k = 0; k < more && *d->sex[i]; k++) x[k] = level_of(d->sex[i], levels, &n) == k + 1;
  }
  return DOR_OK;
}

static dor_status proms(dor_arena *a, const dor_dataset *d, features *f)
{
  DOR_TRY(new_features(a, d, d->proms.items.n, f));
  for (int32_t i = 0; i < d->proms.n; i++)
    for (int32_t k = 0; k < f->p; k++)
      f->x[(size_t)d->proms.subject[i] * (size_t)f->p + (size_t)k] = (double)d->proms.values[(size_t)i * (size_t)f->p + (size_t)k];
  return DOR_OK;
}

static const dor_series *flexion(const dor_dataset *d)
{
  for (int32_t i = 0; i < d->n_angles; i++)
    if (!strcmp(d->angles[i].name, "flexion")) return &d->angles[i];
  return d->n_angles == 1 ? &d->angles[0] : NULL;
}

static double range_of(const dor_series *s, int32_t trial)
{
  double lo = INFINITY, hi = -INFINITY;
  for (int32_t i = s->first[trial]; i < s->first[trial] + s->count[trial]; i++)
    if (!isnan(s->data[i])) lo = fmin(lo, (double)s->data[i]), hi = fmax(hi, (double)s->data[i]);
  return hi >= lo ? hi - lo : (double)NAN;
}

/* One feature a movement: the mean over a person's trials of highest minus lowest angle. */
static dor_status range_of_motion(dor_arena *a, const dor_dataset *d, features *f)
{
  const char *levels[MAX_LEVELS];
  const dor_series *s = flexion(d);
  int32_t n = 0;
  for (int32_t t = 0; t < d->n_trials; t++) level_of(d->movement[t], levels, &n);
  DOR_TRY(new_features(a, d, n, f));
  int32_t *count = dor_arena_alloc(a, ((size_t)d->n_subjects * (size_t)n + 1) * sizeof *count);
  DOR_NEED(count, NOMEM, "no memory for the features of a baseline");
  for (int32_t t = 0; t < d->n_trials; t++) {
    size_t at = (size_t)d->trial_subject[t] * (size_t)n + (size_t)level_of(d->movement[t], levels, &n);
    double range = range_of(s, t);
    if (isnan(range)) continue;
    f->x[at] = count[at]++ ? f->x[at] + (range - f->x[at]) / count[at] : range;
  }
  return DOR_OK;
}

static dor_status features_of(dor_arena *a, const dor_dataset *d, const char *name, features *f)
{
  if (!strcmp(name, "logistic_age_sex")) return age_sex(a, d, f);
  if (!strcmp(name, "logistic_proms")) return proms(a, d, f);
  return range_of_motion(a, d, f);
}

/* ---- fitting ---- */

typedef struct fold {
  const dor_roster *r;
  const int32_t *fold_of; /* of the repeat */
  int32_t fold;
} fold;

static bool trains(const fold *f, int32_t u) { return f->fold_of[u] != f->fold; }

static int32_t commonest(const fold *f)
{
  const dor_roster *r = f->r;
  int32_t count[64] = {0}, best = 0;
  for (int32_t u = 0; u < r->n; u++)
    if (trains(f, u)) count[r->units.label[u]]++;
  for (int32_t c = 1; c < r->n_classes; c++)
    if (count[c] > count[best]) best = c;
  return best;
}

static void predict_majority(const fold *f, double *p)
{
  const dor_roster *r = f->r;
  int32_t best = commonest(f);
  for (int32_t u = 0; u < r->n; u++)
    for (int32_t c = 0; c < r->n_classes && !trains(f, u); c++) p[(size_t)u * (size_t)r->n_classes + (size_t)c] = c == best;
}

static int by_size(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Median for what is missing, then z-scores, both from the training part; a column without spread becomes 0. */
static void standardise(const fold *f, features *x, int32_t k, double *value)
{
  int32_t n = 0;
  double sum = 0, squares = 0;
  for (int32_t u = 0; u < f->r->n; u++) {
    double v = x->x[(size_t)f->r->subject[u] * (size_t)x->p + (size_t)k];
    if (trains(f, u) && !isnan(v)) value[n++] = v, sum += v;
  }
  qsort(value, (size_t)n, sizeof *value, by_size);
  double median = n ? (value[(n - 1) / 2] + value[n / 2]) / 2 : 0, mean = n ? sum / n : 0;
  for (int32_t i = 0; i < n; i++) squares += (value[i] - mean) * (value[i] - mean);
  double sd = n ? sqrt(squares / n) : 0;
  for (int32_t u = 0; u < f->r->n; u++) value[u] = x->x[(size_t)f->r->subject[u] * (size_t)x->p + (size_t)k];
  for (int32_t u = 0; u < f->r->n; u++)
    value[u] = sd > 0 ? ((isnan(value[u]) ? median : value[u]) - mean) / sd : 0;
}

static dor_status fit_predict(dor_arena *a, const fold *f, features *x, double *p)
{
  const dor_roster *r = f->r;
  size_t n = (size_t)r->n, k = (size_t)r->n_classes, q = (size_t)x->p;
  double *all = dor_arena_alloc(a, (n * q + 1) * sizeof *all), *train = dor_arena_alloc(a, (n * q + 1) * sizeof *train);
  double *column = dor_arena_alloc(a, (n + 1) * sizeof *column), *w = dor_arena_alloc(a, k * (q + 1) * sizeof *w);
  int32_t *y = dor_arena_alloc(a, (n + 1) * sizeof *y), m = 0;
  DOR_NEED(all && train && column && w && y, NOMEM, "no memory for a baseline");
  for (size_t j = 0; j < q; j++) {
    standardise(f, x, (int32_t)j, column);
    for (size_t u = 0; u < n; u++) all[u * q + j] = column[u];
  }
  for (int32_t u = 0; u < r->n; u++)
    if (trains(f, u)) memcpy(train + (size_t)m * q, all + (size_t)u * q, q * sizeof *all), y[m++] = r->units.label[u];
  DOR_TRY(dor_logistic_fit(m, x->p, train, y, r->n_classes, RIDGE, w));
  for (int32_t u = 0; u < r->n; u++)
    if (!trains(f, u)) dor_logistic_predict(x->p, r->n_classes, w, all + (size_t)u * q, p + (size_t)u * k);
  return DOR_OK;
}

dor_status dor_baseline_predict(const dor_study *s, const char *name, int32_t repeat, int32_t which, double *p)
{
  const dor_roster *r = &s->roster[0];
  fold f = {r, r->split.fold + (size_t)repeat * (size_t)r->n, which};
  features x = {0};
  dor_arena a = {0};
  dor_status status = DOR_OK;
  if (!strcmp(name, "majority")) predict_majority(&f, p);
  else status = features_of(&a, s->data, name, &x);
  if (!status && x.x) status = fit_predict(&a, &f, &x, p);
  dor_arena_release(&a);
  return status;
}

/* ---- names ---- */

static const char *const names[] = {"majority", "logistic_age_sex", "logistic_proms", "range_of_motion"};
enum { NAMES = sizeof names / sizeof *names };

static const char *missing(const dor_dataset *d, const char *name)
{
  if (!strcmp(name, "logistic_age_sex")) return d->age || d->sex ? NULL : "ages or sexes";
  if (!strcmp(name, "logistic_proms")) return d->proms.items.n ? NULL : "PROMs";
  if (!strcmp(name, "range_of_motion")) return flexion(d) && d->n_trials ? NULL : "flexion angle (/angles/flexion)";
  return NULL;
}

static dor_status check(const dor_study *s, const char *name, const char *where)
{
  bool known = false;
  for (int i = 0; i < NAMES; i++) known = known || !strcmp(names[i], name);
  const char *near = dor_nearest(name, names, NAMES);
  DOR_NEED(known, CONFIG, "%s: no baseline '%s'; did you mean '%s'?", where, name, near ? near : names[0]);
  const char *lacks = missing(s->data, name);
  DOR_NEED(!lacks, CONFIG, "%s: baseline '%s': the dataset has no %s", where, name, lacks);
  DOR_NEED(s->roster[0].n_classes, CONFIG, "%s: baseline '%s' needs classes, the target is a value", where, name);
  return DOR_OK;
}

dor_status dor_baselines_check(const dor_study *s)
{
  char where[256] = "baselines";
  const dor_tree *at = dor_tree_find(s->experiment->tree, "baselines");
  if (at) dor_tree_where(at, where);
  for (int32_t i = 0; i < s->experiment->top.baselines.n; i++) DOR_TRY(check(s, s->experiment->top.baselines.v[i], where));
  return DOR_OK;
}

/* The class that the majority baseline always says; -1: not the same in all folds, as when one of two equal classes is left out. */
static int32_t always(const dor_roster *r)
{
  int32_t said = -1;
  for (int32_t i = 0; i < r->split.repeats * r->split.folds; i++) {
    fold f = {.r = r, .fold_of = r->split.fold + (size_t)(i / r->split.folds) * (size_t)r->n, .fold = i % r->split.folds};
    int32_t best = commonest(&f);
    if (i && best != said) return -1;
    said = best;
  }
  return said;
}

const char *dor_baseline_title(const dor_study *s, const char *name, char out[128])
{
  const dor_roster *r = &s->roster[0];
  int32_t said = !strcmp(name, "majority") && r->n_classes && r->n_classes <= 64 ? always(r) : -1;
  if (said >= 0) snprintf(out, 128, "always %.100s", r->class_name[said]);
  else if (!strcmp(name, "majority")) snprintf(out, 128, "commonest in training");
  else if (!strcmp(name, "logistic_age_sex")) snprintf(out, 128, "age and sex, logistic");
  else if (!strcmp(name, "logistic_proms")) snprintf(out, 128, "PROM totals, logistic");
  else if (!strcmp(name, "range_of_motion")) snprintf(out, 128, "range of motion, logistic");
  else snprintf(out, 128, "%.127s", name);
  return out;
}
