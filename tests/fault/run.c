/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs under faults: killed at random moments, stopped by a signal, with calls
 * that fail. Whatever happened before, the finished folder has the bytes of an
 * uninterrupted run: weights, metrics, train.csv, predictions. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/calls.h"
#include "base/io.h"
#include "base/rng.h"
#include "tests/e2e/run_fixture.h"
#include "tests/test.h"

static const made cohort = {.subjects = 60, .features = 4, .apart = 1};

/* Two arms: inner stopping with dropout, and two branches one after the other; a checkpoint after every step. */
static const char config[] = "experiment = \"faults\"; data = \"data.h5\"; target = { column = \"kind\"; positive = \"B\"; };\n"
                             "split = { folds = 2; seed = 5; };\n"
                             "inputs = { x = { from = \"tables\"; scale = \"zscore\"; net = \"mlp\"; };\n"
                             "  p = { from = \"proms\"; impute = \"median\"; scale = \"zscore\"; net = \"mlp\"; }; };\n"
                             "nets = { mlp = { kind = \"mlp\"; hidden = [8]; norm = \"batch\"; dropout = 0.2; }; };\n"
                             "train = { lr = 0.01; epochs = %d; batch = 16; stop = \"inner\"; checkpoint_s = 0.0; };\n"
                             "arms = { one = { use = [\"x\"]; }; late = { use = [\"x\", \"p\"]; fusion = \"late\"; }; };\n";

/* Syncing is no part of what a kill can undo, and slow. */
static int no_sync(int fd)
{
  (void)fd;
  return 0;
}

static int epochs = 12, signal_after; /* this process sends itself SIGTERM at that call of progress; 0: never */

static void count_down(void *to, const dor_progress *p)
{
  (void)to;
  if (p->line && signal_after && !--signal_after) raise(SIGTERM);
}

static dor_status run_once(const char *folder, const char *out, int32_t jobs)
{
  char path[1300], text[2048];
  dor_run_options o = default_options(folder);
  dor_run_result r;
  snprintf(path, sizeof path, "%s/%s", folder, out);
  o.out = path, o.jobs = jobs, o.progress = count_down;
  snprintf(text, sizeof text, config, epochs);
  return run_text(folder, text, &o, &r);
}

static void expected(const char *folder, char hex[65])
{
  char path[1300];
  make_data(folder, cohort);
  OK(run_once(folder, "whole", 1));
  snprintf(path, sizeof path, "%s/whole", folder);
  hash_run(path, hex);
}

/* Start a run in a child and kill it after that long; true when it had ended before. */
static bool run_and_kill(const char *folder, long after_us, int signal, int *status)
{
  pid_t child = test_fork();
  if (!child) _exit(dor_status_exit(run_once(folder, "cut", 2)));
  nanosleep(&(struct timespec){.tv_nsec = after_us * 1000}, NULL);
  bool ended = waitpid(child, status, WNOHANG) == child;
  if (!ended) kill(child, signal), waitpid(child, status, 0);
  return ended || WIFEXITED(*status);
}

TEST(run_killed_anywhere_ends_the_same)
{
  (void)state;
  const char *folder = test_folder("run_kills");
  char whole[65], cut[65], path[1300];
  int status = 0, kills = 0, finished = 0;
  dor_io_calls calls = dor_io;
  dor_rng rng = dor_rng_stream(3, 5, 7);
  dor_io.fsync = no_sync;
  expected(folder, whole);
  snprintf(path, sizeof path, "%s/cut", folder);
  for (int tries = 0; kills < 50 && tries < 500; tries++) {
    if (!run_and_kill(folder, 500 + (long)dor_rng_below(&rng, 30000), SIGKILL, &status)) {
      kills++;
      continue;
    }
    CHECK(!WEXITSTATUS(status), "an undisturbed run ended with %d", WEXITSTATUS(status));
    hash_run(path, cut);
    CHECK(!strcmp(whole, cut), "after %d kills the finished run differs", kills);
    OK(dor_io_remove_tree(path));
    finished++;
  }
  CHECK(kills == 50, "%d kills only", kills);
  OK(run_once(folder, "cut", 2));
  hash_run(path, cut);
  CHECK(!strcmp(whole, cut), "after %d kills and %d finished runs the last differs", kills, finished);
  dor_io = calls;
}

