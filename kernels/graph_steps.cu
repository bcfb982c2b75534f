/* SPDX-License-Identifier: Apache-2.0
 *
 * The steps around a cuDNN graph: weights turned from [K,K,C,O] to [O,K,K,C] and back, which is a matrix transposed with its
 * type changed on the way; batch norm of inference folded to a factor and a shift; moments from sums. */
#include "kernels/conv.cuh"
extern "C" {
#include "kernels/graph_steps.h"
}

enum { SIDE = 32, LINES = 8 };

__global__ void turn(cu_number from, void *to, int32_t dtype, int32_t rows, int32_t columns)
{
  __shared__ float tile[SIDE][SIDE + 1];
  int32_t x = (int32_t)threadIdx.x, row = (int32_t)blockIdx.y * SIDE, column = (int32_t)blockIdx.x * SIDE;
  for (int32_t y = (int32_t)threadIdx.y; y < SIDE; y += LINES)
    if (row + y < rows && column + x < columns) tile[y][x] = cu_get(from, (int64_t)(row + y) * columns + column + x);
  __syncthreads();
  for (int32_t y = (int32_t)threadIdx.y; y < SIDE; y += LINES)
    if (column + y < columns && row + x < rows) cu_put(to, dtype, (int64_t)(column + y) * rows + row + x, tile[x][y]);
}

__global__ void fold(const float *mean, const float *var, const float *gamma, const float *beta, float *scale, float *shift, int32_t n, double eps)
{
  int64_t i = cu_first();
  if (i >= n) return;
  scale[i] = (float)((double)gamma[i] / sqrt((double)var[i] + eps));
  shift[i] = beta[i] - mean[i] * scale[i];
}

__global__ void from_sums(const float *sum, const float *squares, float *mean, float *var, int32_t n, double count)
{
  int64_t i = cu_first();
  if (i >= n) return;
  double m = (double)sum[i] / count, v = (double)squares[i] / count - m * m;
  mean[i] = (float)m;
  var[i] = (float)(v < 0 ? 0 : v);
}

extern "C" void dor_step_turn(void *stream, const dor_view *from, const dor_view *to, int64_t rows, int64_t columns)
{
  dim3 grid((unsigned)((columns + SIDE - 1) / SIDE), (unsigned)((rows + SIDE - 1) / SIDE));
  CU_LAUNCH(turn, grid, dim3(SIDE, LINES), 0, stream, cu_number_of(*from), to->data, (int32_t)to->dtype, (int32_t)rows, (int32_t)columns);
}

extern "C" void dor_step_fold(void *stream, const float *const m[4], float *scale, float *shift, int32_t n, double eps)
{
  CU_LAUNCH(fold, cu_grid(n), CU_BLOCK, 0, stream, m[0], m[1], m[2], m[3], scale, shift, n, eps);
}

extern "C" void dor_step_moments(void *stream, const float *sum, const float *squares, float *mean, float *var, int32_t n, int64_t count)
{
  CU_LAUNCH(from_sums, cu_grid(n), CU_BLOCK, 0, stream, sum, squares, mean, var, n, (double)count);
}
