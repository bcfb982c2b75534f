/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernels of stem.h for LANES channels to a register, defined as ISA. Images
 * are shared among threads; each is copied once into a frame of zeros. Functions
 * that take `tap` are inlined with a constant. */
#include <math.h>

#include "kernels/stem.h"
#include "kernels/vector.h"

enum {
  TAPS = 9,
  GRAM = TAPS * TAPS + TAPS /* products, then sums */
};

typedef struct job {
  const dor_stem *s;
  const float *x, *w;
  dor_stem_out out;
  dor_stem_back back;
  const float *gamma, *beta;
  float *frames;  /* [threads,(H+2),(W+2)] */
  float *scaled;  /* [TAPS + 1,C] weights times gamma / sd, and what is added */
  float *partial; /* [threads,TAPS + 1,C] sums of one image */
  double *gram;   /* [threads,GRAM] */
  double *sums;   /* [threads,TAPS + 1,C] of g times neighbours, and of g */
} job;

static size_t frame_floats(const dor_stem *s) { return ((size_t)(s->h + 2) * (size_t)(s->w + 2) + 15) / 16 * 16; }

/* As dor_stem_bytes counts it: doubles first. */
static void lay_out(job *j, void *scratch)
{
  size_t threads = (size_t)j->s->threads, tens = (TAPS + 1) * (size_t)j->s->c;
  j->gram = scratch;
  j->sums = j->gram + threads * GRAM;
  j->scaled = (float *)(j->sums + threads * tens);
  j->partial = j->scaled + tens;
  j->frames = j->partial + threads * tens;
}

static float *frame_of(const job *j, part me) { return j->frames + (size_t)me.rank * frame_floats(j->s); }

static void fill_frame(const job *j, int64_t image, float *frame)
{
  size_t h = (size_t)j->s->h, w = (size_t)j->s->w;
  const float *x = j->x + (size_t)image * h * w;
  for (size_t i = 0; i < h; i++) memcpy(frame + (i + 1) * (w + 2) + 1, x + i * w, w * sizeof *x);
}

static void clear_frame(const job *j, float *frame) { memset(frame, 0, frame_floats(j->s) * sizeof *frame); }

/* --- products of neighbours -------------------------------------------------- */

INLINE size_t tap_at(size_t tap, size_t row) { return tap / 3 * row + tap % 3; }

/* gram += products of neighbour `tap` with those from it on, over n rows of pixels from `frame`. */
INLINE void gram_tap(size_t tap, const float *frame, size_t row, size_t width, size_t n, double *gram)
{
  vec sum[TAPS + 1];
  UNROLL
  for (size_t k = 0; k <= TAPS; k++) sum[k] = splat(0);
  for (size_t i = 0; i < n; i++) {
    const float *at = frame + i * row;
    size_t q = 0;
    for (; q + LANES <= width; q += LANES) {
      vec mine = load(at + tap_at(tap, row) + q);
      UNROLL
      for (size_t k = tap; k < TAPS; k++) sum[k] += mine * load(at + tap_at(k, row) + q);
      sum[TAPS] += mine;
    }
    for (; q < width; q++) {
      double mine = (double)at[tap_at(tap, row) + q];
      for (size_t k = tap; k < TAPS; k++) gram[tap * TAPS + k] += mine * (double)at[tap_at(k, row) + q];
      gram[TAPS * TAPS + tap] += mine;
    }
  }
  UNROLL
  for (size_t k = tap; k <= TAPS; k++)
    for (int32_t l = 0; l < LANES; l++) gram[k < TAPS ? tap * TAPS + k : TAPS * TAPS + tap] += (double)sum[k][l];
}

static void gram_image(const job *j, const float *frame, double *gram)
{
  enum { STRETCH = 16 }; /* rows summed in float */
  size_t row = (size_t)j->s->w + 2, width = (size_t)j->s->w, h = (size_t)j->s->h;
  for (size_t i = 0; i < h; i += STRETCH) {
    size_t n = h - i < STRETCH ? h - i : STRETCH;
    const float *at = frame + i * row;
    gram_tap(0, at, row, width, n, gram), gram_tap(1, at, row, width, n, gram), gram_tap(2, at, row, width, n, gram);
    gram_tap(3, at, row, width, n, gram), gram_tap(4, at, row, width, n, gram), gram_tap(5, at, row, width, n, gram);
    gram_tap(6, at, row, width, n, gram), gram_tap(7, at, row, width, n, gram), gram_tap(8, at, row, width, n, gram);
  }
}

