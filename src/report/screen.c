/* SPDX-License-Identifier: Apache-2.0
 *
 * The first screen, 100 columns: words first, then arms with k/n, baselines,
 * paired differences, limits. The same text on the terminal and in the pages. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/output.h"
#include "report/text.h"

enum { WIDTH = 100, INDENT = 10, MOST_COLUMNS = 12, GAP = 2, NARROW = 16 };
enum { NAME = 20, CLASS_MOST = 24, CLASS_LEAST = 9 }; /* columns: an arm's name is not cut below NAME for the sake of classes' names */

static const char *kept(const dor_analysis *x, dor_str *s)
{
  const char *text = s->failed ? NULL : dor_arena_str(x->a, s->s ? s->s : "");
  dor_str_release(s);
  return text ? text : "";
}

static const char *always(const dor_analysis *x, int32_t arm) { return x->p->class_name[x->arm[arm].commonest]; }

/* Side by side; a title that leaves no room for the others has lines of its own. */
static void left_middle_right(const char *left, const char *middle, const char *right, dor_str *s)
{
  int32_t l = dor_columns(left, strlen(left)), m = dor_columns(middle, strlen(middle)), r = dor_columns(right, strlen(right));
  int32_t gap = WIDTH - l - m - r, before = gap / 2;
  if (gap < 2 * GAP) dor_put_wrapped(s, left, WIDTH, 2), left_middle_right(middle, "", right, s);
  else dor_str_fmt(s, "%s%*s%s%*s%s\n", left, before, "", middle, gap - before, "", right);
}

static const char *warning(const dor_report_meta *m)
{
  static const char *const text[8] = {"", "SYNTHETIC COHORT: NOT PATIENTS", "LEAKS: THE SPLIT IGNORES WHO IS WHO", "SYNTHETIC, LEAKS", "QUICK: TO LOOK AT ONLY",
                                      "SYNTHETIC COHORT: NOT PATIENTS, QUICK", "LEAKS, QUICK", "SYNTHETIC, LEAKS, QUICK"};
  return text[m->synthetic + 2 * m->leaks + 4 * m->quick];
}

static void class_counts(const dor_analysis *x, dor_str *s)
{
  const dor_scores *r = &x->arm[x->reference].scores;
  for (int32_t c = 0; c < x->p->n_classes; c++) {
    int32_t n = 0;
    for (int32_t i = 0; i < r->n; i++) n += r->truth[i] == c;
    dor_str_fmt(s, ", %s %d", x->p->class_name[c], n);
  }
}

static void head(const dor_analysis *x, dor_str *s)
{
  const dor_report_meta *m = x->m;
  dor_str line = {0};
  dor_str_fmt(&line, "result %.4s-%.4s-%.4s", m->result, m->result + 4, m->result + 8);
  left_middle_right(m->title, warning(m), kept(x, &line), s);
  if (m->question[0]) dor_str_fmt(&line, "%s  ", m->question);
  dor_str_fmt(&line, "%d %s", x->arm[x->reference].scores.n, m->many);
  if (m->left_out) dor_str_fmt(&line, " of %d (%d left out: flow.csv)", m->people + m->left_out + m->trained_only, m->left_out);
  if (m->trained_only) dor_str_fmt(&line, ", %d more trained on only", m->trained_only);
  class_counts(x, &line);
  if (x->clustered) dor_str_fmt(&line, ", in %d clusters", x->p->n_clusters);
  if (dor_positive(x) > 0) dor_str_fmt(&line, "; sensitivity is about %s", x->p->class_name[1]);
  else dor_str_add(&line, "; macro averages over the classes");
  dor_put_wrapped(s, kept(x, &line), WIDTH, 2);
  const char *part[4] = {m->scheme, "", m->threshold, m->leakage};
  if (m->n_seeds > 1) part[1] = dor_arena_fmt(x->a, "%d seeds, probabilities averaged per %s", m->n_seeds, m->one);
  for (int32_t i = 0, n = 0; i < 4; i++)
    if (part[i] && part[i][0]) dor_str_fmt(&line, "%s%s", n++ ? "; " : "", part[i]);
  dor_put_wrapped(s, kept(x, &line), WIDTH, 2);
}

