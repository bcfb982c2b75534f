/* SPDX-License-Identifier: Apache-2.0 */
#include "report/pose.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"
#include "eval/keypoint.h"
#include "report/output.h"
#include "report/plot.h"
#include "report/text.h"

typedef struct seed_row { /* ap.csv of one seed */
  int64_t seed;
  double value[DOR_KP_MOST], lo[DOR_KP_MOST], hi[DOR_KP_MOST];
} seed_row;

typedef struct pose {
  dor_arena *a;
  const char *folder;
  json_t *run, *config;
  const char *arm, *title, *result, *stamp, *rules;
  int32_t figures;
  const char *figure[DOR_KP_MOST]; /* names, as the first seed's ap.csv has them */
  double level;
  int32_t n, images, people;
  seed_row *seed;
  dor_report_meta meta;         /* what the writers of metrics and figures ask for, no more */
  dor_report_arm named;
  dor_arm_result of_arm;
  dor_analysis analysis;
} pose;

static json_t *load(dor_arena *a, const char *folder, const char *name)
{
  char *text;
  size_t n;
  const char *path = dor_path_join(a, folder, name);
  if (!path || dor_io_read(path, 16 << 20, &text, &n)) return NULL;
  json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
  dor_free(text);
  return root;
}

static const char *text_of(const json_t *o, const char *key)
{
  const char *s = json_string_value(json_object_get(o, key));
  return s ? s : "";
}

bool dor_report_is_pose(const char *folder)
{
  dor_arena a = {0};
  json_t *run = load(&a, folder, "run.json");
  const bool is = !strcmp(text_of(run, "task"), "pose");
  json_decref(run);
  dor_arena_release(&a);
  return is;
}

/* ---- reading ---- */

static const char *cell_file(const pose *p, int64_t seed, const char *name)
{
  return dor_arena_fmt(p->a, "%s/cells/%s/seed_%lld/fold_1/%s", p->folder, p->arm, (long long)seed, name);
}

static dor_status real_at(const dor_csv *t, int32_t row, int32_t col, double *out)
{
  *out = NAN;
  return *dor_csv_at(t, row, col) ? dor_csv_real(t, row, col, out) : DOR_OK;
}

static dor_status read_seed(pose *p, seed_row *r)
{
  dor_csv t;
  int32_t metric, value, lo, hi, images, people;
  double count;
  const char *path = cell_file(p, r->seed, "ap.csv");
  DOR_NEED(path, NOMEM, "%s", p->folder);
  DOR_TRY(dor_csv_read(p->a, path, &t));
  DOR_TRY(dor_csv_need(&t, "metric", &metric));
  DOR_TRY(dor_csv_need(&t, "value", &value));
  DOR_TRY(dor_csv_need(&t, "ci_lo", &lo));
  DOR_TRY(dor_csv_need(&t, "ci_hi", &hi));
  DOR_TRY(dor_csv_need(&t, "images", &images));
  DOR_TRY(dor_csv_need(&t, "people", &people));
  DOR_NEED(t.n_rows > 0 && t.n_rows <= DOR_KP_MOST && (r == p->seed || t.n_rows == p->figures), DATA, "%s: %d rows, wanted %d figures", path, t.n_rows,
           r == p->seed ? DOR_KP_MOST : p->figures);
  p->figures = t.n_rows;
  for (int32_t i = 0; i < p->figures; i++) {
    if (r == p->seed) p->figure[i] = dor_csv_at(&t, i, metric);
    DOR_NEED(!strcmp(p->figure[i], dor_csv_at(&t, i, metric)), DATA, "%s: row %d is '%s', another seed has '%s'", path, i + 1, dor_csv_at(&t, i, metric),
             p->figure[i]);
    DOR_TRY(real_at(&t, i, value, &r->value[i]));
    DOR_TRY(real_at(&t, i, lo, &r->lo[i]));
    DOR_TRY(real_at(&t, i, hi, &r->hi[i]));
  }
  DOR_TRY(dor_csv_real(&t, 0, images, &count));
  p->images = (int32_t)count;
  DOR_TRY(dor_csv_real(&t, 0, people, &count));
  p->people = (int32_t)count;
  return DOR_OK;
}

/* The groups that can change a figure; paths stand in the others. */
static dor_status hash_config(const pose *p, dor_hash *h)
{
  static const char *const groups[] = {"augment", "cpu", "decode", "keypoints", "nets", "train"};
  for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
    const json_t *group = json_object_get(p->config, groups[i]);
    char *text = group ? json_dumps(group, JSON_SORT_KEYS | JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    DOR_NEED(text, DATA, "%s/config.json: no group '%s'", p->folder, groups[i]);
    dor_hash_text(h, groups[i], text);
    free(text);
  }
  return DOR_OK;
}

