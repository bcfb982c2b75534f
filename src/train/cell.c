/* SPDX-License-Identifier: Apache-2.0
 *
 * Cells that train together, most often one, from the first step, or from resume.ckpt, to their folders: training,
 * weights, out-of-fold predictions pooled by unit, and cell.json at the end, which alone says that a cell is done. */
#include "train/cell.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/csv.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/version.h"
#include "train/resume.h"
#include "weights/weights.h"

typedef struct job { /* a cell while it runs */
  const dor_study *study;
  const dor_study_arm *sa;
  dor_cell *cell;
  const char *folder;        /* of the cell */
  dor_arena arena;
  dor_replica *replica;
  dor_role *role;
  dor_cell_data *data;       /* [branches] */
  dor_position *at;          /* [branches] */
  dor_resume resume;
  int32_t from;              /* the branch to begin with */
  bool resumed;              /* in its middle */
  dor_str csv, log, clips;
  double saved_s, logged_s, epoch_s;
  double *prob;              /* [units, n_out] pooled, summed over branches */
  int32_t *n_clips;          /* [units] */
  int32_t n_tensors, failed_saves; /* the latter: one after the other */
  dor_tensor *last, *best;
  const dor_loop *loop;      /* while it trains */
  dor_loader *train, *inner; /* of the branch that trains */
  float *logits;             /* of the branch that predicts, and how many are there */
  size_t n_logits;
  bool prefetch;
  const dor_cell_watch *watch;
} job;

typedef struct team { /* cells that train together */
  int32_t n;
  job *j;
  const dor_cell_watch *watch;
} team;

static const char *file_of(job *j, const char *name) { return dor_path_join(&j->arena, j->folder, name); }

/* ---- while it trains ---- */

static void flush_log(job *j)
{
  const char *path = file_of(j, "log.txt");
  if (path && j->log.n && dor_io_append(path, j->log.s, j->log.n)) dor_warn("log.txt: %s", dor_errmsg()); /* a full disk does not stop training */
  dor_str_clear(&j->log);
  j->logged_s = dor_clock_s();
}

static dor_status save(job *j)
{
  j->at[j->resume.branch] = j->loop->at;
  j->saved_s = dor_clock_s();
  flush_log(j);
  return dor_resume_save(&j->resume);
}

enum { MOST_FAILED_SAVES = 3 };

/* A full disk at a periodic save is a warning, for the old checkpoint stands; three times in a row it is an end. */
static dor_status save_in_time(job *j)
{
  if (dor_clock_s() - j->saved_s < j->sa->arm->train.checkpoint_s) return DOR_OK;
  dor_status s = save(j);
  j->failed_saves = s ? j->failed_saves + 1 : 0;
  if (s != DOR_E_IO || j->failed_saves >= MOST_FAILED_SAVES) return s;
  dor_warn("checkpoint not written: %s", dor_errmsg());
  return DOR_OK;
}

/* A stop request saves all and leaves. */
static dor_status after_step(void *to)
{
  team *t = to;
  const bool stop = t->watch->stop(t->watch->to);
  dor_status first = DOR_OK;
  for (int32_t z = 0; z < t->n; z++) {
    if (!t->j[z].loop) continue;
    dor_status s = stop ? save(&t->j[z]) : save_in_time(&t->j[z]);
    first = first ? first : s;
  }
  DOR_TRY(first);
  return stop ? DOR_FAIL(STOPPED, "stopped on request; run again to go on") : DOR_OK;
}

static void after_epoch(void *to, const dor_loop *l, double loss, double inner)
{
  job *j = to;
  const dor_cell *c = j->cell;
  char line[256], val[48] = "", branch[80] = "";
  double now = dor_clock_s();
  if (!isnan(inner)) snprintf(val, sizeof val, " val %.4f%s", inner, l->at.since_best ? "" : " *");
  if (*l->branch->name) snprintf(branch, sizeof branch, " %.64s", l->branch->name);
  snprintf(line, sizeof line, "%.64s%s seed %lld repeat %d fold %d epoch %lld/%lld loss %.4f%s", j->sa->arm->name, branch, (long long)c->seed,
           c->repeat + 1, c->fold + 1, (long long)l->at.epoch, (long long)j->sa->arm->train.epochs, loss, val);
  dor_str_fmt(&j->log, "%s %.3f s\n", line, now - j->epoch_s);
  if (now - j->logged_s > 1) flush_log(j);
  j->epoch_s = now;
  j->watch->epoch(j->watch->to, c, line);
}

