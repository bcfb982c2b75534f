/* SPDX-License-Identifier: Apache-2.0
 *
 * conv2d: y[n,i,j,o] = sum_{u,v,c} x[n, i s + u d - p, j s + v d - p, c] w[u,v,c,o], outside x being zero.
 *
 *   x [N,H,W,C]   w [K,K,C/G,O]   y [N,H',W',O],  H' = (H + 2p - d(K - 1) - 1)/s + 1
 *   G groups: output channel o of group q = o/(O/G) sees the C/G input channels from q C/G on
 *   grad      conv2d_dx and conv2d_dw below; both are ops of their own
 *   source    Dumoulin & Visin, arXiv:1603.07285 (sizes and transposes); PyTorch conv2d (a correlation) */
#include "ops/ops.h"

#include <string.h>

static const dor_key keys[] = {
    DOR_ATTR_INTS(dor_conv2d_attr, kernel, "height, width"), DOR_ATTR_INTS(dor_conv2d_attr, stride, ""),
    DOR_ATTR_INTS(dor_conv2d_attr, pad, "zeros on each side"), DOR_ATTR_INTS(dor_conv2d_attr, dilation, "steps between taps"),
    DOR_ATTR_INT(dor_conv2d_attr, groups, ""), DOR_ATTR_INTS(dor_conv2d_attr, size, "of x"), {0},
};

static int32_t out_size(const dor_conv2d_attr *a, int32_t k)
{
  return (a->size[k] + 2 * a->pad[k] - a->dilation[k] * (a->kernel[k] - 1) - 1) / a->stride[k] + 1;
}

typedef struct walk { dor_shape x, y; const double *a, *b; double *out; char into; } walk;

/* One tap of one output pixel: all its (c, o) pairs, adding into whichever of x, w, y is wanted. */
static void tap(const dor_conv2d_attr *t, const walk *k, int64_t px, int64_t pw, int64_t py)
{
  int32_t cg = k->x.d[3] / t->groups, og = k->y.d[3] / t->groups;
  for (int32_t o = 0; o < k->y.d[3]; o++)
    for (int32_t c = 0; c < cg; c++) {
      int64_t x = px + o / og * cg + c, w = pw + (int64_t)c * k->y.d[3] + o, y = py + o;
      if (k->into == 'y') k->out[y] += k->a[x] * k->b[w];
      else if (k->into == 'x') k->out[x] += k->a[y] * k->b[w];
      else k->out[w] += k->a[x] * k->b[y];
    }
}

/* Visit every (x, w, y) triple of the sum once; the three definitions differ only in what they add into. */
static void visit(const dor_conv2d_attr *t, const walk *k, dor_shape out)
{
  memset(k->out, 0, (size_t)dor_shape_size(out) * sizeof(double));
  int64_t wc = (int64_t)k->x.d[3] / t->groups * k->y.d[3];
  for (int64_t n = 0; n < k->x.d[0]; n++)
    for (int32_t i = 0; i < k->y.d[1]; i++)
      for (int32_t j = 0; j < k->y.d[2]; j++)
        for (int32_t u = 0; u < t->kernel[0]; u++)
          for (int32_t v = 0; v < t->kernel[1]; v++) {
            int32_t r = i * t->stride[0] + u * t->dilation[0] - t->pad[0], s = j * t->stride[1] + v * t->dilation[1] - t->pad[1];
            if (r < 0 || s < 0 || r >= k->x.d[1] || s >= k->x.d[2]) continue;
            tap(t, k, ((n * k->x.d[1] + r) * k->x.d[2] + s) * k->x.d[3], (u * t->kernel[1] + v) * wc,
                ((n * k->y.d[1] + i) * k->y.d[2] + j) * k->y.d[3]);
          }
}

static dor_status check(const dor_conv2d_attr *a, int32_t channels, int32_t out)
{
  for (int32_t k = 0; k < 2; k++) {
    DOR_NEED(a->kernel[k] >= 1 && a->stride[k] >= 1 && a->dilation[k] >= 1 && a->pad[k] >= 0, RANGE,
             "conv2d: kernel %d, stride %d, dilation %d or pad %d", a->kernel[k], a->stride[k], a->dilation[k], a->pad[k]);
    DOR_NEED(a->size[k] + 2 * a->pad[k] > a->dilation[k] * (a->kernel[k] - 1), SHAPE, "conv2d: kernel %d is larger than size %d",
             a->kernel[k], a->size[k]);
  }
  DOR_NEED(a->groups >= 1 && channels % a->groups == 0 && out % a->groups == 0, SHAPE, "conv2d: %d groups do not divide %d -> %d channels",
           a->groups, channels, out);
  return DOR_OK;
}

