/* SPDX-License-Identifier: Apache-2.0
 *
 * libconfig wraps integers silently, accepts more in 1.8 than in 1.5 (trailing
 * commas, octal), and reports only a line. This scanner walks the same grammar
 * once and refuses, with the place and the likely cause, whatever would not mean
 * the same in every version. */
#include "base/tree_scan.h"

#include "base/str.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { DEPTH = 32, WORD = 64 };

typedef enum expect { NAME, EQUALS, VALUE, SEPARATOR } expect; /* SEPARATOR: of a list; in groups it may be left out */

typedef struct scan {
  const char *file, *text, *p;
  int line, depth;
  char open[DEPTH];             /* '{' '[' '(' */
  expect next;
  bool comma;                   /* the last token of a list was a comma */
} scan;

static dor_status wrong(const scan *s, const char *at, const char *what)
{
  const char *from = at, *end = at;
  while (from > s->text && from[-1] != '\n' && at - from < 60) from--;
  while (*end && *end != '\n' && *end != '\r' && end - at < 40) end++;
  char raw[128], shown[512], file[256];
  snprintf(raw, sizeof raw, "%.*s", (int)(end - from), from);
  for (char *c = raw; *c; c++)
    if (*c == '\t') *c = ' ';
  dor_printable(raw, shown, sizeof shown);
  raw[at - from] = 0;
  char before[512];
  int column = (int)strlen(dor_printable(raw, before, sizeof before));
  return DOR_FAIL(CONFIG, "%s:%d: %s\n  %s\n  %*s^", dor_printable(s->file, file, sizeof file), s->line, what, shown, column, "");
}

static void word(const char *from, const char *end, char out[WORD])
{
  char raw[WORD];
  snprintf(raw, sizeof raw, "%.*s", (int)(end - from), from);
  dor_printable(raw, out, WORD);
}

/* Move to the next token; comments and blanks are passed. */
static dor_status skip(scan *s)
{
  for (;; s->p++) {
    if (*s->p == '\n') s->line++;
    else if (*s->p == '#' || (s->p[0] == '/' && s->p[1] == '/')) {
      s->p += strcspn(s->p, "\n");
      if (!*s->p) return DOR_OK;
      s->line++;
    } else if (s->p[0] == '/' && s->p[1] == '*') {
      const char *end = strstr(s->p + 2, "*/");
      if (!end) return wrong(s, s->p, "a comment is opened here and never closed");
      for (; s->p < end + 1; s->p++) s->line += *s->p == '\n';
    } else if (!*s->p || !strchr(" \t\r\f", *s->p)) return DOR_OK;
  }
}

static bool hex(char c) { return isxdigit((unsigned char)c) != 0; }

static dor_status text_value(scan *s)
{
  const char *opened = s->p;
  scan start = *s;
  for (s->p++; *s->p != '"'; s->p++) {
    if (!*s->p) return wrong(&start, opened, "a text is opened here and never closed");
    if (*s->p == '\n') return wrong(&start, opened, "a text that does not end on its line; is a quote missing?");
    if (*s->p != '\\') continue;
    s->p++;
    bool bytes = *s->p == 'x' && hex(s->p[1]) && hex(s->p[2]) && (s->p[1] != '0' || s->p[2] != '0');
    if (!*s->p || (!bytes && !strchr("\\\"nrtf", *s->p))) return wrong(s, s->p - 1, "in a text a backslash is written twice");
    if (bytes) s->p += 2;
  }
  s->p++;
  return DOR_OK;
}

static dor_status number_value(scan *s)
{
  const char *from = s->p;
  while (isalnum((unsigned char)*s->p) || *s->p == '.' || *s->p == '_' || ((*s->p == '+' || *s->p == '-') && (s->p == from || strchr("eE", s->p[-1]))))
    s->p++;
  char text[WORD], message[WORD + 160];
  if (s->p - from >= WORD - 1) return wrong(s, from, "too long a number");
  word(from, s->p, text);
  char *end = text + strlen(text);
  int longs = 0;
  while (end > text && end[-1] == 'L' && longs < 2) *--end = 0, longs++;
  int64_t i;
  double r;
  dor_status got = dor_parse_int(text, &i);
  if (!got && !longs && (i > INT32_MAX || i < INT32_MIN)) {
    snprintf(message, sizeof message, "%s does not fit 32 bits; write %sL for a 64-bit number", text, text);
    return wrong(s, from, message);
  }
  if (!got) return DOR_OK;
  if (got != DOR_E_RANGE && !longs && (got = dor_parse_real(text, &r)) == DOR_OK) return DOR_OK;
  snprintf(message, sizeof message, got == DOR_E_RANGE ? "%s is too large a number" : "'%s' is not a number (decimal, without unit or separators)", text);
  return wrong(s, from, message);
}

static bool name_char(char c) { return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '*'; }

