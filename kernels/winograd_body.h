/* SPDX-License-Identifier: Apache-2.0
 *
 * The Winograd kernel for LANES floats to a register, defined as ISA. Three
 * steps for each block of tiles: transform 6x6 input tiles into 36 planes, one
 * small matrix product per plane, transform back into 4x4 outputs. Functions
 * that take `rows` and `wide` are inlined with constants, so that their arrays
 * are registers. */
#include <string.h>

#include "kernels/vector.h"
#include "kernels/winograd.h"

enum { WIDE_MOST = LANES == 16 ? 4 : 2 };

INLINE size_t aligned(size_t floats) { return (floats + 15) / 16 * 16; }

/* Registers across in a matrix product: as many as divide K. */
static int32_t choose_wide(int32_t k)
{
  int32_t wide = WIDE_MOST;
  while (k % (wide * LANES)) wide /= 2;
  return wide;
}

/* --- the one-dimensional transforms ------------------------------------- */

INLINE void input_1d(const vec i[6], vec o[6]) /* B^T i */
{
  vec a = i[4] - 4 * i[2], b = i[3] - 4 * i[1], c = i[4] - i[2], d = 2 * (i[3] - i[1]);
  o[0] = 4 * i[0] - 5 * i[2] + i[4];
  o[1] = a + b;
  o[2] = a - b;
  o[3] = c + d;
  o[4] = c - d;
  o[5] = 4 * i[1] - 5 * i[3] + i[5];
}

INLINE void output_1d(const vec i[6], vec o[4]) /* A^T i */
{
  vec a = i[1] + i[2], b = i[1] - i[2], c = i[3] + i[4], d = i[3] - i[4];
  o[0] = i[0] + a + c;
  o[1] = b + 2 * d;
  o[2] = a + 4 * c;
  o[3] = b + 8 * d + i[5];
}

INLINE void gradient_1d(const vec i[4], vec o[6]) /* A i */
{
  vec e = i[0] + i[2], f = i[1] + i[3], g = i[0] + 4 * i[2], h = 2 * i[1] + 8 * i[3];
  o[0] = i[0];
  o[1] = e + f;
  o[2] = e - f;
  o[3] = g + h;
  o[4] = g - h;
  o[5] = i[3];
}

INLINE void filter_1d(const vec i[3], vec o[6]) /* G i */
{
  vec s = (i[0] + i[2]) * (-1.0f / 6), t = i[1] * (1.0f / 6);
  vec u = i[0] * (1.0f / 24) + i[2] * (1.0f / 6), v = i[1] * (1.0f / 12);
  o[0] = 0.25f * i[0];
  o[1] = s - t;
  o[2] = s + t;
  o[3] = u + v;
  o[4] = u - v;
  o[5] = i[2];
}

INLINE void filter_back_1d(const vec i[6], vec o[3]) /* G^T i */
{
  vec a = i[1] + i[2], b = i[2] - i[1], c = i[3] + i[4], d = i[3] - i[4];
  o[0] = 0.25f * i[0] - (1.0f / 6) * a + (1.0f / 24) * c;
  o[1] = (1.0f / 6) * b + (1.0f / 12) * d;
  o[2] = (1.0f / 6) * (c - a) + i[5];
}

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

typedef struct place { /* of a tile: its image, and the row and column of its first output */
  int64_t image;
  int32_t y, x;
} place;

INLINE place place_of(const dor_winograd *p, int64_t tile)
{
  int64_t row = tile / p->across;
  return (place){row / p->down, (int32_t)(row % p->down) * 4, (int32_t)(tile % p->across) * 4};
}

/* --- tiles in, tiles out -------------------------------------------------- */

/* Addresses of a tile's 36 pixels; those outside the image point at zeros. */
INLINE void point_at(const dor_winograd *p, const float *x, int64_t tile, const float *zeros, const float *at[36])
{
  place t = place_of(p, tile);
  const float *image = x + (size_t)t.image * (size_t)p->h * (size_t)p->w * (size_t)p->c;
  for (int32_t i = 0; i < 6; i++)
    for (int32_t j = 0; j < 6; j++) {
      int32_t row = t.y + i - 1, col = t.x + j - 1;
      bool inside = (uint32_t)row < (uint32_t)p->h && (uint32_t)col < (uint32_t)p->w;
      at[i * 6 + j] = inside ? image + ((size_t)row * (size_t)p->w + (size_t)col) * (size_t)p->c : zeros;
    }
}

