/* SPDX-License-Identifier: Apache-2.0
 *
 * The flexion angle of BACK-to-MOVE: between trunk and leg at the hip, from the
 * base of the neck, the hip and the ankle in a side view. Degrees; pictures have
 * y downwards. */
#ifndef DOR_MOVEMENT_ANGLE_H
#define DOR_MOVEMENT_ANGLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct dor_xy { double x, y; } dor_xy;

/* The angle at the hip, 0..180, by the law of cosines from the three distances (Hartley 2024, fig. 4); upright is near 180.
 * NaN when two of them coincide or one is NaN. */
double dor_hip_angle(dor_xy neck, dor_xy hip, dor_xy ankle);

/* 180 - dor_hip_angle, negative when the neck is behind. facing: 1 the person looks to the right of the picture, -1 to the left,
 * 0 not known: then never negative. */
double dor_flexion(dor_xy neck, dor_xy hip, dor_xy ankle, int32_t facing);

typedef enum dor_side { DOR_SIDE_AUTO, DOR_SIDE_RIGHT, DOR_SIDE_LEFT } dor_side; /* AUTO: the side that was seen better */

/* Which columns of a keypoint set are meant; -1: it has none. */
typedef struct dor_hip_joints {
  int32_t neck, neck2;          /* the neck, or the two shoulders whose middle stands for it (COCO); neck2 -1 with a neck of its own */
  int32_t hip, ankle, nose;
  bool right;                   /* the side of hip and ankle */
} dor_hip_joints;

/* Find them by name: "neck" or "left_shoulder" and "right_shoulder"; "right_hip" and "right_ankle", or left. joint [n,k,3] x, y, score
 * decides AUTO. errors DATA: the set lacks one, with its name */
DOR_MUST dor_status dor_hip_joints_find(int32_t k, const char *const names[], dor_side side, int32_t n, const float *joint, dor_hip_joints *out);

/* Which way they look: by the nose and the neck in the frames where they stand upright; 0 without a nose or such a frame. */
int32_t dor_facing(const dor_hip_joints *j, int32_t n, int32_t k, const float *joint);

/* deg [n]: dor_flexion of each frame; NaN where a joint is. */
void dor_flexion_of(const dor_hip_joints *j, int32_t facing, int32_t n, int32_t k, const float *joint, float *deg);

#endif
