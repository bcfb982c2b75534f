/* SPDX-License-Identifier: Apache-2.0
 *
 * conv2d, its gradients, the transposed convolution and what fuses with them, as cuDNN's graphs. Each prepare reads as the pattern it
 * asks for. Declined, so that our own kernels serve: maps of different types, stems (up to 4 channels: cuDNN pads them through a
 * workspace larger than the map), and fused forms of grouped convolutions (no engine). */
#include "kernels/opgraph.h"

enum { STEM = 4 };

static dor_status alike(const dor_type *a, const dor_type *b, int32_t least)
{
  DOR_NEED(a->dtype == b->dtype && a->dtype <= DOR_F16, UNSUPPORTED, "cuDNN's convolutions want maps of one type");
  DOR_NEED(a->shape.d[3] > least && b->shape.d[3] > least, UNSUPPORTED, "a map of %d channels is no work for cuDNN", a->shape.d[3]);
  return DOR_OK;
}

static dor_status ungrouped(const dor_conv2d_attr *a)
{
  DOR_NEED(a->groups == 1, UNSUPPORTED, "cuDNN fuses nothing with a convolution of %d groups", a->groups);
  return DOR_OK;
}

static dor_status prepare_conv(const dor_prep *p, void **plan, size_t *scratch)
{
  dor_opgraph g = {.conv = *(const dor_conv2d_attr *)p->attr};
  DOR_TRY(alike(&p->in[0], &p->out[0], STEM));
  dor_og x = dor_og_in(&g, p, 0), w = dor_og_weights(&g, p, 1);
  dor_og_out(&g, p, 0, dor_og_conv(&g, x, w, p->out[0].shape.d));
  return dor_library_graph(p, &g, plan, scratch);
}

static dor_status prepare_dx(const dor_prep *p, void **plan, size_t *scratch)
{
  dor_opgraph g = {.conv = *(const dor_conv2d_attr *)p->attr};
  DOR_TRY(alike(&p->in[0], &p->out[0], STEM));
  dor_og dy = dor_og_in(&g, p, 0), w = dor_og_weights(&g, p, 1);
  dor_og_out(&g, p, 0, dor_og_dx(&g, dy, w, p->out[0].shape.d));
  return dor_library_graph(p, &g, plan, scratch);
}

static dor_status prepare_dw(const dor_prep *p, void **plan, size_t *scratch)
{
  dor_opgraph g = {.conv = *(const dor_conv2d_attr *)p->attr};
  DOR_TRY(alike(&p->in[0], &p->in[1], STEM));
  dor_og x = dor_og_in(&g, p, 0), dy = dor_og_in(&g, p, 1);
  dor_og_out_weights(&g, p, 0, dor_og_dw(&g, x, dy, p->out[0].shape));
  return dor_library_graph(p, &g, plan, scratch);
}

static dor_status prepare_stats(const dor_prep *p, void **plan, size_t *scratch)
{
  dor_opgraph g = {.conv = *(const dor_conv2d_attr *)p->attr};
  DOR_TRY(alike(&p->in[0], &p->out[0], STEM));
  DOR_TRY(ungrouped(&g.conv));
  dor_og x = dor_og_in(&g, p, 0), w = dor_og_weights(&g, p, 1), y = dor_og_conv(&g, x, w, p->out[0].shape.d);
  dor_og_out(&g, p, 0, y);
  dor_og_out_moments(&g, p, 1, y);
  return dor_library_graph(p, &g, plan, scratch);
}

static dor_status prepare_dx_add(const dor_prep *p, void **plan, size_t *scratch)
{
  dor_opgraph g = {.conv = *(const dor_conv2d_attr *)p->attr};
  DOR_TRY(alike(&p->in[0], &p->out[0], STEM));
  DOR_TRY(alike(&p->in[2], &p->out[0], STEM));
  DOR_TRY(ungrouped(&g.conv));
  dor_og dy = dor_og_in(&g, p, 0), w = dor_og_weights(&g, p, 1), r = dor_og_in(&g, p, 2);
  dor_og_out(&g, p, 0, dor_og_add(&g, dor_og_dx(&g, dy, w, p->out[0].shape.d), r));
  return dor_library_graph(p, &g, plan, scratch);
}

static dor_status prepare_affine(const dor_prep *p, void **plan, size_t *scratch)
{
  const dor_affine_attr *a = p->attr;
  dor_opgraph g = {.conv = a->conv};
  DOR_TRY(alike(&p->in[0], &p->out[0], STEM));
  DOR_TRY(ungrouped(&g.conv));
  dor_og affine[2], x = dor_og_in(&g, p, 0), w = dor_og_weights(&g, p, 1), v = dor_og_conv(&g, x, w, p->out[0].shape.d);
  dor_og_affine(&g, p, 2, a->eps, affine); /* scale, shift */
  v = dor_og_add(&g, dor_og_mul(&g, v, affine[0]), affine[1]);
  if (p->nin > 6) v = dor_og_add(&g, v, dor_og_in(&g, p, 6));
  if (a->relu) v = dor_og_relu(&g, v);
  dor_og_out(&g, p, 0, v);
  return dor_library_graph(p, &g, plan, scratch);
}

#define KERNEL(op, how)              \
  extern const dor_kernel op##_cudnn; \
  const dor_kernel op##_cudnn = {.name = #op "_cudnn", .prepare = how, DOR_LIBRARY_KERNEL};
KERNEL(conv2d, prepare_conv)
KERNEL(conv2d_dx, prepare_dx)
KERNEL(conv2d_dw, prepare_dw)
KERNEL(conv_transpose2d, prepare_dx)
KERNEL(conv2d_stats, prepare_stats)
KERNEL(conv2d_dx_add, prepare_dx_add)
KERNEL(conv2d_affine, prepare_affine)
