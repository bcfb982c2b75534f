/* SPDX-License-Identifier: Apache-2.0
 *
 * PCK: the share of labelled joints that were found near enough. People and
 * detections of an image are paired one to one, the most similar pair first. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "eval/keypoint.h"

typedef struct pair { double oks; int32_t person, found; } pair;

static int by_oks(const void *a, const void *b)
{
  const pair *x = a, *y = b;
  if (x->oks != y->oks) return x->oks < y->oks ? 1 : -1;
  if (x->person != y->person) return x->person < y->person ? -1 : 1;
  return (x->found > y->found) - (x->found < y->found);
}

typedef struct work {
  const dor_kp_truth *t;
  const dor_kp_found *d;
  pair *pairs;
  int32_t *found_of;           /* [t->n] the detection paired with a person, -1 */
  uint8_t *taken;              /* [d->n] */
} work;

static bool counts(const dor_kp_truth *t, int32_t i) { return !t->crowd[i] && t->labelled[i] > 0; }

/* Pair what is in one image. people, found: lists of n and m */
static void pair_up(work *w, const int32_t *people, int32_t n, const int32_t *found, int32_t m)
{
  size_t at = 0;
  for (int32_t i = 0; i < n; i++)
    for (int32_t j = 0; j < m; j++) {
      size_t p = (size_t)people[i], k = (size_t)w->t->k;
      double oks = dor_oks(w->t->k, w->t->sigma, w->t->joint + 3 * p * k, w->t->box + 4 * p, w->t->area[p], w->d->joint + 3 * (size_t)found[j] * k);
      if (counts(w->t, people[i]) && oks > 0) w->pairs[at++] = (pair){oks, people[i], found[j]};
    }
  qsort(w->pairs, at, sizeof *w->pairs, by_oks);
  for (size_t i = 0; i < at; i++) {
    const pair *p = &w->pairs[i];
    if (w->found_of[p->person] >= 0 || w->taken[p->found]) continue;
    w->found_of[p->person] = p->found, w->taken[p->found] = 1;
  }
}

static void count(const work *w, const double *reference, double alpha, dor_pck *out)
{
  for (int32_t i = 0; i < w->t->n; i++) {
    if (!counts(w->t, i) || isnan(reference[i])) continue;
    for (int32_t k = 0; k < w->t->k; k++) {
      const double *t = w->t->joint + 3 * ((size_t)i * (size_t)w->t->k + (size_t)k);
      if (!(t[2] > 0)) continue;
      const double *d = w->found_of[i] < 0 ? NULL : w->d->joint + 3 * ((size_t)w->found_of[i] * (size_t)w->t->k + (size_t)k);
      size_t at = (size_t)k * (size_t)w->t->n_images + (size_t)w->t->image[i];
      out->all[at]++;
      out->hit[at] += d && hypot(d[0] - t[0], d[1] - t[1]) <= alpha * reference[i];
    }
  }
}

static dor_status pair_all(dor_arena *local, work *w)
{
  size_t n = (size_t)w->t->n + 1, m = (size_t)w->d->n + 1, images = (size_t)w->t->n_images + 1, most = 1;
  int32_t *person = dor_arena_alloc(local, n * sizeof *person), *found = dor_arena_alloc(local, m * sizeof *found);
  int32_t *first_person = dor_arena_alloc(local, images * sizeof *person), *first_found = dor_arena_alloc(local, images * sizeof *found);
  w->found_of = dor_arena_alloc(local, n * sizeof *w->found_of), w->taken = dor_arena_alloc(local, m);
  DOR_NEED(person && found && first_person && first_found && w->found_of && w->taken, NOMEM, "pairs of %d people", w->t->n);
  dor_kp_by_image(w->t->n, w->t->image, w->t->n_images, first_person, person);
  dor_kp_by_image(w->d->n, w->d->image, w->t->n_images, first_found, found);
  for (int32_t i = 0; i < w->t->n_images; i++) {
    size_t pairs = (size_t)(first_person[i + 1] - first_person[i]) * (size_t)(first_found[i + 1] - first_found[i]);
    most = pairs > most ? pairs : most;
  }
  w->pairs = dor_arena_alloc(local, most * sizeof *w->pairs);
  DOR_NEED(w->pairs, NOMEM, "%zu pairs", most);
  for (int32_t i = 0; i < w->t->n; i++) w->found_of[i] = -1;
  for (int32_t i = 0; i < w->t->n_images; i++)
    pair_up(w, person + first_person[i], first_person[i + 1] - first_person[i], found + first_found[i], first_found[i + 1] - first_found[i]);
  return DOR_OK;
}

dor_status dor_pck_count(dor_arena *a, const dor_kp_truth *t, const dor_kp_found *d, const double *reference, double alpha, dor_pck *out)
{
  dor_arena local = {0};
  work w = {.t = t, .d = d};
  size_t n = (size_t)t->k * (size_t)t->n_images + 1;
  DOR_TRY(dor_kp_check(t, d));
  *out = (dor_pck){t->k, t->n_images, dor_arena_alloc(a, n * sizeof(int64_t)), dor_arena_alloc(a, n * sizeof(int64_t))};
  DOR_NEED(out->hit && out->all, NOMEM, "counts of %d joints", t->k);
  dor_status s = pair_all(&local, &w);
  if (!s) count(&w, reference, alpha, out);
  dor_arena_release(&local);
  return s;
}
