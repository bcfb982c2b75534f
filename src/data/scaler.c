/* SPDX-License-Identifier: Apache-2.0
 *
 * Imputation and scaling of features. Fitted on the training part of a fold, each
 * person counting once however many rows they have; applied to every row. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "data/source.h"

typedef struct weighted { double x, w; } weighted;

static int by_value(const void *a, const void *b)
{
  double x = ((const weighted *)a)->x, y = ((const weighted *)b)->x;
  return (x > y) - (x < y);
}

static double weighted_mean(const weighted *v, int32_t n)
{
  double sum = 0, total = 0;
  for (int32_t i = 0; i < n; i++) sum += v[i].w * v[i].x, total += v[i].w;
  return sum / total;
}

/* Sorted v: the mean of the values on both sides of half the weight, as the usual median when weights are equal. */
static double weighted_median(weighted *v, int32_t n)
{
  qsort(v, (size_t)n, sizeof *v, by_value);
  double half = 0, below = 0;
  for (int32_t i = 0; i < n; i++) half += v[i].w / 2;
  for (int32_t i = 0; i < n; i++) {
    below += v[i].w;
    if (fabs(below - half) < 1e-9 * half && i + 1 < n) return (v[i].x + v[i + 1].x) / 2;
    if (below > half) return v[i].x;
  }
  return v[n - 1].x;
}

/* What to subtract and multiply, of the values after filling. */
static void fit_scale(int scale, const weighted *v, int32_t n, float *shift, float *factor)
{
  double lo = INFINITY, hi = -INFINITY, mean = weighted_mean(v, n), var = 0, total = 0;
  for (int32_t i = 0; i < n; i++) {
    lo = fmin(lo, v[i].x), hi = fmax(hi, v[i].x);
    var += v[i].w * (v[i].x - mean) * (v[i].x - mean), total += v[i].w;
  }
  bool zscore = scale == DOR_SCALE_ZSCORE, minmax = scale == DOR_SCALE_MINMAX;
  double spread = zscore ? sqrt(var / total) : minmax ? hi - lo : 1;
  *shift = zscore ? (float)mean : minmax ? (float)lo : 0;
  *factor = hi > lo ? (float)(1 / spread) : 1;
}

static dor_status fit_column(const dor_source *s, const dor_source_cfg *c, const int32_t *rows, const double *w, int32_t n, int32_t j, weighted *v,
                             float fit[3])
{
  int32_t m = 0, present;
  for (int32_t i = 0; i < n; i++) {
    double x = (double)s->values[(size_t)rows[i] * (size_t)s->p + (size_t)j];
    if (!isnan(x)) v[m++] = (weighted){x, w[i]};
  }
  present = m;
  DOR_NEED(present, DATA, "input '%s': column '%s' has no value in the training part", s->name, s->feature[j]);
  double fill = c->impute == DOR_IMPUTE_MEDIAN ? weighted_median(v, present) : c->impute == DOR_IMPUTE_MEAN ? weighted_mean(v, present) : (double)NAN;
  for (int32_t i = 0; i < n && !isnan(fill); i++)
    if (isnan(s->values[(size_t)rows[i] * (size_t)s->p + (size_t)j])) v[m++] = (weighted){fill, w[i]};
  fit[0] = (float)fill;
  fit_scale(c->scale, v, m, &fit[1], &fit[2]);
  return DOR_OK;
}

/* w[i] = 1 / how many of the rows are of row i's subject */
static dor_status subject_weights(const dor_source *s, const int32_t *rows, int32_t n, double *w)
{
  int32_t top = 0;
  for (int32_t i = 0; i < n; i++) top = s->subject[rows[i]] > top ? s->subject[rows[i]] : top;
  int32_t *count = dor_calloc((size_t)top + 1, sizeof *count);
  DOR_NEED(count, NOMEM, "%d subjects", top + 1);
  for (int32_t i = 0; i < n; i++) count[s->subject[rows[i]]]++;
  for (int32_t i = 0; i < n; i++) w[i] = 1.0 / count[s->subject[rows[i]]];
  dor_free(count);
  return DOR_OK;
}

static dor_status fit_all(const dor_source *s, const dor_source_cfg *c, const int32_t *rows, int32_t n, double *w, weighted *v, float *fit)
{
  DOR_TRY(subject_weights(s, rows, n, w));
  for (int32_t j = 0; j < s->p; j++) {
    float f[3];
    DOR_TRY(fit_column(s, c, rows, w, n, j, v, f));
    for (int32_t k = 0; k < 3; k++) fit[k * s->p + j] = f[k];
  }
  return DOR_OK;
}

dor_status dor_scaler_fit(dor_arena *a, const dor_source *s, const dor_source_cfg *c, const int32_t *rows, int32_t n, dor_scaler *out)
{
  float *fit = dor_arena_alloc(a, 3 * (size_t)s->p * sizeof *fit);
  double *w = dor_calloc((size_t)n + 1, sizeof *w);
  weighted *v = dor_calloc((size_t)n + 1, sizeof *v);
  dor_status status = fit && w && v ? fit_all(s, c, rows, n, w, v, fit) : DOR_FAIL(NOMEM, "scaler of %d rows", n);
  dor_free(w), dor_free(v);
  *out = (dor_scaler){s->p, fit, fit + s->p, fit + 2 * s->p};
  return status;
}

void dor_scaler_apply(const dor_scaler *t, const float *in, float *out)
{
  for (int32_t j = 0; j < t->p; j++) out[j] = ((isnan(in[j]) ? t->fill[j] : in[j]) - t->shift[j]) * t->factor[j];
}
