/* SPDX-License-Identifier: Apache-2.0
 *
 * conv2d_stats by any convolution kernel and a pass over its output: for shapes
 * that Winograd declines. The column's own conv2d decides what it takes. */
#include "base/mem.h"
#include "kernels/bn_pool.h"
#include "kernels/kernel.h"

extern const dor_kernel conv2d_onednn;

typedef struct plan {
  void *conv; /* the convolution's own */
  dor_bn_pool moments;
} plan;

static dor_status prepare(const dor_kernel *conv, const dor_prep *p, void **out, size_t *scratch)
{
  plan *q = dor_calloc(1, sizeof *q);
  DOR_NEED(q, NOMEM, "conv2d_stats: out of memory");
  dor_prep inner = *p;
  inner.nout = 1;
  dor_status s = conv->prepare ? conv->prepare(&inner, &q->conv, scratch) : DOR_OK;
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

/* The call as the convolution knows it. */
static dor_call inner(const dor_call *c)
{
  dor_call conv = *c;
  conv.plan = ((const plan *)c->plan)->conv;
  conv.nout = 1;
  return conv;
}

static void run(const dor_kernel *conv, const dor_call *c)
{
  const plan *p = c->plan;
  dor_call call = inner(c);
  conv->run(&call);
  p->moments.isa->moments(&p->moments, c->out[0].data, c->out[1].data, c->out[2].data, c->scratch);
}

static dor_status prepare_onednn(const dor_prep *p, void **out, size_t *scratch) { return prepare(&conv2d_onednn, p, out, scratch); }
static void run_onednn(const dor_call *c) { run(&conv2d_onednn, c); }

static dor_status attach_onednn(dor_call *c)
{
  dor_call conv = inner(c);
  DOR_TRY(conv2d_onednn.attach(&conv));
  c->context = conv.context;
  return DOR_OK;
}

static void detach_onednn(dor_call *c)
{
  dor_call conv = inner(c);
  conv2d_onednn.detach(&conv);
}

static void drop_onednn(void *of)
{
  conv2d_onednn.drop(((plan *)of)->conv);
  dor_free(of);
}

static const char *describe_onednn(const void *of) { return conv2d_onednn.describe(((const plan *)of)->conv); }

extern const dor_kernel conv2d_stats_onednn;
const dor_kernel conv2d_stats_onednn = {.name = "conv2d_stats_onednn", .prepare = prepare_onednn, .attach = attach_onednn, .run = run_onednn,
                                        .detach = detach_onednn, .drop = drop_onednn, .describe = describe_onednn};
