/* SPDX-License-Identifier: Apache-2.0
 *
 * Twins across folds. Every pair of items is compared up to 30,000 items; the
 * identical ones are found by sorting, whatever their number. */
#include "train/twins.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { ALIKE = 2, MOST = 30000 };

typedef struct item {
  uint64_t content, look;
  const uint8_t *data;
  size_t bytes;
  int32_t subject, fold, number; /* number: of the image or trial, from 1 */
} item;

typedef struct list {
  item *at;
  int32_t n;
} list;

/* Mean of the pixels (all channels) of one box of a 9 x 8 grid; a picture smaller than the grid repeats pixels. */
static uint32_t box(const uint8_t *p, int32_t h, int32_t w, int32_t c, int32_t row, int32_t col)
{
  int32_t y0 = row * h / 8, y1 = (row + 1) * h / 8, x0 = col * w / 9, x1 = (col + 1) * w / 9;
  uint64_t sum = 0, n = 0;
  if (y1 == y0) y1 = y0 + 1;
  if (x1 == x0) x1 = x0 + 1;
  for (int32_t y = y0; y < y1; y++)
    for (int32_t k = x0 * c; k < x1 * c; k++) sum += p[(size_t)y * (size_t)w * (size_t)c + (size_t)k], n++;
  return (uint32_t)(sum * 256 / n);
}

uint64_t dor_twins_hash(const uint8_t *pixels, int32_t h, int32_t w, int32_t c)
{
  uint64_t hash = 0;
  for (int32_t row = 0; row < 8; row++) {
    uint32_t left = box(pixels, h, w, c, row, 0);
    for (int32_t col = 1; col < 9; col++) {
      uint32_t right = box(pixels, h, w, c, row, col);
      hash = hash << 1 | (right > left);
      left = right;
    }
  }
  return hash;
}

/* Only to bring equal contents together: bytes are compared afterwards. */
static uint64_t content_hash(const uint8_t *data, size_t n)
{
  uint64_t h = 0x9E3779B97F4A7C15u ^ n, word;
  for (; n >= 8; data += 8, n -= 8) {
    memcpy(&word, data, 8);
    h = (h ^ word) * 0xBF58476D1CE4E5B9u;
    h ^= h >> 29;
  }
  for (; n; data++, n--) h = (h ^ *data) * 0x94D049BB133111EBu;
  return h ^ h >> 31;
}

/* The fold in which a person is tested, -2 when they are not analysed. */
static int32_t *folds_of_people(dor_arena *a, const dor_study *s, int32_t repeat)
{
  const dor_roster *r = &s->roster[0];
  int32_t *fold = dor_arena_alloc(a, ((size_t)s->data->n_subjects + 1) * sizeof *fold);
  for (int32_t i = 0; fold && i < s->data->n_subjects; i++) fold[i] = -2;
  for (int32_t u = 0; fold && u < r->n; u++) fold[r->subject[u]] = r->split.fold[(size_t)repeat * (size_t)r->n + (size_t)u];
  return fold;
}

static item make_item(const dor_frames *f, int32_t first, int32_t count, int32_t subject, int32_t number)
{
  size_t frame = (size_t)f->h * (size_t)f->w * (size_t)f->c;
  const uint8_t *data = f->data + (size_t)first * frame;
  return (item){content_hash(data, frame * (size_t)count), dor_twins_hash(data + frame * (size_t)(count / 2), f->h, f->w, f->c), data,
                frame * (size_t)count, subject, -2, number};
}

static dor_status list_items(dor_arena *a, const dor_dataset *d, const dor_frames *f, bool trials, list *out)
{
  int32_t n = trials ? d->n_trials : f->n;
  out->n = 0;
  out->at = dor_arena_alloc(a, ((size_t)n + 1) * sizeof *out->at);
  DOR_NEED(out->at, NOMEM, "no memory for the leakage checks");
  for (int32_t i = 0; i < n; i++) {
    if (!trials) out->at[out->n++] = make_item(f, i, 1, f->subject[i], i + 1);
    else if (f->count[i] > 0) out->at[out->n++] = make_item(f, f->first[i], f->count[i], d->trial_subject[i], i + 1);
  }
  return DOR_OK;
}

