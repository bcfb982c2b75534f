/* SPDX-License-Identifier: Apache-2.0 */
#include "train/pose_study.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backend/backend.h"
#include "base/csv.h"
#include "base/io.h"
#include "base/log.h"
#include "base/version.h"
#include "train/device.h"
#include "train/folder.h"
#include "train/pretrained.h"
#include "weights/weights.h"

dor_status dor_pose_identity(const dor_pose_plan *p, char hex[DOR_HASH_HEX])
{
  char one[DOR_HASH_HEX];
  dor_hash h;
  dor_hash_init(&h);
  DOR_TRY(dor_hash_file(p->train_file, one));
  dor_hash_text(&h, "train", one);
  DOR_TRY(dor_hash_file(p->valid_file, one));
  dor_hash_text(&h, "validation", one);
  if (*p->net.weights) {
    DOR_TRY(dor_pretrained_hash(&p->net, one));
    dor_hash_text(&h, "weights", one);
  }
  dor_hash_final(&h, hex);
  return DOR_OK;
}

/* ---- is a picture in both parts? ---- */

typedef struct file { /* of a picture */
  off_t size;
  int32_t image;
  const char *path;
} file;

static int by_id(const void *a, const void *b)
{
  const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static int by_size(const void *a, const void *b)
{
  const file *x = a, *y = b;
  return (x->size > y->size) - (x->size < y->size);
}

static dor_status compare_ids(dor_pose_study *s)
{
  int64_t *id = dor_arena_alloc(&s->arena, (size_t)s->set.n * sizeof *id);
  DOR_NEED(id, NOMEM, "no memory for %d ids", s->set.n);
  for (int32_t i = 0; i < s->set.n; i++) id[i] = s->train.image[s->set.image[i]].id;
  qsort(id, (size_t)s->set.n, sizeof *id, by_id);
  for (int32_t i = 0; i < s->valid.n_images; i++) {
    const int64_t want = s->valid.image[i].id;
    if (!bsearch(&want, id, (size_t)s->set.n, sizeof *id, by_id)) continue;
    DOR_NEED(s->plan->pose.leaks, LEAK, "image %lld is in %s and in %s: a network must not be validated on what it was trained on", (long long)want,
             s->train.path, s->valid.path);
    s->same_ids++;
  }
  return DOR_OK;
}

/* Sizes of the files, sorted. */
static dor_status list_files(dor_pose_study *s, const dor_coco *c, const char *folder, const int32_t *image, int32_t n, file **out)
{
  file *f = *out = dor_arena_alloc(&s->arena, ((size_t)n + 1) * sizeof *f);
  DOR_NEED(f, NOMEM, "no memory for %d pictures", n);
  for (int32_t i = 0; i < n; i++) {
    struct stat st;
    f[i].image = image ? image[i] : i;
    f[i].path = dor_path_join(&s->arena, folder, c->image[f[i].image].file);
    DOR_NEED(f[i].path, NOMEM, "no memory for a path");
    DOR_NEED(!stat(f[i].path, &st), NOTFOUND, "%s: image %lld: no picture '%s'", c->path, (long long)c->image[f[i].image].id, f[i].path);
    f[i].size = st.st_size;
  }
  qsort(f, (size_t)n, sizeof *f, by_size);
  return DOR_OK;
}

/* Equal bytes want equal sizes, so few pictures are read at all. */
static dor_status compare_pictures(dor_pose_study *s)
{
  const int32_t n = s->set.n, v = s->valid.n_images;
  file *a, *b;
  DOR_TRY(list_files(s, &s->train, s->plan->train_folder, s->set.image, n, &a));
  DOR_TRY(list_files(s, &s->valid, s->plan->valid_folder, NULL, v, &b));
  for (int32_t i = 0, j = 0; i < v; i++) {
    char want[DOR_HASH_HEX], is[DOR_HASH_HEX];
    while (j < n && a[j].size < b[i].size) j++;
    for (int32_t k = j; k < n && a[k].size == b[i].size; k++) {
      if (k == j) DOR_TRY(dor_hash_file(b[i].path, want));
      DOR_TRY(dor_hash_file(a[k].path, is));
      if (strcmp(want, is)) continue;
      DOR_NEED(s->plan->pose.leaks, LEAK, "image %lld of %s and image %lld of %s are one picture: a network must not be validated on what it was trained on",
               (long long)s->train.image[a[k].image].id, s->train.path, (long long)s->valid.image[b[i].image].id, s->valid.path);
      s->same_pictures++;
    }
  }
  return DOR_OK;
}

/* ---- the study ---- */

static const char *where_weights(const dor_pose_study *s, char out[256])
{
  const dor_tree *t = dor_tree_find(s->plan->net.tree, "weights");
  return dor_tree_where(t ? t : s->plan->net.tree, out);
}

static dor_status take_line(dor_pose_study *s, const dor_weights_record *r)
{
  dor_str line = {0};
  dor_weights_record_line(r, &line);
  dor_status status = dor_str_status(&line);
  s->first.line = dor_arena_str(&s->arena, line.s ? line.s : "");
  dor_str_release(&line);
  DOR_TRY(status);
  DOR_NEED(s->first.line, NOMEM, "no memory for the record of weights");
  dor_note("net '%s': its first weights are %s", s->plan->net.name, s->first.line);
  return DOR_OK;
}

/* What the first weights were trained on must not be what is validated on; their stamps are the run's. */
static dor_status judge_weights(dor_pose_study *s, const dor_weights_record *r, const char *train)
{
  char valid[DOR_HASH_HEX], at[256];
  DOR_TRY(dor_hash_file(s->plan->valid_file, valid));
  DOR_TRY(dor_pretrained_hash(&s->plan->net, s->first.sha256));
  s->first.known = dor_weights_known(r), s->first.synthetic = dor_weights_synthetic(r), s->first.leaks = dor_weights_leaks(r);
  s->first.saw_valid = dor_weights_saw(r, valid);
  DOR_NEED(!s->first.saw_valid || s->plan->pose.leaks, LEAK, "%s: %s was trained on %s: a network must not be validated on what it was trained on",
           where_weights(s, at), s->plan->net.weights, s->valid.path);
  if (r->seen) s->seen = dor_weights_saw(r, train) ? dor_arena_str(&s->arena, r->seen) : dor_arena_fmt(&s->arena, "%s,%s", r->seen, train);
  return take_line(s, r);
}

static dor_status look_at_weights(dor_pose_study *s)
{
  char train[DOR_HASH_HEX];
  dor_tensors t;
  dor_weights_record r;
  DOR_TRY(dor_hash_file(s->plan->train_file, train));
  s->seen = dor_arena_str(&s->arena, train), s->first.line = "";
  if (*s->plan->net.weights) {
    DOR_TRY(dor_weights_read(&t, s->plan->net.weights));
    dor_weights_record_of(&t, &r);
    dor_status status = judge_weights(s, &r, train);
    dor_tensors_release(&t);
    DOR_TRY(status);
  }
  DOR_NEED(s->seen, NOMEM, "no memory for the record of weights");
  return DOR_OK;
}

static dor_status make(dor_pose_study *s)
{
  const dor_pose_plan *p = s->plan;
  const char *category = *p->pose.category ? p->pose.category : NULL;
  int32_t trained;
  DOR_TRY(dor_pose_identity(p, s->sha256));
  DOR_TRY(dor_coco_read(&s->train, p->train_file));
  DOR_TRY(dor_coco_read(&s->valid, p->valid_file));
  DOR_TRY(dor_coco_person(&s->train, category, &trained));
  DOR_TRY(dor_coco_person(&s->valid, category, &s->valid_category));
  DOR_TRY(dor_pose_set_make(&s->arena, &s->train, trained, &p->keypoints, p->train_folder, &s->set));
  dor_pose_set_reduce(&s->set, &p->augment, (int32_t)p->pose.input);
  DOR_TRY(dor_keypoints_check(&p->keypoints, &s->valid, s->valid_category));
  DOR_NEED(s->valid.n_images, DATA, "%s: no images to validate on", s->valid.path);
  DOR_TRY(dor_kp_rules_of(&s->arena, &s->valid, (int32_t)p->pose.rules, &s->rules));
  DOR_TRY(look_at_weights(s));
  DOR_TRY(compare_ids(s));
  return compare_pictures(s);
}

dor_status dor_pose_study_make(dor_pose_study *s, const dor_experiment *e)
{
  *s = (dor_pose_study){.experiment = e, .plan = e->pose};
  dor_status status = make(s);
  if (status) dor_pose_study_release(s);
  return status;
}

void dor_pose_study_release(dor_pose_study *s)
{
  dor_coco_release(&s->train);
  dor_coco_release(&s->valid);
  dor_arena_release(&s->arena);
}

bool dor_pose_synthetic(const dor_pose_study *s) { return s->train.synthetic || s->valid.synthetic || s->first.synthetic; }

static bool leaks(const dor_pose_study *s) { return s->plan->pose.leaks || s->first.leaks; }

const char *dor_pose_stamps(const dor_pose_study *s, char out[32])
{
  snprintf(out, 32, "%s%s%s", dor_pose_synthetic(s) ? "SYNTHETIC " : "", leaks(s) ? "LEAKS " : "", s->plan->top.quick ? "QUICK " : "");
  const size_t n = strlen(out);
  if (n) out[n - 1] = 0;
  return out;
}

int32_t dor_pose_people(const dor_coco *c, int32_t category)
{
  int32_t n = 0;
  for (int32_t i = 0; i < c->n_annotations; i++) n += c->annotation[i].category == category && c->annotation[i].n_labelled > 0;
  return n;
}

/* ---- records ---- */

static json_t *run_json(const dor_pose_study *s)
{
  const dor_pose_plan *p = s->plan;
  json_t *seeds = json_array(), *stamps = json_array(), *joints = json_array();
  for (int32_t i = 0; i < p->top.seeds.n; i++) json_array_append_new(seeds, json_integer(p->top.seeds.v[i]));
  for (int32_t i = 0; i < p->keypoints.k; i++) json_array_append_new(joints, json_string(p->keypoints.joint[i]));
  if (dor_pose_synthetic(s)) json_array_append_new(stamps, json_string("SYNTHETIC"));
  if (leaks(s)) json_array_append_new(stamps, json_string("LEAKS"));
  if (p->top.quick) json_array_append_new(stamps, json_string("QUICK"));
  return json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:o, s:o, s:s, s:o, s:s, s:s, s:b}", "schema", 1, "task", "pose", "rules",
                   s->rules.crowdpose ? "CrowdPose" : "COCO", "experiment", p->top.experiment, "dorsum", DOR_VERSION, "code_version", DOR_NUMERICS, "git",
                   dor_git(), "device", dor_backend_device(s->experiment->backend), "precision", dor_format_name(dor_device_format(s->experiment)),
                   "synthetic", dor_pose_synthetic(s), "stamps", stamps, "seeds", seeds, "arm", p->net.name, "joints", joints, "title",
                   *p->top.title ? p->top.title : p->top.experiment, "question", p->top.question, "renamed", (int)p->keypoints.rename);
}

