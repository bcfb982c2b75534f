/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of a run. What stands outside private/ is a function of config, data
 * and code: no clock, no host, no path. */
#include "train/record.h"

#include <hdf5.h>
#include <jansson.h>
#include <math.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/csv.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/log.h"
#include "base/tree.h"
#include "base/version.h"
#include "kernels/onednn_version.h"
#include "train/baselines.h"
#include "train/device.h"
#include "train/folder.h"

/* ---- run.json ---- */

static const char *pool_of(const dor_study *s)
{
  const dor_study_arm *sa = &s->arm[0];
  bool several = false, silhouettes = false;
  for (int32_t k = 0; k < sa->n_branches; k++) {
    several = several || sa->branch[k].n > sa->roster->n;
    for (int32_t i = 0; i < sa->branch[k].n_inputs; i++) silhouettes = silhouettes || !strcmp(sa->branch[k].input[i]->source.from, "silhouettes");
  }
  if (!several) return "";
  int pool = sa->arm->score.pool;
  return pool == DOR_POOL_MEAN_LOGIT || (pool == DOR_POOL_AUTO && silhouettes) ? "mean_logit" : "mean_prob";
}

static json_t *arms_json(const dor_study *s)
{
  json_t *arms = json_array();
  for (int32_t i = 0; i < s->n_arms; i++) {
    const dor_arm *a = s->arm[i].arm;
    json_array_append_new(arms, json_pack("{s:s, s:s, s:b}", "name", a->name, "title", a->title && *a->title ? a->title : a->name, "baseline", 0));
  }
  const dor_texts *b = &s->experiment->top.baselines;
  for (int32_t i = 0; i < b->n; i++) {
    char title[128];
    dor_baseline_title(s, b->v[i], title);
    json_array_append_new(arms, json_pack("{s:s, s:s, s:b}", "name", b->v[i], "title", title, "baseline", 1));
  }
  return arms;
}

static json_t *classes_json(const dor_roster *r)
{
  json_t *classes = json_array();
  for (int32_t c = 0; c < r->target->n_names; c++) /* in the dataset's order, those that take part */
    for (int32_t k = 0; k < r->n_classes; k++)
      if (!strcmp(r->class_name[k], r->target->names[c])) json_array_append_new(classes, json_string(r->class_name[k]));
  return classes;
}

static bool by_clips(const dor_study *s)
{
  bool clips = false;
  for (int32_t k = 0; k < s->n_rosters; k++) clips = clips || s->roster[k].clips;
  return clips;
}

/* Where the data lie is left out: the same run elsewhere has the same id. */
static dor_status hash_keys(dor_hash *h, const dor_tree *group)
{
  for (const dor_tree *t = group->first; t; t = t->next) {
    if (t->type == DOR_TREE_TEXT && dor_tree_is_path(t->name)) continue;
    dor_str s = {0};
    dor_hash_text(h, "key", t->name);
    if (t->type == DOR_TREE_GROUP) DOR_TRY(hash_keys(h, t));
    else dor_tree_json(t, &s);
    dor_status status = dor_str_status(&s);
    dor_hash_text(h, "end", s.s ? s.s : "");
    dor_str_release(&s);
    DOR_TRY(status);
  }
  return DOR_OK;
}

static dor_status id_of(dor_arena *a, const char *folder, char id[13])
{
  const char *config = dor_path_join(a, folder, "config.cfg"), *inputs = dor_path_join(a, folder, "inputs.json");
  char hex[DOR_HASH_HEX];
  dor_tree *root;
  dor_hash h;
  DOR_NEED(config && inputs, NOMEM, "no memory for a path");
  DOR_TRY(dor_tree_read(a, config, &root));
  DOR_TRY(dor_hash_file(inputs, hex));
  dor_hash_init(&h);
  dor_hash_text(&h, "inputs", hex);
  DOR_TRY(hash_keys(&h, root));
  dor_hash_final(&h, hex);
  snprintf(id, 13, "%.12s", hex);
  return DOR_OK;
}

