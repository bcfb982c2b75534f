/* SPDX-License-Identifier: Apache-2.0
 *
 * Ops that move numbers without computing: reshape, transpose, slice, pad, concat.
 *
 *   reshape    a view: the same numbers under another shape; grad reshapes back
 *   transpose  y's axis i is x's axis perm[i]; grad by the inverse permutation
 *   slice      y = x[begin : begin + size] on every axis; grad pads with zeros
 *   pad        zeros before and after on every axis; grad slices
 *   concat     along one axis, any number of inputs; grad slices */
#include "ops/ops.h"

#include <string.h>

static dor_cost moved(const dor_infer *c)
{
  dor_cost r = dor_cost_stream(c);
  r.flops = 0;
  return r;
}

static void index_of(dor_shape s, int64_t k, int32_t at[DOR_MAX_DIMS])
{
  for (int32_t i = s.n - 1; i >= 0; i--) at[i] = (int32_t)(k % s.d[i]), k /= s.d[i];
}

static int64_t place_of(dor_shape s, const int32_t at[DOR_MAX_DIMS])
{
  int64_t k = 0;
  for (int32_t i = 0; i < s.n; i++) k = k * s.d[i] + at[i];
  return k;
}

/* reshape */
static const dor_key reshape_keys[] = {DOR_ATTR_INT(dor_shape_attr, rank, ""), DOR_ATTR_INTS(dor_shape_attr, dim, "first `rank` count"), {0}};

static dor_status reshape_infer(const dor_infer *c)
{
  const dor_shape_attr *a = c->attr;
  dor_shape_text from, to;
  DOR_NEED(a->rank >= 0 && a->rank <= DOR_MAX_DIMS, SHAPE, "reshape: %d dimensions", a->rank);
  dor_shape s = {.n = a->rank};
  memcpy(s.d, a->dim, (size_t)a->rank * sizeof *s.d);
  DOR_NEED(dor_shape_size(s) == dor_shape_size(c->in[0].shape), SHAPE, "reshape: %s does not hold the numbers of %s", dor_shape_print(s, to),
           dor_shape_print(c->in[0].shape, from));
  c->out[0].shape = s;
  return DOR_OK;
}

static void reshape_ref(const dor_refcall *c)
{
  memcpy(c->out[0], c->in[0], (size_t)dor_shape_size(c->type_in[0].shape) * sizeof(double));
}

static dor_status reshape_grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  gin[0] = dor_reshape(g, gout[0], dor_graph_type(g, n->in[0]).shape);
  return g->status;
}

static const dor_case reshape_cases[] = {{.name = "flatten", .attr = &(dor_shape_attr){2, {2, 12}}, .in = {DOR_DIMS(2, 2, 2, 3)}}, {0}};

const dor_op dor_op_reshape = {.id = DOR_OP_reshape, .name = "reshape", .formula = "y = x", .nin = 1, .nout = 1, .view = true,
                               .attr_size = sizeof(dor_shape_attr), .keys = reshape_keys, .narrow = {"x", "x"}, .infer = reshape_infer,
                               .ref = reshape_ref, .grad = reshape_grad, .cases = reshape_cases};

dor_val dor_reshape(dor_graph *g, dor_val x, dor_shape s)
{
  dor_shape_attr a = {.rank = s.n};
  for (int32_t i = 0; i < s.n && i < DOR_MAX_DIMS; i++) a.dim[i] = s.d[i];
  return dor_graph_add(g, &dor_op_reshape, &a, 1, (dor_val[]){x});
}

dor_val dor_flatten(dor_graph *g, dor_val x)
{
  if (g->status) return DOR_NONE;
  dor_shape s = dor_graph_type(g, x).shape;
  return s.n == 2 ? x : dor_reshape(g, x, DOR_SHAPE(s.d[0], (int32_t)(dor_shape_size(s) / s.d[0])));
}

/* transpose */
static const dor_key transpose_keys[] = {DOR_ATTR_INTS(dor_transpose_attr, perm, ""), {0}};

