/* SPDX-License-Identifier: Apache-2.0
 *
 * Activations stored in 16 bits for kernels that compute in float: such a kernel gets float copies of its 16-bit inputs and
 * room for its outputs in scratch, a few images or rows at a time, and what it made is rounded on its way back. So any op
 * can be stored in bf16 on the CPU, and float memory is needed for the piece at hand alone.
 *
 * Ops whose rows depend on their own rows alone, or whose outputs are sums over rows, go piece by piece; all others, such as
 * the moments of batch norm, see the whole map. */
#ifndef DOR_BACKEND_WIDEN_H
#define DOR_BACKEND_WIDEN_H

#include "kernels/kernel.h"

extern const dor_kernel dor_kernel_widened;
extern int64_t dor_widen_numbers; /* of the widest map in a piece, for each thread: what stays in a core's cache. Tests make it small */

/* k behind float copies, as a plan of dor_kernel_widened. errors UNSUPPORTED: k declines, or numbers are f16; NOMEM */
DOR_MUST dor_status dor_widen(const dor_kernel *k, const dor_prep *p, void **plan, size_t *scratch);
const dor_kernel *dor_widened_kernel(const void *plan); /* k */

#endif
