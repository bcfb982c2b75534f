/* SPDX-License-Identifier: Apache-2.0 */
#include "report/expect.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/csv.h"
#include "base/io.h"
#include "base/tree.h"
#include "eval/keypoint.h"
#include "eval/metric.h"

typedef struct metrics { /* metrics.csv, and where rows go */
  dor_csv t;
  int32_t arm, fold, seed, metric, cls, value, lo, hi, n, k;
  json_t *rows;          /* NULL: text alone is wanted */
} metrics;

typedef struct row {     /* of expected */
  const char *arm, *metric, *seed, *cls, *data;
  double value, tolerance, at_least;
} row;

static dor_status open_metrics(dor_arena *a, const char *folder, metrics *m)
{
  char *path = dor_path_join(a, folder, "metrics.csv");
  DOR_NEED(path, NOMEM, "%s", folder);
  DOR_TRY(dor_csv_read(a, path, &m->t));
  const struct { const char *name; int32_t *col; } need[] = {{"arm", &m->arm}, {"fold", &m->fold}, {"seed", &m->seed}, {"metric", &m->metric},
                                                             {"class", &m->cls}, {"value", &m->value}, {"ci_lo", &m->lo},
                                                             {"ci_hi", &m->hi}, {"n", &m->n}, {"k", &m->k}};
  for (size_t i = 0; i < sizeof need / sizeof *need; i++) DOR_TRY(dor_csv_need(&m->t, need[i].name, need[i].col));
  return DOR_OK;
}

/* The row of a figure over all folds; without a class the first: overall, macro, or the positive class. -1: none */
static int32_t find(const metrics *m, const char *arm, const char *metric, const char *seed, const char *cls)
{
  for (int32_t i = 0; i < m->t.n_rows; i++) {
    bool same = !strcmp(dor_csv_at(&m->t, i, m->arm), arm) && !strcmp(dor_csv_at(&m->t, i, m->metric), metric) &&
                !strcmp(dor_csv_at(&m->t, i, m->fold), "all") &&
                !strcmp(dor_csv_at(&m->t, i, m->seed), seed);
    if (same && (!cls[0] || !strcmp(dor_csv_at(&m->t, i, m->cls), cls))) return i;
  }
  return -1;
}

static double number(const metrics *m, int32_t i, int32_t col)
{
  double v;
  return i >= 0 && dor_csv_at(&m->t, i, col)[0] && !dor_parse_real(dor_csv_at(&m->t, i, col), &v) ? v : NAN;
}

static dor_status known_metric(const dor_tree *at, const char *name)
{
  const char *all[DOR_METRIC_COUNT];
  char where[256];
  if (dor_metric_find(name) >= 0) return DOR_OK;
  for (int i = 0; i < DOR_KP_COCO; i++)
    if (!strcmp(dor_kp_coco[i].name, name)) return DOR_OK;
  for (int i = 0; i < DOR_METRIC_COUNT; i++) all[i] = dor_metrics[i].name;
  const char *near = dor_nearest(name, all, DOR_METRIC_COUNT);
  return near ? DOR_FAIL(CONFIG, "%s: no metric '%s'; did you mean '%s'?", dor_tree_where(at, where), name, near)
              : DOR_FAIL(CONFIG, "%s: no metric '%s'", dor_tree_where(at, where), name);
}

static dor_status real_of(const dor_tree *t, double *out)
{
  char where[256];
  DOR_NEED(t->type == DOR_TREE_REAL || t->type == DOR_TREE_INT, CONFIG, "%s: '%s' must be a number", dor_tree_where(t, where), t->name);
  *out = t->type == DOR_TREE_REAL ? t->r : (double)t->i;
  return DOR_OK;
}

static dor_status text_of(const dor_tree *t, const char **out)
{
  char where[256];
  DOR_NEED(t->type == DOR_TREE_TEXT, CONFIG, "%s: '%s' must be a text", dor_tree_where(t, where), t->name);
  *out = t->text;
  return DOR_OK;
}