static dor_status infer(const dor_infer *c)
{
  const dor_conv2d_attr *a = c->attr;
  dor_shape x = c->in[0].shape, w = c->in[1].shape;
  dor_shape_text tw;
  DOR_NEED(x.n == 4 && w.n == 4, SHAPE, "conv2d: wants x [N,H,W,C] and w [K,K,C,O]");
  DOR_TRY(check(a, x.d[3], w.d[3]));
  DOR_NEED(w.d[0] == a->kernel[0] && w.d[1] == a->kernel[1] && w.d[2] == x.d[3] / a->groups, SHAPE,
           "conv2d: w %s does not fit %d channels in %d groups", dor_shape_print(w, tw), x.d[3], a->groups);
  DOR_NEED(x.d[1] == a->size[0] && x.d[2] == a->size[1], SHAPE, "conv2d: attributes are of another size");
  c->out[0].shape = DOR_SHAPE(x.d[0], out_size(a, 0), out_size(a, 1), w.d[3]);
  c->out[0].dtype = c->in[0].dtype;
  return DOR_OK;
}

static dor_cost count(dor_type x, dor_type w, dor_type y)
{
  double taps = (double)w.shape.d[0] * w.shape.d[1] * w.shape.d[2];
  return (dor_cost){.flops = 2 * taps * (double)dor_shape_size(y.shape),
                    .bytes = (double)(dor_type_bytes(x) + dor_type_bytes(w) + dor_type_bytes(y))};
}

static dor_cost cost(const dor_infer *c) { return count(c->in[0], c->in[1], c->out[0]); }

static void ref(const dor_refcall *c)
{
  visit(c->attr, &(walk){c->type_in[0].shape, c->type_out[0].shape, c->in[0], c->in[1], c->out[0], 'y'}, c->type_out[0].shape);
}

static dor_status grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  gin[0] = dor_conv2d_dx(g, gout[0], n->in[1], n->attr);
  gin[1] = dor_conv2d_dw(g, n->in[0], gout[0], n->attr);
  return g->status;
}

/* Cases: kernel, stride, pad, dilation, groups, H, W; the shapes follow. */
#define ATTR(k, s, p, d, g, h, w) &(dor_conv2d_attr){{k, k}, {s, s}, {p, p}, {d, d}, g, {h, w}}

