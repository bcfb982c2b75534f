/* SPDX-License-Identifier: Apache-2.0
 *
 * The direct convolution for LANES floats to a register, defined as ISA. Weights
 * are first packed into panels of a few registers across; then each thread takes
 * its share of output pixels, in chunks whose source addresses are looked up once
 * for all panels. */
#include <math.h>
#include <string.h>

#include "kernels/direct.h"
#include "kernels/vector.h"

enum { WIDE_MOST = LANES == 16 ? 4 : 2, ROWS = 6 };
enum { BLOCKS_MOST = 16, POINTERS = DOR_DIRECT_TAPS * ROWS }; /* of a chunk: sources of few taps and many pixels, or the reverse */

typedef struct job {
  const dor_direct *plan;
  const float *x, *w;
  float *y;
  dor_direct_tail tail;
  float *zeros, *scale, *bias, *panels; /* in scratch */
  float least;                          /* 0 with ReLU */
  double *sums;                         /* [threads,2,K] */
} job;

static size_t aligned(size_t floats) { return (floats + 15) / 16 * 16; }

/* Registers across of the panel that starts at channel k. */
INLINE int32_t panel_wide(const dor_direct *p, int32_t k)
{
  int32_t left = (p->k - k) / LANES, wide = WIDE_MOST;
  while (wide > left) wide /= 2;
  return wide;
}

/* --- weights ----------------------------------------------------------------- */

/* to [taps,C,width] of the phase, output channels from k on. */
static void pack_panel(const job *j, const dor_direct_phase *f, int32_t k, int32_t width, float *to)
{
  const dor_direct *p = j->plan;
  size_t c = (size_t)p->c, all = (size_t)p->k;
  for (int32_t t = 0; t < f->taps; t++) {
    const float *tap = j->w + (size_t)f->w[t] * c * all;
    for (size_t i = 0; i < c; i++, to += width) {
      if (!p->back) memcpy(to, tap + i * all + (size_t)k, (size_t)width * sizeof *to);
      else
        for (size_t o = 0; o < (size_t)width; o++) to[o] = tap[((size_t)k + o) * c + i];
    }
  }
}

/* Panels are dealt out among the threads one by one. */
static void pack(const job *j, part me)
{
  const dor_direct *p = j->plan;
  int32_t number = 0;
  for (int32_t i = 0; i < p->phases; i++)
    for (int32_t k = 0, wide; k < p->k; k += wide * LANES, number++) {
      wide = panel_wide(p, k);
      const dor_direct_phase *f = &p->phase[i];
      if (number % me.size == me.rank) pack_panel(j, f, k, wide * LANES, j->panels + f->packed + (size_t)f->taps * (size_t)p->c * (size_t)k);
    }
}

/* --- addresses --------------------------------------------------------------- */

typedef struct chunk { /* of output pixels, in blocks of ROWS; the last pixel fills what is over */
  int32_t n;
  const float *at[POINTERS]; /* [blocks,taps,ROWS] */
  size_t out[BLOCKS_MOST * ROWS]; /* of each pixel in y */
} chunk;

typedef struct spot { /* an output pixel of a phase */
  int32_t image, i, j;
} spot;

INLINE spot spot_of(const dor_direct_phase *f, int64_t pixel)
{
  int64_t line = pixel / f->cols;
  return (spot){(int32_t)(line / f->rows), (int32_t)(line % f->rows), (int32_t)(pixel % f->cols)};
}

INLINE spot next_spot(const dor_direct_phase *f, spot s)
{
  if (++s.j < f->cols) return s;
  s.j = 0;
  if (++s.i < f->rows) return s;
  s.i = 0;
  s.image++;
  return s;
}

/* Tap by tap, where some pixels lie outside the image. */
static void point_with_care(const job *j, const dor_direct_phase *f, const float *image, int32_t row, int32_t col, const float **at)
{
  const dor_direct *p = j->plan;
  for (int32_t t = 0; t < f->taps; t++) {
    int32_t r = row + f->at[t][0], s = col + f->at[t][1];
    bool inside = (uint32_t)r < (uint32_t)p->h && (uint32_t)s < (uint32_t)p->w;
    at[t * ROWS] = inside ? image + ((size_t)r * (size_t)p->w + (size_t)s) * (size_t)p->c : j->zeros;
  }
}

