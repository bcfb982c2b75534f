/* SPDX-License-Identifier: Apache-2.0
 *
 * A small silhouette net trained one step, fused and as written, on the CPU and
 * on plain kernels: the same loss, gradients and running moments; and which
 * kernels serve the shapes of our own models. */
#include <math.h>
#include <string.h>

#include "backend/backend.h"
#include "base/mem.h"
#include "base/rng.h"
#include "ops/ops.h"
#include "tests/test.h"

typedef struct net {
  int32_t n, size, first;
  dor_params params;
  dor_blocks blocks;
  dor_program *program;
  dor_instance *instance;
} net;

static dor_val param(dor_graph *g, const char *name, dor_shape s, bool state, dor_init init, int32_t fan)
{
  dor_param_spec spec = {.name = name, .shape = s, .state = state, .init = init, .fan = fan};
  return dor_graph_param(g, &spec);
}

/* conv, batch norm, ReLU, pool */
static dor_val block(dor_graph *g, int32_t k, dor_val x, int32_t out)
{
  size_t mark = dor_graph_push(g, "block%d", k);
  int32_t in = dor_graph_type(g, x).shape.d[3];
  dor_shape v = DOR_SHAPE(out);
  dor_val y = dor_conv2d(g, x, param(g, "w", DOR_SHAPE(3, 3, in, out), false, DOR_INIT_KAIMING_UNIFORM, 9 * in), 1, 1, 1, 1);
  dor_val gamma = param(g, "gamma", v, false, DOR_INIT_ONE, 0), beta = param(g, "beta", v, false, DOR_INIT_ZERO, 0);
  dor_norm_state s = {param(g, "mean", v, true, DOR_INIT_ZERO, 0), param(g, "var", v, true, DOR_INIT_ONE, 0),
                      dor_graph_param(g, &(dor_param_spec){.name = "batches", .dtype = DOR_I32, .state = true})};
  y = dor_batch_norm(g, y, gamma, beta, &s, 1e-5, 0.1);
  y = dor_max_pool(g, dor_relu(g, y), 2, 2, 0);
  dor_graph_pop(g, mark);
  return y;
}

static void build(net *t, const dor_backend *b, const dor_program_options *o)
{
  dor_graph g;
  dor_graph_init(&g, &t->params, true);
  dor_val x = dor_graph_input(&g, "x", (dor_type){DOR_SHAPE(t->n, t->size, t->size, 1), DOR_F32});
  dor_val label = dor_graph_input(&g, "label", (dor_type){DOR_SHAPE(t->n), DOR_F32}), one = dor_graph_input(&g, "one", (dor_type){DOR_SHAPE(1), DOR_F32});
  dor_val weight = dor_graph_input(&g, "weight", (dor_type){DOR_SHAPE(t->n), DOR_F32});
  dor_val y = dor_global_pool(&g, block(&g, 1, block(&g, 0, x, t->first), 2 * t->first));
  y = dor_matmul(&g, y, param(&g, "out", DOR_SHAPE(2, 2 * t->first), false, DOR_INIT_KAIMING_UNIFORM, 2 * t->first), false, true);
  dor_val loss = dor_softmax_ce(&g, y, label, weight, DOR_NONE, 0);
  dor_graph_keep(&g, loss, "loss");
  OK(dor_graph_grad_params(&g, &dor_op_add, &dor_op_add_into, loss, one, false));
  OK(dor_program_build(&t->program, &g, b, o));
}

static void run(net *t)
{
  size_t bytes[DOR_KIND_COUNT] = {[DOR_PARAM] = t->params.param_bytes, [DOR_GRAD] = t->params.param_bytes, [DOR_STATE] = t->params.state_bytes};
  for (size_t k = 0; k < DOR_KIND_COUNT; k++)
    if (bytes[k]) t->blocks.at[k] = dor_block_alloc(bytes[k]);
  dor_params_init(&t->params, 3, t->blocks.at[DOR_PARAM], t->blocks.at[DOR_STATE]);
  OK(dor_instance_new(&t->instance, t->program, &t->blocks));
  dor_rng r = dor_rng_stream(5, 1, 0);
  float *x = dor_instance_named(t->instance, "x"), *label = dor_instance_named(t->instance, "label"), *weight = dor_instance_named(t->instance, "weight");
  for (int32_t i = 0; i < t->n * t->size * t->size; i++) x[i] = (float)dor_rng_real(&r);
  for (int32_t i = 0; i < t->n; i++) label[i] = (float)(i % 2), weight[i] = 1;
  *(float *)dor_instance_named(t->instance, "one") = 1;
  dor_instance_run(t->instance, &(dor_step){.lr = 1, .grad_scale = 1});
}

