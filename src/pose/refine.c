/* SPDX-License-Identifier: Apache-2.0
 *
 * The two steps after matching. Refinement asks for a maximum over the whole map
 * for every missing joint of every person; what a pixel gives is never more than
 * its heat, so runs of pixels whose largest heat is no better than the best so
 * far are passed over, with the same result. */
#include <math.h>

#include "pose/group_parts.h"

static float neighbour(const dor_maps *m, const float *heat, int32_t x, int32_t y)
{
  x = x < 0 ? 0 : x >= m->w ? m->w - 1 : x;
  y = y < 0 ? 0 : y >= m->h ? m->h - 1 : y;
  return heat[y * m->w + x];
}

/* Ties go the negative way. */
static float quarter_x(const dor_maps *m, const float *heat, int32_t x, int32_t y)
{
  return neighbour(m, heat, x + 1, y) > neighbour(m, heat, x - 1, y) ? 0.25f : -0.25f;
}

static float quarter_y(const dor_maps *m, const float *heat, int32_t x, int32_t y)
{
  return neighbour(m, heat, x, y + 1) > neighbour(m, heat, x, y - 1) ? 0.25f : -0.25f;
}

void dor_people_adjust(const dor_maps *m, dor_people *p)
{
  for (int32_t i = 0; i < p->n * p->k; i++) {
    float *j = p->joint + 3 * (size_t)i;
    if (!(j[2] > 0)) continue;
    const float *heat = dor_heat(m, i % p->k);
    int32_t x = (int32_t)j[0], y = (int32_t)j[1];
    j[0] += quarter_x(m, heat, x, y) + 0.5f;
    j[1] += quarter_y(m, heat, x, y) + 0.5f;
  }
}

/* ---- missing joints ---- */

typedef struct wanted { /* a joint of one person */
  const float *heat, *tag[DOR_TAGS];
  const float *mean;           /* [T] */
  int32_t t, size;
  float best;                  /* heat less rounded distance, so far, and where; of equal ones the first */
  int32_t at;
} wanted;

static void look(wanted *w, int32_t from, int32_t to)
{
  for (int32_t i = from; i < to; i++) {
    if (!(w->heat[i] >= w->best)) continue;
    float square = 0;
    for (int32_t t = 0; t < w->t; t++) {
      float d = w->tag[t][i] - w->mean[t];
      square += d * d;
    }
    float value = w->heat[i] - nearbyintf(sqrtf(square));
    if (value > w->best || (value == w->best && i < w->at)) w->best = value, w->at = i;
  }
}

typedef struct range { float lo, hi; } range; /* of a tag in a run of pixels */

/* The most that a pixel of a run can give. Every step rounds monotonically, so this is no less than what look() finds there. */
static float bound(const wanted *w, float top, const range *r)
{
  float square = 0;
  for (int32_t t = 0; t < w->t; t++) {
    float below = r[t].lo - w->mean[t], above = w->mean[t] - r[t].hi, d = below > above ? below : above;
    if (d > 0) square += d * d;
  }
  return square > 0.25f ? top - nearbyintf(sqrtf(square)) : top;
}

/* The peaks first: one of them is the answer more often than not. range [runs,T] */
static void search(wanted *w, const dor_peaks *peaks, int32_t k, const range *ranges)
{
  const float *top = peaks->top + (size_t)k * (size_t)peaks->runs;
  for (int32_t i = 0; i < peaks->n[k]; i++) {
    int32_t at = peaks->at[(size_t)k * (size_t)peaks->most + (size_t)i].at;
    look(w, at, at + 1);
  }
  for (int32_t r = 0; r < peaks->runs; r++) {
    int32_t from = r * DOR_RUN;
    if (!(top[r] >= w->best)) continue;
    float most = bound(w, top[r], ranges + (size_t)r * (size_t)w->t);
    if (most > w->best || (most == w->best && from < w->at)) look(w, from, from + DOR_RUN < w->size ? from + DOR_RUN : w->size);
  }
}

static void tag_ranges(const dor_maps *m, int32_t runs, int32_t k, range *out)
{
  int32_t size = m->h * m->w;
  for (int32_t t = 0; t < m->t; t++) {
    const float *tag = dor_tag(m, t, k);
    for (int32_t r = 0; r < runs; r++) {
      int32_t from = r * DOR_RUN, n = from + DOR_RUN < size ? DOR_RUN : size - from;
      out[r * m->t + t] = (range){-dor_largest(tag + from, n, -1), dor_largest(tag + from, n, 1)};
    }
  }
}

/* [T] the mean tag where the person's joints were found, in the joints' order */
static void mean_tag(const dor_maps *m, const dor_people *p, int32_t person, float *mean)
{
  int32_t n = 0;
  for (int32_t t = 0; t < m->t; t++) mean[t] = 0;
  for (int32_t k = 0; k < p->k; k++) {
    const float *j = dor_joint(p, person, k);
    if (!(j[2] > 0)) continue;
    for (int32_t t = 0; t < m->t; t++) mean[t] += dor_tag(m, t, k)[(int32_t)j[1] * m->w + (int32_t)j[0]];
    n++;
  }
  for (int32_t t = 0; t < m->t; t++) mean[t] /= (float)n;
}

static void fill(const dor_maps *m, wanted *w, const dor_peaks *peaks, int32_t k, const range *ranges, float *joint)
{
  w->best = -INFINITY, w->at = -1;
  search(w, peaks, k, ranges);
  if (w->at < 0 || !(w->heat[w->at] > 0)) return;
  int32_t x = w->at % m->w, y = w->at / m->w;
  joint[0] = (float)x + 0.5f + quarter_x(m, w->heat, x, y);
  joint[1] = (float)y + 0.5f + quarter_y(m, w->heat, x, y);
  joint[2] = w->heat[w->at];
}

/* Joint k of all people who miss it. ranges [runs,T] to work in */
static void fill_all(const dor_maps *m, const dor_peaks *peaks, int32_t k, const float *mean, range *ranges, dor_people *p)
{
  wanted w = {.heat = dor_heat(m, k), .t = m->t, .size = m->h * m->w};
  bool known = false;
  for (int32_t t = 0; t < m->t; t++) w.tag[t] = dor_tag(m, t, k);
  for (int32_t i = 0; i < p->n; i++) {
    float *joint = dor_joint(p, i, k);
    if (joint[2] != 0) continue;
    if (!known) tag_ranges(m, peaks->runs, k, ranges);
    known = true;
    w.mean = mean + (size_t)i * (size_t)m->t;
    fill(m, &w, peaks, k, ranges, joint);
  }
}

dor_status dor_people_refine(const dor_maps *m, const dor_peaks *peaks, int32_t threads, dor_arena *a, dor_people *p)
{
  size_t each = (size_t)peaks->runs * (size_t)m->t;
  float *mean = dor_arena_alloc(a, (size_t)p->n * (size_t)m->t * sizeof *mean);
  range *ranges = dor_arena_alloc(a, (size_t)m->k * each * sizeof *ranges);
  DOR_NEED(mean && ranges, NOMEM, "refining %d people", p->n);
  for (int32_t i = 0; i < p->n; i++) mean_tag(m, p, i, mean + (size_t)i * (size_t)m->t);
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (int32_t k = 0; k < m->k; k++) fill_all(m, peaks, k, mean, ranges + (size_t)k * each, p);
  return DOR_OK;
}
