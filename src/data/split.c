/* SPDX-License-Identifier: Apache-2.0
 *
 * Folds. Every scheme works on clusters (people, or groups of people), which are
 * numbered in order of first appearance; ids are never looked at, so that two
 * people who import the same rows under other ids get the same folds. */
#include "data/split.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/log.h"
#include "base/rng.h"

const dor_key dor_split_keys[] = {
#define KEYS_OF dor_split_cfg
#include "base/keys_rows.h"
#include "data/split.def"
#include "base/keys_end.h"
  {0}};

/* Things gathered into clusters, and labels counted per cluster. */
typedef struct clusters {
  int32_t n, k;                 /* clusters; classes (1 where labels are numbers) */
  int32_t *of;                  /* [things] cluster of a thing */
  int32_t *size, *first;        /* [n] things; the thing that came first */
  int32_t *count;               /* [n,k] */
  int32_t *total;               /* [k] */
} clusters;

static int32_t largest(const int32_t *v, int32_t n)
{
  int32_t m = -1;
  for (int32_t i = 0; i < n; i++)
    if (v[i] > m) m = v[i];
  return m;
}

static int32_t class_of(const dor_units *u, int32_t i) { return u->label[i] < 0 ? 0 : u->label[i]; }

/* rows: the things taken (NULL: all n). */
static dor_status gather(dor_arena *a, const dor_units *u, const int32_t *rows, int32_t n, clusters *c)
{
  int32_t names = largest(u->cluster, u->n) + 1;
  int32_t *seen = dor_arena_alloc(a, (size_t)names * sizeof *seen); /* cluster's name -> number from 1 */
  c->k = u->n_classes > 0 ? u->n_classes : 1;
  c->of = dor_arena_alloc(a, (size_t)n * sizeof *c->of);
  c->size = dor_arena_alloc(a, (size_t)n * sizeof *c->size);
  c->first = dor_arena_alloc(a, (size_t)n * sizeof *c->first);
  c->count = dor_arena_alloc(a, (size_t)n * (size_t)c->k * sizeof *c->count);
  c->total = dor_arena_alloc(a, (size_t)c->k * sizeof *c->total);
  DOR_NEED(seen && c->of && c->size && c->first && c->count && c->total, NOMEM, "clusters of %d things", n);
  for (int32_t i = 0; i < n; i++) {
    int32_t t = rows ? rows[i] : i, *number = &seen[u->cluster[t]];
    if (!*number) *number = ++c->n, c->first[c->n - 1] = t;
    c->of[i] = *number - 1;
    c->size[*number - 1]++;
    c->count[(*number - 1) * c->k + class_of(u, t)]++;
    c->total[class_of(u, t)]++;
  }
  return DOR_OK;
}

static double spread(const int32_t *v, int32_t n, int32_t step) /* population sd, as numpy's */
{
  double mean = 0, ss = 0;
  for (int32_t i = 0; i < n; i++) mean += v[i * step];
  mean /= n;
  for (int32_t i = 0; i < n; i++) ss += (v[i * step] - mean) * (v[i * step] - mean);
  return sqrt(ss / n);
}

/* Clusters shuffled, then by falling spread of their class counts (stable): the hard ones are placed first. */
static dor_status order_of(dor_arena *a, const clusters *c, dor_rng *rng, int32_t **out)
{
  int32_t *order = dor_arena_alloc(a, (size_t)c->n * sizeof *order), *sorted = dor_arena_alloc(a, (size_t)c->n * sizeof *sorted);
  double *sd = dor_arena_alloc(a, (size_t)c->n * sizeof *sd);
  DOR_NEED(order && sorted && sd, NOMEM, "order of %d clusters", c->n);
  for (int32_t i = 0; i < c->n; i++) order[i] = i, sd[i] = c->k > 1 ? spread(&c->count[i * c->k], c->k, 1) : c->size[i];
  dor_rng_shuffle(rng, order, c->n);
  for (int32_t width = 1; width < c->n; width *= 2) { /* merge sort: stable, no recursion */
    for (int32_t lo = 0; lo < c->n; lo += 2 * width) {
      int32_t mid = lo + width < c->n ? lo + width : c->n, hi = lo + 2 * width < c->n ? lo + 2 * width : c->n;
      for (int32_t k = lo, i = lo, j = mid; k < hi; k++) sorted[k] = i < mid && (j >= hi || sd[order[i]] >= sd[order[j]]) ? order[i++] : order[j++];
    }
    int32_t *swap = order;
    order = sorted, sorted = swap;
  }
  *out = order;
  return DOR_OK;
}

