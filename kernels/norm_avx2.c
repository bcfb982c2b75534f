/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch norm with its surroundings, avx2: the body, with 8 floats to a register. */
#define LANES 8
#define ISA dor_norm_avx2
#define ISA_NAME "avx2"
#include "kernels/norm_body.h"
