/* SPDX-License-Identifier: Apache-2.0
 *
 * matmul and linear on a GPU by tiles in shared memory: what serves where cuBLASLt declines, and all models of a fleet at
 * once. Each number is summed over k from first to last; where k is long and the tiles are few, in runs of k whose sums
 * meet in order. Both depend on the shapes alone, so a product has the same bits wherever it runs. */
#include "kernels/cuda.cuh"

namespace {

enum { SIDE = 16, DEPTH = 16, THREADS = SIDE * SIDE }; /* threads of a block each way; k's in shared memory at a time */

/* C [m,n] = A B: A[i][p] = a[i a_row + p a_step], B[p][j] = b[p b_step + j b_column]. What a gate holds back counts as 0. */
template <class A, class B, class C> struct product {
  const A *a, *gate_a;
  const B *b, *gate_b;
  C *c;
  const float *bias; /* [n], or null */
  float *sum;        /* [n], or null: the sums of B's columns are wanted here */
  float *part;       /* [runs,m + 1,n] where k is split; the last row is sum's */
  int64_t m, n, k, run; /* run: k's of one block */
  int64_t a_row, a_step, b_step, b_column;
  bool relu;
  size_t stride; /* between the models of a fleet */
};

template <class P> __device__ __forceinline__ void to_model(P &p) { cu_to_model(p.stride, p.a, p.gate_a, p.b, p.gate_b, p.c, p.bias, p.sum, p.part); }

template <class T> __device__ __forceinline__ float gated(const T *x, const T *gate, int64_t at)
{
  return gate && !(real(gate[at]) > 0.0f) ? 0.0f : real(x[at]);
}

/* Numbers [from, from + LINES) x [k, k + DEPTH) of a matrix, R to a thread: neighbours in memory go to neighbours in the block. */
template <int R, class T>
__device__ __forceinline__ void fetch(const T *x, const T *gate, int64_t from, int64_t lines, int64_t line, int64_t k, int64_t end, int64_t step, float got[R])
{
  for (int i = 0; i < R; i++) {
    int at = (int)threadIdx.x + i * THREADS;
    int64_t l = from + (step == 1 ? at / DEPTH : at % (R * SIDE)), p = k + (step == 1 ? at % DEPTH : at / (R * SIDE));
    got[i] = l < lines && p < end ? gated(x, gate, l * line + p * step) : 0.0f;
  }
}

template <int R> __device__ __forceinline__ void put(float (*tile)[R * SIDE + 4], int64_t step, const float got[R])
{
  for (int i = 0; i < R; i++) {
    int at = (int)threadIdx.x + i * THREADS;
    tile[step == 1 ? at % DEPTH : at / (R * SIDE)][step == 1 ? at / DEPTH : at % (R * SIDE)] = got[i];
  }
}

/* All DEPTH k's of the two tiles into a thread's R x R sums, and into the R column sums. */
template <int R>
__device__ __forceinline__ void multiply_add(float (*a)[R * SIDE + 4], float (*b)[R * SIDE + 4], int row, int column, bool summed,
                                             float acc[R][R], float sum[R])
{
  for (int p = 0; p < DEPTH; p++) {
    float x[R], y[R];
    for (int i = 0; i < R; i++) x[i] = a[p][row + i], y[i] = b[p][column + i];
    for (int i = 0; i < R; i++) {
      if (summed) sum[i] += y[i];
      for (int j = 0; j < R; j++) acc[i][j] += x[i] * y[j];
    }
  }
}

template <class A, class B, class C> __device__ __forceinline__ void finish(const product<A, B, C> &p, int64_t i, int64_t j, float v)
{
  if (p.bias) v += p.bias[j];
  p.c[i * p.n + j] = cut<C>(p.relu ? scalar_relu(v) : v);
}

template <int R, class A, class B, class C>
__device__ __forceinline__ void store(const product<A, B, C> &p, int64_t i0, int64_t j0, const float acc[R][R], const float sum[R])
{
  float *part = p.part ? p.part + (int64_t)blockIdx.y * (p.m + 1) * p.n : nullptr, *total = part ? part + p.m * p.n : p.sum;
  for (int j = 0; j < R && j0 + j < p.n; j++) {
    for (int i = 0; i < R && i0 + i < p.m; i++) {
      if (part) part[(i0 + i) * p.n + j0 + j] = acc[i][j];
      else finish(p, i0 + i, j0 + j, acc[i][j]);
    }
    if (p.sum && !i0) total[j0 + j] = sum[j];
  }
}

/* A block: one tile of (16 R)^2 numbers over one run of k. Blocks count tiles along x, runs along y. */
template <int R, class A, class B, class C> __global__ void __launch_bounds__(THREADS) multiply(product<A, B, C> p)
{
  alignas(16) __shared__ float a[DEPTH][R * SIDE + 4], b[DEPTH][R * SIDE + 4];
  const int64_t across = (p.n + R * SIDE - 1) / (R * SIDE), i0 = (int64_t)blockIdx.x / across * (R * SIDE), j0 = (int64_t)blockIdx.x % across * (R * SIDE);
  const int64_t lo = (int64_t)blockIdx.y * p.run, hi = lo + p.run < p.k ? lo + p.run : p.k;
  const int row = (int)threadIdx.x / SIDE * R, column = (int)threadIdx.x % SIDE * R;
  float acc[R][R] = {}, sum[R] = {}, from_a[R], from_b[R];
  to_model(p);
  fetch<R>(p.a, p.gate_a, i0, p.m, p.a_row, lo, hi, p.a_step, from_a);
  fetch<R>(p.b, p.gate_b, j0, p.n, p.b_column, lo, hi, p.b_step, from_b);
  for (int64_t k = lo; k < hi; k += DEPTH) {
    put<R>(a, p.a_step, from_a);
    put<R>(b, p.b_step, from_b);
    __syncthreads();
    fetch<R>(p.a, p.gate_a, i0, p.m, p.a_row, k + DEPTH, hi, p.a_step, from_a); /* on its way while the tiles are multiplied */
    fetch<R>(p.b, p.gate_b, j0, p.n, p.b_column, k + DEPTH, hi, p.b_step, from_b);
    multiply_add<R>(a, b, row, column, p.sum && !i0 && !row, acc, sum);
    __syncthreads();
  }
  store<R>(p, i0 + row, j0 + column, acc, sum);
}

/* The runs' sums meet in order: numbers of C, then the column sums. */
template <class A, class B, class C> __global__ void __launch_bounds__(CU_BLOCK) gather(product<A, B, C> p, int runs)
{
  const int64_t size = p.m * p.n, all = p.sum ? size + p.n : size;
  to_model(p);
  for (int64_t at = cu_first(); at < all; at += cu_stride()) {
    float v = 0.0f;
    for (int r = 0; r < runs; r++) v += p.part[(size + p.n) * r + at];
    if (at < size) finish(p, at / p.n, at % p.n, v);
    else p.sum[at - size] = v;
  }
}

} // namespace

