/* SPDX-License-Identifier: Apache-2.0
 *
 * leaky_relu: y = x where x > 0, else slope x.
 *
 *   x [any]   y [same]   slope > 0, so that y has the sign of x
 *   grad      dx = dy where y > 0, else slope dy
 *   source    Maas et al., ICML workshop 2013; PyTorch's default slope is 0.01 */
#include "ops/ops.h"

static const dor_key keys[] = {DOR_ATTR_REAL(dor_slope_attr, slope, "of the negative side"), {0}};

static dor_status infer(const dor_infer *c)
{
  const dor_slope_attr *a = c->attr;
  DOR_NEED(a->slope > 0, RANGE, "slope must be above 0, got %g", a->slope);
  return dor_infer_same(c);
}

static void ref(const dor_refcall *c)
{
  const dor_slope_attr *a = c->attr;
  int64_t n = dor_shape_size(c->type_out[0].shape);
  for (int64_t i = 0; i < n; i++) c->out[0][i] = c->in[0][i] * (c->in[0][i] > 0 ? 1 : a->slope);
}

static dor_status grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  const dor_slope_attr *a = n->attr;
  gin[0] = dor_leaky_relu_bwd(g, n->out[0], gout[0], a->slope);
  return g->status;
}

static const dor_case cases[] = {
    {.name = "small", .attr = &(dor_slope_attr){0.01}, .in = {DOR_DIMS(3, 5)}, .fill = {DOR_FILL_DISTINCT}},
    {.name = "image", .attr = &(dor_slope_attr){0.2}, .in = {DOR_DIMS(2, 7, 9, 5)}, .fill = {DOR_FILL_DISTINCT}},
    {0},
};

const dor_op dor_op_leaky_relu = {.id = DOR_OP_leaky_relu, .name = "leaky_relu", .formula = "y = x where x > 0, else slope x",
                                  .nin = 1, .nout = 1, .attr_size = sizeof(dor_slope_attr), .keys = keys, .narrow = {"x", "x"}, .infer = infer,
                                  .cost = dor_cost_stream, .ref = ref, .grad = grad, .cases = cases};

/* leaky_relu_bwd: dx = dy where y > 0, else slope dy */
static void bwd_ref(const dor_refcall *c)
{
  const dor_slope_attr *a = c->attr;
  int64_t n = dor_shape_size(c->type_out[0].shape);
  for (int64_t i = 0; i < n; i++) c->out[0][i] = c->in[1][i] * (c->in[0][i] > 0 ? 1 : a->slope);
}

static const dor_case bwd_cases[] = {
    {.name = "small", .attr = &(dor_slope_attr){0.01}, .in = {DOR_DIMS(3, 5), DOR_DIMS(3, 5)}},
    {0},
};

const dor_op dor_op_leaky_relu_bwd = {.id = DOR_OP_leaky_relu_bwd, .name = "leaky_relu_bwd",
                                      .formula = "dx = dy where y > 0, else slope dy", .nin = 2, .nout = 1,
                                      .attr_size = sizeof(dor_slope_attr), .keys = keys, .narrow = {"x", "x"}, .infer = infer,
                                      .cost = dor_cost_stream, .ref = bwd_ref, .cases = bwd_cases};

dor_val dor_leaky_relu(dor_graph *g, dor_val x, double slope)
{
  return dor_graph_add(g, &dor_op_leaky_relu, &(dor_slope_attr){slope}, 1, (dor_val[]){x});
}

dor_val dor_leaky_relu_bwd(dor_graph *g, dor_val y, dor_val dy, double slope)
{
  return dor_graph_add(g, &dor_op_leaky_relu_bwd, &(dor_slope_attr){slope}, 2, (dor_val[]){y, dy});
}
