/* SPDX-License-Identifier: Apache-2.0 */
#include "pose/track.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "pose/smooth.h"

const dor_key dor_track_keys[] = {
#define KEYS_OF dor_track_cfg
#include "base/keys_rows.h"
#include "pose/track.def"
#include "base/keys_end.h"
  {0}};

/* A person may move half their size between two frames, and this many sizes a second while unseen, two in all; unseen for longer
 * than this, they are somebody new. */
static const double near_sizes = 0.5, sizes_per_s = 2.5, most_sizes = 2, most_unseen_s = 2;

static const double usual_hz = 6, carried = 0.4; /* the cut-off unless told; what part of the frame rate it may be at most then */

enum { MOST_PEOPLE = 64 };

typedef struct box { double x0, y0, x1, y1; } box;

typedef struct sighted {        /* somebody in a frame */
  const float *joint;
  box box;
  double size, weight;          /* of the box; what the rule adds up */
  int32_t person, track;
} sighted;

typedef struct looked { int32_t n; const sighted *at; } looked;

typedef struct person_track {
  int32_t frame;                /* where it was last seen */
  sighted last;
  double weight;
} person_track;

typedef struct pair { double apart; int32_t person, track; } pair; /* person: place among those seen */

typedef struct tracker {
  int32_t k, h, w;
  const dor_sighting *frame;
  const dor_track_cfg *c;
  int32_t n_tracks, cap, n_live, n_seen, n_pairs, cap_pairs;
  person_track *track;
  int32_t *live;                /* tracks that have not ended */
  sighted *seen;                /* of the frame at hand */
  pair *pair;
  looked *of;                   /* [frame] */
} tracker;

/* All 0 stands for a joint that was not found, whatever the least score is. */
static bool is_seen(const tracker *t, float score) { return score > 0 && score >= t->c->least_score; }

/* The box around what is seen; false: nothing is. */
static bool box_of(const tracker *t, const float *j, box *b)
{
  *b = (box){INFINITY, INFINITY, -INFINITY, -INFINITY};
  for (int32_t i = 0; i < t->k; i++, j += 3) {
    if (!is_seen(t, j[2])) continue;
    b->x0 = fmin(b->x0, j[0]), b->y0 = fmin(b->y0, j[1]), b->x1 = fmax(b->x1, j[0]), b->y1 = fmax(b->y1, j[1]);
  }
  return b->x1 >= b->x0;
}

static double weight_of(const tracker *t, const sighted *s)
{
  if (t->c->person == DOR_TRACK_LARGEST) return s->size;
  const double x = (s->box.x0 + s->box.x1) / 2 / t->w - 0.5, y = (s->box.y0 + s->box.y1) / 2 / t->h - 0.5;
  return exp(-8 * (x * x + y * y));
}

static double larger(const sighted *a, const sighted *b) { return fmax(fmax(a->size, b->size), 1); }

/* How far apart two sightings are, in sizes of the larger; infinite when they share no joint. */
static double apart(const tracker *t, const sighted *a, const sighted *b)
{
  double sum = 0;
  int32_t n = 0;
  for (int32_t i = 0; i < 3 * t->k; i += 3) {
    if (!(is_seen(t, a->joint[i + 2]) && is_seen(t, b->joint[i + 2]))) continue;
    sum += hypot((double)a->joint[i] - (double)b->joint[i], (double)a->joint[i + 1] - (double)b->joint[i + 1]), n++;
  }
  return n ? sum / n / larger(a, b) : (double)INFINITY;
}

/* How far a track may have moved by this frame, in sizes; negative: it has ended. */
static double reach(const tracker *t, int32_t frame, const person_track *p)
{
  const double unseen_s = t->frame[frame].time_s - t->frame[p->frame].time_s;
  return unseen_s > most_unseen_s ? -1 : fmin(near_sizes + sizes_per_s * unseen_s, most_sizes);
}

