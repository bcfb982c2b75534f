/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/ops/device.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/program.h"
#include "ops/ops.h"
#include "tensor/convert.h"
#include "tests/ops/reference.h"
#include "tests/ops/tolerance.h"
#include "tests/ops/trial.h"

enum { GUARD = 4096, POISON = 0xFF, RUNS = 3, TERMS = DOR_CASE_IN + DOR_OPCASE_OUT };

typedef struct attempt {
  dor_opcase c;
  dor_program *program;
  dor_instance *instance;
  double *real[TERMS];             /* inputs, then outputs by definition */
  unsigned char *out[DOR_OPCASE_OUT]; /* of the first run */
  unsigned char *pool;             /* as a run left it */
} attempt;

/* ---- memory with a guard on either side, all of it NaN ---- */

static const dor_backend *inner; /* the device's own */
static int64_t outside;          /* bytes of guards found changed */

static dor_status poison(void *p, size_t bytes)
{
  void *nan = malloc(bytes);
  DOR_NEED(nan, NOMEM, "%zu bytes of poison", bytes);
  memset(nan, POISON, bytes);
  dor_status s = inner->copy_in(p, nan, bytes);
  free(nan);
  return s;
}

static dor_status guarded_alloc(size_t bytes, void **p)
{
  void *whole;
  DOR_TRY(inner->alloc(bytes + 2 * GUARD, &whole));
  *p = (char *)whole + GUARD;
  return poison(whole, bytes + 2 * GUARD);
}

static void guarded_free(void *p, size_t bytes)
{
  unsigned char guard[2 * GUARD];
  char *whole = (char *)p - GUARD;
  memset(guard, POISON, sizeof guard);
  dor_status s = inner->copy_out(guard, whole, GUARD);
  if (!s) s = inner->copy_out(guard + GUARD, (char *)p + bytes, GUARD);
  for (size_t i = 0; !s && i < sizeof guard; i++) outside += guard[i] != POISON;
  inner->free(whole, bytes + 2 * GUARD);
}

/* ---- one kernel, one case ---- */

/* What is overwritten is an input by two names, and staged by both. */
static void set(attempt *a, dor_val v, const void *stored)
{
  const dor_program *p = a->program;
  dor_instance_set(a->instance, v, stored);
  for (int32_t o = 0; o < a->c.nout; o++)
    if (p->graph.value[a->c.out[o]].kind == DOR_INPUT && p->plan.offset[a->c.out[o]] == p->plan.offset[v]) dor_instance_set(a->instance, a->c.out[o], stored);
}

static dor_status fill(attempt *a)
{
  for (int32_t i = 0; i < a->c.nin; i++) {
    const dor_type t = a->program->graph.value[a->c.in[i]].type;
    const int64_t n = dor_shape_size(t.shape);
    void *stored = calloc(1, dor_type_bytes(t) + 1);
    a->real[i] = calloc((size_t)n + 1, sizeof(double));
    DOR_NEED(stored && a->real[i], NOMEM, "an input");
    dor_opcase_fill(&a->c, i, 11, a->real[i]);
    dor_from_real(t.dtype, a->real[i], n, stored);
    dor_to_real(t.dtype, stored, n, a->real[i]);
    set(a, a->c.in[i], stored);
    free(stored);
  }
  return DOR_OK;
}

static dor_status define(attempt *a)
{
  const dor_node *n = &a->program->graph.node[0];
  dor_type type[TERMS];
  for (int32_t i = 0; i < a->c.nin + a->c.nout; i++) type[i] = a->program->graph.value[i < a->c.nin ? n->in[i] : n->out[i - a->c.nin]].type;
  for (int32_t i = a->c.nin; i < a->c.nin + a->c.nout; i++) {
    a->real[i] = calloc((size_t)dor_shape_size(type[i].shape) + 1, sizeof(double));
    DOR_NEED(a->real[i], NOMEM, "an output");
  }
  n->op->ref(&(dor_refcall){n->attr, n->nin, n->nout, type, type + n->nin, (const double *const *)a->real, a->real + a->c.nin, &test_step, n->key});
  return DOR_OK;
}

static bool inside(const attempt *a, const dor_view *v, size_t byte)
{
  const size_t at = (size_t)((const char *)v->data - (const char *)a->instance->pool);
  return byte >= at && byte < at + dor_type_bytes((dor_type){v->shape, v->dtype});
}

/* Inputs are copied there, outputs and scratch are the kernel's. */
static bool allowed(const attempt *a, size_t byte)
{
  const dor_call *c = &a->instance->call[0];
  const size_t scratch = a->program->bound[0].scratch, at = a->program->plan.scratch[0];
  bool yes = scratch && byte >= at && byte < at + scratch;
  for (int32_t i = 0; i < c->nout && !yes; i++) yes = inside(a, &c->out[i], byte);
  for (int32_t i = 0; i < c->nin && !yes; i++) yes = inside(a, &c->in[i], byte);
  return yes;
}

