/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as an experiment config: it is read, or refused with a place. What
 * was read must read back from the resolved config. A target of libFuzzer
 * (make fuzz); `make check` feeds it mutations of the shipped configs. */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "train/experiment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A file that lives in memory, under a path that can be opened. */
static int memory_file(const void *data, size_t size, char path[64])
{
  int fd = memfd_create("config", 0);
  if (fd < 0 || write(fd, data, size) != (ssize_t)size) abort();
  snprintf(path, 64, "/proc/self/fd/%d", fd);
  return fd;
}

static int has_place(const char *message) /* "file:12: what" */
{
  const char *p = message;
  while ((p = strchr(p, ':'))) {
    size_t n = strspn(++p, "0123456789");
    if (n && p[n] == ':') return 1;
  }
  return !strncmp(message, "command line", 12);
}

static void must(int ok, const char *what, const char *detail)
{
  if (ok) return;
  fprintf(stderr, "config: %s: %s\n", what, detail);
  abort();
}

static void reads_back(const dor_experiment *e)
{
  dor_str first = {0}, second = {0}, json = {0};
  dor_experiment again;
  char path[64];
  must(!dor_experiment_write(e, true, &first, &json), "cannot be written", dor_errmsg());
  int fd = memory_file(first.s, first.n, path);
  must(!dor_experiment_read(&again, path, NULL, 0), "the resolved config is refused", dor_errmsg());
  must(!dor_experiment_write(&again, true, &second, &json), "cannot be written", dor_errmsg());
  must(!strcmp(first.s, second.s), "the resolved config reads back as another", second.s);
  close(fd);
  dor_experiment_release(&again);
  dor_str_release(&first), dor_str_release(&second), dor_str_release(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  dor_experiment e;
  char path[64];
  int fd = memory_file(data, size, path);
  dor_status s = dor_experiment_read(&e, path, NULL, 0);
  close(fd);
  if (!s) {
    reads_back(&e);
    dor_experiment_release(&e);
    return 0;
  }
  must(s == DOR_E_CONFIG || s == DOR_E_IO, "another status than of a config", dor_errmsg());
  must(s == DOR_E_IO || size > 1u << 20 || has_place(dor_errmsg()), "no file and line", dor_errmsg());
  return 0;
}
