/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/net.h"

#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "ops/ops.h"
#include "tests/test.h"

enum { BATCH = 6, SIZE = 12, CHANNELS = 3, CLASSES = 4 };

static dor_val param(dor_graph *g, const char *name, dor_shape s, dor_init init, int32_t fan)
{
  return dor_graph_param(g, &(dor_param_spec){.name = name, .shape = s, .init = init, .fan = fan});
}

static dor_val norm(dor_graph *g, dor_val x)
{
  int32_t c = dor_last_dim(dor_graph_type(g, x).shape);
  dor_val gamma = param(g, "gamma", DOR_SHAPE(c), DOR_INIT_ONE, 0), beta = param(g, "beta", DOR_SHAPE(c), DOR_INIT_ZERO, 0);
  dor_val mean = dor_graph_param(g, &(dor_param_spec){.name = "mean", .shape = DOR_SHAPE(c), .state = true});
  dor_val var = dor_graph_param(g, &(dor_param_spec){.name = "var", .shape = DOR_SHAPE(c), .state = true, .init = DOR_INIT_ONE});
  dor_val batches = dor_graph_param(g, &(dor_param_spec){.name = "batches", .dtype = DOR_I32, .state = true});
  return dor_batch_norm(g, x, gamma, beta, &(dor_norm_state){mean, var, batches}, 1e-5, 0.1);
}

static dor_val conv(dor_graph *g, dor_val x, int32_t out, int32_t kernel, int32_t stride)
{
  int32_t in = dor_last_dim(dor_graph_type(g, x).shape);
  dor_val w = param(g, "weight", DOR_SHAPE(kernel, kernel, in, out), DOR_INIT_KAIMING_UNIFORM, kernel * kernel * in);
  return dor_conv2d(g, x, w, stride, kernel / 2, 1, 1);
}

/* conv, norm or bias, an activation, sometimes a residual, sometimes a pool. */
static dor_val block(dor_graph *g, dor_val x, dor_rng *r)
{
  static const int32_t widths[] = {4, 8, 16, 16};
  int32_t out = widths[dor_rng_below(r, 4)];
  dor_val y = conv(g, x, out, dor_rng_below(r, 3) ? 3 : 1, 1);
  y = dor_rng_below(r, 3) ? norm(g, y) : dor_bias(g, y, param(g, "bias", DOR_SHAPE(out), DOR_INIT_UNIFORM, 0));
  if (dor_shape_same(dor_graph_type(g, x).shape, dor_graph_type(g, y).shape)) y = dor_add(g, y, x);
  y = dor_rng_below(r, 4) ? dor_relu(g, y) : dor_leaky_relu(g, y, 0.1);
  if (dor_graph_type(g, y).shape.d[1] > 3 && dor_rng_below(r, 2)) y = dor_max_pool(g, y, 2, 2, 0);
  return y;
}

static dor_val head(dor_graph *g, dor_val x, dor_rng *r)
{
  x = dor_rng_below(r, 2) ? dor_global_pool(g, x) : dor_flatten(g, x);
  int32_t in = dor_last_dim(dor_graph_type(g, x).shape);
  dor_val w = param(g, "fc.weight", DOR_SHAPE(in, CLASSES), DOR_INIT_KAIMING_UNIFORM, in), b = param(g, "fc.bias", DOR_SHAPE(CLASSES), DOR_INIT_ZERO, 0);
  return dor_linear(g, dor_dropout(g, x, 0.3), w, b, false);
}

void test_net_build(test_net *n, uint64_t seed, bool accumulate)
{
  memset(n, 0, sizeof *n);
  dor_graph *g = &n->graph;
  dor_rng r = dor_rng_stream(seed, 77, 0);
  dor_graph_init(g, &n->params, true);
  dor_val x = dor_graph_input(g, "x", (dor_type){DOR_SHAPE(BATCH, SIZE, SIZE, CHANNELS), DOR_F32});
  for (uint32_t i = 0, depth = 2 + dor_rng_below(&r, 3); i < depth; i++) {
    size_t mark = dor_graph_push(g, "block%u", i);
    x = block(g, x, &r);
    dor_graph_pop(g, mark);
  }
  dor_val label = dor_graph_input(g, "label", (dor_type){DOR_SHAPE(BATCH), DOR_F32});
  dor_val weight = dor_graph_input(g, "weight", (dor_type){DOR_SHAPE(BATCH), DOR_F32});
  dor_val scores = head(g, x, &r);
  dor_val loss = dor_softmax_ce(g, scores, label, weight, DOR_NONE, 0.1);
  dor_graph_keep(g, scores, "scores");
  dor_graph_keep(g, loss, "loss");
  dor_val one = dor_graph_input(g, "seed", (dor_type){DOR_SHAPE(1), DOR_F32});
  OK(dor_graph_grad_params(g, &dor_op_accumulate, &dor_op_add_into, loss, one, accumulate));
  n->blocks.at[DOR_PARAM] = dor_block_alloc(n->params.param_bytes);
  n->blocks.at[DOR_GRAD] = dor_block_alloc(n->params.param_bytes);
  n->blocks.at[DOR_STATE] = dor_block_alloc(n->params.state_bytes);
  test_net_start(n);
}

void test_net_start(test_net *n)
{
  dor_params_init(&n->params, 5, n->blocks.at[DOR_PARAM], n->blocks.at[DOR_STATE]);
  memset(n->blocks.at[DOR_GRAD], 0, n->params.param_bytes);
}

void test_net_free(test_net *n)
{
  dor_block_free(n->blocks.at[DOR_PARAM], n->params.param_bytes);
  dor_block_free(n->blocks.at[DOR_GRAD], n->params.param_bytes);
  dor_block_free(n->blocks.at[DOR_STATE], n->params.state_bytes);
  dor_graph_release(&n->graph);
  dor_params_release(&n->params);
}

dor_instance *test_net_instance(const test_net *n, const dor_program *p)
{
  dor_instance *in;
  OK(dor_instance_new(&in, p, &n->blocks));
  dor_rng r = dor_rng_stream(9, 0, 0);
  float *x = dor_instance_named(in, "x"), *label = dor_instance_named(in, "label"), *weight = dor_instance_named(in, "weight");
  for (int i = 0; i < BATCH * SIZE * SIZE * CHANNELS; i++) x[i] = (float)(2 * dor_rng_real(&r) - 1);
  for (int i = 0; i < BATCH; i++) label[i] = (float)dor_rng_below(&r, CLASSES), weight[i] = 1;
  *(float *)dor_instance_named(in, "seed") = 1;
  return in;
}
