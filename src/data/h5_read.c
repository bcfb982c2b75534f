/* SPDX-License-Identifier: Apache-2.0
 *
 * A dataset from HDF5 bytes. The file is read whole by our own call, hashed,
 * walked by the guard, and only then taken apart; libhdf5 sees memory, never a
 * path. Every size is compared before something is allocated for it, and the
 * finished dataset is validated, so that nobody after this need distrust it. */
#include "data/h5.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "data/dataset.h"

typedef struct reader {
  dor_dataset *d;
  const char *name;             /* of the file */
} reader;

/* "file: /path/in/file" of an object or of `member` in it. */
static const char *place(const reader *r, hid_t at, const char *member, char out[512])
{
  char path[256] = "?";
  H5Iget_name(at, path, sizeof path);
  snprintf(out, 512, "%s: %s%s%s", r->name, path, member && strcmp(path, "/") ? "/" : "", member ? member : "");
  return out;
}

#define FAIL_AT(r, at, member, ...) fail_at(r, at, member, (char[256]){0}, __VA_ARGS__)

static dor_status fail_at(const reader *r, hid_t at, const char *member, char text[256], const char *fmt, ...) DOR_PRINTF(5, 6);
static dor_status fail_at(const reader *r, hid_t at, const char *member, char text[256], const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, 256, fmt, ap);
  va_end(ap);
  return DOR_FAIL(DATA, "%s: %s", place(r, at, member, (char[512]){0}), text);
}

static bool has(hid_t group, const char *name) { return H5Lexists(group, name, H5P_DEFAULT) > 0; }

/* ---- attributes ---- */

static dor_status take_text(reader *r, hid_t at, const char *name, const char **out)
{
  *out = "";
  if (H5Aexists(at, name) <= 0) return DOR_OK;
  hid_t attr = H5Aopen(at, name, H5P_DEFAULT), type = H5Aget_type(attr);
  size_t n = (size_t)H5Aget_storage_size(attr);
  bool is_text = H5Tget_class(type) == H5T_STRING && n == H5Tget_size(type);
  char *s = is_text ? dor_arena_alloc(&r->d->arena, n + 1) : NULL;
  herr_t e = s ? H5Aread(attr, type, s) : -1;
  H5Tclose(type);
  H5Aclose(attr);
  DOR_NEED(s || !is_text, NOMEM, "%s: attribute '%s'", r->name, name);
  if (e < 0) return FAIL_AT(r, at, NULL, "attribute '%s' is no readable text", name);
  *out = s;
  return DOR_OK;
}

static dor_status take_number(reader *r, hid_t at, const char *name, int32_t *out)
{
  *out = -1;
  if (H5Aexists(at, name) <= 0) return DOR_OK;
  hid_t attr = H5Aopen(at, name, H5P_DEFAULT), type = H5Aget_type(attr), space = H5Aget_space(attr);
  bool one = H5Tget_class(type) == H5T_INTEGER && H5Sget_simple_extent_npoints(space) == 1;
  herr_t e = one ? H5Aread(attr, H5T_NATIVE_INT32, out) : -1;
  H5Sclose(space);
  H5Tclose(type);
  H5Aclose(attr);
  if (e < 0) return FAIL_AT(r, at, NULL, "attribute '%s' is no whole number", name);
  return DOR_OK;
}

/* ---- datasets ---- */

typedef struct wanted {
  const char *name;
  H5T_class_t class;            /* texts are read by take_texts */
  hid_t memory;                 /* type in memory; u8 must be u8 in the file */
  int rank;
  int32_t n;                    /* rows that it must have; -1: any */
} wanted;

