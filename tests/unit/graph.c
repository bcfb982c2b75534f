/* SPDX-License-Identifier: Apache-2.0
 *
 * Building, scopes, gradients, in-place outputs: what a graph promises. */
#include "graph/graph.h"

#include <stdlib.h>
#include <string.h>

#include "ops/ops.h"
#include "tests/ops/reference.h"
#include "tests/test.h"

static dor_type f32(dor_shape s) { return (dor_type){s, DOR_F32}; }

static dor_val weight(dor_graph *g, dor_shape s) { return dor_graph_param(g, &(dor_param_spec){.name = "weight", .shape = s}); }

TEST(graph_shape_errors_name_the_op_and_the_sizes)
{
  dor_params p = {0};
  dor_graph g;
  dor_graph_init(&g, &p, true);
  dor_val x = dor_graph_input(&g, "x", f32(DOR_SHAPE(1, 8, 8, 3)));
  dor_val y = dor_relu(&g, dor_conv2d(&g, x, weight(&g, DOR_SHAPE(3, 3, 5, 4)), 1, 1, 1, 1));
  CHECK(y == DOR_NONE && dor_graph_status(&g) == DOR_E_SHAPE, "status %d", (int)g.status);
  CHECK(strstr(dor_errmsg(), "conv2d") && strstr(dor_errmsg(), "[3,3,5,4]"), "%s", dor_errmsg());
  CHECK(dor_relu(&g, x) == DOR_NONE && dor_graph_input(&g, "z", f32(DOR_SHAPE(1))) == DOR_NONE, "built on after a failure");
  dor_graph_release(&g);
  dor_params_release(&p);
}

TEST(graph_refuses_what_cannot_be)
{
  dor_graph g;
  dor_graph_init(&g, NULL, true);
  dor_graph_input(&g, "x", f32(DOR_SHAPE(4)));
  dor_graph_input(&g, "x", f32(DOR_SHAPE(4)));
  CHECK(g.status == DOR_E_ARG, "two inputs of one name: %s", dor_errmsg());
  dor_graph_release(&g);
  dor_graph_init(&g, NULL, true);
  dor_graph_input(&g, "x", f32(DOR_SHAPE(4, 0)));
  CHECK(g.status == DOR_E_SHAPE, "an empty input: %s", dor_errmsg());
  dor_graph_release(&g);
  dor_graph_init(&g, NULL, true);
  weight(&g, DOR_SHAPE(4));
  CHECK(g.status == DOR_E_ARG, "a parameter without a table: %s", dor_errmsg());
  dor_graph_release(&g);
  dor_graph_init(&g, NULL, true);
  for (int i = 0; i < 20; i++) dor_graph_push(&g, "a_name_of_twenty_%d_letters", i);
  CHECK(g.status == DOR_E_RANGE && strlen(g.scope) < sizeof g.scope, "an endless scope: %s", dor_errmsg());
  dor_graph_release(&g);
}

TEST(graph_scopes_name_parameters_and_find_them_again)
{
  dor_params p = {0};
  dor_graph g;
  dor_graph_init(&g, &p, true);
  size_t outer = dor_graph_push(&g, "features"), inner = dor_graph_push(&g, "%d", 3);
  dor_val a = weight(&g, DOR_SHAPE(4, 5)), b = weight(&g, DOR_SHAPE(4, 5));
  dor_graph_pop(&g, inner);
  dor_val c = weight(&g, DOR_SHAPE(2));
  dor_graph_pop(&g, outer);
  OK(dor_graph_status(&g));
  CHECK(a == b && a != c, "the same name gave %d and %d, another %d", a, b, c);
  CHECK(dor_params_find(&p, "features.3.weight") == 0 && dor_params_find(&p, "features.weight") == 1, "names: %s, %s", p.at[0].spec.name, p.at[1].spec.name);
  CHECK(p.at[1].offset == 128 && p.param_bytes == 192 && p.state_bytes == 0, "20 and 2 floats: at %zu of %zu", p.at[1].offset, p.param_bytes);
  CHECK(g.value[c].offset == 128 && !g.scope[0], "value at %zu, scope '%s'", g.value[c].offset, g.scope);
  dor_graph_push(&g, "features");
  weight(&g, DOR_SHAPE(3));
  CHECK(g.status == DOR_E_SHAPE && strstr(dor_errmsg(), "features.weight"), "another shape: %s", dor_errmsg());
  dor_graph_release(&g);
  dor_params_release(&p);
}

