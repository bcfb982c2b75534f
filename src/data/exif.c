/* SPDX-License-Identifier: Apache-2.0 */
#include "data/exif.h"

#include <stdbool.h>
#include <string.h>

enum { HEAD = 6, TIFF_HEAD = 8, ENTRY = 12, TAG_ORIENTATION = 0x112, TYPE_SHORT = 3 };

typedef struct tiff { /* what follows "Exif\0\0" */
  const uint8_t *p;
  size_t n;
  const char *name;
  bool big;           /* "MM": most significant byte first */
} tiff;

static uint32_t u16(const tiff *t, size_t at) { return t->big ? (uint32_t)t->p[at] << 8 | t->p[at + 1] : (uint32_t)t->p[at + 1] << 8 | t->p[at]; }
static uint32_t u32(const tiff *t, size_t at) { return t->big ? u16(t, at) << 16 | u16(t, at + 2) : u16(t, at + 2) << 16 | u16(t, at); }

static dor_status read_entry(const tiff *t, size_t at, int *out)
{
  uint32_t type = u16(t, at + 2), count = u32(t, at + 4), value = u16(t, at + 8);
  DOR_NEED(type == TYPE_SHORT && count == 1, DATA, "%s: EXIF: its orientation is no single short number", t->name);
  DOR_NEED(value <= 8, DATA, "%s: EXIF: orientation %u, 1 to 8 are known", t->name, value);
  *out = value ? (int)value : 1; /* cameras that do not know write 0 */
  return DOR_OK;
}

static dor_status read_directory(const tiff *t, int *out)
{
  size_t at = u32(t, 4);
  DOR_NEED(at >= TIFF_HEAD && at <= t->n - 2, DATA, "%s: EXIF: its directory lies outside it", t->name);
  size_t entries = u16(t, at);
  DOR_NEED(entries <= (t->n - at - 2) / ENTRY, DATA, "%s: EXIF: a directory of %zu entries does not fit in it", t->name, entries);
  for (size_t i = 0; i < entries; i++)
    if (u16(t, at + 2 + i * ENTRY) == TAG_ORIENTATION) return read_entry(t, at + 2 + i * ENTRY, out);
  return DOR_OK;
}

dor_status dor_exif_orientation(const char *name, const uint8_t *segment, size_t n, int *out)
{
  *out = 1;
  if (n < HEAD || memcmp(segment, "Exif\0\0", HEAD) != 0) return DOR_OK;
  tiff t = {segment + HEAD, n - HEAD, name, n > HEAD && segment[HEAD] == 'M'};
  DOR_NEED(t.n >= TIFF_HEAD + 2 && (!memcmp(t.p, "II*\0", 4) || !memcmp(t.p, "MM\0*", 4)), DATA, "%s: EXIF: no TIFF header in it", name);
  return read_directory(&t, out);
}
