/* SPDX-License-Identifier: Apache-2.0
 *
 * The bootstrap over clusters, stratified by class: BCa intervals and paired
 * differences. Replicate r draws from its own random stream, so the same data
 * and seed give the same bits anywhere. */
#include "eval/eval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

typedef struct plan { /* clusters lie stratum by stratum, the things of a cluster side by side */
  int32_t n, n_clusters, n_strata;
  int32_t *first;   /* [n_clusters + 1] into member */
  int32_t *member;  /* [n] */
  int32_t *stratum; /* [n_strata + 1] into the clusters */
  bool whole;       /* every cluster is one thing */
} plan;

/* Stable counting sort of 0..n-1 by key; start[k]: where key k begins. */
static void sort_by(int32_t n, const int32_t *key, int32_t n_keys, int32_t *start, int32_t *order)
{
  memset(start, 0, ((size_t)n_keys + 1) * sizeof *start);
  for (int32_t i = 0; i < n; i++) start[key[i] + 1]++;
  for (int32_t k = 0; k < n_keys; k++) start[k + 1] += start[k];
  for (int32_t i = 0; i < n; i++) order[start[key[i]]++] = i;
  memmove(start + 1, start, (size_t)n_keys * sizeof *start);
  start[0] = 0;
}

enum { MOST_STRATA = 1 << 20 };

static dor_status check_keys(int32_t n, const int32_t *key, int32_t most, const char *what)
{
  for (int32_t i = 0; key && i < n; i++)
    DOR_NEED(key[i] >= 0 && key[i] < most, RANGE, "bootstrap: %s %d of thing %d is not in [0, %d)", what, key[i], i, most);
  return DOR_OK;
}

/* Strata are classes: of two things, one may be of class 2. */
static int32_t keys_of(int32_t n, const int32_t *stratum)
{
  int32_t keys = n;
  for (int32_t i = 0; stratum && i < n; i++) keys = stratum[i] < keys ? keys : stratum[i] + 1;
  return keys;
}

static dor_status lay_out(dor_arena *a, int32_t n, const int32_t *cluster, const int32_t *stratum, plan *p)
{
  int32_t keys = keys_of(n, stratum);
  size_t bytes = ((size_t)n + 1) * sizeof(int32_t);
  int32_t *own = dor_arena_alloc(a, ((size_t)keys + 1) * sizeof *own), *start = dor_arena_alloc(a, bytes), *order = dor_arena_alloc(a, bytes);
  int32_t *class_of = dor_arena_alloc(a, bytes), *rank = dor_arena_alloc(a, bytes), *used = dor_arena_alloc(a, bytes);
  p->first = dor_arena_alloc(a, bytes), p->member = dor_arena_alloc(a, bytes), p->stratum = dor_arena_alloc(a, bytes);
  DOR_NEED(own && start && order && class_of && rank && used && p->first && p->member && p->stratum, NOMEM, "bootstrap of %d things", n);
  for (int32_t i = 0; i < n; i++) own[i] = cluster ? cluster[i] : i;
  sort_by(n, own, n, start, order);
  for (int32_t c = 0; c < n; c++)
    if (start[c + 1] > start[c]) used[p->n_clusters] = c, class_of[p->n_clusters++] = stratum ? stratum[order[start[c]]] : 0;
  sort_by(p->n_clusters, class_of, keys, own, rank); /* own: where each stratum begins, empty ones included */
  for (int32_t s = 0; s < keys; s++)
    if (own[s + 1] > own[s]) p->stratum[p->n_strata++] = own[s];
  p->stratum[p->n_strata] = p->n_clusters;
  for (int32_t c = 0, at = 0; c < p->n_clusters; c++) {
    int32_t from = start[used[rank[c]]], to = start[used[rank[c]] + 1];
    memcpy(p->member + at, order + from, (size_t)(to - from) * sizeof *order);
    at += to - from, p->first[c + 1] = at;
  }
  p->n = n, p->whole = p->n_clusters == n;
  return DOR_OK;
}

typedef struct sample {
  int32_t *index, n, cap;
} sample;

