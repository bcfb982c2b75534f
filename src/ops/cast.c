/* SPDX-License-Identifier: Apache-2.0
 *
 * cast: y = x, stored in another type. Nothing else changes a number's type: an
 * op makes its activations in the type in which it gets them.
 *
 *   x [any], f32, bf16 or f16   y [same] in the type named; nearest, ties to even
 *   grad      dx = dy, cast back
 *   source    IEEE 754-2019 (binary16); bfloat16: Wang & Kanwar, Google Cloud, 2019 */
#include "ops/ops.h"

static const dor_key keys[] = {DOR_ATTR_INT(dor_cast_attr, dtype, "of y: 0 f32, 1 bf16, 2 f16"), {0}};

static dor_status infer(const dor_infer *c)
{
  const dor_cast_attr *a = c->attr;
  DOR_NEED(a->dtype == DOR_F32 || dor_dtype_narrow((dor_dtype)a->dtype), ARG, "cast: type %d is none of f32, bf16, f16", a->dtype);
  DOR_NEED(c->in[0].dtype == DOR_F32 || dor_dtype_narrow(c->in[0].dtype), ARG, "cast: from %s; want f32, bf16 or f16", dor_dtype_name(c->in[0].dtype));
  c->out[0] = (dor_type){c->in[0].shape, (dor_dtype)a->dtype};
  return DOR_OK;
}

static dor_cost cost(const dor_infer *c)
{
  dor_cost r = dor_cost_stream(c);
  r.flops = 0;
  return r;
}

static void ref(const dor_refcall *c)
{
  int64_t n = dor_shape_size(c->type_out[0].shape);
  for (int64_t i = 0; i < n; i++) c->out[0][i] = c->in[0][i]; /* stored, it is rounded */
}

static dor_status grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  gin[0] = dor_cast(g, gout[0], dor_graph_type(g, n->in[0]).dtype);
  return g->status;
}

#define ATTR(t) &(dor_cast_attr){t}
static const dor_case cases[] = {
    {.name = "to_bf16", .attr = ATTR(DOR_BF16), .in = {DOR_DIMS(3, 17)}},
    {.name = "to_f16", .attr = ATTR(DOR_F16), .in = {DOR_DIMS(3, 17)}},
    {.name = "from_bf16", .attr = ATTR(DOR_F32), .in = {DOR_DIMS(2, 3, 5, 8)}, .dtype = {DOR_BF16}},
    {.name = "from_f16", .attr = ATTR(DOR_F32), .in = {DOR_DIMS(2, 3, 5, 8)}, .dtype = {DOR_F16}},
    {.name = "maps", .attr = ATTR(DOR_BF16), .in = {DOR_DIMS(32, 64, 64, 32)}, .bench = true},
    {0},
};

const dor_op dor_op_cast = {.id = DOR_OP_cast, .name = "cast", .formula = "y = x in another type", .nin = 1, .nout = 1,
                            .attr_size = sizeof(dor_cast_attr), .keys = keys, .narrow = {"x", "-"}, .infer = infer, .cost = cost, .ref = ref, .grad = grad,
                            .cases = cases};

dor_val dor_cast(dor_graph *g, dor_val x, dor_dtype to)
{
  if (!g->status && dor_graph_type(g, x).dtype == to) return x;
  return dor_graph_add(g, &dor_op_cast, &(dor_cast_attr){(int32_t)to}, 1, (dor_val[]){x});
}
