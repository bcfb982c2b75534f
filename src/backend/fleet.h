/* SPDX-License-Identifier: Apache-2.0
 *
 * A fleet: K models of the same programs that train together (docs/adr/0010-fleet.md). Its memory is K segments, each with a
 * model's blocks and the pools of all instances over them, so that one stride leads from anything of a model to the same of
 * the next. Instances bind to `blocks` and serve all models in each run. The host has a copy of all blocks, model after model;
 * without a device it is the blocks themselves. */
#ifndef DOR_BACKEND_FLEET_H
#define DOR_BACKEND_FLEET_H

#include "backend/backend.h"

typedef struct dor_fleet {
  const dor_backend *backend;
  int32_t models;
  size_t stride, used;            /* bytes of a segment; of those taken */
  char *base;
  dor_blocks blocks;              /* model 0's */
  size_t bytes[DOR_KIND_COUNT];
  char *host;                     /* pinned; each model's blocks as they begin its segment */
  size_t host_stride;
} dor_fleet; /* zero-initialised is releasable */

/* Room for `models` models with blocks of these sizes (0 gives one too) and one instance of each of the programs, which were built with
 * options.fleet. Zeroed. Release also after a failure. errors NOMEM, DEVMEM, RANGE */
DOR_MUST dor_status dor_fleet_make(dor_fleet *f, const dor_backend *b, int32_t models, const size_t bytes[DOR_KIND_COUNT], int32_t n,
                                   const dor_program *const program[]);
void dor_fleet_release(dor_fleet *f);

/* One model's block, to and from the host; waits for what runs. errors DEVICE */
DOR_MUST dor_status dor_fleet_put(dor_fleet *f, int32_t model, dor_kind kind, const void *from);
DOR_MUST dor_status dor_fleet_get(const dor_fleet *f, int32_t model, dor_kind kind, void *to);

/* The host's copy of a model's block, and its renewal for all models at once; waits for what runs. errors DEVICE */
void *dor_fleet_host(const dor_fleet *f, int32_t model, dor_kind kind);
DOR_MUST dor_status dor_fleet_pull(dor_fleet *f, dor_kind kind);

/* For an instance: a part of every segment; where model 0's lies. errors NOMEM: more instances than dor_fleet_make was told of */
DOR_MUST dor_status dor_fleet_take(dor_fleet *f, size_t bytes, void **out);

#endif
