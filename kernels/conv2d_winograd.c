/* SPDX-License-Identifier: Apache-2.0
 *
 * conv2d and its two gradients by own Winograd kernels: 3x3, stride 1, border 1,
 * channels that fill the registers. Everything else is declined. */
#include "base/mem.h"
#include "kernels/affine.h"
#include "kernels/kernel.h"
#include "kernels/winograd.h"
#include "ops/attrs.h"

enum { FEW_TILES = 8 }; /* under this, transforming the weights costs more than it saves */

static bool is_3x3(const dor_conv2d_attr *a)
{
  for (int i = 0; i < 2; i++)
    if (a->kernel[i] != 3 || a->stride[i] != 1 || a->pad[i] != 1 || a->dilation[i] != 1) return false;
  return a->groups == 1;
}

/* x [N,H,W,C] -> k channels. */
static dor_status prepare(const dor_prep *p, const dor_conv2d_attr *a, dor_shape x, int32_t k, dor_winograd **plan)
{
  DOR_NEED(p->conv != DOR_CONV_DIRECT && is_3x3(a), UNSUPPORTED, "conv2d: no 3x3 convolution for winograd");
  const dor_winograd_isa *isa = p->isa == DOR_ISA_AVX512 ? &dor_winograd_avx512 : p->isa == DOR_ISA_AVX2 ? &dor_winograd_avx2 : NULL;
  dor_winograd w;
  DOR_TRY(dor_winograd_plan(&w, isa, x.d[0], x.d[1], x.d[2], x.d[3], k, p->threads));
  DOR_NEED(p->conv == DOR_CONV_WINOGRAD || w.tiles >= FEW_TILES, UNSUPPORTED, "conv2d: too small for winograd");
  *plan = dor_calloc(1, sizeof w);
  DOR_NEED(*plan, NOMEM, "conv2d: out of memory");
  **plan = w;
  return DOR_OK;
}

static dor_status prepare_forward(const dor_prep *p, void **plan, size_t *scratch)
{
  dor_winograd *w = NULL;
  DOR_TRY(prepare(p, p->attr, p->in[0].shape, p->out[0].shape.d[3], &w));
  *plan = w;
  *scratch = dor_winograd_forward_bytes(w);
  return DOR_OK;
}

/* Its scale and shift stand before the kernel's scratch. */
static dor_status prepare_affine(const dor_prep *p, void **plan, size_t *scratch)
{
  dor_winograd *w = NULL;
  DOR_TRY(prepare(p, &((const dor_affine_attr *)p->attr)->conv, p->in[0].shape, p->out[0].shape.d[3], &w));
  *plan = w;
  *scratch = dor_affine_bytes(w->k) + dor_winograd_forward_bytes(w);
  return DOR_OK;
}

static dor_status prepare_weights(const dor_prep *p, void **plan, size_t *scratch)
{
  dor_winograd *w = NULL;
  DOR_TRY(prepare(p, p->attr, p->in[0].shape, p->in[1].shape.d[3], &w));
  *plan = w;
  *scratch = dor_winograd_weights_bytes(w);
  return DOR_OK;
}

static void run_forward(const dor_call *c)
{
  const dor_winograd *w = c->plan;
  w->isa->forward(w, c->in[0].data, c->in[1].data, false, c->out[0].data, NULL, c->scratch);
}

static void run_stats(const dor_call *c)
{
  const dor_winograd *w = c->plan;
  dor_winograd_tail moments = {.mean = c->out[1].data, .var = c->out[2].data};
  w->isa->forward(w, c->in[0].data, c->in[1].data, false, c->out[0].data, &moments, c->scratch);
}

static void run_affine(const dor_call *c)
{
  const dor_winograd *w = c->plan;
  dor_affine f = dor_affine_fold(c, c->scratch);
  dor_winograd_tail tail = {.scale = f.scale, .bias = f.shift, .residual = c->nin > 6 ? c->in[6].data : NULL, .relu = ((const dor_affine_attr *)c->attr)->relu};
  void *scratch = (char *)c->scratch + dor_affine_bytes(w->k);
  w->isa->forward(w, c->in[0].data, c->in[1].data, false, c->out[0].data, &tail, scratch);
}

static void run_dx(const dor_call *c)
{
  const dor_winograd *w = c->plan;
  w->isa->forward(w, c->in[0].data, c->in[1].data, true, c->out[0].data, NULL, c->scratch);
}

static void run_dx_add(const dor_call *c)
{
  const dor_winograd *w = c->plan;
  w->isa->forward(w, c->in[0].data, c->in[1].data, true, c->out[0].data, &(dor_winograd_tail){.residual = c->in[2].data}, c->scratch);
}

static void run_dw(const dor_call *c)
{
  const dor_winograd *w = c->plan;
  w->isa->weights(w, c->in[0].data, c->in[1].data, c->out[0].data, c->scratch);
}

static const char *describe(const void *plan) { return ((const dor_winograd *)plan)->isa->name; }

#define KERNEL(op, how, what) \
  const dor_kernel op##_winograd = {.name = #op "_winograd", .prepare = how, .run = what, .drop = dor_free, .describe = describe}
extern const dor_kernel conv2d_winograd, conv2d_stats_winograd, conv2d_affine_winograd, conv2d_dx_winograd, conv2d_dx_add_winograd, conv2d_dw_winograd;
KERNEL(conv2d, prepare_forward, run_forward);
KERNEL(conv2d_stats, prepare_forward, run_stats);
KERNEL(conv2d_affine, prepare_affine, run_affine);
KERNEL(conv2d_dx, prepare_forward, run_dx);
KERNEL(conv2d_dx_add, prepare_forward, run_dx_add);
KERNEL(conv2d_dw, prepare_weights, run_dw);
