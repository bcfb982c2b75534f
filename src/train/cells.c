/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of cells, what each depends on as hashes, and whether one is finished
 * here or in an earlier run. Keys that cannot change a cell (titles, comparisons,
 * how often it is checkpointed) are not part of its hash. */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/version.h"
#include "train/cell.h"
#include "train/device.h"

/* ---- hashes ---- */

dor_status dor_cell_hash_keys(dor_hash *h, const char *label, const dor_key *keys, const void *cfg)
{
  dor_arena a = {0};
  dor_tree group = {.type = DOR_TREE_GROUP};
  dor_str text = {0};
  dor_status s = dor_schema_save(keys, cfg, &a, &group);
  if (!s) dor_tree_write(&group, &text);
  if (!s) s = dor_str_status(&text);
  if (!s) dor_hash_text(h, label, text.s ? text.s : "");
  dor_str_release(&text);
  dor_arena_release(&a);
  return s;
}

static dor_status add_net(dor_hash *h, const char *label, const dor_net *net)
{
  char hex[DOR_HASH_HEX];
  dor_hash_text(h, label, net->model->name);
  if (*net->weights) {
    DOR_TRY(dor_pretrained_hash(net, hex));
    dor_hash_text(h, "weights", hex);
  }
  return dor_cell_hash_keys(h, label, net->model->keys, net->cfg);
}

static dor_status add_inputs(dor_hash *h, const dor_arm *arm)
{
  for (int32_t i = 0; i < arm->n_inputs; i++) {
    dor_hash_text(h, "input", arm->input[i].name);
    DOR_TRY(dor_cell_hash_keys(h, "source", dor_source_keys, &arm->input[i].source));
    for (int32_t k = 0; k < arm->n_nets; k++)
      if (!strcmp(arm->net[k].name, arm->input[i].net)) DOR_TRY(add_net(h, "net", &arm->net[k]));
  }
  return arm->head ? add_net(h, "head", arm->head) : DOR_OK;
}

static dor_status add_device(dor_hash *h, const dor_experiment *e)
{
  dor_str s = {0};
  dor_device_keys(e, &s);
  dor_status status = dor_str_status(&s);
  if (!status && s.n) dor_hash_text(h, "device", s.s);
  dor_str_release(&s);
  return status;
}

static dor_status hash_config(const dor_study *s, const dor_study_arm *sa, char hex[DOR_HASH_HEX])
{
  const dor_arm *arm = sa->arm;
  static const char *const fusion[] = {"none", "early", "joint", "late"};
  dor_train_cfg train = arm->train;
  train.checkpoint_s = 0;
  dor_hash h;
  dor_hash_init(&h);
  DOR_TRY(dor_cell_hash_keys(&h, "train", dor_train_keys, &train));
  DOR_TRY(dor_cell_hash_keys(&h, "target", dor_target_keys, &arm->target));
  DOR_TRY(dor_cell_hash_keys(&h, "score", dor_score_keys, &arm->score));
  DOR_TRY(dor_cell_hash_keys(&h, "augment", dor_augment_keys, &arm->augment));
  DOR_TRY(dor_cell_hash_keys(&h, "split", dor_split_keys, &arm->split));
  DOR_TRY(dor_cell_hash_keys(&h, "cpu", dor_cpu_keys, &s->experiment->cpu));
  dor_hash_text(&h, "fusion", fusion[arm->fusion]);
  DOR_TRY(add_inputs(&h, arm));
  DOR_TRY(add_device(&h, s->experiment));
  dor_hash_final(&h, hex);
  return DOR_OK;
}

static void hash_split(const dor_study_arm *sa, int32_t repeat, char hex[DOR_HASH_HEX])
{
  const dor_roster *r = sa->roster;
  size_t n = (size_t)r->n;
  dor_hash h;
  dor_hash_init(&h);
  for (int32_t c = 0; c < r->n_classes; c++) dor_hash_text(&h, "class", r->class_name[c]);
  dor_hash_add(&h, r->thing, n * sizeof *r->thing);
  dor_hash_add(&h, r->value, n * sizeof *r->value);
  dor_hash_add(&h, r->units.cluster, n * sizeof *r->units.cluster);
  dor_hash_add(&h, r->split.fold + (size_t)repeat * n, n * sizeof *r->split.fold);
  dor_hash_add(&h, sa->has, n * sizeof *sa->has);
  dor_hash_final(&h, hex);
}

static void hash_cell(const dor_study *s, dor_cell *c)
{
  char number[64];
  dor_hash h;
  dor_hash_init(&h);
  dor_hash_text(&h, "numerics", DOR_NUMERICS);
  dor_hash_text(&h, "config", c->config_hash);
  dor_hash_text(&h, "data", s->data->sha256);
  dor_hash_text(&h, "split", c->split_hash);
  snprintf(number, sizeof number, "%lld %d %d", (long long)c->seed, c->repeat, c->fold);
  dor_hash_text(&h, "cell", number);
  dor_hash_final(&h, c->hash);
}

