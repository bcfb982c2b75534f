/* SPDX-License-Identifier: Apache-2.0
 *
 * A small COCO file, and a list of detections, cut off at every byte and mutated:
 * none may crash, all refusals name the file (fuzz_coco.c aborts). */
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

int fuzz_coco(const uint8_t *data, size_t size);

static const char annotations[] =
    "{\"images\": [{\"id\": 1, \"file_name\": \"a.jpg\", \"height\": 9, \"width\": 10}],\n"
    "\"categories\": [{\"id\": 1, \"name\": \"person\", \"keypoints\": [\"a\", \"b\"], \"skeleton\": [[1, 2]]}],\n"
    "\"annotations\": [{\"id\": 1, \"image_id\": 1, \"category_id\": 1, \"iscrowd\": 0, \"area\": 12.5, \"bbox\": [1, 1, 4, 2], \"num_keypoints\": 0,\n"
    "\"keypoints\": [1, 2, 2, 0, 0, 0], \"segmentation\": [[1.5, 1, 5, 1, 5, 3], [0, 0, 9, 9, -3, 4]]},\n"
    "{\"id\": 2, \"image_id\": 1, \"category_id\": 1, \"iscrowd\": 1, \"keypoints\": [0, 0, 0, 0, 0, 0],\n"
    "\"segmentation\": {\"size\": [9, 10], \"counts\": \"61X13mN000`0\"}},\n"
    "{\"id\": 3, \"image_id\": 1, \"category_id\": 1, \"iscrowd\": 1, \"keypoints\": [0, 0, 0, 0, 0, 0],\n"
    "\"segmentation\": {\"size\": [9, 10], \"counts\": [6, 1, 40, 4, 5, 4, 5, 4, 21]}}]}";
static const char detections[] = "[{\"image_id\": 1, \"category_id\": 1, \"keypoints\": [4, 2, 0.5], \"score\": 0.75}]";

static size_t mutate(dor_rng *r, const char *from, size_t n, char *to)
{
  static const char *const tokens[] = {"{", "}", "[", "]", ",", "\"", "-1", "1e999", "99999999999999999999",
                                       "4294967296", "null", "true", "\\u0000", "2e5", "0"};
  memcpy(to, from, n);
  for (uint32_t times = 1 + dor_rng_below(r, 3); times; times--) {
    const size_t at = dor_rng_below(r, (uint32_t)n);
    const char *t = tokens[dor_rng_below(r, sizeof tokens / sizeof *tokens)];
    const size_t length = strlen(t);
    if (dor_rng_below(r, 2)) to[at] = (char)dor_rng_u32(r);
    else if (at + length <= n) memcpy(to + at, t, length);
  }
  return n;
}

TEST(fuzz_coco_files)
{
  enum { ROUNDS = 6000 };
  static const struct { const char *text; size_t n; } file[] = {{annotations, sizeof annotations - 1}, {detections, sizeof detections - 1}};
  char *bytes = malloc(sizeof annotations);
  dor_rng r = dor_rng_stream(3, 0, 0);
  REQUIRE(bytes, "memory");
  for (int f = 0; f < 2; f++) {
    for (size_t n = 0; n <= file[f].n; n++) fuzz_coco((const uint8_t *)file[f].text, n);
    for (int i = 0; i < ROUNDS; i++) fuzz_coco((const uint8_t *)bytes, mutate(&r, file[f].text, file[f].n, bytes));
  }
  free(bytes);
}
