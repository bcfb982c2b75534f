/* SPDX-License-Identifier: Apache-2.0 */
#include "data/check.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/intern.h"

enum { FEW = 5, MOST_REMARKS = 256 };

static dor_status no_memory(void) { return DOR_FAIL(NOMEM, "a check of the dataset"); }

static dor_status remark(const char **list, int32_t *n, const char *text)
{
  if (!text) return no_memory();
  if (*n < MOST_REMARKS) list[(*n)++] = text;
  return DOR_OK;
}

#define PROBLEM(c, ...) DOR_TRY(remark((c)->problems, &(c)->n_problems, dor_arena_fmt(&(c)->arena, __VA_ARGS__)))
#define WARNING(c, ...) DOR_TRY(remark((c)->warnings, &(c)->n_warnings, dor_arena_fmt(&(c)->arena, __VA_ARGS__)))

/* ---- classes ---- */

static void count_class(dor_check *c, const dor_target *t, int32_t k)
{
  dor_check_class *out = &c->classes[c->n_classes++];
  *out = (dor_check_class){t->name, k < 0 ? "" : t->names[k], 0};
  for (int32_t i = 0; i < t->n; i++) out->n += k < 0 ? isnan(t->value[i]) : t->value[i] == (float)k;
}

static dor_status check_target(dor_check *c, const dor_target *t)
{
  int32_t filled = 0, from = c->n_classes;
  if (t->kind == DOR_TARGET_VALUE) return DOR_OK;
  for (int32_t k = 0; k < t->n_names; k++) count_class(c, t, k);
  count_class(c, t, -1);
  for (int32_t i = from; i + 1 < c->n_classes; i++) {
    const dor_check_class *k = &c->classes[i];
    filled += k->n > 0;
    if (k->n < FEW) WARNING(c, "target '%s': class '%s' has %d, fewer than %d", k->target, k->name, k->n, FEW);
  }
  if (filled < 2) PROBLEM(c, "target '%s': fewer than two of its classes have anyone", t->name);
  return DOR_OK;
}

static dor_status check_targets(dor_check *c)
{
  const dor_dataset *d = c->d;
  int32_t n = 0;
  for (int32_t i = 0; i < d->n_targets; i++) n += d->target[i].n_names + 1;
  c->classes = dor_arena_alloc(&c->arena, (size_t)(n + 1) * sizeof *c->classes);
  if (!c->classes) return no_memory();
  for (int32_t i = 0; i < d->n_targets; i++) DOR_TRY(check_target(c, &d->target[i]));
  if (!d->n_targets && d->n_angles) WARNING(c, "no target: its angles can be compared (dorsum pose-eval), but nothing can be learned from it");
  else if (!d->n_targets) PROBLEM(c, "no target: nothing can be learned from it");
  int32_t inputs = d->n_tables + d->proms.items.n + d->n_silhouettes + d->n_images + d->n_keypoints + d->n_angles;
  if (!inputs) PROBLEM(c, "no tables, proms, silhouettes, images, keypoints or angles: there is nothing to learn from");
  return DOR_OK;
}

/* ---- columns ---- */

static dor_status check_column(dor_check *c, const char *table, const char *name, const float *v, int32_t n, int32_t step)
{
  dor_check_column *out = &c->columns[c->n_columns++];
  *out = (dor_check_column){table, name, n, 0, true};
  float first = NAN;
  for (int32_t i = 0; i < n; i++) {
    float x = v[(int64_t)i * step];
    if (isnan(x)) out->missing++;
    else if (isnan(first)) first = x;
    else if (x != first) out->constant = false;
  }
  if (out->missing == n) WARNING(c, "%s: column '%s' has no value at all", table, name);
  else if (out->constant && n > 1) WARNING(c, "%s: column '%s' has one value only", table, name);
  return DOR_OK;
}

