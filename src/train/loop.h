/* SPDX-License-Identifier: Apache-2.0
 *
 * The training loop of one branch in one cell, or of as many cells as are a fleet: a loop each, driven together, epoch by epoch.
 * All of a loop's state is here and in its replica's blocks, so that a checkpoint of both goes on bit for bit, and what it
 * computes does not depend on its companions: it sits out what they do longer. A step allocates nothing and takes no lock. */
#ifndef DOR_TRAIN_LOOP_H
#define DOR_TRAIN_LOOP_H

#include "data/loader.h"
#include "optim/optim.h"
#include "train/network.h"
#include "train/study.h"

typedef struct dor_position { /* saved in a checkpoint as it stands */
  int64_t epoch, batch;       /* the next to be trained on */
  int64_t step;               /* updates done */
  int64_t best_epoch, since_best, done;
  double loss_sum, best, last_lr;
  double part_sum[8];         /* of the loss's terms, where there are several (pose) */
} dor_position;

typedef struct dor_loop {
  const dor_study_arm *arm;
  const dor_branch *branch;
  dor_replica *replica;
  dor_loader *train, *inner;  /* inner NULL: stop = none */
  uint64_t seed;
  dor_schedule_cfg schedule;
  dor_position at;
  int64_t read;               /* steps whose loss is known: all on the CPU, fewer while a device runs behind */
  int64_t batches;            /* an epoch's; 0 before dor_loop_run */
  dor_batch batch;            /* at hand */
  bool fresh;                 /* it was just read */
  double inner_sum, inner_weight; /* of the inner validation loss at hand */
  dor_str *csv;               /* train.csv, a line an epoch */
  void (*on_epoch)(void *to, const struct dor_loop *l, double loss, double inner_loss); /* inner_loss NaN when there is none */
  void *to;
} dor_loop;

/* The seed of a cell's weights and shuffling: of the experiment's seed, the repeat and the fold. */
uint64_t dor_loop_seed(int64_t seed, int32_t repeat, int32_t fold);

bool dor_finite_all(const float *x, size_t n);

/* A fresh start: position 0, weights drawn. The loaders stand at the position in `at` when the loop goes on. */
DOR_MUST dor_status dor_loop_begin(dor_loop *l);
/* Train n to their ends: one, or loops over replicas 0, 1, ... of a fleet. on_step: at each place where checkpoints may be taken.
 * errors NUMERIC naming epoch, step and rate of the first that fails, which ends all; whatever on_step returns */
DOR_MUST dor_status dor_loop_run(int32_t n, dor_loop l[], dor_status (*on_step)(void *to), void *to);

typedef struct dor_evaluated { /* a replica's answers for all samples of a loader (train = false) in order */
  const dor_replica *replica;
  dor_loader *loader;         /* NULL: nothing is asked of this one */
  dor_status (*take)(void *to, const dor_batch *b, const float *logits); /* [n_real, n_out] of a batch */
  void *to;
  dor_batch batch;
} dor_evaluated;
/* For one, or for replicas 0, 1, ... of a fleet. errors DEVICE; those of take */
DOR_MUST dor_status dor_loop_evaluate(int32_t n, dor_evaluated e[]);
/* One training step on the next batch, for timing; on a device it is only enqueued. */
DOR_MUST dor_status dor_loop_step(dor_loop *l);

#endif