static void point_at(const job *j, const dor_direct_phase *f, int64_t first, int32_t n, chunk *to)
{
  const dor_direct *p = j->plan;
  size_t pixel = (size_t)p->c, line = (size_t)p->w * pixel;
  spot s = spot_of(f, first);
  to->n = n;
  for (int32_t q = 0; q < (n + ROWS - 1) / ROWS * ROWS; q++) {
    int32_t row = s.i * f->source[0], col = s.j * f->source[1];
    const float *image = j->x + (size_t)s.image * (size_t)p->h * line;
    const float **at = to->at + q / ROWS * f->taps * ROWS + q % ROWS;
    bool inner = row + f->least[0] >= 0 && col + f->least[1] >= 0 && row + f->most[0] < p->h && col + f->most[1] < p->w;
    const float *here = image + (size_t)row * line + (size_t)col * pixel;
    for (int32_t t = 0; inner && t < f->taps; t++) at[t * ROWS] = here + f->offset[t];
    if (!inner) point_with_care(j, f, image, row, col, at);
    size_t y = (size_t)s.image * (size_t)p->down + (size_t)(f->first[0] + s.i * f->step);
    to->out[q] = (y * (size_t)p->across + (size_t)(f->first[1] + s.j * f->step)) * (size_t)p->k;
    if (q + 1 < n) s = next_spot(f, s);
  }
}

/* --- products ---------------------------------------------------------------- */

typedef struct moments { vec sum[WIDE_MOST], squares[WIDE_MOST]; } moments; /* of a panel over a chunk */

/* Registers full of channels: rows of them are scaled, shifted and written, and summed where sums are wanted. */
INLINE void finish_rows(const job *j, const size_t *out, int32_t rows, int32_t wide, int32_t k, vec acc[ROWS][WIDE_MOST], moments *m)
{
  const float *residual = j->tail.residual;
  vec least = splat(j->least);
  UNROLL
  for (int32_t v = 0; v < wide; v++) {
    int32_t at = k + v * LANES;
    vec scale = load(j->scale + at), bias = load(j->bias + at);
    UNROLL
    for (int32_t r = 0; r < ROWS; r++) {
      if (r >= rows) break;
      vec y = acc[r][v] * scale + bias;
      if (residual) y += load(residual + out[r] + at);
      acc[r][v] = y = at_least(y, least);
      store(j->y + out[r] + at, y);
    }
    if (!m) continue;
    UNROLL
    for (int32_t r = 0; r < ROWS; r++) {
      if (r >= rows) break;
      m->sum[v] += acc[r][v];
      m->squares[v] += acc[r][v] * acc[r][v];
    }
  }
}

INLINE void finish_block(const job *j, const chunk *ch, int32_t block, int32_t wide, int32_t k, vec acc[ROWS][WIDE_MOST], moments *m)
{
  const size_t *out = ch->out + block * ROWS;
  int32_t rows = ch->n - block * ROWS;
  if (rows >= ROWS) finish_rows(j, out, ROWS, wide, k, acc, m);
  else finish_rows(j, out, rows, wide, k, acc, m);
}

/* ROWS pixels by `wide` registers of channels. */
INLINE void block_product(const job *j, const dor_direct_phase *f, const chunk *ch, int32_t block, int32_t wide, int32_t k, const float *b, moments *m)
{
  int32_t c = j->plan->c;
  vec acc[ROWS][WIDE_MOST];
  UNROLL
  for (int32_t r = 0; r < ROWS; r++) {
    UNROLL
    for (int32_t v = 0; v < wide; v++) acc[r][v] = splat(0);
  }
  for (int32_t t = 0; t < f->taps; t++) {
    const float *const *a = ch->at + (block * f->taps + t) * ROWS;
    const float *a0 = a[0], *a1 = a[1], *a2 = a[2], *a3 = a[3], *a4 = a[4], *a5 = a[5];
    _Pragma("GCC unroll 4")
    for (int32_t i = 0; i < c; i++, b += wide * LANES) {
      const float left[ROWS] = {a0[i], a1[i], a2[i], a3[i], a4[i], a5[i]};
      vec right[WIDE_MOST];
      UNROLL
      for (int32_t v = 0; v < wide; v++) right[v] = load(b + v * LANES);
      UNROLL
      for (int32_t r = 0; r < ROWS; r++) {
        vec l = splat(left[r]);
        UNROLL
        for (int32_t v = 0; v < wide; v++) acc[r][v] += l * right[v];
      }
    }
  }
  finish_block(j, ch, block, wide, k, acc, m);
}