static double error_of(const attempt *a, const device_row *r, dor_dtype store, int32_t o)
{
  const dor_type t = a->program->graph.value[a->c.out[o]].type;
  const int64_t n = dor_shape_size(t.shape);
  const double *want = a->real[a->c.nin + o];
  /* a library rounds what it reads and makes to the type of the maps, weights and their gradients too */
  const dor_dtype type = r->library && store != DOR_F32 && t.dtype == DOR_F32 ? store : t.dtype;
  double *got = calloc((size_t)n + 1, sizeof *got), scale = 0, worst = 0;
  if (!got) return NAN;
  dor_to_real(t.dtype, a->out[o], n, got);
  for (int64_t i = 0; i < n; i++) scale = fmax(scale, fabs(want[i]));
  const double bound = test_tolerance(a->c.op, a->program->bound[0].kernel, type, dor_node_cost(&a->program->graph, 0), n) * fmax(scale, 1e-30);
  for (int64_t i = 0; i < n; i++) {
    const double e = got[i] == want[i] ? 0 : fabs(got[i] - want[i]) / bound;
    if (e > worst || isnan(e)) worst = e;
  }
  free(got);
  return worst;
}

/* What run k left: the outputs, which must be those of the first, and nothing elsewhere. */
static dor_status look(attempt *a, device_row *r, int k)
{
  const size_t bytes = a->program->plan.total;
  for (int32_t o = 0; o < a->c.nout; o++) {
    const size_t n = dor_type_bytes(a->program->graph.value[a->c.out[o]].type);
    unsigned char *to = malloc(n + 1);
    DOR_NEED(to, NOMEM, "an output");
    dor_status s = inner->copy_out(to, dor_instance_data(a->instance, a->c.out[o]), n);
    if (!k) a->out[o] = to;
    else r->same = r->same && !memcmp(a->out[o], to, n), free(to);
    DOR_TRY(s);
  }
  DOR_TRY(inner->copy_out(a->pool, a->instance->pool, bytes));
  for (size_t i = 0; i < bytes; i++)
    if (a->pool[i] != POISON) r->stray += !allowed(a, i);
  return DOR_OK;
}

static dor_status run_case(attempt *a, device_row *r, dor_dtype store)
{
  DOR_TRY(dor_instance_new(&a->instance, a->program, NULL));
  a->pool = malloc(a->program->plan.total + 1);
  DOR_NEED(a->pool, NOMEM, "a pool");
  DOR_TRY(fill(a));
  DOR_TRY(define(a));
  for (int k = 0; k < RUNS; k++) {
    DOR_TRY(poison(a->instance->pool, a->program->plan.total));
    dor_instance_run(a->instance, &test_step);
    DOR_TRY(dor_instance_wait(a->instance));
    DOR_TRY(look(a, r, k));
  }
  for (int32_t o = 0; o < a->c.nout; o++) {
    const double e = error_of(a, r, store, o);
    if (e > r->worst || isnan(e)) r->worst = e;
  }
  return DOR_OK;
}

static void name_kernel(const attempt *a, char *text, size_t size)
{
  const dor_bound *b = &a->program->bound[0];
  snprintf(text, size, "%s%s%s", b->kernel->name, b->kernel->describe ? " " : "", b->kernel->describe ? b->kernel->describe(b->plan) : "");
}

static dor_status try_case(attempt *a, const dor_backend *b, const dor_op *op, const dor_case *at, dor_dtype store, device_row *r, char *kernel, size_t size)
{
  DOR_TRY(dor_opcase_build(&a->c, op, at));
  trial_narrow(&a->c, store);
  dor_status s = dor_program_build(&a->program, &a->c.graph, b, &(dor_program_options){.no_fuse = true, .name = op->name});
  if (s == DOR_E_UNSUPPORTED) return r->says = dor_errmsg(), DOR_OK;
  DOR_TRY(s);
  r->taken = true;
  name_kernel(a, kernel, size);
  return run_case(a, r, store);
}

static void release(attempt *a)
{
  for (int i = 0; i < TERMS; i++) free(a->real[i]);
  for (int i = 0; i < DOR_OPCASE_OUT; i++) free(a->out[i]);
  free(a->pool);
  dor_instance_free(a->instance);
  dor_program_release(a->program);
}

static bool check_case(const dor_backend *b, const dor_op *op, const dor_case *at, dor_dtype store, bool library, device_sink *sink, void *to)
{
  char kernel[200] = "", says[600] = "";
  size_t left, all;
  attempt a = {0};
  device_row r = {.op = op->name, .name = at->name, .kernel = kernel, .store = dor_dtype_name(store), .library = library, .same = true, .says = ""};
  outside = 0;
  r.status = try_case(&a, b, op, at, store, &r, kernel, sizeof kernel);
  if (r.status) r.says = dor_errmsg();
  snprintf(says, sizeof says, "%s", r.says);
  r.says = says;
  release(&a);
  r.stray += outside;
  sink(to, &r);
  return r.status != DOR_E_DEVICE || !inner->device->memory(&left, &all); /* what is lost answers nothing any more */
}

bool device_row_good(const device_row *r) { return !r->status && (!r->taken || (r->worst <= 1 && !r->stray && r->same)); }

bool device_check_op(const dor_backend *device, const dor_op *op, device_sink *sink, void *to)
{
  static const dor_dtype store[] = {DOR_F32, DOR_BF16, DOR_F16};
  inner = device;
  for (int32_t k = 0; k < DOR_COLUMNS; k++) {
    if (!device->column[k] || !device->column[k][op->id]) continue;
    dor_backend b = *device;
    for (int32_t i = 0; i < DOR_COLUMNS; i++) b.column[i] = i ? NULL : device->column[k];
    b.alloc = guarded_alloc, b.free = guarded_free;
    const bool library = dor_column_library[op->id] && k == 0;
    for (const dor_case *at = op->cases; at && at->name; at++)
      for (int i = 0; i < (trial_narrows(op, at) ? 3 : 1) && !at->bench; i++)
        if (!check_case(&b, op, at, store[i], library, sink, to)) return false;
  }
  return true;
}
