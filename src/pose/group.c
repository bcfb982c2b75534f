/* SPDX-License-Identifier: Apache-2.0
 *
 * Matching: joint after joint, each candidate joins the person whose mean tag is
 * nearest or begins a new one. A person is known by the first tag it began with,
 * as in the original: a candidate that begins a person with the same tag takes
 * that person over. */
#include "pose/group.h"

#include <math.h>
#include <string.h>

#include "pose/assign.h"
#include "pose/group_parts.h"

const dor_key dor_pose_keys[] = {
#define KEYS_OF dor_pose_cfg
#include "base/keys_rows.h"
#include "pose/pose.def"
#include "base/keys_end.h"
    {0}};

static const double FAR = 1e10; /* the cost of beginning a new person where there are more candidates than people */

typedef struct matching {
  const dor_maps *m;
  const dor_peaks *peaks;
  dor_people *people;
  double limit;                /* tag distance */
  float *key;                  /* [n] first tag of the person's first joint */
  float *sum;                  /* [n,T] of the tags of the person's joints, in single precision as in the original */
  int32_t *count;              /* [n] of those joints */
  double *distance, *cost;     /* [people,people] */
  int32_t *col_of;             /* [people] */
  dor_assign assign;
} matching;

static float tag_of(const matching *x, int32_t t, int32_t k, const dor_peak *p) { return dor_tag(x->m, t, k)[p->at]; }

static void put(matching *x, int32_t person, int32_t k, const dor_peak *p)
{
  float *j = dor_joint(x->people, person, k);
  j[0] = (float)(p->at % x->m->w), j[1] = (float)(p->at / x->m->w), j[2] = p->heat;
}

static void begin(matching *x, int32_t k, const dor_peak *p)
{
  float key = tag_of(x, 0, k, p);
  int32_t i = 0;
  while (i < x->people->n && x->key[i] != key) i++;
  if (i == x->people->n) x->key[x->people->n++] = key;
  put(x, i, k, p);
  for (int32_t t = 0; t < x->m->t; t++) x->sum[i * x->m->t + t] = tag_of(x, t, k, p);
  x->count[i] = 1;
}

static void join(matching *x, int32_t person, int32_t k, const dor_peak *p)
{
  put(x, person, k, p);
  for (int32_t t = 0; t < x->m->t; t++) x->sum[person * x->m->t + t] += tag_of(x, t, k, p);
  x->count[person]++;
}

static double tag_distance(const matching *x, int32_t k, const dor_peak *p, int32_t person)
{
  double square = 0;
  for (int32_t t = 0; t < x->m->t; t++) {
    double d = (double)tag_of(x, t, k, p) - (double)(x->sum[person * x->m->t + t] / (float)x->count[person]);
    square += d * d;
  }
  return sqrt(square);
}

static void match(matching *x, int32_t k)
{
  const dor_peak *list = x->peaks->at + (size_t)k * (size_t)x->peaks->most;
  int32_t rows = x->peaks->n[k], known = x->people->n < x->peaks->most ? x->people->n : x->peaks->most;
  int32_t cols = rows > known ? rows : known;
  for (int32_t i = 0; i < rows; i++)
    for (int32_t j = 0; j < cols; j++) {
      double d = j < known ? tag_distance(x, k, &list[i], j) : FAR;
      x->distance[i * cols + j] = d;
      x->cost[i * cols + j] = j < known ? nearbyint(d) * 100 - (double)list[i].heat : FAR;
    }
  dor_assign_solve(&x->assign, rows, cols, x->cost, x->col_of);
  for (int32_t i = 0; i < rows; i++) {
    int32_t person = x->col_of[i];
    if (person < known && x->distance[i * cols + person] < x->limit) join(x, person, k, &list[i]);
    else begin(x, k, &list[i]);
  }
}

static void match_all(matching *x, const int32_t *order)
{
  for (int32_t o = 0; o < x->m->k; o++) {
    int32_t k = order[o], n = x->peaks->n[k];
    if (n && x->people->n) match(x, k);
    else
      for (int32_t i = 0; i < n; i++) begin(x, k, &x->peaks->at[(size_t)k * (size_t)x->peaks->most + (size_t)i]);
  }
}

static dor_status make(matching *x, dor_arena *a, size_t most)
{
  size_t people = (size_t)x->peaks->most, t = (size_t)x->m->t;
  x->key = dor_arena_alloc(a, most * sizeof *x->key);
  x->sum = dor_arena_alloc(a, most * t * sizeof *x->sum);
  x->count = dor_arena_alloc(a, most * sizeof *x->count);
  x->distance = dor_arena_alloc(a, people * people * sizeof *x->distance);
  x->cost = dor_arena_alloc(a, people * people * sizeof *x->cost);
  x->col_of = dor_arena_alloc(a, people * sizeof *x->col_of);
  DOR_NEED(x->key && x->sum && x->count && x->distance && x->cost && x->col_of, NOMEM, "matching of %zu people", most);
  return dor_assign_make(&x->assign, a, (int32_t)people);
}

static void score(dor_people *p)
{
  for (int32_t i = 0; i < p->n; i++) {
    double sum = 0;
    for (int32_t k = 0; k < p->k; k++) sum += (double)dor_joint(p, i, k)[2];
    p->score[i] = (float)(sum / p->k);
  }
}

static dor_status group(const dor_maps *m, const dor_pose_cfg *c, const int32_t *order, int32_t threads, dor_arena *a, dor_arena *local, dor_people *out)
{
  dor_peaks peaks;
  matching x = {.m = m, .peaks = &peaks, .people = out, .limit = c->tag};
  size_t most = 0;
  DOR_TRY(dor_peaks_find(m, c, threads, local, &peaks));
  for (int32_t k = 0; k < m->k; k++) most += (size_t)peaks.n[k];
  *out = (dor_people){.k = m->k};
  if (!most) return DOR_OK;
  out->joint = dor_arena_alloc(a, most * (size_t)m->k * 3 * sizeof *out->joint);
  out->score = dor_arena_alloc(a, most * sizeof *out->score);
  DOR_NEED(out->joint && out->score, NOMEM, "%zu people", most);
  DOR_TRY(make(&x, local, most));
  match_all(&x, order);
  if (c->adjust) dor_people_adjust(m, out);
  score(out);
  return c->refine ? dor_people_refine(m, &peaks, threads, local, out) : DOR_OK;
}

dor_status dor_group(const dor_maps *m, const dor_pose_cfg *c, const int32_t *order, int32_t threads, dor_arena *a, dor_people *out)
{
  DOR_NEED(m->t >= 1 && m->t <= DOR_TAGS, ARG, "%d tags of a joint, 1 to %d are known", m->t, DOR_TAGS);
  DOR_NEED((int64_t)m->h * m->w < INT32_MAX, ARG, "maps of %d x %d", m->h, m->w);
  dor_arena local = {0};
  dor_status s = group(m, c, order, threads, a, &local, out);
  dor_arena_release(&local);
  return s;
}
