/* SPDX-License-Identifier: Apache-2.0
 *
 * COCO's keypoint evaluation. Where pycocotools' result depends on the order of
 * things (matching, sorting equal scores, summing), that order is kept. */
#include "eval/keypoint.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

const dor_kp_figure dor_kp_coco[DOR_KP_COCO] = {
    {"AP", DOR_KP_ALL, -1, false, NULL},     {"AP50", DOR_KP_ALL, 0, false, NULL},    {"AP75", DOR_KP_ALL, 5, false, NULL},
    {"AP-M", DOR_KP_MEDIUM, -1, false, NULL}, {"AP-L", DOR_KP_LARGE, -1, false, NULL}, {"AR", DOR_KP_ALL, -1, true, NULL},
    {"AR50", DOR_KP_ALL, 0, true, NULL},     {"AR75", DOR_KP_ALL, 5, true, NULL},     {"AR-M", DOR_KP_MEDIUM, -1, true, NULL},
    {"AR-L", DOR_KP_LARGE, -1, true, NULL}};

static const double area_lo[DOR_KP_AREAS] = {0, 32 * 32, 96 * 96}, area_hi[DOR_KP_AREAS] = {1e10, 96 * 96, 1e10};

/* numpy's linspace: the last value is the end itself */
static double threshold_of(int32_t t) { return t == DOR_OKS_THRESHOLDS - 1 ? .95 : t * ((.95 - .5) / (DOR_OKS_THRESHOLDS - 1)) + .5; }
static double recall_of(int32_t r) { return r == DOR_OKS_RECALLS - 1 ? 1 : r * (1. / (DOR_OKS_RECALLS - 1)); }

/* ---- similarity ---- */

/* numpy's order of adding */
static double pairwise(const double *v, int32_t n)
{
  double sum = 0, r[8];
  int32_t i = 0;
  if (n >= 8) {
    memcpy(r, v, sizeof r);
    for (i = 8; i + 8 <= n; i += 8)
      for (int32_t j = 0; j < 8; j++) r[j] += v[i + j];
    sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
  }
  for (; i < n; i++) sum += v[i];
  return sum;
}

static double outside(double x, double lo, double hi) { return fmax(0, lo - x) + fmax(0, x - hi); }

double dor_oks(int32_t k, const double *sigma, const double *truth, const double *box, double area, const double *found)
{
  double part[256];
  int32_t n = 0, labelled = 0;
  for (int32_t j = 0; j < k; j++) labelled += truth[3 * j + 2] > 0;
  for (int32_t j = 0; j < k; j++) {
    const double *t = truth + 3 * j, *d = found + 3 * j;
    if (labelled && !(t[2] > 0)) continue;
    double dx = labelled ? d[0] - t[0] : outside(d[0], box[0] - box[2], box[0] + 2 * box[2]);
    double dy = labelled ? d[1] - t[1] : outside(d[1], box[1] - box[3], box[1] + 2 * box[3]);
    double width = 2 * sigma[j];
    part[n++] = exp(-((dx * dx + dy * dy) / (width * width) / (area + DBL_EPSILON) / 2));
  }
  return n ? pairwise(part, n) / n : 0;
}

/* ---- matching ---- */

typedef struct image { /* of one image, while it is matched */
  int32_t n_truth, n_found;
  const int32_t *truth, *found; /* people in file order; detections, best first */
  const double *oks;           /* [n_found,n_truth] */
} image;

typedef struct work {
  const dor_kp_truth *t;
  const dor_kp_found *d;
  int32_t *first_truth, *truth; /* [n_images + 1], [n]: people by image */
  int32_t *first_found, *found; /* detections by image, best first, then cut to 20 */
  double *area;                /* [d->n] of the box around a detection's joints */
  double *oks;
  int32_t *order;              /* people of an image, ignored ones last */
  uint8_t *ignored, *taken;
  uint16_t *hit[DOR_KP_AREAS], *skip[DOR_KP_AREAS]; /* [d->n] by detection */
} work;

