/* SPDX-License-Identifier: Apache-2.0
 *
 * When every cell is done: predictions.csv and clips.csv of all cells and
 * baselines in one fixed order, and cost.csv. */
#ifndef DOR_TRAIN_GATHER_H
#define DOR_TRAIN_GATHER_H

#include "train/cell.h"

/* errors DATA: a cell's predictions.csv does not fit its folds */
DOR_MUST dor_status dor_gather(const dor_study *s, const dor_cell *cells, int32_t n, const char *folder);

/* Seconds and peak memory of cells, kept in private/cost.csv while cells finish one by one. */
DOR_MUST dor_status dor_cost_note(const char *folder, const dor_cell *c);
void dor_cost_read(const char *folder, dor_cell *cells, int32_t n); /* fills seconds and peak_mib where noted */

#endif
