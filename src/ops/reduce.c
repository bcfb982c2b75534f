/* SPDX-License-Identifier: Apache-2.0
 *
 * sum, mean: over the axes whose bits are set; those axes go.
 *
 *   x [...]   y: x's shape without the axes ([1] when none is left)
 *   grad      dx = dy repeated (times 1/n for the mean): expand */
#include "ops/ops.h"

#include <string.h>

static const dor_key keys[] = {DOR_ATTR_INT(dor_reduce_attr, axes, "bit i: axis i goes"), {0}};
static const dor_key expand_keys[] = {DOR_ATTR_INT(dor_expand_attr, rank, ""), DOR_ATTR_INTS(dor_expand_attr, dim, "first `rank` count"),
                                      DOR_ATTR_INT(dor_expand_attr, axes, "that come back"), DOR_ATTR_REAL(dor_expand_attr, factor, ""), {0}};

static dor_status reduced(dor_shape x, int32_t axes, dor_shape *y)
{
  DOR_NEED(axes > 0 && axes < 1 << x.n, ARG, "axes %d of %d dimensions", axes, x.n);
  y->n = 0;
  for (int32_t i = 0; i < x.n; i++)
    if (!(axes >> i & 1)) y->d[y->n++] = x.d[i];
  if (!y->n) *y = DOR_SHAPE(1);
  return DOR_OK;
}

/* The index into the reduced that element k of x adds to. */
static int64_t target(dor_shape x, int32_t axes, int64_t k)
{
  int64_t at = 0, step = 1;
  for (int32_t i = x.n - 1; i >= 0; i--) {
    if (!(axes >> i & 1)) at += k % x.d[i] * step, step *= x.d[i];
    k /= x.d[i];
  }
  return at;
}

static dor_status infer(const dor_infer *c) { return reduced(c->in[0].shape, ((const dor_reduce_attr *)c->attr)->axes, &c->out[0].shape); }

static void sum_ref(const dor_refcall *c)
{
  int64_t n = dor_shape_size(c->type_in[0].shape);
  memset(c->out[0], 0, (size_t)dor_shape_size(c->type_out[0].shape) * sizeof(double));
  for (int64_t k = 0; k < n; k++) c->out[0][target(c->type_in[0].shape, ((const dor_reduce_attr *)c->attr)->axes, k)] += c->in[0][k];
}

static double share(dor_shape x, dor_shape y) { return (double)dor_shape_size(y) / (double)dor_shape_size(x); }

static void mean_ref(const dor_refcall *c)
{
  sum_ref(c);
  int64_t n = dor_shape_size(c->type_out[0].shape);
  for (int64_t k = 0; k < n; k++) c->out[0][k] *= share(c->type_in[0].shape, c->type_out[0].shape);
}

static dor_status spread(dor_graph *g, const dor_node *n, dor_val gout, bool mean, dor_val *gin)
{
  dor_shape x = dor_graph_type(g, n->in[0]).shape, y = dor_graph_type(g, n->out[0]).shape;
  *gin = dor_expand(g, gout, x, ((const dor_reduce_attr *)n->attr)->axes, mean ? share(x, y) : 1);
  return g->status;
}

static dor_status sum_grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[]) { return spread(g, n, gout[0], false, gin); }
static dor_status mean_grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[]) { return spread(g, n, gout[0], true, gin); }

static const dor_case cases[] = {
    {.name = "all", .attr = &(dor_reduce_attr){3}, .in = {DOR_DIMS(3, 5)}},
    {.name = "rows", .attr = &(dor_reduce_attr){1}, .in = {DOR_DIMS(33, 5)}},
    {.name = "columns", .attr = &(dor_reduce_attr){2}, .in = {DOR_DIMS(3, 35)}},
    {.name = "space", .attr = &(dor_reduce_attr){6}, .in = {DOR_DIMS(2, 3, 4, 5)}},
    {.name = "outside", .attr = &(dor_reduce_attr){9}, .in = {DOR_DIMS(2, 3, 4, 5)}},
    {.name = "long", .attr = &(dor_reduce_attr){2}, .in = {DOR_DIMS(3, 3000)}},
    {.name = "tall", .attr = &(dor_reduce_attr){1}, .in = {DOR_DIMS(3000, 8)}},
    {.name = "maps", .attr = &(dor_reduce_attr){6}, .in = {DOR_DIMS(2, 30, 40, 5)}},
    {0},
};

