/* SPDX-License-Identifier: Apache-2.0
 *
 * Own CUDA kernels around a library's matrix product (library.h), for what it has no epilogue or no types for: launches
 * that a GPU backend enqueues on its stream. Pointers are device memory; x, c in type t. */
#ifndef DOR_KERNELS_PRODUCT_H
#define DOR_KERNELS_PRODUCT_H

#include <stdbool.h>
#include <stdint.h>

#include "tensor/shape.h"

/* out [n] of type `to` = x [n], or 0 where gate [n] is given and not above 0; x and gate of type t */
void dor_product_copy(void *stream, dor_dtype t, int64_t n, const void *x, const void *gate, dor_dtype to, void *out);

/* c [m,n] += bias [n], max(., 0) with relu, in place */
void dor_product_bias(void *stream, dor_dtype t, int64_t m, int64_t n, const float *bias, bool relu, void *c);

/* sum [n] = sums of x's columns [k,n], in order of k; part: dor_product_sums_scratch floats */
void dor_product_sums(void *stream, dor_dtype t, int64_t k, int64_t n, const void *x, float *part, float *sum);
int64_t dor_product_sums_scratch(int64_t k, int64_t n);

#endif