static bool is_ignored(const work *w, int32_t person, dor_kp_area a)
{
  return w->t->crowd[person] || !w->t->labelled[person] || w->t->area[person] < area_lo[a] || w->t->area[person] > area_hi[a];
}

/* The best person still free for detection i at a threshold; among ignored ones only when no other is similar enough. -1: nobody */
static int32_t best_person(const work *w, const image *m, int32_t i, double threshold)
{
  double best = fmin(threshold, 1 - 1e-10);
  int32_t found = -1;
  for (int32_t o = 0; o < m->n_truth; o++) {
    int32_t j = w->order[o];
    if (w->taken[j] && !w->t->crowd[m->truth[j]]) continue;
    if (found >= 0 && !w->ignored[found] && w->ignored[j]) break;
    double oks = m->oks[i * m->n_truth + j];
    if (oks < best) continue;
    best = oks, found = j;
  }
  return found;
}

static void match_at(work *w, const image *m, dor_kp_area a, int32_t t)
{
  memset(w->taken, 0, (size_t)m->n_truth);
  for (int32_t i = 0; i < m->n_found; i++) {
    int32_t d = m->found[i], j = best_person(w, m, i, threshold_of(t));
    if (j >= 0) {
      w->taken[j] = 1;
      w->hit[a][d] |= (uint16_t)(1u << t);
      if (w->ignored[j]) w->skip[a][d] |= (uint16_t)(1u << t);
    } else if (w->area[d] < area_lo[a] || w->area[d] > area_hi[a]) {
      w->skip[a][d] |= (uint16_t)(1u << t);
    }
  }
}

static int32_t match_image(work *w, const image *m, dor_kp_area a) /* how many people count */
{
  int32_t n = 0, count;
  for (int32_t j = 0; j < m->n_truth; j++) w->ignored[j] = is_ignored(w, m->truth[j], a);
  for (int32_t j = 0; j < m->n_truth; j++)
    if (!w->ignored[j]) w->order[n++] = j;
  count = n;
  for (int32_t j = 0; j < m->n_truth; j++)
    if (w->ignored[j]) w->order[n++] = j;
  for (int32_t t = 0; t < DOR_OKS_THRESHOLDS; t++) match_at(w, m, a, t);
  return count;
}

static void similarities(work *w, const image *m)
{
  const dor_kp_truth *t = w->t;
  for (int32_t i = 0; i < m->n_found; i++)
    for (int32_t j = 0; j < m->n_truth; j++) {
      size_t person = (size_t)m->truth[j];
      w->oks[i * m->n_truth + j] = dor_oks(t->k, t->sigma, t->joint + 3 * person * (size_t)t->k, t->box + 4 * person, t->area[person],
                                           w->d->joint + 3 * (size_t)m->found[i] * (size_t)t->k);
    }
}

/* ---- order ---- */

typedef struct ranked { double score; int32_t image, at; } ranked; /* at: in the file; sorting by it keeps the order of equals */

static int by_score(const void *a, const void *b)
{
  const ranked *x = a, *y = b;
  if (x->score != y->score) return x->score < y->score ? 1 : -1;
  if (x->image != y->image) return x->image < y->image ? -1 : 1;
  return (x->at > y->at) - (x->at < y->at);
}

void dor_kp_by_image(int32_t n, const int32_t *image_of, int32_t n_images, int32_t *first, int32_t *list)
{
  memset(first, 0, ((size_t)n_images + 1) * sizeof *first);
  for (int32_t i = 0; i < n; i++) first[image_of[i] + 1]++;
  for (int32_t i = 0; i < n_images; i++) first[i + 1] += first[i];
  for (int32_t i = 0; i < n; i++) list[first[image_of[i]]++] = i;
  memmove(first + 1, first, (size_t)n_images * sizeof *first);
  first[0] = 0;
}

