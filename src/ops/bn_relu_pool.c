/* SPDX-License-Identifier: Apache-2.0
 *
 * bn_relu_pool: batch norm, ReLU and a 2x2 max pool at once; and its backward.
 *
 *   x [N,H,W,C]   mean, var, gamma, beta [C]   p, arg [N,H/2,W/2,C] (arg u8: 2 u + v of the first largest)
 *   r = max(gamma (x - mean) / sqrt(var + eps) + beta, 0),  p = max of r over the window
 *   backward  (dp, arg, p, x, mean, var, gamma) -> dx, dgamma, dbeta; with g = dp at arg where p > 0, else 0:
 *             dgamma = sum g h, dbeta = sum g, dx = gamma / sd (g - dbeta / n - h dgamma / n), h = (x - mean) / sd
 *   Both only stand for chains of bn_norm, relu and max_pool (fuse.def): the map between them is never written. */
#include "ops/ops.h"

#include <math.h>
#include <string.h>

static const dor_key keys[] = {DOR_ATTR_REAL(dor_bn_pool_attr, eps, "under the root"), DOR_ATTR_INT(dor_bn_pool_attr, size, "of x"), {0}};

static dor_status vectors(const dor_infer *c, int32_t from, int32_t channels)
{
  for (int32_t i = from; i < c->nin; i++)
    DOR_NEED(c->in[i].shape.n == 1 && c->in[i].shape.d[0] == channels, SHAPE, "bn_relu_pool: input %d must be [%d]", i, channels);
  return DOR_OK;
}

static dor_status sizes(const dor_bn_pool_attr *a, dor_shape x)
{
  DOR_NEED(x.n == 4 && x.d[1] == a->size[0] && x.d[2] == a->size[1], SHAPE, "bn_relu_pool: wants x [N,H,W,C] of the attributes' size");
  DOR_NEED(x.d[1] >= 2 && x.d[2] >= 2, SHAPE, "bn_relu_pool: a map of %d x %d has no window", x.d[1], x.d[2]);
  return DOR_OK;
}

static dor_shape pooled(dor_shape x) { return DOR_SHAPE(x.d[0], x.d[1] / 2, x.d[2] / 2, x.d[3]); }

static dor_status infer(const dor_infer *c)
{
  dor_shape x = c->in[0].shape;
  DOR_TRY(sizes(c->attr, x));
  DOR_TRY(vectors(c, 1, x.d[3]));
  c->out[0].shape = c->out[1].shape = pooled(x);
  c->out[0].dtype = c->in[0].dtype;
  c->out[1].dtype = DOR_U8;
  return DOR_OK;
}

static dor_cost cost(const dor_infer *c)
{
  double n = (double)dor_shape_size(c->in[0].shape);
  return (dor_cost){4 * n, 4 * n + 5 * n / 4};
}

/* The index in x of place `at` (2 u + v) of the window of output k. */
static int64_t place(dor_shape x, int64_t k, int32_t at)
{
  int64_t h = x.d[1] / 2, w = x.d[2] / 2, c = k % x.d[3], j = k / x.d[3] % w, i = k / x.d[3] / w % h, n = k / x.d[3] / w / h;
  return ((n * x.d[1] + 2 * i + at / 2) * x.d[2] + 2 * j + at % 2) * x.d[3] + c;
}

static void ref(const dor_refcall *c)
{
  double eps = ((const dor_bn_pool_attr *)c->attr)->eps;
  dor_shape x = c->type_in[0].shape;
  for (int64_t k = 0, n = dor_shape_size(c->type_out[0].shape); k < n; k++) {
    int64_t ch = k % x.d[3];
    for (int32_t at = 0; at < 4; at++) {
      double h = (c->in[0][place(x, k, at)] - c->in[1][ch]) / sqrt(c->in[2][ch] + eps), r = fmax(c->in[3][ch] * h + c->in[4][ch], 0);
      if (at && r <= c->out[0][k]) continue;
      c->out[0][k] = r;
      c->out[1][k] = at;
    }
  }
}

static bool same_pool(const dor_pool_attr *a)
{
  for (int32_t k = 0; k < 2; k++)
    if (a->kernel[k] != 2 || a->stride[k] != 2 || a->pad[k]) return false;
  return true;
}

