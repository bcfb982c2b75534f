/* SPDX-License-Identifier: Apache-2.0
 *
 * The sentences under every table: what a reader must know to judge a number. */
#include "report/text.h"

#include <string.h>

static void people(const dor_analysis *x, dor_str *s)
{
  const dor_scores *all = &x->arm[x->reference].scores;
  dor_str_fmt(s, "Unit of analysis: %s, n = %d", x->m->one, all->n);
  for (int32_t c = 0; c < x->p->n_classes; c++) {
    int32_t n = 0;
    for (int32_t i = 0; i < all->n; i++) n += all->truth[i] == c;
    dor_str_fmt(s, "%s%s %d", c ? ", " : " (", x->p->class_name[c], n);
  }
  dor_str_add(s, ")");
  if (x->clustered) dor_str_fmt(s, ", in %d clusters (groups or subjects) that stay together", x->p->n_clusters);
  dor_str_add(s, ". ");
  for (int32_t i = 0; i < x->n_arms; i++)
    if (x->arm[i].scores.n != all->n) dor_str_fmt(s, "%s: n = %d. ", x->arm[i].arm->title, x->arm[i].scores.n);
}

static void averages(const dor_analysis *x, dor_str *s)
{
  if (dor_positive(x) > 0) return;
  dor_str_add(s, "Sensitivity, specificity, precision and F1 are macro averages, the mean over classes of the class against the rest; AUC likewise. ");
}

static void intervals(const dor_analysis *x, dor_str *s)
{
  dor_str_real(s, 100 * x->m->level);
  if (x->clustered)
    dor_str_fmt(s, " %% intervals: BCa bootstrap over clusters, stratified by class, %d replicates; Wilson over clusters for proportions of 0 or 1. ",
                x->m->replicates);
  else
    dor_str_fmt(s, " %% intervals: Wilson for proportions, %sBCa bootstrap stratified by class with %d replicates for the rest. ",
                x->p->n_classes == 2 ? "DeLong on the logit scale for AUC, " : "", x->m->replicates);
  dor_str_add(s, "They treat the folds' models as one fixed procedure. ");
}

static void tests(const dor_analysis *x, dor_str *s)
{
  dor_str_fmt(s, "Against always the commonest class: %s, one-sided. ", x->clustered ? "bootstrap over clusters" : "exact binomial");
  if (!x->n_contrasts) return;
  if (x->clustered) dor_str_add(s, "Arms are compared by the paired bootstrap");
  else dor_str_add(s, "Arms are compared by McNemar's exact test (difference: Newcombe's method 10) and AUCs by DeLong's, paired");
  dor_str_fmt(s, "; p corrected after Holm%s.", x->primary >= 0 ? " for all but the primary contrast" : "");
  dor_str_add(s, x->alone ? " Bold: more accurate than every other arm." : " =: not shown to be less accurate than the best arm.");
}

const char *dor_test_decides(const dor_analysis *x) { return dor_contrasts_exact(x) ? " The exact test decides, not the interval." : ""; }

const char *dor_conventions(const dor_analysis *x)
{
  for (int32_t i = 0; i < x->n_rows; i++)
    if (x->row[i].set_to_zero) return " (set): MCC is 0 by convention where all are decided alike or are of one class.";
  return "";
}

dor_status dor_caption(const dor_analysis *x, const char **out)
{
  dor_str s = {0};
  const dor_report_meta *m = x->m;
  if (dor_stamp(m)[0]) dor_str_fmt(&s, "%s. ", dor_stamp(m));
  people(x, &s);
  averages(x, &s);
  if (m->scheme[0]) dor_str_fmt(&s, "%s%s. ", m->scheme, m->repeats > 1 ? ", probabilities averaged over repeats" : "");
  intervals(x, &s);
  if (m->threshold[0]) dor_str_fmt(&s, "Decision: %s. ", m->threshold);
  if (m->pool[0]) dor_str_fmt(&s, "Samples of a %s pooled as %s. ", m->one, m->pool);
  if (m->n_seeds > 1) dor_str_fmt(&s, "%d seeds, probabilities averaged first. ", m->n_seeds);
  if (m->precision && m->precision[0]) dor_str_fmt(&s, "Networks computed in %s. ", m->precision);
  tests(x, &s);
  dor_str_fmt(&s, " Result %s.", m->result);
  dor_status status = dor_str_status(&s);
  if (!status) {
    while (s.n && s.s[s.n - 1] == ' ') s.s[--s.n] = 0;
    *out = dor_arena_str(x->a, s.s);
    if (!*out) status = DOR_FAIL(NOMEM, "a caption");
  }
  dor_str_release(&s);
  return status;
}
