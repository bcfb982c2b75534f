/* SPDX-License-Identifier: Apache-2.0
 *
 * Fault plans: in test builds the n-th call of a kind fails as the environment
 * variable DORSUM_FAULT (or a test) says. Release builds hold none of this. */
#include "base/calls.h"

#ifdef DOR_FAULTS

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST = 16 };

static struct fault {
  char site[16];
  long at, seen;
  int error;
  bool once;
} fault[MOST];
static int n_faults;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const struct {
  const char *name;
  int value;
} errors[] = {{"ENOSPC", ENOSPC}, {"EIO", EIO},       {"EACCES", EACCES}, {"EINTR", EINTR}, {"ENOENT", ENOENT},
              {"EROFS", EROFS},   {"EDQUOT", EDQUOT}, {"EMFILE", EMFILE}, {"ENOMEM", ENOMEM}};

static int error_of(const char *name)
{
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
    if (!strcmp(errors[i].name, name)) return errors[i].value;
  return 0;
}

static dor_status add(const char *text)
{
  char error[16] = "EIO", rest[16] = "";
  struct fault f = {.seen = 0};
  DOR_NEED(n_faults < MOST, ARG, "fault plan: more than %d faults", MOST);
  int got = sscanf(text, "%15[a-z.]@%ld=%15[A-Z]%15s", f.site, &f.at, error, rest);
  if (got == 2) got = sscanf(text, "%15[a-z.]@%ld%15s", f.site, &f.at, rest);
  f.error = error_of(error);
  f.once = !strcmp(rest, ",once");
  DOR_NEED(got >= 2 && f.at > 0 && f.error && (!*rest || f.once), ARG, "fault plan: '%s' is not SITE@N[=ERRNO][,once]", text);
  fault[n_faults++] = f;
  return DOR_OK;
}

dor_status dor_fault_plan(const char *plan)
{
  char text[256], *save = NULL;
  pthread_mutex_lock(&lock);
  n_faults = 0;
  dor_status s = DOR_OK;
  snprintf(text, sizeof text, "%s", plan ? plan : "");
  for (char *p = strtok_r(text, ";", &save); p && !s; p = strtok_r(NULL, ";", &save)) s = add(p);
  pthread_mutex_unlock(&lock);
  return s;
}

static void from_environment(void)
{
  if (!dor_fault_plan(getenv("DORSUM_FAULT"))) return;
  static const char text[] = "DORSUM_FAULT cannot be read\n";
  if (write(2, text, sizeof text - 1)) _exit(2);
}

int dor_fault_due(const char *site)
{
  int error = 0;
  pthread_once(&once, from_environment);
  pthread_mutex_lock(&lock);
  for (int i = 0; i < n_faults; i++) {
    struct fault *f = &fault[i];
    if (strcmp(f->site, site)) continue;
    f->seen++;
    if (f->once ? f->seen == f->at : f->seen >= f->at) error = f->error;
  }
  pthread_mutex_unlock(&lock);
  return error;
}

static bool due(const char *site)
{
  int error = dor_fault_due(site);
  if (error) errno = error;
  return error != 0;
}

void *dor_fault_calloc(size_t n, size_t size) { return due("mem") ? NULL : calloc(n, size); }
void *dor_fault_realloc(void *p, size_t size) { return due("mem") ? NULL : realloc(p, size); }

static int open_(const char *path, int flags, mode_t mode) { return due("io.open") ? -1 : open(path, flags, mode); }
static ssize_t read_(int fd, void *to, size_t n) { return due("io.read") ? -1 : read(fd, to, n); }
static ssize_t write_(int fd, const void *from, size_t n) { return due("io.write") ? -1 : write(fd, from, n); }
static int fsync_(int fd) { return due("io.fsync") ? -1 : fsync(fd); }
static int rename_(const char *from, const char *to) { return due("io.rename") ? -1 : rename(from, to); }
static int unlink_(const char *path) { return due("io.unlink") ? -1 : unlink(path); }
static int mkdir_(const char *path, mode_t mode) { return due("io.mkdir") ? -1 : mkdir(path, mode); }

static int close_(int fd) /* closes in any case, as close() does */
{
  int error = dor_fault_due("io.close"), got = close(fd);
  if (error) errno = error;
  return error ? -1 : got;
}

const dor_io_calls dor_fault_io = {open_, read_, write_, fsync_, close_, rename_, unlink_, mkdir_};

#else
typedef int dor_no_faults; /* a file of C needs a declaration */
#endif
