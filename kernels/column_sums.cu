/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums down the columns: the gradient of a bias. */
#include "kernels/columns.cuh"

namespace {

int32_t channels_of(dor_shape s) { return s.d[s.n - 1]; }

template <class T, int V> struct plain_rows {
  const T *x;
  __device__ __forceinline__ void to_model(size_t stride) { cu_to_model(stride, x); }
  __device__ __forceinline__ plain_rows at(int32_t) const { return *this; }
  __device__ __forceinline__ void add(int64_t, int64_t at, float (&sum)[V]) const
  {
    float v[V];
    cu_load(x + at, v);
#pragma unroll
    for (int i = 0; i < V; i++) sum[i] += v[i];
  }
};

struct fold_sum {
  float *to;
  __device__ __forceinline__ void to_model(size_t stride) { cu_to_model(stride, to); }
  __device__ __forceinline__ void take(int32_t, double (&)[1]) const {}
  __device__ __forceinline__ void end(int32_t channel, const double (&sum)[1]) const { to[channel] = (float)sum[0]; }
};

template <class T, int V> void sums(const dor_call *c)
{
  dor_shape s = c->in[0].shape;
  launch_sums<1, V>(c, dor_shape_size(s) / channels_of(s), channels_of(s), plain_rows<T, V>{(const T *)c->in[0].data}, fold_sum{(float *)c->out[0].data});
}

void bias_db_run(const dor_call *c)
{
  CU_BY_TYPE(c->in[0].dtype, T, if (columns_wide(c, channels_of(c->in[0].shape), cu_lanes<T>)) sums<T, cu_lanes<T>>(c); else sums<T, 1>(c))
}

dor_status bias_db_prepare(const dor_prep *p, void **, size_t *scratch)
{
  dor_shape s = p->in[0].shape;
  *scratch = sum_scratch(dor_shape_size(s) / channels_of(s), channels_of(s), (int)(16 / dor_dtype_size(p->in[0].dtype)), 1);
  return DOR_OK;
}

} // namespace

DOR_CUDA_FLEET(bias_db, bias_db_prepare)
