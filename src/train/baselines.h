/* SPDX-License-Identifier: Apache-2.0
 *
 * Baselines: what an arm must be better than. Each is fitted inside every
 * training fold and predicts the same units out of fold as the arms do:
 * the commonest class; logistic regression on age and sex, on PROM totals, on
 * the range of the flexion angle in each movement. */
#ifndef DOR_TRAIN_BASELINES_H
#define DOR_TRAIN_BASELINES_H

#include "train/study.h"

/* Are they known, and does the dataset have what they need? errors CONFIG naming what is missing */
DOR_MUST dor_status dor_baselines_check(const dor_study *s);
/* Probabilities of roster 0's units tested in that fold, p [units, classes]; other units are left alone. errors NUMERIC */
DOR_MUST dor_status dor_baseline_predict(const dor_study *s, const char *name, int32_t repeat, int32_t fold, double *p);
const char *dor_baseline_title(const dor_study *s, const char *name, char out[128]);

#endif
