/* SPDX-License-Identifier: Apache-2.0
 *
 * The first block of a silhouette net, avx512: the body, with 16 floats to a register. */
#define LANES 16
#define ISA dor_stem_avx512
#define ISA_NAME "avx512"
#include "kernels/stem_body.h"