static dor_status make_result(pose *p)
{
  char hex[DOR_HASH_HEX];
  dor_hash h;
  dor_hash_init(&h);
  DOR_TRY(hash_config(p, &h));
  for (int32_t i = 0; i < p->n; i++) {
    const char *path = cell_file(p, p->seed[i].seed, "results.json");
    DOR_NEED(path, NOMEM, "%s", p->folder);
    DOR_TRY(dor_hash_file(path, hex));
    dor_hash_text(&h, "results", hex);
  }
  dor_hash_final(&h, hex);
  hex[12] = 0;
  p->result = dor_arena_str(p->a, hex);
  DOR_NEED(p->result, NOMEM, "%s", p->folder);
  return DOR_OK;
}

static dor_status make_stamp(pose *p)
{
  char text[64] = "";
  const json_t *stamps = json_object_get(p->run, "stamps");
  for (size_t i = 0; i < json_array_size(stamps) && i < 3; i++) {
    const size_t n = strlen(text);
    const char *s = json_string_value(json_array_get(stamps, i));
    snprintf(text + n, sizeof text - n, "%s%.10s", n ? " " : "", s ? s : "");
  }
  p->stamp = dor_arena_str(p->a, text);
  DOR_NEED(p->stamp, NOMEM, "%s", p->folder);
  return DOR_OK;
}

static void make_analysis(pose *p)
{
  p->named = (dor_report_arm){p->arm, p->arm, false};
  p->meta = (dor_report_meta){.title = p->title, .result = p->result, .per = "image", .level = p->level, .synthetic = strstr(p->stamp, "SYNTHETIC"),
                              .leaks = strstr(p->stamp, "LEAKS"), .quick = strstr(p->stamp, "QUICK")};
  p->of_arm = (dor_arm_result){.arm = &p->named};
  p->analysis = (dor_analysis){.a = p->a, .m = &p->meta, .n_arms = 1, .arm = &p->of_arm, .primary = -1};
}

static dor_status read_all(pose *p)
{
  const json_t *seeds = json_object_get(p->run, "seeds");
  DOR_NEED(p->run && p->config, DATA, "%s: run.json or config.json cannot be read", p->folder);
  p->arm = text_of(p->run, "arm"), p->title = text_of(p->run, "title"), p->rules = text_of(p->run, "rules");
  if (!*p->rules) p->rules = "COCO";
  p->level = json_number_value(json_object_get(p->config, "level"));
  p->n = (int32_t)json_array_size(seeds);
  DOR_NEED(p->n > 0 && p->n < 10000 && *p->arm && !strchr(p->arm, '/'), DATA, "%s/run.json: no seeds or no arm", p->folder);
  p->seed = dor_arena_alloc(p->a, (size_t)p->n * sizeof *p->seed);
  DOR_NEED(p->seed, NOMEM, "%s", p->folder);
  for (int32_t i = 0; i < p->n; i++) {
    p->seed[i].seed = json_integer_value(json_array_get(seeds, (size_t)i));
    DOR_TRY(read_seed(p, &p->seed[i]));
  }
  DOR_TRY(make_stamp(p));
  DOR_TRY(make_result(p));
  make_analysis(p);
  return DOR_OK;
}

/* Mean and SD over the seeds; NaN where a seed has none, or there is one. */
static double mean_of(const pose *p, int f, double *sd)
{
  double sum = 0, square = 0;
  for (int32_t i = 0; i < p->n; i++) sum += p->seed[i].value[f];
  for (int32_t i = 0; i < p->n; i++) square += (p->seed[i].value[f] - sum / p->n) * (p->seed[i].value[f] - sum / p->n);
  *sd = p->n > 1 ? sqrt(square / (p->n - 1)) : NAN;
  return sum / p->n;
}

/* ---- writing ---- */

static dor_result row_of(const pose *p, int64_t seed, int f, double value, double lo, double hi)
{
  return (dor_result){.fold = DOR_ALL, .cls = -1, .seed = seed, .metric = p->figure[f], .average = "none", .value = value,
                      .ci = {lo, hi, isnan(lo) ? "" : "percentile bootstrap over pictures"}, .n = p->images, .k = p->people, .n_pos = -1, .n_neg = -1};
}

