/* SPDX-License-Identifier: Apache-2.0
 *
 * A pose network on the validation pictures: people found in every picture, and
 * the figures of the study's rules with intervals from resampling pictures. */
#ifndef DOR_TRAIN_POSE_VALIDATE_H
#define DOR_TRAIN_POSE_VALIDATE_H

#include "eval/keypoint.h"
#include "train/pose_program.h"
#include "train/pose_study.h"

typedef struct dor_pose_figures {
  double value[DOR_KP_MOST];   /* of study.rules; NaN: nobody of that kind */
  dor_interval interval[DOR_KP_MOST]; /* NaN without replicates, and where they are all equal */
  int32_t images, people, found;
} dor_pose_figures;

/* results, when not NULL: the detections as COCO JSON. replicates 0: no intervals.
 * errors DATA, IO: a picture; NUMERIC: maps that are not finite; NOMEM */
DOR_MUST dor_status dor_pose_validate(const dor_pose_study *s, dor_pose_trainer *t, int64_t replicates, dor_pose_figures *out, dor_str *results);

#endif
