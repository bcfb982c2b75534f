/* SPDX-License-Identifier: Apache-2.0
 *
 * The Winograd kernels against a direct convolution in double: forward with its
 * epilogues, backward data, backward weights, for maps that are no multiple of
 * the tile, one and two threads, and threads that share blocks. */
#include "kernels/winograd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "tests/test.h"

typedef struct shape {
  int32_t n, h, w, c, k, threads;
} shape;

/* Tiles of a thread's own; shared by both threads; strips of channels, of one chunk of inputs and of several. */
static const shape shapes[] = {{2, 8, 8, 16, 32, 1},   {1, 7, 9, 32, 16, 1},   {3, 5, 6, 16, 48, 2},   {1, 1, 1, 16, 16, 1},   {2, 12, 12, 32, 16, 2},
                               {1, 37, 33, 80, 80, 2}, {2, 13, 4, 48, 64, 2},  {1, 12, 12, 96, 96, 2}, {9, 8, 8, 64, 128, 1},  {1, 9, 14, 128, 64, 2},
                               {2, 11, 7, 96, 160, 1}, {1, 3, 21, 192, 64, 2}};

enum { X, W, DY, RES, BIAS, Y, DX, DW, MEAN, VAR, PARTS };

typedef struct world {
  shape s;
  size_t n[PARTS];
  float *at[PARTS];
  double *y, *dx, *dw;
} world;

static float *noise(size_t n, uint64_t where)
{
  dor_rng r = dor_rng_stream(7, 1, where);
  float *p = dor_calloc(n, sizeof *p);
  for (size_t i = 0; i < n; i++) p[i] = (float)(dor_rng_real(&r) * 2 - 0.9);
  return p;
}

/* The definition, each product once, in double. */
static void direct(world *t)
{
  shape s = t->s;
  for (int32_t n = 0; n < s.n; n++)
    for (int32_t i = 0; i < s.h; i++)
      for (int32_t j = 0; j < s.w; j++)
        for (int32_t tap = 0; tap < 9; tap++) {
          int32_t r = i + tap / 3 - 1, q = j + tap % 3 - 1;
          if (r < 0 || q < 0 || r >= s.h || q >= s.w) continue;
          size_t x = (size_t)((n * s.h + r) * s.w + q) * (size_t)s.c, y = (size_t)((n * s.h + i) * s.w + j) * (size_t)s.k;
          for (size_t c = 0; c < (size_t)s.c; c++)
            for (size_t k = 0; k < (size_t)s.k; k++) {
              size_t w = ((size_t)tap * (size_t)s.c + c) * (size_t)s.k + k;
              t->y[y + k] += (double)t->at[X][x + c] * (double)t->at[W][w];
              t->dx[x + c] += (double)t->at[DY][y + k] * (double)t->at[W][w];
              t->dw[w] += (double)t->at[DY][y + k] * (double)t->at[X][x + c];
            }
        }
}

static void make(world *t, shape s)
{
  size_t pixels = (size_t)s.n * (size_t)s.h * (size_t)s.w, c = (size_t)s.c, k = (size_t)s.k;
  size_t sizes[PARTS] = {pixels * c, 9 * c * k, pixels * k, pixels * k, k, pixels * k, pixels * c, 9 * c * k, k, k};
  t->s = s;
  for (size_t i = 0; i < PARTS; i++) t->n[i] = sizes[i], t->at[i] = noise(sizes[i], i);
  t->y = dor_calloc(t->n[Y], sizeof(double));
  t->dx = dor_calloc(t->n[DX], sizeof(double));
  t->dw = dor_calloc(t->n[DW], sizeof(double));
  direct(t);
}

static void drop(world *t)
{
  for (size_t i = 0; i < PARTS; i++) dor_free(t->at[i]);
  dor_free(t->y);
  dor_free(t->dx);
  dor_free(t->dw);
}

static void compare(const char *what, const world *t, const float *got, const double *want, size_t n)
{
  double worst = 0, largest = 0;
  for (size_t i = 0; i < n; i++) {
    worst = fmax(worst, fabs((double)got[i] - want[i]));
    largest = fmax(largest, fabs(want[i]));
  }
  CHECK(worst <= 4e-5 * largest, "%s [%d,%d,%d,%d]->%d, %d threads: %g of %g", what, t->s.n, t->s.h, t->s.w, t->s.c, t->s.k, t->s.threads, worst, largest);
}

static void check_moments(const world *t)
{
  size_t k = (size_t)t->s.k, pixels = t->n[Y] / k;
  for (size_t o = 0; o < k; o++) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < pixels; i++) sum += t->y[i * k + o], squares += t->y[i * k + o] * t->y[i * k + o];
    double mean = sum / (double)pixels, var = squares / (double)pixels - mean * mean, scale = sqrt(squares / (double)pixels);
    CHECK(fabs((double)t->at[MEAN][o] - mean) <= 1e-5 * scale, "mean %g, not %g", (double)t->at[MEAN][o], mean);
    CHECK(fabs((double)t->at[VAR][o] - var) <= 2e-5 * scale * scale, "variance %g, not %g", (double)t->at[VAR][o], var);
  }
}

