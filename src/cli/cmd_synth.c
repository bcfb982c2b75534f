/* SPDX-License-Identifier: Apache-2.0
 *
 * dorsum synth: a synthetic cohort as a dataset file, and on film. */
#include "cli/cli.h"

#include <stdio.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/io.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "data/import.h"
#include "data/synth_film.h"

typedef struct wish {             /* what was asked for */
  dor_synth_cfg cohort;
  dor_synth_film_cfg film;
} wish;

/* key=value of both tables; names of one are passed over by the other. */
static dor_status take_keys(dor_cli *c, wish *w)
{
  enum { MOST = 64 };
  const dor_key *const tables[] = {dor_synth_keys, dor_synth_film_keys};
  void *const into[] = {&w->cohort, &w->film};
  dor_tree root = {.type = DOR_TREE_GROUP, .file = "command line"};
  if (!c->video) return dor_cli_assigned(c, dor_synth_keys, &w->cohort);
  for (int32_t i = 0; i < c->n_assign; i++) DOR_TRY(dor_tree_assign(&c->arena, &root, c->assign[i]));
  for (size_t i = 0; i < 2; i++) {
    const char *others[MOST + 1] = {NULL};
    size_t n = 0;
    for (const dor_key *k = tables[1 - i]; k->name && n < MOST; k++) others[n++] = k->name;
    DOR_TRY(dor_schema_defaults(tables[i], into[i], &c->arena));
    DOR_TRY(dor_schema_load(tables[i], into[i], &root, others, &c->arena));
  }
  return DOR_OK;
}

static bool show(void *to, int32_t done, int32_t of)
{
  const double spent_s = dor_clock_s() - *(const double *)to;
  char line[96];
  if (done) snprintf(line, sizeof line, "videos %d/%d, %.0f s left", done, of, spent_s / done * (of - done));
  else snprintf(line, sizeof line, "videos 0/%d", of);
  if (dor_output_redraws()) dor_output_redraw(line);
  return !dor_stop_requested();
}

static dor_status film(dor_cli *c, const wish *w, const dor_dataset *d)
{
  double began = dor_clock_s();
  dor_catch_signals();
  dor_status s = dor_synth_film(d, &w->cohort, &w->film, c->out, show, &began);
  dor_output_redraw("");
  return s;
}

static dor_status write_assumptions(dor_cli *c)
{
  dor_str text = {0};
  const char *path = dor_path_join(&c->arena, c->out, "assumptions.md");
  DOR_NEED(path, NOMEM, "out of memory");
  dor_synth_assumptions(&text);
  dor_status s = dor_str_status(&text);
  if (!s) s = dor_io_write(path, text.s, text.n);
  dor_str_release(&text);
  return s;
}

static dor_status write_cohort(dor_cli *c, const wish *w, const char *path, dor_str *json)
{
  dor_dataset d = {0};
  DOR_TRY(dor_io_mkdirs(c->out));
  DOR_TRY(dor_synth_make_film(&d, &w->cohort, c->video ? &w->film : NULL));
  dor_status s = c->video ? film(c, w, &d) : DOR_OK;
  if (!s) s = dor_dataset_write(&d, path);
  if (!s) dor_import_json(&d, path, true, json);
  dor_dataset_release(&d);
  return s ? s : write_assumptions(c);
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
  wish w;
  dor_str json = {0};
  DOR_TRY(dor_cli_need_out(c, "cohort"));
  DOR_TRY(take_keys(c, &w));
  const char *path = dor_path_join(&c->arena, c->out, "cohort.h5");
  DOR_NEED(path, NOMEM, "out of memory");
  DOR_TRY(dor_cli_may_write(c, path));
  if (c->video) DOR_TRY(dor_synth_film_room(c->out, c->force));
  dor_say(c, "SYNTHETIC COHORT: %lld people, effect size %g, seed %lld", (long long)w.cohort.subjects, w.cohort.d, (long long)w.cohort.seed);
  if (c->dry_run) return say_only(c, &w.cohort, path);
  dor_status s = write_cohort(c, &w, path, &json);
  if (!s && c->json) dor_out_str(&json);
  dor_str_release(&json);
  DOR_TRY(s);
  dor_say(c, "wrote %s and assumptions.md beside it", path);
  if (c->video) dor_say(c, "wrote videos/, frames/, annotations.json, manifest.csv, labels.csv, proms.csv and cohort.cfg there too");
  dor_say(c, "next: dorsum check %s", path);
  return DOR_OK;
}

const dor_command dor_command_synth = {
    .name = "synth",
    .summary = "make a synthetic cohort of people who bend forward and backward",
    .usage = "-o DIR [key=value ...]",
    .options = "oVnfJq",
    .examples = "  dorsum synth -o demo\n  dorsum synth -o null subjects=96 seed=2 d=0\n"
                "  dorsum synth --video -o filmed subjects=12 side=256 every=5\n",
    .text = "Writes DIR/cohort.h5 and DIR/assumptions.md. It has the shape of a real cohort (silhouettes, key points, angles,\n"
            "questionnaire totals, age, sex; targets pattern: FP, EP and class: MI, MCI) and proves nothing about patients:\n"
            "every output made from it is stamped SYNTHETIC. With --video also videos/ (mp4 by ffmpeg, tagged SYNTHETIC), frames/ and\n"
            "annotations.json (COCO layout, to train a pose network on), manifest.csv, labels.csv, proms.csv, cohort.cfg; cohort.h5 then has\n"
            "a row for every frame. Keys: dorsum help config.\n",
    .least = 0,
    .most = 0,
    .run = run};
