/* SPDX-License-Identifier: Apache-2.0
 *
 * Checkpoints and locks under faults: no flipped or missing byte is believed, a
 * writer killed at any moment leaves the newest acknowledged state, exactly one
 * of many takers wins a lock, and a dead holder's lock is taken over. */
#include "train/checkpoint.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/rng.h"
#include "tests/test.h"
#include "train/lock.h"

static const dor_meta signature[] = {{"cell", "abc"}, {"data", "def"}};

static dor_status save(const char *path, int32_t step, float fill)
{
  float w[64];
  for (int i = 0; i < 64; i++) w[i] = fill;
  dor_tensor t[2] = {{.name = "step", .type = DOR_TENSOR_I32, .rank = 0, .data = &step, .bytes = 4},
                     {.name = "w", .type = DOR_TENSOR_F32, .rank = 1, .dim = {64}, .data = w, .bytes = sizeof w}};
  return dor_checkpoint_write(path, 2, t, 2, signature);
}

static const char *file_in(const char *folder, const char *name, char out[600])
{
  snprintf(out, 600, "%s/%s", folder, name);
  return out;
}

TEST(checkpoint_comes_back)
{
  (void)state;
  char path[600];
  file_in(test_folder("checkpoint"), "a.ckpt", path);
  OK(save(path, 7, .5f));
  dor_tensors t;
  OK(dor_checkpoint_read(&t, path, 2, signature));
  int32_t step;
  memcpy(&step, dor_tensors_find(&t, "step")->data, 4);
  CHECK(step == 7, "step %d", step);
  dor_tensors_release(&t);
  dor_meta other[2] = {signature[0], {"data", "xyz"}};
  CHECK(dor_checkpoint_read(&t, path, 2, other) == DOR_E_CONFIG, "another data hash was accepted");
  CHECK(strstr(dor_errmsg(), "another data: def, now xyz"), "message: %s", dor_errmsg());
  CHECK(dor_checkpoint_read(&t, file_in(test_folder("checkpoint"), "none", path), 0, NULL) == DOR_E_NOTFOUND, "a missing file");
}

TEST(checkpoint_every_flip_and_cut_is_seen)
{
  (void)state;
  char path[600];
  file_in(test_folder("checkpoint"), "flip.ckpt", path);
  OK(save(path, 1, 2));
  char *good;
  size_t n;
  OK(dor_io_read(path, 1 << 20, &good, &n));
  for (size_t i = 0; i < n; i += 3) {
    good[i] = (char)(good[i] ^ 1 << i % 8);
    dor_tensors t = {0};
    OK(dor_io_write(path, good, n));
    CHECK(dor_checkpoint_read(&t, path, 2, signature) == DOR_E_DATA, "a flip in byte %zu of %zu was not seen: %s", i, n, dor_errmsg());
    dor_tensors_release(&t);
    good[i] = (char)(good[i] ^ 1 << i % 8);
  }
  for (size_t i = 0; i < n; i += 13) {
    dor_tensors t = {0};
    OK(dor_io_write(path, good, i));
    CHECK(dor_checkpoint_read(&t, path, 2, signature) == DOR_E_DATA, "a cut at byte %zu was not seen", i);
    dor_tensors_release(&t);
  }
  dor_free(good);
}

/* The child says each step it saved over a pipe; after its death the file must hold that step or a later one. */
static void kill_a_writer(const char *path, dor_rng *rng)
{
  int ends[2];
  REQUIRE(!pipe(ends), "pipe: %s", strerror(errno));
  pid_t child = test_fork();
  if (!child) {
    for (int32_t step = 1;; step++) {
      if (save(path, step, (float)step)) _exit(1);
      if (write(ends[1], &step, sizeof step) != sizeof step) _exit(1);
    }
  }
  close(ends[1]);
  nanosleep(&(struct timespec){.tv_nsec = 1000000 + (long)dor_rng_below(rng, 15000000)}, NULL);
  kill(child, SIGKILL);
  int status;
  waitpid(child, &status, 0);
  int32_t said = 0, step, found = 0;
  while (read(ends[0], &step, sizeof step) == sizeof step) said = step;
  close(ends[0]);
  dor_tensors t = {0};
  dor_status s = dor_checkpoint_read(&t, path, 2, signature);
  if (!s) {
    float w[64];
    memcpy(&found, dor_tensors_find(&t, "step")->data, 4);
    memcpy(w, dor_tensors_find(&t, "w")->data, sizeof w);
    for (int i = 0; i < 64; i++) CHECK(w[i] == (float)found, "step %d holds %g", found, (double)w[i]);
  }
  CHECK(said == 0 || (!s && found >= said), "said %d, found %d: %s", said, found, s ? dor_errmsg() : "");
  dor_tensors_release(&t);
}

