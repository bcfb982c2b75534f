/* SPDX-License-Identifier: Apache-2.0
 *
 * heatmap_target, a row of one map to a block: the joints near enough to reach the row are listed first, then each
 * number is the bump of the nearest of its joints. More people than the list holds come in turns. */
#include "kernels/cuda.cuh"
#include "kernels/index.cuh"

namespace {

enum { LISTED = 2048, JOINTS = 512 };

struct map {
  int32_t h, w, people, joints, reach, at_once; /* at_once: people in a turn */
  float sigma;
};

struct near { int32_t x, dy2; };

/* Of joint k: the people from..to whose joint is labelled, on the map and near row y. Returns how many. */
__device__ __forceinline__ int32_t list_joint(const map &m, const int32_t *joint, int32_t k, int32_t from, int32_t to, int32_t y, near *list)
{
  int32_t n = 0;
  for (int32_t p = from; p < to; p++) {
    const int32_t *j = joint + 3 * ((int64_t)p * m.joints + k);
    const int32_t x0 = j[0], y0 = j[1], dy = y - y0;
    if (j[2] <= 0 || x0 < 0 || y0 < 0 || x0 >= m.w || y0 >= m.h || dy > m.reach || dy < -m.reach) continue;
    list[n].x = x0;
    list[n++].dy2 = dy * dy;
  }
  return n;
}

__device__ __forceinline__ float bump(const map &m, const near *list, int32_t n, int32_t x)
{
  int32_t least = INT32_MAX;
  for (int32_t i = 0; i < n; i++) {
    const int32_t dx = x - list[i].x;
    if (dx <= m.reach && dx >= -m.reach) least = min(least, dx * dx + list[i].dy2);
  }
  return least == INT32_MAX ? 0.0f : (float)exp(-(double)least / (2.0 * (double)m.sigma * (double)m.sigma));
}

template <class T> __global__ void target_row(map m, const int32_t *joint, T *to, size_t stride)
{
  cu_to_model(stride, joint, to);
  __shared__ near list[LISTED];
  __shared__ int32_t count[JOINTS];
  const int32_t y = (int32_t)(blockIdx.x % (uint32_t)m.h), numbers = m.w * m.joints;
  joint += (int64_t)(blockIdx.x / (uint32_t)m.h) * m.people * m.joints * 3;
  to += (int64_t)blockIdx.x * numbers;
  for (int32_t from = 0; from < m.people; from += m.at_once) {
    __syncthreads();
    for (int32_t k = (int32_t)threadIdx.x; k < m.joints; k += CU_BLOCK)
      count[k] = list_joint(m, joint, k, from, min(from + m.at_once, m.people), y, list + k * m.at_once);
    __syncthreads();
    for (int32_t i = (int32_t)threadIdx.x; i < numbers; i += CU_BLOCK) {
      const int32_t x = i / m.joints, k = i % m.joints;
      const float v = bump(m, list + k * m.at_once, count[k], x), was = from ? real(to[i]) : 0.0f;
      to[i] = cut<T>(v > was ? v : was);
    }
  }
}

void heatmap_target_run(const dor_call *c)
{
  const dor_heatmap_attr *a = (const dor_heatmap_attr *)c->attr;
  const dor_shape p = c->in[0].shape, y = c->out[0].shape;
  map m = {y.d[1], y.d[2], p.d[1], p.d[2], 3 * a->sigma + 1, LISTED / p.d[2], (float)a->sigma};
  CU_BY_TYPE(c->out[0].dtype, T,
             CU_LAUNCH(target_row<T>, cu_fleet(c, dim3((unsigned)(y.d[0] * y.d[1]))), CU_BLOCK, 0, c->stream, m, (const int32_t *)c->in[0].data,
                       (T *)c->out[0].data, c->stride))
}

dor_status prepare(const dor_prep *p, void **plan, size_t *scratch)
{
  DOR_NEED(p->in[0].shape.d[2] <= JOINTS, UNSUPPORTED, "own CUDA targets take %d joints, got %d", (int)JOINTS, p->in[0].shape.d[2]);
  return cu_countable(p, plan, scratch);
}

} // namespace

DOR_CUDA_FLEET(heatmap_target, prepare)
