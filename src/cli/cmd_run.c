/* SPDX-License-Identifier: Apache-2.0
 *
 * dorsum run: the main job. */
#include "cli/progress.h"

static dor_status run(dor_cli *c)
{
  dor_experiment e;
  struct json_t *json = NULL;
  dor_run_result r = {.cells = 0};
  DOR_TRY(dor_experiment_read(&e, c->arg[0], c->assign, c->n_assign));
  dor_status s = dor_cli_device(c, false, &e.backend);
  if (!s) s = c->dry_run ? dor_run_plan(c, &e, &json) : dor_run_and_report(c, &e, &r, &json);
  dor_experiment_release(&e);
  if (json) dor_out_json(json);
  if (!s && r.complete) dor_say(c, "next: %s/report.html, dorsum verify %s", r.folder, r.folder);
  return s;
}

const dor_command dor_command_run = {
    .name = "run",
    .summary = "run an experiment: every arm, fold and seed, then tables, plots, report",
    .usage = "CONFIG [key=value ...]",
    .options = "oaksjdnfJq",
    .examples = "  dorsum run experiments/backtracker/quick.cfg\n"
                "  dorsum run experiments/backtracker/experiment.cfg data=my_cohort.h5 --dry-run\n"
                "  dorsum run experiments/backtracker/mine.cfg train.epochs=3 seeds=1,2 --jobs 4\n"
                "  dorsum run experiments/backtracker/experiment.cfg --arm proms --fold 2\n",
    .text = "Trains every cell (arm x seed x fold) once, into results/EXPERIMENT/N or --out DIR, and reports. An equal config goes on\n"
            "where it stopped; Ctrl-C leaves a clean checkpoint (exit code 75). Keys: dorsum help config; folder: dorsum help run.\n",
    .least = 1,
    .most = 1,
    .run = run};
