/* SPDX-License-Identifier: Apache-2.0
 *
 * heatmap_target: what a pose network is to answer, a bump at each labelled joint.
 *
 *   joint [N,P,K,3] i32   column, row, labelled (> 0) of P people; those off the map are passed over
 *   y [N,H,W,K]           max over people of exp(-(dx^2 + dy^2) / (2 sigma^2)) within |dx|, |dy| <= 3 sigma + 1, else 0
 *   source    HigherHRNet, HeatmapGenerator */
#include "ops/ops.h"

#include <math.h>
#include <string.h>

static const dor_key keys[] = {DOR_ATTR_INTS(dor_heatmap_attr, size, "height, width"), DOR_ATTR_INT(dor_heatmap_attr, sigma, "pixels"), {0}};

static dor_status infer(const dor_infer *c)
{
  const dor_heatmap_attr *a = c->attr;
  dor_shape p = c->in[0].shape;
  DOR_NEED(p.n == 4 && p.d[3] == 3 && c->in[0].dtype == DOR_I32, SHAPE, "heatmap_target: wants joints [N,P,K,3] i32");
  DOR_NEED(a->size[0] >= 1 && a->size[1] >= 1 && a->sigma >= 1 && a->sigma <= 64, SHAPE, "heatmap_target: wants a size of at least 1, a sigma of 1 to 64");
  c->out[0].shape = DOR_SHAPE(p.d[0], a->size[0], a->size[1], p.d[2]);
  return DOR_OK;
}

static void put_bump(const dor_heatmap_attr *a, int64_t k_all, int64_t x0, int64_t y0, double *map)
{
  const int64_t reach = 3 * (int64_t)a->sigma + 1;
  if (x0 < 0 || y0 < 0 || x0 >= a->size[1] || y0 >= a->size[0]) return;
  for (int64_t y = y0 - reach; y <= y0 + reach; y++)
    for (int64_t x = x0 - reach; x <= x0 + reach; x++) {
      if (x < 0 || y < 0 || x >= a->size[1] || y >= a->size[0]) continue;
      double *at = map + (y * a->size[1] + x) * k_all, r2 = (double)((x - x0) * (x - x0) + (y - y0) * (y - y0));
      *at = fmax(*at, exp(-r2 / (2.0 * a->sigma * a->sigma)));
    }
}

static void ref(const dor_refcall *c)
{
  const dor_heatmap_attr *a = c->attr;
  dor_shape p = c->type_in[0].shape;
  const int64_t image = (int64_t)a->size[0] * a->size[1] * p.d[2];
  memset(c->out[0], 0, (size_t)dor_shape_size(c->type_out[0].shape) * sizeof(double));
  for (int64_t i = 0, n = (int64_t)p.d[0] * p.d[1] * p.d[2]; i < n; i++) {
    const double *j = c->in[0] + 3 * i;
    if (j[2] > 0) put_bump(a, p.d[2], (int64_t)j[0], (int64_t)j[1], c->out[0] + i / (p.d[1] * p.d[2]) * image + i % p.d[2]);
  }
}

static const dor_case cases[] = {
    {.name = "sigma_2", .attr = &(dor_heatmap_attr){{20, 24}, 2}, .labels = 26, .in = {DOR_DIMS(2, 3, 4, 3)}, .dtype = {DOR_I32}, .fill = {DOR_FILL_LABELS}},
    {.name = "sigma_1", .attr = &(dor_heatmap_attr){{7, 5}, 1}, .labels = 8, .in = {DOR_DIMS(1, 2, 17, 3)}, .dtype = {DOR_I32}, .fill = {DOR_FILL_LABELS}},
    {.name = "coco_256", .bench = true, .attr = &(dor_heatmap_attr){{256, 256}, 2}, .labels = 256, .in = {DOR_DIMS(1, 30, 17, 3)}, .dtype = {DOR_I32},
     .fill = {DOR_FILL_LABELS}},
    {0},
};

const dor_op dor_op_heatmap_target = {.id = DOR_OP_heatmap_target, .name = "heatmap_target", .formula = "y = max over people exp(-r^2 / 2 sigma^2)", .nin = 1,
                                      .nout = 1, .given = 1, .attr_size = sizeof(dor_heatmap_attr), .keys = keys, .infer = infer, .cost = dor_cost_stream,
                                      .ref = ref, .cases = cases};

dor_val dor_heatmap_target(dor_graph *g, dor_val joint, int32_t h, int32_t w, int32_t sigma)
{
  dor_heatmap_attr a = {{h, w}, sigma};
  return dor_graph_add(g, &dor_op_heatmap_target, &a, 1, &joint);
}
