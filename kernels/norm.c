/* SPDX-License-Identifier: Apache-2.0
 *
 * bn_act and bn_bwd as kernels: the widest instructions that the machine has and
 * the channels fill, and the portable build otherwise. */
#include "kernels/norm.h"

#include <math.h>

#include "base/mem.h"
#include "ops/attrs.h"

static const dor_norm_isa *find(dor_isa isa, int32_t channels)
{
  if (isa >= DOR_ISA_AVX512 && channels % dor_norm_avx512.lanes == 0) return &dor_norm_avx512;
  if (isa >= DOR_ISA_AVX2 && channels % dor_norm_avx2.lanes == 0) return &dor_norm_avx2;
  return &dor_norm_plain;
}

/* Three factors a channel, and two double sums a channel and piece. */
static size_t bytes(const dor_norm *s)
{
  size_t c = ((size_t)s->c + 15) / 16 * 16;
  return sizeof(float) * (3 * c + 16) + sizeof(double) * 2 * (size_t)s->c * DOR_NORM_PIECES;
}

static dor_status prepare(const dor_prep *p, double eps, void **plan, size_t *scratch)
{
  dor_norm *s = dor_calloc(1, sizeof *s);
  DOR_NEED(s, NOMEM, "batch norm: out of memory");
  dor_shape x = p->in[0].shape;
  *s = (dor_norm){.c = x.d[x.n - 1], .threads = p->threads, .eps = eps, .isa = find(p->isa, x.d[x.n - 1])};
  s->rows = dor_shape_size(x) / s->c;
  if (s->rows * s->c < 8192) s->threads = 1;
  *plan = s;
  *scratch = bytes(s);
  return DOR_OK;
}

static dor_status prepare_forward(const dor_prep *p, void **plan, size_t *scratch)
{
  return prepare(p, ((const dor_bn_act_attr *)p->attr)->eps, plan, scratch);
}

static dor_status prepare_backward(const dor_prep *p, void **plan, size_t *scratch)
{
  return prepare(p, ((const dor_bn_attr *)p->attr)->eps, plan, scratch);
}

static void run_forward(const dor_call *c)
{
  const dor_norm *s = c->plan;
  const float *mean = c->in[1].data, *var = c->in[2].data, *gamma = c->in[3].data, *beta = c->in[4].data;
  float *a = c->scratch, *b = a + s->c;
  for (int32_t k = 0; k < s->c; k++) {
    a[k] = (float)((double)gamma[k] / sqrt((double)var[k] + s->eps));
    b[k] = beta[k] - mean[k] * a[k];
  }
  s->isa->forward(s, c->in[0].data, a, b, c->nin > 5 ? c->in[5].data : NULL, ((const dor_bn_act_attr *)c->attr)->relu, c->out[0].data);
}

static void run_backward(const dor_call *c)
{
  const dor_norm *s = c->plan;
  s->isa->backward(s, c->in[0].data, c->in[1].data, c->nin > 5 ? c->in[5].data : NULL, c->in[2].data, c->in[3].data, c->in[4].data, c->out[0].data,
                   c->out[1].data, c->out[2].data, c->scratch);
}

static const char *describe(const void *plan) { return ((const dor_norm *)plan)->isa->name; }

extern const dor_kernel bn_act_cpu, bn_bwd_cpu;
const dor_kernel bn_act_cpu = {.name = "bn_act_cpu", .prepare = prepare_forward, .run = run_forward, .drop = dor_free, .describe = describe};
const dor_kernel bn_bwd_cpu = {.name = "bn_bwd_cpu", .prepare = prepare_backward, .run = run_backward, .drop = dor_free, .describe = describe};
