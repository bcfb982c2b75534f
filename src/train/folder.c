/* SPDX-License-Identifier: Apache-2.0
 *
 * Choosing a run folder: an equal resolved config over equal data by the same
 * code version goes on where it was, anything else takes the next number. The
 * choice is made under a lock, so two starts cannot both make the same run. */
#include "train/folder.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/version.h"
#include "train/pose_plan.h"
#include "train/pretrained.h"

enum { MAX_CONFIG = 16 << 20, SHOWN_KEYS = 8 };
static const char inputs_end[] = "}\n", synth_key[] = "synth_sha256", data_key[] = ",\n \"data_sha256\": ";

typedef struct chooser {
  dor_folder *f;
  const dor_experiment *e;
  const dor_run_options *o;
  const char *identity;
  dor_str cfg, json, inputs;
  json_t *paths;             /* where each file that inputs.json has the hash of lies: for private/ */
  dor_arena arena;
} chooser;

dor_status dor_folder_put(const char *folder, const char *name, const dor_str *text)
{
  dor_arena a = {0};
  const char *path = dor_path_join(&a, folder, name), *bytes = text->s ? text->s : "";
  char *was = NULL;
  size_t n = 0;
  dor_status s = dor_str_status(text);
  if (!s && !path) s = DOR_FAIL(NOMEM, "no memory for a path");
  bool same = !s && !dor_io_read(path, (size_t)1 << 30, &was, &n) && n == text->n && !memcmp(was, bytes, n);
  if (!s && !same) s = dor_io_write(path, bytes, text->n);
  dor_free(was);
  dor_arena_release(&a);
  return s;
}

dor_status dor_folder_put_json(const char *folder, const char *name, json_t *root)
{
  char *text = root ? json_dumps(root, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(17)) : NULL;
  dor_str s = {0};
  dor_status status = text ? DOR_OK : DOR_FAIL(NOMEM, "no memory for %s", name);
  if (text) dor_str_fmt(&s, "%s\n", text);
  if (!status) status = dor_folder_put(folder, name, &s);
  dor_str_release(&s);
  free(text);
  json_decref(root);
  return status;
}

/* Does the file begin with this text? What follows is in *rest. A file that cannot be read does not; having no memory to look is no answer. */
static dor_status begins(chooser *c, const char *folder, const char *name, const dor_str *text, bool *does, char rest[32])
{
  char *is = NULL;
  size_t n = 0;
  const char *path = dor_path_join(&c->arena, folder, name);
  DOR_NEED(path, NOMEM, "no memory for a path");
  dor_status s = dor_io_read(path, MAX_CONFIG, &is, &n);
  *does = !s && n >= text->n && !memcmp(is, text->s, text->n);
  snprintf(rest, 32, "%s", *does ? is + text->n : "");
  dor_free(is);
  return s == DOR_E_NOMEM ? s : DOR_OK;
}

/* inputs.json may have what dor_folder_data adds. */
static dor_status equal_inputs(chooser *c, const char *folder, bool *equal)
{
  char rest[32];
  DOR_TRY(begins(c, folder, "inputs.json", &c->inputs, equal, rest));
  *equal = *equal && (!strcmp(rest, inputs_end) || !strncmp(rest, data_key, strlen(data_key)));
  return DOR_OK;
}

static dor_status equal_run(chooser *c, const char *folder, bool *equal)
{
  char rest[32];
  DOR_TRY(begins(c, folder, "config.cfg", &c->cfg, equal, rest));
  if (*rest) *equal = false;
  return *equal ? equal_inputs(c, folder, equal) : DOR_OK;
}

/* What a dead writer or a probe of the folder may have left. */
static bool leftover(const char *name) { return strstr(name, ".tmp.") || !strncmp(name, ".probe.", 7); }

/* A start that died before inputs.json was written leaves only these; such a folder is as good as empty. */
static bool unstarted(chooser *c, const char *folder)
{
  const char *const *names;
  size_t n = 0;
  if (dor_io_list(&c->arena, folder, &names, &n)) return false;
  bool only = true;
  for (size_t i = 0; i < n; i++)
    only = only && (!strcmp(names[i], "private") || !strcmp(names[i], "config.cfg") || !strcmp(names[i], "config.json") || leftover(names[i]));
  return only;
}

/* Called under the lock, so nobody is writing. A cell that says it is done needs no checkpoint: its writer died between the two. */
static dor_status sweep(dor_arena *a, const char *folder)
{
  const char *const *names;
  size_t n;
  bool done = false;
  DOR_TRY(dor_io_list(a, folder, &names, &n));
  for (size_t i = 0; i < n; i++) done = done || !strcmp(names[i], "cell.json");
  for (size_t i = 0; i < n; i++) {
    const char *path = dor_path_join(a, folder, names[i]);
    DOR_NEED(path, NOMEM, "no memory for a path");
    if (dor_io_is_dir(path)) DOR_TRY(sweep(a, path));
    else if (leftover(names[i]) || (done && !strcmp(names[i], "resume.ckpt"))) DOR_TRY(dor_io_remove(path));
  }
  return DOR_OK;
}