static void drop(net *t)
{
  dor_instance_free(t->instance);
  dor_program_release(t->program);
  for (size_t k = 0; k < DOR_KIND_COUNT; k++)
    if (t->blocks.at[k]) dor_block_free(t->blocks.at[k], k == DOR_STATE ? t->params.state_bytes : t->params.param_bytes);
  dor_params_release(&t->params);
}

static void compare(const char *what, const float *a, const float *b, size_t bytes)
{
  double worst = 0, largest = 0;
  for (size_t i = 0; i < bytes / sizeof *a; i++) {
    worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
    largest = fmax(largest, fabs((double)b[i]));
  }
  CHECK(worst <= 2e-4 * largest, "%s: differs by %g of %g", what, worst, largest);
}

static void check_same(const net *t, const net *want)
{
  CHECK(fabsf(*(float *)dor_instance_named(t->instance, "loss") - *(float *)dor_instance_named(want->instance, "loss")) < 1e-5f, "other loss");
  compare("gradients", t->blocks.at[DOR_GRAD], want->blocks.at[DOR_GRAD], t->params.param_bytes);
  compare("running moments", t->blocks.at[DOR_STATE], want->blocks.at[DOR_STATE], t->params.state_bytes);
}

static bool uses(const net *t, const char *op)
{
  const dor_graph *g = dor_program_graph(t->program);
  for (int32_t k = 0; k < g->nnode; k++)
    if (!strcmp(g->node[k].op->name, op)) return true;
  return false;
}

TEST(fused_net_equals_net_as_written)
{
  static const int32_t shapes[][3] = {{6, 16, 16}, {5, 14, 8}, {3, 11, 6}}; /* images, size, channels of the first block */
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    net n[4] = {0};
    dor_program_options o[4] = {{.threads = 1, .no_fuse = true}, {.threads = 1}, {.threads = 2}, {.threads = 1, .conv = "direct"}};
    for (size_t k = 0; k < 4; k++) {
      n[k].n = shapes[i][0], n[k].size = shapes[i][1], n[k].first = shapes[i][2];
      build(&n[k], k ? &dor_backend_cpu : &dor_backend_plain, &o[k]);
      run(&n[k]);
      if (k) check_same(&n[k], &n[0]);
      CHECK(uses(&n[k], "conv_bn_pool") == (k > 0) && uses(&n[k], "bn_relu_pool_bwd") == (k > 0), "fusion of program %zu is not as wanted", k);
    }
    for (size_t k = 0; k < 4; k++) drop(&n[k]);
  }
}

TEST(own_models_are_served_by_no_reference_primitive)
{
  net t = {.n = 32, .size = 64, .first = 16};
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) SKIP("1 test skipped: this CPU has no AVX2 with FMA");
  static const char *const conv[] = {"auto", "direct"};
  for (size_t i = 0; i < 2; i++) {
    build(&t, &dor_backend_cpu, &(dor_program_options){.threads = 1, .conv = conv[i], .no_fuse = i == 1});
    dor_str dump = {0};
    dor_program_dump(t.program, &dump);
    CHECK(!strstr(dump.s, "ref:") && !strstr(dump.s, "simple:"), "a reference primitive serves:\n%s", dump.s);
    CHECK((strstr(dump.s, "_winograd avx") != NULL) == (i == 0), "winograd where conv = %s:\n%s", conv[i], dump.s);
    dor_str_release(&dump);
    dor_program_release(t.program);
  }
  dor_params_release(&t.params);
}
