/* SPDX-License-Identifier: Apache-2.0
 *
 * One person through a video, smoothed, and the angle at their hip. */
#include "pose/track.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "movement/angle.h"
#include "pose/smooth.h"
#include "tests/test.h"

/* ---- smoothing ---- */

/* ((7 i i + 3 i) mod 23) / 4 + i / 4 */
static double saw(int32_t i) { return ((7 * i * i + 3 * i) % 23) / 4.0 + 0.25 * i; }

/* scipy 1.17.1: butter(2, fs / pi * arctan(tan(pi fc / fs) / (sqrt(2) - 1)^.25), fs=fs), filtfilt(b, a, x, padlen=min(ceil(3 fs / fc), n - 1)) */
static const struct { int32_t n; double rate_hz, cutoff_hz, y[24]; } scipy[] = {
  {24, 25, 6, {1.93138442738938e-06, 2.50635975912985, 2.95175957362001, 2.30002130305904, 2.36248188812183, 3.63646356663004, 5.31966245484513,
               5.98526718947393, 6.01780247199914, 6.48706159334501, 6.3236548804917, 5.12262198896466, 4.35322126230892, 4.88770198463305,
               5.91326940794294, 5.55235884884664, 4.68700403591077, 6.12257547775719, 7.99968033118787, 7.81072071318708, 7.96350934600951,
               8.77437937013642, 7.83184869669445, 5.74999188928849}},
  {24, 30, 4.5, {2.41572960246739e-07, 1.72780546241569, 2.5410773637796, 2.63385760368529, 2.87986891909528, 3.75152553136559, 4.93990716802563,
                 5.84805295036538, 6.29231825117146, 6.35386612282245, 5.9577691126999, 5.27390961031734, 4.85391723882177, 4.97043810383974,
                 5.27268394924366, 5.33810024914627, 5.48329080823166, 6.26307787789382, 7.31431034702621, 8.0106230606293, 8.39885196893329,
                 8.35715483169976, 7.42190704499697, 5.74999993164245}},
  {6, 25, 6, {0.000770108282146853, 2.496119803885, 2.89957456766512, 2.41962311109172, 2.54143518416476, 2.77447349348971}},
  {2, 25, 6, {0.0530751708554544, 2.86219345186919}}};

TEST(smooth_is_scipys_filtfilt)
{
  for (size_t c = 0; c < sizeof scipy / sizeof *scipy; c++) {
    double x[24];
    for (int32_t i = 0; i < scipy[c].n; i++) x[i] = saw(i);
    OK(dor_smooth(scipy[c].n, x, scipy[c].rate_hz, scipy[c].cutoff_hz));
    for (int32_t i = 0; i < scipy[c].n; i++) CHECK(fabs(x[i] - scipy[c].y[i]) < 1e-12, "case %zu, sample %d: %.15g, scipy %.15g", c, i, x[i], scipy[c].y[i]);
  }
}

TEST(smooth_halves_the_power_at_the_cut_off_and_delays_nothing)
{
  enum { N = 2000 };
  static double x[N], t[N];
  double sum = 0, cross = 0;
  for (int32_t i = 0; i < N; i++) t[i] = i / 100.0, x[i] = sin(2 * 3.14159265358979 * 6 * t[i]);
  OK(dor_smooth_at(N, t, x, 6));
  for (int32_t i = 500; i < 1500; i++) sum += x[i] * x[i], cross += x[i] * cos(2 * 3.14159265358979 * 6 * t[i]);
  CHECK(fabs(sum / 1000 - 0.25) < 1e-3, "power %.4f of .5 at the cut-off", sum / 1000);
  CHECK(fabs(cross / 1000) < 1e-6, "shifted in phase: %g", cross / 1000);
  for (int32_t i = 0; i < N; i++) x[i] = 3 - 2 * t[i];
  OK(dor_smooth_at(N, t, x, 6));
  for (int32_t i = 0; i < N; i++) CHECK(fabs(x[i] - (3 - 2 * t[i])) < 1e-5, "a straight line is bent at %d: %g", i, x[i]);
  CHECK(dor_smooth(N, x, 10, 5) == DOR_E_ARG && dor_smooth(N, x, 10, 0) == DOR_E_ARG, "a cut-off that cannot be");
}

