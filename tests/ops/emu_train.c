/* SPDX-License-Identifier: Apache-2.0
 *
 * Training on the emulated device against the CPU: the programs as a GPU would run them, with inputs on their way up while
 * the step before computes, recorded graphs, the step block in device memory, and losses read long after their step. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/store.h"
#include "base/rng.h"
#include "nn/nn.h"
#include "ops/ops.h"
#include "optim/optim.h"
#include "tests/ops/emu.h"
#include "tests/ops/emulated.h"
#include "tests/test.h"

enum { STEPS = 7, LONGEST = 11, BATCH = 12, CLASSES = 3 };

typedef struct side { /* one backend's model */
  dor_params params;
  dor_program *accumulate, *update;
  dor_store store;
  dor_instance *in, *in_update;
  dor_val x, label, weight, loss;
  size_t scale;    /* place of the loss scale's state among the moments; 0: none */
  double losses[LONGEST];
  dor_arena arena;
} side;

static dor_val build_loss(side *s, dor_graph *g, const char *model, dor_shape shape)
{
  const dor_model *m = dor_model_find(model);
  void *cfg = dor_arena_alloc(&s->arena, m->cfg_size);
  OK(dor_schema_defaults(m->keys, cfg, &s->arena));
  dor_val y = dor_layer_linear(g, "out", m->body(g, cfg, dor_graph_input(g, "x", (dor_type){shape, DOR_F32})), CLASSES);
  dor_val label = dor_graph_input(g, "label", (dor_type){DOR_SHAPE(BATCH), DOR_F32});
  dor_val weight = dor_graph_input(g, "weight", (dor_type){DOR_SHAPE(BATCH), DOR_F32});
  return dor_softmax_ce(g, y, label, weight, DOR_NONE, 0.1);
}

static void build(side *s, const dor_backend *b, const char *model, dor_shape shape, dor_optim_rule rule, dor_format precision)
{
  const dor_optim_cfg optim = {.rule = rule, .momentum = 0.9, .lr = 1e-2, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .decay = 1e-2, .clip = 1,
                               .loss_scale = precision == DOR_FORMAT_FP16};
  dor_graph g;
  dor_graph_init(&g, &s->params, true);
  dor_val loss = build_loss(s, &g, model, shape), one = dor_graph_input(&g, "one", (dor_type){DOR_SHAPE(1), DOR_F32});
  dor_graph_keep(&g, loss, "loss");
  OK(dor_graph_grad_params(&g, &dor_op_add, &dor_op_add_into, loss, one, false));
  if (optim.loss_scale) OK(dor_optim_scale_seed(&g, one, &optim));
  OK(dor_program_build(&s->accumulate, &g, b, &(dor_program_options){.name = "accumulate", .precision = precision}));
  dor_graph_init(&g, &s->params, true);
  OK(dor_optim_build(&g, &optim));
  const size_t moments = dor_optim_moment_bytes(&s->params, &optim);
  s->scale = dor_optim_scale_offset(&s->params, &optim);
  OK(dor_program_build(&s->update, &g, b, &(dor_program_options){.name = "update"}));
  const size_t bytes[DOR_KIND_COUNT] = {[DOR_PARAM] = s->params.param_bytes, [DOR_GRAD] = s->params.param_bytes, [DOR_STATE] = s->params.state_bytes,
                                        [DOR_MOMENT] = moments};
  OK(dor_store_make(&s->store, b, bytes));
}

static void start(side *s)
{
  const dor_graph *g = dor_program_graph(s->accumulate);
  dor_params_init(&s->params, 5, s->store.host[DOR_PARAM], s->store.host[DOR_STATE]);
  OK(dor_store_push(&s->store, DOR_PARAM));
  OK(dor_store_push(&s->store, DOR_STATE));
  const size_t said = dor_instance_bytes(s->accumulate, 1) + dor_instance_bytes(s->update, 1), before = test_emu_bytes;
  OK(dor_instance_new(&s->in, s->accumulate, &s->store.blocks));
  OK(dor_instance_new(&s->in_update, s->update, &s->store.blocks));
  const size_t taken = test_emu_bytes - before;
  CHECK(!taken || (taken <= said && said - taken < 1024), "instances said %zu bytes and took %zu of the device", said, taken);
  if (!s->scale) dor_instance_set(s->in, dor_graph_find_input(g, "one"), &(float){1});
  s->x = dor_graph_find_input(g, "x"), s->label = dor_graph_find_input(g, "label"), s->weight = dor_graph_find_input(g, "weight");
  s->loss = dor_graph_find(g, "loss");
}

