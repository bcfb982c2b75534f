/* SPDX-License-Identifier: Apache-2.0
 *
 * The run folder's own words: config.json, run.json, flow.csv, leakage.json. */
#include "report/meta.h"

#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/tree.h"
#include "report/by_arm.h"

typedef struct reader {
  dor_arena *a;
  const char *folder;
  json_t *config, *run, *leakage; /* leakage: NULL when there is no such file */
} reader;

dor_status dor_report_json(dor_arena *a, const char *folder, const char *name, bool needed, json_t **out)
{
  char *data, *path = dor_path_join(a, folder, name);
  size_t size;
  json_error_t error;
  DOR_NEED(path, NOMEM, "%s", name);
  if (!needed && !dor_io_exists(path)) return DOR_OK;
  DOR_TRY(dor_io_read(path, (size_t)1 << 26, &data, &size));
  *out = json_loadb(data, size, JSON_REJECT_DUPLICATES, &error);
  dor_free(data);
  DOR_NEED(*out, DATA, "%s:%d: %s", path, error.line, error.text);
  DOR_NEED(json_is_object(*out), DATA, "%s: no JSON object", path);
  return DOR_OK;
}

/* "split.folds"; NULL when absent. */
static json_t *at(json_t *root, const char *dotted)
{
  char part[64];
  for (const char *dot; root && (dot = strchr(dotted, '.')) != NULL; dotted = dot + 1) {
    size_t n = (size_t)(dot - dotted) < sizeof part - 1 ? (size_t)(dot - dotted) : sizeof part - 1;
    memcpy(part, dotted, n);
    part[n] = 0;
    root = json_object_get(root, part);
  }
  return json_object_get(root, dotted);
}

static const char *text(const reader *r, json_t *root, const char *key, const char *absent)
{
  const char *value = json_string_value(at(root, key)), *copy = value ? dor_arena_str(r->a, value) : NULL;
  return copy ? copy : absent;
}

static int64_t whole(json_t *root, const char *key, int64_t absent)
{
  json_t *v = at(root, key);
  return json_is_integer(v) ? json_integer_value(v) : absent;
}

static double real(json_t *root, const char *key, double absent)
{
  json_t *v = at(root, key);
  return json_is_number(v) ? json_number_value(v) : absent;
}

static void drop_paths(json_t *node)
{
  const char *key;
  json_t *child;
  void *next;
  size_t index;
  json_object_foreach_safe(node, next, key, child) {
    if (json_is_string(child) && dor_tree_is_path(key)) json_object_del(node, key);
    else drop_paths(child);
  }
  json_array_foreach(node, index, child) drop_paths(child);
}

static int collect(const char *bytes, size_t n, void *to)
{
  dor_str_bytes(to, bytes, n);
  return 0;
}

static dor_status result_code(const reader *r, const char *predictions, const char **out)
{
  dor_str canonical = {0};
  json_t *plain = json_deep_copy(r->config);
  DOR_NEED(plain, NOMEM, "config.json");
  drop_paths(plain);
  if (json_dump_callback(plain, collect, &canonical, JSON_SORT_KEYS | JSON_COMPACT | JSON_REAL_PRECISION(17))) canonical.failed = true;
  json_decref(plain);
  dor_status s = dor_str_status(&canonical);
  if (!s) s = dor_result_code(r->a, predictions, canonical.s, out);
  dor_str_release(&canonical);
  return s;
}

static dor_status scheme(const reader *r, dor_report_meta *m)
{
  const char *kind = text(r, r->config, "split.scheme", "kfold"), *file = text(r, r->config, "split.file", ""), *test = text(r, r->config, "split.test", "");
  long long folds = whole(r->config, "split.folds", 5), seed = whole(r->config, "split.seed", 0);
  const char *who = !strcmp(m->per, "subject") ? m->one : "person";
  const char *by = m->leaks ? dor_arena_fmt(r->a, "%s, people and groups ignored", m->one) : who;
  DOR_NEED(by, NOMEM, "a split");
  if (file[0]) m->scheme = dor_arena_fmt(r->a, "folds from a file");
  else if (!strcmp(kind, "loso")) m->scheme = dor_arena_fmt(r->a, "leave one %s out", who);
  else if (!strcmp(kind, "losite")) m->scheme = "leave one site out";
  else if (!strcmp(kind, "holdout")) m->scheme = dor_arena_fmt(r->a, "held out: %s", test);
  else if (!strcmp(kind, "rank")) m->scheme = dor_arena_fmt(r->a, "%lld folds by rank within class", folds);
  else m->scheme = dor_arena_fmt(r->a, "%lld folds by %s, seed %lld", folds, by, seed);
  m->repeats = (int32_t)whole(r->config, "split.repeats", 1);
  if (m->scheme && m->repeats > 1) m->scheme = dor_arena_fmt(r->a, "%s, %d repeats", m->scheme, m->repeats);
  DOR_NEED(m->scheme, NOMEM, "a split");
  return DOR_OK;
}

