/* SPDX-License-Identifier: Apache-2.0
 *
 * Locks. A holder is known by four words in the file; a clean release empties
 * the file and leaves it in place, because removing it would race with a taker. */
#include "train/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

typedef struct holder { char host[65], boot[40]; long long pid, start; } holder;

/* Files under /proc have no size, so the ordinary reader sees them empty. */
static bool read_proc(const char *path, char *text, size_t size)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);
  if (fd >= 0) close(fd);
  text[n > 0 ? n : 0] = 0;
  return n > 0;
}

/* Field 22 of /proc/PID/stat, in clock ticks since boot: with the pid it names one process. -1 when it cannot be read, or
 * when the process has died and its parent has not looked (state Z or X). */
static long long start_of(long long pid)
{
  char path[64], text[1024];
  snprintf(path, sizeof path, "/proc/%lld/stat", pid);
  if (!read_proc(path, text, sizeof text)) return -1;
  char *p = strrchr(text, ')');
  if (p && (!strncmp(p, ") Z", 3) || !strncmp(p, ") X", 3))) return -1;
  for (int field = 2; p && field < 22; field++) p = strchr(p + 1, ' ');
  return p ? strtoll(p, NULL, 10) : -1;
}

static void know_self(holder *h)
{
  *h = (holder){.pid = getpid()};
  if (gethostname(h->host, sizeof h->host - 1) || !h->host[0]) snprintf(h->host, sizeof h->host, "unknown");
  if (!read_proc("/proc/sys/kernel/random/boot_id", h->boot, 37)) snprintf(h->boot, sizeof h->boot, "unknown");
  h->start = start_of(h->pid);
}

static bool lives(const holder *h, const holder *self)
{
  if (strcmp(h->boot, self->boot)) return false;
  if (kill((pid_t)h->pid, 0) && errno == ESRCH) return false;
  return h->start < 0 || start_of(h->pid) == h->start;
}

/* Who wrote the file; false when it is empty or unreadable, as after a clean release or a crash while writing. */
static bool read_holder(int fd, holder *h)
{
  char text[256] = {0};
  if (pread(fd, text, sizeof text - 1, 0) <= 0) return false;
  return sscanf(text, "%64s %39s %lld %lld", h->host, h->boot, &h->pid, &h->start) == 4;
}

static dor_status write_holder(int fd, const holder *h, const char *path)
{
  char text[256];
  int n = snprintf(text, sizeof text, "%s %s %lld %lld\n", h->host, h->boot, h->pid, h->start);
  DOR_NEED(!ftruncate(fd, 0) && pwrite(fd, text, (size_t)n, 0) == n, IO, "%s: %s", path, strerror(errno));
  return DOR_OK;
}

static dor_status refuse(int fd, const char *path, const holder *self)
{
  holder h;
  if (!read_holder(fd, &h)) return DOR_FAIL(BUSY, "%s: in use by another process", path);
  if (strcmp(h.host, self->host)) return DOR_FAIL(BUSY, "%s: in use by process %lld on another host", path, h.pid);
  return DOR_FAIL(BUSY, "%s: in use by process %lld", path, h.pid);
}

static dor_status take(int fd, const char *path, bool breaks)
{
  holder self, h;
  know_self(&self);
  struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  if (fcntl(fd, F_OFD_SETLK, &whole)) {
    DOR_NEED(errno == EAGAIN || errno == EACCES, IO, "%s: cannot be locked: %s", path, strerror(errno));
    return refuse(fd, path, &self);
  }
  if (read_holder(fd, &h)) {
    bool foreign = strcmp(h.host, self.host) != 0;
    DOR_NEED(!foreign || breaks, BUSY, "%s: left by process %lld on another host; when that is dead, give --force", path, h.pid);
    DOR_NEED(foreign || h.pid == self.pid || !lives(&h, &self), BUSY, "%s: in use by process %lld", path, h.pid);
  }
  return write_holder(fd, &self, path);
}

dor_status dor_lock_take(dor_lock *l, const char *path, bool breaks)
{
  l->fd = -1;
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
  DOR_NEED(fd >= 0, IO, "%s: %s", path, strerror(errno));
  dor_status s = take(fd, path, breaks);
  if (s) return close(fd), s;
  l->fd = fd;
  return DOR_OK;
}

dor_status dor_lock_wait(dor_lock *l, const char *path, double wait_s)
{
  double until = dor_clock_s() + wait_s;
  for (;;) {
    dor_status s = dor_lock_take(l, path, false);
    if (s != DOR_E_BUSY || dor_clock_s() > until) return s;
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
  }
}

void dor_lock_release(dor_lock *l)
{
  if (l->fd < 0) return;
  int emptied = ftruncate(l->fd, 0); /* for people only: the lock itself goes with the descriptor */
  (void)emptied;
  close(l->fd);
  l->fd = -1;
}
