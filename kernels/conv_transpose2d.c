/* SPDX-License-Identifier: Apache-2.0
 *
 * Transposed convolution by phases: the output columns j, j + stride, ... of a row
 * see the same taps, and what they read lies side by side in x, so that 4 of them
 * by 16 channels are one product for each tap. Nothing is computed that is not
 * needed; no work is shared between phases. */
#include <string.h>

#include "kernels/reduce.h"
#include "kernels/tile.h"
#include "ops/attrs.h"

enum { P = DOR_TILE_ROWS, O = DOR_TILE_COLUMNS };

typedef struct spread {
  const dor_conv2d_attr *a;
  dor_shape x, y;
  const float *px, *w, *zeros; /* w [taps][C/G][O], zeros [C/G] */
  float *py;
} spread;

typedef struct tile { /* P output columns phase + (at + k) stride of a row, channels [o, o + width) */
  int64_t image, row, phase, at, o, width, first; /* first: input channel of the group */
} tile;

/* The index in x whose tap reaches output index i; false where the stride passes it over. */
static bool reached_from(const dor_conv2d_attr *a, int32_t axis, int64_t i, int32_t tap, int64_t *from)
{
  int64_t k = i + a->pad[axis] - (int64_t)tap * a->dilation[axis];
  *from = k / a->stride[axis];
  return k % a->stride[axis] == 0;
}

static void sources(const spread *s, const tile *t, int64_t r, int64_t column, const float *out[P])
{
  const float *row = s->px + (t->image * s->x.d[1] + r) * s->x.d[2] * s->x.d[3] + t->first;
  for (int64_t k = 0; k < P; k++) out[k] = column + k < 0 || column + k >= s->x.d[2] ? s->zeros : row + (column + k) * s->x.d[3];
}

DOR_CLONES static void full_tap(dor_v8 acc[P][2], const float *const x[P], const float *b, int64_t ldb, int64_t n) { dor_tile16(acc, x, 1, b, ldb, n); }

DOR_CLONES static void part_tap(float acc[P][O], const float *const x[P], const float *b, int64_t ldb, int64_t n, int64_t width)
{
  for (int64_t k = 0; k < n; k++)
    for (int r = 0; r < P; r++)
      for (int64_t j = 0; j < width; j++) acc[r][j] += x[r][k] * b[k * ldb + j];
}

static void run_tile(const spread *s, const tile *t)
{
  int64_t co = s->y.d[3], cg = s->x.d[3] / s->a->groups, stride = s->a->stride[1], r, column;
  dor_v8 acc[P][2];
  float part[P][O];
  memset(acc, 0, sizeof acc);
  memset(part, 0, sizeof part);
  for (int32_t u = 0; u < s->a->kernel[0]; u++) {
    if (!reached_from(s->a, 0, t->row, u, &r) || r < 0 || r >= s->x.d[1]) continue;
    for (int32_t v = 0; v < s->a->kernel[1]; v++) {
      if (!reached_from(s->a, 1, t->phase, v, &column)) continue;
      const float *x[P], *b = s->w + (u * s->a->kernel[1] + v) * cg * co + t->o;
      sources(s, t, r, t->at + column, x);
      if (t->width == O) full_tap(acc, x, b, co, cg);
      else part_tap(part, x, b, co, cg, t->width);
    }
  }
  if (t->width == O) memcpy(part, acc, sizeof part);
  float *y = s->py + ((t->image * s->y.d[1] + t->row) * s->y.d[2] + t->phase) * co + t->o;
  for (int64_t k = 0; k < P && t->phase + (t->at + k) * stride < s->y.d[2]; k++)
    memcpy(y + (t->at + k) * stride * co, part[k], (size_t)t->width * sizeof(float));
}

static void run_columns(const spread *s, tile t)
{
  int64_t co = s->y.d[3], og = co / s->a->groups, cg = s->x.d[3] / s->a->groups;
  for (int64_t o = 0; o < co; o += t.width) {
    int64_t group = o / og, left = (group + 1) * og - o;
    t.o = o, t.first = group * cg;
    t.width = left < O ? left : O;
    run_tile(s, &t);
  }
}

static void body(const void *job, int64_t lo, int64_t hi) /* rows of y, through all images */
{
  const spread *s = job;
  for (int64_t row = lo; row < hi; row++)
    for (int64_t phase = 0; phase < s->a->stride[1]; phase++)
      for (int64_t at = 0; phase + at * s->a->stride[1] < s->y.d[2]; at += P)
        run_columns(s, (tile){.image = row / s->y.d[1], .row = row % s->y.d[1], .phase = phase, .at = at});
}

/* [tap][o of the group][c] -> [tap][c of the group][o over all groups], so that output channels are contiguous. */
static void turn(const float *w, const dor_conv2d_attr *a, int64_t og, int64_t c, float *out)
{
  int64_t cg = c / a->groups, co = og * a->groups;
  for (int64_t tap = 0; tap < a->kernel[0] * a->kernel[1]; tap++)
    for (int64_t o = 0; o < og; o++)
      for (int64_t k = 0; k < c; k++) out[(tap * cg + k % cg) * co + k / cg * og + o] = w[(tap * og + o) * c + k];
}

static dor_status prepare(const dor_prep *p, void **plan, size_t *scratch)
{
  (void)plan;
  *scratch = (size_t)p->in[0].shape.d[3] * sizeof(float) + dor_type_bytes(p->in[1]);
  return DOR_OK;
}

static void run(const dor_call *c)
{
  dor_shape x = c->in[0].shape, w = c->in[1].shape, y = c->out[0].shape;
  float *zeros = c->scratch, *turned = zeros + x.d[3];
  memset(zeros, 0, (size_t)x.d[3] * sizeof *zeros);
  turn(c->in[1].data, c->attr, w.d[2], w.d[3], turned);
  spread s = {c->attr, x, y, c->in[0].data, turned, zeros, c->out[0].data};
  dor_parallel(c->threads, (int64_t)y.d[0] * y.d[1], 4, body, &s);
}

const dor_kernel conv_transpose2d_cpu = {.name = "conv_transpose2d_cpu", .prepare = prepare, .run = run};
