/* SPDX-License-Identifier: Apache-2.0
 *
 * metrics.csv and metrics.json: every figure at full precision, one a row.
 * errors.csv: who was decided wrongly, arm by arm. */
#include <math.h>
#include <string.h>

#include "base/csv.h"
#include "report/output.h"
#include "report/text.h"

static const char *special(int64_t which) { return which == DOR_ALL ? "all" : which == DOR_MEAN ? "mean" : "sd"; }

static void put_which(dor_str *s, int64_t which)
{
  if (which < 0) dor_csv_put(s, special(which), false);
  else dor_csv_put_int(s, which, false);
}

static void put_count(dor_str *s, int64_t n)
{
  if (n < 0) dor_csv_put(s, "", false);
  else dor_csv_put_int(s, n, false);
}

static const char *class_of(const dor_analysis *x, const dor_result *r) { return r->cls < 0 ? "" : x->p->class_name[r->cls]; }

static void csv_row(const dor_analysis *x, const dor_result *r, dor_str *s)
{
  dor_csv_put(s, x->m->result, false);
  dor_csv_put(s, x->arm[r->arm].arm->name, false);
  dor_csv_put(s, x->m->per, false);
  if (r->fold >= 0) dor_csv_put(s, dor_fold_name(x, r->fold), false);
  else put_which(s, r->fold);
  put_which(s, r->seed);
  dor_csv_put(s, r->metric, false);
  dor_csv_put(s, r->average, false);
  dor_csv_put(s, class_of(x, r), false);
  dor_csv_put_real(s, r->value, false);
  dor_csv_put_real(s, r->ci.lo, false);
  dor_csv_put_real(s, r->ci.hi, false);
  dor_csv_put_real(s, isnan(r->ci.lo) ? NAN : x->m->level, false);
  dor_csv_put(s, r->ci.method, false);
  put_count(s, r->n);
  put_count(s, r->k);
  put_count(s, r->n_pos);
  put_count(s, r->n_neg);
  dor_csv_put(s, dor_stamp(x->m), true);
}

static void key(dor_str *s, const char *name)
{
  dor_str_fmt(s, ", \"%s\": ", name);
}

static void json_text(dor_str *s, const char *name, const char *text)
{
  key(s, name);
  dor_put_json(s, text);
}

static void json_real(dor_str *s, const char *name, double x)
{
  key(s, name);
  dor_put_json_real(s, x);
}

static void json_count(dor_str *s, const char *name, int64_t n)
{
  key(s, name);
  if (n < 0) dor_str_add(s, "null");
  else dor_str_fmt(s, "%lld", (long long)n);
}

static void json_which(dor_str *s, const char *name, int64_t which)
{
  if (which < 0) json_text(s, name, special(which));
  else json_count(s, name, which);
}

static void json_row(const dor_analysis *x, const dor_result *r, dor_str *s)
{
  dor_str_add(s, "{\"arm\": ");
  dor_put_json(s, x->arm[r->arm].arm->name);
  if (r->fold >= 0 && x->p->fold_name) json_text(s, "fold", dor_fold_name(x, r->fold));
  else json_which(s, "fold", r->fold);
  json_which(s, "seed", r->seed);
  json_text(s, "metric", r->metric);
  json_text(s, "average", r->average);
  json_text(s, "class", class_of(x, r));
  json_real(s, "value", r->value);
  json_real(s, "ci_lo", r->ci.lo);
  json_real(s, "ci_hi", r->ci.hi);
  json_text(s, "ci_method", r->ci.method);
  json_count(s, "n", r->n);
  json_count(s, "k", r->k);
  json_count(s, "n_pos", r->n_pos);
  json_count(s, "n_neg", r->n_neg);
  dor_str_add(s, "}");
}

static void json_contrast(const dor_analysis *x, const dor_contrast *c, dor_str *s)
{
  dor_str_add(s, "{\"arm\": ");
  dor_put_json(s, x->arm[c->arm].arm->name);
  json_text(s, "reference", x->arm[x->reference].arm->name);
  json_text(s, "metric", c->metric);
  key(s, "primary");
  dor_str_add(s, c->primary ? "true" : "false");
  json_count(s, "n", c->n);
  json_real(s, "difference", c->difference);
  json_real(s, "ci_lo", c->ci.lo);
  json_real(s, "ci_hi", c->ci.hi);
  json_text(s, "ci_method", c->ci.method);
  json_text(s, "test", c->test);
  json_real(s, "p", c->p);
  json_real(s, "p_mid", c->p_mid);
  json_real(s, "p_holm", c->p_holm);
  dor_str_add(s, "}");
}

