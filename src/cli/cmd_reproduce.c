/* SPDX-License-Identifier: Apache-2.0
 *
 * dorsum reproduce: run an experiment of experiments/ and hold the result against
 * its expect.cfg. */
#include "cli/progress.h"

#include <string.h>

#include <jansson.h>

#include "base/io.h"
#include "report/expect.h"

enum { MOST_DATA = 16 };

typedef struct plan { /* which data the experiment is run on: NULL, its own, and what rows of expect.cfg name */
  const char *folder, *config, *expect;
  const char *data[MOST_DATA];
  int32_t n, tested;
  json_t *runs; /* for --json: an object each */
} plan;

static dor_status add_data(plan *p, const char *data)
{
  for (int32_t i = 0; i < p->n; i++)
    if (p->data[i] == data || (p->data[i] && data && !strcmp(p->data[i], data))) return DOR_OK;
  DOR_NEED(p->n < MOST_DATA, CONFIG, "%s: rows on more than %d data sets", p->expect, MOST_DATA);
  p->data[p->n++] = data;
  return DOR_OK;
}

/* Its own data when a row says no other, or there are no rows at all. */
static dor_status read_plan(dor_cli *c, plan *p)
{
  dor_tree *root;
  DOR_TRY(dor_tree_read(&c->arena, p->expect, &root));
  const dor_tree *rows = dor_tree_find(root, "expected");
  if (!rows || !rows->first) return add_data(p, NULL);
  for (const dor_tree *t = rows->first; t; t = t->next) {
    const dor_tree *data = t->type == DOR_TREE_GROUP ? dor_tree_find(t, "data") : NULL;
    DOR_TRY(add_data(p, data ? data->text : NULL));
  }
  return DOR_OK;
}

static dor_status find_files(dor_cli *c, plan *p)
{
  const char *name = c->arg[0];
  p->folder = strchr(name, '/') ? name : dor_path_join(&c->arena, "experiments", name);
  DOR_NEED(p->folder, NOMEM, "out of memory");
  DOR_NEED(dor_io_is_dir(p->folder), USAGE, "%s: no such folder; experiments are folders with experiment.cfg and expect.cfg", p->folder);
  p->config = dor_path_join(&c->arena, p->folder, "experiment.cfg");
  p->expect = dor_path_join(&c->arena, p->folder, "expect.cfg");
  DOR_NEED(p->config && p->expect, NOMEM, "out of memory");
  return read_plan(c, p);
}

static dor_status data_is_there(const dor_experiment *e, const char *name)
{
  const char *path = dor_experiment_data(e), *slash = strrchr(name, '/');
  if (!strncmp(path, "synth:", 6) || dor_io_exists(path)) return DOR_OK;
  return DOR_FAIL(CONFIG, "%s: no such file; datasets/%s/recipe.sh makes it from what you download", path, slash && slash[1] ? slash + 1 : name);
}

/* With --json the rows go into the object of the run. */
static dor_status hold(const dor_cli *c, plan *p, const dor_experiment *e, const dor_run_result *r, json_t *run)
{
  dor_str table = {0};
  int32_t tested = 0;
  json_t *rows = run ? json_array() : NULL;
  dor_status s = dor_expect_check(p->expect, r->folder, e->top.data, &table, rows, &tested);
  p->tested += tested;
  if (run) json_object_set_new(run, "rows", rows);
  else if (table.n) dor_out("\n"), dor_out_str(&table);
  dor_str_release(&table);
  if (!s) dor_say(c, "next: %s/report.html, dorsum verify %s", r->folder, r->folder);
  return s;
}

/* Arms and baselines are what rows can be about; a mistake in expect.cfg is said before hours of training. */
static dor_status sound(dor_cli *c, const plan *p, const dor_experiment *e)
{
  const dor_texts *b = &e->top.baselines;
  int32_t n = 0;
  const char **arm = dor_arena_alloc(&c->arena, ((size_t)e->n_arms + (size_t)b->n + 1) * sizeof *arm);
  DOR_NEED(arm, NOMEM, "out of memory");
  for (int32_t i = 0; i < e->n_arms; i++) arm[n++] = e->arm[i].name;
  for (int32_t i = 0; i < b->n && n; i++) arm[n++] = b->v[i];
  return dor_expect_sound(p->expect, arm, n);
}

