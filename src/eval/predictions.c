/* SPDX-License-Identifier: Apache-2.0
 *
 * predictions.csv in, our own or any program's. Everything a later step relies
 * on is checked here, once, with the file and line of what is wrong. */
#include "eval/predictions.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "base/intern.h"

typedef struct columns {
  int32_t subject, trial, site, group, fold, repeat, seed, arm, truth, decided, probability, n_clips, threshold, stamp; /* -1: none */
  int32_t *p; /* [n_classes] */
} columns;

typedef struct reader {
  dor_arena *a;
  const dor_csv *t;
  const dor_predictions_options *o;
  columns c;
  int32_t n, n_classes;
  bool by_probability;   /* of the positive class, no p_ columns */
  bool named_folds;      /* some fold is no whole number: labels, numbered from 1 as they appear */
  const char **class_name;
  const char **subject, **trial, **site, **group, **fold_name;
  int32_t *arm, *fold, *repeat, *truth, *n_clips, *unit;
  int64_t *seed;
  double *p, *value, *predicted, *threshold;
  dor_intern arms, units, rows, folds;
} reader;

#define AT(r, i) (r)->t->path, (r)->t->line[i]

/* `name`, else `alias`, unless the options say that another column stands for it. */
static dor_status find(const reader *r, const char *name, const char *alias, bool needed, int32_t *col)
{
  for (int32_t i = 0; i < r->o->n_rename; i++) {
    const char *say = r->o->rename[i], *equal = strchr(say, '=');
    size_t n = equal ? (size_t)(equal - say) : 0;
    bool mine = n && ((strlen(name) == n && !strncmp(say, name, n)) || (alias && strlen(alias) == n && !strncmp(say, alias, n)));
    double number;
    if (!mine) continue;
    DOR_NEED(strcmp(name, "threshold") || dor_csv_find(r->t, equal + 1) >= 0 || dor_parse_real(equal + 1, &number), USAGE,
             "%s: threshold=%s: a column is wanted, not a number: write the threshold into a column of the file, in every row", r->t->path, equal + 1);
    return dor_csv_need(r->t, equal + 1, col);
  }
  *col = dor_csv_find(r->t, name);
  if (*col < 0 && alias) *col = dor_csv_find(r->t, alias);
  if (*col < 0 && needed) return dor_csv_need(r->t, name, col);
  return DOR_OK;
}

/* A misspelt name would be passed over, and its column with it. */
static dor_status known_names(const reader *r)
{
  static const char *const known[] = {"subject_id", "subject", "y_true", "label", "y_pred", "trial", "site", "group", "fold", "repeat", "seed", "arm",
                                      "probability", "n_clips", "threshold", "stamp", "positive"};
  enum { KNOWN = sizeof known / sizeof *known };
  for (int32_t i = 0; i < r->o->n_rename; i++) {
    const char *name = dor_arena_fmt(r->a, "%.*s", (int)strcspn(r->o->rename[i], "="), r->o->rename[i]), *near;
    char shown[64];
    int k = 0;
    DOR_NEED(name, NOMEM, "%s", r->t->path);
    while (k < KNOWN && strcmp(known[k], name)) k++;
    if (k < KNOWN) continue;
    near = dor_nearest(name, known, KNOWN);
    dor_printable(name, shown, sizeof shown);
    if (near) return DOR_FAIL(USAGE, "command line: no key '%s'; did you mean '%s'?", shown, near);
    return DOR_FAIL(USAGE, "command line: no key '%s'; there are positive=CLASS and, for columns of other names, subject, label, y_pred, probability, trial, "
                    "site, group, fold, repeat, seed, arm, n_clips, threshold, stamp", shown);
  }
  return DOR_OK;
}

static dor_status find_columns(reader *r)
{
  columns *c = &r->c;
  DOR_TRY(known_names(r));
  DOR_TRY(find(r, "subject_id", "subject", true, &c->subject));
  DOR_TRY(find(r, "y_true", "label", true, &c->truth));
  DOR_TRY(find(r, "y_pred", NULL, false, &c->decided));
  DOR_TRY(find(r, "trial", NULL, false, &c->trial));
  DOR_TRY(find(r, "site", NULL, false, &c->site));
  DOR_TRY(find(r, "group", NULL, false, &c->group));
  DOR_TRY(find(r, "fold", NULL, false, &c->fold));
  DOR_TRY(find(r, "repeat", NULL, false, &c->repeat));
  DOR_TRY(find(r, "seed", NULL, false, &c->seed));
  DOR_TRY(find(r, "arm", NULL, false, &c->arm));
  DOR_TRY(find(r, "probability", NULL, false, &c->probability));
  DOR_TRY(find(r, "n_clips", NULL, false, &c->n_clips));
  DOR_TRY(find(r, "threshold", NULL, false, &c->threshold));
  return find(r, "stamp", NULL, false, &c->stamp);
}

