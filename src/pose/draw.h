/* SPDX-License-Identifier: Apache-2.0
 *
 * Skeletons drawn into pictures: lines between joints, left and right in colours
 * that everybody can tell apart, smooth edges. For overlays of pictures and videos. */
#ifndef DOR_POSE_DRAW_H
#define DOR_POSE_DRAW_H

#include "data/keypoints.h"
#include "data/picture.h"
#include "pose/group.h"

/* Draw people into p (RGB, in place). Joints with a score of at most `least` are left out, and lines to them; what lies outside
 * the picture is cut. joint [n,K,3] x, y, score: NaN is left out too. */
void dor_draw_people(dor_picture *p, const dor_keypoints *k, int32_t n, const float *joint, float least);

/* SYNTHETIC across the top left corner. */
void dor_draw_synthetic(dor_picture *p);

#endif
