/* SPDX-License-Identifier: Apache-2.0
 *
 * A growing string. A failed allocation is remembered and makes every later
 * call a no-op; dor_str_status() reports it once, where the text is used. */
#ifndef DOR_BASE_STR_H
#define DOR_BASE_STR_H

#include <locale.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

typedef struct dor_str {
  char *s; /* always NUL-terminated once something was added; NULL before */
  size_t n, cap;
  bool failed;
} dor_str;

void dor_str_add(dor_str *s, const char *text);
void dor_str_bytes(dor_str *s, const void *bytes, size_t n);
void dor_str_fmt(dor_str *s, const char *fmt, ...) DOR_PRINTF(2, 3);
void dor_str_clear(dor_str *s);
void dor_str_release(dor_str *s);
DOR_MUST dor_status dor_str_status(const dor_str *s);

/* Numbers, independent of the locale. Formatting is the shortest text that reads back equal ("0.1", "1e-05", "nan"). */
void dor_str_real(dor_str *s, double x);
DOR_MUST dor_status dor_parse_real(const char *text, double *out); /* the whole text; refuses nan, inf, overflow */
DOR_MUST dor_status dor_parse_int(const char *text, int64_t *out);

/* The C locale, for calls of other libraries that read or write numbers: old = uselocale(dor_locale()); ...; uselocale(old). */
locale_t dor_locale(void);

/* The nearest of n names by edit distance, for "did you mean"; NULL when none is near. */
const char *dor_nearest(const char *name, const char *const names[], size_t n);

/* The bytes of the character of UTF-8 at `s` and its code; 0 when it is none (no overlong forms, no surrogates: RFC 3629). */
int dor_utf8(const char *s, uint32_t *code);
/* `text` as a JSON string, quotes and all; bytes that are no UTF-8 become U+FFFD. */
void dor_str_json(dor_str *s, const char *text);
bool dor_is_utf8(const char *text); /* well-formed */

/* Copy `text` with every byte outside printable ASCII written as \xNN: for logs and messages about foreign bytes. */
const char *dor_printable(const char *text, char *out, size_t size);

#endif
