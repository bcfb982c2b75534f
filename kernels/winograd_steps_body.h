/* SPDX-License-Identifier: Apache-2.0
 *
 * The steps of the Winograd kernel for LANES floats to a register: tiles and
 * weights into 36 planes, one small matrix product per plane, and back. Functions
 * that take `rows` and `wide` are inlined with constants, so that their arrays
 * are registers. */
#ifndef DOR_KERNELS_WINOGRAD_STEPS_BODY_H
#define DOR_KERNELS_WINOGRAD_STEPS_BODY_H

#include <string.h>

#include "kernels/vector.h"
#include "kernels/winograd.h"

enum { WIDE_MOST = LANES == 16 ? 4 : 2, STRIP_WIDE = 2, BAND_ROWS = LANES == 16 ? 12 : 6 };

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

/* --- tiles in, tiles out -------------------------------------------------- */

typedef struct place { /* of a tile: its image, and the row and column of its first output */
  int64_t image;
  int32_t y, x;
} place;

INLINE place place_of(const dor_winograd *p, int64_t tile)
{
  int64_t row = tile / p->across;
  return (place){row / p->down, (int32_t)(row % p->down) * 4, (int32_t)(tile % p->across) * 4};
}

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

/* v[C/chunk][36][chunk] = B^T d B of one tile. Pixels outside share one run of C zeros. */
static void input_tile(const dor_winograd *p, const float *x, int64_t tile, const float *zeros, float *v)
{
  const float *at[36];
  point_at(p, x, tile, zeros, at);
  for (int32_t c = 0; c < p->c; c += LANES) {
    float *to = v + (size_t)(c / p->chunk) * 36 * p->v_plane + c % p->chunk;
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
      for (int32_t j = 0; j < 6; j++) store(to + (size_t)(i * 6 + j) * p->v_plane, o[j]);
    }
  }
}