/* How uneven the folds are: mean over classes of the sd over folds of the class's shares (scikit-learn's StratifiedGroupKFold). */
static double unevenness(const clusters *c, const int32_t *fold_count, int32_t folds)
{
  double sum = 0;
  for (int32_t k = 0; k < c->k; k++)
    if (c->total[k]) sum += spread(fold_count + k, folds, c->k) / c->total[k];
  return sum / c->k;
}

static int32_t best_fold(const clusters *c, int32_t cluster, int32_t *fold_count, const int32_t *fold_size, int32_t folds)
{
  double least = INFINITY;
  int32_t best = 0;
  for (int32_t f = 0; f < folds; f++) {
    for (int32_t k = 0; k < c->k; k++) fold_count[f * c->k + k] += c->count[cluster * c->k + k];
    double u = unevenness(c, fold_count, folds);
    for (int32_t k = 0; k < c->k; k++) fold_count[f * c->k + k] -= c->count[cluster * c->k + k];
    bool equal = fabs(u - least) <= 1e-12;
    if ((!equal && u < least) || (equal && fold_size[f] < fold_size[best])) least = u, best = f;
  }
  return best;
}

/* fold [clusters] */
static dor_status greedy(dor_arena *a, const clusters *c, int32_t folds, dor_rng *rng, int32_t *fold)
{
  int32_t *order = NULL, *fold_count = dor_arena_alloc(a, (size_t)folds * (size_t)c->k * sizeof *fold_count);
  int32_t *fold_size = dor_arena_alloc(a, (size_t)folds * sizeof *fold_size);
  DOR_NEED(fold_count && fold_size, NOMEM, "%d folds", folds);
  DOR_TRY(order_of(a, c, rng, &order));
  for (int32_t i = 0; i < c->n; i++) {
    int32_t g = order[i], f = best_fold(c, g, fold_count, fold_size, folds);
    fold[g] = f;
    fold_size[f] += c->size[g];
    for (int32_t k = 0; k < c->k; k++) fold_count[f * c->k + k] += c->count[g * c->k + k];
  }
  return DOR_OK;
}

static void warn_small_classes(const clusters *c, const dor_units *u, int32_t folds)
{
  char shown[64];
  for (int32_t k = 0; k < c->k && u->n_classes; k++) {
    int32_t in = 0;
    for (int32_t g = 0; g < c->n; g++) in += c->count[g * c->k + k] > 0;
    if (in >= folds) continue;
    if (u->class_name) dor_printable(u->class_name[k], shown, sizeof shown);
    else snprintf(shown, sizeof shown, "%d", k);
    dor_warn("class '%s' is in %d people or groups, fewer than %d folds: some folds test none of it", shown, in, folds);
  }
}

static void spread_out(const clusters *c, const int32_t *of_cluster, int32_t n, int32_t *fold)
{
  for (int32_t i = 0; i < n; i++) fold[i] = of_cluster[c->of[i]];
}

