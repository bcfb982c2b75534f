/* SPDX-License-Identifier: Apache-2.0
 *
 * warp_affine in integers; the 256 levels of each channel are normalised once, in
 * the arithmetic of float32, so that a pixel is looked up. */
#include "kernels/reduce.h"
#include "ops/attrs.h"

#include <string.h>

#include "base/mem.h"

typedef struct levels { float at[DOR_WARP_CHANNELS][256]; } levels;

static dor_status prepare(const dor_prep *p, void **plan, size_t *scratch)
{
  (void)scratch;
  const dor_warp_attr *a = p->attr;
  levels *l = dor_calloc(1, sizeof *l);
  DOR_NEED(l, NOMEM, "levels of a picture");
  for (int32_t k = 0; k < DOR_WARP_CHANNELS; k++)
    for (int32_t v = 0; v < 256; v++) l->at[k][v] = a->mask ? (float)(v > 127) : ((float)v / 255.0f - (float)a->mean[k]) / (float)a->sd[k];
  *plan = l;
  return DOR_OK;
}

typedef struct warp { const dor_call *c; const levels *levels; dor_shape from, to; } warp;

typedef struct source { const uint8_t *p; int32_t h, w, c; int64_t line; } source;

static inline int32_t corner(const source *s, int32_t y, int32_t x, int32_t k)
{
  return y < 0 || x < 0 || y >= s->h || x >= s->w ? 0 : s->p[y * s->line + (int64_t)x * s->c + k];
}

/* Over the edge: neighbours outside are 0. */
static void edge_pixel(const source *s, const levels *l, int32_t y, int32_t x, int32_t v, int32_t u, float *to)
{
  for (int32_t k = 0; k < s->c; k++) {
    int32_t sum = (32 - v) * ((32 - u) * corner(s, y, x, k) + u * corner(s, y, x + 1, k)) +
                  v * ((32 - u) * corner(s, y + 1, x, k) + u * corner(s, y + 1, x + 1, k));
    to[k] = l->at[k][(sum + 512) >> 10];
  }
}

static inline void inner_pixel(const source *s, const levels *l, int32_t y, int32_t x, int32_t v, int32_t u, float *to)
{
  const uint8_t *p = s->p + y * s->line + (int64_t)x * s->c, *q = p + s->line;
  for (int32_t k = 0; k < s->c; k++) {
    int32_t sum = (32 - v) * ((32 - u) * p[k] + u * p[k + s->c]) + v * ((32 - u) * q[k] + u * q[k + s->c]);
    to[k] = l->at[k][(sum + 512) >> 10];
  }
}

static void row(const warp *t, const source *s, const int32_t *step, int32_t start_x, int32_t start_y, float *to)
{
  const int32_t n = t->to.d[2];
  for (int32_t j = 0; j < n; j++, to += s->c) {
    const int32_t fx = (start_x + step[j]) >> 5, fy = (start_y + step[n + j]) >> 5;
    const int32_t x = fx >> 5, y = fy >> 5, u = fx & 31, v = fy & 31;
    if (x >= 0 && y >= 0 && x + 1 < s->w && y + 1 < s->h) inner_pixel(s, t->levels, y, x, v, u, to);
    else edge_pixel(s, t->levels, y, x, v, u, to);
  }
}

static void body(const void *job, int64_t lo, int64_t hi) /* rows of y */
{
  const warp *t = job;
  const uint8_t *picture = t->c->in[0].data;
  const int32_t *size = t->c->in[1].data, *path = t->c->in[2].data, h = t->to.d[1], w = t->to.d[2], c = t->to.d[3];
  const int64_t line = (int64_t)t->from.d[2] * c;
  for (int64_t r = lo; r < hi; r++) {
    const int64_t n = r / h, i = r % h;
    const int32_t *step = path + 2 * n * (h + w), *start = step + 2 * w, *rows = size + 2 * n;
    const source s = {picture + n * t->from.d[1] * line, rows[0] < t->from.d[1] ? rows[0] : t->from.d[1], rows[1] < t->from.d[2] ? rows[1] : t->from.d[2], c,
                      line};
    row(t, &s, step, start[i], start[h + i], (float *)t->c->out[0].data + r * w * c);
  }
}

static void run(const dor_call *c)
{
  warp t = {c, c->plan, c->in[0].shape, c->out[0].shape};
  dor_parallel(c->threads, (int64_t)t.to.d[0] * t.to.d[1], 8, body, &t);
}

static void drop(void *plan) { dor_free(plan); }

const dor_kernel warp_affine_cpu = {.name = "warp_affine_cpu", .prepare = prepare, .run = run, .drop = drop};
