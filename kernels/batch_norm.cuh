/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernels of batch norm share, alone and fused with ReLU and pooling. */
#ifndef DORSUM_KERNELS_BATCH_NORM_CUH
#define DORSUM_KERNELS_BATCH_NORM_CUH
#include "kernels/columns.cuh"

namespace {

__device__ __forceinline__ float inverse_sd(float var, float eps) { return 1.0f / sqrtf(var + eps); }

/* For launch_sums<2,V>: of the sums of g (x - mean) and of g in each channel, dgamma and dbeta. */
struct fold_gradient {
  const float *var;
  float eps, *dgamma, *dbeta;
  __device__ __forceinline__ void to_model(size_t stride) { cu_to_model(stride, var, dgamma, dbeta); }
  __device__ __forceinline__ void take(int32_t, double (&)[2]) const {}
  __device__ __forceinline__ void end(int32_t channel, const double (&sum)[2]) const
  {
    dgamma[channel] = (float)(sum[0] / sqrt((double)var[channel] + (double)eps));
    dbeta[channel] = (float)sum[1];
  }
};

/* The largest of a window's pixels after a ReLU, in V channels, and which of them it is: the first of equals. */
template <int V> struct largest {
  float value[V] = {}; /* the ReLU: it begins at 0 */
  int where[V] = {};
  __device__ __forceinline__ void take(int i, int at, float v)
  {
    if (v > value[i]) value[i] = v, where[i] = at;
  }
  template <class T> __device__ __forceinline__ void store(T *p, uint8_t *arg) const
  {
    cu_store(p, value);
    cu_store_bytes(arg, where);
  }
};

} // namespace
#endif
