/* SPDX-License-Identifier: Apache-2.0
 *
 * dorsum verify: are the files of a run still what was written? */
#include "cli/cli.h"

#include <jansson.h>

#include "report/report.h"

static void say(const dor_cli *c, const char *folder, const dor_verified *v)
{
  if (c->json) {
    dor_out_json(json_pack("{s:o, s:i, s:i, s:i, s:i, s:b}", "folder", dor_json_text(folder), "files", v->files, "inputs", v->inputs, "inputs_not_here",
                           v->absent, "unlisted", v->unlisted, "hold", 1));
    return;
  }
  dor_out("%s: %d files hold", folder, v->files);
  if (v->inputs) dor_out("; inputs that hold: %d", v->inputs);
  if (v->absent) dor_out("; inputs not here, not checked: %d", v->absent);
  dor_out("\n");
}

static dor_status run(dor_cli *c)
{
  for (int32_t i = 0; i < c->n_arg; i++) {
    dor_verified v;
    DOR_TRY(dor_cli_must_exist(c->arg[i]));
    DOR_TRY(dor_report_verify(c->arg[i], &v));
    say(c, c->arg[i], &v);
  }
  dor_say(c, "next: dorsum report %s", c->arg[0]);
  return DOR_OK;
}

const dor_command dor_command_verify = {
    .name = "verify",
    .summary = "re-hash the files of a run",
    .usage = "RUN...",
    .options = "Jq",
    .examples = "  dorsum verify results/backtracker/3\n",
    .text = "Holds every file that SHA256SUMS lists against its hash, and the data, folds and weights that went in against inputs.json, where\n"
            "they still lie as private/paths.json says. Ends with exit code 4 and the first file that differs. Files that are not listed\n"
            "are named in a warning.\n",
    .least = 1,
    .most = -1,
    .run = run};
