/* SPDX-License-Identifier: Apache-2.0
 *
 * Mutations of the example configs: bytes and tokens dropped, doubled, exchanged
 * and replaced. None may crash, all errors have a place (fuzz_config.c aborts). */
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"

int fuzz_config(const uint8_t *data, size_t size);

/* extends = "../../configs/x.cfg" must be found from anywhere. */
static void load(const char *path, const char *parents, dor_str *out)
{
  char *text, folder[2048], here[1024];
  size_t n;
  OK(dor_io_read(path, 1u << 20, &text, &n));
  REQUIRE(getcwd(here, sizeof here), "getcwd");
  snprintf(folder, sizeof folder, "extends = \"%s/%s", here, parents);
  char *at = strstr(text, "extends"), *quote = at ? strchr(at, '"') : NULL;
  if (quote) {
    const char *name = quote + 1;
    if (strstr(name, "/") && strstr(name, "/") < strchr(name, '"'))
      for (const char *slash; (slash = strchr(name, '/')) && slash < strchr(name, '"');) name = slash + 1;
    dor_str_bytes(out, text, (size_t)(at - text));
    dor_str_add(out, folder);
    dor_str_add(out, name);
  } else dor_str_add(out, text);
  OK(dor_str_status(out));
  dor_free(text);
}

static size_t mutate(dor_rng *r, const dor_str *from, char *to, size_t room)
{
  static const char *const tokens[] = {"{", "}", "[", "]", "(", ")", ";", ",", "=", "\"", "'", "#", "//", "/*", "@include \"x\"",
                                       "true", "None", "1e999", "-1", "99999999999",
                                       "3000000000L", "\\", "\n", ".", "use", "arms", "skip = true;", "extends",
                                       "fusion = \"late\";", "\0", "\xff", "\xc3\xa9"};
  size_t n = from->n < room / 2 ? from->n : room / 2;
  memcpy(to, from->s, n);
  for (uint32_t times = 1 + dor_rng_below(r, 4); times; times--) {
    size_t at = dor_rng_below(r, (uint32_t)n), span = 1 + dor_rng_below(r, 12);
    if (at + span > n) span = n - at;
    switch (dor_rng_below(r, 4)) {
      case 0: memmove(to + at, to + at + span, n - at - span), n -= span; break;
      case 1: to[at] = (char)dor_rng_u32(r); break;
      case 2: memmove(to + at + span, to + at, n - at < room - n - span ? n - at : 0), n += span; break;
      default: {
        const char *t = tokens[dor_rng_below(r, sizeof tokens / sizeof *tokens)];
        size_t length = *t ? strlen(t) : 1;
        memmove(to + at + length, to + at, n - at), memcpy(to + at, t, length), n += length;
      }
    }
    if (!n) break;
  }
  return n;
}

TEST(fuzz_configs)
{
  static const struct { const char *path, *parents; } files[] = {
      {"experiments/backtracker/experiment.cfg", "configs/"}, {"experiments/backtracker/mine.cfg", "experiments/backtracker/"},
      {"experiments/backtracker/quick.cfg", "experiments/backtracker/"}, {"configs/base.cfg", "configs/"},
      {"experiments/higherhrnet_coco/experiment.cfg", "experiments/higherhrnet_coco/"},
      {"tests/fixtures/configs/back_to_move.cfg", "configs/"}, {"tests/fixtures/configs/posture.cfg", "configs/"},
      {"tests/fixtures/configs/tug.cfg", "configs/"}, {"tests/fixtures/configs/risk.cfg", "configs/"}, {"tests/fixtures/configs/cohort.cfg", "configs/"}};
  enum { FILES = sizeof files / sizeof *files, ROUNDS = 1000, ROOM = 64 * 1024 };
  dor_rng r = dor_rng_stream(9, 0, 0);
  char *bytes = malloc(ROOM);
  (void)state;
  REQUIRE(bytes, "memory");
  for (int f = 0; f < FILES; f++) {
    dor_str text = {0};
    load(files[f].path, files[f].parents, &text);
    fuzz_config((const uint8_t *)text.s, text.n);
    for (int i = 0; i < ROUNDS; i++) fuzz_config((const uint8_t *)bytes, mutate(&r, &text, bytes, ROOM));
    for (size_t n = 0; n < text.n; n += 1 + text.n / 200) fuzz_config((const uint8_t *)text.s, n); /* cut off anywhere */
    dor_str_release(&text);
  }
  free(bytes);
}
