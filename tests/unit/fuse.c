/* SPDX-License-Identifier: Apache-2.0
 *
 * Fusion by table, on ops made up here: when a chain becomes one node, when it
 * stays, and that the numbers are the same. */
#include <string.h>

#include "graph/graph.h"
#include "ops/ops.h"
#include "tests/ops/reference.h"
#include "tests/test.h"

/* scale_relu: y = max(factor x, 0). scale_relu_both gives the scaled numbers too where somebody needs them. */
static void scale_relu_ref(const dor_refcall *c)
{
  const dor_scale_attr *a = c->attr;
  for (int64_t i = 0; i < dor_shape_size(c->type_out[0].shape); i++) {
    double y = a->factor * c->in[0][i];
    c->out[0][i] = y > 0 ? y : 0;
    if (c->nout > 1) c->out[1][i] = y;
  }
}

static dor_status both_infer(const dor_infer *c)
{
  for (int32_t i = 0; i < c->nout; i++) c->out[i].shape = c->in[0].shape;
  return DOR_OK;
}

static bool both_fuse(const dor_match *m, dor_fused *f)
{
  memcpy(f->attr, m->node[0]->attr, sizeof(dor_scale_attr));
  f->nin = 1, f->nout = 2;
  f->in[0] = m->node[0]->in[0];
  f->out[0] = m->node[1]->out[0];
  f->out[1] = dor_match_needed(m, m->node[0]->out[0]) ? m->node[0]->out[0] : DOR_NONE;
  return true;
}

static const dor_op scale_relu = {.name = "scale_relu", .nin = 1, .nout = 1, .attr_size = sizeof(dor_scale_attr), .infer = both_infer, .ref = scale_relu_ref};
static const dor_op scale_relu_both = {.name = "scale_relu_both", .nin = 1, .nout = 2, .attr_size = sizeof(dor_scale_attr), .infer = both_infer,
                                       .ref = scale_relu_ref, .fuse = both_fuse};
static const dor_fuse_row one[] = {{&scale_relu, {&dor_op_scale, &dor_op_relu}}, {0}};
static const dor_fuse_row both[] = {{&scale_relu_both, {&dor_op_scale, &dor_op_relu}}, {0}};

static bool has_all(const void *backend, const dor_op *op)
{
  (void)backend, (void)op;
  return true;
}

static bool has_none(const void *backend, const dor_op *op)
{
  (void)backend, (void)op;
  return false;
}

typedef enum extra { NOTHING, READ_BEFORE, READ_AFTER, KEPT, OVERWRITTEN, CANNOT_WAIT } extra;

typedef struct net {
  dor_graph g;
  dor_val x, out;
} net;

/* out = relu(2 x) + x, and what else happens to the scaled numbers or to x on the way. */
static void build(net *n, extra e)
{
  dor_graph *g = &n->g;
  dor_graph_init(g, NULL, true);
  n->x = dor_graph_input(g, "x", (dor_type){DOR_SHAPE(5), DOR_F32});
  dor_val y = dor_scale(g, n->x, 2), more = n->x;
  if (e == READ_BEFORE) more = dor_sigmoid(g, y);
  if (e == OVERWRITTEN) more = dor_add_into(g, n->x, y);
  if (e == CANNOT_WAIT) { /* a reader before the relu, and what else it reads is overwritten there */
    dor_val w = dor_scale(g, n->x, 3);
    more = dor_add(g, y, w);
    dor_graph_keep(g, dor_add_into(g, w, n->x), "moved");
  }
  dor_val z = dor_relu(g, y);
  if (e == READ_AFTER) more = dor_sigmoid(g, y);
  if (e == KEPT) dor_graph_keep(g, y, "scaled");
  n->out = dor_add(g, z, more);
  dor_graph_keep(g, n->out, "out");
}

static double result(net *n, int32_t i)
{
  numbers x = numbers_new(&n->g);
  for (int32_t k = 0; k < 5; k++) x.at[n->x][k] = k - 2.25;
  numbers_run(x, 0, n->g.nnode);
  double y = x.at[n->out][i];
  numbers_free(x);
  return y;
}

static void check(extra e, const dor_fuse_row *rows, bool fuses)
{
  net plain, fused;
  build(&plain, e);
  build(&fused, e);
  OK(dor_graph_status(&fused.g));
  OK(dor_graph_fuse(&fused.g, rows, has_all, NULL));
  OK(dor_graph_prune(&fused.g));
  CHECK(fused.g.nnode == plain.g.nnode - fuses, "case %d: %d nodes of %d", (int)e, fused.g.nnode, plain.g.nnode);
  for (int32_t i = 0; i < 5; i++) CHECK(result(&plain, i) == result(&fused, i), "case %d: element %d differs", (int)e, i);
  dor_graph_release(&plain.g);
  dor_graph_release(&fused.g);
}

TEST(fuse_replaces_a_chain_whose_inner_value_nobody_needs)
{
  check(NOTHING, one, true);
  check(READ_BEFORE, one, false);
  check(READ_AFTER, one, false);
  check(KEPT, one, false);
  check(OVERWRITTEN, one, false);
}

TEST(fuse_can_keep_an_inner_value_as_an_output)
{
  check(NOTHING, both, true);
  check(READ_BEFORE, both, true);
  check(CANNOT_WAIT, both, false);
  check(READ_AFTER, both, true);
  check(KEPT, both, true);
}

TEST(fuse_asks_what_the_target_has)
{
  net n;
  build(&n, NOTHING);
  int32_t before = n.g.nnode;
  OK(dor_graph_fuse(&n.g, one, has_none, NULL));
  CHECK(n.g.nnode == before, "fused to what the target lacks");
  dor_graph_release(&n.g);
}