dor_status dor_record_marks(const dor_study *s, const char *folder, dor_marks *out)
{
  dor_arena a = {0};
  snprintf(out->stamps, sizeof out->stamps, "%s%s%s", s->data->synthetic ? "SYNTHETIC " : "", by_clips(s) ? "LEAKS " : "",
           s->experiment->top.quick ? "QUICK " : "");
  size_t n = strlen(out->stamps);
  if (n) out->stamps[n - 1] = 0;
  dor_status status = id_of(&a, folder, out->id);
  dor_arena_release(&a);
  return status;
}

static json_t *stamps_json(const dor_study *s)
{
  json_t *stamps = json_array();
  if (s->data->synthetic) json_array_append_new(stamps, json_string("SYNTHETIC"));
  if (by_clips(s)) json_array_append_new(stamps, json_string("LEAKS"));
  if (s->experiment->top.quick) json_array_append_new(stamps, json_string("QUICK"));
  return stamps;
}

static json_t *seeds_json(const dor_study *s)
{
  json_t *seeds = json_array();
  for (int32_t i = 0; i < s->experiment->top.seeds.n; i++) json_array_append_new(seeds, json_integer(s->experiment->top.seeds.v[i]));
  return seeds;
}

/* Those that could move a figure or a byte. */
static json_t *libraries_json(void)
{
  char onednn[32], hdf5[48] = "";
  unsigned major, minor, patch;
  dor_onednn_version(onednn);
  if (H5get_libversion(&major, &minor, &patch) >= 0) snprintf(hdf5, sizeof hdf5, "%u.%u.%u", major, minor, patch);
  return json_pack("{s:s, s:s, s:s}", "onednn", onednn, "hdf5", hdf5, "jansson", JANSSON_VERSION);
}

/* A source that names nobody and has one picture for each speaks of pictures, not of people. */
static bool of_pictures(const dor_dataset *d)
{
  int32_t n = d->n_images ? d->images[0].n : d->n_silhouettes ? d->silhouettes[0].n : 0;
  bool only = n == d->n_subjects;
  for (int32_t i = 0; i < d->n_subjects && only; i++) {
    char row[16];
    snprintf(row, sizeof row, "%d", i + 1);
    only = !strcmp(d->id[i], row);
  }
  return only;
}

static const char *unit_of(const dor_study *s)
{
  const dor_roster *r = &s->roster[0];
  const char *word = dor_study_unit_word(r);
  if (of_pictures(s->data) || !strcmp(word, "image")) return "picture";
  return !strcmp(word, "subject") ? "person" : word;
}

static json_t *run_json(const dor_study *s, const dor_marks *m)
{
  static const char *const isa[] = {"plain", "avx2", "avx512"};
  const dor_roster *r = &s->roster[0];
  json_t *root = json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s}", "schema", 1, "id", m->id, "experiment", s->experiment->top.experiment, "dorsum", DOR_VERSION,
                           "code_version", DOR_NUMERICS, "git", dor_git(), "device", dor_backend_device(s->experiment->backend));
  if (!root) return NULL;
  json_object_set_new(root, "precision", json_string(dor_format_name(dor_device_format(s->experiment))));
  json_object_set_new(root, "cpu_class", json_string(isa[dor_backend_cpu.isa()]));
  json_object_set_new(root, "threads_per_program", json_integer(s->experiment->cpu.threads));
  json_object_set_new(root, "libraries", libraries_json());
  json_object_set_new(root, "synthetic", json_boolean(s->data->synthetic));
  json_object_set_new(root, "stamps", stamps_json(s));
  json_object_set_new(root, "per", json_string(dor_study_unit_word(r)));
  json_object_set_new(root, "unit", json_string(unit_of(s)));
  json_object_set_new(root, "pool", json_string(pool_of(s)));
  json_object_set_new(root, "classes", classes_json(r));
  json_object_set_new(root, "seeds", seeds_json(s));
  json_object_set_new(root, "arms", arms_json(s));
  json_object_set_new(root, "data_license", json_string(s->data->license ? s->data->license : ""));
  return root;
}

/* ---- flow.csv ---- */

typedef struct flow { /* a line of flow.csv before it is written */
  const char *step, *reason, *class, *site, *sex;
  int32_t n;
} flow;

