/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers of any type to double and back: what references, checks and tests
 * compute in. Not for a step: kernels read their own types. */
#ifndef DOR_TENSOR_CONVERT_H
#define DOR_TENSOR_CONVERT_H

#include "tensor/shape.h"

void dor_to_real(dor_dtype t, const void *from, int64_t n, double *to);
void dor_from_real(dor_dtype t, const double *from, int64_t n, void *to); /* nearest, ties to even; integers are cut to their range */

#endif
