/* SPDX-License-Identifier: Apache-2.0
 *
 * One cell of a pose experiment: a seed, trained from its first step or from
 * resume.ckpt to its last epoch, then validated. Its folder holds train.csv,
 * best.safetensors (the weights of the last epoch), results.json (COCO), ap.csv. */
#ifndef DOR_TRAIN_POSE_CELL_H
#define DOR_TRAIN_POSE_CELL_H

#include "train/cell.h"
#include "train/pose_validate.h"

/* One cell for each seed, with paths and hashes; in `a`. */
DOR_MUST dor_status dor_pose_cells_list(dor_arena *a, const dor_pose_study *s, dor_cell **out, int32_t *n);

/* errors STOPPED after a checkpoint; NUMERIC, IO, DATA, CONFIG (a checkpoint of another config, data or code) */
DOR_MUST dor_status dor_pose_cell_run(const dor_pose_study *s, dor_cell *c, const char *run, dor_pose_trainer *t, const dor_cell_watch *w);

#endif
