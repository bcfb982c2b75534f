/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch norm with its surroundings, avx512: the body, with 16 floats to a register. */
#define LANES 16
#define ISA dor_norm_avx512
#define ISA_NAME "avx512"
#include "kernels/norm_body.h"
