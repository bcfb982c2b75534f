/* SPDX-License-Identifier: Apache-2.0
 *
 * Archives put together by hand, plain and with ZIP64 records: what is in them,
 * and every disagreement between header, directory and end that was thought of. */
#include "weights/zip.h"

#include <string.h>
#include <zlib.h>

#include "base/str.h"
#include "tests/test.h"

typedef struct made { /* an entry, and what is wrong with it */
  const char *name, *bytes, *local_name;
  uint16_t flags, method, local_method;
  int crc, size, at;           /* added to what is right, in the directory */
  int gap;                     /* bytes before its header */
} made;

static void put(dor_str *s, uint64_t v, int n)
{
  for (int i = 0; i < n; i++) dor_str_bytes(s, &(char){(char)(v >> (8 * i) & 255)}, 1);
}

static void put_local(dor_str *s, const made *e)
{
  const char *name = e->local_name ? e->local_name : e->name;
  size_t n = strlen(e->bytes);
  uint32_t crc = (uint32_t)crc32_z(0, (const unsigned char *)e->bytes, n);
  bool after = e->flags & 8;
  for (int i = 0; i < e->gap; i++) put(s, 0, 1);
  put(s, 0x04034b50, 4), put(s, 20, 2), put(s, e->flags, 2), put(s, e->method + e->local_method, 2), put(s, 0, 4);
  put(s, after ? 0 : crc, 4), put(s, after ? 0 : n, 4), put(s, after ? 0 : n, 4), put(s, strlen(name), 2), put(s, 0, 2);
  dor_str_add(s, name);
  dor_str_add(s, e->bytes);
  if (after) put(s, 0x08074b50, 4), put(s, crc, 4), put(s, n, 4), put(s, n, 4);
}

static void put_central(dor_str *s, const made *e, size_t at, bool wide)
{
  size_t n = strlen(e->bytes), size = (size_t)((int)n + e->size), place = (size_t)((int)at + e->at);
  uint32_t crc = (uint32_t)crc32_z(0, (const unsigned char *)e->bytes, n) + (uint32_t)e->crc;
  put(s, 0x02014b50, 4), put(s, 45, 2), put(s, 45, 2), put(s, e->flags, 2), put(s, e->method, 2), put(s, 0, 4), put(s, crc, 4);
  put(s, wide ? 0xffffffff : n, 4), put(s, wide ? 0xffffffff : size, 4), put(s, strlen(e->name), 2), put(s, wide ? 28 : 0, 2);
  put(s, 0, 2), put(s, 0, 2), put(s, 0, 2), put(s, 0, 4), put(s, wide ? 0xffffffff : place, 4);
  dor_str_add(s, e->name);
  if (wide) put(s, 1, 2), put(s, 24, 2), put(s, size, 8), put(s, n, 8), put(s, place, 8);
}

static void archive(dor_str *s, int n, const made *e, bool wide)
{
  size_t at[8];
  for (int i = 0; i < n; i++) {
    at[i] = s->n + (size_t)e[i].gap;
    put_local(s, &e[i]);
  }
  size_t directory = s->n;
  for (int i = 0; i < n; i++) put_central(s, &e[i], at[i], wide);
  size_t end = s->n, size = end - directory;
  if (wide) {
    put(s, 0x06064b50, 4), put(s, 44, 8), put(s, 45, 2), put(s, 45, 2), put(s, 0, 8), put(s, (uint64_t)n, 8), put(s, (uint64_t)n, 8);
    put(s, size, 8), put(s, directory, 8), put(s, 0x07064b50, 4), put(s, 0, 4), put(s, end, 8), put(s, 1, 4);
  }
  put(s, 0x06054b50, 4), put(s, 0, 4), put(s, wide ? 0xffff : (uint64_t)n, 2), put(s, wide ? 0xffff : (uint64_t)n, 2);
  put(s, wide ? 0xffffffff : size, 4), put(s, wide ? 0xffffffff : directory, 4), put(s, 0, 2);
}

TEST(zip_entries)
{
  static const made two[] = {{.name = "a/b", .bytes = "first", .flags = 8}, {.name = "a/c", .bytes = ""}, {.name = "d", .bytes = "third"}};
  (void)state;
  for (int wide = 0; wide < 2; wide++) {
    dor_arena a = {0};
    dor_str s = {0};
    dor_zip z;
    archive(&s, 3, two, wide);
    OK(dor_zip_parse(&z, &a, "w.zip", s.s, s.n));
    for (int i = 0; i < 3; i++) {
      const dor_zip_entry *e = dor_zip_find(&z, two[i].name);
      REQUIRE(e, "no entry %s", two[i].name);
      CHECK(e->size == strlen(two[i].bytes) && !memcmp(e->data, two[i].bytes, e->size), "entry %s", e->name);
    }
    CHECK(z.n == 3 && !dor_zip_find(&z, "a"), "%d entries", z.n);
    dor_arena_release(&a);
    dor_str_release(&s);
  }
}