/* One p_ column per class: the classes are their names. */
static dor_status classes_of_columns(reader *r)
{
  int32_t most = r->t->n_cols;
  r->class_name = dor_arena_alloc(r->a, (size_t)most * sizeof *r->class_name);
  r->c.p = dor_arena_alloc(r->a, (size_t)most * sizeof *r->c.p);
  DOR_NEED(r->class_name && r->c.p, NOMEM, "%s", r->t->path);
  for (int32_t i = 0; i < most; i++)
    if (!strncmp(r->t->header[i], "p_", 2) && r->t->header[i][2]) {
      r->c.p[r->n_classes] = i;
      r->class_name[r->n_classes++] = r->t->header[i] + 2;
    }
  DOR_NEED(r->n_classes != 1, DATA, "%s: one class has a column, p_%s, where every class wants one (or `probability`)", r->t->path, r->class_name[0]);
  return DOR_OK;
}

static void swap_classes(reader *r, int32_t i, int32_t j)
{
  const char *name = r->class_name[i];
  int32_t col = r->c.p[i];
  r->class_name[i] = r->class_name[j], r->c.p[i] = r->c.p[j];
  r->class_name[j] = name, r->c.p[j] = col;
}

static int32_t class_index(const reader *r, const char *name)
{
  for (int32_t c = 0; c < r->n_classes; c++)
    if (!strcmp(r->class_name[c], name)) return c;
  return -1;
}

static const char *list_classes(const reader *r)
{
  enum { SHOWN = 12 };
  const char *all = "";
  for (int32_t c = 0; c < r->n_classes && c < SHOWN && all; c++) {
    char shown[64];
    all = dor_arena_fmt(r->a, "%s%s'%s'", all, c ? ", " : "", dor_printable(r->class_name[c], shown, sizeof shown));
  }
  return !all ? "" : r->n_classes > SHOWN ? dor_arena_fmt(r->a, "%s and %d more", all, r->n_classes - SHOWN) : all;
}

static dor_status no_class(const reader *r, const char *where, const char *name)
{
  const char *near = dor_nearest(name, r->class_name, (size_t)r->n_classes);
  char shown[64];
  dor_printable(name, shown, sizeof shown);
  return near ? DOR_FAIL(DATA, "%s: no class '%s'; did you mean '%s'?", where, shown, near)
              : DOR_FAIL(DATA, "%s: no class '%s'; there are %s", where, shown, list_classes(r));
}

static dor_status no_positive(const reader *r)
{
  char shown[64];
  dor_printable(r->o->positive, shown, sizeof shown);
  return DOR_FAIL(USAGE, "%s: positive=%s: %s; there are %s", r->t->path, shown,
                  r->n_classes == 2 ? "no such class" : "only one of two classes can be positive", list_classes(r));
}

static dor_status order_classes(reader *r)
{
  for (int32_t i = 0; i < r->o->n_order; i++) {
    int32_t at = class_index(r, r->o->order[i]);
    DOR_NEED(r->o->n_order == r->n_classes, DATA, "%s: %d classes, not %d", r->t->path, r->n_classes, r->o->n_order);
    if (at < i) return no_class(r, r->t->path, r->o->order[i]);
    swap_classes(r, i, at);
  }
  if (!r->o->positive) return DOR_OK;
  if (r->n_classes != 2) return no_positive(r);
  int32_t at = class_index(r, r->o->positive);
  if (at < 0) return no_positive(r);
  swap_classes(r, at, 1);
  return DOR_OK;
}

