/* SPDX-License-Identifier: Apache-2.0
 *
 * What synthetic people wear and where they are filmed. Colours, patterns and
 * rooms are drawn at random and have no source: they only have to differ between
 * people as much as a pose network must learn to pass over. */
#include <math.h>

#include "base/hash.h"
#include "data/synth_body.h"

static dor_rng stream(const dor_synth_cfg *c, const char *purpose, uint64_t where) { return dor_rng_stream((uint64_t)c->seed, dor_hash_name(purpose), where); }
static double uniform(dor_rng *r, double lo, double hi) { return lo + (hi - lo) * dor_rng_real(r); }

/* Hue 0..1, saturation and value 0..1. */
static void colour(double hue, double saturation, double value, float rgb[3])
{
  for (int32_t i = 0; i < 3; i++) {
    const double x = fmod(hue + (3 - i) / 3.0, 1) * 6, ramp = fabs(x - 3) - 1; /* 0 over a third, 1 over a third, ramps between */
    rgb[i] = (float)(255 * value * (1 - saturation * (1 - fmin(fmax(ramp, 0), 1))));
  }
}

static void any_colour(dor_rng *r, double most_saturation, double least, double most, float rgb[3])
{
  const double hue = dor_rng_real(r), saturation = uniform(r, 0, most_saturation);
  colour(hue, saturation, uniform(r, least, most), rgb);
}

static void any_cloth(dor_rng *r, dor_synth_paint_of *out)
{
  any_colour(r, 0.8, 0.15, 0.95, out->rgb);
  any_colour(r, 0.8, 0.15, 0.95, out->stripe);
  const double pattern = dor_rng_real(r), many = uniform(r, 4, 10);
  out->stripes = pattern < 0.35 ? (float)many : 0;
}

void dor_synth_dress(const dor_synth_cfg *c, int32_t k, dor_synth_look *out)
{
  dor_rng r = stream(c, "synth/look", (uint64_t)k);
  *out = (dor_synth_look){.sleeve = 0};
  const double skin = dor_rng_real(&r), grey = dor_rng_real(&r);
  colour(uniform(&r, 0.05, 0.08), 0.30 + 0.3 * skin, 0.95 - 0.55 * skin, out->ink[DOR_INK_SKIN].rgb);
  colour(uniform(&r, 0.05, 0.12), grey < 0.3 ? 0.05 : 0.5, uniform(&r, 0.1, grey < 0.3 ? 0.8 : 0.5), out->ink[DOR_INK_HAIR].rgb);
  any_cloth(&r, &out->ink[DOR_INK_SHIRT]);
  any_cloth(&r, &out->ink[DOR_INK_TROUSERS]);
  any_colour(&r, 0.6, 0.1, 0.95, out->ink[DOR_INK_SHOE].rgb);
  out->sleeve = dor_rng_real(&r) < 0.3 ? 2 : uniform(&r, 0.3, 0.8);
  out->leg = dor_rng_real(&r) < 0.5 ? 2 : uniform(&r, 0.3, 0.9);
}

/* ---- the room ---- */

/* Smooth noise, mean 0, about +-1: random values on a grid of `cell` pixels, bilinear between. */
static double noise_at(uint64_t key, double x, double y, double cell)
{
  const double gx = x / cell, gy = y / cell, u = gx - floor(gx), v = gy - floor(gy);
  double corner[4];
  for (uint32_t i = 0; i < 4; i++) {
    const dor_rng4 bits = dor_philox(key, (uint64_t)floor(gx) + (i & 1), (uint64_t)floor(gy) + (i >> 1));
    corner[i] = 2 * (double)dor_rng_unit(bits.v[0]) - 1;
  }
  const double top = corner[0] + u * (corner[1] - corner[0]), low = corner[2] + u * (corner[3] - corner[2]);
  return top + v * (low - top);
}

typedef struct thing { double x0, y0, x1, y1; float rgb[3]; } thing; /* shares of the side */

enum { THINGS = 4 };

