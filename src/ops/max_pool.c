/* SPDX-License-Identifier: Apache-2.0
 *
 * max_pool: the largest of each window, and where in the window it stood.
 *
 *   x [N,H,W,C]   y [N,H',W',C], H' = (H + 2p - K)/s + 1   arg [N,H',W',C] u8: u K + v of the first largest
 *   padding never wins; K K <= 256
 *   grad      dx = dy at the remembered places (max_pool_dx); arg has none
 *   source    PyTorch max_pool2d */
#include "ops/ops.h"

#include <string.h>

static const dor_key keys[] = {DOR_ATTR_INTS(dor_pool_attr, kernel, "height, width"), DOR_ATTR_INTS(dor_pool_attr, stride, ""),
                               DOR_ATTR_INTS(dor_pool_attr, pad, ""), DOR_ATTR_INTS(dor_pool_attr, size, "of x"), {0}};

static int32_t out_size(const dor_pool_attr *a, int32_t k) { return (a->size[k] + 2 * a->pad[k] - a->kernel[k]) / a->stride[k] + 1; }

static dor_status check(const dor_pool_attr *a)
{
  for (int32_t k = 0; k < 2; k++)
    DOR_NEED(a->kernel[k] >= 1 && a->stride[k] >= 1 && a->pad[k] >= 0 && 2 * a->pad[k] <= a->kernel[k] &&
                 a->size[k] + 2 * a->pad[k] >= a->kernel[k], SHAPE, "max_pool: kernel %d, stride %d, pad %d on size %d",
             a->kernel[k], a->stride[k], a->pad[k], a->size[k]);
  DOR_NEED(a->kernel[0] * a->kernel[1] <= 256, RANGE, "max_pool: a window of %d x %d has more than 256 places", a->kernel[0], a->kernel[1]);
  return DOR_OK;
}

static dor_status infer(const dor_infer *c)
{
  const dor_pool_attr *a = c->attr;
  dor_shape x = c->in[0].shape;
  DOR_NEED(x.n == 4 && x.d[1] == a->size[0] && x.d[2] == a->size[1], SHAPE, "max_pool: wants x [N,H,W,C] of the attributes' size");
  DOR_TRY(check(a));
  c->out[0].shape = c->out[1].shape = DOR_SHAPE(x.d[0], out_size(a, 0), out_size(a, 1), x.d[3]);
  c->out[1].dtype = DOR_U8;
  return DOR_OK;
}

/* The x index of window place (u, v) of output pixel (i, j); -1 in the padding. */
static int64_t place(const dor_pool_attr *a, int64_t n, int32_t i, int32_t j, int32_t u, int32_t v)
{
  int32_t r = i * a->stride[0] + u - a->pad[0], s = j * a->stride[1] + v - a->pad[1];
  return r < 0 || s < 0 || r >= a->size[0] || s >= a->size[1] ? -1 : (n * a->size[0] + r) * a->size[1] + s;
}

static void window(const dor_refcall *c, int64_t n, int32_t i, int32_t j, int32_t ch, int64_t out)
{
  const dor_pool_attr *a = c->attr;
  bool any = false;
  for (int32_t u = 0; u < a->kernel[0]; u++)
    for (int32_t v = 0; v < a->kernel[1]; v++) {
      int64_t p = place(a, n, i, j, u, v);
      double x = p < 0 ? 0 : c->in[0][p * c->type_in[0].shape.d[3] + ch];
      if (p < 0 || (any && x <= c->out[0][out])) continue;
      any = true;
      c->out[0][out] = x;
      c->out[1][out] = u * a->kernel[1] + v;
    }
}

static void ref(const dor_refcall *c)
{
  dor_shape y = c->type_out[0].shape;
  int64_t out = 0;
  for (int32_t n = 0; n < y.d[0]; n++)
    for (int32_t i = 0; i < y.d[1]; i++)
      for (int32_t j = 0; j < y.d[2]; j++)
        for (int32_t ch = 0; ch < y.d[3]; ch++) window(c, n, i, j, ch, out++);
}

static dor_status grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  gin[0] = dor_max_pool_dx(g, gout[0], n->out[1], n->attr);
  return g->status;
}

#define ATTR(k, s, p, h, w) &(dor_pool_attr){{k, k}, {s, s}, {p, p}, {h, w}}
static const dor_case cases[] = {
    {.name = "2x2", .attr = ATTR(2, 2, 0, 6, 4), .in = {DOR_DIMS(2, 6, 4, 5)}, .fill = {DOR_FILL_DISTINCT}},
    {.name = "2x2 odd", .attr = ATTR(2, 2, 0, 7, 5), .in = {DOR_DIMS(2, 7, 5, 19)}, .fill = {DOR_FILL_DISTINCT}},
    {.name = "3x3s2", .attr = ATTR(3, 2, 1, 7, 6), .in = {DOR_DIMS(1, 7, 6, 3)}, .fill = {DOR_FILL_DISTINCT}},
    {.name = "128x128", .attr = ATTR(2, 2, 0, 128, 128), .in = {DOR_DIMS(32, 128, 128, 16)}, .bench = true},
    {0},
};

