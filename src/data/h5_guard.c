/* SPDX-License-Identifier: Apache-2.0
 *
 * The gate before a dataset file is read: every link, object, attribute and
 * dataset is looked at first, and what could reach outside the file, run code,
 * or ask for absurd memory is refused (CVE-2026-1669 and its kin: external
 * storage, links in the middle of a path, virtual datasets, shape bombs). */
#include "data/h5.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

static _Thread_local char last[256];

static herr_t innermost(unsigned n, const H5E_error2_t *e, void *to)
{
  (void)to;
  if (n == 0 && e->desc) dor_printable(e->desc, last, sizeof last);
  return 0;
}

static herr_t keep_text(hid_t stack, void *to)
{
  last[0] = 0;
  return H5Ewalk2(stack, H5E_WALK_UPWARD, innermost, to);
}

void dor_h5_quiet(void)
{
  H5dont_atexit(); /* nothing of ours is open at exit, and 1.10 complains there about what a damaged file left behind */
  H5PLset_loading_state(0);
  H5Eset_auto2(H5E_DEFAULT, keep_text, NULL);
  last[0] = 0;
}

const char *dor_h5_text(void) { return last[0] ? last : "no message"; }

const char *dor_h5_name(char out[64])
{
  static atomic_uint serial;
  snprintf(out, 64, "dataset %u in memory", atomic_fetch_add(&serial, 1));
  return out;
}

typedef struct guard {
  const char *name;             /* of the file */
  char path[2048];              /* of the object looked at */
  int depth, objects;
  size_t bytes, max_bytes;      /* declared so far, and the limit */
  dor_status status;
} guard;

#define REFUSE(g, ...) ((g)->status = refuse(g, __VA_ARGS__), -1)

static dor_status refuse(const guard *g, const char *what)
{
  char path[2048];
  return DOR_FAIL(DATA, "%s: %s: %s", g->name, dor_printable(g->path, path, sizeof path), what);
}

/* Numbers of 1 to 8 bytes and fixed-length texts. */
static const char *check_type(hid_t type)
{
  if (H5Tis_variable_str(type) != 0) return "a variable-length string; only fixed-length ones are read";
  size_t n = H5Tget_size(type);
  switch (H5Tget_class(type)) {
    case H5T_INTEGER:
    case H5T_FLOAT: return n >= 1 && n <= 8 ? NULL : "a number of more than 8 bytes";
    case H5T_STRING: return n >= 1 && n <= DOR_H5_TEXT ? NULL : "a string of more than 1024 bytes";
    case H5T_REFERENCE: return "a reference; datasets hold numbers and fixed-length strings";
    case H5T_VLEN: return "variable-length data; datasets hold numbers and fixed-length strings";
    case H5T_COMPOUND: return "a compound; every column is a dataset of its own";
    default: return "of a type that is no number and no fixed-length string";
  }
}

/* Elements of a space times `size`, in *bytes. */
static const char *check_space(hid_t space, size_t size, size_t *bytes)
{
  hsize_t dims[H5S_MAX_RANK];
  int rank = H5Sget_simple_extent_ndims(space);
  if (rank < 0 || H5Sget_simple_extent_type(space) == H5S_NULL) return "of no size";
  if (rank > DOR_H5_RANK) return "of more than 8 dimensions";
  if (H5Sget_simple_extent_dims(space, dims, NULL) < 0) return "of unreadable size";
  *bytes = size;
  for (int i = 0; i < rank; i++)
    if (dims[i] > INT32_MAX || __builtin_mul_overflow(*bytes, (size_t)dims[i], bytes)) return "larger than any memory";
  return NULL;
}

static const char *check_storage(hid_t plist)
{
  H5D_layout_t layout = H5Pget_layout(plist);
  if (layout == H5D_VIRTUAL) return "a virtual dataset: it would read other files";
  if (layout != H5D_COMPACT && layout != H5D_CONTIGUOUS && layout != H5D_CHUNKED) return "of unknown layout";
  if (layout == H5D_CONTIGUOUS && H5Pget_external_count(plist) != 0) return "stored in an external file";
  int n = H5Pget_nfilters(plist);
  for (int i = 0; i < n; i++) {
    unsigned flags, config;
    size_t n_values = 0;
    H5Z_filter_t f = H5Pget_filter2(plist, (unsigned)i, &flags, &n_values, NULL, 0, NULL, &config);
    if (f != H5Z_FILTER_DEFLATE && f != H5Z_FILTER_SHUFFLE && f != H5Z_FILTER_FLETCHER32)
      return "filtered by something else than deflate, shuffle and fletcher32";
  }
  return n < 0 ? "of unreadable filters" : NULL;
}

static const char *check_bytes(guard *g, size_t bytes, size_t stored)
{
  if (bytes > ((size_t)64 << 20) && bytes / DOR_H5_RATIO > stored) return "declared a thousand times larger than what is stored";
  if (bytes > g->max_bytes - g->bytes) return "too large together with the rest for the memory of this machine";
  g->bytes += bytes;
  return NULL;
}

