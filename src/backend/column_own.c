/* SPDX-License-Identifier: Apache-2.0
 *
 * The column of own CPU kernels: NAME_cpu for each op that ops.def says has one. */
#include "backend/backend.h"
#include "ops/ops.h"

#define NONE(name)
#define CPU(name) extern const dor_kernel name##_cpu;
#define OP(name, cpu, ...) cpu(name)
#include "ops/ops.def"
#undef CPU

#define CPU(name) [DOR_OP_##name] = &name##_cpu,
const dor_kernel *const dor_column_own[DOR_OP_COUNT + 1] = {
#include "ops/ops.def"
    [DOR_OP_COUNT] = NULL,
};
