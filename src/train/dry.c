/* SPDX-License-Identifier: Apache-2.0
 *
 * --dry-run: cells, memory, and the time they will take from one timed step of
 * each arm. Nothing is written. */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "train/device.h"
#include "train/pose_run.h"
#include "train/setup.h"

enum { TIMED = 5 };

typedef struct timing {
  double step_s;
  int64_t steps; /* of one cell */
} timing;

static dor_status whole_step(dor_loop *l)
{
  DOR_TRY(dor_loop_step(l));
  return dor_instance_wait(l->replica->update);
}

static dor_status time_steps(dor_loop *l, double *best)
{
  DOR_TRY(whole_step(l)); /* the first one pages memory in */
  *best = INFINITY;
  for (int i = 0; i < TIMED; i++) {
    double start = dor_clock_s();
    DOR_TRY(whole_step(l));
    *best = fmin(*best, dor_clock_s() - start);
    if (*best > 1) break;
  }
  return DOR_OK;
}

static dor_status time_loaded(const dor_study_arm *sa, const dor_branch *b, dor_arena *a, const dor_role *role, dor_replica *r, timing *t)
{
  dor_cell_data d;
  dor_loader *loader;
  DOR_TRY(dor_cell_prepare(a, sa, b, role, &d));
  dor_loader_cfg c = {.slot = d.slot, .n_slots = b->n_slots, .sample = d.train.sample, .n = d.train.n, .train = true, .batch = b->net.batch,
                      .drop_last = sa->arm->train.last == DOR_LAST_DROP, .augment = &sa->arm->augment};
  DOR_TRY(dor_loader_new(&loader, &c, false));
  dor_loop l = {.arm = sa, .branch = b, .replica = r, .train = loader, .schedule = {.lr = sa->arm->train.lr, .epochs = 1, .steps_per_epoch = 1}};
  t->steps = dor_loader_batches(loader) * sa->arm->train.epochs;
  dor_status s = dor_loop_begin(&l);
  if (!s) s = time_steps(&l, &t->step_s);
  dor_loader_free(loader);
  return s;
}

static dor_status time_branch(const dor_study_arm *sa, const dor_branch *b, timing *t)
{
  dor_arena a = {0};
  dor_replica r = {0};
  dor_role *role = dor_arena_alloc(&a, ((size_t)sa->roster->n + 1) * sizeof *role);
  dor_status s = role ? dor_study_roles(sa, 0, 0, role) : DOR_FAIL(NOMEM, "no memory for a dry run");
  if (!s) s = dor_replica_make(1, (dor_replica *const[]){&r}, &b->net);
  if (!s) s = time_loaded(sa, b, &a, role, &r, t);
  dor_replica_release(&r);
  dor_arena_release(&a);
  return s;
}

/* Those that --arm, --fold and --seed ask for. */
static int32_t cells_of(const dor_study_arm *sa, const dor_run_options *o)
{
  const dor_split *s = &sa->roster->split;
  int32_t seeds = 0, folds = o->fold < 0 ? s->folds : o->fold >= 1 && o->fold <= s->folds;
  for (int32_t i = 0; i < sa->arm->top.seeds.n; i++) seeds += o->seed < 0 || sa->arm->top.seeds.v[i] == o->seed;
  return o->arm && strcmp(o->arm, sa->arm->name) != 0 ? 0 : seeds * s->repeats * folds;
}

/* Evaluation of the inner part is left out of the estimate: it is forward only, on a fifth. */
static dor_status time_arm(dor_setup *u, int32_t i, dor_dry_arm *out)
{
  const dor_study_arm *sa = &u->study.arm[i];
  double cell_s = 0;
  DOR_TRY(dor_study_compile(&u->study, i));
  for (int32_t k = 0; k < sa->n_branches; k++) {
    timing t = {0};
    DOR_TRY(time_branch(sa, &sa->branch[k], &t));
    cell_s += t.step_s * (double)t.steps, out->step_s += t.step_s;
    out->bytes += dor_replica_bytes(&sa->branch[k].net);
    out->parameters += dor_params_count(&sa->branch[k].net.params, false);
  }
  out->name = sa->arm->name;
  out->total_s = cell_s * out->cells;
  return DOR_OK;
}

static dor_status time_arms(dor_setup *u, const dor_run_options *o, dor_arena *a, dor_dry_run *out)
{
  dor_dry_arm *arm = dor_arena_alloc(a, (size_t)u->study.n_arms * sizeof *arm);
  DOR_NEED(arm, NOMEM, "no memory for a dry run");
  out->arm = arm;
  for (int32_t i = 0; i < u->study.n_arms; i++) {
    dor_dry_arm *row = &arm[out->n_arms];
    row->cells = cells_of(&u->study.arm[i], o);
    if (!row->cells) continue;
    DOR_TRY(time_arm(u, i, row));
    out->n_arms++;
    out->cells += row->cells;
    out->instance_bytes = row->bytes > out->instance_bytes ? row->bytes : out->instance_bytes;
    out->step_s = fmax(out->step_s, row->step_s);
    out->total_s += row->total_s;
  }
  return out->cells ? DOR_OK : dor_setup_no_cell(u->experiment, u->study.roster[0].split.folds, o);
}

static size_t frames_bytes(const dor_frames *f, int32_t n)
{
  size_t bytes = 0;
  for (int32_t i = 0; i < n; i++) bytes += (size_t)f[i].n * (size_t)f[i].h * (size_t)f[i].w * (size_t)f[i].c;
  return bytes;
}

static dor_status measure(dor_setup *u, const dor_experiment *e, const dor_run_options *o, dor_arena *a, dor_dry_run *out)
{
  DOR_TRY(dor_setup_data(u, e, NULL));
  DOR_TRY(dor_setup_study(u));
  DOR_TRY(time_arms(u, o, a, out));
  out->threads = (int32_t)e->cpu.threads;
  out->jobs = dor_run_jobs(e, o->jobs);
  if (out->jobs > out->cells) out->jobs = out->cells;
  out->total_s /= out->jobs;
  out->data_bytes = frames_bytes(u->data.silhouettes, u->data.n_silhouettes) + frames_bytes(u->data.images, u->data.n_images);
  out->total_bytes = out->data_bytes + out->instance_bytes * (size_t)out->jobs;
  return DOR_OK;
}

dor_status dor_run_dry(dor_arena *a, const dor_experiment *e, const dor_run_options *o, dor_dry_run *out)
{
  dor_setup u = {0};
  *out = (dor_dry_run){0};
  DOR_TRY(dor_device_ready(e));
  if (e->pose) return dor_pose_run_dry(a, e, o, out);
  dor_status s = measure(&u, e, o, a, out);
  dor_setup_release(&u);
  return s;
}
