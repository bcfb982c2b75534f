/* SPDX-License-Identifier: Apache-2.0
 *
 * conv2d_stats: a convolution and its output's moments for batch norm, taken
 * while the outputs are in registers.
 *
 *   x [N,H,W,C]   w [K,K,C/G,O]   y as conv2d   mean, var [O] over N, H' and W' of y
 *   stands for conv2d followed by bn_stats (fuse.def) */
#include "ops/ops.h"

#include <string.h>

static const dor_key keys[] = {
    DOR_ATTR_INT(dor_conv2d_attr, kernel, "height, width"), DOR_ATTR_INT(dor_conv2d_attr, stride, ""),
    DOR_ATTR_INT(dor_conv2d_attr, pad, "zeros on each side"), DOR_ATTR_INT(dor_conv2d_attr, dilation, "steps between taps"),
    DOR_ATTR_INT(dor_conv2d_attr, groups, ""), DOR_ATTR_INT(dor_conv2d_attr, size, "of x"), {0},
};

static dor_status infer(const dor_infer *c)
{
  DOR_TRY(dor_op_conv2d.infer(c));
  c->out[1].shape = c->out[2].shape = DOR_SHAPE(dor_last_dim(c->out[0].shape));
  return DOR_OK;
}

static dor_cost cost(const dor_infer *c) { return dor_op_conv2d.cost(c); }

static void ref(const dor_refcall *c)
{
  dor_refcall conv = *c, stats = *c;
  conv.nout = 1;
  dor_op_conv2d.ref(&conv);
  stats.nin = 1, stats.nout = 2;
  stats.type_in = c->type_out, stats.in = (const double *const *)c->out;
  stats.type_out = c->type_out + 1, stats.out = c->out + 1;
  dor_op_bn_stats.ref(&stats);
}

static bool fuse(const dor_match *m, dor_fused *f)
{
  const dor_node *conv = m->node[0], *stats = m->node[1];
  memcpy(f->attr, conv->attr, sizeof(dor_conv2d_attr));
  f->nin = 2, f->nout = 3;
  memcpy(f->in, conv->in, 2 * sizeof *f->in);
  memcpy(f->out, (dor_val[]){conv->out[0], stats->out[0], stats->out[1]}, 3 * sizeof *f->out);
  return true;
}

#define ATTR(k, s, p, h, w) &(dor_conv2d_attr){{k, k}, {s, s}, {p, p}, {1, 1}, 1, {h, w}}
static const dor_case cases[] = {
    {.name = "3x3", .attr = ATTR(3, 1, 1, 5, 6), .in = {DOR_DIMS(2, 5, 6, 3), DOR_DIMS(3, 3, 3, 5)}},
    {.name = "3x3s2", .attr = ATTR(3, 2, 1, 7, 6), .in = {DOR_DIMS(2, 7, 6, 2), DOR_DIMS(3, 3, 2, 19)}},
    {.name = "wide", .attr = ATTR(3, 1, 1, 9, 10), .in = {DOR_DIMS(2, 9, 10, 16), DOR_DIMS(3, 3, 16, 32)}},
    {.name = "wide s2", .attr = ATTR(3, 2, 1, 11, 12), .in = {DOR_DIMS(2, 11, 12, 8), DOR_DIMS(3, 3, 8, 48)}},
    {.name = "silhouette", .attr = ATTR(3, 1, 1, 32, 32), .in = {DOR_DIMS(32, 32, 32, 16), DOR_DIMS(3, 3, 16, 32)}, .bench = true},
    {0},
};

const dor_op dor_op_conv2d_stats = {.id = DOR_OP_conv2d_stats, .name = "conv2d_stats", .formula = "y = x * w; mean, var of y", .nin = 2, .nout = 3,
                                    .attr_size = sizeof(dor_conv2d_attr), .keys = keys,
                                    .narrow = {"x-", "x-"}, .infer = infer, .cost = cost, .ref = ref, .fuse = fuse,
                                    .cases = cases};

dor_val dor_conv2d_stats(dor_graph *g, dor_val x, dor_val w, int32_t stride, int32_t pad)
{
  dor_shape sx = dor_graph_type(g, x).shape, sw = dor_graph_type(g, w).shape;
  dor_conv2d_attr a = {{sw.d[0], sw.d[1]}, {stride, stride}, {pad, pad}, {1, 1}, 1, {sx.d[1], sx.d[2]}};
  return dor_graph_add(g, &dor_op_conv2d_stats, &a, 2, (dor_val[]){x, w});
}
