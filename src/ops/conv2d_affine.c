/* SPDX-License-Identifier: Apache-2.0
 *
 * conv2d_affine: a convolution with the batch norm of inference folded in, a residual and ReLU.
 *
 *   x, w, y as in conv2d   mean, var, gamma, beta [O]   r as y, or none   s = gamma / sqrt(var + eps)
 *   y = s conv2d(x, w) + beta - mean s + r, then max(., 0) with relu
 *   stands for chains of conv2d, bn_infer, add and relu (fuse.def); the moments are read when it runs, so one
 *   program serves all folds. No gradient: training has other chains.
 *   source    Jacob et al., arXiv:1712.05877, section 3.2 (folding) */
#include "ops/ops.h"

#include <math.h>
#include <string.h>

static const dor_key keys[] = {
    DOR_ATTR_INTS(dor_affine_attr, conv.kernel, "height, width"), DOR_ATTR_INTS(dor_affine_attr, conv.stride, ""),
    DOR_ATTR_INTS(dor_affine_attr, conv.pad, ""), DOR_ATTR_INTS(dor_affine_attr, conv.dilation, ""),
    DOR_ATTR_INT(dor_affine_attr, conv.groups, ""), DOR_ATTR_REAL(dor_affine_attr, eps, "under the root"),
    DOR_ATTR_BOOL(dor_affine_attr, relu, ""), {0},
};

static dor_status infer(const dor_infer *c)
{
  const dor_affine_attr *a = c->attr;
  DOR_NEED(c->nin == 6 || c->nin == 7, ARG, "conv2d_affine: %d inputs, wants 6 or with a residual 7", c->nin);
  DOR_TRY(dor_op_conv2d.infer(&(dor_infer){&a->conv, 2, 1, c->in, c->out}));
  DOR_NEED(c->nin == 6 || dor_shape_same(c->in[6].shape, c->out[0].shape), SHAPE, "conv2d_affine: the residual is not of y's shape");
  for (int32_t i = 2; i < 6; i++)
    DOR_NEED(c->in[i].shape.n == 1 && c->in[i].shape.d[0] == c->out[0].shape.d[3], SHAPE, "conv2d_affine: input %d must be [%d]", i, c->out[0].shape.d[3]);
  return DOR_OK;
}

static dor_cost cost(const dor_infer *c) { return dor_op_conv2d.cost(&(dor_infer){c->attr, 2, 1, c->in, c->out}); }

static void ref(const dor_refcall *c)
{
  const dor_affine_attr *a = c->attr;
  dor_op_conv2d.ref(&(dor_refcall){&a->conv, 2, 1, c->type_in, c->type_out, c->in, c->out, c->step, 0});
  const double *mean = c->in[2], *var = c->in[3], *gamma = c->in[4], *beta = c->in[5];
  int64_t n = dor_shape_size(c->type_out[0].shape), k = c->type_out[0].shape.d[3];
  for (int64_t i = 0; i < n; i++) {
    double y = (c->out[0][i] - mean[i % k]) * gamma[i % k] / sqrt(var[i % k] + a->eps) + beta[i % k];
    if (c->nin > 6) y += c->in[6][i];
    c->out[0][i] = a->relu && y < 0 ? 0 : y;
  }
}

/* conv2d, bn_infer, then perhaps add, perhaps relu */
static bool fuse(const dor_match *m, dor_fused *f)
{
  const dor_node *conv = m->node[0], *norm = m->node[1], *add = m->n > 2 && m->node[2]->op == &dor_op_add ? m->node[2] : NULL;
  dor_affine_attr a = {.relu = m->node[m->n - 1]->op == &dor_op_relu};
  memcpy(&a.conv, conv->attr, sizeof a.conv);
  a.eps = ((const dor_bn_attr *)norm->attr)->eps;
  memcpy(f->attr, &a, sizeof a);
  f->nin = 6, f->nout = 1;
  memcpy(f->in, conv->in, 2 * sizeof *f->in);
  memcpy(f->in + 2, norm->in + 1, 4 * sizeof *f->in);
  if (add) f->in[f->nin++] = add->in[add->in[0] == norm->out[0]]; /* twice the norm: made inside, which is declined */
  f->out[0] = m->node[m->n - 1]->out[0];
  return norm->in[0] == conv->out[0];
}

#define ATTR(k, s, p, g, h, w, with_relu) &(dor_affine_attr){{{k, k}, {s, s}, {p, p}, {1, 1}, g, {h, w}}, 1e-5, with_relu}
#define VECTORS(n) DOR_DIMS(n), DOR_DIMS(n), DOR_DIMS(n), DOR_DIMS(n)
#define HRNET(label, kernel, stride, size, c, o)                                                                                             \
  {.name = label, .attr = ATTR(kernel, stride, kernel / 2, 1, size, size, true),                                                             \
   .in = {DOR_DIMS(1, size, size, c), DOR_DIMS(kernel, kernel, c, o), VECTORS(o)}, .fill = {[3] = DOR_FILL_POSITIVE}, .nin = 6, .bench = true}
