/* SPDX-License-Identifier: Apache-2.0
 *
 * What the emulator is to run, and what it is to catch. */
#include "kernels/cuda.cuh"

extern "C" {
#include "tests/ops/emulated.h"
}

static const float *x_of(const dor_call *c) { return (const float *)c->in[0].data; }
static float *y_of(const dor_call *c) { return (float *)c->out[0].data; }
static int n_of(const dor_call *c) { return (int)dor_shape_size(c->out[0].shape); }

/* ---- a relu through shared memory: each thread puts one number in and takes another's out ---- */

enum { FIRST = 1, SECOND = 2 }; /* barriers */

template <int BARRIERS> __global__ void swap_relu(const float *x, float *y, int n)
{
  __shared__ float part[CU_BLOCK];
  int t = (int)threadIdx.x, other = CU_BLOCK - 1 - t;
  for (int from = 0; from < n; from += CU_BLOCK) {
    part[t] = from + t < n ? x[from + t] : 0.0f;
    if (BARRIERS & FIRST) __syncthreads();
    if (from + other < n) y[from + other] = scalar_relu(part[other]);
    if (BARRIERS & SECOND) __syncthreads();
  }
}

static void emulated_sound_run(const dor_call *c) { CU_LAUNCH((swap_relu<FIRST | SECOND>), 1, CU_BLOCK, 0, c->stream, x_of(c), y_of(c), n_of(c)); }
static void emulated_no_barrier_run(const dor_call *c) { CU_LAUNCH((swap_relu<0>), 1, CU_BLOCK, 0, c->stream, x_of(c), y_of(c), n_of(c)); }
static void emulated_no_second_barrier_run(const dor_call *c) { CU_LAUNCH((swap_relu<FIRST>), 1, CU_BLOCK, 0, c->stream, x_of(c), y_of(c), n_of(c)); }

/* ---- the other ways to be wrong ---- */

__global__ void next_relu(const float *x, float *y, int n)
{
  int i = (int)cu_first();
  if (i < n) y[i] = scalar_relu(x[i + 1 < n ? i + 1 : i]);
}

__global__ void long_relu(const float *x, float *y, int n)
{
  int i = (int)cu_first();
  if (i <= n) y[i] = scalar_relu(x[i < n ? i : 0]);
}

__global__ void half_barrier(const float *x, float *y, int n)
{
  int i = (int)cu_first();
  if (threadIdx.x < 16) __syncthreads();
  else __syncwarp();
  if (i < n) y[i] = scalar_relu(x[i]);
}

__global__ void foreign_mask(const float *x, float *y, int n)
{
  int i = (int)cu_first();
  float v = __shfl_sync(0xffff0000u, i < n ? x[i] : 0.0f, (int)(threadIdx.x & 31u));
  if (i < n) y[i] = scalar_relu(v);
}

/* Two blocks write each number, one of them a rounding error off. */
__global__ void race_relu(const float *x, float *y, int n)
{
  for (int i = (int)threadIdx.x; i < n; i += (int)blockDim.x) y[i] = scalar_relu(x[i]) * (blockIdx.x ? 1.0f + 0x1p-23f : 1.0f);
}

static void emulated_wrong_index_run(const dor_call *c) { CU_LAUNCH(next_relu, cu_grid(n_of(c)), CU_BLOCK, 0, c->stream, x_of(c), y_of(c), n_of(c)); }
static void emulated_beyond_run(const dor_call *c) { CU_LAUNCH(long_relu, cu_grid(n_of(c) + 1), CU_BLOCK, 0, c->stream, x_of(c), y_of(c), n_of(c)); }
static void emulated_deadlock_run(const dor_call *c) { CU_LAUNCH(half_barrier, cu_grid(n_of(c)), CU_BLOCK, 0, c->stream, x_of(c), y_of(c), n_of(c)); }
static void emulated_mask_run(const dor_call *c) { CU_LAUNCH(foreign_mask, cu_grid(n_of(c)), CU_BLOCK, 0, c->stream, x_of(c), y_of(c), n_of(c)); }
static void emulated_block_race_run(const dor_call *c) { CU_LAUNCH(race_relu, 2, CU_BLOCK, 0, c->stream, x_of(c), y_of(c), n_of(c)); }
static void emulated_bad_launch_run(const dor_call *c) { CU_LAUNCH(next_relu, 1, 2048, 0, c->stream, x_of(c), y_of(c), n_of(c)); }

