/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of people as a dataset, by a config that says what the columns mean.
 * A table has a row per subject or per observation; what is said of a subject
 * twice must agree. Errors name the table's file, line and column. A cohort of
 * videos adds a table that says who is in which; what is found in them is others'. */
#include "data/import.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/csv.h"
#include "base/io.h"
#include "base/log.h"
#include "base/tree.h"

typedef struct import_csv {
#include "base/keys_fields.h"
#include "data/import_csv.def"
#include "base/keys_end.h"
} import_csv;
typedef struct import_people {
#include "base/keys_fields.h"
#include "data/import_people.def"
#include "base/keys_end.h"
} import_people;
typedef struct import_labels {
#include "base/keys_fields.h"
#include "data/import_labels.def"
#include "base/keys_end.h"
} import_labels;
typedef struct import_target {
#include "base/keys_fields.h"
#include "data/import_target.def"
#include "base/keys_end.h"
} import_target;
typedef struct import_columns {
#include "base/keys_fields.h"
#include "data/import_columns.def"
#include "base/keys_end.h"
} import_columns;
typedef struct import_videos {
#include "base/keys_fields.h"
#include "data/import_videos.def"
#include "base/keys_end.h"
} import_videos;

const dor_key dor_csv_top_keys[] = {
#define KEYS_OF import_csv
#include "base/keys_rows.h"
#include "data/import_csv.def"
#include "base/keys_end.h"
  {0}};
const dor_key dor_csv_people_keys[] = {
#define KEYS_OF import_people
#include "base/keys_rows.h"
#include "data/import_people.def"
#include "base/keys_end.h"
  {0}};
const dor_key dor_csv_labels_keys[] = {
#define KEYS_OF import_labels
#include "base/keys_rows.h"
#include "data/import_labels.def"
#include "base/keys_end.h"
  {0}};
const dor_key dor_csv_target_keys[] = {
#define KEYS_OF import_target
#include "base/keys_rows.h"
#include "data/import_target.def"
#include "base/keys_end.h"
  {0}};
const dor_key dor_csv_columns_keys[] = {
#define KEYS_OF import_columns
#include "base/keys_rows.h"
#include "data/import_columns.def"
#include "base/keys_end.h"
  {0}};

const dor_key dor_csv_videos_keys[] = {
#define KEYS_OF import_videos
#include "base/keys_rows.h"
#include "data/import_videos.def"
#include "base/keys_end.h"
  {0}};

enum { PEOPLE, LABELS, PROMS, FEATURES, VIDEOS, TABLES };
static const char *const groups[] = {"people", "labels", "proms", "features", "videos", NULL};

typedef struct table {
  const dor_tree *where;        /* the group of the config; NULL: not there */
  const char *subject_column;
  dor_csv csv;
  int32_t *subject;             /* [rows] */
} table;

typedef struct cohort {
  dor_dataset *d;
  const char *folder;           /* of the config */
  import_csv top;
  import_people people;
  import_labels labels;
  import_columns proms, features;
  import_videos videos;
  table t[TABLES];
  dor_hash source;
} cohort;

/* ---- the config ---- */

/* Keys of designed configs whose code does not exist yet: said by name, so that nobody looks for a typing error. */
static dor_status refuse_later(const dor_tree *group, const char *in)
{
  static const char *const later[] = {"dictionary", "event", "instruments", "items", "raters", "resolve", "adjudicator", "keypoints", "angles", "trials",
      "background", "every", "pose", "silhouette"};
  for (const dor_tree *m = group->first; m; m = m->next)
    for (size_t i = 0; i < sizeof later / sizeof *later; i++)
      DOR_NEED(!m->name || strcmp(m->name, later[i]), CONFIG,
          "%s: %s%s'%s' does not exist yet; import csv reads name, license, ids, people, labels (targets with name and classes), proms (columns as they "
          "stand), features, videos (table, folder, keep)",
               dor_tree_where(m, (char[256]){0}), in, *in ? "." : "", later[i]);
  return DOR_OK;
}

