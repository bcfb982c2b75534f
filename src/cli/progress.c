/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <jansson.h>

#include "base/clock.h"
#include "cli/output.h"
#include "report/report.h"

/* The second signal ends at once: files are replaced whole, so any moment will do. */
static void on_signal(int signal_number)
{
  (void)signal_number;
  if (dor_stop_requested()) _exit(dor_status_exit(DOR_E_STOPPED));
  dor_stop_request();
}

void dor_catch_signals(void)
{
  struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigemptyset(&a.sa_mask);
  sigaction(SIGINT, &a, NULL);
  sigaction(SIGTERM, &a, NULL);
  sigaction(SIGUSR1, &a, NULL);
  struct sigaction was;
  if (!sigaction(SIGHUP, NULL, &was) && was.sa_handler != SIG_IGN) sigaction(SIGHUP, &a, NULL); /* nohup stays nohup */
}

void dor_cli_time(double s, char out[32])
{
  if (s < 0) snprintf(out, 32, "?");
  else if (s < 1) snprintf(out, 32, "less than 1 s");
  else if (s < 99.5) snprintf(out, 32, "%.0f s", s);
  else if (s < 5400) snprintf(out, 32, "%.0f min", s / 60);
  else snprintf(out, 32, "%.1f h", s / 3600);
}

/* One line redrawn ten times a second at most on a terminal, else a line an epoch. Called under the run's own lock. */
static void show(void *to, const dor_progress *p)
{
  double *last = to, now = dor_clock_s();
  char line[160], left[32], spent[32];
  if (!dor_output_redraws()) {
    if (p->line) dor_output_line(p->line);
    return;
  }
  if (now - *last < 0.1) return;
  *last = now;
  double share = p->epochs_total > 0 ? 100.0 * (double)p->epochs_done / (double)p->epochs_total : 0;
  dor_cli_time(p->left_s, left);
  dor_cli_time(p->elapsed_s, spent);
  snprintf(line, sizeof line, "cells %d/%d, epochs %lld/%lld (%.0f %%), %s, %s left%s", p->done, p->cells, (long long)p->epochs_done,
           (long long)p->epochs_total, floor(share), spent, left, dor_stop_requested() ? ", stopping" : "");
  dor_output_redraw(line);
}

dor_run_options dor_run_options_of(const dor_cli *c)
{
  return (dor_run_options){.out = c->out, .results = "results", .arm = c->arm, .fold = c->fold, .seed = c->seed, .jobs = c->jobs,
                           .force = c->force, .dry_run = c->dry_run, .argv = c->argv, .argc = c->argc};
}

static dor_status report(const dor_cli *c, const dor_run_result *r)
{
  dor_str screen = {0};
  dor_status s = dor_report_run(r->folder, &screen);
  if (!s && !c->json) dor_out_screen(r->folder, &screen);
  else dor_str_release(&screen);
  return s;
}

static json_t *run_json(const dor_run_result *r)
{
  return json_pack("{s:o, s:b, s:b, s:i, s:i, s:i}", "folder", dor_json_text(r->folder), "complete", r->complete, "reused", r->reused, "cells", r->cells,
                   "trained", r->trained, "copied", r->copied);
}

dor_status dor_run_and_report(const dor_cli *c, const dor_experiment *e, dor_run_result *r, json_t **json)
{
  double last = 0;
  dor_run_options o = dor_run_options_of(c);
  o.progress = show, o.to = &last;
  *json = NULL;
  dor_catch_signals();
  dor_status s = dor_run(e, &o, r);
  dor_output_redraw("");
  if (s == DOR_E_STOPPED) dor_say(c, "next: the same command goes on from here");
  DOR_TRY(s);
  if (r->complete) DOR_TRY(report(c, r));
  if (c->json) *json = run_json(r);
  dor_say(c, "%s: %d cells, %d trained, %d taken from earlier runs%s", r->folder, r->cells, r->trained, r->copied, r->reused ? "; it was done already" : "");
  if (!r->complete) dor_say(c, "next: the other cells by the same command without --arm, --fold, --seed; then the report is made");
  return DOR_OK;
}

/* ---- dry runs ---- */

static json_t *plan_json(const dor_dry_run *d)
{
  json_t *arms = json_array();
  for (int32_t i = 0; i < d->n_arms; i++) {
    const dor_dry_arm *a = &d->arm[i];
    json_array_append_new(arms, json_pack("{s:s, s:i, s:I, s:I, s:f, s:f}", "arm", a->name, "cells", a->cells, "parameters", (json_int_t)a->parameters,
                                          "bytes", (json_int_t)a->bytes, "step_s", a->step_s, "one_core_s", a->total_s));
  }
  return json_pack("{s:i, s:i, s:i, s:f, s:I, s:I, s:I, s:o}", "cells", d->cells, "jobs", d->jobs, "threads", d->threads, "seconds", d->total_s, "data_bytes",
                   (json_int_t)d->data_bytes, "worker_bytes", (json_int_t)d->instance_bytes, "bytes", (json_int_t)d->total_bytes, "arms", arms);
}

static void print_bytes(const char *what, size_t bytes) { dor_out("%-22s %8.1f MiB\n", what, (double)bytes / 1048576.0); }

static void print_plan(const dor_dry_run *d)
{
  char time[32];
  dor_out("%-24s %6s %12s %10s %12s %12s\n", "arm", "cells", "parameters", "MiB", "ms a step", "s, one core");
  for (int32_t i = 0; i < d->n_arms; i++) {
    const dor_dry_arm *a = &d->arm[i];
    dor_out("%-24.40s %6d %12lld %10.1f %12.3f %12.1f\n", a->name, a->cells, (long long)a->parameters, (double)a->bytes / 1048576, a->step_s * 1e3,
            a->total_s);
  }
  print_bytes("data", d->data_bytes);
  print_bytes("one worker", d->instance_bytes);
  print_bytes("in all", d->total_bytes);
  dor_cli_time(d->total_s, time);
  dor_out("%d cell%s, %d side by side on %d thread%s each: about %s\n", d->cells, d->cells == 1 ? "" : "s", d->jobs, d->threads, d->threads == 1 ? "" : "s",
          time);
}

dor_status dor_run_plan(dor_cli *c, const dor_experiment *e, json_t **json)
{
  dor_dry_run d;
  dor_run_options o = dor_run_options_of(c);
  *json = NULL;
  DOR_TRY(dor_run_dry(&c->arena, e, &o, &d));
  if (c->json) *json = plan_json(&d);
  else print_plan(&d);
  dor_say(c, "next: the same command without --dry-run");
  return DOR_OK;
}
