/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernels of bn_pool.h for LANES floats to a register, defined as ISA. Work
 * is shared by rows of windows; sums are taken in registers along a row and
 * added up in double, one set for each thread, in the order of the threads. */
#include <math.h>

#include "kernels/bn_pool.h"
#include "kernels/vector.h"

typedef struct job {
  const dor_bn_pool *s;
  const float *dp, *p_in, *y;
  const uint8_t *arg_in;
  dor_bn bn;
  float *p, *dy, *dgamma, *dbeta, *mean, *var;
  uint8_t *arg;
  float *a, *b, *c; /* [C] factors of a channel */
  double *sums;     /* [threads,2,C] */
} job;

/* Scratch: factors, then sums, as dor_bn_pool_bytes counts them. */
static void lay_out(job *j, void *scratch)
{
  size_t c = ((size_t)j->s->c + 15) / 16 * 16;
  j->a = scratch;
  j->b = j->a + c;
  j->c = j->b + c;
  j->sums = (double *)(void *)(j->c + c + 16);
}

static double *own_sums(const job *j, part me)
{
  double *sums = j->sums + (size_t)me.rank * 2 * (size_t)j->s->c;
  memset(sums, 0, 2 * (size_t)j->s->c * sizeof *sums);
  return sums;
}

/* Sum of the threads' sums: which 0 or 1, of channel c. */
static double total(const job *j, part me, size_t which, size_t c)
{
  double sum = 0;
  for (size_t r = 0; r < (size_t)me.size; r++) sum += j->sums[(r * 2 + which) * (size_t)j->s->c + c];
  return sum;
}

static double pixels(const dor_bn_pool *s) { return (double)s->n * s->h * s->w; }

/* --- moments ---------------------------------------------------------------- */

/* Sums of x - x0 and its square over rows of pixels: the first pixel is the origin, so that a mean far from 0 costs no digits. */
static void moments_part(const void *of, part me)
{
  enum { STRETCH = 256 };
  const job *j = of;
  size_t c = (size_t)j->s->c;
  double *sums = own_sums(j, me);
  span s = share((int64_t)pixels(j->s), me);
  for (int64_t from = s.from; from < s.to; from += STRETCH) {
    int64_t to = from + STRETCH < s.to ? from + STRETCH : s.to;
    for (size_t k = 0; k < c; k += LANES) {
      vec origin = load(j->y + k), sum = splat(0), squares = splat(0);
      for (int64_t i = from; i < to; i++) {
        vec d = load(j->y + (size_t)i * c + k) - origin;
        sum += d;
        squares += d * d;
      }
      add_sums(sums + k, sum);
      add_sums(sums + c + k, squares);
    }
  }
  wait_for_all(me);
  for (size_t k = 0; me.rank == 0 && k < c; k++) {
    double mean = total(j, me, 0, k) / pixels(j->s), var = total(j, me, 1, k) / pixels(j->s) - mean * mean;
    j->mean[k] = (float)(mean + (double)j->y[k]);
    j->var[k] = var > 0 ? (float)var : 0;
  }
}

static void moments(const dor_bn_pool *s, const float *y, float *mean, float *var, void *scratch)
{
  job j = {.s = s, .y = y, .mean = mean, .var = var};
  lay_out(&j, scratch);
  run_parts(&j, s->threads, moments_part);
}

/* --- forward ---------------------------------------------------------------- */

typedef struct row { /* of windows: index of the image's first map row in it, and of its outputs */
  size_t map, out;
} row;

static row row_of(const dor_bn_pool *s, int64_t unit)
{
  int64_t image = unit / (s->h / 2), i = unit % (s->h / 2);
  return (row){(size_t)(image * s->h + 2 * i) * (size_t)s->w * (size_t)s->c, (size_t)unit * (size_t)(s->w / 2) * (size_t)s->c};
}

static void forward_row(const job *j, row r)
{
  size_t c = (size_t)j->s->c, down = (size_t)j->s->w * c, windows = (size_t)j->s->w / 2;
  for (size_t q = 0; q < windows; q++)
    for (size_t k = 0; k < c; k += LANES) {
      const float *y = j->y + r.map + 2 * q * c + k;
      vec a = load(j->a + k), b = load(j->b + k), best = positive(load(y) * a + b);
      mask at = {0};
      vec more[3] = {positive(load(y + c) * a + b), positive(load(y + down) * a + b), positive(load(y + down + c) * a + b)};
      UNROLL
      for (int32_t i = 0; i < 3; i++) {
        mask larger = more[i] > best;
        best = pick(larger, more[i], best);
        at = (mask)pick(larger, (vec)(at - at + i + 1), (vec)at);
      }
      store(j->p + r.out + q * c + k, best);
      store_bytes(j->arg + r.out + q * c + k, at);
    }
}

static void forward_part(const void *of, part me)
{
  const job *j = of;
  span s = share((int64_t)j->s->n * (j->s->h / 2), me);
  for (int64_t unit = s.from; unit < s.to; unit++) forward_row(j, row_of(j->s, unit));
}