/* Rows equal to an earlier one, bit for bit. */
static dor_status count_same_rows(dor_check *c, const dor_table *t)
{
  dor_intern seen;
  size_t bytes = (size_t)t->items.n * sizeof *t->values;
  DOR_TRY(dor_intern_init(&seen, &c->arena, t->n));
  for (int32_t i = 0; i < t->n; i++) {
    char hex[DOR_HASH_HEX];
    int32_t fresh;
    dor_hash_bytes(t->values + (int64_t)i * t->items.n, bytes, hex);
    const char *name = dor_arena_str(&c->arena, hex);
    if (!name) return no_memory();
    dor_intern_put(&seen, name, &fresh);
    c->same_rows += !fresh;
  }
  return DOR_OK;
}

static dor_status check_table(dor_check *c, const char *name, const dor_table *t)
{
  for (int32_t k = 0; k < t->items.n; k++) DOR_TRY(check_column(c, name, t->items.name[k], t->values + k, t->n, t->items.n));
  return count_same_rows(c, t);
}

static dor_status check_columns(dor_check *c)
{
  const dor_dataset *d = c->d;
  int32_t n = 1 + d->proms.items.n;
  for (int32_t i = 0; i < d->n_tables; i++) n += d->tables[i].items.n;
  c->columns = dor_arena_alloc(&c->arena, (size_t)n * sizeof *c->columns);
  if (!c->columns) return no_memory();
  if (d->age) DOR_TRY(check_column(c, "subjects", "age", d->age, d->n_subjects, 1));
  if (d->proms.items.n) DOR_TRY(check_table(c, "proms", &d->proms));
  for (int32_t i = 0; i < d->n_tables; i++) DOR_TRY(check_table(c, d->tables[i].name, &d->tables[i]));
  return DOR_OK;
}

/* ---- pictures ---- */

/* What stays together in folds: a person's group, else the person. */
static int32_t cluster_of(const dor_dataset *d, int32_t subject) { return d->group ? d->group[subject] : subject; }

/* Things by content: owner [n] receives the cluster of the first with this content. */
static dor_status count_same(dor_check *c, dor_intern *seen, int32_t *owner, const void *bytes, size_t n, int32_t cluster, int32_t *same, int32_t *apart)
{
  char hex[DOR_HASH_HEX];
  int32_t fresh;
  dor_hash_bytes(bytes, n, hex);
  const char *name = dor_arena_str(&c->arena, hex);
  if (!name) return no_memory();
  int32_t k = dor_intern_put(seen, name, &fresh);
  if (fresh) owner[k] = cluster;
  else ++*same, *apart += owner[k] != cluster;
  return DOR_OK;
}

static dor_status check_frames(dor_check *c, const dor_frames *f)
{
  const dor_dataset *d = c->d;
  dor_intern pictures, trials;
  size_t one = (size_t)f->h * (size_t)f->w * (size_t)f->c;
  int32_t ignored = 0, things = f->subject ? f->n : d->n_trials;
  int32_t *owner = dor_arena_alloc(&c->arena, (size_t)f->n * sizeof *owner);
  int32_t *of_trial = dor_arena_alloc(&c->arena, (size_t)(d->n_trials + 1) * sizeof *of_trial);
  if (!owner || !of_trial) return no_memory();
  DOR_TRY(dor_intern_init(&pictures, &c->arena, f->n));
  DOR_TRY(dor_intern_init(&trials, &c->arena, d->n_trials));
  for (int32_t t = 0; t < things; t++) {
    int32_t first = f->subject ? t : f->first[t], count = f->subject ? 1 : f->count[t];
    int32_t g = cluster_of(d, f->subject ? f->subject[t] : d->trial_subject[t]);
    const uint8_t *data = f->data + (size_t)first * one;
    for (int32_t i = 0; i < count; i++)
      DOR_TRY(count_same(c, &pictures, owner, data + (size_t)i * one, one, g, &c->same_pictures, &c->same_pictures_apart));
    if (f->subject || count < 2) continue;
    DOR_TRY(count_same(c, &trials, of_trial, data, (size_t)count * one, g, &ignored, &c->same_trials_apart));
  }
  return DOR_OK;
}

