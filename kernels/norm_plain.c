/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch norm with its surroundings, plain: the body, with 1 float to a register. */
#define LANES 1
#define ISA dor_norm_plain
#define ISA_NAME "plain"
#include "kernels/norm_body.h"
