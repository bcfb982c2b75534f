/* SPDX-License-Identifier: Apache-2.0
 *
 * conv2d_affine: a convolution with the batch norm of inference folded in, and ReLU.
 *
 *   x, w, y as in conv2d   mean, var, gamma, beta [O]   s = gamma / sqrt(var + eps)
 *   y = conv2d(x, w s) + beta - mean s, then max(., 0) with relu
 *   stands for chains of conv2d, bn_infer and relu (fuse.def); the moments are read when it runs, so one
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
  DOR_TRY(dor_op_conv2d.infer(&(dor_infer){&a->conv, 2, 1, c->in, c->out}));
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
    c->out[0][i] = a->relu && y < 0 ? 0 : y;
  }
}

static bool fuse(const dor_match *m, dor_fused *f)
{
  const dor_node *conv = m->node[0], *norm = m->node[1];
  dor_affine_attr a = {.relu = m->n == 3};
  memcpy(&a.conv, conv->attr, sizeof a.conv);
  a.eps = ((const dor_bn_attr *)norm->attr)->eps;
  memcpy(f->attr, &a, sizeof a);
  f->nin = 6, f->nout = 1;
  memcpy(f->in, conv->in, 2 * sizeof *f->in);
  memcpy(f->in + 2, norm->in + 1, 4 * sizeof *f->in);
  f->out[0] = m->node[m->n - 1]->out[0];
  return norm->in[0] == conv->out[0];
}

#define ATTR(k, s, p, g, h, w, with_relu) &(dor_affine_attr){{{k, k}, {s, s}, {p, p}, {1, 1}, g, {h, w}}, 1e-5, with_relu}
#define VECTORS(n) DOR_DIMS(n), DOR_DIMS(n), DOR_DIMS(n), DOR_DIMS(n)
static const dor_case cases[] = {
    {.name = "3x3", .attr = ATTR(3, 1, 1, 1, 5, 6, true), .in = {DOR_DIMS(2, 5, 6, 3), DOR_DIMS(3, 3, 3, 4), VECTORS(4)},
     .fill = {[3] = DOR_FILL_POSITIVE}},
    {.name = "1x1s2", .attr = ATTR(1, 2, 0, 1, 5, 4, false), .in = {DOR_DIMS(2, 5, 4, 3), DOR_DIMS(1, 1, 3, 17), VECTORS(17)},
     .fill = {[3] = DOR_FILL_POSITIVE}},
    {.name = "depthwise", .attr = ATTR(3, 1, 1, 9, 6, 5, true), .in = {DOR_DIMS(2, 6, 5, 9), DOR_DIMS(3, 3, 1, 9), VECTORS(9)},
     .fill = {[3] = DOR_FILL_POSITIVE}},
    {.name = "wide", .attr = ATTR(3, 1, 1, 1, 8, 8, true), .in = {DOR_DIMS(2, 8, 8, 16), DOR_DIMS(3, 3, 16, 32), VECTORS(32)},
     .fill = {[3] = DOR_FILL_POSITIVE}},
    {.name = "hrnet64", .attr = ATTR(3, 1, 1, 1, 64, 64, true), .in = {DOR_DIMS(1, 64, 64, 64), DOR_DIMS(3, 3, 64, 64), VECTORS(64)},
     .fill = {[3] = DOR_FILL_POSITIVE}, .bench = true},
    {0},
};

const dor_op dor_op_conv2d_affine = {.id = DOR_OP_conv2d_affine, .name = "conv2d_affine", .formula = "y = max(conv2d(x, w s) + beta - mean s, 0)",
                                     .nin = 6, .nout = 1, .attr_size = sizeof(dor_affine_attr), .keys = keys, .infer = infer, .cost = cost,
                                     .ref = ref, .fuse = fuse, .cases = cases};

dor_val dor_conv2d_affine(dor_graph *g, const dor_val in[6], const dor_affine_attr *a) { return dor_graph_add(g, &dor_op_conv2d_affine, a, 6, in); }
