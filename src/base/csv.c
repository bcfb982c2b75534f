/* SPDX-License-Identifier: Apache-2.0
 *
 * The reader is one pass over the bytes: a field at a time into the arena. It is
 * strict, because a spreadsheet that was read by guessing is read wrongly. */
#include "base/csv.h"

#include "base/io.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

static const size_t MOST_BYTES = (size_t)1 << 30, MOST_FIELD = (size_t)1 << 20;
enum { MOST_COLS = 65536 };

typedef struct reader {
  dor_arena *a;
  const char *name, *p, *end;
  int32_t line;
  const char **cell;            /* header and rows end to end */
  int32_t *row_line;
  size_t n_cells, cap_cells, n_rows, cap_rows;
  int32_t n_cols;
} reader;

static dor_status wrong(const reader *r, int32_t line, const char *what) { return DOR_FAIL(DATA, "%s:%d: %s", r->name, line, what); }

static dor_status grow(void **p, size_t *cap, size_t n, size_t size)
{
  if (n < *cap) return DOR_OK;
  size_t more = *cap ? 2 * *cap : 256;
  void *q = dor_realloc(*p, more * size);
  DOR_NEED(q, NOMEM, "out of memory for a table of %zu cells", more);
  *p = q, *cap = more;
  return DOR_OK;
}

static dor_status quoted(reader *r, char **out)
{
  const char *from = ++r->p;
  int32_t opened = r->line;
  size_t n = 0;
  for (;; n++, r->p++) {
    if (r->p == r->end) return wrong(r, opened, "a quote is opened here and never closed");
    if (*r->p == '\n') r->line++;
    if (*r->p != '"') continue;
    if (r->p + 1 == r->end || r->p[1] != '"') break;
    r->p++;
  }
  if (n > MOST_FIELD) return wrong(r, opened, "a field of more than a mebibyte");
  char *to = *out = dor_arena_alloc(r->a, n + 1);
  DOR_NEED(to, NOMEM, "out of memory for a field of %zu bytes", n);
  for (const char *q = from; q < r->p; q++) {
    *to++ = *q;
    q += *q == '"';
  }
  r->p++;
  bool ends = r->p == r->end || *r->p == ',' || *r->p == '\n' || (*r->p == '\r' && r->p + 1 < r->end && r->p[1] == '\n');
  return ends ? DOR_OK : wrong(r, r->line, "text after a closing quote; a quote inside a field is written twice");
}

static dor_status bare(reader *r, char **out)
{
  const char *from = r->p;
  while (r->p < r->end && *r->p != ',' && *r->p != '\n' && *r->p != '\r' && *r->p != '"') r->p++;
  if (r->p < r->end && *r->p == '"') return wrong(r, r->line, "a quote inside a field that does not begin with one");
  if (r->p < r->end && *r->p == '\r' && (r->p + 1 == r->end || r->p[1] != '\n'))
    return wrong(r, r->line, "a carriage return without a line feed");
  size_t n = (size_t)(r->p - from);
  if (n > MOST_FIELD) return wrong(r, r->line, "a field of more than a mebibyte");
  *out = dor_arena_alloc(r->a, n + 1);
  DOR_NEED(*out, NOMEM, "out of memory for a field of %zu bytes", n);
  memcpy(*out, from, n);
  return DOR_OK;
}

/* Text that a spreadsheet would run is written with ' before it; so is text that has the ' already, or reading would take off its own. */
static bool formula(const char *text)
{
  text += strspn(text, "'");
  return *text && strchr("=+-@\t\r", *text);
}

/* One row; *n fields of it are appended to r->cell. */
static dor_status row(reader *r, int32_t *n)
{
  for (*n = 0;;) {
    char *text = NULL;
    DOR_TRY(r->p < r->end && *r->p == '"' ? quoted(r, &text) : bare(r, &text));
    DOR_TRY(grow((void **)&r->cell, &r->cap_cells, r->n_cells, sizeof *r->cell));
    r->cell[r->n_cells++] = text + (*text == '\'' && formula(text));
    if (++*n > MOST_COLS) return wrong(r, r->line, "more than 65536 columns");
    if (r->p == r->end) return DOR_OK;
    char c = *r->p++;
    if (c == '\r') r->p++;
    if (c == ',') continue;
    r->line++;
    return DOR_OK;
  }
}