static dor_status check_shape(reader *r, hid_t set, const wanted *w, hsize_t dims[DOR_H5_RANK])
{
  hid_t space = H5Dget_space(set), type = H5Dget_type(set);
  int rank = H5Sget_simple_extent_ndims(space);
  if (rank >= 0 && rank <= DOR_H5_RANK) H5Sget_simple_extent_dims(space, dims, NULL);
  bool typed = H5Tget_class(type) == w->class || (w->class == H5T_FLOAT && H5Tget_class(type) == H5T_INTEGER);
  if (H5Tequal(w->memory, H5T_NATIVE_UINT8) > 0) typed = H5Tequal(type, H5T_STD_U8LE) > 0;
  H5Sclose(space);
  H5Tclose(type);
  if (!typed) return FAIL_AT(r, set, NULL, "of another type than this column has");
  if (rank != w->rank) return FAIL_AT(r, set, NULL, "%d dimensions, %d are needed", rank, w->rank);
  if (w->n >= 0 && dims[0] != (hsize_t)w->n) return FAIL_AT(r, set, NULL, "%lld rows, %d are needed", (long long)dims[0], w->n);
  return DOR_OK;
}

static dor_status read_set(reader *r, hid_t set, const wanted *w, hsize_t dims[DOR_H5_RANK], void **out)
{
  DOR_TRY(check_shape(r, set, w, dims));
  size_t bytes = H5Tget_size(w->memory);
  for (int i = 0; i < w->rank; i++) bytes *= (size_t)dims[i]; /* the guard has checked the product */
  *out = dor_arena_alloc(&r->d->arena, bytes);
  DOR_NEED(*out, NOMEM, "%s: %zu bytes", place(r, set, NULL, (char[512]){0}), bytes);
  if (H5Dread(set, w->memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, *out) < 0)
    return FAIL_AT(r, set, NULL, "cannot be read; the file is damaged: hdf5: %s", dor_h5_text());
  return DOR_OK;
}

static dor_status take(reader *r, hid_t group, const wanted *w, hsize_t dims[DOR_H5_RANK], void **out)
{
  if (!has(group, w->name)) return FAIL_AT(r, group, w->name, "is not there");
  hid_t set = H5Dopen2(group, w->name, H5P_DEFAULT);
  if (set < 0) return FAIL_AT(r, group, w->name, "is no dataset");
  dor_status s = read_set(r, set, w, dims, out);
  H5Dclose(set);
  DOR_TRY(s);
  return DOR_OK;
}

/* Columns that may be missing leave *out as it is. */
static dor_status take_f32(reader *r, hid_t g, const char *name, int32_t n, const float **out)
{
  hsize_t dims[DOR_H5_RANK];
  void *p = NULL;
  if (!has(g, name)) return DOR_OK;
  DOR_TRY(take(r, g, &(wanted){name, H5T_FLOAT, H5T_NATIVE_FLOAT, 1, n}, dims, &p));
  *out = p;
  return DOR_OK;
}

static dor_status take_i32(reader *r, hid_t g, const char *name, int32_t n, const int32_t **out)
{
  hsize_t dims[DOR_H5_RANK];
  void *p = NULL;
  if (!has(g, name)) return DOR_OK;
  DOR_TRY(take(r, g, &(wanted){name, H5T_INTEGER, H5T_NATIVE_INT32, 1, n}, dims, &p));
  *out = p;
  return DOR_OK;
}

static dor_status split_texts(reader *r, const char *flat, size_t width, int32_t n, const char *const **out)
{
  const char **v = dor_arena_alloc(&r->d->arena, (size_t)n * sizeof *v);
  char *room = dor_arena_alloc(&r->d->arena, (size_t)n * (width + 1));
  DOR_NEED(v && room, NOMEM, "%d texts", n);
  for (int32_t i = 0; i < n; i++) {
    memcpy(room, flat + (size_t)i * width, width);
    v[i] = room;
    room += width + 1;
  }
  *out = v;
  return DOR_OK;
}

static dor_status read_texts(reader *r, hid_t set, hid_t type, int32_t want, const char *const **out, int32_t *n)
{
  hsize_t dims[DOR_H5_RANK];
  void *flat = NULL;
  DOR_TRY(read_set(r, set, &(wanted){"", H5T_STRING, type, 1, want}, dims, &flat));
  *n = (int32_t)dims[0];
  return split_texts(r, flat, H5Tget_size(type), *n, out);
}

