/* SPDX-License-Identifier: Apache-2.0
 *
 * Archives are read from the end (the directory) and held against the beginning
 * (the header before each entry); where the two could disagree, the file is
 * refused. Formats: PKWARE APPNOTE 6.3.10, sections 4.3 and 4.5.3. */
#include "weights/zip.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/str.h"
#include "weights/tensor.h"

enum { END = 22, END64 = 56, LOCATOR = 20, CENTRAL = 46, LOCAL = 30, ENTRIES = DOR_TENSOR_COUNT + 16 };
enum { SIGN_LOCAL = 0x04034b50, SIGN_CENTRAL = 0x02014b50, SIGN_END = 0x06054b50, SIGN_END64 = 0x06064b50, SIGN_LOCATOR = 0x07064b50 };
enum { FLAG_ENCRYPTED = 1, FLAG_DESCRIPTOR = 8, FLAGS_HARMLESS = 0x080e }; /* speed hints, sizes after the data, UTF-8 names */

typedef struct place {         /* an entry as the directory gives it */
  const char *name;
  uint64_t at, data, size;     /* offsets of its header and bytes */
  uint32_t crc;
  uint16_t flags;
} place;

typedef struct reader {
  dor_arena *a;
  const char *file;
  const unsigned char *bytes;
  uint64_t size;
  uint64_t directory, directory_end, count;
} reader;

static uint64_t number(const unsigned char *p, int n)
{
  uint64_t v = 0;
  while (n--) v = v << 8 | p[n];
  return v;
}
static uint16_t u16(const unsigned char *p) { return (uint16_t)number(p, 2); }
static uint32_t u32(const unsigned char *p) { return (uint32_t)number(p, 4); }
static uint64_t u64(const unsigned char *p) { return number(p, 8); }

/* ---- the end ---- */

static dor_status read_end64(reader *r, const unsigned char *locator, uint64_t at)
{
  DOR_NEED(u32(locator + 4) == 0 && u32(locator + 16) == 1, DATA, "%s: an archive in several parts", r->file);
  DOR_NEED(at >= END64 && u64(locator + 8) == at - END64, DATA, "%s: the ZIP64 end record is not right before its locator", r->file);
  const unsigned char *p = r->bytes + at - END64;
  DOR_NEED(u32(p) == SIGN_END64 && u64(p + 4) == END64 - 12, DATA, "%s: no ZIP64 end record where the locator says", r->file);
  DOR_NEED(!u32(p + 16) && !u32(p + 20) && u64(p + 24) == u64(p + 32), DATA, "%s: an archive in several parts", r->file);
  r->count = u64(p + 32), r->directory = u64(p + 48);
  r->directory_end = at - END64;
  DOR_NEED(u64(p + 40) <= r->directory_end && r->directory == r->directory_end - u64(p + 40), DATA,
           "%s: the archive's directory does not end at its end record", r->file);
  return DOR_OK;
}

/* The short end record must say the same, or that it cannot. */
static bool agrees(uint64_t shown, uint64_t most, uint64_t is) { return shown == is || shown == most; }

static dor_status read_end(reader *r)
{
  const unsigned char *end = r->size >= END ? r->bytes + r->size - END : NULL;
  DOR_NEED(end && u32(end) == SIGN_END && !u16(end + 20), DATA, "%s: no end record of a zip archive at its end: cut off, or bytes were added", r->file);
  DOR_NEED(!u16(end + 4) && !u16(end + 6) && u16(end + 8) == u16(end + 10), DATA, "%s: an archive in several parts", r->file);
  const unsigned char *locator = r->size >= END + LOCATOR ? end - LOCATOR : NULL;
  if (locator && u32(locator) == SIGN_LOCATOR) {
    DOR_TRY(read_end64(r, locator, r->size - END - LOCATOR));
    bool same = agrees(u16(end + 10), 0xffff, r->count) && agrees(u32(end + 12), 0xffffffff, r->directory_end - r->directory) &&
                agrees(u32(end + 16), 0xffffffff, r->directory);
    DOR_NEED(same, DATA, "%s: its two end records do not agree", r->file);
  } else {
    r->count = u16(end + 10), r->directory = u32(end + 16), r->directory_end = r->size - END;
    DOR_NEED(r->directory + u32(end + 12) == r->directory_end, DATA, "%s: the archive's directory does not end at its end record", r->file);
  }
  DOR_NEED(r->count <= ENTRIES && r->count <= (r->directory_end - r->directory) / CENTRAL, DATA, "%s: its directory claims %llu entries", r->file,
           (unsigned long long)r->count);
  return DOR_OK;
}