static int check_attribute(hid_t object, const char *name, const H5A_info_t *info, void *to)
{
  guard *g = to;
  if (info->data_size > DOR_H5_ATTRIBUTE) return REFUSE(g, "an attribute of more than 64 KiB");
  hid_t attr = H5Aopen(object, name, H5P_DEFAULT);
  if (attr < 0) return REFUSE(g, dor_h5_text());
  hid_t type = H5Aget_type(attr), space = H5Aget_space(attr);
  size_t bytes = 0;
  const char *bad = type < 0 || space < 0 ? dor_h5_text() : check_type(type);
  if (!bad) bad = check_space(space, H5Tget_size(type), &bytes);
  if (!bad && bytes > DOR_H5_ATTRIBUTE) bad = "an attribute of more than 64 KiB";
  if (type >= 0) H5Tclose(type);
  if (space >= 0) H5Sclose(space);
  H5Aclose(attr);
  return bad ? REFUSE(g, bad) : 0;
}

static const char *check_dataset(guard *g, hid_t set)
{
  hid_t plist = H5Dget_create_plist(set);
  const char *bad = plist < 0 ? dor_h5_text() : check_storage(plist);
  if (plist >= 0) H5Pclose(plist);
  if (bad) return bad;
  hid_t type = H5Dget_type(set), space = H5Dget_space(set);
  size_t bytes = 0;
  bad = type < 0 || space < 0 ? dor_h5_text() : check_type(type);
  if (!bad) bad = check_space(space, H5Tget_size(type), &bytes);
  if (!bad) bad = check_bytes(g, bytes, (size_t)H5Dget_storage_size(set));
  if (type >= 0) H5Tclose(type);
  if (space >= 0) H5Sclose(space);
  return bad;
}

static herr_t check_link(hid_t group, const char *name, const H5L_info_t *info, void *to);

/* An opened group or dataset whose path is in g. Names come as they are stored: to sort them libhdf5 1.10 fills a table,
 * and where a damaged file ends that early it frees entries it never filled. */
static int check_object(guard *g, hid_t object)
{
  hsize_t at = 0;
  if (++g->objects > DOR_H5_OBJECTS) return REFUSE(g, "more than 100000 objects");
  if (H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_NATIVE, &at, check_attribute, g) < 0) return g->status ? -1 : REFUSE(g, dor_h5_text());
  if (H5Iget_type(object) == H5I_DATASET) {
    const char *bad = check_dataset(g, object);
    return bad ? REFUSE(g, bad) : 0;
  }
  if (H5Iget_type(object) != H5I_GROUP) return REFUSE(g, "neither a group nor a dataset");
  if (g->depth == DOR_H5_DEPTH) return REFUSE(g, "groups nested more than 16 deep");
  g->depth++;
  at = 0;
  if (H5Literate(object, H5_INDEX_NAME, H5_ITER_NATIVE, &at, check_link, g) < 0) return g->status ? -1 : REFUSE(g, dor_h5_text());
  g->depth--;
  return 0;
}

static const char *check_name(const char *name)
{
  if (!name[0] || !strcmp(name, ".") || !strcmp(name, "..") || strchr(name, '/')) return "a name that is empty, '.', '..' or holds '/'";
  for (const char *c = name; *c; c++)
    if ((unsigned char)*c < 32 || *c == 127) return "a control character in a name";
  return NULL;
}

/* The kind of link is asked before it is followed. */
static herr_t check_link(hid_t group, const char *name, const H5L_info_t *info, void *to)
{
  guard *g = to;
  size_t n = strlen(g->path), add = strlen(name);
  if (n + add + 2 > sizeof g->path) return REFUSE(g, "paths longer than 2 KiB");
  g->path[n] = '/';
  memcpy(g->path + n + 1, name, add + 1);
  const char *bad = check_name(name);
  if (bad) return REFUSE(g, bad);
  if (info->type != H5L_TYPE_HARD) return REFUSE(g, info->type == H5L_TYPE_SOFT ? "a soft link" : "a link to another file");
  hid_t object = H5Oopen(group, name, H5P_DEFAULT);
  if (object < 0) return REFUSE(g, dor_h5_text());
  int r = check_object(g, object);
  H5Oclose(object);
  g->path[n] = 0;
  return r;
}

dor_status dor_h5_guard(hid_t file, const char *name, size_t max_bytes)
{
  guard g = {.name = name, .max_bytes = max_bytes};
  hid_t root = H5Gopen2(file, "/", H5P_DEFAULT);
  DOR_NEED(root >= 0, DATA, "%s: hdf5: %s", name, dor_h5_text());
  check_object(&g, root);
  H5Gclose(root);
  return g.status;
}
