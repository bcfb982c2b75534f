/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of a run folder that say what was run on whom: run.json, splits.json,
 * flow.csv, subjects.csv; and private/, which is never sent to anyone. */
#ifndef DOR_TRAIN_RECORD_H
#define DOR_TRAIN_RECORD_H

#include "train/run.h"
#include "train/study.h"

/* What says where a file comes from, whoever it is passed on to. */
enum { DOR_STAMPS = 32 };
typedef struct dor_marks {
  char id[13];                /* of the run: 12 hex digits over config (without paths), inputs and code version */
  char stamps[DOR_STAMPS];    /* "SYNTHETIC LEAKS QUICK" or what of it applies to some arm; "" */
} dor_marks;
/* From config.cfg and inputs.json, which the folder has from its start. */
DOR_MUST dor_status dor_record_marks(const dor_study *s, const char *folder, dor_marks *out);

/* run.json (report.h says what a report reads of it), splits.json, flow.csv, subjects.csv */
DOR_MUST dor_status dor_record_write(const dor_study *s, const char *folder, const dor_marks *m);

/* private/host.json: host, user, arguments, paths, start; `ended` adds the end. */
DOR_MUST dor_status dor_record_private(const dor_experiment *e, const dor_run_options *o, const char *folder, const char *started, bool ended);

/* private/progress.json: for whoever watches from outside; a failure is a warning. */
void dor_record_progress(const char *folder, const dor_progress *p);

/* The trial column of predictions.csv: "" where units are people, else the number of the trial, image or clip. */
const char *dor_record_trial(dor_arena *a, const dor_roster *r, int32_t unit);
const char *dor_record_group(dor_arena *a, const dor_dataset *d, int32_t subject);

#endif
