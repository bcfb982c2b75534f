/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of C channels as blocks walk them: a thread keeps to its V channels and goes down the rows, so that what belongs to
 * a channel is loaded once, and neighbours read neighbours. Sums over rows have two stages in a fixed order: within each
 * block in float, over the blocks in double. */
#ifndef DOR_KERNELS_COLUMNS_CUH
#define DOR_KERNELS_COLUMNS_CUH

#include "kernels/pack.cuh"

struct columns {
  int64_t rows;
  int32_t channels;
  uint32_t across, tall; /* of a block: threads side by side, rows at a time */
  uint32_t blocks, tiles; /* the grid: over rows, over channels */
};

/* V divides the channels. A thread has `least` rows or more, unless it is alone; the grid `most` blocks or fewer, unless the channels want more. */
static inline columns columns_of(int64_t rows, int32_t channels, int32_t v, int32_t least, int32_t most)
{
  columns s = {};
  uint32_t groups = (uint32_t)(channels / v);
  s.rows = rows, s.channels = channels;
  s.tiles = (groups + CU_BLOCK - 1) / CU_BLOCK;
  s.across = (groups + s.tiles - 1) / s.tiles;
  s.tall = CU_BLOCK / s.across;
  int64_t bite = (int64_t)s.tall * least, blocks = (rows + bite - 1) / bite, top = (uint32_t)most / s.tiles;
  s.blocks = (uint32_t)(blocks < 1 || top < 1 ? 1 : blocks < top ? blocks : top);
  return s;
}

/* Whether threads may take N channels at once: all maps (of more than one dimension) begin at such a place. */
static inline bool columns_wide(const dor_call *c, int32_t channels, int n)
{
  bool wide = channels % n == 0;
  for (int32_t i = 0; i < c->nin + c->nout; i++) {
    const dor_view *v = i < c->nin ? &c->in[i] : &c->out[i - c->nin];
    wide = wide && (v->shape.n < 2 || cu_aligned(v->data));
  }
  return wide;
}

struct column_place { /* of a thread */
  int64_t row, step;
  int32_t channel;
  uint32_t down; /* row within the block's */
  bool on;       /* some threads of a block are left over */
};

template <int V> __device__ __forceinline__ column_place place_in(const columns &s)
{
  uint32_t down = threadIdx.x / s.across, side = blockIdx.y * s.across + threadIdx.x % s.across;
  column_place p;
  p.row = (int64_t)blockIdx.x * s.tall + down;
  p.step = (int64_t)gridDim.x * s.tall;
  p.channel = (int32_t)side * V;
  p.down = down;
  p.on = down < s.tall && p.channel < s.channels;
  return p;
}

__device__ __forceinline__ uint32_t column_half(uint32_t n) /* the largest power of two below n; 0 for 1 */
{
  uint32_t s = 1;
  while (2 * s < n) s *= 2;
  return n > 1 ? s : 0;
}

/* ---- bytes beside maps: which of a window was the largest ---- */

template <int V> __device__ __forceinline__ void cu_load_bytes(const uint8_t *from, int (&v)[V])
{
  const cu_unit<V> unit = *reinterpret_cast<const cu_unit<V> *>(from);
  uint8_t byte[V];
  memcpy(byte, &unit, V);
#pragma unroll
  for (int i = 0; i < V; i++) v[i] = byte[i];
}

template <int V> __device__ __forceinline__ void cu_store_bytes(uint8_t *to, const int (&v)[V])
{
  uint8_t byte[V];
#pragma unroll
  for (int i = 0; i < V; i++) byte[i] = (uint8_t)v[i];
  cu_unit<V> unit;
  memcpy(&unit, byte, V);
  *reinterpret_cast<cu_unit<V> *>(to) = unit;
}

/* ---- one pass over rows: maps from maps ---- */

