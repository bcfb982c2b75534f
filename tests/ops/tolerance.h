/* SPDX-License-Identifier: Apache-2.0
 *
 * How far a kernel may be from the definition: one table for all of them. */
#ifndef DOR_TESTS_OPS_TOLERANCE_H
#define DOR_TESTS_OPS_TOLERANCE_H

#include "kernels/kernel.h"

/* As a share of the largest number of the output: base[dtype] x factor(op or kernel) x (1 + sqrt(length) / 4),
 * where length is the number of terms summed into one output, by the op's own count of operations. */
double test_tolerance(const dor_op *op, const dor_kernel *k, dor_dtype t, dor_cost cost, int64_t outputs);

#endif