/* ---- what differs ---- */

static bool same_leaf(const dor_tree *a, const dor_tree *b)
{
  dor_str x = {0}, y = {0};
  dor_tree_json(a, &x);
  dor_tree_json(b, &y);
  bool same = x.s && y.s && !strcmp(x.s, y.s);
  dor_str_release(&x);
  dor_str_release(&y);
  return same;
}

/* Keys of `is` that are other or missing in `was`; only_missing: those that are in both were listed before. */
static void list_differences(const char *prefix, const dor_tree *was, const dor_tree *is, bool only_missing, dor_str *out, int *n)
{
  for (const dor_tree *t = is->first; t; t = t->next) {
    char name[256];
    const dor_tree *other = was ? dor_tree_find(was, t->name) : NULL;
    snprintf(name, sizeof name, "%.120s%s%.120s", prefix, *prefix ? "." : "", t->name);
    if (t->type == DOR_TREE_GROUP) list_differences(name, other, t, only_missing, out, n);
    else if (!other || (!only_missing && !same_leaf(other, t)))
      if ((*n)++ < SHOWN_KEYS) dor_str_fmt(out, "%s%s", *n > 1 ? ", " : "", name);
  }
}

static dor_status name_differences(chooser *c, const char *folder, dor_str *keys)
{
  dor_tree *was, *is;
  char *text;
  size_t size;
  int n = 0;
  const char *path = dor_path_join(&c->arena, folder, "config.cfg");
  DOR_NEED(path, NOMEM, "no memory for a path");
  DOR_TRY(dor_io_read(path, MAX_CONFIG, &text, &size));
  dor_status s = dor_tree_parse(&c->arena, path, text, &was);
  dor_free(text);
  if (!s) s = dor_tree_parse(&c->arena, "config", c->cfg.s, &is);
  if (s) return s;
  list_differences("", was, is, false, keys, &n);
  list_differences("", is, was, true, keys, &n);
  if (!n) dor_str_add(keys, "data or code version (inputs.json)");
  return dor_str_status(keys);
}

static dor_status refuse_other(chooser *c, const char *folder)
{
  dor_str keys = {0};
  dor_status s = name_differences(c, folder, &keys);
  if (s) s = DOR_FAIL(CONFIG, "%s: not empty, and no run of this config", folder);
  else s = DOR_FAIL(CONFIG, "%s: holds a run of another config; what differs: %s", folder, keys.s);
  dor_str_release(&keys);
  return s;
}

/* ---- which folder ---- */

static dor_status choose_out(chooser *c, bool *fresh)
{
  const char *const *names;
  size_t n = 0;
  int w = snprintf(c->f->path, sizeof c->f->path, "%s", c->o->out);
  DOR_NEED(w < (int)sizeof c->f->path, USAGE, "--out: the path is too long");
  DOR_NEED(w > 0 && (!dor_io_exists(c->o->out) || dor_io_is_dir(c->o->out)), USAGE, "--out: '%s' is no folder", c->o->out);
  if (dor_io_exists(c->o->out)) DOR_TRY(dor_io_list(&c->arena, c->o->out, &names, &n));
  *fresh = !n || unstarted(c, c->o->out);
  bool equal = true;
  if (!*fresh) DOR_TRY(equal_run(c, c->o->out, &equal));
  if (!equal) return refuse_other(c, c->o->out);
  return DOR_OK;
}

static long run_number(const char *name)
{
  char *end;
  long n = strtol(name, &end, 10);
  return *name >= '1' && *name <= '9' && !*end && n < 1000000000 ? n : 0;
}

static int newest_first(const void *a, const void *b)
{
  long x = run_number(*(const char *const *)a), y = run_number(*(const char *const *)b);
  return (x < y) - (x > y);
}

static const char *base_of(dor_arena *a, const dor_experiment *e, const dor_run_options *o)
{
  return dor_path_join(a, o->results ? o->results : "results", e->top.experiment);
}

static dor_status list_runs(dor_arena *a, const char *base, const char *const **paths, int32_t *n)
{
  const char *const *names, **out;
  size_t n_names = 0, k = 0;
  *n = 0;
  if (dor_io_exists(base)) DOR_TRY(dor_io_list(a, base, &names, &n_names));
  out = dor_arena_alloc(a, (n_names + 1) * sizeof *out);
  DOR_NEED(out, NOMEM, "no memory for the list of runs");
  for (size_t i = 0; i < n_names; i++)
    if (run_number(names[i])) out[k++] = names[i];
  qsort(out, k, sizeof *out, newest_first);
  *n = (int32_t)k;
  *paths = out;
  return DOR_OK;
}