static dor_status check_pictures(dor_check *c)
{
  for (int32_t i = 0; i < c->d->n_silhouettes; i++) DOR_TRY(check_frames(c, &c->d->silhouettes[i]));
  for (int32_t i = 0; i < c->d->n_images; i++) DOR_TRY(check_frames(c, &c->d->images[i]));
  if (c->same_trials_apart) WARNING(c, "%d trials are identical to one of another person: folds that part them are refused", c->same_trials_apart);
  if (c->same_pictures_apart) WARNING(c,
      "%d pictures are identical to one of another person or group: folds that part identical images are refused; give them one group",
      c->same_pictures_apart);
  return DOR_OK;
}

static dor_status count_groups(dor_check *c)
{
  dor_intern seen;
  if (!c->d->group) return DOR_OK;
  DOR_TRY(dor_intern_init(&seen, &c->arena, c->d->n_subjects));
  for (int32_t i = 0; i < c->d->n_subjects; i++) {
    const char *name = dor_arena_fmt(&c->arena, "%d", c->d->group[i]);
    if (!name) return no_memory();
    dor_intern_put(&seen, name, NULL);
  }
  c->n_groups = seen.n;
  return DOR_OK;
}

dor_status dor_check_dataset(const dor_dataset *d, dor_check *out)
{
  *out = (dor_check){.d = d};
  out->problems = dor_arena_alloc(&out->arena, MOST_REMARKS * sizeof *out->problems);
  out->warnings = dor_arena_alloc(&out->arena, MOST_REMARKS * sizeof *out->warnings);
  if (!out->problems || !out->warnings) return no_memory();
  DOR_TRY(count_groups(out));
  DOR_TRY(check_targets(out));
  DOR_TRY(check_columns(out));
  return check_pictures(out);
}

void dor_check_release(dor_check *c)
{
  dor_arena_release(&c->arena);
  *c = (dor_check){0};
}

/* ---- reports ---- */

static int64_t count_frames(const dor_dataset *d)
{
  int64_t n = 0;
  for (int32_t i = 0; i < d->n_silhouettes; i++) n += d->silhouettes[i].n;
  return n;
}

static int64_t count_keypoints(const dor_dataset *d)
{
  int64_t n = 0;
  for (int32_t i = 0; i < d->n_keypoints; i++) n += d->keypoints[i].n;
  return n;
}

static int64_t count_images(const dor_dataset *d)
{
  int64_t n = 0;
  for (int32_t i = 0; i < d->n_images; i++) n += d->images[i].n;
  return n;
}

static void class_line(const dor_check_class *k, dor_str *out)
{
  dor_str_fmt(out, "%-16s %-20s %5d\n", k->target, k->name[0] ? k->name : "(no label)", k->n);
}

static void column_line(const dor_check_column *k, dor_str *out)
{
  dor_str_fmt(out, "%-16s %-24s %5d  %5d (%.1f %%)\n", k->table, k->name, k->n, k->missing, 100.0 * k->missing / k->n);
}

void dor_check_text(const dor_check *c, dor_str *out)
{
  const dor_dataset *d = c->d;
  dor_str_fmt(out, "%s%s%s\n", d->name, d->synthetic ? "  SYNTHETIC: NOT PATIENTS" : "", d->license[0] ? "" : "  (no licence stated)");
  if (d->stamp && *d->stamp) dor_str_fmt(out, "%s: the stamp of the weights that found what is in it\n", d->stamp);
  dor_str_fmt(out, "%d subjects, %d trials, ", d->n_subjects, d->n_trials);
  dor_str_fmt(out, "%lld silhouettes, %lld images", (long long)count_frames(d), (long long)count_images(d));
  if (d->n_keypoints) dor_str_fmt(out, ", %lld frames of keypoints", (long long)count_keypoints(d));
  if (c->n_groups) dor_str_fmt(out, ", %d groups", c->n_groups);
  dor_str_add(out, "\n\ntarget           class                    n\n");
  for (int32_t i = 0; i < c->n_classes; i++) class_line(&c->classes[i], out);
  if (c->n_columns) dor_str_add(out, "\ntable            column                       n  missing\n");
  for (int32_t i = 0; i < c->n_columns; i++) column_line(&c->columns[i], out);
  dor_str_fmt(out, "\nidentical: %d pictures (%d of them of another person or group), ", c->same_pictures, c->same_pictures_apart);
  dor_str_fmt(out, "%d trials of other people, %d rows of tables\n", c->same_trials_apart, c->same_rows);
  for (int32_t i = 0; i < c->n_warnings; i++) dor_str_fmt(out, "warning: %s\n", c->warnings[i]);
  for (int32_t i = 0; i < c->n_problems; i++) dor_str_fmt(out, "unusable: %s\n", c->problems[i]);
  if (!c->n_problems) dor_str_add(out, "usable\n");
}