static void forward(const dor_bn_pool *s, const float *y, const dor_bn *bn, float *p, uint8_t *arg, void *scratch)
{
  job j = {.s = s, .y = y, .p = p, .arg = arg};
  lay_out(&j, scratch);
  for (int32_t k = 0; k < s->c; k++) {
    j.a[k] = bn->gamma[k] / sqrtf(bn->var[k] + s->eps);
    j.b[k] = bn->beta[k] - bn->mean[k] * j.a[k];
  }
  run_parts(&j, s->threads, forward_part);
}

/* --- backward ---------------------------------------------------------------- */

/* The gradient that a window hands on: dp where the ReLU passed. */
INLINE vec window_gradient(const job *j, size_t at) { return keep(load(j->p_in + at) > 0, load(j->dp + at)); }

/* sums += (sum g, sum g (y - mean)) of one row of windows, y where the largest stood. */
static void reduce_row(const job *j, row r, double *sums)
{
  size_t c = (size_t)j->s->c, down = (size_t)j->s->w * c, windows = (size_t)j->s->w / 2;
  for (size_t k = 0; k < c; k += LANES) {
    vec mean = load(j->bn.mean + k), sum = splat(0), product = splat(0);
    for (size_t q = 0; q < windows; q++) {
      size_t out = r.out + q * c + k;
      const float *y = j->y + r.map + 2 * q * c + k;
      mask at = load_bytes(j->arg_in + out);
      vec g = window_gradient(j, out);
      vec upper = pick(at == 1, load(y + c), load(y)), lower = pick(at == 3, load(y + down + c), load(y + down));
      sum += g;
      product += g * (pick(at > 1, lower, upper) - mean);
    }
    add_sums(sums + k, sum);
    add_sums(sums + c + k, product);
  }
}

/* dy = a g + b y + c, one row of windows; g is not 0 only where the largest stood. */
static void spread_row(const job *j, row r)
{
  size_t c = (size_t)j->s->c, down = (size_t)j->s->w * c, windows = (size_t)j->s->w / 2;
  for (size_t q = 0; q < windows; q++)
    for (size_t k = 0; k < c; k += LANES) {
      size_t out = r.out + q * c + k, at = r.map + 2 * q * c + k, place[4] = {at, at + c, at + down, at + down + c};
      mask arg = load_bytes(j->arg_in + out);
      vec a = load(j->a + k), b = load(j->b + k), rest = load(j->c + k), g = a * window_gradient(j, out);
      UNROLL
      for (int32_t i = 0; i < 4; i++) store(j->dy + place[i], keep(arg == i, g) + b * load(j->y + place[i]) + rest);
    }
}

/* dy = b y + c for n pixels that are in no window. */
static void spread_rest(const job *j, size_t from, size_t n)
{
  size_t c = (size_t)j->s->c;
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < c; k += LANES) store(j->dy + from + i * c + k, load(j->b + k) * load(j->y + from + i * c + k) + load(j->c + k));
}

static void spread_unit(const job *j, int64_t unit)
{
  const dor_bn_pool *s = j->s;
  row r = row_of(s, unit);
  size_t c = (size_t)s->c, down = (size_t)s->w * c;
  spread_row(j, r);
  if (s->w % 2) spread_rest(j, r.map + down - c, 1), spread_rest(j, r.map + 2 * down - c, 1);
  if (s->h % 2 && (unit + 1) % (s->h / 2) == 0) spread_rest(j, r.map + 2 * down, (size_t)s->w);
}

/* The sums are the gradients of gamma and beta; they and n make the factors of dy. */
static void make_factors(const job *j, part me)
{
  double count = pixels(j->s);
  for (size_t k = 0; k < (size_t)j->s->c; k++) {
    double rstd = 1 / sqrt((double)j->bn.var[k] + (double)j->s->eps), dbeta = total(j, me, 0, k), dgamma = total(j, me, 1, k) * rstd;
    double a = (double)j->bn.gamma[k] * rstd, b = -a * rstd * dgamma / count;
    j->dbeta[k] = (float)dbeta;
    j->dgamma[k] = (float)dgamma;
    j->a[k] = (float)a;
    j->b[k] = (float)b;
    j->c[k] = (float)(-a * dbeta / count - b * (double)j->bn.mean[k]);
  }
}

static void backward_part(const void *of, part me)
{
  const job *j = of;
  double *sums = own_sums(j, me);
  span s = share((int64_t)j->s->n * (j->s->h / 2), me);
  for (int64_t unit = s.from; unit < s.to; unit++) reduce_row(j, row_of(j->s, unit), sums);
  wait_for_all(me);
  if (me.rank == 0) make_factors(j, me);
  wait_for_all(me);
  for (int64_t unit = s.from; unit < s.to; unit++) spread_unit(j, unit);
}

static void backward(const dor_bn_pool *s, const float *dp, const uint8_t *arg, const float *p, const float *y, const dor_bn *bn, float *dy, float *dgamma,
                     float *dbeta, void *scratch)
{
  job j = {.s = s, .dp = dp, .arg_in = arg, .p_in = p, .y = y, .bn = *bn, .dy = dy, .dgamma = dgamma, .dbeta = dbeta};
  lay_out(&j, scratch);
  run_parts(&j, s->threads, backward_part);
}

const dor_bn_pool_isa ISA = {.name = ISA_NAME, .lanes = LANES, .moments = moments, .forward = forward, .backward = backward};
