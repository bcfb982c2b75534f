/* SPDX-License-Identifier: Apache-2.0
 *
 * matmul and linear by the product of gemm.h. What must be transposed so that
 * rows are contiguous is copied to scratch first. */
#include "kernels/gemm.h"
#include "kernels/reduce.h"
#include "kernels/tile.h"
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

/* dx = dz w' needs the rows of w' contiguous; where w is large and the batch small it is cheaper to turn dz and dx. */
static bool turns_batch(int64_t n, int64_t in, int64_t out) { return n * (in + out) < in * out; }

static dor_status dx_prepare(const dor_prep *p, void **plan, size_t *scratch)
{
  (void)plan;
  int64_t n = p->in[0].shape.d[0], in = p->in[2].shape.d[0], out = p->in[2].shape.d[1];
  *scratch = (size_t)(n * out + (turns_batch(n, in, out) ? n * (in + out) : in * out)) * sizeof(float);
  return DOR_OK;
}

static void linear_dx_run(const dor_call *c)
{
  int64_t n = c->in[0].shape.d[0], in = c->in[2].shape.d[0], out = c->in[2].shape.d[1];
  float *free_from = (float *)c->scratch + n * out;
  const float *dz = masked(c, 0, 1, c->scratch), *w = c->in[2].data;
  if (turns_batch(n, in, out)) {
    float *dx = free_from + n * out;
    dor_transpose_to(dz, n, out, free_from);
    dor_gemm_run(c->threads, &(dor_gemm){in, n, out, w, out, 1, free_from, dx, NULL, false});
    dor_transpose_to(dx, in, n, c->out[0].data);
    return;
  }
  dor_transpose_to(w, in, out, free_from);
  dor_gemm_run(c->threads, &(dor_gemm){n, in, out, dz, out, 1, free_from, c->out[0].data, NULL, false});
}
const dor_kernel linear_dx_cpu = {.name = "linear_dx_cpu", .prepare = dx_prepare, .run = linear_dx_run};

/* dw and db. Many outputs: tiles of 4 inputs by 16 outputs, dz masked and summed on the way. */
typedef struct weights { const float *x, *dy, *y; float *dw, *db; int64_t n, in, out; } weights;

DOR_TILE_FN void dw_tile(const weights *s, int64_t i, int64_t o, bool relu, dor_v8 acc[4][2], dor_v8 sum[2])
{
  const float *x0 = s->x + i, *x1 = s->x + (i + 1 < s->in ? i + 1 : i), *x2 = s->x + (i + 2 < s->in ? i + 2 : i), *x3 = s->x + (i + 3 < s->in ? i + 3 : i);
  for (int64_t r = 0; r < s->n; r++) {
    dor_v8 d0 = *(const dor_v8u *)(s->dy + r * s->out + o), d1 = *(const dor_v8u *)(s->dy + r * s->out + o + 8);
    if (relu) {
      d0 = (dor_v8)((dor_v8i)d0 & (*(const dor_v8u *)(s->y + r * s->out + o) > 0));
      d1 = (dor_v8)((dor_v8i)d1 & (*(const dor_v8u *)(s->y + r * s->out + o + 8) > 0));
    }
    sum[0] += d0, sum[1] += d1;
    acc[0][0] += x0[r * s->in] * d0, acc[0][1] += x0[r * s->in] * d1;
    acc[1][0] += x1[r * s->in] * d0, acc[1][1] += x1[r * s->in] * d1;
    acc[2][0] += x2[r * s->in] * d0, acc[2][1] += x2[r * s->in] * d1;
    acc[3][0] += x3[r * s->in] * d0, acc[3][1] += x3[r * s->in] * d1;
  }
}

DOR_CLONES static void dw_body(const void *job, int64_t lo, int64_t hi) /* panels of 16 outputs */
{
  const weights *s = job;
  for (int64_t o = lo * DOR_TILE_COLUMNS; o < hi * DOR_TILE_COLUMNS; o += DOR_TILE_COLUMNS)
    for (int64_t i = 0; i < s->in; i += DOR_TILE_ROWS) {
      dor_v8 acc[4][2] = {{{0}}}, sum[2] = {{0}};
      if (s->y) dw_tile(s, i, o, true, acc, sum);
      else dw_tile(s, i, o, false, acc, sum);
      for (int64_t r = 0; r < DOR_TILE_ROWS && i + r < s->in; r++) {
        *(dor_v8u *)(s->dw + (i + r) * s->out + o) = acc[r][0];
        *(dor_v8u *)(s->dw + (i + r) * s->out + o + 8) = acc[r][1];
      }
      if (!i) *(dor_v8u *)(s->db + o) = sum[0], *(dor_v8u *)(s->db + o + 8) = sum[1];
    }
}

/* Few outputs: dw' [O,I] = dz' x is a product with long rows; then it is turned. */
static void dw_turned(const dor_call *c, const weights *s, float *scratch)
{
  float *across = scratch + s->n * s->out;
  const float *dz = masked(c, 1, 2, scratch);
  dor_gemm g = {s->out, s->in, s->n, dz, 1, s->out, s->x, across, NULL, false};
  dor_gemm_run(c->threads, &g);
  dor_transpose_to(across, s->out, s->in, s->dw);
  for (int64_t o = 0; o < s->out; o++) {
    float sum = 0;
    for (int64_t r = 0; r < s->n; r++) sum += dz[r * s->out + o];
    s->db[o] = sum;
  }
}

static dor_status dw_prepare(const dor_prep *p, void **plan, size_t *scratch)
{
  (void)plan;
  *scratch = dor_type_bytes(p->in[1]) + dor_type_bytes(p->out[0]);
  return DOR_OK;
}

static void linear_dw_run(const dor_call *c)
{
  dor_shape x = c->in[0].shape, dy = c->in[1].shape;
  bool relu = ((const dor_linear_attr *)c->attr)->relu;
  weights s = {c->in[0].data, c->in[1].data, relu ? c->in[2].data : NULL, c->out[0].data, c->out[1].data, x.d[0], x.d[1], dy.d[1]};
  if (s.out % DOR_TILE_COLUMNS) dw_turned(c, &s, c->scratch);
  else dor_parallel(s.n * s.in * s.out < 1 << 15 ? 1 : c->threads, s.out / DOR_TILE_COLUMNS, 1, dw_body, &s);
}
const dor_kernel linear_dw_cpu = {.name = "linear_dw_cpu", .prepare = dw_prepare, .run = linear_dw_run};