static dor_status load_group(cohort *c, const dor_tree *root, int which, const dor_key *keys, void *obj, const char *const skip[])
{
  const dor_tree *g = dor_tree_find(root, groups[which]);
  DOR_TRY(dor_schema_defaults(keys, obj, &c->d->arena));
  if (!g) return DOR_OK;
  DOR_NEED(g->type == DOR_TREE_GROUP, CONFIG, "%s: '%s' must be a group { ... }", dor_tree_where(g, (char[256]){0}), groups[which]);
  DOR_TRY(refuse_later(g, groups[which]));
  DOR_TRY(dor_schema_load(keys, obj, g, skip, &c->d->arena));
  c->t[which].where = g;
  return DOR_OK;
}

static dor_status load_config(cohort *c, const dor_tree *root)
{
  static const char *const skip_targets[] = {"targets", NULL};
  DOR_TRY(refuse_later(root, ""));
  DOR_TRY(dor_schema_defaults(dor_csv_top_keys, &c->top, &c->d->arena));
  DOR_TRY(dor_schema_load(dor_csv_top_keys, &c->top, root, groups, &c->d->arena));
  DOR_TRY(load_group(c, root, VIDEOS, dor_csv_videos_keys, &c->videos, NULL));
  DOR_TRY(load_group(c, root, PEOPLE, dor_csv_people_keys, &c->people, NULL));
  DOR_TRY(load_group(c, root, LABELS, dor_csv_labels_keys, &c->labels, skip_targets));
  DOR_TRY(load_group(c, root, PROMS, dor_csv_columns_keys, &c->proms, NULL));
  return load_group(c, root, FEATURES, dor_csv_columns_keys, &c->features, NULL);
}

/* ---- tables and subjects ---- */

static dor_status open_table(cohort *c, table *t, const char *name, const char *subject_column)
{
  if (!t->where) return DOR_OK;
  char where[256], hex[DOR_HASH_HEX];
  DOR_NEED(name[0], CONFIG, "%s: '%s' needs a table", dor_tree_where(t->where, where), t->where->name);
  const char *path = dor_path_join(&c->d->arena, c->folder, name);
  DOR_NEED(path, NOMEM, "path of %s", name);
  DOR_TRY(dor_csv_read(&c->d->arena, path, &t->csv));
  DOR_NEED(t->csv.n_rows > 0, DATA, "%s: no rows", path);
  DOR_TRY(dor_hash_file(path, hex));
  dor_hash_text(&c->source, t->where->name, hex);
  t->subject_column = subject_column;
  t->subject = dor_arena_alloc(&c->d->arena, (size_t)t->csv.n_rows * sizeof *t->subject);
  DOR_NEED(t->subject, NOMEM, "%s: %d rows", path, t->csv.n_rows);
  return DOR_OK;
}

/* Videos are of the people of the other tables, by the same column unless they name one. */
static const char *video_subject(const cohort *c)
{
  const char *const named[] = {c->videos.subject, c->labels.subject, c->people.subject, c->proms.subject, c->features.subject};
  for (size_t i = 0; i < sizeof named / sizeof *named; i++)
    if (named[i][0]) return named[i];
  return "subject";
}

/* A manifest without a config: REDCap calls the column record_id. */
static void settle_subject(table *t)
{
  if (t->where && dor_csv_find(&t->csv, "subject") < 0 && !strcmp(t->subject_column, "subject") && dor_csv_find(&t->csv, "record_id") >= 0)
    t->subject_column = "record_id";
}

static dor_status open_tables(cohort *c)
{
  DOR_TRY(open_table(c, &c->t[PEOPLE], c->people.table, c->people.subject));
  DOR_TRY(open_table(c, &c->t[LABELS], c->labels.table, c->labels.subject));
  DOR_TRY(open_table(c, &c->t[PROMS], c->proms.table, c->proms.subject));
  DOR_TRY(open_table(c, &c->t[FEATURES], c->features.table, c->features.subject));
  DOR_TRY(open_table(c, &c->t[VIDEOS], c->videos.table, video_subject(c)));
  settle_subject(&c->t[VIDEOS]);
  return DOR_OK;
}