static dor_status run_one(dor_cli *c, plan *p, const dor_experiment *e, json_t **json)
{
  dor_run_result r = {.cells = 0};
  DOR_TRY(sound(c, p, e));
  DOR_TRY(data_is_there(e, c->arg[0]));
  if (c->dry_run) return dor_run_plan(c, e, json);
  DOR_TRY(dor_run_and_report(c, e, &r, json));
  return hold(c, p, e, &r, *json);
}

static dor_status one(dor_cli *c, plan *p, const char *data)
{
  dor_experiment e;
  json_t *json = NULL;
  const char **assign = dor_arena_alloc(&c->arena, (size_t)(c->n_assign + 1) * sizeof *assign);
  const char *last = data ? dor_arena_fmt(&c->arena, "data=%s", data) : NULL;
  DOR_NEED(assign && (last || !data), NOMEM, "out of memory");
  for (int32_t i = 0; i < c->n_assign; i++) assign[i] = c->assign[i];
  assign[c->n_assign] = last;
  DOR_TRY(dor_experiment_read(&e, p->config, assign, c->n_assign + (data != NULL)));
  dor_status s = dor_cli_device(c, false, &e.backend);
  if (!s) s = run_one(c, p, &e, &json);
  if (json) {
    json_object_set_new(json, "data", dor_json_text(e.top.data));
    json_array_append_new(p->runs, json);
  }
  dor_experiment_release(&e);
  return s;
}

static dor_status all(dor_cli *c, plan *p)
{
  dor_status worst = DOR_OK;
  for (int32_t i = 0; i < p->n; i++) {
    dor_status s = one(c, p, p->data[i]);
    if (s && s != DOR_E_MISMATCH) return s;
    if (s) worst = s; /* the other data are looked at too; the last message is shown */
  }
  return worst;
}

static void print_json(const dor_cli *c, const plan *p, dor_status s)
{
  json_t *root = json_pack("{s:o, s:i, s:O}", "experiment", dor_json_text(c->arg[0]), "tested", p->tested, "runs", p->runs);
  if (!c->dry_run) json_object_set_new(root, "held", json_boolean(!s));
  dor_out_json(root);
}

static dor_status run(dor_cli *c)
{
  plan p = {.n = 0};
  DOR_TRY(find_files(c, &p));
  DOR_NEED(!c->out || p.n == 1, USAGE, "--out is for one run; %s asks for %d", p.expect, p.n);
  p.runs = json_array();
  dor_status s = all(c, &p);
  if (c->json && (!s || s == DOR_E_MISMATCH)) print_json(c, &p, s);
  json_decref(p.runs);
  if ((s && s != DOR_E_MISMATCH) || c->dry_run) return s;
  if (p.tested) dor_say(c, "%d figures tested%s", p.tested, s ? "" : ", all held");
  else dor_say(c, "nothing to test in expect.cfg: published figures are shown only");
  return s;
}

const dor_command dor_command_reproduce = {
    .name = "reproduce",
    .summary = "run an experiment and hold it against what is expected",
    .usage = "EXPERIMENT [key=value ...]",
    .options = "ojdnfJq",
    .examples = "  dorsum reproduce vertebral_column\n  dorsum reproduce vertebral_column --dry-run\n  dorsum reproduce experiments/mnist_t10k --jobs 2\n",
    .text = "Runs experiments/EXPERIMENT/experiment.cfg and prints published beside obtained figures. What expect.cfg expects is\n"
            "tested: exit code 4 when a figure is outside its tolerance. Data come from datasets/EXPERIMENT/recipe.sh.\n",
    .least = 1,
    .most = 1,
    .run = run};