const dor_op dor_op_max_pool = {.id = DOR_OP_max_pool, .name = "max_pool", .formula = "y = max over the window", .nin = 1, .nout = 2, .naux = 1,
                                .attr_size = sizeof(dor_pool_attr), .keys = keys, .narrow = {"x", "x-"}, .infer = infer, .cost = dor_cost_stream, .ref = ref,
                                .grad = grad, .cases = cases};

/* max_pool_dx: (dy, arg) -> dx; a place in the padding (which arg never names) would be dropped */
static dor_status dx_infer(const dor_infer *c)
{
  const dor_pool_attr *a = c->attr;
  dor_shape dy = c->in[0].shape;
  DOR_TRY(check(a));
  DOR_NEED(dy.n == 4 && dor_shape_same(dy, c->in[1].shape) && c->in[1].dtype == DOR_U8, SHAPE, "max_pool_dx: wants dy and arg (u8) alike");
  DOR_NEED(dy.d[1] == out_size(a, 0) && dy.d[2] == out_size(a, 1), SHAPE, "max_pool_dx: dy is of another size");
  c->out[0].shape = DOR_SHAPE(dy.d[0], a->size[0], a->size[1], dy.d[3]);
  return DOR_OK;
}

static void dx_ref(const dor_refcall *c)
{
  const dor_pool_attr *a = c->attr;
  dor_shape dy = c->type_in[0].shape;
  memset(c->out[0], 0, (size_t)dor_shape_size(c->type_out[0].shape) * sizeof(double));
  for (int64_t k = 0, n = dor_shape_size(dy); k < n; k++) {
    int32_t ch = (int32_t)(k % dy.d[3]), j = (int32_t)(k / dy.d[3] % dy.d[2]), i = (int32_t)(k / dy.d[3] / dy.d[2] % dy.d[1]);
    int32_t arg = (int32_t)c->in[1][k];
    int64_t p = place(a, k / dy.d[3] / dy.d[2] / dy.d[1], i, j, arg / a->kernel[1], arg % a->kernel[1]);
    if (p >= 0) c->out[0][p * dy.d[3] + ch] += c->in[0][k];
  }
}

static const dor_case dx_cases[] = {
    {.name = "2x2", .attr = ATTR(2, 2, 0, 7, 5), .in = {DOR_DIMS(2, 3, 2, 19), DOR_DIMS(2, 3, 2, 19)}, .dtype = {[1] = DOR_U8},
     .fill = {[1] = DOR_FILL_LABELS}, .labels = 4},
    {.name = "3x3s2", .attr = ATTR(3, 2, 1, 7, 6), .in = {DOR_DIMS(1, 4, 3, 3), DOR_DIMS(1, 4, 3, 3)}, .dtype = {[1] = DOR_U8},
     .fill = {[1] = DOR_FILL_LABELS}, .labels = 9},
    {.name = "128x128", .attr = ATTR(2, 2, 0, 128, 128), .in = {DOR_DIMS(32, 64, 64, 16), DOR_DIMS(32, 64, 64, 16)},
     .dtype = {[1] = DOR_U8}, .fill = {[1] = DOR_FILL_LABELS}, .labels = 4, .bench = true},
    {0},
};

const dor_op dor_op_max_pool_dx = {.id = DOR_OP_max_pool_dx, .name = "max_pool_dx", .formula = "dx = dy at arg", .nin = 2, .nout = 1,
                                   .attr_size = sizeof(dor_pool_attr), .keys = keys, .narrow = {"x-", "x"}, .infer = dx_infer, .cost = dor_cost_stream,
                                   .ref = dx_ref, .cases = dx_cases};

dor_val dor_max_pool(dor_graph *g, dor_val x, int32_t kernel, int32_t stride, int32_t pad)
{
  dor_shape s = dor_graph_type(g, x).shape;
  return dor_graph_add(g, &dor_op_max_pool, ATTR(kernel, stride, pad, s.d[1], s.d[2]), 1, (dor_val[]){x});
}

dor_val dor_max_pool_dx(dor_graph *g, dor_val dy, dor_val arg, const dor_pool_attr *a)
{
  return dor_graph_add(g, &dor_op_max_pool_dx, a, 2, (dor_val[]){dy, arg});
}
