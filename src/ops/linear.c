/* SPDX-License-Identifier: Apache-2.0
 *
 * linear: y = x w + b, or max(x w + b, 0) with relu, in one pass: the steps of a
 * small network are over before a call is.
 *
 *   x [N,I]   w [I,O] (files: [O,I])   b [O]   y [N,O]
 *   grad      with dz = dy, or dy where y > 0 under relu: linear_dx gives dx = dz w^T,
 *             linear_dw gives dw = x^T dz and db = sum dz
 *   source    PyTorch nn.Linear */
#include "ops/ops.h"

static const dor_key keys[] = {DOR_ATTR_BOOL(dor_linear_attr, relu, "y = max(., 0)"), {0}};

static dor_status infer(const dor_infer *c)
{
  dor_shape x = c->in[0].shape, w = c->in[1].shape, b = c->in[2].shape;
  dor_shape_text tx, tw, tb;
  DOR_NEED(x.n == 2 && w.n == 2 && b.n == 1 && x.d[1] == w.d[0] && b.d[0] == w.d[1], SHAPE, "linear: x %s, w %s and b %s do not fit",
           dor_shape_print(x, tx), dor_shape_print(w, tw), dor_shape_print(b, tb));
  c->out[0].shape = DOR_SHAPE(x.d[0], w.d[1]);
  return DOR_OK;
}

static dor_cost count(const dor_infer *c, int32_t n, int32_t i, int32_t o)
{
  dor_cost r = dor_cost_stream(c);
  r.flops = 2.0 * n * i * o;
  return r;
}

static dor_cost cost(const dor_infer *c) { return count(c, c->in[0].shape.d[0], c->in[0].shape.d[1], c->in[1].shape.d[1]); }

static void ref(const dor_refcall *c)
{
  const dor_linear_attr *a = c->attr;
  int32_t n = c->type_in[0].shape.d[0], in = c->type_in[0].shape.d[1], out = c->type_in[1].shape.d[1];
  for (int32_t r = 0; r < n; r++)
    for (int32_t o = 0; o < out; o++) {
      double s = c->in[2][o];
      for (int32_t i = 0; i < in; i++) s += c->in[0][r * in + i] * c->in[1][i * out + o];
      c->out[0][r * out + o] = a->relu && !(s > 0) ? 0 : s;
    }
}

static dor_status grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  const dor_linear_attr *a = n->attr;
  gin[0] = dor_linear_dx(g, gout[0], n->out[0], n->in[1], a->relu);
  gin[1] = dor_linear_dw(g, n->in[0], gout[0], n->out[0], a->relu);
  gin[2] = dor_graph_output(g, gin[1], 1);
  return g->status;
}

static const dor_linear_attr plain = {false}, relu = {true};
static const dor_case cases[] = {
    {.name = "plain", .attr = &plain, .in = {DOR_DIMS(5, 6), DOR_DIMS(6, 3), DOR_DIMS(3)}},
    {.name = "relu", .attr = &relu, .in = {DOR_DIMS(5, 6), DOR_DIMS(6, 33), DOR_DIMS(33)}},
    {.name = "mlp", .attr = &relu, .in = {DOR_DIMS(32, 6), DOR_DIMS(6, 32), DOR_DIMS(32)}},
    {.name = "head", .attr = &plain, .in = {DOR_DIMS(33, 32), DOR_DIMS(32, 2), DOR_DIMS(2)}},
    {.name = "odd", .attr = &plain, .in = {DOR_DIMS(7, 131), DOR_DIMS(131, 21), DOR_DIMS(21)}},
    {.name = "fc", .attr = &plain, .in = {DOR_DIMS(64, 1024), DOR_DIMS(1024, 1024), DOR_DIMS(1024)}, .bench = true},
    {0},
};

const dor_op dor_op_linear = {.id = DOR_OP_linear, .name = "linear", .formula = "y = x w + b", .nin = 3, .nout = 1,
                              .attr_size = sizeof(dor_linear_attr), .keys = keys, .narrow = {"X-", "x"}, .infer = infer, .cost = cost, .ref = ref,
                              .grad = grad, .cases = cases};

/* linear_dx: (dy, y, w) -> dx */
static dor_status dx_infer(const dor_infer *c)
{
  dor_shape dy = c->in[0].shape, w = c->in[2].shape;
  DOR_NEED(dy.n == 2 && w.n == 2 && dy.d[1] == w.d[1] && dor_shape_same(dy, c->in[1].shape), SHAPE, "linear_dx: dy, y and w do not fit");
  c->out[0].shape = DOR_SHAPE(dy.d[0], w.d[0]);
  return DOR_OK;
}

static dor_cost dx_cost(const dor_infer *c) { return count(c, c->in[0].shape.d[0], c->out[0].shape.d[1], c->in[0].shape.d[1]); }

static double dz(const dor_linear_attr *a, double dy, double y) { return a->relu && !(y > 0) ? 0 : dy; }

static void dx_ref(const dor_refcall *c)
{
  int32_t n = c->type_in[0].shape.d[0], out = c->type_in[0].shape.d[1], in = c->type_in[2].shape.d[0];
  for (int32_t r = 0; r < n; r++)
    for (int32_t i = 0; i < in; i++) {
      double s = 0;
      for (int32_t o = 0; o < out; o++) s += dz(c->attr, c->in[0][r * out + o], c->in[1][r * out + o]) * c->in[2][i * out + o];
      c->out[0][r * in + i] = s;
    }
}

