/* SPDX-License-Identifier: Apache-2.0 */
#include "train/pose_run.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "train/folder.h"
#include "train/pose_cell.h"
#include "train/record.h"
#include "train/setup.h"

typedef struct course { /* a run while it lasts */
  const dor_experiment *experiment;
  const dor_run_options *o;
  const char *folder;
  dor_pose_study study;
  dor_pose_trainer trainer;
  dor_arena arena;
  dor_cell *cell;
  int32_t n, todo, done;
  int64_t epochs_done, epochs_total;
  double start_s, told_s;
} course;

/* ---- while it trains ---- */

static dor_progress progress_of(const course *c, const char *line)
{
  dor_progress p = {.cells = c->todo, .done = c->done, .running = c->done < c->todo, .epochs_done = c->epochs_done, .epochs_total = c->epochs_total,
                    .elapsed_s = dor_clock_s() - c->start_s, .left_s = -1, .line = line};
  if (p.done == p.cells) p.left_s = 0;
  else if (p.epochs_done > 0) p.left_s = p.elapsed_s / (double)p.epochs_done * (double)(p.epochs_total - p.epochs_done);
  return p;
}

static void on_epoch(void *to, const dor_cell *cell, const char *line)
{
  course *c = to;
  (void)cell;
  c->epochs_done++;
  dor_progress p = progress_of(c, line);
  if (c->o->progress) c->o->progress(c->o->to, &p);
  if (p.elapsed_s - c->told_s < 5) return;
  c->told_s = p.elapsed_s;
  dor_record_progress(c->folder, &p);
}

static bool must_stop(void *to)
{
  (void)to;
  return dor_stop_requested();
}

/* ---- cells ---- */

static bool chosen(const course *c, const dor_cell *cell)
{
  const dor_run_options *o = c->o;
  return (!o->arm || !strcmp(o->arm, c->study.plan->net.name)) && (o->fold < 0 || o->fold == 1) && (o->seed < 0 || o->seed == cell->seed);
}

static dor_status check_chosen(const course *c)
{
  dor_str seeds = {0};
  for (int32_t i = 0; i < c->n; i++) {
    if (chosen(c, &c->cell[i])) return dor_str_release(&seeds), DOR_OK;
    dor_str_fmt(&seeds, "%s%lld", i ? ", " : "", (long long)c->cell[i].seed);
  }
  dor_status s = DOR_FAIL(USAGE, "no such cell; arm: %s; fold: 1; seeds: %s", c->study.plan->net.name, seeds.s ? seeds.s : "");
  dor_str_release(&seeds);
  return s;
}

static dor_status take_finished(course *c, const dor_folder *f, dor_run_result *out)
{
  const char *const *others;
  int32_t n;
  DOR_TRY(dor_folder_others(&c->arena, f, c->experiment, c->o, &others, &n));
  for (int32_t i = 0; i < c->n; i++) {
    dor_cell *cell = &c->cell[i];
    DOR_TRY(dor_cell_look(cell, c->folder));
    for (int32_t k = 0; k < n && !cell->done && chosen(c, cell); k++) {
      dor_status s = dor_cell_look(cell, others[k]);
      if (s == DOR_E_DATA) continue; /* another run's damage is not ours */
      DOR_TRY(s);
      if (!cell->done) continue;
      DOR_TRY(dor_cell_copy(cell, others[k], c->folder));
      out->copied++;
    }
  }
  return DOR_OK;
}

static dor_status note_cost(const course *c, const dor_cell *cell)
{
  dor_arena a = {0};
  dor_str line = {0};
  const char *path = dor_path_join(&a, c->folder, "cost.csv");
  if (path && !dor_io_exists(path)) dor_str_add(&line, "arm,seed,seconds,train_seconds,peak_mib,parameters\n");
  dor_str_fmt(&line, "%s,%lld,%.3f,%.3f,%.1f,%lld\n", c->study.plan->net.name, (long long)cell->seed, cell->seconds, cell->train_seconds, cell->peak_mib,
              (long long)cell->parameters);
  dor_status s = path ? dor_str_status(&line) : DOR_FAIL(NOMEM, "no memory for a path");
  if (!s) s = dor_io_append(path, line.s, line.n);
  dor_str_release(&line);
  dor_arena_release(&a);
  return s;
}

static dor_status train_each(course *c, dor_run_result *out)
{
  const dor_cell_watch watch = {on_epoch, must_stop, c};
  for (int32_t i = 0; i < c->n; i++) {
    dor_cell *cell = &c->cell[i];
    if (cell->done || !chosen(c, cell)) continue;
    DOR_TRY(dor_pose_cell_run(&c->study, cell, c->folder, &c->trainer, &watch));
    DOR_TRY(note_cost(c, cell));
    c->done++, out->trained++;
  }
  return DOR_OK;
}

static dor_status train_cells(course *c, dor_run_result *out)
{
  for (int32_t i = 0; i < c->n; i++) c->todo += !c->cell[i].done && chosen(c, &c->cell[i]);
  c->epochs_total = c->todo * c->study.plan->train.epochs;
  c->start_s = dor_clock_s();
  dor_status s = train_each(c, out);
  const dor_progress last = progress_of(c, NULL);
  if (c->todo) dor_record_progress(c->folder, &last);
  return s;
}

/* ---- the run ---- */

static dor_status begin(course *c)
{
  DOR_TRY(dor_pose_study_make(&c->study, c->experiment));
  DOR_TRY(dor_pose_cells_list(&c->arena, &c->study, &c->cell, &c->n));
  DOR_TRY(check_chosen(c));
  return dor_pose_trainer_make(&c->trainer, c->study.plan, &c->study.set, c->experiment->backend);
}

