/* SPDX-License-Identifier: Apache-2.0 */
#include "base/schema.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_KEYS = 256, MOST_ITEMS = 100000 };

_Static_assert(!offsetof(dor_ints, n) && !offsetof(dor_reals, n) && !offsetof(dor_texts, n), "arrays begin with their length");

static void *field(void *obj, const dor_key *k) { return (char *)obj + k->offset; }
static const void *field_of(const void *obj, const dor_key *k) { return (const char *)obj + k->offset; }
static dor_status no_memory(const dor_key *k) { return DOR_FAIL(NOMEM, "out of memory for '%s'", k->name); }

/* Numbers may be 4 or 8 bytes wide: attributes of ops are rows too. */
static void set_int(void *obj, const dor_key *k, int64_t x)
{
  if (k->size == 4) *(int32_t *)field(obj, k) = (int32_t)x;
  else *(int64_t *)field(obj, k) = x;
}

static void set_real(void *obj, const dor_key *k, double x)
{
  if (k->size == 4) *(float *)field(obj, k) = (float)x;
  else *(double *)field(obj, k) = x;
}

static int64_t get_int(const void *obj, const dor_key *k)
{
  const void *p = field_of(obj, k);
  return k->size == 4 ? *(const int32_t *)p : *(const int64_t *)p;
}

static double get_real(const void *obj, const dor_key *k)
{
  const void *p = field_of(obj, k);
  return k->size == 4 ? (double)*(const float *)p : *(const double *)p;
}

/* ---- defaults ---- */

static size_t item_size(const dor_key *k) { return k->type == DOR_KEY_TEXTS ? sizeof(char *) : 8; }

static dor_status set_array(void *obj, const dor_key *k, int32_t n, void *v)
{
  switch (k->type) {
    case DOR_KEY_INTS: *(dor_ints *)field(obj, k) = (dor_ints){n, v}; return DOR_OK;
    case DOR_KEY_REALS: *(dor_reals *)field(obj, k) = (dor_reals){n, v}; return DOR_OK;
    default: *(dor_texts *)field(obj, k) = (dor_texts){n, v}; return DOR_OK;
  }
}

static int32_t count_items(const char *text)
{
  int32_t n = *text != 0;
  for (; *text; text++) n += *text == ',';
  return n;
}

static dor_status default_array(const dor_key *k, void *obj, dor_arena *a)
{
  int32_t n = count_items(k->text);
  char *v = dor_arena_alloc(a, (size_t)n * item_size(k)), *text = dor_arena_str(a, k->text);
  if (!v || !text) return no_memory(k);
  for (int32_t i = 0; i < n; i++) {
    size_t length = strcspn(text, ",");
    text[length] = 0;
    if (k->type == DOR_KEY_INTS) DOR_TRY(dor_parse_int(text, (int64_t *)(void *)v + i));
    else if (k->type == DOR_KEY_REALS) DOR_TRY(dor_parse_real(text, (double *)(void *)v + i));
    else ((const char **)(void *)v)[i] = text;
    text += length + 1;
  }
  return set_array(obj, k, n, v);
}

dor_status dor_schema_defaults(const dor_key *keys, void *obj, dor_arena *a)
{
  for (const dor_key *k = keys; k->name; k++) switch (k->type) {
      case DOR_KEY_NONE: break;
      case DOR_KEY_INT: set_int(obj, k, k->int_def); break;
      case DOR_KEY_REAL: set_real(obj, k, k->def); break;
      case DOR_KEY_BOOL: *(bool *)field(obj, k) = k->int_def != 0; break;
      case DOR_KEY_TEXT: *(const char **)field(obj, k) = k->text; break;
      case DOR_KEY_ENUM: *(int *)field(obj, k) = 0; break;
      case DOR_KEY_INTS:
      case DOR_KEY_REALS:
      case DOR_KEY_TEXTS: DOR_TRY(default_array(k, obj, a)); break;
    }
  return DOR_OK;
}

/* ---- loading ---- */

static const char *shown(const dor_tree *t, char out[96]) /* a value, for messages */
{
  dor_str s = {0};
  switch (t->type) {
    case DOR_TREE_INT: snprintf(out, 96, "%lld", (long long)t->i); break;
    case DOR_TREE_REAL:
      dor_str_real(&s, t->r);
      snprintf(out, 96, "%s", s.s ? s.s : "?");
      dor_str_release(&s);
      break;
    case DOR_TREE_BOOL: snprintf(out, 96, "%s", t->b ? "true" : "false"); break;
    case DOR_TREE_TEXT: {
      char safe[88];
      snprintf(out, 96, "'%s'", dor_printable(t->text, safe, sizeof safe));
      break;
    }
    case DOR_TREE_LIST: snprintf(out, 96, "a list"); break;
    case DOR_TREE_GROUP: snprintf(out, 96, "a group"); break;
  }
  return out;
}

