/* SPDX-License-Identifier: Apache-2.0 */
#include "report/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int decimals(int64_t n) { return n < 1000 ? 1 : 2; }

void dor_put_percent(dor_str *s, double share, int64_t n)
{
  if (isnan(share)) dor_str_add(s, "NA");
  else dor_str_fmt(s, "%.*f", decimals(n), 100 * share);
}

/* One of no width comes from a bootstrap that never varied: nothing is known. */
static bool has_interval(const dor_interval *i) { return !isnan(i->lo) && !isnan(i->hi) && i->lo < i->hi; }

void dor_put_share(dor_str *s, const dor_result *r, bool with_k)
{
  dor_put_percent(s, r->value, r->n);
  if (has_interval(&r->ci)) dor_str_fmt(s, " (%.*f-%.*f)", decimals(r->n), 100 * r->ci.lo, decimals(r->n), 100 * r->ci.hi);
  if (with_k && r->k >= 0 && r->n) dor_str_fmt(s, " %lld/%lld", (long long)r->k, (long long)r->n);
}

void dor_put_index(dor_str *s, double x)
{
  char text[64];
  if (isnan(x)) {
    dor_str_add(s, "NA");
    return;
  }
  snprintf(text, sizeof text, "%.2f", fabs(x));
  bool zero = !strcmp(text, "0.00");
  if (x < 0 && !zero) dor_str_add(s, "-");
  dor_str_add(s, text[0] == '0' ? text + 1 : text);
}

void dor_put_index_ci(dor_str *s, const dor_result *r)
{
  dor_put_index(s, r->value);
  if (!has_interval(&r->ci)) return;
  dor_str_add(s, " (");
  dor_put_index(s, r->ci.lo);
  dor_str_add(s, r->ci.lo < 0 ? " to " : "-");
  dor_put_index(s, r->ci.hi);
  dor_str_add(s, ")");
}

bool dor_is_share(const char *metric)
{
  static const char *const share[] = {"accuracy", "sensitivity", "specificity", "precision", "npv", "balanced_accuracy", "no_information_rate"};
  for (size_t i = 0; i < sizeof share / sizeof *share; i++)
    if (!strcmp(metric, share[i])) return true;
  return false;
}

void dor_put_metric(dor_str *s, const dor_result *r)
{
  if (!r) dor_str_add(s, "-");
  else if (dor_is_share(r->metric)) dor_put_share(s, r, r->fold == DOR_ALL && r->seed == DOR_ALL);
  else dor_put_index_ci(s, r);
  if (r && r->set_to_zero) dor_str_add(s, " (set)");
}

void dor_put_p(dor_str *s, double p)
{
  char text[32];
  if (isnan(p)) dor_str_add(s, "NA");
  else if (p < 0.0001) dor_str_add(s, "< .0001");
  else if (p > 0.995) dor_str_add(s, "1");
  else {
    int digits = p < 0.001 ? 4 : p < 0.01 || (p >= 0.045 && p < 0.055) ? 3 : 2;
    snprintf(text, sizeof text, "%.*f", digits, p);
    dor_str_add(s, text + 1);
  }
}

void dor_put_difference(dor_str *s, const dor_contrast *c)
{
  bool share = dor_is_share(c->metric);
  double scale = share ? 100 : 1;
  int digits = share ? decimals(c->n) : 3;
  if (isnan(c->difference)) dor_str_add(s, "NA");
  else dor_str_fmt(s, "%.*f", digits, scale * c->difference);
  if (has_interval(&c->ci)) dor_str_fmt(s, " (%.*f to %.*f)", digits, scale * c->ci.lo, digits, scale * c->ci.hi);
}

void dor_put_json(dor_str *s, const char *text)
{
  dor_str_add(s, "\"");
  for (const char *c = text; *c; c++) {
    if (*c == '"' || *c == '\\') dor_str_fmt(s, "\\%c", *c);
    else if ((unsigned char)*c < 32) dor_str_fmt(s, "\\u%04x", *c);
    else dor_str_bytes(s, c, 1);
  }
  dor_str_add(s, "\"");
}

void dor_put_json_real(dor_str *s, double x)
{
  if (isfinite(x)) dor_str_real(s, x);
  else dor_str_add(s, "null");
}

static void replace(dor_str *s, const char *text, const char *special, const char *const by[])
{
  for (const char *c = text; *c; c++) {
    const char *at = strchr(special, *c);
    if (at) dor_str_add(s, by[at - special]);
    else dor_str_bytes(s, c, 1);
  }
}

void dor_put_html(dor_str *s, const char *text)
{
  static const char *const by[] = {"&amp;", "&lt;", "&gt;", "&quot;"};
  replace(s, text, "&<>\"", by);
}

void dor_put_tex(dor_str *s, const char *text)
{
  static const char *const by[] = {"\\&", "\\%", "\\$", "\\#", "\\_", "\\{", "\\}", "\\textasciitilde{}", "\\textasciicircum{}", "\\textbackslash{}",
                                   "$<$", "$>$"};
  replace(s, text, "&%$#_{}~^\\<>", by);
}

void dor_put_markdown(dor_str *s, const char *text)
{
  static const char *const by[] = {"\\|", "\\*", "\\_", "\\<", " "};
  replace(s, text, "|*_<\n", by);
}

int32_t dor_columns(const char *text, size_t n)
{
  int32_t columns = 0;
  for (size_t i = 0; i < n; i++) columns += ((unsigned char)text[i] & 0xC0) != 0x80;
  return columns;
}

/* Bytes of the first `columns` columns. */
static size_t bytes_of(const char *text, int32_t columns)
{
  size_t n = 0;
  for (int32_t shown = 0; text[n]; n++)
    if (((unsigned char)text[n] & 0xC0) != 0x80 && shown++ == columns) break;
  return n;
}

void dor_put_wrapped(dor_str *s, const char *text, int32_t width, int32_t indent)
{
  int32_t at = 0;
  bool first = true;
  while (*text) {
    size_t n = strcspn(text, " ");
    int32_t columns = dor_columns(text, n), room = first ? width : width - indent;
    if (columns > room) columns = room, n = bytes_of(text, room);
    if (!first && at + 1 + columns > width) dor_str_fmt(s, "\n%*s", indent, ""), at = indent;
    else if (!first) dor_str_add(s, " "), at++;
    dor_str_bytes(s, text, n);
    at += columns, first = false, text += n;
    text += strspn(text, " ");
  }
  dor_str_add(s, "\n");
}

void dor_put_cut(dor_str *s, const char *text, int32_t width)
{
  bool cut = dor_columns(text, strlen(text)) > width && width > 1;
  size_t n = bytes_of(text, width - cut);
  while (cut && n && text[n - 1] == ' ') n--;
  dor_str_bytes(s, text, n);
  if (cut) dor_str_add(s, ".");
}