const dor_op dor_op_sum = {.id = DOR_OP_sum, .name = "sum", .formula = "y = sum over axes", .nin = 1, .nout = 1,
                           .attr_size = sizeof(dor_reduce_attr), .keys = keys, .narrow = {"x", "x"}, .infer = infer, .cost = dor_cost_stream, .ref = sum_ref,
                           .grad = sum_grad, .cases = cases};
const dor_op dor_op_mean = {.id = DOR_OP_mean, .name = "mean", .formula = "y = mean over axes", .nin = 1, .nout = 1,
                            .attr_size = sizeof(dor_reduce_attr), .keys = keys, .narrow = {"x", "x"}, .infer = infer, .cost = dor_cost_stream, .ref = mean_ref,
                            .grad = mean_grad, .cases = cases};

/* expand: the reduced back to the full shape, times a factor */
static dor_shape full(const dor_expand_attr *a)
{
  dor_shape s = {.n = a->rank};
  memcpy(s.d, a->dim, sizeof s.d);
  return s;
}

static dor_status expand_infer(const dor_infer *c)
{
  const dor_expand_attr *a = c->attr;
  dor_shape want = {0};
  DOR_NEED(a->rank >= 1 && a->rank <= DOR_MAX_DIMS, ARG, "expand: %d dimensions", a->rank);
  DOR_TRY(reduced(full(a), a->axes, &want));
  DOR_NEED(dor_shape_same(want, c->in[0].shape), SHAPE, "expand: the input is not the reduced shape");
  c->out[0].shape = full(a);
  return DOR_OK;
}

static void expand_ref(const dor_refcall *c)
{
  const dor_expand_attr *a = c->attr;
  int64_t n = dor_shape_size(c->type_out[0].shape);
  for (int64_t k = 0; k < n; k++) c->out[0][k] = a->factor * c->in[0][target(c->type_out[0].shape, a->axes, k)];
}

static dor_status expand_grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  const dor_expand_attr *a = n->attr;
  dor_val s = dor_sum(g, gout[0], a->axes);
  gin[0] = a->factor == 1 ? s : dor_scale(g, s, a->factor);
  return g->status;
}

static const dor_case expand_cases[] = {
    {.name = "all", .attr = &(dor_expand_attr){2, {3, 5}, 3, 0.5}, .in = {DOR_DIMS(1)}},
    {.name = "space", .attr = &(dor_expand_attr){4, {2, 3, 4, 5}, 6, 1}, .in = {DOR_DIMS(2, 5)}},
    {.name = "outside", .attr = &(dor_expand_attr){4, {2, 3, 4, 5}, 9, 2}, .in = {DOR_DIMS(3, 4)}},
    {.name = "wide", .attr = &(dor_expand_attr){4, {2, 3, 4, 8}, 6, 1}, .in = {DOR_DIMS(2, 8)}},
    {.name = "alike", .attr = &(dor_expand_attr){2, {3, 16}, 2, 1}, .in = {DOR_DIMS(3)}},
    {0},
};

const dor_op dor_op_expand = {.id = DOR_OP_expand, .name = "expand", .formula = "y = factor x, repeated", .nin = 1, .nout = 1,
                              .attr_size = sizeof(dor_expand_attr), .keys = expand_keys, .narrow = {"x", "x"}, .infer = expand_infer, .cost = dor_cost_stream,
                              .ref = expand_ref, .grad = expand_grad, .cases = expand_cases};

dor_val dor_sum(dor_graph *g, dor_val x, int32_t axes) { return dor_graph_add(g, &dor_op_sum, &(dor_reduce_attr){axes}, 1, (dor_val[]){x}); }
dor_val dor_mean(dor_graph *g, dor_val x, int32_t axes) { return dor_graph_add(g, &dor_op_mean, &(dor_reduce_attr){axes}, 1, (dor_val[]){x}); }

dor_val dor_expand(dor_graph *g, dor_val x, dor_shape shape, int32_t axes, double factor)
{
  dor_expand_attr a = {.rank = shape.n, .axes = axes, .factor = factor};
  for (int32_t i = 0; i < shape.n && i < DOR_MAX_DIMS; i++) a.dim[i] = shape.d[i];
  return dor_graph_add(g, &dor_op_expand, &a, 1, (dor_val[]){x});
}
