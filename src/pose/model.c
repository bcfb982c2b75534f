/* SPDX-License-Identifier: Apache-2.0 */
#include "pose/model.h"

#include <stdio.h>
#include <string.h>

static dor_status last_layer(const dor_tensors *t, const char *path, const dor_tensor **out)
{
  static const char *const name = "final_layers.1.weight";
  *out = dor_tensors_find(t, name);
  DOR_NEED(*out, DATA, "%s: no tensor '%s': these are not the weights of a HigherHRNet", path, name);
  DOR_NEED((*out)->rank == 4 && (*out)->dim[0] >= 1 && (*out)->dim[0] <= 512 && (*out)->dim[1] >= 8 && (*out)->dim[1] <= 1024, DATA,
           "%s: tensor '%s' is not of [joints,width,1,1], up to 512 joints and a width of 8 to 1024", path, name);
  return DOR_OK;
}

dor_status dor_pose_source_of(dor_arena *a, const dor_tensors *t, const char *path, dor_pose_source *out)
{
  const dor_tensor *last;
  char setting[64];
  dor_tree root = {.type = DOR_TREE_GROUP, .file = path};
  DOR_TRY(last_layer(t, path, &last));
  *out = (dor_pose_source){.model = dor_model_find("higherhrnet"), .width = last->dim[1], .joints = last->dim[0]};
  void *cfg = dor_arena_alloc(a, out->model->cfg_size);
  DOR_NEED(cfg, NOMEM, "settings of a network");
  snprintf(setting, sizeof setting, "width=%lld", (long long)out->width);
  DOR_TRY(dor_tree_assign(a, &root, setting));
  snprintf(setting, sizeof setting, "joints=%lld", (long long)out->joints);
  DOR_TRY(dor_tree_assign(a, &root, setting));
  DOR_TRY(dor_schema_defaults(out->model->keys, cfg, a));
  DOR_TRY(dor_schema_load(out->model->keys, cfg, &root, NULL, a));
  out->cfg = cfg;
  return DOR_OK;
}

/* ---- keypoints ---- */

static const char *const known[] = {"coco17", "crowdpose14", NULL};

static bool same_names(const dor_keypoints *s, const dor_texts *names)
{
  bool same = s->k == names->n;
  for (int32_t i = 0; same && i < s->k; i++) same = !strcmp(s->joint[i], names->v[i]);
  return same;
}

static dor_status split(dor_arena *a, const char *list, dor_texts *out)
{
  int32_t n = 1;
  for (const char *p = list; *p; p++) n += *p == ',' && p[1];
  const char **v = dor_arena_alloc(a, (size_t)n * sizeof *v);
  char *copy = dor_arena_str(a, list);
  DOR_NEED(v && copy, NOMEM, "names of %d keypoints", n);
  for (int32_t i = 0; i < n; i++) {
    v[i] = copy;
    copy += strcspn(copy, ",");
    if (*copy) *copy++ = 0;
  }
  *out = (dor_texts){n, v};
  return DOR_OK;
}

/* A set by the names of its joints: a known one, or one of its own. */
static dor_status by_names(dor_arena *a, const char *list, dor_keypoints *out)
{
  dor_keypoints_cfg c;
  dor_texts names;
  DOR_TRY(split(a, list, &names));
  for (int32_t i = 0; known[i]; i++) {
    DOR_TRY(dor_keypoints_named(a, known[i], out));
    if (same_names(out, &names)) return DOR_OK;
  }
  DOR_TRY(dor_schema_defaults(dor_keypoints_keys, &c, a));
  c.set = "custom", c.names = names;
  return dor_keypoints_make(a, &c, NULL, out);
}

static dor_status by_number(dor_arena *a, const char *path, int64_t joints, dor_keypoints *out)
{
  for (int32_t i = 0; known[i]; i++) {
    DOR_TRY(dor_keypoints_named(a, known[i], out));
    if (out->k == joints) return DOR_OK;
  }
  return DOR_FAIL(DATA, "%s: a network of %lld joints, and no record of which they are; names=NAME,NAME,... says them", path, (long long)joints);
}

dor_status dor_pose_keypoints_of(dor_arena *a, const dor_tensors *t, const char *path, const char *set, int64_t joints, dor_keypoints *out)
{
  dor_weights_record r;
  dor_weights_record_of(t, &r);
  if (strchr(set, ',')) DOR_TRY(by_names(a, set, out));
  else if (*set) DOR_TRY(dor_keypoints_named(a, set, out));
  else if (r.keypoints && *r.keypoints) DOR_TRY(by_names(a, r.keypoints, out));
  else DOR_TRY(by_number(a, path, joints, out));
  if (*set) DOR_NEED(out->k == joints, CONFIG, "%s: a network of %lld joints; keypoints = \"%s\" has %d", path, (long long)joints, set, out->k);
  DOR_NEED(out->k == joints, DATA, "%s: a network of %lld joints, and %d in its record", path, (long long)joints, out->k);
  return DOR_OK;
}