TEST(smooth_of_uneven_times_is_near_that_of_even_ones)
{
  enum { N = 300 };
  double t[N], x[N], rate_hz;
  for (int32_t i = 0; i < N; i++) t[i] = (i + (i % 3 ? 0.25 : 0)) / 30.0, x[i] = 10 * sin(2 * 3.14159265358979 * 0.5 * t[i]) + (i % 2 ? 0.5 : -0.5);
  OK(dor_smooth_at(N, t, x, 4));
  OK(dor_smooth_rate(N, t, &rate_hz));
  CHECK(rate_hz > 28 && rate_hz < 32, "%g Hz", rate_hz);
  for (int32_t i = 10; i < N - 10; i++) {
    const double want = 10 * sin(2 * 3.14159265358979 * 0.5 * t[i]);
    CHECK(fabs(x[i] - want) < 0.25, "at %.3f s: %.3f, wanted %.3f", t[i], x[i], want);
  }
}

/* ---- tracking ---- */

enum { K = 4, FRAMES = 40 };

static const dor_track_cfg plain = {.person = DOR_TRACK_LARGEST, .least_score = 0.1, .gap_s = 0.3, .cutoff_hz = 0};

typedef struct scene { dor_sighting frame[FRAMES]; float joint[FRAMES][3][K][3]; } scene;

/* A square person of four joints around x, y. */
static void stand(scene *s, int32_t frame, double x, double y, double size)
{
  dor_sighting *f = &s->frame[frame];
  float (*j)[3] = s->joint[frame][f->n++];
  f->time_s = frame / 25.0, f->joint = &s->joint[frame][0][0][0];
  for (int32_t i = 0; i < K; i++) j[i][0] = (float)(x + (i % 2 ? size : -size) / 2), j[i][1] = (float)(y + (i / 2 ? size : -size) / 2), j[i][2] = 0.8f;
}

static dor_track follow(dor_arena *a, const scene *s, const dor_track_cfg *c)
{
  dor_track t;
  OK(dor_track_person(a, FRAMES, s->frame, K, 400, 600, c, &t));
  return t;
}

static double at(const dor_track *t, int32_t frame, int32_t joint, int32_t axis) { return (double)t->joint[(frame * K + joint) * 3 + axis]; }

/* A large person walks right; a small one crosses; a giant looks in for three frames; the order in a frame changes. */
static void street(scene *s)
{
  memset(s, 0, sizeof *s);
  for (int32_t f = 0; f < FRAMES; f++) {
    const bool first = f % 2;
    if (first) stand(s, f, 200 + 5 * f, 200, 100);
    stand(s, f, 320 - f, 210, 40);
    if (!first) stand(s, f, 200 + 5 * f, 200, 100);
    if (f >= 20 && f < 23) stand(s, f, 80, 100, 150);
  }
}

TEST(track_follows_the_largest_or_the_most_central)
{
  static scene s;
  dor_arena a = {0};
  dor_track_cfg c = plain;
  street(&s);
  dor_track t = follow(&a, &s, &c);
  CHECK(t.n_people == 3, "%d people", t.n_people);
  for (int32_t f = 0; f < FRAMES; f++)
    CHECK(t.person[f] == (f % 2 ? 0 : 1) && t.state[f * K] == DOR_TRACK_SEEN && fabs(at(&t, f, 0, 0) - (150 + 5 * f)) < 1e-3, "frame %d: person %d at %g", f,
          t.person[f], at(&t, f, 0, 0));
  c.person = DOR_TRACK_CENTRAL;
  t = follow(&a, &s, &c);
  CHECK(t.person[0] == 0 && t.person[1] == 1, "the most central is the small one: %d %d", t.person[0], t.person[1]);
  dor_arena_release(&a);
}