static ranked rank_of(const dor_kp_found *d, int32_t i) { return (ranked){d->score[i], d->image[i], i}; }

/* Each image's detections, best first, at most 20; returns how many in all. w->first_found then counts those kept. */
static int32_t cut(work *w, ranked *scratch)
{
  int32_t kept = 0, from = 0;
  for (int32_t i = 0; i < w->t->n_images; i++) {
    int32_t n = w->first_found[i + 1] - from;
    for (int32_t j = 0; j < n; j++) scratch[j] = rank_of(w->d, w->found[from + j]);
    qsort(scratch, (size_t)n, sizeof *scratch, by_score);
    from += n, w->first_found[i] = kept;
    for (int32_t j = 0; j < n && j < DOR_OKS_MOST; j++) w->found[kept++] = scratch[j].at;
  }
  w->first_found[w->t->n_images] = kept;
  return kept;
}

static double box_area(const dor_kp_found *d, int32_t k, int32_t i)
{
  const double *j = d->joint + 3 * (size_t)i * (size_t)k;
  double x0 = j[0], x1 = j[0], y0 = j[1], y1 = j[1];
  for (int32_t p = 1; p < k; p++) {
    x0 = fmin(x0, j[3 * p]), x1 = fmax(x1, j[3 * p]);
    y0 = fmin(y0, j[3 * p + 1]), y1 = fmax(y1, j[3 * p + 1]);
  }
  return (x1 - x0) * (y1 - y0);
}

dor_status dor_kp_check(const dor_kp_truth *t, const dor_kp_found *d)
{
  DOR_NEED(t->k >= 1 && t->k <= 256, RANGE, "%d keypoints; 1 to 256 are known", t->k);
  for (int32_t i = 0; i < t->n; i++)
    DOR_NEED(t->image[i] >= 0 && t->image[i] < t->n_images, RANGE, "person %d: no image %d", i, t->image[i]);
  for (int32_t i = 0; i < d->n; i++) {
    DOR_NEED(d->image[i] >= 0 && d->image[i] < t->n_images, RANGE, "detection %d: no image %d", i, d->image[i]);
    DOR_NEED(isfinite(d->score[i]), NUMERIC, "detection %d: its score is not finite", i);
    for (int32_t j = 0; j < t->k; j++) {
      const double *p = d->joint + 3 * ((size_t)i * (size_t)t->k + (size_t)j);
      DOR_NEED(isfinite(p[0]) && isfinite(p[1]), NUMERIC, "detection %d: joint %d is not finite", i, j);
    }
  }
  return DOR_OK;
}

static int32_t most_people(const work *w)
{
  int32_t most = 1;
  for (int32_t i = 0; i < w->t->n_images; i++)
    if (w->first_truth[i + 1] - w->first_truth[i] > most) most = w->first_truth[i + 1] - w->first_truth[i];
  return most;
}

static dor_status make(dor_arena *a, work *w)
{
  size_t images = (size_t)w->t->n_images + 1, people = (size_t)w->t->n + 1, found = (size_t)w->d->n + 1;
  w->first_truth = dor_arena_alloc(a, images * sizeof(int32_t)), w->truth = dor_arena_alloc(a, people * sizeof(int32_t));
  w->first_found = dor_arena_alloc(a, images * sizeof(int32_t)), w->found = dor_arena_alloc(a, found * sizeof(int32_t));
  w->area = dor_arena_alloc(a, found * sizeof(double));
  DOR_NEED(w->first_truth && w->truth && w->first_found && w->found && w->area, NOMEM, "matching of %d detections", w->d->n);
  dor_kp_by_image(w->t->n, w->t->image, w->t->n_images, w->first_truth, w->truth);
  dor_kp_by_image(w->d->n, w->d->image, w->t->n_images, w->first_found, w->found);
  size_t most = (size_t)most_people(w);
  w->oks = dor_arena_alloc(a, DOR_OKS_MOST * most * sizeof(double));
  w->order = dor_arena_alloc(a, most * sizeof(int32_t));
  w->ignored = dor_arena_alloc(a, most), w->taken = dor_arena_alloc(a, most);
  DOR_NEED(w->oks && w->order && w->ignored && w->taken, NOMEM, "matching of %zu people in an image", most);
  for (int32_t r = 0; r < DOR_KP_AREAS; r++) {
    w->hit[r] = dor_arena_alloc(a, found * sizeof(uint16_t)), w->skip[r] = dor_arena_alloc(a, found * sizeof(uint16_t));
    DOR_NEED(w->hit[r] && w->skip[r], NOMEM, "matching of %d detections", w->d->n);
  }
  for (int32_t i = 0; i < w->d->n; i++) w->area[i] = box_area(w->d, w->t->k, i);
  return DOR_OK;
}

