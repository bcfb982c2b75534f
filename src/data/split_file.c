/* SPDX-License-Identifier: Apache-2.0
 *
 * Where units come from (the labelled things of a dataset) and splits.json, in
 * and out. Messages name the place in the file, never an id. */
#include "data/split.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"

/* ---- units ---- */

static int32_t subject_of(const dor_dataset *d, dor_per per, int32_t i)
{
  if (per == DOR_PER_TRIAL) return d->trial_subject[i];
  return per == DOR_PER_IMAGE ? d->images[0].subject[i] : i;
}

/* [subjects] number of a subject's site, in order of first appearance; -1 where it is not given */
static dor_status number_sites(dor_arena *a, const dor_dataset *d, int32_t **out)
{
  int32_t *site = dor_arena_alloc(a, (size_t)d->n_subjects * sizeof *site), n = 0;
  DOR_NEED(site, NOMEM, "%d subjects", d->n_subjects);
  for (int32_t i = 0; i < d->n_subjects; i++) {
    site[i] = d->site[i][0] ? n : -1;
    for (int32_t j = 0; j < i && site[i] == n; j++)
      if (!strcmp(d->site[i], d->site[j])) site[i] = site[j];
    n += site[i] == n;
  }
  *out = site;
  return DOR_OK;
}

static void mark_tested(const dor_table *t, const char *column, uint8_t *test, bool *found)
{
  for (int32_t k = 0; k < t->items.n; k++) {
    if (strcmp(t->items.name[k], column)) continue;
    *found = true;
    for (int32_t i = 0; i < t->n; i++)
      if (t->values[(int64_t)i * t->items.n + k] == 1) test[t->subject[i]] = 1;
  }
}

/* [subjects] 1 where the column of the holdout says so */
static dor_status tested_subjects(dor_arena *a, const dor_dataset *d, const char *column, const uint8_t **out)
{
  uint8_t *test = dor_arena_alloc(a, (size_t)d->n_subjects);
  bool found = false;
  DOR_NEED(test, NOMEM, "%d subjects", d->n_subjects);
  mark_tested(&d->proms, column, test, &found);
  for (int32_t i = 0; i < d->n_tables; i++) mark_tested(&d->tables[i], column, test, &found);
  DOR_NEED(found, CONFIG, "split.test: '%s' is neither first:N, last:N nor a column of a table in the data", column);
  *out = test;
  return DOR_OK;
}

static bool names_column(const dor_split_cfg *c)
{
  return c->scheme == DOR_SPLIT_HOLDOUT && c->test[0] && strncmp(c->test, "last:", 5) && strncmp(c->test, "first:", 6);
}

static dor_status no_target(const dor_dataset *d, const char *name)
{
  dor_str all = {0};
  for (int32_t i = 0; i < d->n_targets; i++) dor_str_fmt(&all, "%s%s", i ? ", " : "", d->target[i].name);
  const char *names[64], *near;
  int32_t n = d->n_targets < 64 ? d->n_targets : 64;
  for (int32_t i = 0; i < n; i++) names[i] = d->target[i].name;
  near = dor_nearest(name, names, (size_t)n);
  dor_status s = DOR_FAIL(CONFIG, "the data have no target '%s'%s%s%s; they have: %s", name, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "",
                          all.s ? all.s : "none");
  dor_str_release(&all);
  return s;
}

dor_status dor_units_of(dor_arena *a, const dor_dataset *d, const char *target, const dor_split_cfg *c, dor_units *out)
{
  const dor_target *t = dor_dataset_target(d, target);
  const uint8_t *tested = NULL;
  int32_t *site = NULL;
  if (!t) return no_target(d, target);
  if (d->site) DOR_TRY(number_sites(a, d, &site));
  if (names_column(c)) DOR_TRY(tested_subjects(a, d, c->test, &tested));
  size_t n = (size_t)t->n, w = sizeof(int32_t);
  int32_t *cluster = dor_arena_alloc(a, n * w), *label = dor_arena_alloc(a, n * w), *sites = dor_arena_alloc(a, n * w), *row = dor_arena_alloc(a, n * w);
  const char **id = dor_arena_alloc(a, n * sizeof *id);
  uint8_t *test = dor_arena_alloc(a, n);
  DOR_NEED(cluster && label && sites && row && id && test, NOMEM, "%d units", t->n);
  *out = (dor_units){0, t->kind == DOR_TARGET_VALUE ? 0 : t->n_names, cluster, label, site ? sites : NULL, id, row, tested ? test : NULL,
                     t->kind == DOR_TARGET_VALUE ? NULL : t->names, NULL};
  for (int32_t i = 0; i < t->n; i++) {
    if (isnan(t->value[i])) continue;
    int32_t s = subject_of(d, t->per, i), u = out->n++;
    cluster[u] = c->unit == DOR_UNIT_CLIP ? u : d->group ? d->group[s] : s;
    label[u] = t->kind == DOR_TARGET_VALUE ? -1 : (int32_t)t->value[i];
    sites[u] = site ? site[s] : -1;
    row[u] = i;
    id[u] = d->id[s];
    test[u] = tested ? tested[s] : 0;
  }
  return DOR_OK;
}

