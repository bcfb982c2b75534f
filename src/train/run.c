/* SPDX-License-Identifier: Apache-2.0
 *
 * A run: data, study, leakage checks, folder, then workers that take cells from a queue, as many as train at once. Which worker
 * trains which cells, and which of them together, changes nothing but the time it takes. */
#include "train/run.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/version.h"
#include "train/baselines.h"
#include "train/cell.h"
#include "train/device.h"
#include "train/fleets.h"
#include "train/folder.h"
#include "train/gather.h"
#include "train/leakage.h"
#include "train/pose_run.h"
#include "train/record.h"
#include "train/setup.h"

/* ---- stop requests ---- */

static atomic_bool stop;

void dor_stop_request(void) { atomic_store(&stop, true); }

bool dor_stop_requested(void) { return atomic_load(&stop); }

/* ---- workers ---- */

typedef struct crew { /* what workers share; `lock` guards all that changes */
  dor_study *study;
  const dor_run_options *o;
  const char *folder;
  dor_marks marks;
  dor_cell *cell;
  bool *taken;                  /* [n] */
  int32_t *seats;               /* [arms] cells that train at once */
  int32_t n, todo, done, running, jobs;
  int64_t epochs_done, epochs_total;
  double start_s, told_s;
  bool prefetch;
  dor_status status;            /* the first failure */
  char message[2048];
  atomic_bool failed;
  pthread_mutex_t lock;
} crew;

static dor_progress progress_of(const crew *w, const char *line)
{
  dor_progress p = {.cells = w->todo, .done = w->done, .running = w->running, .epochs_done = w->epochs_done, .epochs_total = w->epochs_total,
                    .elapsed_s = dor_clock_s() - w->start_s, .left_s = -1, .line = line};
  if (p.done == p.cells) p.left_s = 0; /* early stopping leaves epochs over */
  else if (p.epochs_done > 0) p.left_s = p.elapsed_s / (double)p.epochs_done * (double)(p.epochs_total - p.epochs_done);
  return p;
}

static void tell(crew *w, const char *line)
{
  dor_progress p = progress_of(w, line);
  if (w->o->progress) w->o->progress(w->o->to, &p);
  if (p.elapsed_s - w->told_s < 5) return;
  w->told_s = p.elapsed_s;
  dor_record_progress(w->folder, &p);
}

static void on_epoch(void *to, const dor_cell *c, const char *line)
{
  crew *w = to;
  (void)c;
  pthread_mutex_lock(&w->lock);
  w->epochs_done++;
  tell(w, line);
  pthread_mutex_unlock(&w->lock);
}

static bool must_stop(void *to)
{
  crew *w = to;
  return dor_stop_requested() || atomic_load_explicit(&w->failed, memory_order_relaxed);
}

static void tell_fleet(crew *w, int32_t n, dor_cell *const c[])
{
  char line[160];
  const dor_study_arm *first = &w->study->arm[c[0]->arm], *last = &w->study->arm[c[n - 1]->arm];
  snprintf(line, sizeof line, "%d cells at once: arm %.40s%s%.40s", n, first->arm->name, first == last ? "" : " to ", first == last ? "" : last->arm->name);
  tell(w, line);
}

static int32_t take_cells(crew *w, dor_cell *c[])
{
  int32_t n = 0;
  pthread_mutex_lock(&w->lock);
  if (!w->status && !dor_stop_requested()) n = dor_fleets_take(w->study, w->n, w->cell, w->taken, w->seats, c);
  w->running += n;
  if (n > 1) tell_fleet(w, n, c);
  pthread_mutex_unlock(&w->lock);
  return n;
}

/* The first failure is kept; cells that stopped because of it do not cover it up. */
static void keep_failure(crew *w, dor_status s)
{
  if (s && (!w->status || w->status == DOR_E_STOPPED)) {
    w->status = s;
    snprintf(w->message, sizeof w->message, "%s", dor_errmsg());
  }
  if (s && s != DOR_E_STOPPED) atomic_store(&w->failed, true);
}

