/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of dnn.c: how a graph becomes cuDNN's execution plan. */
#ifndef DOR_BACKEND_CUDA_DNN_PLAN_H
#define DOR_BACKEND_CUDA_DNN_PLAN_H

#include <pthread.h>

#include "backend/cuda/descriptor.h"
#include "backend/cuda/dnn.h"

struct dor_dnn {
  dor_cuda_handles *handles;
  dor_dnn_options is;
  cudnnHandle_t handle;     /* NULL where there is no device */
  dor_descs own;            /* the described device's description */
  dor_desc device;          /* NULL where there is a device: plans are then made by the handle, and can run */
  char about[160];
  pthread_mutex_t lock;     /* one handle, one stream at a time */
  dor_status failed;
  char reason[512];
};

typedef struct dor_dnn_choice {
  dor_desc plan;
  int64_t workspace, engine;
  bool compiled;            /* at run time, not one of cuDNN's ready ones */
  bool absent;              /* compiled, but the device is not here to load it */
} dor_dnn_choice;

/* The plan for g by the options of d, timed where they ask for it; tf32 as in dor_library. Its descriptor is in `all`. errors UNSUPPORTED, DEVMEM, DEVICE */
DOR_MUST dor_status dor_dnn_choose(dor_dnn *d, const dor_opgraph *g, bool tf32, dor_descs *all, dor_dnn_choice *out);

/* The pointers a plan runs on: at[] by tensor. */
DOR_MUST dor_status dor_dnn_pack(dor_descs *all, const dor_opgraph *g, void *const at[], void *workspace, dor_desc *out);

/* Seconds that a plan takes with cold caches, on memory of its own. errors DEVMEM, DEVICE, UNSUPPORTED: it does not run */
DOR_MUST dor_status dor_dnn_time(dor_dnn *d, const dor_opgraph *g, const dor_dnn_choice *c, double *time_s);

/* Plans in files, by the text of what was asked. Missing, damaged, refused by cuDNN, or no device to read it for: found is false. */
DOR_MUST dor_status dor_dnn_load(const dor_dnn *d, const char *key, dor_descs *all, dor_dnn_choice *out, bool *found);
DOR_MUST dor_status dor_dnn_save(const dor_dnn *d, const char *key, const dor_dnn_choice *c);

#endif
