/* SPDX-License-Identifier: Apache-2.0
 *
 * What a weight file holds: its tensors, counts by type, and what they were
 * trained on. Numbers that are not finite are counted here, not refused. */
#include "cli/describe_weights.h"

#include <string.h>

#include "weights/weights.h"

typedef struct counts {
  int64_t numbers;
  int32_t of_type[DOR_TENSOR_TYPE_COUNT];
  int32_t not_finite;          /* tensors */
} counts;

static int64_t numbers_of(const dor_tensor *t) { return (int64_t)(t->bytes / dor_tensor_type_bytes(t->type)); }

/* Types that are not read as numbers (8-bit floats) are listed all the same. */
static bool finite(const dor_tensor *t)
{
  int64_t bad;
  return dor_tensor_finite(t, &bad) || bad < 0;
}

static counts count(const dor_tensors *t)
{
  counts c = {0};
  for (int32_t i = 0; i < t->n; i++) {
    c.numbers += numbers_of(&t->at[i]);
    c.of_type[t->at[i].type]++;
    c.not_finite += !finite(&t->at[i]);
  }
  return c;
}

static void put_types(const counts *c, bool json, dor_str *s)
{
  const char *between = "";
  for (int i = 0; i < DOR_TENSOR_TYPE_COUNT; i++) {
    if (!c->of_type[i]) continue;
    dor_str_fmt(s, json ? "%s\"%s\": %d" : "%s%s %d", between, dor_tensor_type_name((dor_tensor_type)i), c->of_type[i]);
    between = ", ";
  }
}

static void put_text(const dor_tensors *t, const char *path, const counts *c, const dor_weights_record *r, dor_str *s)
{
  dor_tensor_text shape;
  dor_str_fmt(s, "%s: %s, %d tensors (", path, t->format, t->n);
  put_types(c, false, s);
  dor_str_fmt(s, "), %lld numbers, %zu bytes\nweights ", (long long)c->numbers, t->size);
  dor_weights_record_line(r, s);
  dor_str_add(s, "\n");
  if (c->not_finite) dor_str_fmt(s, "NOT FINITE: %d tensors hold NaN or infinity\n", c->not_finite);
  for (int32_t i = 0; i < t->n_meta; i++) {
    char shown[256];
    dor_str_fmt(s, "  %s = %s\n", t->meta[i].key, dor_printable(t->meta[i].value, shown, sizeof shown));
  }
  dor_str_add(s, "\n");
  for (int32_t i = 0; i < t->n; i++) {
    const dor_tensor *q = &t->at[i];
    dor_str_fmt(s, "  %-48s %-4s %s%s\n", q->name, dor_tensor_type_name(q->type), dor_tensor_shape(q, shape), finite(q) ? "" : "  NOT FINITE");
  }
}

static void put_json(const dor_tensors *t, const char *path, const counts *c, const dor_weights_record *r, dor_str *s)
{
  dor_tensor_text shape;
  dor_str_add(s, "{\"file\": ");
  dor_str_json(s, path);
  dor_str_add(s, ", \"format\": ");
  dor_str_json(s, t->format);
  dor_str_fmt(s, ", \"bytes\": %zu, \"numbers\": %lld, \"not_finite\": %d, \"origin_known\": %s, \"synthetic\": %s,\n \"types\": {", t->size,
              (long long)c->numbers, c->not_finite, dor_weights_known(r) ? "true" : "false", dor_weights_synthetic(r) ? "true" : "false");
  put_types(c, true, s);
  dor_str_add(s, "},\n \"metadata\": {");
  for (int32_t i = 0; i < t->n_meta; i++) {
    if (i) dor_str_add(s, ", ");
    dor_str_json(s, t->meta[i].key);
    dor_str_add(s, ": ");
    dor_str_json(s, t->meta[i].value);
  }
  dor_str_add(s, "},\n \"tensors\": [");
  for (int32_t i = 0; i < t->n; i++) {
    dor_str_add(s, i ? ",\n  {\"name\": " : "\n  {\"name\": ");
    dor_str_json(s, t->at[i].name);
    dor_str_fmt(s, ", \"dtype\": \"%s\", \"shape\": %s}", dor_tensor_type_name(t->at[i].type), dor_tensor_shape(&t->at[i], shape));
  }
  dor_str_add(s, "]}\n");
}

dor_status dor_describe_weights(const dor_cli *c, const char *path)
{
  dor_tensors t;
  dor_weights_record r;
  dor_str s = {0};
  char shown[4200];
  DOR_TRY(dor_weights_read(&t, path));
  dor_weights_record_of(&t, &r);
  counts n = count(&t);
  if (c->json) put_json(&t, path, &n, &r, &s);
  else put_text(&t, dor_printable(path, shown, sizeof shown), &n, &r, &s);
  dor_status status = dor_str_status(&s);
  dor_out_str(&s);
  dor_tensors_release(&t);
  if (!status) dor_say(c, "next: dorsum convert %s -o FILE.safetensors", dor_printable(path, shown, sizeof shown));
  return status;
}