static dor_status kfold(dor_arena *a, const dor_split_cfg *s, const dor_units *u, const clusters *c, dor_split *out, int32_t *fold)
{
  DOR_NEED(c->n >= s->folds, CONFIG, "split.folds: %lld folds of %d people or groups", (long long)s->folds, c->n);
  warn_small_classes(c, u, (int32_t)s->folds);
  int32_t *of = dor_arena_alloc(a, (size_t)c->n * sizeof *of);
  DOR_NEED(of, NOMEM, "%d clusters", c->n);
  out->folds = (int32_t)s->folds;
  for (int32_t r = 0; r < out->repeats; r++) {
    dor_rng rng = dor_rng_stream((uint64_t)s->seed, dor_hash_name("split"), (uint64_t)r);
    DOR_TRY(greedy(a, c, out->folds, &rng, of));
    spread_out(c, of, u->n, fold + (size_t)r * (size_t)u->n);
  }
  return DOR_OK;
}

static dor_status loso(const dor_units *u, const clusters *c, dor_split *out, int32_t *fold)
{
  DOR_NEED(c->n >= 2, CONFIG, "split.scheme = \"loso\": there is %d person or group", c->n);
  out->folds = c->n;
  memcpy(fold, c->of, (size_t)u->n * sizeof *fold);
  return DOR_OK;
}

static dor_status losite(dor_arena *a, const dor_units *u, const clusters *c, dor_split *out, int32_t *fold)
{
  DOR_NEED(u->site, CONFIG, "split.scheme = \"losite\": the dataset has no sites");
  int32_t names = largest(u->site, u->n) + 1, *number = dor_arena_alloc(a, (size_t)(names + 1) * sizeof *number);
  DOR_NEED(number, NOMEM, "%d sites", names);
  for (int32_t i = 0; i < u->n; i++) {
    DOR_NEED(u->site[i] >= 0, DATA, "row %d has no site", u->row[i] + 1);
    DOR_NEED(u->site[i] == u->site[c->first[c->of[i]]], LEAK, "row %d: one person or group at two sites", u->row[i] + 1);
    if (!number[u->site[i]]) number[u->site[i]] = ++out->folds;
    fold[i] = number[u->site[i]] - 1;
  }
  DOR_NEED(out->folds >= 2, CONFIG, "split.scheme = \"losite\": there is %d site", out->folds);
  return DOR_OK;
}

/* Is the thing at `place` (0 .. n-1 in file order) in the test part? */
static dor_status test_range(const char *test, int32_t n, int32_t *lo, int32_t *hi)
{
  bool first = !strncmp(test, "first:", 6), last = !strncmp(test, "last:", 5);
  int64_t count = 0;
  DOR_NEED(first || last, CONFIG, "split.test: '%s' is neither first:N, last:N nor a column of the data", test);
  dor_status s = dor_parse_int(test + (first ? 6 : 5), &count);
  DOR_NEED(!s && count > 0 && count < n, CONFIG, "split.test: '%s': of %d, from 1 to %d can be tested", test, n, n - 1);
  *lo = first ? 0 : n - (int32_t)count;
  *hi = first ? (int32_t)count : n;
  return DOR_OK;
}

/* [n] how many things stand before each in the file */
static dor_status places(dor_arena *a, const dor_units *u, int32_t **out)
{
  int32_t rows = largest(u->row, u->n) + 1;
  int32_t *before = dor_arena_alloc(a, (size_t)(rows + 1) * sizeof *before), *place = dor_arena_alloc(a, (size_t)u->n * sizeof *place);
  DOR_NEED(before && place, NOMEM, "%d rows", rows);
  for (int32_t i = 0; i < u->n; i++) before[u->row[i] + 1]++;
  for (int32_t r = 0; r < rows; r++) before[r + 1] += before[r];
  for (int32_t i = 0; i < u->n; i++) place[i] = before[u->row[i]]++;
  *out = place;
  return DOR_OK;
}

