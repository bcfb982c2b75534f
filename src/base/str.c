/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include "base/mem.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(dor_str *s, size_t more)
{
  if (s->failed) return false;
  if (s->n + more + 1 <= s->cap) return true;
  size_t cap = s->cap ? 2 * s->cap : 256;
  while (cap < s->n + more + 1) cap *= 2;
  char *p = dor_realloc(s->s, cap);
  if (!p) return s->failed = true, false;
  s->s = p, s->cap = cap;
  return true;
}

void dor_str_bytes(dor_str *s, const void *bytes, size_t n)
{
  if (!reserve(s, n)) return;
  if (n) memcpy(s->s + s->n, bytes, n);
  s->n += n;
  s->s[s->n] = 0;
}

void dor_str_add(dor_str *s, const char *text) { dor_str_bytes(s, text, strlen(text)); }

void dor_str_fmt(dor_str *s, const char *fmt, ...)
{
  va_list ap, again;
  va_start(ap, fmt);
  va_copy(again, ap);
  int n = vsnprintf(NULL, 0, fmt, ap);
  va_end(ap);
  if (n >= 0 && reserve(s, (size_t)n)) {
    vsnprintf(s->s + s->n, (size_t)n + 1, fmt, again);
    s->n += (size_t)n;
  }
  va_end(again);
}

void dor_str_clear(dor_str *s)
{
  s->n = 0;
  s->failed = false;
  if (s->s) s->s[0] = 0;
}

void dor_str_release(dor_str *s)
{
  dor_free(s->s);
  *s = (dor_str){0};
}

dor_status dor_str_status(const dor_str *s)
{
  DOR_NEED(!s->failed, NOMEM, "out of memory: a text of more than %zu bytes", s->cap);
  return DOR_OK;
}

/* Numbers are read and written in the C locale, whatever the host program has set. */
static locale_t plain;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static void make_plain(void) { plain = newlocale(LC_ALL_MASK, "C", (locale_t)0); }

locale_t dor_locale(void)
{
  pthread_once(&once, make_plain);
  return plain;
}

void dor_str_real(dor_str *s, double x)
{
  char text[40];
  if (isnan(x)) {
    dor_str_add(s, "nan");
    return;
  }
  locale_t old = uselocale(dor_locale());
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, x);
    if (strtod(text, NULL) == x) break;
  }
  uselocale(old);
  dor_str_add(s, text);
}

static const char *digits(const char *p)
{
  while (*p >= '0' && *p <= '9') p++;
  return p;
}

static bool looks_real(const char *p) /* [+-] digits [. digits] [e [+-] digits], at least one digit before e */
{
  p += *p == '+' || *p == '-';
  const char *q = digits(p), *r = *q == '.' ? digits(q + 1) : q;
  if (r - p - (*q == '.') < 1) return false;
  if (*r == 'e' || *r == 'E') {
    r++;
    r += *r == '+' || *r == '-';
    if (digits(r) == r) return false;
    r = digits(r);
  }
  return !*r;
}

dor_status dor_parse_real(const char *text, double *out)
{
  char shown[64];
  DOR_NEED(looks_real(text), ARG, "'%s' is not a number", dor_printable(text, shown, sizeof shown));
  locale_t old = uselocale(dor_locale());
  double x = strtod(text, NULL);
  uselocale(old);
  DOR_NEED(isfinite(x), RANGE, "%s is too large a number", dor_printable(text, shown, sizeof shown));
  *out = x;
  return DOR_OK;
}

dor_status dor_parse_int(const char *text, int64_t *out)
{
  char shown[64], *end;
  const char *p = text + (*text == '+' || *text == '-');
  DOR_NEED(*p && !*digits(p), ARG, "'%s' is not a whole number", dor_printable(text, shown, sizeof shown));
  errno = 0;
  long long x = strtoll(text, &end, 10);
  DOR_NEED(!errno, RANGE, "%s is too large a whole number", dor_printable(text, shown, sizeof shown));
  *out = x;
  return DOR_OK;
}

static int least_of(int a, int b) { return a < b ? a : b; }

/* Edits between two short names; neighbours exchanged count as one (optimal string alignment). */
static int distance(const char *a, const char *b)
{
  int row[3][64], m = (int)strlen(b), n = (int)strlen(a);
  if (m > 62 || n > 62) return 99;
  for (int j = 0; j <= m; j++) row[0][j] = j;
  for (int i = 1; i <= n; i++) {
    int *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];
    now[0] = i;
    for (int j = 1; j <= m; j++) {
      now[j] = least_of(least_of(last[j], now[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) now[j] = least_of(now[j], before[j - 2] + 1);
    }
  }
  return row[n % 3][m];
}

const char *dor_nearest(const char *name, const char *const names[], size_t n)
{
  size_t length = strlen(name);
  int least = 1 + (length > 7 ? 3 : (int)(length + 2) / 3); /* a third of the letters may differ, three at most */
  const char *best = NULL;
  for (size_t i = 0; i < n; i++) {
    int d = distance(name, names[i]);
    if (d < least) least = d, best = names[i];
  }
  return best;
}

const char *dor_printable(const char *text, char *out, size_t size)
{
  size_t n = 0;
  for (; *text && n + 5 <= size; text++) {
    unsigned char c = (unsigned char)*text;
    if (c >= 0x20 && c < 0x7f) out[n++] = (char)c;
    else n += (size_t)snprintf(out + n, size - n, "\\x%02x", c);
  }
  if (size) out[n] = 0;
  return out;
}

int dor_utf8(const char *text, uint32_t *code)
{
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  const unsigned char *s = (const unsigned char *)text;
  int n = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
  if (!n) return 0;
  uint32_t c = n == 1 ? s[0] : s[0] & (0xffu >> (n + 1));
  for (int i = 1; i < n; i++) {
    if (s[i] >> 6 != 2) return 0;
    c = c << 6 | (s[i] & 63u);
  }
  *code = c;
  return c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : n;
}

void dor_str_json(dor_str *s, const char *text)
{
  uint32_t c;
  dor_str_add(s, "\"");
  for (int n; *text; text += n ? n : 1) {
    n = dor_utf8(text, &c);
    if (!n) dor_str_add(s, "\xef\xbf\xbd");
    else if (c == '"' || c == '\\') dor_str_fmt(s, "\\%c", *text);
    else if (c < 0x20) dor_str_fmt(s, "\\u%04x", (unsigned)c);
    else dor_str_bytes(s, text, (size_t)n);
  }
  dor_str_add(s, "\"");
}

bool dor_is_utf8(const char *text)
{
  uint32_t code;
  for (int n; *text; text += n)
    if (!(n = dor_utf8(text, &code))) return false;
  return true;
}
