/* SPDX-License-Identifier: Apache-2.0
 *
 * A pose network over a video: everybody in every frame, with the frame's time.
 * What becomes of them (rows, a track, an overlay) is the caller's. */
#ifndef DOR_POSE_WATCH_H
#define DOR_POSE_WATCH_H

#include "data/video.h"
#include "pose/infer.h"
#include "pose/track.h"

typedef struct dor_watched_frame {
  double time_s;                /* from the start of the file */
  dor_people people;            /* x, y in pixels of the upright frame */
} dor_watched_frame;

typedef struct dor_watched {
  dor_video_info video;
  int32_t n, k;                 /* frames, joints */
  dor_watched_frame *frame;     /* [n] */
  int64_t people;               /* over all frames; 0: nobody was ever seen */
} dor_watched;

typedef bool dor_watch_fn(void *to, const dor_watched *so_far); /* false: stop */

/* Frames are run `batch` at a time, and `tell` (may be NULL) hears of each batch. In `a`: some 12 x K bytes a person and frame.
 * errors those of dor_video_open, dor_video_next and dor_finder_run; NOMEM, STOPPED */
DOR_MUST dor_status dor_watch_video(dor_finder *net, const char *path, int32_t batch, dor_arena *a, dor_watch_fn *tell, void *to, dor_watched *out);

/* dor_track_person over what was watched. errors likewise */
DOR_MUST dor_status dor_watch_track(dor_arena *a, const dor_watched *w, const dor_track_cfg *c, dor_track *out);

#endif
