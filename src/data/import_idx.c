/* SPDX-License-Identifier: Apache-2.0
 *
 * IDX files (LeCun's MNIST format): big-endian sizes, then bytes; images in one
 * file, labels in another beside it, either gzipped or not. Every image is a
 * person of its own; no near-duplicates are sought: digits of a class are alike. */
#include "data/import.h"

#include <stdio.h>
#include <string.h>

#include <zlib.h>

#include "base/io.h"
#include "base/mem.h"

enum { MOST_BYTES = 1 << 30, MOST_FILE = 256 << 20 };

typedef struct idx {            /* a file unpacked; all but `data` points into it */
  char *data;
  size_t size;
  int32_t rank, dims[3];
  const uint8_t *values;
} idx;

static dor_status inflate_all(const char *path, z_stream *z, char **out, size_t *size)
{
  size_t room = 1 << 20;
  int r = Z_OK;
  for (*size = 0; r == Z_OK; room *= 2) {
    DOR_NEED(room <= MOST_BYTES, DATA, "%s: unpacks to more than %d bytes", path, MOST_BYTES);
    char *more = dor_realloc(*out, room);
    DOR_NEED(more, NOMEM, "%s: %zu bytes", path, room);
    *out = more;
    z->next_out = (Bytef *)more + *size, z->avail_out = (uInt)(room - *size);
    r = inflate(z, Z_NO_FLUSH);
    *size = room - z->avail_out;
  }
  DOR_NEED(r == Z_STREAM_END && !z->avail_in, DATA, "%s: damaged gzip data: %s", path, z->msg ? z->msg : r == Z_STREAM_END ? "more follows its end"
      : "it is cut short");
  return DOR_OK;
}

static dor_status unzip(const char *path, char **data, size_t *size)
{
  z_stream z = {.next_in = (Bytef *)*data, .avail_in = (uInt)*size};
  char *out = NULL;
  size_t n = 0;
  DOR_NEED(inflateInit2(&z, 15 + 16) == Z_OK, NOMEM, "%s: a decoder", path);
  dor_status s = inflate_all(path, &z, &out, &n);
  inflateEnd(&z);
  dor_free(*data);
  *data = out, *size = n;
  return s;
}