/* ---- how a product is cut ---- */

typedef struct cutting { int side, runs; int64_t tiles, run; } cutting; /* side: of a tile */

enum { ENOUGH_TILES = 64, LEAST_RUN = 256, MOST_RUNS = 64 };

static int64_t tiles_of(int64_t m, int64_t n, int64_t side) { return (m + side - 1) / side * ((n + side - 1) / side); }

static cutting cut_product(int64_t m, int64_t n, int64_t k)
{
  cutting c;
  c.side = tiles_of(m, n, 64) >= ENOUGH_TILES ? 64 : 32;
  c.tiles = tiles_of(m, n, c.side);
  int64_t runs = k / LEAST_RUN, wanted = (ENOUGH_TILES + c.tiles - 1) / c.tiles;
  runs = runs > wanted ? wanted : runs;
  if (runs > MOST_RUNS) runs = MOST_RUNS;
  if (runs < 1) runs = 1;
  c.run = (k + runs - 1) / runs;
  c.run = (c.run + DEPTH - 1) / DEPTH * DEPTH;
  c.runs = k ? (int)((k + c.run - 1) / c.run) : 1;
  return c;
}

static size_t scratch_of(int64_t m, int64_t n, int64_t k)
{
  cutting c = cut_product(m, n, k);
  return c.runs > 1 ? (size_t)c.runs * (size_t)((m + 1) * n) * sizeof(float) : 0;
}

template <class A, class B, class C> static void launch(const dor_call *c, product<A, B, C> p)
{
  cutting cuts = cut_product(p.m, p.n, p.k);
  dim3 grid = cu_fleet(c, dim3((unsigned)cuts.tiles, (unsigned)cuts.runs));
  p.run = cuts.run;
  p.stride = c->stride;
  p.part = cuts.runs > 1 ? (float *)c->scratch : nullptr;
  if (cuts.side == 64) CU_LAUNCH((multiply<4, A, B, C>), grid, THREADS, 0, c->stream, p);
  else CU_LAUNCH((multiply<2, A, B, C>), grid, THREADS, 0, c->stream, p);
  if (p.part) CU_LAUNCH((gather<A, B, C>), cu_fleet(c, cu_grid((p.m + 1) * p.n)), CU_BLOCK, 0, c->stream, p, cuts.runs);
}

/* ---- matmul ---- */

