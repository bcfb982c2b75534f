/* SPDX-License-Identifier: Apache-2.0
 *
 * Reports: every table, figure and page is made from the files of a run folder
 * alone (config.json, run.json, predictions.csv, subjects.csv, flow.csv,
 * leakage.json, cells/.../train.csv): without data or weights, byte-identical. */
#ifndef DOR_REPORT_REPORT_H
#define DOR_REPORT_REPORT_H

#include "base/arena.h"
#include "base/status.h"
#include "base/str.h"
#include "eval/predictions.h"

typedef struct dor_report_arm {
  const char *name, *title;    /* "backward", "Backward bend" */
  bool baseline;
} dor_report_arm;

typedef struct dor_report_meta { /* what config.json, run.json, flow.csv and leakage.json say; defaults for a foreign FILE.csv */
  const char *experiment, *title, *question;
  bool synthetic, leaks, quick;
  const char *positive;        /* class; NULL for several classes */
  const char *const *classes;  /* in config order */
  int32_t n_classes;
  const char *scheme;          /* "5 folds by person, seed 2026" */
  const char *threshold, *pool, *per; /* "threshold .5, fixed"; "mean of logits"; "subject" */
  int32_t n_seeds, repeats;
  int64_t split_seed;
  const char *reference, *primary, *metric;
  int32_t n_arms;
  const dor_report_arm *arm;
  int32_t people, left_out;
  const char *leakage;         /* "leakage L1-L7 passed" */
  const char *const *limit;    /* sentences for the last lines */
  int32_t n_limits;
  double level;                /* .95 */
  int32_t replicates;          /* 2000 */
  const char *published;       /* a line of the published table; NULL */
} dor_report_meta;

/* Write metrics.csv/json, errors.csv, tables/, plots/, report.md, report.html into `folder`; *screen gets the first screen. */
DOR_MUST dor_status dor_report_make(const char *folder, const dor_report_meta *m, const dor_predictions *p, dor_str *screen);

DOR_MUST dor_status dor_report_run(const char *folder, dor_str *screen);               /* a run folder: all of it, then SHA256SUMS and DONE */
DOR_MUST dor_status dor_report_file(const char *csv, const char *out, const dor_predictions_options *o, dor_str *screen);

/* Re-hash what SHA256SUMS lists. errors MISMATCH naming the first file; *n files held */
DOR_MUST dor_status dor_report_verify(const char *folder, int32_t *n);

#endif
