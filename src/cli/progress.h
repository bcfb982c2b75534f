/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs as seen from the terminal: progress, stop requests by signals, the report
 * at the end, and what a dry run says. Shared by run and reproduce. */
#ifndef DOR_CLI_PROGRESS_H
#define DOR_CLI_PROGRESS_H

#include "cli/cli.h"
#include "train/run.h"

/* SIGINT, SIGTERM, SIGUSR1 and SIGHUP (unless it is ignored: nohup) ask for a clean checkpoint. */
void dor_catch_signals(void);

/* "26 min", for people. */
void dor_cli_time(double s, char out[32]);

/* Options of a run from what was typed. */
dor_run_options dor_run_options_of(const dor_cli *c);

/* Run, report, print the first screen (or, with --json, put one object into *json, which is NULL otherwise). r->complete says
 * whether there is a report. */
DOR_MUST dor_status dor_run_and_report(const dor_cli *c, const dor_experiment *e, dor_run_result *r, struct json_t **json);

/* --dry-run: print cells, memory and time (or, with --json, put one object into *json). */
DOR_MUST dor_status dor_run_plan(dor_cli *c, const dor_experiment *e, struct json_t **json);

#endif