/* `probability` is that of the positive class; the other class is the other name found. Where two other names are found it was not said rightly. */
static dor_status classes_of_probability(reader *r)
{
  DOR_NEED(r->o->positive, USAGE, "%s: whose probability? say positive=CLASS", r->t->path);
  r->class_name = dor_arena_alloc(r->a, 2 * sizeof *r->class_name);
  DOR_NEED(r->class_name, NOMEM, "%s", r->t->path);
  r->n_classes = 2, r->by_probability = true;
  bool known = false;
  for (int32_t i = 0; i < r->n && !known; i++) known = !strcmp(dor_csv_at(r->t, i, r->c.truth), r->o->positive);
  r->class_name[0] = NULL, r->class_name[1] = r->o->positive;
  for (int32_t i = 0; i < r->n; i++) {
    const char *name = dor_csv_at(r->t, i, r->c.truth);
    if (!strcmp(name, r->class_name[1])) continue;
    DOR_NEED(*name, DATA, "%s:%d: %s is empty", AT(r, i), r->t->header[r->c.truth]);
    if (!r->class_name[0]) r->class_name[0] = name;
    if (!strcmp(name, r->class_name[0])) continue;
    DOR_NEED(!known, DATA, "%s:%d: %s: a third class where `probability` allows two", AT(r, i), r->t->header[r->c.truth]);
    r->class_name[1] = name;
    return no_positive(r);
  }
  if (!r->class_name[0]) r->class_name[0] = dor_arena_fmt(r->a, "not %s", r->o->positive);
  DOR_NEED(r->class_name[0], NOMEM, "%s", r->t->path);
  return DOR_OK;
}

static dor_status find_classes(reader *r)
{
  DOR_TRY(classes_of_columns(r));
  if (r->n_classes) return order_classes(r);
  if (r->c.probability >= 0) return classes_of_probability(r);
  DOR_NEED(r->c.decided >= 0, DATA, "%s: neither p_CLASS nor probability (classes) nor y_pred (values)", r->t->path);
  double value;
  DOR_NEED(!dor_parse_real(dor_csv_at(r->t, 0, r->c.truth), &value), DATA,
           "%s:1: no column p_CLASS or probability, and column '%s' holds no numbers: of classes a probability is wanted (other name: probability=COL)",
           r->t->path, r->t->header[r->c.truth]);
  return DOR_OK;
}

#define COLUMN(r, field) ((r)->field = dor_arena_alloc((r)->a, (size_t)(r)->n * sizeof *(r)->field))

static dor_status allocate(reader *r)
{
  r->p = dor_arena_alloc(r->a, (size_t)r->n * (size_t)r->n_classes * sizeof *r->p);
  r->fold_name = dor_arena_alloc(r->a, ((size_t)r->n + 1) * sizeof *r->fold_name);
  bool got = COLUMN(r, subject) && COLUMN(r, trial) && COLUMN(r, site) && COLUMN(r, group) && COLUMN(r, arm) && COLUMN(r, fold) && COLUMN(r, repeat) &&
             COLUMN(r, truth) && COLUMN(r, n_clips) && COLUMN(r, unit) && COLUMN(r, seed) && COLUMN(r, value) && COLUMN(r, predicted) &&
             COLUMN(r, threshold);
  DOR_NEED(got && r->p && r->fold_name, NOMEM, "%s: %d rows", r->t->path, r->n);
  DOR_TRY(dor_intern_init(&r->arms, r->a, r->n));
  DOR_TRY(dor_intern_init(&r->units, r->a, r->n));
  DOR_TRY(dor_intern_init(&r->folds, r->a, r->n));
  return dor_intern_init(&r->rows, r->a, r->n);
}

static const char *text(const reader *r, int32_t i, int32_t col) { return col < 0 ? "" : dor_csv_at(r->t, i, col); }

static dor_status whole(const reader *r, int32_t i, int32_t col, int64_t absent, int64_t most, int64_t *out)
{
  const char *cell = text(r, i, col);
  *out = absent;
  if (!cell[0]) return DOR_OK;
  if (dor_parse_int(cell, out) || *out < 0 || *out > most) {
    char shown[64];
    return DOR_FAIL(DATA, "%s:%d: %s: '%s' is no number from 0 to %lld", AT(r, i), r->t->header[col], dor_printable(cell, shown, sizeof shown),
                    (long long)most);
  }
  return DOR_OK;
}

static dor_status share(const reader *r, int32_t i, int32_t col, double *out)
{
  DOR_TRY(dor_csv_real(r->t, i, col, out));
  DOR_NEED(*out >= 0 && *out <= 1, DATA, "%s:%d: %s: %g is no probability", AT(r, i), r->t->header[col], *out);
  return DOR_OK;
}

static dor_status probabilities(reader *r, int32_t i)
{
  double *p = r->p + (size_t)i * (size_t)r->n_classes, sum = 0;
  for (int32_t c = 0; c < r->n_classes; c++) {
    DOR_TRY(share(r, i, r->c.p[c], &p[c]));
    sum += p[c];
  }
  DOR_NEED(fabs(sum - 1) <= 1e-3 * r->n_classes, DATA, "%s:%d: the probabilities add up to %g", AT(r, i), sum);
  return DOR_OK;
}

