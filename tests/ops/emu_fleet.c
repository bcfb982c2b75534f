/* SPDX-License-Identifier: Apache-2.0
 *
 * Fleets on the emulated device: a model that trains among others gets the bits it gets alone, whatever the others' data,
 * seeds and rates are, and also when it sits steps out. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/fleet.h"
#include "backend/program.h"
#include "base/rng.h"
#include "nn/nn.h"
#include "ops/ops.h"
#include "optim/optim.h"
#include "tests/ops/emu.h"
#include "tests/ops/emulated.h"
#include "tests/test.h"

enum { STEPS = 5, BATCH = 12, CLASSES = 3, MOST = 5, LAZY = 2, MISSED = 3 }; /* model LAZY sits step MISSED out */

typedef struct network { /* what all models of a fleet share */
  const dor_backend *backend;
  dor_params params;
  dor_program *accumulate, *update;
  size_t bytes[DOR_KIND_COUNT];
  dor_shape x;
  dor_arena arena;
} network;

typedef struct trained { /* what became of a model */
  float *param, *moment, *state;
  float loss[STEPS];
} trained;

/* An MLP that draws random numbers, or a model as it comes. */
static dor_val build_body(network *n, dor_graph *g, const char *model, dor_val x)
{
  const dor_model *m = dor_model_find(model);
  void *cfg = dor_arena_alloc(&n->arena, m->cfg_size);
  OK(dor_schema_defaults(m->keys, cfg, &n->arena));
  if (strcmp(model, "mlp")) return m->body(g, cfg, x);
  x = dor_layer_dropout(g, "drop", dor_layer_dense(g, "fc0", x, 24, true), 0.3);
  return dor_layer_dense(g, "fc1", x, 9, true);
}

static dor_val build_loss(network *n, dor_graph *g, const char *model)
{
  dor_val y = dor_layer_linear(g, "out", build_body(n, g, model, dor_graph_input(g, "x", (dor_type){n->x, DOR_F32})), CLASSES);
  dor_val label = dor_graph_input(g, "label", (dor_type){DOR_SHAPE(BATCH), DOR_F32});
  dor_val weight = dor_graph_input(g, "weight", (dor_type){DOR_SHAPE(BATCH), DOR_F32});
  return dor_softmax_ce(g, y, label, weight, DOR_NONE, 0.1);
}

static network build(const dor_backend *b, const char *model, dor_shape x)
{
  const dor_optim_cfg optim = {.rule = DOR_RULE_ADAMW, .lr = 1e-2, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .decay = 1e-2, .clip = 1};
  network n = {.backend = b, .x = x};
  dor_graph g;
  dor_graph_init(&g, &n.params, true);
  dor_val loss = build_loss(&n, &g, model), one = dor_graph_input(&g, "one", (dor_type){DOR_SHAPE(1), DOR_F32});
  dor_graph_keep(&g, loss, "loss");
  OK(dor_graph_grad_params(&g, &dor_op_add, &dor_op_add_into, loss, one, false));
  OK(dor_program_build(&n.accumulate, &g, b, &(dor_program_options){.name = "accumulate", .fleet = true}));
  dor_graph_init(&g, &n.params, true);
  OK(dor_optim_build(&g, &optim));
  OK(dor_program_build(&n.update, &g, b, &(dor_program_options){.name = "update", .fleet = true}));
  n.bytes[DOR_PARAM] = n.bytes[DOR_GRAD] = n.params.param_bytes;
  n.bytes[DOR_STATE] = n.params.state_bytes;
  n.bytes[DOR_MOMENT] = dor_optim_moment_bytes(&n.params, &optim);
  return n;
}

static void release(network *n)
{
  dor_program_release(n->accumulate);
  dor_program_release(n->update);
  dor_params_release(&n->params);
  dor_arena_release(&n->arena);
}

static void start_model(dor_fleet *f, const network *n, int32_t place, int32_t model)
{
  float *param = calloc(1, n->bytes[DOR_PARAM]), *state = calloc(1, n->bytes[DOR_STATE] + 4);
  dor_params_init(&n->params, 100 + (uint64_t)model, param, state);
  OK(dor_fleet_put(f, place, DOR_PARAM, param));
  OK(dor_fleet_put(f, place, DOR_STATE, state));
  free(param), free(state);
}

static void feed(dor_instance *in, const network *n, int32_t place, int32_t model, int k)
{
  const dor_graph *g = dor_program_graph(n->accumulate);
  float *x = dor_instance_input_of(in, place, dor_graph_find_input(g, "x")), *label = dor_instance_input_of(in, place, dor_graph_find_input(g, "label"));
  float *weight = dor_instance_input_of(in, place, dor_graph_find_input(g, "weight"));
  dor_rng r = dor_rng_stream(9, (uint64_t)model, (uint64_t)k);
  for (int64_t i = 0; i < dor_shape_size(n->x); i++) x[i] = dor_rng_unit(dor_rng_u32(&r)) - 0.5f;
  for (int i = 0; i < BATCH; i++) label[i] = (float)((i + k + model) % CLASSES), weight[i] = i == k + model ? 0 : 1;
}

