/* SPDX-License-Identifier: Apache-2.0
 *
 * conv2d, its chains, its gradients, and conv_transpose2d, which is the gradient
 * by x run forward, by the own direct kernel (kernels/direct.h): shapes that Winograd declines and that it serves better
 * than oneDNN. The rest is declined. */
#include "base/mem.h"
#include "kernels/affine.h"
#include "kernels/direct.h"

static dor_status prepare(const dor_prep *p, const dor_conv2d_attr *a, bool back, void **plan, size_t *scratch)
{
  dor_direct *d = dor_calloc(1, sizeof *d);
  DOR_NEED(d, NOMEM, "conv2d: out of memory");
  dor_status s = dor_direct_plan(d, dor_direct_find(p->isa), a, back, p->in[0].shape, p->out[0].shape, p->threads);
  if (s) {
    dor_free(d);
    return s;
  }
  *plan = d;
  *scratch = dor_direct_bytes(d);
  return DOR_OK;
}

static dor_status prepare_forward(const dor_prep *p, void **plan, size_t *scratch) { return prepare(p, p->attr, false, plan, scratch); }
static dor_status prepare_dx(const dor_prep *p, void **plan, size_t *scratch) { return prepare(p, p->attr, true, plan, scratch); }

static dor_status prepare_weights(const dor_prep *p, void **plan, size_t *scratch)
{
  dor_direct *d = dor_calloc(1, sizeof *d);
  DOR_NEED(d, NOMEM, "conv2d_dw: out of memory");
  dor_status s = dor_direct_plan_weights(d, dor_direct_find(p->isa), p->attr, p->in[0].shape, p->in[1].shape, p->threads);
  if (s) {
    dor_free(d);
    return s;
  }
  *plan = d;
  *scratch = dor_direct_weights_bytes(d);
  return DOR_OK;
}

/* Its scale and shift stand before the kernel's scratch. */
static dor_status prepare_affine(const dor_prep *p, void **plan, size_t *scratch)
{
  DOR_TRY(prepare(p, &((const dor_affine_attr *)p->attr)->conv, false, plan, scratch));
  *scratch += dor_affine_bytes(p->out[0].shape.d[3]);
  return DOR_OK;
}

static void run_tail(const dor_call *c, const dor_direct_tail *tail, void *scratch)
{
  const dor_direct *d = c->plan;
  d->isa->run(d, c->in[0].data, c->in[1].data, c->out[0].data, tail, scratch);
}

static void run_plain(const dor_call *c) { run_tail(c, NULL, c->scratch); }
static void run_stats(const dor_call *c) { run_tail(c, &(dor_direct_tail){.mean = c->out[1].data, .var = c->out[2].data}, c->scratch); }
static void run_add(const dor_call *c) { run_tail(c, &(dor_direct_tail){.residual = c->in[2].data}, c->scratch); }

static void run_affine(const dor_call *c)
{
  const dor_affine_attr *a = c->attr;
  dor_affine f = dor_affine_fold(c, c->scratch);
  dor_direct_tail tail = {.scale = f.scale, .bias = f.shift, .residual = c->nin > 6 ? c->in[6].data : NULL, .relu = a->relu};
  run_tail(c, &tail, (char *)c->scratch + dor_affine_bytes(c->out[0].shape.d[3]));
}

static void run_weights(const dor_call *c)
{
  const dor_direct *d = c->plan;
  d->isa->weights(d, c->in[0].data, c->in[1].data, c->out[0].data, c->scratch);
}

static const char *describe(const void *plan) { return ((const dor_direct *)plan)->isa->name; }

#define KERNEL(op, how, what) \
  const dor_kernel op##_direct = {.name = #op "_direct", .prepare = how, .run = what, .drop = dor_free, .describe = describe}
extern const dor_kernel conv2d_direct, conv2d_stats_direct, conv2d_affine_direct, conv2d_dx_direct, conv2d_dx_add_direct, conv2d_dw_direct,
    conv_transpose2d_direct;
KERNEL(conv2d, prepare_forward, run_plain);
KERNEL(conv2d_stats, prepare_forward, run_stats);
KERNEL(conv2d_affine, prepare_affine, run_affine);
KERNEL(conv2d_dx, prepare_dx, run_plain);
KERNEL(conv2d_dx_add, prepare_dx, run_add);
KERNEL(conv_transpose2d, prepare_dx, run_plain);
KERNEL(conv2d_dw, prepare_weights, run_weights);
