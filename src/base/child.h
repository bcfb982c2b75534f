/* SPDX-License-Identifier: Apache-2.0
 *
 * Another program run beside ours, without a shell: its own process group (a
 * terminal's Ctrl-C reaches dorsum alone, which ends it), only the descriptors it
 * is given, and what it says kept apart, so that its last line can be shown. */
#ifndef DOR_BASE_CHILD_H
#define DOR_BASE_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/status.h"

enum { DOR_CHILD_FDS = 4, DOR_CHILD_SAYS = 512 };

typedef struct dor_child_plan {
  const char *const *argv;      /* argv[0] is looked up in PATH; NULL at the end */
  const char *const *env;       /* NULL: ours */
  const char *folder;           /* where it runs; NULL: here */
  int32_t n_fds;                /* what is not named: 0 and 1 are /dev/null, 2 is kept for dor_child_end */
  int fd[DOR_CHILD_FDS][2];     /* ours, and the number it has there; ours stays open here */
  uint64_t file_bytes;          /* it may write no file longer than this; 0: no limit */
  const char *noise;            /* a last line of its messages that says nothing and is passed over; NULL: none */
} dor_child_plan;

typedef struct dor_child { /* zero-initialised: none runs */
  pid_t pid;
  int said;                     /* where it writes its messages */
  const char *noise;
} dor_child;

/* errors UNSUPPORTED "NAME is not installed", IO */
DOR_MUST dor_status dor_child_start(dor_child *c, const dor_child_plan *p);
/* Wait for its end. true: it ended with 0. `said`: the last line of its messages, printable, or why it was stopped. */
bool dor_child_end(dor_child *c, char said[DOR_CHILD_SAYS]);
/* End it now (SIGKILL) and wait. Nothing runs: nothing is done. */
void dor_child_kill(dor_child *c);

/* Read exactly n bytes of a pipe, fewer only at its end (*got); write all n to a socket. No byte for wait_s: DEADLINE.
 * errors DEADLINE, IO (write: also when the child has closed its end; no signal is raised) */
DOR_MUST dor_status dor_child_read(int fd, void *to, size_t n, double wait_s, size_t *got);
DOR_MUST dor_status dor_child_write(int fd, const void *from, size_t n, double wait_s);

#endif
