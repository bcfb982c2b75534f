/* SPDX-License-Identifier: Apache-2.0 */
#include "data/coco_json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

const char *dor_place_print(const dor_place *p, dor_place_text out)
{
  char id[32] = "";
  if (p->has_id) snprintf(id, sizeof id, " (id %lld)", (long long)p->id);
  snprintf(out, sizeof(dor_place_text), "%.400s: %s[%zu]%s", p->file, p->list, p->at, id);
  return out;
}

dor_status dor_coco_json(const char *name, const char *text, size_t size, json_t **out)
{
  json_error_t e;
  char shown[192];
  *out = json_loadb(text, size, JSON_REJECT_DUPLICATES, &e);
  DOR_NEED(*out, DATA, "%s:%d: byte %d: %s", name, e.line, e.position, dor_printable(e.text, shown, sizeof shown));
  return DOR_OK;
}

static dor_status member(const dor_place *p, const json_t *o, const char *key, json_t **out)
{
  *out = json_object_get(o, key);
  DOR_NEED(*out, DATA, "%s: no '%s'", DOR_PLACE(p), key);
  return DOR_OK;
}

dor_status dor_take_int(const dor_place *p, const json_t *o, const char *key, int64_t lo, int64_t hi, int64_t *out)
{
  const json_t *v = json_object_get(o, key);
  if (!v) return DOR_OK;
  DOR_NEED(json_is_integer(v), DATA, "%s: '%s' wants a whole number", DOR_PLACE(p), key);
  int64_t x = json_integer_value(v);
  DOR_NEED(x >= lo && x <= hi, DATA, "%s: '%s' is %lld, wanted %lld to %lld", DOR_PLACE(p), key, (long long)x, (long long)lo, (long long)hi);
  *out = x;
  return DOR_OK;
}

dor_status dor_need_int(const dor_place *p, const json_t *o, const char *key, int64_t lo, int64_t hi, int64_t *out)
{
  json_t *v;
  DOR_TRY(member(p, o, key, &v));
  return dor_take_int(p, o, key, lo, hi, out);
}

dor_status dor_need_id(const dor_place *p, const json_t *o, const char *key, int64_t *out)
{
  return dor_need_int(p, o, key, 0, (int64_t)1 << 53, out);
}

dor_status dor_need_text(const dor_place *p, dor_arena *a, const json_t *o, const char *key, const char **out)
{
  json_t *v;
  DOR_TRY(member(p, o, key, &v));
  DOR_NEED(json_is_string(v) && json_string_length(v) > 0 && json_string_length(v) < 1024 && strlen(json_string_value(v)) == json_string_length(v), DATA,
           "%s: '%s' wants a text", DOR_PLACE(p), key);
  *out = dor_arena_str(a, json_string_value(v));
  DOR_NEED(*out, NOMEM, "no memory for %s", p->file);
  return DOR_OK;
}

dor_status dor_take_real(const dor_place *p, const json_t *o, const char *key, double *out)
{
  const json_t *v = json_object_get(o, key);
  if (!v) return DOR_OK;
  DOR_NEED(json_is_number(v) && isfinite(json_number_value(v)), DATA, "%s: '%s' wants a finite number", DOR_PLACE(p), key);
  *out = json_number_value(v);
  return DOR_OK;
}

dor_status dor_numbers(const dor_place *p, dor_arena *a, const json_t *array, const char *key, const double **out, int32_t *n)
{
  DOR_NEED(json_is_array(array), DATA, "%s: '%s' wants an array of numbers", DOR_PLACE(p), key);
  const size_t count = json_array_size(array);
  DOR_NEED(count < 1 << 24, DATA, "%s: '%s' has %zu numbers", DOR_PLACE(p), key, count);
  double *x = dor_arena_alloc(a, (count + 1) * sizeof *x);
  DOR_NEED(x, NOMEM, "no memory for %s", p->file);
  for (size_t i = 0; i < count; i++) {
    const json_t *v = json_array_get(array, i);
    DOR_NEED(json_is_number(v) && isfinite(json_number_value(v)), DATA, "%s: '%s'[%zu] is no finite number", DOR_PLACE(p), key, i);
    x[i] = json_number_value(v);
  }
  *out = x, *n = (int32_t)count;
  return DOR_OK;
}

/* ---- ids ---- */

dor_status dor_ids_init(dor_ids *t, dor_arena *a, size_t most)
{
  t->slots = 16;
  while ((size_t)t->slots < 2 * most + 1) t->slots *= 2;
  t->n = 0;
  t->slot = dor_arena_alloc(a, (size_t)t->slots * sizeof *t->slot);
  t->id = dor_arena_alloc(a, (most + 1) * sizeof *t->id);
  DOR_NEED(t->slot && t->id, NOMEM, "no memory for %zu ids", most);
  return DOR_OK;
}

/* The slot where the id is or would be. */
static int64_t place_of(const dor_ids *t, int64_t id)
{
  uint64_t h = (uint64_t)id * 0x9E3779B97F4A7C15u;
  int64_t k = (int64_t)((h ^ h >> 32) & (uint64_t)(t->slots - 1));
  while (t->slot[k] && t->id[t->slot[k] - 1] != id) k = (k + 1) & (t->slots - 1);
  return k;
}

int32_t dor_ids_find(const dor_ids *t, int64_t id) { return t->slot[place_of(t, id)] - 1; }

bool dor_ids_add(dor_ids *t, int64_t id)
{
  int64_t k = place_of(t, id);
  if (t->slot[k]) return false;
  t->id[t->n] = id;
  t->slot[k] = (int32_t)++t->n;
  return true;
}
