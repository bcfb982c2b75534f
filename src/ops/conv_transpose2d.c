/* SPDX-License-Identifier: Apache-2.0
 *
 * conv_transpose2d: y[n, i s + u d - p, j s + v d - p, o] += x[n,i,j,c] w[u,v,o,c]: the transpose of a convolution y -> x.
 *
 *   x [N,H,W,C]   w [K,K,O/G,C] (files: [C,O/G,K,K])   y [N,H',W',O],  H' = (H - 1) s - 2p + d (K - 1) + 1 + output padding
 *   G groups: input channel c of group q = c/(C/G) reaches the O/G output channels from q O/G on
 *   grad      that convolution's: dx = conv2d(dy, w), dw = conv2d_dw(dy, x); its attributes and weights are this op's
 *   source    Dumoulin & Visin, arXiv:1603.07285, section 4; PyTorch conv_transpose2d */
#include "ops/ops.h"

#include <string.h>

static const dor_key keys[] = {
    DOR_ATTR_INTS(dor_conv2d_attr, kernel, "height, width"), DOR_ATTR_INTS(dor_conv2d_attr, stride, "of y, between two pixels of x"),
    DOR_ATTR_INTS(dor_conv2d_attr, pad, "rows and columns cut off each side of y"), DOR_ATTR_INTS(dor_conv2d_attr, dilation, "steps between taps"),
    DOR_ATTR_INT(dor_conv2d_attr, groups, ""), DOR_ATTR_INTS(dor_conv2d_attr, size, "of y"), {0},
};

static dor_status infer(const dor_infer *c)
{
  dor_shape x = c->in[0].shape, w = c->in[1].shape;
  dor_shape_text tx, tw;
  DOR_NEED(x.n == 4 && w.n == 4 && x.d[3] == w.d[3], SHAPE, "conv_transpose2d: x %s and w %s do not fit: wants [N,H,W,C] and [K,K,O,C]",
           dor_shape_print(x, tx), dor_shape_print(w, tw));
  return dor_op_conv2d_dx.infer(c);
}

static dor_cost cost(const dor_infer *c)
{
  dor_shape w = c->in[1].shape;
  double taps = (double)w.d[0] * w.d[1] * w.d[2];
  return (dor_cost){.flops = 2 * taps * (double)dor_shape_size(c->in[0].shape),
                    .bytes = (double)(dor_type_bytes(c->in[0]) + dor_type_bytes(c->in[1]) + dor_type_bytes(c->out[0]))};
}

/* One pixel of x through one tap: all its (c, o) pairs. */
static void tap(const dor_refcall *c, const double *x, const double *w, double *y)
{
  int32_t groups = ((const dor_conv2d_attr *)c->attr)->groups, channels = c->type_in[0].shape.d[3], og = c->type_in[1].shape.d[2];
  for (int32_t o = 0; o < og; o++)
    for (int32_t k = 0; k < channels; k++) y[k / (channels / groups) * og + o] += x[k] * w[o * channels + k];
}

static void ref(const dor_refcall *c)
{
  const dor_conv2d_attr *a = c->attr;
  dor_shape sx = c->type_in[0].shape, sw = c->type_in[1].shape, sy = c->type_out[0].shape;
  memset(c->out[0], 0, (size_t)dor_shape_size(sy) * sizeof(double));
  for (int64_t row = 0; row < (int64_t)sx.d[0] * sx.d[1]; row++)
    for (int32_t j = 0; j < sx.d[2]; j++)
      for (int32_t u = 0; u < a->kernel[0]; u++)
        for (int32_t v = 0; v < a->kernel[1]; v++) {
          int64_t n = row / sx.d[1], r = row % sx.d[1] * a->stride[0] + u * a->dilation[0] - a->pad[0], s = j * a->stride[1] + v * a->dilation[1] - a->pad[1];
          if (r < 0 || s < 0 || r >= sy.d[1] || s >= sy.d[2]) continue;
          tap(c, c->in[0] + (row * sx.d[2] + j) * sx.d[3], c->in[1] + (int64_t)(u * a->kernel[1] + v) * sw.d[2] * sw.d[3],
              c->out[0] + ((n * sy.d[1] + r) * sy.d[2] + s) * sy.d[3]);
        }
}

