/* SPDX-License-Identifier: Apache-2.0
 *
 * The registry, made from ops.def and fuse.def, and the few inferences and
 * costs that many ops share. */
#include "ops/ops.h"

#include <string.h>

const dor_op *const dor_ops[DOR_OP_COUNT] = {
#define OP(name, ...) [DOR_OP_##name] = &dor_op_##name,
#include "ops/ops.def"
#undef OP
};

#define FUSE_2(f, a, b) {&dor_op_##f, {&dor_op_##a, &dor_op_##b}},
#define FUSE_3(f, a, b, c) {&dor_op_##f, {&dor_op_##a, &dor_op_##b, &dor_op_##c}},
#define FUSE_4(f, a, b, c, d) {&dor_op_##f, {&dor_op_##a, &dor_op_##b, &dor_op_##c, &dor_op_##d}},
#define PICK(f, a, b, c, d, which, ...) which
#define FUSE(...) PICK(__VA_ARGS__, FUSE_4, FUSE_3, FUSE_2, 0)(__VA_ARGS__)
const dor_fuse_row dor_fuse_rows[] = {
#include "ops/fuse.def"
    {0}};

const dor_op *dor_op_find(const char *name)
{
  for (int32_t i = 0; i < DOR_OP_COUNT; i++)
    if (!strcmp(dor_ops[i]->name, name)) return dor_ops[i];
  return NULL;
}

dor_status dor_infer_same(const dor_infer *c)
{
  dor_shape_text a, b;
  for (int32_t i = 1; i < c->nin; i++)
    DOR_NEED(dor_shape_same(c->in[0].shape, c->in[i].shape), SHAPE, "inputs of %s and %s differ", dor_shape_print(c->in[0].shape, a),
             dor_shape_print(c->in[i].shape, b));
  c->out[0].shape = c->in[0].shape;
  return DOR_OK;
}

dor_cost dor_cost_stream(const dor_infer *c)
{
  double bytes = 0;
  for (int32_t i = 0; i < c->nin; i++) bytes += (double)dor_type_bytes(c->in[i]);
  for (int32_t i = 0; i < c->nout; i++) bytes += (double)dor_type_bytes(c->out[i]);
  return (dor_cost){.flops = (double)dor_shape_size(c->out[0].shape), .bytes = bytes};
}

int32_t dor_last_dim(dor_shape s) { return s.n ? s.d[s.n - 1] : 1; }

double dor_conv_macs(const dor_graph *g, bool charge_output)
{
  double macs = 0;
  for (int32_t k = 0; k < g->nnode; k++) {
    const dor_node *n = &g->node[k];
    bool transposed = n->op == &dor_op_conv_transpose2d;
    if (n->op != &dor_op_conv2d && !transposed) continue;
    const int32_t *stride = ((const dor_conv2d_attr *)n->attr)->stride;
    macs += dor_node_cost(g, k).flops / 2 * (transposed && charge_output ? stride[0] * stride[1] : 1);
  }
  return macs;
}