static dor_status take_texts(reader *r, hid_t g, const char *name, int32_t want, const char *const **out, int32_t *n)
{
  if (!has(g, name)) return DOR_OK;
  hid_t set = H5Dopen2(g, name, H5P_DEFAULT);
  if (set < 0) return FAIL_AT(r, g, name, "is no dataset");
  hid_t type = H5Dget_type(set);
  dor_status s = read_texts(r, set, type, want, out, n);
  H5Tclose(type);
  H5Dclose(set);
  DOR_TRY(s);
  return DOR_OK;
}

static dor_status take_units(reader *r, hid_t g, const char *name, const char **out)
{
  hid_t set = H5Dopen2(g, name, H5P_DEFAULT);
  if (set < 0) return FAIL_AT(r, g, name, "is no dataset");
  dor_status s = take_text(r, set, "units", out);
  H5Dclose(set);
  DOR_TRY(s);
  return DOR_OK;
}

/* ---- groups ---- */

typedef dor_status filler(reader *r, hid_t group, const char *name, void *out);

static dor_status in_group(reader *r, hid_t at, const char *name, filler *fill, void *out)
{
  hid_t g = H5Gopen2(at, name, H5P_DEFAULT);
  if (g < 0) return FAIL_AT(r, at, name, "is no group");
  dor_status s = fill(r, g, name, out);
  H5Gclose(g);
  DOR_TRY(s);
  return DOR_OK;
}

static dor_status read_subjects(reader *r, hid_t g, const char *name, void *out)
{
  (void)name;
  dor_dataset *d = out;
  int32_t n = 0;
  DOR_TRY(take_texts(r, g, "id", -1, &d->id, &d->n_subjects));
  if (!d->id) return FAIL_AT(r, g, "id", "is not there");
  DOR_TRY(take_f32(r, g, "age", d->n_subjects, &d->age));
  DOR_TRY(take_texts(r, g, "sex", d->n_subjects, &d->sex, &n));
  DOR_TRY(take_texts(r, g, "site", d->n_subjects, &d->site, &n));
  return take_i32(r, g, "group", d->n_subjects, &d->group);
}

static dor_status read_trials(reader *r, hid_t g, const char *name, void *out)
{
  (void)name;
  dor_dataset *d = out;
  hsize_t dims[DOR_H5_RANK];
  void *p = NULL;
  int32_t n = 0;
  DOR_TRY(take(r, g, &(wanted){"subject", H5T_INTEGER, H5T_NATIVE_INT32, 1, -1}, dims, &p));
  d->trial_subject = p;
  d->n_trials = (int32_t)dims[0];
  DOR_TRY(take_texts(r, g, "movement", d->n_trials, &d->movement, &n));
  DOR_TRY(take_texts(r, g, "side", d->n_trials, &d->side, &n));
  DOR_TRY(take_f32(r, g, "fps", d->n_trials, &d->fps));
  DOR_TRY(take_f32(r, g, "width", d->n_trials, &d->width));
  return take_f32(r, g, "height", d->n_trials, &d->height);
}

static dor_status choose(reader *r, hid_t g, const char *attribute, const char *const *choices, int n, int *out)
{
  const char *text;
  DOR_TRY(take_text(r, g, attribute, &text));
  for (*out = 0; *out < n; ++*out)
    if (!strcmp(text, choices[*out])) return DOR_OK;
  return FAIL_AT(r, g, NULL, "attribute '%s' is none of its %d values", attribute, n);
}

