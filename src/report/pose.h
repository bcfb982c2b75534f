/* SPDX-License-Identifier: Apache-2.0
 *
 * The report of a pose run (run.json says "task": "pose"), from its files alone:
 * cells/ARM/seed_S/fold_1/ap.csv of each seed, run.json, pictures.csv and
 * config.json become metrics.{csv,json}, tables/main.{csv,md,tex}, plots/learning.*,
 * report.md and report.html (private to report). */
#ifndef DOR_REPORT_POSE_H
#define DOR_REPORT_POSE_H

#include "base/arena.h"
#include "base/str.h"

/* Is it the folder of a pose run? */
bool dor_report_is_pose(const char *folder);
/* All but SHA256SUMS and DONE. *result: 12 hex digits over results.json of all seeds and the config without paths. errors DATA, IO */
DOR_MUST dor_status dor_report_pose(dor_arena *a, const char *folder, dor_str *screen, const char **result);

#endif
