/* SPDX-License-Identifier: Apache-2.0
 *
 * Data, study, checks, cells: everything before the first step. */
#include "train/setup.h"

#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "base/version.h"
#include "data/synth.h"
#include "train/baselines.h"
#include "train/pose_plan.h"

static const char synth[] = "synth:";

static const char *synth_text(const dor_experiment *e)
{
  const char *data = dor_experiment_data(e);
  return data && !strncmp(data, synth, sizeof synth - 1) ? data + sizeof synth - 1 : NULL;
}

dor_status dor_setup_identity(const dor_experiment *e, char hex[DOR_HASH_HEX])
{
  const char *text = synth_text(e), *data = dor_experiment_data(e);
  dor_hash h;
  DOR_NEED(data && *data, CONFIG, "%s: no 'data': name a dataset file, or synth:subjects=40,seed=1", e->path);
  if (!text) return dor_hash_file(data, hex);
  dor_hash_init(&h);
  dor_hash_text(&h, "synth", text);
  dor_hash_text(&h, "numerics", DOR_NUMERICS);
  dor_hash_final(&h, hex);
  return DOR_OK;
}

static dor_status make_cohort(dor_dataset *d, const char *text, const char *cache)
{
  dor_arena a = {0};
  dor_synth_cfg c;
  dor_status s = dor_synth_parse(&a, text, &c);
  if (!s) s = dor_synth_make(d, &c);
  if (!s && cache) s = dor_dataset_write(d, cache);
  if (!s && !cache) dor_hash_bytes(text, strlen(text), d->sha256);
  dor_arena_release(&a);
  return s;
}

dor_status dor_setup_data(dor_setup *u, const dor_experiment *e, const char *folder)
{
  const char *text = synth_text(e);
  u->experiment = e;
  if (!text) return dor_dataset_read(&u->data, dor_experiment_data(e));
  if (!folder) return make_cohort(&u->data, text, NULL);
  const char *cache = dor_path_join(&u->arena, folder, "private/cohort.h5");
  DOR_NEED(cache, NOMEM, "no memory for a path");
  if (!dor_io_exists(cache)) return make_cohort(&u->data, text, cache);
  dor_status s = dor_dataset_read(&u->data, cache);
  if (s != DOR_E_DATA) return s;
  dor_warn("%s; it is made again", dor_errmsg());
  return make_cohort(&u->data, text, cache);
}

static dor_status same_classes(const dor_study *s)
{
  const dor_roster *r = &s->roster[0];
  for (int32_t k = 1; k < s->n_rosters; k++) {
    bool same = s->roster[k].n_classes == r->n_classes;
    for (int32_t c = 0; same && c < r->n_classes; c++) same = !strcmp(s->roster[k].class_name[c], r->class_name[c]);
    DOR_NEED(same, CONFIG, "arms '%s' and '%s' decide between different classes: make two experiments of them", r->arm->name, s->roster[k].arm->name);
  }
  return DOR_OK;
}

dor_status dor_setup_study(dor_setup *u)
{
  if (!u->experiment->top.deterministic) dor_note("deterministic = false: on the CPU nothing changes, results are the same bits every time");
  DOR_TRY(dor_pretrained_check(u->experiment, &u->data));
  DOR_TRY(dor_study_make(&u->study, u->experiment, &u->data));
  DOR_TRY(same_classes(&u->study));
  DOR_TRY(dor_baselines_check(&u->study));
  DOR_TRY(dor_leakage_check(&u->study, &u->leakage));
  return dor_cells_list(&u->arena, &u->study, &u->cell, &u->n_cells);
}

void dor_setup_release(dor_setup *u)
{
  dor_leakage_release(&u->leakage);
  dor_study_release(&u->study);
  dor_dataset_release(&u->data);
  dor_arena_release(&u->arena);
  *u = (dor_setup){0};
}

dor_status dor_setup_no_cell(const dor_experiment *e, int32_t folds, const dor_run_options *o)
{
  dor_str s = {0};
  const dor_ints *seeds = &e->top.seeds;
  if (o->arm) dor_str_fmt(&s, " --arm %s", o->arm);
  if (o->fold >= 0) dor_str_fmt(&s, " --fold %lld", (long long)o->fold);
  if (o->seed >= 0) dor_str_fmt(&s, " --seed %lld", (long long)o->seed);
  dor_str_add(&s, ": no such cell; arms:");
  for (int32_t i = 0; i < e->n_arms; i++) dor_str_fmt(&s, "%s %s", i ? "," : "", e->arm[i].name);
  if (e->pose) dor_str_fmt(&s, " %s", e->pose->net.name);
  dor_str_fmt(&s, "; folds: 1 to %d; seeds:", folds);
  for (int32_t i = 0; i < seeds->n; i++) dor_str_fmt(&s, "%s %lld", i ? "," : "", (long long)seeds->v[i]);
  dor_status status = DOR_FAIL(USAGE, "%s", s.s && !s.failed ? s.s + 1 : "no such cell");
  dor_str_release(&s);
  return status;
}

typedef struct finished { /* cells below a folder: all, those chosen, and the highest fold */
  dor_arena *a;
  const dor_run_options *o;
  int32_t cells, chosen, folds;
} finished;

/* cells/ARM/seed_S/[repeat_R/]fold_K; `mine`: the folders above are those asked for. */
static dor_status count_cells(finished *f, const char *folder, int depth, bool mine)
{
  const char *const *name;
  size_t n;
  DOR_TRY(dor_io_list(f->a, folder, &name, &n));
  for (size_t i = 0; i < n; i++) {
    const char *path = dor_path_join(f->a, folder, name[i]), *number = strchr(name[i], '_');
    long long k = depth && number ? strtoll(number + 1, NULL, 10) : 0;
    DOR_NEED(path, NOMEM, "no memory for a path");
    if (!dor_io_is_dir(path)) continue;
    bool it = mine;
    if (!depth) it = !f->o->arm || !strcmp(f->o->arm, name[i]);
    else if (depth == 1) it = mine && (f->o->seed < 0 || f->o->seed == k);
    if (!depth || strncmp(name[i], "fold_", 5)) {
      DOR_TRY(count_cells(f, path, depth + 1, it));
      continue;
    }
    f->cells++, f->chosen += it && (f->o->fold < 0 || f->o->fold == k);
    f->folds = k > f->folds ? (int32_t)k : f->folds;
  }
  return DOR_OK;
}

dor_status dor_setup_finished(const dor_experiment *e, const char *folder, const dor_run_options *o, int32_t *cells)
{
  dor_arena a = {0};
  finished f = {.a = &a, .o = o};
  const char *path = dor_path_join(&a, folder, "cells");
  dor_status s = path ? count_cells(&f, path, 0, true) : DOR_FAIL(NOMEM, "no memory for a path");
  dor_arena_release(&a);
  DOR_TRY(s);
  *cells = f.cells;
  return f.chosen ? DOR_OK : dor_setup_no_cell(e, f.folds, o);
}
