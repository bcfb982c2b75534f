/* SPDX-License-Identifier: Apache-2.0
 *
 * Direct convolution for any stride, padding, dilation and groups. Forward and dx
 * are one loop: for 4 output pixels and 16 output channels, over taps, the source
 * pixel of each (or a row of zeros) times the tap's weights. dw sums over pixels.
 * Depthwise convolutions go channel by channel instead. */
#include <string.h>

#include "kernels/reduce.h"
#include "kernels/tile.h"
#include "ops/attrs.h"

enum { P = DOR_TILE_ROWS, O = DOR_TILE_COLUMNS };

/* `from` [N,h,w,ci] -> `to` [N,H,W,co] with weights [taps][ci/groups][co]. Forward: source = i stride + u dilation - pad;
 * back (dx): the source row of tap u is (i + pad - u dilation) / stride, where that divides. */
typedef struct conv {
  const dor_conv2d_attr *a;
  dor_shape from_shape, to_shape;
  const float *from, *w, *zeros;
  float *to;
  bool back;
} conv;

static int64_t source_of(const conv *c, int32_t axis, int64_t i, int32_t u)
{
  const dor_conv2d_attr *a = c->a;
  int64_t size = c->from_shape.d[1 + axis];
  int64_t at = c->back ? i + a->pad[axis] - (int64_t)u * a->dilation[axis] : i * a->stride[axis] + (int64_t)u * a->dilation[axis] - a->pad[axis];
  if (c->back) {
    if (at < 0 || at % a->stride[axis]) return -1;
    at /= a->stride[axis];
  }
  return at < 0 || at >= size ? -1 : at;
}

/* The P source pixels of one tap for output pixels from `pixel` on; NULL-free: padding reads zeros. False if all are padding. */
static bool sources(const conv *c, int64_t pixel, int64_t end, int32_t u, int32_t v, const float *out[P])
{
  bool any = false;
  int64_t h = c->to_shape.d[1], w = c->to_shape.d[2], ci = c->from_shape.d[3];
  for (int64_t k = 0; k < P; k++) {
    int64_t q = pixel + k < end ? pixel + k : end - 1;
    int64_t r = source_of(c, 0, q / w % h, u), s = source_of(c, 1, q % w, v), n = q / w / h;
    out[k] = r < 0 || s < 0 ? c->zeros : c->from + ((n * c->from_shape.d[1] + r) * c->from_shape.d[2] + s) * ci;
    any |= out[k] != c->zeros;
  }
  return any;
}

/* Channels [o, o + width) of one tile for one tap; b points at the tap's weights for channel o. */
DOR_CLONES static void full_tap(dor_v8 acc[P][2], const float *const x[P], const float *b, int64_t ldb, int64_t n) { dor_tile16(acc, x, 1, b, ldb, n); }

DOR_CLONES static void part_tap(float acc[P][O], const float *const x[P], const float *b, int64_t ldb, int64_t n, int64_t width)
{
  for (int64_t k = 0; k < n; k++)
    for (int r = 0; r < P; r++)
      for (int64_t j = 0; j < width; j++) acc[r][j] += x[r][k] * b[k * ldb + j];
}

typedef struct tile { int64_t pixel, end, o, width, first; } tile; /* first: input channel of the group */

static void run_tile(const conv *c, const tile *t)
{
  int64_t co = c->to_shape.d[3], cg = c->from_shape.d[3] / c->a->groups;
  dor_v8 acc[P][2];
  float part[P][O];
  memset(acc, 0, sizeof acc);
  memset(part, 0, sizeof part);
  for (int32_t u = 0; u < c->a->kernel[0]; u++)
    for (int32_t v = 0; v < c->a->kernel[1]; v++) {
      const float *x[P], *b = c->w + (u * c->a->kernel[1] + v) * cg * co + t->o;
      if (!sources(c, t->pixel, t->end, u, v, x)) continue;
      for (int k = 0; k < P; k++) x[k] += x[k] == c->zeros ? 0 : t->first;
      if (t->width == O) full_tap(acc, x, b, co, cg);
      else part_tap(part, x, b, co, cg, t->width);
    }
  if (t->width == O) memcpy(part, acc, sizeof part);
  for (int64_t k = 0; k < P && t->pixel + k < t->end; k++) memcpy(c->to + (t->pixel + k) * co + t->o, part[k], (size_t)t->width * sizeof(float));
}