static const char *pool_text(const char *pool)
{
  return !strcmp(pool, "mean_logit") ? "mean of logits" : !strcmp(pool, "mean_prob") ? "mean of probabilities" : "";
}

static dor_status texts_of(const reader *r, json_t *list, const char ***out, int32_t *n)
{
  size_t count = json_array_size(list);
  *out = dor_arena_alloc(r->a, (count + 1) * sizeof **out);
  DOR_NEED(*out, NOMEM, "%zu texts", count);
  for (size_t i = 0; i < count; i++) {
    const char *value = json_string_value(json_array_get(list, i));
    DOR_NEED(value, DATA, "%s/run.json: a text wanted", r->folder);
    (*out)[i] = dor_arena_str(r->a, value);
    DOR_NEED((*out)[i], NOMEM, "%zu texts", count);
  }
  *n = (int32_t)count;
  return DOR_OK;
}

static dor_status read_arms(const reader *r, dor_report_meta *m)
{
  json_t *list = at(r->run, "arms");
  size_t n = json_array_size(list);
  DOR_NEED(n > 0, DATA, "%s/run.json: no arms", r->folder);
  dor_report_arm *arm = dor_arena_alloc(r->a, n * sizeof *arm);
  DOR_NEED(arm, NOMEM, "%zu arms", n);
  for (size_t i = 0; i < n; i++) {
    json_t *one = json_array_get(list, i);
    arm[i].name = text(r, one, "name", NULL);
    DOR_NEED(arm[i].name, DATA, "%s/run.json: arm %zu has no name", r->folder, i);
    arm[i].title = text(r, one, "title", "");
    if (!arm[i].title[0]) arm[i].title = arm[i].name;
    arm[i].baseline = json_is_true(at(one, "baseline"));
  }
  m->arm = arm, m->n_arms = (int32_t)n;
  return DOR_OK;
}

static dor_status read_flow(const reader *r, dor_report_meta *m)
{
  char *path = dor_path_join(r->a, r->folder, "flow.csv");
  dor_csv t;
  int32_t step, n;
  DOR_NEED(path, NOMEM, "flow.csv");
  if (!dor_io_exists(path)) return DOR_OK;
  DOR_TRY(dor_csv_read(r->a, path, &t));
  DOR_TRY(dor_csv_need(&t, "step", &step));
  DOR_TRY(dor_csv_need(&t, "n", &n));
  for (int32_t i = 0; i < t.n_rows; i++) {
    int64_t count;
    DOR_NEED(!dor_parse_int(dor_csv_at(&t, i, n), &count) && count >= 0 && count <= INT32_MAX, DATA, "%s:%d: n: no count", path, t.line[i]);
    if (!strcmp(dor_csv_at(&t, i, step), "analysed")) m->people += (int32_t)count;
    if (!strcmp(dor_csv_at(&t, i, step), "excluded")) m->left_out += (int32_t)count;
    if (!strcmp(dor_csv_at(&t, i, step), "trained_on_only")) m->trained_only += (int32_t)count;
  }
  return DOR_OK;
}

/* "leakage L1-L7 passed", or the names of those that did not. */
static dor_status read_leakage(const reader *r, dor_report_meta *m)
{
  json_t *list = at(r->leakage, "checks"), *one;
  size_t i, n = json_array_size(list);
  dor_str s = {0};
  m->leakage = "";
  if (!n) return DOR_OK;
  json_array_foreach(list, i, one)
    if (!json_is_true(at(one, "passed"))) dor_str_fmt(&s, "%s%s", s.n ? ", " : "leakage NOT passed: ", text(r, one, "id", "?"));
  if (!s.n) dor_str_fmt(&s, "leakage %s-%s passed", text(r, json_array_get(list, 0), "id", "?"), text(r, json_array_get(list, n - 1), "id", "?"));
  m->leakage = s.failed ? NULL : dor_arena_str(r->a, s.s);
  dor_str_release(&s);
  DOR_NEED(m->leakage, NOMEM, "leakage.json");
  return DOR_OK;
}

