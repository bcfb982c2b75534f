/* SPDX-License-Identifier: Apache-2.0
 *
 * tables/: main, per_class (of more than two), per_fold, ablation as CSV
 * (numbers, full precision), Markdown and LaTeX (rounded, with caption);
 * confusion as CSV. */
#include <math.h>
#include <string.h>

#include "base/csv.h"
#include "base/io.h"
#include "report/output.h"
#include "report/text.h"

typedef struct column {
  const char *metric, *head;
  bool of_class;      /* of the positive class when there are two; macro otherwise */
} column;

static const column of_classes[] = {{"accuracy", "accuracy", false}, {"sensitivity", "sensitivity", true}, {"specificity", "specificity", true},
                                    {"f1", "F1", true}, {"precision", "precision", true}, {"balanced_accuracy", "balanced accuracy", false},
                                    {"mcc", "MCC", false}, {"auc", "AUC", true}};
enum { COLUMNS = sizeof of_classes / sizeof *of_classes };

static const dor_result *value(const dor_analysis *x, int32_t arm, int32_t fold, int64_t seed, const column *c)
{
  return dor_result_find(x, arm, fold, seed, c->metric, c->of_class ? dor_positive(x) : -1);
}

static const char *role(const dor_analysis *x, int32_t arm)
{
  return arm == x->reference ? "reference" : arm == x->primary ? "primary" : x->arm[arm].arm->baseline ? "baseline" : "";
}

static const char *keep(const dor_analysis *x, dor_str *s)
{
  const char *text = s->failed ? NULL : dor_arena_str(x->a, s->s ? s->s : "");
  dor_str_release(s);
  return text;
}

static dor_status grid_new(const dor_analysis *x, int32_t rows, int32_t cols, dor_grid *g)
{
  *g = (dor_grid){.n_cols = cols, .bold = -1};
  g->head = dor_arena_alloc(x->a, (size_t)cols * sizeof *g->head);
  g->cell = dor_arena_alloc(x->a, ((size_t)rows * (size_t)cols + 1) * sizeof *g->cell);
  DOR_NEED(g->head && g->cell, NOMEM, "a table of %d x %d", rows, cols);
  return DOR_OK;
}

static dor_status grid_check(const dor_grid *g)
{
  for (int32_t i = 0; i < g->n_rows * g->n_cols; i++) DOR_NEED(g->cell[i], NOMEM, "a table of %d x %d", g->n_rows, g->n_cols);
  return DOR_OK;
}

/* mean (SD) of single seeds; "-" for one. */
static const char *seeds(const dor_analysis *x, int32_t arm, const column *c)
{
  const dor_result *mean = value(x, arm, DOR_ALL, DOR_MEAN, c), *sd = value(x, arm, DOR_ALL, DOR_SD, c);
  dor_str s = {0};
  if (!mean || !sd || isnan(sd->value)) return "-";
  int64_t n = x->arm[arm].scores.n;
  bool share = dor_is_share(c->metric);
  if (share) dor_put_percent(&s, mean->value, n);
  else dor_put_index(&s, mean->value);
  dor_str_add(&s, " (");
  if (share) dor_put_percent(&s, sd->value, n);
  else dor_put_index(&s, sd->value);
  dor_str_add(&s, ")");
  return keep(x, &s);
}

static const char *metric_text(const dor_analysis *x, const dor_result *r)
{
  dor_str s = {0};
  dor_put_metric(&s, r);
  return keep(x, &s);
}

static const char *p_text(const dor_analysis *x, double p)
{
  dor_str s = {0};
  dor_put_p(&s, p);
  return keep(x, &s);
}

static const char *class_name(const dor_analysis *x, int32_t c) { return c >= 0 ? x->p->class_name[c] : "-"; }

/* The best accuracy is bold when it is alone; else those on a par with it are marked. */
static const char *marked(const dor_analysis *x, int32_t arm, const char *text)
{
  bool par = !x->alone && (arm == x->best || x->tied[arm]);
  return par && text ? dor_arena_fmt(x->a, "%s =", text) : text;
}

