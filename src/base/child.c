/* SPDX-License-Identifier: Apache-2.0 */
#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

extern char **environ;

enum { ABOVE = 16 }; /* our copies lie above every number a child is given, so that no dup2 closes the next one's source */

/* ---- start ---- */

static int add_fds(posix_spawn_file_actions_t *actions, const dor_child_plan *p, int said, int copy[DOR_CHILD_FDS + 1])
{
  int failed = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
  if (!failed) failed = posix_spawn_file_actions_addopen(actions, 1, "/dev/null", O_WRONLY, 0);
  for (int32_t i = 0; i <= p->n_fds && !failed; i++) {
    copy[i] = fcntl(i < p->n_fds ? p->fd[i][0] : said, F_DUPFD_CLOEXEC, ABOVE);
    failed = copy[i] < 0 ? errno : posix_spawn_file_actions_adddup2(actions, copy[i], i < p->n_fds ? p->fd[i][1] : 2);
  }
  return failed;
}

/* Signals as a fresh program expects them: ours ignores SIGPIPE and may block others. */
static int set_signals(posix_spawnattr_t *attr)
{
  sigset_t none, pipe_only;
  sigemptyset(&none), sigemptyset(&pipe_only), sigaddset(&pipe_only, SIGPIPE);
  int failed = posix_spawnattr_setsigmask(attr, &none);
  if (!failed) failed = posix_spawnattr_setsigdefault(attr, &pipe_only);
  if (!failed) failed = posix_spawnattr_setpgroup(attr, 0);
  return failed ? failed : posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
}

/* 0, or errno. */
static int spawn(dor_child *c, const dor_child_plan *p)
{
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attr;
  int copy[DOR_CHILD_FDS + 1] = {-1, -1, -1, -1, -1}, failed = posix_spawn_file_actions_init(&actions);
  if (failed) return failed;
  failed = posix_spawnattr_init(&attr);
  if (!failed) {
    char *const *argv = (char *const *)(uintptr_t)p->argv, *const *env = p->env ? (char *const *)(uintptr_t)p->env : environ;
    failed = add_fds(&actions, p, c->said, copy);
    if (!failed && p->folder) failed = posix_spawn_file_actions_addchdir_np(&actions, p->folder);
    if (!failed) failed = set_signals(&attr);
    if (!failed) failed = posix_spawnp(&c->pid, p->argv[0], &actions, &attr, argv, env);
    posix_spawnattr_destroy(&attr);
  }
  for (size_t i = 0; i < sizeof copy / sizeof *copy; i++)
    if (copy[i] >= 0) close(copy[i]);
  posix_spawn_file_actions_destroy(&actions);
  return failed;
}

dor_status dor_child_start(dor_child *c, const dor_child_plan *p)
{
  *c = (dor_child){.said = memfd_create("said", MFD_CLOEXEC), .noise = p->noise};
  DOR_NEED(c->said >= 0, IO, "%s: cannot be started: %s", p->argv[0], strerror(errno));
  int failed = spawn(c, p);
  if (failed) {
    close(c->said);
    *c = (dor_child){0};
    DOR_NEED(failed != ENOENT, UNSUPPORTED, "%s is not installed", p->argv[0]);
    return DOR_FAIL(IO, "%s: cannot be started: %s", p->argv[0], strerror(failed));
  }
  if (p->file_bytes) prlimit(c->pid, RLIMIT_FSIZE, &(struct rlimit){p->file_bytes, p->file_bytes}, NULL);
  return DOR_OK;
}

/* ---- end ---- */

static const char *line_before(char *text, size_t n)
{
  while (n && (text[n - 1] == '\n' || text[n - 1] == '\r' || text[n - 1] == ' ')) n--;
  text[n] = 0;
  const char *end = strrchr(text, '\n');
  return end ? end + 1 : text;
}

static void last_line(const dor_child *c, char said[DOR_CHILD_SAYS])
{
  char text[DOR_CHILD_SAYS];
  const off_t size = lseek(c->said, 0, SEEK_END), keep = (off_t)sizeof text - 1;
  const ssize_t got = pread(c->said, text, sizeof text - 1, size > keep ? size - keep : 0);
  const char *line = line_before(text, got > 0 ? (size_t)got : 0);
  if (c->noise && !strcmp(line, c->noise)) line = line_before(text, (size_t)(line - text));
  dor_printable(line, said, DOR_CHILD_SAYS);
}

static int wait_for(dor_child *c)
{
  int state = 0;
  while (waitpid(c->pid, &state, 0) < 0 && errno == EINTR) continue;
  return state;
}

bool dor_child_end(dor_child *c, char said[DOR_CHILD_SAYS])
{
  const int state = wait_for(c);
  last_line(c, said);
  close(c->said);
  *c = (dor_child){0};
  if (!*said && WIFSIGNALED(state)) snprintf(said, DOR_CHILD_SAYS, "it was stopped by signal %d", WTERMSIG(state));
  else if (!*said && WEXITSTATUS(state)) snprintf(said, DOR_CHILD_SAYS, "it ended with code %d", WEXITSTATUS(state));
  return WIFEXITED(state) && !WEXITSTATUS(state);
}

void dor_child_kill(dor_child *c)
{
  if (!c->pid) return;
  kill(c->pid, SIGKILL);
  (void)wait_for(c);
  close(c->said);
  *c = (dor_child){0};
}

/* ---- pipes ---- */

static dor_status ready(int fd, short events, double wait_s)
{
  const double until = dor_clock_s() + wait_s;
  for (;;) {
    const double left = until - dor_clock_s();
    struct pollfd p = {.fd = fd, .events = events};
    const int n = left > 0 ? poll(&p, 1, (int)(1000 * left) + 1) : 0;
    if (n > 0) return DOR_OK;
    DOR_NEED(n, DEADLINE, "a child program: nothing for %.0f s", wait_s);
    DOR_NEED(errno == EINTR, IO, "a child program: %s", strerror(errno));
  }
}

dor_status dor_child_read(int fd, void *to, size_t n, double wait_s, size_t *got)
{
  *got = 0;
  while (*got < n) {
    DOR_TRY(ready(fd, POLLIN, wait_s));
    const ssize_t r = read(fd, (char *)to + *got, n - *got);
    if (r < 0 && errno == EINTR) continue;
    DOR_NEED(r >= 0, IO, "a child program: cannot read from it: %s", strerror(errno));
    if (!r) break;
    *got += (size_t)r;
  }
  return DOR_OK;
}

dor_status dor_child_write(int fd, const void *from, size_t n, double wait_s)
{
  for (size_t done = 0; done < n;) {
    DOR_TRY(ready(fd, POLLOUT, wait_s));
    const ssize_t w = send(fd, (const char *)from + done, n - done, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (w < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    DOR_NEED(w >= 0, IO, "a child program: cannot write to it: %s", strerror(errno));
    done += (size_t)w;
  }
  return DOR_OK;
}