/* `of` knows the maps, and goes to those of another model of a fleet. of.at(channel) gives a lane, which knows its channels:
 * lane.load(row, place) -> Lane::in, lane.store(row, place, in). All loads of Lane::BATCH rows come before their stores, so that
 * enough of them are under way. */
template <int V, class Of> __global__ void __launch_bounds__(CU_BLOCK) each_row(columns s, Of of, size_t stride)
{
  of.to_model(stride);
  const column_place p = place_in<V>(s);
  if (!p.on) return;
  const auto lane = of.at(p.channel);
  constexpr int B = decltype(lane)::BATCH;
  int64_t r = p.row;
  for (; r + (B - 1) * p.step < s.rows; r += B * p.step) {
    typename decltype(lane)::in v[B];
#pragma unroll
    for (int b = 0; b < B; b++) v[b] = lane.load(r + b * p.step, (r + b * p.step) * s.channels + p.channel);
#pragma unroll
    for (int b = 0; b < B; b++) lane.store(r + b * p.step, (r + b * p.step) * s.channels + p.channel, v[b]);
  }
  for (; r < s.rows; r += p.step) lane.store(r, r * s.channels + p.channel, lane.load(r, r * s.channels + p.channel));
}

enum { EACH_ROW_LEAST = 4, EACH_ROW_MOST = 8192 };

template <int V, class Of> void launch_each_row(const dor_call *c, int64_t rows, int32_t channels, const Of &of)
{
  columns s = columns_of(rows, channels, V, EACH_ROW_LEAST, EACH_ROW_MOST);
  auto kernel = each_row<V, Of>;
  CU_LAUNCH(kernel, cu_fleet(c, dim3(s.blocks, s.tiles)), CU_BLOCK, 0, c->stream, s, of, c->stride);
}

/* ---- sums over rows: first a block's, then all blocks' ---- */

/* MOST: four blocks for each multiprocessor of an H100 or H200. STRETCH: rows a thread adds up before it adds that to its total. */
enum { SUM_LEAST = 8, SUM_MOST = 528, SUM_STRETCH = 64 };

static inline columns sums_of(int64_t rows, int32_t channels, int32_t v) { return columns_of(rows, channels, v, SUM_LEAST, SUM_MOST); }

/* Bytes for the blocks' sums, k a channel, whether threads take n channels or one. */
static inline size_t sum_scratch(int64_t rows, int32_t channels, int n, int k)
{
  uint32_t one = sums_of(rows, channels, 1).blocks, many = channels % n ? 0 : sums_of(rows, channels, n).blocks;
  return (size_t)(one > many ? one : many) * (size_t)channels * (size_t)k * sizeof(float);
}

/* v of the block's first row of threads becomes the sum over its rows; all threads come. */
template <int N> static __device__ __forceinline__ void sum_block(const columns &s, const column_place &p, float (&v)[N])
{
  __shared__ float part[N][CU_BLOCK];
  uint32_t t = threadIdx.x;
#pragma unroll
  for (int i = 0; i < N; i++) part[i][t] = v[i];
  for (uint32_t half = column_half(s.tall); half; half /= 2) {
    __syncthreads();
    if (p.down >= half || p.down + half >= s.tall) continue;
#pragma unroll
    for (int i = 0; i < N; i++) part[i][t] += part[i][t + half * s.across];
  }
#pragma unroll
  for (int i = 0; i < N; i++) v[i] = part[i][t];
}

/* part [blocks,K,C] of the sums in v [K,V]; from the block's first row of threads. */
template <int K, int V> __device__ __forceinline__ void put_part(const columns &s, const column_place &p, const float (&v)[K * V], float *part)
{
  if (!p.on || p.down) return;
#pragma unroll
  for (int k = 0; k < K; k++)
#pragma unroll
    for (int i = 0; i < V; i++) part[((int64_t)blockIdx.x * K + k) * s.channels + p.channel + i] = v[k * V + i];
}

