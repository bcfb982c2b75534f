/* SPDX-License-Identifier: Apache-2.0
 *
 * Programs by shape: one for each batch size, length bucket or resolution of a
 * model, built when it is first asked for and shared by every worker. */
#ifndef DOR_BACKEND_CACHE_H
#define DOR_BACKEND_CACHE_H

#include "backend/backend.h"

typedef struct dor_cache dor_cache;
typedef dor_status dor_cache_make(void *context, dor_program **out);

DOR_MUST dor_status dor_cache_new(dor_cache **out);
void dor_cache_free(dor_cache *c); /* and all its programs */

/* The program under `key` (what it is: model, training or not, threads) and the shapes; `make` builds it when there is
 * none. Only one thread builds at a time, so a parameter table that builds add to needs no lock of its own.
 * errors those of make; nothing is stored then */
DOR_MUST dor_status dor_cache_get(dor_cache *c, const char *key, int32_t n, const dor_shape shape[], dor_cache_make *make, void *context,
                                  const dor_program **out);

#endif