/* Rows are people: every table has a row for each, in the same order. */
static dor_status number_by_row(cohort *c)
{
  const table *first = NULL;
  for (int i = 0; i < TABLES; i++) {
    table *t = &c->t[i];
    if (!t->where) continue;
    if (!first) first = t;
    DOR_NEED(t->csv.n_rows == first->csv.n_rows, DATA, "%s has %d rows and %s %d: without a column of ids (key 'subject') row must stand beside row",
        t->csv.path, t->csv.n_rows, first->csv.path, first->csv.n_rows);
    for (int32_t r = 0; r < t->csv.n_rows; r++) t->subject[r] = r;
  }
  const char **id = dor_arena_alloc(&c->d->arena, (size_t)first->csv.n_rows * sizeof *id);
  DOR_NEED(id, NOMEM, "%d ids", first->csv.n_rows);
  for (int32_t r = 0; r < first->csv.n_rows; r++) {
    id[r] = dor_arena_fmt(&c->d->arena, "%d", r + 1);
    DOR_NEED(id[r], NOMEM, "%d ids", first->csv.n_rows);
  }
  c->d->n_subjects = first->csv.n_rows;
  c->d->id = id;
  return DOR_OK;
}

static dor_status number_by_id(cohort *c)
{
  dor_intern ids;
  int32_t most = 0;
  for (int i = 0; i < TABLES; i++) most += c->t[i].where ? c->t[i].csv.n_rows : 0;
  DOR_TRY(dor_intern_init(&ids, &c->d->arena, most));
  for (int i = 0; i < TABLES; i++) {
    table *t = &c->t[i];
    int32_t col;
    if (!t->where) continue;
    DOR_TRY(dor_csv_need(&t->csv, t->subject_column, &col));
    for (int32_t r = 0; r < t->csv.n_rows; r++) {
      DOR_TRY(dor_import_name(&t->csv, r, col, false));
      t->subject[r] = dor_intern_put(&ids, dor_csv_at(&t->csv, r, col), NULL);
    }
  }
  c->d->n_subjects = ids.n;
  c->d->id = ids.name;
  return DOR_OK;
}

static dor_status number_subjects(cohort *c, bool *named)
{
  int tables = 0, with_ids = 0;
  for (int i = 0; i < TABLES; i++) tables += c->t[i].where != NULL, with_ids += c->t[i].where && c->t[i].subject_column[0];
  DOR_NEED(tables, CONFIG, "the config names no table: people, labels, proms, features or videos");
  DOR_NEED(!with_ids || with_ids == tables, CONFIG, "some tables have a key 'subject' and others have none: name the column of ids in all or in none");
  *named = with_ids > 0 && c->top.ids == 0;
  return with_ids ? number_by_id(c) : number_by_row(c);
}

/* [subjects] the row that speaks of each (-1: none). Rows about one subject must say the same in this column. */
static dor_status row_of_each(cohort *c, const table *t, int32_t col, int32_t **out)
{
  int32_t *row = dor_arena_alloc(&c->d->arena, (size_t)c->d->n_subjects * sizeof *row);
  DOR_NEED(row, NOMEM, "%d subjects", c->d->n_subjects);
  for (int32_t i = 0; i < c->d->n_subjects; i++) row[i] = -1;
  for (int32_t r = 0; r < t->csv.n_rows; r++) {
    int32_t *before = &row[t->subject[r]];
    if (*before < 0) *before = r;
    DOR_NEED(!strcmp(dor_csv_at(&t->csv, *before, col), dor_csv_at(&t->csv, r, col)), DATA, "%s:%d: %s is not what line %d says of the same subject",
        t->csv.path, t->csv.line[r], t->csv.header[col], t->csv.line[*before]);
  }
  *out = row;
  return DOR_OK;
}

static bool is_missing(const char *cell, const dor_texts *missing)
{
  if (!cell[0]) return true;
  for (int32_t i = 0; i < missing->n; i++)
    if (!strcmp(cell, missing->v[i])) return true;
  return false;
}

static dor_status cell_real(const dor_csv *t, int32_t row, int32_t col, const dor_texts *missing, float *out)
{
  double x = NAN;
  if (!is_missing(dor_csv_at(t, row, col), missing)) DOR_TRY(dor_csv_real(t, row, col, &x));
  *out = (float)x;
  DOR_NEED(isnan(x) || isfinite(*out), DATA, "%s:%d: %s: %g is too large", t->path, t->line[row], t->header[col], x);
  return DOR_OK;
}

/* ---- people ---- */

