/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA256SUMS: written over a finished folder, and checked again later. */
#include <string.h>

#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"
#include "report/meta.h"

enum { DEPTH = 8 };

static bool left_out(const char *relative, const char *name)
{
  static const char *const top[] = {"private", "cost.csv", "DONE", "SHA256SUMS"};
  for (size_t i = 0; i < sizeof top / sizeof *top; i++)
    if (!strcmp(relative, top[i])) return true;
  return !strcmp(name, "log.txt") || strstr(name, ".tmp.") != NULL;
}

static dor_status walk(dor_arena *a, const char *folder, const char *below, int depth, dor_str *s)
{
  const char *const *name, *here = below[0] ? dor_path_join(a, folder, below) : folder;
  size_t n;
  DOR_NEED(here, NOMEM, "%s", folder);
  DOR_NEED(depth > 0, DATA, "%s: folders more than %d deep", here, DEPTH);
  DOR_TRY(dor_io_list(a, here, &name, &n));
  for (size_t i = 0; i < n; i++) {
    char hex[DOR_HASH_HEX], *relative = dor_path_join(a, below, name[i]), *path = relative ? dor_path_join(a, folder, relative) : NULL;
    DOR_NEED(path, NOMEM, "%s", folder);
    if (left_out(relative, name[i])) continue;
    if (dor_io_is_dir(path)) {
      DOR_TRY(walk(a, folder, relative, depth - 1, s));
      continue;
    }
    DOR_TRY(dor_hash_file(path, hex));
    dor_str_fmt(s, "%s  %s\n", hex, relative);
  }
  return DOR_OK;
}

dor_status dor_sums_write(dor_arena *a, const char *folder)
{
  dor_str s = {0};
  char *path = dor_path_join(a, folder, "SHA256SUMS");
  dor_status status = path ? walk(a, folder, "", DEPTH, &s) : DOR_FAIL(NOMEM, "SHA256SUMS");
  if (!status) status = dor_str_status(&s);
  if (!status) status = dor_io_write(path, s.s ? s.s : "", s.n);
  dor_str_release(&s);
  return status;
}

/* A line names a file inside the folder: no absolute path, no step up. */
static bool inside(const char *relative)
{
  return relative[0] && relative[0] != '/' && strcmp(relative, "..") != 0 && strncmp(relative, "../", 3) != 0 && !strstr(relative, "/../");
}

static dor_status check_line(dor_arena *a, const char *folder, char *line, int number)
{
  char hex[DOR_HASH_HEX];
  const char *relative = strlen(line) > 66 ? line + 66 : "";
  DOR_NEED(strlen(line) > 66 && line[64] == ' ' && line[65] == ' ' && inside(relative), DATA, "%s/SHA256SUMS:%d: no sum and file name", folder, number);
  char *path = dor_path_join(a, folder, relative);
  DOR_NEED(path, NOMEM, "%s", relative);
  DOR_NEED(dor_io_exists(path), MISMATCH, "%s is missing", path);
  DOR_TRY(dor_hash_file(path, hex));
  DOR_NEED(!strncmp(hex, line, 64), MISMATCH, "%s has changed since it was written", path);
  return DOR_OK;
}

static dor_status verify(dor_arena *a, const char *folder, char *text, int32_t *n)
{
  *n = 0;
  for (char *line = text, *end; *line; line = end + 1) {
    end = strchr(line, '\n');
    DOR_NEED(end, DATA, "%s/SHA256SUMS:%d: the last line is cut off", folder, *n + 1);
    *end = 0;
    DOR_TRY(check_line(a, folder, line, *n + 1));
    ++*n;
  }
  DOR_NEED(*n, DATA, "%s/SHA256SUMS: no sums", folder);
  return DOR_OK;
}

dor_status dor_report_verify(const char *folder, int32_t *n)
{
  dor_arena a = {0};
  char *text = NULL, *path = dor_path_join(&a, folder, "SHA256SUMS");
  size_t size;
  dor_status s = path ? dor_io_read(path, (size_t)1 << 26, &text, &size) : DOR_FAIL(NOMEM, "SHA256SUMS");
  if (!s) s = verify(&a, folder, text, n);
  dor_free(text);
  dor_arena_release(&a);
  return s;
}