/* ---- one branch ---- */

/* Branches trained one by one differ in their weights and order too. */
static uint64_t branch_seed(const job *j, int32_t k)
{
  uint64_t seed = dor_loop_seed(j->cell->seed, j->cell->repeat, j->cell->fold);
  const char *name = j->sa->branch[k].name;
  return *name ? dor_rng_key(seed, dor_hash_name(name)) : seed;
}

static dor_schedule_cfg schedule_of(const dor_train_cfg *t, int64_t batches)
{
  return (dor_schedule_cfg){.rule = (dor_schedule_rule)t->schedule, .lr = t->lr, .gamma = t->gamma, .floor = t->floor, .n_at = t->at.n, .at = t->at.v,
                            .every = t->every, .warmup_epochs = t->warmup, .epochs = t->epochs, .steps_per_epoch = batches};
}

static bool any_image(const dor_branch *b)
{
  bool image = false;
  for (int32_t j = 0; j < b->n_slots; j++) image = image || b->slot[j].source[0]->image;
  return image;
}

static dor_status new_loader(const job *j, const dor_branch *b, const dor_cell_data *d, const dor_cell_part *part, bool train, dor_loader **out)
{
  const dor_arm *arm = j->sa->arm;
  dor_loader_cfg c = {.slot = d->slot, .n_slots = b->n_slots, .sample = part->sample, .n = part->n, .train = train,
                      .batch = train ? b->net.batch : b->net.eval_batch, .drop_last = train && arm->train.last == DOR_LAST_DROP,
                      .seed = branch_seed(j, (int32_t)(b - j->sa->branch)), .augment = train ? &arm->augment : NULL};
  return dor_loader_new(out, &c, train && j->prefetch && any_image(b));
}

static dor_status begin_branch(job *j, int32_t k, dor_loop *l)
{
  const dor_branch *b = &j->sa->branch[k];
  const dor_cell_data *d = &j->data[k];
  j->resume.branch = k;
  DOR_TRY(new_loader(j, b, d, &d->train, true, &j->train));
  if (d->inner.n) DOR_TRY(new_loader(j, b, d, &d->inner, false, &j->inner));
  *l = (dor_loop){.arm = j->sa, .branch = b, .replica = &j->replica[k], .train = j->train, .inner = j->inner, .seed = branch_seed(j, k),
                  .schedule = schedule_of(&j->sa->arm->train, dor_loader_batches(j->train)), .csv = &j->csv, .on_epoch = after_epoch, .to = j};
  if (!j->resumed || k > j->from) return dor_loop_begin(l);
  l->at = j->at[k];
  return DOR_OK;
}

/* Of all cells that are not past it. */
static dor_status train_loops(team *t, int32_t k, dor_loop l[])
{
  int32_t n = 0;
  for (int32_t z = 0; z < t->n; z++) {
    if (k < t->j[z].from) continue;
    DOR_TRY(begin_branch(&t->j[z], k, &l[n]));
    t->j[z].loop = &l[n++];
  }
  if (n) DOR_TRY(dor_loop_run(n, l, after_step, t));
  for (int32_t z = 0; z < t->n; z++)
    if (t->j[z].loop) t->j[z].at[k] = t->j[z].loop->at;
  return DOR_OK;
}

static dor_status train_branch(team *t, int32_t k)
{
  dor_loop *l = dor_calloc((size_t)t->n, sizeof *l);
  dor_status s = l ? train_loops(t, k, l) : DOR_FAIL(NOMEM, "no memory for %d cells", t->n);
  for (int32_t z = 0; z < t->n; z++) {
    job *j = &t->j[z];
    dor_loader_free(j->train);
    dor_loader_free(j->inner);
    j->train = j->inner = NULL, j->loop = NULL;
  }
  dor_free(l);
  return s;
}

/* ---- predictions ---- */

