/* SPDX-License-Identifier: Apache-2.0 */
#include "train/pose_plan.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/io.h"
#include "train/arm.h"
#include "train/device.h"

const dor_key dor_pose_data_keys[] = {
#define KEYS_OF dor_pose_data_cfg
#include "base/keys_rows.h"
#include "train/pose.def"
#include "base/keys_end.h"
    {0}};

const dor_section dor_pose_sections[] = {
    {"", "keys outside groups", dor_top_keys, offsetof(dor_pose_plan, top), false},
    {"pose", "what a keypoint network is trained and validated on", dor_pose_data_keys, offsetof(dor_pose_plan, pose), false},
    {"keypoints", "which points of a person", dor_keypoints_keys, offsetof(dor_pose_plan, points), false},
    {"augment", "changes to training pictures", dor_pose_augment_keys, offsetof(dor_pose_plan, augment), false},
    {"train", "how a network is fitted", dor_train_keys, offsetof(dor_pose_plan, train), false},
    {"decode", "how people are found at validation", dor_pose_keys, offsetof(dor_pose_plan, decode), false},
    {"cpu", "how programs run on the CPU", dor_cpu_keys, offsetof(dor_pose_plan, cpu), false},
    {"cuda", "how programs run on a GPU", dor_cuda_keys, offsetof(dor_pose_plan, cuda), false},
    {0}};

enum { SECTIONS = sizeof dor_pose_sections / sizeof *dor_pose_sections - 1 };

static dor_status no_memory(void) { return DOR_FAIL(NOMEM, "out of memory for a config"); }

bool dor_pose_asked(const dor_tree *root)
{
  const dor_tree *t = dor_tree_find(root, "task");
  return t && t->type == DOR_TREE_TEXT && !strcmp(t->text, "pose");
}

/* ---- loading ---- */

static dor_status load_sections(dor_arena *a, const dor_tree *root, dor_pose_plan *p)
{
  const char *names[SECTIONS + 2];
  size_t n = 0;
  for (const dor_section *s = dor_pose_sections + 1; s->name; s++) names[n++] = s->name;
  names[n++] = "nets", names[n] = NULL;
  for (const dor_section *s = dor_pose_sections; s->name; s++) {
    void *to = (char *)p + s->at;
    const dor_tree *group = *s->name ? dor_tree_find(root, s->name) : root;
    DOR_TRY(dor_schema_defaults(s->keys, to, a));
    if (group) DOR_TRY(dor_schema_load(s->keys, to, group, *s->name ? NULL : names, a));
  }
  return DOR_OK;
}

static dor_status load_net(dor_arena *a, const dor_tree *root, const char *path, dor_pose_plan *p)
{
  char where[256];
  const dor_tree *nets = dor_tree_find(root, "nets");
  dor_where(root, "nets", path, where);
  DOR_NEED(nets && nets->type == DOR_TREE_GROUP && nets->first && nets->first->type == DOR_TREE_GROUP && !nets->first->next, CONFIG,
           "%s: a pose experiment has one net: nets = { NAME = { kind = \"higherhrnet\"; }; }", where);
  DOR_TRY(dor_net_load(a, nets->first, &p->net));
  DOR_NEED(p->net.model->maps, CONFIG, "%s: net '%s' (%s) gives no heat maps", dor_tree_where(nets->first, where), p->net.name, p->net.model->name);
  return DOR_OK;
}

/* A path is relative to the file that says it; on the command line, to the working folder. */
static dor_status resolve(dor_arena *a, const dor_tree *root, const char *key, const char *value, const char **out)
{
  const dor_tree *t = dor_tree_find(root, key);
  *out = value;
  if (!*value || !t || !t->line) return DOR_OK;
  const char *folder = dor_path_dir(a, t->file);
  *out = folder ? dor_path_join(a, folder, value) : NULL;
  return *out ? DOR_OK : no_memory();
}

static dor_status resolve_paths(dor_arena *a, const dor_tree *root, dor_pose_plan *p)
{
  DOR_TRY(resolve(a, root, "pose.train", p->pose.train, &p->train_file));
  DOR_TRY(resolve(a, root, "pose.train_pictures", p->pose.train_pictures, &p->train_folder));
  DOR_TRY(resolve(a, root, "pose.validation", p->pose.validation, &p->valid_file));
  DOR_TRY(resolve(a, root, "pose.validation_pictures", p->pose.validation_pictures, &p->valid_folder));
  if (!*p->valid_folder) p->valid_folder = p->train_folder;
  return DOR_OK;
}