/* Runs forward, or backward data, over what it wrote before: the same bits. */
static void check_again(const dor_winograd *p, const world *t, bool back, float *scratch)
{
  size_t n = back ? t->n[DX] : t->n[Y];
  float *y = t->at[back ? DX : Y], *before = dor_calloc(n, sizeof *before);
  memcpy(before, y, n * sizeof *y);
  p->isa->forward(p, t->at[back ? DY : X], t->at[W], back, y, NULL, scratch);
  CHECK(!memcmp(before, y, n * sizeof *y), "a second run %s gives other bits", back ? "backward" : "forward");
  dor_free(before);
}

static void check_forward(const dor_winograd_isa *isa, world *t)
{
  dor_winograd p;
  OK(dor_winograd_plan(&p, isa, t->s.n, t->s.h, t->s.w, t->s.c, t->s.k, t->s.threads));
  float *scratch = dor_block_alloc(dor_winograd_forward_bytes(&p));
  dor_winograd_tail moments = {.mean = t->at[MEAN], .var = t->at[VAR]}, whole = {.bias = t->at[BIAS], .residual = t->at[RES], .relu = true};
  isa->forward(&p, t->at[X], t->at[W], false, t->at[Y], &moments, scratch);
  compare("forward", t, t->at[Y], t->y, t->n[Y]);
  check_moments(t);
  check_again(&p, t, false, scratch);
  isa->forward(&p, t->at[X], t->at[W], false, t->at[Y], &whole, scratch);
  for (size_t i = 0; i < t->n[Y]; i++) t->y[i] = fmax(0, t->y[i] + (double)t->at[BIAS][i % (size_t)t->s.k] + (double)t->at[RES][i]);
  compare("forward, bias, residual, relu", t, t->at[Y], t->y, t->n[Y]);
  dor_block_free(scratch, dor_winograd_forward_bytes(&p));
}

static void check_backward(const dor_winograd_isa *isa, world *t)
{
  dor_winograd data, weights;
  OK(dor_winograd_plan(&data, isa, t->s.n, t->s.h, t->s.w, t->s.k, t->s.c, t->s.threads));
  OK(dor_winograd_plan(&weights, isa, t->s.n, t->s.h, t->s.w, t->s.c, t->s.k, t->s.threads));
  size_t bytes = dor_winograd_forward_bytes(&data) + dor_winograd_weights_bytes(&weights);
  float *scratch = dor_block_alloc(bytes), *again = dor_calloc(t->n[DW], sizeof *again);
  isa->forward(&data, t->at[DY], t->at[W], true, t->at[DX], NULL, scratch);
  compare("backward data", t, t->at[DX], t->dx, t->n[DX]);
  check_again(&data, t, true, scratch);
  isa->weights(&weights, t->at[X], t->at[DY], t->at[DW], scratch);
  compare("backward weights", t, t->at[DW], t->dw, t->n[DW]);
  isa->weights(&weights, t->at[X], t->at[DY], again, scratch);
  CHECK(!memcmp(again, t->at[DW], t->n[DW] * sizeof *again), "a second run gives other bits");
  dor_block_free(scratch, bytes);
  dor_free(again);
}

/* The shapes above are of use only while each way is taken by some. */
static void check_ways(const dor_winograd_isa *isa)
{
  int32_t own = 0, team = 0, strips = 0, chunks = 0;
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    shape s = shapes[i];
    dor_winograd p;
    OK(dor_winograd_plan(&p, isa, s.n, s.h, s.w, s.c, s.k, s.threads));
    own += !p.strips && !p.team && s.threads > 1;
    team += p.team;
    strips += p.strips && s.threads > 1;
    chunks += p.strips && p.chunk < s.c && s.threads > 1;
  }
  CHECK(own && team && strips && chunks, "%d shapes of own tiles, %d of shared, %d of strips, %d of chunks", own, team, strips, chunks);
}

static void check_isa(const dor_winograd_isa *isa)
{
  check_ways(isa);
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    world t;
    make(&t, shapes[i]);
    check_forward(isa, &t);
    check_backward(isa, &t);
    drop(&t);
  }
}

TEST(winograd_avx2)
{
  (void)state;
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) SKIP("1 test skipped: this CPU has no AVX2 with FMA");
  check_isa(&dor_winograd_avx2);
}

TEST(winograd_avx512)
{
  (void)state;
  if (dor_winograd_find() != &dor_winograd_avx512) SKIP("1 test skipped: this CPU has no AVX-512");
  check_isa(&dor_winograd_avx512);
}

TEST(winograd_declines)
{
  (void)state;
  dor_winograd p;
  CHECK(dor_winograd_plan(&p, NULL, 1, 8, 8, 16, 16, 1) == DOR_E_UNSUPPORTED, "a CPU without AVX2 is served");
  CHECK(dor_winograd_plan(&p, &dor_winograd_avx2, 1, 8, 8, 12, 16, 1) == DOR_E_UNSUPPORTED, "12 channels are served");
}
