/* SPDX-License-Identifier: Apache-2.0
 *
 * CSV after RFC 4180: what is read, what is refused and where, and the way back. */
#include "tests/test.h"

#include <math.h>
#include <string.h>

#include "base/csv.h"
#include "base/io.h"
#include "base/rng.h"

static dor_status parse(dor_arena *a, const char *text, dor_csv *t) { return dor_csv_parse(a, "t.csv", text, strlen(text), t); }

TEST(csv_rfc4180)
{
  dor_arena a = {0};
  dor_csv t;
  (void)state;
  OK(parse(&a, "\xef\xbb\xbfname,note\r\n\"a \"\"b\"\"\",\"two\r\nlines, one cell\"\r\n,x\r\n\r\n", &t));
  REQUIRE(t.n_cols == 2 && t.n_rows == 2, "%d rows of %d", t.n_rows, t.n_cols);
  CHECK(!strcmp(t.header[0], "name"), "the byte order mark stayed: %s", t.header[0]);
  CHECK(!strcmp(dor_csv_at(&t, 0, 0), "a \"b\""), "got %s", dor_csv_at(&t, 0, 0));
  CHECK(!strcmp(dor_csv_at(&t, 0, 1), "two\r\nlines, one cell"), "got %s", dor_csv_at(&t, 0, 1));
  CHECK(!*dor_csv_at(&t, 1, 0) && t.line[0] == 2 && t.line[1] == 4, "lines %d %d", t.line[0], t.line[1]);
  OK(parse(&a, "a,b\n1,2", &t));
  CHECK(t.n_rows == 1 && !strcmp(dor_csv_at(&t, 0, 1), "2"), "no last line feed");
  OK(parse(&a, "a\n\n1\n", &t));
  CHECK(t.n_rows == 2 && !*dor_csv_at(&t, 0, 0), "one column: an empty line is an empty cell");
  OK(parse(&a, "a,b\n", &t));
  CHECK(t.n_rows == 0, "header alone");
  dor_arena_release(&a);
}

TEST(csv_refuses)
{
  static const struct { const char *text, *want; } bad[] = {
      {"", "t.csv:1: an empty file"},
      {"a,b\n1,2\n3\n", "t.csv:3: 1 fields where the header has 2"},
      {"a,a\n", "t.csv:1: two columns are called 'a'"},
      {"a,b\n1,x\"y\n", "t.csv:2: a quote inside a field that does not begin with one"},
      {"a,b\n1,\"x\"y\n", "t.csv:2: text after a closing quote; a quote inside a field is written twice"},
      {"a,b\n1,2\n\"3\n4,5\n", "t.csv:3: a quote is opened here and never closed"},
      {"a,b\n1\r,2\n", "t.csv:2: a carriage return without a line feed"},
      {"a;b\n1,5;2\n", "t.csv:2: 2 fields where the header has 1; fields must be separated by commas"},
      {"a,b\n1,2\nM\xfcller,3\n", "t.csv:3: not UTF-8; iconv -f LATIN1 -t UTF-8 converts what older programs write"},
      {"\xe4,b\n1,2\n", "t.csv:1: not UTF-8; iconv -f LATIN1 -t UTF-8 converts what older programs write"}};
  dor_arena a = {0};
  dor_csv t;
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    CHECK(parse(&a, bad[i].text, &t) == DOR_E_DATA, "case %zu was read", i);
    CHECK(!strcmp(dor_errmsg(), bad[i].want), "got '%s', want '%s'", dor_errmsg(), bad[i].want);
  }
  CHECK(dor_csv_parse(&a, "t.csv", "a\n\0", 3, &t) == DOR_E_DATA && strstr(dor_errmsg(), "t.csv:2: a NUL"), "%s", dor_errmsg());
  dor_arena_release(&a);
}

