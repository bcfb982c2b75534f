/* SPDX-License-Identifier: Apache-2.0
 *
 * resize_sum: maps of several resolutions brought to one size and added.
 *
 *   x_t [N,Ht,Wt,C], at least one   y [N,H,W,C] = sum_t resize(x_t), then max(., 0) with relu
 *   stands for sums of resize, add and relu (fuse.def): HRNet's fuse layers in one pass
 *   source    Sun et al., CVPR 2019, section 3.2 (exchange units) */
#include "ops/ops.h"

#include <string.h>

static const dor_key keys[] = {DOR_ATTR_INTS(dor_sum_attr, size, "height, width"), DOR_ATTR_BOOL(dor_sum_attr, relu, ""), {0}};

static dor_status infer(const dor_infer *c)
{
  const dor_sum_attr *a = c->attr;
  DOR_NEED(c->nin >= 1 && a->size[0] >= 1 && a->size[1] >= 1, SHAPE, "resize_sum: wants maps and a size of at least 1");
  for (int32_t i = 0; i < c->nin; i++) {
    dor_shape x = c->in[i].shape, first = c->in[0].shape;
    DOR_NEED(x.n == 4 && x.d[0] == first.d[0] && x.d[3] == first.d[3], SHAPE, "resize_sum: map %d has other images or channels than map 0", i);
  }
  c->out[0].shape = DOR_SHAPE(c->in[0].shape.d[0], a->size[0], a->size[1], c->in[0].shape.d[3]);
  return DOR_OK;
}

static void ref(const dor_refcall *c)
{
  const dor_sum_attr *a = c->attr;
  dor_shape y = c->type_out[0].shape;
  for (int64_t k = 0, n = dor_shape_size(y); k < n; k++) {
    int64_t ch = k % y.d[3], j = k / y.d[3] % y.d[2], i = k / y.d[3] / y.d[2] % y.d[1], image = k / y.d[3] / y.d[2] / y.d[1];
    double sum = 0;
    for (int32_t t = 0; t < c->nin; t++) {
      dor_shape x = c->type_in[t].shape;
      sum += c->in[t][((image * x.d[1] + i * x.d[1] / y.d[1]) * x.d[2] + j * x.d[2] / y.d[2]) * x.d[3] + ch];
    }
    c->out[0][k] = a->relu && sum < 0 ? 0 : sum;
  }
}

static bool links(const dor_match *m, dor_val v)
{
  for (int32_t i = 0; i + 1 < m->n; i++)
    if (m->node[i]->out[0] == v) return true;
  return false;
}

static bool has_relu(const dor_node *n) { return n->op == &dor_op_relu || (n->op == &dor_op_resize_sum && ((const dor_sum_attr *)n->attr)->relu); }

/* Two nodes of a sum, the first one's result a term of the second: the terms of both. A ReLU may only come last. */
static bool fuse(const dor_match *m, dor_fused *f)
{
  const dor_node *last = m->node[m->n - 1];
  dor_shape y = dor_graph_type(m->graph, last->out[0]).shape;
  if (y.n != 4) return false;
  int32_t linked = 0;
  for (int32_t i = 0; i < m->n; i++) {
    const dor_node *n = m->node[i];
    if (n != last && has_relu(n)) return false;
    for (int32_t k = 0; k < n->nin; k++) {
      linked += links(m, n->in[k]);
      if (links(m, n->in[k])) continue;
      if (f->nin == DOR_FUSED_IN) return false;
      f->in[f->nin++] = n->in[k];
    }
  }
  dor_sum_attr a = {{y.d[1], y.d[2]}, has_relu(last)};
  memcpy(f->attr, &a, sizeof a);
  f->out[f->nout++] = last->out[0];
  /* a first result that the second resizes, or takes twice, is no plain term */
  return linked == m->n - 1 && dor_shape_same(dor_graph_type(m->graph, m->node[0]->out[0]).shape, y);
}

#define ATTR(h, w, relu) &(dor_sum_attr){{h, w}, relu}
static const dor_case cases[] = {
    {.name = "one", .attr = ATTR(6, 4, true), .in = {DOR_DIMS(2, 3, 2, 5)}, .nin = 1},
    {.name = "two", .attr = ATTR(6, 4, false), .in = {DOR_DIMS(2, 6, 4, 16), DOR_DIMS(2, 3, 2, 16)}, .nin = 2},
    {.name = "odd", .attr = ATTR(7, 3, true), .in = {DOR_DIMS(1, 3, 5, 3), DOR_DIMS(1, 7, 3, 3), DOR_DIMS(1, 1, 1, 3)}, .nin = 3},
    {.name = "five", .attr = ATTR(8, 16, true),
     .in = {DOR_DIMS(3, 8, 16, 32), DOR_DIMS(3, 4, 8, 32), DOR_DIMS(3, 2, 4, 32), DOR_DIMS(3, 1, 2, 32), DOR_DIMS(3, 8, 16, 32)}, .nin = 5},
    {.name = "hrnet", .attr = ATTR(128, 128, true),
     .in = {DOR_DIMS(1, 128, 128, 32), DOR_DIMS(1, 64, 64, 32), DOR_DIMS(1, 32, 32, 32), DOR_DIMS(1, 16, 16, 32)}, .nin = 4, .bench = true},
    {0},
};

const dor_op dor_op_resize_sum = {.id = DOR_OP_resize_sum, .name = "resize_sum", .formula = "y = max(sum of resized maps, 0)", .nin = -1, .nout = 1,
                                  .attr_size = sizeof(dor_sum_attr), .keys = keys,
                                  .narrow = {"x", "x"}, .infer = infer, .cost = dor_cost_stream, .ref = ref, .fuse = fuse,
                                  .cases = cases};

dor_val dor_resize_sum(dor_graph *g, int32_t n, const dor_val x[], int32_t h, int32_t w, bool relu)
{
  return dor_graph_add(g, &dor_op_resize_sum, &(dor_sum_attr){{h, w}, relu}, n, x);
}
