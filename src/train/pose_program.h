/* SPDX-License-Identifier: Apache-2.0
 *
 * The programs that train a pose network and the memory they run in. A program
 * is fed bytes, integer paths and joints (dor_pose_batch); it crops the pictures,
 * paints the targets, and goes on to losses and gradients. */
#ifndef DOR_TRAIN_POSE_PROGRAM_H
#define DOR_TRAIN_POSE_PROGRAM_H

#include "data/pose_loader.h"
#include "nn/pose_net.h"
#include "train/network.h"
#include "train/pose_plan.h"

typedef struct dor_pose_feeds { /* a program's inputs */
  dor_val picture, mask, size, path, path_map[DOR_POSE_SCALES], joint[DOR_POSE_SCALES], tag;
} dor_pose_feeds;

typedef struct dor_pose_trainer {
  dor_network net;              /* eval stays NULL: validation has its own programs (pose/infer.h) */
  dor_replica replica;
  dor_pose_feeds feeds[2];      /* of first, more */
  int32_t n_maps, map[DOR_POSE_SCALES]; /* sides of the outputs */
  size_t rows;                  /* pictures of one part */
  size_t picture, mask, path, path_map[DOR_POSE_SCALES], joint, tag; /* numbers of one picture */
} dor_pose_trainer; /* zero-initialised is releasable */

typedef struct dor_pose_losses { double loss, heat[DOR_POSE_SCALES], push, pull; } dor_pose_losses; /* means over the batch */

/* For pictures of `set`'s size; backend NULL: the CPU. errors CONFIG: the net has another number of joints; SHAPE, UNSUPPORTED, NOMEM */
DOR_MUST dor_status dor_pose_trainer_make(dor_pose_trainer *t, const dor_pose_plan *p, const dor_pose_set *set, const dor_backend *backend);
void dor_pose_trainer_release(dor_pose_trainer *t);
size_t dor_pose_trainer_bytes(const dor_pose_trainer *t);

/* Gradients of a batch, in its parts; `each` gets the losses of a step when they are known (dor_replica_read), for
 * dor_pose_losses_of to take apart. errors those of dor_replica_read */
DOR_MUST dor_status dor_pose_accumulate(dor_pose_trainer *t, const dor_pose_batch *b, const dor_step *step, dor_reading *each, void *to);
dor_pose_losses dor_pose_losses_of(const dor_pose_trainer *t, const double mean[]);

#endif