static dor_status named_class(const reader *r, int32_t i, int32_t col, int32_t *out)
{
  const char *name = dor_csv_at(r->t, i, col);
  *out = class_index(r, name);
  if (*out >= 0) return DOR_OK;
  DOR_NEED(*name, DATA, "%s:%d: %s is empty", AT(r, i), r->t->header[col]);
  char where[512];
  snprintf(where, sizeof where, "%s:%d: %s", AT(r, i), r->t->header[col]);
  return no_class(r, where, name);
}

static dor_status outcome(reader *r, int32_t i)
{
  if (!r->n_classes) {
    DOR_TRY(dor_csv_real(r->t, i, r->c.truth, &r->value[i]));
    return dor_csv_real(r->t, i, r->c.decided, &r->predicted[i]);
  }
  double *p = r->p + (size_t)i * (size_t)r->n_classes;
  DOR_TRY(named_class(r, i, r->c.truth, &r->truth[i]));
  if (r->by_probability) {
    DOR_TRY(share(r, i, r->c.probability, &p[1]));
    p[0] = 1 - p[1];
  } else DOR_TRY(probabilities(r, i));
  r->threshold[i] = r->n_classes == 2 ? 0.5 : NAN;
  if (r->n_classes == 2 && text(r, i, r->c.threshold)[0]) DOR_TRY(share(r, i, r->c.threshold, &r->threshold[i]));
  if (!text(r, i, r->c.decided)[0]) return DOR_OK;
  int32_t said, decided = dor_decide(r->n_classes, p, r->threshold[i]);
  DOR_TRY(named_class(r, i, r->c.decided, &said));
  DOR_NEED(said == decided, DATA, "%s:%d: %s says '%s' where the probabilities say '%s'; leave the column out to have it decided here", AT(r, i),
           r->t->header[r->c.decided], r->class_name[said], r->class_name[decided]);
  return DOR_OK;
}

static void note_folds(reader *r)
{
  int64_t number;
  for (int32_t i = 0; i < r->n && !r->named_folds; i++) r->named_folds = text(r, i, r->c.fold)[0] && dor_parse_int(text(r, i, r->c.fold), &number);
}

/* A negative number is refused under any name: it marks rows that no fold tests. */
static dor_status fold_of(reader *r, int32_t i, int64_t *fold)
{
  const char *name = text(r, i, r->c.fold);
  if (!r->named_folds || !dor_parse_int(name, fold)) DOR_TRY(whole(r, i, r->c.fold, 0, INT32_MAX, fold));
  if (!r->named_folds) return DOR_OK;
  *fold = name[0] ? dor_intern_put(&r->folds, name, NULL) + 1 : 0;
  r->fold_name[*fold] = name;
  return DOR_OK;
}

static dor_status keys(reader *r, int32_t i)
{
  int64_t fold, repeat, clips;
  DOR_TRY(fold_of(r, i, &fold));
  DOR_TRY(whole(r, i, r->c.repeat, 0, INT32_MAX, &repeat));
  DOR_TRY(whole(r, i, r->c.n_clips, 1, INT32_MAX, &clips));
  DOR_TRY(whole(r, i, r->c.seed, 0, INT64_MAX, &r->seed[i]));
  r->fold[i] = (int32_t)fold, r->repeat[i] = (int32_t)repeat, r->n_clips[i] = (int32_t)clips;
  r->subject[i] = text(r, i, r->c.subject), r->trial[i] = text(r, i, r->c.trial);
  r->site[i] = text(r, i, r->c.site), r->group[i] = text(r, i, r->c.group);
  DOR_NEED(r->subject[i][0], DATA, "%s:%d: %s is empty", AT(r, i), r->t->header[r->c.subject]);
  const char *arm = text(r, i, r->c.arm);
  r->arm[i] = dor_intern_put(&r->arms, arm[0] ? arm : "predictions", NULL);
  return DOR_OK;
}

