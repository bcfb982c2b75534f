/* SPDX-License-Identifier: Apache-2.0
 *
 * conv_bn_pool: the first block of a net on one-channel images (silhouettes) at
 * once: 3x3 convolution, batch norm, ReLU, 2x2 max pool; and its backward. The
 * convolved map is larger than everything else in a step, and computing it again
 * from one channel is cheaper than writing and reading it.
 *
 *   x [N,H,W,1]   w [3,3,1,C]   gamma, beta [C]   p, arg [N,H/2,W/2,C]   mean, var [C] of y = x * w (border 1)
 *   forward   as conv2d, bn_stats and bn_relu_pool
 *   backward  (dp, arg, p, x, w, mean, var, gamma) -> dw, dgamma, dbeta, as bn_relu_pool_bwd and conv2d_dw */
#include "ops/ops.h"

#include <math.h>
#include <string.h>

static const dor_key keys[] = {DOR_ATTR_REAL(dor_bn_pool_attr, eps, "under the root"), DOR_ATTR_INT(dor_bn_pool_attr, size, "of x"), {0}};

static dor_status sizes(const dor_bn_pool_attr *a, dor_shape x, dor_shape w)
{
  DOR_NEED(x.n == 4 && x.d[1] == a->size[0] && x.d[2] == a->size[1] && x.d[3] == 1, SHAPE, "conv_bn_pool: wants x [N,H,W,1] of the attributes' size");
  DOR_NEED(w.n == 4 && w.d[0] == 3 && w.d[1] == 3 && w.d[2] == 1, SHAPE, "conv_bn_pool: wants w [3,3,1,C]");
  DOR_NEED(x.d[1] >= 2 && x.d[2] >= 2, SHAPE, "conv_bn_pool: a map of %d x %d has no window", x.d[1], x.d[2]);
  return DOR_OK;
}

static dor_status vectors(const dor_infer *c, int32_t from, int32_t channels)
{
  for (int32_t i = from; i < c->nin; i++)
    DOR_NEED(c->in[i].shape.n == 1 && c->in[i].shape.d[0] == channels, SHAPE, "conv_bn_pool: input %d must be [%d]", i, channels);
  return DOR_OK;
}

static dor_shape pooled(dor_shape x, int32_t channels) { return DOR_SHAPE(x.d[0], x.d[1] / 2, x.d[2] / 2, channels); }

static dor_status infer(const dor_infer *c)
{
  dor_shape x = c->in[0].shape, w = c->in[1].shape;
  DOR_TRY(sizes(c->attr, x, w));
  DOR_TRY(vectors(c, 2, w.d[3]));
  c->out[0].shape = c->out[1].shape = pooled(x, w.d[3]);
  c->out[0].dtype = c->in[0].dtype;
  c->out[1].dtype = DOR_U8;
  c->out[2].shape = c->out[3].shape = DOR_SHAPE(w.d[3]);
  return DOR_OK;
}

static dor_cost cost(const dor_infer *c)
{
  double pixels = (double)dor_shape_size(c->in[0].shape), channels = c->in[1].shape.d[3];
  return (dor_cost){22 * pixels * channels, 4 * pixels + 5 * pixels * channels / 4};
}

typedef struct image { /* the convolution, computed where it is asked for */
  const double *x, *w;
  int32_t h, width, channels;
} image;

static double pixel(const image *m, int64_t n, int32_t i, int32_t j)
{
  return i < 0 || j < 0 || i >= m->h || j >= m->width ? 0 : m->x[(n * m->h + i) * m->width + j];
}

static double conv(const image *m, int64_t n, int32_t i, int32_t j, int32_t o)
{
  double y = 0;
  for (int32_t tap = 0; tap < 9; tap++) y += pixel(m, n, i + tap / 3 - 1, j + tap % 3 - 1) * m->w[tap * m->channels + o];
  return y;
}

