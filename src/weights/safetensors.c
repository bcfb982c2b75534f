/* SPDX-License-Identifier: Apache-2.0
 *
 * The strict reader and the writer of safetensors files (rules of safetensors.h).
 * The header is parsed by jansson with duplicate keys refused; everything that a
 * size or an offset could be wrong about is checked here before a tensor is shown. */
#include "weights/safetensors.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"

static uint64_t little_u64(const unsigned char *b)
{
  uint64_t v = 0;
  for (int i = 7; i >= 0; i--) v = v << 8 | b[i];
  return v;
}

typedef struct reader {
  dor_tensors *out;
  const char *path;
  const char *body;
  size_t body_bytes;
} reader;

static dor_status read_type(const reader *r, const char *name, const json_t *j, dor_tensor_type *type)
{
  const char *text = json_string_value(j);
  DOR_NEED(text, DATA, "%s: tensor '%s': no dtype", r->path, name);
  for (int i = 0; i < DOR_TENSOR_TYPE_COUNT; i++)
    if (!strcmp(dor_tensor_type_name((dor_tensor_type)i), text)) return *type = (dor_tensor_type)i, DOR_OK;
  char shown[64];
  return DOR_FAIL(DATA, "%s: tensor '%s': unknown dtype '%s'", r->path, name, dor_printable(text, shown, sizeof shown));
}

static dor_status read_shape(const reader *r, dor_tensor *t, const json_t *j)
{
  DOR_NEED(json_is_array(j), DATA, "%s: tensor '%s': no shape", r->path, t->name);
  DOR_NEED(json_array_size(j) <= DOR_TENSOR_RANK, DATA, "%s: tensor '%s': %zu dimensions, at most %d are read", r->path, t->name,
           json_array_size(j), DOR_TENSOR_RANK);
  t->rank = (int32_t)json_array_size(j);
  for (int32_t i = 0; i < t->rank; i++) {
    const json_t *d = json_array_get(j, (size_t)i);
    DOR_NEED(json_is_integer(d) && json_integer_value(d) >= 0, DATA, "%s: tensor '%s': dimension %d is no count", r->path, t->name, i);
    t->dim[i] = json_integer_value(d);
  }
  return DOR_OK;
}

static dor_status read_offsets(const reader *r, dor_tensor *t, const json_t *j)
{
  DOR_NEED(json_is_array(j) && json_array_size(j) == 2 && json_is_integer(json_array_get(j, 0)) && json_is_integer(json_array_get(j, 1)),
           DATA, "%s: tensor '%s': data_offsets must be two integers", r->path, t->name);
  json_int_t from = json_integer_value(json_array_get(j, 0)), to = json_integer_value(json_array_get(j, 1));
  DOR_NEED(from >= 0 && to >= from && (uint64_t)to <= r->body_bytes, DATA, "%s: tensor '%s': offsets %lld to %lld, the file has %zu bytes of data",
           r->path, t->name, (long long)from, (long long)to, r->body_bytes);
  int64_t n;
  size_t want;
  DOR_NEED(dor_tensor_measure(t, &n, &want), DATA, "%s: tensor '%s': its shape overflows", r->path, t->name);
  DOR_NEED(want == (size_t)(to - from), DATA, "%s: tensor '%s': %lld bytes stored, its shape needs %zu", r->path, t->name,
           (long long)(to - from), want);
  t->data = r->body + from;
  t->bytes = want;
  return DOR_OK;
}

static dor_status read_tensor(const reader *r, const char *name, const json_t *j, dor_tensor *t)
{
  char shown[DOR_TENSOR_NAME];
  DOR_NEED(dor_tensor_name_good(name), DATA, "%s: a tensor's name is empty, too long or not printable: '%s'", r->path,
           dor_printable(name, shown, sizeof shown));
  t->name = dor_arena_str(&r->out->arena, name);
  DOR_NEED(t->name, NOMEM, "%s: no memory for %zu tensors", r->path, (size_t)r->out->n);
  DOR_NEED(json_is_object(j) && json_object_size(j) == 3, DATA, "%s: tensor '%s': wanted dtype, shape and data_offsets, nothing else", r->path, name);
  DOR_TRY(read_type(r, name, json_object_get(j, "dtype"), &t->type));
  DOR_TRY(read_shape(r, t, json_object_get(j, "shape")));
  return read_offsets(r, t, json_object_get(j, "data_offsets"));
}

