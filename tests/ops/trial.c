/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/ops/trial.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/program.h"
#include "backend/widen.h"
#include "base/hash.h"
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
} trial;

/* Memory with a guard on either side, all of it NaN. */
enum { GUARD = 4096, POISON = 0xFF };
static int64_t outside; /* bytes of guards found changed */

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
  for (size_t i = 0; i < GUARD; i++) outside += (whole[i] != POISON) + (whole[GUARD + bytes + i] != POISON);
  free((char *)p - GUARD);
}

dor_backend trial_backend(const dor_kernel *const *column, const char *name)
{
  dor_backend b = dor_backend_cpu;
  b.name = name;
  for (int32_t i = 0; i < DOR_COLUMNS; i++) b.column[i] = i ? NULL : column;
  b.alloc = guarded_alloc;
  b.free = guarded_free;
  b.narrow = true;
  return b;
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

static int64_t stray_writes(const trial *t)
{
  int64_t wrong = 0;
  for (size_t i = 0; i < t->program->plan.total; i++)
    if (((unsigned char *)t->instance->pool)[i] != t->before[i]) wrong += !allowed(t, i);
  return wrong;
}

bool trial_narrows(const dor_op *op, const dor_case *at)
{
  const int32_t nin = at->nin ? at->nin : op->nin;
  bool any = false;
  for (int32_t i = 0; i < nin; i++) any = any || (at->dtype[i] == DOR_F32 && dor_op_narrow(op, false, i));
  for (int32_t i = 0; i < op->nout; i++) any = any || dor_op_narrow(op, true, i);
  return any;
}

void trial_narrow(dor_opcase *c, dor_dtype store)
{
  dor_graph *g = &c->graph;
  for (int32_t i = 0; i < c->nin + c->nout; i++) {
    const bool output = i >= c->nin;
    dor_type *type = &g->value[output ? c->out[i - c->nin] : c->in[i]].type;
    if (type->dtype == DOR_F32 && dor_op_narrow(c->op, output, output ? i - c->nin : i)) type->dtype = store;
  }
}

static void run_definition(trial *t)
{
  const dor_node *n = &t->program->graph.node[0];
  dor_type type[DOR_CASE_IN + DOR_OPCASE_OUT];
  for (int32_t i = 0; i < t->c.nin; i++) type[i] = t->program->graph.value[n->in[i]].type;
  for (int32_t i = 0; i < t->c.nout; i++) type[t->c.nin + i] = t->program->graph.value[n->out[i]].type;
  for (int32_t i = 0; i < t->c.nin + t->c.nout; i++) t->real[i] = calloc((size_t)dor_shape_size(type[i].shape) + 1, sizeof(double));
  for (int32_t i = 0; i < t->c.nin; i++) {
    int64_t size = dor_shape_size(type[i].shape);
    void *stored = dor_instance_data(t->instance, t->c.in[i]);
    dor_opcase_fill(&t->c, i, 11, t->real[i]);
    dor_from_real(type[i].dtype, t->real[i], size, stored);
    dor_to_real(type[i].dtype, stored, size, t->real[i]);
  }
  n->op->ref(&(dor_refcall){n->attr, n->nin, n->nout, type, type + n->nin, (const double *const *)t->real, t->real + t->c.nin, &test_step, n->key});
}

static void run_kernel(trial *t)
{
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
  const dor_bound *b = &t->program->bound[0];
  const dor_kernel *k = b->kernel == &dor_kernel_widened ? dor_widened_kernel(b->plan) : b->kernel;
  double bound = test_tolerance(t->c.op, k, type.dtype, dor_node_cost(&t->program->graph, 0), n) * fmax(scale, 1e-30);
  for (int64_t i = 0; i < n; i++) {
    double error = got[i] == want[i] ? 0 : fabs(got[i] - want[i]) / bound;
    if (error > worst || isnan(error)) worst = error;
  }
  free(got);
  return worst;
}

static void judge(const trial *t, trial_result *r)
{
  dor_hash h;
  dor_hash_init(&h);
  r->stray = stray_writes(t);
  for (int32_t i = 0; i < t->c.nout; i++) {
    double e = excess(t, i);
    if (e > r->worst || isnan(e)) r->worst = e;
    dor_hash_add(&h, dor_instance_data(t->instance, t->c.out[i]), dor_type_bytes(t->program->graph.value[t->c.out[i]].type));
  }
  dor_hash_final(&h, r->hash);
}

static void release(trial *t)
{
  for (size_t i = 0; i < sizeof t->real / sizeof *t->real; i++) free(t->real[i]);
  free(t->before);
  dor_instance_free(t->instance);
  dor_program_release(t->program);
}

trial_result trial_run(const dor_backend *b, const dor_op *op, const dor_case *at, dor_dtype store, const dor_program_options *o)
{
  trial t = {0};
  trial_result r = {0};
  OK(dor_opcase_build(&t.c, op, at));
  if (store != DOR_F32) trial_narrow(&t.c, store);
  dor_status s = dor_program_build(&t.program, &t.c.graph, b, o);
  if (s == DOR_E_UNSUPPORTED) return r;
  REQUIRE(s == DOR_OK, "%s/%s on %s: %s", op->name, at->name, b->name, dor_errmsg());
  OK(dor_instance_new(&t.instance, t.program, NULL));
  r.taken = true;
  snprintf(r.what, sizeof r.what, "%s/%s by %s, %s, %d threads, isa %d", op->name, at->name, t.program->bound[0].kernel->name, dor_dtype_name(store),
           t.program->threads, (int)t.program->isa);
  run_definition(&t);
  run_kernel(&t);
  judge(&t, &r);
  outside = 0;
  release(&t);
  r.stray += outside;
  return r;
}
