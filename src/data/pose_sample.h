/* SPDX-License-Identifier: Apache-2.0
 *
 * One training picture of a pose network: which pictures there are, how a crop
 * is drawn, and where joints come to lie in it. A crop depends on (seed, epoch,
 * picture) alone; pictures, masks and joints follow the same map. */
#ifndef DOR_DATA_POSE_SAMPLE_H
#define DOR_DATA_POSE_SAMPLE_H

#include "base/schema.h"
#include "data/coco.h"
#include "data/keypoints.h"
#include "data/warp.h"

typedef struct dor_pose_augment_cfg { /* pose_augment.def */
#include "base/keys_fields.h"
#include "data/pose_augment.def"
#include "base/keys_end.h"
} dor_pose_augment_cfg;
extern const dor_key dor_pose_augment_keys[];
enum { DOR_SIDE_SHORT, DOR_SIDE_LONG }; /* side */

typedef struct dor_pose_set {
  const dor_coco *coco;
  const dor_keypoints *keypoints;
  const char *folder;           /* of the pictures */
  int32_t category;
  int32_t n;
  const int32_t *image;         /* [n] images that have an annotation of the category, in file order */
  double enough;                /* pixels that the side of the crop (augment.side) must keep; 0: pictures are held as they are */
  int32_t rule;                 /* augment.side */
  int32_t h, w;                 /* largest height and width among them, as they are held */
  int32_t people;               /* most people with joints in one picture; at least 1 */
} dor_pose_set;

/* errors DATA: another number of keypoints, no picture with an annotation; NOTFOUND: a missing picture file; NOMEM */
DOR_MUST dor_status dor_pose_set_make(dor_arena *a, const dor_coco *c, int32_t category, const dor_keypoints *k, const char *folder, dor_pose_set *out);

/* Hold large pictures smaller from now on: each pixel held is the mean of n x n (dor_pose_held), the largest n at which even the
 * tightest crop has a pixel for each of the input's. Pictures below twice that size, COCO's among them, are held as they are. */
void dor_pose_set_reduce(dor_pose_set *s, const dor_pose_augment_cfg *c, int32_t input);
void dor_pose_held(const dor_pose_set *s, int32_t h, int32_t w, int32_t *held_h, int32_t *held_w);

typedef struct dor_pose_crop { /* a square of the picture, turned, perhaps mirrored afterwards */
  double x, y, side, deg;
  bool mirror;
} dor_pose_crop;

dor_pose_crop dor_pose_draw(const dor_pose_augment_cfg *c, uint64_t seed, uint64_t epoch, int32_t image, int32_t h, int32_t w);

/* The joints of `image` on an r x r map: joint [people,K,3] column, row (truncated towards 0, as the original), labelled.
 * Crowds without joints are left out; people beyond `people` too; empty places are 0. *n: people found */
void dor_pose_joints(const dor_pose_set *s, int32_t image, const dor_pose_crop *crop, int32_t r, int32_t people, int32_t *joint, int32_t *n);

/* The list that the associative-embedding loss of the original reads: tag [people,K,2], for each person's labelled joints on the
 * map, packed from the front, (joint r r + row r + column, 1); the rest 0. */
void dor_pose_tags(const int32_t *joint, int32_t people, int32_t k, int32_t r, int32_t *tag);

#endif