static dor_status transpose_infer(const dor_infer *c)
{
  const dor_transpose_attr *a = c->attr;
  dor_shape x = c->in[0].shape;
  uint32_t seen = 0;
  c->out[0].shape.n = x.n;
  for (int32_t i = 0; i < x.n; i++) {
    DOR_NEED(a->perm[i] >= 0 && a->perm[i] < x.n && !(seen & 1u << a->perm[i]), ARG, "transpose: axis %d twice or not there", a->perm[i]);
    seen |= 1u << a->perm[i];
    c->out[0].shape.d[i] = x.d[a->perm[i]];
  }
  return DOR_OK;
}

static void transpose_ref(const dor_refcall *c)
{
  const dor_transpose_attr *a = c->attr;
  dor_shape x = c->type_in[0].shape, y = c->type_out[0].shape;
  for (int64_t k = 0, n = dor_shape_size(y); k < n; k++) {
    int32_t at[DOR_MAX_DIMS], from[DOR_MAX_DIMS] = {0};
    index_of(y, k, at);
    for (int32_t i = 0; i < y.n; i++) from[a->perm[i]] = at[i];
    c->out[0][k] = c->in[0][place_of(x, from)];
  }
}

static dor_status transpose_grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  const dor_transpose_attr *a = n->attr;
  int32_t back[DOR_MAX_DIMS] = {0}, rank = dor_graph_type(g, n->in[0]).shape.n;
  for (int32_t i = 0; i < rank; i++) back[a->perm[i]] = i;
  gin[0] = dor_transpose(g, gout[0], back);
  return g->status;
}

static const dor_case transpose_cases[] = {
    {.name = "matrix", .attr = &(dor_transpose_attr){{1, 0}}, .in = {DOR_DIMS(3, 5)}},
    {.name = "nchw", .attr = &(dor_transpose_attr){{0, 3, 1, 2}}, .in = {DOR_DIMS(2, 3, 4, 5)}},
    {.name = "five", .attr = &(dor_transpose_attr){{4, 2, 0, 3, 1}}, .in = {DOR_DIMS(2, 3, 2, 3, 4)}},
    {.name = "tiles", .attr = &(dor_transpose_attr){{0, 2, 1}}, .in = {DOR_DIMS(2, 37, 70)}},
    {.name = "rows", .attr = &(dor_transpose_attr){{1, 0, 2}}, .in = {DOR_DIMS(3, 5, 8)}},
    {.name = "ones", .attr = &(dor_transpose_attr){{2, 1, 0}}, .in = {DOR_DIMS(4, 6, 1)}},
    {0},
};

const dor_op dor_op_transpose = {.id = DOR_OP_transpose, .name = "transpose", .formula = "y[i] = x[perm i]", .nin = 1, .nout = 1,
                                 .attr_size = sizeof(dor_transpose_attr), .keys = transpose_keys, .narrow = {"x", "x"}, .infer = transpose_infer,
                                 .cost = moved, .ref = transpose_ref, .grad = transpose_grad, .cases = transpose_cases};

dor_val dor_transpose(dor_graph *g, dor_val x, const int32_t perm[])
{
  dor_transpose_attr a = {{0}};
  memcpy(a.perm, perm, (size_t)dor_graph_type(g, x).shape.n * sizeof *perm);
  return dor_graph_add(g, &dor_op_transpose, &a, 1, (dor_val[]){x});
}

/* slice and pad: a window of the larger, and the larger around a window */
static const dor_key slice_keys[] = {DOR_ATTR_INTS(dor_slice_attr, begin, ""), DOR_ATTR_INTS(dor_slice_attr, size, ""), {0}};
static const dor_key pad_keys[] = {DOR_ATTR_INTS(dor_pad_attr, before, "zeros"), DOR_ATTR_INTS(dor_pad_attr, after, "zeros"), {0}};

/* Where element k of the window lies in the larger. */
static int64_t inside(dor_shape large, dor_shape window, const int32_t begin[], int64_t k)
{
  int32_t at[DOR_MAX_DIMS];
  index_of(window, k, at);
  for (int32_t i = 0; i < window.n; i++) at[i] += begin[i];
  return place_of(large, at);
}

static dor_status slice_infer(const dor_infer *c)
{
  const dor_slice_attr *a = c->attr;
  dor_shape x = c->in[0].shape;
  c->out[0].shape.n = x.n;
  for (int32_t i = 0; i < x.n; i++) {
    DOR_NEED(a->begin[i] >= 0 && a->size[i] >= 1 && a->begin[i] <= x.d[i] - a->size[i], RANGE, "slice: %d from %d on axis %d of size %d",
             a->size[i], a->begin[i], i, x.d[i]);
    c->out[0].shape.d[i] = a->size[i];
  }
  return DOR_OK;
}

