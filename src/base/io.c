/* SPDX-License-Identifier: Apache-2.0 */
#include "base/io.h"

#include "base/calls.h"
#include "base/mem.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef DOR_FAULTS
dor_io_calls dor_io;
__attribute__((constructor)) static void start(void) { dor_io = dor_fault_io; }
#else
static int open_(const char *path, int flags, mode_t mode) { return open(path, flags, mode); } /* libc's is variadic */
dor_io_calls dor_io = {open_, read, write, fsync, close, rename, unlink, mkdir};
#endif

static dor_status fail(const char *path, const char *doing)
{
  int e = errno;
  char shown[256];
  return DOR_FAIL(IO, "%s: cannot %s: %s", dor_printable(path, shown, sizeof shown), doing, strerror(e));
}

/* ---- reading ---- */

static dor_status read_rest(int fd, const char *path, char *to, size_t size, size_t *got)
{
  *got = 0;
  while (*got < size) {
    ssize_t n = dor_io.read(fd, to + *got, size - *got);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(path, "read");
    if (!n) break;
    *got += (size_t)n;
  }
  return DOR_OK;
}

dor_status dor_io_open_file(const char *path, int *fd, size_t *size)
{
  struct stat st;
  char shown[256];
  *fd = dor_io.open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0);
  dor_printable(path, shown, sizeof shown);
  DOR_NEED(*fd >= 0 || (errno != ENOENT && errno != ENOTDIR), NOTFOUND, "%s: no such file", shown);
  if (*fd < 0) return fail(path, "open");
  dor_status s = fstat(*fd, &st) ? fail(path, "look at") : S_ISREG(st.st_mode) ? DOR_OK : DOR_FAIL(DATA, "%s: not a regular file", shown);
  *size = s ? 0 : (size_t)st.st_size;
  if (!s) return DOR_OK;
  dor_io.close(*fd);
  *fd = -1;
  return s;
}

static dor_status read_open(int fd, const char *path, size_t want, size_t max_bytes, char **data, size_t *size)
{
  char shown[256];
  dor_printable(path, shown, sizeof shown);
  DOR_NEED(want <= max_bytes, DATA, "%s: %zu bytes, more than the %zu that are allowed", shown, want, max_bytes);
  char *p = dor_calloc(1, want + 1);
  DOR_NEED(p, NOMEM, "%s: out of memory for its %zu bytes", shown, want);
  dor_status s = read_rest(fd, path, p, want, size);
  if (s) dor_free(p);
  else p[*size] = 0, *data = p;
  return s;
}

dor_status dor_io_read(const char *path, size_t max_bytes, char **data, size_t *size)
{
  int fd;
  size_t want;
  *data = NULL, *size = 0;
  DOR_TRY(dor_io_open_file(path, &fd, &want));
  dor_status s = read_open(fd, path, want, max_bytes, data, size);
  dor_io.close(fd);
  return s;
}

/* ---- writing ---- */