static uint32_t big_endian(const char *p)
{
  const unsigned char *b = (const unsigned char *)p;
  return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static dor_status parse(const char *path, int32_t rank, idx *x)
{
  uint64_t product = 1;
  DOR_NEED(x->size >= 4 && big_endian(x->data) == (0x800u | (uint32_t)rank), DATA, "%s: no IDX file of bytes in %d dimensions", path, rank);
  DOR_NEED(x->size >= 4 + 4 * (size_t)rank, DATA, "%s: cut short in its header", path);
  for (int32_t i = 0; i < rank; i++) {
    uint32_t n = big_endian(x->data + 4 + 4 * i);
    DOR_NEED(n > 0 && n <= (i ? 8192 : 1 << 24), DATA, "%s: size %u of dimension %d", path, n, i + 1);
    x->dims[i] = (int32_t)n;
    product *= n;
    DOR_NEED(product <= MOST_BYTES, DATA, "%s: declares more than %d bytes", path, MOST_BYTES);
  }
  size_t head = 4 + 4 * (size_t)rank;
  DOR_NEED(x->size - head == product, DATA, "%s: %zu bytes of values, its sizes say %llu", path, x->size - head, (unsigned long long)product);
  x->rank = rank;
  x->values = (const uint8_t *)x->data + head;
  return DOR_OK;
}

/* x->data is freed by the caller, also after a failure. */
static dor_status read_idx(const char *path, int32_t rank, idx *x, dor_hash *source)
{
  DOR_TRY(dor_io_read(path, MOST_FILE, &x->data, &x->size));
  if (x->size > 2 && !memcmp(x->data, "\x1f\x8b", 2)) DOR_TRY(unzip(path, &x->data, &x->size));
  DOR_TRY(parse(path, rank, x));
  char hex[DOR_HASH_HEX];
  dor_hash_bytes(x->data, x->size, hex);
  dor_hash_text(source, rank == 3 ? "images" : "labels", hex);
  return DOR_OK;
}

/* A folder is taken as its one file of images. */
static dor_status images_path(dor_arena *a, const char *src, const char **out)
{
  const char *const *names, *found = NULL;
  size_t n;
  *out = src;
  if (!dor_io_is_dir(src)) return DOR_OK;
  DOR_TRY(dor_io_list(a, src, &names, &n));
  for (size_t i = 0; i < n; i++) {
    if (!strstr(names[i], "images")) continue;
    DOR_NEED(!found, CONFIG, "%s: several files of images ('%s', '%s'): name one", src, found, names[i]);
    found = names[i];
  }
  DOR_NEED(found, DATA, "%s: no file with 'images' in its name", src);
  *out = dor_path_join(a, src, found);
  DOR_NEED(*out, NOMEM, "path of %s", found);
  return DOR_OK;
}

/* One of the two may be unpacked and the other not. */
static dor_status or_packed(dor_arena *a, const char **path)
{
  size_t n = strlen(*path);
  bool packed = n > 3 && !strcmp(*path + n - 3, ".gz");
  if (dor_io_exists(*path)) return DOR_OK;
  const char *other = packed ? dor_arena_fmt(a, "%.*s", (int)(n - 3), *path) : dor_arena_fmt(a, "%s.gz", *path);
  DOR_NEED(other, NOMEM, "path of labels");
  DOR_NEED(dor_io_exists(other), NOTFOUND, "%s: no such file, nor %s: the labels are wanted beside the images", *path, other);
  *path = other;
  return DOR_OK;
}

/* t10k-images-idx3-ubyte.gz -> t10k-labels-idx1-ubyte.gz */
static dor_status labels_path(dor_arena *a, const char *path, const char **out)
{
  const char *slash = strrchr(path, '/'), *at = strstr(slash ? slash : path, "images");
  DOR_NEED(at, CONFIG, "%s: the file of images is wanted ('images' in its name); that of labels is found beside it", path);
  const char *rest = at + 6, *three = strstr(rest, "idx3");
  const int before = (int)(at - path), between = three ? (int)(three - rest) : 0;
  *out = three ? dor_arena_fmt(a, "%.*slabels%.*sidx1%s", before, path, between, rest, three + 4) : dor_arena_fmt(a, "%.*slabels%s", before, path, rest);
  DOR_NEED(*out, NOMEM, "path of labels");
  return or_packed(a, out);
}

static dor_status fill(dor_dataset *d, const idx *images, const idx *labels, const dor_import_cfg *c)
{
  int32_t n = images->dims[0], classes = 2;
  size_t bytes = (size_t)n * (size_t)images->dims[1] * (size_t)images->dims[2];
  const char **id = dor_arena_alloc(&d->arena, (size_t)n * sizeof *id), **names = dor_arena_alloc(&d->arena, 256 * sizeof *names);
  int32_t *subject = dor_arena_alloc(&d->arena, (size_t)n * sizeof *subject);
  float *value = dor_arena_alloc(&d->arena, (size_t)n * sizeof *value);
  uint8_t *data = dor_arena_copy(&d->arena, images->values, bytes);
  dor_frames *f = dor_arena_alloc(&d->arena, sizeof *f);
  dor_target *t = dor_arena_alloc(&d->arena, sizeof *t);
  DOR_NEED(id && names && subject && value && data && f && t, NOMEM, "%d images", n);
  for (int32_t i = 0; i < n; i++) {
    id[i] = dor_arena_fmt(&d->arena, "%d", i + 1);
    DOR_NEED(id[i], NOMEM, "%d images", n);
    subject[i] = i;
    value[i] = labels->values[i];
    if (labels->values[i] >= classes) classes = labels->values[i] + 1;
  }
  for (int32_t k = 0; k < classes; k++) DOR_NEED(names[k] = dor_arena_fmt(&d->arena, "%d", k), NOMEM, "%d classes", classes);
  *f = (dor_frames){.name = "images", .n = n, .h = images->dims[1], .w = images->dims[2], .c = 1, .data = data, .subject = subject};
  *t = (dor_target){c->target, DOR_TARGET_CLASS, DOR_PER_SUBJECT, n, classes, names, value};
  d->n_subjects = n, d->id = id;
  d->n_images = 1, d->images = f;
  d->n_targets = 1, d->target = t;
  d->name = c->name[0] ? c->name : "images";
  d->license = c->license;
  d->created_by = "dorsum import idx";
  return DOR_OK;
}

static dor_status import_both(dor_dataset *d, const char *src, const dor_import_cfg *c, idx *images, idx *labels)
{
  const char *beside = NULL;
  dor_hash source;
  dor_hash_init(&source);
  DOR_TRY(images_path(&d->arena, src, &src));
  DOR_TRY(labels_path(&d->arena, src, &beside));
  DOR_TRY(read_idx(src, 3, images, &source));
  DOR_TRY(read_idx(beside, 1, labels, &source));
  DOR_NEED(images->dims[0] == labels->dims[0], DATA, "%s: %d labels for %d images", beside, labels->dims[0], images->dims[0]);
  dor_hash_final(&source, d->source_sha256);
  return fill(d, images, labels, c);
}

dor_status dor_import_idx(dor_dataset *d, const char *src, const dor_import_cfg *c, bool *named)
{
  idx images = {0}, labels = {0};
  *named = false;
  dor_status s = import_both(d, src, c, &images, &labels);
  dor_free(images.data);
  dor_free(labels.data);
  DOR_TRY(s);
  return DOR_OK;
}
