/* SPDX-License-Identifier: Apache-2.0
 *
 * A dataset as HDF5 bytes. libhdf5 builds the file in memory (core driver, no
 * backing store), then one atomic write of ours puts it on disk: libhdf5 1.10
 * crashes when a disk is full, and leaves broken files when it is killed. Sets
 * are written in the order of their names, no times are stored: same dataset,
 * same bytes. */
#include "data/h5.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "data/dataset.h"

enum { CHUNK_BYTES = 512 * 1024, DEFLATE = 4 };

#define H5_NEED(id, what) DOR_NEED((id) >= 0, DATA, "%s: hdf5: %s", what, dor_h5_text())

/* A column about to be written. */
typedef struct column {
  const char *name, *units;     /* units: "1" for numbers without one, "" for texts */
  const char *dims;             /* letters of its dimensions: "frame height width" */
  hid_t type;                   /* in the file and in memory: little-endian everywhere we run */
  int rank;
  hsize_t size[DOR_H5_RANK];
  hsize_t together;             /* rows that belong together (frames of a trial); 0: none */
  const void *data;
} column;

static dor_status put_text(hid_t at, const char *name, const char *text)
{
  hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
  size_t n = strlen(text);
  H5Tset_size(type, n ? n : 1);
  H5Tset_cset(type, H5T_CSET_UTF8);
  H5Tset_strpad(type, H5T_STR_NULLPAD);
  hid_t attr = H5Acreate2(at, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
  herr_t r = attr < 0 ? -1 : H5Awrite(attr, type, text);
  if (attr >= 0) H5Aclose(attr);
  H5Sclose(space);
  H5Tclose(type);
  H5_NEED(r, name);
  return DOR_OK;
}

static dor_status put_number(hid_t at, const char *name, int32_t value)
{
  hid_t space = H5Screate(H5S_SCALAR);
  hid_t attr = H5Acreate2(at, name, H5T_STD_I32LE, space, H5P_DEFAULT, H5P_DEFAULT);
  herr_t r = attr < 0 ? -1 : H5Awrite(attr, H5T_NATIVE_INT32, &value);
  if (attr >= 0) H5Aclose(attr);
  H5Sclose(space);
  H5_NEED(r, name);
  return DOR_OK;
}

/* Rows of a chunk: about half a megabyte, and whole trials where they fit, else equal parts of a trial. */
static hsize_t chunk_rows(const column *c)
{
  size_t row = H5Tget_size(c->type);
  for (int i = 1; i < c->rank; i++) row *= (size_t)c->size[i];
  hsize_t rows = CHUNK_BYTES / (row ? row : 1), t = c->together;
  if (rows < 1) rows = 1;
  if (t && rows >= t) rows -= rows % t;
  if (t && rows < t) rows = (t + (t + rows - 1) / rows - 1) / ((t + rows - 1) / rows);
  return rows < c->size[0] ? rows : c->size[0];
}

static hid_t plist(const column *c)
{
  hid_t p = H5Pcreate(H5P_DATASET_CREATE);
  hsize_t chunk[DOR_H5_RANK];
  memcpy(chunk, c->size, sizeof chunk);
  chunk[0] = chunk_rows(c);
  H5Pset_chunk(p, c->rank, chunk);
  H5Pset_shuffle(p);
  H5Pset_deflate(p, DEFLATE);
  H5Pset_fletcher32(p);
  H5Pset_obj_track_times(p, 0);
  H5Pset_attr_phase_change(p, 8, 6);
  static const float missing = NAN;
  static const int32_t none = -1;
  if (H5Tget_class(c->type) == H5T_FLOAT) H5Pset_fill_value(p, H5T_NATIVE_FLOAT, &missing);
  if (H5Tequal(c->type, H5T_STD_I32LE) > 0) H5Pset_fill_value(p, H5T_NATIVE_INT32, &none);
  return p;
}

static dor_status put(hid_t group, const column *c)
{
  hid_t space = H5Screate_simple(c->rank, c->size, NULL), p = plist(c);
  hid_t set = H5Dcreate2(group, c->name, c->type, space, H5P_DEFAULT, p, H5P_DEFAULT);
  herr_t r = set < 0 ? -1 : H5Dwrite(set, c->type, H5S_ALL, H5S_ALL, H5P_DEFAULT, c->data);
  dor_status s = DOR_OK;
  if (r >= 0) s = put_text(set, "units", c->units);
  if (r >= 0 && !s) s = put_text(set, "dims", c->dims);
  if (set >= 0) H5Dclose(set);
  H5Pclose(p);
  H5Sclose(space);
  H5_NEED(r, c->name);
  return s;
}

static dor_status put_f32(hid_t g, const char *name, const char *dims, const char *units, const float *v, int32_t n)
{
  if (!v || !n) return DOR_OK;
  return put(g, &(column){name, units, dims, H5T_IEEE_F32LE, 1, {(hsize_t)n}, 0, v});
}

static dor_status put_i32(hid_t g, const char *name, const char *dims, const int32_t *v, int32_t n)
{
  if (!v || !n) return DOR_OK;
  return put(g, &(column){name, "1", dims, H5T_STD_I32LE, 1, {(hsize_t)n}, 0, v});
}

static dor_status put_texts(hid_t g, const char *name, const char *dims, const char *const *v, int32_t n)
{
  if (!v || !n) return DOR_OK;
  size_t width = 1;
  for (int32_t i = 0; i < n; i++)
    if (strlen(v[i]) > width) width = strlen(v[i]);
  DOR_NEED(width <= DOR_H5_TEXT, DATA, "%s: a text of %zu bytes, at most %d", name, width, DOR_H5_TEXT);
  char *flat = dor_calloc((size_t)n, width);
  DOR_NEED(flat, NOMEM, "%s: %d texts", name, n);
  for (int32_t i = 0; i < n; i++) memcpy(flat + (size_t)i * width, v[i], strlen(v[i]));
  hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, width);
  H5Tset_cset(type, H5T_CSET_UTF8);
  H5Tset_strpad(type, H5T_STR_NULLPAD);
  dor_status s = put(g, &(column){name, "", dims, type, 1, {(hsize_t)n}, 0, flat});
  H5Tclose(type);
  dor_free(flat);
  return s;
}

