/* SPDX-License-Identifier: Apache-2.0
 *
 * All weights turned and cast in one launch, or one for each thousand of them: a block a tile, through shared memory, so that
 * reading and writing are along rows. */
#include "kernels/index.cuh"

namespace {

enum { SIDE = 32, LINES = 8, FEW = 32, MANY = 1024 };

template <int N> struct list {
  int n;
  int first[N + 1]; /* tile of each */
  uint32_t from[N], to[N];
  int rows[N], columns[N];
  bool turned[N];
};

template <int N> __device__ __forceinline__ int which(const list<N> &l, int tile)
{
  int i = 0;
  for (int above = l.n - 1; i < above;) {
    const int middle = (i + above) / 2;
    if (l.first[middle + 1] > tile) above = middle;
    else i = middle + 1;
  }
  return i;
}

template <class T, int N> __global__ void copy(const __grid_constant__ list<N> l, const float *p, T *y, size_t stride)
{
  __shared__ float tile[SIDE][SIDE + 1];
  cu_to_model(stride, p, y);
  const int i = which(l, (int)blockIdx.x), rows = l.rows[i], columns = l.columns[i], across = (columns + SIDE - 1) / SIDE;
  const int at = (int)blockIdx.x - l.first[i], row = at / across * SIDE, column = at % across * SIDE, x = (int)threadIdx.x;
  for (int k = (int)threadIdx.y; k < SIDE; k += LINES)
    if (row + k < rows && column + x < columns) tile[k][x] = p[l.from[i] + (int64_t)(row + k) * columns + column + x];
  __syncthreads();
  for (int k = (int)threadIdx.y; k < SIDE; k += LINES) {
    if (l.turned[i] && column + k < columns && row + x < rows) y[l.to[i] + (int64_t)(column + k) * rows + row + x] = cut<T>(tile[x][k]);
    if (!l.turned[i] && row + k < rows && column + x < columns) y[l.to[i] + (int64_t)(row + k) * columns + column + x] = cut<T>(tile[k][x]);
  }
}

template <class T, int N> void copy_all(const dor_call *c)
{
  const dor_copies_attr *a = (const dor_copies_attr *)c->attr;
  list<N> l;
  for (int32_t from = 0; from < a->n; from += l.n) {
    l.n = 0, l.first[0] = 0;
    for (int32_t i = from; i < a->n && l.n < N; i++, l.n++) {
      const dor_copied *m = &a->at[i];
      l.from[l.n] = (uint32_t)m->from, l.to[l.n] = (uint32_t)m->to, l.rows[l.n] = m->rows, l.columns[l.n] = m->columns, l.turned[l.n] = m->turned;
      l.first[l.n + 1] = l.first[l.n] + (m->rows + SIDE - 1) / SIDE * ((m->columns + SIDE - 1) / SIDE);
    }
    CU_LAUNCH((copy<T, N>), cu_fleet(c, (unsigned)l.first[l.n]), dim3(SIDE, LINES), 0, c->stream, l, (const float *)c->in[0].data, (T *)c->out[0].data,
              c->stride);
  }
}

template <class T> void launch(const dor_call *c)
{
  if (((const dor_copies_attr *)c->attr)->n <= FEW) copy_all<T, FEW>(c);
  else copy_all<T, MANY>(c);
}

void copy_weights_run(const dor_call *c) { CU_BY_TYPE(c->out[0].dtype, T, launch<T>(c)) }

} // namespace

DOR_CUDA_FLEET(copy_weights, nullptr)