static dor_status wants(const dor_key *k, const dor_tree *t, const char *what)
{
  char where[256], value[96];
  return DOR_FAIL(CONFIG, "%s: '%s' wants %s, got %s", dor_tree_where(t, where), k->name, what, shown(t, value));
}

static dor_status outside(const dor_key *k, const dor_tree *t, bool whole)
{
  char where[256], value[96], range[96];
  if (whole) snprintf(range, sizeof range, "[%lld, %lld]", (long long)k->int_min, (long long)k->int_max);
  else snprintf(range, sizeof range, "[%g, %g]", k->min, k->max);
  return DOR_FAIL(CONFIG, "%s: '%s' must lie in %s%s%s, got %s", dor_tree_where(t, where), k->name, range, *k->unit ? " " : "", k->unit, shown(t, value));
}

static dor_status read_int(const dor_key *k, const dor_tree *t, int64_t *out)
{
  if (t->type != DOR_TREE_INT) return wants(k, t, "a whole number");
  if (t->i < k->int_min || t->i > k->int_max) return outside(k, t, true);
  *out = t->i;
  return DOR_OK;
}

static dor_status read_real(const dor_key *k, const dor_tree *t, double *out)
{
  if (t->type != DOR_TREE_INT && t->type != DOR_TREE_REAL) return wants(k, t, "a number");
  double x = t->type == DOR_TREE_INT ? (double)t->i : t->r;
  if (!(x >= k->min && x <= k->max)) return outside(k, t, false);
  *out = x;
  return DOR_OK;
}

/* What looks like a number on the command line is still the text that was typed. */
static dor_status read_text(const dor_key *k, const dor_tree *t, const char **out)
{
  if (t->type == DOR_TREE_GROUP || !t->text) return wants(k, t, "a text in double quotes");
  *out = t->text;
  return DOR_OK;
}

static dor_status read_choice(const dor_key *k, const dor_tree *t, int *out)
{
  const char *v = "";
  char where[256], value[96];
  DOR_TRY(read_text(k, t, &v));
  size_t n = strlen(v);
  int i = 0;
  for (const char *p = k->text; p; p = strchr(p, '|'), p = p ? p + 1 : NULL, i++)
    if (strcspn(p, "|") == n && !strncmp(p, v, n)) {
      *out = i;
      return DOR_OK;
    }
  return DOR_FAIL(CONFIG, "%s: '%s' must be one of %s, got %s", dor_tree_where(t, where), k->name, k->text, shown(t, value));
}

static dor_status read_item(const dor_key *k, const dor_tree *t, void *v, int32_t i)
{
  if (k->type == DOR_KEY_INTS) return read_int(k, t, (int64_t *)v + i);
  if (k->type == DOR_KEY_REALS) return read_real(k, t, (double *)v + i);
  return read_text(k, t, (const char **)v + i);
}

static dor_status read_array(const dor_key *k, const dor_tree *t, void *obj, dor_arena *a)
{
  bool list = t->type == DOR_TREE_LIST; /* a single value is a list of one */
  int32_t n = list ? dor_tree_count(t) : 1, i = 0;
  if (t->type == DOR_TREE_GROUP || n > MOST_ITEMS) return wants(k, t, "a list");
  if (!list && t->type == DOR_TREE_TEXT && !*t->text) n = 0; /* key= on the command line empties a list */
  void *v = dor_arena_alloc(a, (size_t)n * item_size(k));
  if (!v) return no_memory(k);
  if (!list && n) DOR_TRY(read_item(k, t, v, 0));
  for (const dor_tree *m = list ? t->first : NULL; m; m = m->next) DOR_TRY(read_item(k, m, v, i++));
  return set_array(obj, k, n, v);
}