/* Sums of a chunk are taken in float, in double from then on. */
INLINE void panel(const job *j, const dor_direct_phase *f, const chunk *ch, int32_t wide, int32_t k, const float *b, double *sums)
{
  moments m;
  for (int32_t v = 0; v < wide; v++) m.sum[v] = m.squares[v] = splat(0);
  for (int32_t i = 0; i * ROWS < ch->n; i++) block_product(j, f, ch, i, wide, k, b, sums ? &m : NULL);
  for (int32_t v = 0; sums && v < wide; v++) {
    add_sums(sums + k + v * LANES, m.sum[v]);
    add_sums(sums + j->plan->k + k + v * LANES, m.squares[v]);
  }
}

#define PANEL(wide)                                                                                                                          \
  static __attribute__((noinline)) void panel_##wide(const job *j, const dor_direct_phase *f, const chunk *ch, int32_t k, const float *b,    \
                                                     double *sums)                                                                           \
  {                                                                                                                                          \
    panel(j, f, ch, wide, k, b, sums);                                                                                                       \
  }
PANEL(1)
PANEL(2)
#if LANES == 16
PANEL(4)
#endif

static void chunk_products(const job *j, const dor_direct_phase *f, const chunk *ch, double *sums)
{
  const dor_direct *p = j->plan;
  for (int32_t k = 0, wide; k < p->k; k += wide * LANES) {
    wide = panel_wide(p, k);
    const float *b = j->panels + f->packed + (size_t)f->taps * (size_t)p->c * (size_t)k;
    if (wide == 1) panel_1(j, f, ch, k, b, sums);
    if (wide == 2) panel_2(j, f, ch, k, b, sums);
#if LANES == 16
    if (wide == 4) panel_4(j, f, ch, k, b, sums);
#endif
  }
}

/* --- the whole ---------------------------------------------------------------- */

static void run_phase(const job *j, const dor_direct_phase *f, part me, double *sums)
{
  int64_t pixels = (int64_t)j->plan->n * f->rows * f->cols;
  span mine = share((pixels + ROWS - 1) / ROWS, me);
  int64_t end = mine.to * ROWS < pixels ? mine.to * ROWS : pixels;
  int32_t blocks = POINTERS / ROWS / (f->taps ? f->taps : 1), most = ROWS * (blocks < 1 ? 1 : blocks < BLOCKS_MOST ? blocks : BLOCKS_MOST);
  for (int64_t q = mine.from * ROWS; q < end; q += most) {
    chunk ch;
    point_at(j, f, q, (int32_t)(end - q < most ? end - q : most), &ch);
    chunk_products(j, f, &ch, sums);
  }
}

static void make_moments(const job *j, int32_t parts)
{
  const dor_direct *p = j->plan;
  double count = (double)p->n * p->down * p->across;
  size_t row = (size_t)p->k;
  for (size_t k = 0; k < (size_t)p->k; k++) {
    double sum = 0, squares = 0;
    for (size_t r = 0; r < (size_t)parts; r++) sum += j->sums[2 * r * row + k], squares += j->sums[(2 * r + 1) * row + k];
    double mean = sum / count, var = squares / count - mean * mean;
    j->tail.mean[k] = (float)mean;
    j->tail.var[k] = var > 0 ? (float)var : 0;
  }
}

static void run_part(const void *of, part me)
{
  const job *j = of;
  const dor_direct *p = j->plan;
  size_t row = 2 * (size_t)p->k;
  double *sums = j->tail.mean ? j->sums + (size_t)me.rank * row : NULL;
  if (sums) memset(sums, 0, row * sizeof *sums);
  pack(j, me);
  wait_for_all(me);
  for (int32_t i = 0; i < p->phases; i++) run_phase(j, &p->phase[i], me, sums);
  if (!sums) return;
  wait_for_all(me);
  if (me.rank == 0) make_moments(j, me.size);
}

