/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/pose_job.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/progress.h"
#include "pose/draw.h"
#include "pose/resize.h"
#include "pose/watch.h"

typedef struct shot {
  dor_pose_job *j;
  const dor_pose_entry *e;
  dor_arena a;
  dor_watched w;
  dor_track track;             /* with single=true */
  const char *stamp;
} shot;

/* ---- before the first frame ---- */

/* Where the header knows the rate: what would be refused when all is looked at is refused now. */
static dor_status plan_smoothing(const dor_pose_job *j, const dor_pose_entry *e, double fps)
{
  double cutoff_hz;
  if (!dor_track_cutoff(&j->track, fps, &cutoff_hz)) return DOR_OK;
  char why[256];
  snprintf(why, sizeof why, "%s", dor_errmsg());
  return DOR_FAIL(CONFIG, "%s: %s", e->path, why);
}

dor_status dor_pose_video_plan(const dor_pose_job *j, dor_pose_entry *e)
{
  dor_video_info v;
  dor_fit fit;
  DOR_NEED(!*j->own.annotations, USAGE, "%s: annotations=%s gives ids to pictures, and this is a video", e->path, j->own.annotations);
  e->frames = -1;
  DOR_TRY(dor_video_probe(e->path, &v));
  dor_status s = dor_fit_of(v.w, v.h, DOR_FIT_STEP, 1, 1, &fit);
  if (s) {
    char why[256];
    snprintf(why, sizeof why, "%s", dor_errmsg());
    return DOR_FAIL(DATA, "%s: %s", e->path, why);
  }
  if (j->own.single && v.fps > 0 && !v.variable) DOR_TRY(plan_smoothing(j, e, v.fps));
  const double about = v.n_frames > 0 ? (double)v.n_frames : v.fps * v.duration_s;
  e->frames = about > 0 && about < 1e9 ? llround(about) : -1;
  return DOR_OK;
}

/* ---- one person ---- */

static void say_track(const shot *s)
{
  int32_t seen = 0;
  int64_t filled = 0;
  char smoothing[128] = "not smoothed";
  for (int32_t f = 0; f < s->w.n; f++) seen += s->track.person[f] >= 0;
  for (int64_t i = 0; i < (int64_t)s->w.n * s->w.k; i++) filled += s->track.state[i] == DOR_TRACK_FILLED;
  if (s->track.cutoff_hz > 0)
    snprintf(smoothing, sizeof smoothing, "zero-phase Butterworth, cut-off %g Hz at %.4g frames a second%s", s->track.cutoff_hz, s->track.rate_hz,
             s->j->track.cutoff_hz < 0 && s->track.cutoff_hz < 6 ? ", which carry no 6 Hz" : "");
  dor_say(s->j->c, "%s: the %s of %d people, seen in %d of %d frames; %lld joints filled in gaps up to %g s; %s", s->e->name,
          s->j->track.person == DOR_TRACK_LARGEST ? "largest" : "most central", s->track.n_people, seen, s->w.n, (long long)filled, s->j->track.gap_s,
          smoothing);
}

static dor_status follow(shot *s)
{
  dor_status r = dor_watch_track(&s->a, &s->w, &s->j->track, &s->track);
  if (r == DOR_E_CONFIG) {
    char why[256];
    snprintf(why, sizeof why, "%s", dor_errmsg());
    return DOR_FAIL(CONFIG, "%s: %s", s->e->path, why);
  }
  DOR_TRY(r);
  const size_t all = (size_t)s->w.n * (size_t)s->w.k;
  DOR_NEED(memchr(s->track.state, DOR_TRACK_SEEN, all), DATA, "%s: no joint of anybody reaches least_score = %g in %d frames", s->e->path,
           s->j->track.least_score, s->w.n);
  say_track(s);
  return DOR_OK;
}

/* Who is in a frame: everybody, or the one who is followed; then *state is theirs. */
static dor_people people_of(const shot *s, int32_t frame, float *score, const uint8_t **state)
{
  const dor_people all = s->w.frame[frame].people;
  *state = NULL;
  if (!s->j->own.single) return all;
  const size_t at = (size_t)frame * (size_t)s->w.k;
  const int32_t person = s->track.person[frame];
  *score = person < 0 ? NAN : all.score[person];
  *state = s->track.state + at;
  return (dor_people){1, s->w.k, s->track.joint + 3 * at, score};
}

/* ---- what is written ---- */

static bool nobody(const shot *s, const uint8_t *state)
{
  for (int32_t k = 0; state && k < s->w.k; k++)
    if (state[k] != DOR_TRACK_ABSENT) return false;
  return state != NULL;
}

