/* SPDX-License-Identifier: Apache-2.0
 *
 * The columns asked first: own kernels that beat oneDNN on the shapes they accept
 * (docs: cpu; measured by `dorsum bench ops`) and decline all others; Winograd's
 * before the direct ones. */
#include "backend/backend.h"
#include "ops/ops.h"

extern const dor_kernel conv2d_winograd, conv2d_dx_winograd, conv2d_dw_winograd, conv2d_stats_winograd, conv2d_affine_winograd, conv2d_dx_add_winograd;
extern const dor_kernel conv2d_direct, conv2d_dx_direct, conv2d_stats_direct, conv2d_affine_direct, conv2d_dx_add_direct, conv_transpose2d_direct,
    conv2d_dw_direct;

const dor_kernel *const dor_column_fast[DOR_OP_COUNT] = {
    [DOR_OP_conv2d] = &conv2d_winograd,
    [DOR_OP_conv2d_dx] = &conv2d_dx_winograd,
    [DOR_OP_conv2d_dw] = &conv2d_dw_winograd,
    [DOR_OP_conv2d_stats] = &conv2d_stats_winograd,
    [DOR_OP_conv2d_affine] = &conv2d_affine_winograd,
    [DOR_OP_conv2d_dx_add] = &conv2d_dx_add_winograd,
};

const dor_kernel *const dor_column_direct[DOR_OP_COUNT] = {
    [DOR_OP_conv2d] = &conv2d_direct,
    [DOR_OP_conv2d_dx] = &conv2d_dx_direct,
    [DOR_OP_conv2d_dw] = &conv2d_dw_direct,
    [DOR_OP_conv2d_stats] = &conv2d_stats_direct,
    [DOR_OP_conv2d_affine] = &conv2d_affine_direct,
    [DOR_OP_conv2d_dx_add] = &conv2d_dx_add_direct,
    [DOR_OP_conv_transpose2d] = &conv_transpose2d_direct,
};