static void finish_cell(crew *w, dor_cell *c, dor_status s)
{
  pthread_mutex_lock(&w->lock);
  w->running--;
  w->done += !s;
  if (!s) s = dor_cost_note(w->study, c, w->folder, &w->marks);
  keep_failure(w, s);
  pthread_mutex_unlock(&w->lock);
}

typedef struct bench { /* a worker's memory: of one arm at a time, for cells stand in order of arms */
  int32_t arm, seats, branches;
  dor_replica *replica;         /* [seats][branches] */
  dor_cell **cell;              /* [seats] that train */
} bench;

static void clear_bench(bench *b)
{
  for (int32_t i = 0; i < b->seats * b->branches && b->replica; i++) dor_replica_release(&b->replica[i]);
  dor_free(b->replica);
  *b = (bench){.arm = -1, .cell = b->cell};
}

static dor_status make_fleet(bench *b, int32_t branch, const dor_network *net)
{
  dor_replica **r = dor_calloc((size_t)b->seats, sizeof(dor_replica *));
  DOR_NEED(r, NOMEM, "no memory for %d cells", b->seats);
  for (int32_t z = 0; z < b->seats; z++) r[z] = &b->replica[z * b->branches + branch];
  dor_status s = dor_replica_make(b->seats, r, net);
  dor_free(r);
  return s;
}

static dor_status seat(bench *b, const dor_study_arm *sa, int32_t arm, int32_t n)
{
  if (b->arm == arm && n <= b->seats) return DOR_OK;
  clear_bench(b);
  b->seats = n, b->branches = sa->n_branches;
  b->replica = dor_calloc((size_t)n * (size_t)sa->n_branches, sizeof *b->replica);
  DOR_NEED(b->replica, NOMEM, "no memory for %d cells", n);
  for (int32_t k = 0; k < sa->n_branches; k++) DOR_TRY(make_fleet(b, k, &sa->branch[k].net));
  b->arm = arm;
  return DOR_OK;
}

/* Those that failed first: what failed is told of them. */
static void finish_cells(crew *w, int32_t n, dor_cell *const c[], dor_status s)
{
  for (int32_t z = 0; z < n; z++)
    if (!c[z]->done) finish_cell(w, c[z], s);
  for (int32_t z = 0; z < n; z++)
    if (c[z]->done) finish_cell(w, c[z], DOR_OK);
}

static void train_all(crew *w, bench *b)
{
  const dor_cell_watch watch = {on_epoch, must_stop, w};
  for (int32_t n; (n = take_cells(w, b->cell));) {
    const int32_t arm = b->cell[0]->arm;
    dor_status s = seat(b, &w->study->arm[arm], arm, n);
    if (!s) s = dor_cell_run(w->study, n, b->cell, w->folder, b->replica, w->prefetch, &watch);
    finish_cells(w, n, b->cell, s);
  }
}

static void *work(void *arg)
{
  crew *w = arg;
  bench b = {.arm = -1, .cell = dor_calloc((size_t)w->n + 1, sizeof(dor_cell *))};
  if (b.cell) train_all(w, &b);
  else {
    pthread_mutex_lock(&w->lock);
    keep_failure(w, DOR_FAIL(NOMEM, "no memory for %d cells", w->n));
    pthread_mutex_unlock(&w->lock);
  }
  clear_bench(&b);
  dor_free(b.cell);
  return NULL;
}

static dor_status run_workers(crew *w)
{
  pthread_t thread[1024];
  int32_t n = 0, want = w->jobs < w->todo ? w->jobs : w->todo;
  if (want <= 1) return work(w), DOR_OK;
  while (n < want && n < 1024 && !pthread_create(&thread[n], NULL, work, w)) n++;
  if (!n) work(w); /* no thread to be had: this one does it all */
  for (int32_t i = 0; i < n; i++) pthread_join(thread[i], NULL);
  return DOR_OK;
}

/* ---- cells ---- */

