/* SPDX-License-Identifier: Apache-2.0
 *
 * Fused batch norm and pooling, plain: the body, with 1 float to a register. */
#define LANES 1
#define ISA dor_bn_pool_plain
#define ISA_NAME "plain"
#include "kernels/bn_pool_body.h"
