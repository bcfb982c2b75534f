/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything is made from sums per person, so that the bootstrap draws people and
 * adds their sums. Sums are taken about the truth's grand mean: angles of 180
 * degrees would otherwise lose half their digits in the squares. */
#include "eval/agreement.h"

#include <math.h>

#include "base/mem.h"

typedef struct sums { /* of one person's pairs: d = estimate - truth, x and y less the common centre */
  double n, d, dd, x, y, xx, yy, xy;
} sums;

typedef enum figure { RMSE, BIAS, LOWER, UPPER, ICC } figure;

typedef struct asked { const sums *person; figure which; } asked;

static sums add(sums a, const sums *b)
{
  return (sums){a.n + b->n, a.d + b->d, a.dd + b->dd, a.x + b->x, a.y + b->y, a.xx + b->xx, a.yy + b->yy, a.xy + b->xy};
}

typedef struct parts { sums all; double between, within; } parts; /* variance components of the differences */

/* One-way analysis of variance with people of unequal counts; a negative component is 0. */
static parts take_apart(const sums *person, const int32_t *index, int32_t m)
{
  parts p = {0};
  double squares = 0, inside = 0, spread = 0;
  for (int32_t i = 0; i < m; i++) {
    const sums *s = &person[index[i]];
    p.all = add(p.all, s);
    squares += s->n * s->n;
    inside += s->dd - s->d * s->d / s->n;
    spread += s->d * s->d / s->n;
  }
  double n = p.all.n, mean_between = (spread - p.all.d * p.all.d / n) / (m - 1), each = (n - squares / n) / (m - 1);
  p.within = n > m ? fmax(inside / (n - m), 0) : 0;
  p.between = m > 1 ? fmax((mean_between - p.within) / each, 0) : NAN;
  return p;
}

/* Two-way, both measurements of every pair: rows are pairs, columns the two methods. */
static double icc(const sums *a)
{
  double n = a->n, grand = (a->x + a->y) / (2 * n);
  double total = a->xx + a->yy - 2 * n * grand * grand;
  double rows = (a->xx + 2 * a->xy + a->yy) / 2 - 2 * n * grand * grand;
  double columns = (a->x * a->x + a->y * a->y) / n - 2 * n * grand * grand;
  double mr = rows / (n - 1), mc = columns, me = (total - rows - columns) / (n - 1);
  return n > 1 ? (mr - me) / (mr + me + 2 * (mc - me) / n) : NAN;
}

static double value(const void *data, const int32_t *index, int32_t m)
{
  const asked *q = data;
  parts p = take_apart(q->person, index, m);
  double bias = p.all.d / p.all.n, reach = 1.959963984540054 * sqrt(p.between + p.within);
  switch (q->which) {
    case RMSE: return sqrt(p.all.dd / p.all.n);
    case BIAS: return bias;
    case LOWER: return bias - reach;
    case UPPER: return bias + reach;
    default: return icc(&p.all);
  }
}

static dor_status gather(int32_t n, const double *estimate, const double *truth, const int32_t *subject, int32_t n_subjects, sums *person, dor_agreement *out)
{
  double centre = 0;
  for (int32_t i = 0; i < n; i++) {
    DOR_NEED(subject[i] >= 0 && subject[i] < n_subjects, RANGE, "measurement %d: no subject %d", i, subject[i]);
    bool there = isfinite(estimate[i]) && isfinite(truth[i]);
    out->n += there, out->missing += !there;
    if (there) centre += truth[i];
  }
  DOR_NEED(out->n, RANGE, "no measurement has both an estimate and a truth");
  centre /= (double)out->n;
  for (int32_t i = 0; i < n; i++) {
    double x = estimate[i] - centre, y = truth[i] - centre, d = estimate[i] - truth[i];
    if (isfinite(x) && isfinite(y)) person[subject[i]] = add(person[subject[i]], &(sums){1, d, d * d, x, y, x * x, y * y, x * y});
  }
  for (int32_t i = 0; i < n_subjects; i++)
    if (person[i].n > 0) person[out->subjects++] = person[i];
  return DOR_OK;
}

static dor_status figures(const sums *person, const int32_t *all, int32_t replicates, uint64_t seed, double level, dor_agreement *out)
{
  dor_agreed *to[] = {&out->rmse, &out->bias, &out->lower, &out->upper, &out->icc};
  for (int32_t f = RMSE; f <= ICC; f++) {
    asked q = {person, (figure)f};
    to[f]->value = value(&q, all, out->subjects);
    to[f]->interval = (dor_interval){NAN, NAN, ""};
    if (out->subjects > 1 && replicates > 0) DOR_TRY(dor_bca(&q, value, out->subjects, NULL, NULL, replicates, seed, level, &to[f]->interval));
  }
  parts p = take_apart(person, all, out->subjects);
  out->sd_between = sqrt(p.between), out->sd_within = sqrt(p.within);
  return DOR_OK;
}

dor_status dor_agreement_of(int32_t n, const double *estimate, const double *truth, const int32_t *subject, int32_t n_subjects, int32_t replicates,
                            uint64_t seed, double level, dor_agreement *out)
{
  *out = (dor_agreement){0};
  sums *person = dor_calloc((size_t)n_subjects + 1, sizeof *person);
  int32_t *all = dor_calloc((size_t)n_subjects + 1, sizeof *all);
  dor_status s = person && all ? DOR_OK : DOR_FAIL(NOMEM, "sums of %d subjects", n_subjects);
  for (int32_t i = 0; !s && i < n_subjects; i++) all[i] = i;
  if (!s) s = gather(n, estimate, truth, subject, n_subjects, person, out);
  if (!s) s = figures(person, all, replicates, seed, level, out);
  dor_free(person);
  dor_free(all);
  return s;
}