static bool blank(const reader *r) { return *r->p == '\n' || (*r->p == '\r' && r->p + 1 < r->end && r->p[1] == '\n'); }

static const char commas_wanted[] = "; fields must be separated by commas";
static bool other_separator(const char *first, int32_t n_cols) { return n_cols == 1 && strpbrk(first, ";\t|"); }

static dor_status rows(reader *r)
{
  DOR_TRY(row(r, &r->n_cols));
  while (r->p < r->end) {
    if (r->n_cols > 1 && blank(r)) { /* many programs end a file with empty lines */
      r->p += *r->p == '\r' ? 2 : 1;
      r->line++;
      continue;
    }
    int32_t n, first = r->line;
    DOR_TRY(grow((void **)&r->row_line, &r->cap_rows, r->n_rows, sizeof *r->row_line));
    DOR_TRY(row(r, &n));
    DOR_NEED(n == r->n_cols, DATA, "%s:%d: %d fields where the header has %d%s", r->name, first, n, r->n_cols,
             other_separator(r->cell[0], r->n_cols) ? commas_wanted : "");
    DOR_NEED(r->n_rows < INT32_MAX / 2, DATA, "%s:%d: too many rows", r->name, first);
    r->row_line[r->n_rows++] = first;
  }
  return DOR_OK;
}

static dor_status header_unique(const reader *r)
{
  char shown[64];
  for (int32_t i = 0; i < r->n_cols; i++)
    for (int32_t j = 0; j < i; j++)
      DOR_NEED(strcmp(r->cell[i], r->cell[j]), DATA, "%s:1: two columns are called '%s'", r->name, dor_printable(r->cell[i], shown, sizeof shown));
  return DOR_OK;
}

static dor_status all_utf8(const reader *r)
{
  for (size_t i = 0; i < r->n_cells; i++) {
    size_t row = i / (size_t)r->n_cols;
    DOR_NEED(dor_is_utf8(r->cell[i]), DATA, "%s:%d: not UTF-8; iconv -f LATIN1 -t UTF-8 converts what older programs write", r->name,
             row ? r->row_line[row - 1] : 1);
  }
  return DOR_OK;
}

static dor_status finish(const reader *r, dor_csv *out)
{
  size_t cols = (size_t)r->n_cols;
  out->path = r->name;
  out->n_cols = r->n_cols, out->n_rows = (int32_t)r->n_rows;
  out->header = dor_arena_copy(r->a, r->cell, cols * sizeof *r->cell);
  out->cell = dor_arena_copy(r->a, r->cell + cols, (r->n_cells - cols) * sizeof *r->cell);
  out->line = r->n_rows ? dor_arena_copy(r->a, r->row_line, r->n_rows * sizeof *r->row_line) : dor_arena_alloc(r->a, 0);
  DOR_NEED(out->header && out->cell && out->line, NOMEM, "out of memory for a table of %zu cells", r->n_cells);
  DOR_TRY(all_utf8(r));
  return header_unique(r);
}

dor_status dor_csv_parse(dor_arena *a, const char *name, const char *text, size_t size, dor_csv *out)
{
  *out = (dor_csv){0};
  char shown[256];
  reader r = {.a = a, .name = dor_arena_str(a, dor_printable(name, shown, sizeof shown)), .p = text, .end = text + size, .line = 1};
  DOR_NEED(r.name, NOMEM, "out of memory");
  if (size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) r.p += 3;
  DOR_NEED(r.p < r.end, DATA, "%s:1: an empty file", r.name);
  const char *nul = memchr(r.p, 0, (size_t)(r.end - r.p));
  if (nul) {
    for (const char *q = r.p; q < nul; q++) r.line += *q == '\n';
    return wrong(&r, r.line, "a NUL byte; is this a text file in UTF-8?");
  }
  dor_status s = rows(&r);
  if (!s) s = finish(&r, out);
  dor_free(r.cell);
  dor_free(r.row_line);
  return s;
}

