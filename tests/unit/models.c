/* SPDX-License-Identifier: Apache-2.0
 *
 * The models' parameters: names, file shapes and counts as a PyTorch module of
 * the same layers has them, and the modes of batch norm and dropout. */
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "base/tree.h"
#include "nn/nn.h"
#include "tests/test.h"

typedef struct built { dor_arena arena; dor_params params; dor_graph graph; dor_val out; } built;

static void build(built *b, const char *model, const char *text, dor_shape x, bool training)
{
  memset(b, 0, sizeof *b);
  const dor_model *m = dor_model_find(model);
  REQUIRE(m, "no model %s", model);
  void *cfg = dor_arena_alloc(&b->arena, m->cfg_size);
  OK(dor_schema_defaults(m->keys, cfg, &b->arena));
  dor_tree *tree;
  OK(dor_tree_parse(&b->arena, "test.cfg", text, &tree));
  OK(dor_schema_load(m->keys, cfg, tree, NULL, &b->arena));
  dor_graph_init(&b->graph, &b->params, training);
  dor_val in = dor_graph_input(&b->graph, "x", (dor_type){x, DOR_F32});
  b->out = dor_layer_linear(&b->graph, "out", m->body(&b->graph, cfg, in), 2);
}

static void drop(built *b)
{
  dor_graph_release(&b->graph);
  dor_params_release(&b->params);
  dor_arena_release(&b->arena);
}

/* "name[shape in files] ..." */
static void expect(const built *b, int64_t count, const char *want)
{
  OK(dor_graph_status(&b->graph));
  dor_str s = {0};
  dor_shape_text text;
  for (int32_t i = 0; i < b->params.n; i++)
    dor_str_fmt(&s, "%s%s%s", i ? " " : "", b->params.at[i].spec.name, dor_shape_print(dor_param_file_shape(&b->params.at[i]), text));
  CHECK(!strcmp(s.s, want), "\n  got    %s\n  wanted %s", s.s, want);
  CHECK(dor_params_count(&b->params, false) == count, "%lld parameters", (long long)dor_params_count(&b->params, false));
  dor_str_release(&s);
}

static int count_op(const built *b, const dor_op *op)
{
  int n = 0;
  for (int32_t k = 0; k < b->graph.nnode; k++) n += b->graph.node[k].op == op;
  return n;
}

TEST(mlp_parameters_are_those_of_pytorch)
{
  built b;
  build(&b, "mlp", "", DOR_SHAPE(8, 6), true);
  expect(&b, 6 * 32 + 32 + 64 + 2, "fc0.weight[32,6] fc0.bias[32] out.weight[2,32] out.bias[2]");
  CHECK(b.graph.nnode == 2, "%d nodes for two layers", b.graph.nnode);
  drop(&b);
  build(&b, "mlp", "hidden = [8,4]; norm = \"batch\"; activation = \"tanh\"; dropout = 0.5;", DOR_SHAPE(8, 6), true);
  expect(&b, 6 * 8 + 8 + 16 + 8 * 4 + 4 + 8 + 10,
         "fc0.weight[8,6] fc0.bias[8] bn0.weight[8] bn0.bias[8] bn0.running_mean[8] bn0.running_var[8] bn0.num_batches_tracked[] fc1.weight[4,8] fc1.bias[4] "
         "bn1.weight[4] bn1.bias[4] bn1.running_mean[4] bn1.running_var[4] bn1.num_batches_tracked[] out.weight[2,4] out.bias[2]");
  CHECK(count_op(&b, &dor_op_dropout) == 2 && count_op(&b, &dor_op_bn_stats) == 2 && count_op(&b, &dor_op_tanh) == 2, "layers");
  drop(&b);
}

TEST(models_know_training_from_evaluation)
{
  built b;
  build(&b, "mlp", "norm = \"batch\"; dropout = 0.5;", DOR_SHAPE(8, 6), false);
  OK(dor_graph_status(&b.graph));
  CHECK(!count_op(&b, &dor_op_dropout) && !count_op(&b, &dor_op_bn_stats) && !count_op(&b, &dor_op_bn_running) && count_op(&b, &dor_op_bn_infer) == 1,
        "evaluation uses the running moments and drops nothing");
  drop(&b);
}