static dor_status take_age(cohort *c, const char *column)
{
  static const char *const na[] = {"NA"};
  const dor_texts missing = {1, na};
  const table *t = &c->t[PEOPLE];
  int32_t col, *row;
  DOR_TRY(dor_csv_need(&t->csv, column, &col));
  DOR_TRY(row_of_each(c, t, col, &row));
  float *age = dor_arena_alloc(&c->d->arena, (size_t)c->d->n_subjects * sizeof *age);
  DOR_NEED(age, NOMEM, "%d ages", c->d->n_subjects);
  for (int32_t i = 0; i < c->d->n_subjects; i++) {
    age[i] = NAN;
    if (row[i] >= 0) DOR_TRY(cell_real(&t->csv, row[i], col, &missing, &age[i]));
    DOR_NEED(isnan(age[i]) || (age[i] >= 0 && age[i] <= 130), DATA, "%s:%d: %s: %g years", t->csv.path, t->csv.line[row[i]], column, (double)age[i]);
  }
  c->d->age = age;
  return DOR_OK;
}

static dor_status take_text_column(cohort *c, const char *column, const char *const **out)
{
  const table *t = &c->t[PEOPLE];
  int32_t col, *row;
  DOR_TRY(dor_csv_need(&t->csv, column, &col));
  DOR_TRY(row_of_each(c, t, col, &row));
  const char **v = dor_arena_alloc(&c->d->arena, (size_t)c->d->n_subjects * sizeof *v);
  DOR_NEED(v, NOMEM, "%d texts", c->d->n_subjects);
  for (int32_t i = 0; i < c->d->n_subjects; i++) v[i] = row[i] < 0 || !strcmp(dor_csv_at(&t->csv, row[i], col), "NA") ? "" : dor_csv_at(&t->csv, row[i], col);
  *out = v;
  return DOR_OK;
}

static dor_status take_people(cohort *c)
{
  if (!c->t[PEOPLE].where) return DOR_OK;
  if (c->people.age[0]) DOR_TRY(take_age(c, c->people.age));
  if (c->people.sex[0]) DOR_TRY(take_text_column(c, c->people.sex, &c->d->sex));
  if (c->people.site[0]) DOR_TRY(take_text_column(c, c->people.site, &c->d->site));
  return DOR_OK;
}

/* ---- labels ---- */

static dor_status class_index(const dor_csv *t, int32_t row, int32_t col, const dor_texts *classes, float *out)
{
  const char *cell = dor_csv_at(t, row, col);
  *out = NAN;
  if (!cell[0] || !strcmp(cell, "NA")) return DOR_OK;
  for (int32_t k = 0; k < classes->n; k++)
    if (!strcmp(cell, classes->v[k])) *out = (float)k;
  if (!isnan(*out)) return DOR_OK;
  const char *near = dor_nearest(cell, classes->v, (size_t)classes->n);
  char shown[64];
  return DOR_FAIL(DATA, "%s:%d: %s: '%s' is none of its %d classes%s%s%s", t->path, t->line[row], t->header[col], dor_printable(cell, shown, sizeof shown),
      classes->n, near ? "; did you mean '" : "", near ? near : "", near ? "'" : "");
}

/* Names in a list of the config, each once; the message has the list's place. */
static dor_status no_name_twice(const dor_tree *group, const char *key, const dor_texts *t)
{
  char where[256], shown[64];
  const dor_tree *at = dor_tree_find(group, key);
  for (int32_t i = 0; i < t->n; i++)
    for (int32_t j = 0; j < i; j++)
      DOR_NEED(strcmp(t->v[i], t->v[j]), CONFIG, "%s: '%s' names '%s' twice", dor_tree_where(at ? at : group, where), key,
               dor_printable(t->v[i], shown, sizeof shown));
  return DOR_OK;
}

static dor_status fill_target(cohort *c, const import_target *cfg, dor_target *out)
{
  const table *t = &c->t[LABELS];
  int32_t col, *row;
  DOR_TRY(dor_csv_need(&t->csv, cfg->name, &col));
  DOR_TRY(row_of_each(c, t, col, &row));
  float *value = dor_arena_alloc(&c->d->arena, (size_t)c->d->n_subjects * sizeof *value);
  DOR_NEED(value, NOMEM, "%d labels", c->d->n_subjects);
  for (int32_t i = 0; i < c->d->n_subjects; i++) {
    value[i] = NAN;
    if (row[i] >= 0) DOR_TRY(class_index(&t->csv, row[i], col, &cfg->classes, &value[i]));
  }
  *out = (dor_target){cfg->name, DOR_TARGET_CLASS, DOR_PER_SUBJECT, c->d->n_subjects, cfg->classes.n, cfg->classes.v, value};
  return DOR_OK;
}

