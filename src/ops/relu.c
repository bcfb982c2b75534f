/* SPDX-License-Identifier: Apache-2.0
 *
 * relu: y = max(x, 0), element by element.
 *
 *   x [any]   y [same]
 *   grad      dx = dy where y > 0, else 0 (0 at x = 0); from y, so that x need not be kept
 *   source    Nair & Hinton, ICML 2010 */
#include "ops/ops.h"

static void ref(const dor_refcall *c)
{
  int64_t n = dor_shape_size(c->type_out[0].shape);
  for (int64_t i = 0; i < n; i++) c->out[0][i] = c->in[0][i] > 0 ? c->in[0][i] : 0;
}

static dor_status grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  gin[0] = dor_relu_bwd(g, n->out[0], gout[0]);
  return g->status;
}

static const dor_case cases[] = {
    {.name = "small", .in = {DOR_DIMS(3, 5)}, .fill = {DOR_FILL_DISTINCT}},
    {.name = "image", .in = {DOR_DIMS(2, 7, 9, 5)}, .fill = {DOR_FILL_DISTINCT}},
    {.name = "128x128", .in = {DOR_DIMS(32, 128, 128, 16)}, .bench = true},
    {0},
};

const dor_op dor_op_relu = {.id = DOR_OP_relu, .name = "relu", .formula = "y = max(x, 0)", .nin = 1, .nout = 1,
                            .narrow = {"x", "x"}, .infer = dor_infer_same, .cost = dor_cost_stream, .ref = ref, .grad = grad, .cases = cases};

/* relu_bwd: dx = dy where y > 0, else 0 */
static void bwd_ref(const dor_refcall *c)
{
  const double *y = c->in[0], *dy = c->in[1];
  int64_t n = dor_shape_size(c->type_out[0].shape);
  for (int64_t i = 0; i < n; i++) c->out[0][i] = y[i] > 0 ? dy[i] : 0;
}

static const dor_case bwd_cases[] = {
    {.name = "small", .in = {DOR_DIMS(3, 5), DOR_DIMS(3, 5)}},
    {.name = "image", .in = {DOR_DIMS(2, 7, 9, 5), DOR_DIMS(2, 7, 9, 5)}},
    {.name = "128x128", .in = {DOR_DIMS(32, 128, 128, 16), DOR_DIMS(32, 128, 128, 16)}, .bench = true},
    {0},
};

const dor_op dor_op_relu_bwd = {.id = DOR_OP_relu_bwd, .name = "relu_bwd", .formula = "dx = dy where y > 0, else 0", .nin = 2, .nout = 1,
                                .narrow = {"x", "x"}, .infer = dor_infer_same, .cost = dor_cost_stream, .ref = bwd_ref, .cases = bwd_cases};

dor_val dor_relu(dor_graph *g, dor_val x) { return dor_graph_add(g, &dor_op_relu, NULL, 1, (dor_val[]){x}); }

dor_val dor_relu_bwd(dor_graph *g, dor_val y, dor_val dy)
{
  return dor_graph_add(g, &dor_op_relu_bwd, NULL, 2, (dor_val[]){y, dy});
}
