/* SPDX-License-Identifier: Apache-2.0
 *
 * Winograd convolution for avx2: the body, with 8 floats to a register. */
#define LANES 8
#define ISA dor_winograd_avx2
#define ISA_NAME "avx2"
#include "kernels/winograd_body.h"