static void train_step(side *s, int64_t row, int k)
{
  dor_rng r = dor_rng_stream(9, 0, (uint64_t)k);
  float *x = dor_instance_input(s->in, s->x), *label = dor_instance_input(s->in, s->label), *weight = dor_instance_input(s->in, s->weight);
  for (int64_t i = 0; i < BATCH * row; i++) x[i] = dor_rng_unit(dor_rng_u32(&r)) - 0.5f;
  for (int i = 0; i < BATCH; i++) label[i] = (float)((i + k) % CLASSES), weight[i] = i == k ? 0 : 1;
  const dor_step step = {.seed = 3, .step = (uint64_t)k, .lr = 0.01f / (float)(1 + k), .grad_scale = 1};
  dor_instance_run(s->in, &step);
  if (dor_instance_depth(s->in) == 1) s->losses[k] = (double)*(const float *)dor_instance_kept(s->in, s->loss, 0);
  dor_instance_run(s->in_update, &step);
}

/* The gradient on the device is of the loss times its scale. */
static void unscale(const side *s)
{
  const float *state = (const void *)((const char *)s->store.host[DOR_MOMENT] + s->scale);
  float *g = s->store.host[DOR_GRAD];
  for (size_t i = 0; i < s->params.param_bytes / sizeof *g; i++) g[i] = ldexpf(g[i], -DOR_SCALE_FIRST - (int)state[0]);
}

static void train(side *s, int64_t row)
{
  const int32_t depth = dor_instance_depth(s->in);
  for (int k = 0; k < STEPS; k++) train_step(s, row, k);
  OK(dor_instance_wait(s->in));
  for (int k = 0; k < STEPS && depth > 1; k++) s->losses[k] = (double)*(const float *)dor_instance_kept(s->in, s->loss, STEPS - 1 - k);
  OK(dor_store_pull(&s->store, DOR_GRAD));
  OK(dor_store_pull(&s->store, DOR_PARAM));
  OK(dor_store_pull(&s->store, DOR_STATE));
  OK(dor_store_pull(&s->store, DOR_MOMENT));
  if (s->scale) unscale(s);
}

static void release(side *s)
{
  dor_instance_free(s->in);
  dor_instance_free(s->in_update);
  dor_program_release(s->accumulate);
  dor_program_release(s->update);
  dor_store_release(&s->store);
  dor_params_release(&s->params);
  dor_arena_release(&s->arena);
}

/* The largest difference, as a share of the largest number. */
static double apart(const void *a, const void *b, size_t bytes)
{
  const float *x = a, *y = b;
  double worst = 0, scale = 1e-30;
  for (size_t i = 0; i < bytes / sizeof *x; i++) {
    const double d = fabs((double)x[i] - (double)y[i]);
    scale = fmax(scale, fabs((double)y[i]));
    worst = d > worst || isnan(d) ? d : worst;
  }
  return worst / scale;
}

/* Sums are taken in another order, and seven steps let that grow. Adam would bring it up to its step size in biases before a batch norm,
 * whose gradient is nothing but rounding: the CNN learns by momentum. */
static const struct bounds { double loss, gradient, weight; } bounds[] = {
    [DOR_FORMAT_FP32] = {1e-5, 1e-3, 1e-3},
    [DOR_FORMAT_BF16] = {5e-3, 4e-1, 1e-3}, /* of the largest gradient: a rounding makes another pixel the largest of its window */
    [DOR_FORMAT_FP16] = {1e-3, 2e-1, 3e-4},
};

