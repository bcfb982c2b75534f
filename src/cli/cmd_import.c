/* SPDX-License-Identifier: Apache-2.0
 *
 * dorsum import: the user's files as a dataset file. */
#include "cli/cli.h"

#include <string.h>

#include "data/import.h"

static dor_status run(dor_cli *c)
{
  dor_import_cfg cfg;
  dor_str json = {0};
  DOR_TRY(dor_cli_need_out(c, "dataset"));
  DOR_TRY(dor_cli_assigned(c, dor_import_keys, &cfg));
  DOR_NEED(strcmp(c->arg[0], "csv") || !c->n_assign, USAGE, "import csv takes no key=value: name, license and ids stand in its config, %s", c->arg[1]);
  DOR_TRY(dor_import_takes(c->arg[0], c->assign, c->n_assign));
  DOR_TRY(dor_cli_must_exist(c->arg[1]));
  DOR_TRY(dor_cli_may_write(c, c->out));
  dor_status s = dor_import(c->arg[0], c->arg[1], c->out, &cfg, c->dry_run, c->json ? &json : NULL);
  if (s) dor_str_release(&json);
  DOR_TRY(s);
  dor_out_str(&json);
  dor_say(c, c->dry_run ? "would write %s" : "wrote %s", c->out);
  if (c->dry_run) dor_say(c, "next: the same command without --dry-run");
  else dor_say(c, "next: dorsum check %s", c->out);
  return DOR_OK;
}

const dor_command dor_command_import = {
    .name = "import",
    .summary = "turn tables or pictures into a dataset file",
    .usage = "FORMAT SRC -o FILE.h5 [key=value ...]",
    .options = "oznfJq",
    .examples = "  dorsum import csv datasets/vertebral_column/import2.cfg -o vertebral.h5\n"
                "  dorsum import silhouettes postures/ -o postures.h5 --size 64,64\n"
                "  dorsum import idx mnist/ -o mnist.h5\n",
    .text = "FORMAT is csv (SRC: a config that says what the columns mean), silhouettes or images (SRC: a folder per class, or\n"
            "manifest=FILE.csv), or idx (SRC: a folder with MNIST's files). Ids become pseudonyms unless ids=keep; the key and the\n"
            "mapping stay in private files beside SRC. A dataset is made in memory: its pictures may take a quarter of the machine's.\n"
            "Keys: dorsum help config.\n",
    .least = 2,
    .most = 2,
    .run = run};
