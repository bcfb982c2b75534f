/* SPDX-License-Identifier: Apache-2.0
 *
 * Near-duplicates: pictures that are almost the same, mirror images included.
 * Frames of one film or copies of one photo in two folds would let a model
 * recognise instead of learn, so they become groups that folds keep whole. */
#ifndef DOR_DATA_NEAR_H
#define DOR_DATA_NEAR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

/* Union-find over n things. */
typedef struct dor_union {
  int32_t n;
  int32_t *parent;              /* [n] */
} dor_union;
DOR_MUST dor_status dor_union_init(dor_union *u, dor_arena *a, int32_t n);
int32_t dor_union_find(dor_union *u, int32_t i);
bool dor_union_join(dor_union *u, int32_t i, int32_t j); /* false: they were joined already */

/* Join the pictures whose cosine at 32x32 lies above `threshold`, as they are or mirrored. centred: the mean of each picture
 * is taken off first (pixel correlation: photos; silhouettes are compared by overlap). *pairs: how many such pairs there are.
 *   pixels [n,h,w,c]; time n^2. errors NOMEM */
DOR_MUST dor_status dor_near_join(dor_union *u, int32_t h, int32_t w, int32_t c, const uint8_t *pixels, bool centred, double threshold, int64_t *pairs);

#endif
