/* SPDX-License-Identifier: Apache-2.0
 *
 * dorsum help: commands, and topics that are made from the same lists as the
 * program: schemas, models, ops, exit codes. With --markdown they are the pages of
 * docs/reference. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "data/import.h"
#include "data/synth_film.h"
#include "eval/pose_eval.h"
#include "pose/group.h"
#include "pose/track.h"
#include "nn/nn.h"
#include "train/pose_plan.h"

typedef void topic(const dor_cli *c, dor_str *out);

static void heading(const dor_cli *c, const char *title, const char *what, dor_str *out)
{
  if (c->markdown) dor_str_fmt(out, "\n## %s\n\n%s\n\n", title, what);
  else dor_str_fmt(out, "\n%s: %s\n", title, what);
}

static void keys(const dor_cli *c, const char *title, const char *what, const dor_key *of, dor_str *out)
{
  heading(c, title, what, out);
  if (c->markdown) dor_schema_markdown(of, out);
  else dor_schema_help(of, out);
}

static void put_models(const dor_cli *c, dor_str *out)
{
  for (const dor_model *const *m = dor_models; *m; m++) {
    char what[256];
    snprintf(what, sizeof what, "takes %s (%s)", (*m)->takes, (*m)->source);
    keys(c, (*m)->name, what, (*m)->keys, out);
  }
}

static void models(const dor_cli *c, dor_str *out)
{
  dor_str_add(out, c->markdown ? "# Models\n\nA net of a config is `nets = { NAME = { kind = \"...\"; ... }; };` with the keys of its kind.\n"
                               : "A net of a config is nets = { NAME = { kind = \"...\"; ... }; }; with the keys of its kind.\n");
  put_models(c, out);
}

/* The groups that only a pose experiment has, or has in its own way. */
static void pose_config(const dor_cli *c, dor_str *out)
{
  for (const dor_section *s = dor_pose_sections; s->name; s++) {
    char title[64];
    snprintf(title, sizeof title, "%s, with task = \"pose\"", s->name);
    if (*s->name && s->keys != dor_train_keys && s->keys != dor_cpu_keys && s->keys != dor_cuda_keys) keys(c, title, s->help, s->keys, out);
  }
}

static void config(const dor_cli *c, dor_str *out)
{
  if (c->base) {
    if (dor_experiment_base(out)) out->failed = true;
    return;
  }
  dor_str_add(out, c->markdown ? "# Config keys\n\n" : "");
  dor_str_add(out, "A config is laid over what it extends, an arm over its experiment, key=value over all: groups merge key by key,\n"
                   "everything else is replaced. An unknown key is an error.\n");
  for (const dor_section *s = dor_sections; s->name; s++) keys(c, *s->name ? s->name : "top level", s->help, s->keys, out);
  keys(c, "inputs.NAME", "what the arms may use", dor_source_keys, out);
  heading(c, "nets.NAME", "networks: kind, weights (a file: what fits of it is what they begin with), and the keys of that kind (dorsum help models)", out);
  heading(c, "arms.NAME", "one row of the table: title, use, fusion, net, skip = true; and any of target, split, train, score, augment, inputs, nets", out);
  pose_config(c, out);
  keys(c, "synth", "dorsum synth key=value, and data = \"synth:key=value,...\"", dor_synth_keys, out);
  keys(c, "synth --video", "dorsum synth --video key=value, also those of synth", dor_synth_film_keys, out);
  keys(c, "pose", "dorsum pose key=value", dor_pose_keys, out);
  keys(c, "pose, single=true", "dorsum pose single=true key=value: one person followed through a video", dor_track_keys, out);
  keys(c, "pose-eval", "dorsum pose-eval key=value", dor_pose_eval_keys, out);
  keys(c, "import", "dorsum import silhouettes|images|idx SRC key=value", dor_import_keys, out);
  keys(c, "import csv: top level", "the config that dorsum import csv reads; paths are relative to it", dor_csv_top_keys, out);
  keys(c, "import csv: people", "people = { ... }", dor_csv_people_keys, out);
  keys(c, "import csv: labels", "labels = { ...; targets = ( { ... }, ... ); }", dor_csv_labels_keys, out);
  keys(c, "import csv: labels.targets", "what is told apart, one for each column", dor_csv_target_keys, out);
  keys(c, "import csv: proms, features", "proms = { ... } and features = { ... }", dor_csv_columns_keys, out);
  keys(c, "import csv: videos", "videos = { ... }: who is in which video, for dorsum pose WEIGHTS COHORT.cfg -o FILE.h5", dor_csv_videos_keys, out);
}

