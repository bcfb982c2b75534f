/* SPDX-License-Identifier: Apache-2.0
 *
 * From a body to pixels: the outline is the union of round-ended segments whose
 * radii change along them. A pixel is covered in part at the edge, as if a larger
 * picture had been reduced to this size. A silhouette is drawn as grey; a dressed
 * person (synth_look.c) as round, lit surfaces in the same outline. */
#include <math.h>
#include <string.h>

#include "data/synth_body.h"

static const dor_synth_facts *const F = &dor_synth_fact;

typedef struct canvas {
  int32_t side;
  dor_synth_camera camera;
  double h;                      /* height of the person: radii are shares of it */
  uint8_t *out;                  /* [side,side] a mask; with a look, [side,side,3] a picture */
  const dor_synth_look *look;    /* NULL: a mask */
  float light;                   /* of what is drawn: the far limbs are darker */
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

/* The same in colour: the surface turns away from the viewer towards its edges; light comes from above and a little from the left. */
static void paint_row(round_end a, round_end b, const dor_synth_paint_of *ink, float light, float py, int32_t x0, int32_t x1, uint8_t *row)
{
  const float dx = b.x - a.x, dy = b.y - a.y, len = sqrtf(dx * dx + dy * dy + 1e-6f), over = 1 / (len * len), qy = py - a.y;
  for (int32_t x = x0; x < x1; x++) {
    const float px = (float)x + 0.5f - a.x, along = (px * dx + qy * dy) * over, t = along < 0 ? 0 : along > 1 ? 1 : along;
    const float ex = px - t * dx, ey = qy - t * dy, r = a.r + t * (b.r - a.r);
    float in = r + 0.5f - sqrtf(ex * ex + ey * ey), s = (px * dy - qy * dx) / (len * r);
    if (in <= 0) continue;
    in = in > 1 ? 1 : in, s = s < -1 ? -1 : s > 1 ? 1 : s;
    const float lit = light * (0.62f + 0.33f * sqrtf(1 - s * s) - 0.16f * s * (0.4f * dy - 0.9f * dx) / len);
    const float *rgb = ink->stripes > 0 && sinf(ink->stripes * s) > 0.3f ? ink->stripe : ink->rgb;
    for (int32_t c = 0; c < 3; c++) {
      const float was = (float)row[3 * x + c], now = fminf(lit * rgb[c], 255);
      row[3 * x + c] = (uint8_t)(was + in * (now - was) + 0.5f);
    }
  }
}

static round_end place(const canvas *c, dor_point p, double r)
{
  return (round_end){(float)(c->camera.x0 + c->camera.px_per_m * p.x), (float)(c->camera.y0 - c->camera.px_per_m * p.y),
                     (float)(r * c->h * c->camera.px_per_m)};
}

/* A segment with radii ra and rb, shares of the height. */
static void limb(const canvas *c, dor_synth_ink ink, dor_point pa, double ra, dor_point pb, double rb)
{
  const round_end a = place(c, pa, ra), b = place(c, pb, rb);
  const int32_t x0 = bound(floor((double)fminf(a.x - a.r, b.x - b.r)) - 1, c->side), x1 = bound(ceil((double)fmaxf(a.x + a.r, b.x + b.r)) + 1, c->side);
  const int32_t y0 = bound(floor((double)fminf(a.y - a.r, b.y - b.r)) - 1, c->side), y1 = bound(ceil((double)fmaxf(a.y + a.r, b.y + b.r)) + 1, c->side);
  for (int32_t y = y0; y < y1; y++) {
    const size_t row = (size_t)y * (size_t)c->side;
    if (c->look) paint_row(a, b, &c->look->ink[ink], c->light, (float)y + 0.5f, x0, x1, c->out + 3 * row);
    else cover_row(a, b, (float)y + 0.5f, x0, x1, c->out + row);
  }
}

static dor_point between(dor_point a, dor_point b, double t) { return (dor_point){a.x + t * (b.x - a.x), a.y + t * (b.y - a.y)}; }

/* What is worn over the first part of a limb. A mask is of the body alone. */
static void cloth(const canvas *c, dor_synth_ink ink, dor_point pa, double ra, dor_point pb, double rb, double share)
{
  static const double thick = 0.003;
  share = fmin(share, 1);
  if (c->look && share > 0) limb(c, ink, pa, ra + thick, between(pa, pb, share), ra + share * (rb - ra) + thick);
}

/* p moved `by` to the front of the line from a to b. */
static dor_point before(dor_point p, dor_point a, dor_point b, double by)
{
  const double dx = b.x - a.x, dy = b.y - a.y, n = sqrt(dx * dx + dy * dy) + 1e-9;
  return (dor_point){p.x + by * dy / n, p.y - by * dx / n};
}

static void draw_leg(const canvas *c, dor_point hip, dor_point knee, dor_point ankle, dor_point heel, dor_point toe, double girth)
{
  const dor_point calf = before(between(knee, ankle, 0.3), ankle, knee, -0.010 * c->h), ball = between(heel, toe, 0.75);
  const double leg = c->look ? c->look->leg : 0;
  limb(c, DOR_INK_SKIN, hip, 0.052 * girth, knee, 0.034 * girth);
  limb(c, DOR_INK_SKIN, knee, 0.033 * girth, calf, 0.034 * girth);
  limb(c, DOR_INK_SKIN, calf, 0.034 * girth, ankle, 0.021);
  limb(c, DOR_INK_SHOE, ankle, 0.022, heel, 0.019);
  limb(c, DOR_INK_SHOE, ankle, 0.022, ball, 0.015);
  limb(c, DOR_INK_SHOE, heel, 0.018, ball, 0.015), limb(c, DOR_INK_SHOE, ball, 0.015, toe, 0.010);
  if (leg > 1) cloth(c, DOR_INK_TROUSERS, knee, 0.033 * girth, calf, 0.034 * girth, 1), cloth(c, DOR_INK_TROUSERS, calf, 0.034 * girth, ankle, 0.021, leg - 1);
  cloth(c, DOR_INK_TROUSERS, hip, 0.052 * girth, knee, 0.034 * girth, leg);
}

static void draw_arm(const canvas *c, dor_point shoulder, dor_point elbow, dor_point wrist, dor_point hand, double girth)
{
  const double sleeve = c->look ? c->look->sleeve : 0;
  limb(c, DOR_INK_SKIN, shoulder, 0.032 * girth, elbow, 0.024 * girth);
  limb(c, DOR_INK_SKIN, elbow, 0.024 * girth, wrist, 0.016);
  limb(c, DOR_INK_SKIN, wrist, 0.016, hand, 0.013);
  cloth(c, DOR_INK_SHIRT, elbow, 0.024 * girth, wrist, 0.016, sleeve - 1);
  cloth(c, DOR_INK_SHIRT, shoulder, 0.032 * girth, elbow, 0.024 * girth, sleeve);
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
    if (i) limb(c, DOR_INK_SHIRT, last, last_radius, middle, l.radius + fat);
    last = middle, last_radius = l.radius + fat;
  }
  const dor_point hip = b->joint[DOR_JOINT_right_hip], s1 = b->joint[DOR_JOINT_s1];
  limb(c, DOR_INK_TROUSERS, before(hip, hip, s1, -0.012 * c->h), 0.066 * b->girth, before(s1, hip, s1, 0.018 * c->h), 0.064);
  limb(c, DOR_INK_TROUSERS, before(hip, hip, s1, 0.004 * c->h), 0.059 * b->girth, hip, 0.059 * b->girth);
}