static void slice_ref(const dor_refcall *c)
{
  const dor_slice_attr *a = c->attr;
  int64_t n = dor_shape_size(c->type_out[0].shape);
  for (int64_t k = 0; k < n; k++) c->out[0][k] = c->in[0][inside(c->type_in[0].shape, c->type_out[0].shape, a->begin, k)];
}

static dor_status slice_grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  const dor_slice_attr *a = n->attr;
  dor_shape x = dor_graph_type(g, n->in[0]).shape;
  int32_t after[DOR_MAX_DIMS] = {0};
  for (int32_t i = 0; i < x.n; i++) after[i] = x.d[i] - a->begin[i] - a->size[i];
  gin[0] = dor_pad(g, gout[0], a->begin, after);
  return g->status;
}

static const dor_case slice_cases[] = {
    {.name = "matrix", .attr = &(dor_slice_attr){{1, 2}, {2, 2}}, .in = {DOR_DIMS(3, 5)}},
    {.name = "channels", .attr = &(dor_slice_attr){{0, 0, 0, 1}, {2, 3, 4, 3}}, .in = {DOR_DIMS(2, 3, 4, 5)}},
    {.name = "wide", .attr = &(dor_slice_attr){{1, 0, 8}, {2, 5, 8}}, .in = {DOR_DIMS(4, 5, 24)}},
    {.name = "rows", .attr = &(dor_slice_attr){{0, 2, 0}, {3, 2, 4}}, .in = {DOR_DIMS(3, 5, 4)}},
    {0},
};

const dor_op dor_op_slice = {.id = DOR_OP_slice, .name = "slice", .formula = "y = x[begin : begin + size]", .nin = 1, .nout = 1,
                             .attr_size = sizeof(dor_slice_attr), .keys = slice_keys, .narrow = {"x", "x"}, .infer = slice_infer, .cost = moved,
                             .ref = slice_ref, .grad = slice_grad, .cases = slice_cases};

static dor_status pad_infer(const dor_infer *c)
{
  const dor_pad_attr *a = c->attr;
  dor_shape x = c->in[0].shape;
  c->out[0].shape.n = x.n;
  for (int32_t i = 0; i < x.n; i++) {
    DOR_NEED(a->before[i] >= 0 && a->after[i] >= 0, RANGE, "pad: %d before and %d after axis %d", a->before[i], a->after[i], i);
    c->out[0].shape.d[i] = a->before[i] + x.d[i] + a->after[i];
  }
  return DOR_OK;
}

static void pad_ref(const dor_refcall *c)
{
  const dor_pad_attr *a = c->attr;
  memset(c->out[0], 0, (size_t)dor_shape_size(c->type_out[0].shape) * sizeof(double));
  int64_t n = dor_shape_size(c->type_in[0].shape);
  for (int64_t k = 0; k < n; k++) c->out[0][inside(c->type_out[0].shape, c->type_in[0].shape, a->before, k)] = c->in[0][k];
}

static dor_status pad_grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  const dor_pad_attr *a = n->attr;
  gin[0] = dor_slice(g, gout[0], a->before, dor_graph_type(g, n->in[0]).shape.d);
  return g->status;
}

static const dor_case pad_cases[] = {
    {.name = "matrix", .attr = &(dor_pad_attr){{1, 0}, {0, 2}}, .in = {DOR_DIMS(3, 5)}},
    {.name = "image", .attr = &(dor_pad_attr){{0, 1, 2, 0}, {0, 2, 1, 0}}, .in = {DOR_DIMS(2, 3, 4, 5)}},
    {.name = "wide", .attr = &(dor_pad_attr){{0, 1, 8}, {2, 0, 16}}, .in = {DOR_DIMS(3, 2, 8)}},
    {0},
};

const dor_op dor_op_pad = {.id = DOR_OP_pad, .name = "pad", .formula = "y = 0, x, 0", .nin = 1, .nout = 1,
                           .attr_size = sizeof(dor_pad_attr), .keys = pad_keys, .narrow = {"x", "x"}, .infer = pad_infer, .cost = moved, .ref = pad_ref,
                           .grad = pad_grad, .cases = pad_cases};