/* A column of names along a dimension: marked as HDF5 dimension scales are. They are not attached by object
 * references, which the strict reader refuses; the attribute `dims` of a dataset names them. */
static dor_status put_scale(hid_t g, const char *name, const char *dims, const char *const *v, int32_t n)
{
  if (!v || !n) return DOR_OK;
  DOR_TRY(put_texts(g, name, dims, v, n));
  hid_t set = H5Dopen2(g, name, H5P_DEFAULT);
  H5_NEED(set, name);
  dor_status s = put_text(set, "CLASS", "DIMENSION_SCALE");
  if (!s) s = put_text(set, "NAME", dims);
  H5Dclose(set);
  return s;
}

typedef dor_status writer(hid_t group, const dor_dataset *d, const void *what);

/* Make a group, fill it, close it. */
static dor_status in_group(hid_t at, const char *name, writer *fill, const dor_dataset *d, const void *what)
{
  hid_t p = H5Pcreate(H5P_GROUP_CREATE);
  H5Pset_obj_track_times(p, 0);
  hid_t g = H5Gcreate2(at, name, H5P_DEFAULT, p, H5P_DEFAULT);
  H5Pclose(p);
  H5_NEED(g, name);
  dor_status s = fill(g, d, what);
  H5Gclose(g);
  DOR_TRY(s);
  return DOR_OK;
}