static dor_status take_target(cohort *c, const dor_tree *m, dor_target *out)
{
  import_target cfg;
  char where[256];
  DOR_NEED(m->type == DOR_TREE_GROUP, CONFIG, "%s: a target is a group { name; classes; }", dor_tree_where(m, where));
  DOR_TRY(refuse_later(m, "labels.targets"));
  DOR_TRY(dor_schema_defaults(dor_csv_target_keys, &cfg, &c->d->arena));
  DOR_TRY(dor_schema_load(dor_csv_target_keys, &cfg, m, NULL, &c->d->arena));
  DOR_NEED(cfg.name[0], CONFIG, "%s: a target needs a name, that of its column", dor_tree_where(m, where));
  DOR_NEED(cfg.classes.n >= 2, CONFIG, "%s: target '%s' needs at least two classes", dor_tree_where(m, where), cfg.name);
  DOR_TRY(no_name_twice(m, "classes", &cfg.classes));
  for (int32_t i = 0; i < c->d->n_targets - 1; i++)
    DOR_NEED(strcmp(c->d->target[i].name, cfg.name), CONFIG, "%s: target '%s' is there already", dor_tree_where(m, where), cfg.name);
  return fill_target(c, &cfg, out);
}

static dor_status take_labels(cohort *c)
{
  const dor_tree *g = c->t[LABELS].where;
  if (!g) return DOR_OK;
  const dor_tree *list = dor_tree_find(g, "targets");
  int32_t n = list && list->type == DOR_TREE_LIST ? dor_tree_count(list) : 0;
  DOR_NEED(n > 0, CONFIG, "%s: labels needs targets = ( { name; classes; } )", dor_tree_where(list ? list : g, (char[256]){0}));
  dor_target *t = dor_arena_alloc(&c->d->arena, (size_t)n * sizeof *t);
  DOR_NEED(t, NOMEM, "%d targets", n);
  c->d->target = t;
  for (const dor_tree *m = list->first; m; m = m->next) DOR_TRY(take_target(c, m, &t[c->d->n_targets++]));
  return DOR_OK;
}

/* ---- proms and features ---- */

static dor_status take_items(cohort *c, const table *t, const import_columns *cfg, dor_items *out, int32_t **cols)
{
  int32_t n = cfg->columns.n;
  DOR_NEED(n > 0, CONFIG, "%s: '%s' needs columns = [ ... ]", dor_tree_where(t->where, (char[256]){0}), t->where->name);
  DOR_TRY(no_name_twice(t->where, "columns", &cfg->columns));
  const char **unit = dor_arena_alloc(&c->d->arena, (size_t)n * sizeof *unit);
  *cols = dor_arena_alloc(&c->d->arena, (size_t)n * sizeof **cols);
  DOR_NEED(unit && *cols, NOMEM, "%d columns", n);
  for (int32_t k = 0; k < n; k++) {
    unit[k] = "";
    DOR_TRY(dor_csv_need(&t->csv, cfg->columns.v[k], &(*cols)[k]));
  }
  *out = (dor_items){n, cfg->columns.v, unit, NULL, NULL};
  return DOR_OK;
}

/* rows [n]: which rows of the csv, in this order */
static dor_status take_values(cohort *c, const table *t, const import_columns *cfg, const int32_t *rows, int32_t n, dor_table *out)
{
  int32_t *cols = NULL, *subject = dor_arena_alloc(&c->d->arena, (size_t)n * sizeof *subject);
  DOR_TRY(take_items(c, t, cfg, &out->items, &cols));
  int32_t p = out->items.n;
  float *values = dor_arena_alloc(&c->d->arena, (size_t)n * (size_t)p * sizeof *values);
  DOR_NEED(subject && values, NOMEM, "%d rows of %d columns", n, p);
  for (int32_t i = 0; i < n; i++) {
    subject[i] = t->subject[rows[i]];
    for (int32_t k = 0; k < p; k++) DOR_TRY(cell_real(&t->csv, rows[i], cols[k], &cfg->missing, &values[i * (int64_t)p + k]));
  }
  out->n = n, out->subject = subject, out->values = values;
  return DOR_OK;
}

