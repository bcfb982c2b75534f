/* SPDX-License-Identifier: Apache-2.0
 *
 * warp_affine: pictures through affine maps, bilinear, with a border of zeros, as
 * normalised floats. All geometry is integer and made beforehand (dor_warp_path in
 * data/warp.h), in OpenCV's fixed point: places in 1/32 pixel, weights in 1/1024,
 * grey levels rounded. So every backend gives the bytes of cv2.warpAffine.
 *
 *   picture [N,H,W,C] u8   the picture of n fills the first size[n] rows and columns
 *   size [N,2] i32         height, width; what exceeds H, W is cut
 *   path [N,2(H'+W')] i32  W' steps of x and W' of y along a row, then H' starts of x and H' of y, in 1/1024 pixel
 *   y [N,H',W',C]          (v / 255 - mean) / sd; of a mask: 1 where v / 255 > .5, else 0
 *     v = round(sum of 4 neighbours), neighbours outside the picture 0;  at x = floor((start + step) / 32) / 32
 *   source    OpenCV 4.6, warpAffine (INTER_LINEAR, BORDER_CONSTANT 0) */
#include "ops/ops.h"

#include <math.h>

static const dor_key keys[] = {DOR_ATTR_INTS(dor_warp_attr, size, "height, width"), DOR_ATTR_BOOL(dor_warp_attr, mask, "0 or 1 by half"),
                               DOR_ATTR_REAL(dor_warp_attr, mean[0], ""), DOR_ATTR_REAL(dor_warp_attr, mean[1], ""),
                               DOR_ATTR_REAL(dor_warp_attr, mean[2], ""), DOR_ATTR_REAL(dor_warp_attr, sd[0], ""),
                               DOR_ATTR_REAL(dor_warp_attr, sd[1], ""),   DOR_ATTR_REAL(dor_warp_attr, sd[2], ""), {0}};

static dor_status infer(const dor_infer *c)
{
  const dor_warp_attr *a = c->attr;
  dor_shape p = c->in[0].shape, s = c->in[1].shape, t = c->in[2].shape;
  DOR_NEED(p.n == 4 && c->in[0].dtype == DOR_U8 && p.d[3] <= DOR_WARP_CHANNELS, SHAPE, "warp_affine: wants pictures [N,H,W,C] of bytes, C at most %d",
           DOR_WARP_CHANNELS);
  DOR_NEED(a->size[0] >= 1 && a->size[1] >= 1, SHAPE, "warp_affine: wants a size of at least 1");
  DOR_NEED(dor_shape_same(s, DOR_SHAPE(p.d[0], 2)) && c->in[1].dtype == DOR_I32, SHAPE, "warp_affine: wants sizes [N,2] i32");
  DOR_NEED(dor_shape_same(t, DOR_SHAPE(p.d[0], 2 * (a->size[0] + a->size[1]))) && c->in[2].dtype == DOR_I32, SHAPE,
           "warp_affine: wants a path [N,2(H'+W')] i32");
  for (int32_t k = 0; k < p.d[3] && !a->mask; k++) DOR_NEED(a->sd[k] > 0, ARG, "warp_affine: the sd of channel %d is not more than 0", k);
  c->out[0].shape = DOR_SHAPE(p.d[0], a->size[0], a->size[1], p.d[3]);
  return DOR_OK;
}

static dor_cost cost(const dor_infer *c)
{
  double n = (double)dor_shape_size(c->out[0].shape);
  return (dor_cost){8 * n, 8 * n};
}

typedef struct source { const double *picture; dor_shape shape; int64_t n, h, w; } source;

static double pixel(const source *s, int64_t y, int64_t x, int64_t k)
{
  if (y < 0 || x < 0 || y >= s->h || x >= s->w) return 0;
  return s->picture[((s->n * s->shape.d[1] + y) * s->shape.d[2] + x) * s->shape.d[3] + k];
}

