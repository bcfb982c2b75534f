/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/hash.h"
#include "base/rng.h"
#include "data/loader.h"

const dor_key dor_augment_keys[] = {
#define KEYS_OF dor_augment_cfg
#include "base/keys_rows.h"
#include "data/augment.def"
#include "base/keys_end.h"
  {0}};

typedef struct warp { float xx, xy, yx, yy, x0, y0; } warp; /* input x = xx X + xy Y + x0, input y = yx X + yy Y + y0 */

bool dor_augment_any(const dor_augment_cfg *c) { return c->flip > 0 || c->shift_px > 0 || c->scale > 0 || c->rotate_deg > 0; }

static float spread(uint32_t bits, double range) { return (float)range * (2 * dor_rng_unit(bits) - 1); }

/* The inverse of: mirror, zoom and turn about the middle, then shift. Always five numbers, so that one key never moves another's. */
static warp draw(const dor_augment_cfg *c, uint64_t seed, uint64_t epoch, int32_t sample, int32_t h, int32_t w)
{
  const uint64_t key = dor_rng_key(seed, dor_hash_name("augment"));
  const dor_rng4 a = dor_philox(key, epoch, 2 * (uint64_t)(uint32_t)sample), b = dor_philox(key, epoch, 2 * (uint64_t)(uint32_t)sample + 1);
  const float mirror = dor_rng_unit(b.v[0]) < (float)c->flip ? -1.0f : 1.0f, zoom = 1 + spread(a.v[2], c->scale);
  const float angle = spread(a.v[3], c->rotate_deg) * (float)(3.14159265358979323846 / 180);
  const float dx = spread(a.v[0], c->shift_px), dy = spread(a.v[1], c->shift_px);
  const float cx = (float)(w - 1) / 2, cy = (float)(h - 1) / 2, co = cosf(angle) / zoom, si = sinf(angle) / zoom;
  warp t = {mirror * co, mirror * si, -si, co, cx, cy};
  t.x0 -= t.xx * (cx + dx) + t.xy * (cy + dy);
  t.y0 -= t.yx * (cx + dx) + t.yy * (cy + dy);
  return t;
}

typedef struct picture { int32_t h, w; size_t ch, row; const uint8_t *p; } picture;

/* Two neighbours along an axis of n and their weights, 0 for one that lies outside; v > -1, so that truncation after adding 1 is the floor. */
typedef struct pair { int32_t at[2]; float weight[2]; } pair;

static inline pair neighbours(float v, int32_t n)
{
  const int32_t i = (int32_t)(v + 1) - 1, lo = i < 0 ? 0 : i, hi = i + 1 < n ? i + 1 : n - 1;
  const float part = v - (float)i;
  return (pair){{lo, hi}, {i < 0 ? 0 : 1 - part, i + 1 < n ? part : 0}};
}

static inline void sample_bilinear(const picture *in, float y, float x, float *out)
{
  const pair a = neighbours(y, in->h), b = neighbours(x, in->w);
  const uint8_t *top = in->p + (size_t)a.at[0] * in->row, *low = in->p + (size_t)a.at[1] * in->row;
  const size_t left = (size_t)b.at[0] * in->ch, right = (size_t)b.at[1] * in->ch;
  for (size_t k = 0; k < in->ch; k++) {
    const float t = (float)top[left + k] * b.weight[0] + (float)top[right + k] * b.weight[1];
    const float l = (float)low[left + k] * b.weight[0] + (float)low[right + k] * b.weight[1];
    out[k] = (t * a.weight[0] + l * a.weight[1]) * (1 / 255.0f);
  }
}

void dor_augment(const dor_augment_cfg *c, uint64_t seed, uint64_t epoch, int32_t sample, int32_t h, int32_t w, int32_t ch, const uint8_t *in, float *out)
{
  const picture p = {h, w, (size_t)ch, (size_t)w * (size_t)ch, in};
  const warp t = draw(c, seed, epoch, sample, h, w);
  for (int32_t y = 0; y < h; y++)
    for (int32_t x = 0; x < w; x++, out += ch) {
      float sx = t.xx * (float)x + t.xy * (float)y + t.x0, sy = t.yx * (float)x + t.yy * (float)y + t.y0;
      if (sx > -1 && sy > -1 && sx < (float)w && sy < (float)h) sample_bilinear(&p, sy, sx, out);
      else
        for (int32_t k = 0; k < ch; k++) out[k] = 0;
    }
}