/* The models [first, first + count) in one fleet. Without the others, the lazy one is not asked to the step it misses. */
static int32_t train(const network *n, int32_t first, int32_t count, trained out[])
{
  dor_fleet f;
  dor_instance *in, *update;
  dor_step step[MOST];
  const int32_t lazy = n->backend->device ? LAZY : MOST; /* the CPU has no model wait */
  const dor_val loss = dor_graph_find(dor_program_graph(n->accumulate), "loss");
  OK(dor_fleet_make(&f, n->backend, count, n->bytes, 2, (const dor_program *const[]){n->accumulate, n->update}));
  OK(dor_instance_new(&in, n->accumulate, &f.blocks));
  OK(dor_instance_new(&update, n->update, &f.blocks));
  dor_instance_set(in, dor_graph_find_input(dor_program_graph(n->accumulate), "one"), &(float){1});
  for (int32_t z = 0; z < count; z++) start_model(&f, n, z, first + z);
  for (int k = 0; k < STEPS; k++) {
    if (count == 1 && first == lazy && k == MISSED) continue;
    for (int32_t z = 0; z < count; z++) {
      const int32_t model = first + z;
      const uint64_t done = (uint64_t)(k - (model == lazy && k > MISSED));
      feed(in, n, z, model, k);
      step[z] = (dor_step){.seed = 3 + (uint64_t)model, .step = done, .lr = 0.01f / (float)(1 + model), .grad_scale = 1, .idle = model == lazy && k == MISSED};
    }
    dor_instance_run(in, step);
    dor_instance_run(update, step);
    OK(dor_instance_wait(in));
    for (int32_t z = 0; z < count; z++) out[z].loss[k] = *(const float *)dor_instance_kept_of(in, z, loss, 0);
  }
  OK(dor_instance_wait(update));
  for (int32_t z = 0; z < count; z++) {
    out[z].param = calloc(1, n->bytes[DOR_PARAM]), out[z].moment = calloc(1, n->bytes[DOR_MOMENT]);
    OK(dor_fleet_get(&f, z, DOR_PARAM, out[z].param));
    OK(dor_fleet_get(&f, z, DOR_MOMENT, out[z].moment));
    out[z].state = calloc(1, n->bytes[DOR_STATE] + 4);
    OK(dor_fleet_get(&f, z, DOR_STATE, out[z].state));
  }
  const int32_t calls = in->ncall + update->ncall;
  dor_instance_free(in);
  dor_instance_free(update);
  dor_fleet_release(&f);
  return calls;
}

static bool same(const network *n, const trained *a, const trained *b, bool lazy)
{
  for (int k = 0; k < STEPS; k++)
    if (!(lazy && k == MISSED) && memcmp(&a->loss[k], &b->loss[k], sizeof a->loss[k])) return false;
  if (memcmp(a->state, b->state, n->bytes[DOR_STATE])) return false;
  return !memcmp(a->param, b->param, n->bytes[DOR_PARAM]) && !memcmp(a->moment, b->moment, n->bytes[DOR_MOMENT]);
}

static void check_fleet(const dor_backend *b, const char *model, dor_shape x, int32_t count)
{
  network n = build(b, model, x);
  trained among[MOST] = {{0}}, alone = {0};
  const int32_t calls = train(&n, 0, count, among);
  int32_t calls_alone = 0;
  CHECK(!cuemu_complaint, "%s", cuemu_complaint);
  for (int32_t z = 0; z < count; z++) {
    calls_alone = train(&n, z, 1, &alone);
    CHECK(same(&n, &among[z], &alone, b->device && z == LAZY), "%s: model %d of %d gets other bits than alone", model, z, count);
    CHECK(isfinite(alone.loss[STEPS - 1]) && memcmp(&alone.loss[0], &alone.loss[STEPS - 1], sizeof *alone.loss), "%s: model %d learns nothing", model, z);
    CHECK(z == 0 || memcmp(among[z].param, among[0].param, n.bytes[DOR_PARAM]), "%s: models %d and 0 are one", model, z);
    free(alone.param), free(alone.moment), free(alone.state);
  }
  for (int32_t z = 0; z < count; z++) free(among[z].param), free(among[z].moment), free(among[z].state);
  print_message("    %s on %s: %d models, %d calls a step; one alone %d\n", model, b->name, count, calls, calls_alone);
  release(&n);
  cuemu_complaint = NULL;
}

TEST(emu_fleet_of_mlps_gets_the_bits_of_each) { check_fleet(test_backend_emu(), "mlp", DOR_SHAPE(BATCH, 19), MOST); }
TEST(emu_fleet_of_cnns_gets_the_bits_of_each) { check_fleet(test_backend_emu(), "silhouette_cnn", DOR_SHAPE(BATCH, 16, 16, 1), 3); }
TEST(emu_fleet_on_the_cpu_gets_the_bits_of_each) { check_fleet(&dor_backend_cpu, "mlp", DOR_SHAPE(BATCH, 19), 3); } /* a call for each model */

TEST(emu_fleet_says_what_is_wrong)
{
  dor_fleet f;
  const size_t bytes[DOR_KIND_COUNT] = {0};
  void *p;
  CHECK(dor_fleet_make(&f, test_backend_emu(), 0, bytes, 0, NULL) == DOR_E_RANGE, "a fleet of none");
  dor_fleet_release(&f);
  OK(dor_fleet_make(&f, test_backend_emu(), 2, bytes, 0, NULL));
  CHECK(dor_fleet_take(&f, 4096, &p) == DOR_E_NOMEM, "room that is not there");
  dor_fleet_release(&f);
}
