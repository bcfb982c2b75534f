/* SPDX-License-Identifier: Apache-2.0
 *
 * Videos as frames and frames as videos, by ffmpeg and ffprobe as child programs:
 * a damaged or hostile file meets them, not us. They get the open file and never
 * its name, may read nothing else, and know three kinds of container (mp4/mov,
 * matroska/webm, avi). Frames come upright, with square pixels, each once, with
 * its time; what a file loses on the way is an error and not a shorter video. */
#ifndef DOR_DATA_VIDEO_H
#define DOR_DATA_VIDEO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct dor_video_info {
  int32_t w, h;                 /* of the frames as given: upright, square pixels */
  int32_t coded_w, coded_h;     /* as stored */
  int32_t rotation_deg;         /* what turns the stored picture upright, clockwise: 0, 90, 180, 270 */
  char codec[24], pixels[24];   /* "h264", "yuv420p10le" */
  double fps;                   /* mean rate that the header gives; NaN: none */
  double duration_s;            /* of the picture, by the header; NaN: not said */
  int64_t n_frames;             /* by the header; -1: not said */
  bool variable;                /* the header's mean rate is not its base rate: frames may be uneven in time */
  bool interlaced;
  bool synthetic;               /* it carries the SYNTHETIC tag */
} dor_video_info;

/* Does it end like a video (mp4, mov, m4v, mkv, webm, avi)? */
bool dor_video_name(const char *path);

/* What the headers say. errors NOTFOUND; DATA "file: what" (empty, no picture in it, not readable); UNSUPPORTED: ffprobe is not installed */
DOR_MUST dor_status dor_video_probe(const char *path, dor_video_info *out);

typedef struct dor_video dor_video;

/* Start reading. Close with dor_video_close, also in the middle. errors as dor_video_probe; NOMEM */
DOR_MUST dor_status dor_video_open(const char *path, dor_video **out);
const dor_video_info *dor_video_of(const dor_video *v);
/* The next frame: rgb [h,w,3], and its time in seconds from the start of the file, increasing. *more: false at the end, and
 * nothing is given. errors DATA "file: frame 17: what" (damaged, cut off); DEADLINE (a minute without a frame) */
DOR_MUST dor_status dor_video_next(dor_video *v, uint8_t *rgb, double *time_s, bool *more);
void dor_video_close(dor_video *v); /* ends the child; NULL is fine */

typedef struct dor_film dor_film;

/* Start writing `path` (mp4, H.264): h x w as frames will be given; an odd side gets a black row or column at its end.
 * fps: about how many there are a second; the last is shown for 1 / fps. tag: a text kept in the file ("SYNTHETIC: ..."), NULL: none.
 * The same frames and times give the same bytes on one machine.
 * errors UNSUPPORTED: ffmpeg is not installed; IO, NOMEM */
DOR_MUST dor_status dor_film_open(const char *path, int32_t h, int32_t w, double fps, const char *tag, dor_film **out);
/* rgb [h,w,3]; times increase, kept to 1/90000 s. errors IO "file: what ffmpeg said" */
DOR_MUST dor_status dor_film_put(dor_film *f, const uint8_t *rgb, double time_s);
/* The file appears whole under its name, or nothing is left of it. Frees f in any case. errors IO; ARG: no frame */
DOR_MUST dor_status dor_film_close(dor_film *f);
void dor_film_drop(dor_film *f); /* nothing is left of it; NULL is fine */

#endif
