/* SPDX-License-Identifier: Apache-2.0
 *
 * A report from its meta data and predictions; and one of any program's file. */
#include "report/report.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/io.h"
#include "report/meta.h"
#include "report/by_arm.h"
#include "report/output.h"
#include "report/pose.h"

static dor_status make(dor_arena *a, const char *folder, const dor_report_meta *m, const dor_predictions *p, dor_str *screen)
{
  dor_analysis x;
  size_t before = screen->n;
  DOR_TRY(dor_io_mkdirs(folder));
  DOR_TRY(dor_analyse(a, m, p, &x));
  DOR_TRY(dor_write_metrics(&x, folder));
  DOR_TRY(dor_write_errors(&x, folder));
  DOR_TRY(dor_write_tables(&x, folder));
  DOR_TRY(dor_write_figures(&x, folder));
  DOR_TRY(dor_write_screen(&x, screen));
  return dor_write_pages(&x, folder, screen->s + before);
}

dor_status dor_report_make(const char *folder, const dor_report_meta *m, const dor_predictions *p, dor_str *screen)
{
  dor_arena a = {0};
  dor_status s = make(&a, folder, m, p, screen);
  dor_arena_release(&a);
  return s;
}

dor_status dor_result_code(dor_arena *a, const char *predictions, const char *config, const char **out)
{
  char hex[DOR_HASH_HEX];
  dor_hash h;
  DOR_TRY(dor_hash_file(predictions, hex));
  dor_hash_init(&h);
  dor_hash_text(&h, "predictions", hex);
  dor_hash_text(&h, "config", config);
  dor_hash_final(&h, hex);
  hex[12] = 0;
  *out = dor_arena_str(a, hex);
  DOR_NEED(*out, NOMEM, "a result code");
  return DOR_OK;
}

/* Different numbers in a column. */
static int32_t count(const int32_t *v, int32_t n)
{
  int32_t different = 0;
  for (int32_t i = 0; i < n; i++) {
    bool seen = false;
    for (int32_t j = 0; !seen && j < i; j++) seen = v[j] == v[i];
    different += !seen;
  }
  return different;
}

/* Of the arm that has most: a baseline that knows no seed has one. */
static int32_t count_seeds(const dor_predictions *p)
{
  int32_t most = 0;
  for (int32_t arm = 0; arm < p->n_arms; arm++) {
    int32_t n = 0;
    for (int32_t i = 0; i < p->n; i++) {
      bool seen = p->arm[i] != arm;
      for (int32_t j = 0; !seen && j < i; j++) seen = p->arm[j] == arm && p->seed[j] == p->seed[i];
      n += !seen;
    }
    most = n > most ? n : most;
  }
  return most;
}

/* What a file without a run can tell about itself. */
static dor_status foreign(dor_arena *a, const char *csv, const dor_predictions *p, dor_report_meta *m)
{
  const char *slash = strrchr(csv, '/');
  dor_report_arm *arm = dor_arena_alloc(a, (size_t)p->n_arms * sizeof *arm);
  DOR_NEED(arm, NOMEM, "%d arms", p->n_arms);
  for (int32_t i = 0; i < p->n_arms; i++) arm[i] = (dor_report_arm){p->arm_name[i], p->arm_name[i], false};
  int32_t folds = count(p->fold, p->n);
  const char *per = p->n_units > p->n_clusters ? "row" : "subject";
  *m = (dor_report_meta){.experiment = "", .title = slash ? slash + 1 : csv, .question = "", .positive = p->n_classes == 2 ? p->class_name[1] : NULL,
                         .scheme = folds > 1 ? dor_arena_fmt(a, "%d folds, as the file says", folds) : "", .pool = "",
                         .per = per, .one = per, .many = dor_arena_fmt(a, "%ss", per), .n_seeds = count_seeds(p), .repeats = count(p->repeat, p->n),
                         .metric = "accuracy", .common = true, .n_arms = p->n_arms, .arm = arm,
                         .synthetic = strstr(p->stamp, "SYNTHETIC"), .leaks = strstr(p->stamp, "LEAKS"), .quick = strstr(p->stamp, "QUICK"),
                         .people = p->n_clusters, .leakage = "", .level = 0.95, .replicates = 2000};
  m->threshold = dor_thresholds(a, m, p);
  if (m->scheme) m->scheme = dor_schemes(a, m->scheme, m, p);
  DOR_NEED(m->scheme && m->threshold && m->many, NOMEM, "%s", csv);
  return dor_result_code(a, csv, "", &m->result);
}

static dor_status report_file(dor_arena *a, const char *csv, const char *out, const dor_predictions_options *o, dor_str *screen)
{
  dor_predictions p;
  dor_report_meta m;
  DOR_TRY(dor_predictions_read(a, csv, o, &p));
  DOR_NEED(p.n_classes, UNSUPPORTED, "%s: neither p_CLASS nor probability: reports of values (regression) are not there yet", csv);
  if (p.n_classes == 2)
    DOR_NEED(o && o->positive, USAGE, "%s: which class is sensitivity about? say positive=%s or positive=%s", csv, p.class_name[0], p.class_name[1]);
  DOR_TRY(foreign(a, csv, &p, &m));
  if (!out) out = dor_arena_fmt(a, "%s.report", csv);
  DOR_NEED(out, NOMEM, "%s", csv);
  return make(a, out, &m, &p, screen);
}

dor_status dor_report_file(const char *csv, const char *out, const dor_predictions_options *o, dor_str *screen)
{
  dor_arena a = {0};
  dor_status s = report_file(&a, csv, out, o, screen);
  dor_arena_release(&a);
  return s;
}

static dor_status report_run(dor_arena *a, const char *folder, dor_str *screen)
{
  dor_report_meta m;
  dor_predictions p;
  const char *done = dor_path_join(a, folder, "DONE");
  DOR_NEED(done, NOMEM, "%s", folder);
  const bool pose = dor_report_is_pose(folder);
  if (!pose) DOR_TRY(dor_report_read(a, folder, &m, &p));
  dor_io_gather();
  dor_status s = pose ? dor_report_pose(a, folder, screen, &m.result) : make(a, folder, &m, &p, screen);
  if (!s) s = dor_sums_write(a, folder);
  DOR_TRY(dor_io_settle(s));
  return dor_io_write(done, m.result, strlen(m.result));
}

dor_status dor_report_run(const char *folder, dor_str *screen)
{
  dor_arena a = {0};
  dor_status s = report_run(&a, folder, screen);
  dor_arena_release(&a);
  return s;
}