static int by_content(const void *a, const void *b)
{
  const item *x = a, *y = b;
  if (x->content != y->content) return x->content < y->content ? -1 : 1;
  return (x->number > y->number) - (x->number < y->number);
}

static bool apart(const item *a, const item *b) { return a->fold >= -1 && b->fold >= -1 && a->fold != b->fold; }

static void find_identical(const dor_dataset *d, const list *l, const char *what, dor_leak_check *c)
{
  for (int32_t i = 0; i < l->n; i++)
    for (int32_t k = i + 1; k < l->n && l->at[k].content == l->at[i].content; k++) {
      const item *a = &l->at[i], *b = &l->at[k];
      if (!apart(a, b) || a->bytes != b->bytes || memcmp(a->data, b->data, a->bytes)) continue;
      if (c->found++) continue;
      snprintf(c->first, sizeof c->first, "%s %d of subject %.40s equals %s %d of subject %.40s", what, a->number, d->id[a->subject], what,
               b->number, d->id[b->subject]);
    }
}

static void find_alike(const dor_dataset *d, const list *l, int32_t *n, dor_str *out)
{
  for (int32_t i = 0; i < l->n && l->n <= MOST; i++)
    for (int32_t k = i + 1; k < l->n; k++) {
      const item *a = &l->at[i], *b = &l->at[k];
      int bits = __builtin_popcountll(a->look ^ b->look);
      if (bits > ALIKE || !apart(a, b)) continue;
      if ((*n)++ < DOR_TWINS_LISTED)
        dor_str_fmt(out, "%s\n  {\"a\": \"%s\", \"a_number\": %d, \"b\": \"%s\", \"b_number\": %d, \"bits\": %d}", *n > 1 ? "," : "", d->id[a->subject],
                    a->number, d->id[b->subject], b->number, bits);
    }
}

static dor_status check_frames(const dor_study *s, const dor_frames *f, bool trials, dor_leak_check *c, int32_t *n, dor_str *similar)
{
  dor_arena a = {0};
  list l;
  dor_status status = list_items(&a, s->data, f, trials, &l);
  if (!status) qsort(l.at, (size_t)l.n, sizeof *l.at, by_content);
  for (int32_t repeat = 0; repeat < s->roster[0].split.repeats && !status; repeat++) {
    const int32_t *fold = folds_of_people(&a, s, repeat);
    if (!fold) status = DOR_FAIL(NOMEM, "no memory for the leakage checks");
    for (int32_t i = 0; i < l.n && fold; i++) l.at[i].fold = fold[l.at[i].subject];
    if (!status) find_identical(s->data, &l, trials ? "trial" : "image", c);
    if (!status && !repeat) find_alike(s->data, &l, n, similar);
  }
  c->looked += l.n;
  dor_arena_release(&a);
  return status ? status : dor_str_status(similar);
}

static bool uses(const dor_study *s, const char *from)
{
  bool used = false;
  for (int32_t i = 0; i < s->n_arms; i++)
    for (int32_t k = 0; k < s->arm[i].arm->n_inputs; k++) used = used || !strcmp(s->arm[i].arm->input[k].source.from, from);
  return used;
}

dor_status dor_twins_check(const dor_study *s, dor_leak_check *c, int32_t *n, dor_str *similar)
{
  const dor_dataset *d = s->data;
  for (int32_t i = 0; i < d->n_images && uses(s, "images"); i++) DOR_TRY(check_frames(s, &d->images[i], false, c, n, similar));
  for (int32_t i = 0; i < d->n_silhouettes && uses(s, "silhouettes"); i++) DOR_TRY(check_frames(s, &d->silhouettes[i], true, c, n, similar));
  return DOR_OK;
}