static void moments(const image *m, int64_t n, int32_t o, double *mean, double *var)
{
  double sum = 0, squares = 0, count = (double)n * m->h * m->width;
  for (int64_t k = 0; k < n * m->h; k++)
    for (int32_t j = 0; j < m->width; j++) sum += conv(m, k / m->h, (int32_t)(k % m->h), j, o);
  for (int64_t k = 0; k < n * m->h; k++)
    for (int32_t j = 0; j < m->width; j++) squares += pow(conv(m, k / m->h, (int32_t)(k % m->h), j, o) - sum / count, 2);
  *mean = sum / count;
  *var = squares / count;
}

static void ref(const dor_refcall *c)
{
  double eps = ((const dor_bn_pool_attr *)c->attr)->eps;
  dor_shape x = c->type_in[0].shape, p = c->type_out[0].shape;
  image m = {c->in[0], c->in[1], x.d[1], x.d[2], p.d[3]};
  for (int32_t o = 0; o < p.d[3]; o++) moments(&m, x.d[0], o, &c->out[2][o], &c->out[3][o]);
  for (int64_t k = 0, size = dor_shape_size(p); k < size; k++) {
    int32_t o = (int32_t)(k % p.d[3]), j = (int32_t)(k / p.d[3] % p.d[2]), i = (int32_t)(k / p.d[3] / p.d[2] % p.d[1]);
    for (int32_t at = 0; at < 4; at++) {
      double y = conv(&m, k / p.d[3] / p.d[2] / p.d[1], 2 * i + at / 2, 2 * j + at % 2, o);
      double r = fmax(c->in[2][o] * (y - c->out[2][o]) / sqrt(c->out[3][o] + eps) + c->in[3][o], 0);
      if (at && r <= c->out[0][k]) continue;
      c->out[0][k] = r;
      c->out[1][k] = at;
    }
  }
}

static bool fits(const dor_conv2d_attr *a)
{
  for (int32_t k = 0; k < 2; k++)
    if (a->kernel[k] != 3 || a->stride[k] != 1 || a->pad[k] != 1 || a->dilation[k] != 1) return false;
  return a->groups == 1;
}

static bool one_channel(const dor_match *m, dor_val x) { return m->graph->value[x].type.shape.d[3] == 1; }

/* conv2d, bn_stats, bn_relu_pool */
static bool fuse(const dor_match *m, dor_fused *f)
{
  const dor_node *conv2d = m->node[0], *stats = m->node[1], *pool = m->node[2];
  if (!fits(conv2d->attr) || !one_channel(m, conv2d->in[0])) return false;
  if (pool->in[0] != conv2d->out[0] || pool->in[2] != stats->out[1]) return false;
  memcpy(f->attr, pool->attr, sizeof(dor_bn_pool_attr));
  f->nin = 4, f->nout = 4;
  memcpy(f->in, (dor_val[]){conv2d->in[0], conv2d->in[1], pool->in[3], pool->in[4]}, 4 * sizeof *f->in);
  memcpy(f->out, (dor_val[]){pool->out[0], pool->out[1], stats->out[0], stats->out[1]}, 4 * sizeof *f->out);
  return true;
}

#define ATTR(h, w) &(dor_bn_pool_attr){1e-5, {h, w}}
#define V(c) DOR_DIMS(c)
#define CASE(label, timed, n, h, w, c) \
  {.name = label, .attr = ATTR(h, w), .in = {DOR_DIMS(n, h, w, 1), DOR_DIMS(3, 3, 1, c), V(c), V(c)}, .bench = timed}
static const dor_case cases[] = {
    CASE("even", false, 2, 6, 4, 5), CASE("odd", false, 3, 7, 5, 16), CASE("8 channels", false, 3, 2, 2, 8), CASE("wide", false, 2, 8, 22, 48),
    CASE("silhouette", true, 32, 64, 64, 16), {0},
};

