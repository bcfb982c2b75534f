/* SPDX-License-Identifier: Apache-2.0
 *
 * cuDNN behind kernels/library.h: operation graphs become plans, which run on a call's stream. A plan is cuDNN's first
 * choice that may be taken, or with autotune the fastest of its first few, timed on the device; either is kept in a folder
 * and taken from there the next time, so that a machine always runs the same one. */
#ifndef DOR_BACKEND_CUDA_DNN_H
#define DOR_BACKEND_CUDA_DNN_H

#include "backend/cuda/handles.h"
#include "kernels/opgraph.h"

typedef struct dor_dnn dor_dnn; /* dor_cuda_handles.dnn */

typedef struct dor_dnn_options {
  bool deterministic;       /* only engines that give the same bits each time */
  bool autotune;
  size_t workspace;         /* the most that a plan may ask for; 0: 256 MiB */
  const char *cache;        /* a folder for plans; NULL: none are kept */
  const char *device_json;  /* plan for the device that this describes, without having it: nothing can run. NULL: the current device */
} dor_dnn_options;

/* errors DEVICE: no cuDNN, no device, or a cuDNN older than 9.11 */
DOR_MUST dor_status dor_dnn_open(dor_cuda_handles *h, const dor_dnn_options *o);
void dor_dnn_close(dor_cuda_handles *h);
void dor_dnn_tune(dor_dnn *d, const dor_dnn_options *o); /* for graphs that are planned from now on; device_json stays what it was */

/* dor_library.graph: its plans carry a table of their own, so a device may offer it beside cuBLASLt's products.
 * errors UNSUPPORTED: no engine that may be taken has it, in cuDNN's words */
dor_status dor_dnn_graph(const dor_library *l, const dor_opgraph *g, void **plan, size_t *scratch);

/* The first failure of a run since it was asked last, in words: what dor_cuda_handles.failed counts. */
DOR_MUST dor_status dor_dnn_status(dor_dnn *d);
/* The device in cuDNN's own JSON, as dor_dnn_options.device_json takes it elsewhere. errors UNSUPPORTED: there is none; DEVICE */
DOR_MUST dor_status dor_dnn_description(const dor_dnn *d, dor_str *out);
const char *dor_dnn_device(const dor_dnn *d); /* what plans are for: "cuDNN 91900, NVIDIA H200, ..." */

#endif
