/* SPDX-License-Identifier: Apache-2.0
 *
 * Figures made from scores: arms with their intervals, ROC curves with a band,
 * confusion matrices, dots per fold. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "report/plot.h"
#include "report/text.h"

enum { BAND_POINTS = 51, BAND_REPLICATES = 1000, KEY_LINE = 22 };

static void number(dor_str *s, double x) { dor_plot_number(s, x); }

static const dor_result *whole(const dor_analysis *x, int32_t arm, const char *metric)
{
  return dor_result_find(x, arm, DOR_ALL, DOR_ALL, metric, !strcmp(metric, "auc") ? dor_positive(x) : -1);
}

/* ---- arms ---- */

static void arm_names(const dor_analysis *x, const char *axis, dor_str *s)
{
  dor_str_fmt(s, "set %s (", axis);
  for (int32_t i = 0; i < x->n_arms; i++) {
    if (i) dor_str_add(s, ", ");
    dor_plot_tic(s, x->arm[i].arm->title);
    dor_str_fmt(s, " %d", i);
  }
  dor_str_add(s, ")\n");
}

static void arms_data(const dor_analysis *x, dor_str *s)
{
  static const char *const metric[] = {"accuracy", "auc"};
  dor_str_add(s, "# place value low high baseline; accuracy in percent, then AUC\n");
  for (int m = 0; m < 2; m++) {
    for (int32_t i = 0; i < x->n_arms; i++) {
      const dor_result *r = whole(x, i, metric[m]);
      double scale = m ? 1 : 100, value = r ? r->value * scale : NAN;
      bool has = r && !isnan(r->ci.lo);
      number(s, i);
      number(s, value);
      number(s, has ? r->ci.lo * scale : value);
      number(s, has ? r->ci.hi * scale : value);
      dor_str_fmt(s, "%d\n", x->arm[i].arm->baseline);
    }
    dor_str_add(s, "\n\n");
  }
}

dor_status dor_plot_arms(const dor_analysis *x, const char *folder, dor_plot *out)
{
  (void)folder;
  dor_str *s = &out->body;
  const dor_result *nothing = dor_result_find(x, x->reference, DOR_ALL, DOR_ALL, "no_information_rate", x->arm[x->reference].commonest);
  out->width = 1100, out->height = 180 + 44 * x->n_arms;
  arms_data(x, &out->dat);
  dor_str_add(s, "set multiplot layout 1,2\nset key off\nset bars 0.4\n");
  dor_str_fmt(s, "set yrange [%g:-0.5]\nset ytics scale 0\n", x->n_arms - 0.5);
  arm_names(x, "ytics", s);
  dor_plot_title(x, s, "accuracy");
  dor_str_fmt(s, "set xlabel 'accuracy, %% (%g %% interval); dashed: always the commonest'\nset xrange [0:102]\nset xtics 20\n", 100 * x->m->level);
  if (nothing) dor_str_fmt(s, "set arrow 1 from %.6g,graph 0 to %.6g,graph 1 nohead dt 2 lc rgb '#555555'\n", 100 * nothing->value, 100 * nothing->value);
  const char *with = "plot 'arms.dat' index %d using 2:1:3:4:($5 == 1 ? 0x888888 : 0x0072B2) with xerrorbars pt 7 ps 1.1 lw 2 lc rgb variable\n";
  dor_str_fmt(s, with, 0);
  dor_str_add(s, "unset arrow 1\nset ytics ('' 0)\n");
  dor_str_fmt(s, "set title 'AUC'\nset xlabel 'AUC (%g %% interval); dashed: chance'\nset xrange [0:1.02]\nset xtics 0.2\n", 100 * x->m->level);
  dor_str_add(s, "set arrow 1 from 0.5,graph 0 to 0.5,graph 1 nohead dt 2 lc rgb '#555555'\n");
  dor_str_fmt(s, with, 1);
  dor_str_add(s, "unset arrow 1\nunset multiplot\n");
  return DOR_OK;
}

