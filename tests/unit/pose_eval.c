/* SPDX-License-Identifier: Apache-2.0
 *
 * Evaluation from files: real annotations given back as detections, CrowdPose's
 * rules, angles of two datasets, and what is refused. */
#include "eval/pose_eval.h"

#include <math.h>
#include <string.h>

#include "base/io.h"
#include "data/dataset.h"
#include "tests/test.h"

static dor_pose_eval_cfg settings(dor_arena *a)
{
  dor_pose_eval_cfg c;
  OK(dor_schema_defaults(dor_pose_eval_keys, &c, a));
  c.replicates = 200;
  return c;
}

/* Everybody with a labelled joint, as a detection. */
static void give_back(const char *truth, const char *to)
{
  dor_coco c;
  dor_str s = {0};
  OK(dor_coco_read(&c, truth));
  for (int32_t i = 0; i < c.n_annotations; i++) {
    const dor_coco_annotation *p = &c.annotation[i];
    if (!p->n_labelled) continue;
    dor_str_fmt(&s, "%s{\"image_id\": %lld, \"category_id\": 1, \"score\": 1, \"keypoints\": [", s.n ? ",\n" : "[", (long long)c.image[p->image].id);
    for (int k = 0; k < 51; k++) dor_str_fmt(&s, "%s%.17g", k ? "," : "", p->keypoint[k]);
    dor_str_add(&s, "]}");
  }
  dor_str_add(&s, "]");
  OK(dor_io_write(to, s.s, s.n));
  dor_str_release(&s);
  dor_coco_release(&c);
}

TEST(pose_eval_of_the_truth_is_one)
{
  const char *found = test_shared("coco_kp_fixture/test_coco.json");
  if (!found) SKIP("pose_eval: coco_kp_fixture is absent, 1 check skipped");
  char truth[1024], back[600];
  snprintf(truth, sizeof truth, "%s", found);
  snprintf(back, sizeof back, "%s/back.json", test_folder("pose_eval"));
  give_back(truth, back);
  dor_arena a = {0};
  dor_pose_eval r;
  dor_pose_eval_cfg c = settings(&a);
  OK(dor_pose_eval_files(&a, truth, back, &c, &r));
  CHECK(r.images == 4 && r.people == 14 && r.found == 12 && r.n == 10 && !*r.stamp, "%d images, %d people, %d found", r.images, r.people, r.found);
  for (int32_t f = 0; f < r.n; f++) CHECK(r.value[f] == 1 && isnan(r.interval[f].lo), "%s is %.17g", r.figure[f].name, r.value[f]);
  CHECK(r.all.hit == r.all.all && r.all.all == 181 && r.all.interval.lo > 0.4 && r.all.interval.lo < 0.6, "%lld of %lld, from %g", (long long)r.all.hit,
        (long long)r.all.all, r.all.interval.lo);
  dor_arena_release(&a);
}

#define POINTS "10,10,2,20,10,2,10,20,2,20,20,2,10,30,2,20,30,2,10,40,2,20,40,2,10,50,2,20,50,2,10,60,2,20,60,2,15,0,2,15,5,2"
#define CROWD(id, index) "{\"id\": " id ", \"file_name\": \"" id ".jpg\", \"height\": 100, \"width\": 100, \"crowdIndex\": " index "}"
#define ONE(id) \
  "{\"id\": " id ", \"image_id\": " id ", \"category_id\": 1, \"iscrowd\": 0, \"num_keypoints\": 14, \"bbox\": [5, 0, 20, 62], \"keypoints\": [" POINTS "]}"
#define NAMES "\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\",\"j\",\"k\",\"l\",\"m\",\"n\""

static const char crowd_truth[] = "{\"info\": {\"synthetic\": true}, \"images\": [" CROWD("1", "0.0") ", " CROWD("2", "0.5") ", " CROWD("3", "0.9") "],\n"
                                  "\"annotations\": [" ONE("1") ", " ONE("2") ", " ONE("3") "],\n"
                                  "\"categories\": [{\"id\": 1, \"name\": \"person\", \"keypoints\": [" NAMES "], \"skeleton\": []}]}";
#define FOUND(id, score) "{\"image_id\": " id ", \"category_id\": 1, \"score\": " score ", \"keypoints\": [" POINTS "]}"
static const char crowd_found[] = "[" FOUND("1", "0.9, \"stamp\": \"QUICK\"") ", " FOUND("3", "0.5, \"stamp\": \"LEAKS QUICK\"") ", " FOUND("3", "0.8") "]";