const dor_op dor_op_conv_bn_pool = {.id = DOR_OP_conv_bn_pool, .name = "conv_bn_pool", .formula = "p = max over 2x2 of max(bn(x * w), 0)", .nin = 4,
                                    .nout = 4, .attr_size = sizeof(dor_bn_pool_attr), .keys = keys,
                                    .narrow = {"x-", "x-"}, .infer = infer, .cost = cost, .ref = ref,
                                    .fuse = fuse, .cases = cases};

/* --- backward ---------------------------------------------------------------- */

static dor_status dw_infer(const dor_infer *c)
{
  dor_shape x = c->in[3].shape, w = c->in[4].shape;
  DOR_TRY(sizes(c->attr, x, w));
  DOR_TRY(vectors(c, 5, w.d[3]));
  for (int32_t i = 0; i < 3; i++) DOR_NEED(dor_shape_same(c->in[i].shape, pooled(x, w.d[3])), SHAPE, "conv_bn_pool_dw: input %d is of another size", i);
  c->out[0].shape = w;
  c->out[1].shape = c->out[2].shape = DOR_SHAPE(w.d[3]);
  return DOR_OK;
}

static dor_cost dw_cost(const dor_infer *c)
{
  double pixels = (double)dor_shape_size(c->in[3].shape), channels = c->in[4].shape.d[3];
  return (dor_cost){24 * pixels * channels, 4 * pixels + 9 * pixels * channels / 4};
}

typedef struct window { /* of an output: its channel, and the pixel that was the largest */
  int64_t n;
  int32_t i, j, o;
  double g;
} window;

static window window_of(const dor_refcall *c, int64_t k)
{
  dor_shape p = c->type_in[0].shape;
  int64_t at = (int64_t)c->in[1][k], q = k / p.d[3];
  window v = {.n = q / p.d[2] / p.d[1], .o = (int32_t)(k % p.d[3]), .g = c->in[2][k] > 0 ? c->in[0][k] : 0};
  v.i = (int32_t)(2 * (q / p.d[2] % p.d[1]) + at / 2);
  v.j = (int32_t)(2 * (q % p.d[2]) + at % 2);
  return v;
}

static void add_taps(const image *m, double *dw, window v, double dy)
{
  for (int32_t tap = 0; tap < 9; tap++) dw[tap * m->channels + v.o] += dy * pixel(m, v.n, v.i + tap / 3 - 1, v.j + tap % 3 - 1);
}

/* Every pixel gets -gamma / sd (dbeta + h dgamma) / n, the largest of each window gamma / sd g besides. */
static void dw_ref(const dor_refcall *c)
{
  dor_shape x = c->type_in[3].shape;
  image m = {c->in[3], c->in[4], x.d[1], x.d[2], c->type_in[4].shape.d[3]};
  double eps = ((const dor_bn_pool_attr *)c->attr)->eps, count = (double)dor_shape_size(x), *dw = c->out[0], *dgamma = c->out[1], *dbeta = c->out[2];
  for (int32_t i = 0; i < 3; i++) memset(c->out[i], 0, (size_t)dor_shape_size(c->type_out[i].shape) * sizeof(double));
  for (int64_t k = 0; k < dor_shape_size(c->type_in[0].shape); k++) {
    window v = window_of(c, k);
    double sd = sqrt(c->in[6][v.o] + eps);
    add_taps(&m, dw, v, v.g * c->in[7][v.o] / sd);
    dgamma[v.o] += v.g * (conv(&m, v.n, v.i, v.j, v.o) - c->in[5][v.o]) / sd;
    dbeta[v.o] += v.g;
  }
  for (int64_t k = 0; k < dor_shape_size(x) * m.channels; k++) {
    int64_t q = k / m.channels;
    window v = {q / x.d[2] / x.d[1], (int32_t)(q / x.d[2] % x.d[1]), (int32_t)(q % x.d[2]), (int32_t)(k % m.channels), 0};
    double sd = sqrt(c->in[6][v.o] + eps), h = (conv(&m, v.n, v.i, v.j, v.o) - c->in[5][v.o]) / sd;
    add_taps(&m, dw, v, -c->in[7][v.o] / sd * (dbeta[v.o] + h * dgamma[v.o]) / count);
  }
}

