/* SPDX-License-Identifier: Apache-2.0
 *
 * heatmap_mse: squared error of heat maps where a mask lets it count.
 *
 *   x, target t [N,H,W,J]   mask m [N,H,W], 0 or 1
 *   loss [1] = sum m (x - t)^2 / (N H W J): pixels that the mask hides stay in the count, so an image's loss is the mean of its
 *   joints and pixels, and the batch's the mean of its images'
 *   slope [like x] = dloss/dx, made on the way; backward is loss_bwd. Target and mask have no gradient.
 *   source    Cheng et al., CVPR 2020: HeatmapLoss of the code */
#include "ops/ops.h"

static dor_status infer(const dor_infer *c)
{
  dor_shape x = c->in[0].shape, m = c->in[2].shape;
  DOR_NEED(x.n == 4 && dor_shape_same(x, c->in[1].shape), SHAPE, "heatmap_mse: maps and targets must be [N,H,W,J] and alike");
  DOR_NEED(m.n == 3 && m.d[0] == x.d[0] && m.d[1] == x.d[1] && m.d[2] == x.d[2], SHAPE, "heatmap_mse: the mask must be [%d,%d,%d]", x.d[0], x.d[1], x.d[2]);
  c->out[0].shape = DOR_SHAPE(1);
  c->out[1].shape = x;
  return DOR_OK;
}

static dor_cost cost(const dor_infer *c)
{
  dor_cost r = dor_cost_stream(c);
  r.flops = 5.0 * (double)dor_shape_size(c->in[0].shape);
  return r;
}

static void ref(const dor_refcall *c)
{
  int64_t size = dor_shape_size(c->type_in[0].shape), joints = c->type_in[0].shape.d[3];
  double sum = 0;
  for (int64_t i = 0; i < size; i++) {
    double m = c->in[2][i / joints], d = c->in[0][i] - c->in[1][i];
    sum += m * d * d;
    c->out[1][i] = 2 * m * d / (double)size;
  }
  c->out[0][0] = sum / (double)size;
}

static dor_status grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  gin[0] = dor_loss_bwd(g, gout[0], n->out[1]);
  return g->status;
}

#define CASE(n, h, w, j) {DOR_DIMS(n, h, w, j), DOR_DIMS(n, h, w, j), DOR_DIMS(n, h, w)}
static const dor_case cases[] = {
    {.name = "small", .in = CASE(2, 3, 5, 4), .fill = {[2] = DOR_FILL_BINARY}},
    {.name = "rows", .in = CASE(3, 21, 13, 17), .fill = {[2] = DOR_FILL_BINARY}},
    {.name = "coco", .in = CASE(8, 256, 256, 17), .fill = {[2] = DOR_FILL_BINARY}, .bench = true},
    {0},
};

const dor_op dor_op_heatmap_mse = {.id = DOR_OP_heatmap_mse, .name = "heatmap_mse", .formula = "loss = mean m (x - t)^2", .nin = 3, .nout = 2, .given = 6,
                                   .naux = 1, .infer = infer, .cost = cost, .ref = ref, .grad = grad, .cases = cases};

dor_val dor_heatmap_mse(dor_graph *g, dor_val x, dor_val target, dor_val mask)
{
  return dor_graph_add(g, &dor_op_heatmap_mse, NULL, 3, (dor_val[]){x, target, mask});
}
