/* SPDX-License-Identifier: Apache-2.0
 *
 * sigmoid: y = 1 / (1 + exp(-x)), element by element.
 *
 *   x [any]   y [same]
 *   grad      dx = dy y (1 - y)
 *   source    logistic function; PyTorch torch.sigmoid */
#include "ops/ops.h"

#include <math.h>

static void ref(const dor_refcall *c)
{
  int64_t n = dor_shape_size(c->type_out[0].shape);
  for (int64_t i = 0; i < n; i++) c->out[0][i] = 1 / (1 + exp(-c->in[0][i]));
}

static dor_status grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  gin[0] = dor_sigmoid_bwd(g, n->out[0], gout[0]);
  return g->status;
}

static const dor_case cases[] = {
    {.name = "small", .in = {DOR_DIMS(3, 5)}, .fill = {DOR_FILL_DISTINCT}},
    {.name = "image", .in = {DOR_DIMS(2, 7, 9, 5)}, .fill = {DOR_FILL_DISTINCT}},
    {.name = "128x128", .in = {DOR_DIMS(32, 128, 128, 16)}, .bench = true},
    {0},
};

const dor_op dor_op_sigmoid = {.id = DOR_OP_sigmoid, .name = "sigmoid", .formula = "y = 1 / (1 + exp(-x))", .nin = 1, .nout = 1,
                            .narrow = {"x", "x"}, .infer = dor_infer_same, .cost = dor_cost_stream, .ref = ref, .grad = grad, .cases = cases};

/* sigmoid_bwd: dx = dy y (1 - y) */
static void bwd_ref(const dor_refcall *c)
{
  const double *y = c->in[0], *dy = c->in[1];
  int64_t n = dor_shape_size(c->type_out[0].shape);
  for (int64_t i = 0; i < n; i++) c->out[0][i] = dy[i] * y[i] * (1 - y[i]);
}

static const dor_case bwd_cases[] = {
    {.name = "small", .in = {DOR_DIMS(3, 5), DOR_DIMS(3, 5)}},
    {.name = "image", .in = {DOR_DIMS(2, 7, 9, 5), DOR_DIMS(2, 7, 9, 5)}},
    {.name = "128x128", .in = {DOR_DIMS(32, 128, 128, 16), DOR_DIMS(32, 128, 128, 16)}, .bench = true},
    {0},
};

const dor_op dor_op_sigmoid_bwd = {.id = DOR_OP_sigmoid_bwd, .name = "sigmoid_bwd", .formula = "dx = dy y (1 - y)", .nin = 2, .nout = 1,
                                .narrow = {"x", "x"}, .infer = dor_infer_same, .cost = dor_cost_stream, .ref = bwd_ref, .cases = bwd_cases};

dor_val dor_sigmoid(dor_graph *g, dor_val x) { return dor_graph_add(g, &dor_op_sigmoid, NULL, 1, (dor_val[]){x}); }

dor_val dor_sigmoid_bwd(dor_graph *g, dor_val y, dor_val dy)
{
  return dor_graph_add(g, &dor_op_sigmoid_bwd, NULL, 2, (dor_val[]){y, dy});
}