static dor_status read_target(reader *r, hid_t g, const char *name, void *out)
{
  static const char *const kinds[] = {"class", "ordered", "value"}, *const pers[] = {"subject", "trial", "image"};
  dor_target *t = out;
  int kind, per;
  hsize_t dims[DOR_H5_RANK];
  void *p = NULL;
  t->name = dor_arena_str(&r->d->arena, name);
  DOR_TRY(choose(r, g, "kind", kinds, 3, &kind));
  DOR_TRY(choose(r, g, "per", pers, 3, &per));
  t->kind = (dor_target_kind)kind;
  t->per = (dor_per)per;
  DOR_TRY(take(r, g, &(wanted){"value", H5T_FLOAT, H5T_NATIVE_FLOAT, 1, -1}, dims, &p));
  t->value = p;
  t->n = (int32_t)dims[0];
  return take_texts(r, g, "names", -1, &t->names, &t->n_names);
}

static dor_status read_items(reader *r, hid_t g, const char *name, void *out)
{
  (void)name;
  dor_items *t = out;
  int32_t n = 0;
  DOR_TRY(take_texts(r, g, "name", t->n, &t->name, &n));
  if (!t->name) return FAIL_AT(r, g, "name", "is not there");
  DOR_TRY(take_texts(r, g, "unit", t->n, &t->unit, &n));
  DOR_TRY(take_f32(r, g, "min", t->n, &t->min));
  return take_f32(r, g, "max", t->n, &t->max);
}

static dor_status read_table(reader *r, hid_t g, const char *name, void *out)
{
  dor_table *t = out;
  hsize_t dims[DOR_H5_RANK];
  void *p = NULL;
  t->name = dor_arena_str(&r->d->arena, name);
  DOR_TRY(take(r, g, &(wanted){"values", H5T_FLOAT, H5T_NATIVE_FLOAT, 2, -1}, dims, &p));
  t->values = p;
  t->n = (int32_t)dims[0];
  t->items.n = (int32_t)dims[1];
  DOR_TRY(take_i32(r, g, "subject", t->n, &t->subject));
  return in_group(r, g, "items", read_items, &t->items);
}

static dor_status read_frames(reader *r, hid_t g, const char *name, void *out)
{
  dor_frames *f = out;
  hsize_t dims[DOR_H5_RANK] = {0};
  void *p = NULL;
  bool image = has(g, "subject");
  int32_t n = 0;
  f->name = dor_arena_str(&r->d->arena, name);
  DOR_TRY(take(r, g, &(wanted){"data", H5T_INTEGER, H5T_NATIVE_UINT8, image ? 4 : 3, -1}, dims, &p));
  f->data = p;
  f->n = (int32_t)dims[0], f->h = (int32_t)dims[1], f->w = (int32_t)dims[2];
  f->c = image ? (int32_t)dims[3] : 1;
  DOR_TRY(take_i32(r, g, "subject", f->n, &f->subject));
  DOR_TRY(take_texts(r, g, "view", f->n, &f->view, &n));
  DOR_TRY(take_i32(r, g, "first", r->d->n_trials, &f->first));
  DOR_TRY(take_i32(r, g, "count", r->d->n_trials, &f->count));
  return take_f32(r, g, "phase", f->n, &f->phase);
}

static dor_status take_times(reader *r, hid_t g, dor_series *s)
{
  hsize_t dims[DOR_H5_RANK];
  void *p = NULL;
  if (!has(g, "time")) return DOR_OK;
  DOR_TRY(take(r, g, &(wanted){"time", H5T_FLOAT, H5T_NATIVE_DOUBLE, 1, s->n}, dims, &p));
  s->time_s = p;
  return DOR_OK;
}

static dor_status take_states(reader *r, hid_t g, dor_series *s)
{
  hsize_t dims[DOR_H5_RANK] = {0};
  void *p = NULL;
  if (!has(g, "state")) return DOR_OK;
  DOR_TRY(take(r, g, &(wanted){"state", H5T_INTEGER, H5T_NATIVE_UINT8, 2, s->n}, dims, &p));
  if (dims[1] != (hsize_t)s->k) return FAIL_AT(r, g, "state", "%lld joints, %d are needed", (long long)dims[1], s->k);
  s->state = p;
  return DOR_OK;
}