static dor_status collect(dor_arena *a, const work *w, ranked *rank, int32_t n, dor_kp_matches *out)
{
  int32_t *image_of = dor_arena_alloc(a, ((size_t)n + 1) * sizeof *image_of);
  DOR_NEED(image_of, NOMEM, "%d detections", n);
  for (int32_t i = 0; i < n; i++) rank[i] = rank_of(w->d, w->found[i]);
  qsort(rank, (size_t)n, sizeof *rank, by_score);
  for (int32_t i = 0; i < n; i++) image_of[i] = rank[i].image;
  for (int32_t r = 0; r < DOR_KP_AREAS; r++) {
    uint16_t *hit = dor_arena_alloc(a, ((size_t)n + 1) * sizeof *hit), *skip = dor_arena_alloc(a, ((size_t)n + 1) * sizeof *skip);
    DOR_NEED(hit && skip, NOMEM, "%d detections", n);
    for (int32_t i = 0; i < n; i++) hit[i] = w->hit[r][rank[i].at], skip[i] = w->skip[r][rank[i].at];
    out->hit[r] = hit, out->ignored[r] = skip;
  }
  out->n = n, out->image = image_of;
  return DOR_OK;
}

static dor_status match_all(dor_arena *a, dor_arena *local, work *w, dor_kp_matches *out)
{
  int32_t *people[DOR_KP_AREAS];
  DOR_TRY(make(local, w));
  ranked *rank = dor_arena_alloc(local, ((size_t)w->d->n + 1) * sizeof *rank);
  DOR_NEED(rank, NOMEM, "%d detections", w->d->n);
  for (int32_t r = 0; r < DOR_KP_AREAS; r++) {
    out->people[r] = people[r] = dor_arena_alloc(a, ((size_t)w->t->n_images + 1) * sizeof(int32_t));
    DOR_NEED(people[r], NOMEM, "%d images", w->t->n_images);
  }
  int32_t kept = cut(w, rank);
  for (int32_t i = 0; i < w->t->n_images; i++) {
    image m = {w->first_truth[i + 1] - w->first_truth[i], w->first_found[i + 1] - w->first_found[i], w->truth + w->first_truth[i],
               w->found + w->first_found[i], w->oks};
    similarities(w, &m);
    for (int32_t r = 0; r < DOR_KP_AREAS; r++) people[r][i] = match_image(w, &m, (dor_kp_area)r);
  }
  return collect(a, w, rank, kept, out);
}

dor_status dor_kp_match_all(dor_arena *a, const dor_kp_truth *t, const dor_kp_found *d, dor_kp_matches *out)
{
  dor_arena local = {0};
  work w = {.t = t, .d = d};
  *out = (dor_kp_matches){.n_images = t->n_images};
  DOR_TRY(dor_kp_check(t, d));
  dor_status s = match_all(a, &local, &w, out);
  dor_arena_release(&local);
  return s;
}

/* ---- precision and recall ---- */

typedef struct curve { double *precision, *recall; int32_t n; } curve;

typedef struct asked { const dor_kp_matches *m; const dor_kp_figure *f; const int32_t *times; } asked;

