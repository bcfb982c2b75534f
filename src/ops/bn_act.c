/* SPDX-License-Identifier: Apache-2.0
 *
 * bn_act: batch norm, a residual and ReLU in one pass; and bn_bwd, all of batch
 * norm's backward (and the ReLU's) in two passes.
 *
 *   x [...,C]   mean, var, gamma, beta [C]   r as x, or none
 *   y = gamma (x - mean) / sqrt(var + eps) + beta + r, then max(., 0) with relu
 *   bn_bwd    (dy, x, mean, var, gamma[, y]) -> dx, dgamma, dbeta as bn_reduce and bn_dx give them, for
 *             g = dy where y > 0, else 0 (y given), or g = dy
 *   Both only stand for chains (fuse.def). */
#include "ops/ops.h"

#include <math.h>
#include <string.h>

static const dor_key keys[] = {DOR_ATTR_REAL(dor_bn_act_attr, eps, "under the root"), DOR_ATTR_BOOL(dor_bn_act_attr, relu, ""), {0}};

static dor_status infer(const dor_infer *c)
{
  DOR_NEED(c->nin == 5 || c->nin == 6, ARG, "bn_act: %d inputs, wants 5 or with a residual 6", c->nin);
  DOR_TRY(dor_op_bn_norm.infer(&(dor_infer){c->attr, 5, 1, c->in, c->out}));
  DOR_NEED(c->nin == 5 || dor_shape_same(c->in[5].shape, c->in[0].shape), SHAPE, "bn_act: the residual is not of x's shape");
  return DOR_OK;
}

static dor_cost cost(const dor_infer *c)
{
  double n = (double)dor_shape_size(c->in[0].shape);
  return (dor_cost){(double)(c->nin - 2) * n, 4 * (double)(c->nin - 3) * n};
}

static void ref(const dor_refcall *c)
{
  const dor_bn_act_attr *a = c->attr;
  int64_t k = dor_last_dim(c->type_in[0].shape), n = dor_shape_size(c->type_in[0].shape);
  const double *mean = c->in[1], *var = c->in[2], *gamma = c->in[3], *beta = c->in[4];
  for (int64_t i = 0; i < n; i++) {
    double y = gamma[i % k] * (c->in[0][i] - mean[i % k]) / sqrt(var[i % k] + a->eps) + beta[i % k];
    if (c->nin > 5) y += c->in[5][i];
    c->out[0][i] = a->relu && y < 0 ? 0 : y;
  }
}

/* bn_norm or bn_infer, then perhaps add, perhaps relu */
static bool fuse(const dor_match *m, dor_fused *f)
{
  const dor_node *norm = m->node[0], *add = m->node[1]->op == &dor_op_add ? m->node[1] : NULL, *last = m->node[m->n - 1];
  dor_bn_act_attr a = {((const dor_bn_attr *)norm->attr)->eps, last->op == &dor_op_relu};
  memcpy(f->attr, &a, sizeof a);
  f->nin = 5, f->nout = 1;
  memcpy(f->in, norm->in, 5 * sizeof *f->in);
  if (add) f->in[f->nin++] = add->in[add->in[0] == norm->out[0]]; /* twice the norm: made inside, which is declined */
  f->out[0] = last->out[0];
  return true;
}

#define ATTR(relu) &(dor_bn_act_attr){1e-5, relu}
#define V(c) DOR_DIMS(c)
#define ACT(label, timed, relu, n, ...)                                                                                                \
  {.name = label, .attr = ATTR(relu), .in = {__VA_ARGS__}, .fill = {[2] = DOR_FILL_POSITIVE, [5] = DOR_FILL_DISTINCT}, .nin = n, .bench = timed}
static const dor_case cases[] = {
    ACT("rows", false, true, 5, DOR_DIMS(9, 7), V(7), V(7), V(7), V(7)),
    ACT("residual", false, false, 6, DOR_DIMS(2, 3, 5, 24), V(24), V(24), V(24), V(24), DOR_DIMS(2, 3, 5, 24)),
    ACT("residual, relu", false, true, 6, DOR_DIMS(2, 9, 5, 64), V(64), V(64), V(64), V(64), DOR_DIMS(2, 9, 5, 64)),
    ACT("hrnet32", true, true, 6, DOR_DIMS(1, 128, 128, 32), V(32), V(32), V(32), V(32), DOR_DIMS(1, 128, 128, 32)),
    {0},
};

const dor_op dor_op_bn_act = {.id = DOR_OP_bn_act, .name = "bn_act", .formula = "y = max(bn(x) + r, 0)", .nin = -1, .nout = 1,
                              .attr_size = sizeof(dor_bn_act_attr), .keys = keys,
                              .narrow = {"x----x", "x"}, .infer = infer, .cost = cost, .ref = ref, .fuse = fuse, .cases = cases};

dor_val dor_bn_act(dor_graph *g, int32_t n, const dor_val in[], double eps, bool relu)
{
  return dor_graph_add(g, &dor_op_bn_act, &(dor_bn_act_attr){eps, relu}, n, in);
}

/* --- backward ---------------------------------------------------------------- */

static const dor_key bwd_keys[] = {DOR_ATTR_REAL(dor_bn_attr, eps, "under the root"), {0}};