/* Boxes this far apart, and so are all joints in them. */
static bool beyond(const sighted *a, const sighted *b, double within)
{
  const double far = within * larger(a, b);
  return a->box.x0 - b->box.x1 > far || b->box.x0 - a->box.x1 > far || a->box.y0 - b->box.y1 > far || b->box.y0 - a->box.y1 > far;
}

static dor_status add_pair(tracker *t, pair p)
{
  if (t->n_pairs == t->cap_pairs) {
    t->cap_pairs = t->cap_pairs ? 2 * t->cap_pairs : 256;
    pair *more = dor_realloc(t->pair, (size_t)t->cap_pairs * sizeof *more);
    DOR_NEED(more, NOMEM, "%d pairs of people and tracks", t->cap_pairs);
    t->pair = more;
  }
  t->pair[t->n_pairs++] = p;
  return DOR_OK;
}

static int by_distance(const void *a, const void *b)
{
  const pair *x = a, *y = b;
  if (x->apart != y->apart) return x->apart < y->apart ? -1 : 1;
  return x->person != y->person ? (x->person > y->person) - (x->person < y->person) : (x->track > y->track) - (x->track < y->track);
}

/* Tracks that have not ended, and for each the people of this frame who may be it. */
static dor_status find_pairs(tracker *t, int32_t frame)
{
  int32_t live = 0;
  t->n_pairs = 0;
  for (int32_t l = 0; l < t->n_live; l++) {
    const person_track *k = &t->track[t->live[l]];
    const double within = reach(t, frame, k);
    if (within < 0) continue;
    t->live[live++] = t->live[l];
    for (int32_t s = 0; s < t->n_seen; s++) {
      if (beyond(&k->last, &t->seen[s], within)) continue;
      const double d = apart(t, &k->last, &t->seen[s]);
      if (d < within) DOR_TRY(add_pair(t, (pair){d, s, t->live[l]}));
    }
  }
  t->n_live = live;
  return DOR_OK;
}

/* Nearest pairs of tracks and people first. */
static dor_status join(tracker *t, int32_t frame)
{
  DOR_TRY(find_pairs(t, frame));
  if (t->n_pairs) qsort(t->pair, (size_t)t->n_pairs, sizeof *t->pair, by_distance);
  for (int32_t i = 0; i < t->n_pairs; i++) {
    person_track *k = &t->track[t->pair[i].track];
    sighted *s = &t->seen[t->pair[i].person];
    if (s->track >= 0 || k->frame == frame) continue;
    s->track = t->pair[i].track;
    k->frame = frame, k->last = *s;
  }
  return DOR_OK;
}

static dor_status begin_track(tracker *t, int32_t frame, sighted *s)
{
  if (t->n_tracks == t->cap) {
    const int32_t cap = t->cap ? 2 * t->cap : 16;
    person_track *more = dor_realloc(t->track, (size_t)cap * sizeof *more);
    if (more) t->track = more;
    int32_t *live = more ? dor_realloc(t->live, (size_t)cap * sizeof *live) : NULL;
    DOR_NEED(live, NOMEM, "%d tracks", cap);
    t->live = live, t->cap = cap;
  }
  s->track = t->n_tracks;
  t->live[t->n_live++] = t->n_tracks;
  t->track[t->n_tracks++] = (person_track){.frame = frame, .last = *s};
  return DOR_OK;
}

static int by_weight(const void *a, const void *b)
{
  const sighted *x = a, *y = b;
  return x->weight != y->weight ? (x->weight < y->weight) - (x->weight > y->weight) : (x->person > y->person) - (x->person < y->person);
}

static int by_person(const void *a, const void *b) { return ((const sighted *)a)->person - ((const sighted *)b)->person; }