dor_status dor_grid_main(const dor_analysis *x, dor_grid *g)
{
  const column *c = of_classes;
  const int32_t n = COLUMNS;
  DOR_TRY(grid_new(x, x->n_arms, n + 4, g));
  g->head[0] = "arm", g->head[1] = "", g->head[n + 2] = "p against always the commonest", g->head[n + 3] = "single seeds: first metric, mean (SD)";
  for (int32_t i = 0; i < n; i++) g->head[i + 2] = c[i].head;
  for (int32_t a = 0; a < x->n_arms; a++) {
    const char **cell = g->cell + g->n_rows++ * g->n_cols;
    cell[0] = x->arm[a].arm->title, cell[1] = role(x, a);
    for (int32_t i = 0; i < n; i++) cell[i + 2] = metric_text(x, value(x, a, DOR_ALL, DOR_ALL, &c[i]));
    cell[2] = marked(x, a, cell[2]);
    if (a == x->best && x->alone && x->n_contrasts) g->bold = (int32_t)(cell + 2 - g->cell);
    cell[n + 2] = isnan(x->arm[a].nir_p) ? "-" : p_text(x, x->arm[a].nir_p), cell[n + 3] = seeds(x, a, &c[0]);
  }
  return grid_check(g);
}

static void main_csv(const dor_analysis *x, dor_str *s)
{
  const column *c = of_classes;
  const int32_t n = COLUMNS;
  dor_str_add(s, "arm,title,role,n,n_seeds,commonest_class,p_no_information");
  for (int32_t i = 0; i < n; i++)
    dor_str_fmt(s, ",%s,%s_lo,%s_hi,%s_method,%s_seed_mean,%s_seed_sd", c[i].metric, c[i].metric, c[i].metric, c[i].metric, c[i].metric, c[i].metric);
  dor_str_add(s, ",stamp,run\n");
  for (int32_t a = 0; a < x->n_arms; a++) {
    const dor_arm_result *r = &x->arm[a];
    dor_csv_put(s, r->arm->name, false);
    dor_csv_put(s, r->arm->title, false);
    dor_csv_put(s, role(x, a), false);
    dor_csv_put_int(s, r->scores.n, false);
    dor_csv_put_int(s, r->n_seeds, false);
    dor_csv_put(s, r->commonest >= 0 ? class_name(x, r->commonest) : "", false);
    dor_csv_put_real(s, r->nir_p, false);
    for (int32_t i = 0; i < n; i++) {
      const dor_result *v = value(x, a, DOR_ALL, DOR_ALL, &c[i]), *mean = value(x, a, DOR_ALL, DOR_MEAN, &c[i]), *sd = value(x, a, DOR_ALL, DOR_SD, &c[i]);
      dor_csv_put_real(s, v ? v->value : NAN, false);
      dor_csv_put_real(s, v ? v->ci.lo : NAN, false);
      dor_csv_put_real(s, v ? v->ci.hi : NAN, false);
      dor_csv_put(s, v ? v->ci.method : "", false);
      dor_csv_put_real(s, mean ? mean->value : NAN, false);
      dor_csv_put_real(s, sd ? sd->value : NAN, false);
    }
    dor_put_marks(x, s);
  }
}

static const char *fold_name(const dor_analysis *x, int32_t fold)
{
  return fold == DOR_MEAN ? "mean" : fold == DOR_SD ? "SD" : dor_fold_name(x, fold);
}

/* The folds, then mean and SD. */
static int32_t fold_at(const dor_analysis *x, int32_t i) { return i < x->n_folds ? x->fold[i] : i == x->n_folds ? DOR_MEAN : DOR_SD; }

dor_status dor_grid_folds(const dor_analysis *x, dor_grid *g)
{
  const column *c = of_classes;
  const int32_t n = COLUMNS;
  DOR_TRY(grid_new(x, x->n_arms * (x->n_folds + 2), n + 3, g));
  g->head[0] = "arm", g->head[1] = "fold", g->head[2] = "n";
  for (int32_t i = 0; i < n; i++) g->head[i + 3] = c[i].head;
  for (int32_t a = 0; a < x->n_arms; a++)
    for (int32_t k = 0; k < x->n_folds + 2; k++) {
      int32_t fold = fold_at(x, k);
      const dor_result *first = value(x, a, fold, DOR_ALL, &c[0]);
      if (!first) continue;
      const char **cell = g->cell + g->n_rows++ * g->n_cols;
      cell[0] = x->arm[a].arm->title, cell[1] = fold_name(x, fold);
      cell[2] = fold >= 0 ? dor_arena_fmt(x->a, "%lld", (long long)first->n) : "";
      for (int32_t i = 0; i < n; i++) cell[i + 3] = metric_text(x, value(x, a, fold, DOR_ALL, &c[i]));
    }
  return grid_check(g);
}

