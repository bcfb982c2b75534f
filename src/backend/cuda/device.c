/* SPDX-License-Identifier: Apache-2.0
 *
 * One NVIDIA GPU by the CUDA runtime: memory, streams, events, graphs. All of CUDA's error codes become a status here and
 * nowhere else. The device is opened once for the process; every thread that uses it enters it first. */
#include <cuda_runtime_api.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "backend/cuda/cuda.h"

static int32_t device = -1; /* -1: not open */
static char device_name[264];
static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;

/* ---- errors ---- */

dor_status dor_cuda_status(int code, const char *doing)
{
  const cudaError_t e = (cudaError_t)code;
  int driver = 0, runtime = CUDART_VERSION;
  if (e) cudaGetLastError(); /* it is told of here: the next settle() asks for what launches left behind, and must not find this one */
  switch (e) {
  case cudaSuccess: return DOR_OK;
  case cudaErrorMemoryAllocation: return DOR_FAIL(DEVMEM, "%s: %s", doing, cudaGetErrorString(e));
  case cudaErrorNoDevice: return DOR_FAIL(UNSUPPORTED, "no CUDA device: %s", cudaGetErrorString(e));
  case cudaErrorStubLibrary:
  case cudaErrorSystemDriverMismatch:
  case cudaErrorInsufficientDriver:
    cudaDriverGetVersion(&driver);
    if (!driver || e == cudaErrorStubLibrary) return DOR_FAIL(UNSUPPORTED, "no CUDA driver: %s", cudaGetErrorString(e));
    return DOR_FAIL(UNSUPPORTED, "the CUDA driver is too old: it serves CUDA %d.%d, this program wants %d.%d", driver / 1000, driver % 1000 / 10,
                    runtime / 1000, runtime % 1000 / 10);
  default: return DOR_FAIL(DEVICE, "%s: %s (%s)", doing, cudaGetErrorString(e), cudaGetErrorName(e));
  }
}

#define CHECK(call, doing) DOR_TRY(dor_cuda_status((int)(call), doing))

/* ---- the device ---- */

static void enter(int32_t threads)
{
  (void)threads;
  if (device >= 0) cudaSetDevice(device); /* a failure shows in what is asked next */
}

static dor_status choose(int32_t index)
{
  int n = 0;
  struct cudaDeviceProp p;
  CHECK(cudaGetDeviceCount(&n), "counting CUDA devices");
  DOR_NEED(n > 0, UNSUPPORTED, "no CUDA device");
  DOR_NEED(index >= 0 && index < n, USAGE, "no device cuda:%d; there %s %d, from cuda:0", index, n == 1 ? "is" : "are", n);
  CHECK(cudaSetDevice(index), "choosing a CUDA device");
  CHECK(cudaGetDeviceProperties(&p, index), "asking a CUDA device for its properties");
  DOR_NEED(p.major >= 8, UNSUPPORTED, "cuda:%d (%s) has compute capability %d.%d; 8.0 or newer is wanted", index, p.name, p.major, p.minor);
  CHECK(cudaFree(NULL), "starting a CUDA device"); /* makes the context now, so that what is wrong shows now */
  DOR_TRY(dor_cuda_library_open());
  snprintf(device_name, sizeof device_name, "cuda: %s", p.name);
  device = index;
  return DOR_OK;
}

static dor_status open_device(int32_t index)
{
  pthread_mutex_lock(&opening);
  dor_status s = device == index ? DOR_OK : device >= 0 ? DOR_FAIL(BUSY, "cuda:%d is in use; one device a process", device) : choose(index);
  pthread_mutex_unlock(&opening);
  return s;
}

static const char *describe(void) { return device_name; }
static dor_isa plain(void) { return DOR_ISA_PLAIN; }

static dor_status memory(size_t *free_bytes, size_t *all)
{
  enter(0);
  return dor_cuda_status((int)cudaMemGetInfo(free_bytes, all), "asking for free device memory");
}

/* ---- memory ---- */

static dor_status block(size_t bytes, void **p)
{
  size_t left = 0, all = 0;
  enter(0);
  const cudaError_t e = cudaMalloc(p, bytes);
  if (e) {
    *p = NULL;
    cudaGetLastError();
    if (e != cudaErrorMemoryAllocation) return dor_cuda_status((int)e, "getting device memory");
    DOR_TRY(memory(&left, &all));
    return DOR_FAIL(DEVMEM, "%zu bytes are wanted on the device, %zu of its %zu are free", bytes, left, all);
  }
  CHECK(cudaMemset(*p, 0, bytes), "clearing device memory");
  CHECK(cudaStreamSynchronize(NULL), "clearing device memory"); /* no stream of ours waits for the default one */
  return DOR_OK;
}

static void free_block(void *p, size_t bytes)
{
  (void)bytes;
  enter(0);
  cudaFree(p);
}