static dor_status read_field(const dor_key *k, const dor_tree *t, void *obj, dor_arena *a)
{
  int64_t i = 0;
  double r = 0;
  switch (k->type) {
    case DOR_KEY_INT:
      DOR_TRY(read_int(k, t, &i));
      set_int(obj, k, i);
      return DOR_OK;
    case DOR_KEY_REAL:
      DOR_TRY(read_real(k, t, &r));
      set_real(obj, k, r);
      return DOR_OK;
    case DOR_KEY_BOOL:
      if (t->type != DOR_TREE_BOOL) return wants(k, t, "true or false");
      *(bool *)field(obj, k) = t->b;
      return DOR_OK;
    case DOR_KEY_TEXT: return read_text(k, t, (const char **)field(obj, k));
    case DOR_KEY_ENUM: return read_choice(k, t, (int *)field(obj, k));
    default: return read_array(k, t, obj, a);
  }
}

static bool listed(const char *name, const char *const names[])
{
  for (; names && *names; names++)
    if (!strcmp(*names, name)) return true;
  return false;
}

dor_status dor_schema_unknown(const dor_key *keys, const dor_tree *t, const char *const also[])
{
  const char *names[MOST_KEYS];
  char where[256], all[640] = "";
  size_t n = 0, used = 0;
  for (const dor_key *k = keys; k && k->name && n < MOST_KEYS; k++) names[n++] = k->name;
  for (; also && *also && n < MOST_KEYS; also++) names[n++] = *also;
  dor_tree_where(t, where);
  const char *near = dor_nearest(t->name, names, n);
  if (near) return DOR_FAIL(CONFIG, "%s: no key '%s'; did you mean '%s'?", where, t->name, near);
  for (size_t i = 0; i < n && used < sizeof all - 40; i++)
    used += (size_t)snprintf(all + used, sizeof all - used, "%s%.30s", i ? ", " : "", names[i]);
  return DOR_FAIL(CONFIG, "%s: no key '%s'; there are: %s", where, t->name, n ? all : "none");
}

dor_status dor_schema_load(const dor_key *keys, void *obj, const dor_tree *group, const char *const skip[], dor_arena *a)
{
  char where[256], value[96];
  DOR_NEED(group->type == DOR_TREE_GROUP, CONFIG, "%s: '%s' wants a group { ... }, got %s", dor_tree_where(group, where),
           group->name ? group->name : "?", shown(group, value));
  for (const dor_tree *t = group->first; t; t = t->next) {
    if (listed(t->name, skip)) continue;
    const dor_key *k = keys;
    while (k->name && strcmp(k->name, t->name)) k++;
    DOR_TRY(k->name ? read_field(k, t, obj, a) : dor_schema_unknown(keys, t, skip));
  }
  return DOR_OK;
}

/* ---- saving ---- */

static dor_tree *leaf(dor_arena *a, const char *name, dor_tree_type type)
{
  dor_tree *t = dor_arena_alloc(a, sizeof *t);
  if (t) t->name = name, t->type = type, t->file = "defaults";
  return t;
}

static const char *choice(const dor_key *k, int i, dor_arena *a)
{
  const char *p = k->text;
  for (; i > 0 && strchr(p, '|'); i--) p = strchr(p, '|') + 1;
  char *copy = dor_arena_str(a, p);
  if (copy) copy[strcspn(copy, "|")] = 0;
  return copy;
}

static dor_status save_array(const dor_key *k, const void *obj, dor_arena *a, dor_tree *list)
{
  dor_tree **next = &list->first;
  int32_t n;
  memcpy(&n, field_of(obj, k), sizeof n); /* the three array types begin with their length */
  for (int32_t i = 0; i < n; i++, next = &(*next)->next) {
    dor_tree *t = *next = leaf(a, NULL, DOR_TREE_INT);
    if (!t) return no_memory(k);
    if (k->type == DOR_KEY_INTS) t->i = ((const dor_ints *)field_of(obj, k))->v[i];
    else if (k->type == DOR_KEY_REALS) t->type = DOR_TREE_REAL, t->r = ((const dor_reals *)field_of(obj, k))->v[i];
    else t->type = DOR_TREE_TEXT, t->text = ((const dor_texts *)field_of(obj, k))->v[i];
  }
  return DOR_OK;
}