static dor_status read_row(const dor_tree *t, row *r)
{
  char where[256];
  *r = (row){.arm = "", .metric = "", .seed = "all", .cls = "", .data = "", .value = NAN, .tolerance = NAN, .at_least = NAN};
  DOR_NEED(t->type == DOR_TREE_GROUP, CONFIG, "%s: 'expected' is a list of groups, ( { arm = ...; } )", dor_tree_where(t, where));
  const struct { const char *name, **text; double *real; } key[] = {{"arm", &r->arm, NULL}, {"metric", &r->metric, NULL}, {"seed", &r->seed, NULL},
                                                                    {"class", &r->cls, NULL}, {"data", &r->data, NULL}, {"value", NULL, &r->value},
                                                                    {"tolerance", NULL, &r->tolerance}, {"at_least", NULL, &r->at_least}};
  enum { KEYS = sizeof key / sizeof *key };
  for (const dor_tree *c = t->first; c; c = c->next) {
    int i = 0;
    while (i < KEYS && strcmp(key[i].name, c->name) != 0) i++;
    DOR_NEED(i < KEYS, CONFIG, "%s: no key '%s'; there are arm metric seed class data value tolerance at_least", dor_tree_where(c, where), c->name);
    if (key[i].text) DOR_TRY(text_of(c, key[i].text));
    else DOR_TRY(real_of(c, key[i].real));
  }
  DOR_TRY(known_metric(t, r->metric));
  bool about = !isnan(r->value) && !isnan(r->tolerance), least = !isnan(r->at_least);
  DOR_NEED(r->arm[0] && about != least, CONFIG, "%s: an arm, a metric, and either value and tolerance or at_least", dor_tree_where(t, where));
  DOR_NEED(!about || r->tolerance >= 0, CONFIG, "%s: a tolerance of %g is never held", dor_tree_where(t, where), r->tolerance);
  int64_t number;
  DOR_NEED(!strcmp(r->seed, "all") || !strcmp(r->seed, "mean") || !dor_parse_int(r->seed, &number), CONFIG,
           "%s: 'seed' is \"all\", \"mean\" or a number, got '%s'", dor_tree_where(t, where), r->seed);
  return DOR_OK;
}

static void put_obtained(const metrics *m, int32_t i, dor_str *out)
{
  double value = number(m, i, m->value), lo = number(m, i, m->lo), hi = number(m, i, m->hi), k = number(m, i, m->k), n = number(m, i, m->n);
  if (i < 0) {
    dor_str_add(out, "not in this run");
    return;
  }
  dor_str_fmt(out, "%.4f", value);
  if (!isnan(lo) && !isnan(hi)) dor_str_fmt(out, " (%.4f-%.4f)", lo, hi);
  if (!isnan(k) && !isnan(n)) dor_str_fmt(out, " %.0f/%.0f", k, n);
  else if (!isnan(n) && !strcmp(dor_csv_at(&m->t, i, m->seed), "all")) dor_str_fmt(out, " n = %.0f", n);
}

/* A row of the array: what was looked for, then what metrics.csv has, null where it has nothing. The n of a mean over seeds is theirs. */
static json_t *add_json(const metrics *m, const char *kind, const char *arm, const char *metric, int32_t i)
{
  const char *seed = i >= 0 ? dor_csv_at(&m->t, i, m->seed) : "";
  const char *n = !strcmp(seed, "mean") || !strcmp(seed, "sd") ? "n_seeds" : "n";
  const struct { const char *name; int32_t col; bool count; } part[] = {
      {"obtained", m->value, false}, {"ci_lo", m->lo, false}, {"ci_hi", m->hi, false}, {n, m->n, true}, {"k", m->k, true}};
  json_t *o = json_pack("{s:s, s:s, s:s}", "kind", kind, "arm", arm, "metric", metric);
  for (size_t p = 0; p < sizeof part / sizeof *part; p++) {
    double v = number(m, i, part[p].col);
    json_object_set_new(o, part[p].name, isnan(v) ? json_null() : part[p].count ? json_integer((json_int_t)v) : json_real(v));
  }
  json_array_append_new(m->rows, o);
  return o;
}