static void copy_or(float *to, const float *from, float otherwise, int32_t n)
{
  for (int32_t k = 0; k < n; k++) to[k] = from ? from[k] : otherwise;
}

static void run(const dor_direct *p, const float *x, const float *w, float *y, const dor_direct_tail *tail, void *scratch)
{
  size_t k = aligned((size_t)p->k);
  job j = {.plan = p, .x = x, .w = w, .y = y};
  if (tail) j.tail = *tail;
  j.least = j.tail.relu ? 0 : -INFINITY;
  j.zeros = scratch;
  j.scale = j.zeros + aligned((size_t)p->c);
  j.bias = j.scale + k;
  j.sums = (double *)(void *)(j.bias + k);
  j.panels = j.bias + k + 4 * (size_t)p->threads * k;
  memset(j.zeros, 0, (size_t)p->c * sizeof(float));
  copy_or(j.scale, j.tail.scale, 1, p->k);
  copy_or(j.bias, j.tail.bias, 0, p->k);
  run_parts(&j, p->threads, run_part);
}

/* --- gradient by the weights ---------------------------------------------------- */

enum { STRETCH = DOR_DIRECT_STRETCH, DEEP = 2, DEEP_ROWS = 6 }; /* pixels in a sum that stays in registers, which are this many across and down */

typedef struct sums_job {
  const dor_direct *plan;
  const float *x, *dy;
  float *dw, *zeros, *sums, *padded; /* sums [taps,C,K in whole registers]: dw itself where K fills them; padded: dy of a stretch, for each thread */
  size_t k;                          /* of sums and padded */
} sums_job;

typedef struct stretch { /* of pixels: their sources by tap, and their gradients */
  int32_t n;
  bool first;
  const float *at[DOR_DIRECT_TAPS * STRETCH / 3];
  const float *dy;
} stretch;

INLINE int32_t stretch_most(const dor_direct_phase *f) { return f->taps * 3 <= DOR_DIRECT_TAPS ? STRETCH : STRETCH / 3; }

/* at [taps][n] */
static void point_stretch(const sums_job *j, int64_t first, stretch *to)
{
  const dor_direct *p = j->plan;
  const dor_direct_phase *f = &p->phase[0];
  spot s = spot_of(f, first);
  for (int32_t q = 0; q < to->n; q++, s = next_spot(f, s)) {
    const float *image = j->x + (size_t)s.image * (size_t)p->h * (size_t)p->w * (size_t)p->c;
    for (int32_t t = 0; t < f->taps; t++) {
      int32_t row = s.i * f->source[0] + f->at[t][0], col = s.j * f->source[1] + f->at[t][1];
      bool inside = (uint32_t)row < (uint32_t)p->h && (uint32_t)col < (uint32_t)p->w;
      to->at[t * to->n + q] = inside ? image + ((size_t)row * (size_t)p->w + (size_t)col) * (size_t)p->c : j->zeros;
    }
  }
}

/* d [rows,wide] (+)= sum over the stretch's pixels of x [c..c + rows) dy [k..] */
INLINE void outer_products(int32_t rows, int32_t wide, const stretch *s, const float *const *at, int32_t c, const float *dy, size_t k, float *d)
{
  vec acc[DEEP_ROWS][DEEP];
  UNROLL
  for (int32_t r = 0; r < rows; r++) {
    UNROLL
    for (int32_t v = 0; v < wide; v++) acc[r][v] = s->first ? splat(0) : load(d + (size_t)r * k + (size_t)(v * LANES));
  }
  for (int32_t q = 0; q < s->n; q++, dy += k) {
    const float *x = at[q] + c;
    vec right[DEEP];
    UNROLL
    for (int32_t v = 0; v < wide; v++) right[v] = load(dy + v * LANES);
    UNROLL
    for (int32_t r = 0; r < rows; r++) {
      vec left = splat(x[r]);
      UNROLL
      for (int32_t v = 0; v < wide; v++) acc[r][v] += left * right[v];
    }
  }
  UNROLL
  for (int32_t r = 0; r < rows; r++) {
    UNROLL
    for (int32_t v = 0; v < wide; v++) store(d + (size_t)r * k + (size_t)(v * LANES), acc[r][v]);
  }
}