static void must_refuse(const char *bytes, size_t n, const char *says)
{
  dor_arena a = {0};
  dor_zip z;
  CHECK(dor_zip_parse(&z, &a, "w.zip", bytes, n) == DOR_E_DATA, "taken, wanted '%s'", says);
  CHECK(strstr(dor_errmsg(), says) && !strncmp(dor_errmsg(), "w.zip: ", 7), "wanted '%s' in '%s'", says, dor_errmsg());
  dor_arena_release(&a);
}

static const struct { made e; const char *says; } lies[] = {
    {{.name = "b", .bytes = "x", .flags = 1}, "'b' is encrypted"},
    {{.name = "b", .bytes = "x", .flags = 0x40}, "flags 0x40"},
    {{.name = "b", .bytes = "x", .method = 8}, "compressed (method 8)"},
    {{.name = "b", .bytes = "x", .local_method = 8}, "another one in the header"},
    {{.name = "b", .bytes = "x", .local_name = "c"}, "another name in the header"},
    {{.name = "b", .bytes = "x", .local_name = "bb"}, "another name in the header"},
    {{.name = "b", .bytes = "x", .flags = 8, .crc = 1}, "is damaged: another CRC"},
    {{.name = "b", .bytes = "x", .crc = 1}, "another one in the header"},
    {{.name = "b", .bytes = "x", .size = 1}, "1 bytes stored and 2 after"},
    {{.name = "b", .bytes = "x", .at = 1}, "no header at byte"},
    {{.name = "b", .bytes = "x", .at = 100000}, "no header at byte"},
    {{.name = "b", .bytes = "x", .gap = 3}, "a hole of 3 bytes before 'b'"},
    {{.name = "a", .bytes = "x"}, "'a' stands twice"},
    {{.name = "../b", .bytes = "x"}, "leaves the archive: '../b'"},
    {{.name = "b/..", .bytes = "x"}, "leaves the archive"},
    {{.name = "/b", .bytes = "x"}, "leaves the archive"},
    {{.name = "b\\c", .bytes = "x"}, "leaves the archive"},
    {{.name = "b/", .bytes = ""}, "leaves the archive"},
    {{.name = "", .bytes = "x"}, "name is empty"},
    {{.name = "b\x07", .bytes = "x"}, "not printable"}};

TEST(zip_entries_that_lie)
{
  (void)state;
  for (size_t i = 0; i < sizeof lies / sizeof *lies; i++)
    for (int wide = 0; wide < 2; wide++) {
      dor_str s = {0};
      archive(&s, 2, (const made[]){{.name = "a", .bytes = "first"}, lies[i].e}, wide);
      must_refuse(s.s, s.n, lies[i].says);
      dor_str_release(&s);
    }
}

/* Offsets from the end of an archive with ZIP64 records (bytes: record 56, locator 20, end 22) and what is written there. */
static const struct { int from_end; uint64_t value; int bytes; const char *says; } ends[] = {
    {2, 1, 2, "no end record"},
    {18, 1, 2, "several parts"},
    {14, 1, 2, "several parts"},
    {10, 7, 4, "two end records do not agree"},
    {22 + 4, 2, 4, "several parts"},
    {22 + 12, 0, 8, "not right before its locator"},
    {22 + 12, UINT64_MAX, 8, "not right before its locator"},
    {98, 0, 4, "no ZIP64 end record"},
    {98 - 4, 45, 8, "no ZIP64 end record"},
    {98 - 16, 1, 4, "several parts"},
    {98 - 40, UINT64_MAX, 8, "does not end at its end record"},
    {98 - 48, UINT64_MAX, 8, "does not end at its end record"}};

TEST(zip_ends_that_lie)
{
  static const made one = {.name = "a", .bytes = "first"};
  dor_str s = {0};
  (void)state;
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
    dor_str_clear(&s);
    archive(&s, 1, &one, true);
    for (int k = 0; k < ends[i].bytes; k++) s.s[s.n - (size_t)ends[i].from_end + (size_t)k] = (char)(ends[i].value >> (8 * k) & 255);
    must_refuse(s.s, s.n, ends[i].says);
  }
  dor_str_clear(&s);
  archive(&s, 1, &one, false);
  s.s[s.n - 12] = s.s[s.n - 14] = 2;
  must_refuse(s.s, s.n, "its directory claims 2 entries");
  s.s[s.n - 12] = s.s[s.n - 14] = 0;
  must_refuse(s.s, s.n, "belong to no entry");
  s.s[s.n - 12] = s.s[s.n - 14] = 1;
  dor_str_add(&s, "x");
  must_refuse(s.s, s.n, "bytes were added");
  must_refuse("PK\5\6", 4, "cut off");
  dor_str_release(&s);
}
