/* SPDX-License-Identifier: Apache-2.0
 *
 * conv2d_affine by any column's conv2d: the weights are scaled into scratch, the
 * convolution runs on those, and one pass adds the shift and takes the ReLU. */
#include <math.h>

#include "base/mem.h"
#include "kernels/reduce.h"
#include "ops/attrs.h"

extern const dor_kernel conv2d_winograd, conv2d_onednn, conv2d_cpu;

typedef struct plan {
  const dor_kernel *conv;
  void *inner; /* its plan */
} plan;

typedef struct bound { /* the call as the convolution knows it */
  dor_call conv;
  dor_view in[2];
} bound;

static size_t padded(size_t bytes) { return (bytes + 63) / 64 * 64; }

static size_t own_bytes(dor_shape w) { return padded((size_t)dor_shape_size(w) * sizeof(float)) + padded(2 * (size_t)w.d[3] * sizeof(float)); }

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
  *scratch += own_bytes(p->in[1].shape);
  *out = q;
  return DOR_OK;
}

static dor_status prepare_winograd(const dor_prep *p, void **out, size_t *scratch) { return prepare(&conv2d_winograd, p, out, scratch); }
static dor_status prepare_onednn(const dor_prep *p, void **out, size_t *scratch) { return prepare(&conv2d_onednn, p, out, scratch); }
static dor_status prepare_cpu(const dor_prep *p, void **out, size_t *scratch) { return prepare(&conv2d_cpu, p, out, scratch); }

static dor_status attach(dor_call *c)
{
  const plan *p = c->plan;
  bound *b = dor_calloc(1, sizeof *b);
  DOR_NEED(b, NOMEM, "conv2d_affine: out of memory");
  b->conv = *c;
  b->conv.attr = &((const dor_affine_attr *)c->attr)->conv;
  b->conv.plan = p->inner;
  b->conv.context = NULL;
  b->conv.nin = 2;
  b->in[0] = c->in[0], b->in[1] = c->in[1];
  b->in[1].data = c->scratch;
  b->conv.in = b->in;
  b->conv.scratch = (char *)c->scratch + own_bytes(c->in[1].shape);
  dor_status s = p->conv->attach ? p->conv->attach(&b->conv) : DOR_OK;
  if (s) dor_free(b);
  else c->context = b;
  return s;
}

typedef struct tail { float *y; const float *shift; int64_t n; float low; } tail;

DOR_CLONES static void tail_body(const void *job, int64_t lo, int64_t hi) /* pixels */
{
  const tail *t = job;
  for (int64_t r = lo; r < hi; r++) {
    float *restrict y = t->y + r * t->n;
    for (int64_t k = 0; k < t->n; k++) {
      float v = y[k] + t->shift[k];
      y[k] = v < t->low ? t->low : v;
    }
  }
}

DOR_CLONES static void scale_weights(const float *w, const float *scale, int64_t rows, int64_t n, float *restrict out)
{
  for (int64_t r = 0; r < rows; r++)
    for (int64_t k = 0; k < n; k++) out[r * n + k] = w[r * n + k] * scale[k];
}

static void run(const dor_call *c)
{
  const dor_affine_attr *a = c->attr;
  const bound *b = c->context;
  int64_t n = c->out[0].shape.d[3], size = dor_shape_size(c->in[1].shape);
  float *w = c->scratch, *scale = (float *)(void *)((char *)c->scratch + padded((size_t)size * sizeof(float))), *shift = scale + n;
  const float *mean = c->in[2].data, *var = c->in[3].data, *gamma = c->in[4].data, *beta = c->in[5].data;
  for (int64_t k = 0; k < n; k++) {
    scale[k] = (float)((double)gamma[k] / sqrt((double)var[k] + a->eps));
    shift[k] = beta[k] - mean[k] * scale[k];
  }
  scale_weights(c->in[1].data, scale, size / n, n, w);
  ((const plan *)c->plan)->conv->run(&b->conv);
  tail t = {c->out[0].data, shift, n, a->relu ? 0 : -INFINITY};
  dor_parallel(c->threads, dor_shape_size(c->out[0].shape) / n, 1 + 16384 / n, tail_body, &t);
}

static void detach(dor_call *c)
{
  const plan *p = c->plan;
  bound *b = c->context;
  if (b && p->conv->detach) p->conv->detach(&b->conv);
  dor_free(b);
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

extern const dor_kernel conv2d_affine_winograd;
const dor_kernel conv2d_affine_winograd = {"conv2d_affine_winograd", prepare_winograd, attach, run, detach, drop, describe};
const dor_kernel conv2d_affine_onednn = {"conv2d_affine_onednn", prepare_onednn, attach, run, detach, drop, describe};
const dor_kernel conv2d_affine_cpu = {"conv2d_affine_cpu", prepare_cpu, attach, run, detach, drop, describe};