TEST(track_fills_short_gaps_and_says_so)
{
  static scene s;
  dor_arena a = {0};
  memset(&s, 0, sizeof s);
  for (int32_t f = 0; f < FRAMES; f++) {
    s.frame[f].time_s = f / 25.0;
    if ((f >= 3 && f < 8) || (f >= 15 && f < 30) || f >= 37) continue; /* 5 frames, 15 frames, the end */
    stand(&s, f, 100 + 4 * f, 200, 100);
    s.joint[f][0][2][2] = f == 11 ? 0.05f : 0.9f;
  }
  const dor_track t = follow(&a, &s, &plain);
  CHECK(t.person[5] == -1 && t.state[5 * K] == DOR_TRACK_FILLED && fabs(at(&t, 5, 0, 0) - 70) < 1e-3 && at(&t, 5, 0, 2) == 0,
        "%d %g", t.state[5 * K], at(&t, 5, 0, 0));
  CHECK(t.state[11 * K + 2] == DOR_TRACK_FILLED && t.state[11 * K] == DOR_TRACK_SEEN && fabs(at(&t, 11, 2, 0) - 94) < 1e-3,
        "a joint under the least score: %g", at(&t, 11, 2, 0));
  CHECK(t.state[20 * K] == DOR_TRACK_ABSENT && isnan(at(&t, 20, 0, 0)) && t.person[33] == 0, "a gap of .6 s is filled");
  CHECK(t.state[38 * K] == DOR_TRACK_ABSENT && isnan(at(&t, 38, 1, 1)), "the end is continued");
  dor_track_cfg c = plain;
  c.cutoff_hz = 6;
  const dor_track smooth = follow(&a, &s, &c);
  CHECK(fabs(smooth.rate_hz - 25) < 1e-9 && smooth.state[20 * K] == DOR_TRACK_ABSENT && isnan(at(&smooth, 20, 0, 0)), "%g Hz", smooth.rate_hz);
  for (int32_t f = 0; f < 15; f++) CHECK(fabs(at(&smooth, f, 0, 0) - (50 + 4 * f)) < 1e-3, "frame %d: a steady walk becomes %g", f, at(&smooth, f, 0, 0));
  c.cutoff_hz = 13;
  dor_track none;
  CHECK(dor_track_person(&a, FRAMES, s.frame, K, 400, 600, &c, &none) == DOR_E_CONFIG && strstr(dor_errmsg(), "cutoff_hz = 13"), "%s", dor_errmsg());
  dor_arena_release(&a);
}

/* 0, 0 with score 0 is how a joint that was not found is written: it is not seen, also where any score is enough. */
TEST(track_takes_no_joint_that_was_not_found)
{
  static scene s;
  dor_arena a = {0};
  dor_track_cfg c = plain;
  memset(&s, 0, sizeof s);
  for (int32_t f = 0; f < FRAMES; f++) {
    stand(&s, f, 100, 200, 100);
    if (f == 5) memset(s.joint[f][0][3], 0, sizeof s.joint[f][0][3]);
  }
  c.least_score = 0;
  const dor_track t = follow(&a, &s, &c);
  CHECK(t.state[5 * K + 3] == DOR_TRACK_FILLED && fabs(at(&t, 5, 3, 0) - 150) < 1e-3, "%d at %g", t.state[5 * K + 3], at(&t, 5, 3, 0));
  dor_arena_release(&a);
}

/* Noise of 400 "people" a frame, as untrained weights see, and one who is larger: followed, and in no time. */
TEST(track_of_a_crowd_is_quick)
{
  enum { CROWD = 400, N = 60 };
  static float joint[N][CROWD][K][3];
  static dor_sighting frame[N];
  dor_arena a = {0};
  dor_track t;
  uint32_t dice = 1;
  for (int32_t f = 0; f < N; f++) {
    float *at = &joint[f][0][0][0];
    frame[f] = (dor_sighting){f / 25.0, CROWD, at};
    for (int32_t i = 0; i < CROWD * K * 2; i++) {
      dice = dice * 1664525u + 1013904223u;
      at[3 * (i / 2) + i % 2] = (float)(dice >> 8) / (float)(1 << 24) * 400;
      at[3 * (i / 2) + 2] = 0.5f;
    }
    for (int32_t i = 0; i < K; i++) joint[f][100 + f][i][0] = (float)(i % 2 ? 600 : -200), joint[f][100 + f][i][1] = (float)(i / 2 ? 600 : -200);
  }
  const clock_t from = clock();
  OK(dor_track_person(&a, N, frame, K, 400, 400, &plain, &t));
  const double spent_s = (double)(clock() - from) / CLOCKS_PER_SEC;
  for (int32_t f = 0; f < N; f++) CHECK(t.person[f] == 100 + f, "frame %d: person %d", f, t.person[f]);
  CHECK(spent_s < 2, "%.1f s", spent_s);
  dor_arena_release(&a);
}

TEST(track_smooths_as_the_rate_allows)
{
  static scene s;
  dor_arena a = {0};
  dor_track_cfg c = plain;
  dor_track t;
  double cutoff_hz;
  memset(&s, 0, sizeof s);
  for (int32_t f = 0; f < FRAMES; f++) stand(&s, f, 100, 200, 100), s.frame[f].time_s = f / 5.0;
  c.cutoff_hz = -1;
  OK(dor_track_person(&a, FRAMES, s.frame, K, 400, 600, &c, &t));
  CHECK(fabs(t.cutoff_hz - 2) < 1e-9 && fabs(t.rate_hz - 5) < 1e-9, "%g Hz at %g", t.cutoff_hz, t.rate_hz);
  OK(dor_track_cutoff(&c, 25, &cutoff_hz));
  CHECK(cutoff_hz == 6, "%g Hz", cutoff_hz);
  c.cutoff_hz = 6;
  CHECK(dor_track_cutoff(&c, 5, &cutoff_hz) == DOR_E_CONFIG && strstr(dor_errmsg(), "carry less than 2.5 Hz"), "%s", dor_errmsg());
  dor_arena_release(&a);
}