static dor_status write_all(int fd, const char *path, const char *data, size_t size)
{
  for (size_t done = 0; done < size;) {
    ssize_t n = dor_io.write(fd, data + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(path, "write");
    done += (size_t)n;
  }
  return DOR_OK;
}

static const char *folder_of(const char *path, char out[PATH_MAX])
{
  const char *slash = strrchr(path, '/');
  if (!slash) return memcpy(out, ".", 2);
  size_t n = slash == path ? 1 : (size_t)(slash - path);
  memcpy(out, path, n);
  out[n] = 0;
  return out;
}

static dor_status sync_folder(const char *folder)
{
  int fd = dor_io.open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (fd < 0) return fail(folder, "open");
  bool bad = dor_io.fsync(fd) && errno != EINVAL && errno != ENOTSUP; /* some file systems have no such call for folders */
  dor_status s = bad ? fail(folder, "sync") : DOR_OK;
  dor_io.close(fd);
  return s;
}

/* ---- folders whose sync is put off ---- */

enum { MOST_PENDING = 4 }; /* a run folder, its tables and plots */
static _Thread_local struct {
  bool on;
  int n;
  char folder[MOST_PENDING][PATH_MAX];
} pending;

static dor_status sync_or_put_off(const char *folder)
{
  for (int i = 0; i < pending.n; i++)
    if (!strcmp(pending.folder[i], folder)) return DOR_OK;
  if (!pending.on || pending.n == MOST_PENDING) return sync_folder(folder);
  memcpy(pending.folder[pending.n++], folder, strlen(folder) + 1);
  return DOR_OK;
}

void dor_io_gather(void) { pending.on = true; }

dor_status dor_io_settle(dor_status s)
{
  for (int i = 0; i < pending.n && !s; i++) s = sync_folder(pending.folder[i]);
  pending.n = 0, pending.on = false;
  return s;
}

dor_status dor_io_stage(dor_io_staged *f, const char *path, unsigned mode)
{
  static atomic_uint serial;
  char folder[PATH_MAX];
  DOR_NEED(strlen(path) < PATH_MAX, IO, "a path of %zu bytes is too long", strlen(path));
  snprintf(f->path, sizeof f->path, "%s", path);
  snprintf(f->temp, sizeof f->temp, "%s/.tmp.%ld.%u", folder_of(path, folder), (long)getpid(), atomic_fetch_add(&serial, 1));
  f->fd = dor_io.open(f->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  return f->fd < 0 ? fail(path, "create a file beside") : DOR_OK;
}

dor_status dor_io_commit(dor_io_staged *f)
{
  char folder[PATH_MAX];
  dor_status s = dor_io.fsync(f->fd) ? fail(f->path, "sync") : DOR_OK;
  if (dor_io.close(f->fd) && !s) s = fail(f->path, "close");
  if (!s && dor_io.rename(f->temp, f->path)) s = fail(f->path, "rename to");
  if (!s) return sync_or_put_off(folder_of(f->path, folder));
  dor_io.unlink(f->temp);
  return s;
}

void dor_io_drop(dor_io_staged *f)
{
  dor_io.close(f->fd);
  dor_io.unlink(f->temp);
}

static dor_status replace(const char *path, const void *data, size_t size, mode_t mode)
{
  dor_io_staged f;
  DOR_TRY(dor_io_stage(&f, path, mode));
  dor_status s = write_all(f.fd, path, data, size);
  if (!s) return dor_io_commit(&f);
  dor_io_drop(&f);
  return s;
}

dor_status dor_io_write(const char *path, const void *data, size_t size) { return replace(path, data, size, 0666); }
dor_status dor_io_write_private(const char *path, const void *data, size_t size) { return replace(path, data, size, 0600); }

dor_status dor_io_append(const char *path, const void *data, size_t size)
{
  int fd = dor_io.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd < 0) return fail(path, "open");
  ssize_t n = dor_io.write(fd, data, size);
  dor_status s = n == (ssize_t)size ? DOR_OK : fail(path, "append to");
  if (dor_io.close(fd) && !s) s = fail(path, "close");
  return s;
}

/* ---- folders ---- */

dor_status dor_io_mkdirs(const char *path)
{
  char part[PATH_MAX];
  int n = snprintf(part, sizeof part, "%s", path);
  DOR_NEED(n > 0 && (size_t)n < sizeof part, IO, "'%.64s' cannot be the path of a folder", path);
  for (char *p = part + 1; *p; p++) {
    if (*p != '/') continue;
    *p = 0;
    if (dor_io.mkdir(part, 0777) && errno != EEXIST) return fail(part, "make the folder");
    *p = '/';
  }
  if (dor_io.mkdir(part, 0777) && (errno != EEXIST || !dor_io_is_dir(part))) return fail(part, "make the folder");
  return DOR_OK;
}

dor_status dor_io_probe(const char *dir)
{
  char path[PATH_MAX];
  DOR_NEED((size_t)snprintf(path, sizeof path, "%s/.probe.%ld", dir, (long)getpid()) < sizeof path, IO, "%s: too long a path", dir);
  DOR_TRY(dor_io_write(path, "dorsum\n", 7));
  return dor_io_remove(path);
}

dor_status dor_io_remove(const char *path)
{
  return dor_io.unlink(path) && errno != ENOENT ? fail(path, "remove") : DOR_OK;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
  (void)st, (void)where;
  return type == FTW_DP || type == FTW_D || type == FTW_DNR ? rmdir(path) : dor_io.unlink(path);
}

dor_status dor_io_remove_tree(const char *path)
{
  struct stat st;
  if (lstat(path, &st)) return errno == ENOENT ? DOR_OK : fail(path, "look at");
  return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) ? fail(path, "remove") : DOR_OK;
}

dor_status dor_io_remove_empty(const char *path)
{
  return rmdir(path) && errno != ENOENT && errno != ENOTEMPTY && errno != EEXIST ? fail(path, "remove") : DOR_OK;
}

dor_status dor_io_move(const char *from, const char *to)
{
  char folder[PATH_MAX];
  if (dor_io.rename(from, to)) return fail(to, "rename to");
  return sync_or_put_off(folder_of(to, folder));
}

bool dor_io_exists(const char *path)
{
  struct stat st;
  return !stat(path, &st);
}

bool dor_io_is_dir(const char *path)
{
  struct stat st;
  return !stat(path, &st) && S_ISDIR(st.st_mode);
}

static int by_bytes(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static dor_status collect(dor_arena *a, DIR *d, const char *dir, const char ***names, size_t *n)
{
  size_t cap = 0;
  struct dirent *e;
  while (errno = 0, (e = readdir(d))) {
    if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
    if (*n == cap) {
      const char **more = dor_realloc(*names, (cap = cap ? 2 * cap : 64) * sizeof *more);
      DOR_NEED(more, NOMEM, "out of memory for the names in a folder");
      *names = more;
    }
    (*names)[*n] = dor_arena_str(a, e->d_name);
    DOR_NEED((*names)[*n], NOMEM, "out of memory for the names in a folder");
    ++*n;
  }
  return errno ? fail(dir, "list") : DOR_OK;
}

dor_status dor_io_list(dor_arena *a, const char *dir, const char *const **names, size_t *n)
{
  const char **found = NULL;
  *names = NULL, *n = 0;
  DIR *d = opendir(dir);
  if (!d) return fail(dir, "list");
  dor_status s = collect(a, d, dir, &found, n);
  closedir(d);
  if (!s && *n) {
    qsort(found, *n, sizeof *found, by_bytes);
    *names = dor_arena_copy(a, found, *n * sizeof *found);
    if (!*names) s = DOR_FAIL(NOMEM, "out of memory for the names in a folder");
  }
  dor_free(found);
  return s;
}

char *dor_path_join(dor_arena *a, const char *dir, const char *name)
{
  if (!*dir || *name == '/') return dor_arena_str(a, name);
  return dor_arena_fmt(a, "%s%s%s", dir, dir[strlen(dir) - 1] == '/' ? "" : "/", name);
}

char *dor_path_dir(dor_arena *a, const char *path)
{
  char folder[PATH_MAX];
  if (!strchr(path, '/')) return dor_arena_str(a, "");
  return strlen(path) < sizeof folder ? dor_arena_str(a, folder_of(path, folder)) : NULL;
}