static dor_status check(const dor_tree *root, const char *path, const dor_pose_plan *p)
{
  char where[256];
  const dor_train_cfg *t = &p->train;
  DOR_NEED(*p->pose.train && *p->pose.train_pictures && *p->pose.validation, CONFIG,
           "%s: 'pose' wants train, train_pictures and validation: annotation files and a folder", p->where);
  DOR_NEED(p->pose.input % 32 == 0, CONFIG, "%s: 'input' %lld is no multiple of 32", dor_where(root, "pose.input", path, where), (long long)p->pose.input);
  DOR_NEED(p->augment.scale_min <= p->augment.scale_max, CONFIG, "%s: 'scale_min' is more than 'scale_max'",
           dor_where(root, "augment.scale_min", path, where));
  DOR_NEED(t->batch % t->accumulate == 0, CONFIG, "%s: 'accumulate' %lld does not divide the batch of %lld",
           dor_where(root, "train.accumulate", path, where), (long long)t->accumulate, (long long)t->batch);
  DOR_NEED(t->stop == 0, CONFIG, "%s: a pose experiment trains to its last epoch: stop = \"none\"", dor_where(root, "train.stop", path, where));
  for (int32_t i = 0; i < p->top.seeds.n; i++)
    for (int32_t j = 0; j < i; j++)
      DOR_NEED(p->top.seeds.v[i] != p->top.seeds.v[j], CONFIG, "%s: seed %lld is listed twice", dor_where(root, "seeds", path, where),
               (long long)p->top.seeds.v[i]);
  DOR_NEED(p->top.seeds.n > 0, CONFIG, "%s: 'seeds' wants one seed at least", dor_where(root, "seeds", path, where));
  return DOR_OK;
}

dor_status dor_pose_plan_load(dor_arena *a, const dor_tree *root, const char *path, dor_pose_plan *out)
{
  *out = (dor_pose_plan){.where = ""};
  dor_where(root, "pose", path, out->where);
  DOR_TRY(load_sections(a, root, out));
  DOR_TRY(load_net(a, root, path, out));
  DOR_TRY(resolve_paths(a, root, out));
  DOR_TRY(dor_keypoints_make(a, &out->points, dor_tree_find(root, "keypoints"), &out->keypoints));
  return check(root, path, out);
}

/* ---- saving ---- */

dor_status dor_pose_plan_save(dor_arena *a, const dor_pose_plan *p, dor_tree **out)
{
  dor_tree *root = *out = dor_arena_alloc(a, sizeof *root);
  if (!root) return no_memory();
  root->type = DOR_TREE_GROUP, root->file = "defaults";
  for (const dor_section *s = dor_pose_sections; s->name; s++) {
    dor_tree *group = *s->name ? dor_tree_group(a, root, s->name) : root;
    if (!group) return no_memory();
    DOR_TRY(dor_schema_save(s->keys, (const char *)p + s->at, a, group));
  }
  dor_tree *nets = dor_tree_group(a, root, "nets");
  return nets ? dor_net_save(a, &p->net, nets) : no_memory();
}

/* What the device changes stands behind the rest: a hash from before there was a choice is that of fp32 on the CPU. */
static void drop_group(dor_tree *root, const char *name)
{
  for (dor_tree **t = &root->first; *t; t = &(*t)->next)
    if (!strcmp((*t)->name, name)) {
      *t = (*t)->next;
      return;
    }
}

dor_status dor_pose_plan_hash(const dor_experiment *e, char hex[DOR_HASH_HEX])
{
  const dor_pose_plan *p = e->pose;
  dor_arena a = {0};
  dor_tree *root;
  dor_str text = {0};
  const dor_tree none = {.type = DOR_TREE_GROUP};
  dor_pose_plan like = *p;
  like.top = (dor_top_cfg){0}; /* titles, seeds and levels change no cell */
  like.train.checkpoint_s = 0;
  like.pose.loaders = 0;
  like.pose.train = like.pose.train_pictures = like.pose.validation = like.pose.validation_pictures = "";
  like.net.tree = &none;
  like.top.experiment = like.top.title = like.top.question = like.top.data = like.top.net = "";
  dor_status s = dor_pose_plan_save(&a, &like, &root);
  if (!s) drop_group(root, "cuda"), dor_tree_write(root, &text), dor_device_keys(e, &text);
  if (!s) s = dor_str_status(&text);
  if (!s) dor_hash_bytes(text.s, text.n, hex);
  dor_str_release(&text);
  dor_arena_release(&a);
  return s;
}
