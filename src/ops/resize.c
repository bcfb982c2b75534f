/* SPDX-License-Identifier: Apache-2.0
 *
 * resize: nearest neighbour, to any size.
 *
 *   x [N,H,W,C]   y [N,H',W',C]: y[i,j] = x[floor(i H / H'), floor(j W / W')]
 *   grad      each dy adds to the pixel it was copied from (resize_dx)
 *   source    PyTorch interpolate(mode = "nearest") */
#include "ops/ops.h"

#include <string.h>

static const dor_key keys[] = {DOR_ATTR_INTS(dor_size_attr, size, "height, width"), {0}};

/* The index into `small` that element k of `large` copies. */
static int64_t source(dor_shape large, dor_shape small, int64_t k)
{
  int64_t c = k % large.d[3], j = k / large.d[3] % large.d[2], i = k / large.d[3] / large.d[2] % large.d[1];
  int64_t n = k / large.d[3] / large.d[2] / large.d[1];
  return ((n * small.d[1] + i * small.d[1] / large.d[1]) * small.d[2] + j * small.d[2] / large.d[2]) * small.d[3] + c;
}

static dor_status infer(const dor_infer *c)
{
  const dor_size_attr *a = c->attr;
  dor_shape x = c->in[0].shape;
  DOR_NEED(x.n == 4 && a->size[0] >= 1 && a->size[1] >= 1, SHAPE, "resize: wants [N,H,W,C] and a size of at least 1");
  c->out[0].shape = DOR_SHAPE(x.d[0], a->size[0], a->size[1], x.d[3]);
  return DOR_OK;
}

static void ref(const dor_refcall *c)
{
  int64_t n = dor_shape_size(c->type_out[0].shape);
  for (int64_t k = 0; k < n; k++) c->out[0][k] = c->in[0][source(c->type_out[0].shape, c->type_in[0].shape, k)];
}

static dor_status grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  dor_shape x = dor_graph_type(g, n->in[0]).shape;
  gin[0] = dor_resize_dx(g, gout[0], x.d[1], x.d[2]);
  return g->status;
}

static const dor_case cases[] = {
    {.name = "x2", .attr = &(dor_size_attr){{6, 4}}, .in = {DOR_DIMS(2, 3, 2, 5)}},
    {.name = "wide", .attr = &(dor_size_attr){{9, 2}}, .in = {DOR_DIMS(2, 3, 4, 8)}},
    {.name = "odd", .attr = &(dor_size_attr){{7, 3}}, .in = {DOR_DIMS(1, 3, 5, 3)}},
    {0},
};

const dor_op dor_op_resize = {.id = DOR_OP_resize, .name = "resize", .formula = "y[i,j] = x[i H/H', j W/W']", .nin = 1, .nout = 1,
                              .attr_size = sizeof(dor_size_attr), .keys = keys, .narrow = {"x", "x"}, .infer = infer, .cost = dor_cost_stream, .ref = ref,
                              .grad = grad, .cases = cases};

/* resize_dx: dy -> dx */
static void dx_ref(const dor_refcall *c)
{
  int64_t n = dor_shape_size(c->type_in[0].shape);
  memset(c->out[0], 0, (size_t)dor_shape_size(c->type_out[0].shape) * sizeof(double));
  for (int64_t k = 0; k < n; k++) c->out[0][source(c->type_in[0].shape, c->type_out[0].shape, k)] += c->in[0][k];
}

static const dor_case dx_cases[] = {
    {.name = "x2", .attr = &(dor_size_attr){{3, 2}}, .in = {DOR_DIMS(2, 6, 4, 5)}},
    {.name = "wide", .attr = &(dor_size_attr){{3, 4}}, .in = {DOR_DIMS(2, 9, 2, 8)}},
    {.name = "odd", .attr = &(dor_size_attr){{3, 5}}, .in = {DOR_DIMS(1, 7, 3, 3)}},
    {0},
};

const dor_op dor_op_resize_dx = {.id = DOR_OP_resize_dx, .name = "resize_dx", .formula = "dx = sum of dy copied from it", .nin = 1,
                                 .nout = 1, .attr_size = sizeof(dor_size_attr), .keys = keys, .narrow = {"x", "x"}, .infer = infer,
                                 .cost = dor_cost_stream, .ref = dx_ref, .cases = dx_cases};

dor_val dor_resize(dor_graph *g, dor_val x, int32_t h, int32_t w)
{
  return dor_graph_add(g, &dor_op_resize, &(dor_size_attr){{h, w}}, 1, (dor_val[]){x});
}

dor_val dor_resize_dx(dor_graph *g, dor_val dy, int32_t h, int32_t w)
{
  return dor_graph_add(g, &dor_op_resize_dx, &(dor_size_attr){{h, w}}, 1, (dor_val[]){dy});
}
