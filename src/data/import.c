/* SPDX-License-Identifier: Apache-2.0 */
#include "data/import.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/log.h"

enum { MOST_NAME = 1024 }; /* bytes; the file's own limit of a text */

const dor_key dor_import_keys[] = {
#define KEYS_OF dor_import_cfg
#include "base/keys_rows.h"
#include "data/import.def"
#include "base/keys_end.h"
  {0}};

const dor_importer dor_importers[] = {
#define IMPORTER(format, keys, help) {#format, keys, help, dor_import_##format},
#include "data/importers.def"
#undef IMPORTER
  {0}};

static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

dor_status dor_import_name(const dor_csv *t, int32_t row, int32_t col, bool may_be_empty)
{
  const char *cell = dor_csv_at(t, row, col);
  char shown[64];
  size_t n = strlen(cell);
  dor_printable(t->header[col], shown, sizeof shown);
  DOR_NEED(n || may_be_empty, DATA, "%s:%d: %s is empty", t->path, t->line[row], shown);
  DOR_NEED(!n || (!is_blank(cell[0]) && !is_blank(cell[n - 1])), DATA, "%s:%d: %s begins or ends with a blank; take it out, or one name would be two",
           t->path, t->line[row], shown);
  DOR_NEED(n <= MOST_NAME, DATA, "%s:%d: %s is longer than %d bytes", t->path, t->line[row], shown, MOST_NAME);
  return DOR_OK;
}

static double missing_share(const float *v, int64_t n)
{
  int64_t missing = 0;
  for (int64_t i = 0; i < n; i++) missing += isnan(v[i]);
  return n ? 100.0 * (double)missing / (double)n : 0;
}

static void sum_table(dor_str *out, const char *name, const dor_table *t)
{
  dor_str_fmt(out, "%s: %d rows of %d columns, %.1f %% missing\n", name, t->n, t->items.n, missing_share(t->values, (int64_t)t->n * t->items.n));
}

static const char *const per_word[] = {"people", "trials", "images"};

static int32_t count_label(const dor_target *t, float label)
{
  int32_t n = 0;
  for (int32_t i = 0; i < t->n; i++) n += t->value[i] == label;
  return n;
}

static int32_t count_unlabelled(const dor_target *t)
{
  int32_t n = 0;
  for (int32_t i = 0; i < t->n; i++) n += isnan(t->value[i]);
  return n;
}

static void sum_target(dor_str *out, const dor_target *t)
{
  dor_str_fmt(out, "target %s of %s:", t->name, per_word[t->per]);
  for (int32_t k = 0; k < t->n_names; k++) dor_str_fmt(out, " %s %d,", t->names[k], count_label(t, (float)k));
  dor_str_fmt(out, " without a label %d\n", count_unlabelled(t));
}

static int32_t count_groups(const dor_dataset *d)
{
  int32_t n = 0;
  for (int32_t i = 0; i < d->n_subjects; i++) {
    bool seen = false;
    for (int32_t j = 0; j < i && !seen; j++) seen = d->group[i] == d->group[j];
    n += !seen;
  }
  return n;
}

void dor_import_summary(const dor_dataset *d, dor_str *out)
{
  int64_t frames = 0;
  for (int32_t i = 0; i < d->n_silhouettes; i++) frames += d->silhouettes[i].n;
  dor_str_fmt(out, "%d subjects, %d trials, %lld frames", d->n_subjects, d->n_trials, (long long)frames);
  for (int32_t i = 0; i < d->n_images; i++) dor_str_fmt(out, ", %d images", d->images[i].n);
  if (d->group) dor_str_fmt(out, ", %d groups", count_groups(d));
  dor_str_add(out, "\n");
  for (int32_t i = 0; i < d->n_silhouettes; i++) dor_str_fmt(out, "silhouettes %s: %d x %d\n", d->silhouettes[i].name, d->silhouettes[i].h,
      d->silhouettes[i].w);
  for (int32_t i = 0; i < d->n_images; i++) dor_str_fmt(out, "images %s: %d x %d x %d\n", d->images[i].name, d->images[i].h, d->images[i].w, d->images[i].c);
  for (int32_t i = 0; i < d->n_keypoints; i++) {
    const dor_series *s = &d->keypoints[i];
    dor_str_fmt(out, "keypoints %s: %d frames of %d joints, %.1f %% missing\n", s->name, s->n, s->k, missing_share(s->data, (int64_t)s->n * s->k * s->a));
  }
  if (d->age) dor_str_fmt(out, "age: %.1f %% missing\n", missing_share(d->age, d->n_subjects));
  if (d->proms.items.n) sum_table(out, "proms", &d->proms);
  for (int32_t i = 0; i < d->n_tables; i++) sum_table(out, d->tables[i].name, &d->tables[i]);
  for (int32_t i = 0; i < d->n_targets; i++) sum_target(out, &d->target[i]);
}

