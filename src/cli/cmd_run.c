/* SPDX-License-Identifier: Apache-2.0
 *
 * dorsum run: the main job. */
#include "cli/progress.h"

static void print_bytes(const char *what, size_t bytes) { dor_out("%-22s %8.1f MiB\n", what, (double)bytes / 1048576.0); }

static dor_status dry(dor_cli *c, const dor_experiment *e)
{
  dor_dry_run d = {0};
  dor_str table = {0};
  dor_run_options o = dor_run_options_of(c);
  dor_status s = dor_run_dry(e, &o, &d, &table);
  if (s) dor_str_release(&table);
  DOR_TRY(s);
  dor_out_str(&table);
  print_bytes("data", d.data_bytes);
  print_bytes("one worker", d.instance_bytes);
  print_bytes("in all", d.total_bytes);
  dor_out("%d cell%s, %d side by side on %d thread%s each: about %.3g %s\n", d.cells, d.cells == 1 ? "" : "s", d.jobs, d.threads, d.threads == 1 ? "" : "s",
          d.total_s < 100 ? d.total_s : d.total_s < 5400 ? d.total_s / 60 : d.total_s / 3600, d.total_s < 100 ? "s" : d.total_s < 5400 ? "min" : "h");
  dor_say(c, "next: the same command without --dry-run");
  return DOR_OK;
}

static dor_status run(dor_cli *c)
{
  dor_experiment e;
  dor_run_result r = {.cells = 0};
  DOR_TRY(dor_experiment_read(&e, c->arg[0], c->assign, c->n_assign));
  dor_status s = c->dry_run ? dry(c, &e) : dor_run_and_report(c, &e, &r);
  dor_experiment_release(&e);
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
