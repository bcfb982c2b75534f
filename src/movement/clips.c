/* SPDX-License-Identifier: Apache-2.0 */
#include "movement/clips.h"

#include <math.h>
#include <string.h>

#include "base/log.h"
#include "movement/angle.h"

dor_status dor_clips_open(dor_clips *c, const char *src)
{
  *c = (dor_clips){0};
  DOR_TRY(dor_import_recordings(&c->d, src, &c->who, &c->named));
  DOR_TRY(dor_dataset_validate(&c->d));
  c->src = dor_arena_str(&c->d.arena, src);
  c->of = dor_arena_alloc(&c->d.arena, (size_t)c->who.n * sizeof *c->of);
  DOR_NEED(c->src && c->of, NOMEM, "%d recordings", c->who.n);
  dor_hash_init(&c->source);
  dor_hash_text(&c->source, "cohort", c->d.source_sha256);
  return DOR_OK;
}

dor_status dor_clips_name(dor_clips *c) { return c->named ? dor_pseudonymise(&c->d, c->src, false) : DOR_OK; }

void dor_clips_release(dor_clips *c)
{
  dor_dataset_release(&c->d);
  *c = (dor_clips){0};
}

/* ---- a video ---- */

static float mean_fps(const dor_watched *w)
{
  const double span = w->n > 1 ? w->frame[w->n - 1].time_s - w->frame[0].time_s : 0;
  return span > 0 ? (float)((w->n - 1) / span) : NAN;
}

dor_status dor_clips_take(dor_clips *c, int32_t i, const dor_watched *w, const dor_track *t)
{
  const size_t n = (size_t)t->n, all = n * (size_t)t->k;
  char hex[DOR_HASH_HEX];
  double *time_s = dor_arena_alloc(&c->d.arena, n * sizeof *time_s);
  dor_clip clip = {.n = t->n, .fps = mean_fps(w), .width = (float)w->video.w, .height = (float)w->video.h, .time_s = time_s,
                   .joint = dor_arena_copy(&c->d.arena, t->joint, 3 * all * sizeof *t->joint), .state = dor_arena_copy(&c->d.arena, t->state, all)};
  DOR_NEED(time_s && clip.joint && clip.state, NOMEM, "%d frames of %d joints", t->n, t->k);
  for (int32_t f = 0; f < t->n; f++) time_s[f] = w->frame[f].time_s;
  DOR_TRY(dor_hash_file(c->who.at[i].path, hex));
  dor_hash_text(&c->source, c->who.at[i].file, hex);
  c->of[i] = clip;
  return DOR_OK;
}

/* ---- trials ---- */

typedef struct columns {
  int32_t trials, frames;
  int32_t *subject, *first, *count; /* [trials] */
  const char **movement, **side;
  float *fps, *width, *height;
  float *joint, *deg;           /* [frames,k,3], [frames] */
  uint8_t *state;               /* [frames,k] */
  double *time_s;               /* [frames] */
} columns;

typedef struct room { void *field; size_t bytes; } room;

static dor_status make_room(dor_arena *a, const dor_clips *c, size_t k, columns *o)
{
  int64_t frames = 0;
  for (int32_t i = 0; i < c->who.n; i++) o->trials += c->of[i].n > 0, frames += c->of[i].n;
  DOR_NEED(o->trials, DATA, "%s: nobody was followed through any of its %d videos", c->src, c->who.n);
  DOR_NEED(frames < INT32_MAX, NOMEM, "%lld frames", (long long)frames);
  o->frames = (int32_t)frames;
  const size_t n = (size_t)o->trials, f = (size_t)frames;
  const room all[] = {{&o->subject, n * sizeof(int32_t)}, {&o->first, n * sizeof(int32_t)},
                      {&o->count, n * sizeof(int32_t)}, {&o->movement, n * sizeof(char *)}, {&o->side, n * sizeof(char *)}, {&o->fps, n * sizeof(float)},
                      {&o->width, n * sizeof(float)}, {&o->height, n * sizeof(float)}, {&o->joint, f * k * 3 * sizeof(float)}, {&o->deg, f * sizeof(float)},
                      {&o->state, f * k}, {&o->time_s, f * sizeof(double)}};
  DOR_TRY(dor_dataset_room(f, 2 * k * (3 * sizeof(float) + 1), "frames", "write fewer videos into one dataset"));
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    void *p = dor_arena_alloc(a, all[i].bytes);
    DOR_NEED(p, NOMEM, "%d frames", o->frames);
    memcpy(all[i].field, &p, sizeof p);
  }
  return DOR_OK;
}