static dor_status published_arm(const metrics *m, const dor_tree *arm, dor_str *out)
{
  for (const dor_tree *c = arm->first; c; c = c->next) {
    double value = NAN;
    DOR_TRY(known_metric(c, c->name));
    DOR_TRY(real_of(c, &value));
    int32_t i = find(m, arm->name, c->name, "all", "");
    if (m->rows) json_object_set_new(add_json(m, "published", arm->name, c->name, i), "published", json_real(value));
    dor_str_fmt(out, "%-20s %-18s %-18.4f ", arm->name, c->name, value);
    put_obtained(m, i, out);
    dor_str_add(out, "\n");
  }
  return DOR_OK;
}

static dor_status published(const metrics *m, const dor_tree *root, dor_str *out)
{
  const dor_tree *group = dor_tree_find(root, "published"), *source = dor_tree_find(root, "published.source"), *n = dor_tree_find(root, "published.n");
  char where[256];
  if (!group) return DOR_OK;
  DOR_NEED(group->type == DOR_TREE_GROUP, CONFIG, "%s: 'published' must be a group", dor_tree_where(group, where));
  dor_str_fmt(out, "%-20s %-18s %-18s %s\n", "arm", "metric", "published", "obtained (interval)");
  for (const dor_tree *c = group->first; c; c = c->next) {
    if (c == source || c == n) continue;
    DOR_NEED(c->type == DOR_TREE_GROUP, CONFIG, "%s: '%s' must be an arm's group of metrics", dor_tree_where(c, where), c->name);
    DOR_TRY(published_arm(m, c, out));
  }
  if (source && source->type == DOR_TREE_TEXT) dor_str_fmt(out, "published: %s", source->text);
  if (n && n->type == DOR_TREE_INT) dor_str_fmt(out, "%s%lld", source ? ", n = " : "published: n = ", (long long)n->i);
  if (source || n) dor_str_add(out, "\n");
  return DOR_OK;
}

static bool held(const row *r, double value)
{
  return isnan(r->at_least) ? fabs(value - r->value) <= r->tolerance + 1e-12 : value >= r->at_least - 1e-12;
}

static void put_row(const row *r, dor_str *out)
{
  char want[64];
  if (isnan(r->at_least)) snprintf(want, sizeof want, "%.4f +- %.4f", r->value, r->tolerance);
  else snprintf(want, sizeof want, ">= %.4f", r->at_least);
  dor_str_fmt(out, "%-20s %-18s %-18s ", r->arm, r->metric, want);
}

static void put_json(const metrics *m, const row *r, int32_t i, bool tested)
{
  json_t *o = add_json(m, "expected", r->arm, r->metric, i);
  const struct { const char *name; double v; } part[] = {{"value", r->value}, {"tolerance", r->tolerance}, {"at_least", r->at_least}};
  json_object_set_new(o, "seed", json_string(r->seed));
  if (r->cls[0]) json_object_set_new(o, "class", json_string(r->cls));
  if (r->data[0]) json_object_set_new(o, "data", json_string(r->data));
  for (size_t p = 0; p < sizeof part / sizeof *part; p++)
    if (!isnan(part[p].v)) json_object_set_new(o, part[p].name, json_real(part[p].v));
  json_object_set_new(o, "held", tested ? json_boolean(held(r, number(m, i, m->value))) : json_null());
}

/* One row of `expected`: held, not held (MISMATCH, remembered in *first) or for other data. */
static dor_status test_row(const metrics *m, const row *r, const char *data, dor_str *out, int32_t *tested, char first[256])
{
  int32_t i = find(m, r->arm, r->metric, r->seed, r->cls);
  double value = number(m, i, m->value);
  bool tests = !r->data[0] || !strcmp(r->data, data);
  put_row(r, out);
  if (m->rows) put_json(m, r, i, tests);
  if (!tests) {
    dor_str_fmt(out, "not tested: for data = \"%s\"\n", r->data);
    return DOR_OK;
  }
  put_obtained(m, i, out);
  ++*tested;
  bool ok = held(r, value);
  dor_str_fmt(out, "%s   %s\n", !strcmp(r->seed, "mean") ? " mean of single seeds" : "", ok ? "held" : "NOT HELD");
  if (ok || first[0]) return DOR_OK;
  if (isnan(value)) snprintf(first, 256, "%s %s: not in this run, and expected", r->arm, r->metric);
  else if (isnan(r->at_least)) snprintf(first, 256, "%s %s: %.4f where %.4f +- %.4f is expected", r->arm, r->metric, value, r->value, r->tolerance);
  else snprintf(first, 256, "%s %s: %.4f where at least %.4f is expected", r->arm, r->metric, value, r->at_least);
  return DOR_OK;
}