/* Under a holdout most things are in no test fold: they are trained on, and in no figure. */
static bool *tested_things(dor_arena *a, const dor_roster *r)
{
  bool *tested = dor_arena_alloc(a, ((size_t)r->target->n + 1) * sizeof *tested);
  for (int32_t k = 0; tested && k < r->split.repeats; k++)
    for (int32_t u = 0; u < r->n; u++)
      if (r->split.fold[(size_t)k * (size_t)r->n + (size_t)u] >= 0) tested[r->thing[u]] = true;
  return tested;
}

static flow flow_of(const dor_dataset *d, const dor_roster *r, const bool *tested, int32_t thing, bool recruited)
{
  const char *step = recruited ? "recruited" : r->fate[thing] ? "excluded" : tested[thing] ? "analysed" : "trained_on_only";
  const dor_target *t = r->target;
  int32_t subject = t->per == DOR_PER_TRIAL ? d->trial_subject[thing] : t->per == DOR_PER_IMAGE ? d->images[0].subject[thing] : thing;
  bool named = t->n_names && !isnan(t->value[thing]);
  return (flow){step, recruited || !r->fate[thing] ? "" : r->fate[thing],
                named ? t->names[(int32_t)t->value[thing]] : "", d->site ? d->site[subject] : "", d->sex ? d->sex[subject] : "", 1};
}

static bool same_flow(const flow *a, const flow *b)
{
  return !strcmp(a->step, b->step) && !strcmp(a->reason, b->reason) && !strcmp(a->class, b->class) && !strcmp(a->site, b->site) && !strcmp(a->sex, b->sex);
}

static void count_flow(flow *list, int32_t *n, flow f)
{
  int32_t k = 0;
  while (k < *n && !same_flow(&list[k], &f)) k++;
  if (k == *n) list[(*n)++] = f;
  else list[k].n++;
}

static dor_status write_flow(const dor_study *s, const char *folder, const dor_marks *m)
{
  static const char *const steps[] = {"recruited", "excluded", "trained_on_only", "analysed"};
  const dor_roster *r = &s->roster[0];
  dor_arena a = {0};
  dor_str text = {0};
  int32_t n = 0;
  flow *list = dor_arena_alloc(&a, 2 * ((size_t)r->target->n + 1) * sizeof *list);
  const bool *tested = tested_things(&a, r);
  dor_status status = list && tested ? DOR_OK : DOR_FAIL(NOMEM, "no memory for flow.csv");
  for (int32_t i = 0; !status && i < 2 * r->target->n; i++) count_flow(list, &n, flow_of(s->data, r, tested, i / 2, i % 2 == 0));
  dor_str_add(&text, "step,reason,class,site,sex,n,run_id,stamp\n");
  for (int step = 0; step < 4; step++)
    for (int32_t i = 0; i < n; i++) {
      if (strcmp(list[i].step, steps[step])) continue;
      dor_csv_put(&text, list[i].step, false);
      dor_csv_put(&text, list[i].reason, false);
      dor_csv_put(&text, list[i].class, false);
      dor_csv_put(&text, list[i].site, false);
      dor_csv_put(&text, list[i].sex, false);
      dor_csv_put_int(&text, list[i].n, false);
      dor_csv_put(&text, m->id, false);
      dor_csv_put(&text, m->stamps, true);
    }
  if (!status) status = dor_folder_put(folder, "flow.csv", &text);
  dor_str_release(&text);
  dor_arena_release(&a);
  return status;
}

/* ---- subjects.csv ---- */

const char *dor_record_trial(dor_arena *a, const dor_roster *r, int32_t unit)
{
  if (r->clips) return r->units.name[unit] + strlen(r->units.id[unit]) + 1; /* INPUT/CLIP */
  return r->target->per == DOR_PER_SUBJECT ? "" : dor_arena_fmt(a, "%d", r->thing[unit] + 1);
}

const char *dor_record_group(dor_arena *a, const dor_dataset *d, int32_t subject)
{
  return d->group && d->group[subject] >= 0 ? dor_arena_fmt(a, "g%d", d->group[subject] + 1) : "";
}

static void put_target(dor_str *s, const dor_target *t, int32_t i, bool last)
{
  float x = t->value[i];
  if (isnan(x)) dor_csv_put(s, "", last);
  else if (t->n_names) dor_csv_put(s, t->names[(int32_t)x], last);
  else dor_csv_put_real(s, (double)x, last);
}

