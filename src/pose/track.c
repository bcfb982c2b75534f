/* SPDX-License-Identifier: Apache-2.0 */
#include "pose/track.h"

#include <math.h>
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

typedef struct person_track {
  int32_t frame, person;        /* where it was last seen */
  double weight;                /* what the rule adds up */
} person_track;

typedef struct tracker {
  int32_t k, h, w;
  const dor_sighting *frame;
  const dor_track_cfg *c;
  int32_t n_tracks, cap;
  person_track *track;
  int32_t **of;                 /* [frame][person]: its track */
} tracker;

static const float *joints(const tracker *t, int32_t frame, int32_t person)
{
  return t->frame[frame].joint + (size_t)person * (size_t)t->k * 3;
}

/* All 0 stands for a joint that was not found, whatever the least score is. */
static bool is_seen(const tracker *t, float score) { return score > 0 && score >= t->c->least_score; }

typedef struct box { double x0, y0, x1, y1; } box;

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

static double size_of(box b) { return hypot(b.x1 - b.x0, b.y1 - b.y0); }

static double weight_of(const tracker *t, const float *j)
{
  box b;
  if (!box_of(t, j, &b)) return 0;
  if (t->c->person == DOR_TRACK_LARGEST) return size_of(b);
  const double x = (b.x0 + b.x1) / 2 / t->w - 0.5, y = (b.y0 + b.y1) / 2 / t->h - 0.5;
  return exp(-8 * (x * x + y * y));
}

/* How far apart two sightings are, in sizes of the larger; infinite when they share no joint. */
static double apart(const tracker *t, const float *a, const float *b)
{
  box box_a, box_b;
  double sum = 0;
  int32_t n = 0;
  if (!box_of(t, a, &box_a) || !box_of(t, b, &box_b)) return INFINITY;
  for (int32_t i = 0; i < 3 * t->k; i += 3) {
    if (!(is_seen(t, a[i + 2]) && is_seen(t, b[i + 2]))) continue;
    sum += hypot((double)a[i] - (double)b[i], (double)a[i + 1] - (double)b[i + 1]), n++;
  }
  return n ? sum / n / fmax(fmax(size_of(box_a), size_of(box_b)), 1) : (double)INFINITY;
}

/* How far a track may have moved by this frame, in sizes; negative: it has ended. */
static double reach(const tracker *t, int32_t frame, const person_track *p)
{
  const double unseen_s = t->frame[frame].time_s - t->frame[p->frame].time_s;
  return p->frame == frame || unseen_s > most_unseen_s ? -1 : fmin(near_sizes + sizes_per_s * unseen_s, most_sizes);
}

/* Nearest pairs of tracks and people first. */
static void join(tracker *t, int32_t frame)
{
  for (;;) {
    double best = INFINITY;
    int32_t best_track = -1, best_person = -1;
    for (int32_t p = 0; p < t->frame[frame].n; p++) {
      if (t->of[frame][p] >= 0) continue;
      for (int32_t i = 0; i < t->n_tracks; i++) {
        const person_track *k = &t->track[i];
        const double within = reach(t, frame, k);
        const double d = within < 0 ? (double)INFINITY : apart(t, joints(t, k->frame, k->person), joints(t, frame, p));
        if (d < best && d < within) best = d, best_track = i, best_person = p;
      }
    }
    if (best_track < 0) return;
    t->track[best_track].frame = frame, t->track[best_track].person = best_person;
    t->of[frame][best_person] = best_track;
  }
}

static dor_status begin_track(tracker *t, int32_t frame, int32_t person)
{
  if (t->n_tracks == t->cap) {
    t->cap = t->cap ? 2 * t->cap : 16;
    person_track *more = dor_realloc(t->track, (size_t)t->cap * sizeof *more);
    DOR_NEED(more, NOMEM, "%d tracks", t->cap);
    t->track = more;
  }
  t->of[frame][person] = t->n_tracks;
  t->track[t->n_tracks++] = (person_track){frame, person, 0};
  return DOR_OK;
}

static dor_status follow(tracker *t, dor_arena *a, int32_t n)
{
  for (int32_t f = 0; f < n; f++) {
    const int32_t people = t->frame[f].n;
    t->of[f] = dor_arena_alloc(a, ((size_t)people + 1) * sizeof **t->of);
    DOR_NEED(t->of[f], NOMEM, "%d people", people);
    for (int32_t p = 0; p < people; p++) t->of[f][p] = -1;
    join(t, f);
    for (int32_t p = 0; p < people; p++) {
      if (t->of[f][p] < 0) DOR_TRY(begin_track(t, f, p));
      t->track[t->of[f][p]].weight += weight_of(t, joints(t, f, p));
    }
  }
  return DOR_OK;
}

/* ---- the chosen one ---- */

static void take(const tracker *t, int32_t chosen, dor_track *out)
{
  for (int32_t f = 0; f < out->n; f++) {
    out->person[f] = -1;
    for (int32_t p = 0; p < t->frame[f].n; p++)
      if (t->of[f][p] == chosen) out->person[f] = p;
    const float *from = out->person[f] < 0 ? NULL : joints(t, f, out->person[f]);
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
    DOR_TRY(dor_smooth_at(n, s.time_s, s.x, t->cutoff_hz, NULL));
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

static dor_status smooth(dor_arena *a, const dor_sighting *frame, dor_track *t)
{
  const size_t bytes = ((size_t)t->n + 1) * sizeof(double);
  stretch s = {dor_arena_alloc(a, bytes), dor_arena_alloc(a, bytes)};
  DOR_NEED(s.time_s && s.x, NOMEM, "%d frames", t->n);
  for (int32_t f = 0; f < t->n; f++) s.time_s[f] = frame[f].time_s, s.x[f] = 0;
  if (t->n < 2) return DOR_OK;
  DOR_NEED(!dor_smooth_at(t->n, s.time_s, s.x, t->cutoff_hz, &t->rate_hz), CONFIG, "cutoff_hz = %g: the video's %.4g frames a second carry less than %.4g Hz",
           t->cutoff_hz, t->rate_hz, t->rate_hz / 2);
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
  return out->cutoff_hz > 0 ? smooth(a, t->frame, out) : DOR_OK;
}

dor_status dor_track_person(dor_arena *a, int32_t n, const dor_sighting *frame, int32_t k, int32_t h, int32_t w, const dor_track_cfg *c, dor_track *out)
{
  const size_t all = (size_t)n * (size_t)k;
  *out = (dor_track){.n = n, .k = k, .cutoff_hz = c->cutoff_hz};
  out->joint = dor_arena_alloc(a, 3 * all * sizeof *out->joint + 1);
  out->state = dor_arena_alloc(a, all + 1);
  out->person = dor_arena_alloc(a, ((size_t)n + 1) * sizeof *out->person);
  tracker t = {.k = k, .h = h, .w = w, .frame = frame, .c = c, .of = dor_arena_alloc(a, ((size_t)n + 1) * sizeof *t.of)};
  DOR_NEED(out->joint && out->state && out->person && t.of, NOMEM, "%d frames of %d joints", n, k);
  dor_status s = track(&t, a, out);
  dor_free(t.track);
  return s;
}