static dor_status write_clip(shot *s)
{
  dor_pose_job *j = s->j;
  for (int32_t i = 0; i < s->w.n; i++) {
    const bool none = nobody(s, s->track.state + (size_t)i * (size_t)s->w.k);
    j->people += !none, j->empty += none;
  }
  return dor_clips_take(&j->clips, s->e->recording, &s->w, &s->track);
}

static dor_status write_rows(shot *s)
{
  dor_pose_job *j = s->j;
  for (int32_t i = 0; i < s->w.n; i++) {
    float score;
    const uint8_t *state;
    const dor_people p = people_of(s, i, &score, &state);
    const dor_pose_frame f = {.file = s->e->name, .frame = i, .time_s = s->w.frame[i].time_s, .image_id = s->e->id + j->more_ids + i,
                              .category_id = j->category, .stamp = s->stamp, .people = &p,
                              .keypoints = dor_finder_about(j->finder)->keypoints, .state = state};
    const bool none = nobody(s, state) || !p.n;
    j->people += none ? 0 : p.n, j->empty += none;
    if (!(none && j->form == DOR_POSE_COCO)) dor_pose_rows(j, &f);
  }
  j->more_ids += s->w.n - 1;
  return dor_str_status(&j->text);
}

static dor_status draw(const shot *s, dor_video *v, dor_film *film, dor_picture *p)
{
  const dor_keypoints *k = dor_finder_about(s->j->finder)->keypoints;
  for (int32_t i = 0; i < s->w.n; i++) {
    float score;
    double time_s;
    bool more;
    const uint8_t *state;
    const dor_people people = people_of(s, i, &score, &state);
    DOR_NEED(!dor_stop_requested(), STOPPED, "stopped while %s was drawn", s->e->path);
    DOR_TRY(dor_video_next(v, p->pixels, &time_s, &more));
    DOR_NEED(more, DATA, "%s: frame %d is no longer there: the file has changed", s->e->path, i);
    dor_draw_people(p, k, people.n, people.joint, (float)s->j->own.least);
    if (strstr(s->stamp, "SYNTHETIC")) dor_draw_synthetic(p);
    DOR_TRY(dor_film_put(film, p->pixels, time_s));
  }
  return DOR_OK;
}

static double mean_fps(const dor_watched *w)
{
  const double span = w->frame[w->n - 1].time_s - w->frame[0].time_s;
  return span > 0 ? (w->n - 1) / span : 25;
}

/* The video is read a second time: its frames need not be kept. */
static dor_status film(shot *s, dor_video *v, const char *path, dor_picture *p)
{
  dor_film *f;
  DOR_TRY(dor_film_open(path, p->h, p->w, mean_fps(&s->w), dor_pose_tag(&s->a, s->stamp), &f));
  dor_status r = draw(s, v, f, p);
  if (!r) return dor_film_close(f);
  dor_film_drop(f);
  return r;
}

static dor_status overlay(shot *s)
{
  dor_video *v;
  const char *path;
  DOR_TRY(dor_pose_overlay_path(s->j, s->e, &s->a, &path));
  DOR_TRY(dor_video_open(s->e->path, &v));
  const dor_video_info *i = dor_video_of(v);
  dor_picture p = {.h = i->h, .w = i->w, .c = 3, .pixels = dor_arena_alloc(&s->a, (size_t)i->h * (size_t)i->w * 3)};
  dor_status r = p.pixels ? film(s, v, path, &p) : DOR_FAIL(NOMEM, "a frame of %d x %d pixels", i->h, i->w);
  dor_video_close(v);
  return r;
}

/* ---- a video ---- */

static bool watching(void *to, const dor_watched *so_far)
{
  const shot *s = to;
  dor_pose_tell(s->j, s->j->seen + so_far->n);
  return !dor_stop_requested();
}

static dor_status shoot(shot *s)
{
  dor_pose_job *j = s->j;
  DOR_TRY(dor_watch_video(j->finder, s->e->path, (int32_t)j->cfg.batch, &s->a, watching, s, &s->w));
  j->seen += s->w.n;
  DOR_NEED(s->w.people, DATA, "%s: nobody is seen in any of its %d frames (no joint is higher than detection = %g)", s->e->path, s->w.n, j->cfg.detection);
  s->stamp = dor_pose_stamp(j, s->w.video.synthetic);
  if (j->own.single) DOR_TRY(follow(s));
  if (j->c->overlay) DOR_TRY(overlay(s));
  DOR_TRY(j->form == DOR_POSE_CLIPS ? write_clip(s) : write_rows(s));
  j->taken += s->w.n;
  return DOR_OK;
}

dor_status dor_pose_video(dor_pose_job *j, const dor_pose_entry *e)
{
  shot s = {.j = j, .e = e};
  dor_status r = shoot(&s);
  dor_arena_release(&s.a);
  return r;
}
