/* SPDX-License-Identifier: Apache-2.0
 *
 * Polygons as pixels, to the last pixel as pycocotools paints them: corners are
 * rounded on a grid five times finer, the outline is walked point by point, and
 * every step across a column's centre turns the filling of that column on or off. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "data/coco.h"

static const double SCALE = 5;

typedef struct point { int64_t x, y; } point;

typedef struct outline { /* the walk along one polygon */
  int32_t h, w;
  uint8_t *turn;         /* [h * w + 1] down the columns: does the filling change here? */
  point last;
  bool begun;
} outline;

static int64_t fine(double v) { return (int64_t)(SCALE * v + 0.5); }

/* A fine column whose left edge is the centre line of a pixel column is where filling turns. */
static void step_to(outline *o, point p)
{
  const point q = o->last;
  o->last = p;
  if (!o->begun || p.x == q.x) {
    o->begun = true;
    return;
  }
  double x = ((double)(p.x < q.x ? p.x : p.x - 1) + 0.5) / SCALE - 0.5;
  if (floor(x) != x || x < 0 || x > o->w - 1) return;
  double y = ((double)(p.y < q.y ? p.y : q.y) + 0.5) / SCALE - 0.5;
  y = ceil(y < 0 ? 0 : y > o->h ? o->h : y);
  o->turn[(int64_t)x * o->h + (int64_t)y] ^= 1;
}

/* Walked from the lower end of its longer axis in both directions, so that both give the same points. */
static void walk(outline *o, point from, point to)
{
  const int64_t dx = llabs(to.x - from.x), dy = llabs(to.y - from.y), n = dx >= dy ? dx : dy;
  const bool flat = dx >= dy, back = flat ? from.x > to.x : from.y > to.y;
  const point a = back ? to : from, b = back ? from : to;
  const double slope = !n ? 0 : (double)(flat ? b.y - a.y : b.x - a.x) / (double)n;
  for (int64_t d = 0; d <= n; d++) {
    const int64_t t = back ? n - d : d, along = (flat ? a.x : a.y) + t;
    const int64_t across = (int64_t)((double)(flat ? a.y : a.x) + slope * (double)t + 0.5);
    step_to(o, flat ? (point){along, across} : (point){across, along});
  }
}

static void fill(const outline *o, uint8_t *mask)
{
  uint8_t inside = 0;
  const uint8_t *turn = o->turn;
  for (int32_t x = 0; x < o->w; x++)
    for (int32_t y = 0; y < o->h; y++) {
      inside ^= *turn++;
      mask[(int64_t)y * o->w + x] |= inside;
    }
}

dor_status dor_polygon_paint(const dor_polygon *p, int32_t h, int32_t w, uint8_t *mask)
{
  outline o = {.h = h, .w = w, .turn = dor_calloc((size_t)h * (size_t)w + 1, 1)};
  DOR_NEED(o.turn, NOMEM, "no memory to paint a polygon on %d x %d pixels", h, w);
  for (int32_t i = 0; i < p->n; i++) {
    const double *a = p->xy + 2 * i, *b = p->xy + 2 * ((i + 1) % p->n);
    walk(&o, (point){fine(a[0]), fine(a[1])}, (point){fine(b[0]), fine(b[1])});
  }
  fill(&o, mask);
  dor_free(o.turn);
  return DOR_OK;
}