static bool pools_logits(const job *j, const dor_branch *b)
{
  int pool = j->sa->arm->score.pool;
  bool silhouettes = false;
  for (int32_t k = 0; k < b->n_inputs; k++) silhouettes = silhouettes || !strcmp(b->input[k]->source.from, "silhouettes");
  return pool == DOR_POOL_MEAN_LOGIT || (pool == DOR_POOL_AUTO && silhouettes);
}

static void softmax(int32_t n, double *x)
{
  double top = x[0], sum = 0;
  for (int32_t c = 1; c < n; c++) top = fmax(top, x[c]);
  for (int32_t c = 0; c < n; c++) sum += x[c] = exp(x[c] - top);
  for (int32_t c = 0; c < n; c++) x[c] /= sum;
}

static void write_clip(job *j, const dor_branch *b, const dor_sample *s, const double *p)
{
  const dor_roster *r = j->sa->roster;
  int32_t n = b->net.n_out;
  dor_csv_put(&j->clips, r->units.id[s->unit], false);
  dor_csv_put(&j->clips, b->input[s->source]->name, false);
  dor_csv_put_int(&j->clips, s->row[0] + 1, false);
  for (int32_t c = 0; c < n; c++) dor_csv_put_real(&j->clips, p[c], c == n - 1);
}

/* Samples of a unit stand together; its pooled probabilities (or values) are added to the cell's sum over branches. */
static void pool_units(job *j, const dor_branch *b, const dor_cell_part *test, const float *logits)
{
  const int32_t n = b->net.n_out;
  const bool by_logit = pools_logits(j, b);
  double p[64], mean[64];
  for (int32_t i = 0; i < test->n;) {
    int32_t unit = test->sample[i].unit, count = 0;
    memset(mean, 0, sizeof mean);
    for (; i < test->n && test->sample[i].unit == unit; i++, count++) {
      for (int32_t c = 0; c < n; c++) p[c] = (double)logits[(size_t)i * (size_t)n + (size_t)c];
      for (int32_t c = 0; c < n && by_logit; c++) mean[c] += p[c];
      if (n > 1) softmax(n, p);
      for (int32_t c = 0; c < n && !by_logit; c++) mean[c] += p[c];
      write_clip(j, b, &test->sample[i], p);
    }
    for (int32_t c = 0; c < n; c++) mean[c] /= count;
    if (by_logit && n > 1) softmax(n, mean);
    for (int32_t c = 0; c < n; c++) j->prob[(size_t)unit * (size_t)n + (size_t)c] += mean[c] / j->sa->n_branches;
    j->n_clips[unit] += count;
  }
}

static dor_status take_logits(void *to, const dor_batch *b, const float *logits)
{
  job *j = to;
  const size_t n = (size_t)b->n_real * (size_t)j->sa->branch[0].net.n_out;
  memcpy(j->logits + j->n_logits, logits, n * sizeof *logits);
  j->n_logits += n;
  return DOR_OK;
}

static dor_status take_predictions(job *j, int32_t k)
{
  for (size_t i = 0; i < j->n_logits; i++)
    DOR_NEED(isfinite(j->logits[i]), NUMERIC, "arm '%s': a prediction is not finite", j->sa->arm->name);
  pool_units(j, &j->sa->branch[k], &j->data[k].test, j->logits);
  return DOR_OK;
}

static dor_status predict(team *t, int32_t k, dor_evaluated e[])
{
  for (int32_t z = 0; z < t->n; z++) {
    job *j = &t->j[z];
    const dor_branch *b = &j->sa->branch[k];
    const dor_cell_part *test = &j->data[k].test;
    j->n_logits = 0;
    j->logits = dor_calloc((size_t)test->n * (size_t)b->net.n_out, sizeof *j->logits);
    DOR_NEED(j->logits, NOMEM, "no memory for %d predictions", test->n);
    DOR_TRY(new_loader(j, b, &j->data[k], test, false, &j->train));
    e[z] = (dor_evaluated){.replica = &j->replica[k], .loader = j->train, .take = take_logits, .to = j};
  }
  DOR_TRY(dor_loop_evaluate(t->n, e));
  for (int32_t z = 0; z < t->n; z++) DOR_TRY(take_predictions(&t->j[z], k));
  return DOR_OK;
}