/* The threads' products added up into the first's, and mirrored. */
static double *whole_gram(const job *j, part me)
{
  for (size_t r = 1; r < (size_t)me.size; r++)
    for (size_t k = 0; k < GRAM; k++) j->gram[k] += j->gram[r * GRAM + k];
  for (size_t a = 0; a < TAPS; a++)
    for (size_t b = 0; b < a; b++) j->gram[a * TAPS + b] = j->gram[b * TAPS + a];
  return j->gram;
}

static double pixels(const dor_stem *s) { return (double)s->n * s->h * s->w; }

/* --- forward ------------------------------------------------------------------ */

/* mean and var of y, and the weights and offset that turn x into bn(x * w). */
static void scale_weights(const job *j, const double *gram)
{
  size_t c = (size_t)j->s->c;
  double n = pixels(j->s);
  for (size_t o = 0; o < c; o++) {
    double mean = 0, var = 0;
    for (size_t a = 0; a < TAPS; a++) mean += (double)j->w[a * c + o] * gram[TAPS * TAPS + a] / n;
    for (size_t a = 0; a < TAPS; a++)
      for (size_t b = 0; b < TAPS; b++)
        var += (double)j->w[a * c + o] * (double)j->w[b * c + o] * (gram[a * TAPS + b] / n - gram[TAPS * TAPS + a] / n * (gram[TAPS * TAPS + b] / n));
    if (var < 0) var = 0;
    double scale = (double)j->gamma[o] / sqrt(var + j->s->eps);
    for (size_t a = 0; a < TAPS; a++) j->scaled[a * c + o] = (float)((double)j->w[a * c + o] * scale);
    j->scaled[TAPS * c + o] = (float)((double)j->beta[o] - mean * scale);
    j->out.mean[o] = (float)mean;
    j->out.var[o] = (float)var;
  }
}

/* One row of windows, LANES channels: 36 products for each window's four pixels. */
static void forward_row(const job *j, const float *frame, size_t out, size_t k)
{
  size_t c = (size_t)j->s->c, row = (size_t)j->s->w + 2, windows = (size_t)j->s->w / 2;
  vec w[TAPS], offset = load(j->scaled + TAPS * c + k);
  UNROLL
  for (size_t t = 0; t < TAPS; t++) w[t] = load(j->scaled + t * c + k);
  for (size_t q = 0; q < windows; q++, frame += 2, out += c) {
    vec y[4] = {offset, offset, offset, offset};
    UNROLL
    for (size_t u = 0; u < 16; u++) {
      vec x = splat(frame[u / 4 * row + u % 4]);
      UNROLL
      for (size_t at = 0; at < 4; at++) {
        size_t a = u / 4 - at / 2, b = u % 4 - at % 2;
        if (a < 3 && b < 3) y[at] += x * w[a * 3 + b];
      }
    }
    vec best = positive(y[0]);
    mask where = {0};
    UNROLL
    for (int32_t at = 1; at < 4; at++) {
      vec r = positive(y[at]);
      mask larger = r > best;
      best = pick(larger, r, best);
      where = (mask)pick(larger, (vec)(where - where + at), (vec)where);
    }
    store(j->out.p + out + k, best);
    store_bytes(j->out.arg + out + k, where);
  }
}

static void forward_image(const job *j, int64_t image, const float *frame)
{
  size_t h = (size_t)j->s->h / 2, width = (size_t)j->s->w / 2, c = (size_t)j->s->c, row = (size_t)j->s->w + 2;
  for (size_t i = 0; i < h; i++)
    for (size_t k = 0; k < c; k += LANES) forward_row(j, frame + 2 * i * row, ((size_t)image * h + i) * width * c, k);
}

static void gram_part(const job *j, part me, float *frame, span images)
{
  double *gram = j->gram + (size_t)me.rank * GRAM;
  memset(gram, 0, GRAM * sizeof *gram);
  clear_frame(j, frame);
  for (int64_t image = images.from; image < images.to; image++) {
    fill_frame(j, image, frame);
    gram_image(j, frame, gram);
  }
}

static void forward_part(const void *of, part me)
{
  const job *j = of;
  span images = share(j->s->n, me);
  float *frame = frame_of(j, me);
  gram_part(j, me, frame, images);
  wait_for_all(me);
  if (me.rank == 0) scale_weights(j, whole_gram(j, me));
  wait_for_all(me);
  for (int64_t image = images.from; image < images.to; image++) {
    fill_frame(j, image, frame);
    forward_image(j, image, frame);
  }
}

static void forward(const dor_stem *s, const float *x, const float *w, const float *gamma, const float *beta, const dor_stem_out *out, void *scratch)
{
  job j = {.s = s, .x = x, .w = w, .gamma = gamma, .beta = beta, .out = *out};
  lay_out(&j, scratch);
  run_parts(&j, s->threads, forward_part);
}