static void compare(const char *model, const side *emu, const side *cpu, dor_format precision)
{
  double loss = 0;
  for (int k = 0; k < STEPS; k++) loss = fmax(loss, fabs(emu->losses[k] / cpu->losses[k] - 1));
  const double gradient = apart(emu->store.host[DOR_GRAD], cpu->store.host[DOR_GRAD], cpu->params.param_bytes);
  const double weight = apart(emu->store.host[DOR_PARAM], cpu->store.host[DOR_PARAM], cpu->params.param_bytes);
  const struct bounds *b = &bounds[precision];
  print_message("    %s in %s, %d steps: losses within %.1e, gradients %.1e, weights %.1e\n", model, dor_format_name(precision), STEPS, loss, gradient, weight);
  CHECK(loss < b->loss && gradient < b->gradient && weight < b->weight, "%s: it trains otherwise", model);
  CHECK(cpu->losses[0] != cpu->losses[STEPS - 1], "%s: nothing is learnt", model);
}

static int served_by(const side *s, const char *what)
{
  dor_str text = {0};
  int n = 0;
  dor_program_dump(s->accumulate, &text);
  dor_program_dump(s->update, &text);
  for (const char *at = text.s; (at = strstr(at, what)); at++) n++;
  dor_str_release(&text);
  return n;
}

static void check_model(const char *model, dor_shape shape, dor_optim_rule rule, dor_format precision)
{
  side emu = {0}, cpu = {0};
  const int64_t replays = test_emu_replays;
  build(&emu, test_backend_emu(), model, shape, rule, precision);
  build(&cpu, &dor_backend_cpu, model, shape, rule, DOR_FORMAT_FP32);
  start(&emu), start(&cpu);
  train(&emu, dor_shape_size(shape) / BATCH), train(&cpu, dor_shape_size(shape) / BATCH);
  CHECK(test_emu_replays - replays == 2 * (STEPS - 1), "%lld graphs replayed", (long long)(test_emu_replays - replays));
  compare(model, &emu, &cpu, precision);
  print_message("    %s: %d nodes by own CUDA kernels, %d in place of libraries\n", model, served_by(&emu, "_cuda\n") + served_by(&emu, "_cuda scratch"),
                served_by(&emu, "in place of"));
  release(&emu), release(&cpu);
  cuemu_complaint = NULL;
}

TEST(emu_device_trains_a_cnn_as_the_cpu_does) { check_model("silhouette_cnn", DOR_SHAPE(BATCH, 32, 24, 1), DOR_RULE_SGD, DOR_FORMAT_FP32); }
TEST(emu_device_trains_an_mlp_as_the_cpu_does) { check_model("mlp", DOR_SHAPE(BATCH, 19), DOR_RULE_ADAM, DOR_FORMAT_FP32); }

TEST(emu_device_trains_in_bf16)
{
  check_model("silhouette_cnn", DOR_SHAPE(BATCH, 32, 24, 1), DOR_RULE_SGD, DOR_FORMAT_BF16);
  check_model("mlp", DOR_SHAPE(BATCH, 19), DOR_RULE_SGD, DOR_FORMAT_BF16);
}

TEST(emu_device_trains_in_fp16) { check_model("silhouette_cnn", DOR_SHAPE(BATCH, 32, 24, 1), DOR_RULE_SGD, DOR_FORMAT_FP16); }

TEST(emu_device_trains_the_same_twice)
{
  side a = {0}, b = {0};
  const dor_shape shape = DOR_SHAPE(BATCH, 32, 24, 1);
  side *const both[] = {&a, &b};
  for (int i = 0; i < 2; i++) {
    build(both[i], test_backend_emu(), "silhouette_cnn", shape, DOR_RULE_ADAM, DOR_FORMAT_BF16);
    start(both[i]);
    train(both[i], dor_shape_size(shape) / BATCH);
  }
  CHECK(!memcmp(a.store.host[DOR_PARAM], b.store.host[DOR_PARAM], a.params.param_bytes) && !memcmp(a.losses, b.losses, sizeof a.losses),
        "two trainings end with other bits");
  release(&a), release(&b);
  cuemu_complaint = NULL;
}

static float *scale_of(const side *s) { return (void *)((char *)s->store.host[DOR_MOMENT] + s->scale); }