static dor_status predict_branch(team *t, int32_t k)
{
  dor_evaluated *e = dor_calloc((size_t)t->n, sizeof *e);
  dor_status s = e ? predict(t, k, e) : DOR_FAIL(NOMEM, "no memory for %d cells", t->n);
  for (int32_t z = 0; z < t->n; z++) {
    dor_loader_free(t->j[z].train);
    dor_free(t->j[z].logits);
    t->j[z].train = NULL, t->j[z].logits = NULL;
  }
  dor_free(e);
  return s;
}

/* The last weights are collected, then the best are put in their place for prediction. */
static dor_status take_weights(job *j, int32_t k)
{
  const dor_branch *b = &j->sa->branch[k];
  const dor_params *p = &b->net.params;
  const char *prefix = *b->name ? dor_arena_fmt(&j->arena, "%s.", b->name) : "";
  dor_replica *r = &j->replica[k];
  DOR_NEED(prefix, NOMEM, "no memory for weights");
  DOR_TRY(dor_replica_pull(r));
  DOR_TRY(dor_weights_collect(&j->arena, p, prefix, r->param, r->store.host[DOR_STATE], j->last + j->n_tensors));
  DOR_TRY(dor_replica_take_best(r));
  DOR_TRY(dor_weights_collect(&j->arena, p, prefix, r->param, r->store.host[DOR_STATE], j->best + j->n_tensors));
  j->n_tensors += p->n;
  j->cell->parameters += dor_params_count(p, false);
  return DOR_OK;
}

static dor_status finish_branch(team *t, int32_t k)
{
  for (int32_t z = 0; z < t->n; z++) DOR_TRY(take_weights(&t->j[z], k));
  return predict_branch(t, k);
}

/* ---- the folder ---- */

static const char *stamps(const job *j, char out[64])
{
  const dor_study *s = j->study;
  snprintf(out, 64, "%s%s%s", s->data->synthetic ? "SYNTHETIC " : "", j->sa->roster->clips ? "LEAKS " : "", s->experiment->top.quick ? "QUICK " : "");
  size_t n = strlen(out);
  if (n) out[n - 1] = 0;
  return out;
}

/* What the weights were trained on, without ids or paths. */
static int32_t weight_record(const job *j, dor_meta m[DOR_WEIGHTS_META], char text[4][64])
{
  const dor_study *s = j->study;
  int32_t people = 0;
  for (int32_t u = 0; u < j->sa->roster->n; u++) people += j->role[u] == DOR_ROLE_TRAIN;
  snprintf(text[1], 64, "%d", people);
  snprintf(text[2], 64, "%lld", (long long)j->cell->seed);
  dor_weights_record r = {.version = DOR_VERSION, .experiment = s->experiment->top.experiment, .arm = j->sa->arm->name, .cell = j->cell->hash,
                          .config = j->cell->config_hash, .data = s->data->name, .data_sha256 = s->data->sha256, .data_license = s->data->license,
                          .trained_on = text[1], .unit = dor_study_unit_word(j->sa->roster), .seed = text[2], .stamp = stamps(j, text[0])};
  return dor_weights_record_meta(&r, m);
}

static dor_status write_text(job *j, const char *name, const dor_str *s)
{
  const char *path = file_of(j, name);
  DOR_NEED(path, NOMEM, "no memory for a path");
  DOR_TRY(dor_str_status(s));
  return dor_io_write(path, s->s ? s->s : "", s->n);
}

/* subject_id, p_CLASS..., n_clips: the tested units in order. Decisions and names of arms are added when cells are gathered. */
static dor_status write_predictions(job *j)
{
  const dor_roster *r = j->sa->roster;
  int32_t n = r->n_classes ? r->n_classes : 1;
  dor_str s = {0};
  dor_csv_put(&s, "subject_id", false);
  for (int32_t c = 0; c < n; c++) {
    const char *name = r->n_classes ? dor_arena_fmt(&j->arena, "p_%s", r->class_name[c]) : "y_pred";
    dor_csv_put(&s, name ? name : "", false);
  }
  dor_csv_put(&s, "n_clips", true);
  for (int32_t u = 0; u < r->n; u++) {
    if (j->role[u] != DOR_ROLE_TEST) continue;
    dor_csv_put(&s, r->units.id[u], false);
    for (int32_t c = 0; c < n; c++) dor_csv_put_real(&s, j->prob[(size_t)u * (size_t)n + (size_t)c], false);
    dor_csv_put_int(&s, j->n_clips[u], true);
  }
  dor_status status = write_text(j, "predictions.csv", &s);
  dor_str_release(&s);
  return status;
}

