/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a COCO annotation file: it is read, or refused by a message that
 * begins with the file's name. Of what was read, small masks are painted. A target
 * of libFuzzer (make fuzz); `make check` feeds it mutations of a small file. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "data/coco.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void paint(const dor_coco *c, int32_t image)
{
  const dor_coco_image *im = &c->image[image];
  if (im->h > 256 || im->w > 256) return;
  uint8_t *mask = dor_calloc((size_t)im->h, (size_t)im->w);
  if (!mask || dor_coco_ignored(c, image, mask)) abort();
  dor_free(mask);
}

/* As results of a truth, too: lists are one, objects the other. */
static void check_results(const char *text, size_t size)
{
  static const char truth_text[] = "{\"images\": [{\"id\": 1, \"file_name\": \"a\", \"height\": 4, \"width\": 4}], \"annotations\": [],"
                                   "\"categories\": [{\"id\": 1, \"name\": \"p\", \"keypoints\": [\"x\"]}]}";
  dor_coco truth;
  dor_coco_results r;
  if (dor_coco_parse(&truth, "truth", truth_text, sizeof truth_text - 1)) abort();
  if (!dor_coco_results_parse(&r, "results", text, size, &truth)) dor_coco_results_release(&r);
  else if (strncmp(dor_errmsg(), "results", 7) != 0) abort();
  dor_coco_release(&truth);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  dor_coco c;
  char *text = malloc(size + 1);
  if (!text) return 0;
  memcpy(text, data, size);
  text[size] = 0;
  if (dor_coco_parse(&c, "fuzz", text, size)) {
    if (strncmp(dor_errmsg(), "fuzz", 4) != 0) abort();
  } else {
    for (int32_t i = 0; i < c.n_images; i++) paint(&c, i);
    dor_coco_release(&c);
  }
  check_results(text, size);
  free(text);
  return 0;
}