/* What a passed check still has to say stands among the limits. */
static dor_status add_notes(const reader *r, dor_report_meta *m)
{
  json_t *list = at(r->leakage, "checks"), *one;
  size_t i, n = (size_t)m->n_limits;
  const char **limit = dor_arena_alloc(r->a, (n + json_array_size(list) + 1) * sizeof *limit);
  DOR_NEED(limit, NOMEM, "%s/leakage.json", r->folder);
  if (n) memcpy(limit, m->limit, n * sizeof *limit);
  json_array_foreach(list, i, one) {
    const char *note = text(r, one, "note", NULL);
    if (!note || !json_is_true(at(one, "passed"))) continue;
    limit[n] = dor_arena_fmt(r->a, "%s: %s", text(r, one, "id", "?"), note);
    DOR_NEED(limit[n++], NOMEM, "%s/leakage.json", r->folder);
  }
  m->limit = limit, m->n_limits = (int32_t)n;
  return DOR_OK;
}

static void read_config(const reader *r, dor_report_meta *m)
{
  json_t *c = r->config;
  m->experiment = text(r, c, "experiment", ""), m->question = text(r, c, "question", "");
  m->title = text(r, c, "title", "");
  if (!m->title[0]) m->title = m->experiment;
  m->quick = json_is_true(at(c, "quick"));
  m->leaks = !strcmp(text(r, c, "split.unit", "subject"), "clip");
  m->n_seeds = (int32_t)json_array_size(at(c, "seeds"));
  m->bootstrap_seed = (uint64_t)whole(c, "split.seed", 0);
  m->level = real(c, "level", 0.95), m->replicates = (int32_t)whole(c, "bootstrap", 2000);
  m->reference = text(r, c, "compare.reference", ""), m->primary = text(r, c, "compare.primary", "");
  m->metric = text(r, c, "compare.metric", "accuracy");
  m->common = !strcmp(text(r, c, "compare.subjects", "common"), "common");
  m->positive = text(r, c, "target.positive", "");
  if (!m->positive[0]) m->positive = NULL;
}

static bool stamped(const reader *r, const char *stamp)
{
  json_t *one;
  size_t i;
  json_array_foreach(at(r->run, "stamps"), i, one)
    if (json_is_string(one) && !strcmp(json_string_value(one), stamp)) return true;
  return false;
}

static dor_status read_run(reader *r, dor_report_meta *m, dor_predictions *p)
{
  const char **order, **limit, *predictions = dor_path_join(r->a, r->folder, "predictions.csv");
  int32_t n;
  DOR_NEED(predictions, NOMEM, "%s", r->folder);
  DOR_TRY(dor_report_json(r->a, r->folder, "config.json", true, &r->config));
  DOR_TRY(dor_report_json(r->a, r->folder, "run.json", true, &r->run));
  DOR_TRY(dor_report_json(r->a, r->folder, "leakage.json", false, &r->leakage));
  read_config(r, m);
  m->synthetic = json_is_true(at(r->run, "synthetic")) || stamped(r, "SYNTHETIC");
  m->leaks |= stamped(r, "LEAKS"), m->quick |= stamped(r, "QUICK");
  m->per = text(r, r->run, "per", "subject");
  m->one = text(r, r->run, "unit", !strcmp(m->per, "subject") ? "person" : m->per);
  m->many = !strcmp(m->one, "person") ? "people" : dor_arena_fmt(r->a, "%ss", m->one);
  DOR_NEED(m->many, NOMEM, "a word");
  m->pool = pool_text(text(r, r->run, "pool", ""));
  m->precision = text(r, r->run, "precision", "");
  if (!strcmp(m->precision, "fp32")) m->precision = "";
  m->published = text(r, r->run, "published", NULL);
  DOR_TRY(texts_of(r, at(r->run, "classes"), &order, &n));
  DOR_TRY(texts_of(r, at(r->run, "limits"), &limit, &m->n_limits));
  m->limit = limit;
  DOR_TRY(read_arms(r, m));
  DOR_TRY(read_flow(r, m));
  DOR_TRY(read_leakage(r, m));
  DOR_TRY(add_notes(r, m));
  DOR_TRY(scheme(r, m));
  DOR_TRY(dor_predictions_read(r->a, predictions, &(dor_predictions_options){.positive = m->positive, .order = order, .n_order = n}, p));
  m->threshold = dor_thresholds(r->a, m, p);
  m->scheme = dor_schemes(r->a, m->scheme, m, p);
  DOR_NEED(m->threshold && m->scheme, NOMEM, "a split");
  return result_code(r, predictions, &m->result);
}

dor_status dor_report_read(dor_arena *a, const char *folder, dor_report_meta *m, dor_predictions *p)
{
  reader r = {.a = a, .folder = folder};
  *m = (dor_report_meta){0};
  dor_status s = read_run(&r, m, p);
  json_decref(r.config);
  json_decref(r.run);
  json_decref(r.leakage);
  return s;
}
