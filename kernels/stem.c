/* SPDX-License-Identifier: Apache-2.0
 *
 * conv_bn_pool and its backward as kernels: the widest build that the machine
 * runs and the channels fill, and the portable one otherwise. */
#include "kernels/stem.h"

#include "base/mem.h"
#include "ops/attrs.h"

static const dor_stem_isa *find(dor_isa isa, int32_t channels)
{
  if (isa >= DOR_ISA_AVX512 && channels % dor_stem_avx512.lanes == 0) return &dor_stem_avx512;
  if (isa >= DOR_ISA_AVX2 && channels % dor_stem_avx2.lanes == 0) return &dor_stem_avx2;
  return &dor_stem_plain;
}

/* For each thread: products and sums of 9 neighbours, sums [10,C] in double and float, a frame; for all: weights [10,C]. */
size_t dor_stem_bytes(const dor_stem *s)
{
  size_t tens = 10 * (size_t)s->c, frame = ((size_t)(s->h + 2) * (size_t)(s->w + 2) + 15) / 16 * 16;
  return (size_t)s->threads * (sizeof(double) * (90 + tens) + sizeof(float) * (tens + frame)) + sizeof(float) * tens;
}

static dor_status prepare(const dor_prep *p, dor_shape x, int32_t channels, void **plan, size_t *scratch)
{
  dor_stem *s = dor_calloc(1, sizeof *s);
  DOR_NEED(s, NOMEM, "conv_bn_pool: out of memory");
  *s = (dor_stem){.n = x.d[0], .h = x.d[1], .w = x.d[2], .c = channels, .threads = p->threads, .isa = find(p->isa, channels)};
  s->eps = ((const dor_bn_pool_attr *)p->attr)->eps;
  *plan = s;
  *scratch = dor_stem_bytes(s);
  return DOR_OK;
}

static dor_status prepare_forward(const dor_prep *p, void **plan, size_t *scratch)
{
  return prepare(p, p->in[0].shape, p->in[1].shape.d[3], plan, scratch);
}

static dor_status prepare_backward(const dor_prep *p, void **plan, size_t *scratch)
{
  return prepare(p, p->in[3].shape, p->in[4].shape.d[3], plan, scratch);
}

static void run_forward(const dor_call *c)
{
  const dor_stem *s = c->plan;
  dor_stem_out out = {c->out[0].data, c->out[1].data, c->out[2].data, c->out[3].data};
  s->isa->forward(s, c->in[0].data, c->in[1].data, c->in[2].data, c->in[3].data, &out, c->scratch);
}

static void run_backward(const dor_call *c)
{
  const dor_stem *s = c->plan;
  dor_stem_back b = {.dp = c->in[0].data, .arg = c->in[1].data, .p = c->in[2].data, .mean = c->in[5].data, .var = c->in[6].data, .gamma = c->in[7].data,
                     .dw = c->out[0].data, .dgamma = c->out[1].data, .dbeta = c->out[2].data};
  s->isa->backward(s, c->in[3].data, c->in[4].data, &b, c->scratch);
}

static const char *describe(const void *plan) { return ((const dor_stem *)plan)->isa->name; }

extern const dor_kernel conv_bn_pool_cpu, conv_bn_pool_dw_cpu;
const dor_kernel conv_bn_pool_cpu = {.name = "conv_bn_pool_cpu", .prepare = prepare_forward, .run = run_forward, .drop = dor_free, .describe = describe};
const dor_kernel conv_bn_pool_dw_cpu = {.name = "conv_bn_pool_dw_cpu", .prepare = prepare_backward, .run = run_backward, .drop = dor_free,
                                        .describe = describe};
