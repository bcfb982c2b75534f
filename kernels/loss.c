/* SPDX-License-Identifier: Apache-2.0
 *
 * bce, mse, mae: loss and slope in one pass, in pieces whose sums meet in order. */
#include "kernels/reduce.h"
#include "kernels/scalar.h"

enum { PIECE = 4096 }; /* elements whose loss is summed before it joins the total */

typedef struct loss_job { const float *x, *t, *w; float *slope; double *part; int64_t size, m; float inv; } loss_job;

#define LOSS(op)                                                                                      \
  DOR_CLONES static void op##_body(const void *job, int64_t lo, int64_t hi)                         \
  {                                                                                                   \
    const loss_job *s = job;                                                                          \
    for (int64_t p = lo; p < hi; p++) {                                                               \
      int64_t end = (p + 1) * PIECE < s->size ? (p + 1) * PIECE : s->size;                            \
      double sum = 0;                                                                                 \
      for (int64_t k = p * PIECE, next; k < end; k = next) { /* the elements of one sample */          \
        next = (k / s->m + 1) * s->m < end ? (k / s->m + 1) * s->m : end;                             \
        float w = s->w[k / s->m], wi = w * s->inv, part = 0;                                          \
        for (int64_t i = k; i < next; i++) {                                                          \
          s->slope[i] = wi * scalar_##op##_slope(s->x[i], s->t[i]);                                 \
          part += scalar_##op(s->x[i], s->t[i]);                                                    \
        }                                                                                             \
        sum += (double)w * (double)part;                                                              \
      }                                                                                               \
      s->part[p] = sum;                                                                               \
    }                                                                                                 \
  }                                                                                                   \
  static void op##_run(const dor_call *c) { run(c, op##_body); }                                  \
  const dor_kernel op##_cpu = {.name = #op "_cpu", .prepare = prepare, .run = op##_run};

static int64_t pieces(int64_t size) { return (size + PIECE - 1) / PIECE; }

static dor_status prepare(const dor_prep *p, void **plan, size_t *scratch)
{
  (void)plan;
  *scratch = (size_t)pieces(dor_shape_size(p->in[0].shape)) * sizeof(double);
  return DOR_OK;
}

static void run(const dor_call *c, dor_body *body)
{
  int64_t n = c->in[0].shape.d[0], size = dor_shape_size(c->in[0].shape);
  loss_job s = {c->in[0].data, c->in[1].data, c->in[2].data, c->out[1].data, c->scratch, size, size / n, 0};
  double total = 0, loss = 0;
  for (int64_t i = 0; i < n; i++) total += (double)s.w[i] * (double)s.m;
  s.inv = total > 0 ? (float)(1 / total) : 0;
  dor_parallel(c->threads, pieces(size), 1, body, &s);
  for (int64_t p = 0; p < pieces(size); p++) loss += s.part[p];
  *(float *)c->out[0].data = total > 0 ? (float)(loss / total) : 0;
}

LOSS(bce)
LOSS(mse)
LOSS(mae)
