/* SPDX-License-Identifier: Apache-2.0 */
#include "train/arm.h"

#include "base/io.h"

#include <stdio.h>
#include <string.h>

static dor_status no_memory(void) { return DOR_FAIL(NOMEM, "out of memory for a config"); }

const char *dor_where(const dor_tree *root, const char *key, const char *path, char out[256])
{
  const dor_tree *t = dor_tree_find(root, key);
  if (t && (t->line || !strcmp(t->file, "command line"))) return dor_tree_where(t, out);
  snprintf(out, 256, "%s:1", path);
  return out;
}

/* ---- named groups ---- */

/* A path in a config is relative to the file that says it, on the command line to the working folder. */
static dor_status resolve(dor_arena *a, const dor_tree *root, const char *key, const char **path)
{
  const dor_tree *t = dor_tree_find(root, key);
  if (!**path || !t || !t->line) return DOR_OK;
  const char *folder = dor_path_dir(a, t->file);
  *path = folder ? dor_path_join(a, folder, *path) : NULL;
  return *path ? DOR_OK : no_memory();
}

static dor_status members(const dor_tree *root, const char *key, const dor_tree **first, int32_t *n)
{
  char where[256];
  const dor_tree *group = dor_tree_find(root, key);
  *first = NULL, *n = 0;
  if (!group) return DOR_OK;
  DOR_NEED(group->type == DOR_TREE_GROUP, CONFIG, "%s: '%s' wants a group of named groups", dor_tree_where(group, where), key);
  for (const dor_tree *t = group->first; t; t = t->next, ++*n)
    DOR_NEED(t->type == DOR_TREE_GROUP, CONFIG, "%s: '%s.%s' wants a group { ... }", dor_tree_where(t, where), key, t->name);
  *first = group->first;
  return DOR_OK;
}

/* `from` decides what the other keys mean, so a source that does not exist is named before they are. */
static dor_status load_input(dor_arena *a, const dor_tree *t, dor_input *in)
{
  const dor_tree *from = dor_tree_find(t, "from");
  in->name = t->name, in->tree = t;
  DOR_TRY(dor_schema_defaults(dor_source_keys, &in->source, a));
  if (from && from->type == DOR_TREE_TEXT) {
    in->source.from = from->text;
    DOR_TRY(dor_source_check(t->name, &in->source, from));
  }
  DOR_TRY(dor_schema_load(dor_source_keys, &in->source, t, NULL, a));
  in->net = in->source.net;
  return dor_source_check(t->name, &in->source, t);
}

static dor_status no_model(const dor_tree *where, const char *kind)
{
  char at[256], all[512] = "";
  const char *names[64];
  size_t n = 0, used = 0;
  for (; dor_models[n] && n < 64; n++) {
    names[n] = dor_models[n]->name;
    used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", n ? ", " : "", names[n]);
    if (used >= sizeof all) used = sizeof all - 1;
  }
  const char *near = dor_nearest(kind, names, n);
  dor_tree_where(where, at);
  if (near) return DOR_FAIL(CONFIG, "%s: no kind of net '%s'; did you mean '%s'?", at, kind, near);
  return DOR_FAIL(CONFIG, "%s: no kind of net '%s'; there are: %s", at, kind, all);
}

static dor_status find_weights(dor_arena *a, const dor_tree *t, dor_net *net)
{
  char where[256];
  const dor_tree *said = dor_tree_find(t, "weights");
  net->weights = said && said->text ? said->text : "";
  DOR_NEED(!said || said->type == DOR_TREE_TEXT, CONFIG, "%s: 'weights' wants the name of a file", dor_tree_where(said, where));
  return resolve(a, t, "weights", &net->weights);
}

dor_status dor_net_load(dor_arena *a, const dor_tree *t, dor_net *net)
{
  static const char *const skip[] = {"kind", "weights", NULL};
  char where[256];
  const dor_tree *kind = dor_tree_find(t, "kind");
  DOR_NEED(kind && kind->text, CONFIG, "%s: net '%s' wants kind = \"...\", a line of models.def", dor_tree_where(kind ? kind : t, where), t->name);
  net->name = t->name, net->tree = t;
  net->model = dor_model_find(kind->text);
  if (!net->model) return no_model(kind, kind->text);
  net->cfg = dor_arena_alloc(a, net->model->cfg_size);
  if (!net->cfg) return no_memory();
  DOR_TRY(dor_schema_defaults(net->model->keys, net->cfg, a));
  DOR_TRY(find_weights(a, t, net));
  return dor_schema_load(net->model->keys, net->cfg, t, skip, a);
}

