/* SPDX-License-Identifier: Apache-2.0
 *
 * conv2d_dx_add: a convolution's gradient by x, added to another gradient of the
 * same value before it is written: where a residual branch comes home.
 *
 *   dy, w as in conv2d_dx   r as x   y = conv2d_dx(dy, w) + r
 *   stands for conv2d_dx followed by accumulate or add (fuse.def) */
#include "ops/ops.h"

#include <string.h>

static const dor_key keys[] = {
    DOR_ATTR_INTS(dor_conv2d_attr, kernel, "height, width"), DOR_ATTR_INTS(dor_conv2d_attr, stride, ""),
    DOR_ATTR_INTS(dor_conv2d_attr, pad, "zeros on each side"), DOR_ATTR_INTS(dor_conv2d_attr, dilation, "steps between taps"),
    DOR_ATTR_INT(dor_conv2d_attr, groups, ""), DOR_ATTR_INTS(dor_conv2d_attr, size, "of x"), {0},
};

static dor_status infer(const dor_infer *c)
{
  DOR_TRY(dor_op_conv2d_dx.infer(&(dor_infer){c->attr, 2, 1, c->in, c->out}));
  DOR_NEED(dor_shape_same(c->in[2].shape, c->out[0].shape), SHAPE, "conv2d_dx_add: the other gradient is not of x's shape");
  return DOR_OK;
}

static dor_cost cost(const dor_infer *c) { return dor_op_conv2d_dx.cost(&(dor_infer){c->attr, 2, 1, c->in, c->out}); }

static void ref(const dor_refcall *c)
{
  dor_refcall dx = *c;
  dx.nin = 2;
  dor_op_conv2d_dx.ref(&dx);
  for (int64_t i = 0; i < dor_shape_size(c->type_out[0].shape); i++) c->out[0][i] += c->in[2][i];
}

static bool fuse(const dor_match *m, dor_fused *f)
{
  const dor_node *dx = m->node[0], *sum = m->node[1];
  memcpy(f->attr, dx->attr, sizeof(dor_conv2d_attr));
  f->nin = 3, f->nout = 1;
  memcpy(f->in, (dor_val[]){dx->in[0], dx->in[1], sum->in[sum->in[0] == dx->out[0]]}, 3 * sizeof *f->in);
  f->out[0] = sum->out[0];
  return true;
}

#define ATTR(k, s, p, g, h, w) &(dor_conv2d_attr){{k, k}, {s, s}, {p, p}, {1, 1}, g, {h, w}}
#define CASE(label, timed, k, s, p, g, n, h, w, c, o)                                                                                \
  {.name = label, .attr = ATTR(k, s, p, g, h, w),                                                                                    \
   .in = {DOR_DIMS(n, (h + 2 * p - k) / s + 1, (w + 2 * p - k) / s + 1, o), DOR_DIMS(k, k, c / g, o), DOR_DIMS(n, h, w, c)}, .bench = timed}
static const dor_case cases[] = {
    CASE("3x3", false, 3, 1, 1, 1, 2, 5, 6, 3, 4), CASE("3x3s2", false, 3, 2, 1, 1, 2, 7, 6, 17, 5), CASE("1x1s2", false, 1, 2, 0, 1, 1, 5, 4, 9, 3),
    CASE("4x4s2", false, 4, 2, 1, 1, 1, 8, 6, 16, 11), CASE("groups", false, 3, 1, 1, 2, 1, 5, 5, 6, 4), CASE("wide", false, 3, 1, 1, 1, 2, 8, 9, 32, 16),
    CASE("hrnet32", true, 3, 1, 1, 1, 1, 128, 128, 32, 32), CASE("hrnet down", true, 3, 2, 1, 1, 1, 128, 128, 32, 64), {0},
};

const dor_op dor_op_conv2d_dx_add = {.id = DOR_OP_conv2d_dx_add, .name = "conv2d_dx_add", .formula = "y = conv2d_dx(dy, w) + r", .nin = 3, .nout = 1,
                                     .attr_size = sizeof(dor_conv2d_attr), .keys = keys,
                                     .narrow = {"x-x", "x"}, .infer = infer, .cost = cost, .ref = ref, .fuse = fuse,
                                     .cases = cases};

dor_val dor_conv2d_dx_add(dor_graph *g, dor_val dy, dor_val w, dor_val r, const dor_conv2d_attr *a)
{
  return dor_graph_add(g, &dor_op_conv2d_dx_add, a, 3, (dor_val[]){dy, w, r});
}