static dor_status read_meta(const reader *r, json_t *j)
{
  DOR_NEED(json_is_object(j), DATA, "%s: __metadata__ is no object", r->path);
  size_t n = json_object_size(j), i = 0;
  dor_meta *meta = dor_arena_alloc(&r->out->arena, (n + 1) * sizeof *meta);
  DOR_NEED(meta, NOMEM, "%s: no memory for its metadata", r->path);
  const char *key;
  json_t *value;
  json_object_foreach(j, key, value) {
    DOR_NEED(json_is_string(value), DATA, "%s: __metadata__ holds something that is no text", r->path);
    meta[i].key = dor_arena_str(&r->out->arena, key);
    meta[i].value = dor_arena_str(&r->out->arena, json_string_value(value));
    DOR_NEED(meta[i].key && meta[i].value, NOMEM, "%s: no memory for its metadata", r->path);
    i++;
  }
  r->out->meta = meta;
  r->out->n_meta = (int32_t)n;
  return DOR_OK;
}

static int by_place(const void *a, const void *b)
{
  const dor_tensor *x = a, *y = b;
  if (x->data != y->data) return (const char *)x->data < (const char *)y->data ? -1 : 1;
  return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

/* Every byte of the body belongs to exactly one tensor. */
static dor_status check_cover(const reader *r, dor_tensor *at, int32_t n)
{
  qsort(at, (size_t)n, sizeof *at, by_place);
  const char *next = r->body;
  for (int32_t i = 0; i < n; i++) {
    const char *data = at[i].data;
    DOR_NEED(data >= next, DATA, "%s: tensor '%s' overlaps another", r->path, at[i].name);
    DOR_NEED(data == next, DATA, "%s: a hole of %td bytes before tensor '%s'", r->path, data - next, at[i].name);
    next = data + at[i].bytes;
  }
  DOR_NEED(next == r->body + r->body_bytes, DATA, "%s: %td bytes at the end belong to no tensor", r->path, r->body + r->body_bytes - next);
  return DOR_OK;
}

static dor_status read_members(const reader *r, json_t *header)
{
  DOR_NEED(json_object_size(header) <= DOR_TENSOR_COUNT, DATA, "%s: %zu tensors, at most %d are read", r->path, json_object_size(header),
           DOR_TENSOR_COUNT);
  dor_tensor *at = dor_arena_alloc(&r->out->arena, (json_object_size(header) + 1) * sizeof *at);
  DOR_NEED(at, NOMEM, "%s: no memory for %zu tensors", r->path, json_object_size(header));
  int32_t n = 0;
  const char *key;
  json_t *value;
  json_object_foreach(header, key, value) {
    if (!strcmp(key, "__metadata__")) DOR_TRY(read_meta(r, value));
    else DOR_TRY(read_tensor(r, key, value, &at[n++]));
  }
  DOR_TRY(check_cover(r, at, n));
  r->out->at = at;
  r->out->n = n;
  return DOR_OK;
}

static dor_status parse(dor_tensors *out, const char *path, const void *bytes, size_t size)
{
  DOR_NEED(size >= 8, DATA, "%s: %zu bytes, too short for a safetensors file", path, size);
  uint64_t length = little_u64(bytes);
  DOR_NEED(length <= DOR_TENSOR_HEADER, DATA, "%s: its header claims %llu bytes, at most %d are read", path, (unsigned long long)length,
           DOR_TENSOR_HEADER);
  DOR_NEED(length <= size - 8, DATA, "%s: its header claims %llu bytes, the file has %zu", path, (unsigned long long)length, size - 8);
  const char *header = (const char *)bytes + 8;
  DOR_NEED(length >= 2 && header[0] == '{', DATA, "%s: its header does not start with '{'", path);
  json_error_t error;
  json_t *root = json_loadb(header, (size_t)length, JSON_REJECT_DUPLICATES, &error);
  DOR_NEED(root, DATA, "%s: header, byte %d: %s", path, error.position, error.text);
  reader r = {out, path, header + length, size - 8 - (size_t)length};
  dor_status s = read_members(&r, root);
  json_decref(root);
  return s;
}

dor_status dor_tensors_parse(dor_tensors *out, const char *name, const void *bytes, size_t size)
{
  *out = (dor_tensors){0};
  dor_status s = parse(out, name, bytes, size);
  out->format = "safetensors";
  if (s) dor_tensors_release(out);
  return s;
}

dor_status dor_tensors_read(dor_tensors *out, const char *path, size_t max_bytes)
{
  *out = (dor_tensors){0};
  char *file;
  size_t size;
  DOR_TRY(dor_io_read(path, max_bytes, &file, &size));
  dor_status s = dor_tensors_parse(out, path, file, size);
  if (s) return dor_free(file), s;
  out->file = file;
  out->size = size;
  return DOR_OK;
}

static void put_meta(dor_str *s, int32_t n, const dor_meta *meta)
{
  dor_str_add(s, "\"__metadata__\":{");
  for (int32_t i = 0; i < n; i++) {
    if (i) dor_str_add(s, ",");
    dor_str_json(s, meta[i].key);
    dor_str_add(s, ":");
    dor_str_json(s, meta[i].value);
  }
  dor_str_add(s, "}");
}

static dor_status put_tensor(dor_str *s, const dor_tensor *t, size_t *offset)
{
  int64_t n;
  size_t want;
  DOR_NEED(dor_tensor_name_good(t->name) && strcmp(t->name, "__metadata__"), ARG, "tensor name '%s' is empty, too long, reserved or not printable", t->name);
  DOR_NEED(dor_tensor_measure(t, &n, &want) && want == t->bytes, ARG, "tensor '%s': %zu bytes do not fit its shape", t->name, t->bytes);
  dor_str_json(s, t->name);
  dor_str_fmt(s, ":{\"dtype\":\"%s\",\"shape\":[", dor_tensor_type_name(t->type));
  for (int32_t i = 0; i < t->rank; i++) dor_str_fmt(s, "%s%lld", i ? "," : "", (long long)t->dim[i]);
  dor_str_fmt(s, "],\"data_offsets\":[%zu,%zu]}", *offset, *offset + want);
  *offset += want;
  return DOR_OK;
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static dor_status check_names(int32_t n, const dor_tensor *at)
{
  const char **name = dor_calloc((size_t)n + 1, sizeof *name);
  DOR_NEED(name, NOMEM, "no memory for %d tensor names", n);
  for (int32_t i = 0; i < n; i++) name[i] = at[i].name;
  qsort(name, (size_t)n, sizeof *name, by_text);
  const char *twice = NULL;
  for (int32_t i = 1; i < n; i++)
    if (!strcmp(name[i - 1], name[i])) twice = name[i];
  dor_free(name);
  DOR_NEED(!twice, ARG, "tensor '%s' stands twice", twice);
  return DOR_OK;
}

dor_status dor_tensors_encode(dor_str *out, int32_t n, const dor_tensor *at, int32_t n_meta, const dor_meta *meta)
{
  DOR_TRY(check_names(n, at));
  size_t offset = 0;
  dor_str_bytes(out, "\0\0\0\0\0\0\0\0{", 9);
  if (n_meta) put_meta(out, n_meta, meta);
  for (int32_t i = 0; i < n; i++) {
    if (i || n_meta) dor_str_add(out, ",");
    DOR_TRY(put_tensor(out, &at[i], &offset));
  }
  dor_str_add(out, "}");
  while (!out->failed && out->n % 64) dor_str_add(out, " ");
  DOR_TRY(dor_str_status(out));
  for (int i = 0; i < 8; i++) out->s[i] = (char)((out->n - 8) >> (8 * i) & 255);
  for (int32_t i = 0; i < n; i++) dor_str_bytes(out, at[i].data, at[i].bytes);
  return dor_str_status(out);
}

dor_status dor_tensors_write(const char *path, int32_t n, const dor_tensor *at, int32_t n_meta, const dor_meta *meta)
{
  dor_str file = {0};
  dor_status s = dor_tensors_encode(&file, n, at, n_meta, meta);
  if (!s) s = dor_io_write(path, file.s, file.n);
  dor_str_release(&file);
  return s;
}
