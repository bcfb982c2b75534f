/* SPDX-License-Identifier: Apache-2.0
 *
 * The first block of a silhouette net, avx2: the body, with 8 floats to a register. */
#define LANES 8
#define ISA dor_stem_avx2
#define ISA_NAME "avx2"
#include "kernels/stem_body.h"