/* ---- ROC ---- */

typedef struct curve {
  double *score;
  uint8_t *truth;
} curve;

static dor_status one_v_rest(const dor_analysis *x, const dor_scores *s, int32_t cls, curve *c)
{
  c->score = dor_arena_alloc(x->a, (size_t)s->n * sizeof *c->score), c->truth = dor_arena_alloc(x->a, (size_t)s->n);
  DOR_NEED(c->score && c->truth, NOMEM, "%d scores", s->n);
  for (int32_t i = 0; i < s->n; i++) c->score[i] = s->p[i * s->n_classes + cls], c->truth[i] = s->truth[i] == cls;
  return DOR_OK;
}

static bool both_classes(const dor_scores *s, int32_t cls)
{
  int32_t n = 0;
  for (int32_t i = 0; i < s->n; i++) n += s->truth[i] == cls;
  return n && n < s->n;
}

static dor_status band_data(const dor_analysis *x, dor_str *s)
{
  const dor_scores *r = &x->arm[x->reference].scores;
  double lo[BAND_POINTS], hi[BAND_POINTS];
  curve c;
  DOR_TRY(one_v_rest(x, r, 1, &c));
  DOR_TRY(dor_roc_band(r->n, c.score, c.truth, r->cluster, BAND_REPLICATES, x->m->bootstrap_seed, x->m->level, BAND_POINTS, lo, hi));
  dor_str_add(s, "# false positive rate, low, high: the reference's band\n");
  for (int32_t i = 0; i < BAND_POINTS; i++) {
    number(s, i / (BAND_POINTS - 1.0));
    number(s, lo[i]);
    number(s, hi[i]);
    dor_str_add(s, "\n");
  }
  dor_str_add(s, "\n\n");
  return DOR_OK;
}

/* One block of the data file and one clause of the plot command. */
static dor_status add_curve(const dor_analysis *x, int32_t arm, int32_t cls, const char *name, int32_t index, int32_t colour, dor_plot *out)
{
  dor_roc_point *roc;
  int32_t n;
  curve c;
  DOR_TRY(one_v_rest(x, &x->arm[arm].scores, cls, &c));
  DOR_TRY(dor_roc(x->a, x->arm[arm].scores.n, c.score, c.truth, &roc, &n));
  dor_str_fmt(&out->dat, "# %s: false positive rate, true positive rate, threshold\n", x->arm[arm].arm->name);
  for (int32_t i = 0; i < n; i++) {
    number(&out->dat, roc[i].fpr);
    number(&out->dat, roc[i].tpr);
    number(&out->dat, i ? roc[i].threshold : NAN);
    dor_str_add(&out->dat, "\n");
  }
  dor_str_add(&out->dat, "\n\n");
  dor_str title = {0};
  dor_str_fmt(&title, "%s, AUC ", name);
  const dor_result *r = dor_result_find(x, arm, DOR_ALL, DOR_ALL, "auc", cls);
  if (r) dor_put_index_ci(&title, r);
  dor_str_fmt(&out->body, ", \\\n  'roc.dat' index %d using 1:2 with lines lw 2.5 lc rgb '%s' title ", index, dor_plot_colour(colour));
  dor_plot_text(&out->body, title.s ? title.s : name);
  out->body.failed |= title.failed;
  dor_str_release(&title);
  return DOR_OK;
}

static void roc_frame(const dor_analysis *x, const char *title, dor_str *s)
{
  dor_plot_title(x, s, title);
  dor_str_add(s, "set size square\nset xrange [0:1]\nset yrange [0:1]\nset xtics 0.2\nset ytics 0.2\n"
                 "set key below vertical maxcols 1 left reverse Left samplen 2\n"
                 "set xlabel 'false positive rate (1 - specificity)'\nset ylabel 'true positive rate (sensitivity)'\n"
                 "plot x with lines dt 2 lc rgb '#999999' notitle");
}