static dor_status word_value(scan *s)
{
  const char *from = s->p;
  while (name_char(*s->p) || *s->p == '.') s->p++;
  char text[WORD], message[WORD + 96];
  word(from, s->p, text);
  if (!strcmp(text, "true") || !strcmp(text, "false")) return DOR_OK;
  static const char *const none[] = {"None", "none", "null", "NULL", "nil", "nan", "NaN", "inf"};
  const char *cause = "text needs double quotes";
  if (!strcasecmp(text, "true") || !strcasecmp(text, "false")) cause = "in lower case: true, false";
  for (size_t i = 0; i < sizeof none / sizeof *none; i++)
    if (!strcmp(text, none[i])) cause = "leave the key out to keep its default";
  snprintf(message, sizeof message, "'%s' is not a value; %s", text, cause);
  return wrong(s, from, message);
}

static bool in_list(const scan *s) { return s->depth && s->open[s->depth - 1] != '{'; }

static void value_done(scan *s)
{
  s->next = in_list(s) ? SEPARATOR : NAME;
  s->comma = false;
}

static dor_status open_bracket(scan *s)
{
  if (s->depth == DEPTH) return wrong(s, s->p, "brackets nested too deeply");
  s->open[s->depth++] = *s->p;
  s->next = *s->p++ == '{' ? NAME : VALUE;
  s->comma = false;
  return DOR_OK;
}

static dor_status close_bracket(scan *s)
{
  static const char pairs[] = "{}[]()";
  char partner = strchr(pairs, *s->p)[-1];
  if (!s->depth || s->open[s->depth - 1] != partner) return wrong(s, s->p, "a bracket that was not opened");
  if (in_list(s) && s->comma) return wrong(s, s->p, "a trailing comma: nothing follows it");
  s->depth--;
  s->p++;
  value_done(s);
  return DOR_OK;
}

static dor_status name(scan *s)
{
  const char *from = s->p;
  char text[WORD], message[WORD + 128];
  if (isdigit((unsigned char)*s->p)) {
    while (name_char(*s->p)) s->p++;
    word(from, s->p, text);
    snprintf(message, sizeof message, "'%s': a name cannot begin with a digit", text);
    return wrong(s, from, message);
  }
  if (!isalpha((unsigned char)*s->p)) return wrong(s, from, "a name is wanted here");
  while (name_char(*s->p)) s->p++;
  if (*s->p == '.') {
    word(from, s->p, text);
    snprintf(message, sizeof message, "a dotted key belongs on the command line; in a file write %s = { ... };", text);
    return wrong(s, from, message);
  }
  s->next = EQUALS;
  return DOR_OK;
}

static dor_status value(scan *s)
{
  dor_status got;
  if (*s->p == '[' || *s->p == '(' || *s->p == '{') return open_bracket(s);
  if (*s->p == '"') {
    DOR_TRY(text_value(s));
    DOR_TRY(skip(s));
    if (*s->p == '"') return DOR_OK; /* libconfig joins texts that stand side by side */
    value_done(s);
    return DOR_OK;
  }
  if (*s->p == '\'') return wrong(s, s->p, "single quotes; text needs double quotes");
  if (isdigit((unsigned char)*s->p) || (*s->p && strchr("+-.", *s->p))) got = number_value(s);
  else if (isalpha((unsigned char)*s->p)) got = word_value(s);
  else return wrong(s, s->p, s->comma ? "a value is wanted after the comma" : "a value is wanted here");
  value_done(s);
  return got;
}

static dor_status token(scan *s)
{
  if (*s->p == '@') return wrong(s, s->p, "@include is refused; write extends = \"parent.cfg\";");
  if (*s->p && strchr("]})", *s->p) && s->next != EQUALS && !(s->next == VALUE && !in_list(s))) return close_bracket(s);
  switch (s->next) {
    case NAME:
      if (*s->p != ';' && *s->p != ',') return name(s);
      s->p++;
      return DOR_OK;
    case EQUALS:
      if (*s->p != '=' && *s->p != ':') return wrong(s, s->p, "'=' is wanted after a name");
      s->p++;
      s->next = VALUE;
      return DOR_OK;
    case VALUE: return value(s);
    case SEPARATOR: break;
  }
  if (*s->p != ',') return wrong(s, s->p, "a comma is wanted between the members of a list");
  s->p++;
  s->next = VALUE, s->comma = true;
  return DOR_OK;
}

dor_status dor_tree_scan(const char *file, const char *text)
{
  scan s = {.file = file, .text = text, .p = text, .line = 1};
  for (;;) {
    DOR_TRY(skip(&s));
    if (!*s.p) break;
    DOR_TRY(token(&s));
  }
  if (s.depth) return wrong(&s, s.p, "the file ends inside brackets");
  if (s.next != NAME) return wrong(&s, s.p, "the file ends before a value");
  return DOR_OK;
}