/* v[36][c] = B^T d B of one tile. Pixels outside share one run of C zeros. */
static void input_tile(const dor_winograd *p, const float *x, int64_t tile, const float *zeros, float *v)
{
  const float *at[36];
  point_at(p, x, tile, zeros, at);
  for (int32_t c = 0; c < p->c; c += LANES) {
    vec d[6][6];
    UNROLL
    for (int32_t j = 0; j < 6; j++) {
      vec col[6], o[6];
      UNROLL
      for (int32_t i = 0; i < 6; i++) col[i] = load(at[i * 6 + j] + c);
      input_1d(col, o);
      UNROLL
      for (int32_t i = 0; i < 6; i++) d[i][j] = o[i];
    }
    UNROLL
    for (int32_t i = 0; i < 6; i++) {
      vec o[6];
      input_1d(d[i], o);
      UNROLL
      for (int32_t j = 0; j < 6; j++) store(v + (size_t)(i * 6 + j) * p->v_plane + c, o[j]);
    }
  }
}

/* w[36][k] = A dy A^T of one tile of gradients; outputs beyond the map count as 0. */
static void gradient_tile(const dor_winograd *p, const float *dy, int64_t tile, float *m)
{
  place t = place_of(p, tile);
  size_t row = (size_t)p->w * (size_t)p->k;
  const float *at = dy + ((size_t)t.image * (size_t)p->h + (size_t)t.y) * row + (size_t)t.x * (size_t)p->k;
  int32_t rows = p->h - t.y, cols = p->w - t.x;
  for (int32_t k = 0; k < p->k; k += LANES) {
    vec d[6][4];
    UNROLL
    for (int32_t j = 0; j < 4; j++) {
      vec col[4], o[6];
      UNROLL
      for (int32_t i = 0; i < 4; i++) col[i] = i < rows && j < cols ? load(at + (size_t)i * row + (size_t)(j * p->k + k)) : splat(0);
      gradient_1d(col, o);
      UNROLL
      for (int32_t i = 0; i < 6; i++) d[i][j] = o[i];
    }
    UNROLL
    for (int32_t i = 0; i < 6; i++) {
      vec o[6];
      gradient_1d(d[i], o);
      UNROLL
      for (int32_t j = 0; j < 6; j++) store(m + (size_t)(i * 6 + j) * p->m_plane + k, o[j]);
    }
  }
}

typedef struct finish { /* what happens to outputs before they are written */
  const float *bias, *residual;
  bool relu;
  float *sums; /* [2,K] of this block; NULL: none wanted */
} finish;

/* y tile = A^T m A for LANES channels, from channel k. */
INLINE void output_vector(const dor_winograd *p, const float *m, const finish *f, int32_t k, int32_t rows, int32_t cols, size_t offset, float *y)
{
  vec d[4][6], bias = f->bias ? load(f->bias + k) : splat(0), sum = splat(0), squares = splat(0);
  UNROLL
  for (int32_t j = 0; j < 6; j++) {
    vec col[6], o[4];
    UNROLL
    for (int32_t i = 0; i < 6; i++) col[i] = load(m + (size_t)(i * 6 + j) * p->m_plane + k);
    output_1d(col, o);
    UNROLL
    for (int32_t i = 0; i < 4; i++) d[i][j] = o[i];
  }
  for (int32_t i = 0; i < rows; i++) {
    vec o[4];
    output_1d(d[i], o);
    UNROLL
    for (int32_t j = 0; j < 4; j++) {
      if (j >= cols) break;
      size_t at = offset + ((size_t)i * (size_t)p->w + (size_t)j) * (size_t)p->k + (size_t)k;
      vec v = o[j] + bias;
      if (f->residual) v += load(f->residual + at);
      if (f->relu) v = positive(v);
      store(y + at, v);
      sum += v;
      squares += v * v;
    }
  }
  if (!f->sums) return;
  store(f->sums + k, load(f->sums + k) + sum);
  store(f->sums + p->k + k, load(f->sums + p->k + k) + squares);
}

