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

static dor_status look_at_weights(dor_pose_study *s)
{
  dor_tensors t;
  dor_weights_record r;
  if (!*s->plan->net.weights) return DOR_OK;
  DOR_TRY(dor_weights_read(&t, s->plan->net.weights));
  dor_weights_record_of(&t, &r);
  s->made_weights = dor_weights_synthetic(&r);
  dor_tensors_release(&t);
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

bool dor_pose_synthetic(const dor_pose_study *s) { return s->train.synthetic || s->valid.synthetic || s->made_weights; }

const char *dor_pose_stamps(const dor_pose_study *s, char out[32])
{
  snprintf(out, 32, "%s%s%s", dor_pose_synthetic(s) ? "SYNTHETIC " : "", s->plan->pose.leaks ? "LEAKS " : "", s->plan->top.quick ? "QUICK " : "");
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
  if (p->pose.leaks) json_array_append_new(stamps, json_string("LEAKS"));
  if (p->top.quick) json_array_append_new(stamps, json_string("QUICK"));
  return json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:o, s:o, s:s, s:o, s:s, s:s}", "schema", 1, "task", "pose", "experiment", p->top.experiment,
                   "dorsum", DOR_VERSION, "code_version", DOR_NUMERICS, "git", dor_git(), "device",
                   dor_backend_device(s->experiment->backend), "precision", dor_format_name(dor_device_format(s->experiment)), "synthetic",
                   dor_pose_synthetic(s), "stamps", stamps,
                   "seeds", seeds, "arm", p->net.name, "joints", joints, "title", *p->top.title ? p->top.title : p->top.experiment, "question",
                   p->top.question);
}

static json_t *leakage_json(const dor_pose_study *s)
{
  char stamps[32];
  const int leaks = s->plan->pose.leaks;
  return json_pack("{s:i, s:s, s:[{s:s, s:s, s:b, s:b, s:i, s:i}, {s:s, s:s, s:b, s:b, s:i, s:i}]}", "schema", 1, "stamp",
                   dor_pose_stamps(s, stamps), "checks", "id", "P1", "text", "no image id is trained and validated on", "passed", !s->same_ids, "waived",
                   leaks, "looked", s->valid.n_images, "found", s->same_ids, "id", "P2", "text",
                   "no picture file is trained and validated on, byte for byte", "passed", !s->same_pictures, "waived", leaks, "looked",
                   s->valid.n_images, "found", s->same_pictures);
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
