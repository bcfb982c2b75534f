/* SPDX-License-Identifier: Apache-2.0 */
#include "pose/smooth.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"


typedef struct biquad { double b0, b1, b2, a1, a2; } biquad;

static biquad butterworth(double rate_hz, double cutoff_hz)
{
  const double both_passes = pow(sqrt(2) - 1, 0.25);
  const double w = tan(3.14159265358979323846 * cutoff_hz / rate_hz) / both_passes, over = 1 / (1 + sqrt(2) * w + w * w), b = w * w * over;
  return (biquad){b, 2 * b, b, 2 * (w * w - 1) * over, (1 - sqrt(2) * w + w * w) * over};
}

/* One pass over x, from a state at rest on its first value; step -1: from the end. */
static void pass(biquad f, int32_t n, double *x, int32_t step)
{
  double *at = step > 0 ? x : x + n - 1;
  double z2 = (f.b2 - f.a2) * *at, z1 = (f.b1 - f.a1) * *at + z2;
  for (int32_t i = 0; i < n; i++, at += step) {
    const double in = *at, out = f.b0 * in + z1;
    z1 = f.b1 * in - f.a1 * out + z2, z2 = f.b2 * in - f.a2 * out;
    *at = out;
  }
}

dor_status dor_smooth(int32_t n, double *x, double rate_hz, double cutoff_hz)
{
  DOR_NEED(cutoff_hz > 0 && cutoff_hz < rate_hz / 2, ARG, "a cut-off of %g Hz at %g samples a second: it must lie under %g Hz",
           cutoff_hz, rate_hz, rate_hz / 2);
  if (n < 2) return DOR_OK;
  const double settled = ceil(3 * rate_hz / cutoff_hz);      /* samples until what the ends do has died away */
  const int32_t pad = settled < n - 1 ? (int32_t)settled : n - 1, all = n + 2 * pad;
  double *y = dor_calloc((size_t)all, sizeof *y);
  DOR_NEED(y, NOMEM, "smoothing %d samples", n);
  for (int32_t i = 0; i < pad; i++) y[i] = 2 * x[0] - x[pad - i], y[pad + n + i] = 2 * x[n - 1] - x[n - 2 - i];
  memcpy(y + pad, x, (size_t)n * sizeof *x);
  const biquad f = butterworth(rate_hz, cutoff_hz);
  pass(f, all, y, 1);
  pass(f, all, y, -1);
  memcpy(x, y + pad, (size_t)n * sizeof *x);
  dor_free(y);
  return DOR_OK;
}

static int by_value(const void *a, const void *b)
{
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Even to a twentieth of a step, which rounding to milliseconds keeps: *step is the mean; else the median. */
static dor_status steps_of(int32_t n, const double *t, double *step, bool *even)
{
  *step = (t[n - 1] - t[0]) / (n - 1), *even = true;
  for (int32_t i = 1; i < n; i++) *even = *even && fabs(t[i] - t[0] - i * *step) < 0.05 * *step;
  if (*even) return DOR_OK;
  double *d = dor_calloc((size_t)n - 1, sizeof *d);
  DOR_NEED(d, NOMEM, "%d times", n);
  for (int32_t i = 1; i < n; i++) d[i - 1] = t[i] - t[i - 1];
  qsort(d, (size_t)n - 1, sizeof *d, by_value);
  *step = d[(n - 1) / 2];
  dor_free(d);
  return DOR_OK;
}

/* y at each of m increasing times s, linear between the n samples x at t. */
static void read_at(int32_t n, const double *t, const double *x, int32_t m, const double *s, double *y)
{
  int32_t j = 0;
  for (int32_t i = 0; i < m; i++) {
    while (j + 2 < n && s[i] > t[j + 1]) j++;
    const double u = (s[i] - t[j]) / (t[j + 1] - t[j]);
    y[i] = x[j] + (u < 0 ? 0 : u > 1 ? 1 : u) * (x[j + 1] - x[j]);
  }
}

static dor_status smooth_uneven(int32_t n, const double *t, double *x, double step, double cutoff_hz)
{
  const double many = ceil((t[n - 1] - t[0]) / step) + 1;
  DOR_NEED(many < 1e7, ARG, "times from %g to %g s at steps of %g s", t[0], t[n - 1], step);
  const int32_t m = (int32_t)many;
  double *s = dor_calloc(2 * (size_t)m, sizeof *s), *y = s + m;
  DOR_NEED(s, NOMEM, "smoothing %d samples", n);
  for (int32_t i = 0; i < m; i++) s[i] = t[0] + i * step;
  read_at(n, t, x, m, s, y);
  dor_status status = dor_smooth(m, y, 1 / step, cutoff_hz);
  if (!status) read_at(m, s, y, n, t, x);
  dor_free(s);
  return status;
}

dor_status dor_smooth_at(int32_t n, const double *time_s, double *x, double cutoff_hz)
{
  double step = 0;
  bool even = true;
  if (n < 2) return DOR_OK;
  DOR_TRY(steps_of(n, time_s, &step, &even));
  return even ? dor_smooth(n, x, 1 / step, cutoff_hz) : smooth_uneven(n, time_s, x, step, cutoff_hz);
}

dor_status dor_smooth_rate(int32_t n, const double *time_s, double *rate_hz)
{
  double step;
  bool even;
  *rate_hz = 0;
  if (n < 2) return DOR_OK;
  DOR_TRY(steps_of(n, time_s, &step, &even));
  *rate_hz = 1 / step;
  return DOR_OK;
}
