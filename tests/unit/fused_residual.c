/* SPDX-License-Identifier: Apache-2.0
 *
 * A residual net of two resolutions, as HRNet is made of: fused and as written,
 * on the CPU and on plain kernels, in inference and over a training step, it
 * gives the same; and a block is no more nodes than it should be. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "backend/backend.h"
#include "base/mem.h"
#include "base/rng.h"
#include "ops/ops.h"
#include "tests/test.h"

enum { N = 2, SIZE = 16, WIDTH = 16 };

typedef struct net {
  bool training;
  dor_params params;
  dor_blocks blocks;
  dor_program *program;
  dor_instance *instance;
} net;

static dor_val param(dor_graph *g, const char *name, dor_shape s, bool state, dor_init init, int32_t fan)
{
  return dor_graph_param(g, &(dor_param_spec){.name = name, .shape = s, .state = state, .init = init, .fan = fan});
}

static dor_val unit(dor_graph *g, const char *name, dor_val x, int32_t out, int32_t kernel, int32_t stride)
{
  size_t mark = dor_graph_push(g, "%s", name);
  int32_t in = dor_graph_type(g, x).shape.d[3];
  dor_val w = param(g, "w", DOR_SHAPE(kernel, kernel, in, out), false, DOR_INIT_KAIMING_UNIFORM, kernel * kernel * in);
  dor_shape v = DOR_SHAPE(out);
  dor_val y = dor_conv2d(g, x, w, stride, kernel / 2, 1, 1);
  dor_val gamma = param(g, "gamma", v, false, DOR_INIT_ONE, 0), beta = param(g, "beta", v, false, DOR_INIT_ZERO, 0);
  dor_norm_state s = {param(g, "mean", v, true, DOR_INIT_ZERO, 0), param(g, "var", v, true, DOR_INIT_ONE, 0),
                      dor_graph_param(g, &(dor_param_spec){.name = "batches", .dtype = DOR_I32, .state = true})};
  y = dor_batch_norm(g, y, gamma, beta, &s, 1e-5, 0.1);
  dor_graph_pop(g, mark);
  return y;
}

static dor_val block(dor_graph *g, const char *name, dor_val x)
{
  size_t mark = dor_graph_push(g, "%s", name);
  int32_t c = dor_graph_type(g, x).shape.d[3];
  dor_val y = dor_relu(g, unit(g, "a", x, c, 3, 1));
  y = dor_relu(g, dor_add(g, unit(g, "b", y, c, 3, 1), x));
  dor_graph_pop(g, mark);
  return y;
}

/* A block, a coarser branch with a block, and the exchange of both. */
static void body(dor_graph *g, dor_val x, dor_val out[2])
{
  dor_val fine = block(g, "fine", x), coarse = block(g, "coarse", dor_relu(g, unit(g, "down", fine, 2 * WIDTH, 3, 2)));
  dor_val up = dor_resize(g, unit(g, "up", coarse, WIDTH, 1, 1), SIZE, SIZE), more = dor_resize(g, unit(g, "more", coarse, WIDTH, 1, 1), SIZE, SIZE);
  out[0] = dor_relu(g, dor_add(g, dor_add(g, fine, up), more));
  out[1] = dor_relu(g, dor_add(g, unit(g, "exchange", fine, 2 * WIDTH, 3, 2), coarse));
}