/* bn_norm or bn_infer, relu, max_pool */
static bool fuse(const dor_match *m, dor_fused *f)
{
  const dor_node *norm = m->node[0], *pool = m->node[2];
  if (m->graph->value[norm->in[0]].type.shape.n != 4 || !same_pool(pool->attr)) return false;
  dor_bn_pool_attr a = {.eps = ((const dor_bn_attr *)norm->attr)->eps};
  memcpy(a.size, ((const dor_pool_attr *)pool->attr)->size, sizeof a.size);
  memcpy(f->attr, &a, sizeof a);
  f->nin = 5, f->nout = 2;
  memcpy(f->in, norm->in, 5 * sizeof *f->in);
  memcpy(f->out, pool->out, 2 * sizeof *f->out);
  return true;
}

#define ATTR(h, w) &(dor_bn_pool_attr){1e-5, {h, w}}
#define X(n, h, w, c) DOR_DIMS(n, h, w, c)
#define P(n, h, w, c) DOR_DIMS(n, (h) / 2, (w) / 2, c)
#define V(c) DOR_DIMS(c)
#define CASE(label, timed, n, h, w, c) \
  {.name = label, .attr = ATTR(h, w), .in = {X(n, h, w, c), V(c), V(c), V(c), V(c)}, .fill = {[2] = DOR_FILL_POSITIVE}, .bench = timed}
static const dor_case cases[] = {
    CASE("even", false, 2, 6, 4, 5), CASE("odd", false, 2, 7, 5, 16), CASE("8 channels", false, 3, 2, 2, 8), CASE("wide", false, 2, 8, 6, 48),
    CASE("silhouette", true, 32, 64, 64, 16), {0},
};

const dor_op dor_op_bn_relu_pool = {.id = DOR_OP_bn_relu_pool, .name = "bn_relu_pool", .formula = "p = max over 2x2 of max(bn(x), 0)", .nin = 5,
                                    .nout = 2, .attr_size = sizeof(dor_bn_pool_attr), .keys = keys,
                                    .narrow = {"x-", "x-"}, .infer = infer, .cost = cost, .ref = ref,
                                    .fuse = fuse, .cases = cases};

/* --- backward ---------------------------------------------------------------- */

static dor_status bwd_infer(const dor_infer *c)
{
  dor_shape x = c->in[3].shape;
  DOR_TRY(sizes(c->attr, x));
  DOR_TRY(vectors(c, 4, x.d[3]));
  for (int32_t i = 0; i < 3; i++) DOR_NEED(dor_shape_same(c->in[i].shape, pooled(x)), SHAPE, "bn_relu_pool_bwd: input %d is of another size", i);
  c->out[0] = c->in[3];
  c->out[1].shape = c->out[2].shape = DOR_SHAPE(x.d[3]);
  return DOR_OK;
}

static dor_cost bwd_cost(const dor_infer *c)
{
  double n = (double)dor_shape_size(c->in[3].shape);
  return (dor_cost){6 * n, 12 * n + 18 * n / 4};
}

static void bwd_ref(const dor_refcall *c)
{
  double eps = ((const dor_bn_pool_attr *)c->attr)->eps;
  dor_shape x = c->type_in[3].shape;
  int64_t channels = x.d[3], size = dor_shape_size(x);
  const double *in = c->in[3], *mean = c->in[4], *var = c->in[5], *gamma = c->in[6];
  double *dx = c->out[0], *dgamma = c->out[1], *dbeta = c->out[2], n = (double)(size / channels);
  memset(dx, 0, (size_t)size * sizeof *dx);
  memset(dgamma, 0, (size_t)channels * sizeof *dgamma);
  memset(dbeta, 0, (size_t)channels * sizeof *dbeta);
  for (int64_t k = 0; k < dor_shape_size(c->type_in[0].shape); k++) {
    int64_t at = place(x, k, (int32_t)c->in[1][k]), ch = k % channels;
    double g = c->in[2][k] > 0 ? c->in[0][k] : 0;
    dx[at] = g;
    dgamma[ch] += g * (in[at] - mean[ch]) / sqrt(var[ch] + eps);
    dbeta[ch] += g;
  }
  for (int64_t i = 0; i < size; i++) {
    int64_t ch = i % channels;
    double sd = sqrt(var[ch] + eps), h = (in[i] - mean[ch]) / sd;
    dx[i] = gamma[ch] / sd * (dx[i] - dbeta[ch] / n - h * dgamma[ch] / n);
  }
}

