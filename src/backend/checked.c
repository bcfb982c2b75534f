/* SPDX-License-Identifier: Apache-2.0
 *
 * A step for debugging: node by node, the definition in double beside the
 * kernel, and every number finite. Slow, and it allocates. */
#include <math.h>

#include "backend/mirror.h"
#include "base/mem.h"
#include "tensor/convert.h"

typedef struct checked { /* one node's values in double */
  const dor_call *call;
  dor_type *type;          /* inputs, then outputs */
  double **real;           /* likewise */
} checked;

static dor_status fetch(const dor_backend *b, const dor_view *v, double *to)
{
  size_t bytes = dor_type_bytes((dor_type){v->shape, v->dtype});
  void *host = dor_calloc(1, bytes);
  DOR_NEED(host, NOMEM, "%zu bytes to check a node", bytes);
  dor_status s = b->copy_out(host, v->data, bytes);
  if (!s) dor_to_real(v->dtype, host, dor_shape_size(v->shape), to);
  dor_free(host);
  return s;
}

static dor_status open_node(checked *c, const dor_call *call)
{
  int32_t n = call->nin + call->nout;
  c->call = call;
  c->type = dor_calloc((size_t)n, sizeof *c->type);
  c->real = dor_calloc((size_t)n, sizeof *c->real);
  DOR_NEED(c->type && c->real, NOMEM, "checking a node");
  for (int32_t i = 0; i < n; i++) {
    const dor_view *v = i < call->nin ? &call->in[i] : &call->out[i - call->nin];
    c->type[i] = (dor_type){v->shape, v->dtype};
    c->real[i] = dor_calloc((size_t)dor_shape_size(v->shape), sizeof **c->real);
    DOR_NEED(c->real[i], NOMEM, "checking a node");
  }
  return DOR_OK;
}

static void close_node(checked *c)
{
  for (int32_t i = 0; c->real && i < c->call->nin + c->call->nout; i++) dor_free(c->real[i]);
  dor_free(c->real);
  dor_free(c->type);
}

static dor_status compare(const dor_node *n, int32_t i, const dor_kernel *k, int64_t size, const double *want, const double *got, double tolerance)
{
  double scale = 0;
  for (int64_t j = 0; j < size; j++) scale = fmax(scale, fabs(want[j]));
  for (int64_t j = 0; j < size; j++) {
    DOR_NEED(isfinite(got[j]), NUMERIC, "%s (%s): output %d element %lld is %g", n->op->name, n->scope, i, (long long)j, got[j]);
    DOR_NEED(fabs(got[j] - want[j]) <= tolerance * scale, NUMERIC, "%s (%s): output %d element %lld is %.9g by %s, %.9g by definition", n->op->name,
             n->scope, i, (long long)j, got[j], k->name, want[j]);
  }
  return DOR_OK;
}

static dor_status check_outputs(checked *c, const dor_backend *b, const dor_node *n, const dor_kernel *k, double tolerance)
{
  const dor_call *call = c->call;
  for (int32_t i = 0; i < call->nout; i++) {
    int64_t size = dor_shape_size(call->out[i].shape);
    double *got = dor_calloc((size_t)size, sizeof *got);
    DOR_NEED(got, NOMEM, "checking a node");
    dor_status s = fetch(b, &call->out[i], got);
    if (!s) s = compare(n, i, k, size, c->real[call->nin + i], got, tolerance);
    dor_free(got);
    DOR_TRY(s);
  }
  return DOR_OK;
}

static dor_status run_node(checked *c, dor_instance *in, int32_t i, const dor_step *step, double tolerance)
{
  const dor_call *call = c->call;
  const dor_backend *b = in->program->backend;
  const dor_node *n = &in->program->graph.node[in->node[i]];
  const dor_kernel *k = in->kernel[i];
  for (int32_t j = 0; j < call->nin; j++) DOR_TRY(fetch(b, &call->in[j], c->real[j]));
  n->op->ref(&(dor_refcall){.attr = call->attr, .nin = call->nin, .nout = call->nout, .type_in = c->type, .type_out = c->type + call->nin,
                            .in = (const double *const *)c->real, .out = c->real + call->nin, .step = step, .key = call->key});
  k->run(call);
  DOR_TRY(dor_instance_wait(in));
  return check_outputs(c, b, n, k, tolerance);
}

dor_status dor_instance_run_checked(dor_instance *in, const dor_step *step, double tolerance)
{
  const dor_program *p = in->program;
  DOR_NEED(in->models == 1, UNSUPPORTED, "a checked step of a fleet");
  in->step = *step;
  if (in->mirror) DOR_TRY(dor_mirror_feed(in->mirror, in, step));
  p->backend->enter(p->threads);
  for (int32_t i = 0; i < in->ncall; i++) {
    checked c = {0};
    dor_status s = open_node(&c, &in->call[i]);
    if (!s) s = run_node(&c, in, i, step, tolerance);
    if (c.call) close_node(&c);
    DOR_TRY(s);
  }
  return DOR_OK;
}
