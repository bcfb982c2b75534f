/* SPDX-License-Identifier: Apache-2.0
 *
 * One person through a video. What was found in each frame is joined into tracks
 * by nearness, the track of the largest or most central person is taken, its gaps
 * are filled and flagged, and its coordinates smoothed. */
#ifndef DOR_POSE_TRACK_H
#define DOR_POSE_TRACK_H

#include "base/arena.h"
#include "base/schema.h"

typedef struct dor_track_cfg {
#include "base/keys_fields.h"
#include "pose/track.def"
#include "base/keys_end.h"
} dor_track_cfg;
extern const dor_key dor_track_keys[];

enum { DOR_TRACK_LARGEST, DOR_TRACK_CENTRAL };                         /* dor_track_cfg.person */
typedef enum dor_track_state { DOR_TRACK_ABSENT, DOR_TRACK_FILLED, DOR_TRACK_SEEN } dor_track_state;

typedef struct dor_sighting {  /* a frame */
  double time_s;
  int32_t n;                    /* people */
  const float *joint;           /* [n,k,3] x, y in pixels, score */
} dor_sighting;

typedef struct dor_track {
  int32_t n, k;                 /* frames, joints */
  float *joint;                 /* [n,k,3] x, y, score; NaN NaN 0 where absent; the score of a filled joint is 0 */
  uint8_t *state;               /* [n,k] dor_track_state */
  int32_t *person;              /* [n] who of the frame it is, -1: not seen */
  int32_t n_people;             /* tracks there were */
  double rate_hz, cutoff_hz;    /* of the smoothing; cutoff 0: none */
} dor_track;

/* The cut-off that c asks for at this frame rate. errors CONFIG: the rate cannot carry it */
DOR_MUST dor_status dor_track_cutoff(const dor_track_cfg *c, double rate_hz, double *cutoff_hz);

/* Of a frame, the 64 largest (most central) people are looked at. w x h: of the frames. No person anywhere: all absent,
 * n_people 0. errors CONFIG: the frame rate cannot carry cutoff_hz; NOMEM */
DOR_MUST dor_status dor_track_person(dor_arena *a, int32_t n, const dor_sighting *frame, int32_t k, int32_t h, int32_t w, const dor_track_cfg *c,
                                     dor_track *out);

#endif