/* ---- splits.json ---- */

typedef struct named {
  const char *id;
  int32_t unit;
} named;

/* What the file calls thing i. */
static const char *name_of(const dor_units *u, int32_t i) { return u->name ? u->name[i] : u->id[i]; }

static int by_id(const void *a, const void *b) { return strcmp(((const named *)a)->id, ((const named *)b)->id); }

/* Things by id, sorted, so that each id of the file finds its things. */
static dor_status index_ids(dor_arena *a, const dor_units *u, named **out)
{
  *out = dor_arena_alloc(a, (size_t)(u->n + 1) * sizeof **out);
  DOR_NEED(*out, NOMEM, "%d ids", u->n);
  for (int32_t i = 0; i < u->n; i++) (*out)[i] = (named){name_of(u, i), i};
  qsort(*out, (size_t)u->n, sizeof **out, by_id);
  return DOR_OK;
}

/* The first of the sorted things that has this id; NULL. */
static const named *find(const named *all, int32_t n, const char *id)
{
  int32_t lo = 0, hi = n;
  while (lo < hi) {
    int32_t mid = lo + (hi - lo) / 2;
    if (strcmp(all[mid].id, id) < 0) lo = mid + 1;
    else hi = mid;
  }
  return lo < n && !strcmp(all[lo].id, id) ? &all[lo] : NULL;
}

static dor_status take_fold(const char *path, const json_t *ids, const named *all, int32_t n, int32_t r, int32_t f, int32_t *fold)
{
  DOR_NEED(json_is_array(ids), DATA, "%s: repeat %d, fold %d is no list of ids", path, r + 1, f + 1);
  for (size_t i = 0; i < json_array_size(ids); i++) {
    const char *id = json_string_value(json_array_get(ids, i));
    DOR_NEED(id, DATA, "%s: repeat %d, fold %d: entry %zu is no text", path, r + 1, f + 1, i + 1);
    const named *at = find(all, n, id);
    DOR_NEED(at, DATA, "%s: repeat %d, fold %d: entry %zu is nobody in the data (or has no label)", path, r + 1, f + 1, i + 1);
    DOR_NEED(fold[at->unit] < 0, DATA, "%s: repeat %d, fold %d: entry %zu stands twice", path, r + 1, f + 1, i + 1);
    for (; at < all + n && !strcmp(at->id, id); at++) fold[at->unit] = f;
  }
  return DOR_OK;
}

static dor_status take_repeat(const char *path, const json_t *folds, const dor_units *u, const named *all, int32_t r, dor_split *out, int32_t *fold)
{
  int32_t n = (int32_t)json_array_size(folds);
  DOR_NEED(json_is_array(folds) && n > 0 && n <= u->n, DATA, "%s: repeat %d has no list of folds", path, r + 1);
  DOR_NEED(!r || n == out->folds, DATA, "%s: repeat %d has %d folds, the first has %d", path, r + 1, n, out->folds);
  out->folds = n;
  for (int32_t i = 0; i < u->n; i++) fold[i] = -1;
  for (int32_t f = 0; f < n; f++) DOR_TRY(take_fold(path, json_array_get(folds, (size_t)f), all, u->n, r, f, fold));
  for (int32_t i = 0; i < u->n && n > 1; i++) DOR_NEED(fold[i] >= 0, DATA, "%s: repeat %d leaves out row %d of the data", path, r + 1, u->row[i] + 1);
  return DOR_OK;
}

/* A cluster must not be cut: files may come from elsewhere. */
static dor_status check_whole(dor_arena *a, const char *path, const dor_units *u, int32_t r, const int32_t *fold)
{
  int32_t most = 0;
  for (int32_t i = 0; i < u->n; i++) most = u->cluster[i] > most ? u->cluster[i] : most;
  int32_t *seen = dor_arena_alloc(a, (size_t)(most + 1) * sizeof *seen); /* fold + 2; 0: not met */
  DOR_NEED(seen, NOMEM, "%d groups", most);
  for (int32_t i = 0; i < u->n; i++) {
    int32_t *s = &seen[u->cluster[i]];
    DOR_NEED(!*s || *s == fold[i] + 2, LEAK, "%s: repeat %d cuts through a person or group (row %d of the data)", path, r + 1, u->row[i] + 1);
    *s = fold[i] + 2;
  }
  return DOR_OK;
}