static void exit_codes(const dor_cli *c, dor_str *out)
{
  static const struct { int code; const char *meaning; } rows[] = {
      {0, "done"},
      {1, "failure that is none of the below"},
      {2, "usage or configuration: the message names file, line and the nearest key"},
      {3, "data invalid, hostile or truncated; leakage or privacy rule refused"},
      {4, "a check failed: verify, reproduce"},
      {5, "disk: no space, I/O error, permission"},
      {6, "run folder in use by another process"},
      {7, "out of memory"},
      {8, "out of device memory"},
      {9, "device lost"},
      {10, "non-finite loss, gradient or weight"},
      {11, "a deadline was missed"},
      {75, "stopped on request after a clean checkpoint: run again to go on"}};
  dor_str_add(out, c->markdown ? "# Exit codes\n\n| code | meaning |\n|---|---|\n" : "");
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) dor_str_fmt(out, c->markdown ? "| %d | %s |\n" : "%3d  %s\n", rows[i].code, rows[i].meaning);
}

static void ops(const dor_cli *c, dor_str *out)
{
  dor_str_add(out, c->markdown ? "# Ops\n\n| op | what it computes | gradient |\n|---|---|---|\n" : "");
  for (size_t i = 0; i < DOR_OP_COUNT; i++) {
    const dor_op *op = dor_ops[i];
    if (!c->markdown) dor_str_fmt(out, "%-18s %s%s\n", op->name, op->formula, op->grad ? "" : "  (no gradient)");
    else {
      dor_str_fmt(out, "| `%s` | ", op->name);
      for (const char *p = op->formula; *p; p++) dor_str_fmt(out, *p == '|' ? "\\%c" : "%c", *p);
      dor_str_fmt(out, " | %s |\n", op->grad ? "yes" : "");
    }
  }
}

static void run_topic(const dor_cli *c, dor_str *out)
{
  (void)c;
  dor_str_add(out, "A run trains every cell (arm x seed x fold) of a config once, into results/EXPERIMENT/N or --out DIR:\n\n"
                   "  config.cfg config.json   every key, as it came to be         cells/   one folder a training\n"
                   "  predictions.csv          the primary output, out of fold     metrics.csv tables/ plots/ report.html\n"
                   "  leakage.json flow.csv    what was checked, who was left out  SHA256SUMS DONE\n\n"
                   "An equal config goes on where it stopped, or shows its report when it is done. Ctrl-C writes a checkpoint and ends\n"
                   "with exit code 75; the same command goes on from there, to the same bits. Nothing is overwritten.\n"
                   "In CSV files a text with = + - or @ first has a ' before it, lest a spreadsheet runs it; reading takes it off again.\n\n"
                   "  dorsum run CONFIG --dry-run          cells, memory and time\n"
                   "  dorsum run CONFIG train.epochs=3     any key; laid over all arms\n"
                   "  dorsum run CONFIG --arm A --fold 2   some cells only\n"
                   "  dorsum report RUN, dorsum verify RUN, dorsum reproduce NAME\n");
}

static const struct { const char *name; topic *write; } topics[] = {
    {"run", run_topic}, {"config", config}, {"exit-codes", exit_codes}, {"models", models}, {"ops", ops}};
enum { TOPICS = sizeof topics / sizeof *topics };

static void commands_page(dor_str *out)
{
  dor_str_add(out, "# Commands\n");
  for (const dor_command *const *m = dor_commands; *m; m++) {
    dor_str_fmt(out, "\n## dorsum %s\n\n```\n", (*m)->name);
    dor_help_of(*m, out);
    dor_str_add(out, "```\n");
  }
}

static dor_status no_topic(const char *name)
{
  const char *names[TOPICS + 64], *near;
  size_t n = 0;
  for (; n < TOPICS; n++) names[n] = topics[n].name;
  for (const dor_command *const *m = dor_commands; *m && n < TOPICS + 64; m++) names[n++] = (*m)->name;
  near = dor_nearest(name, names, n);
  if (near) return DOR_FAIL(USAGE, "no help on '%s'; did you mean '%s'?", name, near);
  return DOR_FAIL(USAGE, "no help on '%s'; there is help on every command, and on run, config, exit-codes, models, ops", name);
}

static dor_status run(dor_cli *c)
{
  dor_str s = {0};
  const char *name = c->n_arg ? c->arg[0] : NULL;
  const dor_command *command = name ? dor_command_find(name) : NULL;
  size_t i = 0;
  while (name && i < TOPICS && strcmp(topics[i].name, name)) i++;
  if (!name && c->markdown) commands_page(&s);
  else if (!name) dor_usage(&s);
  else if (i < TOPICS) {
    topics[i].write(c, &s);
    if (command && !c->markdown) dor_str_add(&s, "\nOptions: dorsum run --help\n");
  } else if (command) dor_help_of(command, &s);
  else return no_topic(name);
  dor_status status = dor_str_status(&s);
  dor_out_str(&s);
  return status;
}

const dor_command dor_command_help = {
    .name = "help",
    .summary = "a command, or a topic: run, config, exit-codes, models, ops",
    .usage = "[COMMAND|TOPIC]",
    .options = "bm",
    .examples = "  dorsum help\n  dorsum help config\n  dorsum help config --base > configs/base.cfg\n  dorsum help models\n",
    .text = "Everything is made from the lists that the program itself uses.\n",
    .least = 0,
    .most = 1,
    .run = run};