static void folds_csv(const dor_analysis *x, dor_str *s)
{
  const column *c = of_classes;
  const int32_t n = COLUMNS;
  dor_str_add(s, "arm,fold,n");
  for (int32_t i = 0; i < n; i++) dor_str_fmt(s, ",%s", c[i].metric);
  dor_str_add(s, ",mcc_set_to_0,stamp,run\n");
  for (int32_t a = 0; a < x->n_arms; a++)
    for (int32_t k = 0; k < x->n_folds + 2; k++) {
      int32_t fold = fold_at(x, k);
      const dor_result *first = value(x, a, fold, DOR_ALL, &c[0]);
      if (!first) continue;
      dor_csv_put(s, x->arm[a].arm->name, false);
      dor_csv_put(s, fold_name(x, fold), false);
      if (fold >= 0) dor_csv_put_int(s, first->n, false);
      else dor_csv_put(s, "", false);
      for (int32_t i = 0; i < n; i++) dor_csv_put_real(s, value(x, a, fold, DOR_ALL, &c[i])->value, false);
      dor_csv_put_int(s, dor_result_find(x, a, fold, DOR_ALL, "mcc", -1)->set_to_zero, false);
      dor_put_marks(x, s);
    }
}

/* ---- each class against the rest ---- */

static const column of_a_class[] = {{"sensitivity", "sensitivity", true}, {"specificity", "specificity", true}, {"precision", "precision", true},
                                    {"f1", "F1", true}, {"auc", "AUC", true}};
enum { CLASS_COLUMNS = sizeof of_a_class / sizeof *of_a_class };

dor_status dor_grid_classes(const dor_analysis *x, dor_grid *g)
{
  const int32_t k = dor_positive(x) > 0 ? 0 : x->p->n_classes;
  DOR_TRY(grid_new(x, x->n_arms * k, CLASS_COLUMNS + 3, g));
  g->head[0] = "arm", g->head[1] = "class", g->head[2] = "n";
  for (int32_t i = 0; i < CLASS_COLUMNS; i++) g->head[i + 3] = of_a_class[i].head;
  for (int32_t a = 0; a < x->n_arms; a++)
    for (int32_t c = 0; c < k; c++) {
      const char **cell = g->cell + g->n_rows++ * g->n_cols;
      const dor_result *first = dor_result_find(x, a, DOR_ALL, DOR_ALL, "sensitivity", c);
      cell[0] = x->arm[a].arm->title, cell[1] = class_name(x, c), cell[2] = dor_arena_fmt(x->a, "%lld", first ? (long long)first->n : 0LL);
      for (int32_t i = 0; i < CLASS_COLUMNS; i++) cell[i + 3] = metric_text(x, dor_result_find(x, a, DOR_ALL, DOR_ALL, of_a_class[i].metric, c));
    }
  return grid_check(g);
}

static void classes_csv(const dor_analysis *x, dor_str *s)
{
  dor_str_add(s, "arm,class,n");
  for (int32_t i = 0; i < CLASS_COLUMNS; i++)
    dor_str_fmt(s, ",%s,%s_lo,%s_hi,%s_method", of_a_class[i].metric, of_a_class[i].metric, of_a_class[i].metric, of_a_class[i].metric);
  dor_str_add(s, ",stamp,run\n");
  for (int32_t a = 0; a < x->n_arms; a++)
    for (int32_t c = 0; c < x->p->n_classes; c++) {
      const dor_result *first = dor_result_find(x, a, DOR_ALL, DOR_ALL, "sensitivity", c);
      dor_csv_put(s, x->arm[a].arm->name, false);
      dor_csv_put(s, class_name(x, c), false);
      dor_csv_put_int(s, first ? first->n : 0, false);
      for (int32_t i = 0; i < CLASS_COLUMNS; i++) {
        const dor_result *v = dor_result_find(x, a, DOR_ALL, DOR_ALL, of_a_class[i].metric, c);
        dor_csv_put_real(s, v ? v->value : NAN, false);
        dor_csv_put_real(s, v ? v->ci.lo : NAN, false);
        dor_csv_put_real(s, v ? v->ci.hi : NAN, false);
        dor_csv_put(s, v ? v->ci.method : "", false);
      }
      dor_put_marks(x, s);
    }
}

static const char *difference_text(const dor_analysis *x, const dor_contrast *c)
{
  dor_str s = {0};
  dor_put_difference(&s, c);
  return keep(x, &s);
}

static const char *only_text(const dor_analysis *x, const dor_contrast *c)
{
  return c->only_arm < 0 ? "-" : dor_arena_fmt(x->a, "%lld / %lld", (long long)c->only_arm, (long long)c->only_reference);
}

/* ---- ablation: every arm by the metrics that are compared, the contrast beside it where there is one ---- */

typedef struct ablation {
  int32_t n;
  struct { int32_t arm; const char *metric; const dor_contrast *contrast; } *row;
} ablation;

