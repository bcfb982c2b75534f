/* SPDX-License-Identifier: Apache-2.0
 *
 * The groups of an experiment config that have a fixed schema, as one list:
 * loading, saving, help and configs/base.cfg all walk it. inputs, nets and arms
 * are named groups and stand in arm.c and experiment.c. */
#ifndef DOR_TRAIN_SETTINGS_H
#define DOR_TRAIN_SETTINGS_H

#include "train/experiment.h"

typedef struct dor_settings {
  dor_top_cfg top;
  dor_target_cfg target;
  dor_split_cfg split;
  dor_train_cfg train;
  dor_score_cfg score;
  dor_augment_cfg augment;
  dor_compare_cfg compare;
  dor_cpu_cfg cpu;
  dor_cuda_cfg cuda;
} dor_settings;

/* Defaults, then what the tree says. inputs, nets and arms are passed over; any other key that is not in the list is refused. */
DOR_MUST dor_status dor_settings_load(dor_arena *a, const dor_tree *root, dor_settings *s);
DOR_MUST dor_status dor_settings_save(dor_arena *a, const dor_settings *s, dor_tree *root);

/* May an arm say it? skip, title, use, fusion, net, inputs, nets, and the groups that are about one arm. */
DOR_MUST dor_status dor_settings_arm_keys(const dor_tree *arm);

#endif