static dor_status take(sample *s, const plan *p, int32_t cluster)
{
  int32_t count = p->first[cluster + 1] - p->first[cluster];
  if (s->n > s->cap - count) {
    DOR_NEED(s->cap <= INT32_MAX / 2 - count, NOMEM, "bootstrap: a replicate of over %d things", s->cap);
    int32_t cap = 2 * s->cap + count, *grown = dor_realloc(s->index, (size_t)cap * sizeof *grown);
    DOR_NEED(grown, NOMEM, "bootstrap: a replicate of %d things", cap);
    s->index = grown, s->cap = cap;
  }
  memcpy(s->index + s->n, p->member + p->first[cluster], (size_t)count * sizeof *s->index);
  s->n += count;
  return DOR_OK;
}

static dor_status draw(const plan *p, uint64_t seed, uint64_t replicate, sample *s)
{
  dor_rng r = dor_rng_stream(seed, dor_hash_name("bootstrap"), replicate);
  s->n = 0;
  for (int32_t k = 0; k < p->n_strata; k++) {
    int32_t from = p->stratum[k], size = p->stratum[k + 1] - from;
    for (int32_t i = 0; i < size; i++) DOR_TRY(take(s, p, from + (int32_t)dor_rng_below(&r, (uint32_t)size)));
  }
  return DOR_OK;
}

/* The replicates that are defined, ascending, and the leave-one-cluster-out values. */
typedef struct result {
  double estimate, *replicate, *left_out;
  int32_t n_defined, n_left_out;
} result;

static int ascending(const void *a, const void *b)
{
  const double *x = a, *y = b;
  return (*x > *y) - (*x < *y);
}

static dor_status replicate(const void *data, dor_statistic *f, const plan *p, int32_t replicates, uint64_t seed, sample *s, result *r)
{
  r->estimate = f(data, p->member, p->n);
  if (isnan(r->estimate)) return DOR_OK;
  for (int32_t b = 0; b < replicates; b++) {
    DOR_TRY(draw(p, seed, (uint64_t)b, s));
    double value = f(data, s->index, s->n);
    if (!isnan(value)) r->replicate[r->n_defined++] = value;
  }
  qsort(r->replicate, (size_t)r->n_defined, sizeof *r->replicate, ascending);
  for (int32_t out = 0; p->n_clusters > 1 && out < p->n_clusters; out++) {
    s->n = 0;
    for (int32_t c = 0; c < p->n_clusters; c++)
      if (c != out) DOR_TRY(take(s, p, c));
    r->left_out[r->n_left_out++] = f(data, s->index, s->n);
  }
  return DOR_OK;
}

static double acceleration(const result *r)
{
  double mean = 0, square = 0, cube = 0;
  for (int32_t i = 0; i < r->n_left_out; i++) mean += r->left_out[i] / r->n_left_out;
  for (int32_t i = 0; i < r->n_left_out; i++) {
    double d = mean - r->left_out[i];
    square += d * d, cube += d * d * d;
  }
  return square > 0 ? cube / (6 * square * sqrt(square)) : NAN;
}

static double quantile(const result *r, double p)
{
  double at = p * (r->n_defined + 1) - 1;
  if (at <= 0) return r->replicate[0];
  if (at >= r->n_defined - 1) return r->replicate[r->n_defined - 1];
  int32_t i = (int32_t)at;
  return r->replicate[i] + (at - i) * (r->replicate[i + 1] - r->replicate[i]);
}

static dor_interval percentile(const result *r, double level, const char *method)
{
  return (dor_interval){quantile(r, 0.5 - 0.5 * level), quantile(r, 0.5 + 0.5 * level), method};
}

/* Ties with the estimate count half: figures made of counts repeat their value in many replicates. source: Efron 1987 */
static dor_interval interval(const result *r, int32_t replicates, double level, bool whole)
{
  if (isnan(r->estimate) || !r->n_defined) return (dor_interval){NAN, NAN, ""};
  if (r->replicate[0] == r->replicate[r->n_defined - 1]) return (dor_interval){NAN, NAN, "none, all replicates equal"};
  double below = 0;
  for (int32_t i = 0; i < r->n_defined; i++) below += r->replicate[i] < r->estimate ? 1 : r->replicate[i] == r->estimate ? 0.5 : 0;
  double z0 = dor_normal_quantile(below / r->n_defined), a = acceleration(r), z = dor_normal_quantile(0.5 + 0.5 * level);
  double low = 1 - a * (z0 - z), high = 1 - a * (z0 + z);
  if (r->n_defined < replicates || !isfinite(z0) || !(low > 0) || !(high > 0))
    return percentile(r, level, whole ? "percentile bootstrap" : "percentile bootstrap over clusters");
  return (dor_interval){quantile(r, dor_normal_cdf(z0 + (z0 - z) / low)), quantile(r, dor_normal_cdf(z0 + (z0 + z) / high)),
                        whole ? "BCa bootstrap" : "BCa bootstrap over clusters"};
}

