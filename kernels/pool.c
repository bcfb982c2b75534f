/* SPDX-License-Identifier: Apache-2.0
 *
 * max_pool with the place of the largest, avg_pool, global_pool, and what carries
 * their gradients back. Channels are the inner loop everywhere. */
#include "kernels/reduce.h"
#include "kernels/tile.h"
#include "ops/attrs.h"

#include <string.h>

typedef struct pool { const dor_pool_attr *a; dor_shape x, y; const float *from; float *to; uint8_t *arg; const uint8_t *from_arg; } pool;

/* The pixel of x under window place (u, v) of row i, column j; -1 in the padding. */
static int64_t pixel(const pool *p, int64_t n, int64_t i, int64_t j, int32_t u, int32_t v)
{
  int64_t r = i * p->a->stride[0] + u - p->a->pad[0], s = j * p->a->stride[1] + v - p->a->pad[1];
  return r < 0 || s < 0 || r >= p->x.d[1] || s >= p->x.d[2] ? -1 : (n * p->x.d[1] + r) * p->x.d[2] + s;
}

DOR_CLONES static void take_larger(const float *x, int64_t c, uint8_t place, float *restrict y, uint8_t *restrict arg)
{
  for (int64_t k = 0; k < c; k++) {
    bool more = x[k] > y[k] || x[k] != x[k]; /* a NaN wins, so that it is seen */
    y[k] = more ? x[k] : y[k];
    arg[k] = more ? place : arg[k];
  }
}

static void max_body(const void *job, int64_t lo, int64_t hi) /* rows of y */
{
  const pool *p = job;
  int64_t c = p->y.d[3];
  for (int64_t row = lo; row < hi; row++)
    for (int64_t j = 0; j < p->y.d[2]; j++) {
      float *y = p->to + (row * p->y.d[2] + j) * c;
      uint8_t *arg = p->arg + (row * p->y.d[2] + j) * c;
      bool first = true;
      for (int32_t u = 0; u < p->a->kernel[0]; u++)
        for (int32_t v = 0; v < p->a->kernel[1]; v++) {
          int64_t at = pixel(p, row / p->y.d[1], row % p->y.d[1], j, u, v);
          uint8_t place = (uint8_t)(u * p->a->kernel[1] + v);
          if (at < 0) continue;
          if (first) memcpy(y, p->from + at * c, (size_t)c * sizeof *y), memset(arg, place, (size_t)c);
          else take_larger(p->from + at * c, c, place, y, arg);
          first = false;
        }
    }
}

/* The usual 2x2 windows without overlap, four pixels at once. */
DOR_CLONES static void max2_body(const void *job, int64_t lo, int64_t hi)
{
  const pool *p = job;
  int64_t c = p->y.d[3], line = (int64_t)p->x.d[2] * c;
  for (int64_t row = lo; row < hi; row++) {
    const float *top = p->from + (row / p->y.d[1] * p->x.d[1] + row % p->y.d[1] * 2) * line;
    for (int64_t j = 0; j < p->y.d[2]; j++) {
      const float *a = top + 2 * j * c, *b = a + c, *d = a + line, *e = d + c;
      float *restrict y = p->to + (row * p->y.d[2] + j) * c;
      uint8_t *restrict arg = p->arg + (row * p->y.d[2] + j) * c;
      for (int64_t k = 0; k < c; k++) {
        float best = a[k];
        int32_t at = 0;
        at = !(b[k] <= best) ? 1 : at, best = !(b[k] <= best) ? b[k] : best;
        at = !(d[k] <= best) ? 2 : at, best = !(d[k] <= best) ? d[k] : best;
        at = !(e[k] <= best) ? 3 : at, best = !(e[k] <= best) ? e[k] : best;
        y[k] = best;
        arg[k] = (uint8_t)at;
      }
    }
  }
}

static bool halves(const dor_pool_attr *a)
{
  return a->kernel[0] == 2 && a->kernel[1] == 2 && a->stride[0] == 2 && a->stride[1] == 2 && !a->pad[0] && !a->pad[1];
}

