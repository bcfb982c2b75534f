/* SPDX-License-Identifier: Apache-2.0
 *
 * An experiment with task = "pose": one network that finds keypoints, trained on
 * one annotation file and validated on another, a cell for each seed. It has
 * groups of its own (pose, keypoints, augment, decode, nets) beside train and cpu. */
#ifndef DOR_TRAIN_POSE_PLAN_H
#define DOR_TRAIN_POSE_PLAN_H

#include "data/pose_sample.h"
#include "pose/group.h"
#include "train/experiment.h"

typedef struct dor_pose_data_cfg { /* pose.def */
#include "base/keys_fields.h"
#include "train/pose.def"
#include "base/keys_end.h"
} dor_pose_data_cfg;
extern const dor_key dor_pose_data_keys[];

typedef struct dor_pose_plan {
  dor_top_cfg top;
  dor_train_cfg train;
  dor_cpu_cfg cpu;
  dor_cuda_cfg cuda;
  dor_pose_data_cfg pose;
  dor_keypoints_cfg points;
  dor_pose_augment_cfg augment;
  dor_pose_cfg decode;
  dor_keypoints keypoints;
  dor_net net;
  const char *train_file, *train_folder, *valid_file, *valid_folder; /* paths resolved */
  char where[256];             /* file:line of `pose` */
} dor_pose_plan;

bool dor_pose_asked(const dor_tree *root); /* task = "pose"? */
/* errors CONFIG: a key of another task, no or several nets, one that gives no maps, sizes that do not fit */
DOR_MUST dor_status dor_pose_plan_load(dor_arena *a, const dor_tree *root, const char *path, dor_pose_plan *out);
DOR_MUST dor_status dor_pose_plan_save(dor_arena *a, const dor_pose_plan *p, dor_tree **out); /* every key written out */

/* Of e->pose, over every key that can change a cell but the names of files: what is in them is the data's hash (dor_pose_identity). */
DOR_MUST dor_status dor_pose_plan_hash(const dor_experiment *e, char hex[DOR_HASH_HEX]);

/* The groups, for help and documents. */
extern const dor_section dor_pose_sections[]; /* `at` in dor_pose_plan; ends with a NULL name */

#endif