/* "Backward bend is better than always answering FP." and what sets the other arms apart from it. */
static void words(const dor_analysis *x, dor_str *s)
{
  dor_str line = {0};
  dor_str_add(&line, "In words:");
  for (int32_t i = 0; i < x->n_arms; i++) {
    const dor_arm_result *r = &x->arm[i];
    if (r->arm->baseline || r->commonest < 0) continue;
    bool better = r->nir_p < 1 - x->m->level;
    const dor_contrast *c = dor_contrast_find(x, i, x->m->metric);
    dor_str_fmt(&line, " %s", r->arm->title);
    if (!better) dor_str_fmt(&line, ": not shown to be better than always answering %s", always(x, i));
    else if (!c) dor_str_fmt(&line, " is better than always answering %s", always(x, i));
    if (c) {
      bool shown = dor_contrast_shown(x, c);
      dor_str_fmt(&line, "%s %s%s %s", better ? ":" : ",", dor_contrast_verdict(x, c), shown ? " than" : " from", x->arm[x->reference].arm->title);
      if (c->only_arm >= 0) dor_str_fmt(&line, " (right only: %lld v %lld %s)", (long long)c->only_arm, (long long)c->only_reference, x->m->many);
    } else if (x->reason[i]) dor_str_fmt(&line, ", not compared (%s)", x->reason[i]);
    dor_str_add(&line, ".");
  }
  dor_put_wrapped(s, kept(x, &line), WIDTH, INDENT);
}

/* ---- a table whose columns are as wide as they must be; the first takes what is left ---- */

typedef struct columns {
  int32_t n, n_rows, gap;
  const char *head[2][MOST_COLUMNS];       /* two lines */
  const char *(*cell)[MOST_COLUMNS];       /* [n_rows]; column 0: name, 1: role */
  int32_t width[MOST_COLUMNS];
} columns;

static int32_t wide(const char *text) { return text ? dor_columns(text, strlen(text)) : 0; }

static int32_t widest(const columns *t, int32_t c)
{
  int32_t w = wide(t->head[0][c]) > wide(t->head[1][c]) ? wide(t->head[0][c]) : wide(t->head[1][c]);
  for (int32_t r = 0; r < t->n_rows; r++) {
    int32_t own = wide(t->cell[r][c]);
    if (c == 0 && t->width[1] && !wide(t->cell[r][1])) own -= t->gap + t->width[1]; /* no role: the name may run into that column */
    if (own > w) w = own;
  }
  return w;
}

/* As wide as the texts are; how many columns they take without the names. */
static int32_t natural(columns *t)
{
  int32_t used = 0;
  for (int32_t c = t->n - 1; c >= 0; c--) {
    t->width[c] = widest(t, c);
    if (c) used += t->width[c] ? t->width[c] + t->gap : 0;
  }
  return used;
}

static void measure(columns *t)
{
  int32_t used = natural(t);
  if (t->width[0] <= WIDTH - used) return;
  t->width[0] = WIDTH - used;
  if (t->width[0] >= NARROW) return;
  t->width[0] += t->width[1] ? t->width[1] + t->gap : 0, t->width[1] = 0; /* too narrow: the roles go, the names stay */
}

static void put_row(const columns *t, const char *const cell[], dor_str *s)
{
  int32_t pending = 0;
  for (int32_t c = 0; c < t->n; c++) {
    int32_t w = t->width[c], shown = 0;
    if (c == 1 && (!w || !(cell[1] && cell[1][0]))) continue;
    if (c == 0 && t->width[1] && !(cell[1] && cell[1][0])) w += t->gap + t->width[1];
    if (wide(cell[c])) {
      size_t before = s->n + (size_t)pending;
      dor_str_fmt(s, "%*s", pending, "");
      dor_put_cut(s, cell[c], w);
      if (s->failed) return;
      shown = dor_columns(s->s + before, s->n - before), pending = 0;
    }
    pending += w - shown + t->gap;
  }
  dor_str_add(s, "\n");
}

static void put_table(columns *t, dor_str *s)
{
  measure(t);
  dor_str_add(s, "\n");
  for (int32_t line = 0; line < 2; line++) {
    bool any = false;
    for (int32_t c = 0; c < t->n; c++) any |= wide(t->head[line][c]) > 0;
    if (any) put_row(t, t->head[line], s);
  }
  for (int32_t r = 0; r < t->n_rows; r++) put_row(t, t->cell[r], s);
}

static void column(columns *t, const char *above, const char *below) { t->head[0][t->n] = above, t->head[1][t->n++] = below; }

static const char *level_text(const dor_analysis *x, const char *what)
{
  dor_str s = {0};
  dor_str_fmt(&s, "%s (", what);
  dor_str_real(&s, 100 * x->m->level);
  dor_str_add(&s, " % CI)");
  return kept(x, &s);
}

static const char *result_text(const dor_analysis *x, int32_t arm, const char *metric, int32_t cls)
{
  dor_str s = {0};
  const dor_result *r = dor_result_find(x, arm, DOR_ALL, DOR_ALL, metric, cls);
  if (r && !strcmp(metric, "accuracy")) dor_put_share(&s, r, true);
  else if (r && dor_is_share(metric)) dor_put_share(&s, r, false);
  else dor_put_metric(&s, r);
  return kept(x, &s);
}

