/* SPDX-License-Identifier: Apache-2.0
 *
 * bce, mse, mae and softmax_ce: loss and slope in one pass. Each block has the sum of a piece, the pieces' sums meet in
 * order in a second launch, which a small batch does without. Every block sums the weights for itself: there are as many
 * as samples, and nobody has to wait. */
#include "kernels/cuda.cuh"

namespace {

enum { PIECE = 4096, ROWS = 64 }; /* elements, or samples of softmax_ce, of one block */

/* The sum of a block's `v`: into the loss where this block is alone, else into its part; the last part is the weights' sum. */
__device__ __forceinline__ void hand_in(float v, float total, float *part, float *loss)
{
  v = cu_block_sum(v);
  if (threadIdx.x) return;
  if (gridDim.x == 1) *loss = total > 0.0f ? v / total : 0.0f;
  else part[blockIdx.x] = v;
  if (gridDim.x > 1 && !blockIdx.x) part[gridDim.x] = total;
}

__global__ void __launch_bounds__(CU_BLOCK) meet(const float *part, int n, float *loss, size_t stride)
{
  cu_to_model(stride, part, loss);
  float v = 0.0f;
  for (int i = (int)threadIdx.x; i < n; i += CU_BLOCK) v += part[i];
  v = cu_block_sum(v);
  if (!threadIdx.x) *loss = part[n] > 0.0f ? v / part[n] : 0.0f;
}

/* ---- against targets ---- */

struct bce_of {
  static __device__ __forceinline__ float loss(float x, float t) { return scalar_bce(x, t); }
  static __device__ __forceinline__ float slope(float x, float t) { return scalar_bce_slope(x, t); }
};
struct mse_of {
  static __device__ __forceinline__ float loss(float x, float t) { return scalar_mse(x, t); }
  static __device__ __forceinline__ float slope(float x, float t) { return scalar_mse_slope(x, t); }
};
struct mae_of {
  static __device__ __forceinline__ float loss(float x, float t) { return scalar_mae(x, t); }
  static __device__ __forceinline__ float slope(float x, float t) { return scalar_mae_slope(x, t); }
};

struct measured { const float *x, *t, *w; float *slope, *part, *loss; unsigned n, m; size_t stride; }; /* n samples of m numbers */

template <class L> __global__ void __launch_bounds__(CU_BLOCK) measure(measured s)
{
  cu_to_model(s.stride, s.x, s.t, s.w, s.slope, s.part, s.loss);
  float total = 0.0f, sum = 0.0f;
  for (unsigned i = threadIdx.x; i < s.n; i += CU_BLOCK) total += s.w[i];
  total = cu_block_sum(total) * (float)s.m;
  const float inv = total > 0.0f ? 1.0f / total : 0.0f;
  const unsigned lo = blockIdx.x * PIECE, size = s.n * s.m, hi = size - lo < PIECE ? size : lo + PIECE;
  for (unsigned i = lo + threadIdx.x; i < hi; i += CU_BLOCK) {
    const float w = s.w[i / s.m];
    s.slope[i] = w * inv * L::slope(s.x[i], s.t[i]);
    sum += w * L::loss(s.x[i], s.t[i]);
  }
  hand_in(sum, total, s.part, s.loss);
}

/* ---- against labels ---- */

struct entropy { const float *x, *label, *weight, *class_weight; float *slope, *part, *loss; int n, k; float smoothing; size_t stride; };

__device__ __forceinline__ float of_class(const entropy &s, int j) { return s.class_weight ? s.class_weight[j] : 1.0f; }

__device__ __forceinline__ float share(const entropy &s, int j, int label) /* q of the definition, times the class' weight */
{
  return of_class(s, j) * ((j == label ? 1.0f - s.smoothing : 0.0f) + s.smoothing / (float)s.k);
}

/* The largest of a warp's numbers and the first place of it, in every lane. */
__device__ __forceinline__ float warp_top(const float *x, int k, int *at)
{
  float top = -INFINITY;
  *at = k;
  for (int j = (int)(threadIdx.x & 31u); j < k; j += 32)
    if (x[j] > top) top = x[j], *at = j;
  for (int o = 16; o; o >>= 1) {
    float other = __shfl_xor_sync(0xffffffffu, top, o);
    int place = __shfl_xor_sync(0xffffffffu, *at, o);
    if (other > top || (other == top && place < *at)) top = other, *at = place;
  }
  return top;
}

/* A warp's sample: its loss, weighted, and its slope. Sums leave the largest class out, and the label's, so that nothing
 * is lost where a network is sure of itself: 1 - p of the label is what the others have. */
__device__ __forceinline__ float sample(const entropy &s, int r, float inv)
{
  const float *x = s.x + (int64_t)r * s.k, w = s.weight[r];
  float *slope = s.slope + (int64_t)r * s.k, below = 0.0f, loss = 0.0f, others = 0.0f;
  const int lane = (int)(threadIdx.x & 31u), label = (int)s.label[r];
  int at;
  const float top = warp_top(x, s.k, &at);
  for (int j = lane; j < s.k; j += 32) below += j == at ? 0.0f : scalar_exp(x[j] - top);
  below = cu_warp_sum(below);
  const float logs = scalar_log1p(below), each = 1.0f / (1.0f + below);
  for (int j = lane; j < s.k; j += 32) {
    float q = share(s, j, label);
    loss += q * (logs - (x[j] - top));
    others += j == label ? 0.0f : q;
  }
  loss = cu_warp_sum(loss), others = cu_warp_sum(others);
  const float mine = share(s, label, label), mass = others + mine, scale = w * inv;
  const float rest = label == at ? below : 1.0f + (below - scalar_exp(x[label] - top));
  for (int j = lane; j < s.k; j += 32)
    slope[j] = scale * (j == label ? others - mass * rest * each : mass * scalar_exp(x[j] - top) * each - share(s, j, label));
  return w * loss;
}

__global__ void __launch_bounds__(CU_BLOCK) classify(entropy s)
{
  cu_to_model(s.stride, s.x, s.label, s.weight, s.class_weight, s.slope, s.part, s.loss);
  float total = 0.0f, sum = 0.0f;
  for (int r = (int)threadIdx.x; r < s.n; r += CU_BLOCK) total += s.weight[r] * of_class(s, (int)s.label[r]);
  total = cu_block_sum(total);
  const float inv = total > 0.0f ? 1.0f / total : 0.0f;
  const int lo = (int)blockIdx.x * ROWS, hi = s.n - lo < ROWS ? s.n : lo + ROWS;
  for (int r = lo + (int)(threadIdx.x >> 5); r < hi; r += CU_BLOCK / 32) sum += sample(s, r, inv);
  hand_in(threadIdx.x & 31u ? 0.0f : sum, total, s.part, s.loss);
}

} // namespace