static dor_status holdout(dor_arena *a, const dor_split_cfg *s, const dor_units *u, const clusters *c, dor_split *out, int32_t *fold)
{
  int32_t lo = 0, hi = 0, *place, tested = 0;
  DOR_NEED(s->test[0], CONFIG, "split.scheme = \"holdout\" needs split.test = \"last:N\", \"first:N\" or a column");
  DOR_TRY(places(a, u, &place));
  if (!u->test) DOR_TRY(test_range(s->test, u->n, &lo, &hi));
  for (int32_t i = 0; i < u->n; i++) fold[i] = (u->test ? u->test[i] == 1 : place[i] >= lo && place[i] < hi) ? 0 : -1;
  for (int32_t i = 0; i < u->n; i++) {
    tested += fold[i] == 0;
    DOR_NEED(fold[i] == fold[c->first[c->of[i]]], LEAK, "split.test = \"%s\" cuts through a person or group (row %d)", s->test, u->row[i] + 1);
  }
  DOR_NEED(tested > 0 && tested < u->n, CONFIG, "split.test = \"%s\": %d of %d would be tested", s->test, tested, u->n);
  out->folds = 1;
  return DOR_OK;
}

/* A cluster's rank among those whose first thing has the same label, in file order, mod folds. */
static dor_status rank(dor_arena *a, const dor_split_cfg *s, const dor_units *u, const clusters *c, dor_split *out, int32_t *fold)
{
  int32_t *next = dor_arena_alloc(a, (size_t)c->k * sizeof *next), *of = dor_arena_alloc(a, (size_t)c->n * sizeof *of), *at, *place;
  DOR_NEED(next && of, NOMEM, "%d clusters", c->n);
  DOR_NEED(c->n >= s->folds, CONFIG, "split.folds: %lld folds of %d people or groups", (long long)s->folds, c->n);
  DOR_TRY(places(a, u, &place));
  at = dor_arena_alloc(a, (size_t)u->n * sizeof *at); /* place -> thing */
  DOR_NEED(at, NOMEM, "%d things", u->n);
  for (int32_t i = 0; i < u->n; i++) at[place[i]] = i;
  for (int32_t g = 0; g < c->n; g++) of[g] = -1;
  for (int32_t p = 0; p < u->n; p++) {
    int32_t g = c->of[at[p]];
    if (of[g] < 0) of[g] = (int32_t)(next[class_of(u, at[p])]++ % s->folds);
  }
  spread_out(c, of, u->n, fold);
  out->folds = (int32_t)s->folds;
  return DOR_OK;
}

dor_status dor_split_make(dor_arena *a, const dor_split_cfg *c, const dor_units *u, dor_split *out)
{
  static const char *const scheme[] = {"kfold", "loso", "losite", "holdout", "rank"};
  clusters g = {0};
  DOR_NEED(u->n > 0, DATA, "nobody to split");
  DOR_NEED(!c->test[0] || c->scheme == DOR_SPLIT_HOLDOUT, CONFIG, "split.test = \"%s\" is for scheme = \"holdout\" alone, and the scheme is \"%s\"", c->test,
           scheme[c->scheme]);
  DOR_NEED(c->repeats == 1 || c->scheme == DOR_SPLIT_KFOLD, CONFIG, "split.repeats: only kfold can be repeated, the other schemes give the same folds again");
  DOR_TRY(gather(a, u, NULL, u->n, &g));
  *out = (dor_split){.repeats = (int32_t)c->repeats, .n = u->n};
  int32_t *fold = dor_arena_alloc(a, (size_t)out->repeats * (size_t)u->n * sizeof *fold);
  DOR_NEED(fold, NOMEM, "folds of %d things", u->n);
  out->fold = fold;
  switch (c->scheme) {
    case DOR_SPLIT_LOSO: return loso(u, &g, out, fold);
    case DOR_SPLIT_LOSITE: return losite(a, u, &g, out, fold);
    case DOR_SPLIT_HOLDOUT: return holdout(a, c, u, &g, out, fold);
    case DOR_SPLIT_RANK: return rank(a, c, u, &g, out, fold);
    default: return kfold(a, c, u, &g, out, fold);
  }
}

