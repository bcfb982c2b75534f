/* SPDX-License-Identifier: Apache-2.0
 *
 * The training loop of one branch in one cell. All its state is here and in the
 * replica's blocks, so that a checkpoint of both goes on bit for bit. A step
 * allocates nothing and takes no lock. */
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
  dor_str *csv;               /* train.csv, a line an epoch */
  dor_status (*on_step)(void *to, struct dor_loop *l);  /* at a place where a checkpoint may be taken */
  void (*on_epoch)(void *to, const struct dor_loop *l, double loss, double inner_loss); /* inner_loss NaN when there is none */
  void *to;
} dor_loop;

/* The seed of a cell's weights and shuffling: of the experiment's seed, the repeat and the fold. */
uint64_t dor_loop_seed(int64_t seed, int32_t repeat, int32_t fold);

bool dor_finite_all(const float *x, size_t n);

/* A fresh start: position 0, weights drawn. The loaders stand at the position in `at` when the loop goes on. */
DOR_MUST dor_status dor_loop_begin(dor_loop *l);
/* Train to the end. errors NUMERIC naming epoch, step and rate; whatever on_step returns */
DOR_MUST dor_status dor_loop_run(dor_loop *l);

/* logits [n, n_out] of a loader's n samples in order (train = false), from its first batch. */
DOR_MUST dor_status dor_loop_logits(const dor_replica *r, dor_loader *l, float *logits);
/* One training step on the next batch, for timing; on a device it is only enqueued. */
DOR_MUST dor_status dor_loop_step(dor_loop *l);

#endif
