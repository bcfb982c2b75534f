/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <string.h>

const dor_command *const dor_commands[] = {
#define COMMAND(name) &dor_command_##name,
#include "cli/commands.def"
#undef COMMAND
    NULL};

const dor_command *dor_command_find(const char *name)
{
  for (const dor_command *const *c = dor_commands; *c; c++)
    if (!strcmp((*c)->name, name)) return *c;
  return NULL;
}

void dor_usage(dor_str *out)
{
  dor_str_add(out, "dorsum: train and evaluate models that classify how people move\n\nExamples:\n"
                   "  dorsum synth -o demo subjects=40\n"
                   "  dorsum run experiments/backtracker/quick.cfg\n"
                   "  dorsum run experiments/backtracker/experiment.cfg data=my_cohort.h5 --dry-run\n\nCommands:\n");
  for (const dor_command *const *c = dor_commands; *c; c++) dor_str_fmt(out, "  %-10s %s\n", (*c)->name, (*c)->summary);
  dor_str_add(out, "\ndorsum COMMAND --help shows examples; dorsum help TOPIC: run, config, exit-codes, models, ops; dorsum --version\n");
}
