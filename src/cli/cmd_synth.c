/* SPDX-License-Identifier: Apache-2.0
 *
 * dorsum synth: a synthetic cohort as a dataset file. */
#include "cli/cli.h"

#include <jansson.h>

#include "base/io.h"
#include "data/import.h"
#include "data/synth.h"

static dor_status write_cohort(dor_cli *c, const dor_synth_cfg *cfg, const char *path, dor_str *json)
{
  dor_dataset d = {0};
  dor_str text = {0};
  const char *assumptions = dor_path_join(&c->arena, c->out, "assumptions.md");
  DOR_NEED(assumptions, NOMEM, "out of memory");
  dor_status s = dor_io_mkdirs(c->out);
  if (!s) s = dor_synth_make(&d, cfg);
  if (!s) s = dor_dataset_write(&d, path);
  if (!s) dor_import_json(&d, path, true, json);
  dor_dataset_release(&d);
  if (!s) {
    dor_synth_assumptions(&text);
    s = dor_str_status(&text);
    if (!s) s = dor_io_write(assumptions, text.s, text.n);
    dor_str_release(&text);
  }
  return s;
}

static dor_status say_only(const dor_cli *c, const dor_synth_cfg *cfg, const char *path)
{
  if (c->json)
    dor_out_json(json_pack("{s:o, s:b, s:b, s:I}", "file", dor_json_text(path), "written", 0, "synthetic", 1, "subjects", (json_int_t)cfg->subjects));
  dor_say(c, "would write %s", path);
  dor_say(c, "next: the same command without --dry-run");
  return DOR_OK;
}

static dor_status run(dor_cli *c)
{
  dor_synth_cfg cfg;
  dor_str json = {0};
  DOR_TRY(dor_cli_need_out(c, "cohort"));
  DOR_TRY(dor_cli_assigned(c, dor_synth_keys, &cfg));
  const char *path = dor_path_join(&c->arena, c->out, "cohort.h5");
  DOR_NEED(path, NOMEM, "out of memory");
  DOR_TRY(dor_cli_may_write(c, path));
  dor_say(c, "SYNTHETIC COHORT: %lld people, effect size %g, seed %lld", (long long)cfg.subjects, cfg.d, (long long)cfg.seed);
  if (c->dry_run) return say_only(c, &cfg, path);
  dor_status s = write_cohort(c, &cfg, path, &json);
  if (!s && c->json) dor_out_str(&json);
  dor_str_release(&json);
  DOR_TRY(s);
  dor_say(c, "wrote %s and assumptions.md beside it", path);
  dor_say(c, "next: dorsum check %s", path);
  return DOR_OK;
}

const dor_command dor_command_synth = {
    .name = "synth",
    .summary = "make a synthetic cohort of people who bend forward and backward",
    .usage = "-o DIR [key=value ...]",
    .options = "onfJq",
    .examples = "  dorsum synth -o demo\n  dorsum synth -o null subjects=96 seed=2 d=0\n",
    .text = "Writes DIR/cohort.h5 and DIR/assumptions.md. It has the shape of a real cohort (silhouettes, key points, angles,\n"
            "questionnaire totals, age, sex; targets pattern: FP, EP and class: MI, MCI) and proves nothing about patients:\n"
            "every output made from it is stamped SYNTHETIC. Keys: dorsum help config.\n",
    .least = 0,
    .most = 0,
    .run = run};
