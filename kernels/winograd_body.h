/* SPDX-License-Identifier: Apache-2.0
 *
 * The Winograd kernel for LANES floats to a register, defined as ISA: whole
 * convolutions out of the steps, by blocks of tiles (the weights are transformed
 * once, for all) or, where tiles are few and channels many, by strips of output
 * channels (the tiles are transformed once, for all). */
#include "kernels/winograd_steps_body.h"

INLINE size_t aligned(size_t floats) { return (floats + 15) / 16 * 16; }

/* --- who does what ------------------------------------------------------- */

/* Blocks of tiles and the part that takes each: its own blocks alone, or a share of every block. */
typedef struct turn {
  span blocks;
  part inside;
} turn;

static turn take_turn(const dor_winograd *p, part me)
{
  int64_t blocks = (p->tiles + p->block - 1) / p->block;
  if (p->team) return (turn){{0, blocks}, me};
  return (turn){share(blocks, me), {0, 1}};
}

static int32_t tiles_in(const dor_winograd *p, int64_t block)
{
  int64_t left = p->tiles - block * p->block;
  return (int32_t)(left < p->block ? left : p->block);
}

/* --- whole convolutions ---------------------------------------------------- */

typedef struct job {
  const dor_winograd *plan;
  const float *x, *w, *dy;
  float *y, *dw;
  bool rotate;
  dor_winograd_tail tail;
  float *zeros, *block_sums, *u, *d, *tiles; /* in scratch */
  double *sums;
} job;

/* Float sums of a block go into double ones, so that their error does not grow with the batch. */
static void flush_sums(const dor_winograd *p, float *block_sums, double *sums)
{
  for (int32_t k = 0; k < 2 * p->k; k++) sums[k] += (double)block_sums[k];
  memset(block_sums, 0, 2 * sizeof(float) * (size_t)p->k);
}

static void make_moments(const job *j, int32_t parts)
{
  const dor_winograd *p = j->plan;
  double count = (double)p->n * p->h * p->w;
  for (int32_t k = 0; k < p->k; k++) {
    double sum = 0, squares = 0;
    for (int32_t r = 0; r < parts; r++) {
      sum += j->sums[(size_t)r * 2 * (size_t)p->k + (size_t)k];
      squares += j->sums[((size_t)r * 2 + 1) * (size_t)p->k + (size_t)k];
    }
    double mean = sum / count, var = squares / count - mean * mean;
    j->tail.mean[k] = (float)mean;
    j->tail.var[k] = var > 0 ? (float)var : 0;
  }
}

static void forward_block(const job *j, int64_t block, part inside, float *v, const finish *f, double *sums)
{
  const dor_winograd *p = j->plan;
  int32_t n = tiles_in(p, block), wide = choose_wide(p->k);
  int64_t first = block * p->block;
  float *m = v + 36 * p->v_plane;
  span mine = share(n, inside), planes = share(36, inside);
  for (int64_t t = mine.from; t < mine.to; t++) input_tile(p, j->x, first + t, j->zeros, v + (size_t)t * (size_t)p->c);
  wait_for_all(inside);
  for (size_t i = (size_t)planes.from; i < (size_t)planes.to; i++) plane_forward(p, wide, v + i * p->v_plane, j->u + i * p->u_plane, m + i * p->m_plane, n);
  wait_for_all(inside);
  for (int64_t t = mine.from; t < mine.to; t++) output_tile(p, first + t, 0, m + (size_t)t * (size_t)p->k, f, j->y);
  if (f->sums) flush_sums(p, f->sums, sums);
}

static void forward_blocks(const job *j, part me, const finish *f, double *sums)
{
  const dor_winograd *p = j->plan;
  int32_t width = choose_wide(p->k) * LANES;
  span rows = share(p->c / LANES, me);
  rows = (span){rows.from * LANES, rows.to * LANES};
  for (int32_t k = 0; k < p->k; k += width)
    transform_weights(p, j->w, j->rotate, rows, k, width, j->u + (size_t)k * (size_t)p->c + (size_t)rows.from * (size_t)width);
  wait_for_all(me);
  turn t = take_turn(p, me);
  float *v = j->tiles + (p->team ? 0 : (size_t)me.rank * p->member);
  for (int64_t b = t.blocks.from; b < t.blocks.to; b++) forward_block(j, b, t.inside, v, f, sums);
}

/* Every tile's input, in chunks of channels; threads share the tiles. */
static void transform_all(const job *j, part me)
{
  const dor_winograd *p = j->plan;
  span mine = share(p->tiles, me);
  for (int64_t t = mine.from; t < mine.to; t++) input_tile(p, j->x, t, j->zeros, j->tiles + (size_t)t * (size_t)p->chunk);
  wait_for_all(me);
}

/* A chunk's transformed weights are used while they are in the second-level cache. */
static void forward_strips(const job *j, part me, const finish *f, double *sums)
{
  const dor_winograd *p = j->plan;
  float *u = j->u + (size_t)me.rank * p->member, *m = u + 36 * p->u_plane;
  span mine = share(p->k / p->strip, me);
  transform_all(j, me);
  for (int32_t s = (int32_t)mine.from; s < mine.to; s++) {
    const float *v = j->tiles;
    for (int32_t c = 0; c < p->c; c += p->chunk, v += 36 * p->v_plane) {
      transform_weights(p, j->w, j->rotate, (span){c, c + p->chunk}, s * p->strip, p->strip, u);
      for (size_t i = 0; i < 36; i++) band_forward(p, c > 0, v + i * p->v_plane, u + i * p->u_plane, m + i * p->m_plane);
    }
    for (int64_t t = 0; t < p->tiles; t++) output_tile(p, t, s * p->strip, m + (size_t)t * (size_t)p->strip, f, j->y);
    if (f->sums) flush_sums(p, f->sums, sums);
  }
}