static json_t *texts(const char *const *v, int32_t n)
{
  json_t *list = json_array();
  for (int32_t i = 0; i < n; i++) json_array_append_new(list, json_string(v[i]));
  return list;
}

static json_t *classes_json(const dor_check *c)
{
  json_t *list = json_array();
  for (int32_t i = 0; i < c->n_classes; i++) {
    const dor_check_class *k = &c->classes[i];
    json_array_append_new(list, json_pack("{s:s,s:s,s:i}", "target", k->target, "class", k->name, "n", k->n));
  }
  return list;
}

static json_t *columns_json(const dor_check *c)
{
  static const char form[] = "{s:s,s:s,s:i,s:i,s:b}";
  json_t *list = json_array();
  for (int32_t i = 0; i < c->n_columns; i++) {
    const dor_check_column *k = &c->columns[i];
    json_array_append_new(list, json_pack(form, "table", k->table, "column", k->name, "n", k->n, "missing", k->missing, "constant", k->constant));
  }
  return list;
}

void dor_check_json(const dor_check *c, dor_str *out)
{
  const dor_dataset *d = c->d;
  json_t *root = json_pack("{s:s,s:s,s:b,s:b}", "name", d->name, "sha256", d->sha256, "synthetic", d->synthetic, "usable", !c->n_problems);
  if (d->stamp && *d->stamp) json_object_set_new(root, "stamp", json_string(d->stamp));
  const struct { const char *name; int64_t n; } counts[] = {
    {"subjects", d->n_subjects},
    {"trials", d->n_trials},
    {"silhouettes", count_frames(d)},
    {"images", count_images(d)},
    {"keypoint_frames", count_keypoints(d)},
    {"groups", c->n_groups},
    {"identical_pictures", c->same_pictures},
    {"identical_pictures_apart", c->same_pictures_apart},
    {"identical_trials_apart", c->same_trials_apart},
    {"identical_rows", c->same_rows},
  };
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) json_object_set_new(root, counts[i].name, json_integer(counts[i].n));
  json_object_set_new(root, "classes", classes_json(c));
  json_object_set_new(root, "columns", columns_json(c));
  json_object_set_new(root, "warnings", texts(c->warnings, c->n_warnings));
  json_object_set_new(root, "problems", texts(c->problems, c->n_problems));
  char *text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
  if (text) dor_str_fmt(out, "%s\n", text);
  else out->failed = true;
  free(text);
  json_decref(root);
}

static dor_status report(const dor_dataset *d, const char *path, bool json, dor_str *out)
{
  dor_check c;
  dor_status s = dor_check_dataset(d, &c);
  if (!s && json) dor_check_json(&c, out);
  if (!s && !json) dor_check_text(&c, out);
  if (!s) s = dor_str_status(out);
  if (!s && c.n_problems) s = DOR_FAIL(DATA, "%s: unusable: %s", path, c.problems[0]);
  dor_check_release(&c);
  return s;
}

dor_status dor_check_file(const char *path, bool json, dor_str *out)
{
  dor_dataset d;
  DOR_TRY(dor_dataset_read(&d, path));
  dor_status s = report(&d, path, json, out);
  dor_dataset_release(&d);
  DOR_TRY(s);
  return DOR_OK;
}