static void body(const void *job, int64_t lo, int64_t hi) /* output pixels */
{
  const conv *c = job;
  int64_t co = c->to_shape.d[3], og = co / c->a->groups, cg = c->from_shape.d[3] / c->a->groups;
  for (int64_t pixel = lo; pixel < hi; pixel += P)
    for (int64_t o = 0; o < co;) {
      int64_t group = o / og, left = (group + 1) * og - o;
      tile t = {pixel, hi, o, left < O ? left : O, group * cg};
      run_tile(c, &t);
      o += t.width;
    }
}

DOR_CLONES static void add_product(float *restrict y, const float *x, const float *w, int64_t n)
{
  for (int64_t k = 0; k < n; k++) y[k] += x[k] * w[k];
}

static void depthwise_body(const void *job, int64_t lo, int64_t hi)
{
  const conv *c = job;
  int64_t n = c->to_shape.d[3];
  for (int64_t pixel = lo; pixel < hi; pixel++) {
    memset(c->to + pixel * n, 0, (size_t)n * sizeof(float));
    for (int32_t u = 0; u < c->a->kernel[0]; u++)
      for (int32_t v = 0; v < c->a->kernel[1]; v++) {
        const float *x[P];
        if (sources(c, pixel, pixel + 1, u, v, x)) add_product(c->to + pixel * n, x[0], c->w + (u * c->a->kernel[1] + v) * n, n);
      }
  }
}

static bool depthwise(const dor_conv2d_attr *a, int32_t channels, int32_t out) { return a->groups == channels && a->groups == out; }

static void run(const dor_call *c, const conv *job)
{
  bool one = depthwise(job->a, job->from_shape.d[3], job->to_shape.d[3]);
  int64_t pixels = (int64_t)job->to_shape.d[0] * job->to_shape.d[1] * job->to_shape.d[2];
  dor_parallel(c->threads, pixels, 64, one ? depthwise_body : body, job);
}

static dor_status prepare(const dor_prep *p, void **plan, size_t *scratch)
{
  (void)plan;
  *scratch = (size_t)p->in[0].shape.d[3] * sizeof(float);
  return DOR_OK;
}

static void conv2d_run(const dor_call *c)
{
  memset(c->scratch, 0, (size_t)c->in[0].shape.d[3] * sizeof(float));
  conv job = {c->attr, c->in[0].shape, c->out[0].shape, c->in[0].data, c->in[1].data, c->scratch, c->out[0].data, false};
  run(c, &job);
}
const dor_kernel conv2d_cpu = {.name = "conv2d_cpu", .prepare = prepare, .run = conv2d_run};

static dor_status dx_prepare(const dor_prep *p, void **plan, size_t *scratch)
{
  (void)plan;
  *scratch = (size_t)p->in[0].shape.d[3] * sizeof(float) + dor_type_bytes(p->in[1]);
  return DOR_OK;
}

/* Weights [tap][c of the group][o] -> [tap][o of the group][c over all groups], so that channels of dx are contiguous. */
static void turn(const float *w, const dor_conv2d_attr *a, int64_t cg, int64_t o, float *out)
{
  int64_t og = o / a->groups, c = cg * a->groups;
  for (int64_t tap = 0; tap < a->kernel[0] * a->kernel[1]; tap++)
    for (int64_t k = 0; k < o; k++)
      for (int64_t j = 0; j < cg; j++) out[(tap * og + k % og) * c + k / og * cg + j] = w[(tap * cg + j) * o + k];
}

static void conv2d_dx_run(const dor_call *c)
{
  float *zeros = c->scratch, *w = zeros + c->in[0].shape.d[3];
  dor_shape sw = c->in[1].shape;
  memset(zeros, 0, (size_t)c->in[0].shape.d[3] * sizeof(float));
  turn(c->in[1].data, c->attr, sw.d[2], sw.d[3], w);
  conv job = {c->attr, c->in[0].shape, c->out[0].shape, c->in[0].data, w, zeros, c->out[0].data, true};
  run(c, &job);
}
const dor_kernel conv2d_dx_cpu = {.name = "conv2d_dx_cpu", .prepare = dx_prepare, .run = conv2d_dx_run};

/* dw: each (tap, group) is a product of the tap's source pixels with dy, summed over output rows in order. */
typedef struct weights { const dor_conv2d_attr *a; dor_shape x, y; const float *px, *py; float *dw; } weights;