static dor_status bwd_infer(const dor_infer *c)
{
  dor_shape x = c->in[1].shape;
  DOR_NEED(c->nin == 5 || c->nin == 6, ARG, "bn_bwd: %d inputs, wants 5 or with the ReLU's output 6", c->nin);
  DOR_NEED(x.n >= 2 && dor_shape_same(c->in[0].shape, x), SHAPE, "bn_bwd: dy and x differ");
  DOR_NEED(c->nin == 5 || dor_shape_same(c->in[5].shape, x), SHAPE, "bn_bwd: y and x differ");
  for (int32_t i = 2; i < 5; i++)
    DOR_NEED(c->in[i].shape.n == 1 && c->in[i].shape.d[0] == dor_last_dim(x), SHAPE, "bn_bwd: input %d must be [%d]", i, dor_last_dim(x));
  c->out[0] = c->in[1];
  c->out[1].shape = c->out[2].shape = c->in[2].shape;
  return DOR_OK;
}

static dor_cost bwd_cost(const dor_infer *c)
{
  double n = (double)dor_shape_size(c->in[1].shape);
  return (dor_cost){9 * n, 4 * (c->nin > 5 ? 7 : 5) * n};
}

static void bwd_ref(const dor_refcall *c)
{
  double eps = ((const dor_bn_attr *)c->attr)->eps;
  int64_t k = dor_last_dim(c->type_in[1].shape), size = dor_shape_size(c->type_in[1].shape);
  const double *dy = c->in[0], *x = c->in[1], *mean = c->in[2], *var = c->in[3], *gamma = c->in[4], *y = c->nin > 5 ? c->in[5] : NULL;
  double *dx = c->out[0], *dgamma = c->out[1], *dbeta = c->out[2], n = (double)(size / k);
  memset(dgamma, 0, (size_t)k * sizeof *dgamma);
  memset(dbeta, 0, (size_t)k * sizeof *dbeta);
  for (int64_t i = 0; i < size; i++) {
    dx[i] = y && !(y[i] > 0) ? 0 : dy[i];
    dgamma[i % k] += dx[i] * (x[i] - mean[i % k]) / sqrt(var[i % k] + eps);
    dbeta[i % k] += dx[i];
  }
  for (int64_t i = 0; i < size; i++) {
    int64_t j = i % k;
    double inv = 1 / sqrt(var[j] + eps), h = (x[i] - mean[j]) * inv;
    dx[i] = gamma[j] * inv * (dx[i] - dbeta[j] / n - h * dgamma[j] / n);
  }
}

/* bn_reduce, bn_dx, perhaps with the ReLU before */
static bool bwd_fuse(const dor_match *m, dor_fused *f)
{
  const dor_node *relu = m->n == 3 ? m->node[0] : NULL, *reduce = m->node[m->n - 2], *dx = m->node[m->n - 1];
  if (dx->in[0] != reduce->in[0] || dx->in[1] != reduce->in[1] || dx->in[5] != reduce->out[0] || dx->in[6] != reduce->out[1]) return false;
  if (relu && (reduce->in[0] != relu->out[0] || reduce->in[1] == relu->out[0])) return false;
  memcpy(f->attr, dx->attr, sizeof(dor_bn_attr));
  f->nin = 5, f->nout = 3;
  memcpy(f->in, dx->in, 5 * sizeof *f->in);
  if (relu) f->in[0] = relu->in[1], f->in[f->nin++] = relu->in[0];
  memcpy(f->out, (dor_val[]){dx->out[0], reduce->out[0], reduce->out[1]}, 3 * sizeof *f->out);
  return true;
}

#define BWD(label, timed, n, ...) \
  {.name = label, .attr = &(dor_bn_attr){1e-5}, .in = {__VA_ARGS__}, .fill = {[3] = DOR_FILL_POSITIVE}, .nin = n, .bench = timed}
static const dor_case bwd_cases[] = {
    BWD("rows", false, 5, DOR_DIMS(9, 7), DOR_DIMS(9, 7), V(7), V(7), V(7)),
    BWD("relu", false, 6, DOR_DIMS(2, 3, 5, 24), DOR_DIMS(2, 3, 5, 24), V(24), V(24), V(24), DOR_DIMS(2, 3, 5, 24)),
    BWD("long", false, 6, DOR_DIMS(2, 19, 11, 32), DOR_DIMS(2, 19, 11, 32), V(32), V(32), V(32), DOR_DIMS(2, 19, 11, 32)),
    BWD("hrnet32", true, 6, DOR_DIMS(1, 128, 128, 32), DOR_DIMS(1, 128, 128, 32), V(32), V(32), V(32), DOR_DIMS(1, 128, 128, 32)),
    {0},
};

const dor_op dor_op_bn_bwd = {.id = DOR_OP_bn_bwd, .name = "bn_bwd", .formula = "dx, dgamma, dbeta of bn and ReLU", .nin = -1, .nout = 3,
                              .attr_size = sizeof(dor_bn_attr), .keys = bwd_keys,
                              .narrow = {"xx---x", "x-"}, .infer = bwd_infer, .cost = bwd_cost, .ref = bwd_ref, .fuse = bwd_fuse,
                              .cases = bwd_cases};

dor_val dor_bn_bwd(dor_graph *g, int32_t n, const dor_val in[], double eps) { return dor_graph_add(g, &dor_op_bn_bwd, &(dor_bn_attr){eps}, n, in); }
