/* SPDX-License-Identifier: Apache-2.0
 *
 * Recordings of a cohort as a dataset: the one person followed through each video
 * becomes a trial of theirs, with keypoints, times, flags and flexion angle. Who
 * is in which video a manifest says; the cohort's other tables come along. */
#ifndef DOR_MOVEMENT_CLIPS_H
#define DOR_MOVEMENT_CLIPS_H

#include "data/import.h"
#include "data/keypoints.h"
#include "pose/track.h"
#include "pose/watch.h"

typedef struct dor_clip {       /* of one recording; n == 0: none was taken */
  int32_t n;                    /* frames */
  float fps, width, height;
  const float *joint;           /* [n,k,3] x, y, score; NaN NaN 0 where absent */
  const uint8_t *state;         /* [n,k] dor_track_state */
  const double *time_s;         /* [n] */
} dor_clip;

typedef struct dor_clips {      /* zero-initialised is releasable */
  dor_dataset d;                /* people and tables; what comes of the videos is added at the end */
  dor_recordings who;
  const char *src;              /* the cohort's config or manifest; NULL: not open */
  bool named;                   /* ids name people: pseudonyms are wanted */
  dor_clip *of;                 /* [who.n] */
  dor_hash source;
} dor_clips;

typedef struct dor_clips_facts {
  const char *name;             /* of the keypoints and of the angles in the dataset */
  const dor_keypoints *keypoints;
  const char *weights_sha256;
  const char *stamp;            /* "SYNTHETIC QUICK", of the weights and the videos: the dataset bears it; "" */
} dor_clips_facts;

/* Read who is who. errors CONFIG, DATA with file:line */
DOR_MUST dor_status dor_clips_open(dor_clips *c, const char *src);
/* Ids become pseudonyms where they name people; the private files beside `src` are written. Before the work, which may be long. */
DOR_MUST dor_status dor_clips_name(dor_clips *c);
/* Keep a copy of what was followed through recording i. errors DATA: it cannot be hashed; NOMEM */
DOR_MUST dor_status dor_clips_take(dor_clips *c, int32_t i, const dor_watched *w, const dor_track *t);
/* Lay all that was taken end to end, in the manifest's order, and write the dataset. Where the keypoints have no hip and ankle there are
 * no angles, which is said. errors DATA: nothing was taken; NOMEM, IO */
DOR_MUST dor_status dor_clips_write(dor_clips *c, const dor_clips_facts *f, const char *path);
void dor_clips_release(dor_clips *c);

#endif