#define PRODUCTS(wide)                                                                                                                       \
  static __attribute__((noinline, noclone)) void products_##wide(int32_t rows, const stretch *s, const float *const *at, int32_t c,          \
                                                                 const float *dy, size_t k, float *d)                                        \
  {                                                                                                                                          \
    UNROLL                                                                                                                                   \
    for (int32_t fixed = 1; fixed <= DEEP_ROWS; fixed++)                                                                                     \
      if (rows == fixed) outer_products(fixed, wide, s, at, c, dy, k, d);                                                                    \
  }
PRODUCTS(1)
PRODUCTS(2)

/* A share of (tap, block of input channels), for all output channels: nobody else writes there. */
static void stretch_products(const sums_job *j, const stretch *s, part me)
{
  int32_t c = j->plan->c, blocks = (c + DEEP_ROWS - 1) / DEEP_ROWS;
  span mine = share((int64_t)j->plan->taps * blocks, me);
  for (size_t k = 0; k < j->k; k += DEEP * LANES)
    for (int64_t u = mine.from; u < mine.to; u++) {
      int32_t tap = (int32_t)(u / blocks), block = (int32_t)(u % blocks), from = c * block / blocks, rows = c * (block + 1) / blocks - from;
      float *d = j->sums + ((size_t)tap * (size_t)c + (size_t)from) * j->k + k;
      if (k + DEEP * LANES <= j->k) products_2(rows, s, s->at + tap * s->n, from, s->dy + k, j->k, d);
      else products_1(rows, s, s->at + tap * s->n, from, s->dy + k, j->k, d);
    }
}

/* The stretch's gradients in rows of whole registers. */
static const float *padded_rows(const sums_job *j, const float *dy, int32_t n, float *to)
{
  size_t k = (size_t)j->plan->k;
  if (k == j->k) return dy;
  for (size_t q = 0; q < (size_t)n; q++) {
    memcpy(to + q * j->k, dy + q * k, k * sizeof *to);
    memset(to + q * j->k + k, 0, (j->k - k) * sizeof *to);
  }
  return to;
}

static void weights_part(const void *of, part me)
{
  const sums_job *j = of;
  const dor_direct *p = j->plan;
  int64_t pixels = (int64_t)p->n * p->down * p->across;
  int32_t most = stretch_most(&p->phase[0]);
  for (int64_t q = 0; q < pixels; q += most) {
    stretch s = {.n = (int32_t)(pixels - q < most ? pixels - q : most), .first = !q};
    s.dy = padded_rows(j, j->dy + (size_t)q * (size_t)p->k, s.n, j->padded + (size_t)me.rank * STRETCH * j->k);
    point_stretch(j, q, &s);
    stretch_products(j, &s, me);
  }
  if (j->sums == j->dw) return;
  wait_for_all(me);
  span rows = share((int64_t)p->taps * p->c, me);
  for (int64_t r = rows.from; r < rows.to; r++) memcpy(j->dw + (size_t)r * (size_t)p->k, j->sums + (size_t)r * j->k, (size_t)p->k * sizeof(float));
}

static void weights(const dor_direct *p, const float *x, const float *dy, float *dw, void *scratch)
{
  sums_job j = {.plan = p, .x = x, .dy = dy, .dw = dw, .zeros = scratch, .sums = dw};
  j.k = ((size_t)p->k + LANES - 1) / LANES * LANES;
  j.padded = j.zeros + aligned((size_t)p->c);
  if (j.k != (size_t)p->k) j.sums = j.padded + (size_t)p->threads * STRETCH * j.k;
  memset(j.zeros, 0, (size_t)p->c * sizeof(float));
  run_parts(&j, p->threads, weights_part);
}

const dor_direct_isa ISA = {.name = ISA_NAME, .lanes = LANES, .run = run, .weights = weights};