DOR_CUDA(emulated_sound)
DOR_CUDA(emulated_no_barrier)
DOR_CUDA(emulated_no_second_barrier)
DOR_CUDA(emulated_wrong_index)
DOR_CUDA(emulated_beyond)
DOR_CUDA(emulated_deadlock)
DOR_CUDA(emulated_mask)
DOR_CUDA(emulated_block_race)
DOR_CUDA(emulated_bad_launch)

/* ---- words ---- */

__global__ void shuffles(int *out)
{
  int lane = (int)(threadIdx.x & 31u), *to = out + 8 * threadIdx.x;
  to[0] = __shfl_sync(~0u, lane, 5);
  to[1] = __shfl_xor_sync(~0u, lane, 3);
  to[2] = __shfl_down_sync(~0u, lane, 4);
  to[3] = __shfl_up_sync(~0u, lane, 4, 8);
  to[4] = (int)__ballot_sync(~0u, lane % 3 == 0);
  to[5] = __all_sync(~0u, lane < 32) + 2 * __any_sync(~0u, lane == 40);
  to[6] = __syncthreads_count(threadIdx.x % 2 == 0);
  to[7] = threadIdx.x % 64 < 40 ? __popc(__ballot_sync(threadIdx.x % 64 < 32 ? ~0u : 0xffu, 1)) : 0;
}

__global__ void sums(const float *x, float *sum, int *count)
{
  CU_DYN_SHARED(float, part);
  float s = cu_block_sum(x[cu_first()]);
  bool poisoned = !(part[threadIdx.x] == part[threadIdx.x]); /* nobody wrote to it */
  __syncthreads();
  part[threadIdx.x] = s;
  __syncthreads();
  if (part[blockDim.x - 1 - threadIdx.x] == s && poisoned) atomicAdd(count, 1);
  if (!threadIdx.x) sum[blockIdx.x] = s;
}

static const char *wrong_shuffles()
{
  static int out[128 * 8];
  unsigned thirds = 0;
  for (int i = 0; i < 32; i += 3) thirds |= 1u << i;
  CU_LAUNCH(shuffles, 1, dim3(64, 2), 0, nullptr, out);
  for (int t = 0; t < 64; t++) { /* both rows of the block wrote the same places: their lanes are equal */
    int lane = t % 32, *got = out + 8 * t;
    if (got[0] != 5 || got[1] != (lane ^ 3)) return "__shfl_sync, __shfl_xor_sync";
    if (got[2] != (lane + 4 < 32 ? lane + 4 : lane)) return "__shfl_down_sync";
    if (got[3] != (lane % 8 >= 4 ? lane - 4 : lane)) return "__shfl_up_sync of width 8";
    if (got[4] != (int)thirds || got[5] != 1) return "__ballot_sync, __all_sync, __any_sync";
    if (got[6] != 64) return "__syncthreads_count";
    if (got[7] != (t < 32 ? 32 : t < 40 ? 8 : 0)) return "a ballot of some lanes";
  }
  return nullptr;
}

static const char *wrong_sums()
{
  static float x[3 * 96], sum[3];
  int count = 0;
  for (int i = 0; i < 3 * 96; i++) x[i] = (float)(i % 7);
  CU_LAUNCH(sums, 3, 96, 96 * sizeof(float), nullptr, x, sum, &count);
  for (int b = 0; b < 3; b++) {
    float want = 0;
    for (int i = 0; i < 96; i++) want += x[96 * b + i];
    if (sum[b] != want) return "cu_block_sum";
  }
  return count == 3 * 96 ? nullptr : "dynamic shared memory, its poison or an atomic";
}

static const char *wrong_halves()
{
  for (unsigned h = 0; h < 65536; h++) {
    float x = cuemu::half_to_float((uint16_t)h);
    if (x == x && cuemu::float_to_half(x) != h) return "binary16 to float and back";
  }
  if (cuemu::float_to_half(1.0f + 0x1p-11f) != 0x3c00 || cuemu::float_to_half(1.0f + 0x3p-11f) != 0x3c02) return "ties to even";
  if (cuemu::float_to_half(65519.0f) != 0x7bff || cuemu::float_to_half(65520.0f) != 0x7c00 || cuemu::float_to_half(0x1p-25f)) return "the ends of binary16";
  return real(cut<bf16>(1.0f + 0x1p-8f)) == 1.0f && real(cut<bf16>(1.0f + 0x3p-8f)) == 1.0f + 0x1p-6f ? nullptr : "bfloat16's ties to even";
}

extern "C" const char *emulated_words(void)
{
  const char *wrong = wrong_shuffles();
  if (!wrong) wrong = wrong_sums();
  return wrong ? wrong : wrong_halves();
}