/* m[36][strip] = A dy A^T of one tile of gradients, from channel `first`; outputs beyond the map count as 0. */
static void gradient_tile(const dor_winograd *p, const float *dy, int64_t tile, int32_t first, float *m)
{
  place t = place_of(p, tile);
  size_t row = (size_t)p->w * (size_t)p->k;
  const float *at = dy + ((size_t)t.image * (size_t)p->h + (size_t)t.y) * row + (size_t)t.x * (size_t)p->k + (size_t)first;
  int32_t rows = p->h - t.y, cols = p->w - t.x;
  for (int32_t k = 0; k < p->strip; k += LANES) {
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
  const float *scale, *bias, *residual;
  bool relu;
  float *sums; /* [2,K] of this block; NULL: none wanted */
} finish;

/* y tile = A^T m A for LANES channels, from channel k of y. */
INLINE void output_vector(const dor_winograd *p, const float *m, const finish *f, int32_t k, int32_t rows, int32_t cols, size_t offset, float *y)
{
  vec d[4][6], scale = f->scale ? load(f->scale + k) : splat(1), bias = f->bias ? load(f->bias + k) : splat(0), sum = splat(0), squares = splat(0);
  UNROLL
  for (int32_t j = 0; j < 6; j++) {
    vec col[6], o[4];
    UNROLL
    for (int32_t i = 0; i < 6; i++) col[i] = load(m + (size_t)(i * 6 + j) * p->m_plane);
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
      vec v = o[j] * scale + bias;
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

/* The strip of channels from `first`. */
static void output_tile(const dor_winograd *p, int64_t tile, int32_t first, const float *m, const finish *f, float *y)
{
  place t = place_of(p, tile);
  int32_t rows = p->h - t.y < 4 ? p->h - t.y : 4, cols = p->w - t.x < 4 ? p->w - t.x : 4;
  size_t offset = (((size_t)t.image * (size_t)p->h + (size_t)t.y) * (size_t)p->w + (size_t)t.x) * (size_t)p->k;
  for (int32_t k = 0; k < p->strip; k += LANES) output_vector(p, m + k, f, first + k, rows, cols, offset, y);
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
    if (WIDE_MOST == 4 && wide == 4) panel(6, 4, v, at, p->c, m + k, row, n);
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
    if (WIDE_MOST == 4 && wide == 4) panel_weights(4, 4, p, v, m + k, d + k, n);
  }
}

/* m [n,strip] (+)= a b, b [depth,strip], by blocks of rows that differ by one at most: few rows leave no splinter.
 * A function of its own, never specialized: only so do the compiler's registers suffice for every block. */
static __attribute__((noinline, noclone)) void band(bool add, const float *a, size_t a_row, size_t a_depth, const float *b, int32_t depth, float *m,
                                                    int32_t n)
{
  size_t strip = STRIP_WIDE * LANES;
  int32_t blocks = (n + BAND_ROWS - 1) / BAND_ROWS;
  for (int32_t i = 0; i < blocks; i++) {
    int32_t r = n * i / blocks, rows = n * (i + 1) / blocks - r;
    UNROLL
    for (int32_t fixed = 1; fixed <= BAND_ROWS; fixed++)
      if (rows == fixed) micro(fixed, STRIP_WIDE, add, a + (size_t)r * a_row, a_row, a_depth, b, strip, depth, m + (size_t)r * strip, strip);
  }
}

/* One plane of a strip: m [n,strip] (+)= v [n,chunk] u [chunk,strip]. */
INLINE void band_forward(const dor_winograd *p, bool add, const float *v, const float *u, float *m)
{
  band(add, v, (size_t)p->chunk, 1, u, p->chunk, m, p->block);
}

/* One plane of a strip: d [chunk,strip] = v^T [chunk,n] m [n,strip]. */
INLINE void band_weights(const dor_winograd *p, const float *v, const float *m, float *d)
{
  band(false, v, 1, (size_t)p->chunk, m, p->block, d, p->chunk);
}

/* --- weights --------------------------------------------------------------- */

enum { TURNED = 16 }; /* input channels turned at a time: a cache line */

/* to [9,TURNED,LANES] = w [9,K,C] turned by 180 degrees, from input channel c and output channel k. */
static void turn_weights(const dor_winograd *p, const float *w, int32_t c, int32_t n, int32_t k, float *to)
{
  for (size_t tap = 0; tap < 9; tap++)
    for (size_t l = 0; l < LANES; l++) {
      const float *from = w + ((8 - tap) * (size_t)p->k + (size_t)k + l) * (size_t)p->c + c;
      for (int32_t i = 0; i < n; i++) to[(tap * TURNED + (size_t)i) * LANES + l] = from[i];
    }
}

/* u[36] = G w G^T for LANES channels; w[9] lie `tap` floats apart. */
INLINE void filter_vector(const dor_winograd *p, const float *w, size_t tap, float *u)
{
  vec t[6][3];
  UNROLL
  for (size_t j = 0; j < 3; j++) {
    vec col[3] = {load(w + j * tap), load(w + (3 + j) * tap), load(w + (6 + j) * tap)}, o[6];
    filter_1d(col, o);
    UNROLL
    for (int32_t i = 0; i < 6; i++) t[i][j] = o[i];
  }
  UNROLL
  for (size_t i = 0; i < 6; i++) {
    vec o[6];
    filter_1d(t[i], o);
    UNROLL
    for (size_t j = 0; j < 6; j++) store(u + (i * 6 + j) * p->u_plane, o[j]);
  }
}

/* u[36][rows of c][width] for `width` output channels from `first`. */
static void transform_weights(const dor_winograd *p, const float *w, bool rotate, span rows, int32_t first, int32_t width, float *u)
{
  float turned[9 * TURNED * LANES];
  for (int32_t c = (int32_t)rows.from; c < rows.to; c += TURNED) {
    int32_t n = rows.to - c < TURNED ? (int32_t)rows.to - c : TURNED;
    for (int32_t k = 0; k < width; k += LANES) {
      const float *from = rotate ? turned : w + (size_t)c * (size_t)p->k + (size_t)(first + k);
      size_t row = rotate ? LANES : (size_t)p->k, tap = rotate ? TURNED * LANES : (size_t)p->c * (size_t)p->k;
      float *to = u + (size_t)(c - rows.from) * (size_t)width + (size_t)k;
      if (rotate) turn_weights(p, w, c, n, first + k, turned);
      for (int32_t i = 0; i < n; i++) filter_vector(p, from + (size_t)i * row, tap, to + (size_t)(i * width));
    }
  }
}

/* dw [9] = G^T (sum of the members' d[36]) G for LANES channels. */
INLINE void filter_back_vector(const dor_winograd *p, const float *d, size_t members, float *dw)
{
  size_t tap = (size_t)p->c * (size_t)p->k;
  vec t[3][6];
  UNROLL
  for (size_t j = 0; j < 6; j++) {
    vec col[6], o[3];
    UNROLL
    for (size_t i = 0; i < 6; i++) {
      col[i] = load(d + (i * 6 + j) * p->u_plane);
      for (size_t member = 1; member < members; member++) col[i] += load(d + (member * 36 + i * 6 + j) * p->u_plane);
    }
    filter_back_1d(col, o);
    UNROLL
    for (int32_t i = 0; i < 3; i++) t[i][j] = o[i];
  }
  UNROLL
  for (size_t i = 0; i < 3; i++) {
    vec o[3];
    filter_back_1d(t[i], o);
    UNROLL
    for (size_t j = 0; j < 3; j++) store(dw + (i * 3 + j) * tap, o[j]);
  }
}

#endif
