/* SPDX-License-Identifier: Apache-2.0
 *
 * avg_pool: the mean of each window, padding counted as zeros.
 *
 *   x [N,H,W,C]   y [N,H',W',C], H' = (H + 2p - K)/s + 1
 *   grad      each dy / (K K) goes to all places of its window (avg_pool_dx)
 *   global_pool: y [N,C] = mean over H and W; dx = dy / (H W) everywhere
 *   source    PyTorch avg_pool2d (count_include_pad), adaptive_avg_pool2d(1) */
#include "ops/ops.h"

#include <string.h>

static const dor_key keys[] = {DOR_ATTR_INTS(dor_pool_attr, kernel, "height, width"), DOR_ATTR_INTS(dor_pool_attr, stride, ""),
                               DOR_ATTR_INTS(dor_pool_attr, pad, ""), DOR_ATTR_INTS(dor_pool_attr, size, "of x"), {0}};

static int32_t out_size(const dor_pool_attr *a, int32_t k) { return (a->size[k] + 2 * a->pad[k] - a->kernel[k]) / a->stride[k] + 1; }

static dor_status check(const dor_pool_attr *a)
{
  for (int32_t k = 0; k < 2; k++)
    DOR_NEED(a->kernel[k] >= 1 && a->stride[k] >= 1 && a->pad[k] >= 0 && 2 * a->pad[k] <= a->kernel[k] &&
                 a->size[k] + 2 * a->pad[k] >= a->kernel[k], SHAPE, "avg_pool: kernel %d, stride %d, pad %d on size %d",
             a->kernel[k], a->stride[k], a->pad[k], a->size[k]);
  return DOR_OK;
}

static dor_status infer(const dor_infer *c)
{
  const dor_pool_attr *a = c->attr;
  dor_shape x = c->in[0].shape;
  DOR_NEED(x.n == 4 && x.d[1] == a->size[0] && x.d[2] == a->size[1], SHAPE, "avg_pool: wants x [N,H,W,C] of the attributes' size");
  DOR_TRY(check(a));
  c->out[0].shape = DOR_SHAPE(x.d[0], out_size(a, 0), out_size(a, 1), x.d[3]);
  return DOR_OK;
}

/* Visit each (x, y) pair of the means: y[b] += x[a] / (K K) forwards, the other way backwards. */
static void visit(const dor_pool_attr *a, dor_shape y, const double *from, double *to, bool back)
{
  double share = 1.0 / (a->kernel[0] * a->kernel[1]);
  for (int64_t k = 0, n = dor_shape_size(y); k < n; k++) {
    int64_t ch = k % y.d[3], j = k / y.d[3] % y.d[2], i = k / y.d[3] / y.d[2] % y.d[1], b = k / y.d[3] / y.d[2] / y.d[1];
    for (int64_t u = 0; u < a->kernel[0]; u++)
      for (int64_t v = 0; v < a->kernel[1]; v++) {
        int64_t r = i * a->stride[0] + u - a->pad[0], s = j * a->stride[1] + v - a->pad[1];
        if (r < 0 || s < 0 || r >= a->size[0] || s >= a->size[1]) continue;
        int64_t x = ((b * a->size[0] + r) * a->size[1] + s) * y.d[3] + ch;
        to[back ? x : k] += share * from[back ? k : x];
      }
  }
}

static void ref(const dor_refcall *c)
{
  memset(c->out[0], 0, (size_t)dor_shape_size(c->type_out[0].shape) * sizeof(double));
  visit(c->attr, c->type_out[0].shape, c->in[0], c->out[0], false);
}

static dor_status grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  gin[0] = dor_avg_pool_dx(g, gout[0], n->attr);
  return g->status;
}

#define ATTR(k, s, p, h, w) &(dor_pool_attr){{k, k}, {s, s}, {p, p}, {h, w}}
static const dor_case cases[] = {
    {.name = "2x2", .attr = ATTR(2, 2, 0, 7, 5), .in = {DOR_DIMS(2, 7, 5, 19)}},
    {.name = "3x3s2", .attr = ATTR(3, 2, 1, 7, 6), .in = {DOR_DIMS(1, 7, 6, 3)}},
    {0},
};

const dor_op dor_op_avg_pool = {.id = DOR_OP_avg_pool, .name = "avg_pool", .formula = "y = mean over the window", .nin = 1, .nout = 1,
                                .attr_size = sizeof(dor_pool_attr), .keys = keys, .narrow = {"x", "x"}, .infer = infer, .cost = dor_cost_stream, .ref = ref,
                                .grad = grad, .cases = cases};

/* avg_pool_dx: dy -> dx */
static dor_status dx_infer(const dor_infer *c)
{
  const dor_pool_attr *a = c->attr;
  dor_shape dy = c->in[0].shape;
  DOR_TRY(check(a));
  DOR_NEED(dy.n == 4 && dy.d[1] == out_size(a, 0) && dy.d[2] == out_size(a, 1), SHAPE, "avg_pool_dx: dy is of another size");
  c->out[0].shape = DOR_SHAPE(dy.d[0], a->size[0], a->size[1], dy.d[3]);
  return DOR_OK;
}

static void dx_ref(const dor_refcall *c)
{
  memset(c->out[0], 0, (size_t)dor_shape_size(c->type_out[0].shape) * sizeof(double));
  visit(c->attr, c->type_in[0].shape, c->in[0], c->out[0], true);
}