static dor_status roc_of_classes(const dor_analysis *x, dor_plot *out)
{
  roc_frame(x, "ROC of each class against the rest", &out->body);
  for (int32_t c = 0, index = 0; c < x->p->n_classes; c++)
    if (both_classes(&x->arm[x->reference].scores, c)) DOR_TRY(add_curve(x, x->reference, c, x->p->class_name[c], index++, c, out));
  dor_str_add(&out->body, "\nset size nosquare\n");
  return DOR_OK;
}

dor_status dor_plot_roc(const dor_analysis *x, const char *folder, dor_plot *out)
{
  (void)folder;
  int32_t curves = dor_positive(x) < 0 ? x->p->n_classes : x->n_arms;
  out->width = 820, out->height = 780 + KEY_LINE * (1 + curves); /* the key stands below, where it hides no curve */
  if (dor_positive(x) < 0) return roc_of_classes(x, out);
  if (!both_classes(&x->arm[x->reference].scores, 1)) return DOR_OK;
  roc_frame(x, "ROC, out of fold", &out->body);
  DOR_TRY(band_data(x, &out->dat));
  dor_str_fmt(&out->body, ", \\\n  'roc.dat' index 0 using 1:2:3 with filledcurves fc rgb '%s' fs transparent solid 0.15 noborder title ", dor_plot_colour(0));
  char *band = dor_arena_fmt(x->a, "%g %% band, %s", 100 * x->m->level, x->arm[x->reference].arm->title);
  DOR_NEED(band, NOMEM, "a title");
  dor_plot_text(&out->body, band);
  DOR_TRY(add_curve(x, x->reference, 1, x->arm[x->reference].arm->title, 1, 0, out));
  for (int32_t i = 0, index = 2; i < x->n_arms; i++)
    if (i != x->reference && !x->arm[i].arm->baseline && both_classes(&x->arm[i].scores, 1)) {
      DOR_TRY(add_curve(x, i, 1, x->arm[i].arm->title, index, index - 1, out));
      index++;
    }
  dor_str_add(&out->body, "\nset size nosquare\n");
  return DOR_OK;
}

/* ---- confusion matrices ---- */

static void class_tics(const dor_analysis *x, const char *axis, dor_str *s)
{
  dor_str_fmt(s, "set %s scale 0 (", axis);
  for (int32_t c = 0; c < x->p->n_classes; c++) {
    if (c) dor_str_add(s, ", ");
    dor_plot_tic(s, x->p->class_name[c]);
    dor_str_fmt(s, " %d", c);
  }
  dor_str_add(s, ")\n");
}

static void confusion_data(const dor_analysis *x, int32_t arm, dor_str *s)
{
  int32_t k = x->p->n_classes;
  dor_str_fmt(s, "# %s: decided, truth, share of truth, count\n", x->arm[arm].arm->name);
  for (int32_t i = 0; i < k; i++) {
    int64_t all = 0;
    for (int32_t j = 0; j < k; j++) all += x->arm[arm].confusion[i * k + j];
    for (int32_t j = 0; j < k; j++) {
      int64_t n = x->arm[arm].confusion[i * k + j];
      dor_str_fmt(s, "%d %d ", j, i);
      number(s, all ? (double)n / (double)all : 0);
      dor_str_fmt(s, "%lld\n", (long long)n);
    }
  }
  dor_str_add(s, "\n\n");
}

static void confusion_panel(const dor_analysis *x, int32_t arm, int32_t index, int32_t font, dor_str *s)
{
  dor_str_add(s, "set title ");
  dor_plot_text(s, x->arm[arm].arm->title);
  dor_str_fmt(s, "\nplot 'confusion.dat' index %d using 1:2:3 with image notitle, \\\n"
                 "  '' index %d using 1:2:($3 > 0.55 ? '' : gprintf('%%.0f', $4)) with labels font ',%d' tc rgb 'black' notitle, \\\n"
                 "  '' index %d using 1:2:($3 > 0.55 ? gprintf('%%.0f', $4) : '') with labels font ',%d' tc rgb 'white' notitle\n",
              index, index, font, index, font);
}

