/* SPDX-License-Identifier: Apache-2.0
 *
 * People and detections by formula, the same numbers in C and in
 * tests/e2e/coco_oracle.py. u(i) = the 24 high bits of SplitMix64 of i, over 2^24; all
 * else is exact arithmetic on it, so that both sides see the same doubles. */
#ifndef DOR_TESTS_UNIT_KEYPOINT_SET_H
#define DOR_TESTS_UNIT_KEYPOINT_SET_H

#include "eval/keypoint.h"

enum { KEYPOINT_IMAGES = 40, KEYPOINT_MOST = 1024, KEYPOINT_K = 17 };

typedef struct keypoint_set {
  dor_kp_truth truth;
  dor_kp_found found;
} keypoint_set;

void keypoint_set_make(keypoint_set *s, const double *sigma); /* in memory of its own, made anew by each call */

#endif
