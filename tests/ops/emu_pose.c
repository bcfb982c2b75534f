/* SPDX-License-Identifier: Apache-2.0
 *
 * A small HigherHRNet on the emulated device and on the CPU: losses and gradients of a training step. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/store.h"
#include "base/rng.h"
#include "base/tree.h"
#include "nn/pose_net.h"
#include "tests/ops/emu.h"
#include "tests/ops/emulated.h"
#include "tests/test.h"

enum { BATCH = 1, SIDE = 64, PEOPLE = 3, JOINTS = 17, RUNS = 3 };

typedef struct side {
  dor_params params;
  dor_program *program;
  dor_store store;
  dor_instance *in;
  dor_arena arena;
} side;

static void build(side *s, const dor_backend *b)
{
  const dor_model *m = dor_model_find("higherhrnet");
  void *cfg = dor_arena_alloc(&s->arena, m->cfg_size);
  dor_tree *tree;
  dor_pose_net net;
  dor_graph g;
  OK(dor_schema_defaults(m->keys, cfg, &s->arena));
  OK(dor_tree_parse(&s->arena, "small", "width = 8;", &tree));
  OK(dor_schema_load(m->keys, cfg, tree, NULL, &s->arena));
  dor_graph_init(&g, &s->params, true);
  OK(dor_pose_graph_train(&g, m, cfg, DOR_SHAPE(BATCH, SIDE, SIDE, 3), &(dor_pose_loss){.push = 1e-3, .pull = 1e-3, .people = PEOPLE}, false, &net));
  OK(dor_program_build(&s->program, &g, b, &(dor_program_options){.name = "pose"}));
  const size_t bytes[DOR_KIND_COUNT] = {[DOR_PARAM] = s->params.param_bytes, [DOR_GRAD] = s->params.param_bytes, [DOR_STATE] = s->params.state_bytes};
  OK(dor_store_make(&s->store, b, bytes));
  dor_params_init(&s->params, 5, s->store.host[DOR_PARAM], s->store.host[DOR_STATE]);
  OK(dor_store_push(&s->store, DOR_PARAM));
  OK(dor_store_push(&s->store, DOR_STATE));
  OK(dor_instance_new(&s->in, s->program, &s->store.blocks));
}

static void fill(dor_instance *in, const dor_value *v, dor_val which)
{
  const int64_t n = dor_shape_size(v->type.shape), pixels = SIDE * SIDE / 16;
  void *host = calloc(1, dor_type_bytes(v->type) + 1);
  float *x = host;
  int32_t *at = host;
  dor_rng r = dor_rng_stream(1, 2, (uint64_t)which);
  for (int64_t i = 0; i < n && v->type.dtype == DOR_I32; i += 2) at[i] = (int32_t)(i / 2 % JOINTS * pixels + i * 37 % pixels), at[i + 1] = 1;
  for (int64_t i = 0; i < n && v->type.dtype == DOR_F32; i++) x[i] = !strcmp(v->name, "one") ? 1 : dor_rng_unit(dor_rng_u32(&r)) - 0.5f;
  dor_instance_set(in, which, host);
  free(host);
}

static void run(side *s)
{
  const dor_graph *g = dor_program_graph(s->program);
  for (dor_val v = 0; v < g->nvalue; v++)
    if (g->value[v].kind == DOR_INPUT) fill(s->in, &g->value[v], v);
  for (int k = 0; k < RUNS; k++) {
    dor_instance_run(s->in, &(dor_step){.seed = 3, .grad_scale = 1});
    OK(dor_instance_wait(s->in));
  }
  OK(dor_store_pull(&s->store, DOR_GRAD));
}

static void release(side *s)
{
  dor_instance_free(s->in);
  dor_program_release(s->program);
  dor_store_release(&s->store);
  dor_params_release(&s->params);
  dor_arena_release(&s->arena);
}

TEST(emu_device_steps_a_pose_network_as_the_cpu_does)
{
  side emu = {0}, cpu = {0};
  double worst = 0, scale = 0;
  build(&emu, test_backend_emu());
  build(&cpu, &dor_backend_cpu);
  run(&emu), run(&cpu);
  const float *a = emu.store.host[DOR_GRAD], *b = cpu.store.host[DOR_GRAD];
  for (size_t i = 0; i < cpu.params.param_bytes / sizeof *a; i++) {
    const double d = fabs((double)a[i] - (double)b[i]);
    worst = d > worst || isnan(d) ? d : worst;
    scale = fmax(scale, fabs((double)b[i]));
  }
  print_message("    HigherHRNet of width 8, %d pixels: gradients within %.1e of the largest\n", (int)SIDE, worst / scale);
  CHECK(scale > 0 && worst / scale < 2e-2, "the emulated device has other gradients: %.2g of %.2g", worst, scale);
  release(&emu), release(&cpu);
  cuemu_complaint = NULL;
}
