/* SPDX-License-Identifier: Apache-2.0
 *
 * conv2d_stats by a column's own conv2d and a pass over its output: for shapes
 * that Winograd declines. */
#include "base/mem.h"
#include "kernels/bn_pool.h"
#include "kernels/kernel.h"

extern const dor_kernel conv2d_onednn, conv2d_cpu;

typedef struct plan {
  const dor_kernel *conv;
  void *inner; /* its plan */
  dor_bn_pool moments;
} plan;

static dor_status prepare(const dor_kernel *conv, const dor_prep *p, void **out, size_t *scratch)
{
  plan *q = dor_calloc(1, sizeof *q);
  DOR_NEED(q, NOMEM, "conv2d_stats: out of memory");
  dor_prep inner = *p;
  inner.nout = 1;
  q->conv = conv;
  dor_status s = conv->prepare(&inner, &q->inner, scratch);
  if (s) {
    dor_free(q);
    return s;
  }
  dor_shape y = p->out[0].shape;
  q->moments = (dor_bn_pool){.n = y.d[0], .h = y.d[1], .w = y.d[2], .c = y.d[3], .threads = p->threads, .isa = dor_bn_pool_find(p->isa, y.d[3])};
  size_t own = dor_bn_pool_bytes(&q->moments);
  if (own > *scratch) *scratch = own;
  *out = q;
  return DOR_OK;
}

static dor_status prepare_onednn(const dor_prep *p, void **out, size_t *scratch) { return prepare(&conv2d_onednn, p, out, scratch); }
static dor_status prepare_cpu(const dor_prep *p, void **out, size_t *scratch) { return prepare(&conv2d_cpu, p, out, scratch); }

/* The call as the convolution knows it. */
static dor_call inner(const dor_call *c)
{
  dor_call conv = *c;
  conv.plan = ((const plan *)c->plan)->inner;
  conv.nout = 1;
  return conv;
}

static dor_status attach(dor_call *c)
{
  const plan *p = c->plan;
  dor_call conv = inner(c);
  if (!p->conv->attach) return DOR_OK;
  DOR_TRY(p->conv->attach(&conv));
  c->context = conv.context;
  return DOR_OK;
}

static void run(const dor_call *c)
{
  const plan *p = c->plan;
  dor_call conv = inner(c);
  p->conv->run(&conv);
  p->moments.isa->moments(&p->moments, c->out[0].data, c->out[1].data, c->out[2].data, c->scratch);
}

static void detach(dor_call *c)
{
  const plan *p = c->plan;
  dor_call conv = inner(c);
  if (p->conv->detach) p->conv->detach(&conv);
}

static void drop(void *of)
{
  plan *p = of;
  if (p->conv->drop) p->conv->drop(p->inner);
  dor_free(p);
}

static const char *describe(const void *of)
{
  const plan *p = of;
  return p->conv->describe ? p->conv->describe(p->inner) : p->conv->name;
}

extern const dor_kernel conv2d_stats_onednn, conv2d_stats_cpu;
const dor_kernel conv2d_stats_onednn = {.name = "conv2d_stats_onednn", .prepare = prepare_onednn, .attach = attach,
                                        .run = run, .detach = detach, .drop = drop, .describe = describe};
const dor_kernel conv2d_stats_cpu = {.name = "conv2d_stats_cpu", .prepare = prepare_cpu, .attach = attach,
                                     .run = run, .detach = detach, .drop = drop, .describe = describe};
