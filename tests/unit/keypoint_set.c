/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/keypoint_set.h"

#include <math.h>
#include <string.h>

enum { J = 3 * KEYPOINT_K };

static struct {
  int32_t image[KEYPOINT_MOST], labelled[KEYPOINT_MOST], of[KEYPOINT_MOST];
  double joint[KEYPOINT_MOST * J], box[KEYPOINT_MOST * 4], area[KEYPOINT_MOST], place[KEYPOINT_MOST * J], score[KEYPOINT_MOST];
  uint8_t crowd[KEYPOINT_MOST];
  uint64_t draws;
} made;

static double u(void)
{
  uint64_t z = ++made.draws * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return (double)((z ^ (z >> 31)) >> 40) / 16777216.0;
}

static int32_t below(int32_t n) { return (int32_t)floor(u() * n); }

static void detect(keypoint_set *s, int32_t image, const double *joint, double cx, double cy, double side)
{
  static const double spread[] = {0, 0.0625, 0.125, 0.25};
  double by = spread[below(4)] * side, *to = made.place + s->found.n * J;
  for (int32_t k = 0; k < KEYPOINT_K; k++) {
    bool known = joint && joint[3 * k + 2] > 0;
    double draw[4];
    for (int i = 0; i < 4; i++) draw[i] = u() - 0.5;
    to[3 * k] = (known ? joint[3 * k] : cx + side * draw[0]) + by * draw[2];
    to[3 * k + 1] = (known ? joint[3 * k + 1] : cy + side * draw[1]) + by * draw[3];
    to[3 * k + 2] = 1;
  }
  made.score[s->found.n] = image % 2 ? u() : below(5) / 4.0;
  made.of[s->found.n++] = image;
}

static void person(keypoint_set *s, int32_t image)
{
  static const double sides[] = {20, 64, 144, 288};
  int32_t n = s->truth.n++;
  double side = sides[below(4)], cx = 640 * u(), cy = 480 * u(), *j = made.joint + n * J;
  bool bare = u() < 0.125, crowd = u() < 0.125;
  for (int32_t k = 0; k < KEYPOINT_K; k++) {
    int32_t seen = bare ? 0 : below(3);
    double x = floor(cx + side * (u() - 0.5));
    double y = floor(cy + side * (u() - 0.5));
    j[3 * k] = seen ? x : 0, j[3 * k + 1] = seen ? y : 0, j[3 * k + 2] = seen;
    made.labelled[n] += seen > 0;
  }
  double box[4] = {cx - side / 2, cy - side / 2, side, side};
  memcpy(made.box + 4 * n, box, sizeof box);
  made.area[n] = u() < 0.125 ? 1024 : side * side * (0.5 + u() / 4);
  made.crowd[n] = crowd, made.image[n] = image;
  for (int32_t d = u() < 0.03125 ? 25 : below(3); d > 0; d--) detect(s, image, j, cx, cy, side);
}

void keypoint_set_make(keypoint_set *s, const double *sigma)
{
  memset(&made, 0, sizeof made);
  *s = (keypoint_set){.truth = {0, KEYPOINT_K, KEYPOINT_IMAGES, made.image, made.joint, made.box, made.area, made.crowd, made.labelled, sigma},
                      .found = {0, made.of, made.place, made.score}};
  for (int32_t i = 0; i < KEYPOINT_IMAGES; i++) {
    for (int32_t n = below(6); n > 0; n--) person(s, i);
    if (below(2)) {
      double cx = 640 * u(), cy = 480 * u();
      detect(s, i, NULL, cx, cy, 100);
    }
  }
}