static void build(net *t, const dor_backend *b, const dor_program_options *o)
{
  dor_graph g;
  dor_val y[2];
  dor_graph_init(&g, &t->params, t->training);
  body(&g, dor_graph_input(&g, "x", (dor_type){DOR_SHAPE(N, SIZE, SIZE, WIDTH), DOR_F32}), y);
  dor_graph_keep(&g, y[0], "y0");
  dor_graph_keep(&g, y[1], "y1");
  if (t->training) {
    dor_val label = dor_graph_input(&g, "label", (dor_type){DOR_SHAPE(N), DOR_F32}), one = dor_graph_input(&g, "one", (dor_type){DOR_SHAPE(1), DOR_F32});
    dor_val pooled[2] = {dor_global_pool(&g, y[0]), dor_global_pool(&g, y[1])}, all = dor_concat(&g, 2, pooled, 1);
    dor_val w = param(&g, "out", DOR_SHAPE(2, 3 * WIDTH), false, DOR_INIT_KAIMING_UNIFORM, 3 * WIDTH);
    dor_val weight = dor_graph_input(&g, "weight", (dor_type){DOR_SHAPE(N), DOR_F32});
    dor_val loss = dor_softmax_ce(&g, dor_matmul(&g, all, w, false, true), label, weight, DOR_NONE, 0);
    OK(dor_graph_grad_params(&g, &dor_op_accumulate, &dor_op_add_into, loss, one, false));
  }
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
  float *x = dor_instance_named(t->instance, "x"), *label = dor_instance_named(t->instance, "label");
  for (int32_t i = 0; i < N * SIZE * SIZE * WIDTH; i++) x[i] = (float)dor_rng_real(&r) - 0.3f;
  for (int32_t i = 0; label && i < N; i++) label[i] = (float)(i % 2), ((float *)dor_instance_named(t->instance, "weight"))[i] = 1;
  if (label) *(float *)dor_instance_named(t->instance, "one") = 1;
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

static void compare(const char *what, const float *a, const float *b, size_t n)
{
  double worst = 0, largest = 0;
  for (size_t i = 0; i < n; i++) {
    worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
    largest = fmax(largest, fabs((double)b[i]));
  }
  CHECK(worst <= 2e-4 * largest, "%s: differs by %g of %g", what, worst, largest);
}

static int count(const net *t, const char *op)
{
  const dor_graph *g = dor_program_graph(t->program);
  int n = 0;
  for (int32_t k = 0; k < g->nnode; k++) n += !strcmp(g->node[k].op->name, op);
  return n;
}

static void check_same(net *t, const net *want)
{
  compare("fine maps", dor_instance_named(t->instance, "y0"), dor_instance_named(want->instance, "y0"), (size_t)N * SIZE * SIZE * WIDTH);
  compare("coarse maps", dor_instance_named(t->instance, "y1"), dor_instance_named(want->instance, "y1"), (size_t)N * SIZE * SIZE * WIDTH / 2);
  if (!t->training) return;
  compare("gradients", t->blocks.at[DOR_GRAD], want->blocks.at[DOR_GRAD], t->params.param_bytes / sizeof(float));
  compare("running moments", t->blocks.at[DOR_STATE], want->blocks.at[DOR_STATE], t->params.state_bytes / sizeof(float));
}

static void check_nodes(const net *t)
{
  const dor_graph *g = dor_program_graph(t->program);
  if (t->training) {
    CHECK(count(t, "bn_act") == 6 && count(t, "bn_norm") == 2, "%d fused batch norms, %d others", count(t, "bn_act"), count(t, "bn_norm"));
    CHECK(count(t, "bn_bwd") == 8 && !count(t, "bn_dx"), "%d fused gradients of batch norm", count(t, "bn_bwd"));
    CHECK(count(t, "conv2d_dx_add") >= 3 && count(t, "resize_sum") == 1, "%d gradients that are added to", count(t, "conv2d_dx_add"));
  } else {
    CHECK(g->nnode == 9 && count(t, "conv2d_affine") == 8 && count(t, "resize_sum") == 1, "%d nodes for 8 convolutions and a sum", g->nnode);
  }
}

static void check_mode(bool training)
{
  net n[4] = {0};
  dor_program_options o[4] = {{.threads = 1, .no_fuse = true}, {.threads = 1}, {.threads = 2}, {.threads = 1, .conv = "direct"}};
  for (size_t k = 0; k < 4; k++) {
    n[k].training = training;
    build(&n[k], k ? &dor_backend_cpu : &dor_backend_plain, &o[k]);
    run(&n[k]);
    if (k) check_same(&n[k], &n[0]), check_nodes(&n[k]);
  }
  for (size_t k = 0; k < 4; k++) drop(&n[k]);
}

TEST(fused_residual_net_equals_net_as_written)
{
  check_mode(false);
  check_mode(true);
}

/* Sums of maps: a ReLU inside one, a sum that is itself resized, and a term taken twice stay what they are. */
static void build_sums(dor_graph *g)
{
  dor_graph_init(g, NULL, false);
  dor_val a = dor_graph_input(g, "a", (dor_type){DOR_SHAPE(1, 2, 3, 5), DOR_F32}), b = dor_graph_input(g, "b", (dor_type){DOR_SHAPE(1, 4, 6, 5), DOR_F32});
  dor_val c = dor_graph_input(g, "c", (dor_type){DOR_SHAPE(1, 8, 12, 5), DOR_F32}), up = dor_resize(g, a, 4, 6);
  dor_val sum = dor_add(g, up, b), kept = dor_relu(g, sum), twice = dor_resize(g, b, 8, 12);
  dor_val y = dor_add(g, dor_resize(g, kept, 8, 12), c);
  y = dor_relu(g, dor_add(g, y, dor_add(g, twice, twice)));
  y = dor_relu(g, dor_add(g, y, dor_resize(g, a, 8, 12)));
  dor_graph_keep(g, y, "y");
}

TEST(fused_sums_of_maps_equal_sums_as_written)
{
  float y[2][8 * 12 * 5];
  for (int32_t k = 0; k < 2; k++) {
    dor_graph g;
    dor_program *p;
    dor_instance *in;
    build_sums(&g);
    OK(dor_program_build(&p, &g, &dor_backend_cpu, &(dor_program_options){.no_fuse = !k}));
    OK(dor_instance_new(&in, p, NULL));
    static const char *const names[] = {"a", "b", "c"};
    static const int32_t sizes[] = {30, 120, 480};
    for (uint64_t i = 0; i < 3; i++) {
      dor_rng r = dor_rng_stream(9, 1, i);
      for (int32_t q = 0; q < sizes[i]; q++) ((float *)dor_instance_named(in, names[i]))[q] = (float)dor_rng_real(&r) - 0.5f;
    }
    dor_instance_run(in, &(dor_step){.lr = 1, .grad_scale = 1});
    memcpy(y[k], dor_instance_named(in, "y"), sizeof y[k]);
    const dor_graph *built = dor_program_graph(p);
    CHECK(!k || built->nnode < 7, "%d nodes where sums were to become one", built->nnode);
    dor_instance_free(in);
    dor_program_release(p);
  }
  for (int32_t i = 0; i < 8 * 12 * 5; i++) CHECK(fabsf(y[0][i] - y[1][i]) < 1e-6f, "element %d: %g, not %g", i, (double)y[1][i], (double)y[0][i]);
}