static dor_status choose_number(chooser *c, const char *base, bool *fresh)
{
  const char *const *names;
  int32_t n;
  DOR_TRY(list_runs(&c->arena, base, &names, &n));
  *fresh = true;
  long number = n ? run_number(names[0]) + 1 : 1;
  for (int32_t i = 0; i < n && *fresh; i++) {
    const char *path = dor_path_join(&c->arena, base, names[i]);
    DOR_NEED(path, NOMEM, "no memory for a path");
    bool equal;
    DOR_TRY(equal_run(c, path, &equal));
    if (equal) number = run_number(names[i]), *fresh = false;
    else if (!i && unstarted(c, path)) number = run_number(names[i]);
  }
  int w = snprintf(c->f->path, sizeof c->f->path, "%s/%ld", base, number);
  DOR_NEED(w < (int)sizeof c->f->path, USAGE, "the path of the results is too long");
  return DOR_OK;
}

static dor_status start_folder(chooser *c, bool fresh)
{
  const char *private = dor_path_join(&c->arena, c->f->path, "private"), *lock = dor_path_join(&c->arena, c->f->path, "private/lock");
  DOR_NEED(private && lock, NOMEM, "no memory for a path");
  DOR_TRY(dor_io_mkdirs(private));
  DOR_TRY(dor_lock_take(&c->f->lock, lock, c->o->force));
  DOR_TRY(sweep(&c->arena, c->f->path));
  if (fresh) DOR_TRY(dor_io_probe(c->f->path));
  DOR_TRY(dor_folder_put(c->f->path, "config.cfg", &c->cfg));
  DOR_TRY(dor_folder_put(c->f->path, "config.json", &c->json));
  DOR_TRY(dor_folder_put_json(c->f->path, "private/paths.json", json_incref(c->paths)));
  bool equal;
  DOR_TRY(equal_inputs(c, c->f->path, &equal));
  if (equal) return DOR_OK;
  dor_str_add(&c->inputs, inputs_end);
  return dor_folder_put(c->f->path, "inputs.json", &c->inputs);
}

static dor_status choose(chooser *c)
{
  bool fresh = false;
  dor_lock list;
  const char *base = base_of(&c->arena, c->e, c->o), *guard = base ? dor_path_join(&c->arena, base, ".lock") : NULL;
  DOR_NEED(guard, NOMEM, "no memory for a path");
  if (c->o->out) {
    DOR_TRY(choose_out(c, &fresh));
  } else {
    DOR_TRY(dor_io_mkdirs(base));
    DOR_TRY(dor_lock_wait(&list, guard, 30));
  }
  dor_status s = c->o->out ? DOR_OK : choose_number(c, base, &fresh);
  const char *done = dor_path_join(&c->arena, c->f->path, "DONE");
  c->f->done = !s && !fresh && done && dor_io_exists(done);
  c->f->fresh = !s && fresh;
  if (!s && !c->f->done) s = start_folder(c, fresh);
  if (!c->o->out) dor_lock_release(&list);
  return s;
}

/* A hash of inputs.json, and the path for private/paths.json. A name that is no text is left out: verify says that it was not found. */
static void add_input(chooser *c, const char *key, const char *hex, const char *path)
{
  char full[PATH_MAX];
  dor_str_fmt(&c->inputs, " \"%s\": \"%s\",\n", key, hex);
  json_object_set_new(c->paths, key, json_string(realpath(path, full) ? full : path));
}

/* Was arm i's file of folds met in an arm before it? */
static bool met(const dor_experiment *e, int32_t i)
{
  for (int32_t k = 0; k < i; k++)
    if (!strcmp(e->arm[k].split.file, e->arm[i].split.file)) return true;
  return false;
}

static dor_status describe_weights(chooser *c)
{
  char hex[DOR_HASH_HEX];
  for (int32_t i = 0; i < c->e->n_arms; i++)
    for (int32_t k = 0; k < c->e->arm[i].n_nets; k++) {
      const dor_net *net = &c->e->arm[i].net[k];
      if (!*net->weights || dor_pretrained_met(c->e, i, k)) continue;
      const char *key = dor_arena_fmt(&c->arena, "weights_%s_%s_sha256", c->e->arm[i].name, net->name);
      DOR_NEED(key, NOMEM, "no memory for a name");
      DOR_TRY(dor_pretrained_hash(net, hex));
      add_input(c, key, hex, net->weights);
    }
  return DOR_OK;
}

