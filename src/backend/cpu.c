/* SPDX-License-Identifier: Apache-2.0
 *
 * The CPU, twice: `cpu` asks our Winograd kernels, our direct ones, oneDNN, and
 * our other kernels in this order, with the best instructions the machine has;
 * `plain` has our portable kernels alone. */
#include "backend/backend.h"

#include <omp.h>
#include <string.h>

#include "base/mem.h"

static dor_isa best_isa(void)
{
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return DOR_ISA_PLAIN;
  bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                __builtin_cpu_supports("avx512dq");
  return avx512 ? DOR_ISA_AVX512 : DOR_ISA_AVX2;
}

static dor_isa plain_isa(void) { return DOR_ISA_PLAIN; }
static void enter(int32_t threads) { omp_set_num_threads(threads); }

static dor_status block(size_t bytes, void **p)
{
  *p = dor_block_alloc(bytes);
  DOR_NEED(*p, NOMEM, "%zu bytes for tensors", bytes);
  return DOR_OK;
}

static dor_status copy(void *to, const void *from, size_t bytes)
{
  memcpy(to, from, bytes);
  return DOR_OK;
}

const dor_backend dor_backend_cpu = {.name = "cpu", .column = {dor_column_fast, dor_column_direct, dor_column_onednn, dor_column_own},
                                     .isa = best_isa, .enter = enter, .alloc = block, .free = dor_block_free,
                                     .copy_in = copy, .copy_out = copy};
const dor_backend dor_backend_plain = {.name = "plain", .column = {dor_column_own}, .isa = plain_isa, .enter = enter,
                                       .alloc = block, .free = dor_block_free, .copy_in = copy, .copy_out = copy};
