/* SPDX-License-Identifier: Apache-2.0
 *
 * An experiment is read once without arms and once per arm: the arm laid over
 * the rest. The resolved config is what all keys came to, and for each arm what
 * differs from that. */
#include "train/experiment.h"

#include "base/io.h"
#include "train/arm.h"
#include "train/pose_plan.h"

#include <stdio.h>
#include <string.h>

static const char ONLY_ARM[] = "model"; /* of a config without arms */

static dor_status no_memory(void) { return DOR_FAIL(NOMEM, "out of memory for a config"); }

static dor_tree *detach(dor_tree *root, const char *name)
{
  for (dor_tree **p = &root->first; *p; p = &(*p)->next)
    if (!strcmp((*p)->name, name)) {
      dor_tree *t = *p;
      *p = t->next;
      return t;
    }
  return NULL;
}

/* ---- what an arm's tree says beyond the experiment's ---- */

static bool equal(const dor_tree *x, const dor_tree *y)
{
  if (!x || !y) return x == y;
  if (x->type != y->type) return false;
  switch (x->type) {
    case DOR_TREE_INT: return x->i == y->i;
    case DOR_TREE_REAL: return x->r == y->r;
    case DOR_TREE_BOOL: return x->b == y->b;
    case DOR_TREE_TEXT: return !strcmp(x->text, y->text);
    default: break;
  }
  const dor_tree *p = x->first, *q = y->first;
  while (p && q && equal(p, q)) p = p->next, q = q->next;
  return !p && !q;
}

static dor_status difference(dor_arena *a, const dor_tree *of, const dor_tree *from, dor_tree *out)
{
  dor_tree **next = &out->first;
  for (const dor_tree *t = of->first; t; t = t->next) {
    const dor_tree *f = dor_tree_find(from, t->name);
    if (f && f->type != DOR_TREE_GROUP && equal(t, f)) continue;
    dor_tree *c;
    if (f && f->type == DOR_TREE_GROUP && t->type == DOR_TREE_GROUP) {
      c = dor_arena_copy(a, t, sizeof *t);
      if (!c) return no_memory();
      c->first = NULL;
      DOR_TRY(difference(a, t, f, c));
      if (!c->first) continue;
    } else DOR_TRY(dor_tree_copy(a, t, &c));
    c->next = NULL;
    *next = c, next = &c->next;
  }
  return DOR_OK;
}

/* ---- arms ---- */

static dor_status skipped(dor_tree *arm, bool *skip)
{
  char where[256];
  *skip = false;
  DOR_NEED(arm->type == DOR_TREE_GROUP, CONFIG, "%s: 'arms.%s' wants a group { ... }", dor_tree_where(arm, where), arm->name);
  DOR_NEED(!strchr(arm->name, '*'), CONFIG, "%s: '%s' cannot be the name of a folder", dor_tree_where(arm, where), arm->name);
  DOR_NEED(!dor_is_baseline(arm->name), CONFIG, "%s: '%s' is the name of a baseline; an arm wants another", dor_tree_where(arm, where), arm->name);
  DOR_TRY(dor_settings_arm_keys(arm));
  const dor_tree *t = detach(arm, "skip");
  if (!t) return DOR_OK;
  DOR_NEED(t->type == DOR_TREE_BOOL, CONFIG, "%s: 'skip' wants true or false", dor_tree_where(t, where));
  *skip = t->b;
  return DOR_OK;
}

typedef struct layers { /* what an arm is laid on and covered by */
  const dor_tree *root;      /* the experiment without arms */
  const dor_tree *typed;     /* key=value: over all, arms too */
  const dor_tree *typed_arms; /* arms.NAME...=value: over that */
  const dor_tree *plain;     /* root with every key written out */
} layers;

/* The arm laid over the experiment; changes (in the resolved config) go to `resolved`. */
static dor_status read_arm(dor_experiment *e, const layers *l, const dor_tree *said, dor_arm *arm, dor_tree **resolved)
{
  const dor_tree *typed = l->typed_arms ? dor_tree_find(l->typed_arms, said->name) : NULL;
  dor_tree *merged, *all, *changes = dor_arena_copy(&e->arena, said, sizeof *said);
  dor_variant v = {.name = said->name};
  if (!changes) return no_memory();
  DOR_TRY(dor_tree_copy(&e->arena, l->root, &merged));
  DOR_TRY(dor_tree_lay(&e->arena, merged, said));
  DOR_TRY(dor_tree_lay(&e->arena, merged, l->typed));
  if (typed) DOR_TRY(dor_tree_lay(&e->arena, merged, typed));
  detach(merged, "skip");
  DOR_TRY(dor_variant_load(&e->arena, merged, e->path, &v));
  DOR_TRY(dor_variant_arm(&e->arena, &v, e->path, arm));
  if (!dor_tree_find(said, "title")) arm->title = arm->name;
  v.set.top.title = arm->title;
  DOR_TRY(dor_variant_save(&e->arena, &v, &all));
  arm->tree = all;
  changes->first = changes->next = NULL;
  DOR_TRY(difference(&e->arena, all, l->plain, changes));
  *resolved = changes;
  return DOR_OK;
}

