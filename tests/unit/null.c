/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole programs on the null backend: they bind, plan and fuse as they would on a GPU, and the dump says by what. */
#include <string.h>

#include "backend/program.h"
#include "nn/pose_net.h"
#include "ops/ops.h"
#include "optim/optim.h"
#include "tests/test.h"

typedef struct counts { int own, products, graphs, fused, turns, copies; } counts;

static bool is_fused(const dor_op *op)
{
  for (const dor_fuse_row *row = dor_fuse_rows; row->fused; row++)
    if (row->fused == op) return true;
  return false;
}

static void count(const dor_program *p, counts *n)
{
  for (int32_t k = 0; k < p->graph.nnode; k++) {
    const dor_bound *b = &p->bound[k];
    if (!b->kernel) continue;
    const char *by = b->kernel->name, *what = b->kernel->describe ? b->kernel->describe(b->plan) : "";
    n->own += strstr(by, "_cuda") != NULL;
    n->products += !strncmp(what, "product", 7);
    n->graphs += strstr(by, "_cudnn") != NULL;
    n->fused += is_fused(p->graph.node[k].op);
    n->turns += strstr(what, "turn(") != NULL;
    n->copies += p->graph.node[k].op == &dor_op_copy_weights;
    CHECK(strstr(by, "_cuda") || *what, "%s: the library was not asked", by);
  }
}

static void bind(dor_graph *g, dor_status made, counts *n)
{
  dor_program *p;
  OK(made);
  OK(dor_program_build(&p, g, &dor_backend_null, NULL));
  CHECK(p->plan.total >= p->plan.bound, "memory is not planned");
  count(p, n);
  dor_program_release(p);
}

static void bind_vector(const char *model, dor_shape x, counts *n)
{
  const dor_model *m = dor_model_find(model);
  dor_arena a = {0};
  dor_params params = {0};
  dor_graph g;
  const dor_optim_cfg adam = {.rule = DOR_RULE_ADAMW, .lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .clip = 1, .ema = 0.99};
  void *cfg = dor_arena_alloc(&a, m->cfg_size);
  OK(dor_schema_defaults(m->keys, cfg, &a));
  dor_graph_init(&g, &params, true);
  dor_val y = dor_layer_linear(&g, "out", m->body(&g, cfg, dor_graph_input(&g, "x", (dor_type){x, DOR_F32})), 3);
  const dor_type row = {DOR_SHAPE(x.d[0]), DOR_F32};
  dor_val loss = dor_softmax_ce(&g, y, dor_graph_input(&g, "label", row), dor_graph_input(&g, "weight", row), DOR_NONE, 0);
  dor_graph_keep(&g, loss, "loss");
  dor_status s = dor_graph_grad_params(&g, &dor_op_add, &dor_op_add_into, loss, dor_graph_input(&g, "one", (dor_type){DOR_SHAPE(1), DOR_F32}), false);
  bind(&g, s, n);
  dor_graph_init(&g, &params, true);
  s = dor_optim_build(&g, &adam);
  bind(&g, s, n);
  dor_params_release(&params);
  dor_arena_release(&a);
}

static void bind_pose(bool train, counts *n)
{
  const dor_model *m = dor_model_find("higherhrnet");
  dor_arena a = {0};
  dor_params params = {0};
  dor_pose_net net;
  dor_graph g;
  void *cfg = dor_arena_alloc(&a, m->cfg_size);
  const dor_shape x = DOR_SHAPE(2, 128, 128, 3);
  OK(dor_schema_defaults(m->keys, cfg, &a));
  dor_graph_init(&g, &params, train);
  dor_status s = train ? dor_pose_graph_train(&g, m, cfg, x, &(dor_pose_loss){.push = 1e-3, .pull = 1e-3, .people = 30}, false, &net)
                       : dor_pose_graph_eval(&g, m, cfg, x, &net);
  bind(&g, s, n);
  dor_params_release(&params);
  dor_arena_release(&a);
}

TEST(null_backend_binds_whole_programs)
{
  counts n = {0};
  bind_vector("mlp", DOR_SHAPE(32, 19), &n);
  bind_vector("silhouette_cnn", DOR_SHAPE(32, 64, 64, 1), &n);
  bind_pose(true, &n);
  bind_pose(false, &n);
  print_message("    %d nodes by own CUDA kernels, %d matrix products, %d graphs for cuDNN; %d of all are fused\n", n.own, n.products, n.graphs, n.fused);
  CHECK(!n.turns && n.copies == 3, "weights are turned by %d nodes of their own, and by %d for all", n.turns, n.copies);
  CHECK(n.own && n.products && n.graphs && n.fused, "a kind of kernel is not used at all");
}
