/* SPDX-License-Identifier: Apache-2.0
 *
 * Fused batch norm and pooling, avx2: the body, with 8 floats to a register. */
#define LANES 8
#define ISA dor_bn_pool_avx2
#define ISA_NAME "avx2"
#include "kernels/bn_pool_body.h"
