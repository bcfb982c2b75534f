/* SPDX-License-Identifier: Apache-2.0
 *
 * The first block of a silhouette net, plain: the body, with 1 float to a register. */
#define LANES 1
#define ISA dor_stem_plain
#define ISA_NAME "plain"
#include "kernels/stem_body.h"