/* One row per subject; rows about the same one must agree in every column taken. */
static dor_status take_proms(cohort *c)
{
  const table *t = &c->t[PROMS];
  if (!t->where) return DOR_OK;
  int32_t n = 0, *row = NULL;
  for (int32_t k = 0; k < c->proms.columns.n; k++) {
    int32_t col;
    DOR_TRY(dor_csv_need(&t->csv, c->proms.columns.v[k], &col));
    DOR_TRY(row_of_each(c, t, col, &row));
  }
  for (int32_t i = 0; row && i < c->d->n_subjects; i++)
    if (row[i] >= 0) row[n++] = row[i];
  c->d->proms.name = "proms";
  return take_values(c, t, &c->proms, row, n, &c->d->proms);
}

static dor_status take_features(cohort *c)
{
  const table *t = &c->t[FEATURES];
  if (!t->where) return DOR_OK;
  int32_t n = t->csv.n_rows, *rows = dor_arena_alloc(&c->d->arena, (size_t)n * sizeof *rows);
  dor_table *out = dor_arena_alloc(&c->d->arena, sizeof *out);
  DOR_NEED(rows && out, NOMEM, "%d rows", n);
  for (int32_t r = 0; r < n; r++) rows[r] = r;
  out->name = "features";
  c->d->n_tables = 1;
  c->d->tables = out;
  return take_values(c, t, &c->features, rows, n, out);
}

/* "cohort" of "some/cohort.cfg" */
static const char *stem(dor_arena *a, const char *path)
{
  const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *dot = strrchr(base, '.');
  return dot && dot > base ? dor_arena_fmt(a, "%.*s", (int)(dot - base), base) : dor_arena_str(a, base);
}

static dor_status take_tables(cohort *c, const dor_tree *root, const char *src, bool *named)
{
  dor_dataset *d = c->d;
  DOR_NEED(c->folder, NOMEM, "path of %s", src);
  dor_hash_init(&c->source);
  DOR_TRY(load_config(c, root));
  DOR_TRY(open_tables(c));
  DOR_TRY(number_subjects(c, named));
  DOR_TRY(take_people(c));
  DOR_TRY(take_labels(c));
  DOR_TRY(take_proms(c));
  DOR_TRY(take_features(c));
  dor_hash_final(&c->source, d->source_sha256);
  d->name = c->top.name[0] ? c->top.name : stem(&d->arena, src);
  d->license = c->top.license;
  d->synthetic = c->top.synthetic;
  DOR_NEED(d->name, NOMEM, "name of %s", src);
  return DOR_OK;
}

dor_status dor_import_csv(dor_dataset *d, const char *src, const dor_import_cfg *cfg, bool *named)
{
  cohort c = {.d = d, .folder = dor_path_dir(&d->arena, src)};
  dor_tree *root;
  (void)cfg;
  DOR_TRY(dor_tree_read(&d->arena, src, &root));
  DOR_TRY(take_tables(&c, root, src, named));
  d->created_by = "dorsum import csv";
  if (c.t[VIDEOS].where) dor_note("of the videos only who is in them is taken; their keypoints: dorsum pose WEIGHTS COHORT.cfg -o FILE.h5");
  return DOR_OK;
}

/* ---- who is in which video ---- */

static dor_status take_recording(const cohort *c, int32_t row, const int32_t col[3], dor_recording *out)
{
  const dor_csv *t = &c->t[VIDEOS].csv;
  dor_arena *a = &c->d->arena;
  const char *file = dor_csv_at(t, row, col[0]), *slash = strrchr(file, '/');
  DOR_NEED(file[0], DATA, "%s:%d: file is empty", t->path, t->line[row]);
  DOR_NEED(file[0] != '/' && !strstr(file, ".."), DATA, "%s:%d: file: a path below the folder of the videos is wanted, without '..'", t->path, t->line[row]);
  const char *below = c->videos.folder[0] ? dor_path_join(a, c->videos.folder, file) : file;
  *out = (dor_recording){.path = below ? dor_path_join(a, c->folder, below) : NULL, .file = slash ? slash + 1 : file, .subject = c->t[VIDEOS].subject[row],
                         .movement = col[1] < 0 ? "" : dor_csv_at(t, row, col[1]), .side = col[2] < 0 ? "" : dor_csv_at(t, row, col[2])};
  DOR_NEED(out->path, NOMEM, "%s: %d rows", t->path, t->n_rows);
  return DOR_OK;
}

