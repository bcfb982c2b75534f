/* SPDX-License-Identifier: Apache-2.0
 *
 * mul: y = a b, where b may be smaller.
 *
 *   a [...]   b like a, or [C] of a's last dimension, or [N,C] of a [N,...,C]   y like a
 *   grad      da = dy b; db = dy a, summed over what b was repeated (mul_db)
 *   scale: y = factor x, factor a constant of the graph */
#include "ops/ops.h"

#include <string.h>

/* b's index for a's element i: b has `outer` x c numbers, each row of them serving `rep` rows of a. */
typedef struct spread { int64_t n, c, rep; } spread;

static dor_status spread_of(dor_shape a, dor_shape b, spread *s)
{
  dor_shape_text ta, tb;
  int64_t n = dor_shape_size(a), c = dor_last_dim(a);
  bool same = dor_shape_same(a, b), channel = b.n == 1 && b.d[0] == c, gate = b.n == 2 && a.n > 2 && b.d[0] == a.d[0] && b.d[1] == c;
  DOR_NEED(same || channel || gate, SHAPE, "mul: %s does not repeat over %s; want the same, [C] or [N,C]", dor_shape_print(b, tb),
           dor_shape_print(a, ta));
  *s = (spread){n, c, same ? 1 : channel ? n / c : n / (c * a.d[0])};
  return DOR_OK;
}

static int64_t spread_at(const spread *s, int64_t i) { return i / (s->c * s->rep) * s->c + i % s->c; }

static dor_status infer(const dor_infer *c)
{
  spread s;
  c->out[0].shape = c->in[0].shape;
  return spread_of(c->in[0].shape, c->in[1].shape, &s);
}

static void ref(const dor_refcall *c)
{
  spread s;
  if (spread_of(c->type_in[0].shape, c->type_in[1].shape, &s)) return;
  for (int64_t i = 0; i < s.n; i++) c->out[0][i] = c->in[0][i] * c->in[1][spread_at(&s, i)];
}

static dor_status grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  dor_val a = n->in[0], b = n->in[1];
  gin[0] = dor_mul(g, gout[0], b);
  bool same = dor_shape_same(dor_graph_type(g, a).shape, dor_graph_type(g, b).shape);
  gin[1] = same ? dor_mul(g, gout[0], a) : dor_mul_db(g, gout[0], a, b);
  return g->status;
}

static const dor_case cases[] = {
    {.name = "same", .in = {DOR_DIMS(3, 5), DOR_DIMS(3, 5)}},
    {.name = "channel", .in = {DOR_DIMS(2, 3, 4, 5), DOR_DIMS(5)}},
    {.name = "gate", .in = {DOR_DIMS(3, 4, 5, 7), DOR_DIMS(3, 7)}},
    {.name = "wide", .in = {DOR_DIMS(3, 4, 5, 16), DOR_DIMS(3, 16)}},
    {0},
};

const dor_op dor_op_mul = {.id = DOR_OP_mul, .name = "mul", .formula = "y = a b", .nin = 2, .nout = 1, .narrow = {"x", "x"}, .infer = infer,
                           .cost = dor_cost_stream, .ref = ref, .grad = grad, .cases = cases};

/* mul_db: (dy, a, b) -> db = dy a summed to b's shape; b itself is not read */
static dor_status db_infer(const dor_infer *c)
{
  spread s;
  DOR_NEED(dor_shape_same(c->in[0].shape, c->in[1].shape), SHAPE, "mul_db: dy and a differ");
  c->out[0].shape = c->in[2].shape;
  return spread_of(c->in[0].shape, c->in[2].shape, &s);
}

static void db_ref(const dor_refcall *c)
{
  spread s;
  if (spread_of(c->type_in[0].shape, c->type_in[2].shape, &s)) return;
  memset(c->out[0], 0, (size_t)dor_shape_size(c->type_out[0].shape) * sizeof(double));
  for (int64_t i = 0; i < s.n; i++) c->out[0][spread_at(&s, i)] += c->in[0][i] * c->in[1][i];
}

static const dor_case db_cases[] = {
    {.name = "channel", .in = {DOR_DIMS(2, 3, 4, 5), DOR_DIMS(2, 3, 4, 5), DOR_DIMS(5)}},
    {.name = "gate", .in = {DOR_DIMS(3, 4, 5, 7), DOR_DIMS(3, 4, 5, 7), DOR_DIMS(3, 7)}},
    {.name = "wide", .in = {DOR_DIMS(2, 40, 30, 8), DOR_DIMS(2, 40, 30, 8), DOR_DIMS(2, 8)}},
    {.name = "long", .in = {DOR_DIMS(2, 40, 30, 3), DOR_DIMS(2, 40, 30, 3), DOR_DIMS(3)}},
    {0},
};

const dor_op dor_op_mul_db = {.id = DOR_OP_mul_db, .name = "mul_db", .formula = "db = sum dy a", .nin = 3, .nout = 1,
                              .narrow = {"x", "x"}, .infer = db_infer, .cost = dor_cost_stream, .ref = db_ref, .cases = db_cases};

static const dor_key scale_keys[] = {DOR_ATTR_REAL(dor_scale_attr, factor, "constant"), {0}};

static void scale_ref(const dor_refcall *c)
{
  const dor_scale_attr *a = c->attr;
  int64_t n = dor_shape_size(c->type_out[0].shape);
  for (int64_t i = 0; i < n; i++) c->out[0][i] = a->factor * c->in[0][i];
}

static dor_status scale_grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  gin[0] = dor_scale(g, gout[0], ((const dor_scale_attr *)n->attr)->factor);
  return g->status;
}

static const dor_case scale_cases[] = {{.name = "small", .attr = &(dor_scale_attr){-0.75}, .in = {DOR_DIMS(3, 5)}}, {0}};

const dor_op dor_op_scale = {.id = DOR_OP_scale, .name = "scale", .formula = "y = factor x", .nin = 1, .nout = 1,
                             .attr_size = sizeof(dor_scale_attr), .keys = scale_keys, .narrow = {"x", "x"}, .infer = dor_infer_same,
                             .cost = dor_cost_stream, .ref = scale_ref, .grad = scale_grad, .cases = scale_cases};

dor_val dor_mul(dor_graph *g, dor_val a, dor_val b) { return dor_graph_add(g, &dor_op_mul, NULL, 2, (dor_val[]){a, b}); }

dor_val dor_mul_db(dor_graph *g, dor_val dy, dor_val a, dor_val b)
{
  return dor_graph_add(g, &dor_op_mul_db, NULL, 3, (dor_val[]){dy, a, b});
}

dor_val dor_scale(dor_graph *g, dor_val x, double factor)
{
  return dor_graph_add(g, &dor_op_scale, &(dor_scale_attr){factor}, 1, (dor_val[]){x});
}