static dor_status write_subjects(const dor_study *s, const char *folder, const dor_marks *m)
{
  const dor_dataset *d = s->data;
  dor_arena a = {0};
  dor_str t = {0};
  dor_str_add(&t, "subject_id,site,sex,age,group");
  for (int32_t k = 0; k < d->n_targets; k++)
    if (d->target[k].per == DOR_PER_SUBJECT) dor_str_add(&t, ","), dor_csv_put(&t, d->target[k].name, true), t.n--;
  dor_str_add(&t, *m->stamps ? ",stamp\n" : "\n");
  for (int32_t i = 0; i < d->n_subjects; i++) {
    const char *group = dor_record_group(&a, d, i);
    dor_csv_put(&t, d->id[i], false);
    dor_csv_put(&t, d->site ? d->site[i] : "", false);
    dor_csv_put(&t, d->sex ? d->sex[i] : "", false);
    dor_csv_put_real(&t, d->age ? (double)d->age[i] : (double)NAN, false);
    dor_csv_put(&t, group ? group : "", true);
    for (int32_t k = 0; k < d->n_targets && !t.failed; k++)
      if (d->target[k].per == DOR_PER_SUBJECT) t.s[t.n - 1] = ',', put_target(&t, &d->target[k], i, true);
    if (*m->stamps && !t.failed) t.s[t.n - 1] = ',', dor_csv_put(&t, m->stamps, true);
  }
  dor_status status = dor_folder_put(folder, "subjects.csv", &t);
  dor_str_release(&t);
  dor_arena_release(&a);
  return status;
}

/* ---- all ---- */

static dor_status write_splits(const dor_study *s, const char *folder)
{
  dor_arena a = {0};
  dor_status status = DOR_OK;
  for (int32_t k = 0; k < s->n_rosters && !status; k++) {
    const dor_roster *r = &s->roster[k];
    const char *name = k ? dor_arena_fmt(&a, "splits_%s.json", r->arm->name) : "splits.json";
    const char *path = name ? dor_path_join(&a, folder, name) : NULL;
    status = path ? dor_split_write(&r->split, &r->units, path) : DOR_FAIL(NOMEM, "no memory for a path");
  }
  dor_arena_release(&a);
  return status;
}

dor_status dor_record_write(const dor_study *s, const char *folder, const dor_marks *m)
{
  DOR_TRY(dor_folder_put_json(folder, "run.json", run_json(s, m)));
  DOR_TRY(write_splits(s, folder));
  DOR_TRY(write_flow(s, folder, m));
  return write_subjects(s, folder, m);
}

dor_status dor_record_private(const dor_experiment *e, const dor_run_options *o, const char *folder, const char *started, bool ended)
{
  char host[256] = "", cwd[4096] = "", now[32] = "";
  const struct passwd *user = getpwuid(getuid());
  if (gethostname(host, sizeof host - 1)) host[0] = 0;
  if (!getcwd(cwd, sizeof cwd)) cwd[0] = 0;
  if (ended) dor_clock_wall(now);
  json_t *argv = json_array();
  for (int32_t i = 0; i < o->argc; i++) json_array_append_new(argv, json_string(o->argv[i]));
  json_t *root = json_pack("{s:s*, s:s*, s:s*, s:s*, s:s*, s:s, s:s, s:o}", "host", host, "user", user ? user->pw_name : NULL, "folder", cwd, "config",
                           e->path, "data", dor_experiment_data(e), "started", started, "ended", now, "argv", argv);
  return dor_folder_put_json(folder, "private/host.json", root);
}

void dor_record_progress(const char *folder, const dor_progress *p)
{
  dor_str s = {0};
  dor_arena a = {0};
  const char *path = dor_path_join(&a, folder, "private/progress.json");
  dor_str_fmt(&s, "{\"cells\": %d, \"done\": %d, \"running\": %d, \"epochs_done\": %lld, \"epochs_total\": %lld, \"elapsed_s\": %.1f, "
              "\"left_s\": %.1f}\n",
              p->cells, p->done, p->running, (long long)p->epochs_done, (long long)p->epochs_total, p->elapsed_s, p->left_s);
  if (path && !dor_str_status(&s) && dor_io_write(path, s.s, s.n)) dor_warn("progress.json: %s", dor_errmsg());
  dor_str_release(&s);
  dor_arena_release(&a);
}
