/* SPDX-License-Identifier: Apache-2.0
 *
 * Building rosters: from labelled things to units that are analysed, and why
 * the others are not. Used by study.c alone. */
#ifndef DOR_TRAIN_ROSTER_H
#define DOR_TRAIN_ROSTER_H

#include "train/study.h"

/* The labelled things of an arm's target whose class takes part. errors CONFIG: no such target, class or column */
DOR_MUST dor_status dor_roster_make(dor_arena *a, const dor_dataset *d, const dor_arm *arm, dor_roster *r);
/* Leave out the units where keep is false, for that reason (flow.csv). */
DOR_MUST dor_status dor_roster_keep(dor_arena *a, dor_roster *r, const bool *keep, const char *reason);
/* Units become the rows of inputs (split.unit = clip). from [n], rows by input. */
DOR_MUST dor_status dor_roster_clips(dor_arena *a, dor_roster *r, int32_t n_inputs, const dor_rows *rows);
/* Folds. errors CONFIG, DATA: a class without anybody */
DOR_MUST dor_status dor_roster_split(dor_arena *a, dor_roster *r);

#endif
