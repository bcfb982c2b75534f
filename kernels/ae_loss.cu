/* SPDX-License-Identifier: Apache-2.0
 *
 * ae_loss: the slope is cleared by all blocks, then a block takes an image. Its lists are short, so what counts is that
 * nothing waits: a thread has a person, then a place. Places that point at the same tag are added by the first of them,
 * in order. Sums are in double, as on the CPU; there are few. */
#include "kernels/cuda.cuh"

namespace {

/* An image's notes in scratch: where each place's tag lies (-1: it does not count) and what it is given; by person, the
 * places that count, the mean of their tags, the push' slope; the image's push and pull. */
struct notes { int *where, *count; double *given, *mean, *pushed, *push, *pull, *total; };

struct job {
  const float *tags;
  const int *joints;
  float *slope, *out[3];
  char *scratch;
  int64_t per_image, note_bytes; /* tags; of notes */
  int images, pixels, channels, people, places;
  double push, pull;
  bool hinge;
};

__host__ __device__ inline int64_t note_bytes_of(int64_t people, int64_t places)
{
  int64_t doubles = people * places + 4 * people + 2, ints = people * places + people;
  return (doubles * 8 + ints * 4 + 15) / 16 * 16;
}

__device__ __forceinline__ notes notes_of(const job &s, int image)
{
  const int64_t items = (int64_t)s.people * s.places;
  notes n;
  n.given = (double *)(s.scratch + image * s.note_bytes);
  n.mean = n.given + items, n.pushed = n.mean + s.people, n.push = n.pushed + s.people, n.pull = n.push + s.people;
  n.total = n.pull + s.people;
  n.where = (int *)(n.total + 2), n.count = n.where + items;
  return n;
}

__device__ __forceinline__ int place(const job &s, int image, int item)
{
  const int *j = s.joints + ((int64_t)image * s.people * s.places + item) * 2;
  return j[1] > 0 && j[0] >= 0 && j[0] < s.pixels * s.channels ? j[0] % s.pixels * s.channels + j[0] / s.pixels : -1;
}

__device__ __forceinline__ void gather(const job &s, const notes &n, const float *tags, int p)
{
  double sum = 0;
  int count = 0;
  for (int k = 0; k < s.places; k++) {
    int at = n.where[p * s.places + k];
    if (at >= 0) sum += (double)tags[at], count++;
  }
  n.count[p] = count;
  n.mean[p] = count ? sum / count : 0;
}

/* How near a person's mean is to the others', over all pairs, and the slope of it. */
__device__ __forceinline__ void push(const job &s, const notes &n, int p, double people)
{
  double sum = 0, slope = 0, pairs = people * (people - 1);
  for (int q = 0; q < s.people; q++) {
    if (q == p || !n.count[q]) continue;
    double d = n.mean[p] - n.mean[q], e = s.hinge ? (d * d < 1 ? 1 - (d < 0 ? -d : d) : 0) : (double)scalar_exp((float)(-d * d));
    sum += e / pairs / 2;
    slope += (s.hinge ? (d * d < 1 ? (d < 0) - (d > 0) : 0) : -2 * d * e) / pairs;
  }
  n.push[p] = sum, n.pushed[p] = slope;
}

/* What a person's tags are given, and its part of the pull. */
__device__ __forceinline__ void pull(const job &s, const notes &n, const float *tags, int p, double people)
{
  double sum = 0, count = n.count[p];
  for (int i = p * s.places; i < (p + 1) * s.places; i++) {
    if (n.where[i] < 0) continue;
    double d = (double)tags[n.where[i]] - n.mean[p];
    sum += d * d / count / people;
    n.given[i] = (s.pull * 2 * d / count / people + s.push * n.pushed[p] / count) / s.images;
  }
  n.pull[p] = sum;
}

__device__ __forceinline__ void add_up(const job &s, const notes &n)
{
  double push = 0, pull = 0;
  for (int p = 0; p < s.people; p++) push += n.push[p], pull += n.pull[p];
  n.total[0] = push, n.total[1] = pull;
}

/* The first place of a tag writes what all of them give it. */
__device__ __forceinline__ void hand_out(const notes &n, float *slope, int item, int items)
{
  const int at = n.where[item];
  float sum = 0.0f;
  for (int i = 0; i < item; i++)
    if (n.where[i] == at) return;
  for (int i = item; i < items; i++)
    if (n.where[i] == at) sum += (float)n.given[i];
  slope[at] = sum;
}

__global__ void __launch_bounds__(CU_BLOCK) clear(float *x, int64_t n)
{
  for (int64_t i = 4 * cu_first(); i < n; i += 4 * cu_stride()) {
    if (i + 4 <= n) *(float4 *)(x + i) = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    else
      for (int64_t k = i; k < n; k++) x[k] = 0.0f;
  }
}

/* 2: as many registers as it wants; there are few blocks anyway. */
__global__ void __launch_bounds__(CU_BLOCK, 2) embed(job s)
{
  const int image = (int)blockIdx.x, items = s.people * s.places, first = (int)threadIdx.x;
  const notes n = notes_of(s, image);
  const float *tags = s.tags + image * s.per_image;
  for (int i = first; i < items; i += CU_BLOCK) n.where[i] = place(s, image, i);
  __syncthreads();
  for (int p = first; p < s.people; p += CU_BLOCK) gather(s, n, tags, p);
  __syncthreads();
  int people = 0;
  for (int p = 0; p < s.people; p++) people += n.count[p] > 0;
  for (int p = first; p < s.people; p += CU_BLOCK) {
    n.push[p] = n.pull[p] = 0;
    if (!n.count[p]) continue;
    push(s, n, p, people);
    pull(s, n, tags, p, people);
  }
  __syncthreads();
  if (!first) add_up(s, n);
  for (int i = first; i < items; i += CU_BLOCK)
    if (n.where[i] >= 0) hand_out(n, s.slope + image * s.per_image, i, items);
}

__global__ void meet(job s)
{
  double push = 0, pull = 0;
  for (int image = 0; image < s.images; image++) {
    const notes n = notes_of(s, image);
    push += n.total[0], pull += n.total[1];
  }
  *s.out[0] = (float)((s.push * push + s.pull * pull) / s.images);
  *s.out[1] = (float)(push / s.images);
  *s.out[2] = (float)(pull / s.images);
}

} // namespace

