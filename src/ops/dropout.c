/* SPDX-License-Identifier: Apache-2.0
 *
 * dropout: y = x / (1 - p) where a number in [0, 1) drawn for the element is at least p, else 0.
 *
 *   x [any]   y [same]
 *   random    element i reads word i % 4 of Philox(key(seed, node), step and part, i / 4): the same in any
 *             thread order, and again in the backward (whose node has the same key), so that no mask is stored
 *   grad      dx = dy under the same mask (dropout_bwd)
 *   source    Srivastava et al., JMLR 15 (2014); inverted, as PyTorch */
#include "ops/ops.h"

#include "base/rng.h"

static const dor_key keys[] = {DOR_ATTR_REAL(dor_dropout_attr, p, "share set to zero"), {0}};

static dor_status infer(const dor_infer *c)
{
  const dor_dropout_attr *a = c->attr;
  DOR_NEED(a->p >= 0 && a->p < 1, RANGE, "dropout: p must lie in [0, 1), got %g", a->p);
  return dor_infer_same(c);
}

static void ref(const dor_refcall *c)
{
  double p = ((const dor_dropout_attr *)c->attr)->p;
  int64_t n = dor_shape_size(c->type_out[0].shape);
  for (int64_t i = 0; i < n; i++) {
    dor_rng4 r = dor_philox(dor_rng_key(c->step->seed, c->key), dor_rng_where(c->step->step, c->step->micro), (uint64_t)i / 4);
    c->out[0][i] = dor_rng_unit(r.v[i % 4]) < (float)p ? 0 : c->in[0][i] / (1 - p);
  }
}

static dor_status grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  gin[0] = dor_dropout_bwd(g, gout[0], ((const dor_dropout_attr *)n->attr)->p);
  return g->status;
}

static const dor_case cases[] = {
    {.name = "half", .attr = &(dor_dropout_attr){.p = 0.5}, .in = {DOR_DIMS(33, 7)}},
    {.name = "fifth", .attr = &(dor_dropout_attr){.p = 0.2}, .in = {DOR_DIMS(2, 3, 5, 7)}},
    {0},
};

const dor_op dor_op_dropout = {.id = DOR_OP_dropout, .name = "dropout", .formula = "y = x [u >= p] / (1 - p)", .nin = 1, .nout = 1,
                               .attr_size = sizeof(dor_dropout_attr), .keys = keys, .stochastic = true, .narrow = {"x", "x"}, .infer = infer,
                               .cost = dor_cost_stream, .ref = ref, .grad = grad, .cases = cases};

/* dropout_bwd: dy -> dx */
const dor_op dor_op_dropout_bwd = {.id = DOR_OP_dropout_bwd, .name = "dropout_bwd", .formula = "dx = dy [u >= p] / (1 - p)", .nin = 1,
                                   .nout = 1, .attr_size = sizeof(dor_dropout_attr), .keys = keys, .stochastic = true, .narrow = {"x", "x"}, .infer = infer,
                                   .cost = dor_cost_stream, .ref = ref, .cases = cases};

dor_val dor_dropout(dor_graph *g, dor_val x, double p)
{
  return dor_graph_add(g, &dor_op_dropout, &(dor_dropout_attr){.p = p}, 1, (dor_val[]){x});
}

dor_val dor_dropout_bwd(dor_graph *g, dor_val dy, double p)
{
  return dor_graph_add(g, &dor_op_dropout_bwd, &(dor_dropout_attr){p}, 1, (dor_val[]){dy});
}