static void output_tile(const dor_winograd *p, int64_t tile, const float *m, const finish *f, float *y)
{
  place t = place_of(p, tile);
  int32_t rows = p->h - t.y < 4 ? p->h - t.y : 4, cols = p->w - t.x < 4 ? p->w - t.x : 4;
  size_t offset = (((size_t)t.image * (size_t)p->h + (size_t)t.y) * (size_t)p->w + (size_t)t.x) * (size_t)p->k;
  for (int32_t k = 0; k < p->k; k += LANES) output_vector(p, m, f, k, rows, cols, offset, y);
}

/* --- matrix products ------------------------------------------------------ */

/* m[r][wide] (+)= sum_t a[r * a_row + t * a_depth] * b[t * b_depth + ...], kept in rows x wide registers. */
INLINE void micro(int32_t rows, int32_t wide, bool add, const float *a, size_t a_row, size_t a_depth, const float *b, size_t b_depth, int32_t depth,
                  float *m, size_t m_row)
{
  vec acc[12][WIDE_MOST];
  UNROLL
  for (int32_t r = 0; r < rows; r++) {
    UNROLL
    for (int32_t v = 0; v < wide; v++) acc[r][v] = add ? load(m + (size_t)r * m_row + (size_t)(v * LANES)) : splat(0);
  }
  for (int32_t t = 0; t < depth; t++, a += a_depth, b += b_depth) {
    vec right[WIDE_MOST];
    UNROLL
    for (int32_t v = 0; v < wide; v++) right[v] = load(b + v * LANES);
    UNROLL
    for (int32_t r = 0; r < rows; r++) {
      vec left = splat(a[(size_t)r * a_row]);
      UNROLL
      for (int32_t v = 0; v < wide; v++) acc[r][v] += left * right[v];
    }
  }
  UNROLL
  for (int32_t r = 0; r < rows; r++) {
    UNROLL
    for (int32_t v = 0; v < wide; v++) store(m + (size_t)r * m_row + (size_t)(v * LANES), acc[r][v]);
  }
}

/* m [n, wide] = v [n,C] u [C, wide], by blocks of rows. */
INLINE void panel(int32_t rows, int32_t wide, const float *v, const float *u, int32_t c, float *m, size_t m_row, int32_t n)
{
  int32_t r = 0;
  size_t depth = (size_t)(wide * LANES), row = (size_t)c;
  for (; r + rows <= n; r += rows) micro(rows, wide, false, v + (size_t)r * row, row, 1, u, depth, c, m + (size_t)r * m_row, m_row);
  for (; r + 2 <= n; r += 2) micro(2, wide, false, v + (size_t)r * row, row, 1, u, depth, c, m + (size_t)r * m_row, m_row);
  if (r < n) micro(1, wide, false, v + (size_t)r * row, row, 1, u, depth, c, m + (size_t)r * m_row, m_row);
}

/* One plane: m [n,K] = v [n,C] u, u in panels [K/(wide LANES)][C][wide LANES]. */
static void plane_forward(const dor_winograd *p, int32_t wide, const float *v, const float *u, float *m, int32_t n)
{
  size_t row = (size_t)p->k;
  for (int32_t k = 0; k < p->k; k += wide * LANES) {
    const float *at = u + (size_t)k * (size_t)p->c;
    if (wide == 1) panel(12, 1, v, at, p->c, m + k, row, n);
    if (wide == 2) panel(LANES == 16 ? 12 : 6, 2, v, at, p->c, m + k, row, n);
    if (wide == 4) panel(6, 4, v, at, p->c, m + k, row, n);
  }
}

INLINE void panel_weights(int32_t rows, int32_t wide, const dor_winograd *p, const float *v, const float *m, float *d, int32_t n)
{
  size_t c = (size_t)p->c, k = (size_t)p->k;
  for (size_t r = 0; r < c; r += (size_t)rows) micro(rows, wide, true, v + r, 1, c, m, k, n, d + r * k, k);
}

