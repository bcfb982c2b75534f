/* SPDX-License-Identifier: Apache-2.0
 *
 * Small parts of pose: enlarging and averaging maps, tables of people, drawing. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "pose/aggregate.h"
#include "pose/draw.h"
#include "pose/write.h"
#include "tests/test.h"

enum { K = 2, H = 4, W = 6 };

/* torch's bilinear (align_corners false), as written in its documentation */
static double bilinear(const double *in, int32_t h, int32_t w, int32_t y, int32_t x, int32_t to_h, int32_t to_w)
{
  double py = fmax((y + 0.5) * h / to_h - 0.5, 0), px = fmax((x + 0.5) * w / to_w - 0.5, 0);
  int32_t y0 = (int32_t)py, x0 = (int32_t)px, y1 = y0 + 1 < h ? y0 + 1 : y0, x1 = x0 + 1 < w ? x0 + 1 : x0;
  double v = py - y0, u = px - x0;
  return (1 - v) * ((1 - u) * in[y0 * w + x0] + u * in[y0 * w + x1]) + v * ((1 - u) * in[y1 * w + x0] + u * in[y1 * w + x1]);
}

static float noise(int32_t i) { return (float)((i * 7919 + 13) % 101) / 101; }

/* One joint's plane at the base size: both resolutions averaged, then enlarged. mirror: channel of the other joint, x reversed */
static void expected(const float *coarse, const float *fine, int32_t channel, bool heat, bool mirror, int32_t to_h, int32_t to_w, double *out)
{
  double small[H * W], both[4 * H * W];
  for (int32_t i = 0; i < H * W; i++) small[i] = (double)coarse[(mirror ? i / W * W + W - 1 - i % W : i) * 2 * K + channel];
  for (int32_t y = 0; y < 2 * H; y++)
    for (int32_t x = 0; x < 2 * W; x++) {
      double v = bilinear(small, H, W, y, x, 2 * H, 2 * W);
      if (heat) v = 0.5 * (v + (double)fine[(y * 2 * W + (mirror ? 2 * W - 1 - x : x)) * K + channel]);
      both[y * 2 * W + x] = v;
    }
  for (int32_t y = 0; y < to_h; y++)
    for (int32_t x = 0; x < to_w; x++) out[y * to_w + x] = bilinear(both, 2 * H, 2 * W, y, x, to_h, to_w);
}

static double worst_of(int32_t to_h, int32_t to_w)
{
  static const int32_t flip[K] = {1, 0};
  float coarse[2][H * W * 2 * K], fine[2][4 * H * W * K];
  double want[2][32 * 48], worst = 0;
  dor_aggregate g = {0};
  for (int32_t i = 0; i < H * W * 2 * K; i++) coarse[0][i] = noise(i), coarse[1][i] = noise(3 * i + 1);
  for (int32_t i = 0; i < 4 * H * W * K; i++) fine[0][i] = noise(5 * i + 2), fine[1][i] = noise(11 * i + 3);
  dor_output plain = {H, W, coarse[0], fine[0]}, mirrored = {H, W, coarse[1], fine[1]};
  OK(dor_aggregate_begin(&g, K, to_h, to_w, true));
  OK(dor_aggregate_add(&g, &plain, &mirrored, flip, true, 2));
  OK(dor_aggregate_add(&g, &plain, &mirrored, flip, false, 1));
  dor_aggregate_end(&g, 2);
  for (int32_t k = 0; k < K; k++) {
    expected(coarse[0], fine[0], k, true, false, to_h, to_w, want[0]);
    expected(coarse[1], fine[1], flip[k], true, true, to_h, to_w, want[1]);
    for (int32_t i = 0; i < to_h * to_w; i++) worst = fmax(worst, fabs(0.5 * (want[0][i] + want[1][i]) - (double)g.maps.heat[k * to_h * to_w + i]));
    expected(coarse[1], fine[1], K + flip[k], false, true, to_h, to_w, want[1]);
    for (int32_t i = 0; i < to_h * to_w; i++) worst = fmax(worst, fabs(want[1][i] - (double)g.maps.tag[(K + k) * to_h * to_w + i]));
  }
  dor_aggregate_release(&g);
  return worst;
}

TEST(pose_maps_are_averaged_and_enlarged)
{
  CHECK(worst_of(16, 24) < 1e-6, "twice: %g", worst_of(16, 24));
  CHECK(worst_of(8, 12) < 1e-6, "the size of the fine maps: %g", worst_of(8, 12));
  CHECK(worst_of(32, 48) < 1e-6, "four times: %g", worst_of(32, 48));
  CHECK(worst_of(11, 17) < 1e-6, "an odd size: %g", worst_of(11, 17));
}

static float two[12] = {1.5f, 2.25f, 0.5f, 0, 0, 0, 7, 8.125f, 0.25f, 9, 10, 1};
static float scores[2] = {0.25f, 0.625f};