TEST(checkpoint_survives_kills)
{
  (void)state;
  char path[600];
  file_in(test_folder("kills"), "resume.ckpt", path);
  dor_rng rng = dor_rng_stream(1, 2, 3);
  for (int i = 0; i < 60; i++) {
    OK(dor_io_remove(path));
    kill_a_writer(path, &rng);
  }
}

TEST(lock_second_taker_is_refused)
{
  (void)state;
  char path[600];
  file_in(test_folder("lock"), "lock", path);
  dor_lock a, b;
  OK(dor_lock_take(&a, path, false));
  CHECK(dor_lock_take(&b, path, false) == DOR_E_BUSY, "taken twice");
  CHECK(strstr(dor_errmsg(), "in use by process"), "message: %s", dor_errmsg());
  CHECK(dor_lock_wait(&b, path, .01) == DOR_E_BUSY, "waiting got a held lock");
  dor_lock_release(&a);
  OK(dor_lock_wait(&b, path, 1));
  dor_lock_release(&b);
  dor_lock_release(&b);
}

TEST(lock_of_the_dead_is_taken_over)
{
  (void)state;
  char path[600];
  file_in(test_folder("lock_dead"), "lock", path);
  pid_t child = test_fork();
  if (!child) {
    dor_lock l;
    _exit(dor_lock_take(&l, path, false) ? 1 : 0);
  }
  int status;
  waitpid(child, &status, 0);
  REQUIRE(WIFEXITED(status) && !WEXITSTATUS(status), "the child could not take it");
  dor_lock l;
  OK(dor_lock_take(&l, path, false));
  dor_lock_release(&l);
}

TEST(lock_of_a_zombie_is_taken_over)
{
  (void)state;
  char path[600];
  file_in(test_folder("lock_zombie"), "lock", path);
  pid_t child = test_fork();
  if (!child) {
    dor_lock l;
    _exit(dor_lock_take(&l, path, false) ? 1 : 0);
  }
  siginfo_t died = {0};
  REQUIRE(!waitid(P_PID, (id_t)child, &died, WEXITED | WNOWAIT) && !died.si_status, "the child could not take it");
  dor_lock l;
  OK(dor_lock_take(&l, path, false)); /* the child is dead, and nobody has waited for it */
  dor_lock_release(&l);
  waitpid(child, NULL, 0);
}

TEST(lock_of_another_host_needs_force)
{
  (void)state;
  char path[600];
  file_in(test_folder("lock_host"), "lock", path);
  const char text[] = "elsewhere 00000000-0000-0000-0000-000000000000 1234 5678\n";
  OK(dor_io_write(path, text, sizeof text - 1));
  dor_lock l;
  CHECK(dor_lock_take(&l, path, false) == DOR_E_BUSY && strstr(dor_errmsg(), "on another host"), "message: %s", dor_errmsg());
  OK(dor_lock_take(&l, path, true));
  dor_lock_release(&l);
}

enum { TAKERS = 8 };

static _Noreturn void taker(const char *path, int go, int tried, int end)
{
  char c;
  dor_lock l;
  if (read(go, &c, 1) != 1) _exit(2);
  dor_status s = dor_lock_take(&l, path, false);
  if (write(tried, "x", 1) != 1 || read(end, &c, 1) < 0) _exit(2);
  _exit(s == DOR_OK ? 0 : s == DOR_E_BUSY ? 1 : 2);
}

/* Of those that start at once, one gets it and holds it until all have tried. */
static int winners(const char *path)
{
  int go[2], tried[2], end[2], won = 0;
  pid_t child[TAKERS];
  char c;
  REQUIRE(!pipe(go) && !pipe(tried) && !pipe(end), "pipe: %s", strerror(errno));
  for (int i = 0; i < TAKERS; i++)
    if (!(child[i] = test_fork())) close(end[1]), taker(path, go[0], tried[1], end[0]);
  REQUIRE(write(go[1], "gogogogo", TAKERS) == TAKERS, "write: %s", strerror(errno));
  for (int i = 0; i < TAKERS; i++) REQUIRE(read(tried[0], &c, 1) == 1, "read: %s", strerror(errno));
  close(end[1]);
  for (int i = 0; i < TAKERS; i++) {
    int status;
    waitpid(child[i], &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) < 2, "a taker failed: status %d", status);
    won += WIFEXITED(status) && !WEXITSTATUS(status);
  }
  close(go[0]), close(go[1]), close(tried[0]), close(tried[1]), close(end[0]);
  return won;
}

TEST(lock_has_exactly_one_winner)
{
  (void)state;
  char path[600];
  file_in(test_folder("lock_race"), "lock", path);
  for (int i = 0; i < 40; i++) {
    int won = winners(path);
    CHECK(won == 1, "%d of 8 took it", won);
  }
}