/* One plane: d [C,K] += v^T [C,n] m [n,K]. */
static void plane_weights(const dor_winograd *p, int32_t wide, const float *v, const float *m, float *d, int32_t n)
{
  for (int32_t k = 0; k < p->k; k += wide * LANES) {
    if (wide == 1) panel_weights(8, 1, p, v, m + k, d + k, n);
    if (wide == 2) panel_weights(LANES == 16 ? 8 : 4, 2, p, v, m + k, d + k, n);
    if (wide == 4) panel_weights(4, 4, p, v, m + k, d + k, n);
  }
}

/* --- weights --------------------------------------------------------------- */

/* to [9,C,K] = from [9,K,C] turned by 180 degrees, for this part's channels. */
static void rotate_weights(const dor_winograd *p, const float *from, float *to, part me)
{
  span s = share((int64_t)9 * (p->c / 8), me);
  size_t ck = (size_t)p->c * (size_t)p->k;
  for (int64_t unit = s.from; unit < s.to; unit++) {
    size_t tap = (size_t)unit / (size_t)(p->c / 8), c0 = (size_t)unit % (size_t)(p->c / 8) * 8;
    const float *a = from + (8 - tap) * ck + c0;
    float *b = to + tap * ck + c0 * (size_t)p->k;
    for (size_t k = 0; k < (size_t)p->k; k++)
      for (size_t c = 0; c < 8; c++) b[c * (size_t)p->k + k] = a[k * (size_t)p->c + c];
  }
}

/* u[36] in panels = G w G^T, for this part's input channels. */
static void transform_weights(const dor_winograd *p, const float *w, float *u, part me)
{
  int32_t strip = choose_wide(p->k) * LANES;
  size_t ck = (size_t)p->c * (size_t)p->k;
  span s = share(p->c, me);
  for (int64_t c = s.from; c < s.to; c++)
    for (int32_t k = 0; k < p->k; k += LANES) {
      const float *from = w + (size_t)c * (size_t)p->k + (size_t)k;
      float *to = u + ((size_t)(k / strip) * (size_t)p->c + (size_t)c) * (size_t)strip + (size_t)(k % strip);
      vec t[6][3];
      for (size_t j = 0; j < 3; j++) {
        vec col[3] = {load(from + j * ck), load(from + (3 + j) * ck), load(from + (6 + j) * ck)}, o[6];
        filter_1d(col, o);
        for (int32_t i = 0; i < 6; i++) t[i][j] = o[i];
      }
      for (size_t i = 0; i < 6; i++) {
        vec o[6];
        filter_1d(t[i], o);
        for (size_t j = 0; j < 6; j++) store(to + (i * 6 + j) * p->u_plane, o[j]);
      }
    }
}

/* dw [3,3,C,K] = G^T (sum of the members' d) G, for this part's input channels. */
static void gather_weights(const dor_winograd *p, const float *d, size_t members, float *dw, part me)
{
  size_t ck = (size_t)p->c * (size_t)p->k;
  span s = share((int64_t)ck / LANES, me);
  for (size_t at = (size_t)s.from * LANES; at < (size_t)s.to * LANES; at += LANES) {
    vec t[3][6];
    for (size_t j = 0; j < 6; j++) {
      vec col[6], o[3];
      for (size_t i = 0; i < 6; i++) {
        col[i] = load(d + (i * 6 + j) * p->u_plane + at);
        for (size_t member = 1; member < members; member++) col[i] += load(d + (member * 36 + i * 6 + j) * p->u_plane + at);
      }
      filter_back_1d(col, o);
      for (int32_t i = 0; i < 3; i++) t[i][j] = o[i];
    }
    for (size_t i = 0; i < 3; i++) {
      vec o[3];
      filter_back_1d(t[i], o);
      for (size_t j = 0; j < 3; j++) store(dw + (i * 3 + j) * ck + at, o[j]);
    }
  }
}

/* --- whole convolutions ---------------------------------------------------- */

