/* SPDX-License-Identifier: Apache-2.0
 *
 * resize_bilinear: to any size between the nearest pixels, corners not aligned.
 *
 *   x [N,H,W,C]   y [N,H',W',C]   along each axis, output i reads at s = max((i + 1/2) H/H' - 1/2, 0):
 *   r = floor(s), q = min(r + 1, H - 1), y = (1 - s + r) x[r] + (s - r) x[q]; rows and columns in turn
 *   grad      each dy goes back with the weights it was read with (resize_bilinear_dx)
 *   source    PyTorch interpolate(mode = "bilinear", align_corners = False) */
#include "ops/ops.h"

#include <math.h>
#include <string.h>

static const dor_key keys[] = {DOR_ATTR_INTS(dor_size_attr, size, "height, width"), {0}};

static dor_status infer(const dor_infer *c)
{
  const dor_size_attr *a = c->attr;
  dor_shape x = c->in[0].shape;
  DOR_NEED(x.n == 4 && a->size[0] >= 1 && a->size[1] >= 1, SHAPE, "resize_bilinear: wants [N,H,W,C] and a size of at least 1");
  c->out[0].shape = DOR_SHAPE(x.d[0], a->size[0], a->size[1], x.d[3]);
  return DOR_OK;
}

static dor_cost cost(const dor_infer *c)
{
  dor_cost r = dor_cost_stream(c);
  r.flops = 7.0 * (double)(dor_shape_size(c->in[0].shape) > dor_shape_size(c->out[0].shape) ? dor_shape_size(c->in[0].shape) : dor_shape_size(c->out[0].shape));
  return r;
}

/* The two pixels that output i of `to` reads among `from`, and the second's weight. */
static double source(int32_t i, int32_t from, int32_t to, int32_t at[2])
{
  double s = fmax((i + 0.5) * from / to - 0.5, 0);
  at[0] = (int32_t)s;
  at[1] = at[0] + 1 < from ? at[0] + 1 : from - 1;
  return s - at[0];
}

/* One pixel of the large or resized map `y` against the four it was read from: into y, or back into x. */
static void pixel(const double *y_in, double *y, const double *x_in, double *x, dor_shape sx, dor_shape sy, int64_t n, int32_t i, int32_t j)
{
  int32_t r[2], q[2], c = sx.d[3];
  double f[2], g[2];
  f[1] = source(i, sx.d[1], sy.d[1], r), g[1] = source(j, sx.d[2], sy.d[2], q);
  f[0] = 1 - f[1], g[0] = 1 - g[1];
  for (int32_t k = 0; k < 4; k++) {
    int64_t from = ((n * sx.d[1] + r[k / 2]) * sx.d[2] + q[k % 2]) * c, to = ((n * sy.d[1] + i) * sy.d[2] + j) * c;
    for (int32_t o = 0; o < c; o++) {
      if (x_in) y[to + o] += f[k / 2] * g[k % 2] * x_in[from + o];
      else x[from + o] += f[k / 2] * g[k % 2] * y_in[to + o];
    }
  }
}

static void visit(const double *y_in, double *y, const double *x_in, double *x, dor_shape sx, dor_shape sy)
{
  for (int64_t n = 0; n < sx.d[0]; n++)
    for (int32_t i = 0; i < sy.d[1]; i++)
      for (int32_t j = 0; j < sy.d[2]; j++) pixel(y_in, y, x_in, x, sx, sy, n, i, j);
}

static void ref(const dor_refcall *c)
{
  memset(c->out[0], 0, (size_t)dor_shape_size(c->type_out[0].shape) * sizeof(double));
  visit(NULL, c->out[0], c->in[0], NULL, c->type_in[0].shape, c->type_out[0].shape);
}

static dor_status grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  dor_shape x = dor_graph_type(g, n->in[0]).shape;
  gin[0] = dor_resize_bilinear_dx(g, gout[0], x.d[1], x.d[2]);
  return g->status;
}

static const dor_case cases[] = {
    {.name = "x2", .attr = &(dor_size_attr){{6, 4}}, .in = {DOR_DIMS(2, 3, 2, 5)}},
    {.name = "wide", .attr = &(dor_size_attr){{9, 2}}, .in = {DOR_DIMS(2, 3, 4, 8)}},
    {.name = "odd", .attr = &(dor_size_attr){{7, 3}}, .in = {DOR_DIMS(1, 3, 5, 3)}},
    {.name = "down", .attr = &(dor_size_attr){{4, 3}}, .in = {DOR_DIMS(1, 9, 7, 2)}},
    {.name = "one", .attr = &(dor_size_attr){{3, 4}}, .in = {DOR_DIMS(1, 1, 1, 2)}},
    {.name = "maps", .attr = &(dor_size_attr){{512, 512}}, .in = {DOR_DIMS(1, 256, 256, 17)}, .bench = true},
    {0},
};

const dor_op dor_op_resize_bilinear = {.id = DOR_OP_resize_bilinear, .name = "resize_bilinear", .formula = "y = x between its pixels", .nin = 1, .nout = 1,
                                       .attr_size = sizeof(dor_size_attr), .keys = keys,
                                       .narrow = {"x", "x"}, .infer = infer, .cost = cost, .ref = ref, .grad = grad,
                                       .cases = cases};

/* resize_bilinear_dx: dy -> dx */
static void dx_ref(const dor_refcall *c)
{
  memset(c->out[0], 0, (size_t)dor_shape_size(c->type_out[0].shape) * sizeof(double));
  visit(c->in[0], NULL, NULL, c->out[0], c->type_out[0].shape, c->type_in[0].shape);
}

static const dor_case dx_cases[] = {
    {.name = "x2", .attr = &(dor_size_attr){{3, 2}}, .in = {DOR_DIMS(2, 6, 4, 5)}},
    {.name = "wide", .attr = &(dor_size_attr){{3, 4}}, .in = {DOR_DIMS(2, 9, 2, 8)}},
    {.name = "odd", .attr = &(dor_size_attr){{3, 5}}, .in = {DOR_DIMS(1, 7, 3, 3)}},
    {.name = "down", .attr = &(dor_size_attr){{9, 7}}, .in = {DOR_DIMS(1, 4, 3, 2)}},
    {.name = "one", .attr = &(dor_size_attr){{1, 1}}, .in = {DOR_DIMS(1, 3, 4, 2)}},
    {0},
};

const dor_op dor_op_resize_bilinear_dx = {.id = DOR_OP_resize_bilinear_dx, .name = "resize_bilinear_dx", .formula = "dx = sum of dy by its weights", .nin = 1,
                                          .nout = 1, .attr_size = sizeof(dor_size_attr), .keys = keys, .narrow = {"x", "x"}, .infer = infer, .cost = cost,
                                          .ref = dx_ref, .cases = dx_cases};

dor_val dor_resize_bilinear(dor_graph *g, dor_val x, int32_t h, int32_t w)
{
  return dor_graph_add(g, &dor_op_resize_bilinear, &(dor_size_attr){{h, w}}, 1, (dor_val[]){x});
}

dor_val dor_resize_bilinear_dx(dor_graph *g, dor_val dy, int32_t h, int32_t w)
{
  return dor_graph_add(g, &dor_op_resize_bilinear_dx, &(dor_size_attr){{h, w}}, 1, (dor_val[]){dy});
}
