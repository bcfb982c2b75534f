/* SPDX-License-Identifier: Apache-2.0
 *
 * dorsum verify: are the files of a run still what was written? */
#include "cli/cli.h"

#include <jansson.h>

#include "report/report.h"

static dor_status run(dor_cli *c)
{
  for (int32_t i = 0; i < c->n_arg; i++) {
    int32_t n = 0;
    DOR_TRY(dor_cli_must_exist(c->arg[i]));
    DOR_TRY(dor_report_verify(c->arg[i], &n));
    if (c->json) dor_out_json(json_pack("{s:o, s:i, s:b}", "folder", dor_json_text(c->arg[i]), "files", n, "hold", 1));
    else dor_out("%s: %d files hold\n", c->arg[i], n);
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
    .text = "Holds every file that SHA256SUMS lists against its hash. Ends with exit code 4 and the first file that differs.\n",
    .least = 1,
    .most = -1,
    .run = run};
