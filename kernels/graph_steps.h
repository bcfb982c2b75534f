/* SPDX-License-Identifier: Apache-2.0
 *
 * The steps around a cuDNN graph that are own kernels (opgraph.h), as functions that enqueue on a stream. */
#ifndef DOR_KERNELS_GRAPH_STEPS_H
#define DOR_KERNELS_GRAPH_STEPS_H

#include "tensor/shape.h"

/* to[column][row] = from[row][column], in `to`'s type: weights [K,K,C,O] to [O,K,K,C], and back. */
void dor_step_turn(void *stream, const dor_view *from, const dor_view *to, int64_t rows, int64_t columns);
/* scale = gamma / sqrt(var + eps), shift = beta - mean scale; vectors of n floats */
void dor_step_fold(void *stream, const float *const moments[4], float *scale, float *shift, int32_t n, double eps);
/* mean and variance of n channels from sums over `count` numbers each */
void dor_step_moments(void *stream, const float *sum, const float *squares, float *mean, float *var, int32_t n, int64_t count);

#endif