/* of.at(channel) gives a lane; lane.add(row, place, sum [K * V]) adds that row's terms. */
template <int K, int V, class Of> __global__ void __launch_bounds__(CU_BLOCK) sum_columns(columns s, Of of, float *part, size_t stride)
{
  of.to_model(stride);
  cu_to_model(stride, part);
  const column_place p = place_in<V>(s);
  float total[K * V] = {};
  if (p.on) {
    const auto lane = of.at(p.channel);
    for (int64_t from = p.row; from < s.rows; from += SUM_STRETCH * p.step) {
      const int64_t to = from + SUM_STRETCH * p.step < s.rows ? from + SUM_STRETCH * p.step : s.rows;
      float sum[K * V] = {};
#pragma unroll(V == 1 ? 2 : 4) /* one channel at a time, four rows' addresses are more than sm_80's registers hold */
      for (int64_t r = from; r < to; r += p.step) lane.add(r, r * s.channels + p.channel, sum);
#pragma unroll
      for (int i = 0; i < K * V; i++) total[i] += sum[i];
    }
  }
  sum_block(s, p, total);
  put_part<K, V>(s, p, total, part);
}

enum { FOLD_ACROSS = 8, FOLD_TALL = CU_BLOCK / FOLD_ACROSS }; /* 8 floats are what memory gives at least */

/* The blocks' sums [blocks,K,C] added up in double: of.take(block, v [K]) may turn them into what adds up, of.end(channel, sum [K]) has the whole. */
template <int K, class P, class Of>
__global__ void __launch_bounds__(CU_BLOCK) fold_columns(const P *part, int32_t blocks, int32_t channels, Of of, size_t stride)
{
  of.to_model(stride);
  cu_to_model(stride, part);
  __shared__ double sum[K][CU_BLOCK];
  const int32_t t = (int32_t)threadIdx.x, down = t / FOLD_ACROSS, channel = (int32_t)blockIdx.x * FOLD_ACROSS + t % FOLD_ACROSS;
  double total[K] = {};
  for (int32_t b = down; b < blocks && channel < channels; b += FOLD_TALL) {
    double v[K];
#pragma unroll
    for (int k = 0; k < K; k++) v[k] = (double)part[((int64_t)b * K + k) * channels + channel];
    of.take(b, v);
#pragma unroll
    for (int k = 0; k < K; k++) total[k] += v[k];
  }
#pragma unroll
  for (int k = 0; k < K; k++) sum[k][t] = total[k];
  for (int32_t half = FOLD_TALL / 2; half; half /= 2) {
    __syncthreads();
    if (down >= half) continue;
#pragma unroll
    for (int k = 0; k < K; k++) sum[k][t] += sum[k][t + half * FOLD_ACROSS];
  }
#pragma unroll
  for (int k = 0; k < K; k++) total[k] = sum[k][t];
  if (!down && channel < channels) of.end(channel, total);
}

template <int K, class P, class Of> void launch_fold(const dor_call *c, const P *part, uint32_t blocks, int32_t channels, const Of &of)
{
  auto kernel = fold_columns<K, P, Of>;
  CU_LAUNCH(kernel, cu_fleet(c, dim3((unsigned)(channels + FOLD_ACROSS - 1) / FOLD_ACROSS)), CU_BLOCK, 0, c->stream, part, (int32_t)blocks, channels, of,
            c->stride);
}

/* Both stages over c->scratch, which holds sum_scratch() bytes. */
template <int K, int V, class Rows, class Of> void launch_sums(const dor_call *c, int64_t rows, int32_t channels, const Rows &in, const Of &of)
{
  columns s = sums_of(rows, channels, V);
  float *part = (float *)c->scratch;
  auto kernel = sum_columns<K, V, Rows>;
  CU_LAUNCH(kernel, cu_fleet(c, dim3(s.blocks, s.tiles)), CU_BLOCK, 0, c->stream, s, in, part, c->stride);
  launch_fold<K>(c, part, s.blocks, channels, of);
}

#endif
