/* SPDX-License-Identifier: Apache-2.0
 *
 * bn_relu_pool and its backward as kernels: they pick the widest instructions
 * that the machine has and the channels fill, and the portable build otherwise. */
#include "kernels/bn_pool.h"

#include "base/mem.h"
#include "ops/attrs.h"

const dor_bn_pool_isa *dor_bn_pool_find(dor_isa isa, int32_t channels)
{
  if (isa >= DOR_ISA_AVX512 && channels % dor_bn_pool_avx512.lanes == 0) return &dor_bn_pool_avx512;
  if (isa >= DOR_ISA_AVX2 && channels % dor_bn_pool_avx2.lanes == 0) return &dor_bn_pool_avx2;
  return &dor_bn_pool_plain;
}

/* Three factors a channel, and two double sums a channel and thread. */
size_t dor_bn_pool_bytes(const dor_bn_pool *s)
{
  size_t c = ((size_t)s->c + 15) / 16 * 16;
  return sizeof(float) * (3 * c + 16) + sizeof(double) * 2 * (size_t)s->c * (size_t)s->threads;
}

static dor_status prepare(const dor_prep *p, dor_shape x, void **plan, size_t *scratch)
{
  dor_bn_pool *s = dor_calloc(1, sizeof *s);
  DOR_NEED(s, NOMEM, "bn_relu_pool: out of memory");
  *s = (dor_bn_pool){.n = x.d[0], .h = x.d[1], .w = x.d[2], .c = x.d[3], .threads = p->threads, .isa = dor_bn_pool_find(p->isa, x.d[3])};
  s->eps = (float)((const dor_bn_pool_attr *)p->attr)->eps;
  *plan = s;
  *scratch = dor_bn_pool_bytes(s);
  return DOR_OK;
}

static dor_status prepare_forward(const dor_prep *p, void **plan, size_t *scratch) { return prepare(p, p->in[0].shape, plan, scratch); }
static dor_status prepare_backward(const dor_prep *p, void **plan, size_t *scratch) { return prepare(p, p->in[3].shape, plan, scratch); }

static void run_forward(const dor_call *c)
{
  const dor_bn_pool *s = c->plan;
  dor_bn bn = {c->in[1].data, c->in[2].data, c->in[3].data, c->in[4].data};
  s->isa->forward(s, c->in[0].data, &bn, c->out[0].data, c->out[1].data, c->scratch);
}

static void run_backward(const dor_call *c)
{
  const dor_bn_pool *s = c->plan;
  dor_bn bn = {c->in[4].data, c->in[5].data, c->in[6].data, NULL};
  s->isa->backward(s, c->in[0].data, c->in[1].data, c->in[2].data, c->in[3].data, &bn, c->out[0].data, c->out[1].data, c->out[2].data, c->scratch);
}

static const char *describe(const void *plan) { return ((const dor_bn_pool *)plan)->isa->name; }

extern const dor_kernel bn_relu_pool_cpu, bn_relu_pool_bwd_cpu;
const dor_kernel bn_relu_pool_cpu = {.name = "bn_relu_pool_cpu", .prepare = prepare_forward, .run = run_forward, .drop = dor_free, .describe = describe};
const dor_kernel bn_relu_pool_bwd_cpu = {.name = "bn_relu_pool_bwd_cpu", .prepare = prepare_backward, .run = run_backward, .drop = dor_free,
                                         .describe = describe};
