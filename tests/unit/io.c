/* SPDX-License-Identifier: Apache-2.0
 *
 * Files: read whole, replaced whole, and what happens when a call fails. */
#include "tests/test.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/calls.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"

static const char *in(const char *folder, const char *name)
{
  static char path[4][1024];
  static int i;
  char *p = path[i++ % 4];
  snprintf(p, sizeof path[0], "%s/%s", folder, name);
  return p;
}

static bool holds(const char *path, const char *want)
{
  char *text;
  size_t n;
  if (dor_io_read(path, 1000, &text, &n)) return false;
  bool same = n == strlen(want) && !strcmp(text, want);
  dor_free(text);
  return same;
}

static size_t files_in(const char *folder)
{
  dor_arena a = {0};
  const char *const *names;
  size_t n;
  OK(dor_io_list(&a, folder, &names, &n));
  dor_arena_release(&a);
  return n;
}

TEST(io_write_and_read)
{
  const char *dir = test_folder("io");
  char folder[512], *text;
  size_t n;
  (void)state;
  snprintf(folder, sizeof folder, "%s", dir);
  OK(dor_io_write(in(folder, "a"), "one", 3));
  OK(dor_io_write(in(folder, "a"), "two!", 4));
  CHECK(holds(in(folder, "a"), "two!"), "not replaced");
  CHECK(files_in(folder) == 1, "a temporary file was left");
  OK(dor_io_append(in(folder, "a"), " three", 6));
  CHECK(holds(in(folder, "a"), "two! three"), "not appended");
  CHECK(dor_io_read(in(folder, "a"), 3, &text, &n) == DOR_E_DATA, "longer than allowed, and read");
  CHECK(dor_io_read(in(folder, "none"), 3, &text, &n) == DOR_E_NOTFOUND, "%s", dor_errmsg());
  CHECK(dor_io_read(folder, 3, &text, &n) == DOR_E_DATA, "a folder was read");
  REQUIRE(!mkfifo(in(folder, "fifo"), 0600), "mkfifo");
  CHECK(dor_io_read(in(folder, "fifo"), 3, &text, &n) == DOR_E_DATA, "a FIFO was read");
  OK(dor_io_probe(folder));
  CHECK(dor_io_probe("/proc") != DOR_OK, "/proc is usable");
}

TEST(io_folders)
{
  char folder[512];
  dor_arena a = {0};
  const char *const *names;
  size_t n;
  (void)state;
  snprintf(folder, sizeof folder, "%s", test_folder("folders"));
  OK(dor_io_mkdirs(in(folder, "x/y/z")));
  OK(dor_io_mkdirs(in(folder, "x/y/z")));
  OK(dor_io_write(in(folder, "x/b"), "", 0));
  OK(dor_io_write(in(folder, "x/a"), "", 0));
  CHECK(dor_io_mkdirs(in(folder, "x/a")) == DOR_E_IO, "a folder over a file");
  REQUIRE(!symlink("/usr", in(folder, "x/link")), "symlink");
  OK(dor_io_list(&a, in(folder, "x"), &names, &n));
  CHECK(n == 4 && !strcmp(names[0], "a") && !strcmp(names[3], "y"), "%zu names, first %s", n, names[0]);
  CHECK(dor_io_is_dir(in(folder, "x")) && !dor_io_is_dir(in(folder, "x/a")) && dor_io_exists(in(folder, "x/a")), "kinds");
  OK(dor_io_remove_tree(in(folder, "x")));
  CHECK(!dor_io_exists(in(folder, "x")) && dor_io_is_dir("/usr/bin"), "removed too little or too much");
  OK(dor_io_remove_tree(in(folder, "x")));
  OK(dor_io_remove(in(folder, "x")));
  CHECK(!strcmp(dor_path_join(&a, "a/b", "c"), "a/b/c") && !strcmp(dor_path_join(&a, "a/", "c"), "a/c") &&
        !strcmp(dor_path_join(&a, "", "c"), "c") && !strcmp(dor_path_join(&a, "a", "/c"), "/c"), "join");
  CHECK(!strcmp(dor_path_dir(&a, "a/b/c"), "a/b") && !strcmp(dor_path_dir(&a, "c"), "") && !strcmp(dor_path_dir(&a, "/c"), "/"), "dir");
  dor_arena_release(&a);
}

/* ---- the n-th call fails: the old file stays whole, nothing is left beside it ---- */

static dor_io_calls real;
static int countdown, kind, error_to_give;
static bool now_due(int k)
{
  if (k != kind || --countdown) return false;
  errno = error_to_give;
  return true;
}
static int bad_open(const char *p, int f, mode_t m) { return now_due(0) ? -1 : real.open(p, f, m); }
static ssize_t bad_write(int fd, const void *p, size_t n) { return now_due(1) ? -1 : real.write(fd, p, n > 3 ? 3 : n); } /* short writes too */
static int bad_fsync(int fd) { return now_due(2) ? -1 : real.fsync(fd); }
static int bad_close(int fd)
{
  int got = real.close(fd);
  return now_due(3) ? -1 : got;
}
static int bad_rename(const char *a, const char *b) { return now_due(4) ? -1 : real.rename(a, b); }

