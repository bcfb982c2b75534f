/* SPDX-License-Identifier: Apache-2.0
 *
 * Direct convolution, avx512: the body, with 16 floats to a register. */
#define LANES 16
#define ISA dor_direct_avx512
#define ISA_NAME "avx512"
#include "kernels/direct_body.h"