/* Keypoint networks have annotation files for data and folds. */
static dor_status describe_pose(chooser *c, const dor_pose_plan *p)
{
  char hex[DOR_HASH_HEX];
  DOR_TRY(dor_hash_file(p->train_file, hex));
  add_input(c, "train_sha256", hex, p->train_file);
  DOR_TRY(dor_hash_file(p->valid_file, hex));
  add_input(c, "validation_sha256", hex, p->valid_file);
  if (!*p->net.weights) return DOR_OK;
  DOR_TRY(dor_pretrained_hash(&p->net, hex));
  add_input(c, "weights_sha256", hex, p->net.weights);
  return DOR_OK;
}

static dor_status describe_people(chooser *c)
{
  char hex[DOR_HASH_HEX];
  const char *data = dor_experiment_data(c->e), *key = "splits_sha256";
  if (strncmp(data, "synth:", 6)) add_input(c, "data_sha256", c->identity, data);
  else dor_str_fmt(&c->inputs, " \"%s\": \"%s\",\n", synth_key, c->identity);
  for (int32_t i = 0, n = 0; i < c->e->n_arms; i++) {
    if (!*c->e->arm[i].split.file || met(c->e, i)) continue;
    if (n++) key = dor_arena_fmt(&c->arena, "splits_%s_sha256", c->e->arm[i].name);
    DOR_NEED(key, NOMEM, "no memory for a name");
    DOR_TRY(dor_hash_file(c->e->arm[i].split.file, hex));
    add_input(c, key, hex, c->e->arm[i].split.file);
  }
  return describe_weights(c);
}

/* What a run depends on beside its config: the same name may hold other bytes tomorrow. */
static dor_status describe_inputs(chooser *c)
{
  dor_str_add(&c->inputs, "{\"schema\": 1,\n");
  DOR_TRY(c->e->pose ? describe_pose(c, c->e->pose) : describe_people(c));
  dor_str_fmt(&c->inputs, " \"code_version\": %s", DOR_NUMERICS);
  return DOR_OK;
}

dor_status dor_folder_open(dor_folder *f, const dor_experiment *e, const dor_run_options *o, const char *identity)
{
  *f = (dor_folder){.lock = {-1}};
  chooser c = {.f = f, .e = e, .o = o, .identity = identity, .paths = json_object()};
  dor_status s = dor_experiment_write(e, false, &c.cfg, &c.json);
  if (!s) s = describe_inputs(&c);
  if (!s) s = dor_str_status(&c.cfg);
  if (!s) s = dor_str_status(&c.json);
  if (!s) s = dor_str_status(&c.inputs);
  if (!s) s = choose(&c);
  if (s) dor_lock_release(&f->lock);
  dor_str_release(&c.cfg);
  dor_str_release(&c.json);
  dor_str_release(&c.inputs);
  json_decref(c.paths);
  dor_arena_release(&c.arena);
  return s;
}

dor_status dor_folder_data(const char *folder, const char *sha256)
{
  dor_arena a = {0};
  dor_str s = {0};
  char *text = NULL, *end = NULL;
  size_t n;
  const char *path = dor_path_join(&a, folder, "inputs.json");
  dor_status status = path ? dor_io_read(path, MAX_CONFIG, &text, &n) : DOR_FAIL(NOMEM, "no memory for a path");
  bool made = !status && strstr(text, synth_key);
  if (made) end = strstr(text, data_key);
  if (made && !end) end = strrchr(text, '}');
  if (end) {
    dor_str_bytes(&s, text, (size_t)(end - text));
    dor_str_fmt(&s, "%s\"%s\"%s", data_key, sha256, inputs_end);
    status = dor_folder_put(folder, "inputs.json", &s);
  }
  dor_free(text);
  dor_str_release(&s);
  dor_arena_release(&a);
  return status;
}

void dor_folder_close(dor_folder *f) { dor_lock_release(&f->lock); }

void dor_folder_drop(dor_folder *f)
{
  if (f->fresh && !f->done && dor_io_remove_tree(f->path)) dor_warn("%s: left behind: %s", f->path, dor_errmsg());
  dor_lock_release(&f->lock);
}

dor_status dor_folder_others(dor_arena *a, const dor_folder *f, const dor_experiment *e, const dor_run_options *o, const char *const **paths, int32_t *n)
{
  const char *base = base_of(a, e, o), *const *names;
  int32_t total;
  *n = 0;
  DOR_NEED(base, NOMEM, "no memory for a path");
  DOR_TRY(list_runs(a, base, &names, &total));
  const char **out = dor_arena_alloc(a, ((size_t)total + 1) * sizeof *out);
  DOR_NEED(out, NOMEM, "no memory for the list of runs");
  for (int32_t i = 0; i < total; i++) {
    out[*n] = dor_path_join(a, base, names[i]);
    DOR_NEED(out[*n], NOMEM, "no memory for a path");
    if (strcmp(out[*n], f->path)) ++*n;
  }
  *paths = out;
  return DOR_OK;
}
