/* SPDX-License-Identifier: Apache-2.0
 *
 * What the output of `dorsum pose` calls its pictures and videos, and where it goes. All of it is settled before the work begins:
 * names that tell all files apart, places that can be written and hold nothing that would be lost. Overlays wait in a folder of
 * their own until all else is done, so that a program that fails or is stopped leaves none. */
#include "cli/pose_job.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"

typedef dor_pose_entry entry;
typedef dor_pose_job job;

/* ---- names ---- */

/* A file by its folder as it really is: one file has one address, however it was typed. */
static dor_status address_of(dor_arena *a, const char *path, const char **out)
{
  char real[PATH_MAX], shown[256];
  const char *slash = strrchr(path, '/'), *folder = dor_path_dir(a, path);
  DOR_NEED(folder, NOMEM, "a path");
  DOR_NEED(realpath(*folder ? folder : ".", real), IO, "%s: its folder cannot be looked at: %s", dor_printable(path, shown, sizeof shown), strerror(errno));
  *out = dor_path_join(a, real, slash ? slash + 1 : path);
  DOR_NEED(*out, NOMEM, "a path");
  return DOR_OK;
}

typedef struct keyed { const char *text; int32_t i; } keyed;

static int by_text(const void *a, const void *b)
{
  const keyed *x = a, *y = b;
  const int c = strcmp(x->text, y->text);
  return c ? c : (x->i > y->i) - (x->i < y->i);
}

typedef enum said { ADDRESS, NAME, OVERLAY } said;

static const char *text_of(const entry *e, said what) { return what == ADDRESS ? e->address : what == NAME ? e->name : e->overlay; }

/* Two of which the same is said; NULL: there are none. */
static dor_status twins(const job *j, said what, const entry *out[2])
{
  keyed *k = dor_calloc((size_t)j->n + 1, sizeof *k);
  out[0] = out[1] = NULL;
  DOR_NEED(k, NOMEM, "names of %d pictures", j->n);
  for (int32_t i = 0; i < j->n; i++) k[i] = (keyed){text_of(&j->at[i], what), i};
  qsort(k, (size_t)j->n, sizeof *k, by_text);
  for (int32_t i = 1; i < j->n && !out[0]; i++)
    if (!strcmp(k[i].text, k[i - 1].text)) out[0] = &j->at[k[i - 1].i], out[1] = &j->at[k[i].i];
  dor_free(k);
  return DOR_OK;
}

/* The last `depth` parts of a path. */
static const char *tail(const char *path, int32_t depth)
{
  const char *at = path + strlen(path);
  while (at > path && !(at[-1] == '/' && --depth == 0)) at--;
  return *at == '/' ? at + 1 : at;
}

dor_status dor_pose_names(job *j)
{
  enum { MOST_DEPTH = 64 };
  const entry *same[2];
  for (int32_t i = 0; i < j->n; i++) DOR_TRY(address_of(&j->c->arena, j->at[i].path, &j->at[i].address));
  DOR_TRY(twins(j, ADDRESS, same));
  DOR_NEED(!same[0], USAGE, "%s and %s: one file, given twice", same[0]->path, same[1]->path);
  for (int32_t depth = 1; depth < MOST_DEPTH; depth++) {
    for (int32_t i = 0; i < j->n; i++)
      if (j->at[i].recording < 0) j->at[i].name = tail(j->at[i].address, depth);
    DOR_TRY(twins(j, NAME, same));
    if (!same[0]) return DOR_OK;
  }
  return DOR_FAIL(USAGE, "%s and %s: both would be called '%s'", same[0]->path, same[1]->path, same[0]->name);
}

/* ---- places ---- */

/* Nothing that is read may be written over, --force or not. */
static dor_status is_no_input(const job *j, const char *path)
{
  const char *address, *other;
  if (!dor_io_exists(path)) return DOR_OK;
  DOR_TRY(address_of(&j->c->arena, path, &address));
  for (int32_t i = 0; i < j->n; i++) DOR_NEED(strcmp(address, j->at[i].address), USAGE, "%s is itself looked at, and would be replaced", path);
  for (int32_t i = 0; i < j->c->n_arg; i++) {
    DOR_TRY(address_of(&j->c->arena, j->c->arg[i], &other));
    DOR_NEED(strcmp(address, other), USAGE, "%s is itself read, and would be replaced", path);
  }
  return DOR_OK;
}