static int32_t drawn(const asked *q, int32_t image_at)
{
  if (q->f->only && !q->f->only[image_at]) return 0;
  return q->times ? q->times[image_at] : 1;
}

static void trace(const asked *q, int32_t t, double people, curve *c)
{
  const uint16_t *hit = q->m->hit[q->f->area], *ignored = q->m->ignored[q->f->area];
  double hits = 0, misses = 0;
  c->n = 0;
  for (int32_t i = 0; i < q->m->n; i++)
    for (int32_t r = drawn(q, q->m->image[i]); r > 0; r--) {
      if (!(ignored[i] >> t & 1)) hits += hit[i] >> t & 1, misses += !(hit[i] >> t & 1);
      c->recall[c->n] = hits / people;
      c->precision[c->n++] = hits / (misses + hits + DBL_EPSILON);
    }
  for (int32_t i = c->n - 1; i > 0; i--)
    if (c->precision[i] > c->precision[i - 1]) c->precision[i - 1] = c->precision[i];
}

/* Sum of the precisions at the 101 recalls: each at the first place where that recall is reached, 0 where it never is. */
static double area_under(const curve *c)
{
  double sum = 0;
  int32_t i = 0;
  for (int32_t r = 0; r < DOR_OKS_RECALLS; r++) {
    while (i < c->n && c->recall[i] < recall_of(r)) i++;
    if (i < c->n) sum += c->precision[i];
  }
  return sum;
}

/* Average precision and recall. */
static dor_status average(const asked *q, double *precision, double *recall)
{
  const dor_kp_matches *m = q->m;
  int64_t people = 0, n = 0;
  int32_t from = q->f->threshold < 0 ? 0 : q->f->threshold, to = q->f->threshold < 0 ? DOR_OKS_THRESHOLDS : q->f->threshold + 1;
  for (int32_t i = 0; i < m->n_images; i++) people += (int64_t)m->people[q->f->area][i] * drawn(q, i);
  for (int32_t i = 0; i < m->n; i++) n += drawn(q, m->image[i]);
  *precision = *recall = NAN;
  if (!people) return DOR_OK;
  DOR_NEED(n < INT32_MAX, RANGE, "%lld detections", (long long)n);
  curve c = {.precision = dor_calloc(2 * (size_t)n + 1, sizeof(double))};
  DOR_NEED(c.precision, NOMEM, "a curve of %lld detections", (long long)n);
  c.recall = c.precision + n;
  double p = 0, r = 0;
  for (int32_t t = from; t < to; t++) {
    trace(q, t, (double)people, &c);
    p += area_under(&c);
    if (c.n) r += c.recall[c.n - 1];
  }
  dor_free(c.precision);
  *precision = p / ((to - from) * DOR_OKS_RECALLS);
  *recall = r / (to - from);
  return DOR_OK;
}

static bool same_curve(const dor_kp_figure *a, const dor_kp_figure *b) { return a->area == b->area && a->threshold == b->threshold && a->only == b->only; }

dor_status dor_kp_figures(const dor_kp_matches *m, int32_t n, const dor_kp_figure *figure, const int32_t *times, double *out)
{
  double precision[DOR_KP_MOST], recall[DOR_KP_MOST];
  DOR_NEED(n <= DOR_KP_MOST, RANGE, "%d figures at once, at most %d", n, DOR_KP_MOST);
  for (int32_t i = 0; i < n; i++) {
    int32_t j = 0;
    while (j < i && !same_curve(&figure[i], &figure[j])) j++;
    if (j < i) precision[i] = precision[j], recall[i] = recall[j];
    else DOR_TRY(average(&(asked){m, &figure[i], times}, &precision[i], &recall[i]));
    out[i] = figure[i].recall ? recall[i] : precision[i];
  }
  return DOR_OK;
}

