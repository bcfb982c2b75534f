/* SPDX-License-Identifier: Apache-2.0 */
#include "pose/watch.h"

#include <string.h>

#include "base/mem.h"

typedef struct reel {            /* frames of a batch */
  int32_t batch, n;
  dor_picture *picture;
  dor_people *people;
  double *time_s;
} reel;

static dor_status make_reel(dor_arena *a, const dor_video_info *v, int32_t batch, reel *r)
{
  const size_t n = (size_t)batch;
  *r = (reel){batch, 0, dor_arena_alloc(a, n * sizeof *r->picture), dor_arena_alloc(a, n * sizeof *r->people), dor_arena_alloc(a, n * sizeof *r->time_s)};
  DOR_NEED(r->picture && r->people && r->time_s, NOMEM, "%d frames at a time", batch);
  for (int32_t i = 0; i < batch; i++) {
    r->picture[i] = (dor_picture){.h = v->h, .w = v->w, .c = 3, .pixels = dor_arena_alloc(a, (size_t)v->h * (size_t)v->w * 3)};
    DOR_NEED(r->picture[i].pixels, NOMEM, "%d frames of %d x %d pixels", batch, v->h, v->w);
  }
  return DOR_OK;
}

static dor_status read_reel(dor_video *v, reel *r, bool *more)
{
  for (r->n = 0; r->n < r->batch; r->n++) {
    DOR_TRY(dor_video_next(v, r->picture[r->n].pixels, &r->time_s[r->n], more));
    if (!*more) break;
  }
  return DOR_OK;
}

static dor_status grow(dor_watched *o, int32_t *cap)
{
  if (o->n < *cap) return DOR_OK;
  const size_t more = *cap ? 2 * (size_t)*cap : 256;
  dor_watched_frame *frame = dor_realloc(o->frame, more * sizeof *frame);
  DOR_NEED(frame, NOMEM, "%zu frames", more);
  o->frame = frame, *cap = (int32_t)more;
  return DOR_OK;
}

/* People lie in the arena of their batch: what is kept is copied. */
static dor_status keep(dor_arena *a, const reel *r, dor_watched *o, int32_t *cap)
{
  for (int32_t i = 0; i < r->n; i++) {
    dor_people p = r->people[i];
    const size_t n = (size_t)p.n;
    DOR_TRY(grow(o, cap));
    if (n) {
      p.joint = dor_arena_copy(a, p.joint, n * (size_t)o->k * 3 * sizeof *p.joint);
      p.score = dor_arena_copy(a, p.score, n * sizeof *p.score);
      DOR_NEED(p.joint && p.score, NOMEM, "%d people", p.n);
    }
    o->frame[o->n++] = (dor_watched_frame){r->time_s[i], p};
    o->people += p.n;
  }
  return DOR_OK;
}

static dor_status watch(dor_finder *net, dor_video *v, reel *r, dor_arena *a, dor_watch_fn *tell, void *to, dor_watched *o)
{
  int32_t cap = 0;
  bool more = true;
  while (more) {
    dor_arena batch = {0};
    DOR_TRY(read_reel(v, r, &more));
    dor_status s = r->n ? dor_finder_run(net, r->n, r->picture, &batch, r->people) : DOR_OK;
    if (!s) s = keep(a, r, o, &cap);
    dor_arena_release(&batch);
    DOR_TRY(s);
    DOR_NEED(!tell || tell(to, o), STOPPED, "stopped after %d frames", o->n);
  }
  return DOR_OK;
}

/* The list grows on the heap; what is handed out lies in the arena like the rest. */
static dor_status settle(dor_arena *a, dor_watched *o, dor_status s)
{
  dor_watched_frame *frame = o->frame;
  o->frame = s ? NULL : o->n ? dor_arena_copy(a, frame, (size_t)o->n * sizeof *frame) : dor_arena_alloc(a, sizeof *frame);
  if (!s && !o->frame) s = DOR_FAIL(NOMEM, "%d frames", o->n);
  dor_free(frame);
  return s;
}

dor_status dor_watch_video(dor_finder *net, const char *path, int32_t batch, dor_arena *a, dor_watch_fn *tell, void *to, dor_watched *out)
{
  dor_video *v;
  dor_arena frames = {0};
  reel r;
  *out = (dor_watched){.k = dor_finder_about(net)->keypoints->k};
  DOR_TRY(dor_video_open(path, &v));
  out->video = *dor_video_of(v);
  dor_status s = make_reel(&frames, &out->video, batch, &r);
  if (!s) s = watch(net, v, &r, a, tell, to, out);
  dor_video_close(v);
  dor_arena_release(&frames);
  return settle(a, out, s);
}

dor_status dor_watch_track(dor_arena *a, const dor_watched *w, const dor_track_cfg *c, dor_track *out)
{
  dor_sighting *frame = dor_arena_alloc(a, ((size_t)w->n + 1) * sizeof *frame);
  DOR_NEED(frame, NOMEM, "%d frames", w->n);
  for (int32_t i = 0; i < w->n; i++) frame[i] = (dor_sighting){w->frame[i].time_s, w->frame[i].people.n, w->frame[i].people.joint};
  return dor_track_person(a, w->n, frame, w->k, w->video.h, w->video.w, c, out);
}