static void lay(const dor_clips *c, size_t k, columns *o)
{
  int32_t t = 0;
  size_t at = 0;
  for (int32_t i = 0; i < c->who.n; i++) {
    const dor_clip *clip = &c->of[i];
    const size_t n = (size_t)clip->n;
    if (!n) continue;
    o->subject[t] = c->who.at[i].subject, o->first[t] = (int32_t)at, o->count[t] = clip->n;
    o->movement[t] = c->who.at[i].movement, o->side[t] = c->who.at[i].side;
    o->fps[t] = clip->fps, o->width[t] = clip->width, o->height[t] = clip->height;
    memcpy(o->joint + at * k * 3, clip->joint, n * k * 3 * sizeof(float));
    memcpy(o->state + at * k, clip->state, n * k);
    memcpy(o->time_s + at, clip->time_s, n * sizeof(double));
    at += n, t++;
  }
}

/* The side that the manifest names, else the one seen better in this trial. */
static dor_status flex(const dor_keypoints *k, const columns *o, int32_t t)
{
  const float *joint = o->joint + (size_t)o->first[t] * (size_t)k->k * 3;
  const dor_side side = !strcmp(o->side[t], "right") ? DOR_SIDE_RIGHT : !strcmp(o->side[t], "left") ? DOR_SIDE_LEFT : DOR_SIDE_AUTO;
  dor_hip_joints h;
  DOR_TRY(dor_hip_joints_find(k->k, k->joint, side, o->count[t], joint, &h));
  dor_flexion_of(&h, dor_facing(&h, o->count[t], k->k, joint), o->count[t], k->k, joint, o->deg + o->first[t]);
  return DOR_OK;
}

static dor_status add_angles(dor_dataset *d, const dor_clips_facts *f, const columns *o)
{
  dor_series angle = {.name = f->name, .n = o->frames, .k = 1, .a = 1, .data = o->deg, .first = o->first, .count = o->count, .unit = "deg",
                      .definition = "180 - angle(neck or middle of the shoulders, hip, ankle); negative with the neck behind"};
  for (int32_t t = 0; t < o->trials; t++) {
    const dor_status s = flex(f->keypoints, o, t);
    if (s == DOR_E_DATA) {
      dor_note("no angles are written: %s", dor_errmsg());
      return DOR_OK;
    }
    DOR_TRY(s);
  }
  d->angles = dor_arena_copy(&d->arena, &angle, sizeof angle), d->n_angles = 1;
  DOR_NEED(d->angles, NOMEM, "angles");
  return DOR_OK;
}

static dor_status add_keypoints(dor_dataset *d, const dor_clips_facts *f, const columns *o)
{
  const dor_series s = {.name = f->name, .axes = "x y conf", .n = o->frames, .k = f->keypoints->k, .a = 3, .data = o->joint, .first = o->first,
                        .count = o->count, .joint = f->keypoints->joint, .time_s = o->time_s, .state = o->state};
  d->keypoints = dor_arena_copy(&d->arena, &s, sizeof s), d->n_keypoints = 1;
  DOR_NEED(d->keypoints, NOMEM, "keypoints");
  return DOR_OK;
}

dor_status dor_clips_write(dor_clips *c, const dor_clips_facts *f, const char *path)
{
  dor_dataset *d = &c->d;
  columns o = {0};
  const size_t k = (size_t)f->keypoints->k;
  DOR_TRY(make_room(&d->arena, c, k, &o));
  lay(c, k, &o);
  d->n_trials = o.trials, d->trial_subject = o.subject, d->movement = o.movement, d->side = o.side;
  d->fps = o.fps, d->width = o.width, d->height = o.height;
  if (c->who.keypoints) DOR_TRY(add_keypoints(d, f, &o));
  if (c->who.angles) DOR_TRY(add_angles(d, f, &o));
  d->synthetic = d->synthetic || (f->stamp && strstr(f->stamp, "SYNTHETIC"));
  d->stamp = f->stamp;
  d->created_by = dor_arena_fmt(&d->arena, "dorsum pose, weights %.12s", f->weights_sha256);
  DOR_NEED(d->created_by, NOMEM, "a dataset");
  dor_hash_text(&c->source, "weights", f->weights_sha256);
  dor_hash_final(&c->source, d->source_sha256);
  return dor_dataset_write(d, path);
}