static const dor_net *find_net(const dor_net *net, int32_t n, const char *name)
{
  for (int32_t i = 0; i < n; i++)
    if (!strcmp(net[i].name, name)) return &net[i];
  return NULL;
}

const dor_net *dor_arm_net(const dor_arm *a, const char *name) { return find_net(a->net, a->n_nets, name); }

static bool pictures(const dor_input *in) { return !strcmp(in->source.from, "silhouettes") || !strcmp(in->source.from, "images"); }

static dor_status missing(const char *where, const char *what, const char *name, const char *const names[], int32_t n)
{
  char all[512] = "";
  size_t used = 0;
  const char *near = dor_nearest(name, names, (size_t)n);
  if (near) return DOR_FAIL(CONFIG, "%s: no %s '%s'; did you mean '%s'?", where, what, name, near);
  for (int32_t i = 0; i < n && used < sizeof all - 68; i++) used += (size_t)snprintf(all + used, sizeof all - used, "%s%.64s", i ? ", " : "", names[i]);
  return DOR_FAIL(CONFIG, "%s: no %s '%s'; there are: %s", where, what, name, n ? all : "none");
}

static dor_status missing_net(const dor_variant *v, const char *where, const char *name)
{
  const char *names[64];
  int32_t n = 0;
  for (; n < v->n_nets && n < 64; n++) names[n] = v->net[n].name;
  return missing(where, "net", name, names, n);
}

static dor_status check_net(const dor_variant *v, const dor_input *in)
{
  char where[256];
  if (!*in->net) return DOR_OK;
  const dor_tree *said = dor_tree_find(in->tree, "net");
  dor_tree_where(said ? said : in->tree, where);
  const dor_net *net = find_net(v->net, v->n_nets, in->net);
  if (!net) return missing_net(v, where, in->net);
  const char *takes = pictures(in) ? "image" : "vector";
  DOR_NEED(!strcmp(net->model->takes, takes), CONFIG, "%s: input '%s' is %s and net '%s' (%s) takes %s", where, in->name, pictures(in) ? "pictures" : "numbers",
           net->name, net->model->name, pictures(in) ? "numbers" : "pictures");
  return DOR_OK;
}

/* ---- an experiment, with or without an arm ---- */

static const char *const baselines[] = {"majority", "logistic_age_sex", "logistic_proms", "range_of_motion"};
enum { BASELINES = sizeof baselines / sizeof *baselines };

bool dor_is_baseline(const char *name)
{
  int32_t i = 0;
  while (i < BASELINES && strcmp(baselines[i], name)) i++;
  return i < BASELINES;
}

static dor_status check_baselines(const dor_variant *v, const char *path)
{
  const dor_texts *t = &v->set.top.baselines;
  char where[256];
  dor_where(v->root, "baselines", path, where);
  for (int32_t i = 0; i < t->n; i++) {
    if (!dor_is_baseline(t->v[i])) return missing(where, "baseline", t->v[i], baselines, BASELINES);
    for (int32_t j = 0; j < i; j++) DOR_NEED(strcmp(t->v[i], t->v[j]), CONFIG, "%s: baseline '%s' is listed twice", where, t->v[i]);
  }
  return DOR_OK;
}

static dor_status check_settings(const dor_variant *v, const char *path)
{
  const dor_top_cfg *t = &v->set.top;
  char where[256];
  DOR_TRY(check_baselines(v, path));
  DOR_NEED(t->seeds.n > 0, CONFIG, "%s: 'seeds' wants one seed at least", dor_where(v->root, "seeds", path, where));
  for (int32_t i = 0; i < t->seeds.n; i++)
    for (int32_t j = 0; j < i; j++)
      DOR_NEED(t->seeds.v[i] != t->seeds.v[j], CONFIG, "%s: seed %lld is listed twice", dor_where(v->root, "seeds", path, where), (long long)t->seeds.v[i]);
  const dor_train_cfg *c = &v->set.train;
  DOR_NEED(c->batch % c->accumulate == 0, CONFIG, "%s: 'accumulate' must divide the batch of %lld, got %lld",
           dor_where(v->root, "train.accumulate", path, where), (long long)c->batch, (long long)c->accumulate);
  return DOR_OK;
}

