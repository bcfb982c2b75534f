/* SPDX-License-Identifier: Apache-2.0
 *
 * dorsum check: what is in a dataset, and is it usable? */
#include "cli/cli.h"

#include "data/check.h"

static dor_status run(dor_cli *c)
{
  dor_str s = {0};
  DOR_TRY(dor_cli_must_exist(c->arg[0]));
  dor_status status = dor_check_file(c->arg[0], c->json, &s);
  dor_out_str(&s);
  DOR_TRY(status);
  dor_say(c, "next: dorsum run CONFIG data=%s", c->arg[0]);
  return DOR_OK;
}

const dor_command dor_command_check = {
    .name = "check",
    .summary = "what is in a dataset, and is it usable",
    .usage = "FILE.h5",
    .options = "Jq",
    .examples = "  dorsum check demo/cohort.h5\n  dorsum check demo/cohort.h5 --json\n",
    .text = "Counts per class, missing values per column, identical pictures, trials and rows. Ends with exit code 3 when the\n"
            "dataset cannot be used.\n",
    .least = 1,
    .most = 1,
    .run = run};
