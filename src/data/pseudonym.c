/* SPDX-License-Identifier: Apache-2.0
 *
 * Pseudonyms: a keyed hash of each id, so that only who holds the key can tell
 * who is who. Key and mapping stay beside the source, readable by their owner. */
#include "data/import.h"

#include <string.h>

#include "base/csv.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"

enum { KEY_BYTES = 32, PSEUDONYM_HEX = 12 };

static const char HEX[] = "0123456789abcdef";

static int nibble(char c)
{
  const char *at = c ? strchr(HEX, c) : NULL;
  return at ? (int)(at - HEX) : -1;
}

static dor_status parse_key(const char *path, const char *text, size_t size, unsigned char key[KEY_BYTES])
{
  DOR_NEED(size >= 2 * KEY_BYTES, DATA, "%s: a key is %d hex digits", path, 2 * KEY_BYTES);
  for (int i = 0; i < KEY_BYTES; i++) {
    int hi = nibble(text[2 * i]), lo = nibble(text[2 * i + 1]);
    DOR_NEED(hi >= 0 && lo >= 0, DATA, "%s: a key is %d hex digits", path, 2 * KEY_BYTES);
    key[i] = (unsigned char)(hi << 4 | lo);
  }
  return DOR_OK;
}

/* The key beside the source; made when there is none. */
static dor_status take_key(const char *path, bool dry_run, unsigned char key[KEY_BYTES])
{
  char *text, hex[2 * KEY_BYTES + 1] = "";
  size_t size;
  if (dor_io_exists(path)) {
    DOR_TRY(dor_io_read(path, 4096, &text, &size));
    dor_status s = parse_key(path, text, size, key);
    dor_free(text);
    return s;
  }
  dor_hash_random_key(key);
  if (dry_run) return DOR_OK;
  for (int i = 0; i < KEY_BYTES; i++) hex[2 * i] = HEX[key[i] >> 4], hex[2 * i + 1] = HEX[key[i] & 15];
  hex[2 * KEY_BYTES] = '\n';
  return dor_io_write_private(path, hex, sizeof hex);
}

static dor_status rename_all(dor_dataset *d, const unsigned char key[KEY_BYTES], dor_str *mapping)
{
  const char **id = dor_arena_alloc(&d->arena, (size_t)d->n_subjects * sizeof *id);
  char hex[DOR_HASH_HEX];
  DOR_NEED(id, NOMEM, "%d pseudonyms", d->n_subjects);
  dor_str_add(mapping, "row,id,pseudonym\n");
  for (int32_t i = 0; i < d->n_subjects; i++) {
    dor_hash_keyed(key, d->id[i], strlen(d->id[i]), hex);
    id[i] = dor_arena_fmt(&d->arena, "s%.*s", PSEUDONYM_HEX, hex);
    DOR_NEED(id[i], NOMEM, "%d pseudonyms", d->n_subjects);
    dor_csv_put_int(mapping, i + 1, false);
    dor_csv_put(mapping, d->id[i], false);
    dor_csv_put(mapping, id[i], true);
  }
  d->id = id;
  return dor_str_status(mapping);
}

dor_status dor_pseudonymise(dor_dataset *d, const char *src, bool dry_run)
{
  unsigned char key[KEY_BYTES];
  dor_str mapping = {0};
  int n = (int)strlen(src);
  while (n > 1 && src[n - 1] == '/') n--;
  const char *key_path = dor_arena_fmt(&d->arena, "%.*s.private.key", n, src), *map_path = dor_arena_fmt(&d->arena, "%.*s.private.csv", n, src);
  DOR_NEED(key_path && map_path, NOMEM, "paths of private files");
  DOR_TRY(take_key(key_path, dry_run, key));
  dor_status s = rename_all(d, key, &mapping);
  if (!s && !dry_run) s = dor_io_write_private(map_path, mapping.s, mapping.n);
  dor_str_release(&mapping);
  DOR_TRY(s);
  if (!dry_run) dor_note("ids became pseudonyms; the key and the list of who is who lie beside the source (*.private.*): keep them there");
  return dor_dataset_validate(d);
}