static void max_pool_run(const dor_call *c)
{
  pool p = {.a = c->attr, .x = c->in[0].shape, .y = c->out[0].shape, .from = c->in[0].data, .to = c->out[0].data, .arg = c->out[1].data};
  dor_parallel(c->threads, (int64_t)p.y.d[0] * p.y.d[1], 8, halves(p.a) ? max2_body : max_body, &p);
}
const dor_kernel max_pool_cpu = {.name = "max_pool_cpu", .run = max_pool_run};

/* Images are independent; inside one, windows may overlap and are added in order. */
static void max_dx_body(const void *job, int64_t lo, int64_t hi)
{
  const pool *p = job;
  int64_t c = p->x.d[3], image = (int64_t)p->x.d[1] * p->x.d[2] * c;
  memset(p->to + lo * image, 0, (size_t)((hi - lo) * image) * sizeof *p->to);
  for (int64_t row = lo * p->y.d[1]; row < hi * p->y.d[1]; row++)
    for (int64_t j = 0; j < p->y.d[2]; j++)
      for (int64_t k = 0; k < c; k++) {
        int64_t from = (row * p->y.d[2] + j) * c + k;
        int32_t arg = p->from_arg[from];
        int64_t at = pixel(p, row / p->y.d[1], row % p->y.d[1], j, arg / p->a->kernel[1], arg % p->a->kernel[1]);
        if (at >= 0) p->to[at * c + k] += p->from[from];
      }
}

/* One row of windows: each of the four pixels gets dy where it was the largest. Odd edges of x stay zero. */
DOR_TILE_FN void halves_row(const float *dy, const uint8_t *arg, int64_t n, int64_t c, float *top, float *below)
{
  for (int64_t j = 0; j < n; j++, dy += c, arg += c)
    for (int32_t place = 0; place < 4; place++) {
      float *restrict to = (place < 2 ? top : below) + (2 * j + place % 2) * c;
      for (int64_t k = 0; k < c; k++) to[k] = arg[k] == place ? dy[k] : 0;
    }
}

DOR_CLONES static void max2_dx_body(const void *job, int64_t lo, int64_t hi) /* rows of dy */
{
  const pool *p = job;
  int64_t c = p->x.d[3], line = (int64_t)p->x.d[2] * c, n = p->y.d[2];
  for (int64_t row = lo; row < hi; row++) {
    int64_t i = row % p->y.d[1];
    float *top = p->to + (row / p->y.d[1] * p->x.d[1] + 2 * i) * line;
    halves_row(p->from + row * n * c, p->from_arg + row * n * c, n, c, top, top + line);
    if (p->x.d[2] & 1) memset(top + line - c, 0, (size_t)c * sizeof *top), memset(top + 2 * line - c, 0, (size_t)c * sizeof *top);
    if ((p->x.d[1] & 1) && i == p->y.d[1] - 1) memset(top + 2 * line, 0, (size_t)line * sizeof *top);
  }
}

static void max_pool_dx_run(const dor_call *c)
{
  pool p = {.a = c->attr, .x = c->out[0].shape, .y = c->in[0].shape, .from = c->in[0].data, .to = c->out[0].data, .from_arg = c->in[1].data};
  if (halves(p.a)) dor_parallel(c->threads, (int64_t)p.y.d[0] * p.y.d[1], 8, max2_dx_body, &p);
  else dor_parallel(c->threads, p.x.d[0], 1, max_dx_body, &p);
}
const dor_kernel max_pool_dx_cpu = {.name = "max_pool_dx_cpu", .run = max_pool_dx_run};

DOR_CLONES static void add_scaled(float *restrict to, const float *from, float factor, int64_t c)
{
  for (int64_t k = 0; k < c; k++) to[k] += factor * from[k];
}

