/* SPDX-License-Identifier: Apache-2.0 */
#include "pose/draw.h"

#include <math.h>
#include <string.h>

typedef struct colour { uint8_t v[3]; } colour;
typedef struct point { float x, y; } point;

/* Okabe & Ito's palette */
static const colour left = {{0, 158, 255}}, right = {{230, 120, 0}}, middle = {{0, 200, 130}}, dark = {{0, 0, 0}}, light = {{255, 255, 255}};

static void blend(dor_picture *p, int32_t x, int32_t y, colour c, float share)
{
  uint8_t *to = p->pixels + ((size_t)y * (size_t)p->w + (size_t)x) * 3;
  for (int i = 0; i < 3; i++) to[i] = (uint8_t)((float)to[i] + share * ((float)c.v[i] - (float)to[i]) + 0.5f);
}

static float distance(float x, float y, point a, point b)
{
  float dx = b.x - a.x, dy = b.y - a.y, square = dx * dx + dy * dy;
  float t = square > 0 ? ((x - a.x) * dx + (y - a.y) * dy) / square : 0;
  t = t < 0 ? 0 : t > 1 ? 1 : t;
  return hypotf(x - (a.x + t * dx), y - (a.y + t * dy));
}

static int32_t inside(float v, int32_t n) { return !(v > 0) ? 0 : v > (float)(n - 1) ? n - 1 : (int32_t)v; }

/* A line with round ends; a dot where both ends are one. The centre of the first pixel is at .5. */
static void stroke(dor_picture *p, point a, point b, float radius, colour c)
{
  float reach = radius + 1;
  int32_t x0 = inside(fminf(a.x, b.x) - reach, p->w), x1 = inside(fmaxf(a.x, b.x) + reach, p->w);
  int32_t y0 = inside(fminf(a.y, b.y) - reach, p->h), y1 = inside(fmaxf(a.y, b.y) + reach, p->h);
  for (int32_t y = y0; y <= y1; y++)
    for (int32_t x = x0; x <= x1; x++) {
      float cover = radius + 0.5f - distance((float)x + 0.5f, (float)y + 0.5f, a, b);
      if (cover > 0) blend(p, x, y, c, cover < 1 ? cover : 1);
    }
}

static colour side_of(const char *name)
{
  return !strncmp(name, "left_", 5) ? left : !strncmp(name, "right_", 6) ? right : middle;
}

static bool shown(const float *j, float least) { return j[2] > least && fabsf(j[0]) < 1e6f && fabsf(j[1]) < 1e6f; }

static void draw_person(dor_picture *p, const dor_keypoints *k, const float *joint, float least, float radius)
{
  for (int32_t i = 0; i < k->n_bones; i++) {
    const float *a = joint + 3 * k->bone[i][0], *b = joint + 3 * k->bone[i][1];
    if (!shown(a, least) || !shown(b, least)) continue;
    colour from = side_of(k->joint[k->bone[i][0]]), to = side_of(k->joint[k->bone[i][1]]);
    point end[2] = {{a[0], a[1]}, {b[0], b[1]}};
    stroke(p, end[0], end[1], radius + 1, dark);
    stroke(p, end[0], end[1], radius, memcmp(&from, &to, sizeof from) ? middle : from);
  }
  for (int32_t i = 0; i < k->k; i++) {
    const float *j = joint + 3 * i;
    point at = {j[0], j[1]};
    if (!shown(j, least)) continue;
    stroke(p, at, at, 1.6f * radius + 1, dark);
    stroke(p, at, at, 1.6f * radius, side_of(k->joint[i]));
  }
}

void dor_draw_people(dor_picture *p, const dor_keypoints *k, int32_t n, const float *joint, float least)
{
  float radius = fmaxf(1, (float)(p->h < p->w ? p->h : p->w) / 300);
  for (int32_t i = 0; i < n; i++) draw_person(p, k, joint + 3 * (size_t)i * (size_t)k->k, least, radius);
}

/* ---- the stamp: letters of 5 x 7 dots, a row a number ---- */

static const uint8_t letters[8][7] = {
    {15, 16, 16, 14, 1, 1, 30},   /* S */
    {17, 17, 10, 4, 4, 4, 4},     /* Y */
    {17, 25, 21, 19, 17, 17, 17}, /* N */
    {31, 4, 4, 4, 4, 4, 4},       /* T */
    {17, 17, 17, 31, 17, 17, 17}, /* H */
    {31, 16, 16, 30, 16, 16, 31}, /* E */
    {14, 4, 4, 4, 4, 4, 14},      /* I */
    {15, 16, 16, 16, 16, 16, 15}  /* C */
};

static void fill(dor_picture *p, int32_t x0, int32_t y0, int32_t w, int32_t h, colour c, float share)
{
  for (int32_t y = y0; y < y0 + h && y < p->h; y++)
    for (int32_t x = x0; x < x0 + w && x < p->w; x++) blend(p, x, y, c, share);
}

void dor_draw_synthetic(dor_picture *p)
{
  static const uint8_t word[9] = {0, 1, 2, 3, 4, 5, 3, 6, 7};
  int32_t dot = p->w / 320 > 1 ? p->w / 320 : 1;
  fill(p, 0, 0, 58 * dot, 11 * dot, dark, 0.6f);
  for (int32_t l = 0; l < 9; l++)
    for (int32_t y = 0; y < 7; y++)
      for (int32_t x = 0; x < 5; x++)
        if (letters[word[l]][y] >> (4 - x) & 1) fill(p, (2 + 6 * l + x) * dot, (2 + y) * dot, dot, dot, light, 1);
}
