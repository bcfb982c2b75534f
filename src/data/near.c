/* SPDX-License-Identifier: Apache-2.0 */
#include "data/near.h"

#include <math.h>

#include "base/mem.h"
#include "data/pixels.h"

enum { SIDE = 32, CELLS = SIDE * SIDE };

dor_status dor_union_init(dor_union *u, dor_arena *a, int32_t n)
{
  *u = (dor_union){n, dor_arena_alloc(a, (size_t)n * sizeof *u->parent)};
  DOR_NEED(u->parent, NOMEM, "groups of %d things", n);
  for (int32_t i = 0; i < n; i++) u->parent[i] = i;
  return DOR_OK;
}

int32_t dor_union_find(dor_union *u, int32_t i)
{
  while (u->parent[i] != i) i = u->parent[i] = u->parent[u->parent[i]];
  return i;
}

bool dor_union_join(dor_union *u, int32_t i, int32_t j)
{
  i = dor_union_find(u, i), j = dor_union_find(u, j);
  if (i == j) return false;
  if (i < j) u->parent[j] = i; /* the first of a group leads it */
  else u->parent[i] = j;
  return true;
}

/* 32x32 grey values of length 1 (0: an empty picture). out [CELLS] */
static dor_status signature(int32_t h, int32_t w, int32_t c, const uint8_t *pixels, bool centred, float *out)
{
  uint8_t small[CELLS * 3];
  double mean = 0, ss = 0, v[CELLS];
  DOR_TRY(dor_pixels_resize(h, w, c, pixels, SIDE, SIDE, small));
  for (int i = 0; i < CELLS; i++) {
    v[i] = 0;
    for (int k = 0; k < c; k++) v[i] += small[i * c + k];
    mean += v[i] / CELLS;
  }
  for (int i = 0; i < CELLS; i++) v[i] -= centred ? mean : 0, ss += v[i] * v[i];
  for (int i = 0; i < CELLS; i++) out[i] = ss > 0 ? (float)(v[i] / sqrt(ss)) : 0;
  return DOR_OK;
}

static float dot(const float *a, const float *b)
{
  float sum[8] = {0}; /* fixed lanes: the same sum whatever the compiler makes of it */
  for (int i = 0; i < CELLS; i += 8)
    for (int k = 0; k < 8; k++) sum[k] += a[i + k] * b[i + k];
  return ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
}

static void join_like(dor_union *u, const float *all, int32_t i, double threshold, int64_t *pairs)
{
  const float *a = all + (size_t)i * CELLS;
  float mirrored[CELLS];
  for (int y = 0; y < SIDE; y++)
    for (int x = 0; x < SIDE; x++) mirrored[y * SIDE + x] = a[y * SIDE + SIDE - 1 - x];
  bool empty = dot(a, a) == 0;
  for (int32_t j = i + 1; j < u->n; j++) {
    const float *b = all + (size_t)j * CELLS;
    bool alike = empty ? dot(b, b) == 0 : (double)dot(a, b) > threshold || (double)dot(mirrored, b) > threshold;
    if (alike) ++*pairs, dor_union_join(u, i, j);
  }
}

dor_status dor_near_join(dor_union *u, int32_t h, int32_t w, int32_t c, const uint8_t *pixels, bool centred, double threshold, int64_t *pairs)
{
  float *all = dor_calloc((size_t)u->n * CELLS, sizeof *all);
  DOR_NEED(all, NOMEM, "signatures of %d pictures", u->n);
  dor_status s = DOR_OK;
  for (int32_t i = 0; i < u->n && !s; i++) s = signature(h, w, c, pixels + (size_t)i * (size_t)h * (size_t)w * (size_t)c, centred, all + (size_t)i * CELLS);
  *pairs = 0;
  for (int32_t i = 0; i < u->n && !s; i++) join_like(u, all, i, threshold, pairs);
  dor_free(all);
  return s;
}
