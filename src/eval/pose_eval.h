/* SPDX-License-Identifier: Apache-2.0
 *
 * Detections in a file held against the annotations in another: COCO's or
 * CrowdPose's figures and PCK, each with its numbers and interval; or the angles
 * of one dataset against those of another. What `dorsum pose-eval` prints. */
#ifndef DOR_EVAL_POSE_EVAL_H
#define DOR_EVAL_POSE_EVAL_H

#include "base/schema.h"
#include "data/keypoints.h"
#include "eval/agreement.h"
#include "eval/keypoint.h"

typedef struct dor_pose_eval_cfg {
#include "base/keys_fields.h"
#include "eval/pose_eval.def"
#include "base/keys_end.h"
} dor_pose_eval_cfg;
extern const dor_key dor_pose_eval_keys[];

typedef struct dor_pose_share { int64_t hit, all; dor_interval interval; } dor_pose_share; /* of joints; all or none: Wilson's, over images */

typedef struct dor_pose_eval {
  bool crowdpose;
  char stamp[32];              /* "SYNTHETIC LEAKS QUICK": what of it the annotations or the detections bear; "" */
  dor_keypoints keypoints;     /* the set whose names and sigmas are used */
  int32_t images, people, found; /* people: annotated; found: detections */
  int32_t n;                   /* figures */
  dor_kp_figure figure[DOR_KP_MOST];
  double value[DOR_KP_MOST];
  dor_interval interval[DOR_KP_MOST]; /* NaN without replicates */
  int32_t counted[DOR_KP_MOST]; /* people of that area and those images who count */
  bool pck;
  dor_pose_share all;          /* PCK of all joints */
  const dor_pose_share *joint; /* [K] */
} dor_pose_eval;

/* errors DATA, CONFIG naming file and entry; NOTFOUND, IO, NOMEM. Everything lives in `a`. */
DOR_MUST dor_status dor_pose_eval_files(dor_arena *a, const char *truth, const char *found, const dor_pose_eval_cfg *c, dor_pose_eval *out);

typedef struct dor_angle_eval {
  const char *truth, *estimate; /* names of the series */
  bool synthetic;
  dor_agreement agreement;     /* deg */
} dor_angle_eval;

/* Angles of two datasets (or of one, twice) with the same subjects, trials and frames. errors DATA naming what differs */
DOR_MUST dor_status dor_angle_eval_files(dor_arena *a, const char *truth, const char *estimate, const dor_pose_eval_cfg *c, dor_angle_eval *out);

#endif
