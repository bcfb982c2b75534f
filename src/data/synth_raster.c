/* SPDX-License-Identifier: Apache-2.0
 *
 * From a body to a silhouette: the outline is the union of round-ended segments
 * whose radii change along them. A pixel's grey is how much of it is covered,
 * as if a film's mask had been reduced to this size. */
#include <math.h>
#include <string.h>

#include "data/synth_body.h"

static const dor_synth_facts *const F = &dor_synth_fact;

typedef struct canvas {
  int32_t side;
  dor_synth_camera camera;
  double h;                      /* height of the person: radii are shares of it */
  uint8_t *out;
} canvas;

dor_synth_camera dor_synth_view(const dor_synth_person *p, int32_t side_px)
{
  const double s = side_px / F->field_m * p->scale;
  return (dor_synth_camera){s, 0.5 * side_px, 0.97 * side_px};
}

static int32_t bound(double x, int32_t side) { return x < 0 ? 0 : x > side ? side : (int32_t)x; }

typedef struct round { float x, y, r; } round_end; /* in pixels */

/* One row: covered where the distance to the segment is under the radius there. */
static void cover_row(round_end a, round_end b, float py, int32_t x0, int32_t x1, uint8_t *row)
{
  const float dx = b.x - a.x, dy = b.y - a.y, over = 1 / (dx * dx + dy * dy + 1e-6f);
#pragma omp simd
  for (int32_t x = x0; x < x1; x++) {
    const float px = (float)x + 0.5f - a.x, qy = py - a.y;
    float t = (px * dx + qy * dy) * over;
    t = t < 0 ? 0 : t > 1 ? 1 : t;
    const float ex = px - t * dx, ey = qy - t * dy;
    float in = a.r + t * (b.r - a.r) + 0.5f - sqrtf(ex * ex + ey * ey);
    in = in < 0 ? 0 : in > 1 ? 1 : in;
    const uint8_t grey = (uint8_t)(255 * in + 0.5f);
    row[x] = row[x] > grey ? row[x] : grey;
  }
}

static round_end place(const canvas *c, dor_point p, double r)
{
  return (round_end){(float)(c->camera.x0 + c->camera.px_per_m * p.x), (float)(c->camera.y0 - c->camera.px_per_m * p.y),
                     (float)(r * c->h * c->camera.px_per_m)};
}

/* A segment with radii ra and rb, shares of the height. */
static void limb(const canvas *c, dor_point pa, double ra, dor_point pb, double rb)
{
  const round_end a = place(c, pa, ra), b = place(c, pb, rb);
  const int32_t x0 = bound(floor((double)fminf(a.x - a.r, b.x - b.r)) - 1, c->side), x1 = bound(ceil((double)fmaxf(a.x + a.r, b.x + b.r)) + 1, c->side);
  const int32_t y0 = bound(floor((double)fminf(a.y - a.r, b.y - b.r)) - 1, c->side), y1 = bound(ceil((double)fmaxf(a.y + a.r, b.y + b.r)) + 1, c->side);
  for (int32_t y = y0; y < y1; y++) cover_row(a, b, (float)y + 0.5f, x0, x1, c->out + (size_t)y * (size_t)c->side);
}

static dor_point between(dor_point a, dor_point b, double t) { return (dor_point){a.x + t * (b.x - a.x), a.y + t * (b.y - a.y)}; }

/* p moved `by` to the front of the line from a to b. */
static dor_point before(dor_point p, dor_point a, dor_point b, double by)
{
  const double dx = b.x - a.x, dy = b.y - a.y, n = sqrt(dx * dx + dy * dy) + 1e-9;
  return (dor_point){p.x + by * dy / n, p.y - by * dx / n};
}

static void draw_leg(const canvas *c, dor_point hip, dor_point knee, dor_point ankle, dor_point heel, dor_point toe, double girth)
{
  const dor_point calf = before(between(knee, ankle, 0.3), ankle, knee, -0.010 * c->h), ball = between(heel, toe, 0.75);
  limb(c, hip, 0.052 * girth, knee, 0.034 * girth);
  limb(c, knee, 0.033 * girth, calf, 0.034 * girth);
  limb(c, calf, 0.034 * girth, ankle, 0.021);
  limb(c, ankle, 0.022, heel, 0.019);
  limb(c, ankle, 0.022, ball, 0.015);
  limb(c, heel, 0.018, ball, 0.015), limb(c, ball, 0.015, toe, 0.010);
}