dor_status dor_split_inner(dor_arena *a, const dor_units *u, const int32_t *rows, int32_t n, int32_t k, uint64_t seed, bool *out)
{
  clusters c = {0};
  DOR_NEED(n > 0, DATA, "nobody to hold out");
  DOR_TRY(gather(a, u, rows, n, &c));
  DOR_NEED(c.n >= 2, CONFIG, "train.stop = \"inner\": the training part is %d person or group, nobody can be held out", c.n);
  int32_t *of = dor_arena_alloc(a, (size_t)c.n * sizeof *of);
  DOR_NEED(of, NOMEM, "%d clusters", c.n);
  dor_rng rng = dor_rng_stream(seed, dor_hash_name("inner"), 0);
  DOR_TRY(greedy(a, &c, k < c.n ? k : c.n, &rng, of));
  for (int32_t i = 0; i < n; i++) out[i] = of[c.of[i]] == 0;
  return DOR_OK;
}

/* ---- the balance table ---- */

/* The things that a fold tests, and the people or groups they make. */
static int32_t count_tested(const dor_split *s, const dor_units *u, int32_t repeat, int32_t f, int32_t *clusters_in)
{
  const int32_t *fold = s->fold + (size_t)repeat * (size_t)s->n;
  int32_t tested = 0;
  *clusters_in = 0;
  for (int32_t i = 0; i < s->n; i++) {
    if (fold[i] != f) continue;
    bool seen = false;
    for (int32_t j = 0; j < i && !seen; j++) seen = fold[j] == f && u->cluster[j] == u->cluster[i];
    tested++, *clusters_in += !seen;
  }
  return tested;
}

static int32_t count_class(const dor_split *s, const dor_units *u, int32_t repeat, int32_t f, int32_t k)
{
  const int32_t *fold = s->fold + (size_t)repeat * (size_t)s->n;
  int32_t n = 0;
  for (int32_t i = 0; i < s->n; i++) n += fold[i] == f && u->label[i] == k;
  return n;
}

void dor_split_table(const dor_split *s, const dor_units *u, const char *const *names, dor_str *out)
{
  dor_str_add(out, "repeat fold  tested  people/groups");
  for (int32_t k = 0; k < u->n_classes; k++) {
    if (names) dor_str_fmt(out, "  %10.24s", names[k]);
    else dor_str_fmt(out, "    class %2d", k);
  }
  dor_str_add(out, "\n");
  for (int32_t r = 0; r < s->repeats; r++)
    for (int32_t f = 0; f < s->folds; f++) {
      int32_t clusters_in, tested = count_tested(s, u, r, f, &clusters_in);
      dor_str_fmt(out, "%6d %4d  %6d  %13d", r + 1, f + 1, tested, clusters_in);
      for (int32_t k = 0; k < u->n_classes; k++) dor_str_fmt(out, "  %10d", count_class(s, u, r, f, k));
      dor_str_add(out, "\n");
    }
}

static json_t *fold_json(const dor_split *s, const dor_units *u, const char *const *names, int32_t r, int32_t f)
{
  char number[16];
  int32_t clusters_in, tested = count_tested(s, u, r, f, &clusters_in);
  json_t *classes = json_object();
  for (int32_t k = 0; k < u->n_classes; k++) {
    snprintf(number, sizeof number, "%d", k);
    json_object_set_new(classes, names ? names[k] : number, json_integer(count_class(s, u, r, f, k)));
  }
  return json_pack("{s:i, s:i, s:i, s:i, s:o}", "repeat", r + 1, "fold", f + 1, "tested", tested, "clusters", clusters_in, "classes", classes);
}

void dor_split_json(const dor_split *s, const dor_units *u, const char *const *names, dor_str *out)
{
  json_t *rows = json_array();
  for (int32_t r = 0; r < s->repeats; r++)
    for (int32_t f = 0; f < s->folds; f++) json_array_append_new(rows, fold_json(s, u, names, r, f));
  json_t *root = json_pack("{s:i, s:i, s:i, s:o}", "repeats", s->repeats, "folds", s->folds, "n", s->n, "balance", rows);
  char *text = root ? json_dumps(root, JSON_INDENT(1) | JSON_PRESERVE_ORDER) : NULL;
  if (text) dor_str_fmt(out, "%s\n", text);
  else out->failed = true;
  free(text);
  json_decref(root);
}
