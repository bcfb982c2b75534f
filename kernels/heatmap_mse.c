/* SPDX-License-Identifier: Apache-2.0
 *
 * heatmap_mse: loss and slope in one pass, in runs of pixels whose sums meet in order. */
#include "kernels/reduce.h"
#include "kernels/scalar.h"

enum { PIXELS = 256 }; /* whose loss is summed before it joins the total */

typedef struct heat_job { const float *x, *t, *mask; float *slope; double *part; int64_t pixels, joints; float factor; } heat_job;

static int64_t pieces(int64_t pixels) { return (pixels + PIXELS - 1) / PIXELS; }

DOR_CLONES static void body(const void *job, int64_t lo, int64_t hi)
{
  const heat_job *s = job;
  for (int64_t p = lo; p < hi; p++) {
    int64_t end = (p + 1) * PIXELS < s->pixels ? (p + 1) * PIXELS : s->pixels;
    double sum = 0;
    for (int64_t q = p * PIXELS; q < end; q++) {
      const float *x = s->x + q * s->joints, *t = s->t + q * s->joints;
      float *restrict slope = s->slope + q * s->joints, m = s->mask[q] * s->factor, squares = 0;
      for (int64_t k = 0; k < s->joints; k++) {
        slope[k] = m * scalar_mse_slope(x[k], t[k]);
        squares += scalar_mse(x[k], t[k]);
      }
      sum += (double)s->mask[q] * (double)squares;
    }
    s->part[p] = sum;
  }
}

static dor_status prepare(const dor_prep *p, void **plan, size_t *scratch)
{
  (void)plan;
  *scratch = (size_t)pieces(dor_shape_size(p->in[2].shape)) * sizeof(double);
  return DOR_OK;
}

static void run(const dor_call *c)
{
  int64_t pixels = dor_shape_size(c->in[2].shape), joints = c->in[0].shape.d[3];
  double size = (double)(pixels * joints), loss = 0;
  heat_job s = {c->in[0].data, c->in[1].data, c->in[2].data, c->out[1].data, c->scratch, pixels, joints, (float)(1 / size)};
  dor_parallel(c->threads, pieces(pixels), 1, body, &s);
  for (int64_t p = 0; p < pieces(pixels); p++) loss += s.part[p];
  *(float *)c->out[0].data = (float)(loss / size);
}

const dor_kernel heatmap_mse_cpu = {.name = "heatmap_mse_cpu", .prepare = prepare, .run = run};
