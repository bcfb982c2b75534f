/* SPDX-License-Identifier: Apache-2.0
 *
 * From a pickle and its storages to tensors in C order. The zip reader and the
 * legacy reader only differ in where the pickle and the storages lie. */
#include "weights/pth.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "weights/pickle.h"
#include "weights/zip.h"

enum { UNFOLD = 16, SMALL = 64 << 10 }; /* views may take this many times the file's bytes when unfolded, and a little more */

static const unsigned char magic[] = {0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.'};
static const unsigned char protocol[] = {0x80, 2, 'M', 0xe9, 3, '.'}; /* 1001 */

typedef struct reader {
  dor_tensors *out;
  const char *file;
  const unsigned char *bytes;
  size_t size, at;             /* at: where the legacy reader stands */
  dor_pickle pickle;
} reader;

bool dor_pth_is(const void *bytes, size_t size)
{
  return (size >= 4 && !memcmp(bytes, "PK\3\4", 4)) || (size >= sizeof magic && !memcmp(bytes, magic, sizeof magic));
}

/* The bytes of a storage as the pickle claims them: exactly that many must be there. */
static dor_status bind(reader *r, dor_pickle_storage *s, const void *data, size_t there)
{
  size_t want = (size_t)s->n * dor_tensor_type_bytes(s->type);
  DOR_NEED(want == there, DATA, "%s: storage %s: %zu bytes, its %lld x %s need %zu", r->file, s->key, there, (long long)s->n,
           dor_tensor_type_name(s->type), want);
  s->data = data;
  return DOR_OK;
}

/* ---- the zip archive ---- */

/* Entries lie in one folder: "archive/data.pkl"; what stands after the slash, NULL when it is in another. */
static const char *inside(const dor_zip_entry *e, const char *root, size_t n) { return strncmp(e->name, root, n) ? NULL : e->name + n; }

static bool text_is(const dor_zip_entry *e, const char *text)
{
  size_t n = strlen(text);
  return e->size >= n && !memcmp(e->data, text, n) && (e->size == n || (e->size == n + 1 && e->data[n] == '\n'));
}

static dor_status find_pickle(const reader *r, const dor_zip *z, const char *root, size_t n, const dor_zip_entry **out)
{
  static const char *const known[] = {"version", ".format_version", ".storage_alignment", ".data/serialization_id"};
  *out = NULL;
  for (int32_t i = 0; i < z->n; i++) {
    const char *name = inside(&z->at[i], root, n);
    DOR_NEED(name, DATA, "%s: entry '%s' lies outside the folder '%.*s'", r->file, z->at[i].name, (int)n, root);
    bool fine = !strncmp(name, "data/", 5);
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) fine = fine || !strcmp(name, known[k]);
    if (!strcmp(name, "data.pkl")) *out = &z->at[i];
    else if (!strcmp(name, "byteorder")) DOR_NEED(text_is(&z->at[i], "little"), DATA, "%s: entry '%s': not little-endian", r->file, z->at[i].name);
    else if (!strncmp(name, "code/", 5) || !strncmp(name, "constants", 9))
      return DOR_FAIL(DATA, "%s: entry '%s': a TorchScript archive is code, not weights", r->file, z->at[i].name);
    else DOR_NEED(fine, DATA, "%s: entry '%s' is none that torch.save writes", r->file, z->at[i].name);
  }
  DOR_NEED(*out, DATA, "%s: a zip archive without data.pkl: not written by torch.save", r->file);
  return DOR_OK;
}

static dor_status bind_zip(reader *r, const dor_zip *z, const char *root, size_t n)
{
  dor_pickle *p = &r->pickle;
  for (int32_t i = 0; i < z->n; i++) {
    const char *name = inside(&z->at[i], root, n);
    if (!name || strncmp(name, "data/", 5)) continue;
    int32_t k = dor_intern_find(&p->keys, name + 5);
    DOR_NEED(k >= 0, DATA, "%s: entry '%s' is named by no tensor", r->file, z->at[i].name);
    DOR_TRY(bind(r, &p->storage[k], z->at[i].data, z->at[i].size));
  }
  for (int32_t k = 0; k < p->n_storages; k++) DOR_NEED(p->storage[k].data, DATA, "%s: no entry data/%s", r->file, p->storage[k].key);
  return DOR_OK;
}

