/* SPDX-License-Identifier: Apache-2.0
 *
 * Winograd plans: which instruction set, how many tiles at a time, how threads
 * share the work, and how much scratch that takes. */
#include "kernels/winograd.h"

enum {
  PLANES = 36,
  SHARED_WEIGHTS = 700 * 1024,  /* bytes of transformed weights beyond which few tiles are shared by all threads */
  PRIVATE_TILES = 1536 * 1024,  /* bytes of transformed tiles a thread keeps to itself: a share of the last-level cache */
  TEAM_TILES = 6 * 1024 * 1024, /* the same for a block that all threads share */
  CHUNK_MOST = 64, CHUNK_LEAST = 32, /* input channels at a time in strips: 36 planes of a chunk by a strip stay in the second-level cache */
  ALIAS_PAD = 16                /* floats: 36 planes must not fall on the same cache sets */
};

const dor_winograd_isa *dor_winograd_find(void)
{
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) return &dor_winograd_avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &dor_winograd_avx2;
  return NULL;
}

/* Few blocks are made of one size, so that the last is no splinter. */
static int64_t even_block(int64_t tiles, int64_t most)
{
  int64_t blocks = (tiles + most - 1) / most;
  return (tiles + blocks - 1) / blocks;
}

static int32_t choose_block(const dor_winograd *p)
{
  int64_t bytes = p->team ? TEAM_TILES : PRIVATE_TILES;
  int64_t most = bytes / (PLANES * (int64_t)sizeof(float) * (p->c + p->k)) / 12 * 12;
  int64_t least = 24, cap = p->team ? p->tiles : 24; /* so that tiles and weights of few channels stay in the second-level cache */
  int64_t block = most < least ? least : most > cap ? cap : most;
  if (block > p->tiles) return (int32_t)p->tiles;
  return (int32_t)(p->tiles < 4 * block ? even_block(p->tiles, block) : block);
}

/* The widest that divides C. */
static int32_t choose_chunk(int32_t c, int32_t lanes)
{
  int32_t chunk = c < CHUNK_MOST ? c : CHUNK_MOST;
  while (c % chunk) chunk -= lanes;
  return chunk;
}

/* Strips read all tiles once per strip, blocks all weights once per block: strips where the weights are more. */
static void choose_strips(dor_winograd *p)
{
  int32_t strip = 2 * p->isa->lanes, chunk = choose_chunk(p->c, p->isa->lanes);
  p->strips = p->tiles <= p->k && p->k % strip == 0 && p->k / strip >= p->threads && chunk >= CHUNK_LEAST;
  p->chunk = p->strips ? chunk : p->c;
  p->strip = p->strips ? strip : p->k;
}

dor_status dor_winograd_plan(dor_winograd *p, const dor_winograd_isa *isa, int32_t n, int32_t h, int32_t w, int32_t c, int32_t k, int32_t threads)
{
  DOR_NEED(isa, UNSUPPORTED, "winograd: this CPU has neither AVX2 with FMA nor AVX-512");
  DOR_NEED(c % isa->lanes == 0 && k % isa->lanes == 0, UNSUPPORTED, "winograd: %d -> %d channels are no multiples of %d", c, k, isa->lanes);
  *p = (dor_winograd){.n = n, .h = h, .w = w, .c = c, .k = k, .threads = threads, .isa = isa};
  p->down = (h + 3) / 4;
  p->across = (w + 3) / 4;
  p->tiles = (int64_t)n * p->down * p->across;
  choose_strips(p);
  p->team = !p->strips && threads > 1 && (size_t)PLANES * sizeof(float) * (size_t)c * (size_t)k > SHARED_WEIGHTS;
  p->block = p->strips ? (int32_t)p->tiles : choose_block(p);
  p->u_plane = (size_t)p->chunk * (size_t)p->strip + ALIAS_PAD;
  p->v_plane = (size_t)p->block * (size_t)p->chunk + ALIAS_PAD;
  p->m_plane = (size_t)p->block * (size_t)p->strip + ALIAS_PAD;
  p->member = PLANES * ((p->strips ? p->u_plane : p->v_plane) + p->m_plane);
  return DOR_OK;
}

static size_t members(const dor_winograd *p) { return p->team ? 1 : (size_t)p->threads; }
static size_t aligned(size_t floats) { return (floats + 15) / 16 * 16; }

/* Strips: each member's own weights and outputs. */
size_t dor_winograd_u_floats(const dor_winograd *p) { return aligned(p->strips ? (size_t)p->threads * p->member : PLANES * p->u_plane); }
size_t dor_winograd_d_floats(const dor_winograd *p)
{
  return aligned(p->strips ? (size_t)p->threads * p->member : members(p) * PLANES * p->u_plane);
}

static size_t tile_floats(const dor_winograd *p)
{
  return p->strips ? (size_t)(p->c / p->chunk) * PLANES * p->v_plane : members(p) * p->member;
}

/* In the order of winograd_body.h: border of zeros, sums (double), transformed weights, tiles. */
size_t dor_winograd_forward_bytes(const dor_winograd *p)
{
  size_t sums = 6 * (size_t)p->k * (size_t)p->threads;
  return sizeof(float) * (aligned((size_t)p->c) + aligned(sums) + dor_winograd_u_floats(p) + tile_floats(p));
}

/* Border of zeros, gradients of transformed weights, tiles. */
size_t dor_winograd_weights_bytes(const dor_winograd *p)
{
  return sizeof(float) * (aligned((size_t)p->c) + dor_winograd_d_floats(p) + tile_floats(p));
}