TEST(run_killed_between_cell_and_checkpoint_ends_the_same)
{
  const char *folder = test_folder("run_gap");
  char whole[65], again[65], path[1300];
  expected(folder, whole);
  snprintf(path, sizeof path, "%s/whole/cells/one/seed_1/fold_1/resume.ckpt", folder);
  OK(dor_io_write(path, "left", 4));
  snprintf(path, sizeof path, "%s/whole/predictions.csv", folder);
  OK(dor_io_remove(path));
  OK(run_once(folder, "whole", 1));
  snprintf(path, sizeof path, "%s/whole", folder);
  hash_run(path, again);
  CHECK(!strcmp(whole, again), "the checkpoint of a finished cell stays");
}

/* In a child, because a stop request stays. */
static int stop_in_child(const char *folder, int requests)
{
  int status;
  pid_t child = test_fork();
  if (!child) {
    for (int i = 0; i < requests; i++) dor_stop_request();
    _exit(dor_status_exit(run_once(folder, "stopped", 2)));
  }
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void on_signal(int s)
{
  (void)s;
  dor_stop_request();
}

static int signal_child(const char *folder, int after)
{
  int status;
  pid_t child = test_fork();
  if (!child) {
    signal(SIGTERM, on_signal);
    signal_after = after;
    _exit(dor_status_exit(run_once(folder, "stopped", 2)));
  }
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(run_stopped_by_signals_ends_the_same)
{
  (void)state;
  const char *folder = test_folder("run_stops");
  char whole[65], cut[65], path[1300];
  int stops = 0;
  dor_io_calls calls = dor_io;
  dor_io.fsync = no_sync;
  expected(folder, whole);
  CHECK(stop_in_child(folder, 1) == 75, "a request before the first cell");
  CHECK(stop_in_child(folder, 2) == 75, "a second request");
  for (int i = 0; i < 100; i++) {
    int code = signal_child(folder, 1 + i % 7);
    CHECK(code == 75 || code == 0, "exit code %d", code);
    stops += code == 75;
    if (!code) break;
  }
  CHECK(stops > 10, "stopped %d times only", stops);
  OK(run_once(folder, "stopped", 1));
  snprintf(path, sizeof path, "%s/stopped", folder);
  hash_run(path, cut);
  CHECK(!strcmp(whole, cut), "after %d stops the finished run differs", stops);
  dor_io = calls;
}

/* ---- calls that fail ---- */

static long fail_at, n_calls;
static int fail_errno;

static bool due(void) { return ++n_calls == fail_at; }

static ssize_t failing_write(int fd, const void *from, size_t n)
{
  if (due()) return errno = fail_errno, -1;
  return write(fd, from, n);
}

static int failing_rename(const char *from, const char *to)
{
  if (due()) return errno = fail_errno, -1;
  return rename(from, to);
}

static int failing_sync(int fd)
{
  (void)fd;
  if (due()) return errno = fail_errno, -1;
  return 0;
}

TEST(run_with_a_failing_disk_ends_the_same)
{
  (void)state;
  const char *folder = test_folder("run_disk");
  char whole[65], cut[65], path[1300];
  dor_io_calls calls = dor_io;
  dor_io.fsync = no_sync;
  epochs = 2;
  expected(folder, whole);
  snprintf(path, sizeof path, "%s/cut", folder);
  int failed = 0;
  for (fail_at = 1; fail_at < 400; fail_at += fail_at < 50 ? 1 : 41) {
    dor_io.write = failing_write, dor_io.rename = failing_rename, dor_io.fsync = failing_sync;
    n_calls = 0, fail_errno = fail_at % 2 ? ENOSPC : EIO;
    dor_status s = run_once(folder, "cut", 1);
    CHECK(s == DOR_OK || s == DOR_E_IO, "call %ld: status %d: %s", fail_at, s, dor_errmsg());
    failed += s != DOR_OK;
    dor_io = calls, dor_io.fsync = no_sync;
    OK(run_once(folder, "cut", 1));
    hash_run(path, cut);
    CHECK(!strcmp(whole, cut), "after call %ld failed the finished run differs", fail_at);
    OK(dor_io_remove_tree(path));
  }
  CHECK(failed > 30, "%d runs failed only", failed);
  epochs = 12;
  dor_io = calls;
}

TEST(run_folder_has_one_owner)
{
  (void)state;
  const char *folder = test_folder("run_busy");
  int go[2], status;
  char c, lock[1300];
  make_data(folder, cohort);
  REQUIRE(!pipe(go), "pipe: %s", strerror(errno));
  OK(run_once(folder, "cut", 1));
  pid_t child = test_fork();
  snprintf(lock, sizeof lock, "%s/cut/private/lock", folder);
  if (!child) {
    int fd = open(lock, O_RDWR);
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fd < 0 || fcntl(fd, F_OFD_SETLK, &whole) || write(go[1], "x", 1) != 1) _exit(1);
    pause();
  }
  REQUIRE(read(go[0], &c, 1) == 1, "read: %s", strerror(errno));
  dor_status s = run_once(folder, "cut", 1);
  CHECK(s == DOR_E_BUSY && dor_status_exit(s) == 6, "status %d: %s", s, dor_errmsg());
  kill(child, SIGKILL);
  waitpid(child, &status, 0);
  OK(run_once(folder, "cut", 1));
}

static ssize_t full_write(int fd, const void *from, size_t n)
{
  if (++n_calls < fail_at) return write(fd, from, n);
  return errno = ENOSPC, -1;
}

/* A disk that stays full ends the run at the third checkpoint that cannot be written, not hours later. */
TEST(run_on_a_full_disk_ends_soon)
{
  const char *folder = test_folder("run_full");
  char whole[65], cut[65], path[1300];
  dor_io_calls calls = dor_io;
  dor_io.fsync = no_sync;
  epochs = 40;
  expected(folder, whole);
  n_calls = 0, fail_at = 30;
  dor_io.write = full_write;
  CHECK(run_once(folder, "cut", 1) == DOR_E_IO && strstr(dor_errmsg(), "No space left"), "%s", dor_errmsg());
  CHECK(n_calls < 60, "%ld writes were tried", n_calls);
  dor_io.write = calls.write;
  OK(run_once(folder, "cut", 1));
  snprintf(path, sizeof path, "%s/cut", folder);
  hash_run(path, cut);
  CHECK(!strcmp(whole, cut), "the finished run differs");
  epochs = 12;
  dor_io = calls;
}

/* A call fails, and another one while the run recovers from that. */
TEST(run_failing_while_it_recovers_ends_the_same)
{
  const char *folder = test_folder("run_pairs");
  char whole[65], cut[65], path[1300];
  dor_io_calls calls = dor_io;
  dor_rng rng = dor_rng_stream(7, 0, 0);
  int failed = 0;
  dor_io.fsync = no_sync;
  epochs = 2;
  expected(folder, whole);
  snprintf(path, sizeof path, "%s/cut", folder);
  for (int pair = 0; pair < 15; pair++) {
    for (int k = 0; k < 2; k++) {
      dor_io.write = failing_write, dor_io.rename = failing_rename, dor_io.fsync = failing_sync;
      n_calls = 0, fail_errno = k ? EIO : ENOSPC, fail_at = 1 + (long)dor_rng_below(&rng, k ? 40 : 150);
      dor_status s = run_once(folder, "cut", 1);
      CHECK(s == DOR_OK || s == DOR_E_IO, "status %d: %s", s, dor_errmsg());
      failed += s != DOR_OK;
      dor_io = calls, dor_io.fsync = no_sync;
    }
    OK(run_once(folder, "cut", 1));
    hash_run(path, cut);
    CHECK(!strcmp(whole, cut), "pair %d: the finished run differs", pair);
    OK(dor_io_remove_tree(path));
  }
  CHECK(failed > 12, "%d runs failed only", failed);
  epochs = 12;
  dor_io = calls;
}

/* ---- memory that is not there ---- */

static void *failing_calloc(size_t n, size_t size) { return due() ? NULL : calloc(n, size); }
static void *failing_realloc(void *p, size_t size) { return due() ? NULL : realloc(p, size); }

TEST(run_without_memory_ends_clean)
{
  const char *folder = test_folder("run_memory");
  char whole[65], cut[65], path[1300];
  dor_io_calls calls = dor_io;
  dor_mem_calls mem = dor_mem;
  int refused = 0;
  dor_io.fsync = no_sync;
  epochs = 2;
  expected(folder, whole);
  snprintf(path, sizeof path, "%s/cut", folder);
  bool reached = true;
  for (long at = 1; reached && at < 20000; at += 1 + at / 12) {
    dor_mem.calloc = failing_calloc, dor_mem.realloc = failing_realloc;
    n_calls = 0, fail_at = at;
    dor_status s = run_once(folder, "cut", 1);
    reached = n_calls >= at;
    dor_mem = mem;
    CHECK(s == DOR_OK || dor_status_exit(s) == 7, "allocation %ld: exit code %d: %s", at, dor_status_exit(s), dor_errmsg());
    refused += s != DOR_OK;
  }
  CHECK(refused > 30, "%d runs were refused memory only", refused);
  OK(run_once(folder, "cut", 1));
  hash_run(path, cut);
  CHECK(!strcmp(whole, cut), "after %d runs without memory the finished run differs", refused);
  epochs = 12;
  dor_io = calls;
}

/* ---- power that fails: what is not synced is lost, so the order of calls is all ---- */

enum { MOST_OPEN = 64 };
static char opened[MOST_OPEN][1400]; /* by descriptor */
static char synced[1400]; /* the file that was synced last and not written to since: the one that may be renamed */
static int64_t early;  /* renames of a file whose bytes were not synced */
static int32_t renamed; /* since a folder was synced last */
static int32_t unsynced; /* said to be done while a rename was not durable */

static int watched_open(const char *path, int flags, mode_t mode)
{
  int fd = open(path, flags, mode);
  if (fd >= 0 && fd < MOST_OPEN) snprintf(opened[fd], sizeof opened[fd], "%s", path);
  return fd;
}

static ssize_t watched_write(int fd, const void *from, size_t n)
{
  if (fd < MOST_OPEN && !strcmp(opened[fd], synced)) synced[0] = 0;
  return write(fd, from, n);
}

static int watched_sync(int fd)
{
  if (fd >= MOST_OPEN) return 0;
  if (strstr(opened[fd], ".tmp.")) snprintf(synced, sizeof synced, "%s", opened[fd]);
  else renamed = 0;
  return 0;
}

static int watched_rename(const char *from, const char *to)
{
  early += strcmp(from, synced) != 0;
  unsynced += strstr(to, "cell.json") && renamed; /* it says that the cell's other files are there */
  renamed++;
  return rename(from, to);
}

TEST(run_survives_power_loss_by_the_order_of_its_calls)
{
  const char *folder = test_folder("run_power");
  dor_io_calls calls = dor_io;
  make_data(folder, cohort);
  epochs = 2;
  dor_io.open = watched_open, dor_io.write = watched_write, dor_io.fsync = watched_sync, dor_io.rename = watched_rename;
  early = 0, renamed = 0, unsynced = 0;
  OK(run_once(folder, "cut", 1));
  dor_io = calls;
  epochs = 12;
  CHECK(!early, "%lld files were renamed before they were synced", (long long)early);
  CHECK(!unsynced, "%d cells were said to be done before their files were durable", unsynced);
  CHECK(!renamed, "%d files were renamed in a folder that was not synced", renamed);
}

/* ---- clocks that jump ---- */

static double jumping_clock(void)
{
  static dor_rng rng;
  if (!n_calls++) rng = dor_rng_stream(11, 0, 0);
  return 1e9 * (dor_rng_real(&rng) - .5);
}

TEST(run_does_not_depend_on_the_clock)
{
  const char *folder = test_folder("run_clock");
  char whole[65], cut[65], path[1300];
  dor_io_calls calls = dor_io;
  dor_time_calls time = dor_time;
  dor_io.fsync = no_sync;
  expected(folder, whole);
  n_calls = 0;
  dor_time.now_s = jumping_clock;
  dor_status s = run_once(folder, "cut", 1);
  dor_time = time;
  OK(s);
  snprintf(path, sizeof path, "%s/cut", folder);
  hash_run(path, cut);
  CHECK(!strcmp(whole, cut), "another clock, another run");
  dor_io = calls;
}