/* A row is one unit, arm, seed and repeat. Where the file knows no trials, a subject's later rows get numbers. */
static dor_status place(reader *r, int32_t i)
{
  int32_t fresh = 0;
  for (int32_t k = 1; !fresh; k++) {
    if (k > 1) r->trial[i] = dor_arena_fmt(r->a, "%d", k);
    char *unit = r->trial[i] ? dor_arena_fmt(r->a, "%s\x1f%s", r->subject[i], r->trial[i]) : NULL;
    DOR_NEED(unit, NOMEM, "%s: %d rows", r->t->path, r->n);
    r->unit[i] = dor_intern_put(&r->units, unit, NULL);
    char *row = dor_arena_fmt(r->a, "%d %d %lld %d", r->unit[i], r->arm[i], (long long)r->seed[i], r->repeat[i]);
    DOR_NEED(row, NOMEM, "%s: %d rows", r->t->path, r->n);
    dor_intern_put(&r->rows, row, &fresh);
    DOR_NEED(fresh || r->c.trial < 0, DATA, "%s:%d: this subject, trial, arm, seed and repeat came before", AT(r, i));
  }
  return DOR_OK;
}

/* One truth and one cluster per unit. */
static dor_status join_units(reader *r, dor_predictions *out)
{
  int32_t n = r->units.n, *first = dor_arena_alloc(r->a, ((size_t)n + 1) * sizeof *first), *cluster = dor_arena_alloc(r->a, ((size_t)n + 1) * sizeof *cluster);
  dor_intern clusters;
  DOR_TRY(dor_intern_init(&clusters, r->a, r->n));
  DOR_NEED(first && cluster, NOMEM, "%s: %d units", r->t->path, n);
  for (int32_t i = 0; i < r->n; i++) {
    int32_t u = r->unit[i], before = first[u] ? first[u] - 1 : i;
    DOR_NEED(r->truth[i] == r->truth[before] && r->value[i] == r->value[before], DATA, "%s:%d: %s: not what line %d says of the same unit", AT(r, i),
             r->t->header[r->c.truth], r->t->line[before]);
    DOR_NEED(!strcmp(r->group[i], r->group[before]), DATA, "%s:%d: group: not what line %d says of the same unit", AT(r, i), r->t->line[before]);
    char *name = r->group[i][0] ? dor_arena_fmt(r->a, "g%s", r->group[i]) : dor_arena_fmt(r->a, "s%s", r->subject[i]);
    DOR_NEED(name, NOMEM, "%s: %d units", r->t->path, n);
    first[u] = before + 1;
    cluster[u] = dor_intern_put(&clusters, name, NULL);
  }
  out->cluster = cluster, out->n_clusters = clusters.n, out->n_units = n;
  return DOR_OK;
}

/* What any row says: a mixture is as bad as its worst part. */
static const char *stamp_of(const reader *r)
{
  static const char *const word[] = {"SYNTHETIC", "LEAKS", "QUICK"};
  const char *all = "";
  for (int w = 0; w < 3; w++) {
    bool said = false;
    for (int32_t i = 0; i < r->n && !said; i++) said = strstr(text(r, i, r->c.stamp), word[w]);
    if (said && all) all = dor_arena_fmt(r->a, "%s%s%s", all, *all ? " " : "", word[w]);
  }
  return all;
}

static void hand_over(const reader *r, dor_predictions *out)
{
  out->n = r->n, out->n_classes = r->n_classes, out->n_arms = r->arms.n;
  out->class_name = r->class_name, out->arm_name = r->arms.name;
  out->subject = r->subject, out->trial = r->trial, out->site = r->site, out->group = r->group;
  out->arm = r->arm, out->fold = r->fold, out->repeat = r->repeat, out->truth = r->truth, out->n_clips = r->n_clips;
  out->seed = r->seed, out->p = r->p, out->value = r->value, out->predicted = r->predicted, out->threshold = r->threshold;
  out->unit = r->unit;
  if (r->named_folds) out->fold_name = r->fold_name;
}

dor_status dor_predictions_read(dor_arena *a, const char *path, const dor_predictions_options *o, dor_predictions *out)
{
  static const dor_predictions_options none = {0};
  dor_csv t;
  DOR_TRY(dor_csv_read(a, path, &t));
  reader r = {.a = a, .t = &t, .o = o ? o : &none, .n = t.n_rows};
  DOR_NEED(r.n > 0, DATA, "%s: no rows", path);
  DOR_TRY(find_columns(&r));
  DOR_TRY(find_classes(&r));
  DOR_TRY(allocate(&r));
  note_folds(&r);
  for (int32_t i = 0; i < r.n; i++) {
    DOR_TRY(keys(&r, i));
    DOR_TRY(outcome(&r, i));
    DOR_TRY(place(&r, i));
  }
  *out = (dor_predictions){0};
  DOR_TRY(join_units(&r, out));
  hand_over(&r, out);
  out->stamp = stamp_of(&r);
  DOR_NEED(out->stamp, NOMEM, "%s: %d rows", path, r.n);
  return DOR_OK;
}
