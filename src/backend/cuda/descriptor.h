/* SPDX-License-Identifier: Apache-2.0
 *
 * cuDNN's backend descriptors: made, filled and finalised with dorsum's status codes and cuDNN's own texts, and collected, so
 * that one call lets all of a graph go. */
#ifndef DOR_BACKEND_CUDA_DESCRIPTOR_H
#define DOR_BACKEND_CUDA_DESCRIPTOR_H

#include <stdbool.h>

#include <cudnn.h>

#include "base/status.h"
#include "kernels/opgraph.h"

typedef cudnnBackendDescriptor_t dor_desc;

enum { DOR_DESCS = 160 };
typedef struct dor_descs { /* everything that was made, in order */
  int32_t n;
  dor_desc at[DOR_DESCS];
} dor_descs;

/* errors UNSUPPORTED: cuDNN has no such thing; DEVMEM; DEVICE: it failed */
DOR_MUST dor_status dor_desc_check(cudnnStatus_t s, const char *what);
DOR_MUST dor_status dor_desc_make(dor_descs *all, cudnnBackendDescriptorType_t type, dor_desc *out);
DOR_MUST dor_status dor_desc_set(dor_desc d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t n, const void *values);
DOR_MUST dor_status dor_desc_link(dor_desc d, cudnnBackendAttributeName_t name, dor_desc to);
DOR_MUST dor_status dor_desc_done(dor_desc d, const char *what); /* finalise */
void dor_desc_keep(dor_descs *all, int32_t n); /* destroy those made after the first n */

/* The part of an operation graph that is cuDNN's, finalised. A tensor's id is its number + 1. handle: NULL where there is no device */
DOR_MUST dor_status dor_desc_graph(dor_descs *all, const dor_opgraph *g, cudnnHandle_t handle, dor_desc *out);

#endif