TEST(graph_gradients_add_where_paths_meet)
{
  dor_graph g;
  dor_graph_init(&g, NULL, true);
  dor_val x = dor_graph_input(&g, "x", f32(DOR_SHAPE(3))), r = dor_graph_input(&g, "r", f32(DOR_SHAPE(3))), dx, dr;
  dor_val y = dor_add(&g, dor_mul(&g, x, x), dor_add(&g, x, x)); /* x^2 + 2x */
  OK(dor_graph_grad(&g, &dor_op_accumulate, y, r, 1, &x, &dx));
  numbers n = numbers_new(&g);
  for (int i = 0; i < 3; i++) n.at[x][i] = i - 1.5, n.at[r][i] = 1 + i;
  numbers_run(n, 0, g.nnode);
  for (int i = 0; i < 3; i++) CHECK(n.at[dx][i] == (2 * n.at[x][i] + 2) * n.at[r][i], "element %d: %g", i, n.at[dx][i]);
  numbers_free(n);
  dor_val apart = dor_graph_input(&g, "apart", f32(DOR_SHAPE(3)));
  OK(dor_graph_grad(&g, &dor_op_accumulate, y, r, 1, &apart, &dr));
  CHECK(dr == DOR_NONE, "a loss depends on what it never read");
  dor_graph_release(&g);
}

/* Ops that break the rules, one way each. */
static dor_status wrong_shape(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  (void)n;
  gin[0] = dor_reshape(g, gout[0], DOR_SHAPE(2, 2));
  return g->status;
}

static dor_status nothing(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  (void)n, (void)gout, (void)gin;
  return g->status;
}

static dor_status two_outputs(const dor_infer *c)
{
  c->out[0].shape = c->out[1].shape = c->in[0].shape;
  return DOR_OK;
}

static dor_status gradient_of(const dor_op *op, int32_t output)
{
  dor_graph g;
  dor_graph_init(&g, NULL, true);
  dor_val x = dor_graph_input(&g, "x", f32(DOR_SHAPE(4))), dx;
  dor_val y = dor_graph_output(&g, dor_graph_add(&g, op, NULL, 1, &x), output);
  dor_status s = dor_graph_grad(&g, &dor_op_accumulate, y, x, 1, &x, &dx);
  dor_graph_release(&g);
  return s;
}

TEST(graph_gradients_that_break_the_rules_are_errors)
{
  dor_op op = {.name = "crooked", .nin = 1, .nout = 2, .naux = 1, .infer = two_outputs, .grad = wrong_shape};
  CHECK(gradient_of(&op, 0) == DOR_E_SHAPE && strstr(dor_errmsg(), "crooked: the gradient of input 0 is [2,2], the input [4]"), "%s", dor_errmsg());
  op.grad = nothing;
  CHECK(gradient_of(&op, 0) == DOR_E_UNSUPPORTED && strstr(dor_errmsg(), "no gradient for input 0"), "%s", dor_errmsg());
  CHECK(gradient_of(&op, 1) == DOR_E_UNSUPPORTED && strstr(dor_errmsg(), "by-product"), "%s", dor_errmsg());
  op.grad = NULL;
  CHECK(gradient_of(&op, 0) == DOR_E_UNSUPPORTED && strstr(dor_errmsg(), "crooked has no gradient"), "%s", dor_errmsg());
}

/* loss = sum((a + b) * x) with a and b parameters: their gradients are one value. */
static dor_status sum_of_two(dor_graph *g, dor_params *p, bool accumulate, dor_val at[2])
{
  dor_graph_init(g, p, true);
  at[0] = dor_graph_param(g, &(dor_param_spec){.name = "a", .shape = DOR_SHAPE(3)});
  at[1] = dor_graph_param(g, &(dor_param_spec){.name = "b", .shape = DOR_SHAPE(3)});
  dor_val c = dor_graph_param(g, &(dor_param_spec){.name = "c", .shape = DOR_SHAPE(3), .frozen = true});
  dor_val x = dor_graph_input(g, "x", f32(DOR_SHAPE(3)));
  dor_val loss = dor_sum(g, dor_mul(g, dor_mul(g, dor_add(g, at[0], at[1]), c), x), 1);
  dor_val seed = dor_graph_input(g, "seed", dor_graph_type(g, loss));
  return dor_graph_grad_params(g, &dor_op_accumulate, &dor_op_add_into, loss, seed, accumulate);
}

static int32_t gradients_at(const dor_graph *g, size_t offset)
{
  int32_t n = 0;
  for (int32_t k = 0; k < g->nnode; k++)
    for (int32_t i = 0; i < g->node[k].nout; i++) n += g->value[g->node[k].out[i]].kind == DOR_GRAD && g->value[g->node[k].out[i]].offset == offset;
  return n;
}

TEST(graph_parameter_gradients_have_their_home_in_the_block)
{
  dor_params p = {0};
  dor_graph g;
  dor_val at[2];
  for (int accumulate = 0; accumulate < 2; accumulate++) {
    OK(sum_of_two(&g, &p, accumulate, at));
    OK(dor_graph_prune(&g));
    for (int i = 0; i < 2; i++) CHECK(gradients_at(&g, g.value[at[i]].offset) == 1, "parameter %d: %d writers", i, gradients_at(&g, g.value[at[i]].offset));
    CHECK(gradients_at(&g, p.at[2].offset) == 0, "a frozen parameter has a gradient");
    int32_t adds = 0;
    for (int32_t k = 0; k < g.nnode; k++) adds += g.node[k].op == &dor_op_add_into;
    CHECK(adds == 2 * accumulate, "%d nodes add into the block", adds);
    dor_graph_release(&g);
  }
  dor_params_release(&p);
}

