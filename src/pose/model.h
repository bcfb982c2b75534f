/* SPDX-License-Identifier: Apache-2.0
 *
 * What a weight file says of the network in it: its settings by the shapes of its
 * tensors, its keypoints and its origin by its record. */
#ifndef DOR_POSE_MODEL_H
#define DOR_POSE_MODEL_H

#include "data/keypoints.h"
#include "nn/nn.h"
#include "weights/weights.h"

typedef struct dor_pose_source {
  const dor_model *model;
  const void *cfg;             /* its settings, in the arena */
  int64_t width, joints;
} dor_pose_source;

/* errors DATA "file: no tensor 'final_layers.1.weight': ..." when these are no weights of a HigherHRNet */
DOR_MUST dor_status dor_pose_source_of(dor_arena *a, const dor_tensors *t, const char *path, dor_pose_source *out);

/* The set that is asked for (or its joints, "C7,T12,..."; "NAME," of one), or (set "") the one of the file's record, or the known one of
 * as many joints. errors CONFIG, DATA */
DOR_MUST dor_status dor_pose_keypoints_of(dor_arena *a, const dor_tensors *t, const char *path, const char *set, int64_t joints, dor_keypoints *out);

#endif
