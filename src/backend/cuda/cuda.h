/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of the CUDA backend: its errors, its library. */
#ifndef DOR_BACKEND_CUDA_CUDA_H
#define DOR_BACKEND_CUDA_CUDA_H

#include "backend/backend.h"
#include "backend/cuda/handles.h"
#include "kernels/library.h"

/* A cudaError_t as a status that says what was being done. UNSUPPORTED: no driver, or too old a one; DEVMEM; DEVICE: all else,
 * after which the process cannot use the device any more */
dor_status dor_cuda_status(int code, const char *doing);

/* cuBLASLt and cuDNN on the current device, as dor_backend_cuda.library. */
DOR_MUST dor_status dor_cuda_library_open(void); /* errors DEVICE, UNSUPPORTED: cuDNN older than 9.11 */
DOR_MUST dor_status dor_cuda_library_status(void); /* the first failure of a library's call in a step */
void dor_cuda_library_tune(const dor_tuning *t); /* dor_backend.tune, once it is open */
extern dor_library dor_library_cuda; /* dor_cuda_library_tune changes it */

#endif
