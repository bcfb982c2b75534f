/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything here is linear and commutes with mirroring, so pictures are averaged
 * with their mirror images while they are small; the original enlarges first. The
 * difference is rounding. */
#include "pose/aggregate.h"

#include <omp.h>

#include "base/mem.h"

void dor_aggregate_release(dor_aggregate *g)
{
  dor_free(g->heat);
  dor_free(g->tag);
  dor_free(g->half);
  *g = (dor_aggregate){0};
}

static dor_status room(float **p, size_t *have, size_t want)
{
  if (*have >= want) return DOR_OK;
  dor_free(*p);
  *p = dor_calloc(want, sizeof **p);
  *have = *p ? want : 0;
  DOR_NEED(*p, NOMEM, "maps of %zu numbers", want);
  return DOR_OK;
}

dor_status dor_aggregate_begin(dor_aggregate *g, int32_t k, int32_t h, int32_t w, bool flip)
{
  size_t plane = (size_t)h * (size_t)w, n = (size_t)k * plane, t = flip ? 2 : 1;
  DOR_TRY(room(&g->heat, &g->heat_n, n));
  DOR_TRY(room(&g->tag, &g->tag_n, t * n));
  g->maps = (dor_maps){k, h, w, (int32_t)t, g->heat, g->tag};
  g->scales = 0;
  return DOR_OK;
}

/* ---- channels to planes ---- */

typedef struct channels { /* K of a map's channels, in what order and which way round */
  const float *in;             /* [h,w,all] */
  int32_t h, w, all, first, k;
  const int32_t *joint;        /* [K]; NULL: as they come */
  bool mirror, average;        /* average: with what stands in out already */
} channels;

static void spread_row(const channels *c, int32_t y, int32_t j, float *out)
{
  const float *in = c->in + (size_t)y * (size_t)c->w * (size_t)c->all + c->first + (c->joint ? c->joint[j] : j);
  int32_t step = c->mirror ? -c->all : c->all;
  if (c->mirror) in += (size_t)(c->w - 1) * (size_t)c->all;
  if (c->average)
    for (int32_t x = 0; x < c->w; x++, in += step) out[x] = 0.5f * (out[x] + *in);
  else
    for (int32_t x = 0; x < c->w; x++, in += step) out[x] = *in;
}

static void spread(const channels *c, int32_t threads, float *out) /* out [K,h,w] */
{
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int32_t y = 0; y < c->h; y++)
    for (int32_t j = 0; j < c->k; j++) spread_row(c, y, j, out + ((size_t)j * (size_t)c->h + (size_t)y) * (size_t)c->w);
}

/* ---- enlarging: bilinear, pixel centres at .5, edges held ---- */

typedef struct axis { int32_t lo, hi; float weight; } axis; /* weight of hi */

static axis place(int32_t i, int32_t in, int32_t out)
{
  float at = ((float)i + 0.5f) * ((float)in / (float)out) - 0.5f;
  if (at < 0) at = 0;
  int32_t lo = (int32_t)at;
  if (lo > in - 1) lo = in - 1;
  return (axis){lo, lo < in - 1 ? lo + 1 : lo, at - (float)lo};
}

static void twice(const float *in, int32_t n, float *out)
{
  out[0] = in[0];
#pragma omp simd
  for (int32_t i = 0; i < n - 1; i++) {
    out[2 * i + 1] = 0.75f * in[i] + 0.25f * in[i + 1];
    out[2 * i + 2] = 0.25f * in[i] + 0.75f * in[i + 1];
  }
  out[2 * n - 1] = in[n - 1];
}

static void any_width(const float *in, int32_t n, int32_t to, float *out)
{
  for (int32_t i = 0; i < to; i++) {
    axis a = place(i, n, to);
    out[i] = (1 - a.weight) * in[a.lo] + a.weight * in[a.hi];
  }
}

typedef struct plane { int32_t h, w; } plane;

/* in [from.h,from.w] -> out [to.h,to.w] = keep * out + gain * enlarged; row [from.w + to.w] */
static void enlarge(const float *in, plane from, float *out, plane to, float keep, float gain, float *row)
{
  float *wide = row + from.w;
  for (int32_t y = 0; y < to.h; y++, out += to.w) {
    axis a = place(y, from.h, to.h);
    const float *lo = in + (size_t)a.lo * (size_t)from.w, *hi = in + (size_t)a.hi * (size_t)from.w;
    float top = gain * (1 - a.weight), bottom = gain * a.weight;
#pragma omp simd
    for (int32_t x = 0; x < from.w; x++) row[x] = top * lo[x] + bottom * hi[x];
    float *target = keep == 0 ? out : wide;
    if (to.w == 2 * from.w) twice(row, from.w, target);
    else any_width(row, from.w, to.w, target);
    if (keep == 0) continue;
#pragma omp simd
    for (int32_t x = 0; x < to.w; x++) out[x] = keep * out[x] + wide[x];
  }
}