/* ---- the directory ---- */

/* The ZIP64 extra field holds, in this order, what does not fit its 32 bits. */
static dor_status widen(const reader *r, const unsigned char *extra, uint32_t n, place *e, uint64_t *stored)
{
  uint64_t *const wide[] = {&e->size, stored, &e->at};
  for (uint32_t i = 0; n - i >= 4 && i < n;) {
    uint32_t id = u16(extra + i), length = u16(extra + i + 2), used = 0;
    DOR_NEED(length <= n - i - 4, DATA, "%s: entry '%s': an extra field leaves its place", r->file, e->name);
    for (int k = 0; id == 1 && k < 3; k++) {
      if (*wide[k] != 0xffffffff) continue;
      DOR_NEED(used + 8 <= length, DATA, "%s: entry '%s': its ZIP64 sizes are cut off", r->file, e->name);
      *wide[k] = u64(extra + i + 4 + used), used += 8;
    }
    i += 4 + length;
  }
  return DOR_OK;
}

static bool safe_name(const char *s)
{
  if (!dor_tensor_name_good(s) || *s == '/' || strchr(s, '\\') || s[strlen(s) - 1] == '/') return false;
  for (const char *p = s; p; p = strchr(p, '/'), p = p ? p + 1 : NULL)
    if (!strncmp(p, "..", 2) && (!p[2] || p[2] == '/')) return false;
  return true;
}

static dor_status read_name(const reader *r, const unsigned char *p, uint32_t n, const char **name)
{
  char shown[64];
  char *text = dor_arena_alloc(r->a, (size_t)n + 1);
  DOR_NEED(text, NOMEM, "%s: no memory for the names in it", r->file);
  memcpy(text, p, n);
  DOR_NEED(strlen(text) == n && safe_name(text), DATA, "%s: an entry's name is empty, too long, not printable or leaves the archive: '%s'", r->file,
           dor_printable(text, shown, sizeof shown));
  *name = text;
  return DOR_OK;
}

static dor_status read_central(const reader *r, uint64_t *at, place *e)
{
  const unsigned char *p = r->bytes + *at;
  DOR_NEED(r->directory_end - *at >= CENTRAL && u32(p) == SIGN_CENTRAL, DATA, "%s: byte %llu: no entry of the archive's directory", r->file,
           (unsigned long long)*at);
  uint32_t name = u16(p + 28), extra = u16(p + 30), comment = u16(p + 32), method = u16(p + 10);
  DOR_NEED(r->directory_end - *at - CENTRAL >= (uint64_t)name + extra + comment, DATA, "%s: byte %llu: an entry leaves the archive's directory", r->file,
           (unsigned long long)*at);
  *e = (place){.flags = u16(p + 8), .crc = u32(p + 16), .size = u32(p + 24), .at = u32(p + 42)};
  uint64_t stored = u32(p + 20);
  DOR_TRY(read_name(r, p + CENTRAL, name, &e->name));
  DOR_TRY(widen(r, p + CENTRAL + name, extra, e, &stored));
  DOR_NEED(!(e->flags & FLAG_ENCRYPTED), DATA, "%s: entry '%s' is encrypted", r->file, e->name);
  DOR_NEED(!(e->flags & ~FLAGS_HARMLESS), DATA, "%s: entry '%s' has flags %#x that are not read", r->file, e->name, (unsigned)e->flags);
  DOR_NEED(!method, DATA, "%s: entry '%s' is compressed (method %u); torch.save stores entries as they are, and only such are read", r->file, e->name,
           (unsigned)method);
  DOR_NEED(stored == e->size, DATA, "%s: entry '%s': %llu bytes stored and %llu after", r->file, e->name, (unsigned long long)stored,
           (unsigned long long)e->size);
  *at += CENTRAL + (uint64_t)name + extra + comment;
  return DOR_OK;
}

/* ---- the header before the bytes ---- */

