/* SPDX-License-Identifier: Apache-2.0
 *
 * Winograd convolution for avx512: the body, with 16 floats to a register. */
#define LANES 16
#define ISA dor_winograd_avx512
#define ISA_NAME "avx512"
#include "kernels/winograd_body.h"
