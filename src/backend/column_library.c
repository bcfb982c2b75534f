/* SPDX-License-Identifier: Apache-2.0
 *
 * The column of kernels that call NVIDIA's libraries: NAME_cudnn or NAME_cublas for each op that ops.def says has one. They are
 * plain C over kernels/library.h and ask for no CUDA header, so they are always linked; the library itself is the backend's. */
#include "backend/backend.h"
#include "ops/ops.h"

#define NONE(name)
#define CUDNN(name) extern const dor_kernel name##_cudnn;
#define CUBLAS(name) extern const dor_kernel name##_cublas;
#define OP(name, cpu, onednn, cuda, library, ...) library(name)
#include "ops/ops.def"
#undef CUDNN
#undef CUBLAS

#define CUDNN(name) [DOR_OP_##name] = &name##_cudnn,
#define CUBLAS(name) [DOR_OP_##name] = &name##_cublas,
const dor_kernel *const dor_column_library[DOR_OP_COUNT + 1] = {
#include "ops/ops.def"
    [DOR_OP_COUNT] = NULL,
};
