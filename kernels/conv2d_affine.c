/* SPDX-License-Identifier: Apache-2.0
 *
 * conv2d_affine by a library's or the portable conv2d, which know no epilogue:
 * the convolution runs, then one pass scales, shifts, adds the residual and takes
 * the ReLU. */
#include <math.h>

#include "base/mem.h"
#include "kernels/affine.h"
#include "kernels/reduce.h"

extern const dor_kernel conv2d_onednn, conv2d_cpu;

typedef struct plan {
  const dor_kernel *conv;
  void *inner; /* its plan */
} plan;

static dor_status prepare(const dor_kernel *conv, const dor_prep *p, void **out, size_t *scratch)
{
  plan *q = dor_calloc(1, sizeof *q);
  DOR_NEED(q, NOMEM, "conv2d_affine: out of memory");
  dor_prep inner = *p;
  inner.attr = &((const dor_affine_attr *)p->attr)->conv;
  inner.nin = 2;
  q->conv = conv;
  dor_status s = conv->prepare(&inner, &q->inner, scratch);
  if (s) {
    dor_free(q);
    return s;
  }
  *scratch += dor_affine_bytes(p->out[0].shape.d[3]);
  *out = q;
  return DOR_OK;
}

static dor_status prepare_onednn(const dor_prep *p, void **out, size_t *scratch) { return prepare(&conv2d_onednn, p, out, scratch); }
static dor_status prepare_cpu(const dor_prep *p, void **out, size_t *scratch) { return prepare(&conv2d_cpu, p, out, scratch); }

/* The call as the convolution knows it: scale and shift stand before its scratch. */
static dor_call inner(const dor_call *c)
{
  dor_call conv = *c;
  conv.attr = &((const dor_affine_attr *)c->attr)->conv;
  conv.plan = ((const plan *)c->plan)->inner;
  conv.scratch = (char *)c->scratch + dor_affine_bytes(c->out[0].shape.d[3]);
  conv.nin = 2;
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

typedef struct tail { float *y; const float *residual, *scale, *shift; int64_t n; float low; } tail;

DOR_CLONES static void tail_body(const void *job, int64_t lo, int64_t hi) /* pixels */
{
  const tail *t = job;
  for (int64_t r = lo; r < hi; r++) {
    float *restrict y = t->y + r * t->n;
    const float *add = t->residual ? t->residual + r * t->n : NULL;
    for (int64_t k = 0; k < t->n; k++) {
      float v = y[k] * t->scale[k] + t->shift[k];
      if (add) v += add[k];
      y[k] = v < t->low ? t->low : v;
    }
  }
}

static void run(const dor_call *c)
{
  const plan *p = c->plan;
  dor_call conv = inner(c);
  p->conv->run(&conv);
  dor_affine f = dor_affine_fold(c, c->scratch);
  int64_t n = c->out[0].shape.d[3];
  tail t = {c->out[0].data, c->nin > 6 ? c->in[6].data : NULL, f.scale, f.shift, n, ((const dor_affine_attr *)c->attr)->relu ? 0 : -INFINITY};
  dor_parallel(c->threads, dor_shape_size(c->out[0].shape) / n, 1 + 16384 / n, tail_body, &t);
}

static void detach(dor_call *c)
{
  const plan *p = c->plan;
  dor_call conv = inner(c);
  if (p->conv->detach) p->conv->detach(&conv);
}

static void drop(void *v)
{
  plan *p = v;
  if (p->conv->drop) p->conv->drop(p->inner);
  dor_free(p);
}

static const char *describe(const void *v)
{
  const plan *p = v;
  return p->conv->describe ? p->conv->describe(p->inner) : p->conv->name;
}

extern const dor_kernel conv2d_affine_onednn, conv2d_affine_cpu;
const dor_kernel conv2d_affine_onednn = {.name = "conv2d_affine_onednn", .prepare = prepare_onednn, .attach = attach,
                                         .run = run, .detach = detach, .drop = drop, .describe = describe};
const dor_kernel conv2d_affine_cpu = {.name = "conv2d_affine_cpu", .prepare = prepare_cpu, .attach = attach,
                                      .run = run, .detach = detach, .drop = drop, .describe = describe};