/* Of one seed "all" is that seed with its interval; of several it is their mean, whose interval no figure of one seed gives. */
static dor_status write_metrics(pose *p)
{
  dor_analysis *x = &p->analysis;
  x->row = dor_arena_alloc(p->a, (size_t)p->figures * ((size_t)p->n + 3) * sizeof *x->row);
  DOR_NEED(x->row, NOMEM, "%s", p->folder);
  for (int f = 0; f < p->figures; f++) {
    const seed_row *one = &p->seed[0];
    double sd, mean = mean_of(p, f, &sd);
    x->row[x->n_rows++] = row_of(p, DOR_ALL, f, mean, p->n == 1 ? one->lo[f] : (double)NAN, p->n == 1 ? one->hi[f] : (double)NAN);
    x->row[x->n_rows++] = row_of(p, DOR_MEAN, f, mean, NAN, NAN);
    if (p->n > 1) x->row[x->n_rows++] = row_of(p, DOR_SD, f, sd, NAN, NAN);
    for (int32_t i = 0; i < p->n; i++) x->row[x->n_rows++] = row_of(p, p->seed[i].seed, f, p->seed[i].value[f], p->seed[i].lo[f], p->seed[i].hi[f]);
  }
  return dor_write_metrics(x, p->folder);
}

static const char *cell_text(const pose *p, double value, double lo, double hi, bool interval)
{
  if (isnan(value)) return "-";
  if (!interval || isnan(lo)) return dor_arena_fmt(p->a, "%.1f", 100 * value);
  return dor_arena_fmt(p->a, "%.1f (%.1f-%.1f)", 100 * value, 100 * lo, 100 * hi);
}

/* A line for each seed, and mean (SD) where there are several. */
static dor_status make_grid(const pose *p, dor_grid *g)
{
  const int32_t cols = p->figures + 1, rows = p->n + (p->n > 1);
  *g = (dor_grid){.n_cols = cols, .n_rows = rows, .bold = -1};
  g->head = dor_arena_alloc(p->a, (size_t)cols * sizeof *g->head);
  g->cell = dor_arena_alloc(p->a, (size_t)(cols * rows) * sizeof *g->cell);
  DOR_NEED(g->head && g->cell, NOMEM, "%s", p->folder);
  g->head[0] = p->arm;
  for (int f = 0; f < p->figures; f++) g->head[f + 1] = p->figure[f];
  for (int32_t i = 0; i < p->n; i++) {
    const seed_row *r = &p->seed[i];
    g->cell[i * cols] = dor_arena_fmt(p->a, "seed %lld", (long long)r->seed);
    for (int f = 0; f < p->figures; f++) g->cell[i * cols + f + 1] = cell_text(p, r->value[f], r->lo[f], r->hi[f], !f);
  }
  if (p->n > 1) g->cell[p->n * cols] = "mean (SD)";
  for (int f = 0; f < p->figures && p->n > 1; f++) {
    double sd, mean = mean_of(p, f, &sd);
    g->cell[p->n * cols + f + 1] = isnan(mean) ? "-" : dor_arena_fmt(p->a, "%.1f (%.1f)", 100 * mean, 100 * sd);
  }
  for (int32_t i = 0; i < cols * rows; i++) DOR_NEED(g->cell[i], NOMEM, "%s", p->folder);
  return DOR_OK;
}

static const char *caption_of(const pose *p)
{
  return dor_arena_fmt(p->a,
                       "%s%s%s's keypoint figures in percent, from %d pictures with %d people; AP and AR: mean over OKS .50 to .95. "
                       "Intervals: %g %% percentiles of pictures drawn anew.%s Result %s.",
                       p->stamp, *p->stamp ? ". " : "", p->rules, p->images, p->people, 100 * p->level,
                       json_is_true(json_object_get(p->run, "renamed")) ? " Annotation files may name the keypoints otherwise (keypoints.rename)." : "",
                       p->result);
}

static dor_status write_csv_table(const pose *p)
{
  dor_str s = {0};
  dor_str_add(&s, "arm,seed,");
  for (int f = 0; f < p->figures; f++) dor_str_fmt(&s, "%s,", p->figure[f]);
  dor_str_add(&s, "AP_lo,AP_hi,stamp,run\n");
  for (int32_t i = 0; i < p->n; i++) {
    dor_csv_put(&s, p->arm, false);
    dor_csv_put_int(&s, p->seed[i].seed, false);
    for (int f = 0; f < p->figures; f++) dor_csv_put_real(&s, p->seed[i].value[f], false);
    dor_csv_put_real(&s, p->seed[i].lo[0], false);
    dor_csv_put_real(&s, p->seed[i].hi[0], false);
    dor_csv_put(&s, p->stamp, false);
    dor_csv_put(&s, p->result, true);
  }
  return dor_write_text(p->a, p->folder, "tables/main.csv", &s);
}