static dor_status prepare(const dor_prep *p, void **, size_t *scratch)
{
  dor_shape tags = p->in[0].shape, lists = p->in[1].shape;
  int64_t items = (int64_t)lists.d[1] * lists.d[2];
  DOR_NEED(dor_shape_size(tags) / (tags.d[0] ? tags.d[0] : 1) < INT32_MAX && items < INT32_MAX, UNSUPPORTED, "ae_loss: maps or lists too large");
  *scratch = (size_t)(lists.d[0] * note_bytes_of(lists.d[1], lists.d[2]));
  return DOR_OK;
}

static void ae_loss_run(const dor_call *c)
{
  const dor_ae_attr *a = (const dor_ae_attr *)c->attr;
  dor_shape tags = c->in[0].shape, lists = c->in[1].shape;
  int64_t size = dor_shape_size(tags);
  job s = {(const float *)c->in[0].data, (const int *)c->in[1].data, (float *)c->out[3].data, {}, (char *)c->scratch, 0, 0, tags.d[0],
           tags.d[1] * tags.d[2], tags.d[3], lists.d[1], lists.d[2], a->push, a->pull, a->hinge};
  s.per_image = size / s.images, s.note_bytes = note_bytes_of(s.people, s.places);
  for (int i = 0; i < 3; i++) s.out[i] = (float *)c->out[i].data;
  CU_LAUNCH(clear, cu_grid(size / 4 + 1), CU_BLOCK, 0, c->stream, s.slope, size);
  CU_LAUNCH(embed, (unsigned)s.images, CU_BLOCK, 0, c->stream, s);
  CU_LAUNCH(meet, 1, 1, 0, c->stream, s);
}
DOR_CUDA_SCRATCH(ae_loss, prepare)