/* Metrics stand in the order of the contrasts; without any there is one, that of compare.metric. */
static dor_status list_ablation(const dor_analysis *x, ablation *t)
{
  *t = (ablation){.row = dor_arena_alloc(x->a, ((size_t)x->n_contrasts + 1) * (size_t)x->n_arms * sizeof *t->row)};
  DOR_NEED(t->row, NOMEM, "%d arms", x->n_arms);
  for (int32_t i = 0; i < x->n_contrasts || !i; i++) {
    const char *metric = x->n_contrasts ? x->contrast[i].metric : x->m->metric;
    if (i && !strcmp(metric, x->contrast[i - 1].metric)) continue;
    for (int32_t a = 0; a < x->n_arms; a++) {
      t->row[t->n].arm = a, t->row[t->n].metric = metric;
      t->row[t->n++].contrast = x->n_contrasts ? dor_contrast_find(x, a, metric) : NULL;
    }
  }
  return DOR_OK;
}

static const dor_result *estimate(const dor_analysis *x, int32_t arm, const char *metric)
{
  for (int32_t i = 0; i < COLUMNS; i++)
    if (!strcmp(of_classes[i].metric, metric)) return value(x, arm, DOR_ALL, DOR_ALL, &of_classes[i]);
  return NULL;
}

static void contrast_cells(const dor_analysis *x, const dor_contrast *c, const char **cell)
{
  cell[0] = difference_text(x, c), cell[1] = only_text(x, c), cell[2] = c->test, cell[3] = p_text(x, c->p);
  cell[4] = isnan(c->p_mid) ? "-" : p_text(x, c->p_mid), cell[5] = c->primary ? "primary" : p_text(x, c->p_holm), cell[6] = dor_contrast_verdict(x, c);
}

dor_status dor_grid_ablation(const dor_analysis *x, dor_grid *g)
{
  static const char *const head[] = {"metric", "arm", "", "n", "value (interval)", "difference (interval)", "right only: it / reference", "test", "p",
                                     "mid-p", "p (Holm)", "verdict"};
  enum { N = sizeof head / sizeof *head };
  ablation t;
  DOR_TRY(list_ablation(x, &t));
  DOR_TRY(grid_new(x, t.n, N, g));
  memcpy(g->head, head, sizeof head);
  for (int32_t i = 0; i < t.n; i++) {
    const char **cell = g->cell + g->n_rows++ * N;
    const dor_contrast *c = t.row[i].contrast;
    int32_t arm = t.row[i].arm;
    cell[0] = dor_metrics[dor_metric_find(t.row[i].metric)].title, cell[1] = x->arm[arm].arm->title, cell[2] = role(x, arm);
    const dor_result *e = estimate(x, arm, t.row[i].metric);
    cell[3] = dor_arena_fmt(x->a, "%lld", (long long)(c ? c->n : e ? e->n : 0));
    cell[4] = metric_text(x, e);
    for (int k = 5; k < N; k++) cell[k] = "-";
    if (c) contrast_cells(x, c, cell + 5);
    else if (x->reason[arm]) cell[N - 1] = x->reason[arm];
  }
  return grid_check(g);
}

static void put_contrast(const dor_contrast *c, dor_str *s)
{
  const double real[] = {c->reference_value, c->value, c->difference, c->ci.lo, c->ci.hi};
  const double count[] = {c->only_arm < 0 ? NAN : (double)c->only_arm, c->only_reference < 0 ? NAN : (double)c->only_reference};
  const double p[] = {c->p, c->p_mid, c->p_holm};
  for (int32_t j = 0; j < 5; j++) dor_csv_put_real(s, real[j], false);
  dor_csv_put(s, c->ci.method, false);
  for (int32_t j = 0; j < 2; j++) dor_csv_put_real(s, count[j], false);
  dor_csv_put(s, c->test, false);
  for (int32_t j = 0; j < 3; j++) dor_csv_put_real(s, p[j], false);
}

static void ablation_row(const dor_analysis *x, int32_t arm, const char *metric, const dor_contrast *c, dor_str *s)
{
  const dor_result *e = estimate(x, arm, metric);
  dor_csv_put(s, metric, false);
  dor_csv_put(s, x->arm[arm].arm->name, false);
  dor_csv_put(s, role(x, arm), false);
  dor_csv_put_int(s, c ? c->n : e ? e->n : 0, false);
  dor_csv_put_real(s, e ? e->value : NAN, false);
  dor_csv_put_real(s, e ? e->ci.lo : NAN, false);
  dor_csv_put_real(s, e ? e->ci.hi : NAN, false);
  dor_csv_put(s, e ? e->ci.method : "", false);
  dor_csv_put(s, x->arm[x->reference].arm->name, false);
  if (c) put_contrast(c, s);
  else dor_str_add(s, ",,,,,,,,,,,,");
  dor_csv_put(s, c ? dor_contrast_verdict(x, c) : x->reason[arm] ? x->reason[arm] : "", false);
  dor_put_marks(x, s);
}