static dor_status expected(const metrics *m, const dor_tree *root, const char *data, dor_str *out, int32_t *tested)
{
  const dor_tree *list = dor_tree_find(root, "expected");
  char first[256] = "";
  if (!list) return DOR_OK;
  dor_str_fmt(out, "\n%-20s %-18s %-18s %s\n", "arm", "metric", "expected", "obtained");
  for (const dor_tree *c = list->first; c; c = c->next) {
    row r;
    DOR_TRY(read_row(c, &r));
    DOR_TRY(test_row(m, &r, data, out, tested, first));
  }
  DOR_NEED(!first[0], MISMATCH, "%s", first);
  return DOR_OK;
}

/* ---- what stands in the file, before there is a run ---- */

static dor_status known_arm(const dor_tree *t, const char *name, const char *const arm[], int32_t n)
{
  char where[256], shown[64];
  bool known = n == 0;
  for (int32_t i = 0; i < n; i++) known = known || !strcmp(arm[i], name);
  if (known) return DOR_OK;
  const char *near = dor_nearest(name, arm, (size_t)n);
  return DOR_FAIL(CONFIG, "%s: the experiment has no arm '%s'%s%s%s", dor_tree_where(t, where), dor_printable(name, shown, sizeof shown),
                  near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static dor_status sound_rows(const dor_tree *list, const char *const arm[], int32_t n_arms)
{
  char where[256];
  if (!list) return DOR_OK;
  DOR_NEED(list->type == DOR_TREE_LIST, CONFIG, "%s: 'expected' is a list of groups, ( { arm = ...; } )", dor_tree_where(list, where));
  for (const dor_tree *c = list->first; c; c = c->next) {
    row r;
    DOR_TRY(read_row(c, &r));
    DOR_TRY(known_arm(c, r.arm, arm, n_arms));
  }
  return DOR_OK;
}

static dor_status read_sound(dor_arena *a, const char *expect, const char *const arm[], int32_t n_arms, dor_tree **root)
{
  dor_str text = {0};
  const metrics none = {.rows = NULL};
  char where[256];
  DOR_TRY(dor_tree_read(a, expect, root));
  for (const dor_tree *c = (*root)->first; c; c = c->next)
    DOR_NEED(!strcmp(c->name, "published") || !strcmp(c->name, "expected"), CONFIG, "%s: no key '%s'; there are published and expected",
             dor_tree_where(c, where), c->name);
  dor_status s = published(&none, *root, &text);
  dor_str_release(&text);
  DOR_TRY(s);
  return sound_rows(dor_tree_find(*root, "expected"), arm, n_arms);
}

dor_status dor_expect_sound(const char *expect, const char *const arm[], int32_t n_arms)
{
  dor_arena a = {0};
  dor_tree *root;
  dor_status s = read_sound(&a, expect, arm, n_arms, &root);
  dor_arena_release(&a);
  return s;
}

/* ---- a run held against it ---- */

static dor_status check(dor_arena *a, const char *expect, const char *folder, const char *data, dor_str *out, json_t *rows, int32_t *tested)
{
  dor_tree *root;
  metrics m = {.rows = rows};
  DOR_TRY(read_sound(a, expect, NULL, 0, &root));
  DOR_TRY(open_metrics(a, folder, &m));
  DOR_TRY(published(&m, root, out));
  dor_status s = expected(&m, root, data, out, tested);
  return s ? s : dor_str_status(out);
}

dor_status dor_expect_check(const char *expect, const char *folder, const char *data, dor_str *out, json_t *rows, int32_t *tested)
{
  dor_arena a = {0};
  *tested = 0;
  dor_status s = check(&a, expect, folder, data ? data : "", out, rows, tested);
  dor_arena_release(&a);
  return s;
}
