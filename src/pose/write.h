/* SPDX-License-Identifier: Apache-2.0
 *
 * Found people as text: rows of CSV, one a person, or COCO's results, a list of
 * detections that `dorsum pose-eval` and pycocotools read. */
#ifndef DOR_POSE_WRITE_H
#define DOR_POSE_WRITE_H

#include "base/str.h"
#include "data/keypoints.h"
#include "pose/group.h"
#include "pose/track.h"

typedef struct dor_pose_frame { /* a picture, or a frame of a video */
  const char *file;
  bool say_file;               /* in COCO results of a picture too, whose id says nothing */
  int64_t frame;               /* from 0; -1: a picture */
  double time_s;               /* of a frame */
  int64_t image_id, category_id; /* in COCO results */
  const char *stamp;           /* each row says so; NULL or "": none */
  const dor_people *people;
  const dor_keypoints *keypoints; /* with `state` */
  const uint8_t *state;        /* [K] dor_track_state of the one person who is followed; NULL: nobody is */
} dor_pose_frame;

/* file,frame,time_s,person,score,NAME_x,NAME_y,NAME_score,...,filled,stamp: one name after the other; person counts from 1 in its
 * frame. Joints that were not found are empty; `filled` names those that stand between two sightings (score 0). */
void dor_pose_csv_head(const dor_keypoints *k, dor_str *out);
void dor_pose_csv(const dor_pose_frame *f, dor_str *out);

/* Detections, a line each, without the list's brackets; *n counts them, so that commas stand right. Joints not found are 0, 0, 0. Of a
 * video also file, frame and time_s, and of the one who is followed `filled`. */
void dor_pose_coco(const dor_pose_frame *f, int64_t *n, dor_str *out);

#endif