/* bn_relu_pool_bwd, conv2d_dw: nobody else may want the map's gradient. */
static bool dw_fuse(const dor_match *m, dor_fused *f)
{
  const dor_node *pool = m->node[0], *dw = m->node[1];
  if (!fits(dw->attr) || !one_channel(m, dw->in[0]) || dw->in[1] != pool->out[0]) return false;
  const dor_node *conv2d = NULL;
  for (const dor_node *n = m->graph->node; n < m->graph->node + m->graph->nnode; n++)
    if (n->op == &dor_op_conv2d && n->out[0] == pool->in[3]) conv2d = n;
  if (!conv2d || conv2d->in[0] != dw->in[0]) return false;
  memcpy(f->attr, pool->attr, sizeof(dor_bn_pool_attr));
  f->nin = 8, f->nout = 3;
  memcpy(f->in, (dor_val[]){pool->in[0], pool->in[1], pool->in[2], dw->in[0], conv2d->in[1], pool->in[4], pool->in[5], pool->in[6]}, 8 * sizeof *f->in);
  memcpy(f->out, (dor_val[]){dw->out[0], pool->out[1], pool->out[2]}, 3 * sizeof *f->out);
  return true;
}

#define P(n, h, w, c) DOR_DIMS(n, (h) / 2, (w) / 2, c)
#define DW_CASE(label, timed, n, h, w, c)                                                                                                   \
  {.name = label, .attr = ATTR(h, w),                                                                                                       \
   .in = {P(n, h, w, c), P(n, h, w, c), P(n, h, w, c), DOR_DIMS(n, h, w, 1), DOR_DIMS(3, 3, 1, c), V(c), V(c), V(c)}, .dtype = {[1] = DOR_U8}, \
   .fill = {[1] = DOR_FILL_LABELS, [6] = DOR_FILL_POSITIVE}, .labels = 4, .bench = timed}
static const dor_case dw_cases[] = {
    DW_CASE("even", false, 2, 6, 4, 5), DW_CASE("odd", false, 3, 7, 5, 16), DW_CASE("8 channels", false, 3, 2, 2, 8),
    DW_CASE("wide", false, 2, 8, 22, 48), DW_CASE("silhouette", true, 32, 64, 64, 16), {0},
};

const dor_op dor_op_conv_bn_pool_dw = {.id = DOR_OP_conv_bn_pool_dw, .name = "conv_bn_pool_dw", .formula = "dw, dgamma, dbeta of conv_bn_pool", .nin = 8,
                                       .nout = 3, .attr_size = sizeof(dor_bn_pool_attr), .keys = keys,
                                       .narrow = {"x-xx-", "-"}, .infer = dw_infer, .cost = dw_cost,
                                       .ref = dw_ref, .fuse = dw_fuse, .cases = dw_cases};

dor_val dor_conv_bn_pool(dor_graph *g, dor_val x, dor_val w, dor_val gamma, dor_val beta, double eps)
{
  dor_shape s = dor_graph_type(g, x).shape;
  return dor_graph_add(g, &dor_op_conv_bn_pool, &(dor_bn_pool_attr){eps, {s.d[1], s.d[2]}}, 4, (dor_val[]){x, w, gamma, beta});
}

dor_val dor_conv_bn_pool_dw(dor_graph *g, dor_val dp, dor_val arg, dor_val p, dor_val x, dor_val w, dor_val mean, dor_val var, dor_val gamma, double eps)
{
  dor_shape s = dor_graph_type(g, x).shape;
  return dor_graph_add(g, &dor_op_conv_bn_pool_dw, &(dor_bn_pool_attr){eps, {s.d[1], s.d[2]}}, 8, (dor_val[]){dp, arg, p, x, w, mean, var, gamma});
}