TEST(graph_random_keys_follow_names_not_places)
{
  uint64_t key[2], other;
  for (int i = 0; i < 2; i++) {
    dor_graph g;
    dor_graph_init(&g, NULL, true);
    dor_val x = dor_graph_input(&g, "x", f32(DOR_SHAPE(8))), dx;
    for (int k = 0; k < i; k++) x = dor_relu(&g, x);
    size_t mark = dor_graph_push(&g, "head");
    dor_val y = dor_dropout(&g, x, 0.5);
    key[i] = g.node[g.nnode - 1].key;
    dor_dropout(&g, y, 0.5);
    other = g.node[g.nnode - 1].key;
    dor_graph_pop(&g, mark);
    OK(dor_graph_grad(&g, &dor_op_accumulate, y, x, 1, &x, &dx));
    CHECK(g.node[g.nnode - 1].op == &dor_op_dropout_bwd && g.node[g.nnode - 1].key == key[i], "the backward draws other numbers");
    CHECK(other != key[i] && key[i], "two dropouts of one scope share a key");
    dor_graph_release(&g);
  }
  CHECK(key[0] == key[1], "the key moved with the node");
}

TEST(graph_overwritten_memory_is_not_read)
{
  dor_graph g;
  dor_plan plan;
  dor_graph_init(&g, NULL, true);
  dor_val acc = dor_graph_block(&g, DOR_GRAD, 64, 4, "acc"), x = dor_graph_input(&g, "x", f32(DOR_SHAPE(4)));
  dor_val now = dor_add_into(&g, acc, x);
  CHECK(g.value[now].kind == DOR_GRAD && g.value[now].offset == 64 && g.value[now].alias == acc, "in place of the block");
  dor_relu(&g, now);
  OK(dor_graph_plan(&g, NULL, &plan));
  dor_relu(&g, acc);
  CHECK(dor_graph_plan(&g, NULL, &plan) == DOR_E_ARG && strstr(dor_errmsg(), "overwritten"), "%s", dor_errmsg());
  dor_graph_release(&g);
}

TEST(graph_prune_leaves_what_is_kept_or_written_to_a_block)
{
  dor_graph g;
  dor_graph_init(&g, NULL, true);
  dor_val x = dor_graph_input(&g, "x", f32(DOR_SHAPE(4))), a = dor_relu(&g, x);
  dor_relu(&g, dor_relu(&g, a));
  dor_add_into(&g, dor_graph_block(&g, DOR_STATE, 0, 4, "state"), x);
  dor_graph_keep(&g, dor_sigmoid(&g, a), "out");
  OK(dor_graph_prune(&g));
  CHECK(g.nnode == 3, "%d nodes", g.nnode);
  CHECK(g.node[0].op == &dor_op_relu && g.node[1].op == &dor_op_add_into && g.node[2].op == &dor_op_sigmoid, "other nodes than relu, add_into, sigmoid");
  CHECK(dor_graph_find(&g, "out") == g.node[2].out[0] && dor_graph_find(&g, "x") == x && dor_graph_find(&g, "y") == DOR_NONE, "names");
  dor_graph_release(&g);
}

TEST(graph_dump_is_as_written)
{
  static const char want[] =
      "   0  conv2d           x [2,6,6,1] input, stem.weight [3,3,1,4] param -> %2 [2,6,6,4] @0"
      " kernel=3,3 stride=1,1 pad=1,1 dilation=1,1 groups=1 size=6,6  (stem)\n"
      "   1  relu             %2 [2,6,6,4] -> y [2,6,6,4] kept @1280  (stem)\n"
      "pool 3072 bytes planned, 3072 unplanned, 3072 needed at least\n";
  dor_params p = {0};
  dor_graph g;
  dor_plan plan;
  dor_str text = {0};
  dor_graph_init(&g, &p, false);
  dor_val x = dor_graph_input(&g, "x", f32(DOR_SHAPE(2, 6, 6, 1)));
  size_t mark = dor_graph_push(&g, "stem");
  dor_graph_keep(&g, dor_relu(&g, dor_conv2d(&g, x, weight(&g, DOR_SHAPE(3, 3, 1, 4)), 1, 1, 1, 1)), "y");
  dor_graph_pop(&g, mark);
  OK(dor_graph_plan(&g, NULL, &plan));
  dor_graph_dump(&g, &plan, &text);
  OK(dor_str_status(&text));
  CHECK(!strcmp(text.s, want), "got\n%s", text.s);
  dor_str_release(&text);
  dor_graph_release(&g);
  dor_params_release(&p);
}
