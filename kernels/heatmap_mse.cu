/* SPDX-License-Identifier: Apache-2.0
 *
 * heatmap_mse: loss and slope in one pass over maps and targets, four numbers at a time; blocks' sums meet in order. */
#include "kernels/cuda.cuh"

namespace {

enum { QUADS = 4, PIECE = 4 * QUADS * CU_BLOCK }; /* numbers of one block */

struct heat { const float *x, *t, *mask; float *slope, *part; unsigned size, joints; float factor; };

__device__ __forceinline__ float pixel(const heat &s, unsigned i, float x, float t, float *slope)
{
  float m = s.mask[i / s.joints];
  *slope = m * s.factor * scalar_mse_slope(x, t);
  return m * scalar_mse(x, t);
}

__device__ __forceinline__ float quad(const heat &s, unsigned i)
{
  const float4 x = *(const float4 *)(s.x + i), t = *(const float4 *)(s.t + i);
  float4 slope;
  float sum = pixel(s, i, x.x, t.x, &slope.x);
  sum += pixel(s, i + 1, x.y, t.y, &slope.y);
  sum += pixel(s, i + 2, x.z, t.z, &slope.z);
  sum += pixel(s, i + 3, x.w, t.w, &slope.w);
  *(float4 *)(s.slope + i) = slope;
  return sum;
}

__global__ void __launch_bounds__(CU_BLOCK) compare(heat s)
{
  float sum = 0.0f;
  for (unsigned k = 0; k < QUADS; k++) {
    unsigned i = blockIdx.x * PIECE + 4 * (k * CU_BLOCK + threadIdx.x);
    if (i + 4 <= s.size) sum += quad(s, i);
    else
      for (; i < s.size; i++) sum += pixel(s, i, s.x[i], s.t[i], &s.slope[i]);
  }
  sum = cu_block_sum(sum);
  if (!threadIdx.x) s.part[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(CU_BLOCK) meet(const float *part, int n, float factor, float *loss)
{
  float v = 0.0f;
  for (int i = (int)threadIdx.x; i < n; i += CU_BLOCK) v += part[i];
  v = cu_block_sum(v);
  if (!threadIdx.x) *loss = v * factor;
}

} // namespace

static int64_t pieces(int64_t size) { return (size + PIECE - 1) / PIECE; }

static dor_status prepare(const dor_prep *p, void **, size_t *scratch)
{
  int64_t size = dor_shape_size(p->in[0].shape);
  DOR_NEED(size < INT32_MAX - PIECE, UNSUPPORTED, "heatmap_mse: maps of %lld numbers", (long long)size);
  *scratch = (size_t)pieces(size) * sizeof(float);
  return DOR_OK;
}

static void heatmap_mse_run(const dor_call *c)
{
  int64_t size = dor_shape_size(c->in[0].shape);
  float factor = (float)(1.0 / (double)size);
  heat s = {(const float *)c->in[0].data, (const float *)c->in[1].data, (const float *)c->in[2].data, (float *)c->out[1].data, (float *)c->scratch,
            (unsigned)size, (unsigned)c->in[0].shape.d[3], factor};
  CU_LAUNCH(compare, (unsigned)pieces(size), CU_BLOCK, 0, c->stream, s);
  CU_LAUNCH(meet, 1, CU_BLOCK, 0, c->stream, s.part, (int)pieces(size), factor, (float *)c->out[0].data);
}
DOR_CUDA_SCRATCH(heatmap_mse, prepare)
