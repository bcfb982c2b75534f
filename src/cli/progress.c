/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

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
}

static void put_time(double s, char out[32])
{
  if (s < 0) snprintf(out, 32, "?");
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
  put_time(p->left_s, left);
  put_time(p->elapsed_s, spent);
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

static void print_json(const dor_run_result *r)
{
  char folder[4200];
  dor_out("{\"folder\": \"%s\", \"complete\": %s, \"reused\": %s, \"cells\": %d, \"trained\": %d, \"copied\": %d}\n",
          dor_printable(r->folder, folder, sizeof folder), r->complete ? "true" : "false", r->reused ? "true" : "false", r->cells, r->trained, r->copied);
}

dor_status dor_run_and_report(const dor_cli *c, const dor_experiment *e, dor_run_result *r)
{
  double last = 0;
  dor_run_options o = dor_run_options_of(c);
  o.progress = show, o.to = &last;
  dor_catch_signals();
  dor_status s = dor_run(e, &o, r);
  dor_output_redraw("");
  if (s == DOR_E_STOPPED) dor_say(c, "next: the same command goes on from here");
  DOR_TRY(s);
  if (r->complete) DOR_TRY(report(c, r));
  if (c->json) print_json(r);
  dor_say(c, "%s: %d cells, %d trained, %d taken from earlier runs%s", r->folder, r->cells, r->trained, r->copied, r->reused ? "; it was done already" : "");
  if (!r->complete) dor_say(c, "next: the other cells by the same command without --arm, --fold, --seed; then the report is made");
  return DOR_OK;
}
