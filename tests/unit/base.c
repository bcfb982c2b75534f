/* SPDX-License-Identifier: Apache-2.0
 *
 * Floor base: memory, text, numbers, hashes, random numbers, time. */
#include "tests/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/calls.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"

/* Known answers of Random123 (kat_vectors, philox4x32 10 rounds). */
TEST(rng_philox_vectors)
{
  static const struct { uint64_t key, hi, lo; uint32_t want[4]; } kat[] = {
      {0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {~0ull, ~0ull, ~0ull, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88, {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}};
  (void)state;
  for (size_t i = 0; i < 3; i++) {
    dor_rng4 r = dor_philox(kat[i].key, kat[i].hi, kat[i].lo);
    CHECK(!memcmp(r.v, kat[i].want, sizeof r.v), "vector %zu: %08x %08x %08x %08x", i, r.v[0], r.v[1], r.v[2], r.v[3]);
  }
}

TEST(rng_distributions)
{
  enum { N = 200000 };
  dor_rng r = dor_rng_stream(7, dor_hash_name("test"), 0), again = r;
  double sum = 0, square = 0;
  (void)state;
  for (int i = 0; i < N; i++) {
    double x = dor_rng_normal(&r);
    sum += x, square += x * x;
  }
  CHECK(fabs(sum / N) < 4 / sqrt(N), "mean %g", sum / N);
  CHECK(fabs(square / N - 1) < 4 * sqrt(2.0 / N), "variance %g", square / N);
  CHECK(dor_rng_u32(&again) != dor_rng_u32(&again), "a stream stands still");
  int32_t count[7] = {0}, index[100], seen = 0;
  for (int i = 0; i < 70000; i++) count[dor_rng_below(&r, 7)]++;
  for (int i = 0; i < 7; i++) CHECK(abs(count[i] - 10000) < 400, "%d: %d of 70000", i, count[i]);
  for (int32_t i = 0; i < 100; i++) index[i] = i;
  dor_rng_shuffle(&r, index, 100);
  for (int32_t i = 0; i < 100; i++) seen += index[i] == i;
  CHECK(seen < 10, "%d of 100 in their old place", seen);
  int64_t total = 0;
  for (int32_t i = 0; i < 100; i++) total += index[i];
  CHECK(total == 4950, "not a permutation");
}

TEST(str_real_reads_back)
{
  static const struct { double x; const char *text; } known[] = {
      {0.1, "0.1"}, {1e-5, "1e-05"}, {1, "1"}, {-0.0, "-0"}, {1.0 / 3, "0.3333333333333333"}, {3e9, "3000000000"}, {1e300, "1e+300"}};
  dor_str s = {0};
  (void)state;
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    dor_str_clear(&s);
    dor_str_real(&s, known[i].x);
    CHECK(!strcmp(s.s, known[i].text), "got %s, want %s", s.s, known[i].text);
  }
  dor_rng r = dor_rng_stream(1, 2, 3);
  for (int i = 0; i < 20000; i++) {
    uint64_t bits = (uint64_t)dor_rng_u32(&r) << 32 | dor_rng_u32(&r);
    double x, y;
    memcpy(&x, &bits, sizeof x);
    if (!isfinite(x)) continue;
    dor_str_clear(&s);
    dor_str_real(&s, x);
    OK(dor_parse_real(s.s, &y));
    CHECK(x == y, "%a became %s", x, s.s);
  }
  dor_str_release(&s);
}

TEST(str_parse_refuses)
{
  static const char *const bad[] = {"", " 1", "1 ", "nan", "inf", "0x10", "1,5", "1e", "1e999", ".", "+", "1.2.3", "--1"};
  static const char *const bad_int[] = {"", "1.0", "9223372036854775808", "-9223372036854775809", "1L", " 3", "1e3"};
  double x;
  int64_t n;
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK(dor_parse_real(bad[i], &x) != DOR_OK, "'%s' was taken for a number", bad[i]);
  for (size_t i = 0; i < sizeof bad_int / sizeof *bad_int; i++) CHECK(dor_parse_int(bad_int[i], &n) != DOR_OK, "'%s' was taken for a whole number", bad_int[i]);
  OK(dor_parse_int("-9223372036854775808", &n));
  CHECK(n == INT64_MIN, "lowest integer");
  OK(dor_parse_real("-.5e1", &x));
  CHECK(x == -5, "got %g", x);
  OK(dor_parse_real("1e-400", &x));
  CHECK(x == 0, "underflow is zero, got %g", x);
}

TEST(str_nearest_and_printable)
{
  static const char *const names[] = {"epochs", "lr", "batch", "momentum"};
  char out[32], tiny[8];
  (void)state;
  CHECK(dor_nearest("epohcs", names, 4) == names[0], "epohcs");
  CHECK(dor_nearest("lrr", names, 4) == names[1], "lrr");
  CHECK(!dor_nearest("xy", names, 4), "xy is near nothing");
  CHECK(!dor_nearest("learning_rate", names, 4), "learning_rate is near nothing");
  CHECK(!strcmp(dor_printable("a\033[1m\n", out, sizeof out), "a\\x1b[1m\\x0a"), "got %s", out);
  CHECK(strlen(dor_printable("abcdefghijkl", tiny, sizeof tiny)) < sizeof tiny, "overran");
}

TEST(str_survives_no_memory)
{
  dor_str s = {0};
  dor_mem_calls saved = dor_mem;
  (void)state;
  dor_mem.realloc = NULL; /* a failed string must not come here again */
  s.failed = true;
  dor_str_add(&s, "text");
  dor_str_fmt(&s, "%d", 3);
  dor_mem = saved;
  CHECK(!s.s && dor_str_status(&s) == DOR_E_NOMEM, "a failed string grew");
}

TEST(hash_known_answers)
{
  char hex[DOR_HASH_HEX], parts[DOR_HASH_HEX];
  unsigned char key[32];
  dor_hash h;
  (void)state;
  dor_hash_bytes("abc", 3, hex);
  CHECK(!strcmp(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"), "SHA-256 of abc: %s", hex);
  dor_hash_init(&h);
  dor_hash_add(&h, "a", 1), dor_hash_add(&h, "bc", 2);
  dor_hash_final(&h, parts);
  CHECK(!strcmp(hex, parts), "in pieces: %s", parts);
  memset(key, 0x0b, sizeof key);
  dor_hash_keyed(key, "Hi There", 8, hex);
  CHECK(!strcmp(hex, "198a607eb44bfbc69903a0f1cf2bbdc5ba0aa3f3d9ae3c1c7a3b1696a0b68cf7"), "HMAC-SHA-256: %s", hex);
  CHECK(dor_hash_name("") == 0xcbf29ce484222325u && dor_hash_name("a") == 0xaf63dc4c8601ec8cu, "FNV-1a");
  dor_hash_init(&h);
  dor_hash_text(&h, "ab", "c");
  dor_hash_final(&h, hex);
  dor_hash_init(&h);
  dor_hash_text(&h, "a", "bc");
  dor_hash_final(&h, parts);
  CHECK(strcmp(hex, parts), "pairs ran together");
}

TEST(mem_blocks)
{
  static const size_t sizes[] = {0, 1, 255, 4096, 100000, 4u << 20, (5u << 20) + 3};
  (void)state;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    unsigned char *p = dor_block_alloc(sizes[i]);
    REQUIRE(p, "no block of %zu", sizes[i]);
    CHECK((uintptr_t)p % 256 == 0, "%p is not aligned", (void *)p);
    size_t dirty = 0;
    for (size_t j = 0; j < sizes[i]; j++) dirty += p[j];
    CHECK(!dirty, "%zu bytes: not zeroed", sizes[i]);
    if (sizes[i]) p[0] = p[sizes[i] - 1] = 1;
    dor_block_free(p, sizes[i]);
  }
  CHECK(!dor_calloc(SIZE_MAX / 2, 3), "an overflowing product was allocated");
  CHECK(!dor_block_alloc(SIZE_MAX), "an impossible block was allocated");
}

static int lines;
static char last[64];
static void catch_line(void *to, dor_log_level level, const char *line)
{
  (void)to, (void)level;
  lines++;
  snprintf(last, sizeof last, "%s", line);
}

TEST(log_goes_to_the_sink)
{
  (void)state;
  lines = 0;
  dor_note("dropped");
  dor_log_install(catch_line, NULL);
  dor_warn("fold %d\n", 3);
  dor_log_install(NULL, NULL);
  dor_note("dropped");
  CHECK(lines == 1 && !strcmp(last, "fold 3\\x0a"), "%d lines, last '%s'", lines, last);
}

static double still(void) { return 42; }

TEST(clock_is_replaceable)
{
  char wall[32];
  (void)state;
  double a = dor_clock_s(), b = dor_clock_s();
  CHECK(b >= a, "time went back");
  dor_time_calls saved = dor_time;
  dor_time.now_s = still;
  CHECK(dor_clock_s() == 42, "not replaced");
  dor_time = saved;
  dor_clock_wall(wall);
  CHECK(strlen(wall) == 20 && wall[19] == 'Z', "%s", wall);
}