dor_status dor_kp_crowdpose(dor_arena *a, int32_t n_images, const double *crowd, dor_kp_figure out[DOR_KP_CROWDPOSE])
{
  static const int32_t like[DOR_KP_CROWDPOSE] = {0, 1, 2, 5, 6, 7, 0, 0, 0}; /* rows of dor_kp_coco */
  static const char *const name[] = {"AP-E", "AP-M", "AP-H"};
  static const double from[] = {-INFINITY, .01, .85}, to[] = {.01, .85, INFINITY};
  for (int32_t i = 0; i < DOR_KP_CROWDPOSE; i++) out[i] = dor_kp_coco[like[i]];
  for (int32_t g = 0; g < 3; g++) {
    uint8_t *only = dor_arena_alloc(a, (size_t)n_images + 1);
    DOR_NEED(only, NOMEM, "%d images", n_images);
    for (int32_t i = 0; i < n_images; i++) only[i] = crowd[i] >= from[g] && crowd[i] < to[g];
    out[6 + g].name = name[g], out[6 + g].only = only;
  }
  return DOR_OK;
}

/* ---- intervals ---- */

typedef struct drawing {
  const dor_kp_matches *m;
  const dor_kp_figure *figure;
  int32_t n, *times, replicates;
  double *value;               /* [n,replicates] */
  dor_status status;
} drawing;

static void draw(void *to, int32_t replicate, const int32_t *index, int32_t m)
{
  drawing *d = to;
  double figure[DOR_KP_MOST];
  if (d->status) return;
  memset(d->times, 0, (size_t)d->m->n_images * sizeof *d->times);
  for (int32_t i = 0; i < m; i++) d->times[index[i]]++;
  d->status = dor_kp_figures(d->m, d->n, d->figure, d->times, figure);
  for (int32_t f = 0; !d->status && f < d->n; f++) d->value[(size_t)f * (size_t)d->replicates + (size_t)replicate] = figure[f];
}

static int ascending(const void *a, const void *b)
{
  const double *x = a, *y = b;
  return (*x > *y) - (*x < *y);
}

static double quantile(const double *v, int32_t n, double p)
{
  double at = p * (n + 1) - 1;
  if (at <= 0) return v[0];
  if (at >= n - 1) return v[n - 1];
  int32_t i = (int32_t)at;
  return v[i] + (at - i) * (v[i + 1] - v[i]);
}

static dor_interval interval_of(double *v, int32_t n, double level)
{
  int32_t defined = 0;
  for (int32_t i = 0; i < n; i++)
    if (!isnan(v[i])) v[defined++] = v[i];
  if (!defined) return (dor_interval){NAN, NAN, ""};
  qsort(v, (size_t)defined, sizeof *v, ascending);
  double tail = 0.5 * (1 - level);
  double lo = quantile(v, defined, tail), hi = quantile(v, defined, 1 - tail);
  if (lo == hi) return (dor_interval){NAN, NAN, ""}; /* a bootstrap of equal things knows no doubt */
  return (dor_interval){lo, hi, "percentile bootstrap over pictures"};
}

dor_status dor_kp_intervals(const dor_kp_matches *m, int32_t n, const dor_kp_figure *figure, int32_t replicates, uint64_t seed, double level,
                            dor_interval *out)
{
  drawing d = {.m = m, .figure = figure, .n = n, .replicates = replicates};
  d.times = dor_calloc((size_t)m->n_images + 1, sizeof *d.times);
  d.value = dor_calloc((size_t)replicates * (size_t)n + 1, sizeof *d.value);
  dor_status s = d.times && d.value ? DOR_OK : DOR_FAIL(NOMEM, "%d replicates", replicates);
  if (!s) s = dor_resample(m->n_images, NULL, NULL, replicates, seed, draw, &d);
  if (!s) s = d.status;
  for (int32_t f = 0; !s && f < n; f++) out[f] = interval_of(d.value + (size_t)f * (size_t)replicates, replicates, level);
  dor_free(d.times);
  dor_free(d.value);
  return s;
}
