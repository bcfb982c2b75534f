/* SPDX-License-Identifier: Apache-2.0
 *
 * A model's blocks in a backend's memory, and what the host sees of them. On the CPU both are one; of a device the host has a
 * copy, which pull and push renew: whoever reads pulls first, whoever has written pushes. */
#ifndef DOR_BACKEND_STORE_H
#define DOR_BACKEND_STORE_H

#include "backend/backend.h"

typedef struct dor_store {
  const dor_backend *backend;
  dor_blocks blocks;                /* what instances bind */
  void *host[DOR_KIND_COUNT];
  size_t bytes[DOR_KIND_COUNT];
  struct dor_fleet *fleet;          /* the blocks are those of `model` of it; NULL: of one alone */
  int32_t model;
} dor_store; /* zero-initialised is releasable */

/* bytes: of PARAM, GRAD, STATE, MOMENT; 0 gives a block too, for a program may name it. Zeroed. Release also after a failure.
 * errors NOMEM, DEVMEM */
DOR_MUST dor_status dor_store_make(dor_store *s, const dor_backend *b, const size_t bytes[DOR_KIND_COUNT]);
void dor_store_join(dor_store *s, struct dor_fleet *f, int32_t model); /* the blocks that a model of a fleet has already */
void dor_store_release(dor_store *s);

DOR_MUST dor_status dor_store_pull(dor_store *s, dor_kind kind); /* waits for what runs. errors DEVICE */
DOR_MUST dor_status dor_store_pull_all(dor_store *s, dor_kind kind); /* of all models of its fleet, at the price of one */
DOR_MUST dor_status dor_store_push(dor_store *s, dor_kind kind); /* as pull */

#endif
