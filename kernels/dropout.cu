/* SPDX-License-Identifier: Apache-2.0
 *
 * dropout and its gradient: the same mask drawn twice, four elements a draw, the
 * same integers as on the CPU. */
#include "kernels/pack.cuh"

extern "C" {
#include "base/rng.h"
}

namespace {

template <class T>
__global__ void drop(const T *x, T *y, int64_t n, bool wide, float p, float scale, const dor_step *step, uint64_t purpose, size_t stride)
{
  cu_to_model(stride, x, y, step);
  uint64_t key = dor_rng_key(step->seed, purpose), where = dor_rng_where(step->step, step->micro);
  for (int64_t q = cu_first(); 4 * q < n; q += cu_stride()) {
    dor_rng4 r = dor_philox(key, where, (uint64_t)q);
    int64_t at = 4 * q;
    if (wide && at + 4 <= n) {
      float v[4];
      cu_load(x + at, v);
      for (int j = 0; j < 4; j++) v[j] = dor_rng_unit(r.v[j]) < p ? 0.0f : v[j] * scale;
      cu_store(y + at, v);
    } else
      for (int j = 0; j < 4; j++)
        if (at + j < n) y[at + j] = cut<T>(dor_rng_unit(r.v[j]) < p ? 0.0f : real(x[at + j]) * scale);
  }
}

template <class T> void launch(const dor_call *c)
{
  double p = ((const dor_dropout_attr *)c->attr)->p;
  int64_t n = dor_shape_size(c->in[0].shape);
  const T *x = (const T *)c->in[0].data;
  T *y = (T *)c->out[0].data;
  bool wide = cu_aligned(x) && cu_aligned(y) && c->stride % 16 == 0;
  CU_LAUNCH(drop<T>, cu_fleet(c, cu_grid((n + 3) / 4)), CU_BLOCK, 0, c->stream, x, y, n, wide, (float)p, (float)(1 / (1 - p)), c->step, c->key, c->stride);
}

void dropout_run(const dor_call *c) { CU_BY_TYPE(c->in[0].dtype, T, launch<T>(c)) }
void dropout_bwd_run(const dor_call *c) { dropout_run(c); }

} /* namespace */

DOR_CUDA_FLEET(dropout, nullptr)
DOR_CUDA_FLEET(dropout_bwd, nullptr)