/* ---- one scale ---- */

typedef struct work { /* parts of g->half */
  plane coarse, fine, base;
  float *heat, *fine_heat;     /* [K,h,w], [K,2h,2w] */
  float *tag;                  /* [T,K,h,w] */
  float *own;                  /* per thread: a fine plane and rows */
  size_t own_n;
} work;

static dor_status lay_out(dor_aggregate *g, const dor_output *o, int32_t threads, work *w)
{
  size_t k = (size_t)g->maps.k, n = (size_t)o->h * (size_t)o->w, t = (size_t)g->maps.t;
  w->coarse = (plane){o->h, o->w}, w->fine = (plane){2 * o->h, 2 * o->w}, w->base = (plane){g->maps.h, g->maps.w};
  w->own_n = 4 * n + 2 * (size_t)o->w + (size_t)(g->maps.w > 2 * o->w ? g->maps.w : 2 * o->w);
  DOR_TRY(room(&g->half, &g->half_n, (5 + t) * k * n + (size_t)threads * w->own_n));
  w->heat = g->half;
  w->fine_heat = w->heat + k * n;
  w->tag = w->fine_heat + 4 * k * n;
  w->own = w->tag + t * k * n;
  return DOR_OK;
}

static void gather(const work *w, int32_t k, const dor_output *o, const int32_t *flip, bool tags, int32_t threads)
{
  bool mirror = flip != NULL;
  size_t plane_n = (size_t)k * (size_t)o->h * (size_t)o->w;
  spread(&(channels){o->coarse, o->h, o->w, 2 * k, 0, k, flip, mirror, mirror}, threads, w->heat);
  spread(&(channels){o->fine, 2 * o->h, 2 * o->w, k, 0, k, flip, mirror, mirror}, threads, w->fine_heat);
  if (tags) spread(&(channels){o->coarse, o->h, o->w, 2 * k, k, k, flip, mirror, false}, threads, w->tag + (mirror ? plane_n : 0));
}

static void heat_plane(const dor_aggregate *g, const work *w, int32_t j, float *row)
{
  size_t fine = (size_t)w->fine.h * (size_t)w->fine.w, base = (size_t)w->base.h * (size_t)w->base.w;
  float *both = w->fine_heat + (size_t)j * fine;
  enlarge(w->heat + (size_t)j * fine / 4, w->coarse, both, w->fine, 0.5f, 0.5f, row);
  enlarge(both, w->fine, g->heat + (size_t)j * base, w->base, g->scales ? 1 : 0, 1, row);
}

static void tag_plane(const dor_aggregate *g, const work *w, int32_t j, float *fine_tag, float *row)
{
  size_t coarse = (size_t)w->coarse.h * (size_t)w->coarse.w, base = (size_t)w->base.h * (size_t)w->base.w;
  enlarge(w->tag + (size_t)j * coarse, w->coarse, fine_tag, w->fine, 0, 1, row);
  enlarge(fine_tag, w->fine, g->tag + (size_t)j * base, w->base, 0, 1, row);
}

dor_status dor_aggregate_add(dor_aggregate *g, const dor_output *plain, const dor_output *mirrored, const int32_t *flip, bool tags, int32_t threads)
{
  int32_t k = g->maps.k, planes = k + (tags ? g->maps.t * k : 0);
  work w = {0};
  DOR_NEED(!mirrored == (g->maps.t == 1), ARG, "the flip test needs the mirror image's maps at each scale");
  DOR_NEED(!mirrored || (mirrored->h == plain->h && mirrored->w == plain->w), ARG, "mirror image of another size");
  DOR_TRY(lay_out(g, plain, threads, &w));
  gather(&w, k, plain, NULL, tags, threads);
  if (mirrored) gather(&w, k, mirrored, flip, tags, threads);
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (int32_t j = 0; j < planes; j++) {
    float *own = w.own + (size_t)omp_get_thread_num() * w.own_n, *row = own + 4 * (size_t)w.coarse.h * (size_t)w.coarse.w;
    if (j < k) heat_plane(g, &w, j, row);
    else tag_plane(g, &w, j - k, own, row);
  }
  g->scales++;
  return DOR_OK;
}

void dor_aggregate_end(dor_aggregate *g, int32_t threads)
{
  int64_t n = (int64_t)g->maps.k * g->maps.h * g->maps.w;
  float count = (float)g->scales;
  if (g->scales < 2) return;
#pragma omp parallel for simd schedule(static) num_threads(threads)
  for (int64_t i = 0; i < n; i++) g->heat[i] /= count;
}