static dor_status write_subjects(hid_t g, const dor_dataset *d, const void *what)
{
  (void)what;
  int32_t n = d->n_subjects;
  DOR_TRY(put_scale(g, "id", "subject", d->id, n));
  DOR_TRY(put_f32(g, "age", "subject", "year", d->age, n));
  DOR_TRY(put_texts(g, "sex", "subject", d->sex, n));
  DOR_TRY(put_texts(g, "site", "subject", d->site, n));
  return put_i32(g, "group", "subject", d->group, n);
}

static const char *const kinds[] = {"class", "ordered", "value"}, *const pers[] = {"subject", "trial", "image"};

static dor_status write_target(hid_t g, const dor_dataset *d, const void *what)
{
  (void)d;
  const dor_target *t = what;
  DOR_TRY(put_text(g, "kind", kinds[t->kind]));
  DOR_TRY(put_text(g, "per", pers[t->per]));
  DOR_TRY(put_f32(g, "value", pers[t->per], t->kind == DOR_TARGET_VALUE ? "1" : "class", t->value, t->n));
  return put_scale(g, "names", "class", t->names, t->n_names);
}

static dor_status write_items(hid_t g, const dor_dataset *d, const void *what)
{
  (void)d;
  const dor_items *t = what;
  DOR_TRY(put_scale(g, "name", "item", t->name, t->n));
  DOR_TRY(put_texts(g, "unit", "item", t->unit, t->n));
  DOR_TRY(put_f32(g, "min", "item", "1", t->min, t->n));
  return put_f32(g, "max", "item", "1", t->max, t->n);
}

static dor_status write_table(hid_t g, const dor_dataset *d, const void *what)
{
  const dor_table *t = what;
  DOR_TRY(put_i32(g, "subject", "row", t->subject, t->n));
  DOR_TRY(put(g, &(column){"values", "see items", "row item", H5T_IEEE_F32LE, 2, {(hsize_t)t->n, (hsize_t)t->items.n}, 0, t->values}));
  return in_group(g, "items", write_items, d, &t->items);
}

static dor_status write_trials(hid_t g, const dor_dataset *d, const void *what)
{
  (void)what;
  int32_t n = d->n_trials;
  DOR_TRY(put_i32(g, "subject", "trial", d->trial_subject, n));
  DOR_TRY(put_texts(g, "movement", "trial", d->movement, n));
  DOR_TRY(put_texts(g, "side", "trial", d->side, n));
  DOR_TRY(put_f32(g, "fps", "trial", "Hz", d->fps, n));
  DOR_TRY(put_f32(g, "width", "trial", "px", d->width, n));
  return put_f32(g, "height", "trial", "px", d->height, n);
}

static hsize_t longest(const int32_t *count, int32_t n)
{
  int32_t most = 0;
  for (int32_t i = 0; count && i < n; i++)
    if (count[i] > most) most = count[i];
  return (hsize_t)most;
}

static dor_status write_runs(hid_t g, const dor_dataset *d, const int32_t *first, const int32_t *count)
{
  DOR_TRY(put_i32(g, "first", "trial", first, d->n_trials));
  return put_i32(g, "count", "trial", count, d->n_trials);
}

static dor_status write_frames(hid_t g, const dor_dataset *d, const void *what)
{
  const dor_frames *f = what;
  bool image = f->subject != NULL;
  column c = {"data", "grey level", image ? "image height width channel" : "frame height width", H5T_STD_U8LE, image ? 4 : 3,
              {(hsize_t)f->n, (hsize_t)f->h, (hsize_t)f->w, (hsize_t)f->c}, longest(f->count, d->n_trials), f->data};
  DOR_TRY(put(g, &c));
  if (!image) DOR_TRY(write_runs(g, d, f->first, f->count));
  DOR_TRY(put_f32(g, "phase", "frame", "1", f->phase, f->n));
  DOR_TRY(put_i32(g, "subject", "image", f->subject, f->n));
  return put_texts(g, "view", "image", f->view, f->n);
}