static json_t *targets_json(const dor_dataset *d)
{
  json_t *list = json_array();
  for (int32_t i = 0; i < d->n_targets; i++) {
    const dor_target *t = &d->target[i];
    json_t *classes = json_object();
    for (int32_t k = 0; k < t->n_names; k++) json_object_set_new(classes, t->names[k], json_integer(count_label(t, (float)k)));
    json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:i}", "target", t->name, "per", per_word[t->per], "classes", classes, "unlabelled",
                                          count_unlabelled(t)));
  }
  return list;
}

void dor_import_json(const dor_dataset *d, const char *file, bool written, dor_str *out)
{
  int64_t silhouettes = 0, images = 0;
  char shown[4200];
  json_t *name = json_string(file);
  for (int32_t i = 0; i < d->n_silhouettes; i++) silhouettes += d->silhouettes[i].n;
  for (int32_t i = 0; i < d->n_images; i++) images += d->images[i].n;
  json_t *root = json_pack("{s:o, s:b, s:b, s:i, s:i, s:I, s:I, s:i, s:o}", "file", name ? name : json_string(dor_printable(file, shown, sizeof shown)),
                           "written", written, "synthetic", d->synthetic, "subjects", d->n_subjects, "trials", d->n_trials, "silhouettes",
                           (json_int_t)silhouettes, "images", (json_int_t)images, "groups", d->group ? count_groups(d) : 0, "targets", targets_json(d));
  if (root) json_object_set_new(root, "sha256", written ? json_string(d->sha256) : json_null());
  char *text = root ? json_dumps(root, JSON_INDENT(1) | JSON_PRESERVE_ORDER) : NULL;
  if (text) dor_str_fmt(out, "%s\n", text);
  else out->failed = true;
  free(text);
  json_decref(root);
}

static dor_status note_summary(const dor_dataset *d)
{
  dor_str s = {0};
  dor_import_summary(d, &s);
  dor_status st = dor_str_status(&s);
  for (char *line = s.s, *end; !st && line && (end = strchr(line, '\n')); line = end + 1) {
    *end = 0;
    dor_note("%s", line);
  }
  dor_str_release(&s);
  return st;
}

static dor_status fill(const dor_importer *im, dor_dataset *d, const char *src, const char *out, const dor_import_cfg *c, bool dry_run, dor_str *json)
{
  bool named = false;
  DOR_TRY(im->fill(d, src, c, &named));
  DOR_TRY(dor_dataset_validate(d));
  if (named) DOR_TRY(dor_pseudonymise(d, src, dry_run));
  DOR_TRY(note_summary(d));
  if (!dry_run) DOR_TRY(dor_dataset_write(d, out));
  if (json) dor_import_json(d, out, !dry_run, json);
  return json ? dor_str_status(json) : DOR_OK;
}

static dor_status no_such_format(const char *format)
{
  const char *known[32];
  size_t n = 0;
  dor_str all = {0};
  for (const dor_importer *im = dor_importers; im->format; im++) {
    dor_str_fmt(&all, "%s%s", n ? ", " : "", im->format);
    known[n++] = im->format;
  }
  const char *near = dor_nearest(format, known, n);
  dor_status s = near ? DOR_FAIL(USAGE, "import '%s' does not exist; did you mean '%s'?", format, near)
                      : DOR_FAIL(USAGE, "import '%s' does not exist; there are: %s", format, all.s ? all.s : "none");
  dor_str_release(&all);
  return s;
}

static dor_status find_importer(const char *format, const dor_importer **out)
{
  const dor_importer *im = dor_importers;
  while (im->format && strcmp(im->format, format)) im++;
  *out = im;
  return im->format ? DOR_OK : no_such_format(format);
}

static bool among(const char *words, const char *word, size_t n)
{
  for (const char *w = words; *w; w += strcspn(w, " "), w += *w == ' ')
    if (strcspn(w, " ") == n && !strncmp(w, word, n)) return true;
  return false;
}

dor_status dor_import_takes(const char *format, const char *const assign[], int32_t n_assign)
{
  const dor_importer *im;
  DOR_TRY(find_importer(format, &im));
  for (int32_t i = 0; i < n_assign; i++) {
    size_t n = strcspn(assign[i], "=");
    DOR_NEED(among(im->keys, assign[i], n), USAGE, "import %s does not use '%.*s'; it uses: %s", format, (int)n, assign[i], im->keys);
  }
  return DOR_OK;
}

dor_status dor_import(const char *format, const char *src, const char *out, const dor_import_cfg *c, bool dry_run, dor_str *json)
{
  const dor_importer *im;
  DOR_TRY(find_importer(format, &im));
  dor_dataset d = {0};
  dor_status s = fill(im, &d, src, out, c, dry_run, json);
  dor_dataset_release(&d);
  DOR_TRY(s);
  return DOR_OK;
}
