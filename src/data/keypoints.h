/* SPDX-License-Identifier: Apache-2.0
 *
 * Keypoint sets: which points of a person there are, what a mirror image makes
 * of them, how they hang together, and how sharply each can be placed (OKS). Known
 * ones stand in keypoint_sets.def; any other is said by a config, for instance
 *
 *   keypoints = { set = "custom"; names = ["C7", "T12", "L1", "S1"]; bones = ["C7:T12", "T12:L1", "L1:S1"]; }; */
#ifndef DOR_DATA_KEYPOINTS_H
#define DOR_DATA_KEYPOINTS_H

#include "base/schema.h"
#include "data/coco.h"

typedef struct dor_keypoints_cfg { /* keypoints.def */
#include "base/keys_fields.h"
#include "data/keypoints.def"
#include "base/keys_end.h"
} dor_keypoints_cfg;
extern const dor_key dor_keypoints_keys[];

typedef struct dor_keypoints {
  const char *name;             /* of the set; "custom" */
  bool rename;                  /* annotation files may have other names */
  int32_t k;
  const char *const *joint;     /* [k] */
  const int32_t *mirror;        /* [k] the joint that this one becomes in a mirror image; itself where it has no partner */
  int32_t n_bones;
  const int32_t (*bone)[2];     /* [n_bones] */
  const double *sigma;          /* [k] OKS constants */
  const int32_t *order;         /* [k] order in which people are put together from joints */
} dor_keypoints;

/* The set a config asks for, in `a`. errors CONFIG: no such set, an unknown joint in a pair, a number of sigmas that does not fit */
DOR_MUST dor_status dor_keypoints_make(dor_arena *a, const dor_keypoints_cfg *c, const dor_tree *where, dor_keypoints *out);
DOR_MUST dor_status dor_keypoints_named(dor_arena *a, const char *set, dor_keypoints *out);

/* Is an annotation file's category of this set, name by name ("Left shoulder" is left_shoulder)? With s->rename other names are
 * a warning. errors DATA: another number; other names, or another order */
DOR_MUST dor_status dor_keypoints_check(const dor_keypoints *s, const dor_coco *c, int32_t category);

#endif
