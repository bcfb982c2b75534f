/* SPDX-License-Identifier: Apache-2.0
 *
 * The dataset file: what is written is what is read, the same bytes each time,
 * and a dataset that is not sound is neither written nor read. */
#include "tests/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "tests/unit/data_fixture.h"

static const char *in_folder(const char *name)
{
  static char path[2][1024];
  static int turn;
  turn = !turn;
  snprintf(path[turn], sizeof path[turn], "%s/%s", test_folder("dataset"), name);
  return path[turn];
}

/* Without the syncs of dor_io_write: thousands of them take seconds. */
static void put_bytes(const char *path, const char *bytes, size_t n)
{
  FILE *f = fopen(path, "wb");
  if (!f || fwrite(bytes, 1, n, f) != n || fclose(f)) abort();
}

TEST(dataset_round_trip)
{
  (void)state;
  dor_dataset d, back;
  fixture_dataset(&d);
  char path[1024], again[1024];
  snprintf(path, sizeof path, "%s", in_folder("a.h5"));
  snprintf(again, sizeof again, "%s", in_folder("b.h5"));
  OK(dor_dataset_write(&d, path));
  OK(dor_dataset_read(&back, path));
  CHECK(fixture_equal(&d, &back), "what was read differs from what was written");
  CHECK(!strcmp(d.sha256, back.sha256), "hashes of the same bytes: %s, %s", d.sha256, back.sha256);
  OK(dor_dataset_write(&d, again));
  CHECK(!strcmp(d.sha256, back.sha256), "written twice: other bytes");
  OK(dor_dataset_write(&back, again));
  CHECK(!strcmp(d.sha256, back.sha256), "written, read, written: other bytes");
  char hex[DOR_HASH_HEX];
  OK(dor_hash_file(again, hex));
  CHECK(!strcmp(hex, d.sha256), "the hash is not the file's");
  dor_dataset_release(&d);
  dor_dataset_release(&back);
}

static void expect_refused(dor_dataset *d, const char *what, const char *text)
{
  CHECK(dor_dataset_validate(d) == DOR_E_DATA, "%s: accepted", what);
  CHECK(strstr(dor_errmsg(), text), "%s: '%s' does not say '%s'", what, dor_errmsg(), text);
  CHECK(dor_dataset_write(d, in_folder("never.h5")) == DOR_E_DATA, "%s: written", what);
}

TEST(dataset_unsound_is_refused)
{
  (void)state;
  dor_dataset d;
  fixture_dataset(&d);
  OK(dor_dataset_validate(&d));
  int32_t *subject = dor_arena_copy(&d.arena, d.trial_subject, FIX_TRIALS * 4);
  const int32_t *good = d.trial_subject;
  subject[2] = FIX_SUBJECTS;
  d.trial_subject = subject;
  expect_refused(&d, "trial of nobody", "row 3");
  d.trial_subject = good;
  float *age = dor_arena_copy(&d.arena, d.age, FIX_SUBJECTS * 4);
  age[0] = INFINITY;
  d.age = age;
  expect_refused(&d, "infinite age", "age");
  age[0] = NAN;
  OK(dor_dataset_validate(&d));
  const char *twice[] = {"a", "b", "c", "a", "d", "e"}, *const *ids = d.id;
  d.id = twice;
  expect_refused(&d, "an id twice", "twice");
  d.id = ids;
  dor_frames *s = dor_arena_copy(&d.arena, d.silhouettes, sizeof *s);
  int32_t *first = dor_arena_copy(&d.arena, s->first, FIX_TRIALS * 4);
  first[1] = 3;
  s->first = first;
  d.silhouettes = s;
  expect_refused(&d, "a frame of two trials", "trial 2");
  first[1] = FIX_FRAMES - 1;
  expect_refused(&d, "frames beyond the end", "trial 2");
  dor_dataset_release(&d);
}

TEST(dataset_truncated_anywhere)
{
  (void)state;
  dor_dataset d;
  char path[1024], *bytes;
  size_t n;
  fixture_dataset(&d);
  snprintf(path, sizeof path, "%s", in_folder("cut.h5"));
  OK(dor_dataset_write(&d, path));
  OK(dor_io_read(path, 1 << 24, &bytes, &n));
  for (size_t at = 0; at < n; at += 1 + at / 23) {
    dor_dataset cut;
    put_bytes(path, bytes, at);
    dor_status s = dor_dataset_read(&cut, path);
    CHECK(s == DOR_E_DATA, "cut at byte %zu of %zu: status %d", at, n, s);
    if (!s) dor_dataset_release(&cut);
  }
  dor_free(bytes);
  dor_dataset_release(&d);
}

/* A child's end without the leak checker: what libhdf5 loses on damaged files is not ours. */
static void leave(int code) { syscall(SYS_exit_group, code); }

/* A child flips a bit at each of its places and reads: libhdf5 may crash on a damaged file, the count of silent changes must be 0. */
static int silent_flips(const char *path, char *bytes, size_t n, const dor_dataset *truth)
{
  pid_t child = test_fork();
  if (!child) {
    for (size_t i = 0; i < n; i += 11) {
      dor_dataset d;
      bytes[i] = (char)(bytes[i] ^ (1 << (i % 8)));
      put_bytes(path, bytes, n);
      bytes[i] = (char)(bytes[i] ^ (1 << (i % 8)));
      if (dor_dataset_read(&d, path)) continue;
      if (!fixture_equal(truth, &d)) leave(1);
      dor_dataset_release(&d);
    }
    leave(0);
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child) return 101;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(dataset_bit_flips_are_never_silent)
{
  (void)state;
  dor_dataset d;
  char path[1024], *bytes;
  size_t n;
  fixture_dataset(&d);
  snprintf(path, sizeof path, "%s", in_folder("flip.h5"));
  OK(dor_dataset_write(&d, path));
  OK(dor_io_read(path, 1 << 24, &bytes, &n));
  int r = silent_flips(path, bytes, n, &d);
  CHECK(r == 0, "a flipped bit went unseen, or crashed: %d", r);
  dor_free(bytes);
  dor_dataset_release(&d);
}