static dor_status read_keypoints(reader *r, hid_t g, const char *name, void *out)
{
  dor_series *s = out;
  hsize_t dims[DOR_H5_RANK];
  void *p = NULL;
  int32_t n = 0;
  s->name = dor_arena_str(&r->d->arena, name);
  DOR_TRY(take_text(r, g, "axes", &s->axes));
  DOR_TRY(take(r, g, &(wanted){"data", H5T_FLOAT, H5T_NATIVE_FLOAT, 3, -1}, dims, &p));
  s->data = p;
  s->n = (int32_t)dims[0], s->k = (int32_t)dims[1], s->a = (int32_t)dims[2];
  DOR_TRY(take_i32(r, g, "first", r->d->n_trials, &s->first));
  DOR_TRY(take_i32(r, g, "count", r->d->n_trials, &s->count));
  DOR_TRY(take_texts(r, g, "joint", s->k, &s->joint, &n));
  DOR_TRY(take_times(r, g, s));
  DOR_TRY(take_states(r, g, s));
  return take_i32(r, g, "parent", s->k, &s->parent);
}

static dor_status read_angle(reader *r, hid_t g, const char *name, void *out)
{
  dor_series *s = out;
  hsize_t dims[DOR_H5_RANK];
  void *p = NULL;
  s->name = dor_arena_str(&r->d->arena, name);
  DOR_TRY(take_text(r, g, "definition", &s->definition));
  DOR_TRY(take(r, g, &(wanted){"data", H5T_FLOAT, H5T_NATIVE_FLOAT, 1, -1}, dims, &p));
  s->data = p;
  s->n = (int32_t)dims[0], s->k = s->a = 1;
  DOR_TRY(take_units(r, g, "data", &s->unit));
  DOR_TRY(take_i32(r, g, "first", r->d->n_trials, &s->first));
  return take_i32(r, g, "count", r->d->n_trials, &s->count);
}

/* ---- sets of one kind: a group of groups ---- */

typedef struct sets {
  filler *fill;
  size_t size;                  /* of one set's struct */
  int32_t n;
  char *out;                    /* array of them */
  reader *r;
  dor_status status;
} sets;

static herr_t next_set(hid_t group, const char *name, const H5L_info_t *info, void *to)
{
  (void)info;
  sets *s = to;
  s->status = in_group(s->r, group, name, s->fill, s->out + (size_t)s->n++ * s->size);
  return s->status ? -1 : 0;
}

static dor_status read_sets(reader *r, hid_t g, const char *name, void *out)
{
  (void)name;
  sets *s = out;
  H5G_info_t info;
  if (H5Gget_info(g, &info) < 0) return FAIL_AT(r, g, NULL, "unreadable: hdf5: %s", dor_h5_text());
  s->out = dor_arena_alloc(&r->d->arena, (size_t)info.nlinks * s->size);
  DOR_NEED(s->out, NOMEM, "%lld sets", (long long)info.nlinks);
  s->r = r;
  hsize_t at = 0;
  if (H5Literate(g, H5_INDEX_NAME, H5_ITER_INC, &at, next_set, s) < 0 && !s->status) return FAIL_AT(r, g, NULL, "unreadable: hdf5: %s", dor_h5_text());
  DOR_TRY(s->status);
  return DOR_OK;
}

static dor_status take_sets(reader *r, hid_t file, const char *name, filler *fill, size_t size, const void *array, int32_t *n)
{
  sets s = {.fill = fill, .size = size};
  if (!has(file, name)) return DOR_OK;
  DOR_TRY(in_group(r, file, name, read_sets, &s));
  *n = s.n;
  memcpy((void *)(uintptr_t)array, &s.out, sizeof s.out);
  return DOR_OK;
}

