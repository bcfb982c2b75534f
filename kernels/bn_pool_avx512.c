/* SPDX-License-Identifier: Apache-2.0
 *
 * Fused batch norm and pooling, avx512: the body, with 16 floats to a register. */
#define LANES 16
#define ISA dor_bn_pool_avx512
#define ISA_NAME "avx512"
#include "kernels/bn_pool_body.h"
