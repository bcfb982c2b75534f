/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA256SUMS: written over a finished folder, and checked again later. */
#include <string.h>

#include "base/hash.h"
#include "base/io.h"
#include "base/log.h"
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

/* The names of all files that are hashed, each with a line feed, in the order of SHA256SUMS. */
static dor_status walk(dor_arena *a, const char *folder, const char *below, int depth, dor_str *s)
{
  const char *const *name, *here = below[0] ? dor_path_join(a, folder, below) : folder;
  size_t n;
  DOR_NEED(here, NOMEM, "%s", folder);
  DOR_NEED(depth > 0, DATA, "%s: folders more than %d deep", here, DEPTH);
  DOR_TRY(dor_io_list(a, here, &name, &n));
  for (size_t i = 0; i < n; i++) {
    char *relative = dor_path_join(a, below, name[i]), *path = relative ? dor_path_join(a, folder, relative) : NULL;
    DOR_NEED(path, NOMEM, "%s", folder);
    if (left_out(relative, name[i])) continue;
    if (dor_io_is_dir(path)) DOR_TRY(walk(a, folder, relative, depth - 1, s));
    else dor_str_fmt(s, "%s\n", relative);
  }
  return dor_str_status(s);
}

static dor_status add_sum(dor_arena *a, const char *folder, const char *relative, dor_str *s)
{
  char hex[DOR_HASH_HEX], *path = dor_path_join(a, folder, relative);
  DOR_NEED(path, NOMEM, "%s", folder);
  DOR_TRY(dor_hash_file(path, hex));
  dor_str_fmt(s, "%s  %s\n", hex, relative);
  return DOR_OK;
}

dor_status dor_sums_write(dor_arena *a, const char *folder)
{
  dor_str s = {0}, names = {0};
  char *path = dor_path_join(a, folder, "SHA256SUMS");
  dor_status status = path ? walk(a, folder, "", DEPTH, &names) : DOR_FAIL(NOMEM, "SHA256SUMS");
  for (char *name = names.s, *end; !status && name && *name; name = end + 1) {
    end = strchr(name, '\n');
    *end = 0;
    status = add_sum(a, folder, name, &s);
  }
  if (!status) status = dor_str_status(&s);
  if (!status) status = dor_io_write(path, s.s ? s.s : "", s.n);
  dor_str_release(&names);
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

static dor_status verify(dor_arena *a, const char *folder, char *text, dor_verified *v)
{
  for (char *line = text, *end; *line; line = end + 1) {
    end = strchr(line, '\n');
    DOR_NEED(end, DATA, "%s/SHA256SUMS:%d: the last line is cut off", folder, v->files + 1);
    *end = 0;
    DOR_TRY(check_line(a, folder, line, v->files + 1));
    *end = '\n';
    v->files++;
  }
  DOR_NEED(v->files, DATA, "%s/SHA256SUMS: no sums", folder);
  return DOR_OK;
}

/* Names come in the order of the lines, so each is looked for after the one before; a file out of order is looked for in all. */
static dor_status name_unlisted(dor_arena *a, const char *folder, const char *text, dor_verified *v)
{
  dor_str names = {0};
  dor_status s = walk(a, folder, "", DEPTH, &names);
  const char *from = text;
  for (char *name = names.s, *end; !s && name && *name; name = end + 1) {
    end = strchr(name, '\n');
    const char *line = dor_arena_fmt(a, "  %.*s\n", (int)(end - name), name), *at = line ? strstr(from, line) : NULL;
    if (line && !at) at = strstr(text, line);
    if (!line) s = DOR_FAIL(NOMEM, "%s", folder);
    else if (at) from = at;
    else v->unlisted++, dor_warn("%s/%.*s is not listed in SHA256SUMS", folder, (int)(end - name), name);
  }
  dor_str_release(&names);
  return s;
}

dor_status dor_report_verify(const char *folder, dor_verified *v)
{
  dor_arena a = {0};
  char *text = NULL, *path = dor_path_join(&a, folder, "SHA256SUMS");
  size_t size;
  *v = (dor_verified){0};
  dor_status s = path ? dor_io_read(path, (size_t)1 << 26, &text, &size) : DOR_FAIL(NOMEM, "SHA256SUMS");
  if (!s) s = verify(&a, folder, text, v);
  if (!s) s = dor_inputs_verify(&a, folder, v);
  if (!s) s = name_unlisted(&a, folder, text, v);
  dor_free(text);
  dor_arena_release(&a);
  return s;
}