dor_status dor_csv_read(dor_arena *a, const char *path, dor_csv *out)
{
  char *text;
  size_t size;
  DOR_TRY(dor_io_read(path, MOST_BYTES, &text, &size));
  dor_status s = dor_csv_parse(a, path, text, size, out);
  dor_free(text);
  return s;
}

int32_t dor_csv_find(const dor_csv *t, const char *column)
{
  for (int32_t i = 0; i < t->n_cols; i++)
    if (!strcmp(t->header[i], column)) return i;
  return -1;
}

dor_status dor_csv_need(const dor_csv *t, const char *column, int32_t *col)
{
  *col = dor_csv_find(t, column);
  if (*col >= 0) return DOR_OK;
  const char *near = dor_nearest(column, t->header, (size_t)t->n_cols);
  char shown[64];
  if (near) return DOR_FAIL(DATA, "%s:1: no column '%s'; did you mean '%s'?", t->path, column, dor_printable(near, shown, sizeof shown));
  bool other = other_separator(t->header[0], t->n_cols);
  return DOR_FAIL(DATA, "%s:1: no column '%s'%s", t->path, column, other ? commas_wanted : "");
}

dor_status dor_csv_no_near_miss(const dor_csv *t, const char *const known[], size_t n)
{
  for (int32_t i = 0; i < t->n_cols; i++) {
    const char *near = dor_nearest(t->header[i], known, n);
    char shown[64];
    DOR_NEED(!near || !strcmp(near, t->header[i]) || dor_csv_find(t, near) >= 0, DATA, "%s:1: no column '%s' is known; did you mean '%s'?", t->path,
             dor_printable(t->header[i], shown, sizeof shown), near);
  }
  return DOR_OK;
}

const char *dor_csv_at(const dor_csv *t, int32_t row, int32_t col) { return t->cell[(size_t)row * (size_t)t->n_cols + (size_t)col]; }

static bool comma_is_point(const char *text)
{
  const char *comma = strchr(text, ',');
  return comma && strspn(text, "+-0123456789") == (size_t)(comma - text) && !comma[1 + strspn(comma + 1, "0123456789")];
}

dor_status dor_csv_real(const dor_csv *t, int32_t row, int32_t col, double *out)
{
  const char *text = dor_csv_at(t, row, col);
  if (!dor_parse_real(text, out)) return DOR_OK;
  char shown[64]; /* the value stays out of the message: a shifted column may hold a name */
  dor_printable(t->header[col], shown, sizeof shown);
  const char *what = comma_is_point(text) ? "not a number; the decimal sign is a point, not a comma" : "not a number";
  return DOR_FAIL(DATA, "%s:%d: column '%s': %s", t->path, t->line[row], shown, *text ? what : "empty where a number is needed");
}

void dor_csv_put(dor_str *s, const char *text, bool last)
{
  bool quote = strpbrk(text, ",\"\r\n") != NULL || *text == ' ' || (*text && text[strlen(text) - 1] == ' ');
  if (quote) dor_str_add(s, "\"");
  if (formula(text)) dor_str_add(s, "'");
  for (; *text; text++) {
    if (*text == '"') dor_str_add(s, "\"");
    dor_str_bytes(s, text, 1);
  }
  dor_str_add(s, quote ? last ? "\"\n" : "\"," : last ? "\n" : ",");
}

void dor_csv_put_real(dor_str *s, double x, bool last)
{
  if (!isnan(x)) dor_str_real(s, x);
  dor_str_add(s, last ? "\n" : ",");
}

void dor_csv_put_int(dor_str *s, int64_t x, bool last) { dor_str_fmt(s, "%lld%s", (long long)x, last ? "\n" : ","); }