/* The people of a frame of whom something is seen; of very many those with the largest weights, who alone can be the one. */
static dor_status look(tracker *t, dor_arena *a, int32_t frame)
{
  const dor_sighting *f = &t->frame[frame];
  t->seen = dor_arena_alloc(a, ((size_t)f->n + 1) * sizeof *t->seen);
  DOR_NEED(t->seen, NOMEM, "%d people", f->n);
  t->n_seen = 0;
  for (int32_t p = 0; p < f->n; p++) {
    sighted s = {.joint = f->joint + (size_t)p * (size_t)t->k * 3, .person = p, .track = -1};
    if (!box_of(t, s.joint, &s.box)) continue;
    s.size = hypot(s.box.x1 - s.box.x0, s.box.y1 - s.box.y0), s.weight = weight_of(t, &s);
    t->seen[t->n_seen++] = s;
  }
  if (t->n_seen > MOST_PEOPLE) {
    qsort(t->seen, (size_t)t->n_seen, sizeof *t->seen, by_weight);
    t->n_seen = MOST_PEOPLE;
    qsort(t->seen, MOST_PEOPLE, sizeof *t->seen, by_person);
  }
  t->of[frame] = (looked){t->n_seen, t->seen};
  return DOR_OK;
}

static dor_status follow(tracker *t, dor_arena *a, int32_t n)
{
  for (int32_t f = 0; f < n; f++) {
    DOR_TRY(look(t, a, f));
    DOR_TRY(join(t, f));
    for (int32_t s = 0; s < t->n_seen; s++) {
      if (t->seen[s].track < 0) DOR_TRY(begin_track(t, f, &t->seen[s]));
      t->track[t->seen[s].track].weight += t->seen[s].weight;
    }
  }
  return DOR_OK;
}

/* ---- the chosen one ---- */

static void take(const tracker *t, int32_t chosen, dor_track *out)
{
  for (int32_t f = 0; f < out->n; f++) {
    out->person[f] = -1;
    const float *from = NULL;
    for (int32_t s = 0; s < t->of[f].n; s++)
      if (t->of[f].at[s].track == chosen) out->person[f] = t->of[f].at[s].person, from = t->of[f].at[s].joint;
    for (int32_t j = 0; j < out->k; j++) {
      const size_t at = (size_t)f * (size_t)out->k + (size_t)j;
      const bool seen = from && is_seen(t, from[3 * j + 2]);
      out->state[at] = seen ? DOR_TRACK_SEEN : DOR_TRACK_ABSENT;
      if (seen) memcpy(out->joint + 3 * at, from + 3 * j, 3 * sizeof(float));
      else out->joint[3 * at] = out->joint[3 * at + 1] = NAN, out->joint[3 * at + 2] = 0;
    }
  }
}

/* Fill a joint's gaps between two sightings that are near enough in time. */
static void fill(const dor_sighting *frame, double gap_s, int32_t joint, dor_track *t)
{
  const size_t step = (size_t)t->k;
  int32_t last = -1;
  for (int32_t f = 0; f < t->n; f++) {
    const size_t at = (size_t)f * step + (size_t)joint;
    if (t->state[at] != DOR_TRACK_SEEN) continue;
    const double span = last < 0 ? 0 : frame[f].time_s - frame[last].time_s;
    for (int32_t g = last + 1; last >= 0 && span <= gap_s && g < f; g++) {
      const size_t here = (size_t)g * step + (size_t)joint, from = (size_t)last * step + (size_t)joint;
      const double u = (frame[g].time_s - frame[last].time_s) / span;
      for (size_t x = 0; x < 2; x++)
        t->joint[3 * here + x] = (float)((1 - u) * (double)t->joint[3 * from + x] + u * (double)t->joint[3 * at + x]);
      t->state[here] = DOR_TRACK_FILLED;
    }
    last = f;
  }
}

typedef struct stretch { double *time_s, *x; } stretch;

