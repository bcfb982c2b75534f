/* SPDX-License-Identifier: Apache-2.0
 *
 * The column of oneDNN kernels: NAME_onednn for each op that ops.def says has one. */
#include "backend/backend.h"
#include "ops/ops.h"

#define NONE(name)
#define ONEDNN(name) extern const dor_kernel name##_onednn;
#define OP(name, cpu, onednn, ...) onednn(name)
#include "ops/ops.def"
#undef ONEDNN

#define ONEDNN(name) [DOR_OP_##name] = &name##_onednn,
const dor_kernel *const dor_column_onednn[DOR_OP_COUNT + 1] = {
#include "ops/ops.def"
    [DOR_OP_COUNT] = NULL,
};
