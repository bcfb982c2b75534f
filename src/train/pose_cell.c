/* SPDX-License-Identifier: Apache-2.0 */
#include "train/pose_cell.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/csv.h"
#include "base/io.h"
#include "base/log.h"
#include "base/version.h"
#include "train/resume.h"
#include "weights/weights.h"

typedef struct job { /* a cell while it runs */
  const dor_pose_study *study;
  const dor_pose_plan *plan;
  dor_cell *cell;
  dor_pose_trainer *t;
  dor_pose_loader *loader;
  const dor_cell_watch *watch;
  const char *folder;
  uint64_t seed;
  dor_schedule_cfg schedule;
  dor_position at;
  int64_t read;              /* steps whose losses are known */
  dor_resume resume;
  dor_arena arena;
  dor_str csv, log;
  double saved_s, epoch_s;
} job;

enum { HEAT = 0, PUSH = 4, PULL = 5 }; /* places in dor_position.part_sum */

/* ---- the list ---- */

dor_status dor_pose_cells_list(dor_arena *a, const dor_pose_study *s, dor_cell **out, int32_t *n)
{
  const dor_ints *seeds = &s->plan->top.seeds;
  dor_cell *c = *out = dor_arena_alloc(a, (size_t)seeds->n * sizeof *c);
  DOR_NEED(c, NOMEM, "no memory for the list of cells");
  *n = seeds->n;
  for (int32_t i = 0; i < seeds->n; i++) {
    char number[32];
    dor_hash h;
    c[i] = (dor_cell){.seed = seeds->v[i], .seconds = -1, .train_seconds = -1};
    c[i].path = dor_arena_fmt(a, "cells/%s/seed_%lld/fold_1", s->plan->net.name, (long long)c[i].seed);
    DOR_NEED(c[i].path, NOMEM, "no memory for the list of cells");
    DOR_TRY(dor_pose_plan_hash(s->experiment, c[i].config_hash));
    snprintf(c[i].split_hash, sizeof c[i].split_hash, "none");
    snprintf(number, sizeof number, "%lld", (long long)c[i].seed);
    dor_hash_init(&h);
    dor_hash_text(&h, "numerics", DOR_NUMERICS);
    dor_hash_text(&h, "config", c[i].config_hash);
    dor_hash_text(&h, "data", s->sha256);
    dor_hash_text(&h, "cell", number);
    dor_hash_final(&h, c[i].hash);
  }
  return DOR_OK;
}

/* ---- files ---- */

static const char *file_of(job *j, const char *name) { return dor_path_join(&j->arena, j->folder, name); }

static dor_status write_text(job *j, const char *name, const dor_str *s)
{
  const char *path = file_of(j, name);
  DOR_NEED(path, NOMEM, "no memory for a path");
  DOR_TRY(dor_str_status(s));
  return dor_io_write(path, s->s ? s->s : "", s->n);
}

static void flush_log(job *j)
{
  const char *path = file_of(j, "log.txt");
  if (path && j->log.n && dor_io_append(path, j->log.s, j->log.n)) dor_warn("log.txt: %s", dor_errmsg());
  dor_str_clear(&j->log);
}

/* ---- steps ---- */

static dor_status refuse_numbers(const job *j, const char *what, int64_t step)
{
  return DOR_FAIL(NUMERIC, "seed %lld, epoch %lld, step %lld: a %s is not finite (rate %g); a smaller train.lr or train.clip may help",
                  (long long)j->cell->seed, (long long)j->at.epoch + 1, (long long)step + 1, what, dor_schedule_rate(&j->schedule, (uint64_t)step));
}

static dor_status take_losses(void *to, const double mean[])
{
  job *j = to;
  const dor_pose_losses l = dor_pose_losses_of(j->t, mean);
  if (!isfinite(l.loss)) return refuse_numbers(j, "loss", j->read);
  j->at.loss_sum += l.loss, j->at.part_sum[PUSH] += l.push, j->at.part_sum[PULL] += l.pull;
  for (int32_t k = 0; k < j->t->n_maps; k++) j->at.part_sum[HEAT + k] += l.heat[k];
  j->read++;
  return DOR_OK;
}