/* ---- the list ---- */

static const char *path_of(dor_arena *a, const dor_study_arm *sa, const dor_cell *c)
{
  if (sa->roster->split.repeats == 1) return dor_arena_fmt(a, "cells/%s/seed_%lld/fold_%d", sa->arm->name, (long long)c->seed, c->fold + 1);
  return dor_arena_fmt(a, "cells/%s/seed_%lld/repeat_%d/fold_%d", sa->arm->name, (long long)c->seed, c->repeat + 1, c->fold + 1);
}

static dor_status list_arm(dor_arena *a, const dor_study *s, int32_t arm, dor_cell *out, int32_t *n)
{
  const dor_study_arm *sa = &s->arm[arm];
  const dor_split *split = &sa->roster->split;
  dor_cell like = {.arm = arm, .seconds = -1, .train_seconds = -1};
  DOR_TRY(hash_config(s, sa, like.config_hash));
  for (int32_t k = 0; k < sa->arm->top.seeds.n; k++)
    for (int32_t repeat = 0; repeat < split->repeats; repeat++)
      for (int32_t fold = 0; fold < split->folds; fold++) {
        dor_cell *c = &out[(*n)++];
        *c = like, c->seed = sa->arm->top.seeds.v[k], c->repeat = repeat, c->fold = fold;
        c->path = path_of(a, sa, c);
        DOR_NEED(c->path, NOMEM, "no memory for the list of cells");
        hash_split(sa, repeat, c->split_hash);
        hash_cell(s, c);
      }
  return DOR_OK;
}

dor_status dor_cells_list(dor_arena *a, const dor_study *s, dor_cell **out, int32_t *n)
{
  size_t total = 0;
  for (int32_t i = 0; i < s->n_arms; i++)
    total += (size_t)s->arm[i].arm->top.seeds.n * (size_t)s->arm[i].roster->split.repeats * (size_t)s->arm[i].roster->split.folds;
  *n = 0;
  *out = dor_arena_alloc(a, (total + 1) * sizeof **out);
  DOR_NEED(*out, NOMEM, "no memory for %zu cells", total);
  for (int32_t i = 0; i < s->n_arms; i++) DOR_TRY(list_arm(a, s, i, *out, n));
  return DOR_OK;
}

/* ---- finished cells ---- */

static dor_status read_cell(const char *path, dor_cell *c)
{
  char *text;
  size_t n;
  DOR_TRY(dor_io_read(path, 1 << 20, &text, &n));
  json_error_t error;
  json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
  dor_free(text);
  DOR_NEED(root, DATA, "%s:%d: %s", path, error.line, error.text);
  const char *is = json_string_value(json_object_get(root, "hash"));
  c->done = is && !strcmp(is, c->hash);
  c->parameters = json_integer_value(json_object_get(root, "parameters"));
  json_decref(root);
  return DOR_OK;
}

dor_status dor_cell_look(dor_cell *c, const char *run)
{
  dor_arena a = {0};
  char *path = dor_arena_fmt(&a, "%s/%s/cell.json", run, c->path);
  c->done = false;
  dor_status s = path ? read_cell(path, c) : DOR_FAIL(NOMEM, "no memory for a path");
  dor_arena_release(&a);
  return s == DOR_E_NOTFOUND ? DOR_OK : s;
}

static dor_status copy_file(dor_arena *a, const char *from, const char *to, const char *name)
{
  char *data;
  size_t n;
  const char *source = dor_path_join(a, from, name), *target = dor_path_join(a, to, name);
  DOR_NEED(source && target, NOMEM, "no memory for a path");
  DOR_TRY(dor_io_read(source, (size_t)8 << 30, &data, &n));
  dor_status s = dor_io_write(target, data, n);
  dor_free(data);
  return s;
}

/* cell.json last: it says that all is there. */
static dor_status copy_files(dor_arena *a, const char *from, const char *to)
{
  const char *const *name;
  size_t n;
  DOR_TRY(dor_io_list(a, from, &name, &n));
  dor_io_gather();
  dor_status s = DOR_OK;
  for (size_t i = 0; i < n && !s; i++)
    if (strcmp(name[i], "cell.json") && strcmp(name[i], "resume.ckpt") && !strstr(name[i], ".tmp.")) s = copy_file(a, from, to, name[i]);
  DOR_TRY(dor_io_settle(s));
  return copy_file(a, from, to, "cell.json");
}

dor_status dor_cell_copy(const dor_cell *c, const char *from, const char *to)
{
  dor_arena a = {0};
  const char *source = dor_path_join(&a, from, c->path), *target = dor_path_join(&a, to, c->path);
  dor_status s = source && target ? dor_io_mkdirs(target) : DOR_FAIL(NOMEM, "no memory for a path");
  if (!s) s = copy_files(&a, source, target);
  dor_arena_release(&a);
  return s;
}
