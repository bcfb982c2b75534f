/* SPDX-License-Identifier: Apache-2.0
 *
 * From heat maps and tag maps to people (associative embedding): peaks of each
 * joint's map, matched to people by their tags, joint after joint; then a quarter
 * pixel's adjustment, a score for each person, and a search of the whole map for
 * joints that are missing. Equal to the original, ties included. */
#ifndef DOR_POSE_GROUP_H
#define DOR_POSE_GROUP_H

#include "base/arena.h"
#include "base/schema.h"
#include "base/status.h"

typedef struct dor_pose_cfg {
#include "base/keys_fields.h"
#include "pose/pose.def"
#include "base/keys_end.h"
} dor_pose_cfg;
extern const dor_key dor_pose_keys[];

typedef struct dor_maps {
  int32_t k, h, w, t;          /* joints, height, width, tags of a joint (one for each of picture and mirror image) */
  const float *heat;           /* [K,H,W] */
  const float *tag;            /* [T,K,H,W] */
} dor_maps;

typedef struct dor_people {
  int32_t n, k;
  float *joint;                /* [n,K,3] x, y in pixels (the centre of the first is .5), score; all 0: not found */
  float *score;                /* [n] mean score of all K joints, before missing ones were looked for */
} dor_people;

/* People in the order in which they were found; none is an ordinary answer.
 *
 *   order   [K] the joints as they are matched: those that are found best come first
 *   out     in the arena, in pixels of the maps
 *   errors  NUMERIC: a map is not finite where a joint was found; NOMEM
 *   source  Newell et al., NIPS 2017; Cheng et al., CVPR 2020 and their program */
DOR_MUST dor_status dor_group(const dor_maps *m, const dor_pose_cfg *c, const int32_t *order, int32_t threads, dor_arena *a, dor_people *out);

#endif