static dor_status check_gradient(job *j)
{
  dor_replica *r = &j->t->replica;
  if (r->net->scale_offset) return DOR_OK; /* one that overflows is left out */
  DOR_TRY(dor_store_pull(&r->store, DOR_GRAD));
  if (dor_finite_all(r->store.host[DOR_GRAD], r->net->params.param_bytes / sizeof(float))) return DOR_OK;
  return refuse_numbers(j, "gradient", j->read - 1);
}

static dor_status step(job *j)
{
  const dor_replica *r = &j->t->replica;
  const double rate = dor_schedule_rate(&j->schedule, (uint64_t)j->at.step);
  dor_step s = {.seed = j->seed, .step = (uint64_t)j->at.step, .lr = (float)rate, .grad_scale = 1.0f / (float)r->net->parts};
  dor_pose_batch b;
  DOR_TRY(dor_pose_loader_next(j->loader, &b));
  if (!r->open) j->read = j->at.step;
  DOR_TRY(dor_pose_accumulate(j->t, &b, &s, take_losses, j));
  if (!r->open) DOR_TRY(check_gradient(j));
  dor_instance_run(r->update, &s);
  j->at.last_lr = rate;
  j->at.step++, j->at.batch++;
  return DOR_OK;
}

/* ---- epochs ---- */

static void write_row(job *j, double loss, double ap)
{
  const double n = (double)j->at.batch;
  dor_csv_put_int(&j->csv, j->at.epoch + 1, false);
  dor_csv_put_int(&j->csv, j->at.step, false);
  dor_csv_put_real(&j->csv, loss, false);
  dor_csv_put_real(&j->csv, j->at.last_lr, false);
  for (int32_t k = 0; k < j->t->n_maps; k++) dor_csv_put_real(&j->csv, j->at.part_sum[HEAT + k] / n, false);
  dor_csv_put_real(&j->csv, j->at.part_sum[PUSH] / n, false);
  dor_csv_put_real(&j->csv, j->at.part_sum[PULL] / n, false);
  dor_csv_put_real(&j->csv, ap, true);
}

static void tell_epoch(job *j, double loss, double ap)
{
  char line[256], val[32] = "";
  const double now = dor_clock_s();
  if (!isnan(ap)) snprintf(val, sizeof val, " AP %.3f", ap);
  snprintf(line, sizeof line, "%.64s seed %lld epoch %lld/%lld loss %.6f%s", j->plan->net.name, (long long)j->cell->seed, (long long)j->at.epoch,
           (long long)j->plan->train.epochs, loss, val);
  dor_str_fmt(&j->log, "%s %.3f s\n", line, now - j->epoch_s);
  flush_log(j);
  j->epoch_s = now;
  j->watch->epoch(j->watch->to, j->cell, line);
}

static dor_status end_epoch(job *j)
{
  dor_replica *r = &j->t->replica;
  if (r->open) DOR_TRY(dor_replica_read(r, take_losses, j));
  DOR_TRY(dor_replica_pull(r));
  if (dor_replica_scale_lost(r)) return refuse_numbers(j, "gradient", j->at.step - 1);
  const double loss = j->at.loss_sum / (double)j->at.batch;
  const int64_t every = j->plan->pose.every;
  dor_pose_figures f = {.value = {NAN}};
  if (!dor_finite_all(r->param, r->net->params.param_bytes / sizeof(float)) ||
      !dor_finite_all(r->store.host[DOR_STATE], r->net->params.state_bytes / sizeof(float)))
    return refuse_numbers(j, "weight", j->at.step - 1);
  if (every && (j->at.epoch + 1) % every == 0) DOR_TRY(dor_pose_validate(j->study, j->t, 0, &f, NULL));
  write_row(j, loss, f.value[DOR_KP_AP]);
  j->at.epoch++, j->at.batch = 0, j->at.loss_sum = 0;
  memset(j->at.part_sum, 0, sizeof j->at.part_sum);
  tell_epoch(j, loss, f.value[DOR_KP_AP]);
  return dor_str_status(&j->csv);
}

static dor_status save(job *j)
{
  j->saved_s = dor_clock_s();
  return dor_resume_save(&j->resume);
}

/* A stop request saves and leaves; a full disk at a periodic save is only a warning: the old checkpoint stands. */
static dor_status after_step(job *j)
{
  if (j->watch->stop(j->watch->to)) {
    DOR_TRY(save(j));
    return DOR_FAIL(STOPPED, "stopped on request; run again to go on");
  }
  if (dor_clock_s() - j->saved_s < j->plan->train.checkpoint_s) return DOR_OK;
  dor_status s = save(j);
  if (s == DOR_E_IO) return dor_warn("checkpoint not written: %s", dor_errmsg()), DOR_OK;
  return s;
}