static dor_status read_arms(dor_experiment *e, const layers *l, dor_tree *arms, dor_tree *resolved)
{
  char where[256];
  DOR_NEED(arms->type == DOR_TREE_GROUP, CONFIG, "%s: 'arms' wants a group of named groups", dor_tree_where(arms, where));
  dor_arm *arm = dor_arena_alloc(&e->arena, (size_t)dor_tree_count(arms) * sizeof *arm);
  dor_tree *list = dor_arena_copy(&e->arena, arms, sizeof *arms), **next;
  if (!arm || !list) return no_memory();
  list->first = list->next = NULL, next = &list->first;
  for (dor_tree *t = arms->first; t; t = t->next) {
    bool skip;
    DOR_TRY(skipped(t, &skip));
    if (skip) continue;
    DOR_TRY(read_arm(e, l, t, &arm[e->n_arms++], next));
    next = &(*next)->next;
  }
  DOR_NEED(e->n_arms, CONFIG, "%s: every arm is skipped", dor_tree_where(arms, where));
  e->arm = arm;
  while (resolved->next) resolved = resolved->next;
  resolved->next = list;
  return DOR_OK;
}

static dor_status read_only_arm(dor_experiment *e, dor_variant *v, const dor_tree *plain)
{
  dor_arm *arm = dor_arena_alloc(&e->arena, sizeof *arm);
  if (!arm) return no_memory();
  v->name = ONLY_ARM;
  DOR_TRY(dor_variant_arm(&e->arena, v, e->path, arm));
  if (!*arm->title) arm->title = arm->name;
  arm->tree = plain;
  e->arm = arm, e->n_arms = 1;
  return DOR_OK;
}

/* ---- the whole ---- */

static dor_status check_name(const dor_experiment *e, const dor_tree *root)
{
  const char *p = e->top.experiment;
  char where[256], shown[64];
  dor_where(root, "experiment", e->path, where);
  DOR_NEED(*p, CONFIG, "%s: no name: experiment = \"...\";", where);
  size_t good = strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.");
  bool plain = !p[good] && *p != '.' && good < 128;
  DOR_NEED(plain, CONFIG, "%s: '%s' cannot be the name of a folder: letters, digits, _ and - only", where, dor_printable(p, shown, sizeof shown));
  return DOR_OK;
}

static dor_status check_arm_name(const dor_experiment *e, const dor_tree *root, const char *key, const char *name)
{
  char where[256], all[512] = "", shown[64];
  size_t used = 0;
  if (!*name) return DOR_OK;
  for (int32_t i = 0; i < e->n_arms; i++)
    if (!strcmp(e->arm[i].name, name)) return DOR_OK;
  for (int32_t i = 0; i < e->n_arms && used < sizeof all - 68; i++)
    used += (size_t)snprintf(all + used, sizeof all - used, "%s%.64s", i ? ", " : "", e->arm[i].name);
  return DOR_FAIL(CONFIG, "%s: no arm '%s' that is not skipped; there are: %s", dor_where(root, key, e->path, where), dor_printable(name, shown,
        sizeof shown), all);
}

static dor_status find_data(dor_experiment *e, const dor_tree *root)
{
  const dor_tree *t = dor_tree_find(root, "data");
  e->data = e->top.data;
  if (!*e->data || !t->line || !strncmp(e->data, "synth:", 6)) return DOR_OK;
  const char *folder = dor_path_dir(&e->arena, t->file);
  e->data = folder ? dor_path_join(&e->arena, folder, e->data) : NULL;
  return e->data ? DOR_OK : no_memory();
}

/* What is said of the backend: it is not known yet which one that will be. */
static dor_status take_backend(dor_experiment *e, const dor_tree *root, const dor_cuda_cfg *cuda)
{
  char where[256];
  const dor_tree *t = dor_tree_find(root, "cuda.plan_cache");
  e->cuda = *cuda;
  e->precision_where = dor_arena_str(&e->arena, dor_where(root, "precision", e->path, where));
  if (!e->precision_where) return no_memory();
  DOR_NEED(!cuda->autotune || !e->top.deterministic || *cuda->plan_cache, CONFIG,
           "%s: 'autotune' with deterministic = true wants plan_cache = \"FOLDER\": another time another way may be the fastest",
           dor_where(root, "cuda.autotune", e->path, where));
  if (!*cuda->plan_cache || !t->line) return DOR_OK;
  const char *folder = dor_path_dir(&e->arena, t->file);
  e->cuda.plan_cache = folder ? dor_path_join(&e->arena, folder, cuda->plan_cache) : NULL;
  return e->cuda.plan_cache ? DOR_OK : no_memory();
}