static dor_status save_field(const dor_key *k, const void *obj, dor_arena *a, dor_tree **out)
{
  static const dor_tree_type types[] = {[DOR_KEY_INT] = DOR_TREE_INT,   [DOR_KEY_REAL] = DOR_TREE_REAL,  [DOR_KEY_BOOL] = DOR_TREE_BOOL,
                                        [DOR_KEY_TEXT] = DOR_TREE_TEXT, [DOR_KEY_ENUM] = DOR_TREE_TEXT,  [DOR_KEY_INTS] = DOR_TREE_LIST,
                                        [DOR_KEY_REALS] = DOR_TREE_LIST, [DOR_KEY_TEXTS] = DOR_TREE_LIST};
  dor_tree *t = *out = leaf(a, k->name, types[k->type]);
  if (!t) return no_memory(k);
  switch (k->type) {
    case DOR_KEY_INT: t->i = get_int(obj, k); return DOR_OK;
    case DOR_KEY_REAL: t->r = get_real(obj, k); return DOR_OK;
    case DOR_KEY_BOOL: t->b = *(const bool *)field_of(obj, k); return DOR_OK;
    case DOR_KEY_TEXT: t->text = *(const char *const *)field_of(obj, k); return DOR_OK;
    case DOR_KEY_ENUM: t->text = choice(k, *(const int *)field_of(obj, k), a); return t->text ? DOR_OK : no_memory(k);
    default: return save_array(k, obj, a, t);
  }
}

dor_status dor_schema_save(const dor_key *keys, const void *obj, dor_arena *a, dor_tree *group)
{
  dor_tree **next = &group->first;
  while (*next) next = &(*next)->next;
  for (const dor_key *k = keys; k->name; k++, next = &(*next)->next) DOR_TRY(save_field(k, obj, a, next));
  return DOR_OK;
}

/* ---- help ---- */

static const char *type_name(const dor_key *k)
{
  static const char *const names[] = {"", "int", "real", "bool", "text", "choice", "ints", "reals", "texts"};
  return names[k->type];
}

static void put_default(const dor_key *k, dor_str *out)
{
  switch (k->type) {
    case DOR_KEY_INT: dor_str_fmt(out, "%lld", (long long)k->int_def); break;
    case DOR_KEY_REAL: dor_str_real(out, k->def); break;
    case DOR_KEY_BOOL: dor_str_add(out, k->int_def ? "true" : "false"); break;
    case DOR_KEY_TEXT: dor_str_fmt(out, "\"%s\"", k->text); break;
    case DOR_KEY_ENUM: dor_str_fmt(out, "%.*s", (int)strcspn(k->text, "|"), k->text); break;
    default: dor_str_fmt(out, "[%s]", k->text); break;
  }
}

static void put_bounds(const dor_key *k, const char *bar, dor_str *out)
{
  if (k->type == DOR_KEY_INT || k->type == DOR_KEY_INTS) dor_str_fmt(out, "%lld..%lld", (long long)k->int_min, (long long)k->int_max);
  if (k->type == DOR_KEY_REAL || k->type == DOR_KEY_REALS) dor_str_fmt(out, "%g..%g", k->min, k->max);
  if (k->type != DOR_KEY_ENUM) return;
  for (const char *p = k->text; *p; p++)
    if (*p == '|') dor_str_add(out, bar);
    else dor_str_bytes(out, p, 1);
}

static void pad(dor_str *out, size_t from, size_t width)
{
  do dor_str_add(out, " ");
  while (!out->failed && out->n < from + width);
}

void dor_schema_help(const dor_key *keys, dor_str *out)
{
  for (const dor_key *k = keys; k->name; k++) {
    size_t from = out->n;
    dor_str_fmt(out, "  %s", k->name);
    pad(out, from, 18);
    dor_str_add(out, type_name(k));
    pad(out, from, 25);
    put_default(k, out);
    pad(out, from, 40);
    dor_str_add(out, k->help);
    if (k->type == DOR_KEY_ENUM || *k->unit) dor_str_add(out, " (");
    if (k->type == DOR_KEY_ENUM) put_bounds(k, "|", out);
    else if (*k->unit) dor_str_add(out, k->unit);
    dor_str_add(out, k->type == DOR_KEY_ENUM || *k->unit ? ")\n" : "\n");
  }
}

void dor_schema_markdown(const dor_key *keys, dor_str *out)
{
  dor_str_add(out, "| key | type | default | range | unit | meaning |\n|---|---|---|---|---|---|\n");
  for (const dor_key *k = keys; k->name; k++) {
    dor_str_fmt(out, "| `%s` | %s | `", k->name, type_name(k));
    put_default(k, out);
    dor_str_add(out, "` | ");
    put_bounds(k, "\\|", out);
    dor_str_fmt(out, " | %s | %s |\n", k->unit, k->help);
  }
}
