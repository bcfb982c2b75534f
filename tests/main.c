/* SPDX-License-Identifier: Apache-2.0
 *
 * The test program: all TEST()s, or those whose name contains one of the arguments, or is one: =name.
 * An argument that is in no name ends it with 2: nothing was tested. */
#include "tests/test.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

int test_failures;

#define TEST_LIST(name)
#undef TEST
#define TEST(name) void test_##name(void **state);
#include "tests.def"
#undef TEST

static int before(void **state)
{
  (void)state;
  test_failures = 0;
  return 0;
}

/* A failed CHECK does not leave the test, so the wrapper fails it at its end. */
#define TEST(name)                    \
  static void run_##name(void **state) \
  {                                   \
    test_##name(state);               \
    if (test_failures) fail();        \
  }
#include "tests.def"
#undef TEST

static const struct CMUnitTest all[] = {
#define TEST(name) {#name, run_##name, before, NULL, NULL},
#include "tests.def"
};

static char root[256];

static void drop_root(void)
{
  if (root[0] && dor_io_remove_tree(root)) print_error("could not remove %s\n", root);
}

const char *test_folder(const char *name)
{
  static char path[512];
  if (!root[0]) {
    const char *tmp = getenv("TMPDIR");
    snprintf(root, sizeof root, "%s/dorsum-test-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(root)) abort();
    atexit(drop_root);
  }
  snprintf(path, sizeof path, "%s/%s", root, name);
  if (dor_io_mkdirs(path)) abort();
  return path;
}

static const char *existing(const char *folder, const char *relative)
{
  static char path[1024];
  snprintf(path, sizeof path, "%s/%s", folder, relative);
  return access(path, R_OK) ? NULL : path;
}

const char *test_shared(const char *relative) { return existing("../shared/data", relative); }
const char *test_golden(const char *relative) { return existing("tests/golden", relative); }

pid_t test_fork(void)
{
  static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
  fflush(NULL);
  pid_t child = fork();
  for (size_t i = 0; !child && i < sizeof crashes / sizeof *crashes; i++) signal(crashes[i], SIG_DFL);
  return child;
}

static bool stands_for(const char *argument, const char *name) { return *argument == '=' ? !strcmp(name, argument + 1) : strstr(name, argument) != NULL; }

/* The first argument that stands in no test's name; argc: each stands in one. */
static int unknown(int argc, char **argv)
{
  for (int k = 1; k < argc; k++) {
    size_t i = 0;
    while (i < sizeof all / sizeof *all && !stands_for(argv[k], all[i].name)) i++;
    if (i == sizeof all / sizeof *all) return k;
  }
  return argc;
}

static bool wanted(const char *name, int argc, char **argv)
{
  bool any = argc < 2;
  for (int k = 1; k < argc; k++) any = any || stands_for(argv[k], name);
  return any;
}

int main(int argc, char **argv)
{
  struct CMUnitTest chosen[sizeof all / sizeof *all];
  size_t n = 0;
  int k = unknown(argc, argv);
  if (k < argc) return print_error("no test has '%s' in its name\n", argv[k]), 2;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (wanted(all[i].name, argc, argv)) chosen[n++] = all[i];
  return _cmocka_run_group_tests(argc > 1 ? argv[1] : "dorsum", chosen, n, NULL, NULL) != 0;
}
