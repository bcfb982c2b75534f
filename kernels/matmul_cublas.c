/* SPDX-License-Identifier: Apache-2.0
 *
 * matmul by cuBLASLt, as library.h describes a product. */
#include "kernels/library.h"
#include "ops/attrs.h"

static dor_status prepare(const dor_prep *p, void **plan, size_t *scratch)
{
  const dor_matmul_attr *t = p->attr;
  const dor_shape a = p->in[0].shape, y = p->out[0].shape;
  dor_product d = {.m = y.d[0], .n = y.d[1], .k = a.d[t->ta ? 0 : 1], .batch = 1, .ta = t->ta, .tb = t->tb,
                   .type_a = p->in[0].dtype, .type_b = p->in[1].dtype, .type_c = p->out[0].dtype,
                   .a = dor_from_in(0), .b = dor_from_in(1), .c = dor_from_out(0), .bias = DOR_FROM_NONE,
                   .gate_a = DOR_FROM_NONE, .gate_b = DOR_FROM_NONE};
  return dor_library_product(p, &d, plan, scratch);
}

extern const dor_kernel matmul_cublas;
const dor_kernel matmul_cublas = {.name = "matmul_cublas", .prepare = prepare, DOR_LIBRARY_KERNEL};