static dor_status read_root(reader *r, hid_t file)
{
  dor_dataset *d = r->d;
  const char *schema, *sha;
  int32_t version, synthetic;
  DOR_TRY(take_text(r, file, "schema", &schema));
  DOR_NEED(!strcmp(schema, "dorsum-dataset"), DATA, "%s: is no dorsum dataset (its attribute 'schema' is not \"dorsum-dataset\")", r->name);
  DOR_TRY(take_number(r, file, "version", &version));
  DOR_NEED(version == DOR_H5_VERSION, DATA, "%s: dataset version %d, this program reads version %d", r->name, version, DOR_H5_VERSION);
  DOR_TRY(take_text(r, file, "name", &d->name));
  DOR_TRY(take_text(r, file, "license", &d->license));
  DOR_TRY(take_text(r, file, "created_by", &d->created_by));
  DOR_TRY(take_text(r, file, "source_sha256", &sha));
  snprintf(d->source_sha256, sizeof d->source_sha256, "%s", sha);
  DOR_TRY(take_number(r, file, "synthetic", &synthetic));
  d->synthetic = synthetic == 1;
  DOR_TRY(take_text(r, file, "stamp", &d->stamp));
  return DOR_OK;
}

static dor_status read_all(reader *r, hid_t file)
{
  dor_dataset *d = r->d;
  DOR_TRY(read_root(r, file));
  DOR_TRY(in_group(r, file, "subjects", read_subjects, d));
  if (has(file, "trials")) DOR_TRY(in_group(r, file, "trials", read_trials, d));
  if (has(file, "proms")) DOR_TRY(in_group(r, file, "proms", read_table, &d->proms));
  DOR_TRY(take_sets(r, file, "targets", read_target, sizeof *d->target, &d->target, &d->n_targets));
  DOR_TRY(take_sets(r, file, "tables", read_table, sizeof *d->tables, &d->tables, &d->n_tables));
  DOR_TRY(take_sets(r, file, "silhouettes", read_frames, sizeof *d->silhouettes, &d->silhouettes, &d->n_silhouettes));
  DOR_TRY(take_sets(r, file, "images", read_frames, sizeof *d->images, &d->images, &d->n_images));
  DOR_TRY(take_sets(r, file, "keypoints", read_keypoints, sizeof *d->keypoints, &d->keypoints, &d->n_keypoints));
  return take_sets(r, file, "angles", read_angle, sizeof *d->angles, &d->angles, &d->n_angles);
}

static size_t memory_limit(void) { return dor_memory_bytes() / 2; }

static hid_t open_bytes(void *bytes, size_t size)
{
  hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  H5Pset_fapl_core(access, 1 << 20, 0);
  hid_t file = H5Pset_file_image(access, bytes, size) < 0 ? -1 : H5Fopen(dor_h5_name((char[64]){0}), H5F_ACC_RDONLY, access);
  H5Pclose(access);
  return file;
}

static dor_status read_file(dor_dataset *d, const char *path, hid_t file)
{
  reader r = {d, path};
  DOR_TRY(dor_h5_guard(file, path, memory_limit()));
  DOR_TRY(read_all(&r, file));
  dor_status s = dor_dataset_validate(d);
  if (s != DOR_E_DATA) return s;
  char what[512];
  snprintf(what, sizeof what, "%s", dor_errmsg());
  return DOR_FAIL(DATA, "%s: %s", path, what);
}

dor_status dor_dataset_read(dor_dataset *d, const char *path)
{
  char *bytes;
  size_t size;
  *d = (dor_dataset){0};
  DOR_TRY(dor_io_read(path, memory_limit(), &bytes, &size));
  dor_h5_quiet();
  dor_hash_bytes(bytes, size, d->sha256);
  hid_t file = open_bytes(bytes, size);
  dor_free(bytes);
  DOR_NEED(file >= 0, DATA, "%s: is no HDF5 file, or a damaged one: hdf5: %s", path, dor_h5_text());
  dor_status s = read_file(d, path, file);
  H5Fclose(file);
  if (s) dor_dataset_release(d);
  DOR_TRY(s);
  return DOR_OK;
}
