/* SPDX-License-Identifier: Apache-2.0
 *
 * What the libraries' halves of the CUDA backend share: dor_library.self points to this. Handles belong to the device that
 * was current when they were opened. */
#ifndef DOR_BACKEND_CUDA_HANDLES_H
#define DOR_BACKEND_CUDA_HANDLES_H

#include <stdatomic.h>
#include <stddef.h>

typedef struct dor_cuda_handles {
  void *blas, *dnn;     /* cublasLtHandle_t, cudnnHandle_t */
  size_t workspace;     /* the most bytes that a plan may ask for; 0: each library's own limit */
  atomic_int failed;    /* the first code that a call in a step came back with, 0: none; the next synchronisation tells of it */
} dor_cuda_handles;

#endif