static dor_status write_cell(job *j)
{
  const dor_cell *c = j->cell;
  int32_t count[4] = {0};
  char stamp[64];
  dor_str s = {0};
  for (int32_t u = 0; u < j->sa->roster->n; u++) count[j->role[u]]++;
  dor_str_fmt(&s, "{\"schema\": 1,\n \"hash\": \"%s\",\n \"code_version\": %s,\n \"config\": \"%s\",\n \"data\": \"%s\",\n \"split\": \"%s\",\n", c->hash,
              DOR_NUMERICS, c->config_hash, j->study->data->sha256, c->split_hash);
  dor_str_fmt(&s, " \"n_train\": %d, \"n_inner\": %d, \"n_test\": %d, \"parameters\": %lld,\n \"stamp\": \"%s\",\n \"best_epoch\": [", count[DOR_ROLE_TRAIN],
              count[DOR_ROLE_INNER], count[DOR_ROLE_TEST], (long long)c->parameters, stamps(j, stamp));
  for (int32_t k = 0; k < j->sa->n_branches; k++) dor_str_fmt(&s, "%s%lld", k ? ", " : "", (long long)j->at[k].best_epoch);
  dor_str_add(&s, "]}\n");
  dor_status status = write_text(j, "cell.json", &s);
  dor_str_release(&s);
  return status;
}

static bool several_samples(const job *j)
{
  bool several = false;
  for (int32_t u = 0; u < j->sa->roster->n; u++) several = several || j->n_clips[u] > j->sa->n_branches;
  return several;
}

static dor_status write_results(job *j)
{
  dor_meta meta[DOR_WEIGHTS_META];
  char text[4][64];
  int32_t n = weight_record(j, meta, text);
  DOR_TRY(write_text(j, "train.csv", &j->csv));
  DOR_TRY(dor_tensors_write(file_of(j, "last.safetensors"), j->n_tensors, j->last, n, meta));
  DOR_TRY(dor_tensors_write(file_of(j, "best.safetensors"), j->n_tensors, j->best, n, meta));
  DOR_TRY(write_predictions(j));
  return several_samples(j) ? write_text(j, "clips.csv", &j->clips) : DOR_OK;
}

static dor_status write_folder(job *j)
{
  dor_io_gather();
  DOR_TRY(dor_io_settle(write_results(j)));
  flush_log(j);
  DOR_TRY(write_cell(j));
  return dor_io_remove(file_of(j, "resume.ckpt"));
}

/* ---- the cell ---- */

static dor_status set_up(job *j)
{
  const dor_study_arm *sa = j->sa;
  size_t units = (size_t)sa->roster->n, branches = (size_t)sa->n_branches, params = 0;
  for (int32_t k = 0; k < sa->n_branches; k++) params += (size_t)sa->branch[k].net.params.n;
  j->role = dor_arena_alloc(&j->arena, units * sizeof *j->role);
  j->data = dor_arena_alloc(&j->arena, branches * sizeof *j->data);
  j->at = dor_arena_alloc(&j->arena, branches * sizeof *j->at);
  j->prob = dor_arena_alloc(&j->arena, units * (size_t)sa->branch[0].net.n_out * sizeof *j->prob);
  j->n_clips = dor_arena_alloc(&j->arena, units * sizeof *j->n_clips);
  j->last = dor_arena_alloc(&j->arena, (params + 1) * sizeof *j->last);
  j->best = dor_arena_alloc(&j->arena, (params + 1) * sizeof *j->best);
  DOR_NEED(j->role && j->data && j->at && j->prob && j->n_clips && j->last && j->best, NOMEM, "no memory for a cell");
  DOR_NEED(sa->branch[0].net.n_out <= 64, CONFIG, "target '%s' has %d classes, at most 64 are told apart", sa->roster->target->name, sa->branch[0].net.n_out);
  DOR_TRY(dor_study_roles(sa, j->cell->repeat, j->cell->fold, j->role));
  for (int32_t k = 0; k < sa->n_branches; k++) DOR_TRY(dor_cell_prepare(&j->arena, sa, &sa->branch[k], j->role, &j->data[k]));
  j->resume = (dor_resume){j->cell, j->study->data->sha256, file_of(j, "resume.ckpt"), 0, j->replica, j->at, &j->csv};
  DOR_NEED(j->resume.path, NOMEM, "no memory for a path");
  return dor_io_mkdirs(j->folder);
}