template <class T> static void matmul_launch(const dor_call *c)
{
  const dor_matmul_attr *t = (const dor_matmul_attr *)c->attr;
  const int32_t *a = c->in[0].shape.d, *b = c->in[1].shape.d, *y = c->out[0].shape.d;
  product<T, T, T> p = {};
  p.a = (const T *)c->in[0].data, p.b = (const T *)c->in[1].data, p.c = (T *)c->out[0].data;
  p.m = y[0], p.n = y[1], p.k = a[t->ta ? 0 : 1];
  p.a_row = t->ta ? 1 : a[1], p.a_step = t->ta ? a[1] : 1;
  p.b_step = t->tb ? 1 : b[1], p.b_column = t->tb ? b[1] : 1;
  launch(c, p);
}

static void matmul_run(const dor_call *c) { CU_BY_TYPE(c->in[0].dtype, T, matmul_launch<T>(c)) }

static dor_status matmul_prepare(const dor_prep *p, void **, size_t *scratch)
{
  const dor_shape y = p->out[0].shape;
  *scratch = scratch_of(y.d[0], y.d[1], p->in[0].shape.d[((const dor_matmul_attr *)p->attr)->ta ? 0 : 1]);
  return DOR_OK;
}
DOR_CUDA_FLEET(matmul, matmul_prepare)

/* ---- linear: parameters and their gradients are float ---- */

static bool has_relu(const dor_call *c) { return ((const dor_linear_attr *)c->attr)->relu; }

template <class T> static void linear_launch(const dor_call *c)
{
  const int32_t *x = c->in[0].shape.d, *w = c->in[1].shape.d;
  product<T, float, T> p = {};
  p.a = (const T *)c->in[0].data, p.b = (const float *)c->in[1].data, p.c = (T *)c->out[0].data, p.bias = (const float *)c->in[2].data;
  p.m = x[0], p.n = w[1], p.k = x[1];
  p.a_row = x[1], p.a_step = 1, p.b_step = w[1], p.b_column = 1;
  p.relu = has_relu(c);
  launch(c, p);
}

static void linear_run(const dor_call *c) { CU_BY_TYPE(c->in[0].dtype, T, linear_launch<T>(c)) }

static dor_status linear_prepare(const dor_prep *p, void **, size_t *scratch)
{
  *scratch = scratch_of(p->in[0].shape.d[0], p->in[1].shape.d[1], p->in[0].shape.d[1]);
  return DOR_OK;
}
DOR_CUDA_FLEET(linear, linear_prepare)

template <class T> static void dx_launch(const dor_call *c) /* (dy, y, w) -> dx = dz w' */
{
  const int32_t *dy = c->in[0].shape.d, *w = c->in[2].shape.d;
  product<T, float, T> p = {};
  p.a = (const T *)c->in[0].data, p.b = (const float *)c->in[2].data, p.c = (T *)c->out[0].data;
  p.gate_a = has_relu(c) ? (const T *)c->in[1].data : nullptr;
  p.m = dy[0], p.n = w[0], p.k = w[1];
  p.a_row = dy[1], p.a_step = 1, p.b_step = 1, p.b_column = w[1];
  launch(c, p);
}

static void linear_dx_run(const dor_call *c) { CU_BY_TYPE(c->in[0].dtype, T, dx_launch<T>(c)) }

static dor_status dx_prepare(const dor_prep *p, void **, size_t *scratch)
{
  *scratch = scratch_of(p->in[0].shape.d[0], p->in[2].shape.d[0], p->in[2].shape.d[1]);
  return DOR_OK;
}
DOR_CUDA_FLEET(linear_dx, dx_prepare)

template <class T> static void dw_launch(const dor_call *c) /* (x, dy, y) -> dw = x' dz, db = sum of dz */
{
  const int32_t *x = c->in[0].shape.d, *dy = c->in[1].shape.d;
  product<T, T, float> p = {};
  p.a = (const T *)c->in[0].data, p.b = (const T *)c->in[1].data, p.c = (float *)c->out[0].data, p.sum = (float *)c->out[1].data;
  p.gate_b = has_relu(c) ? (const T *)c->in[2].data : nullptr;
  p.m = x[1], p.n = dy[1], p.k = x[0];
  p.a_row = 1, p.a_step = x[1], p.b_step = dy[1], p.b_column = 1;
  launch(c, p);
}

static void linear_dw_run(const dor_call *c) { CU_BY_TYPE(c->in[0].dtype, T, dw_launch<T>(c)) }

static dor_status dw_prepare(const dor_prep *p, void **, size_t *scratch)
{
  *scratch = scratch_of(p->in[0].shape.d[1], p->in[1].shape.d[1], p->in[0].shape.d[0]);
  return DOR_OK;
}
DOR_CUDA_FLEET(linear_dw, dw_prepare)
