/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts about split and threshold, arm by arm where arms differ (private to report). */
#ifndef DOR_REPORT_BY_ARM_H
#define DOR_REPORT_BY_ARM_H

#include "report/report.h"

/* "threshold .5, fixed", "...; Deep: threshold .8, fixed". NULL: out of memory. Baselines have none of their own. */
const char *dor_thresholds(dor_arena *a, const dor_report_meta *m, const dor_predictions *p);
/* `scheme`, and which arms tested the same units in other folds than the first arm. NULL: out of memory. */
const char *dor_schemes(dor_arena *a, const char *scheme, const dor_report_meta *m, const dor_predictions *p);

#endif