static dor_status work(course *c, const dor_folder *f, dor_run_result *out)
{
  out->cells = c->n;
  DOR_TRY(take_finished(c, f, out));
  DOR_TRY(train_cells(c, out));
  out->complete = true;
  for (int32_t i = 0; i < c->n; i++) out->complete = out->complete && c->cell[i].done;
  return DOR_OK;
}

static dor_status open_and_run(course *c, dor_run_result *out)
{
  dor_folder f;
  char identity[DOR_HASH_HEX], started[32], message[2048];
  DOR_TRY(dor_pose_identity(c->experiment->pose, identity));
  DOR_TRY(dor_folder_open(&f, c->experiment, c->o, identity));
  snprintf(out->folder, sizeof out->folder, "%s", f.path);
  if (f.done) return out->reused = out->complete = true, dor_setup_finished(c->experiment, f.path, c->o, &out->cells);
  c->folder = f.path;
  dor_clock_wall(started);
  dor_status s = begin(c);
  if (!s) s = dor_pose_record(&c->study, f.path);
  if (s) {
    snprintf(message, sizeof message, "%s", dor_errmsg());
    dor_folder_drop(&f);
    return dor_errmsg_set(message), s;
  }
  s = dor_record_private(c->experiment, c->o, f.path, started, false);
  if (!s) s = work(c, &f, out);
  if (!s) s = dor_record_private(c->experiment, c->o, f.path, started, true);
  dor_folder_close(&f);
  return s;
}

static void release(course *c)
{
  dor_pose_trainer_release(&c->trainer);
  dor_pose_study_release(&c->study);
  dor_arena_release(&c->arena);
}

dor_status dor_pose_run_experiment(const dor_experiment *e, const dor_run_options *o, dor_run_result *out)
{
  course c = {.experiment = e, .o = o};
  *out = (dor_run_result){0};
  dor_status s = open_and_run(&c, out);
  release(&c);
  return s;
}

/* ---- dry ---- */

static dor_status no_losses(void *to, const double mean[])
{
  (void)to, (void)mean;
  return DOR_OK;
}

static dor_status one_step(dor_pose_trainer *t, const dor_pose_batch *b, const dor_step *s)
{
  DOR_TRY(dor_pose_accumulate(t, b, s, no_losses, NULL));
  dor_instance_run(t->replica.update, s);
  return dor_replica_read(&t->replica, no_losses, NULL);
}

/* One step on the first batch, after one that warms up. */
static dor_status time_step(course *c, double *step_s, int64_t *batches, size_t *loader_bytes)
{
  const dor_pose_plan *p = c->study.plan;
  dor_pose_loader *l;
  dor_pose_batch b;
  dor_step s = {.grad_scale = 1.0f / (float)c->trainer.net.parts};
  dor_pose_loader_cfg cfg = {.set = &c->study.set, .augment = &p->augment, .batch = c->trainer.net.batch, .drop_last = p->train.last == DOR_LAST_DROP,
                             .input = (int32_t)p->pose.input, .n_scales = c->trainer.n_maps, .people = (int32_t)p->pose.people};
  memcpy(cfg.map, c->trainer.map, sizeof cfg.map);
  DOR_TRY(dor_replica_init(&c->trainer.replica, 1));
  *loader_bytes = dor_pose_loader_bytes(&cfg);
  DOR_TRY(dor_pose_loader_new(&l, &cfg));
  dor_status status = dor_pose_loader_next(l, &b);
  for (int i = 0; i < 2 && !status; i++) {
    const double start = dor_clock_s();
    status = one_step(&c->trainer, &b, &s);
    *step_s = dor_clock_s() - start;
  }
  *batches = dor_pose_loader_batches(l);
  dor_pose_loader_free(l);
  return status;
}

static dor_status measure(course *c, dor_arena *a, dor_dry_run *out)
{
  int64_t batches = 0;
  size_t loader_bytes = 0;
  DOR_TRY(begin(c));
  dor_dry_arm *arm = dor_arena_alloc(a, sizeof *arm);
  DOR_NEED(arm, NOMEM, "no memory for a dry run");
  DOR_TRY(time_step(c, &arm->step_s, &batches, &loader_bytes));
  arm->name = dor_arena_str(a, c->study.plan->net.name);
  DOR_NEED(arm->name, NOMEM, "no memory for a dry run");
  for (int32_t i = 0; i < c->n; i++) arm->cells += chosen(c, &c->cell[i]);
  arm->parameters = dor_params_count(&c->trainer.net.params, false);
  arm->bytes = dor_pose_trainer_bytes(&c->trainer) + loader_bytes;
  arm->total_s = arm->step_s * (double)batches * (double)c->study.plan->train.epochs * arm->cells;
  *out = (dor_dry_run){.n_arms = 1, .cells = arm->cells, .arm = arm, .instance_bytes = arm->bytes, .total_bytes = arm->bytes, .step_s = arm->step_s,
                       .total_s = arm->total_s, .jobs = 1, .threads = (int32_t)c->study.plan->cpu.threads};
  return DOR_OK;
}

dor_status dor_pose_run_dry(dor_arena *a, const dor_experiment *e, const dor_run_options *o, dor_dry_run *out)
{
  course c = {.experiment = e, .o = o};
  *out = (dor_dry_run){0};
  dor_status s = measure(&c, a, out);
  release(&c);
  return s;
}
