/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrix products by cuBLASLt. */
#ifndef DOR_BACKEND_CUDA_BLAS_H
#define DOR_BACKEND_CUDA_BLAS_H

#include "backend/cuda/handles.h"
#include "kernels/library.h"

DOR_MUST dor_status dor_blas_open(dor_cuda_handles *h); /* on the current device. errors DEVICE */
void dor_blas_close(dor_cuda_handles *h);

/* dor_library.product: its plans carry a table of their own, so a device may offer it beside cuDNN's graphs. The algorithm is
 * the first of the heuristics' that keeps to the workspace and, where `deterministic` asks, to a fixed order of sums; it is
 * chosen here and kept. */
dor_status dor_blas_product(const dor_library *l, const dor_product *p, void **plan, size_t *scratch);

#endif