static dor_status take_split(dor_arena *a, const char *path, const json_t *root, const dor_units *u, dor_split *out)
{
  const json_t *repeats = json_object_get(root, "repeats");
  size_t n = json_array_size(repeats);
  named *all;
  DOR_NEED(json_integer_value(json_object_get(root, "schema")) == 1, DATA, "%s: 'schema' is not 1", path);
  DOR_NEED(n > 0 && n <= 1000, DATA, "%s: %zu repeats, from 1 to 1000 are read", path, n);
  DOR_TRY(index_ids(a, u, &all));
  *out = (dor_split){.repeats = (int32_t)n, .n = u->n};
  int32_t *fold = dor_arena_alloc(a, n * (size_t)u->n * sizeof *fold);
  DOR_NEED(fold, NOMEM, "%zu repeats", n);
  out->fold = fold;
  for (int32_t r = 0; r < out->repeats; r++, fold += u->n) {
    DOR_TRY(take_repeat(path, json_object_get(json_array_get(repeats, (size_t)r), "folds"), u, all, r, out, fold));
    DOR_TRY(check_whole(a, path, u, r, fold));
  }
  return DOR_OK;
}

dor_status dor_split_read(dor_arena *a, const char *path, const dor_units *u, dor_split *out)
{
  char *text;
  size_t size;
  json_error_t e;
  DOR_TRY(dor_io_read(path, (size_t)64 << 20, &text, &size));
  json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &e);
  dor_free(text);
  DOR_NEED(root, DATA, "%s:%d: %s", path, e.line, e.text);
  dor_status s = take_split(a, path, root, u, out);
  json_decref(root);
  DOR_TRY(s);
  return DOR_OK;
}

static void add_text(dor_str *s, const char *text)
{
  json_t *t = json_string(text);
  char *quoted = t ? json_dumps(t, JSON_ENCODE_ANY) : NULL;
  if (quoted) dor_str_add(s, quoted);
  else s->failed = true;
  free(quoted);
  json_decref(t);
}

/* Ids of one fold, each once (lead: its first thing), in the order of the data. */
static void add_fold(dor_str *s, const dor_units *u, const bool *lead, const int32_t *fold, int32_t f)
{
  const char *comma = "";
  dor_str_add(s, "[");
  for (int32_t i = 0; i < u->n; i++) {
    if (fold[i] != f || !lead[i]) continue;
    dor_str_add(s, comma);
    add_text(s, name_of(u, i));
    comma = ",";
  }
  dor_str_add(s, "]");
}

/* A person's things must all be in one fold, or an id says too little. lead [n] the first thing of each person. */
static dor_status check_ids(dor_arena *a, const dor_split *s, const dor_units *u, bool **lead)
{
  named *all;
  DOR_TRY(index_ids(a, u, &all));
  *lead = dor_arena_alloc(a, (size_t)u->n * sizeof **lead);
  DOR_NEED(*lead, NOMEM, "%d ids", u->n);
  for (int32_t i = 0, least = 0; i < u->n; i++) {
    bool same = i && !strcmp(all[i - 1].id, all[i].id), ends = i + 1 == u->n || strcmp(all[i].id, all[i + 1].id);
    least = same && least < all[i].unit ? least : all[i].unit;
    if (ends) (*lead)[least] = true;
    for (int32_t r = 0; r < s->repeats && same; r++) {
      const int32_t *fold = s->fold + (size_t)r * (size_t)s->n;
      DOR_NEED(fold[all[i - 1].unit] == fold[all[i].unit], LEAK, "splits.json names people, and this split cuts through one (split.unit = \"clip\")");
    }
  }
  return DOR_OK;
}

static dor_status to_json(dor_arena *a, const dor_split *s, const dor_units *u, dor_str *text)
{
  bool *lead = NULL;
  DOR_TRY(check_ids(a, s, u, &lead));
  dor_str_add(text, "{\"schema\":1,\"repeats\":[");
  for (int32_t r = 0; r < s->repeats; r++) {
    dor_str_add(text, r ? ",\n{\"folds\":[" : "\n{\"folds\":[");
    for (int32_t f = 0; f < s->folds; f++) {
      dor_str_add(text, f ? ",\n  " : "\n  ");
      add_fold(text, u, lead, s->fold + (size_t)r * (size_t)s->n, f);
    }
    dor_str_add(text, "]}");
  }
  dor_str_add(text, "]}\n");
  return dor_str_status(text);
}

dor_status dor_split_write(const dor_split *s, const dor_units *u, const char *path)
{
  dor_str text = {0};
  dor_arena a = {0};
  dor_status st = to_json(&a, s, u, &text);
  if (!st) st = dor_io_write(path, text.s, text.n);
  dor_arena_release(&a);
  dor_str_release(&text);
  DOR_TRY(st);
  return DOR_OK;
}
