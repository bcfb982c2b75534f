/* SPDX-License-Identifier: Apache-2.0
 *
 * linear and its gradients by cuBLASLt: bias and ReLU in the epilogue, the gradient behind a ReLU as a gate before the
 * product, the bias' gradient as the column sums of what is multiplied anyway. */
#include "kernels/copies.h"
#include "kernels/library.h"
#include "ops/attrs.h"

static bool has_relu(const dor_prep *p) { return ((const dor_linear_attr *)p->attr)->relu; }

static dor_product product(int64_t m, int64_t n, int64_t k)
{
  return (dor_product){.m = m, .n = n, .k = k, .batch = 1, .bias = DOR_FROM_NONE, .gate_a = DOR_FROM_NONE, .gate_b = DOR_FROM_NONE};
}

/* Weights in another type than the map: by the program's copy, where it keeps one. */
static void take_weights(const dor_prep *p, int32_t i, dor_product *d)
{
  d->b = dor_from_in(i), d->type_b = p->in[i].dtype;
  if (d->type_a == d->type_b) return;
  d->copy_b = dor_copy_ask(p, i, d->type_a, p->in[i].shape.d[1], false);
  d->copied_b = d->copy_b >= 0;
  if (d->copied_b) d->type_b = d->type_a;
}

static dor_status forward(const dor_prep *p, void **plan, size_t *scratch) /* (x, w, b) -> y */
{
  dor_product d = product(p->in[0].shape.d[0], p->in[1].shape.d[1], p->in[0].shape.d[1]);
  d.type_a = p->in[0].dtype, d.type_c = p->out[0].dtype, d.type_bias = p->in[2].dtype;
  d.a = dor_from_in(0), d.c = dor_from_out(0), d.bias = dor_from_in(2);
  take_weights(p, 1, &d);
  d.epilogue = has_relu(p) ? DOR_EPILOGUE_BIAS_RELU : DOR_EPILOGUE_BIAS;
  return dor_library_product(p, &d, plan, scratch);
}

static dor_status dx(const dor_prep *p, void **plan, size_t *scratch) /* (dy, y, w) -> dx = dz w' */
{
  dor_product d = product(p->in[0].shape.d[0], p->in[2].shape.d[0], p->in[2].shape.d[1]);
  d.type_a = p->in[0].dtype, d.type_c = p->out[0].dtype;
  d.a = dor_from_in(0), d.c = dor_from_out(0), d.tb = true;
  take_weights(p, 2, &d);
  if (has_relu(p)) d.gate_a = dor_from_in(1);
  return dor_library_product(p, &d, plan, scratch);
}

static dor_status dw(const dor_prep *p, void **plan, size_t *scratch) /* (x, dy, y) -> dw = x' dz, db = sum of dz */
{
  dor_product d = product(p->in[0].shape.d[1], p->in[1].shape.d[1], p->in[0].shape.d[0]);
  d.type_a = p->in[0].dtype, d.type_b = p->in[1].dtype, d.type_c = p->out[0].dtype, d.type_bias = p->out[1].dtype;
  d.a = dor_from_in(0), d.b = dor_from_in(1), d.c = dor_from_out(0), d.bias = dor_from_out(1), d.ta = true;
  d.epilogue = DOR_EPILOGUE_SUM_B;
  if (has_relu(p)) d.gate_b = dor_from_in(2);
  return dor_library_product(p, &d, plan, scratch);
}

extern const dor_kernel linear_cublas, linear_dx_cublas, linear_dw_cublas;
const dor_kernel linear_cublas = {.name = "linear_cublas", .prepare = forward, DOR_LIBRARY_KERNEL};
const dor_kernel linear_dx_cublas = {.name = "linear_dx_cublas", .prepare = dx, DOR_LIBRARY_KERNEL};
const dor_kernel linear_dw_cublas = {.name = "linear_dw_cublas", .prepare = dw, DOR_LIBRARY_KERNEL};