dor_status dor_variant_load(dor_arena *a, const dor_tree *root, const char *path, dor_variant *v)
{
  const dor_tree *t;
  v->root = root;
  DOR_TRY(dor_settings_load(a, root, &v->set));
  DOR_TRY(check_settings(v, path));
  DOR_TRY(members(root, "nets", &t, &v->n_nets));
  v->net = dor_arena_alloc(a, (size_t)v->n_nets * sizeof *v->net);
  if (!v->net) return no_memory();
  for (int32_t i = 0; t; t = t->next) DOR_TRY(dor_net_load(a, t, &v->net[i++]));
  DOR_TRY(members(root, "inputs", &t, &v->n_inputs));
  v->input = dor_arena_alloc(a, (size_t)v->n_inputs * sizeof *v->input);
  if (!v->input) return no_memory();
  for (int32_t i = 0; t; t = t->next) DOR_TRY(load_input(a, t, &v->input[i++]));
  for (int32_t i = 0; i < v->n_inputs; i++) DOR_TRY(check_net(v, &v->input[i]));
  return DOR_OK;
}

dor_tree *dor_tree_group(dor_arena *a, dor_tree *to, const char *name)
{
  dor_tree **last = &to->first;
  while (*last) last = &(*last)->next;
  *last = dor_arena_alloc(a, sizeof **last);
  if (*last) (*last)->type = DOR_TREE_GROUP, (*last)->name = name, (*last)->file = "defaults";
  return *last;
}

dor_status dor_net_save(dor_arena *a, const dor_net *net, dor_tree *nets)
{
  dor_tree *group = dor_tree_group(a, nets, net->name), *kind = group ? dor_tree_group(a, group, "kind") : NULL;
  if (!kind) return no_memory();
  kind->type = DOR_TREE_TEXT, kind->text = net->model->name;
  const dor_tree *said = dor_tree_find(net->tree, "weights");
  dor_tree *weights = said && *said->text ? dor_tree_group(a, group, "weights") : NULL;
  if (said && *said->text && !weights) return no_memory();
  if (weights) weights->type = DOR_TREE_TEXT, weights->text = said->text;
  return dor_schema_save(net->model->keys, net->cfg, a, group);
}

dor_status dor_variant_save(dor_arena *a, const dor_variant *v, dor_tree **out)
{
  dor_tree *root = *out = dor_arena_alloc(a, sizeof *root);
  if (!root) return no_memory();
  root->type = DOR_TREE_GROUP, root->file = "defaults";
  DOR_TRY(dor_settings_save(a, &v->set, root));
  dor_tree *inputs = dor_tree_group(a, root, "inputs"), *nets = dor_tree_group(a, root, "nets");
  if (!inputs || !nets) return no_memory();
  for (int32_t i = 0; i < v->n_inputs; i++) {
    dor_tree *group = dor_tree_group(a, inputs, v->input[i].name);
    if (!group) return no_memory();
    DOR_TRY(dor_schema_save(dor_source_keys, &v->input[i].source, a, group));
  }
  for (int32_t i = 0; i < v->n_nets; i++) DOR_TRY(dor_net_save(a, &v->net[i], nets));
  return DOR_OK;
}

/* ---- an arm ---- */

static dor_status used_inputs(dor_arena *a, const dor_variant *v, const char *path, dor_arm *arm)
{
  const dor_texts *use = &v->set.top.use;
  const char *names[64];
  char where[256];
  dor_where(v->root, "use", path, where);
  DOR_NEED(use->n > 0, CONFIG, "%s: arm '%s' uses no input: use = [\"...\"]", where, arm->name);
  DOR_NEED(use->n <= DOR_MAX_SLOTS, CONFIG, "%s: arm '%s' uses %d inputs, more than %d", where, arm->name, use->n, DOR_MAX_SLOTS);
  dor_input *in = dor_arena_alloc(a, (size_t)use->n * sizeof *in);
  if (!in) return no_memory();
  int32_t n_names = 0;
  for (; n_names < v->n_inputs && n_names < 64; n_names++) names[n_names] = v->input[n_names].name;
  for (int32_t i = 0; i < use->n; i++) {
    int32_t j = 0;
    while (j < v->n_inputs && strcmp(v->input[j].name, use->v[i])) j++;
    if (j == v->n_inputs) return missing(where, "input", use->v[i], names, n_names);
    for (int32_t k = 0; k < i; k++) DOR_NEED(strcmp(use->v[k], use->v[i]), CONFIG, "%s: arm '%s' uses input '%s' twice", where, arm->name, use->v[i]);
    in[i] = v->input[j];
  }
  arm->input = in, arm->n_inputs = use->n;
  return DOR_OK;
}