static dor_status read_local(const reader *r, place *e)
{
  DOR_NEED(e->at <= r->directory && r->directory - e->at >= LOCAL && u32(r->bytes + e->at) == SIGN_LOCAL, DATA, "%s: entry '%s': no header at byte %llu",
           r->file, e->name, (unsigned long long)e->at);
  const unsigned char *p = r->bytes + e->at;
  uint64_t name = u16(p + 26), extra = u16(p + 28), room = r->directory - e->at - LOCAL;
  DOR_NEED(name + extra <= room && e->size <= room - name - extra, DATA, "%s: entry '%s': its %llu bytes leave the archive", r->file, e->name,
           (unsigned long long)e->size);
  DOR_NEED(name == strlen(e->name) && !memcmp(p + LOCAL, e->name, name), DATA, "%s: entry '%s' has another name in the header before it", r->file, e->name);
  bool same = u16(p + 6) == e->flags && !u16(p + 8);
  if (!(e->flags & FLAG_DESCRIPTOR)) {
    same = same && u32(p + 14) == e->crc;
    same = same && agrees(u32(p + 18), 0xffffffff, e->size) && agrees(u32(p + 22), 0xffffffff, e->size);
  }
  DOR_NEED(same, DATA, "%s: entry '%s' is another one in the header before it", r->file, e->name);
  e->data = e->at + LOCAL + name + extra;
  return DOR_OK;
}

static int by_place(const void *a, const void *b)
{
  const place *x = a, *y = b;
  return x->at < y->at ? -1 : x->at > y->at;
}

/* Entries follow one another; only the sizes of an entry that stand after it (4 to 6 words) may lie between. */
static dor_status check_cover(const reader *r, const place *e, uint64_t n)
{
  uint64_t end = 0;
  bool after = false;
  for (uint64_t i = 0; i <= n; i++) {
    uint64_t at = i < n ? e[i].at : r->directory, gap = at - end;
    const char *name = i < n ? e[i].name : "the directory";
    DOR_NEED(at >= end, DATA, "%s: entry '%s' overlaps another", r->file, name);
    DOR_NEED(!gap || (after && gap >= 12 && gap <= 24 && gap % 4 == 0), DATA, "%s: a hole of %llu bytes before '%s'", r->file, (unsigned long long)gap, name);
    if (i < n) end = e[i].data + e[i].size, after = (e[i].flags & FLAG_DESCRIPTOR) != 0;
  }
  return DOR_OK;
}

static dor_status take(const reader *r, const place *e, dor_zip *out, dor_zip_entry *to)
{
  int32_t fresh;
  dor_intern_put(&out->names, e->name, &fresh);
  DOR_NEED(fresh, DATA, "%s: entry '%s' stands twice", r->file, e->name);
  DOR_NEED(crc32_z(0, r->bytes + e->data, (size_t)e->size) == e->crc, DATA, "%s: entry '%s' is damaged: another CRC than the directory's %08x", r->file,
           e->name, (unsigned)e->crc);
  *to = (dor_zip_entry){e->name, r->bytes + e->data, (size_t)e->size};
  return DOR_OK;
}

dor_status dor_zip_parse(dor_zip *out, dor_arena *a, const char *file, const void *bytes, size_t size)
{
  reader r = {.a = a, .file = file, .bytes = bytes, .size = size};
  *out = (dor_zip){0};
  DOR_TRY(read_end(&r));
  place *e = dor_arena_alloc(a, ((size_t)r.count + 1) * sizeof *e);
  dor_zip_entry *at = dor_arena_alloc(a, ((size_t)r.count + 1) * sizeof *at);
  DOR_NEED(e && at, NOMEM, "%s: no memory for %llu entries", file, (unsigned long long)r.count);
  uint64_t next = r.directory;
  for (uint64_t i = 0; i < r.count; i++) {
    DOR_TRY(read_central(&r, &next, &e[i]));
    DOR_TRY(read_local(&r, &e[i]));
  }
  DOR_NEED(next == r.directory_end, DATA, "%s: %llu bytes of the archive's directory belong to no entry", file, (unsigned long long)(r.directory_end - next));
  qsort(e, (size_t)r.count, sizeof *e, by_place);
  DOR_TRY(check_cover(&r, e, r.count));
  DOR_TRY(dor_intern_init(&out->names, a, (int32_t)r.count));
  for (uint64_t i = 0; i < r.count; i++) DOR_TRY(take(&r, &e[i], out, &at[i]));
  out->at = at, out->n = (int32_t)r.count;
  return DOR_OK;
}

const dor_zip_entry *dor_zip_find(const dor_zip *z, const char *name)
{
  int32_t i = z->n ? dor_intern_find(&z->names, name) : -1;
  return i < 0 ? NULL : &z->at[i];
}