static bool chosen(const dor_study *s, const dor_run_options *o, const dor_cell *c)
{
  return (!o->arm || !strcmp(o->arm, s->arm[c->arm].arm->name)) && (o->fold < 0 || o->fold == c->fold + 1) && (o->seed < 0 || o->seed == c->seed);
}

static dor_status take_finished(const dor_setup *u, const dor_folder *f, const dor_run_options *o, dor_run_result *out)
{
  dor_arena a = {0};
  const char *const *others;
  int32_t n;
  dor_status s = dor_folder_others(&a, f, u->experiment, o, &others, &n);
  for (int32_t i = 0; i < u->n_cells && !s; i++) {
    dor_cell *c = &u->cell[i];
    s = dor_cell_look(c, f->path);
    for (int32_t k = 0; k < n && !s && !c->done && chosen(&u->study, o, c); k++) {
      s = dor_cell_look(c, others[k]);
      if (s == DOR_E_DATA) s = DOR_OK; /* another run's damage is not ours */
      if (s || !c->done) continue;
      s = dor_cell_copy(c, others[k], f->path);
      c->copied = true;
      out->copied++;
    }
  }
  dor_arena_release(&a);
  return s;
}

/* All arms that are asked for, finished or not: what does not fit is said before the first step. */
static dor_status compile_all(dor_setup *u, const dor_run_options *o)
{
  for (int32_t i = 0; i < u->n_cells; i++)
    if (chosen(&u->study, o, &u->cell[i])) DOR_TRY(dor_study_compile(&u->study, u->cell[i].arm));
  return DOR_OK;
}

int32_t dor_run_jobs(const dor_experiment *e, int32_t asked)
{
  long cores = sysconf(_SC_NPROCESSORS_ONLN);
  if (asked > 0) return asked;
  if (e->backend && e->backend->device) return 1; /* one device: programs side by side would only take each other's memory */
  int32_t jobs = (int32_t)(cores / (long)(e->cpu.threads > 0 ? e->cpu.threads : 1));
  return jobs > 0 ? jobs : 1;
}

/* Fleets of what the device has room for, and no larger than that all workers have one. */
static dor_status set_seats(crew *w)
{
  const dor_experiment *e = w->study->experiment;
  size_t left = 0, all;
  if (e->backend && e->backend->device) DOR_TRY(e->backend->device->memory(&left, &all));
  for (int32_t i = 0; i < w->study->n_arms; i++) {
    const int32_t share = (w->todo + w->jobs - 1) / w->jobs, seats = dor_fleets_seats(&w->study->arm[i], e->cuda.fleet, left / (size_t)w->jobs);
    w->seats[i] = seats < share ? seats : share > 0 ? share : 1;
  }
  return DOR_OK;
}

/* Cells that are finished or not asked for are taken already. */
static dor_status make_queue(crew *w, dor_setup *u, dor_arena *a)
{
  w->taken = dor_arena_alloc(a, (size_t)u->n_cells + 1);
  w->seats = dor_arena_alloc(a, ((size_t)u->study.n_arms + 1) * sizeof *w->seats);
  DOR_NEED(w->taken && w->seats, NOMEM, "no memory for %d cells", u->n_cells);
  for (int32_t i = 0; i < u->n_cells; i++) {
    const dor_cell *c = &u->cell[i];
    w->taken[i] = c->done || !chosen(&u->study, w->o, c);
    if (!w->taken[i]) w->todo++, w->epochs_total += u->study.arm[c->arm].arm->train.epochs * u->study.arm[c->arm].n_branches;
  }
  return set_seats(w);
}

