/* SPDX-License-Identifier: Apache-2.0
 *
 * All file access that must survive goes through one table of calls, so that a
 * test can make the n-th of them fail. Files are replaced whole: written beside
 * the target as .tmp.<pid>.<n>, synced, renamed, the folder synced. No stdio. */
#ifndef DOR_BASE_IO_H
#define DOR_BASE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

/* Read a regular file whole (never blocks on a FIFO). *data is NUL-terminated past *size; free with dor_free.
 * errors NOTFOUND, IO; DATA when it is no regular file or longer than max_bytes. */
DOR_MUST dor_status dor_io_read(const char *path, size_t max_bytes, char **data, size_t *size);
/* Open a regular file for reading, without blocking on anything else; the caller closes *fd. errors NOTFOUND, IO; DATA: no regular file */
DOR_MUST dor_status dor_io_open_file(const char *path, int *fd, size_t *size);

/* Replace `path` atomically. A failed fsync condemns the temporary file; the old content stays. errors IO */
DOR_MUST dor_status dor_io_write(const char *path, const void *data, size_t size);
DOR_MUST dor_status dor_io_write_private(const char *path, const void *data, size_t size); /* mode 0600: keys, mappings of ids */

/* The same in three steps, for a file that is written piece by piece or by another program: create it beside `path`, write to fd,
 * then commit (sync, rename; nothing is left after a failure) or drop it. errors IO */
typedef struct dor_io_staged {
  int fd;
  char path[4096], temp[4160];
} dor_io_staged;
DOR_MUST dor_status dor_io_stage(dor_io_staged *f, const char *path, unsigned mode);
DOR_MUST dor_status dor_io_commit(dor_io_staged *f);
void dor_io_drop(dor_io_staged *f);

/* Between the two, this thread's writes leave the sync of their folders to the end: half of what many small files cost. Every file is whole at any
 * time, as ever; that all of them are there after a power loss is sure when dor_io_settle has returned OK; what says so
 * (cell.json, DONE) is written after it. s: how the writing went; a failure is handed on, and nothing synced. errors IO */
void dor_io_gather(void);
DOR_MUST dor_status dor_io_settle(dor_status s);

/* Append a line to a log-like file with one write(); what is lost on a full disk is lost, training goes on. */
DOR_MUST dor_status dor_io_append(const char *path, const void *data, size_t size);

DOR_MUST dor_status dor_io_mkdirs(const char *path);              /* like mkdir -p, mode 0777 & ~umask */
DOR_MUST dor_status dor_io_probe(const char *dir);                /* create, fsync, rename, delete: is the folder usable? */
DOR_MUST dor_status dor_io_remove(const char *path);              /* a file; missing is fine */
DOR_MUST dor_status dor_io_remove_tree(const char *path);
DOR_MUST dor_status dor_io_remove_empty(const char *path);        /* a folder, if nothing is in it */
DOR_MUST dor_status dor_io_move(const char *from, const char *to); /* within one file system; replaces `to`; its folder is synced */
bool dor_io_exists(const char *path);
bool dor_io_is_dir(const char *path);

/* Names in a folder, sorted bytewise, "." and ".." left out; in the arena. */
DOR_MUST dor_status dor_io_list(dor_arena *a, const char *dir, const char *const **names, size_t *n);

/* "dir/name" in the arena; `name` alone when it is absolute or dir is "". */
char *dor_path_join(dor_arena *a, const char *dir, const char *name);
char *dor_path_dir(dor_arena *a, const char *path); /* "" for a bare name */

#endif