static dor_status name_overlays(job *j)
{
  const entry *same[2];
  for (int32_t i = 0; i < j->n; i++) {
    entry *e = &j->at[i];
    const char *dot = strrchr(e->name, '.');
    e->overlay = dor_arena_fmt(&j->c->arena, "%.*s%s", (int)(dot - e->name), e->name, e->video ? "_pose.mp4" : ".png");
    DOR_NEED(e->overlay, NOMEM, "a path");
  }
  DOR_TRY(twins(j, OVERLAY, same));
  DOR_NEED(!same[0], USAGE, "%s and %s: both overlays would be %s/%s", same[0]->path, same[1]->path, j->c->overlay, same[0]->overlay);
  for (int32_t i = 0; i < j->n; i++) {
    const char *path = dor_path_join(&j->c->arena, j->c->overlay, j->at[i].overlay);
    DOR_NEED(path, NOMEM, "a path");
    DOR_TRY(is_no_input(j, path));
    DOR_TRY(dor_cli_may_write(j->c, path));
  }
  return DOR_OK;
}

dor_status dor_pose_places(job *j)
{
  DOR_TRY(is_no_input(j, j->c->out));
  DOR_TRY(dor_cli_may_write(j->c, j->c->out));
  DOR_TRY(dor_cli_can_write(j->c->out));
  return j->c->overlay ? name_overlays(j) : DOR_OK;
}

/* ---- overlays ---- */

/* The first folder on the way to `path` that is not there yet; NULL: all are. */
static const char *first_missing(dor_arena *a, const char *path)
{
  const char *missing = NULL;
  for (; path && *path && !dor_io_exists(path); path = dor_path_dir(a, path)) missing = path;
  return missing;
}

dor_status dor_pose_stage(job *j)
{
  if (!j->c->overlay) return DOR_OK;
  j->made = first_missing(&j->c->arena, j->c->overlay);
  j->stage = dor_arena_fmt(&j->c->arena, "%s/.tmp.%ld", j->c->overlay, (long)getpid());
  DOR_NEED(j->stage, NOMEM, "a path");
  return dor_io_mkdirs(j->stage);
}

static dor_status under(dor_arena *a, const char *folder, const char *name, const char **path)
{
  *path = dor_path_join(a, folder, name);
  const char *parent = *path ? dor_path_dir(a, *path) : NULL;
  DOR_NEED(parent, NOMEM, "a path");
  return dor_io_mkdirs(parent);
}

dor_status dor_pose_overlay_path(const job *j, const entry *e, dor_arena *a, const char **path) { return under(a, j->stage, e->overlay, path); }

static dor_status move_all(job *j)
{
  for (int32_t i = 0; i < j->n; i++) {
    const char *to, *from = dor_path_join(&j->c->arena, j->stage, j->at[i].overlay);
    DOR_NEED(from, NOMEM, "a path");
    if (!dor_io_exists(from)) continue; /* left out */
    DOR_TRY(under(&j->c->arena, j->c->overlay, j->at[i].overlay, &to));
    DOR_TRY(dor_io_move(from, to));
  }
  return DOR_OK;
}

dor_status dor_pose_put_overlays(job *j)
{
  if (!j->stage) return DOR_OK;
  dor_io_gather();
  return dor_io_settle(move_all(j));
}

/* What fails here leaves a folder too many, which is no matter beside what went before. */
void dor_pose_unstage(const job *j)
{
  dor_arena a = {0};
  if (j->stage && dor_io_remove_tree(j->stage)) return;
  const size_t least = j->made ? strlen(j->made) : 0;
  for (const char *path = j->made ? j->c->overlay : NULL; path && strlen(path) >= least; path = dor_path_dir(&a, path))
    if (dor_io_remove_empty(path)) break;
  dor_arena_release(&a);
}
