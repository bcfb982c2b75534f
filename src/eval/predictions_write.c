/* SPDX-License-Identifier: Apache-2.0
 *
 * predictions.csv out, and the rule by which probabilities become a decision. */
#include "eval/predictions.h"

#include <math.h>

#include "base/io.h"
#include "base/str.h"

int32_t dor_decide(int32_t n_classes, const double *p, double threshold)
{
  if (n_classes == 2) return p[1] >= threshold;
  int32_t best = 0;
  for (int32_t c = 1; c < n_classes; c++)
    if (p[c] > p[best]) best = c;
  return best;
}

static bool any(const dor_predictions *t, const char *const *text)
{
  for (int32_t i = 0; text && i < t->n; i++)
    if (text[i][0]) return true;
  return false;
}

static bool stamped(const dor_predictions *t) { return t->stamp && *t->stamp; }

static void header(const dor_predictions *t, bool grouped, dor_str *s)
{
  dor_str_add(s, "subject_id,trial,site,fold,repeat,seed,arm,y_true,y_pred,");
  dor_str column = {0};
  for (int32_t c = 0; c < t->n_classes; c++) {
    dor_str_clear(&column);
    dor_str_fmt(&column, "p_%s", t->class_name[c]);
    if (!dor_str_status(&column)) dor_csv_put(s, column.s, false);
  }
  s->failed |= column.failed;
  dor_str_release(&column);
  dor_str_fmt(s, "n_clips,threshold%s%s\n", grouped ? ",group" : "", stamped(t) ? ",stamp" : "");
}

static void outcome(const dor_predictions *t, int32_t i, double threshold, dor_str *s)
{
  if (!t->n_classes) {
    dor_csv_put_real(s, t->value[i], false);
    dor_csv_put_real(s, t->predicted[i], false);
    return;
  }
  const double *p = t->p + (size_t)i * (size_t)t->n_classes;
  dor_csv_put(s, t->class_name[t->truth[i]], false);
  dor_csv_put(s, t->class_name[dor_decide(t->n_classes, p, threshold)], false);
  for (int32_t c = 0; c < t->n_classes; c++) dor_csv_put_real(s, p[c], false);
}

static void row(const dor_predictions *t, int32_t i, bool grouped, dor_str *s)
{
  double threshold = t->n_classes != 2 ? NAN : t->threshold ? t->threshold[i] : 0.5;
  dor_csv_put(s, t->subject[i], false);
  dor_csv_put(s, t->trial ? t->trial[i] : "", false);
  dor_csv_put(s, t->site ? t->site[i] : "", false);
  dor_csv_put_int(s, t->fold[i], false);
  dor_csv_put_int(s, t->repeat[i], false);
  dor_csv_put_int(s, t->seed[i], false);
  dor_csv_put(s, t->arm_name[t->arm[i]], false);
  outcome(t, i, threshold, s);
  dor_csv_put_int(s, t->n_clips ? t->n_clips[i] : 1, false);
  dor_csv_put_real(s, threshold, !grouped && !stamped(t));
  if (grouped) dor_csv_put(s, t->group[i], !stamped(t));
  if (stamped(t)) dor_csv_put(s, t->stamp, true);
}

dor_status dor_predictions_write(const dor_predictions *t, const char *path)
{
  dor_str s = {0};
  bool grouped = any(t, t->group);
  header(t, grouped, &s);
  for (int32_t i = 0; i < t->n; i++) row(t, i, grouped, &s);
  dor_status status = dor_str_status(&s);
  if (!status) status = dor_io_write(path, s.s, s.n);
  dor_str_release(&s);
  return status;
}
