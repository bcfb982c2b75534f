/* SPDX-License-Identifier: Apache-2.0
 *
 * cast between float and the two short types, eight numbers a thread and turn. */
#include "kernels/pack.cuh"

namespace {

template <class A, class B> __global__ void cast(const A *x, B *y, int64_t n, bool wide)
{
  constexpr int L = 8;
  int64_t whole = wide ? n / L : 0;
  for (int64_t i = cu_first(); i < whole; i += cu_stride()) {
    float v[L];
    cu_load(x + i * L, v);
    cu_store(y + i * L, v);
  }
  for (int64_t i = whole * L + cu_first(); i < n; i += cu_stride()) y[i] = cut<B>(real(x[i]));
}

template <class A, class B> void launch(const dor_call *c)
{
  const A *x = (const A *)c->in[0].data;
  B *y = (B *)c->out[0].data;
  int64_t n = dor_shape_size(c->out[0].shape);
  bool wide = cu_aligned(x) && cu_aligned(y);
  auto kernel = cast<A, B>;
  CU_LAUNCH(kernel, cu_grid(wide ? n / 8 + 1 : n), CU_BLOCK, 0, c->stream, x, y, n, wide);
}

template <class A> void launch_from(const dor_call *c) { CU_BY_TYPE(c->out[0].dtype, B, launch<A, B>(c)) }
void cast_run(const dor_call *c) { CU_BY_TYPE(c->in[0].dtype, A, launch_from<A>(c)) }

} /* namespace */

DOR_CUDA(cast)
