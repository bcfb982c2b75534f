/* SPDX-License-Identifier: Apache-2.0
 *
 * Heat maps and tags of made-up scenes, grouped as the original grouped them
 * (tests/golden/grouping.h5), with and without refinement; one scene is empty. */
#include <math.h>
#include <string.h>

#include "pose/group.h"
#include "tests/golden/h5file.h"

static const int32_t order[17] = {0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13, 14, 15, 16};

/* Files have tags [K,H,W,T]; ours are [T,K,H,W]. */
static float *planes(const h5_set *tags)
{
  size_t t = (size_t)tags->d[3], n = tags->n / t;
  const float *in = tags->data;
  float *out = dor_calloc(tags->n, sizeof *out);
  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j < t; j++) out[j * n + i] = in[i * t + j];
  return out;
}

static void compare(hid_t f, const char *scene, bool refine, const dor_maps *m)
{
  char name[96];
  dor_pose_cfg c;
  dor_arena a = {0};
  dor_people p;
  OK(dor_schema_defaults(dor_pose_keys, &c, &a));
  c.refine = refine;
  OK(dor_group(m, &c, order, 2, &a, &p));
  snprintf(name, sizeof name, "%s/refine%d/joints_x_y_score_tags", scene, refine);
  h5_set want = h5_read(f, name, H5T_NATIVE_DOUBLE);
  snprintf(name, sizeof name, "%s/refine%d/person_score", scene, refine);
  h5_set score = h5_read(f, name, H5T_NATIVE_DOUBLE);
  int32_t people = want.data ? (int32_t)want.d[0] : 0;
  REQUIRE(p.n == people, "%s: %d people, wanted %d", scene, p.n, people);
  double worst_px = 0, worst_score = 0;
  for (int32_t i = 0; i < p.n * p.k; i++) {
    const double *w = (const double *)want.data + (size_t)i * (size_t)want.d[2];
    const float *g = p.joint + 3 * (size_t)i;
    worst_px = fmax(worst_px, fmax(fabs(w[0] - (double)g[0]), fabs(w[1] - (double)g[1])));
    worst_score = fmax(worst_score, fabs(w[2] - (double)g[2]));
  }
  for (int32_t i = 0; i < p.n; i++) worst_score = fmax(worst_score, fabs(((double *)score.data)[i] - (double)p.score[i]));
  CHECK(worst_px < 1e-3 && worst_score < 1e-5, "%s, refine %d: %g pixels, %g in scores", scene, refine, worst_px, worst_score);
  dor_free(want.data), dor_free(score.data);
  dor_arena_release(&a);
}

TEST(golden_grouping)
{
  const char *path = test_golden("grouping.h5");
  REQUIRE(path, "tests/golden/grouping.h5 is missing");
  hid_t f = h5_open(path);
  for (int scene = 0; scene < 6; scene++) {
    char name[96], at[64];
    snprintf(at, sizeof at, "case%d", scene);
    snprintf(name, sizeof name, "%s/heatmaps", at);
    h5_set heat = h5_read(f, name, H5T_NATIVE_FLOAT);
    snprintf(name, sizeof name, "%s/tags", at);
    h5_set tags = h5_read(f, name, H5T_NATIVE_FLOAT);
    REQUIRE(heat.data && tags.data, "%s is missing", at);
    float *tag = planes(&tags);
    dor_maps m = {(int32_t)heat.d[0], (int32_t)heat.d[1], (int32_t)heat.d[2], (int32_t)tags.d[3], heat.data, tag};
    compare(f, at, false, &m);
    compare(f, at, true, &m);
    dor_free(tag), dor_free(heat.data), dor_free(tags.data);
  }
  H5Fclose(f);
}