TEST(csv_columns_and_numbers)
{
  dor_arena a = {0};
  dor_csv t;
  int32_t col;
  double x;
  (void)state;
  OK(parse(&a, "subject,age\ns1,41.5\ns2,Jane\ns3,\n", &t));
  OK(dor_csv_need(&t, "age", &col));
  OK(dor_csv_real(&t, 0, col, &x));
  CHECK(x == 41.5, "got %g", x);
  CHECK(dor_csv_real(&t, 1, col, &x) == DOR_E_DATA && !strcmp(dor_errmsg(), "t.csv:3: column 'age': not a number"), "%s", dor_errmsg());
  CHECK(dor_csv_real(&t, 2, col, &x) == DOR_E_DATA && strstr(dor_errmsg(), "t.csv:4: column 'age': empty"), "%s", dor_errmsg());
  CHECK(dor_csv_need(&t, "subjcet", &col) == DOR_E_DATA && !strcmp(dor_errmsg(), "t.csv:1: no column 'subjcet'; did you mean 'subject'?"), "%s", dor_errmsg());
  OK(parse(&a, "subject;age\n", &t));
  CHECK(dor_csv_need(&t, "age", &col) == DOR_E_DATA && strstr(dor_errmsg(), "separated by commas"), "%s", dor_errmsg());
  dor_arena_release(&a);
}

TEST(csv_writes_what_it_reads)
{
  static const char alphabet[] = "ab,\"\n\r x;";
  dor_rng r = dor_rng_stream(5, 0, 0);
  (void)state;
  for (int round = 0; round < 200; round++) {
    dor_arena a = {0};
    dor_str s = {0};
    dor_csv t;
    char cell[12][8];
    dor_str_add(&s, "p,q,r\n");
    for (int i = 0; i < 12; i++) {
      uint32_t n = dor_rng_below(&r, 7);
      for (uint32_t j = 0; j < n; j++) cell[i][j] = alphabet[dor_rng_below(&r, sizeof alphabet - 1)];
      if (n && cell[i][0] == '\r') cell[i][0] = 'b';
      cell[i][n] = 0;
      dor_csv_put(&s, cell[i], i % 3 == 2);
    }
    OK(dor_csv_parse(&a, "t.csv", s.s, s.n, &t));
    REQUIRE(t.n_rows == 4, "%d rows", t.n_rows);
    for (int i = 0; i < 12; i++) CHECK(!strcmp(cell[i], dor_csv_at(&t, i / 3, i % 3)), "'%s' became '%s'", cell[i], dor_csv_at(&t, i / 3, i % 3));
    dor_str_release(&s);
    dor_arena_release(&a);
  }
}

TEST(csv_cells)
{
  dor_str s = {0};
  (void)state;
  dor_csv_put(&s, "=1+1", false);
  dor_csv_put(&s, "@x,y", false);
  dor_csv_put_real(&s, -0.25, false);
  dor_csv_put_real(&s, NAN, false);
  dor_csv_put_int(&s, -7, true);
  CHECK(!strcmp(s.s, "'=1+1,\"'@x,y\",-0.25,,-7\n"), "got %s", s.s);
  dor_str_release(&s);
}

TEST(csv_guard_comes_off_again)
{
  static const char *const cell[] = {"-0", "+", "=1+1", "@x,y", "'-1", "''=a", "'quoted'", "'", "''", "o'=x", "\tt"};
  enum { N = sizeof cell / sizeof *cell };
  dor_arena a = {0};
  dor_str s = {0};
  dor_csv t;
  (void)state;
  for (int i = 0; i < N; i++) {
    char name[16];
    snprintf(name, sizeof name, "-%d", i);
    dor_csv_put(&s, name, i == N - 1);
  }
  for (int i = 0; i < N; i++) dor_csv_put(&s, cell[i], i == N - 1);
  OK(dor_csv_parse(&a, "t.csv", s.s, s.n, &t));
  CHECK(!strncmp(s.s, "'-0,", 4) && strstr(s.s, "\n'-0,'+,'=1+1,\"'@x,y\",''-1,"), "not guarded: %s", s.s);
  CHECK(dor_csv_find(&t, "-3") == 3, "the header keeps its guard");
  for (int i = 0; i < N; i++) CHECK(!strcmp(cell[i], dor_csv_at(&t, 0, i)), "'%s' became '%s'", cell[i], dor_csv_at(&t, 0, i));
  dor_str_release(&s);
  dor_arena_release(&a);
}