/* The pool whose places `arg` are; NULL when something else made it. */
static const dor_node *pool_of(const dor_graph *g, dor_val arg)
{
  for (const dor_node *n = g->node; n < g->node + g->nnode; n++)
    if (n->op == &dor_op_max_pool && n->out[1] == arg) return n;
  return NULL;
}

/* max_pool_dx, relu_bwd, bn_reduce, bn_dx. Their ReLU's output is needed only where it was the largest: there it is p. */
static bool bwd_fuse(const dor_match *m, dor_fused *f)
{
  const dor_node *unpool = m->node[0], *relu = m->node[1], *reduce = m->node[2], *dx = m->node[3], *pool = pool_of(m->graph, unpool->in[1]);
  if (!pool || !same_pool(pool->attr) || pool->in[0] != relu->in[0] || relu->in[1] != unpool->out[0]) return false;
  if (reduce->in[0] != relu->out[0] || dx->in[0] != relu->out[0] || dx->in[1] != reduce->in[1]) return false;
  if (dx->in[5] != reduce->out[0] || dx->in[6] != reduce->out[1]) return false;
  dor_bn_pool_attr a = {.eps = ((const dor_bn_attr *)dx->attr)->eps};
  memcpy(a.size, ((const dor_pool_attr *)pool->attr)->size, sizeof a.size);
  memcpy(f->attr, &a, sizeof a);
  f->nin = 7, f->nout = 3;
  memcpy(f->in, (dor_val[]){unpool->in[0], unpool->in[1], pool->out[0], dx->in[1], dx->in[2], dx->in[3], dx->in[4]}, 7 * sizeof *f->in);
  memcpy(f->out, (dor_val[]){dx->out[0], reduce->out[0], reduce->out[1]}, 3 * sizeof *f->out);
  return true;
}

#define BWD_CASE(label, timed, n, h, w, c)                                                                                          \
  {.name = label, .attr = ATTR(h, w), .in = {P(n, h, w, c), P(n, h, w, c), P(n, h, w, c), X(n, h, w, c), V(c), V(c), V(c)}, \
   .dtype = {[1] = DOR_U8}, .fill = {[1] = DOR_FILL_LABELS, [5] = DOR_FILL_POSITIVE}, .labels = 4, .bench = timed}
static const dor_case bwd_cases[] = {
    BWD_CASE("even", false, 2, 6, 4, 5), BWD_CASE("odd", false, 2, 7, 5, 16), BWD_CASE("8 channels", false, 3, 2, 2, 8), BWD_CASE("wide", false, 2, 8, 6, 48),
    BWD_CASE("silhouette", true, 32, 64, 64, 16), {0},
};

const dor_op dor_op_bn_relu_pool_bwd = {.id = DOR_OP_bn_relu_pool_bwd, .name = "bn_relu_pool_bwd", .formula = "dx, dgamma, dbeta of bn_relu_pool",
                                        .nin = 7, .nout = 3, .attr_size = sizeof(dor_bn_pool_attr), .keys = keys, .narrow = {"x-xx-", "x-"}, .infer = bwd_infer,
                                        .cost = bwd_cost, .ref = bwd_ref, .fuse = bwd_fuse, .cases = bwd_cases};

dor_val dor_bn_relu_pool(dor_graph *g, dor_val x, dor_val mean, dor_val var, dor_val gamma, dor_val beta, double eps)
{
  dor_shape s = dor_graph_type(g, x).shape;
  return dor_graph_add(g, &dor_op_bn_relu_pool, &(dor_bn_pool_attr){eps, {s.d[1], s.d[2]}}, 5, (dor_val[]){x, mean, var, gamma, beta});
}

dor_val dor_bn_relu_pool_bwd(dor_graph *g, dor_val dp, dor_val arg, dor_val p, dor_val x, dor_val mean, dor_val var, dor_val gamma, double eps)
{
  dor_shape s = dor_graph_type(g, x).shape;
  return dor_graph_add(g, &dor_op_bn_relu_pool_bwd, &(dor_bn_pool_attr){eps, {s.d[1], s.d[2]}}, 7, (dor_val[]){dp, arg, p, x, mean, var, gamma});
}
