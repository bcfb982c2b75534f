/* SPDX-License-Identifier: Apache-2.0
 *
 * Ops that treat each element alone: one loop each, made from scalar.h. */
#include "kernels/cuda.cuh"

template <class T> __global__ void relu_each(const T *x, T *y, int64_t n)
{
  for (int64_t i = cu_first(); i < n; i += cu_stride()) y[i] = cut<T>(scalar_relu(real(x[i])));
}

static void relu_run(const dor_call *c)
{
  const int64_t n = dor_shape_size(c->out[0].shape);
  CU_BY_TYPE(c->in[0].dtype, T, CU_LAUNCH(relu_each<T>, cu_grid(n), CU_BLOCK, 0, c->stream, (const T *)c->in[0].data, (T *)c->out[0].data, n))
}
DOR_CUDA(relu)