static const dor_case dx_cases[] = {
    {.name = "2x2", .attr = ATTR(2, 2, 0, 7, 5), .in = {DOR_DIMS(2, 3, 2, 19)}},
    {.name = "3x3s2", .attr = ATTR(3, 2, 1, 7, 6), .in = {DOR_DIMS(1, 4, 3, 3)}},
    {0},
};

const dor_op dor_op_avg_pool_dx = {.id = DOR_OP_avg_pool_dx, .name = "avg_pool_dx", .formula = "dx = dy / K^2 to the window", .nin = 1,
                                   .nout = 1, .attr_size = sizeof(dor_pool_attr), .keys = keys, .narrow = {"x", "x"}, .infer = dx_infer,
                                   .cost = dor_cost_stream, .ref = dx_ref, .cases = dx_cases};

static dor_status global_infer(const dor_infer *c)
{
  dor_shape x = c->in[0].shape;
  DOR_NEED(x.n == 4, SHAPE, "global_pool: wants x [N,H,W,C]");
  c->out[0].shape = DOR_SHAPE(x.d[0], x.d[3]);
  return DOR_OK;
}

static void global_ref(const dor_refcall *c)
{
  dor_shape x = c->type_in[0].shape;
  int64_t hw = (int64_t)x.d[1] * x.d[2], n = dor_shape_size(x);
  memset(c->out[0], 0, (size_t)dor_shape_size(c->type_out[0].shape) * sizeof(double));
  for (int64_t k = 0; k < n; k++) c->out[0][k / (hw * x.d[3]) * x.d[3] + k % x.d[3]] += c->in[0][k] / (double)hw;
}

static dor_status global_grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  dor_shape x = dor_graph_type(g, n->in[0]).shape;
  gin[0] = dor_global_pool_dx(g, gout[0], x.d[1], x.d[2]);
  return g->status;
}

static const dor_case global_cases[] = {
    {.name = "small", .in = {DOR_DIMS(2, 3, 5, 7)}},
    {.name = "8x8", .in = {DOR_DIMS(32, 8, 8, 128)}, .bench = true},
    {0},
};

const dor_op dor_op_global_pool = {.id = DOR_OP_global_pool, .name = "global_pool", .formula = "y = mean over H, W", .nin = 1, .nout = 1,
                                   .narrow = {"x", "x"}, .infer = global_infer, .cost = dor_cost_stream, .ref = global_ref, .grad = global_grad,
                                   .cases = global_cases};

/* global_pool_dx: dy [N,C] -> dx [N,H,W,C] = dy / (H W) */
static const dor_key size_keys[] = {DOR_ATTR_INTS(dor_size_attr, size, "of x"), {0}};

static dor_status global_dx_infer(const dor_infer *c)
{
  const dor_size_attr *a = c->attr;
  DOR_NEED(c->in[0].shape.n == 2 && a->size[0] >= 1 && a->size[1] >= 1, SHAPE, "global_pool_dx: wants dy [N,C] and a size");
  c->out[0].shape = DOR_SHAPE(c->in[0].shape.d[0], a->size[0], a->size[1], c->in[0].shape.d[1]);
  return DOR_OK;
}

static void global_dx_ref(const dor_refcall *c)
{
  dor_shape x = c->type_out[0].shape;
  int64_t hw = (int64_t)x.d[1] * x.d[2], n = dor_shape_size(x);
  for (int64_t k = 0; k < n; k++) c->out[0][k] = c->in[0][k / (hw * x.d[3]) * x.d[3] + k % x.d[3]] / (double)hw;
}

static const dor_case global_dx_cases[] = {{.name = "small", .attr = &(dor_size_attr){{3, 5}}, .in = {DOR_DIMS(2, 7)}}, {0}};

const dor_op dor_op_global_pool_dx = {.id = DOR_OP_global_pool_dx, .name = "global_pool_dx", .formula = "dx = dy / (H W)", .nin = 1,
                                      .nout = 1, .attr_size = sizeof(dor_size_attr), .keys = size_keys, .narrow = {"x", "x"}, .infer = global_dx_infer,
                                      .cost = dor_cost_stream, .ref = global_dx_ref, .cases = global_dx_cases};

dor_val dor_avg_pool(dor_graph *g, dor_val x, int32_t kernel, int32_t stride, int32_t pad)
{
  dor_shape s = dor_graph_type(g, x).shape;
  return dor_graph_add(g, &dor_op_avg_pool, ATTR(kernel, stride, pad, s.d[1], s.d[2]), 1, (dor_val[]){x});
}

dor_val dor_avg_pool_dx(dor_graph *g, dor_val dy, const dor_pool_attr *a)
{
  return dor_graph_add(g, &dor_op_avg_pool_dx, a, 1, (dor_val[]){dy});
}

dor_val dor_global_pool(dor_graph *g, dor_val x) { return dor_graph_add(g, &dor_op_global_pool, NULL, 1, (dor_val[]){x}); }

dor_val dor_global_pool_dx(dor_graph *g, dor_val dy, int32_t h, int32_t w)
{
  return dor_graph_add(g, &dor_op_global_pool_dx, &(dor_size_attr){{h, w}}, 1, (dor_val[]){dy});
}