static dor_status pin(size_t bytes, void **p)
{
  enter(0);
  if (cudaHostAlloc(p, bytes, cudaHostAllocPortable) != cudaSuccess) {
    *p = NULL;
    cudaGetLastError();
    return DOR_FAIL(NOMEM, "%zu bytes of pinned memory", bytes);
  }
  memset(*p, 0, bytes);
  return DOR_OK;
}

static void unpin(void *p, size_t bytes)
{
  (void)bytes;
  cudaFreeHost(p);
}

/* What comes from pageable memory may still be on its way when the copy returns, and no stream of ours waits for the default one. */
static dor_status copy_now(void *to, const void *from, size_t bytes)
{
  enter(0);
  CHECK(cudaMemcpy(to, from, bytes, cudaMemcpyDefault), "copying between host and device");
  return dor_cuda_status((int)cudaStreamSynchronize(NULL), "copying between host and device");
}

static dor_status copy(void *to, const void *from, size_t bytes, void *stream)
{
  return dor_cuda_status((int)cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream), "copying between host and device");
}

static dor_status copy_rows(void *to, size_t to_step, const void *from, size_t from_step, size_t bytes, int32_t rows, void *stream)
{
  if (to_step > INT32_MAX || from_step > INT32_MAX) { /* CUDA's largest pitch */
    for (size_t i = 0; i < (size_t)rows; i++) DOR_TRY(copy((char *)to + i * to_step, (const char *)from + i * from_step, bytes, stream));
    return DOR_OK;
  }
  const cudaError_t e = cudaMemcpy2DAsync(to, to_step, from, from_step, bytes, (size_t)rows, cudaMemcpyDefault, stream);
  return dor_cuda_status((int)e, "copying between host and device");
}

/* ---- order ---- */

static dor_status stream_new(void **stream)
{
  cudaStream_t s;
  enter(0);
  CHECK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking), "making a CUDA stream");
  *stream = s;
  return DOR_OK;
}

static void stream_free(void *stream) { cudaStreamDestroy(stream); }

/* Launches that could not be made at all are told of here too: kernels return nothing. */
static dor_status settle(void *stream)
{
  CHECK(cudaStreamSynchronize(stream), "running on the device");
  CHECK(cudaGetLastError(), "launching on the device");
  return dor_cuda_library_status();
}

static dor_status event_new(void **event)
{
  cudaEvent_t e;
  enter(0);
  CHECK(cudaEventCreateWithFlags(&e, cudaEventDisableTiming), "making a CUDA event");
  *event = e;
  return DOR_OK;
}

static void event_free(void *event) { cudaEventDestroy(event); }
static dor_status mark(void *event, void *stream) { return dor_cuda_status((int)cudaEventRecord(event, stream), "marking a place in a stream"); }
static dor_status after(void *stream, void *event) { return dor_cuda_status((int)cudaStreamWaitEvent(stream, event, 0), "ordering streams"); }
static dor_status reach(void *event) { return dor_cuda_status((int)cudaEventSynchronize(event), "waiting for the device"); }

/* ---- graphs ---- */

/* Relaxed: our kernels allocate nothing while they are written down, and what cuDNN or cuBLASLt may load then is theirs, not the graph's. */
static dor_status record(void *stream)
{
  return dor_cuda_status((int)cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed), "recording a program");
}

static dor_status recorded(void *stream, void **graph)
{
  cudaGraph_t list = NULL;
  cudaGraphExec_t exec = NULL;
  const cudaError_t launched = cudaGetLastError(), ended = cudaStreamEndCapture(stream, &list); /* always: a stream left recording is of no use */
  const dor_status s = dor_cuda_status((int)(launched ? launched : ended), "recording a program");
  if (s && list) cudaGraphDestroy(list);
  if (s) return s;
  const cudaError_t e = cudaGraphInstantiate(&exec, list, 0);
  cudaGraphDestroy(list);
  *graph = exec;
  return dor_cuda_status((int)e, "making a graph of a program");
}

static dor_status replay(void *graph, void *stream) { return dor_cuda_status((int)cudaGraphLaunch(graph, stream), "starting a program"); }
static void graph_free(void *graph) { cudaGraphExecDestroy(graph); }

static const dor_device functions = {
    .describe = describe, .memory = memory, .stream_new = stream_new, .stream_free = stream_free, .pin = pin, .unpin = unpin, .copy = copy,
    .copy_rows = copy_rows, .settle = settle, .event_new = event_new, .event_free = event_free, .mark = mark, .after = after, .reach = reach, .record = record,
    .recorded = recorded, .replay = replay, .graph_free = graph_free};

const dor_backend dor_backend_cuda = {.name = "cuda", .open = open_device, .column = {dor_column_library, dor_column_cuda}, .isa = plain, .enter = enter,
                                      .alloc = block, .free = free_block, .copy_in = copy_now, .copy_out = copy_now, .device = &functions,
                                      .narrow = true, .library = &dor_library_cuda, .tune = dor_cuda_library_tune};