static dor_status write_keypoints(hid_t g, const dor_dataset *d, const void *what)
{
  const dor_series *s = what;
  if (s->axes) DOR_TRY(put_text(g, "axes", s->axes));
  DOR_TRY(put(g, &(column){"data", "px", "frame joint axis", H5T_IEEE_F32LE, 3, {(hsize_t)s->n, (hsize_t)s->k, (hsize_t)s->a}, longest(s->count, d->n_trials),
      s->data}));
  DOR_TRY(write_runs(g, d, s->first, s->count));
  if (s->time_s) DOR_TRY(put(g, &(column){"time", "s", "frame", H5T_IEEE_F64LE, 1, {(hsize_t)s->n}, longest(s->count, d->n_trials), s->time_s}));
  if (s->state)
    DOR_TRY(put(g, &(column){"state", "0 not seen, 1 filled, 2 seen", "frame joint", H5T_STD_U8LE, 2, {(hsize_t)s->n, (hsize_t)s->k},
                             longest(s->count, d->n_trials), s->state}));
  DOR_TRY(put_scale(g, "joint", "joint", s->joint, s->k));
  return put_i32(g, "parent", "joint", s->parent, s->k);
}

static dor_status write_angle(hid_t g, const dor_dataset *d, const void *what)
{
  const dor_series *s = what;
  if (s->definition) DOR_TRY(put_text(g, "definition", s->definition));
  DOR_TRY(put(g, &(column){"data", s->unit ? s->unit : "deg", "frame", H5T_IEEE_F32LE, 1, {(hsize_t)s->n}, longest(s->count, d->n_trials), s->data}));
  return write_runs(g, d, s->first, s->count);
}

/* Sets of one kind: where they lie, and how one is written. Every set's struct begins with its name. */
typedef struct kind {
  writer *fill;
  const void *set;
  size_t size;
  int32_t n;
} kind;

static const void *member(const kind *k, int32_t i) { return (const char *)k->set + (size_t)i * k->size; }
static const char *name_of(const void *set) { return *(const char *const *)set; }

/* Position i in the order of names. */
static const void *by_name(const kind *k, int32_t place)
{
  for (int32_t i = 0; i < k->n; i++) {
    int32_t before = 0;
    for (int32_t j = 0; j < k->n; j++) before += strcmp(name_of(member(k, j)), name_of(member(k, i))) < 0;
    if (before == place) return member(k, i);
  }
  return NULL;
}

static dor_status write_sets(hid_t g, const dor_dataset *d, const void *what)
{
  const kind *k = what;
  for (int32_t i = 0; i < k->n; i++) {
    const void *set = by_name(k, i);
    DOR_TRY(in_group(g, name_of(set), k->fill, d, set));
  }
  return DOR_OK;
}

static dor_status write_all(hid_t file, const dor_dataset *d)
{
  const struct { const char *name; kind k; } all[] = {
    {"angles",      {write_angle,     d->angles,      sizeof *d->angles,      d->n_angles}},
    {"images",      {write_frames,    d->images,      sizeof *d->images,      d->n_images}},
    {"keypoints",   {write_keypoints, d->keypoints,   sizeof *d->keypoints,   d->n_keypoints}},
    {"silhouettes", {write_frames,    d->silhouettes, sizeof *d->silhouettes, d->n_silhouettes}},
    {"tables",      {write_table,     d->tables,      sizeof *d->tables,      d->n_tables}},
    {"targets",     {write_target,    d->target,      sizeof *d->target,      d->n_targets}},
  };
  DOR_TRY(in_group(file, "subjects", write_subjects, d, NULL));
  if (d->n_trials) DOR_TRY(in_group(file, "trials", write_trials, d, NULL));
  if (d->proms.items.n) DOR_TRY(in_group(file, "proms", write_table, d, &d->proms));
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (all[i].k.n) DOR_TRY(in_group(file, all[i].name, write_sets, d, &all[i].k));
  DOR_TRY(put_text(file, "schema", "dorsum-dataset"));
  DOR_TRY(put_number(file, "version", DOR_H5_VERSION));
  DOR_TRY(put_text(file, "name", d->name ? d->name : ""));
  DOR_TRY(put_text(file, "license", d->license ? d->license : ""));
  DOR_TRY(put_text(file, "created_by", d->created_by ? d->created_by : "dorsum"));
  DOR_TRY(put_text(file, "source_sha256", d->source_sha256));
  DOR_TRY(put_number(file, "deidentified", 1));
  if (d->stamp && *d->stamp) DOR_TRY(put_text(file, "stamp", d->stamp));
  return put_number(file, "synthetic", d->synthetic);
}