/* The columns of y whose source under tap v is inside x: [*lo, *hi). */
static void valid(const weights *k, int32_t v, int64_t *lo, int64_t *hi)
{
  int64_t s = k->a->stride[1], off = (int64_t)v * k->a->dilation[1] - k->a->pad[1];
  *lo = off >= 0 ? 0 : (-off + s - 1) / s;
  *hi = k->x.d[2] - off <= 0 ? 0 : (k->x.d[2] - off - 1) / s + 1;
  if (*hi > k->y.d[2]) *hi = k->y.d[2];
}

/* dw[c..c+4][o..o+16] += over pixels of one row: x of stride sx, dy of stride co */
DOR_CLONES static void row_product(float *dw, int64_t ldw, const float *x, int64_t sx, const float *dy, int64_t co, int64_t n, int64_t rows, int64_t width)
{
  if (rows == P && width == O) {
    dor_v8 acc[P][2];
    const float *a[P] = {x, x + 1, x + 2, x + 3};
    for (int r = 0; r < P; r++) memcpy(acc[r], dw + r * ldw, sizeof acc[r]);
    dor_tile16(acc, a, sx, dy, co, n);
    for (int r = 0; r < P; r++) memcpy(dw + r * ldw, acc[r], sizeof acc[r]);
    return;
  }
  for (int64_t q = 0; q < n; q++)
    for (int64_t r = 0; r < rows; r++)
      for (int64_t j = 0; j < width; j++) dw[r * ldw + j] += x[q * sx + r] * dy[q * co + j];
}

static void add_row(const weights *k, const float *x, const float *dy, int64_t n, float *dw)
{
  int64_t cg = k->x.d[3] / k->a->groups, co = k->y.d[3], og = co / k->a->groups, sx = (int64_t)k->a->stride[1] * k->x.d[3];
  for (int64_t g = 0; g < k->a->groups; g++)
    for (int64_t c = 0; c < cg; c += P)
      for (int64_t o = 0; o < og; o += O)
        row_product(dw + c * co + g * og + o, co, x + g * cg + c, sx, dy + g * og + o, co, n, cg - c < P ? cg - c : P, og - o < O ? og - o : O);
}

DOR_CLONES static void add_depthwise(float *restrict dw, const float *x, int64_t sx, const float *dy, int64_t c, int64_t n)
{
  for (int64_t q = 0; q < n; q++)
    for (int64_t k = 0; k < c; k++) dw[k] += x[q * sx + k] * dy[q * c + k];
}

static void dw_body(const void *job, int64_t lo, int64_t hi) /* taps */
{
  const weights *k = job;
  int64_t size = (int64_t)k->x.d[3] / k->a->groups * k->y.d[3];
  bool one = depthwise(k->a, k->x.d[3], k->y.d[3]);
  for (int64_t tap = lo; tap < hi; tap++) {
    int32_t u = (int32_t)(tap / k->a->kernel[1]), v = (int32_t)(tap % k->a->kernel[1]);
    int64_t from, to;
    valid(k, v, &from, &to);
    memset(k->dw + tap * size, 0, (size_t)size * sizeof(float));
    for (int64_t row = 0; from < to && row < (int64_t)k->y.d[0] * k->y.d[1]; row++) {
      int64_t r = row % k->y.d[1] * k->a->stride[0] + (int64_t)u * k->a->dilation[0] - k->a->pad[0];
      if (r < 0 || r >= k->x.d[1]) continue;
      int64_t s = from * k->a->stride[1] + (int64_t)v * k->a->dilation[1] - k->a->pad[1];
      const float *x = k->px + ((row / k->y.d[1] * k->x.d[1] + r) * k->x.d[2] + s) * k->x.d[3], *dy = k->py + (row * k->y.d[2] + from) * k->y.d[3];
      if (one) add_depthwise(k->dw + tap * size, x, (int64_t)k->a->stride[1] * k->x.d[3], dy, k->x.d[3], to - from);
      else add_row(k, x, dy, to - from, k->dw + tap * size);
    }
  }
}

static void conv2d_dw_run(const dor_call *c)
{
  weights k = {c->attr, c->in[0].shape, c->in[1].shape, c->in[0].data, c->in[1].data, c->out[0].data};
  dor_parallel(c->threads, (int64_t)k.a->kernel[0] * k.a->kernel[1], 1, dw_body, &k);
}
const dor_kernel conv2d_dw_cpu = {.name = "conv2d_dw_cpu", .run = conv2d_dw_run};