static dor_status train(job *j)
{
  const int64_t batches = dor_pose_loader_batches(j->loader);
  DOR_TRY(dor_pose_loader_seek(j->loader, j->at.epoch, j->at.batch));
  while (j->at.epoch < j->plan->train.epochs) {
    DOR_TRY(step(j));
    if (j->at.batch == batches) DOR_TRY(end_epoch(j));
    if (!j->t->replica.open) DOR_TRY(after_step(j));
  }
  return DOR_OK;
}

/* ---- the end ---- */

/* What the weights were trained on, without ids or paths. */
static dor_status write_weights(job *j)
{
  const dor_params *p = &j->t->net.params;
  const dor_pose_plan *plan = j->plan;
  char stamp[32], trained[32], seed[32];
  dor_str joints = {0};
  dor_tensor *t = dor_arena_alloc(&j->arena, ((size_t)p->n + 1) * sizeof *t);
  DOR_NEED(t, NOMEM, "no memory for weights");
  for (int32_t i = 0; i < plan->keypoints.k; i++) dor_str_fmt(&joints, "%s%s", i ? "," : "", plan->keypoints.joint[i]);
  snprintf(trained, sizeof trained, "%d", j->study->set.n);
  snprintf(seed, sizeof seed, "%lld", (long long)j->cell->seed);
  dor_pose_stamps(j->study, stamp);
  const dor_weights_record r = {.version = DOR_VERSION, .experiment = plan->top.experiment, .arm = plan->net.name, .cell = j->cell->hash,
                                .config = j->cell->config_hash, .data = j->study->train.about, .data_sha256 = j->study->sha256,
                                .data_license = j->study->train.license, .trained_on = trained, .unit = "picture", .seed = seed,
                                .keypoints = joints.s, .stamp = stamp, .seen = j->study->seen, .began_with = j->study->first.line,
                                .began_sha256 = j->study->first.sha256};
  dor_meta meta[DOR_WEIGHTS_META];
  const int32_t n = dor_weights_record_meta(&r, meta);
  dor_status s = dor_str_status(&joints);
  if (!s) s = dor_weights_collect(&j->arena, p, "", j->t->replica.param, j->t->replica.store.host[DOR_STATE], t);
  if (!s) s = dor_tensors_write(file_of(j, "best.safetensors"), p->n, t, n, meta);
  dor_str_release(&joints);
  return s;
}

static dor_status write_figures(job *j, const dor_pose_figures *f)
{
  char stamps[32];
  dor_str s = {0};
  dor_str_add(&s, "metric,value,ci_lo,ci_hi,images,people,found,stamp\n");
  for (int i = 0; i < j->study->rules.n; i++) {
    dor_csv_put(&s, j->study->rules.figure[i].name, false);
    dor_csv_put_real(&s, f->value[i], false);
    dor_csv_put_real(&s, f->interval[i].lo, false);
    dor_csv_put_real(&s, f->interval[i].hi, false);
    dor_csv_put_int(&s, f->images, false);
    dor_csv_put_int(&s, f->people, false);
    dor_csv_put_int(&s, f->found, false);
    dor_csv_put(&s, dor_pose_stamps(j->study, stamps), true);
  }
  dor_status status = write_text(j, "ap.csv", &s);
  dor_str_release(&s);
  return status;
}

static dor_status validate(job *j)
{
  dor_pose_figures f;
  dor_str results = {0};
  dor_status s = dor_pose_validate(j->study, j->t, j->plan->top.bootstrap, &f, &results);
  if (!s) s = write_text(j, "results.json", &results);
  if (!s) s = write_figures(j, &f);
  dor_str_release(&results);
  return s;
}

static dor_status write_cell(job *j)
{
  const dor_cell *c = j->cell;
  dor_str s = {0};
  dor_str_fmt(&s, "{\"schema\": 1,\n \"hash\": \"%s\",\n \"code_version\": %s,\n \"config\": \"%s\",\n \"data\": \"%s\",\n", c->hash, DOR_NUMERICS,
              c->config_hash, j->study->sha256);
  dor_str_fmt(&s, " \"pictures\": %d, \"parameters\": %lld, \"epochs\": %lld}\n", j->study->set.n, (long long)c->parameters,
              (long long)j->plan->train.epochs);
  dor_status status = write_text(j, "cell.json", &s);
  dor_str_release(&s);
  return status;
}