static dor_status train_cells(dor_setup *u, const dor_folder *f, const dor_run_options *o, dor_run_result *out)
{
  dor_arena a = {0};
  crew w = {.study = &u->study, .o = o, .folder = f->path, .cell = u->cell, .n = u->n_cells, .start_s = dor_clock_s(), .told_s = -10,
            .jobs = dor_run_jobs(u->experiment, o->jobs)};
  DOR_TRY(dor_record_marks(&u->study, f->path, &w.marks));
  dor_status queued = make_queue(&w, u, &a);
  if (queued) return dor_arena_release(&a), queued;
  w.prefetch = (w.jobs < w.todo ? w.jobs : w.todo) * (int32_t)u->experiment->cpu.threads < (int32_t)sysconf(_SC_NPROCESSORS_ONLN);
  pthread_mutex_init(&w.lock, NULL);
  dor_status s = run_workers(&w);
  dor_progress last = progress_of(&w, NULL);
  if (w.todo) dor_record_progress(w.folder, &last);
  pthread_mutex_destroy(&w.lock);
  dor_arena_release(&a);
  out->trained = w.done;
  if (!s && !w.status && w.done < w.todo) s = DOR_FAIL(STOPPED, "stopped on request; run again to go on");
  if (w.status) dor_errmsg_set(w.message);
  return s ? s : w.status;
}

/* ---- the run ---- */

static bool all_done(const dor_setup *u)
{
  bool all = true;
  for (int32_t i = 0; i < u->n_cells; i++) all = all && u->cell[i].done;
  return all;
}

static dor_status check_subset(const dor_setup *u, const dor_run_options *o)
{
  bool any = false;
  for (int32_t i = 0; i < u->n_cells; i++) any = any || chosen(&u->study, o, &u->cell[i]);
  return any ? DOR_OK : dor_setup_no_cell(u->experiment, u->study.roster[0].split.folds, o);
}

static dor_status begin(dor_setup *u, const dor_experiment *e, const dor_run_options *o, const char *folder, dor_run_result *out)
{
  dor_marks marks;
  DOR_TRY(dor_setup_data(u, e, folder));
  DOR_TRY(dor_folder_data(folder, u->data.sha256));
  DOR_TRY(dor_setup_study(u));
  out->cells = u->n_cells;
  DOR_TRY(check_subset(u, o));
  DOR_TRY(compile_all(u, o));
  DOR_TRY(dor_record_marks(&u->study, folder, &marks));
  DOR_TRY(dor_leakage_write(&u->leakage, folder, &marks));
  return dor_record_write(&u->study, folder, &marks);
}

static dor_status train_and_gather(dor_setup *u, const dor_folder *f, const dor_run_options *o, dor_run_result *out)
{
  DOR_TRY(take_finished(u, f, o, out));
  DOR_TRY(train_cells(u, f, o, out));
  if (!all_done(u)) return DOR_OK;
  DOR_TRY(dor_gather(&u->study, u->cell, u->n_cells, f->path));
  out->complete = true;
  return DOR_OK;
}

static dor_status open_and_run(dor_setup *u, const dor_experiment *e, const dor_run_options *o, dor_run_result *out)
{
  dor_folder f;
  char identity[DOR_HASH_HEX];
  DOR_TRY(dor_setup_identity(e, identity));
  DOR_TRY(dor_folder_open(&f, e, o, identity));
  snprintf(out->folder, sizeof out->folder, "%s", f.path);
  if (f.done) return out->reused = out->complete = true, dor_setup_finished(e, f.path, o, &out->cells);
  char started[32], message[2048];
  dor_clock_wall(started);
  dor_status s = begin(u, e, o, f.path, out);
  if (s) {
    snprintf(message, sizeof message, "%s", dor_errmsg());
    dor_folder_drop(&f);
    return dor_errmsg_set(message), s;
  }
  s = dor_record_private(e, o, f.path, started, false);
  if (!s) s = train_and_gather(u, &f, o, out);
  if (!s) s = dor_record_private(e, o, f.path, started, true);
  dor_folder_close(&f);
  return s;
}

dor_status dor_run(const dor_experiment *e, const dor_run_options *o, dor_run_result *out)
{
  dor_setup u = {0};
  *out = (dor_run_result){0};
  DOR_TRY(dor_device_ready(e));
  if (e->pose) return dor_pose_run_experiment(e, o, out);
  dor_status s = open_and_run(&u, e, o, out);
  dor_setup_release(&u);
  return s;
}