static json_t *check_json(const dor_pose_study *s, const char *id, const char *text, int looked, int found)
{
  return json_pack("{s:s, s:s, s:b, s:b, s:i, s:i}", "id", id, "text", text, "passed", !found, "waived", (int)s->plan->pose.leaks, "looked", looked, "found",
                   found);
}

static json_t *leakage_json(const dor_pose_study *s)
{
  char stamps[32];
  json_t *files = check_json(s, "P3", "the first weights were not trained on the validation file", s->first.known, s->first.saw_valid);
  if (*s->first.line) json_object_set_new(files, "note", json_sprintf("the first weights are %s", s->first.line));
  return json_pack("{s:i, s:s, s:[o, o, o]}", "schema", 1, "stamp", dor_pose_stamps(s, stamps), "checks",
                   check_json(s, "P1", "no image id is trained and validated on", s->valid.n_images, s->same_ids),
                   check_json(s, "P2", "no picture file is trained and validated on, byte for byte", s->valid.n_images, s->same_pictures), files);
}

static void put_part(const dor_pose_study *s, dor_str *t, const char *part, int32_t pictures, const dor_coco *c, int32_t category)
{
  char stamps[32];
  int32_t people = 0, crowds = 0;
  for (int32_t i = 0; i < c->n_annotations; i++) {
    people += c->annotation[i].category == category && !c->annotation[i].crowd;
    crowds += c->annotation[i].category == category && c->annotation[i].crowd;
  }
  dor_csv_put(t, part, false);
  dor_csv_put_int(t, pictures, false);
  dor_csv_put_int(t, people, false);
  dor_csv_put_int(t, dor_pose_people(c, category), false);
  dor_csv_put_int(t, crowds, false);
  dor_csv_put(t, dor_pose_stamps(s, stamps), true);
}

dor_status dor_pose_record(const dor_pose_study *s, const char *folder)
{
  dor_str t = {0};
  DOR_TRY(dor_folder_put_json(folder, "run.json", run_json(s)));
  DOR_TRY(dor_folder_put_json(folder, "leakage.json", leakage_json(s)));
  dor_str_add(&t, "part,pictures,people,people_with_joints,crowds,stamp\n");
  put_part(s, &t, "train", s->set.n, &s->train, s->set.category);
  put_part(s, &t, "validation", s->valid.n_images, &s->valid, s->valid_category);
  dor_status status = dor_folder_put(folder, "pictures.csv", &t);
  dor_str_release(&t);
  return status;
}
