/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/pose_eval.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "data/dataset.h"

const dor_key dor_pose_eval_keys[] = {
#define KEYS_OF dor_pose_eval_cfg
#include "base/keys_rows.h"
#include "eval/pose_eval.def"
#include "base/keys_end.h"
    {0}};

static const dor_interval unknown = {NAN, NAN, ""};

/* ---- keypoints ---- */

static dor_status choose_set(dor_arena *a, const dor_coco_category *k, const dor_pose_eval_cfg *c, dor_keypoints *out)
{
  dor_keypoints_cfg custom;
  if (!c->sigmas.n && k->k == 17) return dor_keypoints_named(a, "coco17", out);
  if (!c->sigmas.n && k->k == 14) return dor_keypoints_named(a, "crowdpose14", out);
  DOR_TRY(dor_schema_defaults(dor_keypoints_keys, &custom, a));
  custom.set = "custom", custom.names = (dor_texts){k->k, k->joint}, custom.sigmas = c->sigmas;
  return dor_keypoints_make(a, &custom, NULL, out);
}

static int32_t joint_named(const dor_keypoints *k, const char *name)
{
  for (int32_t i = 0; i < k->k; i++)
    if (!strcmp(k->joint[i], name)) return i;
  return -1;
}

static dor_status references(dor_arena *a, const dor_kp_truth *t, const dor_keypoints *k, bool torso, const double **out)
{
  double *length = dor_arena_alloc(a, ((size_t)t->n + 1) * sizeof *length);
  int32_t shoulder = joint_named(k, "left_shoulder"), hip = joint_named(k, "right_hip");
  DOR_NEED(length, NOMEM, "%d people", t->n);
  DOR_NEED(!torso || (shoulder >= 0 && hip >= 0), CONFIG, "reference = \"torso\" wants the keypoints left_shoulder and right_hip; '%s' has not both", k->name);
  for (int32_t i = 0; i < t->n; i++) {
    const double *j = t->joint + 3 * (size_t)i * (size_t)t->k, *box = t->box + 4 * (size_t)i;
    length[i] = fmax(box[2], box[3]);
    if (!torso) continue;
    const double *s = j + 3 * shoulder, *h = j + 3 * hip;
    length[i] = s[2] > 0 && h[2] > 0 ? hypot(s[0] - h[0], s[1] - h[1]) : NAN;
  }
  *out = length;
  return DOR_OK;
}

typedef struct tallied { const dor_pck *p; int32_t joint; } tallied; /* joint -1: all of them */

static double share_of(const void *data, const int32_t *index, int32_t m)
{
  const tallied *t = data;
  int64_t hit = 0, all = 0;
  for (int32_t k = 0; k < t->p->k; k++)
    for (int32_t i = 0; (t->joint < 0 || t->joint == k) && i < m; i++) {
      size_t at = (size_t)k * (size_t)t->p->n_images + (size_t)index[i];
      hit += t->p->hit[at], all += t->p->all[at];
    }
  return all ? (double)hit / (double)all : NAN;
}

static dor_status share(const dor_pck *p, int32_t joint, const dor_pose_eval_cfg *c, dor_pose_share *out)
{
  int32_t images = 0;
  *out = (dor_pose_share){.interval = unknown};
  for (int32_t i = 0; i < p->n_images; i++) {
    int64_t before = out->all;
    for (int32_t k = 0; k < p->k; k++) {
      size_t at = (size_t)k * (size_t)p->n_images + (size_t)i;
      if (joint < 0 || joint == k) out->hit += p->hit[at], out->all += p->all[at];
    }
    images += out->all > before;
  }
  if (!out->all || c->replicates < 1 || images < 2) return DOR_OK;
  if (out->hit == 0 || out->hit == out->all) { /* a bootstrap of equal things knows no doubt */
    out->interval = dor_wilson(out->hit ? images : 0, images, c->level);
    return DOR_OK;
  }
  tallied t = {p, joint};
  return dor_bca(&t, share_of, p->n_images, NULL, NULL, (int32_t)c->replicates, (uint64_t)c->seed, c->level, &out->interval);
}