static const dor_case cases[] = {
    {.name = "3x3", .attr = ATTR(3, 1, 1, 1, 1, 5, 6), .in = {DOR_DIMS(2, 5, 6, 3), DOR_DIMS(3, 3, 3, 4)}},
    {.name = "3x3s2", .attr = ATTR(3, 2, 1, 1, 1, 7, 6), .in = {DOR_DIMS(1, 7, 6, 2), DOR_DIMS(3, 3, 2, 19)}},
    {.name = "1x1", .attr = ATTR(1, 1, 0, 1, 1, 4, 4), .in = {DOR_DIMS(2, 4, 4, 3), DOR_DIMS(1, 1, 3, 5)}},
    {.name = "1x1s2", .attr = ATTR(1, 2, 0, 1, 1, 5, 4), .in = {DOR_DIMS(2, 5, 4, 3), DOR_DIMS(1, 1, 3, 5)}},
    {.name = "5x5", .attr = ATTR(5, 1, 0, 1, 1, 9, 8), .in = {DOR_DIMS(1, 9, 8, 1), DOR_DIMS(5, 5, 1, 8)}},
    {.name = "dilated", .attr = ATTR(3, 1, 2, 2, 1, 7, 8), .in = {DOR_DIMS(1, 7, 8, 3), DOR_DIMS(3, 3, 3, 4)}},
    {.name = "groups", .attr = ATTR(3, 1, 1, 1, 2, 5, 5), .in = {DOR_DIMS(2, 5, 5, 6), DOR_DIMS(3, 3, 3, 4)}},
    {.name = "depthwise", .attr = ATTR(3, 1, 1, 1, 9, 6, 5), .in = {DOR_DIMS(2, 6, 5, 9), DOR_DIMS(3, 3, 1, 9)}},
    {.name = "wide", .attr = ATTR(3, 1, 1, 1, 1, 8, 8), .in = {DOR_DIMS(2, 8, 8, 16), DOR_DIMS(3, 3, 16, 32)}},
    {.name = "wide s2", .attr = ATTR(3, 2, 1, 1, 1, 9, 14), .in = {DOR_DIMS(2, 9, 14, 17), DOR_DIMS(3, 3, 17, 56)}},
    {.name = "wide 4x4s2", .attr = ATTR(4, 2, 1, 1, 1, 10, 6), .in = {DOR_DIMS(1, 10, 6, 8), DOR_DIMS(4, 4, 8, 16)}},
    {.name = "hrnet32", .attr = ATTR(3, 1, 1, 1, 1, 128, 128), .in = {DOR_DIMS(1, 128, 128, 32), DOR_DIMS(3, 3, 32, 32)}, .bench = true},
    {.name = "hrnet64", .attr = ATTR(3, 1, 1, 1, 1, 64, 64), .in = {DOR_DIMS(1, 64, 64, 64), DOR_DIMS(3, 3, 64, 64)}, .bench = true},
    {.name = "hrnet128", .attr = ATTR(3, 1, 1, 1, 1, 32, 32), .in = {DOR_DIMS(1, 32, 32, 128), DOR_DIMS(3, 3, 128, 128)}, .bench = true},
    {.name = "hrnet256", .attr = ATTR(3, 1, 1, 1, 1, 16, 16), .in = {DOR_DIMS(1, 16, 16, 256), DOR_DIMS(3, 3, 256, 256)}, .bench = true},
    {.name = "hrnet stem", .attr = ATTR(3, 2, 1, 1, 1, 256, 256), .in = {DOR_DIMS(1, 256, 256, 64), DOR_DIMS(3, 3, 64, 64)}, .bench = true},
    {.name = "hrnet down", .attr = ATTR(3, 2, 1, 1, 1, 128, 128), .in = {DOR_DIMS(1, 128, 128, 32), DOR_DIMS(3, 3, 32, 64)}, .bench = true},
    {.name = "silhouette", .attr = ATTR(3, 1, 1, 1, 1, 128, 128), .in = {DOR_DIMS(32, 128, 128, 1), DOR_DIMS(3, 3, 1, 16)}, .bench = true},
    {0},
};

const dor_op dor_op_conv2d = {.id = DOR_OP_conv2d, .name = "conv2d", .formula = "y = x * w", .nin = 2, .nout = 1,
                              .attr_size = sizeof(dor_conv2d_attr), .keys = keys, .narrow = {"X-", "x"}, .infer = infer, .cost = cost, .ref = ref,
                              .grad = grad, .cases = cases};

/* conv2d_dx: (dy, w) -> dx, the sum's derivative by x */
static dor_status dx_infer(const dor_infer *c)
{
  const dor_conv2d_attr *a = c->attr;
  dor_shape dy = c->in[0].shape, w = c->in[1].shape;
  DOR_NEED(dy.n == 4 && w.n == 4 && dy.d[3] == w.d[3], SHAPE, "conv2d_dx: dy and w do not fit");
  DOR_TRY(check(a, w.d[2] * a->groups, w.d[3]));
  DOR_NEED(dy.d[1] == out_size(a, 0) && dy.d[2] == out_size(a, 1), SHAPE, "conv2d_dx: dy is of another size");
  c->out[0].shape = DOR_SHAPE(dy.d[0], a->size[0], a->size[1], w.d[2] * a->groups);
  c->out[0].dtype = c->in[0].dtype;
  return DOR_OK;
}

static dor_cost dx_cost(const dor_infer *c) { return count(c->out[0], c->in[1], c->in[0]); }

static void dx_ref(const dor_refcall *c)
{
  visit(c->attr, &(walk){c->type_out[0].shape, c->type_in[0].shape, c->in[0], c->in[1], c->out[0], 'x'}, c->type_out[0].shape);
}

