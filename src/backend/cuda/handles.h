/* SPDX-License-Identifier: Apache-2.0
 *
 * What the libraries' halves of the CUDA backend share: dor_library.self points to this. Handles belong to the device that
 * was current when they were opened. */
#ifndef DOR_BACKEND_CUDA_HANDLES_H
#define DOR_BACKEND_CUDA_HANDLES_H

#include <stdatomic.h>

typedef struct dor_cuda_handles {
  void *blas, *dnn;     /* cublasLtHandle_t, cudnnHandle_t */
  atomic_int failed;    /* the first code that a call in a step came back with, 0: none; the next synchronisation tells of it */
} dor_cuda_handles;

#endif
