/* SPDX-License-Identifier: Apache-2.0
 *
 * matmul and linear by the product of gemm.h. What must be transposed so that
 * rows are contiguous is copied to scratch first. */
#include "kernels/gemm.h"
#include "kernels/reduce.h"
#include "ops/attrs.h"

static dor_status matmul_prepare(const dor_prep *p, void **plan, size_t *scratch)
{
  (void)plan;
  *scratch = ((const dor_matmul_attr *)p->attr)->tb ? dor_type_bytes(p->in[1]) : 0;
  return DOR_OK;
}

static void matmul_run(const dor_call *c)
{
  const dor_matmul_attr *t = c->attr;
  dor_shape a = c->in[0].shape, b = c->in[1].shape, y = c->out[0].shape;
  const float *rows = c->in[1].data;
  if (t->tb) {
    dor_transpose_to(c->in[1].data, b.d[0], b.d[1], c->scratch);
    rows = c->scratch;
  }
  dor_gemm g = {y.d[0], y.d[1], a.d[t->ta ? 0 : 1], c->in[0].data, t->ta ? 1 : a.d[1], t->ta ? a.d[1] : 1, rows, c->out[0].data, NULL, false};
  dor_gemm_run(c->threads, &g);
}
const dor_kernel matmul_cpu = {.name = "matmul_cpu", .prepare = matmul_prepare, .run = matmul_run};

static void linear_run(const dor_call *c)
{
  dor_shape x = c->in[0].shape, w = c->in[1].shape;
  dor_gemm g = {x.d[0], w.d[1], x.d[1], c->in[0].data, x.d[1], 1, c->in[1].data, c->out[0].data, c->in[2].data,
                ((const dor_linear_attr *)c->attr)->relu};
  dor_gemm_run(c->threads, &g);
}
const dor_kernel linear_cpu = {.name = "linear_cpu", .run = linear_run};

/* dz = dy, or its masked copy in scratch */
typedef struct mask { const float *dy, *y; float *dz; } mask;

DOR_CLONES static void mask_body(const void *job, int64_t lo, int64_t hi)
{
  const mask *m = job;
  float *restrict dz = m->dz;
  for (int64_t i = lo; i < hi; i++) dz[i] = m->y[i] > 0 ? m->dy[i] : 0;
}

static const float *masked(const dor_call *c, int32_t dy, int32_t y, float *scratch)
{
  if (!((const dor_linear_attr *)c->attr)->relu) return c->in[dy].data;
  mask m = {c->in[dy].data, c->in[y].data, scratch};
  dor_parallel(c->threads, dor_shape_size(c->in[dy].shape), 16384, mask_body, &m);
  return scratch;
}

static dor_status dx_prepare(const dor_prep *p, void **plan, size_t *scratch)
{
  (void)plan;
  *scratch = dor_type_bytes(p->in[0]) + dor_type_bytes(p->in[2]);
  return DOR_OK;
}

static void linear_dx_run(const dor_call *c)
{
  dor_shape dy = c->in[0].shape, w = c->in[2].shape;
  float *across = c->scratch;
  const float *dz = masked(c, 0, 1, across + dor_shape_size(w));
  dor_transpose_to(c->in[2].data, w.d[0], w.d[1], across);
  dor_gemm g = {dy.d[0], w.d[0], dy.d[1], dz, dy.d[1], 1, across, c->out[0].data, NULL, false};
  dor_gemm_run(c->threads, &g);
}
const dor_kernel linear_dx_cpu = {.name = "linear_dx_cpu", .prepare = dx_prepare, .run = linear_dx_run};

static dor_status dw_prepare(const dor_prep *p, void **plan, size_t *scratch)
{
  (void)plan;
  *scratch = dor_type_bytes(p->in[1]);
  return DOR_OK;
}

DOR_CLONES static void sum_rows(const float *dz, int64_t n, int64_t out, float *restrict db)
{
  for (int64_t o = 0; o < out; o++) db[o] = 0;
  for (int64_t r = 0; r < n; r++)
    for (int64_t o = 0; o < out; o++) db[o] += dz[r * out + o];
}

static void linear_dw_run(const dor_call *c)
{
  dor_shape x = c->in[0].shape, dy = c->in[1].shape;
  const float *dz = masked(c, 1, 2, c->scratch);
  dor_gemm g = {x.d[1], dy.d[1], x.d[0], c->in[0].data, 1, x.d[1], dz, c->out[0].data, NULL, false};
  dor_gemm_run(c->threads, &g);
  sum_rows(dz, dy.d[0], dy.d[1], c->out[1].data);
}
const dor_kernel linear_dw_cpu = {.name = "linear_dw_cpu", .prepare = dw_prepare, .run = linear_dw_run};