/* The bytes of the file while libhdf5 builds it. H5Fget_file_image is of no use: it clears a flag of the superblock
 * and leaves the checksum of before. So the core driver gets its memory from here, and what it frees at closing is kept. */
typedef struct image {
  char *bytes;
  size_t size;
  bool closed;
} image;

static void *image_grow(void *old, size_t size, H5FD_file_image_op_t op, void *to)
{
  (void)op;
  image *m = to;
  char *p = dor_realloc(old, size);
  if (!p) return NULL;
  if (size > m->size) memset(p + m->size, 0, size - m->size);
  m->bytes = p, m->size = size;
  return p;
}

static void *image_new(size_t size, H5FD_file_image_op_t op, void *to) { return image_grow(NULL, size, op, to); }

static void *image_copy(void *to, const void *from, size_t n, H5FD_file_image_op_t op, void *m)
{
  (void)op, (void)m;
  return memcpy(to, from, n);
}

static herr_t image_close(void *p, H5FD_file_image_op_t op, void *to)
{
  image *m = to;
  if (op == H5FD_FILE_IMAGE_OP_FILE_CLOSE && p == m->bytes) m->closed = true;
  else dor_free(p);
  return 0;
}

static void *image_share(void *m) { return m; }

static herr_t image_unshare(void *m)
{
  (void)m;
  return 0;
}

static hid_t create_in_memory(image *m)
{
  H5FD_file_image_callbacks_t calls = {image_new, image_copy, image_grow, image_close, image_share, image_unshare, m};
  hid_t access = H5Pcreate(H5P_FILE_ACCESS), create = H5Pcreate(H5P_FILE_CREATE);
  H5Pset_fapl_core(access, 1 << 20, 0);
  H5Pset_file_image_callbacks(access, &calls);
  H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110);
  H5Pset_obj_track_times(create, 0);
  hid_t file = H5Fcreate(dor_h5_name((char[64]){0}), H5F_ACC_TRUNC, create, access);
  H5Pclose(create);
  H5Pclose(access);
  return file;
}

/* Where a closed file ends, as its own superblock says (version 3: signature 8, four bytes, base 8, extension 8, end 8). */
static size_t end_of(const image *m)
{
  uint64_t end = 0;
  for (int i = 7; i >= 0 && m->size >= 48; i--) end = end << 8 | (unsigned char)m->bytes[28 + i];
  return (size_t)end;
}

static dor_status build(const dor_dataset *d, image *m, size_t *size)
{
  hid_t file = create_in_memory(m);
  H5_NEED(file, "a file in memory");
  dor_status s = write_all(file, d);
  herr_t closed = H5Fclose(file);
  DOR_TRY(s);
  *size = closed < 0 || !m->closed ? 0 : end_of(m);
  DOR_NEED(*size > 0 && *size <= m->size, NOMEM, "a dataset in memory: hdf5: %s", dor_h5_text());
  return DOR_OK;
}

dor_status dor_dataset_write(dor_dataset *d, const char *path)
{
  image m = {0};
  size_t size = 0;
  DOR_TRY(dor_dataset_validate(d));
  dor_h5_quiet();
  dor_status s = build(d, &m, &size);
  if (!s) dor_hash_bytes(m.bytes, size, d->sha256);
  if (!s) s = dor_io_write(path, m.bytes, size);
  dor_free(m.bytes);
  DOR_TRY(s);
  return DOR_OK;
}
