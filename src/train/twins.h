/* SPDX-License-Identifier: Apache-2.0
 *
 * Check L4: images, and whole trials of silhouettes, that are identical or alike
 * across folds. Identical: same bytes. Alike: 64-bit difference hashes (9 x 8
 * greys) at most two bits apart. Used by leakage.c alone. */
#ifndef DOR_TRAIN_TWINS_H
#define DOR_TRAIN_TWINS_H

#include "train/leakage.h"

enum { DOR_TWINS_LISTED = 100 };

/* `similar` gets the first DOR_TWINS_LISTED pairs as members of a JSON array, *n all of them. */
DOR_MUST dor_status dor_twins_check(const dor_study *s, dor_leak_check *c, int32_t *n, dor_str *similar);

/* The difference hash of one picture [h,w,c]. */
uint64_t dor_twins_hash(const uint8_t *pixels, int32_t h, int32_t w, int32_t c);

#endif