static dor_status read_zip(reader *r)
{
  dor_zip z;
  const dor_zip_entry *pickle;
  DOR_TRY(dor_zip_parse(&z, &r->out->arena, r->file, r->bytes, r->size));
  const char *root = z.n ? z.at[0].name : "", *slash = strchr(root, '/');
  DOR_NEED(slash, DATA, "%s: a zip archive without folder: not written by torch.save", r->file);
  size_t n = (size_t)(slash + 1 - root);
  DOR_TRY(find_pickle(r, &z, root, n, &pickle));
  r->pickle.part = "data.pkl";
  DOR_TRY(dor_pickle_read(&r->pickle, pickle->data, pickle->size));
  DOR_NEED(r->pickle.used == pickle->size, DATA, "%s: data.pkl: %zu bytes after its end", r->file, pickle->size - r->pickle.used);
  return bind_zip(r, &z, root, n);
}

/* ---- the legacy file ---- */

static dor_status next_pickle(reader *r, dor_pickle *p, const char *part)
{
  *p = (dor_pickle){.arena = &r->out->arena, .file = r->file, .part = part};
  DOR_TRY(dor_pickle_read(p, r->bytes + r->at, r->size - r->at));
  r->at += p->used;
  return DOR_OK;
}

static dor_status read_system(reader *r)
{
  dor_pickle p;
  DOR_NEED(r->size - r->at >= sizeof protocol && !memcmp(r->bytes + r->at, protocol, sizeof protocol), DATA,
           "%s: byte %zu: not protocol 1001, the one legacy files have", r->file, r->at);
  r->at += sizeof protocol;
  DOR_TRY(next_pickle(r, &p, "system description"));
  const dor_pickle_value *little = dor_pickle_get(&p.value, "little_endian");
  DOR_NEED(little && little->kind == DOR_PICKLE_BOOL && little->yes, DATA, "%s: system description: not little-endian", r->file);
  return DOR_OK;
}

static dor_status bind_next(reader *r, const dor_pickle_value *key)
{
  const char *text = dor_pickle_text(&r->out->arena, key);
  int32_t k = text ? dor_intern_find(&r->pickle.keys, text) : -1;
  DOR_NEED(k >= 0, DATA, "%s: list of storages: one is named by no tensor", r->file);
  dor_pickle_storage *s = &r->pickle.storage[k];
  DOR_NEED(!s->data, DATA, "%s: list of storages: %s stands twice", r->file, s->key);
  DOR_NEED(r->size - r->at >= 8, DATA, "%s: storage %s: cut off", r->file, s->key);
  uint64_t n = 0, want = (uint64_t)s->n * dor_tensor_type_bytes(s->type);
  for (int i = 7; i >= 0; i--) n = n << 8 | r->bytes[r->at + (size_t)i];
  r->at += 8;
  DOR_NEED(n == (uint64_t)s->n, DATA, "%s: storage %s: %llu elements, a tensor says %lld", r->file, s->key, (unsigned long long)n, (long long)s->n);
  DOR_NEED(want <= r->size - r->at, DATA, "%s: storage %s: cut off: %llu bytes are wanted, %zu are left", r->file, s->key, (unsigned long long)want,
           r->size - r->at);
  DOR_TRY(bind(r, s, r->bytes + r->at, (size_t)want));
  r->at += (size_t)want;
  return DOR_OK;
}

static dor_status read_legacy(reader *r)
{
  dor_pickle keys;
  r->at = sizeof magic;
  DOR_TRY(read_system(r));
  DOR_TRY(next_pickle(r, &r->pickle, "object"));
  DOR_TRY(next_pickle(r, &keys, "list of storages"));
  DOR_NEED(keys.value.kind == DOR_PICKLE_LIST, DATA, "%s: list of storages: no list", r->file);
  DOR_NEED(keys.value.items->n == r->pickle.n_storages, DATA, "%s: list of storages: %lld, the tensors have %d", r->file, (long long)keys.value.items->n,
           r->pickle.n_storages);
  for (const struct dor_pickle_piece *p = keys.value.items->first; p; p = p->next)
    for (int32_t i = 0; i < p->n; i++) DOR_TRY(bind_next(r, &p->at[i]));
  DOR_NEED(r->at == r->size, DATA, "%s: %zu bytes after the last storage", r->file, r->size - r->at);
  return DOR_OK;
}