TEST(pose_people_as_csv_and_coco)
{
  static const char *const names[] = {"C7", "=S1"};
  const dor_keypoints k = {.name = "custom", .k = 2, .joint = names};
  const dor_people p = {2, 2, two, scores};
  dor_str s = {0};
  int64_t n = 0;
  dor_pose_csv_head(&k, &s);
  dor_pose_csv(&(dor_pose_frame){.file = "a,b.png", .frame = -1, .people = &p}, &s);
  dor_pose_csv(&(dor_pose_frame){.file = "v.mp4", .frame = 3, .time_s = 0.125, .stamp = "SYNTHETIC QUICK", .people = &p}, &s);
  const char *want = "file,frame,time_s,person,score,C7_x,C7_y,C7_score,'=S1_x,'=S1_y,'=S1_score,filled,stamp\n"
                     "\"a,b.png\",,,1,0.25,1.5,2.25,0.5,,,0,,\n\"a,b.png\",,,2,0.625,7,8.125,0.25,9,10,1,,\n"
                     "v.mp4,3,0.125,1,0.25,1.5,2.25,0.5,,,0,,SYNTHETIC QUICK\nv.mp4,3,0.125,2,0.625,7,8.125,0.25,9,10,1,,SYNTHETIC QUICK\n";
  CHECK(s.s && !strcmp(s.s, want), "%s", s.s);
  dor_str_clear(&s);
  dor_pose_coco(&(dor_pose_frame){.frame = -1, .image_id = 785, .category_id = 1, .people = &p}, &n, &s);
  want = "{\"image_id\": 785, \"category_id\": 1, \"keypoints\": [1.5, 2.25, 0.5, 0, 0, 0], \"score\": 0.25},\n"
         "{\"image_id\": 785, \"category_id\": 1, \"keypoints\": [7, 8.125, 0.25, 9, 10, 1], \"score\": 0.625}";
  CHECK(s.s && !strcmp(s.s, want) && n == 2, "%s", s.s);
  dor_str_release(&s);
}

/* A frame in which one joint stands between two sightings and the other is nowhere: the first is named, in COCO nothing is NaN. */
TEST(pose_of_a_track_says_what_is_filled)
{
  static const char *const names[] = {"C7", "S1"};
  const dor_keypoints k = {.name = "custom", .k = 2, .joint = names};
  float joint[6] = {3.5f, 4, 0, NAN, NAN, 0}, score = NAN;
  const uint8_t how[2] = {DOR_TRACK_FILLED, DOR_TRACK_ABSENT};
  const dor_people p = {1, 2, joint, &score};
  const dor_pose_frame f = {.file = "v.mp4", .frame = 7, .time_s = 0.5, .image_id = 8, .category_id = 1, .people = &p, .keypoints = &k, .state = how};
  dor_str s = {0};
  int64_t n = 0;
  dor_pose_csv(&f, &s);
  CHECK(s.s && !strcmp(s.s, "v.mp4,7,0.5,1,,3.5,4,0,,,0,C7,\n"), "%s", s.s);
  dor_str_clear(&s);
  dor_pose_coco(&f, &n, &s);
  CHECK(s.s && !strcmp(s.s, "{\"image_id\": 8, \"category_id\": 1, \"keypoints\": [3.5, 4, 0, 0, 0, 0], \"score\": 0, \"file\": \"v.mp4\", \"frame\": 7, "
                            "\"time_s\": 0.5, \"filled\": [\"C7\"]}"), "%s", s.s);
  dor_str_release(&s);
}

TEST(pose_drawing_stays_inside_the_picture)
{
  static const char *const names[] = {"left_knee", "left_ankle"};
  static const int32_t bone[1][2] = {{0, 1}};
  const dor_keypoints k = {.name = "custom", .k = 2, .joint = names, .n_bones = 1, .bone = bone};
  const float joint[18] = {-50, 20, 1, 90, 20, 1, 5, NAN, 1, 8, 8, 1, 30, 3, 0.01f, 1e9f, 3, 1};
  enum { SIDE = 40, GUARD = 64 };
  uint8_t *pixels = dor_calloc(1, 3 * SIDE * SIDE + 2 * GUARD);
  dor_picture p = {.h = SIDE, .w = SIDE, .c = 3, .pixels = pixels + GUARD};
  dor_draw_people(&p, &k, 3, joint, 0.05f);
  dor_draw_synthetic(&p);
  int outside = 0, changed = 0;
  for (int i = 0; i < GUARD; i++) outside += pixels[i] + pixels[GUARD + 3 * SIDE * SIDE + i];
  for (int i = 0; i < SIDE * SIDE; i++) changed += p.pixels[3 * i + 2] > 200;
  CHECK(outside == 0 && changed > SIDE, "%d outside, %d drawn", outside, changed);
  CHECK(p.pixels[3 * (20 * SIDE + 20) + 2] == 255 && p.pixels[3 * (35 * SIDE + 20) + 2] == 0, "the line is not where it should be");
  dor_free(pixels);
}
