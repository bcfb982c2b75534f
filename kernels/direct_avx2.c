/* SPDX-License-Identifier: Apache-2.0
 *
 * Direct convolution, avx2: the body, with 8 floats to a register. */
#define LANES 8
#define ISA dor_direct_avx2
#define ISA_NAME "avx2"
#include "kernels/direct_body.h"
