/* SPDX-License-Identifier: Apache-2.0
 *
 * softmax: y_k = exp(x_k) / sum_j exp(x_j) over the last dimension.
 *
 *   x [...,K]   y [same]   the largest x of a row is taken away first
 *   grad      dx = y (dy - sum_j dy_j y_j)
 *   source    PyTorch torch.softmax(x, -1) */
#include "ops/ops.h"

#include <math.h>

static void ref(const dor_refcall *c)
{
  int64_t k = dor_last_dim(c->type_in[0].shape), rows = k ? dor_shape_size(c->type_in[0].shape) / k : 0;
  for (int64_t r = 0; r < rows; r++) {
    const double *x = c->in[0] + r * k;
    double top = x[0], s = 0;
    for (int64_t j = 1; j < k; j++) top = fmax(top, x[j]);
    for (int64_t j = 0; j < k; j++) s += exp(x[j] - top);
    for (int64_t j = 0; j < k; j++) c->out[0][r * k + j] = exp(x[j] - top) / s;
  }
}

static dor_status grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  gin[0] = dor_softmax_bwd(g, n->out[0], gout[0]);
  return g->status;
}

static const dor_case cases[] = {
    {.name = "small", .in = {DOR_DIMS(3, 5)}},
    {.name = "two", .in = {DOR_DIMS(33, 2)}},
    {.name = "map", .in = {DOR_DIMS(2, 3, 4, 7)}},
    {.name = "wide", .in = {DOR_DIMS(5, 70)}},
    {0},
};

const dor_op dor_op_softmax = {.id = DOR_OP_softmax, .name = "softmax", .formula = "y = exp(x) / sum exp(x)", .nin = 1, .nout = 1,
                               .narrow = {"x", "x"}, .infer = dor_infer_same, .cost = dor_cost_stream, .ref = ref, .grad = grad, .cases = cases};

/* softmax_bwd: dx = y (dy - sum_j dy_j y_j) */
static void bwd_ref(const dor_refcall *c)
{
  int64_t k = dor_last_dim(c->type_in[0].shape), rows = k ? dor_shape_size(c->type_in[0].shape) / k : 0;
  for (int64_t r = 0; r < rows; r++) {
    const double *y = c->in[0] + r * k, *dy = c->in[1] + r * k;
    double s = 0;
    for (int64_t j = 0; j < k; j++) s += y[j] * dy[j];
    for (int64_t j = 0; j < k; j++) c->out[0][r * k + j] = y[j] * (dy[j] - s);
  }
}

static const dor_case bwd_cases[] = {
    {.name = "small", .in = {DOR_DIMS(3, 5), DOR_DIMS(3, 5)}, .fill = {DOR_FILL_PROBABILITY}},
    {.name = "wide", .in = {DOR_DIMS(5, 70), DOR_DIMS(5, 70)}, .fill = {DOR_FILL_PROBABILITY}},
    {0},
};

const dor_op dor_op_softmax_bwd = {.id = DOR_OP_softmax_bwd, .name = "softmax_bwd", .formula = "dx = y (dy - sum dy y)", .nin = 2,
                                   .nout = 1, .narrow = {"x", "x"}, .infer = dor_infer_same, .cost = dor_cost_stream, .ref = bwd_ref, .cases = bwd_cases};

dor_val dor_softmax(dor_graph *g, dor_val x) { return dor_graph_add(g, &dor_op_softmax, NULL, 1, (dor_val[]){x}); }

dor_val dor_softmax_bwd(dor_graph *g, dor_val y, dor_val dy)
{
  return dor_graph_add(g, &dor_op_softmax_bwd, NULL, 2, (dor_val[]){y, dy});
}