static dor_status no_video_twice(const cohort *c, const dor_recordings *r)
{
  dor_intern files;
  const dor_csv *t = &c->t[VIDEOS].csv;
  DOR_TRY(dor_intern_init(&files, &c->d->arena, r->n));
  for (int32_t i = 0; i < r->n; i++) {
    int32_t fresh;
    dor_intern_put(&files, r->at[i].path, &fresh);
    DOR_NEED(fresh, DATA, "%s:%d: file: this video has a row already", t->path, t->line[i]);
  }
  return DOR_OK;
}

static dor_status take_keep(const cohort *c, dor_recordings *out)
{
  for (int32_t i = 0; i < c->videos.keep.n; i++) {
    const char *what = c->videos.keep.v[i];
    out->keypoints = out->keypoints || !strcmp(what, "keypoints"), out->angles = out->angles || !strcmp(what, "angles");
    DOR_NEED(!strcmp(what, "keypoints") || !strcmp(what, "angles"), CONFIG, "%s: keep: '%s' cannot be kept of a video; keypoints and angles can",
             dor_tree_where(c->t[VIDEOS].where, (char[256]){0}), what);
  }
  DOR_NEED(out->keypoints || out->angles, CONFIG, "%s: keep: nothing of the videos is kept", dor_tree_where(c->t[VIDEOS].where, (char[256]){0}));
  return DOR_OK;
}

static dor_status take_videos(const cohort *c, const char *src, dor_recordings *out)
{
  static const char *const columns[] = {"file", "movement", "side"};
  const dor_csv *t = &c->t[VIDEOS].csv;
  int32_t col[3];
  DOR_NEED(c->t[VIDEOS].where, CONFIG, "%s: no videos = { table = \"manifest.csv\"; folder = \"videos\"; }: who is in which video is not said", src);
  DOR_TRY(dor_csv_need(t, "file", &col[0]));
  DOR_TRY(dor_csv_no_near_miss(t, columns, 3));
  for (int32_t i = 1; i < 3; i++) col[i] = dor_csv_find(t, columns[i]);
  dor_recording *at = dor_arena_alloc(&c->d->arena, (size_t)t->n_rows * sizeof *at);
  DOR_NEED(at, NOMEM, "%s: %d rows", t->path, t->n_rows);
  for (int32_t r = 0; r < t->n_rows; r++) DOR_TRY(take_recording(c, r, col, &at[r]));
  *out = (dor_recordings){.n = t->n_rows, .at = at};
  DOR_TRY(no_video_twice(c, out));
  return take_keep(c, out);
}

/* A manifest alone is a cohort of which nothing else is known; its videos lie beside it, or in videos/ there. */
static dor_status manifest_as_config(dor_arena *a, const char *src, const char *folder, dor_tree **root)
{
  const char *slash = strrchr(src, '/'), *videos = dor_path_join(a, folder, "videos");
  dor_str text = {0};
  DOR_NEED(videos, NOMEM, "path of %s", src);
  dor_str_add(&text, "videos = { table = "), dor_str_json(&text, slash ? slash + 1 : src);
  dor_str_fmt(&text, "; folder = \"%s\"; };", dor_io_is_dir(videos) ? "videos" : "");
  dor_status s = dor_str_status(&text);
  if (!s) s = dor_tree_parse(a, src, text.s, root);
  dor_str_release(&text);
  return s;
}

dor_status dor_import_recordings(dor_dataset *d, const char *src, dor_recordings *out, bool *named)
{
  cohort c = {.d = d, .folder = dor_path_dir(&d->arena, src)};
  dor_tree *root;
  const char *dot = strrchr(src, '.');
  DOR_NEED(c.folder, NOMEM, "path of %s", src);
  DOR_TRY(dot && !strcmp(dot, ".csv") ? manifest_as_config(&d->arena, src, c.folder, &root) : dor_tree_read(&d->arena, src, &root));
  DOR_TRY(take_tables(&c, root, src, named));
  return take_videos(&c, src, out);
}