typedef struct job {
  const dor_winograd *plan;
  const float *x, *w, *dy;
  float *y, *dw;
  bool rotate;
  dor_winograd_tail tail;
  float *zeros, *block_sums, *u, *rotated, *d, *tiles; /* in scratch */
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
  for (int64_t t = mine.from; t < mine.to; t++) output_tile(p, first + t, m + (size_t)t * (size_t)p->k, f, j->y);
  if (f->sums) flush_sums(p, f->sums, sums);
}

static void forward_part(const void *of, part me)
{
  const job *j = of;
  const dor_winograd *p = j->plan;
  size_t k2 = 2 * (size_t)p->k;
  double *sums = j->sums + (size_t)me.rank * k2;
  finish f = {j->tail.bias, j->tail.residual, j->tail.relu, j->tail.mean ? j->block_sums + (size_t)me.rank * k2 : NULL};
  if (f.sums) memset(f.sums, 0, k2 * sizeof(float)), memset(sums, 0, k2 * sizeof(double));
  if (j->rotate) {
    rotate_weights(p, j->w, j->rotated, me);
    wait_for_all(me);
  }
  transform_weights(p, j->rotate ? j->rotated : j->w, j->u, me);
  wait_for_all(me);
  turn t = take_turn(p, me);
  float *v = j->tiles + (p->team ? 0 : (size_t)me.rank * p->member);
  for (int64_t b = t.blocks.from; b < t.blocks.to; b++) forward_block(j, b, t.inside, v, &f, sums);
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
    gradient_tile(p, j->dy, first + t, m + (size_t)t * (size_t)p->k);
  }
  wait_for_all(inside);
  for (size_t i = (size_t)planes.from; i < (size_t)planes.to; i++) plane_weights(p, wide, v + i * p->v_plane, m + i * p->m_plane, d + i * p->u_plane, n);
  wait_for_all(inside);
}

static void weights_part(const void *of, part me)
{
  const job *j = of;
  const dor_winograd *p = j->plan;
  size_t members = p->team ? 1 : (size_t)me.size, member = p->team ? 0 : (size_t)me.rank;
  float *d = j->d + member * 36 * p->u_plane, *v = j->tiles + member * p->member;
  turn t = take_turn(p, me);
  span planes = share(36, t.inside);
  memset(d + (size_t)planes.from * p->u_plane, 0, (size_t)(planes.to - planes.from) * p->u_plane * sizeof(float));
  for (int64_t b = t.blocks.from; b < t.blocks.to; b++) weights_block(j, b, t.inside, v, d);
  wait_for_all(me);
  gather_weights(p, j->d, members, j->dw, me);
}

static void forward(const dor_winograd *p, const float *x, const float *w, bool rotate, float *y, const dor_winograd_tail *tail, float *scratch)
{
  size_t ck = (size_t)p->c * (size_t)p->k, k2 = 2 * (size_t)p->k, threads = (size_t)p->threads;
  job j = {.plan = p, .x = x, .w = w, .y = y, .rotate = rotate};
  if (tail) j.tail = *tail;
  j.zeros = scratch;
  j.sums = (double *)(void *)(j.zeros + aligned((size_t)p->c));
  j.block_sums = (float *)(j.sums + k2 * threads);
  j.u = j.zeros + aligned((size_t)p->c) + aligned(3 * k2 * threads);
  j.rotated = j.u + aligned(36 * p->u_plane);
  j.tiles = j.rotated + aligned(9 * ck);
  memset(j.zeros, 0, (size_t)p->c * sizeof(float));
  run_parts(&j, p->threads, forward_part);
}

static void weights(const dor_winograd *p, const float *x, const float *dy, float *dw, float *scratch)
{
  size_t members = p->team ? 1 : (size_t)p->threads;
  job j = {.plan = p, .x = x, .dy = dy, .dw = dw, .zeros = scratch, .d = scratch + aligned((size_t)p->c)};
  j.tiles = j.d + members * 36 * p->u_plane;
  memset(j.zeros, 0, (size_t)p->c * sizeof(float));
  run_parts(&j, p->threads, weights_part);
}

const dor_winograd_isa ISA = {.name = ISA_NAME, .lanes = LANES, .forward = forward, .weights = weights};
