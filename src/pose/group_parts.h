/* SPDX-License-Identifier: Apache-2.0
 *
 * What the steps of grouping share: peaks, and the largest heat of every run of
 * pixels, by which both the search for peaks and that for missing joints pass
 * over most of a map. */
#ifndef DOR_POSE_GROUP_PARTS_H
#define DOR_POSE_GROUP_PARTS_H

#include "pose/group.h"

enum { DOR_RUN = 64, DOR_TAGS = 8 }; /* pixels of a run; tags a joint at most */

typedef struct dor_peak {
  int32_t at;                  /* y * W + x */
  float heat;
} dor_peak;

typedef struct dor_peaks {
  int32_t most, runs;
  dor_peak *at;                /* [K,most] falling */
  int32_t *n;                  /* [K] */
  float *top;                  /* [K,runs] the largest heat of each run of DOR_RUN pixels */
} dor_peaks;

static inline const float *dor_heat(const dor_maps *m, int32_t k) { return m->heat + (size_t)k * (size_t)m->h * (size_t)m->w; }
static inline const float *dor_tag(const dor_maps *m, int32_t t, int32_t k)
{
  return m->tag + ((size_t)t * (size_t)m->k + (size_t)k) * (size_t)m->h * (size_t)m->w;
}

static inline float *dor_joint(const dor_people *p, int32_t person, int32_t k) { return p->joint + 3 * ((size_t)person * (size_t)p->k + (size_t)k); }

/* The largest of sign * v[0..n); -infinity where there is no number. */
float dor_largest(const float *v, int32_t n, float sign);

/* The highest `people` pixels of each joint that no other in their window surpasses, highest first; of equal ones those that torch.topk takes. */
DOR_MUST dor_status dor_peaks_find(const dor_maps *m, const dor_pose_cfg *c, int32_t threads, dor_arena *a, dor_peaks *out);

/* Quarter pixel and centre: joints with a score move by (.25 or .75). */
void dor_people_adjust(const dor_maps *m, dor_people *p);

/* Fill missing joints: where heat less the rounded distance from the person's mean tag is largest, if there is heat. */
DOR_MUST dor_status dor_people_refine(const dor_maps *m, const dor_peaks *peaks, int32_t threads, dor_arena *a, dor_people *p);

#endif
