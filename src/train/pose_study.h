/* SPDX-License-Identifier: Apache-2.0
 *
 * The data of a pose experiment: both annotation files, which pictures are
 * trained on and validated on, and that none is in both. */
#ifndef DOR_TRAIN_POSE_STUDY_H
#define DOR_TRAIN_POSE_STUDY_H

#include "base/hash.h"
#include "eval/keypoint.h"
#include "train/pose_plan.h"

typedef struct dor_pose_study {
  const dor_experiment *experiment;
  const dor_pose_plan *plan;
  dor_arena arena;
  dor_coco train, valid;
  dor_pose_set set;             /* training pictures */
  int32_t valid_category;
  dor_kp_rules rules;           /* by which validation is judged */
  char sha256[DOR_HASH_HEX];    /* over both annotation files */
  struct dor_pose_first {       /* of the weights that the net begins with; all empty without */
    bool known, synthetic, leaks; /* a record of what they were trained on; its stamps, which every result of them has too */
    bool saw_valid;             /* trained on the validation file: only with pose.leaks */
    const char *line;           /* "trained on ..." */
    char sha256[DOR_HASH_HEX];  /* of the file */
  } first;
  const char *seen;             /* SHA-256 of the training file, and of all that the first weights were trained on; "," between them */
  int32_t same_ids, same_pictures; /* found in both parts: only with pose.leaks */
} dor_pose_study; /* zero-initialised is releasable; not to be moved once made */

/* Over the bytes of both annotation files. errors CONFIG, NOTFOUND, IO */
DOR_MUST dor_status dor_pose_identity(const dor_pose_plan *p, char hex[DOR_HASH_HEX]);

/* Reads and checks everything but the pixels. errors DATA, NOTFOUND, IO; LEAK: an image id, or a picture's bytes, in both parts,
 * or first weights that were trained on the validation file */
DOR_MUST dor_status dor_pose_study_make(dor_pose_study *s, const dor_experiment *e);
void dor_pose_study_release(dor_pose_study *s);

/* "SYNTHETIC LEAKS QUICK" or what of it applies; "" */
const char *dor_pose_stamps(const dor_pose_study *s, char out[32]);
bool dor_pose_synthetic(const dor_pose_study *s);
int32_t dor_pose_people(const dor_coco *c, int32_t category); /* annotations with a labelled joint */

/* run.json, leakage.json and pictures.csv */
DOR_MUST dor_status dor_pose_record(const dor_pose_study *s, const char *folder);

#endif
