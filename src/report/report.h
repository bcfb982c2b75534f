/* SPDX-License-Identifier: Apache-2.0
 *
 * Reports: every table, figure and page is made from the files of a run folder
 * alone, without data or weights, byte-identical. What is read:
 *
 *   predictions.csv  eval/predictions.h. Baselines are arms like any other, with seed 0.
 *   config.json      the resolved config: experiment title question level bootstrap quick seeds, target.positive target.column,
 *                    split.{scheme,folds,seed,repeats,unit,test,file}, score.threshold,
 *                    compare.{reference,primary,metric,subjects}. A key that is absent has the default of its schema.
 *   run.json         what only the run knows:
 *                    {"synthetic": false,                  the dataset's stamp; true: SYNTHETIC everywhere
 *                     "stamps": ["LEAKS"],                 optional: those of SYNTHETIC, LEAKS, QUICK that some arm earned
 *                     "per": "subject",                    unit of analysis: subject|trial|image|row|clip
 *                     "unit": "person",                    what one of them is called: person|picture|trial|clip; absent: a person, else as per says
 *                     "id": "9f3c41aa07d2",                optional: what config, inputs and code version come to; not read
 *                     "precision": "bf16",                 optional: what networks computed in; absent: fp32
 *                     "pool": "mean_logit",                as resolved from "auto"; "" when a unit has one sample
 *                     "classes": ["FP", "EP"],             in the dataset's order; [] for values
 *                     "arms": [{"name": "backward", "title": "Backward bend", "baseline": false}, ...],   rows of the table, baselines last;
 *                                                          one that is missing in predictions.csv is left out of the tables
 *                     "limits": ["one rater, agreement unknown"],   optional: what the dataset's authors would have to admit
 *                     "published": "92 % = 83/90"}         optional: the published row, as text
 *   flow.csv         step,reason,class,site,sex,n[,run_id,stamp] with step = recruited|excluded|trained_on_only|analysed; n of one step add up to its people
 *   leakage.json     {"checks": [{"id": "L1", "passed": true, "note": "..."}, ...]}; an optional note is printed in the report
 *   cells/ARM/.../train.csv   learning curves: columns epoch, loss and, where there is an inner split, val
 *
 * LEAKS is stamped when split.unit = "clip" too, QUICK when quick = true. What stands in private/, cost.csv and log.txt is never read. */
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
  const char *result;          /* 12 hex digits over predictions.csv and the config without paths */
  bool synthetic, leaks, quick;
  const char *positive;        /* class; NULL for several classes */
  const char *scheme;          /* "5 folds by person, seed 2026" */
  const char *threshold, *pool, *per; /* "threshold .5, fixed"; "mean of logits"; "subject" */
  const char *precision;      /* "bf16"; "" for fp32 */
  const char *one, *many;      /* what a unit is called: "person", "people" */
  int32_t n_seeds, repeats;
  const char *reference, *primary, *metric; /* arms; metric decides the tests: accuracy or auc */
  bool common;                 /* arms with other people are compared on those they share, else not at all */
  int32_t n_arms;
  const dor_report_arm *arm;
  int32_t people, left_out, trained_only; /* trained_only: of a holdout, in no figure */
  const char *leakage;         /* "leakage L1-L7 passed" */
  int32_t n_limits;
  const char *const *limit;    /* sentences for the last lines */
  double level;                /* .95 */
  int32_t replicates;          /* 2000 */
  uint64_t bootstrap_seed;     /* of the bootstrap: the split's seed */
  const char *published;       /* a line of the published table; NULL */
} dor_report_meta;

/* Write metrics.csv/json, errors.csv, tables/, plots/, report.md, report.html into `folder`; *screen gets the first screen.
 * A plotting failure is a warning. */
DOR_MUST dor_status dor_report_make(const char *folder, const dor_report_meta *m, const dor_predictions *p, dor_str *screen);

DOR_MUST dor_status dor_report_run(const char *folder, dor_str *screen);               /* a run folder: all of it, then SHA256SUMS and DONE */
/* Any program's predictions. Two classes want o->positive. out NULL: FILE.report/ beside it. */
DOR_MUST dor_status dor_report_file(const char *csv, const char *out, const dor_predictions_options *o, dor_str *screen);

typedef struct dor_verified {
  int32_t files, inputs;       /* held */
  int32_t unlisted, absent;    /* files that SHA256SUMS does not list, each named in a warning; inputs that are not here, so not checked */
} dor_verified;

/* Re-hash what SHA256SUMS lists, and what went in where it still lies (private/paths.json). errors MISMATCH naming the first file */
DOR_MUST dor_status dor_report_verify(const char *folder, dor_verified *v);

#endif