static const dor_case dx_cases[] = {
    {.name = "plain", .attr = &plain, .in = {DOR_DIMS(5, 3), DOR_DIMS(5, 3), DOR_DIMS(6, 3)}},
    {.name = "relu", .attr = &relu, .in = {DOR_DIMS(5, 33), DOR_DIMS(5, 33), DOR_DIMS(6, 33)}},
    {.name = "head", .attr = &plain, .in = {DOR_DIMS(33, 2), DOR_DIMS(33, 2), DOR_DIMS(32, 2)}},
    {.name = "odd", .attr = &relu, .in = {DOR_DIMS(7, 21), DOR_DIMS(7, 21), DOR_DIMS(131, 21)}},
    {.name = "fc", .attr = &plain, .in = {DOR_DIMS(64, 1024), DOR_DIMS(64, 1024), DOR_DIMS(1024, 1024)}, .bench = true},
    {0},
};

const dor_op dor_op_linear_dx = {.id = DOR_OP_linear_dx, .name = "linear_dx", .formula = "dx = dz w'", .nin = 3, .nout = 1,
                                 .attr_size = sizeof(dor_linear_attr), .keys = keys, .narrow = {"Xx-", "x"}, .infer = dx_infer, .cost = dx_cost,
                                 .ref = dx_ref, .cases = dx_cases};

/* linear_dw: (x, dy, y) -> dw, db */
static dor_status dw_infer(const dor_infer *c)
{
  dor_shape x = c->in[0].shape, dy = c->in[1].shape;
  DOR_NEED(x.n == 2 && dy.n == 2 && x.d[0] == dy.d[0] && dor_shape_same(dy, c->in[2].shape), SHAPE, "linear_dw: x, dy and y do not fit");
  c->out[0].shape = DOR_SHAPE(x.d[1], dy.d[1]);
  c->out[1].shape = DOR_SHAPE(dy.d[1]);
  return DOR_OK;
}

static dor_cost dw_cost(const dor_infer *c) { return count(c, c->in[0].shape.d[0], c->in[0].shape.d[1], c->in[1].shape.d[1]); }

static void dw_ref(const dor_refcall *c)
{
  int32_t n = c->type_in[0].shape.d[0], in = c->type_in[0].shape.d[1], out = c->type_in[1].shape.d[1];
  for (int32_t o = 0; o < out; o++) {
    for (int32_t i = -1; i < in; i++) { /* row -1 is the bias, whose input is 1 */
      double s = 0;
      for (int32_t r = 0; r < n; r++)
        s += dz(c->attr, c->in[1][r * out + o], c->in[2][r * out + o]) * (i < 0 ? 1 : c->in[0][r * in + i]);
      if (i < 0) c->out[1][o] = s;
      else c->out[0][i * out + o] = s;
    }
  }
}

static const dor_case dw_cases[] = {
    {.name = "plain", .attr = &plain, .in = {DOR_DIMS(5, 6), DOR_DIMS(5, 3), DOR_DIMS(5, 3)}},
    {.name = "relu", .attr = &relu, .in = {DOR_DIMS(5, 6), DOR_DIMS(5, 33), DOR_DIMS(5, 33)}},
    {.name = "head", .attr = &plain, .in = {DOR_DIMS(33, 32), DOR_DIMS(33, 2), DOR_DIMS(33, 2)}},
    {.name = "odd", .attr = &relu, .in = {DOR_DIMS(7, 131), DOR_DIMS(7, 21), DOR_DIMS(7, 21)}},
    {.name = "large", .attr = &relu, .in = {DOR_DIMS(128, 256), DOR_DIMS(128, 160), DOR_DIMS(128, 160)}},
    {.name = "fc", .attr = &plain, .in = {DOR_DIMS(64, 1024), DOR_DIMS(64, 1024), DOR_DIMS(64, 1024)}, .bench = true},
    {0},
};

const dor_op dor_op_linear_dw = {.id = DOR_OP_linear_dw, .name = "linear_dw", .formula = "dw = x' dz, db = sum dz", .nin = 3, .nout = 2,
                                 .attr_size = sizeof(dor_linear_attr), .keys = keys, .narrow = {"X", "-"}, .infer = dw_infer, .cost = dw_cost,
                                 .ref = dw_ref, .cases = dw_cases};

dor_val dor_linear(dor_graph *g, dor_val x, dor_val w, dor_val b, bool with_relu)
{
  return dor_graph_add(g, &dor_op_linear, &(dor_linear_attr){with_relu}, 3, (dor_val[]){x, w, b});
}

dor_val dor_linear_dx(dor_graph *g, dor_val dy, dor_val y, dor_val w, bool with_relu)
{
  return dor_graph_add(g, &dor_op_linear_dx, &(dor_linear_attr){with_relu}, 3, (dor_val[]){dy, y, w});
}

dor_val dor_linear_dw(dor_graph *g, dor_val x, dor_val dy, dor_val y, bool with_relu)
{
  return dor_graph_add(g, &dor_op_linear_dw, &(dor_linear_attr){with_relu}, 3, (dor_val[]){x, dy, y});
}
