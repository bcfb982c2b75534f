/* SPDX-License-Identifier: Apache-2.0
 *
 * `dorsum run`: every cell (arm x seed x fold, and repeat) of an experiment is
 * trained once, by workers side by side, into a run folder (interfaces.md section
 * 3); then predictions are gathered. Cells have their own lock and hash; finished
 * ones are reused. Reports are made from the folder by report/. */
#ifndef DOR_TRAIN_RUN_H
#define DOR_TRAIN_RUN_H

#include "train/experiment.h"

typedef struct dor_progress { /* what a watcher is told; on every epoch and cell */
  int32_t cells, done, running;
  int64_t epochs_done, epochs_total;
  double elapsed_s, left_s;    /* left_s < 0: unknown yet */
  const char *line;            /* one line per epoch, for logs: "backward seed 1 fold 2 epoch 3/60 loss .41 val .44" */
} dor_progress;

typedef struct dor_run_options {
  const char *out;             /* --out; NULL: results/EXPERIMENT/N */
  const char *results;         /* "results" */
  const char *arm;             /* --arm, --fold, --seed: a subset; NULL, -1, -1: all. Folds and repeats count from 1 everywhere people see them */
  int64_t fold, seed;
  int32_t jobs;                /* 0: all cores */
  bool force, dry_run;         /* force: take over a folder whose lock a process on another host left */
  const char *const *argv;     /* for private/ */
  int32_t argc;
  void (*progress)(void *to, const dor_progress *p);
  void *to;
} dor_run_options;

typedef struct dor_run_result {
  char folder[4096];
  bool reused;                 /* it was DONE already */
  bool complete;               /* every cell is done; predictions.csv was written */
  int32_t cells, trained, copied;
} dor_run_result;

/* A stop request (signal handlers call this; async-signal-safe). It stays. */
void dor_stop_request(void);
bool dor_stop_requested(void);

/* errors CONFIG, DATA, LEAK, BUSY (another process), IO, NUMERIC, STOPPED (clean checkpoints written) */
DOR_MUST dor_status dor_run(const dor_experiment *e, const dor_run_options *o, dor_run_result *out);

typedef struct dor_dry_arm {  /* an arm of which some cells are asked for */
  const char *name;            /* the experiment's */
  int32_t cells;
  int64_t parameters;
  size_t bytes;                /* of one worker */
  double step_s, total_s;      /* one timed step; all its cells, one after the other */
} dor_dry_arm;

typedef struct dor_dry_run {  /* --dry-run */
  int32_t n_arms, cells;
  const dor_dry_arm *arm;
  size_t data_bytes, instance_bytes, total_bytes;
  double step_s, total_s;      /* from one timed step per arm */
  int32_t jobs, threads;
} dor_dry_run;
/* The arms lie in `a`. errors as dor_run, but nothing is written */
DOR_MUST dor_status dor_run_dry(dor_arena *a, const dor_experiment *e, const dor_run_options *o, dor_dry_run *out);

#endif
