/* SPDX-License-Identifier: Apache-2.0
 *
 * dorsum split: who is tested in which fold, as a file and a table. */
#include "cli/cli.h"

#include <string.h>

#include "data/split.h"


typedef struct split_cfg { /* the keys of split, and which target is stratified by */
  dor_split_cfg split;
  const char *target;
} split_cfg;

static dor_status choose_target(const dor_dataset *d, split_cfg *s)
{
  if (s->target) return DOR_OK;
  DOR_NEED(d->n_targets, DATA, "the dataset has no target");
  DOR_NEED(d->n_targets == 1, CONFIG, "command line: the dataset has %d targets: target=NAME (the first is '%s')", d->n_targets, d->target[0].name);
  s->target = d->target[0].name;
  return DOR_OK;
}

static dor_status make(dor_cli *c, const dor_dataset *d, split_cfg *s)
{
  dor_units u;
  dor_split split;
  dor_str table = {0};
  DOR_TRY(choose_target(d, s));
  DOR_NEED(s->split.unit == DOR_UNIT_SUBJECT, CONFIG,
           "command line: clips are the samples of an experiment, which a dataset alone does not know: set split.unit = \"clip\" in its config");
  DOR_TRY(dor_units_of(&c->arena, d, s->target, &s->split, &u));
  if (*s->split.file) DOR_TRY(dor_split_read(&c->arena, s->split.file, &u, &split));
  else DOR_TRY(dor_split_make(&c->arena, &s->split, &u, &split));
  const dor_target *t = dor_dataset_target(d, s->target);
  (c->json ? dor_split_json : dor_split_table)(&split, &u, t ? t->names : NULL, &table);
  dor_out_str(&table);
  if (!c->out || c->dry_run) return DOR_OK;
  DOR_TRY(dor_split_write(&split, &u, c->out));
  dor_say(c, "wrote %s", c->out);
  dor_say(c, "next: dorsum run CONFIG data=%s split.file=%s", c->arg[0], c->out);
  return DOR_OK;
}

/* A key that the scheme, or the file of folds, would pass over is a mistake; in a config it may be inherited, here it was typed. */
static dor_status all_used(const dor_cli *c, const dor_split_cfg *s)
{
  static const char *const used[] = {"scheme folds seed repeats", "scheme", "scheme", "scheme test", "scheme folds"};
  static const char *const schemes[] = {"kfold", "loso", "losite", "holdout", "rank"};
  static const char *const keys[] = {"scheme", "folds", "seed", "repeats", "test"};
  const char *uses = *s->file ? "file" : used[s->scheme], *who = *s->file ? "a file of folds" : schemes[s->scheme];
  for (int32_t i = 0; i < c->n_assign; i++)
    for (int k = 0; k < 5; k++) {
      size_t n = strlen(keys[k]);
      bool it = !strncmp(c->assign[i], keys[k], n) && c->assign[i][n] == '=';
      DOR_NEED(!it || strstr(uses, keys[k]), USAGE, "dorsum split: %s does not use '%s'; it uses: target %s unit", who, keys[k], uses);
    }
  return DOR_OK;
}

/* target=NAME is this command's own key; the others are those of split in a config. */
static dor_status read_keys(dor_cli *c, split_cfg *s)
{
  dor_tree root = {.type = DOR_TREE_GROUP, .file = "command line"};
  static const char *const own[] = {"target", NULL};
  for (int32_t i = 0; i < c->n_assign; i++) DOR_TRY(dor_tree_assign(&c->arena, &root, c->assign[i]));
  DOR_TRY(dor_schema_defaults(dor_split_keys, &s->split, &c->arena));
  DOR_TRY(dor_schema_load(dor_split_keys, &s->split, &root, own, &c->arena));
  const dor_tree *t = dor_tree_find(&root, "target");
  s->target = t ? t->text : NULL;
  return all_used(c, &s->split);
}

static dor_status run(dor_cli *c)
{
  split_cfg s;
  dor_dataset d = {0};
  DOR_TRY(read_keys(c, &s));
  if (c->out) DOR_TRY(dor_cli_may_write(c, c->out));
  DOR_TRY(dor_cli_must_exist(c->arg[0]));
  DOR_TRY(dor_dataset_read(&d, c->arg[0]));
  dor_status status = make(c, &d, &s);
  dor_dataset_release(&d);
  return status;
}

const dor_command dor_command_split = {
    .name = "split",
    .summary = "choose who is tested in which fold, and show the balance",
    .usage = "FILE.h5 [-o splits.json] [key=value ...]",
    .options = "onfJq",
    .examples = "  dorsum split cohort.h5 target=pattern\n"
                "  dorsum split cohort.h5 -o splits.json target=pattern scheme=kfold folds=10 repeats=5 seed=2026\n"
                "  dorsum split cohort.h5 target=class scheme=losite\n",
    .text = "People stay whole, and groups of people too. Folds depend on labels, the order of rows and seed: never on ids.\n"
            "Keys: target, and those of split in a config (dorsum help config).\n",
    .least = 1,
    .most = 1,
    .run = run};
