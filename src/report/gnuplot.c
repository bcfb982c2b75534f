/* SPDX-License-Identifier: Apache-2.0
 *
 * gnuplot as a child process. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report/plot.h"

extern char **environ;

/* What the child says, up to `size` bytes; the rest is read and dropped so that it never blocks. */
static void listen(int fd, char *said, size_t size)
{
  size_t n = 0;
  for (;;) {
    char piece[512];
    ssize_t got = read(fd, piece, sizeof piece);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    size_t room = size - 1 - n, take = (size_t)got < room ? (size_t)got : room;
    memcpy(said + n, piece, take);
    n += take;
  }
  said[n] = 0;
}

/* -1: it could not be started (errno tells). */
static int spawn(const char *folder, char *const argv[], int said, pid_t *child)
{
  posix_spawn_file_actions_t actions;
  if (posix_spawn_file_actions_init(&actions)) return -1;
  int failed = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0) ||
               posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0) ||
               posix_spawn_file_actions_adddup2(&actions, said, 2) || posix_spawn_file_actions_addchdir_np(&actions, folder);
  if (!failed) failed = posix_spawnp(child, "gnuplot", &actions, NULL, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  errno = failed;
  return failed ? -1 : 0;
}

/* The last line of what gnuplot wrote names the error. */
static const char *last_line(char *said)
{
  size_t n = strlen(said);
  while (n && (said[n - 1] == '\n' || said[n - 1] == ' ')) said[--n] = 0;
  const char *line = strrchr(said, '\n');
  return line ? line + 1 : said;
}

static dor_status explain(dor_arena *a, const char *what, const char **why)
{
  char plain[512];
  *why = dor_arena_str(a, dor_printable(what, plain, sizeof plain));
  DOR_NEED(*why, NOMEM, "gnuplot");
  return DOR_OK;
}

dor_status dor_gnuplot(dor_arena *a, const char *folder, const char *const script[], int32_t n, const char **why)
{
  char said[2048], **argv = dor_arena_alloc(a, ((size_t)n + 3) * sizeof *argv);
  int ends[2], state = 0;
  pid_t child;
  *why = "";
  DOR_NEED(argv, NOMEM, "gnuplot");
  argv[0] = dor_arena_str(a, "gnuplot"), argv[1] = dor_arena_str(a, "-d");
  for (int32_t i = 0; i < n; i++) argv[i + 2] = dor_arena_str(a, script[i]);
  if (pipe2(ends, O_CLOEXEC)) return explain(a, strerror(errno), why);
  int started = spawn(folder, argv, ends[1], &child), reason = errno;
  close(ends[1]);
  if (!started) listen(ends[0], said, sizeof said);
  close(ends[0]);
  if (started) return explain(a, reason == ENOENT ? "gnuplot is not installed" : strerror(reason), why);
  while (waitpid(child, &state, 0) < 0 && errno == EINTR) continue;
  if (WIFEXITED(state) && WEXITSTATUS(state) == 0) return DOR_OK;
  return explain(a, said[0] ? last_line(said) : "gnuplot was stopped", why);
}
