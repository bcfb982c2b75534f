/* SPDX-License-Identifier: Apache-2.0
 *
 * A cell: one arm, seed, repeat and fold. It is trained once, in a folder of its
 * own, and is done when cell.json with its hash stands there; the hash covers all
 * it depends on, so that a finished cell can be taken from an earlier run. */
#ifndef DOR_TRAIN_CELL_H
#define DOR_TRAIN_CELL_H

#include "base/hash.h"
#include "train/loop.h"
#include "train/study.h"

typedef struct dor_cell {
  int32_t arm, repeat, fold;    /* from 0 */
  int64_t seed;
  const char *path;             /* "cells/ARM/seed_S/fold_K", numbers from 1 */
  char hash[DOR_HASH_HEX], config_hash[DOR_HASH_HEX], split_hash[DOR_HASH_HEX];
  bool done, copied;
  double seconds, train_seconds; /* all of it; training alone (what a training loop of another program is compared with); < 0: unknown.
                                  * Of cells that train together: its share, so that sums are right */
  double peak_mib;
  int64_t parameters;
} dor_cell;

/* All cells of a study in order of arm, seed, repeat, fold, with paths and hashes; in `a`. */
DOR_MUST dor_status dor_cells_list(dor_arena *a, const dor_study *s, dor_cell **out, int32_t *n);

/* Is it finished in that run folder, with an equal hash? Sets done and parameters. errors DATA: cell.json is no JSON */
DOR_MUST dor_status dor_cell_look(dor_cell *c, const char *run);
/* Take its files from another run folder, cell.json last. */
DOR_MUST dor_status dor_cell_copy(const dor_cell *c, const char *from, const char *to);

/* Where its samples go. */
typedef struct dor_cell_part {
  dor_sample *sample;
  int32_t n;
} dor_cell_part;

typedef struct dor_cell_data { /* of one branch in one cell: everything that may depend on who is trained on */
  dor_slot slot[DOR_MAX_SLOTS];
  dor_scaler scaler[DOR_MAX_SLOTS][DOR_MAX_SLOTS];
  dor_cell_part train, inner, test;
  int32_t *fit_rows[DOR_MAX_SLOTS], n_fit[DOR_MAX_SLOTS]; /* by input: the rows its scaler was fitted on */
} dor_cell_data;
/* Scalers fitted on the training part, samples by role, class weights from the training part. */
DOR_MUST dor_status dor_cell_prepare(dor_arena *a, const dor_study_arm *sa, const dor_branch *b, const dor_role *role, dor_cell_data *out);

typedef struct dor_cell_watch {
  void (*epoch)(void *to, const dor_cell *c, const char *line); /* after each epoch */
  bool (*stop)(void *to);       /* leave after this step? */
  void *to;
} dor_cell_watch;

/* Cells of one arm, or of arms that are alike (fleets.h), train as one fleet; each ends with the files it has alone.
 * Train (or go on from resume.ckpt), predict, write the folders; replicas [cells][branches of the arm] are the worker's: replica z of a
 * branch is model z of its fleet, of which there may be more than cells. Sets done of those that are finished.
 * errors STOPPED after checkpoints; NUMERIC, IO, CONFIG (a checkpoint of another config, data, split or code): of the first that fails */
DOR_MUST dor_status dor_cell_run(const dor_study *s, int32_t n, dor_cell *const c[], const char *run, dor_replica *replica, bool prefetch,
                                 const dor_cell_watch *w);
DOR_MUST dor_status dor_cell_hash_keys(dor_hash *h, const char *label, const dor_key *keys, const void *cfg);

#endif