static void draw_arm(const canvas *c, dor_point shoulder, dor_point elbow, dor_point wrist, dor_point hand, double girth)
{
  limb(c, shoulder, 0.032 * girth, elbow, 0.024 * girth);
  limb(c, elbow, 0.024 * girth, wrist, 0.016);
  limb(c, wrist, 0.016, hand, 0.013);
}

/* Depth of the trunk along the spine: how far the middle lies before the spine, and half the depth. S1, L3, T12, T8, T4, C7. */
static const struct level { double at, ahead, radius; } levels[] = {
  {0.0, 0.018, 0.064}, {0.2, 0.030, 0.058}, {0.43, 0.034, 0.060}, {0.65, 0.040, 0.066}, {0.85, 0.026, 0.056}, {1.0, 0.008, 0.036}};

static struct level level_at(double at)
{
  size_t i = 1;
  while (i + 1 < sizeof levels / sizeof *levels && levels[i].at < at) i++;
  const struct level a = levels[i - 1], b = levels[i];
  const double t = (at - a.at) / (b.at - a.at);
  return (struct level){at, a.ahead + t * (b.ahead - a.ahead), a.radius + t * (b.radius - a.radius)};
}

static void draw_trunk(const canvas *c, const dor_synth_body *b)
{
  dor_point last = {0, 0};
  double last_radius = 0;
  for (int32_t i = 0; i < DOR_SYNTH_SPINE; i++) {
    const struct level l = level_at((double)i / (DOR_SYNTH_SPINE - 1));
    const dor_point low = b->spine[i ? i - 1 : 0], high = b->spine[i + 1 < DOR_SYNTH_SPINE ? i + 1 : i];
    const double fat = l.radius * (b->girth - 1);       /* grows to the front: the back keeps its outline */
    const dor_point middle = before(b->spine[i], low, high, (l.ahead + 0.8 * fat) * c->h);
    if (i) limb(c, last, last_radius, middle, l.radius + fat);
    last = middle, last_radius = l.radius + fat;
  }
  const dor_point hip = b->joint[DOR_JOINT_right_hip], s1 = b->joint[DOR_JOINT_s1];
  limb(c, before(hip, hip, s1, -0.012 * c->h), 0.066 * b->girth, before(s1, hip, s1, 0.018 * c->h), 0.064);
  limb(c, before(hip, hip, s1, 0.004 * c->h), 0.059 * b->girth, hip, 0.059 * b->girth);
}

static void draw_head(const canvas *c, const dor_synth_body *b)
{
  const dor_point neck = b->joint[DOR_JOINT_neck], ear = b->joint[DOR_JOINT_right_ear], nose = b->joint[DOR_JOINT_nose];
  const dor_point face = between(ear, nose, 0.45), chin = before(face, neck, b->head, 0), crown = between(b->head, ear, 0.35);
  limb(c, neck, 0.034, ear, 0.034);
  limb(c, ear, 0.048, crown, 0.050);
  limb(c, chin, 0.040, ear, 0.046);
  limb(c, between(ear, nose, 0.8), 0.016, nose, 0.006);
}

void dor_synth_raster(const dor_synth_body *b, dor_synth_camera camera, int32_t side, uint8_t *out)
{
  const canvas c = {side, camera, b->height_m, out};
  const dor_point *j = b->joint;
  const double far = 0.004 * b->height_m, back = -0.012 * b->height_m;
  memset(out, 0, (size_t)side * (size_t)side);
  draw_leg(&c, j[DOR_JOINT_left_hip], j[DOR_JOINT_left_knee], j[DOR_JOINT_left_ankle], (dor_point){b->heel.x + back, b->heel.y + far},
           (dor_point){b->toe.x + back, b->toe.y + far}, b->girth);
  draw_arm(&c, j[DOR_JOINT_left_shoulder], j[DOR_JOINT_left_elbow], j[DOR_JOINT_left_wrist], (dor_point){b->hand.x + back, b->hand.y + far}, 1);
  draw_leg(&c, j[DOR_JOINT_right_hip], j[DOR_JOINT_right_knee], j[DOR_JOINT_right_ankle], b->heel, b->toe, b->girth);
  draw_trunk(&c, b);
  draw_head(&c, b);
  draw_arm(&c, j[DOR_JOINT_right_shoulder], j[DOR_JOINT_right_elbow], j[DOR_JOINT_right_wrist], b->hand, 1);
}