static void ablation_csv(const dor_analysis *x, dor_str *s)
{
  ablation t;
  if (list_ablation(x, &t)) {
    s->failed = true;
    return;
  }
  dor_str_add(s, "metric,arm,role,n,value,ci_lo,ci_hi,ci_method,reference,paired_reference_value,paired_value,difference,difference_lo,difference_hi,"
                 "difference_method,only_arm,only_reference,test,p,p_mid,p_holm,verdict,stamp,run\n");
  for (int32_t i = 0; i < t.n; i++) ablation_row(x, t.row[i].arm, t.row[i].metric, t.row[i].contrast, s);
}

static void confusion_csv(const dor_analysis *x, dor_str *s)
{
  int32_t k = x->p->n_classes;
  dor_str_add(s, "arm,truth,decided,n,share_of_truth,stamp,run\n");
  for (int32_t a = 0; a < x->n_arms; a++)
    for (int32_t i = 0; i < k * k; i++) {
      const int64_t *row = x->arm[a].confusion + i / k * k;
      int64_t all = 0;
      for (int32_t j = 0; j < k; j++) all += row[j];
      dor_csv_put(s, x->arm[a].arm->name, false);
      dor_csv_put(s, x->p->class_name[i / k], false);
      dor_csv_put(s, x->p->class_name[i % k], false);
      dor_csv_put_int(s, row[i % k], false);
      dor_csv_put_real(s, all ? (double)row[i % k] / (double)all : NAN, false);
      dor_put_marks(x, s);
    }
}

static dor_status write_grid(const dor_analysis *x, const char *folder, const char *name, const dor_grid *g, const char *caption)
{
  dor_str s = {0};
  char *md = dor_arena_fmt(x->a, "%s.md", name), *tex = dor_arena_fmt(x->a, "%s.tex", name);
  DOR_NEED(md && tex, NOMEM, "%s", name);
  dor_grid_markdown(g, caption, &s);
  DOR_TRY(dor_write_text(x->a, folder, md, &s));
  dor_grid_tex(g, name, caption, &s);
  return dor_write_text(x->a, folder, tex, &s);
}

typedef dor_status make_grid(const dor_analysis *x, dor_grid *g);
typedef void make_csv(const dor_analysis *x, dor_str *s);

static dor_status write_table(const dor_analysis *x, const char *folder, const char *name, const char *caption, make_grid *grid, make_csv *csv)
{
  dor_grid g;
  dor_str s = {0};
  char *file = dor_arena_fmt(x->a, "%s.csv", name);
  DOR_NEED(file, NOMEM, "%s", name);
  DOR_TRY(grid(x, &g));
  DOR_TRY(write_grid(x, folder, name, &g, caption));
  csv(x, &s);
  return dor_write_text(x->a, folder, file, &s);
}

dor_status dor_write_tables(const dor_analysis *x, const char *folder)
{
  const char *caption, *tables = dor_path_join(x->a, folder, "tables");
  dor_str s = {0};
  DOR_NEED(tables, NOMEM, "%s", folder);
  DOR_TRY(dor_io_mkdirs(tables));
  DOR_TRY(dor_caption(x, &caption));
  char *whole = dor_arena_fmt(x->a, "%s%s", caption, dor_conventions(x));
  char *folds = dor_arena_fmt(x->a, "By fold; the spread of folds is a description, no interval. %s%s", caption, dor_conventions(x));
  char *against = dor_arena_fmt(x->a, "Against %s.%s %s", x->arm[x->reference].arm->title, dor_test_decides(x), caption);
  DOR_NEED(whole && folds && against, NOMEM, "captions");
  DOR_TRY(write_table(x, tables, "main", whole, dor_grid_main, main_csv));
  DOR_TRY(write_table(x, tables, "per_fold", folds, dor_grid_folds, folds_csv));
  if (dor_positive(x) < 0) DOR_TRY(write_table(x, tables, "per_class", caption, dor_grid_classes, classes_csv));
  DOR_TRY(write_table(x, tables, "ablation", against, dor_grid_ablation, ablation_csv));
  confusion_csv(x, &s);
  return dor_write_text(x->a, tables, "confusion.csv", &s);
}