TEST(track_of_nobody_is_empty)
{
  static scene s;
  dor_arena a = {0};
  memset(&s, 0, sizeof s);
  for (int32_t f = 0; f < FRAMES; f++) s.frame[f].time_s = f / 25.0;
  const dor_track t = follow(&a, &s, &plain);
  CHECK(t.n_people == 0 && t.person[0] == -1 && t.state[0] == DOR_TRACK_ABSENT && isnan(at(&t, 0, 0, 0)), "%d people", t.n_people);
  dor_arena_release(&a);
}

/* ---- the angle ---- */

TEST(angle_at_the_hip_is_that_of_the_law_of_cosines)
{
  const dor_xy hip = {100, 100}, ankle = {100, 200};
  static const struct { double deg, facing, want; } cases[] =
    {{0, 1, 0}, {90, 1, 90}, {120, 1, 120}, {-20, 1, -20}, {-20, 0, 20}, {30, -1, -30}, {-30, -1, 30}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const double r = cases[i].deg * (3.14159265358979323846 / 180);
    const dor_xy neck = {100 + 60 * sin(r), 100 - 60 * cos(r)};
    const double got = dor_flexion(neck, hip, ankle, (int32_t)cases[i].facing);
    CHECK(fabs(got - cases[i].want) < 1e-5, "%g deg, facing %g: %g", cases[i].deg, cases[i].facing, got);
    CHECK(fabs(dor_hip_angle(neck, hip, ankle) - (180 - fabs(cases[i].want))) < 1e-5, "hip angle");
  }
  CHECK(isnan(dor_hip_angle(hip, hip, ankle)) && isnan(dor_hip_angle((dor_xy){NAN, 0}, hip, ankle)), "no angle there");
}

TEST(angle_finds_its_joints_by_name)
{
  static const char *const coco[] = {"nose", "left_shoulder", "right_shoulder", "left_hip", "right_hip", "left_ankle", "right_ankle"};
  static const char *const side[] = {"neck", "right_hip", "right_ankle"};
  /* seen from its left, looking left, bent forward by 45 degrees; the right leg is hidden */
  float j[2][7][3] = {{{36, 20, 1}, {50, 50, 1}, {50, 50, 1}, {100, 100, 1}, {110, 100, 0.1f}, {100, 200, 1}, {110, 200, 0.1f}},
                      {{84, 20, 1}, {98, 40, 1}, {102, 40, 1}, {100, 100, 1}, {110, 100, 0.1f}, {100, 200, 1}, {110, 200, 0.1f}}};
  dor_hip_joints h;
  float deg[2];
  OK(dor_hip_joints_find(7, coco, DOR_SIDE_AUTO, 2, &j[0][0][0], &h));
  CHECK(h.neck == 1 && h.neck2 == 2 && h.hip == 3 && h.ankle == 5 && h.nose == 0 && !h.right, "%d %d %d %d", h.neck, h.neck2, h.hip, h.ankle);
  CHECK(dor_facing(&h, 2, 7, &j[0][0][0]) == -1, "facing");
  j[1][5][0] = NAN;
  dor_flexion_of(&h, -1, 2, 7, &j[0][0][0], deg);
  CHECK(fabs((double)deg[0] - 45) < 1e-4 && isnan(deg[1]), "%g %g", (double)deg[0], (double)deg[1]);
  OK(dor_hip_joints_find(7, coco, DOR_SIDE_RIGHT, 2, &j[0][0][0], &h));
  CHECK(h.hip == 4 && h.right, "%d", h.hip);
  OK(dor_hip_joints_find(3, side, DOR_SIDE_AUTO, 0, NULL, &h));
  CHECK(h.neck == 0 && h.neck2 == -1 && h.hip == 1 && h.nose == -1, "%d", h.neck);
  CHECK(dor_hip_joints_find(3, coco, DOR_SIDE_AUTO, 0, NULL, &h) == DOR_E_DATA && strstr(dor_errmsg(), "right_hip"), "%s", dor_errmsg());
}
