/* SPDX-License-Identifier: Apache-2.0
 *
 * bias: y = x + b, b repeated over all but the last dimension.
 *
 *   x [...,C]   b [C]   y like x
 *   grad      dx = dy; db = dy summed over all but the last dimension (bias_db) */
#include "ops/ops.h"

#include <string.h>

static dor_status infer(const dor_infer *c)
{
  dor_shape_text x, b;
  DOR_NEED(c->in[1].shape.n == 1 && c->in[1].shape.d[0] == dor_last_dim(c->in[0].shape), SHAPE, "bias: %s does not fit the channels of %s",
           dor_shape_print(c->in[1].shape, b), dor_shape_print(c->in[0].shape, x));
  c->out[0].shape = c->in[0].shape;
  return DOR_OK;
}

static void ref(const dor_refcall *c)
{
  int64_t n = dor_shape_size(c->type_out[0].shape), k = dor_last_dim(c->type_out[0].shape);
  for (int64_t i = 0; i < n; i++) c->out[0][i] = c->in[0][i] + c->in[1][i % k];
}

static dor_status grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  (void)n;
  gin[0] = gout[0];
  gin[1] = dor_bias_db(g, gout[0]);
  return g->status;
}

static const dor_case cases[] = {
    {.name = "small", .in = {DOR_DIMS(3, 5), DOR_DIMS(5)}},
    {.name = "image", .in = {DOR_DIMS(2, 7, 9, 17), DOR_DIMS(17)}},
    {.name = "wide", .in = {DOR_DIMS(2, 3, 5, 16), DOR_DIMS(16)}},
    {0},
};

const dor_op dor_op_bias = {.id = DOR_OP_bias, .name = "bias", .formula = "y = x + b", .nin = 2, .nout = 1, .narrow = {"x-", "x"}, .infer = infer,
                            .cost = dor_cost_stream, .ref = ref, .grad = grad, .cases = cases};

/* bias_db: dy -> db */
static dor_status db_infer(const dor_infer *c)
{
  DOR_NEED(c->in[0].shape.n >= 1, SHAPE, "bias_db: wants at least one dimension");
  c->out[0].shape = DOR_SHAPE(dor_last_dim(c->in[0].shape));
  return DOR_OK;
}

static void db_ref(const dor_refcall *c)
{
  int64_t n = dor_shape_size(c->type_in[0].shape), k = dor_last_dim(c->type_in[0].shape);
  memset(c->out[0], 0, (size_t)k * sizeof(double));
  for (int64_t i = 0; i < n; i++) c->out[0][i % k] += c->in[0][i];
}

static const dor_case db_cases[] = {
    {.name = "small", .in = {DOR_DIMS(3, 5)}},
    {.name = "image", .in = {DOR_DIMS(2, 7, 9, 17)}},
    {.name = "64x64", .in = {DOR_DIMS(32, 64, 64, 32)}, .bench = true},
    {0},
};

const dor_op dor_op_bias_db = {.id = DOR_OP_bias_db, .name = "bias_db", .formula = "db = sum dy", .nin = 1, .nout = 1,
                               .narrow = {"x", "-"}, .infer = db_infer, .cost = dor_cost_stream, .ref = db_ref, .cases = db_cases};

dor_val dor_bias(dor_graph *g, dor_val x, dor_val b) { return dor_graph_add(g, &dor_op_bias, NULL, 2, (dor_val[]){x, b}); }
dor_val dor_bias_db(dor_graph *g, dor_val dy) { return dor_graph_add(g, &dor_op_bias_db, NULL, 1, (dor_val[]){dy}); }
