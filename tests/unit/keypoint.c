/* SPDX-License-Identifier: Apache-2.0
 *
 * Keypoint figures against pycocotools: a set of pictures made by formula, with
 * crowds, people without labelled joints, equal scores and more than twenty
 * detections in a picture, and the ten numbers that pycocotools 2.0.11 gave for
 * it (tests/e2e/coco_oracle.py makes the same set and runs it where it can). */
#include "eval/keypoint.h"

#include <math.h>
#include <string.h>

#include "tests/test.h"
#include "tests/unit/keypoint_set.h"

static const double sigma[17] = {.026, .025, .025, .035, .035, .079, .079, .072, .072, .062, .062, .107, .107, .087, .087, .089, .089};

TEST(keypoint_figures_are_those_of_pycocotools)
{
  static const double want[DOR_KP_COCO] = {0.22476662017104476, 0.329231330262398,  0.24091304611848727, 0.11251820618663207, 0.3697480995744746,
                                              0.5131578947368421,  0.6052631578947368, 0.5394736842105263,  0.4434782608695652,  0.5552631578947369};
  keypoint_set s;
  dor_arena a = {0};
  dor_kp_matches m;
  double got[DOR_KP_COCO];
  keypoint_set_make(&s, sigma);
  OK(dor_kp_match_all(&a, &s.truth, &s.found, &m));
  OK(dor_kp_figures(&m, DOR_KP_COCO, dor_kp_coco, NULL, got));
  for (int i = 0; i < DOR_KP_COCO; i++) CHECK(fabs(got[i] - want[i]) < 1e-12, "%s is %.17g, wanted %.17g", dor_kp_coco[i].name, got[i], want[i]);
  dor_arena_release(&a);
}

TEST(keypoint_truth_as_detections_is_perfect)
{
  keypoint_set s;
  dor_arena a = {0};
  dor_kp_matches m;
  double got[DOR_KP_COCO], score[KEYPOINT_MOST], joint[KEYPOINT_MOST * 3 * KEYPOINT_K];
  int32_t image[KEYPOINT_MOST], n = 0;
  keypoint_set_make(&s, sigma);
  for (int32_t i = 0; i < s.truth.n; i++) {
    if (!s.truth.labelled[i]) continue;
    memcpy(joint + 3 * KEYPOINT_K * n, s.truth.joint + 3 * KEYPOINT_K * i, 3 * KEYPOINT_K * sizeof *joint);
    image[n] = s.truth.image[i], score[n++] = 1;
  }
  OK(dor_kp_match_all(&a, &s.truth, &(dor_kp_found){n, image, joint, score}, &m));
  OK(dor_kp_figures(&m, DOR_KP_COCO, dor_kp_coco, NULL, got));
  for (int i = 0; i < DOR_KP_COCO; i++) CHECK(got[i] == 1, "%s is %.17g", dor_kp_coco[i].name, got[i]);
  OK(dor_kp_match_all(&a, &s.truth, &(dor_kp_found){0}, &m));
  OK(dor_kp_figures(&m, DOR_KP_COCO, dor_kp_coco, NULL, got));
  for (int i = 0; i < DOR_KP_COCO; i++) CHECK(got[i] == 0, "without detections %s is %.17g", dor_kp_coco[i].name, got[i]);
  dor_arena_release(&a);
}

TEST(keypoint_figures_without_people_are_undefined)
{
  static const int32_t none[1] = {0};
  static const double joint[51] = {0}, score[1] = {0.5};
  dor_arena a = {0};
  dor_kp_matches m;
  double got[DOR_KP_COCO];
  OK(dor_kp_match_all(&a, &(dor_kp_truth){.k = 17, .n_images = 1, .sigma = sigma}, &(dor_kp_found){1, none, joint, score}, &m));
  OK(dor_kp_figures(&m, DOR_KP_COCO, dor_kp_coco, NULL, got));
  for (int i = 0; i < DOR_KP_COCO; i++) CHECK(isnan(got[i]), "%s is %g", dor_kp_coco[i].name, got[i]);
  const int32_t beyond[1] = {1};
  CHECK(dor_kp_match_all(&a, &(dor_kp_truth){.k = 17, .n_images = 1, .sigma = sigma}, &(dor_kp_found){1, beyond, joint, score}, &m) == DOR_E_RANGE, "taken");
  const double odd[1] = {NAN};
  CHECK(dor_kp_match_all(&a, &(dor_kp_truth){.k = 17, .n_images = 1, .sigma = sigma}, &(dor_kp_found){1, none, joint, odd}, &m) == DOR_E_NUMERIC, "taken");
  dor_arena_release(&a);
}

TEST(keypoint_intervals_hold_the_figures)
{
  keypoint_set s;
  dor_arena a = {0};
  dor_kp_matches m;
  double got[DOR_KP_COCO];
  dor_interval i[DOR_KP_COCO], again[DOR_KP_COCO];
  keypoint_set_make(&s, sigma);
  OK(dor_kp_match_all(&a, &s.truth, &s.found, &m));
  OK(dor_kp_figures(&m, DOR_KP_COCO, dor_kp_coco, NULL, got));
  OK(dor_kp_intervals(&m, DOR_KP_COCO, dor_kp_coco, 300, 1, 0.95, i));
  OK(dor_kp_intervals(&m, DOR_KP_COCO, dor_kp_coco, 300, 1, 0.95, again));
  for (int f = 0; f < DOR_KP_COCO; f++) {
    CHECK(i[f].lo < got[f] && got[f] < i[f].hi && i[f].hi - i[f].lo < 0.5, "%s %g: %g to %g", dor_kp_coco[f].name, got[f], i[f].lo, i[f].hi);
    CHECK(i[f].lo == again[f].lo && i[f].hi == again[f].hi, "%s: other bits", dor_kp_coco[f].name);
  }
  dor_arena_release(&a);
}

/* Two people and a crowd; detections: the second person exactly, one far off, and the first with one joint moved by 30 pixels. */
TEST(keypoint_pck_pairs_people_with_detections)
{
  enum { K = 2 };
  static const double s2[K] = {0.1, 0.1}, joint[3 * K * 3] = {10, 10, 2, 50, 50, 2, 210, 10, 2, 250, 50, 0, 400, 10, 2, 410, 20, 2};
  static const double box[12] = {0, 0, 100, 100, 200, 0, 100, 100, 390, 0, 30, 30}, area[3] = {8000, 8000, 500}, reference[3] = {100, 100, 30};
  static const double place[3 * K * 3] = {210, 10, 1, 0, 0, 1, 600, 600, 1, 600, 600, 1, 10, 10, 1, 80, 50, 1}, score[3] = {0.1, 0.9, 0.5};
  static const int32_t image[3] = {0}, labelled[3] = {2, 1, 2};
  static const uint8_t crowd[3] = {0, 0, 1};
  dor_kp_truth t = {3, K, 1, image, joint, box, area, crowd, labelled, s2};
  dor_arena a = {0};
  dor_pck p;
  OK(dor_pck_count(&a, &t, &(dor_kp_found){3, image, place, score}, reference, 0.2, &p));
  CHECK(p.all[0] == 2 && p.hit[0] == 2 && p.all[1] == 1 && p.hit[1] == 0, "%lld/%lld, %lld/%lld", (long long)p.hit[0], (long long)p.all[0],
        (long long)p.hit[1], (long long)p.all[1]);
  OK(dor_pck_count(&a, &t, &(dor_kp_found){3, image, place, score}, reference, 0.3, &p));
  CHECK(p.hit[1] == 1, "30 pixels of 100 are not within .3");
  dor_arena_release(&a);
}
