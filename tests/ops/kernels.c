/* SPDX-License-Identifier: Apache-2.0
 *
 * Every kernel of every column, on every case, for every instruction set this
 * machine has and for one and three threads: against the definition, with
 * poisoned outputs and scratch, and nothing written elsewhere. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/opcase.h"
#include "backend/program.h"
#include "base/mem.h"
#include "ops/ops.h"
#include "tensor/convert.h"
#include "tests/ops/reference.h"
#include "tests/ops/tolerance.h"
#include "tests/test.h"

typedef struct trial {
  dor_opcase c;
  dor_program *program;
  dor_instance *instance;
  double *real[DOR_CASE_IN + DOR_OPCASE_OUT]; /* inputs, then outputs by definition */
  unsigned char *before;                      /* the pool as the kernel found it */
  const char *what;
} trial;

/* Memory with a guard on either side, all of it NaN. */
enum { GUARD = 4096, POISON = 0xFF };

static dor_status guarded_alloc(size_t bytes, void **p)
{
  char *whole = aligned_alloc(256, (bytes + 2 * GUARD + 255) / 256 * 256);
  DOR_NEED(whole, NOMEM, "%zu bytes", bytes);
  memset(whole, POISON, bytes + 2 * GUARD);
  *p = whole + GUARD;
  return DOR_OK;
}

static void guarded_free(void *p, size_t bytes)
{
  const unsigned char *whole = (unsigned char *)p - GUARD;
  int broken = 0;
  for (size_t i = 0; i < GUARD; i++) broken += whole[i] != POISON || whole[GUARD + bytes + i] != POISON;
  CHECK(!broken, "%d bytes written outside the pool", broken);
  free((char *)p - GUARD);
}

static bool inside(const dor_view *v, const void *pool, size_t byte)
{
  size_t at = (size_t)((char *)v->data - (const char *)pool);
  return byte >= at && byte < at + dor_type_bytes((dor_type){v->shape, v->dtype});
}

/* What a kernel may write: its outputs and its scratch. */
static bool allowed(const trial *t, size_t byte)
{
  const dor_call *c = &t->instance->call[0];
  for (int32_t i = 0; i < c->nout; i++)
    if (inside(&c->out[i], t->instance->pool, byte)) return true;
  size_t scratch = t->program->bound[0].scratch, at = t->program->plan.scratch[0];
  return scratch && byte >= at && byte < at + scratch;
}

static void check_writes(const trial *t)
{
  int64_t wrong = 0;
  for (size_t i = 0; i < t->program->plan.total; i++)
    if (((unsigned char *)t->instance->pool)[i] != t->before[i]) wrong += !allowed(t, i);
  CHECK(!wrong, "%s: %lld bytes written outside outputs and scratch", t->what, (long long)wrong);
}

static void run_definition(trial *t)
{
  const dor_node *n = &t->program->graph.node[0];
  dor_type type[DOR_CASE_IN + DOR_OPCASE_OUT];
  for (int32_t i = 0; i < t->c.nin; i++) type[i] = t->program->graph.value[n->in[i]].type;
  for (int32_t i = 0; i < t->c.nout; i++) type[t->c.nin + i] = t->program->graph.value[n->out[i]].type;
  for (int32_t i = 0; i < t->c.nin + t->c.nout; i++) t->real[i] = calloc((size_t)dor_shape_size(type[i].shape) + 1, sizeof(double));
  for (int32_t i = 0; i < t->c.nin; i++) dor_opcase_fill(&t->c, i, 11, t->real[i]);
  n->op->ref(&(dor_refcall){n->attr, n->nin, n->nout, type, type + n->nin, (const double *const *)t->real, t->real + t->c.nin, &test_step, n->key});
}

static void run_kernel(trial *t)
{
  for (int32_t i = 0; i < t->c.nin; i++) {
    dor_type type = t->program->graph.value[t->c.in[i]].type;
    dor_from_real(type.dtype, t->real[i], dor_shape_size(type.shape), dor_instance_data(t->instance, t->c.in[i]));
  }
  size_t bytes = t->program->plan.total;
  t->before = malloc(bytes + 1);
  memcpy(t->before, t->instance->pool, bytes);
  dor_instance_run(t->instance, &test_step);
}

/* The worst error of an output over its bound; above 1 it is out of tolerance. */
static double excess(const trial *t, int32_t o)
{
  dor_type type = t->program->graph.value[t->c.out[o]].type;
  int64_t n = dor_shape_size(type.shape);
  const double *want = t->real[t->c.nin + o];
  double *got = calloc((size_t)n, sizeof *got), scale = 0, worst = 0;
  dor_to_real(type.dtype, dor_instance_data(t->instance, t->c.out[o]), n, got);
  for (int64_t i = 0; i < n; i++) scale = fmax(scale, fabs(want[i]));
  double bound = test_tolerance(t->c.op, t->program->bound[0].kernel, type.dtype, dor_node_cost(&t->program->graph, 0), n) * fmax(scale, 1e-30);
  for (int64_t i = 0; i < n; i++) {
    double error = got[i] == want[i] ? 0 : fabs(got[i] - want[i]) / bound;
    worst = error > worst || isnan(error) ? error : worst;
  }
  free(got);
  return worst;
}

