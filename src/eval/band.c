/* SPDX-License-Identifier: Apache-2.0
 *
 * The band around a ROC curve: every replicate's curve on one grid of false
 * positive rates, then percentiles at each point. */
#include "eval/eval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct band {
  int32_t n, points, replicates;
  const double *score;
  const uint8_t *truth;
  int32_t *order, *weight; /* descending scores; how often a case was drawn */
  double *height;          /* [points, replicates] */
} band;

typedef struct place {
  double score;
  int32_t at;
} place;

static int descending(const void *a, const void *b)
{
  const place *x = a, *y = b;
  if (x->score != y->score) return x->score > y->score ? -1 : 1;
  return (x->at > y->at) - (x->at < y->at);
}

static int ascending(const void *a, const void *b)
{
  const double *x = a, *y = b;
  return (*x > *y) - (*x < *y);
}

/* The curve climbs from (x0, y0) to (x1, y1): fill the grid points it passes. At a vertical step the upper end counts. */
static int32_t climb(const band *b, int32_t replicate, int32_t next, double x0, double y0, double x1, double y1)
{
  double last = b->points - 1;
  for (; next < b->points && next / last < x1; next++) {
    double share = x1 > x0 ? (next / last - x0) / (x1 - x0) : 1;
    b->height[next * b->replicates + replicate] = y0 + share * (y1 - y0);
  }
  return next;
}

static void each(void *to, int32_t replicate, const int32_t *index, int32_t m)
{
  const band *b = to;
  double pos = 0, neg = 0, x = 0, y = 0, x1 = 0, y1 = 0;
  memset(b->weight, 0, (size_t)b->n * sizeof *b->weight);
  for (int32_t i = 0; i < m; i++) b->weight[index[i]]++, b->truth[index[i]] ? pos++ : neg++;
  int32_t next = 0;
  for (int32_t i = 0; i < b->n; i++) {
    int32_t at = b->order[i];
    if (b->truth[at]) y1 += b->weight[at] / pos;
    else x1 += b->weight[at] / neg;
    bool tie = i + 1 < b->n && b->score[b->order[i + 1]] == b->score[at];
    if (tie) continue;
    next = climb(b, replicate, next, x, y, x1, y1);
    x = x1, y = y1;
  }
  for (; next < b->points; next++) b->height[next * b->replicates + replicate] = 1;
}

static dor_status sort_scores(dor_arena *a, band *b)
{
  place *s = dor_arena_alloc(a, (size_t)b->n * sizeof *s);
  b->order = dor_arena_alloc(a, (size_t)b->n * sizeof *b->order);
  b->weight = dor_arena_alloc(a, (size_t)b->n * sizeof *b->weight);
  b->height = dor_arena_alloc(a, (size_t)b->points * (size_t)b->replicates * sizeof *b->height);
  DOR_NEED(s && b->order && b->weight && b->height, NOMEM, "ROC band of %d scores", b->n);
  for (int32_t i = 0; i < b->n; i++) s[i] = (place){b->score[i], i};
  qsort(s, (size_t)b->n, sizeof *s, descending);
  for (int32_t i = 0; i < b->n; i++) b->order[i] = s[i].at;
  return DOR_OK;
}

static dor_status replicate(dor_arena *a, band *b, const int32_t *cluster, uint64_t seed, double level, double *lo, double *hi)
{
  int32_t *stratum = dor_arena_alloc(a, (size_t)b->n * sizeof *stratum), positive = 0;
  DOR_NEED(stratum, NOMEM, "ROC band of %d scores", b->n);
  for (int32_t i = 0; i < b->n; i++) positive += stratum[i] = b->truth[i] != 0;
  DOR_NEED(positive && positive < b->n && b->points > 1 && b->replicates > 0, RANGE, "ROC band: %d positive of %d", positive, b->n);
  DOR_TRY(sort_scores(a, b));
  DOR_TRY(dor_resample(b->n, cluster, stratum, b->replicates, seed, each, b));
  int32_t tail = (int32_t)(0.5 * (1 - level) * b->replicates);
  for (int32_t i = 0; i < b->points; i++) {
    double *h = b->height + i * b->replicates;
    qsort(h, (size_t)b->replicates, sizeof *h, ascending);
    lo[i] = h[tail], hi[i] = h[b->replicates - 1 - tail];
  }
  return DOR_OK;
}

dor_status dor_roc_band(int32_t n, const double *score, const uint8_t *truth, const int32_t *cluster, int32_t replicates, uint64_t seed, double level,
                        int32_t points, double *lo, double *hi)
{
  dor_arena a = {0};
  band b = {.n = n, .points = points, .replicates = replicates, .score = score, .truth = truth};
  dor_status s = replicate(&a, &b, cluster, seed, level, lo, hi);
  dor_arena_release(&a);
  return s;
}