static void draw_head(const canvas *c, const dor_synth_body *b)
{
  const dor_point neck = b->joint[DOR_JOINT_neck], ear = b->joint[DOR_JOINT_right_ear], nose = b->joint[DOR_JOINT_nose];
  const dor_point face = between(ear, nose, 0.45), chin = before(face, neck, b->head, 0), crown = between(b->head, ear, 0.35);
  limb(c, DOR_INK_SKIN, neck, 0.034, ear, 0.034);
  limb(c, DOR_INK_HAIR, ear, 0.048, crown, 0.050);
  limb(c, DOR_INK_SKIN, chin, 0.040, ear, 0.046);
  limb(c, DOR_INK_SKIN, between(ear, nose, 0.8), 0.016, nose, 0.006);
}

static void draw(canvas *c, const dor_synth_body *b)
{
  const dor_point *j = b->joint;
  const double far = 0.004 * b->height_m, back = -0.012 * b->height_m;
  c->light = 0.72f;
  draw_leg(c, j[DOR_JOINT_left_hip], j[DOR_JOINT_left_knee], j[DOR_JOINT_left_ankle], (dor_point){b->heel.x + back, b->heel.y + far},
           (dor_point){b->toe.x + back, b->toe.y + far}, b->girth);
  draw_arm(c, j[DOR_JOINT_left_shoulder], j[DOR_JOINT_left_elbow], j[DOR_JOINT_left_wrist], (dor_point){b->hand.x + back, b->hand.y + far}, 1);
  c->light = 1;
  draw_leg(c, j[DOR_JOINT_right_hip], j[DOR_JOINT_right_knee], j[DOR_JOINT_right_ankle], b->heel, b->toe, b->girth);
  draw_trunk(c, b);
  draw_head(c, b);
  draw_arm(c, j[DOR_JOINT_right_shoulder], j[DOR_JOINT_right_elbow], j[DOR_JOINT_right_wrist], b->hand, 1);
}

void dor_synth_raster(const dor_synth_body *b, dor_synth_camera camera, int32_t side, uint8_t *out)
{
  canvas c = {side, camera, b->height_m, out, NULL, 1};
  memset(out, 0, (size_t)side * (size_t)side);
  draw(&c, b);
}

void dor_synth_paint(const dor_synth_body *b, dor_synth_camera camera, const dor_synth_look *look, int32_t side, uint8_t *rgb)
{
  canvas c = {side, camera, b->height_m, rgb, look, 1};
  draw(&c, b);
}
