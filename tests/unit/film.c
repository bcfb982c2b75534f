/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/film.h"

#include <string.h>

#include "base/child.h"
#include "base/io.h"
#include "base/mem.h"
#include "tests/test.h"

const char *film_in(const char *folder, const char *name)
{
  static char path[16][1024];
  static int i;
  char *p = path[i++ % 16];
  snprintf(p, sizeof path[0], "%s/%s", folder, name);
  return p;
}

bool film_runs(const char *const argv[])
{
  dor_child c;
  char said[DOR_CHILD_SAYS];
  const dor_child_plan plan = {.argv = argv};
  return !dor_child_start(&c, &plan) && dor_child_end(&c, said);
}

bool film_have_ffmpeg(void)
{
  const char *const argv[] = {"ffmpeg", "-version", NULL};
  return film_runs(argv);
}

void film_turn_header(const char *from, const char *to)
{
  static const uint8_t quarter[36] = {[5] = 1, [12] = 0xff, [13] = 0xff, [32] = 0x40};
  char *text;
  size_t n, at = 0;
  OK(dor_io_read(from, 1 << 24, &text, &n));
  while (at + 88 < n && memcmp(text + at, "tkhd", 4)) at++;
  REQUIRE(at + 88 < n, "no track header");
  memcpy(text + at + 4 + 40, quarter, sizeof quarter);
  OK(dor_io_write(to, text, n));
  dor_free(text);
}

void film_cut(const char *from, const char *to, double share)
{
  char *text;
  size_t n;
  OK(dor_io_read(from, 1 << 24, &text, &n));
  OK(dor_io_write(to, text, (size_t)(share * (double)n)));
  dor_free(text);
}
