/* SPDX-License-Identifier: Apache-2.0
 *
 * matmul: C = op(A) op(B), op transposing when asked.
 *
 *   A [m,k] (or [k,m] with ta)   B [k,n] (or [n,k] with tb)   C [m,n]
 *   grad      dA = dC B^T, dB = A^T dC, with the transposes folded in */
#include "ops/ops.h"

static const dor_key keys[] = {DOR_ATTR_BOOL(dor_matmul_attr, ta, "transpose A"), DOR_ATTR_BOOL(dor_matmul_attr, tb, "transpose B"), {0}};

static dor_status infer(const dor_infer *c)
{
  const dor_matmul_attr *t = c->attr;
  dor_shape a = c->in[0].shape, b = c->in[1].shape;
  DOR_NEED(a.n == 2 && b.n == 2, SHAPE, "matmul: both inputs must be matrices");
  int32_t k = a.d[t->ta ? 0 : 1], k2 = b.d[t->tb ? 1 : 0];
  DOR_NEED(k == k2, SHAPE, "matmul: inner sizes %d and %d differ", k, k2);
  c->out[0].shape = DOR_SHAPE(a.d[t->ta ? 1 : 0], b.d[t->tb ? 0 : 1]);
  return DOR_OK;
}

static dor_cost cost(const dor_infer *c)
{
  const dor_matmul_attr *t = c->attr;
  dor_cost r = dor_cost_stream(c);
  r.flops *= 2.0 * c->in[0].shape.d[t->ta ? 0 : 1];
  return r;
}

static void ref(const dor_refcall *c)
{
  const dor_matmul_attr *t = c->attr;
  int64_t m = c->type_out[0].shape.d[0], n = c->type_out[0].shape.d[1], k = c->type_in[0].shape.d[t->ta ? 0 : 1];
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) {
      double s = 0;
      for (int64_t p = 0; p < k; p++) s += c->in[0][t->ta ? p * m + i : i * k + p] * c->in[1][t->tb ? j * k + p : p * n + j];
      c->out[0][i * n + j] = s;
    }
}

static dor_status grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  const dor_matmul_attr *t = n->attr;
  dor_val a = n->in[0], b = n->in[1], dc = gout[0];
  gin[0] = t->ta ? dor_matmul(g, b, dc, t->tb, true) : dor_matmul(g, dc, b, false, !t->tb);
  gin[1] = t->tb ? dor_matmul(g, dc, a, true, t->ta) : dor_matmul(g, a, dc, !t->ta, false);
  return g->status;
}

static const dor_case cases[] = {
    {.name = "nn", .attr = &(dor_matmul_attr){false, false}, .in = {DOR_DIMS(3, 4), DOR_DIMS(4, 5)}},
    {.name = "nt", .attr = &(dor_matmul_attr){false, true}, .in = {DOR_DIMS(3, 4), DOR_DIMS(5, 4)}},
    {.name = "tn", .attr = &(dor_matmul_attr){true, false}, .in = {DOR_DIMS(4, 3), DOR_DIMS(4, 5)}},
    {.name = "tt", .attr = &(dor_matmul_attr){true, true}, .in = {DOR_DIMS(4, 3), DOR_DIMS(5, 4)}},
    {.name = "odd", .attr = &(dor_matmul_attr){false, false}, .in = {DOR_DIMS(33, 19), DOR_DIMS(19, 37)}},
    {.name = "odd_nt", .attr = &(dor_matmul_attr){false, true}, .in = {DOR_DIMS(33, 19), DOR_DIMS(37, 19)}},
    {.name = "fc", .attr = &(dor_matmul_attr){false, false}, .in = {DOR_DIMS(64, 1024), DOR_DIMS(1024, 1024)}, .bench = true},
    {0},
};

const dor_op dor_op_matmul = {.id = DOR_OP_matmul, .name = "matmul", .formula = "C = op(A) op(B)", .nin = 2, .nout = 1,
                              .attr_size = sizeof(dor_matmul_attr), .keys = keys, .narrow = {"X", "x"}, .infer = infer, .cost = cost, .ref = ref,
                              .grad = grad, .cases = cases};

dor_val dor_matmul(dor_graph *g, dor_val a, dor_val b, bool ta, bool tb)
{
  return dor_graph_add(g, &dor_op_matmul, &(dor_matmul_attr){ta, tb}, 2, (dor_val[]){a, b});
}
