/* SPDX-License-Identifier: Apache-2.0
 *
 * add: y = a + b. accumulate is the same op under the name the differentiator
 * uses, so that a dump shows where gradients meet; add_into adds in place, which
 * is how a batch in parts collects its gradient.
 *
 *   a, b [any, alike]   y [same]
 *   grad      da = db = dy */
#include "ops/ops.h"

static void ref(const dor_refcall *c)
{
  int64_t n = dor_shape_size(c->type_out[0].shape);
  for (int64_t i = 0; i < n; i++) c->out[0][i] = c->in[0][i] + c->in[1][i];
}

static dor_status grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  (void)n;
  gin[0] = gin[1] = gout[0];
  return g->status;
}

static const dor_case cases[] = {
    {.name = "small", .in = {DOR_DIMS(3, 5), DOR_DIMS(3, 5)}},
    {.name = "image", .in = {DOR_DIMS(2, 7, 9, 5), DOR_DIMS(2, 7, 9, 5)}},
    {.name = "64x64", .in = {DOR_DIMS(32, 64, 64, 32), DOR_DIMS(32, 64, 64, 32)}, .bench = true},
    {0},
};

const dor_op dor_op_add = {.id = DOR_OP_add, .name = "add", .formula = "y = a + b", .nin = 2, .nout = 1,
                           .narrow = {"x", "x"}, .infer = dor_infer_same, .cost = dor_cost_stream, .ref = ref, .grad = grad, .cases = cases};
const dor_op dor_op_accumulate = {.id = DOR_OP_accumulate, .name = "accumulate", .formula = "y = a + b", .nin = 2, .nout = 1,
                                  .narrow = {"x", "x"}, .infer = dor_infer_same, .cost = dor_cost_stream, .ref = ref, .grad = grad, .cases = cases};
const dor_op dor_op_add_into = {.id = DOR_OP_add_into, .name = "add_into", .formula = "a += b", .nin = 2, .nout = 1, .alias = {1},
                                .infer = dor_infer_same, .cost = dor_cost_stream, .ref = ref, .cases = cases};

dor_val dor_add(dor_graph *g, dor_val a, dor_val b) { return dor_graph_add(g, &dor_op_add, NULL, 2, (dor_val[]){a, b}); }
dor_val dor_accumulate(dor_graph *g, dor_val a, dor_val b) { return dor_graph_add(g, &dor_op_accumulate, NULL, 2, (dor_val[]){a, b}); }
dor_val dor_add_into(dor_graph *g, dor_val sum, dor_val x) { return dor_graph_add(g, &dor_op_add_into, NULL, 2, (dor_val[]){sum, x}); }
