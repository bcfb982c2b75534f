/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums down the columns: bias_db, mul_db, and the sum, mean and expand over any
 * axes, which go column by column where the last axis stays. */
#include "kernels/reduce.h"
#include "ops/attrs.h"

#include <string.h>

static int64_t last(dor_shape s) { return s.d[s.n - 1]; }

static void store(float *out, const double *sum, int64_t n, double factor)
{
  for (int64_t k = 0; k < n; k++) out[k] = (float)(sum[k] * factor);
}

typedef struct columns { const float *x, *y; } columns;

DOR_CLONES static void product_body(const void *job, int64_t lo, int64_t hi, int64_t n, float *restrict a, float *b)
{
  const columns *s = job;
  (void)b;
  for (int64_t r = lo; r < hi; r++)
    for (int64_t k = 0; k < n; k++) a[k] += s->x[r * n + k] * s->y[r * n + k];
}

static dor_status bias_db_prepare(const dor_prep *p, void **plan, size_t *scratch)
{
  (void)plan;
  int64_t n = last(p->in[0].shape);
  *scratch = dor_sum_scratch(dor_shape_size(p->in[0].shape) / n, n);
  return DOR_OK;
}

static void bias_db_run(const dor_call *c)
{
  int64_t n = last(c->in[0].shape);
  store(c->out[0].data, dor_sum_columns(c, dor_shape_size(c->in[0].shape) / n, n, c->in[0].data), n, 1);
}
const dor_kernel bias_db_cpu = {.name = "bias_db_cpu", .prepare = bias_db_prepare, .run = bias_db_run};

static void mul_db_run(const dor_call *c)
{
  dor_shape s = c->in[0].shape, b = c->in[2].shape;
  int64_t n = last(s), images = b.n == 2 ? b.d[0] : 1, size = dor_shape_size(s) / images;
  float *out = c->out[0].data;
  double *sum, *none;
  for (int64_t k = 0; k < images; k++, out += n) {
    columns of = {(const float *)c->in[0].data + k * size, (const float *)c->in[1].data + k * size};
    dor_sum_rows(c, size / n, n, product_body, &of, &sum, &none);
    store(out, sum, n, 1);
  }
}
const dor_kernel mul_db_cpu = {.name = "mul_db_cpu", .prepare = bias_db_prepare, .run = mul_db_run};

/* Axes as runs that stay or go together, outermost first. `inner` numbers of x and `kept` of the sum lie under one step. */
typedef struct group { int64_t size, inner, kept; bool goes; } group;

static int32_t grouped(dor_shape x, int32_t axes, group g[DOR_MAX_DIMS])
{
  int32_t n = 0;
  for (int32_t i = 0; i < x.n; i++) {
    bool goes = axes >> i & 1;
    if (n && g[n - 1].goes == goes) g[n - 1].size *= x.d[i];
    else g[n++] = (group){x.d[i], 1, 1, goes};
  }
  for (int32_t i = n - 2; i >= 0; i--) {
    g[i].inner = g[i + 1].inner * g[i + 1].size;
    g[i].kept = g[i + 1].kept * (g[i + 1].goes ? 1 : g[i + 1].size);
  }
  return n;
}

static double sum_run_of(const float *x, int64_t n)
{
  double total = 0;
  for (int64_t at = 0; at < n; at += DOR_SUM_ROWS) {
    float part = 0;
    for (int64_t k = at; k < n && k < at + DOR_SUM_ROWS; k++) part += x[k];
    total += (double)part;
  }
  return total;
}

/* Walk x in order, adding each run of the innermost group to its place in out. */
static void walk(const group *g, int32_t left, const float *x, double *out)
{
  if (left > 1)
    for (int64_t k = 0; k < g->size; k++) walk(g + 1, left - 1, x + k * g->inner, g->goes ? out : out + k * g->kept);
  else if (g->goes) *out += sum_run_of(x, g->size);
  else
    for (int64_t k = 0; k < g->size; k++) out[k] += (double)x[k];
}

static dor_status sum_prepare(const dor_prep *p, void **plan, size_t *scratch)
{
  (void)plan;
  *scratch = (size_t)dor_shape_size(p->out[0].shape) * sizeof(double);
  return DOR_OK;
}

static void reduce(const dor_call *c, bool mean)
{
  group g[DOR_MAX_DIMS];
  int32_t levels = grouped(c->in[0].shape, ((const dor_reduce_attr *)c->attr)->axes, g);
  int64_t n = dor_shape_size(c->out[0].shape);
  double *sum = c->scratch;
  memset(sum, 0, (size_t)n * sizeof *sum);
  walk(g, levels, c->in[0].data, sum);
  store(c->out[0].data, sum, n, mean ? (double)n / (double)dor_shape_size(c->in[0].shape) : 1);
}

static void sum_run(const dor_call *c) { reduce(c, false); }
static void mean_run(const dor_call *c) { reduce(c, true); }
const dor_kernel sum_cpu = {.name = "sum_cpu", .prepare = sum_prepare, .run = sum_run};
const dor_kernel mean_cpu = {.name = "mean_cpu", .prepare = sum_prepare, .run = mean_run};

static void spread(const group *g, int32_t left, const float *x, float *out, float factor)
{
  if (left > 1)
    for (int64_t k = 0; k < g->size; k++) spread(g + 1, left - 1, g->goes ? x : x + k * g->kept, out + k * g->inner, factor);
  else
    for (int64_t k = 0; k < g->size; k++) out[k] = factor * x[g->goes ? 0 : k];
}

static void expand_run(const dor_call *c)
{
  const dor_expand_attr *a = c->attr;
  group g[DOR_MAX_DIMS];
  int32_t levels = grouped(c->out[0].shape, a->axes, g);
  spread(g, levels, c->in[0].data, c->out[0].data, (float)a->factor);
}
const dor_kernel expand_cpu = {.name = "expand_cpu", .run = expand_run};
