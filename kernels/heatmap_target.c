/* SPDX-License-Identifier: Apache-2.0
 *
 * heatmap_target, a row of a map at a time: zeros, then the bumps that reach it. */
#include "kernels/reduce.h"
#include "ops/attrs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

typedef struct bump { int32_t reach, side; float at[]; } bump; /* [side,side] by |dy|, |dx| */

static dor_status prepare(const dor_prep *p, void **plan, size_t *scratch)
{
  (void)scratch;
  const dor_heatmap_attr *a = p->attr;
  const int32_t side = 3 * a->sigma + 2;
  bump *b = dor_calloc(1, sizeof *b + (size_t)(side * side) * sizeof *b->at);
  DOR_NEED(b, NOMEM, "a bump of %d pixels", side);
  b->reach = side - 1, b->side = side;
  for (int32_t y = 0; y < side; y++)
    for (int32_t x = 0; x < side; x++) b->at[y * side + x] = (float)exp(-(double)(x * x + y * y) / (2.0 * a->sigma * a->sigma));
  *plan = b;
  return DOR_OK;
}

typedef struct map { const int32_t *joint; float *to; const bump *bump; int64_t h, w, people, k; } map;

static void put_row(const map *m, int64_t y, int64_t x0, int64_t y0, float *to)
{
  const bump *b = m->bump;
  const float *at = b->at + llabs(y - y0) * b->side;
  const int64_t lo = x0 - b->reach < 0 ? 0 : x0 - b->reach, hi = x0 + b->reach < m->w ? x0 + b->reach + 1 : m->w;
  for (int64_t x = lo; x < hi; x++) {
    const float v = at[llabs(x - x0)];
    if (v > to[x * m->k]) to[x * m->k] = v;
  }
}

static void body(const void *job, int64_t lo, int64_t hi) /* rows of y */
{
  const map *m = job;
  for (int64_t r = lo; r < hi; r++) {
    const int64_t y = r % m->h, n = m->people * m->k;
    const int32_t *j = m->joint + r / m->h * n * 3;
    float *to = m->to + r * m->w * m->k;
    memset(to, 0, (size_t)(m->w * m->k) * sizeof *to);
    for (int64_t i = 0; i < n; i++, j += 3) {
      if (j[2] <= 0 || j[0] < 0 || j[1] < 0 || j[0] >= m->w || j[1] >= m->h || llabs(y - j[1]) > m->bump->reach) continue;
      put_row(m, y, j[0], j[1], to + i % m->k);
    }
  }
}

static void run(const dor_call *c)
{
  dor_shape y = c->out[0].shape, p = c->in[0].shape;
  map m = {c->in[0].data, c->out[0].data, c->plan, y.d[1], y.d[2], p.d[1], p.d[2]};
  dor_parallel(c->threads, (int64_t)y.d[0] * y.d[1], 8, body, &m);
}

static void drop(void *plan) { dor_free(plan); }

const dor_kernel heatmap_target_cpu = {.name = "heatmap_target_cpu", .prepare = prepare, .run = run, .drop = drop};