static bool one_net(const dor_arm *arm)
{
  for (int32_t i = 1; i < arm->n_inputs; i++)
    if (strcmp(arm->input[i].net, arm->input[0].net)) return false;
  return *arm->input[0].net;
}

/* early: the vectors are joined and go through the head; inputs that all name one net have named the head. */
static dor_status join_early(dor_arena *a, const char *where, dor_arm *arm)
{
  for (int32_t i = 0; i < arm->n_inputs; i++)
    DOR_NEED(!pictures(&arm->input[i]), CONFIG, "%s: arm '%s': early fusion joins numbers, and input '%s' is pictures", where, arm->name, arm->input[i].name);
  if (!arm->head && one_net(arm)) arm->head = dor_arm_net(arm, arm->input[0].net);
  DOR_NEED(arm->head, CONFIG, "%s: arm '%s': early fusion wants one net for all its inputs: net = \"...\"", where, arm->name);
  dor_input *in = dor_arena_copy(a, arm->input, (size_t)arm->n_inputs * sizeof *in);
  if (!in) return no_memory();
  for (int32_t i = 0; i < arm->n_inputs; i++) in[i].net = "";
  arm->input = in;
  return DOR_OK;
}

static dor_status check_fusion(dor_arena *a, const char *where, dor_arm *arm)
{
  if (arm->n_inputs == 1) arm->fusion = DOR_FUSION_NONE; /* one input: nothing to fuse */
  if (arm->fusion == DOR_FUSION_EARLY) return join_early(a, where, arm);
  for (int32_t i = 0; i < arm->n_inputs; i++) {
    const dor_input *in = &arm->input[i];
    DOR_NEED(*in->net || !pictures(in), CONFIG, "%s: arm '%s': input '%s' is pictures and has no net", where, arm->name, in->name);
    DOR_NEED(*in->net || arm->head, CONFIG, "%s: arm '%s': input '%s' has no net, and there is no head: net = \"...\"", where, arm->name, in->name);
  }
  if (arm->n_inputs == 1 || arm->fusion) return DOR_OK;
  bool pool = one_net(arm);
  for (int32_t i = 0; i < arm->n_inputs; i++) pool = pool && pictures(&arm->input[i]);
  DOR_NEED(pool, CONFIG, "%s: arm '%s' uses %d inputs: say fusion = \"early\", \"joint\" or \"late\"", where, arm->name, arm->n_inputs);
  return DOR_OK;
}

static dor_status find_head(const dor_variant *v, const char *path, dor_arm *arm)
{
  char where[256];
  if (!*v->set.top.net) return DOR_OK;
  dor_where(v->root, "net", path, where);
  arm->head = find_net(v->net, v->n_nets, v->set.top.net);
  if (!arm->head) return missing_net(v, where, v->set.top.net);
  DOR_NEED(!strcmp(arm->head->model->takes, "vector"), CONFIG, "%s: the head takes numbers, and net '%s' (%s) takes pictures; say net in the input", where,
           arm->head->name, arm->head->model->name);
  return DOR_OK;
}

static const char *said_at(dor_arena *a, const dor_variant *v, const char *key, const char *path)
{
  char where[256];
  return dor_arena_str(a, dor_where(v->root, key, path, where));
}

static dor_status note_places(dor_arena *a, const dor_variant *v, const char *path, dor_arm *out)
{
  out->where.column = said_at(a, v, "target.column", path);
  out->where.positive = said_at(a, v, "target.positive", path);
  out->where.against = said_at(a, v, "target.against", path);
  return out->where.column && out->where.positive && out->where.against ? DOR_OK : no_memory();
}

dor_status dor_variant_arm(dor_arena *a, const dor_variant *v, const char *path, dor_arm *out)
{
  char where[256];
  *out = (dor_arm){.name = v->name, .title = v->set.top.title, .top = v->set.top, .target = v->set.target, .split = v->set.split, .train = v->set.train,
                   .score = v->set.score, .augment = v->set.augment, .fusion = (dor_fusion)v->set.top.fusion, .n_nets = v->n_nets, .net = v->net};
  DOR_NEED(*out->target.column, CONFIG, "%s: no target: target = { column = \"...\"; };", dor_where(v->root, "target", path, where));
  DOR_TRY(note_places(a, v, path, out));
  DOR_TRY(resolve(a, v->root, "split.file", &out->split.file));
  DOR_TRY(find_head(v, path, out));
  DOR_TRY(used_inputs(a, v, path, out));
  return check_fusion(a, dor_where(v->root, "use", path, where), out);
}