typedef struct room {
  float wall[3], floor[3];
  double horizon, fall, planks;  /* where the floor begins; how much darker the wall is at one side */
  int32_t n;
  thing thing[THINGS];
  uint64_t key;
} room;

static void furnish(dor_rng *r, double horizon, room *out)
{
  out->n = (int32_t)dor_rng_below(r, THINGS + 1);
  for (int32_t i = 0; i < out->n; i++) {
    thing *t = &out->thing[i];
    const double x = dor_rng_real(r), w = uniform(r, 0.08, 0.35), h = uniform(r, 0.1, 0.5), up = dor_rng_real(r) < 0.5 ? uniform(r, 0, 0.4) : 0;
    any_colour(r, 0.6, 0.2, 0.9, t->rgb);
    t->x0 = x - w / 2, t->x1 = x + w / 2, t->y1 = horizon - up, t->y0 = t->y1 - h;
  }
}

static room any_room(const dor_synth_cfg *c, int32_t k)
{
  dor_rng r = stream(c, "synth/room", (uint64_t)k);
  room out = {.key = dor_rng_key((uint64_t)c->seed, dor_hash_name("synth/wall") + (uint64_t)k)};
  any_colour(&r, 0.35, 0.35, 0.95, out.wall);
  any_colour(&r, 0.5, 0.2, 0.8, out.floor);
  out.horizon = uniform(&r, 0.86, 0.93), out.fall = uniform(&r, -0.3, 0.3), out.planks = uniform(&r, 0.05, 0.3);
  furnish(&r, out.horizon, &out);
  return out;
}

static void room_at(const room *m, double x, double y, float out[3])
{
  const bool on_floor = y > m->horizon;
  const float *rgb = on_floor ? m->floor : m->wall;
  double light = 1 + m->fall * (x - 0.5);
  for (int32_t i = 0; i < m->n; i++) {
    const thing *t = &m->thing[i];
    if (x < t->x0 || x > t->x1 || y < t->y0 || y > t->y1) continue;
    const double edge = fmin(fmin(x - t->x0, t->x1 - x), fmin(y - t->y0, t->y1 - y));
    rgb = t->rgb, light *= edge < 0.008 ? 0.75 : 1;
  }
  if (on_floor && fmod(x / m->planks + (y - m->horizon), 1) < 0.03) light *= 0.8;
  light *= 1 + 0.08 * noise_at(m->key, 64 * x, 64 * y, 12) + 0.05 * noise_at(m->key + 1, 64 * x, 64 * y, 2);
  for (int32_t c = 0; c < 3; c++) out[c] = (float)fmin(light * (double)rgb[c], 255);
}

void dor_synth_room(const dor_synth_cfg *c, int32_t k, int32_t side, uint8_t *rgb)
{
  const room m = any_room(c, k);
  for (int32_t y = 0; y < side; y++)
    for (int32_t x = 0; x < side; x++) {
      float at[3];
      room_at(&m, (x + 0.5) / side, (y + 0.5) / side, at);
      for (int32_t i = 0; i < 3; i++) *rgb++ = (uint8_t)(at[i] + 0.5f);
    }
}

/* The sum of two bytes is a triangle about 255, SD 104. */
void dor_synth_grain(const dor_synth_cfg *c, uint64_t where, double sd, size_t n, uint8_t *rgb)
{
  const uint64_t key = dor_rng_key((uint64_t)c->seed, dor_hash_name("synth/grain"));
  const int32_t scale = (int32_t)lround(sd * 65536 / 104.5);
  for (size_t i = 0; i < n; i += 8) {
    const dor_rng4 bits = dor_philox(key, where, i / 8);
    for (size_t j = 0; j < 8 && i + j < n; j++) {
      const uint32_t two = bits.v[j / 2] >> (16 * (j % 2));
      const int32_t off = (int32_t)((two & 255) + (two >> 8 & 255)) - 255, now = rgb[i + j] + ((off * scale + 32768) >> 16);
      rgb[i + j] = (uint8_t)(now < 0 ? 0 : now > 255 ? 255 : now);
    }
  }
}