/* ---- which dictionary ---- */

static void list_keys(const dor_pickle_value *top, char *out, size_t size)
{
  size_t used = 0;
  char shown[40], text[24];
  for (const struct dor_pickle_piece *p = top->items->first; p; p = p->next)
    for (int32_t i = 0; i < p->n && used < 160; i += 2) {
      const dor_pickle_value *k = &p->at[i];
      snprintf(text, sizeof text, "%.*s", k->kind == DOR_PICKLE_TEXT ? k->n < 20 ? k->n : 20 : 1, k->kind == DOR_PICKLE_TEXT ? k->text : "?");
      used += (size_t)snprintf(out + used, size - used, "%s'%s'", used ? ", " : "", dor_printable(text, shown, sizeof shown));
    }
}

static bool has_tensor(const dor_pickle_value *dict)
{
  for (const struct dor_pickle_piece *p = dict->items->first; p; p = p->next)
    for (int32_t i = 1; i < p->n; i += 2)
      if (p->at[i].kind == DOR_PICKLE_TENSOR) return true;
  return false;
}

static dor_status choose(const reader *r, const dor_pickle_value **out, const char **inside_of)
{
  static const char *const names[] = {"best_state_dict", "state_dict", "model"};
  const dor_pickle_value *top = &r->pickle.value;
  char keys[256] = "";
  *out = top, *inside_of = "";
  DOR_NEED(top->kind == DOR_PICKLE_DICT, DATA, "%s: it holds no dictionary of tensors", r->file);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const dor_pickle_value *v = dor_pickle_get(top, names[i]);
    if (v && v->kind == DOR_PICKLE_DICT) return *out = v, *inside_of = names[i], DOR_OK;
  }
  list_keys(top, keys, sizeof keys);
  DOR_NEED(has_tensor(top), DATA, "%s: no tensors: neither best_state_dict, state_dict nor model, only %s", r->file, *keys ? keys : "an empty dictionary");
  return DOR_OK;
}

/* ---- tensors ---- */

static bool in_order(const dor_pickle_tensor *v)
{
  int64_t step = 1;
  for (int32_t i = v->rank - 1; i >= 0; i--) {
    if (v->dim[i] != 1 && v->stride[i] != step) return false;
    step *= v->dim[i];
  }
  return true;
}

/* Elements by the view's strides, last index fastest. */
static void unfold(const dor_pickle_tensor *v, const char *from, size_t bytes, int64_t n, char *to)
{
  int64_t at[DOR_TENSOR_RANK] = {0}, place = v->offset;
  for (int64_t i = 0; i < n; i++, to += bytes) {
    memcpy(to, from + (size_t)place * bytes, bytes);
    for (int32_t k = v->rank - 1; k >= 0; k--) {
      if (v->dim[k] == 1) continue; /* its stride means nothing and may be anything */
      place += v->stride[k];
      if (++at[k] < v->dim[k]) break;
      place -= v->stride[k] * v->dim[k], at[k] = 0;
    }
  }
}

static dor_status fill(reader *r, const dor_pickle_tensor *v, size_t *room, dor_tensor *t)
{
  const dor_pickle_storage *s = &r->pickle.storage[v->storage];
  int64_t n;
  t->type = s->type, t->rank = v->rank;
  memcpy(t->dim, v->dim, sizeof t->dim);
  DOR_NEED(dor_tensor_measure(t, &n, &t->bytes), DATA, "%s: tensor '%s': its shape overflows", r->file, t->name);
  t->data = s->data + (size_t)v->offset * dor_tensor_type_bytes(s->type);
  if (!n || in_order(v)) return DOR_OK;
  DOR_NEED(t->bytes <= *room, DATA, "%s: tensor '%s': views of few bytes would take more than %d times the file", r->file, t->name, UNFOLD);
  *room -= t->bytes;
  char *to = dor_arena_alloc(&r->out->arena, t->bytes);
  DOR_NEED(to, NOMEM, "%s: tensor '%s': no memory for its %zu bytes", r->file, t->name, t->bytes);
  unfold(v, s->data, dor_tensor_type_bytes(s->type), n, to);
  t->data = to;
  return DOR_OK;
}