/* A damaged checkpoint is worth a warning, not an end: the cell starts afresh. */
static dor_status begin(job *j)
{
  dor_status s = dor_resume_load(&j->resume, j->sa->n_branches);
  j->resumed = !s;
  if (s == DOR_E_DATA) dor_warn("%s; the cell starts afresh", dor_errmsg());
  if (s == DOR_E_DATA || s == DOR_E_NOTFOUND) s = DOR_OK, j->resume.branch = 0;
  j->from = j->resume.branch;
  if (s || j->resumed) return s;
  dor_str_clear(&j->csv);
  dor_str_add(&j->csv, "epoch,step,loss,lr,val,branch\n");
  return dor_str_status(&j->csv);
}

static dor_status run(team *t)
{
  const int32_t branches = t->j->sa->n_branches;
  for (int32_t z = 0; z < t->n; z++) {
    DOR_TRY(set_up(&t->j[z]));
    DOR_TRY(begin(&t->j[z]));
  }
  const double start = dor_clock_s();
  for (int32_t z = 0; z < t->n; z++) t->j[z].saved_s = t->j[z].logged_s = t->j[z].epoch_s = start;
  for (int32_t k = 0; k < branches; k++) DOR_TRY(train_branch(t, k));
  for (int32_t z = 0; z < t->n; z++) t->j[z].cell->train_seconds = (dor_clock_s() - start) / t->n;
  for (int32_t k = 0; k < branches; k++) DOR_TRY(finish_branch(t, k));
  for (int32_t z = 0; z < t->n; z++) {
    DOR_TRY(write_folder(&t->j[z]));
    t->j[z].cell->done = true;
  }
  return DOR_OK;
}

static dor_status begin_job(job *j, const char *run_folder)
{
  j->cell->parameters = 0;
  j->cell->peak_mib = 0;
  for (int32_t k = 0; k < j->sa->n_branches; k++) {
    j->replica[k].net = &j->sa->branch[k].net;
    j->cell->peak_mib += (double)dor_replica_bytes(&j->sa->branch[k].net) / 1048576;
  }
  j->folder = dor_path_join(&j->arena, run_folder, j->cell->path);
  DOR_NEED(j->folder, NOMEM, "no memory for a path");
  return DOR_OK;
}

static void end_job(job *j)
{
  dor_str_release(&j->csv);
  dor_str_release(&j->log);
  dor_str_release(&j->clips);
  dor_arena_release(&j->arena);
}

dor_status dor_cell_run(const dor_study *s, int32_t n, dor_cell *const c[], const char *run_folder, dor_replica *replica, bool prefetch,
                        const dor_cell_watch *w)
{
  const double start = dor_clock_s();
  team t = {.n = n, .j = dor_calloc((size_t)n, sizeof *t.j), .watch = w};
  dor_status status = DOR_OK;
  DOR_NEED(t.j, NOMEM, "no memory for %d cells", n);
  for (int32_t z = 0; z < n && !status; z++) {
    const dor_study_arm *sa = &s->arm[c[z]->arm];
    t.j[z] = (job){.study = s, .sa = sa, .cell = c[z], .replica = replica + z * sa->n_branches, .prefetch = prefetch, .watch = w};
    status = begin_job(&t.j[z], run_folder);
  }
  if (!status) status = run(&t);
  for (int32_t z = 0; z < n; z++) {
    c[z]->seconds = (dor_clock_s() - start) / n;
    end_job(&t.j[z]);
  }
  dor_free(t.j);
  return status;
}