TEST(io_write_survives_faults)
{
  char folder[512];
  int refused = 0;
  (void)state;
  snprintf(folder, sizeof folder, "%s", test_folder("faults"));
  OK(dor_io_write(in(folder, "f"), "old", 3));
  real = dor_io;
  dor_io.open = bad_open, dor_io.write = bad_write, dor_io.fsync = bad_fsync, dor_io.close = bad_close, dor_io.rename = bad_rename;
  for (kind = 0; kind < 5; kind++)
    for (int n = 1; n < 8; n++) {
      countdown = n, error_to_give = kind == 1 ? ENOSPC : EIO;
      dor_status s = dor_io_write(in(folder, "f"), "the new text", 12);
      countdown = 0;
      int folder_step = (kind == 0 || kind == 2) && n == 2; /* the folder's own sync: the file is there already */
      if (s) refused++;
      CHECK(s == DOR_OK || s == DOR_E_IO, "kind %d call %d: status %d", kind, n, s);
      CHECK(holds(in(folder, "f"), s && !folder_step ? "old" : "the new text"), "kind %d call %d: the file is neither", kind, n);
      CHECK(files_in(folder) == 1, "kind %d call %d: a temporary file was left", kind, n);
      OK(dor_io_write(in(folder, "f"), "old", 3));
    }
  countdown = 2, kind = 1, error_to_give = EINTR;
  OK(dor_io_write(in(folder, "f"), "interrupted", 11));
  dor_io = real;
  CHECK(refused == 2 + 4 + 2 + 1 + 1, "%d writes failed", refused);
}

static int folder_syncs;
static int count_folders(int fd)
{
  struct stat st;
  folder_syncs += !fstat(fd, &st) && S_ISDIR(st.st_mode);
  return fsync(fd);
}

TEST(io_gathered_writes_sync_their_folders_once)
{
  char folder[512];
  snprintf(folder, sizeof folder, "%s", test_folder("gather"));
  OK(dor_io_mkdirs(in(folder, "sub")));
  dor_io_calls calls = dor_io;
  dor_io.fsync = count_folders;
  folder_syncs = 0;
  dor_io_gather();
  for (int i = 0; i < 6; i++) OK(dor_io_write(in(folder, i % 2 ? "a" : "sub/b"), "text", 4));
  CHECK(folder_syncs == 0 && holds(in(folder, "a"), "text"), "%d folders were synced, or nothing written", folder_syncs);
  OK(dor_io_settle(DOR_OK));
  CHECK(folder_syncs == 2, "%d folders were synced", folder_syncs);
  OK(dor_io_write(in(folder, "a"), "more", 4));
  CHECK(folder_syncs == 3, "a write after settling was not synced");
  dor_io_gather();
  OK(dor_io_write(in(folder, "a"), "x", 1));
  CHECK(dor_io_settle(DOR_E_DATA) == DOR_E_DATA && folder_syncs == 3, "a failure is handed on");
  OK(dor_io_write(in(folder, "a"), "y", 1));
  CHECK(folder_syncs == 4, "%d folders were synced", folder_syncs);
  dor_io = calls;
}

TEST(fault_plans) /* in test builds alone */
{
  (void)state;
#ifdef DOR_FAULTS
  char folder[512];
  snprintf(folder, sizeof folder, "%s", test_folder("plans"));
  OK(dor_fault_plan("io.write@2=ENOSPC,once;mem@1"));
  void *p = dor_calloc(1, 1);
  CHECK(!p, "memory did not fail");
  dor_free(p);
  OK(dor_io_write(in(folder, "f"), "a", 1));
  CHECK(dor_io_write(in(folder, "f"), "b", 1) == DOR_E_IO && strstr(dor_errmsg(), "No space"), "%s", dor_errmsg());
  OK(dor_io_write(in(folder, "f"), "c", 1));
  CHECK(dor_fault_plan("io.write") == DOR_E_ARG && dor_fault_plan("mem@0") == DOR_E_ARG && dor_fault_plan("mem@1=EWHAT") == DOR_E_ARG, "a bad plan was taken");
  OK(dor_fault_plan(NULL));
#else
  char *text, name[16];
  size_t n;
  snprintf(name, sizeof name, "%s_%s", "DORSUM", "FAULT"); /* spelt in two, or this test would find itself */
  OK(dor_io_read("/proc/self/exe", (size_t)1 << 30, &text, &n));
  CHECK(!memmem(text, n, name, strlen(name)), "a release build reads fault plans");
  dor_free(text);
#endif
}

TEST(hash_of_a_file)
{
  char folder[512], a[DOR_HASH_HEX], b[DOR_HASH_HEX];
  (void)state;
  snprintf(folder, sizeof folder, "%s", test_folder("hash"));
  OK(dor_io_write(in(folder, "f"), "abc", 3));
  OK(dor_hash_file(in(folder, "f"), a));
  dor_hash_bytes("abc", 3, b);
  CHECK(!strcmp(a, b), "%s is not %s", a, b);
  CHECK(dor_hash_file(in(folder, "none"), a) == DOR_E_NOTFOUND, "no such file");
  CHECK(dor_hash_file("/dev/zero", a) == DOR_E_DATA && dor_hash_file(folder, a) == DOR_E_DATA, "%s", dor_errmsg());
}