/* x, y in 1/32 pixel */
static double grey(const source *s, double y, double x, int64_t k)
{
  double y0 = floor(y / 32), x0 = floor(x / 32), v = y - 32 * y0, u = x - 32 * x0;
  int64_t i = (int64_t)y0, j = (int64_t)x0;
  double sum = (32 - v) * ((32 - u) * pixel(s, i, j, k) + u * pixel(s, i, j + 1, k)) +
               v * ((32 - u) * pixel(s, i + 1, j, k) + u * pixel(s, i + 1, j + 1, k));
  return floor(sum / 1024 + 0.5);
}

static void ref(const dor_refcall *c)
{
  const dor_warp_attr *a = c->attr;
  dor_shape p = c->type_in[0].shape, y = c->type_out[0].shape;
  double *out = c->out[0];
  for (int64_t n = 0; n < y.d[0]; n++) {
    const double *step = c->in[2] + 2 * n * (y.d[1] + y.d[2]), *start = step + 2 * y.d[2];
    const source s = {c->in[0], p, n, (int64_t)fmin(c->in[1][2 * n], p.d[1]), (int64_t)fmin(c->in[1][2 * n + 1], p.d[2])};
    for (int64_t i = 0; i < y.d[1]; i++)
      for (int64_t j = 0; j < y.d[2]; j++) {
        double at_x = floor((start[i] + step[j]) / 32), at_y = floor((start[y.d[1] + i] + step[y.d[2] + j]) / 32);
        for (int64_t k = 0; k < y.d[3]; k++) {
          double v = grey(&s, at_y, at_x, k) / 255;
          *out++ = a->mask ? v > 0.5 : (v - a->mean[k]) / a->sd[k];
        }
      }
  }
}

static const dor_case cases[] = {
    {.name = "colour", .attr = &(dor_warp_attr){.size = {5, 7}, .mean = {0.485, 0.456, 0.406}, .sd = {0.229, 0.224, 0.225}}, .labels = 3000,
     .in = {DOR_DIMS(2, 6, 5, 3), DOR_DIMS(2, 2), DOR_DIMS(2, 24)}, .dtype = {DOR_U8, DOR_I32, DOR_I32},
     .fill = {DOR_FILL_LABELS, DOR_FILL_LABELS, DOR_FILL_LABELS}},
    {.name = "mask", .attr = &(dor_warp_attr){.size = {6, 4}, .mask = true}, .labels = 3000, .in = {DOR_DIMS(3, 4, 7, 1), DOR_DIMS(3, 2), DOR_DIMS(3, 20)},
     .dtype = {DOR_U8, DOR_I32, DOR_I32}, .fill = {DOR_FILL_LABELS, DOR_FILL_LABELS, DOR_FILL_LABELS}},
    {.name = "coco_512", .bench = true, .attr = &(dor_warp_attr){.size = {512, 512}, .mean = {0.485, 0.456, 0.406}, .sd = {0.229, 0.224, 0.225}},
     .labels = 300000, .in = {DOR_DIMS(1, 640, 640, 3), DOR_DIMS(1, 2), DOR_DIMS(1, 2048)}, .dtype = {DOR_U8, DOR_I32, DOR_I32},
     .fill = {DOR_FILL_LABELS, DOR_FILL_LABELS, DOR_FILL_LABELS}},
    {0},
};

const dor_op dor_op_warp_affine = {.id = DOR_OP_warp_affine, .name = "warp_affine", .formula = "y = bilinear(picture, affine places)", .nin = 3, .nout = 1,
                                   .given = 7, .attr_size = sizeof(dor_warp_attr), .keys = keys,
                                   .narrow = {"-", "x"}, .infer = infer, .cost = cost, .ref = ref, .cases = cases};

dor_val dor_warp_affine(dor_graph *g, dor_val picture, dor_val size, dor_val path, const dor_warp_attr *a)
{
  return dor_graph_add(g, &dor_op_warp_affine, a, 3, (dor_val[]){picture, size, path});
}
