/* SPDX-License-Identifier: Apache-2.0
 *
 * What a run and a dry run share: the dataset (read, or made for synth:), the
 * study, its leakage checks and its cells. */
#ifndef DOR_TRAIN_SETUP_H
#define DOR_TRAIN_SETUP_H

#include "train/cell.h"
#include "train/leakage.h"
#include "train/run.h"

typedef struct dor_setup {
  const dor_experiment *experiment;
  dor_dataset data;
  dor_study study;
  dor_leakage leakage;
  dor_arena arena;
  dor_cell *cell;
  int32_t n_cells;
} dor_setup; /* zero-initialised is releasable */

/* The hash of what the data are: of the file's bytes, or of the synthetic cohort's description. errors CONFIG, NOTFOUND, IO */
DOR_MUST dor_status dor_setup_identity(const dor_experiment *e, char hex[DOR_HASH_HEX]);
/* `folder`: of the run, where a synthetic cohort is kept in private/; NULL: in memory alone */
DOR_MUST dor_status dor_setup_data(dor_setup *u, const dor_experiment *e, const char *folder);
/* errors LEAK, CONFIG, DATA */
DOR_MUST dor_status dor_setup_study(dor_setup *u);
void dor_setup_release(dor_setup *u);

int32_t dor_run_jobs(const dor_experiment *e, int32_t asked); /* workers: as asked, or all cores over the threads of a program */

/* The refusal of --arm, --fold and --seed that no cell has: what was asked for, and what there is. errors USAGE, always */
DOR_MUST dor_status dor_setup_no_cell(const dor_experiment *e, int32_t folds, const dor_run_options *o);

/* The cells of a run folder that is done, and that --arm, --fold and --seed choose some. errors USAGE: none; IO */
DOR_MUST dor_status dor_setup_finished(const dor_experiment *e, const char *folder, const dor_run_options *o, int32_t *cells);

#endif