static const dor_case cases[] = {
    {.name = "3x3", .attr = ATTR(3, 1, 1, 1, 5, 6, true), .in = {DOR_DIMS(2, 5, 6, 3), DOR_DIMS(3, 3, 3, 4), VECTORS(4)},
     .fill = {[3] = DOR_FILL_POSITIVE}, .nin = 6},
    {.name = "1x1s2", .attr = ATTR(1, 2, 0, 1, 5, 4, false), .in = {DOR_DIMS(2, 5, 4, 3), DOR_DIMS(1, 1, 3, 17), VECTORS(17)},
     .fill = {[3] = DOR_FILL_POSITIVE}, .nin = 6},
    {.name = "depthwise", .attr = ATTR(3, 1, 1, 9, 6, 5, true), .in = {DOR_DIMS(2, 6, 5, 9), DOR_DIMS(3, 3, 1, 9), VECTORS(9)},
     .fill = {[3] = DOR_FILL_POSITIVE}, .nin = 6},
    {.name = "wide", .attr = ATTR(3, 1, 1, 1, 8, 8, true), .in = {DOR_DIMS(2, 8, 8, 16), DOR_DIMS(3, 3, 16, 32), VECTORS(32)},
     .fill = {[3] = DOR_FILL_POSITIVE}, .nin = 6},
    {.name = "residual", .attr = ATTR(3, 1, 1, 1, 8, 12, true),
     .in = {DOR_DIMS(2, 8, 12, 16), DOR_DIMS(3, 3, 16, 16), VECTORS(16), DOR_DIMS(2, 8, 12, 16)}, .fill = {[3] = DOR_FILL_POSITIVE}, .nin = 7},
    {.name = "wide 3x3s2", .attr = ATTR(3, 2, 1, 1, 9, 8, true), .in = {DOR_DIMS(2, 9, 8, 12), DOR_DIMS(3, 3, 12, 48), VECTORS(48), DOR_DIMS(2, 5, 4, 48)},
     .fill = {[3] = DOR_FILL_POSITIVE}, .nin = 7},
    {.name = "3x3s2 residual", .attr = ATTR(3, 2, 1, 1, 7, 12, false),
     .in = {DOR_DIMS(2, 7, 12, 5), DOR_DIMS(3, 3, 5, 27), VECTORS(27), DOR_DIMS(2, 4, 6, 27)}, .fill = {[3] = DOR_FILL_POSITIVE}, .nin = 7},
    {.name = "1x1 residual", .attr = ATTR(1, 1, 0, 1, 5, 7, true),
     .in = {DOR_DIMS(1, 5, 7, 9), DOR_DIMS(1, 1, 9, 72), VECTORS(72), DOR_DIMS(1, 5, 7, 72)}, .fill = {[3] = DOR_FILL_POSITIVE}, .nin = 7},
    HRNET("hrnet stem", 3, 2, 512, 3, 64), HRNET("hrnet stem 2", 3, 2, 256, 64, 64), HRNET("hrnet reduce", 1, 1, 128, 256, 64),
    HRNET("hrnet expand", 1, 1, 128, 64, 256), HRNET("hrnet transition", 3, 2, 128, 256, 64), HRNET("hrnet down 32", 3, 2, 128, 32, 64),
    HRNET("hrnet down 64", 3, 2, 64, 64, 128), HRNET("hrnet down 128", 3, 2, 32, 128, 256), HRNET("hrnet up 64", 1, 1, 64, 64, 32),
    HRNET("hrnet up 256", 1, 1, 16, 256, 32), HRNET("hrnet32", 3, 1, 128, 32, 32),
    {.name = "hrnet64", .attr = ATTR(3, 1, 1, 1, 64, 64, true), .in = {DOR_DIMS(1, 64, 64, 64), DOR_DIMS(3, 3, 64, 64), VECTORS(64)},
     .fill = {[3] = DOR_FILL_POSITIVE}, .nin = 6, .bench = true},
    {0},
};

const dor_op dor_op_conv2d_affine = {.id = DOR_OP_conv2d_affine, .name = "conv2d_affine", .formula = "y = max(s conv2d(x, w) + beta - mean s + r, 0)",
                                     .nin = -1, .nout = 1, .attr_size = sizeof(dor_affine_attr), .keys = keys,
                                     .narrow = {"x-----x", "x"}, .infer = infer, .cost = cost,
                                     .ref = ref, .fuse = fuse, .cases = cases};

dor_val dor_conv2d_affine(dor_graph *g, int32_t n, const dor_val in[], const dor_affine_attr *a)
{
  return dor_graph_add(g, &dor_op_conv2d_affine, a, n, in);
}