static void pull_all(side *s)
{
  OK(dor_store_pull(&s->store, DOR_PARAM));
  OK(dor_store_pull(&s->store, DOR_STATE));
  OK(dor_store_pull(&s->store, DOR_MOMENT));
}

/* From a scale that is far too large: steps are left out until it has come down, and what then is saved goes on to the same bits. */
TEST(emu_device_loss_scale_comes_down_and_is_resumed)
{
  enum { FIRST = 9, ALL = 11, ROW = 32 * 24 };
  const dor_shape shape = DOR_SHAPE(BATCH, 32, 24, 1);
  side one = {0}, two = {0};
  build(&one, test_backend_emu(), "silhouette_cnn", shape, DOR_RULE_SGD, DOR_FORMAT_FP16);
  build(&two, test_backend_emu(), "silhouette_cnn", shape, DOR_RULE_SGD, DOR_FORMAT_FP16);
  start(&one), start(&two);
  const size_t bytes = one.params.param_bytes;
  float *before = malloc(bytes);
  memcpy(before, one.store.host[DOR_PARAM], bytes);
  scale_of(&one)[0] = DOR_SCALE_MOST;
  OK(dor_store_push(&one.store, DOR_MOMENT));
  train_step(&one, ROW, 0);
  pull_all(&one);
  CHECK(!memcmp(before, one.store.host[DOR_PARAM], bytes), "a step whose gradient overflowed moved the weights");
  CHECK(scale_of(&one)[0] == DOR_SCALE_MOST - 1 && scale_of(&one)[2] == 1, "2^%g, %g left out", (double)scale_of(&one)[0] + DOR_SCALE_FIRST,
        (double)scale_of(&one)[2]);
  for (int k = 1; k < FIRST; k++) train_step(&one, ROW, k);
  pull_all(&one);
  const float *s = scale_of(&one);
  print_message("    2^24 came down to 2^%g in %g steps, %g good ones since\n", (double)s[0] + DOR_SCALE_FIRST, (double)s[2], (double)s[1]);
  CHECK(s[2] >= 2 && s[2] < FIRST && s[0] == DOR_SCALE_MOST - s[2] && s[1] == FIRST - s[2], "2^%g, %g good, %g left out", (double)s[0] + DOR_SCALE_FIRST,
        (double)s[1], (double)s[2]);
  CHECK(memcmp(before, one.store.host[DOR_PARAM], bytes), "no step moved the weights");
  static const dor_kind kinds[] = {DOR_PARAM, DOR_STATE, DOR_MOMENT};
  for (int i = 0; i < 3; i++) {
    memcpy(two.store.host[kinds[i]], one.store.host[kinds[i]], one.store.bytes[kinds[i]]);
    OK(dor_store_push(&two.store, kinds[i]));
  }
  for (int k = FIRST; k < ALL; k++) train_step(&one, ROW, k), train_step(&two, ROW, k);
  pull_all(&one), pull_all(&two);
  for (int i = 0; i < 3; i++) CHECK(!memcmp(two.store.host[kinds[i]], one.store.host[kinds[i]], one.store.bytes[kinds[i]]), "block %d went on otherwise", i);
  free(before);
  release(&one), release(&two);
}

static void check_bf16(const char *model, dor_shape shape)
{
  side half = {0}, cpu = {0};
  build(&half, &dor_backend_cpu, model, shape, DOR_RULE_SGD, DOR_FORMAT_BF16);
  build(&cpu, &dor_backend_cpu, model, shape, DOR_RULE_SGD, DOR_FORMAT_FP32);
  start(&half), start(&cpu);
  train(&half, dor_shape_size(shape) / BATCH), train(&cpu, dor_shape_size(shape) / BATCH);
  compare(model, &half, &cpu, DOR_FORMAT_BF16);
  CHECK(served_by(&half, "in_float") > 0 && !served_by(&cpu, "in_float"), "%s: what is stored in bf16?", model);
  release(&half), release(&cpu);
}

TEST(cpu_trains_in_bf16)
{
  check_bf16("silhouette_cnn", DOR_SHAPE(BATCH, 32, 24, 1));
  check_bf16("mlp", DOR_SHAPE(BATCH, 19));
}
