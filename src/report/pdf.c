/* SPDX-License-Identifier: Apache-2.0
 *
 * The dates in a PDF that cairo wrote, set to a fixed one. Up to cairo 1.16 they
 * stand in plain text; later ones compress them into an object stream, whose new
 * length moves what follows: its length object, the cross-reference stream and
 * startxref. A PDF laid out otherwise is left as it is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/mem.h"
#include "report/plot.h"

enum { MOST = 1 << 20 }; /* bytes of an object stream, unpacked */

static bool blank(char *text, size_t size)
{
  static const char *const key[] = {"/CreationDate (D:", "/ModDate (D:"};
  static const char fixed[] = "20000101000000";
  bool any = false;
  for (int i = 0; i < 2; i++) {
    char *at = memmem(text, size, key[i], strlen(key[i]));
    if (!at) continue;
    at += strlen(key[i]), any = true;
    for (size_t j = 0; j + 1 < sizeof fixed && at + j < text + size && at[j] >= '0' && at[j] <= '9'; j++) at[j] = fixed[j];
  }
  return any;
}

typedef struct packed { /* a compressed stream: its dictionary, its bytes in the file, and what they unpack to */
  const char *dict, *first, *end;
  unsigned char *text;
  uLongf n;
} packed;

/* The next stream of a type ("/ObjStm", "/XRef") from `from` on. */
static bool find(const char *from, const char *end, const char *type, unsigned char *room, packed *out)
{
  const char *at = memmem(from, (size_t)(end - from), type, strlen(type)), *body = at ? memmem(at, (size_t)(end - at), "stream\n", 7) : NULL;
  if (!body) return false;
  uLong used = (uLong)(end - body - 7);
  *out = (packed){.dict = at, .first = body + 7, .text = room, .n = MOST};
  if (uncompress2(room, &out->n, (const Bytef *)out->first, &used) != Z_OK) return false;
  out->end = out->first + used;
  return true;
}

typedef struct piece { /* data[from, to) is replaced by text */
  size_t from, to, n;
  char *text;
} piece;

static bool pack(const char *data, const packed *s, piece *out)
{
  uLongf n = compressBound(s->n);
  *out = (piece){.from = (size_t)(s->first - data), .to = (size_t)(s->end - data), .text = dor_calloc(1, n)};
  if (!out->text || compress2((Bytef *)out->text, &n, s->text, s->n, Z_BEST_COMPRESSION) != Z_OK) return false;
  out->n = n;
  return true;
}

/* The digits at `at` become `value`. */
static bool number(const char *data, const char *at, size_t value, piece *out)
{
  char *end, text[32];
  while (*at == ' ' || *at == '\n') at++;
  (void)strtoul(at, &end, 10);
  if (end == at) return false;
  int n = snprintf(text, sizeof text, "%zu", value);
  *out = (piece){.from = (size_t)(at - data), .to = (size_t)(end - data), .n = (size_t)n, .text = dor_calloc(1, sizeof text)};
  if (out->text) memcpy(out->text, text, sizeof text);
  return out->text != NULL;
}

static size_t moved(const piece *p, int n, size_t offset)
{
  size_t shifted = offset;
  for (int i = 0; i < n; i++)
    if (p[i].from < offset) shifted = shifted + p[i].n - (p[i].to - p[i].from);
  return shifted;
}

/* Entries of 1 + wide + 2 bytes: type 1 holds an offset. */
static bool move_entries(packed *x, const piece *p, int n)
{
  const char *w = memmem(x->dict, (size_t)(x->first - x->dict), "/W [", 4);
  unsigned kind, wide, rest;
  if (!w || sscanf(w, "/W [ %u %u %u ]", &kind, &wide, &rest) != 3 || kind != 1 || !wide || wide > 4 || x->n % (1 + wide + rest)) return false;
  for (uLongf at = 0; at < x->n; at += 1 + wide + rest) {
    size_t offset = 0;
    for (unsigned i = 0; i < wide; i++) offset = offset << 8 | x->text[at + 1 + i];
    if (x->text[at] != 1) continue;
    offset = moved(p, n, offset);
    for (unsigned i = wide; i > 0; i--, offset >>= 8) x->text[at + i] = (unsigned char)offset;
  }
  return true;
}

/* The object that holds a stream's length: "/Length 25 0 R", then "\n25 0 obj\n   275". */
static const char *length_object(const packed *s, const char *end)
{
  char mark[32];
  unsigned id;
  const char *length = memmem(s->dict, (size_t)(s->first - s->dict), "/Length ", 8);
  if (!length || sscanf(length, "/Length %u 0 R", &id) != 1) return NULL;
  int n = snprintf(mark, sizeof mark, "\n%u 0 obj\n", id);
  const char *at = memmem(s->end, (size_t)(end - s->end), mark, (size_t)n);
  return at ? at + n : NULL;
}

enum { PIECES = 5 }; /* object stream, its length, length of the cross-references, cross-references, startxref: in the file's order */

static bool replace(const char *data, size_t size, packed *dated, unsigned char *room, piece p[PIECES])
{
  const char *end = data + size, *length = length_object(dated, end);
  packed x;
  if (!length || !pack(data, dated, &p[0]) || !number(data, length, p[0].n, &p[1])) return false;
  if (!find(length, end, "/XRef", room, &x) || !move_entries(&x, p, 2) || !pack(data, &x, &p[3])) return false;
  const char *own = memmem(x.dict, (size_t)(x.first - x.dict), "/Length ", 8), *start = memmem(x.end, (size_t)(end - x.end), "startxref\n", 10);
  if (!own || !start || !number(data, own + 8, p[3].n, &p[2])) return false;
  return number(data, start + 10, moved(p, 2, strtoul(start + 10, NULL, 10)), &p[4]);
}

static void join(const char *data, size_t size, const piece p[PIECES], dor_str *out)
{
  size_t at = 0;
  for (int i = 0; i < PIECES; i++) {
    dor_str_bytes(out, data + at, p[i].from - at);
    dor_str_bytes(out, p[i].text, p[i].n);
    at = p[i].to;
  }
  dor_str_bytes(out, data + at, size - at);
}

static bool in_object_stream(const char *data, size_t size, unsigned char *room, dor_str *out)
{
  packed s;
  for (const char *from = data; find(from, data + size, "/ObjStm", room, &s); from = s.end) {
    piece p[PIECES] = {{0}};
    if (!blank((char *)s.text, s.n)) continue;
    unsigned char *more = dor_calloc(1, MOST);
    bool done = more && replace(data, size, &s, more, p);
    if (done) join(data, size, p, out);
    for (int i = 0; i < PIECES; i++) dor_free(p[i].text);
    dor_free(more);
    return done;
  }
  return false;
}

dor_status dor_pdf_undate(char *data, size_t size, dor_str *out)
{
  unsigned char *room = dor_calloc(1, MOST);
  DOR_NEED(room, NOMEM, "a PDF of %zu bytes", size);
  if (blank(data, size) || !in_object_stream(data, size, room, out)) dor_str_bytes(out, data, size);
  dor_free(room);
  return dor_str_status(out);
}