static void json(const dor_analysis *x, dor_str *s)
{
  dor_str_add(s, "{\"schema\": 1");
  json_text(s, "run", x->m->result);
  json_text(s, "stamp", dor_stamp(x->m));
  json_text(s, "level", x->m->per);
  json_real(s, "ci_level", x->m->level);
  dor_str_add(s, ",\n\"metrics\": [\n");
  for (int32_t i = 0; i < x->n_rows; i++) {
    json_row(x, &x->row[i], s);
    dor_str_add(s, i + 1 < x->n_rows ? ",\n" : "\n");
  }
  dor_str_add(s, "],\n\"contrasts\": [\n");
  for (int32_t i = 0; i < x->n_contrasts; i++) {
    json_contrast(x, &x->contrast[i], s);
    dor_str_add(s, i + 1 < x->n_contrasts ? ",\n" : "\n");
  }
  dor_str_add(s, "]}\n");
}

/* An arm's units are ascending in `unit`. */
static int32_t find_unit(const dor_scores *s, int32_t unit)
{
  int32_t lo = 0, hi = s->n;
  while (lo < hi) {
    int32_t mid = lo + (hi - lo) / 2;
    if (s->unit[mid] < unit) lo = mid + 1;
    else hi = mid;
  }
  return lo < s->n && s->unit[lo] == unit ? lo : -1;
}

static void errors_of(const dor_analysis *x, int32_t unit, dor_str *s)
{
  int32_t wrong = 0, arms = 0, k = x->p->n_classes, at = -1;
  const dor_scores *any = NULL;
  for (int32_t i = 0; i < x->n_arms; i++) {
    const dor_scores *a = &x->arm[i].scores;
    int32_t u = x->arm[i].arm->baseline ? -1 : find_unit(a, unit);
    if (u < 0) continue;
    any = a, at = u, arms++;
    wrong += a->truth[u] != a->decided[u];
  }
  if (!wrong) return;
  dor_csv_put(s, any->subject[at], false);
  dor_csv_put(s, any->trial[at], false);
  dor_csv_put(s, dor_fold_name(x, any->fold[at]), false);
  dor_csv_put(s, x->p->class_name[any->truth[at]], false);
  dor_csv_put_int(s, arms, false);
  dor_csv_put_int(s, wrong, false);
  for (int32_t i = 0; i < x->n_arms; i++) {
    const dor_scores *a = &x->arm[i].scores;
    if (x->arm[i].arm->baseline) continue;
    int32_t u = find_unit(a, unit);
    dor_csv_put(s, u < 0 || a->truth[u] == a->decided[u] ? "" : x->p->class_name[a->decided[u]], false);
    dor_csv_put_real(s, u < 0 ? NAN : a->p[u * k + a->truth[u]], false);
  }
  dor_put_marks(x, s);
}

static dor_status errors(const dor_analysis *x, dor_str *s)
{
  dor_str_add(s, "subject_id,trial,fold,y_true,arms,wrong,");
  for (int32_t i = 0; i < x->n_arms; i++) {
    if (x->arm[i].arm->baseline) continue;
    char *said = dor_arena_fmt(x->a, "wrong_%s", x->arm[i].arm->name), *p = dor_arena_fmt(x->a, "p_true_%s", x->arm[i].arm->name);
    DOR_NEED(said && p, NOMEM, "%d arms", x->n_arms);
    dor_csv_put(s, said, false);
    dor_csv_put(s, p, false);
  }
  dor_str_add(s, "stamp,run\n");
  for (int32_t u = 0; u < x->p->n_units && x->p->n_classes; u++) errors_of(x, u, s);
  return DOR_OK;
}

dor_status dor_write_metrics(const dor_analysis *x, const char *folder)
{
  dor_str s = {0};
  dor_str_add(&s, "run,arm,level,fold,seed,metric,average,class,value,ci_lo,ci_hi,ci_level,ci_method,n,k,n_pos,n_neg,stamp\n");
  for (int32_t i = 0; i < x->n_rows; i++) csv_row(x, &x->row[i], &s);
  DOR_TRY(dor_write_text(x->a, folder, "metrics.csv", &s));
  json(x, &s);
  return dor_write_text(x->a, folder, "metrics.json", &s);
}

dor_status dor_write_errors(const dor_analysis *x, const char *folder)
{
  dor_str s = {0};
  dor_status status = errors(x, &s);
  if (!status) return dor_write_text(x->a, folder, "errors.csv", &s);
  dor_str_release(&s);
  return status;
}