static const char *found_text(const dor_analysis *x, int32_t arm, const char *metric)
{
  const dor_result *r = dor_result_find(x, arm, DOR_ALL, DOR_ALL, metric, 1);
  const char *text = r ? dor_arena_fmt(x->a, "%lld/%lld", (long long)r->k, (long long)r->n) : "-";
  return text ? text : "";
}

static const char *seed_text(const dor_analysis *x, int32_t arm, const char *metric)
{
  const dor_result *mean = dor_result_find(x, arm, DOR_ALL, DOR_MEAN, metric, -1), *sd = dor_result_find(x, arm, DOR_ALL, DOR_SD, metric, -1);
  if (!mean || !sd || isnan(sd->value)) return "-";
  dor_str s = {0};
  dor_put_percent(&s, mean->value, x->arm[arm].scores.n);
  dor_str_add(&s, " (");
  dor_put_percent(&s, sd->value, x->arm[arm].scores.n);
  dor_str_add(&s, ")");
  return kept(x, &s);
}

static const char *p_text(const dor_analysis *x, double p)
{
  dor_str s = {0};
  dor_put_p(&s, p);
  return kept(x, &s);
}

static const char *role_of(const dor_analysis *x, int32_t arm)
{
  return !x->n_contrasts ? "" : arm == x->reference ? "reference" : arm == x->primary ? "primary" : "";
}

static bool several_seeds(const dor_analysis *x)
{
  for (int32_t i = 0; i < x->n_arms; i++)
    if (x->arm[i].n_seeds > 1) return true;
  return false;
}

static const char *short_class(const dor_analysis *x, int32_t c, int32_t most)
{
  dor_str s = {0};
  dor_put_cut(&s, x->p->class_name[c], most);
  return kept(x, &s);
}

static void heads(const dor_analysis *x, int32_t most, columns *t)
{
  t->n = 0;
  column(t, "", "");
  column(t, "", "");
  column(t, "", level_text(x, "accuracy"));
  if (x->p->n_classes == 2) {
    column(t, short_class(x, 1, most), "found");
    column(t, short_class(x, 0, most), "found");
  } else column(t, "", level_text(x, "balanced"));
  column(t, "", level_text(x, "AUC"));
  const char *always_it = always(x, x->reference);
  column(t, "v always", wide(always_it) <= most ? always_it : "commonest");
  if (several_seeds(x)) column(t, "one seed,", "mean (SD)");
}

/* Names of classes stand in full where there is room beside the arms' names; where there is none at all columns move together. */
static void fit_heads(const dor_analysis *x, columns *t)
{
  for (int32_t most = CLASS_MOST; most >= CLASS_LEAST; most--) {
    heads(x, most, t);
    int32_t used = natural(t);
    if (used + (t->width[0] < NAME ? t->width[0] : NAME) <= WIDTH) return;
  }
  t->gap = 1;
}

static const char *name_of(const dor_analysis *x, int32_t arm)
{
  const dor_report_arm *a = x->arm[arm].arm;
  const char *text = a->baseline ? dor_arena_fmt(x->a, " %s", a->title) : a->title;
  return text ? text : "";
}

static dor_status arms(const dor_analysis *x, dor_str *s)
{
  columns t = {.n_rows = x->n_arms, .gap = GAP, .cell = dor_arena_alloc(x->a, (size_t)x->n_arms * sizeof *t.cell)};
  DOR_NEED(t.cell, NOMEM, "%d arms", x->n_arms);
  int32_t positive = dor_positive(x);
  for (int32_t i = 0; i < x->n_arms; i++) {
    const char **cell = t.cell[i];
    int32_t c = 0;
    cell[c++] = name_of(x, i), cell[c++] = role_of(x, i), cell[c++] = result_text(x, i, "accuracy", -1);
    if (positive > 0) cell[c++] = found_text(x, i, "sensitivity"), cell[c++] = found_text(x, i, "specificity");
    else cell[c++] = result_text(x, i, "balanced_accuracy", -1);
    cell[c++] = result_text(x, i, "auc", positive);
    bool is_nothing = x->arm[i].arm->baseline && !strcmp(x->arm[i].arm->name, "majority");
    cell[c++] = is_nothing ? "" : p_text(x, x->arm[i].nir_p);
    if (several_seeds(x)) cell[c] = seed_text(x, i, "accuracy");
  }
  fit_heads(x, &t);
  put_table(&t, s);
  return DOR_OK;
}

static const char *contrast_difference(const dor_analysis *x, const dor_contrast *c)
{
  dor_str s = {0};
  dor_put_difference(&s, c);
  return kept(x, &s);
}