static void trial_free(trial *t)
{
  for (size_t i = 0; i < sizeof t->real / sizeof *t->real; i++) free(t->real[i]);
  free(t->before);
  dor_instance_free(t->instance);
  dor_program_release(t->program);
}

/* false: the kernel declines this shape */
static bool try_case(const dor_backend *b, const dor_op *op, const dor_case *at, const dor_program_options *o, double *worst)
{
  trial t = {0};
  OK(dor_opcase_build(&t.c, op, at));
  dor_status s = dor_program_build(&t.program, &t.c.graph, b, o);
  if (s == DOR_E_UNSUPPORTED) return false;
  REQUIRE(s == DOR_OK, "%s/%s on %s: %s", op->name, at->name, b->name, dor_errmsg());
  OK(dor_instance_new(&t.instance, t.program, NULL));
  char what[160];
  const dor_kernel *k = t.program->bound[0].kernel;
  snprintf(what, sizeof what, "%s/%s by %s, %d threads, isa %d", op->name, at->name, k->name, t.program->threads, (int)t.program->isa);
  t.what = what;
  run_definition(&t);
  run_kernel(&t);
  check_writes(&t);
  for (int32_t i = 0; i < t.c.nout; i++) {
    double e = excess(&t, i);
    CHECK(e <= 1, "%s: output %d is at %.2f times its tolerance", what, i, e);
    *worst = fmax(*worst, e);
  }
  trial_free(&t);
  return true;
}

/* A column on its own, in guarded memory. */
static dor_backend alone(const dor_kernel *const *column, const char *name)
{
  dor_backend b = dor_backend_cpu;
  b.name = name;
  for (int32_t i = 0; i < DOR_COLUMNS; i++) b.column[i] = i ? NULL : column;
  b.alloc = guarded_alloc;
  b.free = guarded_free;
  return b;
}

static void check_column(const dor_kernel *const *column, const char *name)
{
  dor_backend b = alone(column, name);
  int ran = 0, declined = 0;
  double worst = 0;
  for (int32_t i = 0; i < DOR_OP_COUNT; i++) {
    bool fixed = column[i] && !column[i]->prepare; /* such a kernel cannot ask what the machine has */
    for (const dor_case *t = dor_ops[i]->cases; column[i] && t && t->name; t++)
      for (int32_t isa = 0; isa <= (fixed ? 0 : (int32_t)b.isa()) && !t->bench; isa++)
        for (int32_t threads = 1; threads <= 3; threads += 2) {
          bool taken = try_case(&b, dor_ops[i], t, &(dor_program_options){.threads = threads, .isa = (dor_isa)isa, .cap_isa = true, .no_fuse = true}, &worst);
          ran += taken, declined += !taken;
        }
  }
  print_message("    %s: %d runs, worst at %.2f of its tolerance; %d declined\n", name, ran, worst, declined);
}

TEST(op_own_kernels_match_definition) { check_column(dor_column_own, "own"); }
TEST(op_onednn_kernels_match_definition) { check_column(dor_column_onednn, "onednn"); }
TEST(op_fast_kernels_match_definition) { check_column(dor_column_fast, "fast"); }
TEST(op_direct_kernels_match_definition) { check_column(dor_column_direct, "direct"); }

static bool is_fused(const dor_op *op)
{
  for (const dor_fuse_row *row = dor_fuse_rows; row->fused; row++)
    if (row->fused == op) return true;
  return false;
}

/* Only a fused op may have no kernel at all: it is not used then. Where there is one, every shape is taken by somebody. */
static void check_served(const dor_backend *b)
{
  for (int32_t i = 0; i < DOR_OP_COUNT; i++)
    for (const dor_case *t = dor_ops[i]->cases; t && t->name; t++) {
      if (is_fused(dor_ops[i]) && !dor_backend_has(b, dor_ops[i])) continue;
      dor_opcase c;
      dor_program *p;
      OK(dor_opcase_build(&c, dor_ops[i], t));
      dor_status s = dor_program_build(&p, &c.graph, b, &(dor_program_options){.no_fuse = true});
      CHECK(s == DOR_OK, "%s/%s: %s", dor_ops[i]->name, t->name, dor_errmsg());
      dor_program_release(s ? NULL : p);
    }
}

TEST(every_op_is_served_on_every_backend)
{
  check_served(&dor_backend_cpu);
  check_served(&dor_backend_plain);
}