static dor_status bootstrap(dor_arena *a, const void *data, dor_statistic *f, int32_t n, const int32_t *cluster, const int32_t *stratum,
                            int32_t replicates, uint64_t seed, plan *p, result *r)
{
  DOR_NEED(n > 0 && replicates > 0, RANGE, "bootstrap: %d things, %d replicates", n, replicates);
  DOR_TRY(check_keys(n, cluster, n, "cluster"));
  DOR_TRY(check_keys(n, stratum, MOST_STRATA, "stratum"));
  DOR_TRY(lay_out(a, n, cluster, stratum, p));
  r->replicate = dor_arena_alloc(a, (size_t)replicates * sizeof(double));
  r->left_out = dor_arena_alloc(a, (size_t)p->n_clusters * sizeof(double));
  DOR_NEED(r->replicate && r->left_out, NOMEM, "bootstrap of %d replicates", replicates);
  sample s = {0};
  dor_status status = replicate(data, f, p, replicates, seed, &s, r);
  dor_free(s.index);
  return status;
}

dor_status dor_bca(const void *data, dor_statistic *f, int32_t n, const int32_t *cluster, const int32_t *stratum, int32_t replicates, uint64_t seed,
                   double level, dor_interval *out)
{
  dor_arena a = {0};
  plan p = {0};
  result r = {0};
  dor_status s = bootstrap(&a, data, f, n, cluster, stratum, replicates, seed, &p, &r);
  if (!s) *out = interval(&r, replicates, level, p.whole);
  dor_arena_release(&a);
  return s;
}

typedef struct pair {
  const void *a, *b;
  dor_statistic *f;
} pair;

static double difference(const void *data, const int32_t *index, int32_t m)
{
  const pair *p = data;
  return p->f(p->a, index, m) - p->f(p->b, index, m);
}

/* Twice the smaller tail at no difference, the observed sample counted in. */
static double two_sided(const result *r)
{
  int32_t below = 1, above = 1;
  for (int32_t i = 0; i < r->n_defined; i++) below += r->replicate[i] <= 0, above += r->replicate[i] >= 0;
  return r->n_defined ? fmin(1, 2.0 * (below < above ? below : above) / (r->n_defined + 1)) : NAN;
}

dor_status dor_bootstrap_difference(const void *a, const void *b, dor_statistic *f, int32_t n, const int32_t *cluster, const int32_t *stratum,
                                    int32_t replicates, uint64_t seed, double level, dor_paired_bootstrap *out)
{
  dor_arena arena = {0};
  plan p = {0};
  result r = {0};
  pair both = {a, b, f};
  dor_status s = bootstrap(&arena, &both, difference, n, cluster, stratum, replicates, seed, &p, &r);
  if (!s) *out = (dor_paired_bootstrap){r.estimate, two_sided(&r), interval(&r, replicates, level, p.whole)};
  dor_arena_release(&arena);
  return s;
}

dor_status dor_resample(int32_t n, const int32_t *cluster, const int32_t *stratum, int32_t replicates, uint64_t seed, dor_resampled *each, void *to)
{
  dor_arena a = {0};
  plan p = {0};
  sample s = {0};
  dor_status status = check_keys(n, cluster, n, "cluster");
  if (!status) status = check_keys(n, stratum, MOST_STRATA, "stratum");
  if (!status) status = lay_out(&a, n, cluster, stratum, &p);
  for (int32_t b = 0; !status && b < replicates; b++) {
    status = draw(&p, seed, (uint64_t)b, &s);
    if (!status) each(to, b, s.index, s.n);
  }
  dor_free(s.index);
  dor_arena_release(&a);
  return status;
}
