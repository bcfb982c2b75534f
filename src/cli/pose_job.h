/* SPDX-License-Identifier: Apache-2.0
 *
 * What `dorsum pose` is at: shared by its parts, pictures (cmd_pose.c), videos
 * (pose_video.c), and names and places (pose_place.c). */
#ifndef DOR_CLI_POSE_JOB_H
#define DOR_CLI_POSE_JOB_H

#include "cli/cli.h"
#include "movement/clips.h"
#include "pose/infer.h"
#include "pose/track.h"
#include "pose/write.h"

typedef struct dor_pose_own { /* keys beside dor_pose_keys and dor_track_keys */
  const char *annotations, *name;
  dor_texts names;
  bool skip, single;
  double least;
} dor_pose_own;

typedef struct dor_pose_entry {
  const char *path, *name;     /* name: as the output says it, the end of the address that tells it from all others */
  const char *address;         /* its path with the folder as it really is */
  const char *overlay;         /* where it is drawn, below the overlays' folder; NULL: it is not */
  int64_t id;                  /* of the picture; of a video's first frame */
  bool video;
  int32_t recording;           /* which of a cohort's it is; -1: of none */
  int64_t frames;              /* by the header or about that, -1: not said; 1 of a picture */
} dor_pose_entry;

typedef enum dor_pose_form { DOR_POSE_CSV, DOR_POSE_COCO, DOR_POSE_CLIPS } dor_pose_form;

typedef struct dor_pose_job {
  dor_cli *c;
  dor_pose_cfg cfg;
  dor_pose_own own;
  dor_track_cfg track;
  dor_pose_form form;
  dor_clips clips;             /* of the cohort that was named */
  const char *stamp, *stamp_made; /* of the weights; and of what they find in a synthetic picture or video */
  bool synthetic;              /* a picture or video that was taken is */
  dor_coco truth;              /* of `annotations` */
  int64_t category;
  dor_pose_entry *at;
  int32_t n, cap, done, skipped, n_videos;
  int64_t people, rows, empty;
  int64_t seen, total;         /* pictures and frames; total by the headers, -1: not said */
  int64_t taken;               /* of them, those that the output tells of */
  size_t planned;              /* memory of the network that was told of, bytes */
  int64_t more_ids;            /* ids that the frames of videos took beside one each */
  bool counted;                /* ids of COCO results count on: rows say the file */
  const char *stage, *made;    /* where overlays wait; the first folder that was made for them; NULL: none */
  dor_finder *finder;
  dor_str text;
  double began, told;
  int64_t told_tenth;
} dor_pose_job;

/* Progress, with `seen` of the pictures and frames behind it. */
void dor_pose_tell(dor_pose_job *j, int64_t seen);
/* The stamp of what is found in a picture or video that is synthetic or not; "": none. Remembers that one was. */
const char *dor_pose_stamp(dor_pose_job *j, bool synthetic);
/* "SYNTHETIC: joints by dorsum pose" in the arena; NULL where there is no stamp. */
const char *dor_pose_tag(dor_arena *a, const char *stamp);
/* A picture's or a frame's rows. */
void dor_pose_rows(dor_pose_job *j, const dor_pose_frame *f);

/* Read a video's header into *e, and refuse what the network cannot look at. */
DOR_MUST dor_status dor_pose_video_plan(const dor_pose_job *j, dor_pose_entry *e);
/* Give every picture and video a name that no other has: the file's, with as many folders before it as that takes. errors USAGE: a file given twice */
DOR_MUST dor_status dor_pose_names(dor_pose_job *j);
/* Refuse to begin where a result could not be written, or would take the place of another, of what is there already (unless --force) or of
 * what is read (in any case). errors USAGE, IO */
DOR_MUST dor_status dor_pose_places(dor_pose_job *j);
/* Overlays: make the folder where they wait; where one is written; put all in place; and, whatever came before, leave nothing behind. */
DOR_MUST dor_status dor_pose_stage(dor_pose_job *j);
DOR_MUST dor_status dor_pose_overlay_path(const dor_pose_job *j, const dor_pose_entry *e, dor_arena *a, const char **path);
DOR_MUST dor_status dor_pose_put_overlays(dor_pose_job *j);
void dor_pose_unstage(const dor_pose_job *j);

/* A video from its first frame to its rows and its overlay. errors DATA also where nobody is seen */
DOR_MUST dor_status dor_pose_video(dor_pose_job *j, const dor_pose_entry *e);

#endif