TEST(pose_eval_crowdpose_by_difficulty)
{
  char truth[600], found[600];
  snprintf(truth, sizeof truth, "%s/crowd.json", test_folder("pose_eval"));
  snprintf(found, sizeof found, "%s/crowd_found.json", test_folder("pose_eval"));
  OK(dor_io_write(truth, crowd_truth, strlen(crowd_truth)));
  OK(dor_io_write(found, crowd_found, strlen(crowd_found)));
  dor_arena a = {0};
  dor_pose_eval r;
  dor_pose_eval_cfg c = settings(&a);
  OK(dor_pose_eval_files(&a, truth, found, &c, &r));
  REQUIRE(r.crowdpose && r.n == 9 && !strcmp(r.keypoints.name, "crowdpose14"), "%d figures of %s", r.n, r.keypoints.name);
  CHECK(!strcmp(r.stamp, "SYNTHETIC LEAKS QUICK"), "stamp: %s", r.stamp);
  static const double want[9] = {67 / 101., 67 / 101., 67 / 101., 2 / 3., 2 / 3., 2 / 3., 1, 0, 1};
  for (int32_t f = 0; f < 9; f++) CHECK(fabs(r.value[f] - want[f]) < 1e-12, "%s is %.17g, wanted %.17g", r.figure[f].name, r.value[f], want[f]);
  CHECK(r.counted[0] == 3 && r.counted[6] == 1 && !strcmp(r.figure[8].name, "AP-H"), "people who count: %d, easy %d", r.counted[0], r.counted[6]);
  c.rules = 1; /* coco: area is needed, and that of the box stands in */
  OK(dor_pose_eval_files(&a, truth, found, &c, &r));
  CHECK(!r.crowdpose && r.n == 10, "%d figures", r.n);
  c.reference = 1;
  CHECK(dor_pose_eval_files(&a, truth, truth, &c, &r) == DOR_E_DATA && strstr(dor_errmsg(), "no COCO results"), "%s", dor_errmsg());
  dor_arena_release(&a);
}

/* Two people, a trial each; the estimate lacks one frame. */
static void write_angles(const char *path, const char *name, const float *deg, int32_t frames_of_second)
{
  static const char *const id[] = {"a", "b"}, *const text[] = {"forward", "forward"};
  static const int32_t subject[] = {0, 1}, first[] = {0, 3};
  static const float fps[] = {30, 30};
  const int32_t count[] = {3, frames_of_second};
  const dor_series s = {.name = name, .n = 3 + frames_of_second, .k = 1, .a = 1, .data = deg, .first = first, .count = count,
                        .definition = "hip", .unit = "deg"};
  dor_dataset d = {.name = "angles", .license = "", .created_by = "", .synthetic = true, .n_subjects = 2, .id = id, .n_trials = 2, .trial_subject = subject,
                   .movement = text, .side = text, .fps = fps, .n_angles = 1, .angles = &s};
  OK(dor_dataset_write(&d, path));
}

TEST(pose_eval_angles_of_two_datasets)
{
  static const float truth[] = {10, 20, 30, 40, 50, 60}, estimate[] = {11, 21, 31, 39, NAN, 59};
  char t[600], e[600];
  snprintf(t, sizeof t, "%s/truth.h5", test_folder("pose_eval"));
  snprintf(e, sizeof e, "%s/estimate.h5", test_folder("pose_eval"));
  write_angles(t, "truth", truth, 3);
  write_angles(e, "video", estimate, 3);
  dor_arena a = {0};
  dor_angle_eval r;
  dor_pose_eval_cfg c = settings(&a);
  OK(dor_angle_eval_files(&a, t, e, &c, &r));
  CHECK(r.synthetic && !strcmp(r.truth, "truth") && !strcmp(r.estimate, "video"), "%s, %s", r.truth, r.estimate);
  CHECK(r.agreement.n == 5 && r.agreement.missing == 1 && r.agreement.rmse.value == 1 && fabs(r.agreement.bias.value - 0.2) < 1e-12, "rmse %g, bias %g",
        r.agreement.rmse.value, r.agreement.bias.value);
  c.estimate = "vidoe";
  CHECK(dor_angle_eval_files(&a, t, e, &c, &r) == DOR_E_CONFIG && strstr(dor_errmsg(), "did you mean 'video'"), "%s", dor_errmsg());
  c.estimate = "";
  write_angles(e, "video", estimate, 2);
  CHECK(dor_angle_eval_files(&a, t, e, &c, &r) == DOR_E_DATA && strstr(dor_errmsg(), "trial 2 has 2 frames"), "%s", dor_errmsg());
  dor_arena_release(&a);
}