static void contrast_row(const dor_analysis *x, const dor_contrast *c, const char **cell)
{
  cell[0] = x->arm[c->arm].arm->title, cell[1] = c->primary ? "primary" : "";
  cell[2] = contrast_difference(x, c);
  cell[3] = c->only_arm < 0 ? "-" : dor_arena_fmt(x->a, "%lld / %lld", (long long)c->only_arm, (long long)c->only_reference);
  cell[4] = p_text(x, c->p), cell[5] = c->primary ? "-" : p_text(x, c->p_holm), cell[6] = dor_contrast_verdict(x, c);
}

static dor_status contrasts(const dor_analysis *x, dor_str *s)
{
  columns t = {.gap = GAP, .cell = dor_arena_alloc(x->a, ((size_t)x->n_arms + 1) * sizeof *t.cell)};
  char *against = dor_arena_fmt(x->a, "against %s", x->arm[x->reference].arm->title);
  DOR_NEED(t.cell && against, NOMEM, "%d arms", x->n_arms);
  for (int32_t i = 0; i < x->n_contrasts; i++)
    if (!strcmp(x->contrast[i].metric, x->m->metric)) contrast_row(x, &x->contrast[i], t.cell[t.n_rows++]);
  if (!t.n_rows) return DOR_OK;
  bool plain = !x->clustered && !strcmp(x->m->metric, "accuracy");
  column(&t, "", against);
  column(&t, "", "");
  column(&t, dor_metrics[dor_metric_find(x->m->metric)].title, level_text(x, "difference"));
  column(&t, "right only:", "it / other");
  column(&t, plain ? "exact" : "", "p");
  column(&t, "", "Holm");
  column(&t, "", "");
  put_table(&t, s);
  return DOR_OK;
}

/* Half the width of the interval of the rarer side, at the reference's own figure. */
static void width_limit(const dor_analysis *x, dor_str *s)
{
  const dor_result *found = dor_result_find(x, x->reference, DOR_ALL, DOR_ALL, "sensitivity", 1);
  if (dor_positive(x) < 0 || !found || isnan(found->ci.lo)) return;
  dor_str_fmt(s, " %lld %s: sensitivity is known to about +-%.0f points.", (long long)found->n_pos, x->p->class_name[1], 50 * (found->ci.hi - found->ci.lo));
}

/* From the arm whose seeds agree least to the one whose agree most. */
static void seeds_limit(const dor_analysis *x, dor_str *s)
{
  double least = 1, most = 0;
  for (int32_t i = 0; i < x->n_arms; i++) {
    const dor_result *r = x->arm[i].arm->baseline ? NULL : dor_result_find(x, i, DOR_ALL, DOR_ALL, "seed_agreement", -1);
    if (r) least = fmin(least, r->value), most = fmax(most, r->value);
  }
  if (least > most) return;
  dor_str_fmt(s, " All seeds of an arm decide alike for %.0f", 100 * least);
  if (most - least >= .005) dor_str_fmt(s, " to %.0f", 100 * most);
  dor_str_fmt(s, " %% of %s.", x->m->many);
}

static int32_t fewest_discordant(double level)
{
  int32_t n = 1;
  while (n < 64 && dor_mcnemar_test(n, 0).exact >= 1 - level) n++;
  return n;
}

static void limits(const dor_analysis *x, dor_str *s)
{
  dor_str line = {0};
  dor_str_add(&line, "Limits:");
  for (int32_t i = 0; i < x->m->n_limits; i++) {
    size_t n = strlen(x->m->limit[i]);
    dor_str_fmt(&line, " %s%s", x->m->limit[i], n && x->m->limit[i][n - 1] == '.' ? "" : ".");
  }
  width_limit(x, &line);
  seeds_limit(x, &line);
  dor_str_add(&line, " Intervals ignore training variability.");
  if (dor_contrasts_exact(x)) {
    dor_str_add(&line, " The exact test decides, not the interval:");
    char p[32];
    snprintf(p, sizeof p, "%.3g", 1 - x->m->level);
    dor_str_fmt(&line, " fewer than %d %s decided differently can never reach p < %s.", fewest_discordant(x->m->level), x->m->many, p + (p[0] == '0'));
  }
  if (x->clustered) dor_str_fmt(&line, " Intervals and tests resample %d clusters, people or groups, as wholes.", x->p->n_clusters);
  if (x->m->leaks)
    dor_str_add(&line, " LEAKS: the split ignores people and groups: training has seen what is tested, and these figures say nothing about new people.");
  if (x->m->published) dor_str_fmt(&line, " Published row: %s.", x->m->published);
  dor_put_wrapped(s, kept(x, &line), WIDTH, 8);
}

dor_status dor_write_screen(const dor_analysis *x, dor_str *s)
{
  head(x, s);
  words(x, s);
  DOR_TRY(arms(x, s));
  DOR_TRY(contrasts(x, s));
  dor_str_add(s, "\n");
  limits(x, s);
  dor_str_add(s, "Methods, all metrics: tables/main.csv   plots/   who was wrong: errors.csv\n");
  return dor_str_status(s);
}
