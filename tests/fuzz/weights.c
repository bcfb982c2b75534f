/* SPDX-License-Identifier: Apache-2.0
 *
 * The golden weight files cut off at every byte, with every bit flipped, and
 * mutated at random with numbers that readers trip over. No crash, no leak, no
 * byte outside (the fuzz targets abort), and a flip that a checksum covers is seen. */
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/rng.h"
#include "weights/weights.h"

int fuzz_pth(const uint8_t *data, size_t size);
int fuzz_safetensors(const uint8_t *data, size_t size);

static const char *const files[] = {"zip.pth", "legacy.pth", "training_checkpoint.pth.tar", "training_checkpoint_legacy.pth.tar", "plain.safetensors",
                                    "refuse_code.pth", "refuse_whole_module.pth", "refuse_overlap.safetensors"};
enum { FILES = sizeof files / sizeof *files, GOOD = 5, ROUNDS = 3000 };

static char *load(const char *name, size_t *n)
{
  char relative[64], *bytes;
  snprintf(relative, sizeof relative, "weights/%s", name);
  const char *path = test_golden(relative);
  REQUIRE(path, "tests/golden/%s is not here", relative);
  OK(dor_io_read(path, 1 << 20, &bytes, n));
  return bytes;
}

static void try_both(const void *bytes, size_t n)
{
  char *exact = malloc(n ? n : 1); /* so that a sanitizer sees one byte too far */
  REQUIRE(exact, "memory");
  memcpy(exact, bytes, n);
  fuzz_pth((const uint8_t *)exact, n);
  fuzz_safetensors((const uint8_t *)exact, n);
  free(exact);
}

TEST(fuzz_weights_cut_off_anywhere)
{
  (void)state;
  for (int f = 0; f < FILES; f++) {
    size_t size;
    char *bytes = load(files[f], &size);
    dor_tensors t;
    for (size_t n = 0; n < size; n++) {
      try_both(bytes, n);
      CHECK(dor_weights_parse(&t, "cut", bytes, n) == DOR_E_DATA, "%s: %zu of %zu bytes were taken", files[f], n, size);
    }
    dor_free(bytes);
  }
}

static bool same_tensors(const dor_tensors *a, const dor_tensors *b)
{
  bool same = a->n == b->n;
  for (int32_t i = 0; same && i < a->n; i++)
    same = !strcmp(a->at[i].name, b->at[i].name) && a->at[i].bytes == b->at[i].bytes && !memcmp(a->at[i].data, b->at[i].data, a->at[i].bytes);
  return same;
}

TEST(fuzz_weights_with_a_flipped_bit)
{
  (void)state;
  for (int f = 0; f < GOOD; f++) {
    size_t size, changed = 0, taken = 0;
    char *bytes = load(files[f], &size), *kept = load(files[f], &size);
    dor_tensors good, t;
    OK(dor_weights_parse(&good, files[f], kept, size));
    for (size_t i = 0; i < 8 * size; i++) {
      bytes[i / 8] = (char)(bytes[i / 8] ^ 1 << i % 8);
      if (!dor_weights_parse(&t, "flip", bytes, size)) {
        taken++, changed += !same_tensors(&good, &t);
        dor_tensors_release(&t);
      }
      if (i % 8 == 7) try_both(bytes, size);
      bytes[i / 8] = (char)(bytes[i / 8] ^ 1 << i % 8);
    }
    bool archive = f == 0 || f == 2; /* it has checksums */
    CHECK(archive == !changed, "%s: %zu of %zu flips that were taken changed a tensor", files[f], changed, taken);
    dor_tensors_release(&good);
    dor_free(bytes), dor_free(kept);
  }
}

static size_t mutate(dor_rng *r, const char *from, size_t n, uint8_t *to, size_t room)
{
  static const uint8_t edges[] = {0, 1, 2, 0x7f, 0x80, 0x81, 0xfe, 0xff,
                                  '(', ')', '.', 'R', 'Q', 't', 'u', 's', 'q', 'h', 'r', 'j', 'X', 'K', 'J', 0x8a, 'c', '}', ']', '{', '"', ','};
  memcpy(to, from, n);
  for (uint32_t times = 1 + dor_rng_below(r, 5); times && n > 16; times--) {
    size_t at = dor_rng_below(r, (uint32_t)n), span = 1 + dor_rng_below(r, 8), there = dor_rng_below(r, (uint32_t)n);
    if (at + span > n) span = n - at;
    if (there + span > n) there = n - span;
    switch (dor_rng_below(r, 6)) {
      case 0: memmove(to + at, to + at + span, n - at - span), n -= span; break;
      case 1: to[at] = (uint8_t)dor_rng_u32(r); break;
      case 2: to[at] = edges[dor_rng_below(r, sizeof edges)]; break;
      case 3: memset(to + at, dor_rng_below(r, 2) ? 0xff : 0, span); break;
      case 4: memmove(to + at, to + there, span); break;
      default:
        if (n + span > room) break;
        memmove(to + at + span, to + at, n - at), n += span;
    }
  }
  return n;
}

TEST(fuzz_weights_mutated)
{
  enum { ROOM = 16384 };
  dor_rng r = dor_rng_stream(11, 0, 0);
  uint8_t *to = malloc(ROOM);
  (void)state;
  REQUIRE(to, "memory");
  for (int f = 0; f < FILES; f++) {
    size_t size;
    char *bytes = load(files[f], &size);
    REQUIRE(size < ROOM / 2, "%s has %zu bytes", files[f], size);
    for (int i = 0; i < ROUNDS; i++) try_both(to, mutate(&r, bytes, size, to, ROOM));
    dor_free(bytes);
  }
  free(to);
}