static dor_status grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  gin[0] = dor_graph_add(g, &dor_op_conv2d, n->attr, 2, (dor_val[]){gout[0], n->in[1]});
  gin[1] = dor_conv2d_dw(g, gout[0], n->in[0], n->attr);
  return g->status;
}

/* Cases: kernel, stride, pad, dilation, groups, H', W'; the shapes follow. */
#define ATTR(k, s, p, d, g, h, w) &(dor_conv2d_attr){{k, k}, {s, s}, {p, p}, {d, d}, g, {h, w}}

static const dor_case cases[] = {
    {.name = "4x4s2", .attr = ATTR(4, 2, 1, 1, 1, 8, 10), .in = {DOR_DIMS(2, 4, 5, 6), DOR_DIMS(4, 4, 3, 6)}},
    {.name = "3x3s2", .attr = ATTR(3, 2, 1, 1, 1, 6, 9), .in = {DOR_DIMS(1, 3, 5, 2), DOR_DIMS(3, 3, 19, 2)}},
    {.name = "2x2s2", .attr = ATTR(2, 2, 0, 1, 1, 6, 14), .in = {DOR_DIMS(1, 3, 7, 5), DOR_DIMS(2, 2, 16, 5)}},
    {.name = "3x3", .attr = ATTR(3, 1, 1, 1, 1, 5, 4), .in = {DOR_DIMS(1, 5, 4, 3), DOR_DIMS(3, 3, 2, 3)}},
    {.name = "4x4s3", .attr = ATTR(4, 3, 2, 1, 1, 8, 6), .in = {DOR_DIMS(1, 3, 3, 3), DOR_DIMS(4, 4, 5, 3)}},
    {.name = "dilated", .attr = ATTR(3, 2, 1, 2, 1, 8, 9), .in = {DOR_DIMS(1, 3, 4, 3), DOR_DIMS(3, 3, 2, 3)}},
    {.name = "groups", .attr = ATTR(4, 2, 1, 1, 2, 6, 8), .in = {DOR_DIMS(2, 3, 4, 6), DOR_DIMS(4, 4, 2, 6)}},
    {.name = "wide", .attr = ATTR(4, 2, 1, 1, 1, 12, 14), .in = {DOR_DIMS(1, 6, 7, 66), DOR_DIMS(4, 4, 32, 66)}},
    {.name = "higherhrnet", .attr = ATTR(4, 2, 1, 1, 1, 256, 256), .in = {DOR_DIMS(1, 128, 128, 66), DOR_DIMS(4, 4, 32, 66)}, .bench = true},
    {0},
};

const dor_op dor_op_conv_transpose2d = {.id = DOR_OP_conv_transpose2d, .name = "conv_transpose2d", .formula = "y = x * w', spread by the stride",
                                        .nin = 2, .nout = 1, .attr_size = sizeof(dor_conv2d_attr), .keys = keys,
                                        .narrow = {"X-", "x"}, .infer = infer, .cost = cost,
                                        .ref = ref, .grad = grad, .cases = cases};

dor_val dor_conv_transpose2d(dor_graph *g, dor_val x, dor_val w, int32_t stride, int32_t pad, int32_t output_pad, int32_t groups)
{
  dor_shape sx = dor_graph_type(g, x).shape, sw = dor_graph_type(g, w).shape;
  dor_conv2d_attr a = {{sw.d[0], sw.d[1]}, {stride, stride}, {pad, pad}, {1, 1}, groups, {0}};
  for (int32_t k = 0; k < 2; k++) a.size[k] = (sx.d[1 + k] - 1) * stride - 2 * pad + sw.d[k] + output_pad;
  return dor_graph_add(g, &dor_op_conv_transpose2d, &a, 2, (dor_val[]){x, w});
}