static dor_status write_tables(const pose *p, const dor_grid *g, const char *caption)
{
  dor_str s = {0};
  const char *tables = dor_path_join(p->a, p->folder, "tables");
  DOR_NEED(tables, NOMEM, "%s", p->folder);
  DOR_TRY(dor_io_mkdirs(tables));
  DOR_TRY(write_csv_table(p));
  dor_grid_markdown(g, caption, &s);
  DOR_TRY(dor_write_text(p->a, p->folder, "tables/main.md", &s));
  dor_grid_tex(g, "tab:pose", caption, &s);
  return dor_write_text(p->a, p->folder, "tables/main.tex", &s);
}

static dor_status write_pages(const pose *p, const dor_grid *g, const char *caption)
{
  dor_str s = {0};
  const char *question = text_of(p->run, "question");
  dor_str_fmt(&s, "# %s\n\n", p->title);
  if (*question) dor_str_fmt(&s, "%s\n\n", question);
  dor_grid_markdown(g, caption, &s);
  dor_put_figures_markdown(&p->analysis, p->folder, &s);
  DOR_TRY(dor_write_text(p->a, p->folder, "report.md", &s));
  dor_str_add(&s, "<!doctype html><meta charset=\"utf-8\"><title>");
  dor_put_html(&s, p->title);
  dor_str_add(&s, "</title><style>body{font-family:sans-serif;max-width:70rem;margin:2rem auto}td,th{padding:.2rem .6rem}</style>\n<h1>");
  dor_put_html(&s, p->title);
  dor_str_add(&s, "</h1>\n<p>");
  dor_put_html(&s, question);
  dor_str_add(&s, "</p>\n");
  dor_grid_html(g, caption, &s);
  dor_status status = dor_put_figures_html(&p->analysis, p->folder, &s);
  if (!status) return dor_write_text(p->a, p->folder, "report.html", &s);
  dor_str_release(&s);
  return status;
}

static void write_screen(const pose *p, dor_str *s)
{
  dor_str_fmt(s, "%s%*s%s%sresult %s\n", p->title, 4, "", p->stamp, *p->stamp ? "    " : "", p->result);
  dor_str_fmt(s, "%d pictures, %d people with joints; percent, AP with its %g %% interval (pictures drawn anew)\n\n", p->images, p->people, 100 * p->level);
  dor_str_fmt(s, "%-12s %-19s", "", "AP");
  for (int f = 1; f < p->figures; f++) dor_str_fmt(s, " %6s", p->figure[f]);
  dor_str_add(s, "\n");
  for (int32_t i = 0; i < p->n; i++) {
    const seed_row *r = &p->seed[i];
    const char *ap = cell_text(p, r->value[0], r->lo[0], r->hi[0], true);
    dor_str_fmt(s, "seed %-7lld %-19s", (long long)r->seed, ap ? ap : "");
    for (int f = 1; f < p->figures; f++) {
      const char *one = cell_text(p, r->value[f], NAN, NAN, false);
      dor_str_fmt(s, " %6s", one ? one : "");
    }
    dor_str_add(s, "\n");
  }
  dor_str_fmt(s, "Tables: tables/main.md   detections: cells/%s/seed_*/fold_1/results.json (COCO), weights: best.safetensors there\n", p->arm);
}

static dor_status make(pose *p, dor_str *screen)
{
  dor_grid g;
  DOR_TRY(read_all(p));
  const char *caption = caption_of(p);
  DOR_NEED(caption, NOMEM, "%s", p->folder);
  DOR_TRY(write_metrics(p));
  DOR_TRY(make_grid(p, &g));
  DOR_TRY(write_tables(p, &g, caption));
  DOR_TRY(dor_write_figure(&p->analysis, p->folder, DOR_PLOT_learning));
  DOR_TRY(write_pages(p, &g, caption));
  write_screen(p, screen);
  return dor_str_status(screen);
}

dor_status dor_report_pose(dor_arena *a, const char *folder, dor_str *screen, const char **result)
{
  pose p = {.a = a, .folder = folder, .run = load(a, folder, "run.json"), .config = load(a, folder, "config.json")};
  dor_status s = make(&p, screen);
  *result = p.result;
  json_decref(p.run);
  json_decref(p.config);
  return s;
}