/* --- backward ------------------------------------------------------------------ */

/* partial += g times neighbours, and g, of one row of windows and LANES channels. */
static void backward_row(const job *j, const float *frame, size_t out, size_t k, float *partial)
{
  size_t c = (size_t)j->s->c, row = (size_t)j->s->w + 2, windows = (size_t)j->s->w / 2;
  vec d[TAPS], all = splat(0);
  UNROLL
  for (size_t t = 0; t < TAPS; t++) d[t] = splat(0);
  for (size_t q = 0; q < windows; q++, frame += 2, out += c) {
    mask where = load_bytes(j->back.arg + out + k);
    vec whole = keep(load(j->back.p + out + k) > 0, load(j->back.dp + out + k)), g[4];
    UNROLL
    for (int32_t at = 0; at < 4; at++) g[at] = keep(where == at, whole);
    all += whole;
    UNROLL
    for (size_t u = 0; u < 16; u++) {
      vec x = splat(frame[u / 4 * row + u % 4]);
      UNROLL
      for (size_t at = 0; at < 4; at++) {
        size_t a = u / 4 - at / 2, b = u % 4 - at % 2;
        if (a < 3 && b < 3) d[a * 3 + b] += x * g[at];
      }
    }
  }
  UNROLL
  for (size_t t = 0; t < TAPS; t++) store(partial + t * c + k, load(partial + t * c + k) + d[t]);
  store(partial + TAPS * c + k, load(partial + TAPS * c + k) + all);
}

static void backward_image(const job *j, int64_t image, const float *frame, float *partial, double *sums)
{
  size_t h = (size_t)j->s->h / 2, width = (size_t)j->s->w / 2, c = (size_t)j->s->c, row = (size_t)j->s->w + 2;
  memset(partial, 0, (TAPS + 1) * c * sizeof *partial);
  for (size_t i = 0; i < h; i++)
    for (size_t k = 0; k < c; k += LANES) backward_row(j, frame + 2 * i * row, ((size_t)image * h + i) * width * c, k, partial);
  for (size_t k = 0; k < (TAPS + 1) * c; k++) sums[k] += (double)partial[k];
}

/* dgamma = sum g h, dbeta = sum g, and dw from dy = a g + b y + c. */
static void finish_weights(const job *j, const double *gram, part me)
{
  size_t c = (size_t)j->s->c;
  double n = pixels(j->s);
  for (size_t o = 0; o < c; o++) {
    double g[TAPS + 1], product = 0, rstd = 1 / sqrt((double)j->back.var[o] + j->s->eps);
    for (size_t t = 0; t <= TAPS; t++) {
      g[t] = 0;
      for (size_t r = 0; r < (size_t)me.size; r++) g[t] += j->sums[(r * (TAPS + 1) + t) * c + o];
    }
    for (size_t t = 0; t < TAPS; t++) product += (double)j->w[t * c + o] * g[t];
    double mean = (double)j->back.mean[o], dgamma = (product - mean * g[TAPS]) * rstd;
    double a = (double)j->back.gamma[o] * rstd, b = -a * rstd * dgamma / n, rest = -a * g[TAPS] / n - b * mean;
    for (size_t t = 0; t < TAPS; t++) {
      double map = 0;
      for (size_t u = 0; u < TAPS; u++) map += gram[t * TAPS + u] * (double)j->w[u * c + o];
      j->back.dw[t * c + o] = (float)(a * g[t] + b * map + rest * gram[TAPS * TAPS + t]);
    }
    j->back.dgamma[o] = (float)dgamma;
    j->back.dbeta[o] = (float)g[TAPS];
  }
}

static void backward_part(const void *of, part me)
{
  const job *j = of;
  size_t tens = (TAPS + 1) * (size_t)j->s->c;
  span images = share(j->s->n, me);
  float *frame = frame_of(j, me), *partial = j->partial + (size_t)me.rank * tens;
  double *sums = j->sums + (size_t)me.rank * tens;
  memset(sums, 0, tens * sizeof *sums);
  gram_part(j, me, frame, images);
  for (int64_t image = images.from; image < images.to; image++) {
    fill_frame(j, image, frame);
    backward_image(j, image, frame, partial, sums);
  }
  wait_for_all(me);
  if (me.rank == 0) finish_weights(j, whole_gram(j, me), me);
}

static void backward(const dor_stem *s, const float *x, const float *w, const dor_stem_back *b, void *scratch)
{
  job j = {.s = s, .x = x, .w = w, .back = *b};
  lay_out(&j, scratch);
  run_parts(&j, s->threads, backward_part);
}

const dor_stem_isa ISA = {.name = ISA_NAME, .lanes = LANES, .forward = forward, .backward = backward};