static dor_status smooth_stretch(const dor_sighting *frame, int32_t from, int32_t to, int32_t joint, stretch s, dor_track *t)
{
  const int32_t n = to - from;
  for (size_t c = 0; c < 2; c++) {
    for (int32_t i = 0; i < n; i++) {
      s.time_s[i] = frame[from + i].time_s;
      s.x[i] = (double)t->joint[3 * ((size_t)(from + i) * (size_t)t->k + (size_t)joint) + c];
    }
    DOR_TRY(dor_smooth_at(n, s.time_s, s.x, t->cutoff_hz));
    for (int32_t i = 0; i < n; i++) t->joint[3 * ((size_t)(from + i) * (size_t)t->k + (size_t)joint) + c] = (float)s.x[i];
  }
  return DOR_OK;
}

/* Each stretch without a hole by itself. */
static dor_status smooth_joint(const dor_sighting *frame, int32_t joint, stretch s, dor_track *t)
{
  for (int32_t f = 0; f < t->n; f++) {
    int32_t to = f;
    while (to < t->n && t->state[(size_t)to * (size_t)t->k + (size_t)joint] != DOR_TRACK_ABSENT) to++;
    if (to > f) DOR_TRY(smooth_stretch(frame, f, to, joint, s, t));
    f = to;
  }
  return DOR_OK;
}

dor_status dor_track_cutoff(const dor_track_cfg *c, double rate_hz, double *cutoff_hz)
{
  *cutoff_hz = c->cutoff_hz < 0 ? fmin(usual_hz, carried * rate_hz) : c->cutoff_hz;
  DOR_NEED(*cutoff_hz < rate_hz / 2, CONFIG, "cutoff_hz = %g: the video's %.4g frames a second carry less than %.4g Hz", *cutoff_hz, rate_hz, rate_hz / 2);
  return DOR_OK;
}

static dor_status smooth(dor_arena *a, const dor_sighting *frame, const dor_track_cfg *c, dor_track *t)
{
  const size_t bytes = ((size_t)t->n + 1) * sizeof(double);
  stretch s = {dor_arena_alloc(a, bytes), dor_arena_alloc(a, bytes)};
  DOR_NEED(s.time_s && s.x, NOMEM, "%d frames", t->n);
  for (int32_t f = 0; f < t->n; f++) s.time_s[f] = frame[f].time_s;
  if (t->n < 2) return DOR_OK;
  DOR_TRY(dor_smooth_rate(t->n, s.time_s, &t->rate_hz));
  DOR_TRY(dor_track_cutoff(c, t->rate_hz, &t->cutoff_hz));
  for (int32_t j = 0; j < t->k; j++) DOR_TRY(smooth_joint(frame, j, s, t));
  return DOR_OK;
}

static dor_status track(tracker *t, dor_arena *a, dor_track *out)
{
  int32_t chosen = -1;
  DOR_TRY(follow(t, a, out->n));
  for (int32_t i = 0; i < t->n_tracks; i++)
    if (chosen < 0 || t->track[i].weight > t->track[chosen].weight) chosen = i;
  out->n_people = t->n_tracks;
  take(t, chosen, out);
  for (int32_t j = 0; j < out->k; j++) fill(t->frame, t->c->gap_s, j, out);
  return t->c->cutoff_hz != 0 ? smooth(a, t->frame, t->c, out) : DOR_OK;
}

dor_status dor_track_person(dor_arena *a, int32_t n, const dor_sighting *frame, int32_t k, int32_t h, int32_t w, const dor_track_cfg *c, dor_track *out)
{
  const size_t all = (size_t)n * (size_t)k;
  *out = (dor_track){.n = n, .k = k};
  out->joint = dor_arena_alloc(a, 3 * all * sizeof *out->joint + 1);
  out->state = dor_arena_alloc(a, all + 1);
  out->person = dor_arena_alloc(a, ((size_t)n + 1) * sizeof *out->person);
  tracker t = {.k = k, .h = h, .w = w, .frame = frame, .c = c, .of = dor_arena_alloc(a, ((size_t)n + 1) * sizeof *t.of)};
  DOR_NEED(out->joint && out->state && out->person && t.of, NOMEM, "%d frames of %d joints", n, k);
  dor_status s = track(&t, a, out);
  dor_free(t.track), dor_free(t.live), dor_free(t.pair);
  return s;
}