static dor_status finish(job *j)
{
  const char *checkpoint = file_of(j, "resume.ckpt");
  DOR_NEED(checkpoint, NOMEM, "no memory for a path");
  dor_io_gather();
  dor_status s = write_text(j, "train.csv", &j->csv);
  if (!s) s = write_weights(j);
  if (!s) s = validate(j);
  DOR_TRY(dor_io_settle(s));
  DOR_TRY(write_cell(j));
  return dor_io_remove(checkpoint);
}

/* ---- the cell ---- */

/* A damaged checkpoint is worth a warning, not an end: the cell starts afresh. */
static dor_status begin(job *j)
{
  dor_status s = dor_resume_load(&j->resume, 1);
  if (!s) return DOR_OK;
  if (s == DOR_E_DATA) dor_warn("%s; the cell starts afresh", dor_errmsg());
  else if (s != DOR_E_NOTFOUND) return s;
  j->at = (dor_position){.best = INFINITY};
  dor_str_clear(&j->csv);
  dor_str_add(&j->csv, "epoch,step,loss,lr,");
  for (int32_t k = 0; k < j->t->n_maps; k++) dor_str_fmt(&j->csv, "heat%d,", k);
  dor_str_add(&j->csv, "push,pull,ap\n");
  DOR_TRY(dor_str_status(&j->csv));
  return dor_replica_init(&j->t->replica, j->seed);
}

static dor_status set_up(job *j)
{
  const dor_pose_plan *p = j->plan;
  const dor_train_cfg *t = &p->train;
  dor_pose_loader_cfg c = {.set = &j->study->set, .augment = &p->augment, .seed = j->seed, .batch = j->t->net.batch, .threads = (int32_t)p->pose.loaders,
                           .drop_last = t->last == DOR_LAST_DROP, .input = (int32_t)p->pose.input, .n_scales = j->t->n_maps,
                           .people = (int32_t)p->pose.people};
  memcpy(c.map, j->t->map, sizeof c.map);
  j->cell->peak_mib += (double)dor_pose_loader_bytes(&c) / 1048576;
  DOR_TRY(dor_pose_loader_new(&j->loader, &c));
  j->schedule = (dor_schedule_cfg){.rule = (dor_schedule_rule)t->schedule, .lr = t->lr, .gamma = t->gamma, .floor = t->floor, .n_at = t->at.n, .at = t->at.v,
                                   .every = t->every, .warmup_epochs = t->warmup, .epochs = t->epochs,
                                   .steps_per_epoch = dor_pose_loader_batches(j->loader)};
  j->resume = (dor_resume){.cell = j->cell, .data_hash = j->study->sha256, .path = file_of(j, "resume.ckpt"), .replica = &j->t->replica, .at = &j->at,
                           .csv = &j->csv};
  DOR_NEED(j->resume.path, NOMEM, "no memory for a path");
  return dor_io_mkdirs(j->folder);
}

static dor_status run(job *j)
{
  DOR_TRY(set_up(j));
  DOR_TRY(begin(j));
  const double start = j->saved_s = j->epoch_s = dor_clock_s();
  DOR_TRY(train(j));
  j->cell->train_seconds = dor_clock_s() - start;
  return finish(j);
}

dor_status dor_pose_cell_run(const dor_pose_study *s, dor_cell *c, const char *run_folder, dor_pose_trainer *t, const dor_cell_watch *w)
{
  const double start = dor_clock_s();
  job j = {.study = s, .plan = s->plan, .cell = c, .t = t, .watch = w, .seed = dor_loop_seed(c->seed, 0, 0)};
  c->peak_mib = (double)dor_pose_trainer_bytes(t) / 1048576;
  c->parameters = dor_params_count(&t->net.params, false);
  j.folder = dor_path_join(&j.arena, run_folder, c->path);
  dor_status status = j.folder ? run(&j) : DOR_FAIL(NOMEM, "no memory for a path");
  c->seconds = dor_clock_s() - start;
  c->done = !status;
  flush_log(&j);
  dor_pose_loader_free(j.loader);
  dor_str_release(&j.csv);
  dor_str_release(&j.log);
  dor_arena_release(&j.arena);
  return status;
}
