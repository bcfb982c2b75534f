/* SPDX-License-Identifier: Apache-2.0
 *
 * One launch for several models: every own CUDA kernel that offers it gives each model of a fleet the bits that it gets alone. */
#include <stdlib.h>
#include <string.h>

#include "backend/program.h"
#include "ops/ops.h"
#include "tensor/convert.h"
#include "tests/ops/emulated.h"
#include "tests/ops/reference.h"
#include "tests/ops/trial.h"
#include "tests/test.h"

enum { MODELS = 3, STEP_BYTES = 256 };

typedef struct fleet { /* one node's memory once for each model: its pool, then a step block */
  dor_backend backend;
  dor_opcase c;
  dor_program *program;
  dor_instance *instance;
  size_t stride;
  dor_call call; /* of the first model */
} fleet;

static dor_status roomy_alloc(size_t bytes, void **p)
{
  const size_t all = MODELS * ((bytes + 255) / 256 * 256 + STEP_BYTES);
  *p = aligned_alloc(256, all);
  DOR_NEED(*p, NOMEM, "%zu bytes", all);
  memset(*p, 0xFF, all);
  return DOR_OK;
}

static void roomy_free(void *p, size_t bytes)
{
  (void)bytes;
  free(p);
}

static bool fleet_new(fleet *f, const dor_op *op, const dor_case *at)
{
  *f = (fleet){.backend = trial_backend(dor_column_cuda, "cuda")};
  f->backend.alloc = roomy_alloc, f->backend.free = roomy_free;
  OK(dor_opcase_build(&f->c, op, at));
  if (dor_program_build(&f->program, &f->c.graph, &f->backend, &(dor_program_options){.no_fuse = true})) return false;
  OK(dor_instance_new(&f->instance, f->program, NULL));
  const size_t pool = (f->program->plan.total + 255) / 256 * 256;
  f->stride = pool + STEP_BYTES;
  f->call = f->instance->call[0];
  f->call.step = (const dor_step *)(const void *)((char *)f->instance->pool + pool);
  f->call.stride = f->stride;
  return true;
}

static void fleet_free(fleet *f)
{
  dor_instance_free(f->instance);
  dor_program_release(f->program);
}

/* Every model with numbers and a step of its own; the rest of its memory is NaN. */
static void fill(const fleet *f)
{
  for (int32_t m = 0; m < MODELS; m++) {
    char *pool = (char *)f->instance->pool + (size_t)m * f->stride;
    memset(pool, 0xFF, f->stride);
    dor_step step = test_step;
    step.seed += (uint64_t)m, step.lr *= (float)(1 + m);
    memcpy(pool + f->stride - STEP_BYTES, &step, sizeof step);
    for (int32_t i = 0; i < f->c.nin; i++) {
      const dor_type t = f->program->graph.value[f->c.in[i]].type;
      const int64_t n = dor_shape_size(t.shape);
      double *real = malloc((size_t)(n + 1) * sizeof *real);
      dor_opcase_fill(&f->c, i, 11 + (uint64_t)m, real);
      dor_from_real(t.dtype, real, n, pool + f->program->plan.offset[f->c.in[i]]);
      free(real);
    }
  }
}

static void run(const fleet *f, int32_t first, int32_t models)
{
  enum { MOST = 64 };
  dor_view view[MOST];
  dor_call c = f->call;
  const size_t by = (size_t)first * f->stride;
  for (int32_t i = 0; i < c.nin + c.nout; i++) {
    view[i] = i < c.nin ? c.in[i] : c.out[i - c.nin];
    view[i].data = (char *)view[i].data + by;
  }
  c.in = view, c.out = view + c.nin, c.models = models;
  c.step = (const dor_step *)(const void *)((const char *)c.step + by);
  if (c.scratch) c.scratch = (char *)c.scratch + by;
  f->program->bound[0].kernel->run(&c);
}

static size_t outputs(const fleet *f, int32_t model, char *to)
{
  size_t at = 0;
  for (int32_t i = 0; i < f->c.nout; i++) {
    const size_t n = dor_type_bytes(f->program->graph.value[f->c.out[i]].type);
    if (to) memcpy(to + at, (char *)f->call.out[i].data + (size_t)model * f->stride, n);
    at += n;
  }
  return at;
}

static bool check_case(const dor_op *op, const dor_case *at)
{
  fleet f;
  if (!fleet_new(&f, op, at)) return fleet_free(&f), false;
  const size_t n = outputs(&f, 0, NULL);
  char *alone = malloc(MODELS * n + 1), *together = malloc(n + 1);
  fill(&f);
  for (int32_t m = 0; m < MODELS; m++) {
    run(&f, m, 1);
    outputs(&f, m, alone + (size_t)m * n);
  }
  fill(&f);
  run(&f, 0, MODELS);
  CHECK(!cuemu_complaint, "%s/%s: %s", op->name, at->name, cuemu_complaint);
  for (int32_t m = 0; m < MODELS; m++) {
    outputs(&f, m, together);
    CHECK(!memcmp(together, alone + (size_t)m * n, n), "%s/%s: model %d of %d gets other bits than alone", op->name, at->name, m, (int)MODELS);
  }
  free(alone), free(together);
  fleet_free(&f);
  return true;
}

TEST(op_cuda_fleets_give_each_model_its_bits)
{
  int kernels = 0, alone = 0, cases = 0;
  cuemu_order = 2;
  for (int32_t i = 0; i < DOR_OP_COUNT; i++) {
    const dor_kernel *k = dor_column_cuda[i];
    kernels += k && k->fleet, alone += k && !k->fleet;
    for (const dor_case *at = dor_ops[i]->cases; k && k->fleet && at && at->name; at++) cases += !at->bench && check_case(dor_ops[i], at);
  }
  cuemu_order = 0, cuemu_complaint = NULL;
  print_message("    %d kernels that serve fleets, %d cases; %d kernels are called for each model\n", kernels, cases, alone);
}
