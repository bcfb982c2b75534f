/* SPDX-License-Identifier: Apache-2.0 */
#include "data/pose_sample.h"

#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "base/rng.h"

const dor_key dor_pose_augment_keys[] = {
#define KEYS_OF dor_pose_augment_cfg
#include "base/keys_rows.h"
#include "data/pose_augment.def"
#include "base/keys_end.h"
    {0}};

/* ---- the set ---- */

static const dor_coco_annotation *annotation(const dor_coco *c, const dor_coco_image *im, int32_t i) { return &c->annotation[c->of_image[im->first + i]]; }

/* Has it joints to learn from, by the original's rule? */
static bool is_person(const dor_pose_set *s, const dor_coco_annotation *p) { return p->category == s->category && (!p->crowd || p->n_labelled > 0); }

static void take_image(dor_pose_set *s, int32_t *list, int32_t image)
{
  const dor_coco_image *im = &s->coco->image[image];
  int32_t people = 0, any = 0;
  for (int32_t i = 0; i < im->count; i++) {
    const dor_coco_annotation *p = annotation(s->coco, im, i);
    any += p->category == s->category;
    people += is_person(s, p);
  }
  if (!any) return;
  list[s->n++] = image;
  s->h = im->h > s->h ? im->h : s->h, s->w = im->w > s->w ? im->w : s->w;
  s->people = people > s->people ? people : s->people;
}

dor_status dor_pose_set_make(dor_arena *a, const dor_coco *c, int32_t category, const dor_keypoints *k, const char *folder, dor_pose_set *out)
{
  *out = (dor_pose_set){.coco = c, .keypoints = k, .folder = folder, .category = category, .people = 1};
  DOR_TRY(dor_keypoints_check(k, c, category));
  int32_t *list = dor_arena_alloc(a, ((size_t)c->n_images + 1) * sizeof *list);
  DOR_NEED(list, NOMEM, "no memory for %d pictures", c->n_images);
  for (int32_t i = 0; i < c->n_images; i++) take_image(out, list, i);
  out->image = list;
  DOR_NEED(out->n, DATA, "%s: no image has an annotation of category '%s'", c->path, c->category[category].name);
  return dor_coco_check_pictures(c, folder);
}

static int32_t side_of(int32_t rule, int32_t h, int32_t w) { return (rule == DOR_SIDE_SHORT) == (h < w) ? h : w; }

void dor_pose_held(const dor_pose_set *s, int32_t h, int32_t w, int32_t *held_h, int32_t *held_w)
{
  const double most = s->enough > 0 ? floor(side_of(s->rule, h, w) / s->enough) : 1;
  const int32_t n = most > 1 ? (int32_t)most : 1;
  *held_h = (h + n - 1) / n, *held_w = (w + n - 1) / n;
}

void dor_pose_set_reduce(dor_pose_set *s, const dor_pose_augment_cfg *c, int32_t input)
{
  s->enough = input / c->scale_min, s->rule = (int32_t)c->side;
  s->h = s->w = 0;
  for (int32_t i = 0; i < s->n; i++) {
    const dor_coco_image *im = &s->coco->image[s->image[i]];
    int32_t h, w;
    dor_pose_held(s, im->h, im->w, &h, &w);
    s->h = h > s->h ? h : s->h, s->w = w > s->w ? w : s->w;
  }
}

/* ---- the crop ---- */

static double between(uint32_t bits, double lo, double hi) { return lo + (hi - lo) * (double)dor_rng_unit(bits); }

/* A whole number of pixels in [-most, most) */
static double shift_of(uint32_t bits, double most)
{
  const int32_t n = (int32_t)most;
  return n ? (double)((int32_t)((double)dor_rng_unit(bits) * 2 * n) - n) : 0;
}

/* Always five numbers, so that one key never moves another's. */
dor_pose_crop dor_pose_draw(const dor_pose_augment_cfg *c, uint64_t seed, uint64_t epoch, int32_t image, int32_t h, int32_t w)
{
  const uint64_t key = dor_rng_key(seed, dor_hash_name("pose crop")), at = 2 * (uint64_t)(uint32_t)image;
  const dor_rng4 a = dor_philox(key, epoch, at), b = dor_philox(key, epoch, at + 1);
  dor_pose_crop p = {.x = w / 2.0, .y = h / 2.0, .side = side_of((int32_t)c->side, h, w)};
  p.side *= between(a.v[0], c->scale_min, c->scale_max);
  p.deg = between(a.v[1], -c->rotate_deg, c->rotate_deg);
  p.x += shift_of(a.v[2], c->shift * p.side / 200);
  p.y += shift_of(a.v[3], c->shift * p.side / 200);
  p.mirror = (double)dor_rng_unit(b.v[0]) < c->flip;
  return p;
}

/* ---- joints ---- */

static int32_t truncate(double v) { return v > 1e9 ? 1000000000 : v < -1e9 ? -1000000000 : (int32_t)v; }

static void place(const dor_pose_set *s, const dor_coco_annotation *p, const dor_affine *m, const dor_pose_crop *crop, int32_t r, int32_t *joint)
{
  for (int32_t i = 0; i < s->keypoints->k; i++) {
    const double *from = p->keypoint + 3 * i;
    int32_t *to = joint + 3 * (crop->mirror ? s->keypoints->mirror[i] : i);
    double at[2];
    dor_affine_apply(m, from[0], from[1], at);
    to[0] = truncate(crop->mirror ? r - at[0] - 1 : at[0]), to[1] = truncate(at[1]), to[2] = from[2] > 0;
  }
}

void dor_pose_joints(const dor_pose_set *s, int32_t image, const dor_pose_crop *crop, int32_t r, int32_t people, int32_t *joint, int32_t *n)
{
  const dor_coco_image *im = &s->coco->image[image];
  const dor_affine m = dor_affine_crop(crop->x, crop->y, crop->side, crop->deg, r, r);
  const size_t one = (size_t)s->keypoints->k * 3;
  memset(joint, 0, (size_t)people * one * sizeof *joint);
  *n = 0;
  for (int32_t i = 0; i < im->count && *n < people; i++) {
    const dor_coco_annotation *p = annotation(s->coco, im, i);
    if (is_person(s, p)) place(s, p, &m, crop, r, joint + (size_t)(*n)++ * one);
  }
}

void dor_pose_tags(const int32_t *joint, int32_t people, int32_t k, int32_t r, int32_t *tag)
{
  memset(tag, 0, (size_t)people * (size_t)k * 2 * sizeof *tag);
  for (int32_t p = 0; p < people; p++) {
    int32_t *to = tag + (size_t)p * (size_t)k * 2;
    for (int32_t i = 0; i < k; i++) {
      const int32_t *j = joint + ((size_t)p * (size_t)k + (size_t)i) * 3;
      if (j[2] <= 0 || j[0] < 0 || j[1] < 0 || j[0] >= r || j[1] >= r) continue;
      *to++ = (i * r + j[1]) * r + j[0];
      *to++ = 1;
    }
  }
}