static const dor_case dx_cases[] = {
    {.name = "3x3", .attr = ATTR(3, 1, 1, 1, 1, 5, 6), .in = {DOR_DIMS(2, 5, 6, 4), DOR_DIMS(3, 3, 3, 4)}},
    {.name = "3x3s2", .attr = ATTR(3, 2, 1, 1, 1, 7, 6), .in = {DOR_DIMS(1, 4, 3, 19), DOR_DIMS(3, 3, 17, 19)}},
    {.name = "1x1s2", .attr = ATTR(1, 2, 0, 1, 1, 5, 4), .in = {DOR_DIMS(2, 3, 2, 5), DOR_DIMS(1, 1, 3, 5)}},
    {.name = "dilated", .attr = ATTR(3, 1, 2, 2, 1, 7, 8), .in = {DOR_DIMS(1, 7, 8, 4), DOR_DIMS(3, 3, 3, 4)}},
    {.name = "groups", .attr = ATTR(3, 1, 1, 1, 2, 5, 5), .in = {DOR_DIMS(2, 5, 5, 4), DOR_DIMS(3, 3, 3, 4)}},
    {.name = "depthwise", .attr = ATTR(3, 1, 1, 1, 9, 6, 5), .in = {DOR_DIMS(2, 6, 5, 9), DOR_DIMS(3, 3, 1, 9)}},
    {.name = "wide", .attr = ATTR(3, 1, 1, 1, 1, 8, 8), .in = {DOR_DIMS(2, 8, 8, 32), DOR_DIMS(3, 3, 16, 32)}},
    {.name = "wide s2", .attr = ATTR(3, 2, 1, 1, 1, 9, 10), .in = {DOR_DIMS(2, 5, 5, 17), DOR_DIMS(3, 3, 24, 17)}},
    {.name = "wide 4x4s2", .attr = ATTR(4, 2, 1, 1, 1, 10, 6), .in = {DOR_DIMS(1, 5, 3, 34), DOR_DIMS(4, 4, 32, 34)}},
    {.name = "hrnet32", .attr = ATTR(3, 1, 1, 1, 1, 128, 128), .in = {DOR_DIMS(1, 128, 128, 32), DOR_DIMS(3, 3, 32, 32)}, .bench = true},
    {.name = "hrnet64", .attr = ATTR(3, 1, 1, 1, 1, 64, 64), .in = {DOR_DIMS(1, 64, 64, 64), DOR_DIMS(3, 3, 64, 64)}, .bench = true},
    {.name = "hrnet128", .attr = ATTR(3, 1, 1, 1, 1, 32, 32), .in = {DOR_DIMS(1, 32, 32, 128), DOR_DIMS(3, 3, 128, 128)}, .bench = true},
    {.name = "hrnet256", .attr = ATTR(3, 1, 1, 1, 1, 16, 16), .in = {DOR_DIMS(1, 16, 16, 256), DOR_DIMS(3, 3, 256, 256)}, .bench = true},
    {.name = "hrnet stem", .attr = ATTR(3, 2, 1, 1, 1, 256, 256), .in = {DOR_DIMS(1, 128, 128, 64), DOR_DIMS(3, 3, 64, 64)}, .bench = true},
    {0},
};

const dor_op dor_op_conv2d_dx = {.id = DOR_OP_conv2d_dx, .name = "conv2d_dx", .formula = "dx = dy * w'", .nin = 2, .nout = 1,
                                 .attr_size = sizeof(dor_conv2d_attr), .keys = keys, .narrow = {"X-", "x"}, .infer = dx_infer, .cost = dx_cost,
                                 .ref = dx_ref, .cases = dx_cases};

/* conv2d_dw: (x, dy) -> dw, the sum's derivative by w */
static dor_status dw_infer(const dor_infer *c)
{
  const dor_conv2d_attr *a = c->attr;
  dor_shape x = c->in[0].shape, dy = c->in[1].shape;
  DOR_NEED(x.n == 4 && dy.n == 4 && x.d[0] == dy.d[0], SHAPE, "conv2d_dw: x and dy do not fit");
  DOR_TRY(check(a, x.d[3], dy.d[3]));
  DOR_NEED(dy.d[1] == out_size(a, 0) && dy.d[2] == out_size(a, 1), SHAPE, "conv2d_dw: dy is of another size");
  c->out[0].shape = DOR_SHAPE(a->kernel[0], a->kernel[1], x.d[3] / a->groups, dy.d[3]);
  return DOR_OK;
}

static dor_cost dw_cost(const dor_infer *c) { return count(c->in[0], c->out[0], c->in[1]); }

static void dw_ref(const dor_refcall *c)
{
  visit(c->attr, &(walk){c->type_in[0].shape, c->type_in[1].shape, c->in[0], c->in[1], c->out[0], 'w'}, c->type_out[0].shape);
}

