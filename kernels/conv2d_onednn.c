/* SPDX-License-Identifier: Apache-2.0
 *
 * conv2d and its two gradients by oneDNN: the column for shapes that no own
 * kernel serves better (strides, 1x1, groups, dilation, odd channel counts). */
#include "base/mem.h"
#include "kernels/kernel.h"
#include "kernels/onednn.h"
#include "ops/attrs.h"

static dor_status prepare(const dor_prep *p, dor_dnn_way way, dor_shape x, dor_shape w, dor_shape y, void **plan, size_t *scratch)
{
  dor_dnn_op *op = dor_calloc(1, sizeof *op);
  DOR_NEED(op, NOMEM, "conv2d: out of memory");
  dor_status s = dor_dnn_conv(op, way, p->attr, x, w, y);
  if (s) {
    dor_free(op);
    return s;
  }
  *plan = op;
  *scratch = dor_dnn_scratch(op);
  return DOR_OK;
}

static dor_status prepare_forward(const dor_prep *p, void **plan, size_t *scratch)
{
  return prepare(p, DOR_DNN_FORWARD, p->in[0].shape, p->in[1].shape, p->out[0].shape, plan, scratch);
}

static dor_status prepare_dx(const dor_prep *p, void **plan, size_t *scratch)
{
  return prepare(p, DOR_DNN_DATA, p->out[0].shape, p->in[1].shape, p->in[0].shape, plan, scratch);
}

static dor_status prepare_dw(const dor_prep *p, void **plan, size_t *scratch)
{
  return prepare(p, DOR_DNN_WEIGHTS, p->in[0].shape, p->out[0].shape, p->in[1].shape, plan, scratch);
}

static dor_status attach(dor_call *c, dor_dnn_way way, void *x, void *w, void *y)
{
  dor_dnn_bound *b = NULL;
  DOR_TRY(dor_dnn_bind(&b, c->plan, way, x, w, y, c->scratch));
  c->context = b;
  return DOR_OK;
}

static dor_status attach_forward(dor_call *c) { return attach(c, DOR_DNN_FORWARD, c->in[0].data, c->in[1].data, c->out[0].data); }
static dor_status attach_dx(dor_call *c) { return attach(c, DOR_DNN_DATA, c->out[0].data, c->in[1].data, c->in[0].data); }
static dor_status attach_dw(dor_call *c) { return attach(c, DOR_DNN_WEIGHTS, c->in[0].data, c->out[0].data, c->in[1].data); }
static void run(const dor_call *c) { dor_dnn_run(c->context); }
static void detach(dor_call *c) { dor_dnn_unbind(c->context); }
static const char *describe(const void *plan) { return ((const dor_dnn_op *)plan)->name; }

static void drop(void *plan)
{
  dor_dnn_drop(plan);
  dor_free(plan);
}

extern const dor_kernel conv2d_onednn, conv2d_dx_onednn, conv2d_dw_onednn;
const dor_kernel conv2d_onednn = {.name = "conv2d_onednn", .prepare = prepare_forward, .attach = attach_forward,
                                  .run = run, .detach = detach, .drop = drop, .describe = describe};
const dor_kernel conv2d_dx_onednn = {.name = "conv2d_dx_onednn", .prepare = prepare_dx, .attach = attach_dx,
                                     .run = run, .detach = detach, .drop = drop, .describe = describe};
const dor_kernel conv2d_dw_onednn = {.name = "conv2d_dw_onednn", .prepare = prepare_dw, .attach = attach_dw,
                                     .run = run, .detach = detach, .drop = drop, .describe = describe};
