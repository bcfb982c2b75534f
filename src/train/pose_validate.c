/* SPDX-License-Identifier: Apache-2.0 */
#include "train/pose_validate.h"

#include <math.h>

#include "base/io.h"
#include "base/mem.h"
#include "data/picture.h"
#include "pose/infer.h"

enum { TOGETHER = 16 }; /* pictures that are handed over at once: those of one size run together */
static const uint64_t bootstrap_seed = 2026;

/* Validation wants a box of everybody, also where the figures could do without. */
static dor_status check_people(const dor_coco *c, int32_t category)
{
  for (int32_t i = 0; i < c->n_annotations; i++) {
    const dor_coco_annotation *p = &c->annotation[i];
    DOR_NEED(p->category != category || !isnan(p->bbox[0]), DATA, "%s: annotation id %lld has no 'bbox', which validation wants", c->path,
             (long long)p->id);
  }
  return DOR_OK;
}

/* ---- detections ---- */

typedef struct found { /* grows with the pictures */
  int32_t n, cap, k, *image;
  double *joint, *score;
} found;

static dor_status grow(found *f, int32_t more)
{
  if (f->n + more <= f->cap) return DOR_OK;
  const size_t cap = 2 * (size_t)(f->n + more);
  int32_t *image = dor_realloc(f->image, cap * sizeof *image);
  if (image) f->image = image;
  double *joint = dor_realloc(f->joint, cap * 3 * (size_t)f->k * sizeof *joint);
  if (joint) f->joint = joint;
  double *score = dor_realloc(f->score, cap * sizeof *score);
  if (score) f->score = score;
  DOR_NEED(image && joint && score, NOMEM, "no memory for %zu detections", cap);
  f->cap = (int32_t)cap;
  return DOR_OK;
}

static void put_result(const dor_pose_study *s, int32_t image, const found *f, int32_t at, dor_str *out)
{
  const dor_coco *c = &s->valid;
  char stamps[32];
  dor_str_fmt(out, "%s{\"image_id\": %lld, \"category_id\": %lld, \"keypoints\": [", at ? ",\n " : "", (long long)c->image[image].id,
              (long long)c->category[s->valid_category].id);
  for (int32_t i = 0; i < 3 * f->k; i++) {
    if (i) dor_str_add(out, ", ");
    dor_str_real(out, f->joint[(size_t)at * 3 * (size_t)f->k + (size_t)i]);
  }
  dor_str_add(out, "], \"score\": ");
  dor_str_real(out, f->score[at]);
  dor_pose_stamps(s, stamps);
  if (*stamps) dor_str_fmt(out, ", \"stamp\": \"%s\"", stamps);
  dor_str_add(out, "}");
}

static dor_status take_people(const dor_pose_study *s, const int32_t *rank, int32_t image, const dor_people *p, found *f, dor_str *results)
{
  DOR_TRY(grow(f, p->n));
  for (int32_t i = 0; i < p->n; i++, f->n++) {
    f->image[f->n] = rank[image], f->score[f->n] = (double)p->score[i];
    for (int32_t j = 0; j < 3 * f->k; j++) f->joint[f->n * 3 * f->k + j] = (double)p->joint[i * 3 * f->k + j];
    if (results) put_result(s, image, f, f->n, results);
  }
  return DOR_OK;
}

static dor_status read_pictures(const dor_pose_study *s, int32_t from, int32_t n, dor_picture *p)
{
  dor_arena a = {0};
  dor_status status = DOR_OK;
  for (int32_t i = 0; i < n && !status; i++) {
    const char *path = dor_path_join(&a, s->plan->valid_folder, s->valid.image[from + i].file);
    status = path ? dor_picture_read_stored(path, 3, &p[i]) : DOR_FAIL(NOMEM, "no memory for a path");
  }
  dor_arena_release(&a);
  return status;
}

static dor_status find_some(const dor_pose_study *s, dor_finder *net, const int32_t *rank, int32_t from, int32_t n, found *f, dor_str *results)
{
  dor_picture p[TOGETHER] = {{0}};
  dor_people people[TOGETHER];
  dor_arena a = {0};
  dor_status status = read_pictures(s, from, n, p);
  if (!status) status = dor_finder_run(net, n, p, &a, people);
  for (int32_t i = 0; i < n && !status; i++) status = take_people(s, rank, from + i, &people[i], f, results);
  for (int32_t i = 0; i < n; i++) dor_free(p[i].pixels);
  dor_arena_release(&a);
  return status;
}

static dor_status find_all(const dor_pose_study *s, dor_pose_trainer *t, const int32_t *rank, found *f, dor_str *results)
{
  dor_finder *net;
  dor_finder_model m = {.model = s->plan->net.model, .cfg = s->plan->net.cfg, .params = &t->net.params,
                         .backend = t->net.backend, .blocks = dor_replica_evaluated(&t->replica),
                         .keypoints = &s->plan->keypoints, .precision = t->net.precision};
  dor_pose_cfg c = s->plan->decode;
  if (!c.size) c.size = s->plan->pose.input;
  if (!c.threads) c.threads = s->plan->cpu.threads;
  DOR_TRY(dor_finder_over(&net, &m, &c));
  dor_status status = DOR_OK;
  if (results) dor_str_add(results, "[");
  for (int32_t i = 0; i < s->valid.n_images && !status; i += TOGETHER)
    status = find_some(s, net, rank, i, s->valid.n_images - i < TOGETHER ? s->valid.n_images - i : TOGETHER, f, results);
  if (results) dor_str_add(results, "]\n");
  dor_finder_close(net);
  return status;
}

/* ---- figures ---- */

static dor_status judge(dor_arena *a, const dor_pose_study *s, const dor_kp_truth *t, const found *f, int64_t replicates, dor_pose_figures *out)
{
  dor_kp_matches m;
  const dor_kp_rules *r = &s->rules;
  const dor_kp_found d = {.n = f->n, .image = f->image, .joint = f->joint, .score = f->score};
  DOR_TRY(dor_kp_match_all(a, t, &d, &m));
  DOR_TRY(dor_kp_figures(&m, r->n, r->figure, NULL, out->value));
  if (!replicates) return DOR_OK;
  return dor_kp_intervals(&m, r->n, r->figure, (int32_t)replicates, bootstrap_seed, s->plan->top.level, out->interval);
}

dor_status dor_pose_validate(const dor_pose_study *s, dor_pose_trainer *t, int64_t replicates, dor_pose_figures *out, dor_str *results)
{
  dor_arena a = {0};
  int32_t *rank;
  dor_kp_truth truth;
  found f = {.k = s->plan->keypoints.k};
  for (int i = 0; i < DOR_KP_MOST; i++) out->value[i] = NAN, out->interval[i] = (dor_interval){NAN, NAN, ""};
  dor_status status = check_people(&s->valid, s->valid_category);
  if (!status) status = dor_kp_places(&a, &s->valid, &rank);
  if (!status) status = dor_kp_truth_of(&a, &s->valid, s->valid_category, s->plan->keypoints.sigma, s->rules.crowdpose, &truth);
  if (!status) status = find_all(s, t, rank, &f, results);
  if (!status && results) status = dor_str_status(results);
  if (!status) status = judge(&a, s, &truth, &f, replicates, out);
  out->images = s->valid.n_images, out->found = f.n, out->people = dor_pose_people(&s->valid, s->valid_category);
  dor_free(f.image), dor_free(f.joint), dor_free(f.score);
  dor_arena_release(&a);
  return status;
}