static void forward_part(const void *of, part me)
{
  const job *j = of;
  const dor_winograd *p = j->plan;
  size_t k2 = 2 * (size_t)p->k;
  double *sums = j->sums + (size_t)me.rank * k2;
  finish f = {j->tail.scale, j->tail.bias, j->tail.residual, j->tail.relu, j->tail.mean ? j->block_sums + (size_t)me.rank * k2 : NULL};
  if (f.sums) memset(f.sums, 0, k2 * sizeof(float)), memset(sums, 0, k2 * sizeof(double));
  if (p->strips) forward_strips(j, me, &f, sums);
  else forward_blocks(j, me, &f, sums);
  if (!f.sums) return;
  wait_for_all(me);
  if (me.rank == 0) make_moments(j, me.size);
}

static void weights_block(const job *j, int64_t block, part inside, float *v, float *d)
{
  const dor_winograd *p = j->plan;
  int32_t n = tiles_in(p, block), wide = choose_wide(p->k);
  int64_t first = block * p->block;
  float *m = v + 36 * p->v_plane;
  span mine = share(n, inside), planes = share(36, inside);
  for (int64_t t = mine.from; t < mine.to; t++) {
    input_tile(p, j->x, first + t, j->zeros, v + (size_t)t * (size_t)p->c);
    gradient_tile(p, j->dy, first + t, 0, m + (size_t)t * (size_t)p->k);
  }
  wait_for_all(inside);
  for (size_t i = (size_t)planes.from; i < (size_t)planes.to; i++) plane_weights(p, wide, v + i * p->v_plane, m + i * p->m_plane, d + i * p->u_plane, n);
  wait_for_all(inside);
}

static void weights_blocks(const job *j, part me)
{
  const dor_winograd *p = j->plan;
  size_t members = p->team ? 1 : (size_t)me.size, member = p->team ? 0 : (size_t)me.rank;
  float *d = j->d + member * 36 * p->u_plane, *v = j->tiles + member * p->member;
  turn t = take_turn(p, me);
  span planes = share(36, t.inside), mine = share((int64_t)p->c * p->k / LANES, me);
  memset(d + (size_t)planes.from * p->u_plane, 0, (size_t)(planes.to - planes.from) * p->u_plane * sizeof(float));
  for (int64_t b = t.blocks.from; b < t.blocks.to; b++) weights_block(j, b, t.inside, v, d);
  wait_for_all(me);
  for (size_t at = (size_t)mine.from * LANES; at < (size_t)mine.to * LANES; at += LANES) filter_back_vector(p, j->d + at, members, j->dw + at);
}

/* Of a chunk by a strip of weights the whole gradient is made at once, and never leaves the second-level cache. */
static void weights_strips(const job *j, part me)
{
  const dor_winograd *p = j->plan;
  float *d = j->d + (size_t)me.rank * p->member, *m = d + 36 * p->u_plane;
  span mine = share(p->k / p->strip, me);
  transform_all(j, me);
  for (int32_t s = (int32_t)mine.from; s < mine.to; s++) {
    const float *v = j->tiles;
    for (int64_t t = 0; t < p->tiles; t++) gradient_tile(p, j->dy, t, s * p->strip, m + (size_t)t * (size_t)p->strip);
    for (int32_t c = 0; c < p->c; c += p->chunk, v += 36 * p->v_plane) {
      for (size_t i = 0; i < 36; i++) band_weights(p, v + i * p->v_plane, m + i * p->m_plane, d + i * p->u_plane);
      for (int32_t r = 0; r < p->chunk; r++)
        for (int32_t k = 0; k < p->strip; k += LANES)
          filter_back_vector(p, d + (size_t)(r * p->strip + k), 1, j->dw + (size_t)(c + r) * (size_t)p->k + (size_t)(s * p->strip + k));
    }
  }
}

static void weights_part(const void *of, part me)
{
  const job *j = of;
  if (j->plan->strips) weights_strips(j, me);
  else weights_blocks(j, me);
}

static void forward(const dor_winograd *p, const float *x, const float *w, bool rotate, float *y, const dor_winograd_tail *tail, float *scratch)
{
  size_t k2 = 2 * (size_t)p->k, threads = (size_t)p->threads;
  job j = {.plan = p, .x = x, .w = w, .y = y, .rotate = rotate};
  if (tail) j.tail = *tail;
  j.zeros = scratch;
  j.sums = (double *)(void *)(j.zeros + aligned((size_t)p->c));
  j.block_sums = (float *)(j.sums + k2 * threads);
  j.u = j.zeros + aligned((size_t)p->c) + aligned(3 * k2 * threads);
  j.tiles = j.u + dor_winograd_u_floats(p);
  memset(j.zeros, 0, (size_t)p->c * sizeof(float));
  run_parts(&j, p->threads, forward_part);
}

static void weights(const dor_winograd *p, const float *x, const float *dy, float *dw, float *scratch)
{
  job j = {.plan = p, .x = x, .dy = dy, .dw = dw, .zeros = scratch, .d = scratch + aligned((size_t)p->c)};
  j.tiles = j.d + dor_winograd_d_floats(p);
  memset(j.zeros, 0, (size_t)p->c * sizeof(float));
  run_parts(&j, p->threads, weights_part);
}

const dor_winograd_isa ISA = {.name = ISA_NAME, .lanes = LANES, .forward = forward, .weights = weights};