dor_val dor_slice(dor_graph *g, dor_val x, const int32_t begin[], const int32_t size[])
{
  dor_slice_attr a = {{0}, {0}};
  size_t bytes = (size_t)dor_graph_type(g, x).shape.n * sizeof *begin;
  memcpy(a.begin, begin, bytes);
  memcpy(a.size, size, bytes);
  return dor_graph_add(g, &dor_op_slice, &a, 1, (dor_val[]){x});
}

dor_val dor_pad(dor_graph *g, dor_val x, const int32_t before[], const int32_t after[])
{
  dor_pad_attr a = {{0}, {0}};
  size_t bytes = (size_t)dor_graph_type(g, x).shape.n * sizeof *before;
  memcpy(a.before, before, bytes);
  memcpy(a.after, after, bytes);
  return dor_graph_add(g, &dor_op_pad, &a, 1, (dor_val[]){x});
}

/* concat */
static const dor_key concat_keys[] = {DOR_ATTR_INT(dor_axis_attr, axis, ""), {0}};

static dor_status concat_infer(const dor_infer *c)
{
  int32_t axis = ((const dor_axis_attr *)c->attr)->axis;
  dor_shape y = c->in[0].shape;
  DOR_NEED(axis >= 0 && axis < y.n, ARG, "concat: axis %d of %d", axis, y.n);
  for (int32_t k = 1; k < c->nin; k++) {
    dor_shape x = c->in[k].shape;
    DOR_NEED(x.n == y.n, SHAPE, "concat: inputs of %d and %d dimensions", y.n, x.n);
    for (int32_t i = 0; i < x.n; i++) DOR_NEED(i == axis || x.d[i] == y.d[i], SHAPE, "concat: sizes %d and %d on axis %d", y.d[i], x.d[i], i);
    y.d[axis] += x.d[axis];
  }
  c->out[0].shape = y;
  return DOR_OK;
}

static void concat_ref(const dor_refcall *c)
{
  int32_t axis = ((const dor_axis_attr *)c->attr)->axis, begin[DOR_MAX_DIMS] = {0};
  for (int32_t j = 0; j < c->nin; j++) {
    dor_shape x = c->type_in[j].shape;
    for (int64_t k = 0, n = dor_shape_size(x); k < n; k++) c->out[0][inside(c->type_out[0].shape, x, begin, k)] = c->in[j][k];
    begin[axis] += x.d[axis];
  }
}

static dor_status concat_grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  int32_t axis = ((const dor_axis_attr *)n->attr)->axis, begin[DOR_MAX_DIMS] = {0};
  for (int32_t j = 0; j < n->nin; j++) {
    dor_shape x = dor_graph_type(g, n->in[j]).shape;
    gin[j] = dor_slice(g, gout[0], begin, x.d);
    begin[axis] += x.d[axis];
  }
  return g->status;
}

static const dor_case concat_cases[] = {
    {.name = "vectors", .attr = &(dor_axis_attr){1}, .in = {DOR_DIMS(3, 5), DOR_DIMS(3, 2), DOR_DIMS(3, 1)}, .nin = 3},
    {.name = "rows", .attr = &(dor_axis_attr){0}, .in = {DOR_DIMS(3, 5), DOR_DIMS(2, 5)}, .nin = 2},
    {.name = "channels", .attr = &(dor_axis_attr){3}, .in = {DOR_DIMS(2, 3, 4, 5), DOR_DIMS(2, 3, 4, 7)}, .nin = 2},
    {.name = "wide", .attr = &(dor_axis_attr){1}, .in = {DOR_DIMS(2, 3, 8), DOR_DIMS(2, 1, 8)}, .nin = 2},
    {0},
};

const dor_op dor_op_concat = {.id = DOR_OP_concat, .name = "concat", .formula = "y = x0, x1, ...", .nin = -1, .nout = 1,
                              .attr_size = sizeof(dor_axis_attr), .keys = concat_keys, .narrow = {"x", "x"}, .infer = concat_infer, .cost = moved,
                              .ref = concat_ref, .grad = concat_grad, .cases = concat_cases};

dor_val dor_concat(dor_graph *g, int32_t n, const dor_val x[], int32_t axis)
{
  return dor_graph_add(g, &dor_op_concat, &(dor_axis_attr){axis}, n, x);
}