static dor_status name_of(reader *r, const dor_pickle_value *key, dor_intern *names, const char **out)
{
  static const char *const kinds[] = {"None", "a truth value", "a whole number", "a number", "", "a tuple", "a list", "a dictionary", "a class",
                                      "a storage", "a tensor"};
  DOR_NEED(key->kind == DOR_PICKLE_TEXT, DATA, "%s: the name of a tensor is %s", r->file, kinds[key->kind]);
  char *name = dor_pickle_text(&r->out->arena, key);
  int32_t fresh;
  DOR_NEED(name && dor_tensor_name_good(name), DATA, "%s: a tensor's name is empty, longer than %d bytes or not printable", r->file, DOR_TENSOR_NAME);
  dor_intern_put(names, name, &fresh);
  DOR_NEED(fresh, DATA, "%s: tensor '%s' stands twice", r->file, name);
  *out = name;
  return DOR_OK;
}

static dor_status take_all(reader *r, const dor_pickle_value *dict, dor_tensor *at)
{
  dor_intern names;
  size_t room = r->size <= (SIZE_MAX - SMALL) / UNFOLD ? UNFOLD * r->size + SMALL : SIZE_MAX;
  DOR_TRY(dor_intern_init(&names, &r->out->arena, (int32_t)(dict->items->n / 2)));
  for (const struct dor_pickle_piece *p = dict->items->first; p; p = p->next)
    for (int32_t i = 0; i + 1 < p->n; i += 2) {
      dor_tensor *t = &at[r->out->n++];
      DOR_TRY(name_of(r, &p->at[i], &names, &t->name));
      DOR_NEED(p->at[i + 1].kind == DOR_PICKLE_TENSOR, DATA, "%s: '%s' stands among the tensors and is none", r->file, t->name);
      DOR_TRY(fill(r, p->at[i + 1].tensor, &room, t));
    }
  return DOR_OK;
}

/* Removed from every name if all begin with it, and with `dotted` only if all have a dot left. */
static bool strip(dor_tensor *at, int32_t n, const char *prefix, bool dotted)
{
  size_t length = strlen(prefix);
  for (int32_t i = 0; i < n; i++)
    if (strncmp(at[i].name, prefix, length) || !at[i].name[length] || (dotted && !strchr(at[i].name + length, '.'))) return false;
  for (int32_t i = 0; i < n; i++) at[i].name += length;
  return n > 0;
}

static dor_status collect(reader *r, const char *format)
{
  const dor_pickle_value *dict;
  const char *key;
  DOR_TRY(choose(r, &dict, &key));
  DOR_NEED(dict->items->n / 2 <= DOR_TENSOR_COUNT, DATA, "%s: %lld tensors, at most %d are read", r->file, (long long)dict->items->n / 2, DOR_TENSOR_COUNT);
  dor_tensor *at = dor_arena_alloc(&r->out->arena, ((size_t)dict->items->n / 2 + 1) * sizeof *at);
  DOR_NEED(at, NOMEM, "%s: no memory for its tensors", r->file);
  DOR_TRY(take_all(r, dict, at));
  bool module = strip(at, r->out->n, "module.", false), one = strip(at, r->out->n, "1.", true);
  r->out->at = at;
  r->out->format = dor_arena_fmt(&r->out->arena, "PyTorch (%s)%s%s%s%s", format, *key ? ", " : "", key,
                                 module ? ", without 'module.'" : "", one ? ", without '1.'" : "");
  DOR_NEED(r->out->format, NOMEM, "%s: no memory for its tensors", r->file);
  return DOR_OK;
}

dor_status dor_pth_parse(dor_tensors *out, const char *name, const void *bytes, size_t size)
{
  *out = (dor_tensors){0};
  reader r = {.out = out, .file = name, .bytes = bytes, .size = size, .pickle = {.arena = &out->arena, .file = name}};
  bool legacy = size >= sizeof magic && !memcmp(bytes, magic, sizeof magic);
  dor_status s = legacy ? read_legacy(&r) : read_zip(&r);
  if (!s) s = collect(&r, legacy ? "legacy" : "zip");
  if (s) dor_tensors_release(out);
  return s;
}