static const dor_case dw_cases[] = {
    {.name = "3x3", .attr = ATTR(3, 1, 1, 1, 1, 5, 6), .in = {DOR_DIMS(2, 5, 6, 3), DOR_DIMS(2, 5, 6, 4)}},
    {.name = "3x3s2", .attr = ATTR(3, 2, 1, 1, 1, 7, 6), .in = {DOR_DIMS(1, 7, 6, 5), DOR_DIMS(1, 4, 3, 19)}},
    {.name = "1x1s2", .attr = ATTR(1, 2, 0, 1, 1, 5, 4), .in = {DOR_DIMS(2, 5, 4, 3), DOR_DIMS(2, 3, 2, 5)}},
    {.name = "dilated", .attr = ATTR(3, 1, 2, 2, 1, 7, 8), .in = {DOR_DIMS(1, 7, 8, 3), DOR_DIMS(1, 7, 8, 4)}},
    {.name = "groups", .attr = ATTR(3, 1, 1, 1, 2, 5, 5), .in = {DOR_DIMS(2, 5, 5, 6), DOR_DIMS(2, 5, 5, 4)}},
    {.name = "depthwise", .attr = ATTR(3, 1, 1, 1, 9, 6, 5), .in = {DOR_DIMS(2, 6, 5, 9), DOR_DIMS(2, 6, 5, 9)}},
    {.name = "wide", .attr = ATTR(3, 1, 1, 1, 1, 8, 8), .in = {DOR_DIMS(2, 8, 8, 16), DOR_DIMS(2, 8, 8, 32)}},
    {.name = "wide s2", .attr = ATTR(3, 2, 1, 1, 1, 9, 10), .in = {DOR_DIMS(2, 9, 10, 20), DOR_DIMS(2, 5, 5, 24)}},
    {.name = "wide 4x4s2", .attr = ATTR(4, 2, 1, 1, 1, 10, 6), .in = {DOR_DIMS(1, 10, 6, 32), DOR_DIMS(1, 5, 3, 66)}},
    {.name = "hrnet32", .attr = ATTR(3, 1, 1, 1, 1, 128, 128), .in = {DOR_DIMS(1, 128, 128, 32), DOR_DIMS(1, 128, 128, 32)}, .bench = true},
    {.name = "hrnet64", .attr = ATTR(3, 1, 1, 1, 1, 64, 64), .in = {DOR_DIMS(1, 64, 64, 64), DOR_DIMS(1, 64, 64, 64)}, .bench = true},
    {.name = "hrnet128", .attr = ATTR(3, 1, 1, 1, 1, 32, 32), .in = {DOR_DIMS(1, 32, 32, 128), DOR_DIMS(1, 32, 32, 128)}, .bench = true},
    {.name = "hrnet256", .attr = ATTR(3, 1, 1, 1, 1, 16, 16), .in = {DOR_DIMS(1, 16, 16, 256), DOR_DIMS(1, 16, 16, 256)}, .bench = true},
    {.name = "silhouette", .attr = ATTR(3, 1, 1, 1, 1, 128, 128), .in = {DOR_DIMS(32, 128, 128, 1), DOR_DIMS(32, 128, 128, 16)}, .bench = true},
    {.name = "hrnet stem", .attr = ATTR(3, 2, 1, 1, 1, 256, 256), .in = {DOR_DIMS(1, 256, 256, 64), DOR_DIMS(1, 128, 128, 64)}, .bench = true},
    {0},
};

const dor_op dor_op_conv2d_dw = {.id = DOR_OP_conv2d_dw, .name = "conv2d_dw", .formula = "dw = x * dy", .nin = 2, .nout = 1,
                                 .attr_size = sizeof(dor_conv2d_attr), .keys = keys, .narrow = {"X", "-"}, .infer = dw_infer, .cost = dw_cost,
                                 .ref = dw_ref, .cases = dw_cases};

dor_val dor_conv2d(dor_graph *g, dor_val x, dor_val w, int32_t stride, int32_t pad, int32_t dilation, int32_t groups)
{
  dor_shape sx = dor_graph_type(g, x).shape, sw = dor_graph_type(g, w).shape;
  dor_conv2d_attr a = {{sw.d[0], sw.d[1]}, {stride, stride}, {pad, pad}, {dilation, dilation}, groups, {sx.d[1], sx.d[2]}};
  return dor_graph_add(g, &dor_op_conv2d, &a, 2, (dor_val[]){x, w});
}

dor_val dor_conv2d_dx(dor_graph *g, dor_val dy, dor_val w, const dor_conv2d_attr *a)
{
  return dor_graph_add(g, &dor_op_conv2d_dx, a, 2, (dor_val[]){dy, w});
}

dor_val dor_conv2d_dw(dor_graph *g, dor_val x, dor_val dy, const dor_conv2d_attr *a)
{
  return dor_graph_add(g, &dor_op_conv2d_dw, a, 2, (dor_val[]){x, dy});
}
