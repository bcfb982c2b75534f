/* SPDX-License-Identifier: Apache-2.0
 *
 * TEST(name) { ... CHECK(cond, "format", ...) ... } anywhere under tests/: the
 * Makefile greps TEST( into tests.def, so there is no list to keep. CHECK goes on
 * after a failure, REQUIRE leaves the test. SKIP(why) says so in the summary. */
#ifndef DOR_TESTS_TEST_H
#define DOR_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <cmocka.h>

extern int test_failures;

#define TEST(name)               \
  void test_##name(void **state); \
  void test_##name(__attribute__((unused)) void **state)
#define CHECK(cond, ...)                                        \
  do {                                                          \
    if (!(cond)) {                                              \
      test_failures++;                                          \
      print_error("%s:%d: %s: ", __FILE__, __LINE__, #cond);    \
      print_error(__VA_ARGS__);                                 \
      print_error("\n");                                        \
    }                                                           \
  } while (0)
#define REQUIRE(cond, ...)                    \
  do {                                        \
    if (!(cond)) {                            \
      CHECK(cond, __VA_ARGS__);               \
      fail();                                 \
    }                                         \
  } while (0)
#define OK(expr) REQUIRE((expr) == DOR_OK, "%s (%s)", dor_errmsg(), dor_errtrace())
#define SKIP(...)              \
  do {                         \
    print_message(__VA_ARGS__); \
    print_message("\n");       \
    skip();                    \
  } while (0)

/* ../shared/data and tests/golden; NULL when absent (then SKIP with a count). */
const char *test_shared(const char *relative);
const char *test_golden(const char *relative);
/* A fresh folder under $TMPDIR, removed at the end of the test program. */
const char *test_folder(const char *name);
/* fork(); a child that crashes dies of it, where cmocka's handlers would let it go on with the next test. */
pid_t test_fork(void);

#endif
