/* SPDX-License-Identifier: Apache-2.0
 *
 * The column of own CUDA kernels: NAME_cuda for each op that ops.def says has one. Their objects come from nvcc, or in the tests
 * from g++ over kernels/cuemu.h; a program without either does not link this file. */
#include "backend/backend.h"
#include "ops/ops.h"

#define NONE(name)
#define CUDA(name) extern const dor_kernel name##_cuda;
#define OP(name, cpu, onednn, cuda, ...) cuda(name)
#include "ops/ops.def"
#undef CUDA

#define CUDA(name) [DOR_OP_##name] = &name##_cuda,
const dor_kernel *const dor_column_cuda[DOR_OP_COUNT + 1] = {
#include "ops/ops.def"
    [DOR_OP_COUNT] = NULL,
};
