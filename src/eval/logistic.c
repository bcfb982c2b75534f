/* SPDX-License-Identifier: Apache-2.0
 *
 * Logistic regression for the baselines, two classes or more, in double: the
 * ridge keeps separable data finite and makes the redundant softmax unique. */
#include "eval/eval.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"

enum { STEPS = 100, HALVINGS = 40 };
static const double INTERCEPT_RIDGE = 1e-6, TOLERANCE = 1e-10;

typedef struct fit {
  int32_t n, p, k, size; /* size = k * (p + 1) */
  const double *x;
  const int32_t *y;
  double ridge, *hessian, *gradient, *step, *trial, *prob;
} fit;

void dor_logistic_predict(int32_t p, int32_t k, const double *w, const double *x, double *prob)
{
  double top = -INFINITY, sum = 0;
  for (int32_t c = 0; c < k; c++) {
    const double *row = w + c * (p + 1);
    prob[c] = row[p];
    for (int32_t j = 0; j < p; j++) prob[c] += row[j] * x[j];
    if (prob[c] > top) top = prob[c];
  }
  for (int32_t c = 0; c < k; c++) sum += prob[c] = exp(prob[c] - top);
  for (int32_t c = 0; c < k; c++) prob[c] /= sum;
}

static double penalty(const fit *f, int32_t i) { return i % (f->p + 1) == f->p ? INTERCEPT_RIDGE : f->ridge; }

static double loss(const fit *f, const double *w)
{
  double sum = 0;
  for (int32_t i = 0; i < f->n; i++) {
    dor_logistic_predict(f->p, f->k, w, f->x + i * f->p, f->prob);
    sum -= log(fmax(f->prob[f->y[i]], 1e-300));
  }
  for (int32_t i = 0; i < f->size; i++) sum += 0.5 * penalty(f, i) * w[i] * w[i];
  return sum;
}

static double feature(const fit *f, const double *x, int32_t j) { return j < f->p ? x[j] : 1; }

/* One case's part of the lower triangle: x x' (diag(prob) - prob prob'). */
static void add_case(const fit *f, const double *x, int32_t y)
{
  int32_t q = f->p + 1;
  for (int32_t i = 0; i < f->size; i++) {
    int32_t c = i / q;
    double xi = feature(f, x, i % q);
    f->gradient[i] += (f->prob[c] - (c == y)) * xi;
    for (int32_t j = 0; j <= i; j++) f->hessian[i * f->size + j] += f->prob[c] * ((c == j / q) - f->prob[j / q]) * xi * feature(f, x, j % q);
  }
}

static void derive(const fit *f, const double *w)
{
  memset(f->hessian, 0, (size_t)f->size * (size_t)f->size * sizeof(double));
  for (int32_t i = 0; i < f->size; i++) f->gradient[i] = penalty(f, i) * w[i];
  for (int32_t i = 0; i < f->n; i++) {
    dor_logistic_predict(f->p, f->k, w, f->x + i * f->p, f->prob);
    add_case(f, f->x + i * f->p, f->y[i]);
  }
  for (int32_t i = 0; i < f->size; i++) f->hessian[i * f->size + i] += penalty(f, i);
}

/* Cholesky in place, then step = -H^-1 gradient. */
static dor_status solve(const fit *f)
{
  int32_t n = f->size;
  double *h = f->hessian, *s = f->step;
  for (int32_t i = 0; i < n; i++)
    for (int32_t j = 0; j <= i; j++) {
      double sum = h[i * n + j];
      for (int32_t m = 0; m < j; m++) sum -= h[i * n + m] * h[j * n + m];
      DOR_NEED(i != j || sum > 0, NUMERIC, "logistic regression: the Hessian is singular at %d of %d", i, n);
      h[i * n + j] = i == j ? sqrt(sum) : sum / h[j * n + j];
    }
  for (int32_t i = 0; i < n; i++) {
    s[i] = -f->gradient[i];
    for (int32_t m = 0; m < i; m++) s[i] -= h[i * n + m] * s[m];
    s[i] /= h[i * n + i];
  }
  for (int32_t i = n - 1; i >= 0; i--) {
    for (int32_t m = i + 1; m < n; m++) s[i] -= h[m * n + i] * s[m];
    s[i] /= h[i * n + i];
  }
  return DOR_OK;
}

/* The longest of step, step/2, ... that does not raise the loss; false: none does, which is the optimum within rounding. */
static bool descend(const fit *f, double *w, double *now, double *moved)
{
  double share = 1;
  for (int32_t h = 0; h < HALVINGS; h++, share *= 0.5) {
    *moved = 0;
    for (int32_t i = 0; i < f->size; i++) {
      f->trial[i] = w[i] + share * f->step[i];
      *moved = fmax(*moved, fabs(share * f->step[i]));
    }
    double next = loss(f, f->trial);
    if (next <= *now) {
      *now = next;
      memcpy(w, f->trial, (size_t)f->size * sizeof *w);
      return true;
    }
  }
  return false;
}

static dor_status minimise(const fit *f, double *w)
{
  memset(w, 0, (size_t)f->size * sizeof *w);
  double now = loss(f, w), moved = 0;
  for (int32_t step = 0; step < STEPS; step++) {
    derive(f, w);
    DOR_TRY(solve(f));
    if (!descend(f, w, &now, &moved) || moved < TOLERANCE) return DOR_OK;
  }
  return DOR_FAIL(NUMERIC, "logistic regression: not converged after %d steps, last one %g", STEPS, moved);
}

static dor_status check(const fit *f)
{
  DOR_NEED(f->n > 0 && f->p >= 0 && f->k > 1 && f->ridge > 0, RANGE, "logistic regression: %d cases, %d features, %d classes, ridge %g", f->n, f->p,
           f->k, f->ridge);
  for (int32_t i = 0; i < f->n * f->p; i++)
    DOR_NEED(isfinite(f->x[i]), NUMERIC, "logistic regression: feature %d of case %d is not finite", i % f->p, i / f->p);
  for (int32_t i = 0; i < f->n; i++)
    DOR_NEED(f->y[i] >= 0 && f->y[i] < f->k, RANGE, "logistic regression: class %d of case %d is not in [0, %d)", f->y[i], i, f->k);
  return DOR_OK;
}

dor_status dor_logistic_fit(int32_t n, int32_t p, const double *x, const int32_t *y, int32_t k, double ridge, double *w)
{
  fit f = {.n = n, .p = p, .k = k, .size = k * (p + 1), .x = x, .y = y, .ridge = ridge};
  DOR_TRY(check(&f));
  dor_arena a = {0};
  size_t size = (size_t)f.size;
  f.hessian = dor_arena_alloc(&a, size * size * sizeof(double));
  f.gradient = dor_arena_alloc(&a, size * sizeof(double)), f.step = dor_arena_alloc(&a, size * sizeof(double));
  f.trial = dor_arena_alloc(&a, size * sizeof(double)), f.prob = dor_arena_alloc(&a, (size_t)k * sizeof(double));
  bool got = f.hessian && f.gradient && f.step && f.trial && f.prob;
  dor_status s = got ? minimise(&f, w) : DOR_FAIL(NOMEM, "logistic regression of %d weights", f.size);
  dor_arena_release(&a);
  return s;
}