static dor_status add_pck(dor_arena *a, const dor_kp_truth *t, const dor_kp_found *d, const dor_pose_eval_cfg *c, dor_pose_eval *out)
{
  const double *length = NULL;
  dor_pck p;
  dor_pose_share *joint = dor_arena_alloc(a, (size_t)t->k * sizeof *joint);
  DOR_NEED(joint, NOMEM, "%d joints", t->k);
  DOR_TRY(references(a, t, &out->keypoints, c->reference == 1, &length));
  DOR_TRY(dor_pck_count(a, t, d, length, c->pck, &p));
  DOR_TRY(share(&p, -1, c, &out->all));
  for (int32_t k = 0; k < t->k; k++) DOR_TRY(share(&p, k, c, &joint[k]));
  out->joint = joint, out->pck = true;
  return DOR_OK;
}

static dor_status evaluate(dor_arena *a, const dor_coco *truth, const dor_coco_results *found, const dor_pose_eval_cfg *c, dor_pose_eval *out)
{
  int32_t category;
  dor_kp_rules rules;
  dor_kp_truth t;
  dor_kp_found d;
  dor_kp_matches m;
  DOR_TRY(dor_coco_person(truth, *c->category ? c->category : NULL, &category));
  DOR_TRY(choose_set(a, &truth->category[category], c, &out->keypoints));
  DOR_TRY(dor_kp_rules_of(a, truth, (int32_t)c->rules, &rules));
  out->crowdpose = rules.crowdpose, out->n = rules.n;
  memcpy(out->figure, rules.figure, sizeof rules.figure);
  DOR_TRY(dor_kp_truth_of(a, truth, category, out->keypoints.sigma, out->crowdpose, &t));
  DOR_TRY(dor_kp_found_of(a, truth, found, category, t.k, &d));
  DOR_TRY(dor_kp_match_all(a, &t, &d, &m));
  DOR_TRY(dor_kp_figures(&m, out->n, out->figure, NULL, out->value));
  if (c->replicates > 0 && t.n_images > 1)
    DOR_TRY(dor_kp_intervals(&m, out->n, out->figure, (int32_t)c->replicates, (uint64_t)c->seed, c->level, out->interval));
  for (int32_t f = 0; f < out->n; f++)
    for (int32_t i = 0; i < t.n_images; i++)
      if (!out->figure[f].only || out->figure[f].only[i]) out->counted[f] += m.people[out->figure[f].area][i];
  out->images = t.n_images, out->people = t.n, out->found = d.n;
  return c->pck > 0 ? add_pck(a, &t, &d, c, out) : DOR_OK;
}

/* What the result points to must outlive the files: names of a custom set are the file's. */
static dor_status own_names(dor_arena *a, dor_keypoints *k)
{
  const char **joint = dor_arena_alloc(a, (size_t)k->k * sizeof *joint);
  for (int32_t i = 0; joint && i < k->k; i++) {
    joint[i] = dor_arena_str(a, k->joint[i]);
    DOR_NEED(joint[i], NOMEM, "names of joints");
  }
  DOR_NEED(joint, NOMEM, "names of joints");
  k->joint = joint;
  return DOR_OK;
}

dor_status dor_pose_eval_files(dor_arena *a, const char *truth, const char *found, const dor_pose_eval_cfg *c, dor_pose_eval *out)
{
  dor_coco t;
  dor_coco_results d = {0};
  *out = (dor_pose_eval){0};
  for (int32_t f = 0; f < DOR_KP_MOST; f++) out->interval[f] = unknown;
  DOR_TRY(dor_coco_read(&t, truth));
  dor_status s = dor_coco_results_read(&d, found, &t);
  if (!s) s = evaluate(a, &t, &d, c, out);
  if (!s) s = own_names(a, &out->keypoints);
  const char *found_stamp = s ? "" : d.stamp;
  snprintf(out->stamp, sizeof out->stamp, "%s%s", t.synthetic && !strstr(found_stamp, "SYNTHETIC") ? *found_stamp ? "SYNTHETIC " : "SYNTHETIC" : "",
           found_stamp);
  dor_coco_results_release(&d);
  dor_coco_release(&t);
  return s;
}

/* ---- angles ---- */

