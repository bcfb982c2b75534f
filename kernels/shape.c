/* SPDX-License-Identifier: Apache-2.0
 *
 * Moving numbers: transpose, slice, pad, concat. Whole contiguous runs are copied
 * at once. (reshape is a view and needs no kernel.) */
#include <string.h>

#include "kernels/reduce.h"
#include "ops/attrs.h"

/* Copy a window row by row (a row is a run along the last axis) between tensors with other strides. */
typedef struct copy { int64_t to[DOR_MAX_DIMS], from[DOR_MAX_DIMS]; dor_shape window; } copy;

static void strides(dor_shape s, int64_t out[DOR_MAX_DIMS])
{
  int64_t step = 1;
  for (int32_t i = s.n - 1; i >= 0; i--) out[i] = step, step *= s.d[i];
}

static void copy_axis(const copy *c, int32_t axis, const float *from, float *to)
{
  int64_t n = c->window.d[axis], f = c->from[axis], t = c->to[axis];
  if (axis == c->window.n - 1 && f == 1 && t == 1) {
    memcpy(to, from, (size_t)n * sizeof *to);
    return;
  }
  for (int64_t k = 0; k < n; k++) {
    if (axis == c->window.n - 1) to[k * t] = from[k * f];
    else copy_axis(c, axis + 1, from + k * f, to + k * t);
  }
}

static int64_t corner(const int64_t step[], const int32_t begin[], int32_t n)
{
  int64_t at = 0;
  for (int32_t i = 0; i < n; i++) at += step[i] * begin[i];
  return at;
}

static void transpose_run(const dor_call *c)
{
  const dor_transpose_attr *a = c->attr;
  dor_shape y = c->out[0].shape;
  copy k = {.window = y};
  int64_t step[DOR_MAX_DIMS] = {0};
  strides(c->in[0].shape, step);
  strides(y, k.to);
  for (int32_t i = 0; i < y.n; i++) k.from[i] = step[a->perm[i]];
  copy_axis(&k, 0, c->in[0].data, c->out[0].data);
}
const dor_kernel transpose_cpu = {.name = "transpose_cpu", .run = transpose_run};

static void slice_run(const dor_call *c)
{
  const dor_slice_attr *a = c->attr;
  copy k = {.window = c->out[0].shape};
  strides(c->in[0].shape, k.from);
  strides(c->out[0].shape, k.to);
  copy_axis(&k, 0, (const float *)c->in[0].data + corner(k.from, a->begin, k.window.n), c->out[0].data);
}
const dor_kernel slice_cpu = {.name = "slice_cpu", .run = slice_run};

static void pad_run(const dor_call *c)
{
  const dor_pad_attr *a = c->attr;
  copy k = {.window = c->in[0].shape};
  strides(c->in[0].shape, k.from);
  strides(c->out[0].shape, k.to);
  memset(c->out[0].data, 0, (size_t)dor_shape_size(c->out[0].shape) * sizeof(float));
  copy_axis(&k, 0, c->in[0].data, (float *)c->out[0].data + corner(k.to, a->before, k.window.n));
}
const dor_kernel pad_cpu = {.name = "pad_cpu", .run = pad_run};

static void concat_run(const dor_call *c)
{
  int32_t axis = ((const dor_axis_attr *)c->attr)->axis;
  copy k = {.window = {0}};
  strides(c->out[0].shape, k.to);
  float *to = c->out[0].data;
  for (int32_t j = 0; j < c->nin; j++) {
    k.window = c->in[j].shape;
    strides(k.window, k.from);
    copy_axis(&k, 0, c->in[j].data, to);
    to += k.to[axis] * k.window.d[axis];
  }
}
const dor_kernel concat_cpu = {.name = "concat_cpu", .run = concat_run};
