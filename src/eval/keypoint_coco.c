/* SPDX-License-Identifier: Apache-2.0
 *
 * Annotation and result files as the arrays that evaluation reads. Images stand in
 * the order of their ids: it decides between equal scores. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/keypoint.h"

typedef struct ranked { int64_t id; int32_t at; } ranked;

static int by_id(const void *a, const void *b)
{
  const ranked *x = a, *y = b;
  return (x->id > y->id) - (x->id < y->id);
}

dor_status dor_kp_places(dor_arena *a, const dor_coco *c, int32_t **out)
{
  size_t n = (size_t)c->n_images + 1;
  ranked *list = dor_arena_alloc(a, n * sizeof *list);
  *out = dor_arena_alloc(a, n * sizeof **out);
  DOR_NEED(list && *out, NOMEM, "%s: %d images", c->path, c->n_images);
  for (int32_t i = 0; i < c->n_images; i++) list[i] = (ranked){c->image[i].id, i};
  qsort(list, (size_t)c->n_images, sizeof *list, by_id);
  for (int32_t i = 0; i < c->n_images; i++) (*out)[list[i].at] = i;
  return DOR_OK;
}

typedef struct columns { /* of dor_kp_truth, while they are filled */
  int32_t *image, *labelled;
  double *joint, *box, *area;
  uint8_t *crowd;
} columns;

static dor_status make_columns(dor_arena *a, size_t n, size_t k, columns *t)
{
  t->image = dor_arena_alloc(a, (n + 1) * sizeof *t->image), t->labelled = dor_arena_alloc(a, (n + 1) * sizeof *t->labelled);
  t->joint = dor_arena_alloc(a, (3 * k * n + 1) * sizeof *t->joint), t->box = dor_arena_alloc(a, (4 * n + 1) * sizeof *t->box);
  t->area = dor_arena_alloc(a, (n + 1) * sizeof *t->area), t->crowd = dor_arena_alloc(a, n + 1);
  DOR_NEED(t->image && t->labelled && t->joint && t->box && t->area && t->crowd, NOMEM, "%zu people", n);
  return DOR_OK;
}

static dor_status take_person(const dor_coco *c, const dor_coco_annotation *p, int32_t k, bool crowdpose, int32_t i, columns *t)
{
  bool box = !isnan(p->bbox[0]), by_box = crowdpose || isnan(p->area);
  DOR_NEED(box || (!by_box && p->n_labelled), DATA, "%s: annotation with id %lld has no 'bbox': it is needed for people without %s", c->path, (long long)p->id,
           by_box ? "an area" : "labelled keypoints");
  memcpy(t->joint + 3 * (size_t)k * (size_t)i, p->keypoint, 3 * (size_t)k * sizeof *t->joint);
  memcpy(t->box + 4 * (size_t)i, p->bbox, sizeof p->bbox);
  t->area[i] = by_box ? p->bbox[2] * p->bbox[3] * 0.53 : p->area;
  t->labelled[i] = p->n_labelled, t->crowd[i] = p->crowd;
  return DOR_OK;
}

dor_status dor_kp_truth_of(dor_arena *a, const dor_coco *c, int32_t category, const double *sigma, bool crowdpose, dor_kp_truth *out)
{
  int32_t n = 0, k = c->category[category].k, *place, at = 0;
  columns t;
  for (int32_t i = 0; i < c->n_annotations; i++) n += c->annotation[i].category == category;
  DOR_TRY(dor_kp_places(a, c, &place));
  DOR_TRY(make_columns(a, (size_t)n, (size_t)k, &t));
  for (int32_t i = 0; i < c->n_annotations; i++) {
    const dor_coco_annotation *p = &c->annotation[i];
    if (p->category != category) continue;
    DOR_TRY(take_person(c, p, k, crowdpose, at, &t));
    t.image[at++] = place[p->image];
  }
  *out = (dor_kp_truth){n, k, c->n_images, t.image, t.joint, t.box, t.area, t.crowd, t.labelled, sigma};
  return DOR_OK;
}

dor_status dor_kp_crowd_of(dor_arena *a, const dor_coco *c, const double **out)
{
  int32_t *place;
  *out = NULL;
  DOR_TRY(dor_kp_places(a, c, &place));
  double *crowd = dor_arena_alloc(a, ((size_t)c->n_images + 1) * sizeof *crowd);
  DOR_NEED(crowd, NOMEM, "%d images", c->n_images);
  for (int32_t i = 0; i < c->n_images; i++) {
    crowd[place[i]] = c->image[i].crowd_index;
    if (isnan(c->image[i].crowd_index)) return DOR_OK;
  }
  *out = crowd;
  return DOR_OK;
}

dor_status dor_kp_rules_of(dor_arena *a, const dor_coco *c, int32_t rules, dor_kp_rules *out)
{
  const double *crowd = NULL;
  *out = (dor_kp_rules){.n = DOR_KP_COCO};
  memcpy(out->figure, dor_kp_coco, sizeof dor_kp_coco);
  if (rules != DOR_KP_RULES_COCO) DOR_TRY(dor_kp_crowd_of(a, c, &crowd));
  DOR_NEED(rules != DOR_KP_RULES_CROWDPOSE || crowd, DATA, "%s: rules = \"crowdpose\" wants a 'crowdIndex' of every image", c->path);
  if (!crowd) return DOR_OK;
  out->crowdpose = true, out->n = DOR_KP_CROWDPOSE;
  return dor_kp_crowdpose(a, c->n_images, crowd, out->figure);
}

dor_status dor_kp_found_of(dor_arena *a, const dor_coco *c, const dor_coco_results *r, int32_t category, int32_t k, dor_kp_found *out)
{
  int32_t n = 0, *place;
  size_t most = (size_t)r->n + 1;
  DOR_TRY(dor_kp_places(a, c, &place));
  int32_t *image = dor_arena_alloc(a, most * sizeof *image);
  double *joint = dor_arena_alloc(a, 3 * (size_t)k * most * sizeof *joint), *score = dor_arena_alloc(a, most * sizeof *score);
  DOR_NEED(image && joint && score, NOMEM, "%d detections", r->n);
  for (int32_t i = 0; i < r->n; i++) {
    if (r->at[i].category != category) continue;
    memcpy(joint + 3 * (size_t)k * (size_t)n, r->at[i].keypoint, 3 * (size_t)k * sizeof *joint);
    score[n] = r->at[i].score;
    image[n++] = place[r->at[i].image];
  }
  *out = (dor_kp_found){n, image, joint, score};
  return DOR_OK;
}
