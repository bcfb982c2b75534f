/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs as seen from the terminal: progress, stop requests by signals, and the
 * report at the end. Shared by run and reproduce. */
#ifndef DOR_CLI_PROGRESS_H
#define DOR_CLI_PROGRESS_H

#include "cli/cli.h"
#include "train/run.h"

/* SIGINT, SIGTERM and SIGUSR1 ask for a clean checkpoint. */
void dor_catch_signals(void);

/* Options of a run from what was typed. */
dor_run_options dor_run_options_of(const dor_cli *c);

/* Run, report, print the first screen (or, with --json, one object). r->complete says whether there is a report. */
DOR_MUST dor_status dor_run_and_report(const dor_cli *c, const dor_experiment *e, dor_run_result *r);

#endif