TEST(silhouette_cnn_parameters_are_those_of_pytorch)
{
  built b;
  build(&b, "silhouette_cnn", "channels = [16,32];", DOR_SHAPE(4, 16, 12, 1), true);
  expect(&b, 9 * 16 + 32 + 9 * 16 * 32 + 64 + 66,
         "conv0.weight[16,1,3,3] bn0.weight[16] bn0.bias[16] bn0.running_mean[16] bn0.running_var[16] bn0.num_batches_tracked[] "
         "conv1.weight[32,16,3,3] bn1.weight[32] bn1.bias[32] bn1.running_mean[32] bn1.running_var[32] bn1.num_batches_tracked[] out.weight[2,32] out.bias[2]");
  drop(&b);
  build(&b, "silhouette_cnn", "channels = [8,16]; kernel = 5; norm = \"none\"; head = \"flatten\"; hidden = [64];",
        DOR_SHAPE(4, 28, 28, 1), true);
  expect(&b, 25 * 8 + 8 + 25 * 8 * 16 + 16 + 784 * 64 + 64 + 130,
         "conv0.weight[8,1,5,5] conv0.bias[8] conv1.weight[16,8,5,5] conv1.bias[16] fc0.weight[64,784] fc0.bias[64] out.weight[2,64] out.bias[2]");
  int32_t fc = dor_params_find(&b.params, "fc0.weight");
  CHECK(b.params.at[fc].spec.layout == DOR_FILE_LINEAR_CHW && b.params.at[fc].spec.chw[0] == 16 && b.params.at[fc].spec.chw[1] == 7,
        "file order after a flatten");
  drop(&b);
  build(&b, "silhouette_cnn", "channels = [8]; head = \"flatten\"; dropout = 0.5;", DOR_SHAPE(4, 8, 6, 1), true);
  int32_t out = dor_params_find(&b.params, "out.weight");
  CHECK(out >= 0 && b.params.at[out].spec.layout == DOR_FILE_LINEAR_CHW, "file order of an output layer after a flatten and dropout");
  drop(&b);
}

TEST(silhouette_cnn_refuses_what_it_cannot_do)
{
  built b;
  build(&b, "silhouette_cnn", "kernel = 4;", DOR_SHAPE(4, 64, 64, 1), true);
  CHECK(dor_graph_status(&b.graph) == DOR_E_CONFIG && strstr(dor_errmsg(), "odd"), "%s", dor_errmsg());
  drop(&b);
  build(&b, "silhouette_cnn", "", DOR_SHAPE(4, 8, 64, 1), true);
  CHECK(dor_graph_status(&b.graph) == DOR_E_CONFIG && strstr(dor_errmsg(), "4 blocks"), "%s", dor_errmsg());
  drop(&b);
  build(&b, "silhouette_cnn", "", DOR_SHAPE(4, 8), true);
  CHECK(dor_graph_status(&b.graph) == DOR_E_SHAPE, "%s", dor_errmsg());
  drop(&b);
}

/* In evaluation, a convolution with batch norm and no pool behind becomes one node. */
TEST(models_fold_batch_norm_in_evaluation)
{
  dor_params p = {0};
  dor_graph g;
  dor_graph_init(&g, &p, false);
  dor_val x = dor_graph_input(&g, "x", (dor_type){DOR_SHAPE(2, 8, 8, 16), DOR_F32});
  dor_val y = dor_relu(&g, dor_layer_batch_norm(&g, "bn0", dor_layer_conv(&g, "conv0", x, 16, 3, 1, false), 0.1f, 1e-5f));
  y = dor_layer_batch_norm(&g, "bn1", dor_layer_conv(&g, "conv1", y, 16, 1, 1, false), 0.1f, 1e-5f);
  dor_graph_keep(&g, y, "y");
  dor_program *program;
  OK(dor_program_build(&program, &g, &dor_backend_cpu, NULL));
  const dor_graph *fused = dor_program_graph(program);
  CHECK(fused->nnode == 2 && fused->node[0].op == &dor_op_conv2d_affine && fused->node[1].op == &dor_op_conv2d_affine, "%d nodes", fused->nnode);
  dor_program_release(program);
  dor_params_release(&p);
}
