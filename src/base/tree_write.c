/* SPDX-License-Identifier: Apache-2.0
 *
 * Trees as libconfig text that reads back as the same tree, and as JSON.
 * libconfig's own writer keeps 15 digits; this one keeps every bit. */
#include "base/tree.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void indent(dor_str *out, int depth) { dor_str_fmt(out, "%*s", 2 * depth, ""); }

static void put_real(double x, dor_str *out) /* a real stays one: 1 is written 1.0 */
{
  size_t from = out->n;
  dor_str_real(out, x);
  if (!out->failed && !strpbrk(out->s + from, ".en")) dor_str_add(out, ".0");
}

static void put_text(const char *text, const char *control, dor_str *out)
{
  static const char plain[] = "\"\\\n\r\t\f", letter[] = "\"\\nrtf";
  dor_str_add(out, "\"");
  for (; *text; text++) {
    const char *p = strchr(plain, *text);
    if (p) dor_str_fmt(out, "\\%c", letter[p - plain]);
    else if ((unsigned char)*text < 0x20 || *text == 0x7f) dor_str_fmt(out, control, (unsigned char)*text);
    else dor_str_bytes(out, text, 1);
  }
  dor_str_add(out, "\"");
}

static bool scalar(const dor_tree *t) { return t->type != DOR_TREE_GROUP && t->type != DOR_TREE_LIST; }

static bool uniform(const dor_tree *list) /* [ ] holds scalars of one type, ( ) anything */
{
  for (const dor_tree *m = list->first; m; m = m->next)
    if (!scalar(m) || m->type != list->first->type) return false;
  return true;
}

static void put_int(int64_t i, bool wide, dor_str *out) { dor_str_fmt(out, "%lld%s", (long long)i, wide ? "L" : ""); }
static bool is_wide(const dor_tree *t) { return t->type == DOR_TREE_INT && (t->i > INT32_MAX || t->i < INT32_MIN); }

static void put_cfg(const dor_tree *t, int depth, bool wide, dor_str *out);

static void put_list(const dor_tree *t, int depth, dor_str *out)
{
  bool array = uniform(t), wide = false;
  for (const dor_tree *m = t->first; m; m = m->next) wide |= array && is_wide(m); /* an array of integers has one width */
  dor_str_add(out, array ? "[" : "(");
  for (const dor_tree *m = t->first; m; m = m->next) {
    put_cfg(m, depth, wide, out);
    if (m->next) dor_str_add(out, ", ");
  }
  dor_str_add(out, array ? "]" : ")");
}

static void put_members(const dor_tree *t, int depth, dor_str *out)
{
  for (const dor_tree *m = t->first; m; m = m->next) {
    indent(out, depth);
    dor_str_fmt(out, "%s = ", m->name);
    put_cfg(m, depth, false, out);
    dor_str_add(out, ";\n");
  }
}

static void put_cfg(const dor_tree *t, int depth, bool wide, dor_str *out)
{
  switch (t->type) {
    case DOR_TREE_INT: put_int(t->i, wide || is_wide(t), out); break;
    case DOR_TREE_REAL: put_real(t->r, out); break;
    case DOR_TREE_BOOL: dor_str_add(out, t->b ? "true" : "false"); break;
    case DOR_TREE_TEXT: put_text(t->text, "\\x%02x", out); break;
    case DOR_TREE_LIST: put_list(t, depth, out); break;
    case DOR_TREE_GROUP:
      dor_str_add(out, "{\n");
      put_members(t, depth + 1, out);
      indent(out, depth);
      dor_str_add(out, "}");
      break;
  }
}

void dor_tree_write(const dor_tree *t, dor_str *out) { put_members(t, 0, out); }

static void put_json(const dor_tree *t, int depth, dor_str *out)
{
  bool group = t->type == DOR_TREE_GROUP, lines = group || (t->type == DOR_TREE_LIST && !uniform(t));
  switch (t->type) {
    case DOR_TREE_INT: put_int(t->i, false, out); return;
    case DOR_TREE_REAL:
      if (isfinite(t->r)) put_real(t->r, out);
      else dor_str_add(out, "null");
      return;
    case DOR_TREE_BOOL: dor_str_add(out, t->b ? "true" : "false"); return;
    case DOR_TREE_TEXT: put_text(t->text, "\\u%04x", out); return;
    default: break;
  }
  dor_str_add(out, group ? "{" : "[");
  for (const dor_tree *m = t->first; m; m = m->next) {
    if (lines) dor_str_fmt(out, "\n%*s", 2 * depth + 2, "");
    if (group) dor_str_fmt(out, "\"%s\": ", m->name);
    put_json(m, depth + 1, out);
    if (m->next) dor_str_add(out, lines ? "," : ", ");
  }
  if (lines && t->first) dor_str_fmt(out, "\n%*s", 2 * depth, "");
  dor_str_add(out, group ? "}" : "]");
}

void dor_tree_json(const dor_tree *t, dor_str *out)
{
  put_json(t, 0, out);
  dor_str_add(out, "\n");
}
