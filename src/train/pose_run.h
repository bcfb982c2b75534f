/* SPDX-License-Identifier: Apache-2.0
 *
 * `dorsum run` for task = "pose": a cell for each seed, one after the other (each
 * takes cpu.threads), into a run folder; dor_run and dor_run_dry call these. */
#ifndef DOR_TRAIN_POSE_RUN_H
#define DOR_TRAIN_POSE_RUN_H

#include "train/run.h"

/* errors as dor_run */
DOR_MUST dor_status dor_pose_run_experiment(const dor_experiment *e, const dor_run_options *o, dor_run_result *out);
/* errors as dor_run_dry */
DOR_MUST dor_status dor_pose_run_dry(dor_arena *a, const dor_experiment *e, const dor_run_options *o, dor_dry_run *out);

#endif
