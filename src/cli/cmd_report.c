/* SPDX-License-Identifier: Apache-2.0
 *
 * dorsum report: tables, plots and pages from a run folder, or from any program's
 * predictions. */
#include "cli/cli.h"

#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "report/report.h"

static bool is_csv(const char *path)
{
  size_t n = strlen(path);
  return n > 4 && !strcmp(path + n - 4, ".csv");
}

/* With --json the figures themselves: metrics.json. */
static dor_status print(dor_cli *c, const char *folder, bool named, dor_str *screen)
{
  char *text;
  size_t n;
  if (!c->json && named) return dor_out_screen(folder, screen), DOR_OK;
  if (!c->json) return dor_out_str(screen), DOR_OK;
  const char *path = dor_path_join(&c->arena, folder, "metrics.json");
  dor_str_release(screen);
  DOR_NEED(path, NOMEM, "out of memory");
  DOR_TRY(dor_io_read(path, (size_t)1 << 30, &text, &n));
  dor_out("%s", text);
  dor_free(text);
  return DOR_OK;
}

static dor_status of_run(dor_cli *c, const char *folder)
{
  dor_str screen = {0};
  const char *predictions = dor_path_join(&c->arena, folder, "predictions.csv");
  DOR_NEED(predictions, NOMEM, "out of memory");
  DOR_NEED(dor_io_exists(predictions), USAGE, "%s: no predictions.csv: this is no run, or not all of its cells are done (dorsum run goes on with them)",
           folder);
  dor_status s = dor_report_run(folder, &screen);
  if (s) dor_str_release(&screen);
  DOR_TRY(s);
  DOR_TRY(print(c, folder, true, &screen));
  dor_say(c, "wrote %s/report.html, tables/, plots/", folder);
  dor_say(c, "next: dorsum verify %s", folder);
  return DOR_OK;
}

/* positive=CLASS is an option of its own; every other key=value renames a column. */
static dor_status of_file(dor_cli *c, const char *path)
{
  const char **rename = dor_arena_alloc(&c->arena, (size_t)(c->n_assign + 1) * sizeof *rename);
  const char *out = c->out ? c->out : dor_arena_fmt(&c->arena, "%s.report", path);
  dor_predictions_options o = {.rename = rename};
  dor_str screen = {0};
  DOR_NEED(rename && out, NOMEM, "out of memory");
  for (int32_t i = 0; i < c->n_assign; i++)
    if (!strncmp(c->assign[i], "positive=", 9)) o.positive = c->assign[i] + 9;
    else rename[o.n_rename++] = c->assign[i];
  dor_status s = dor_report_file(path, out, &o, &screen);
  if (s) dor_str_release(&screen);
  DOR_TRY(s);
  DOR_TRY(print(c, out, false, &screen));
  dor_say(c, "wrote %s", out);
  dor_say(c, "next: %s/report.html", out);
  return DOR_OK;
}

static dor_status run(dor_cli *c)
{
  for (int32_t i = 0; i < c->n_arg; i++) {
    bool csv = is_csv(c->arg[i]) && !dor_io_is_dir(c->arg[i]);
    DOR_NEED(csv || (!c->out && !c->n_assign), USAGE, "--out and key=value are for FILE.csv; a run is reported in its own folder");
    DOR_NEED(!c->out || c->n_arg == 1, USAGE, "--out is for one file at a time");
    DOR_TRY(dor_cli_must_exist(c->arg[i]));
    DOR_TRY(csv ? of_file(c, c->arg[i]) : of_run(c, c->arg[i]));
  }
  return DOR_OK;
}

const dor_command dor_command_report = {
    .name = "report",
    .summary = "make every table and plot again, from predictions alone",
    .usage = "RUN...|FILE.csv [key=value ...]",
    .options = "oJq",
    .examples = "  dorsum report results/backtracker/3\n"
                "  dorsum report predictions.csv positive=EP\n"
                "  dorsum report theirs.csv label=diagnosis subject=id probability=score positive=case -o theirs\n",
    .text = "A run needs neither data nor weights, and comes out byte-identical. FILE.csv of any program has columns subject_id or\n"
            "subject, y_true or label, p_CLASS or probability (two classes, with positive=CLASS), fold, arm; other names by label=COL;\n"
            "also y_pred, trial, site, group, repeat, seed, n_clips and threshold (a column: the probability of the positive class that decides).\n"
            "It is reported in FILE.csv.report/ or --out.\n",
    .least = 1,
    .most = -1,
    .run = run};
