/* SPDX-License-Identifier: Apache-2.0
 *
 * What kernels ask of NVIDIA's libraries, answered by them: products by cuBLASLt, operation graphs by cuDNN. */
#include "backend/cuda/blas.h"
#include "backend/cuda/cuda.h"
#include "backend/cuda/dnn.h"

static dor_cuda_handles handles;

dor_library dor_library_cuda = {.name = "cuda", .self = &handles, .deterministic = true, .product = dor_blas_product, .graph = dor_dnn_graph};

dor_status dor_cuda_library_open(void)
{
  if (!handles.blas) DOR_TRY(dor_blas_open(&handles));
  if (!handles.dnn) DOR_TRY(dor_dnn_open(&handles, &(dor_dnn_options){.deterministic = true}));
  return DOR_OK;
}

void dor_cuda_library_tune(const dor_tuning *t)
{
  dor_library_cuda.deterministic = t->deterministic;
  handles.workspace = t->workspace;
  dor_dnn_tune(handles.dnn, &(dor_dnn_options){.deterministic = t->deterministic, .autotune = t->autotune, .workspace = t->workspace, .cache = t->cache});
}

dor_status dor_cuda_library_status(void)
{
  const int code = atomic_exchange(&handles.failed, 0);
  if (!code) return DOR_OK;
  DOR_TRY(dor_dnn_status(handles.dnn));
  return DOR_FAIL(DEVICE, "cuBLASLt: a product failed on the device (code %d)", code);
}