/* ---- launches ---- */

static int64_t parts_of(int64_t size, int64_t piece) { return size > piece ? (size + piece - 1) / piece : 1; }

static dor_status parted(int64_t size, int64_t piece, size_t *scratch)
{
  DOR_NEED(size < INT32_MAX, UNSUPPORTED, "a loss of %lld numbers", (long long)size);
  int64_t parts = parts_of(size, piece);
  *scratch = parts > 1 ? (size_t)(parts + 1) * sizeof(float) : 0;
  return DOR_OK;
}

static void join(const dor_call *c, int64_t parts)
{
  if (parts > 1) CU_LAUNCH(meet, cu_fleet(c, 1), CU_BLOCK, 0, c->stream, (const float *)c->scratch, (int)parts, (float *)c->out[0].data, c->stride);
}

static dor_status prepare(const dor_prep *p, void **, size_t *scratch) { return parted(dor_shape_size(p->in[0].shape), PIECE, scratch); }

template <class L> static void run(const dor_call *c)
{
  int64_t size = dor_shape_size(c->in[0].shape), parts = parts_of(size, PIECE);
  unsigned n = (unsigned)c->in[0].shape.d[0];
  measured s = {(const float *)c->in[0].data, (const float *)c->in[1].data, (const float *)c->in[2].data, (float *)c->out[1].data,
                (float *)c->scratch, (float *)c->out[0].data, n, n ? (unsigned)size / n : 1, c->stride};
  CU_LAUNCH(measure<L>, cu_fleet(c, (unsigned)parts), CU_BLOCK, 0, c->stream, s);
  join(c, parts);
}

static void bce_run(const dor_call *c) { run<bce_of>(c); }
static void mse_run(const dor_call *c) { run<mse_of>(c); }
static void mae_run(const dor_call *c) { run<mae_of>(c); }
DOR_CUDA_FLEET(bce, prepare)
DOR_CUDA_FLEET(mse, prepare)
DOR_CUDA_FLEET(mae, prepare)

static dor_status ce_prepare(const dor_prep *p, void **, size_t *scratch) { return parted(p->in[0].shape.d[0], ROWS, scratch); }

static void softmax_ce_run(const dor_call *c)
{
  dor_shape x = c->in[0].shape;
  int64_t parts = parts_of(x.d[0], ROWS);
  entropy s = {(const float *)c->in[0].data, (const float *)c->in[1].data, (const float *)c->in[2].data,
               c->nin == 4 ? (const float *)c->in[3].data : nullptr, (float *)c->out[1].data, (float *)c->scratch, (float *)c->out[0].data,
               x.d[0], x.d[1], (float)((const dor_ce_attr *)c->attr)->smoothing, c->stride};
  CU_LAUNCH(classify, cu_fleet(c, (unsigned)parts), CU_BLOCK, 0, c->stream, s);
  join(c, parts);
}
DOR_CUDA_FLEET(softmax_ce, ce_prepare)
