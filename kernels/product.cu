/* SPDX-License-Identifier: Apache-2.0
 *
 * What goes on before and after a product of cuBLASLt: gradients behind a ReLU masked, float weights narrowed, a bias
 * added, columns summed. */
#include "kernels/cuda.cuh"
extern "C" {
#include "kernels/product.h"
}

namespace {

template <class T, class U> __global__ void __launch_bounds__(CU_BLOCK) copy(int64_t n, const T *x, const T *gate, U *out)
{
  for (int64_t i = cu_first(); i < n; i += cu_stride()) out[i] = cut<U>(gate && !(real(gate[i]) > 0.0f) ? 0.0f : real(x[i]));
}

template <class T> __global__ void __launch_bounds__(CU_BLOCK) add_bias(int64_t size, int64_t n, const float *bias, bool relu, T *c)
{
  for (int64_t i = cu_first(); i < size; i += cu_stride()) {
    float v = real(c[i]) + bias[i % n];
    c[i] = cut<T>(relu ? scalar_relu(v) : v);
  }
}

enum { COLUMNS = 32, LINES = CU_BLOCK / COLUMNS, RUN = 256 }; /* rows that one block sums */

/* A block: 32 columns over a run of rows. Its 8 lines take every eighth row, and meet in order. */
template <class T> __global__ void __launch_bounds__(CU_BLOCK) sum_columns(int64_t k, int64_t n, const T *x, float *out)
{
  __shared__ float line[LINES][COLUMNS];
  const int64_t j = (int64_t)blockIdx.x * COLUMNS + threadIdx.x % COLUMNS, lo = (int64_t)blockIdx.y * RUN, hi = lo + RUN < k ? lo + RUN : k;
  float v = 0.0f;
  for (int64_t r = lo + threadIdx.x / COLUMNS; r < hi && j < n; r += LINES) v += real(x[r * n + j]);
  line[threadIdx.x / COLUMNS][threadIdx.x % COLUMNS] = v;
  __syncthreads();
  if (threadIdx.x >= COLUMNS || j >= n) return;
  for (int l = 1; l < LINES; l++) v += line[l][threadIdx.x];
  out[(int64_t)blockIdx.y * n + j] = v;
}

int64_t runs_of(int64_t k) { return k > RUN ? (k + RUN - 1) / RUN : 1; }

template <class T> void sums(void *stream, int64_t k, int64_t n, const T *x, float *part, float *sum)
{
  dim3 columns((unsigned)((n + COLUMNS - 1) / COLUMNS), (unsigned)runs_of(k));
  CU_LAUNCH(sum_columns<T>, columns, CU_BLOCK, 0, stream, k, n, x, columns.y > 1 ? part : sum);
  if (columns.y > 1) sums<float>(stream, columns.y, n, part, part + columns.y * n, sum);
}

} // namespace

void dor_product_copy(void *stream, dor_dtype t, int64_t n, const void *x, const void *gate, dor_dtype to, void *out)
{
  CU_BY_TYPE(t, T, CU_BY_TYPE(to, U, CU_LAUNCH((copy<T, U>), cu_grid(n), CU_BLOCK, 0, stream, n, (const T *)x, (const T *)gate, (U *)out)))
}

void dor_product_bias(void *stream, dor_dtype t, int64_t m, int64_t n, const float *bias, bool relu, void *c)
{
  CU_BY_TYPE(t, T, CU_LAUNCH(add_bias<T>, cu_grid(m * n), CU_BLOCK, 0, stream, m * n, n, bias, relu, (T *)c))
}

void dor_product_sums(void *stream, dor_dtype t, int64_t k, int64_t n, const void *x, float *part, float *sum)
{
  CU_BY_TYPE(t, T, sums<T>(stream, k, n, (const T *)x, part, sum))
}

/* Of each round's runs: the last round writes the sums themselves. */
int64_t dor_product_sums_scratch(int64_t k, int64_t n)
{
  int64_t floats = 0;
  for (int64_t runs = runs_of(k); runs > 1; runs = runs_of(runs)) floats += runs * n;
  return floats;
}
