/* SPDX-License-Identifier: Apache-2.0
 *
 * CSV after RFC 4180: quotes, CRLF, embedded newlines, a UTF-8 byte order mark.
 * A table is read whole into an arena; every cell knows its line. */
#ifndef DOR_BASE_CSV_H
#define DOR_BASE_CSV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "base/str.h"

typedef struct dor_csv {
  const char *path;             /* for messages */
  int32_t n_rows, n_cols;       /* without the header */
  const char *const *header;    /* [n_cols], unique */
  const char *const *cell;      /* [n_rows * n_cols], never NULL; "" when empty */
  const int32_t *line;          /* [n_rows] first line of the row, from 1 */
} dor_csv;

/* errors DATA with file:line (unequal row lengths, duplicate header, stray quote, NUL byte, over the limits), IO */
DOR_MUST dor_status dor_csv_read(dor_arena *a, const char *path, dor_csv *out);
DOR_MUST dor_status dor_csv_parse(dor_arena *a, const char *name, const char *text, size_t size, dor_csv *out);

int32_t dor_csv_find(const dor_csv *t, const char *column);     /* -1 when there is none */
DOR_MUST dor_status dor_csv_need(const dor_csv *t, const char *column, int32_t *col); /* DATA, with the nearest name */
/* Columns of one's own are let alone; one that is nearly a known one, while that is missing, is a typing error: DATA. */
DOR_MUST dor_status dor_csv_no_near_miss(const dor_csv *t, const char *const known[], size_t n);
const char *dor_csv_at(const dor_csv *t, int32_t row, int32_t col);
DOR_MUST dor_status dor_csv_real(const dor_csv *t, int32_t row, int32_t col, double *out); /* DATA: file:line: column */

/* Writing: a cell is quoted when it must be; a text that a spreadsheet would run (= + - @ first, or any number of ' and then one of
 * these) gets a ' before it, which reading takes off again: what was put is what dor_csv_at gives. */
void dor_csv_put(dor_str *s, const char *text, bool last);      /* appends , or \n */
void dor_csv_put_real(dor_str *s, double x, bool last);         /* shortest that reads back; NaN is the empty cell */
void dor_csv_put_int(dor_str *s, int64_t x, bool last);

#endif