/* y += x / (K K) over each window, or dx += dy / (K K) */
static void avg_images(const pool *p, int64_t lo, int64_t hi, bool back)
{
  int64_t c = p->x.d[3];
  float share = 1.0f / (float)(p->a->kernel[0] * p->a->kernel[1]);
  int64_t image = (int64_t)(back ? p->x.d[1] * p->x.d[2] : p->y.d[1] * p->y.d[2]) * c;
  memset(p->to + lo * image, 0, (size_t)((hi - lo) * image) * sizeof *p->to);
  for (int64_t row = lo * p->y.d[1]; row < hi * p->y.d[1]; row++)
    for (int64_t j = 0; j < p->y.d[2]; j++)
      for (int32_t u = 0; u < p->a->kernel[0]; u++)
        for (int32_t v = 0; v < p->a->kernel[1]; v++) {
          int64_t at = pixel(p, row / p->y.d[1], row % p->y.d[1], j, u, v), out = row * p->y.d[2] + j;
          if (at >= 0) add_scaled(p->to + (back ? at : out) * c, p->from + (back ? out : at) * c, share, c);
        }
}

static void avg_body(const void *job, int64_t lo, int64_t hi) { avg_images(job, lo, hi, false); }
static void avg_dx_body(const void *job, int64_t lo, int64_t hi) { avg_images(job, lo, hi, true); }

static void avg_pool_run(const dor_call *c)
{
  pool p = {.a = c->attr, .x = c->in[0].shape, .y = c->out[0].shape, .from = c->in[0].data, .to = c->out[0].data};
  dor_parallel(c->threads, p.x.d[0], 1, avg_body, &p);
}

static void avg_pool_dx_run(const dor_call *c)
{
  pool p = {.a = c->attr, .x = c->out[0].shape, .y = c->in[0].shape, .from = c->in[0].data, .to = c->out[0].data};
  dor_parallel(c->threads, p.x.d[0], 1, avg_dx_body, &p);
}
const dor_kernel avg_pool_cpu = {.name = "avg_pool_cpu", .run = avg_pool_run};
const dor_kernel avg_pool_dx_cpu = {.name = "avg_pool_dx_cpu", .run = avg_pool_dx_run};

static void global_body(const void *job, int64_t lo, int64_t hi)
{
  const pool *p = job;
  int64_t c = p->x.d[3], hw = (int64_t)p->x.d[1] * p->x.d[2];
  for (int64_t n = lo; n < hi; n++) {
    float *y = p->to + n * c;
    memset(y, 0, (size_t)c * sizeof *y);
    for (int64_t k = 0; k < hw; k++) add_scaled(y, p->from + (n * hw + k) * c, 1.0f, c);
    for (int64_t k = 0; k < c; k++) y[k] /= (float)hw;
  }
}

static void global_pool_run(const dor_call *c)
{
  pool p = {.x = c->in[0].shape, .from = c->in[0].data, .to = c->out[0].data};
  dor_parallel(c->threads, p.x.d[0], 1, global_body, &p);
}
const dor_kernel global_pool_cpu = {.name = "global_pool_cpu", .run = global_pool_run};

static void global_dx_body(const void *job, int64_t lo, int64_t hi)
{
  const pool *p = job;
  int64_t c = p->x.d[3], hw = (int64_t)p->x.d[1] * p->x.d[2];
  for (int64_t n = lo; n < hi; n++) {
    float *first = p->to + n * hw * c;
    for (int64_t k = 0; k < c; k++) first[k] = p->from[n * c + k] / (float)hw;
    for (int64_t k = 1; k < hw; k++) memcpy(first + k * c, first, (size_t)c * sizeof *first);
  }
}

static void global_pool_dx_run(const dor_call *c)
{
  pool p = {.x = c->out[0].shape, .from = c->in[0].data, .to = c->out[0].data};
  dor_parallel(c->threads, p.x.d[0], 1, global_dx_body, &p);
}
const dor_kernel global_pool_dx_cpu = {.name = "global_pool_dx_cpu", .run = global_pool_dx_run};