static dor_status series(const dor_dataset *d, const char *path, const char *name, const char *key, const dor_series **out)
{
  const char *names[64];
  size_t n = 0;
  for (; n < (size_t)d->n_angles && n < 64; n++) names[n] = d->angles[n].name;
  DOR_NEED(n, DATA, "%s: no angles", path);
  DOR_NEED(*name || n == 1, CONFIG, "%s has %zu sets of angles; say %s=NAME", path, n, key);
  for (size_t i = 0; i < n; i++)
    if (!*name || !strcmp(name, names[i])) {
      *out = &d->angles[i];
      return DOR_OK;
    }
  const char *near = dor_nearest(name, names, n);
  return DOR_FAIL(CONFIG, "%s: no angles '%s'%s%s%s", path, name, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static dor_status same_trials(const dor_dataset *t, const dor_dataset *e, const dor_series *x, const dor_series *y, const char *path)
{
  DOR_NEED(t->n_subjects == e->n_subjects && t->n_trials == e->n_trials, DATA, "%s: %d subjects, %d trials; the truth has %d and %d", path, e->n_subjects,
           e->n_trials, t->n_subjects, t->n_trials);
  for (int32_t i = 0; i < t->n_subjects; i++) DOR_NEED(!strcmp(t->id[i], e->id[i]), DATA, "%s: subject %d is another one than in the truth", path, i + 1);
  for (int32_t i = 0; i < t->n_trials; i++) {
    DOR_NEED(t->trial_subject[i] == e->trial_subject[i], DATA, "%s: trial %d is of another subject than in the truth", path, i + 1);
    DOR_NEED(x->count[i] == y->count[i], DATA, "%s: trial %d has %d frames, in the truth %d", path, i + 1, y->count[i], x->count[i]);
  }
  return DOR_OK;
}

static dor_status agree(dor_arena *a, const dor_dataset *t, const dor_series *x, const dor_series *y, const dor_pose_eval_cfg *c, dor_angle_eval *out)
{
  size_t n = 0, at = 0;
  for (int32_t i = 0; i < t->n_trials; i++) n += (size_t)x->count[i];
  double *truth = dor_arena_alloc(a, (n + 1) * sizeof *truth), *estimate = dor_arena_alloc(a, (n + 1) * sizeof *estimate);
  int32_t *subject = dor_arena_alloc(a, (n + 1) * sizeof *subject);
  DOR_NEED(truth && estimate && subject, NOMEM, "%zu angles", n);
  for (int32_t i = 0; i < t->n_trials; i++)
    for (int32_t f = 0; f < x->count[i]; f++, at++) {
      truth[at] = (double)x->data[x->first[i] + f], estimate[at] = (double)y->data[y->first[i] + f];
      subject[at] = t->trial_subject[i];
    }
  return dor_agreement_of((int32_t)n, estimate, truth, subject, t->n_subjects, (int32_t)c->replicates, (uint64_t)c->seed, c->level, &out->agreement);
}

static dor_status compare_angles(dor_arena *a, const dor_dataset *t, const dor_dataset *e, const char *truth, const char *estimate,
                                 const dor_pose_eval_cfg *c, dor_angle_eval *out)
{
  const dor_series *x, *y;
  DOR_TRY(series(t, truth, c->truth, "truth", &x));
  DOR_TRY(series(e, estimate, c->estimate, "estimate", &y));
  DOR_TRY(same_trials(t, e, x, y, estimate));
  DOR_TRY(agree(a, t, x, y, c, out));
  out->truth = dor_arena_str(a, x->name), out->estimate = dor_arena_str(a, y->name);
  out->synthetic = t->synthetic || e->synthetic;
  DOR_NEED(out->truth && out->estimate, NOMEM, "names of angles");
  return DOR_OK;
}

dor_status dor_angle_eval_files(dor_arena *a, const char *truth, const char *estimate, const dor_pose_eval_cfg *c, dor_angle_eval *out)
{
  dor_dataset t, e = {0};
  *out = (dor_angle_eval){0};
  DOR_TRY(dor_dataset_read(&t, truth));
  dor_status s = dor_dataset_read(&e, estimate);
  if (!s) s = compare_angles(a, &t, &e, truth, estimate, c, out);
  dor_dataset_release(&t);
  dor_dataset_release(&e);
  return s;
}
