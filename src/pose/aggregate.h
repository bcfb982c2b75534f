/* SPDX-License-Identifier: Apache-2.0
 *
 * From what the network gives for a picture, and for its mirror image, at one or
 * several scales, to one set of heat maps and tags at the size of the input: both
 * resolutions averaged, mirror images turned back with left and right joints
 * exchanged, scales averaged; tags come from scale 1 alone and stand side by side. */
#ifndef DOR_POSE_AGGREGATE_H
#define DOR_POSE_AGGREGATE_H

#include "base/arena.h"
#include "base/status.h"
#include "pose/group.h"

typedef struct dor_output {    /* of the network for one picture */
  int32_t h, w;                /* of the coarse maps */
  const float *coarse;         /* [h,w,2K] heat of K joints, then their tags */
  const float *fine;           /* [2h,2w,K] heat */
} dor_output;

typedef struct dor_aggregate { /* reused from picture to picture; zero-initialised is releasable */
  dor_maps maps;               /* the result: what dor_group reads */
  int32_t scales;              /* added so far */
  float *heat, *tag, *half;    /* [K,H,W]; [T,K,H,W]; the averages before they are enlarged */
  size_t heat_n, tag_n, half_n; /* floats there is room for */
} dor_aggregate;

/* Begin a picture whose maps are [h,w]. */
DOR_MUST dor_status dor_aggregate_begin(dor_aggregate *g, int32_t k, int32_t h, int32_t w, bool flip);

/* Add one scale. mirrored: the output for the mirror image, NULL without a flip test; flip [K] the joint that each is in the mirror.
 * tags: take the tags from this scale (once a picture). errors NOMEM, ARG */
DOR_MUST dor_status dor_aggregate_add(dor_aggregate *g, const dor_output *plain, const dor_output *mirrored, const int32_t *flip, bool tags, int32_t threads);

/* Divide by the number of scales; g->maps is complete. */
void dor_aggregate_end(dor_aggregate *g, int32_t threads);
void dor_aggregate_release(dor_aggregate *g);

#endif
