/* SPDX-License-Identifier: Apache-2.0
 *
 * Moving numbers: transpose, slice, pad, concat, for stored numbers of any size.
 * Runs that stay together move in the largest units up to 16 bytes that sizes and
 * addresses allow; a transpose that tears them goes through tiles in shared memory. */
#include "kernels/index.cuh"
#include "kernels/pack.cuh"

namespace {

/* CU_BY_UNIT(bytes, U, statement): with U as the unit of so many bytes. */
#define CU_BY_UNIT(bytes, U, ...)                           \
  switch (bytes) {                                          \
    case 16: { typedef cu_unit<16> U; __VA_ARGS__; break; } \
    case 8: { typedef cu_unit<8> U; __VA_ARGS__; break; }   \
    case 4: { typedef cu_unit<4> U; __VA_ARGS__; break; }   \
    case 2: { typedef cu_unit<2> U; __VA_ARGS__; break; }   \
    default: { typedef cu_unit<1> U; __VA_ARGS__; }         \
  }

/* The largest unit of which all of these are multiples, in bytes. */
int64_t unit_of(const void *p, const void *q, int64_t bytes)
{
  uint64_t all = (uint64_t)(uintptr_t)p | (uint64_t)(uintptr_t)q | (uint64_t)bytes | 16;
  return (int64_t)(all & (0 - all));
}

/* y[i] = x[place of i], over axes walked in y's order. */
template <class U> __global__ void gather(const U *x, U *y, uint32_t n, const __grid_constant__ cu_axes axes)
{
  for (int64_t i = cu_first(); i < n; i += cu_stride()) y[i] = x[cu_place(axes, (uint32_t)i)];
}

void strides(dor_shape s, int64_t step[])
{
  int64_t next = 1;
  for (int32_t i = s.n - 1; i >= 0; i--) step[i] = next, next *= s.d[i];
}

/* The window of x that starts at element `at` and has these axes, the last of step 1. */
void launch_gather(const dor_call *c, cu_axes axes, int64_t at)
{
  int64_t bytes = (int64_t)dor_dtype_size(c->in[0].dtype), n = dor_shape_size(c->out[0].shape);
  int32_t last = axes.n - 1;
  uint64_t all = (uint64_t)at | axes.size[last].by;
  for (int32_t i = 0; i < last; i++) all |= (uint64_t)axes.step[i];
  const char *x = (const char *)c->in[0].data + at * bytes;
  int64_t unit = unit_of(x, c->out[0].data, (int64_t)all * bytes), per = unit / bytes;
  axes.size[last] = cu_divide_by(axes.size[last].by / per);
  for (int32_t i = 0; i < last; i++) axes.step[i] /= per;
  CU_BY_UNIT(unit, U, CU_LAUNCH(gather<U>, cu_grid(n / per), CU_BLOCK, 0, c->stream, (const U *)x, (U *)c->out[0].data, (uint32_t)(n / per), axes))
}

void slice_run(const dor_call *c)
{
  const dor_slice_attr *a = (const dor_slice_attr *)c->attr;
  int64_t step[DOR_MAX_DIMS] = {0}, at = 0;
  cu_axes axes = {};
  strides(c->in[0].shape, step);
  cu_outer(&axes, 1, 1);
  for (int32_t i = c->in[0].shape.n - 1; i >= 0; i--) {
    cu_outer(&axes, a->size[i], step[i]);
    at += a->begin[i] * step[i];
  }
  launch_gather(c, axes, at);
}

/* Tiles of TILE x TILE: x's last axis across, y's last axis down; the other axes count pictures of such tiles. */
enum { TILE = 32, TILE_ROWS = 8 };
struct tiling { uint32_t wide, tall, pictures; int64_t from, to; cu_divisor across, down; cu_axes x, y; }; /* from, to: steps of y's last axis in x, and back */

template <class U> __global__ void turn(const U *x, U *y, const __grid_constant__ tiling t)
{
  __shared__ U tile[TILE][TILE + 1];
  uint32_t tiles = t.across.by * t.down.by * t.pictures;
  for (uint32_t k = blockIdx.x; k < tiles; k += gridDim.x) {
    uint32_t picture = k, left = cu_rest(picture, t.across) * TILE, top = cu_rest(picture, t.down) * TILE;
    const U *from = x + cu_place(t.x, picture);
    U *to = y + cu_place(t.y, picture);
    for (uint32_t r = threadIdx.y; r < TILE; r += TILE_ROWS)
      if (top + r < t.tall && left + threadIdx.x < t.wide) tile[r][threadIdx.x] = from[(top + r) * t.from + left + threadIdx.x];
    __syncthreads();
    for (uint32_t r = threadIdx.y; r < TILE; r += TILE_ROWS)
      if (left + r < t.wide && top + threadIdx.x < t.tall) to[(left + r) * t.to + top + threadIdx.x] = tile[threadIdx.x][r];
    __syncthreads(); /* the next tile overwrites this one */
  }
}

/* The axes have x's steps; none has size 1, so that exactly one has step 1. */
tiling tiling_of(const cu_axes &axes)
{
  int64_t step[DOR_MAX_DIMS], next = 1;
  int32_t last = axes.n - 1, across = 0;
  for (int32_t i = last; i >= 0; i--) step[i] = next, next *= axes.size[i].by;
  while (axes.step[across] != 1) across++;
  tiling t = {};
  t.wide = axes.size[across].by, t.tall = axes.size[last].by, t.pictures = 1;
  t.from = axes.step[last], t.to = step[across];
  t.across = cu_divide_by((t.wide + TILE - 1) / TILE), t.down = cu_divide_by((t.tall + TILE - 1) / TILE);
  for (int32_t i = last - 1; i >= 0; i--) {
    if (i == across) continue;
    t.pictures *= axes.size[i].by;
    cu_outer(&t.x, axes.size[i].by, axes.step[i]);
    cu_outer(&t.y, axes.size[i].by, step[i]);
  }
  return t;
}

void launch_tiles(const dor_call *c, const cu_axes &axes)
{
  tiling t = tiling_of(axes);
  int64_t tiles = (int64_t)t.across.by * t.down.by * t.pictures;
  dim3 grid((unsigned)(tiles < 65535 ? tiles : 65535)), block(TILE, TILE_ROWS);
  CU_BY_UNIT(dor_dtype_size(c->in[0].dtype), U,
             CU_LAUNCH(turn<U>, grid, block, 0, c->stream, (const U *)c->in[0].data, (U *)c->out[0].data, t))
}

void transpose_run(const dor_call *c)
{
  const dor_transpose_attr *a = (const dor_transpose_attr *)c->attr;
  dor_shape y = c->out[0].shape;
  int64_t step[DOR_MAX_DIMS] = {0};
  cu_axes axes = {};
  strides(c->in[0].shape, step);
  cu_outer(&axes, 1, 1);
  for (int32_t i = y.n - 1; i >= 0; i--) cu_outer(&axes, y.d[i], step[a->perm[i]]);
  if (axes.step[axes.n - 1] == 1) launch_gather(c, axes, 0);
  else launch_tiles(c, axes);
}

/* pad: element i of y is x's where all its coordinates lie inside, else zero. Axes innermost first. */
struct frame { int32_t n; cu_divisor size[DOR_MAX_DIMS]; uint32_t before[DOR_MAX_DIMS], inside[DOR_MAX_DIMS]; };

template <class U> __global__ void framed(const U *x, U *y, uint32_t n, const __grid_constant__ frame f)
{
  for (int64_t i = cu_first(); i < n; i += cu_stride()) {
    uint32_t left = (uint32_t)i, at = 0, step = 1;
    bool in = true;
    for (int32_t k = 0; k < f.n; k++) {
      uint32_t r = cu_rest(left, f.size[k]) - f.before[k]; /* before the picture: wraps around, so it is large */
      in = in && r < f.inside[k];
      at += r * step;
      step *= f.inside[k];
    }
    y[i] = in ? x[at] : U{};
  }
}

/* Axes without a margin belong to the next outer one, whose margin is so many numbers more. */
frame frame_of(dor_shape x, const dor_pad_attr *a, int64_t per)
{
  frame f = {};
  int64_t run = 1;
  for (int32_t i = x.n - 1; i >= 0; i--) {
    run *= x.d[i];
    if (i && !a->before[i] && !a->after[i]) continue;
    int64_t rest = run / x.d[i], size = (a->before[i] + x.d[i] + a->after[i]) * rest;
    int64_t unit = f.n ? 1 : per;
    f.size[f.n] = cu_divide_by(size / unit);
    f.before[f.n] = (uint32_t)(a->before[i] * rest / unit);
    f.inside[f.n++] = (uint32_t)(run / unit);
    run = 1;
  }
  return f;
}

void pad_run(const dor_call *c)
{
  const dor_pad_attr *a = (const dor_pad_attr *)c->attr;
  dor_shape s = c->in[0].shape;
  const void *x = c->in[0].data;
  void *y = c->out[0].data;
  int64_t bytes = (int64_t)dor_dtype_size(c->in[0].dtype);
  frame f = frame_of(s, a, 1);
  int64_t unit = f.n ? unit_of(x, y, (int64_t)(f.size[0].by | f.before[0] | f.inside[0]) * bytes) : bytes;
  uint32_t n = (uint32_t)(dor_shape_size(c->out[0].shape) * bytes / unit);
  f = frame_of(s, a, unit / bytes);
  CU_BY_UNIT(unit, U, CU_LAUNCH(framed<U>, cu_grid(n), CU_BLOCK, 0, c->stream, (const U *)x, (U *)y, n, f))
}

/* concat: runs of x, `apart` units from one another in y. */
template <class U> __global__ void interleave(const U *x, U *y, uint32_t n, cu_divisor run, int64_t apart)
{
  for (int64_t i = cu_first(); i < n; i += cu_stride()) {
    uint32_t row = (uint32_t)i, at = cu_rest(row, run);
    y[row * apart + at] = x[i];
  }
}

void concat_run(const dor_call *c)
{
  int32_t axis = ((const dor_axis_attr *)c->attr)->axis;
  int64_t bytes = (int64_t)dor_dtype_size(c->out[0].dtype), step[DOR_MAX_DIMS];
  strides(c->out[0].shape, step);
  char *y = (char *)c->out[0].data;
  int64_t apart = step[axis] * c->out[0].shape.d[axis];
  for (int32_t j = 0; j < c->nin; j++) {
    int64_t run = step[axis] * c->in[j].shape.d[axis], n = dor_shape_size(c->in[j].shape);
    const void *x = c->in[j].data;
    int64_t unit = unit_of(x, y, (run | apart) * bytes), per = unit / bytes;
    cu_divisor by = cu_divide_by(run / per);
    CU_BY_UNIT(unit, U, CU_LAUNCH(interleave<U>, cu_grid(n / per), CU_BLOCK, 0, c->stream, (const U *)x, (U *)y, (uint32_t)(n / per), by, apart / per))
    y += run * bytes;
  }
}

} /* namespace */

DOR_CUDA_SCRATCH(transpose, cu_countable)
DOR_CUDA_SCRATCH(slice, cu_countable)
DOR_CUDA_SCRATCH(pad, cu_countable)
DOR_CUDA_SCRATCH(concat, cu_countable)
