/* SPDX-License-Identifier: Apache-2.0
 *
 * Run lengths down the columns, as COCO stores masks of crowds: painting, and
 * the compressed text. A length is written in characters of five bits from '0',
 * the sixth saying that more follow; from the fourth on as the difference to the
 * length two before it. */
#include <string.h>

#include "data/coco.h"

void dor_rle_paint(int32_t n, const uint32_t *run, int32_t h, int32_t w, uint8_t *mask)
{
  int64_t at = 0;
  for (int32_t i = 0; i < n; i++) {
    const int64_t end = at + run[i];
    for (; at < end; at++)
      if (i & 1) mask[at % h * w + at / h] = 1;
  }
}

/* One number; *text moves behind it. */
static dor_status take(const char **text, int64_t *out)
{
  int64_t x = 0;
  for (int shift = 0; shift <= 35; shift += 5) {
    const int c = (unsigned char)**text - 48;
    DOR_NEED(c >= 0 && c < 64, DATA, "counts: a character that run lengths are not written in");
    ++*text;
    x |= (int64_t)(c & 31) << shift;
    if (c & 32) continue;
    *out = c & 16 ? x - ((int64_t)1 << (shift + 5)) : x; /* the last character's top bit is the sign */
    return DOR_OK;
  }
  return DOR_FAIL(DATA, "counts: a run length of more than 40 bits");
}

dor_status dor_rle_decode(dor_arena *a, const char *text, int32_t h, int32_t w, const uint32_t **run, int32_t *n)
{
  uint32_t *r = dor_arena_alloc(a, (strlen(text) + 1) * sizeof *r);
  int64_t sum = 0, x = 0;
  int32_t k = 0;
  DOR_NEED(r, NOMEM, "no memory for run lengths");
  while (*text) {
    DOR_TRY(take(&text, &x));
    if (k > 2) x += r[k - 2];
    sum += x;
    DOR_NEED(x >= 0 && sum <= (int64_t)h * w, DATA, "counts: run %d of %lld pixels does not fit into %d x %d", k + 1, (long long)x, h, w);
    r[k++] = (uint32_t)x;
  }
  DOR_NEED(sum == (int64_t)h * w, DATA, "counts: the runs sum to %lld pixels, the size is %d x %d", (long long)sum, h, w);
  *run = r, *n = k;
  return DOR_OK;
}

dor_status dor_segment_paint(const dor_segment *s, int32_t h, int32_t w, uint8_t *mask)
{
  dor_rle_paint(s->n_runs, s->run, h, w, mask);
  for (int32_t i = 0; i < s->n_polygons; i++) DOR_TRY(dor_polygon_paint(&s->polygon[i], h, w, mask));
  return DOR_OK;
}

dor_status dor_coco_ignored(const dor_coco *c, int32_t image, uint8_t *mask)
{
  const dor_coco_image *im = &c->image[image];
  memset(mask, 0, (size_t)im->h * (size_t)im->w);
  for (int32_t i = im->first; i < im->first + im->count; i++) {
    const dor_coco_annotation *p = &c->annotation[c->of_image[i]];
    if (p->crowd || p->n_labelled == 0) DOR_TRY(dor_segment_paint(&p->segment, im->h, im->w, mask));
  }
  return DOR_OK;
}
