/* SPDX-License-Identifier: Apache-2.0
 *
 * Timing a plan on the device, for autotune: on memory of its own, the caches cleared before each run by writing more than they hold. */
#include "backend/cuda/dnn_plan.h"

#include <cuda_runtime_api.h>
#include <stdlib.h>

enum { RUNS = 5, FLUSH = 128 << 20 };

typedef struct bench {
  cudaStream_t stream;
  cudaEvent_t begin, end;
  void *tensor[DOR_OG_TENSORS], *workspace, *flush;
} bench;

static dor_status cuda(cudaError_t e, const char *what)
{
  if (e == cudaSuccess) return DOR_OK;
  if (e == cudaErrorMemoryAllocation) return DOR_FAIL(DEVMEM, "timing a plan: %s: %s", what, cudaGetErrorString(e));
  return DOR_FAIL(DEVICE, "timing a plan: %s: %s", what, cudaGetErrorString(e));
}

static dor_status room(void **p, size_t bytes, cudaStream_t stream)
{
  DOR_TRY(cuda(cudaMalloc(p, bytes), "memory"));
  return cuda(cudaMemsetAsync(*p, 0, bytes, stream), "clearing");
}

static dor_status begin(bench *b, const dor_opgraph *g, const dor_dnn_choice *c)
{
  DOR_TRY(cuda(cudaStreamCreateWithFlags(&b->stream, cudaStreamNonBlocking), "a stream"));
  DOR_TRY(cuda(cudaEventCreate(&b->begin), "an event"));
  DOR_TRY(cuda(cudaEventCreate(&b->end), "an event"));
  DOR_TRY(room(&b->flush, FLUSH, b->stream));
  if (c->workspace) DOR_TRY(room(&b->workspace, (size_t)c->workspace, b->stream));
  for (int32_t i = 0; i < g->ntensor; i++)
    if (dor_og_is_inside(g, i) && g->tensor[i].place != DOR_OG_VIRTUAL) DOR_TRY(room(&b->tensor[i], dor_og_bytes(&g->tensor[i]), b->stream));
  return DOR_OK;
}

static void end(bench *b, const dor_dnn *d)
{
  if (b->stream) cudaStreamSynchronize(b->stream);
  cudnnSetStream(d->handle, NULL); /* the handle outlives this stream */
  cudaGetLastError();              /* a plan that failed is passed over, and so is what it left */
  for (int32_t i = 0; i < DOR_OG_TENSORS; i++) cudaFree(b->tensor[i]);
  cudaFree(b->workspace);
  cudaFree(b->flush);
  if (b->begin) cudaEventDestroy(b->begin);
  if (b->end) cudaEventDestroy(b->end);
  if (b->stream) cudaStreamDestroy(b->stream);
}

static dor_status once(bench *b, const dor_dnn *d, dor_desc plan, dor_desc pack, float *ms)
{
  DOR_TRY(cuda(cudaMemsetAsync(b->flush, 0, FLUSH, b->stream), "clearing"));
  DOR_TRY(cuda(cudaEventRecord(b->begin, b->stream), "an event"));
  DOR_TRY(dor_desc_check(cudnnBackendExecute(d->handle, plan, pack), "running a plan"));
  DOR_TRY(cuda(cudaEventRecord(b->end, b->stream), "an event"));
  DOR_TRY(cuda(cudaEventSynchronize(b->end), "waiting"));
  return cuda(cudaEventElapsedTime(ms, b->begin, b->end), "reading a clock");
}

static int rising(const void *a, const void *b)
{
  float x = *(const float *)a, y = *(const float *)b;
  return x < y ? -1 : x > y;
}

static dor_status measure(bench *b, const dor_dnn *d, const dor_opgraph *g, const dor_dnn_choice *c, dor_descs *all, double *time_s)
{
  dor_desc pack;
  float ms[RUNS];
  DOR_TRY(begin(b, g, c));
  DOR_TRY(dor_dnn_pack(all, g, b->tensor, b->workspace, &pack));
  DOR_TRY(dor_desc_check(cudnnSetStream(d->handle, b->stream), "a stream"));
  DOR_TRY(once(b, d, c->plan, pack, ms));
  for (int32_t i = 0; i < RUNS; i++) DOR_TRY(once(b, d, c->plan, pack, &ms[i]));
  qsort(ms, RUNS, sizeof *ms, rising);
  *time_s = (double)ms[RUNS / 2] * 1e-3;
  return DOR_OK;
}

dor_status dor_dnn_time(dor_dnn *d, const dor_opgraph *g, const dor_dnn_choice *c, double *time_s)
{
  DOR_NEED(d->handle, DEVICE, "cuda.autotune wants a device, here is only the description of one");
  bench b = {0};
  dor_descs all = {0};
  pthread_mutex_lock(&d->lock);
  dor_status s = measure(&b, d, g, c, &all, time_s);
  end(&b, d);
  pthread_mutex_unlock(&d->lock);
  dor_desc_keep(&all, 0);
  return s;
}
