/* SPDX-License-Identifier: Apache-2.0
 *
 * When every cell is done: predictions.csv and clips.csv of all cells and
 * baselines in one fixed order, and cost.csv. */
#ifndef DOR_TRAIN_GATHER_H
#define DOR_TRAIN_GATHER_H

#include "train/cell.h"
#include "train/record.h"

/* Cells get the costs that were noted. errors DATA: a cell's predictions.csv does not fit its folds */
DOR_MUST dor_status dor_gather(const dor_study *s, dor_cell *cells, int32_t n, const char *folder);

/* Seconds, peak memory and parameters of a finished cell: a line more in cost.csv. */
DOR_MUST dor_status dor_cost_note(const dor_study *study, const dor_cell *c, const char *folder, const dor_marks *m);

#endif
