/* SPDX-License-Identifier: Apache-2.0
 *
 * A strict look into a zip archive in memory, as PyTorch writes it: entries
 * stored as they are (nothing is ever inflated), one after another from the first
 * byte to the directory, every one with the CRC that the directory gives, no name
 * twice and none that leaves a folder. ZIP64 records are read where they stand. */
#ifndef DOR_WEIGHTS_ZIP_H
#define DOR_WEIGHTS_ZIP_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/intern.h"
#include "base/status.h"

typedef struct dor_zip_entry {
  const char *name;
  const unsigned char *data;    /* borrowed from the archive's bytes */
  size_t size;
} dor_zip_entry;

typedef struct dor_zip {
  int32_t n;
  const dor_zip_entry *at;      /* in order of their bytes */
  dor_intern names;             /* number in `at` by name */
} dor_zip;

/* `file` names it in messages; everything lives in `a`. errors DATA "file: entry 'a': what", NOMEM */
DOR_MUST dor_status dor_zip_parse(dor_zip *out, dor_arena *a, const char *file, const void *bytes, size_t size);
const dor_zip_entry *dor_zip_find(const dor_zip *z, const char *name); /* NULL when there is none */

#endif