static dor_status read_pose(dor_experiment *e, const dor_tree *root)
{
  dor_tree *tree;
  dor_pose_plan *plan = dor_arena_alloc(&e->arena, sizeof *plan);
  if (!plan) return no_memory();
  DOR_TRY(dor_pose_plan_load(&e->arena, root, e->path, plan));
  DOR_TRY(dor_pose_plan_save(&e->arena, plan, &tree));
  e->pose = plan, e->tree = tree;
  e->top = plan->top, e->cpu = plan->cpu, e->data = plan->train_file;
  DOR_TRY(take_backend(e, root, &plan->cuda));
  return check_name(e, root);
}

static dor_status read_all(dor_experiment *e, const char *const assign[], int32_t n_assign)
{
  dor_tree *root, *plain, *resolved, *typed = dor_arena_alloc(&e->arena, sizeof *typed);
  dor_variant v = {0};
  e->folder = e->path ? dor_path_dir(&e->arena, e->path) : NULL;
  if (!e->folder || !typed) return no_memory();
  typed->type = DOR_TREE_GROUP, typed->file = "command line";
  DOR_TRY(dor_tree_read_extended(&e->arena, e->path, &root));
  for (int32_t i = 0; i < n_assign; i++) DOR_TRY(dor_tree_assign(&e->arena, typed, assign[i]));
  DOR_TRY(dor_tree_lay(&e->arena, root, typed));
  if (dor_pose_asked(root)) return read_pose(e, root);
  dor_tree *arms = detach(root, "arms");
  DOR_TRY(dor_variant_load(&e->arena, root, e->path, &v));
  e->top = v.set.top, e->target = v.set.target, e->split = v.set.split, e->compare = v.set.compare, e->cpu = v.set.cpu;
  DOR_TRY(check_name(e, root));
  DOR_TRY(find_data(e, root));
  DOR_TRY(take_backend(e, root, &v.set.cuda));
  DOR_TRY(dor_variant_save(&e->arena, &v, &plain));
  DOR_TRY(dor_tree_copy(&e->arena, plain, &resolved));
  if (arms) detach(plain, "title"); /* each arm writes its own, or it would read back as its name */
  const layers l = {.root = root, .typed_arms = detach(typed, "arms"), .plain = plain, .typed = typed};
  if (arms) detach(typed, "title"); /* the experiment's, not every arm's */
  DOR_TRY(arms ? read_arms(e, &l, arms, resolved->first) : read_only_arm(e, &v, plain));
  e->tree = resolved;
  DOR_TRY(check_arm_name(e, root, "compare.reference", e->compare.reference));
  return check_arm_name(e, root, "compare.primary", e->compare.primary);
}

dor_status dor_experiment_read(dor_experiment *e, const char *path, const char *const assign[], int32_t n_assign)
{
  *e = (dor_experiment){.n_arms = 0};
  e->path = dor_arena_str(&e->arena, path);
  dor_status s = read_all(e, assign, n_assign);
  if (s) dor_experiment_release(e);
  return s;
}

void dor_experiment_release(dor_experiment *e)
{
  dor_arena_release(&e->arena);
  *e = (dor_experiment){.n_arms = 0};
}

const char *dor_experiment_data(const dor_experiment *e) { return e->data; }

static void drop_folders(dor_tree *group)
{
  for (dor_tree *t = group->first; t; t = t->next) {
    const char *slash = t->type == DOR_TREE_TEXT && dor_tree_is_path(t->name) ? strrchr(t->text, '/') : NULL;
    if (slash && strncmp(t->text, "synth:", 6)) t->text = slash + 1;
    drop_folders(t);
  }
}

dor_status dor_experiment_write(const dor_experiment *e, bool folders, dor_str *cfg, dor_str *json)
{
  dor_arena a = {0};
  dor_tree *t;
  dor_status s = dor_tree_copy(&a, e->tree, &t);
  if (!s && !folders) drop_folders(t);
  if (!s) dor_tree_write(t, cfg), dor_tree_json(t, json);
  dor_arena_release(&a);
  DOR_TRY(s);
  DOR_TRY(dor_str_status(cfg));
  return dor_str_status(json);
}