dor_status dor_plot_confusion(const dor_analysis *x, const char *folder, dor_plot *out)
{
  (void)folder;
  dor_str *s = &out->body;
  int32_t n = 0, k = x->p->n_classes;
  for (int32_t i = 0; i < x->n_arms; i++) n += !x->arm[i].arm->baseline;
  if (!n) return DOR_OK;
  int32_t across = n < 3 ? n : 3, down = (n + across - 1) / across, side = k < 4 ? 360 : 300 + 30 * k;
  out->width = across * side + 60, out->height = down * side + 70;
  dor_str heading = {0};
  dor_str_fmt(&heading, "%s%s%s", x->m->title, dor_stamp(x->m)[0] ? "   " : "", dor_stamp(x->m));
  dor_str_fmt(s, "set multiplot layout %d,%d title ", down, across);
  dor_plot_text(s, heading.s ? heading.s : "");
  s->failed |= heading.failed;
  dor_str_release(&heading);
  dor_str_add(s, "\nunset grid\nunset colorbox\nunset key\nset cbrange [0:1]\nset palette defined (0 '#ffffff', 1 '#0072B2')\nset size ratio 1\n");
  dor_str_fmt(s, "set xrange [-0.5:%g]\nset yrange [%g:-0.5]\nset xlabel 'decided'\nset ylabel 'truth'\n", k - 0.5, k - 0.5);
  class_tics(x, k < 4 ? "xtics" : "xtics rotate by 40 right", s);
  class_tics(x, "ytics", s);
  for (int32_t i = 0, index = 0; i < x->n_arms; i++) {
    if (x->arm[i].arm->baseline) continue;
    confusion_data(x, i, &out->dat);
    confusion_panel(x, i, index++, k < 4 ? 16 : 10, s);
  }
  dor_str_add(s, "unset multiplot\nset size noratio\n");
  return DOR_OK;
}

/* ---- dots per fold ---- */

dor_status dor_plot_folds(const dor_analysis *x, const char *folder, dor_plot *out)
{
  (void)folder;
  dor_str *s = &out->body, *dat = &out->dat;
  if (x->n_folds < 2) return DOR_OK;
  out->width = 300 + 130 * x->n_arms;
  dor_str_add(dat, "# place, fold, accuracy in percent; then place, accuracy over all units\n");
  for (int32_t a = 0; a < x->n_arms; a++)
    for (int32_t k = 0; k < x->n_folds; k++) {
      const dor_result *r = dor_result_find(x, a, x->fold[k], DOR_ALL, "accuracy", -1);
      if (!r) continue;
      number(dat, a + 0.5 * ((k + 0.5) / x->n_folds - 0.5));
      dor_str_fmt(dat, "%d ", x->fold[k]);
      number(dat, 100 * r->value);
      dor_str_add(dat, "\n");
    }
  dor_str_add(dat, "\n\n");
  for (int32_t a = 0; a < x->n_arms; a++) {
    number(dat, a);
    number(dat, 100 * whole(x, a, "accuracy")->value);
    dor_str_add(dat, "\n");
  }
  dor_plot_title(x, s, "accuracy by fold");
  dor_str_fmt(s, "set xrange [-0.6:%g]\nset yrange [0:103]\nset bars 0\nset ylabel 'accuracy, %%'\n"
                 "set key top right horizontal outside\nset xtics rotate by 20 right scale 0\n", x->n_arms - 0.4);
  arm_names(x, "xtics", s);
  dor_str_fmt(s, "plot 'folds.dat' index 1 using 1:2:(0.35) with xerrorbars pt -1 lw 2 lc rgb '#333333' title 'all units', \\\n"
                 "  'folds.dat' index 0 using 1:3 with points pt 7 ps 1.2 lc rgb '%s' title 'one fold'\n", dor_plot_colour(0));
  return DOR_OK;
}
