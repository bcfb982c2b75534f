/* SPDX-License-Identifier: Apache-2.0
 *
 * Types, shapes and views. A view never owns what it points at. Layout is
 * row-major, NHWC for images, so the last dimension is contiguous. */
#ifndef DOR_TENSOR_SHAPE_H
#define DOR_TENSOR_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum dor_dtype { DOR_F32, DOR_BF16, DOR_F16, DOR_I32, DOR_U8 } dor_dtype;

static inline size_t dor_dtype_size(dor_dtype t) { return t == DOR_F32 || t == DOR_I32 ? 4 : t == DOR_U8 ? 1 : 2; }
static inline const char *dor_dtype_name(dor_dtype t)
{
  return t == DOR_F32 ? "f32" : t == DOR_BF16 ? "bf16" : t == DOR_F16 ? "f16" : t == DOR_I32 ? "i32" : "u8";
}

static inline bool dor_dtype_narrow(dor_dtype t) { return t == DOR_BF16 || t == DOR_F16; } /* what activations may be stored in */

enum { DOR_MAX_DIMS = 5 };

typedef struct dor_shape {
  int32_t n, d[DOR_MAX_DIMS];
} dor_shape;

typedef struct dor_type { /* what a value is */
  dor_shape shape;
  dor_dtype dtype;
} dor_type;

typedef struct dor_view {
  dor_shape shape;
  dor_dtype dtype;
  void *data;
} dor_view;

/* DOR_DIMS(2, 3) initialises a shape in a table; DOR_SHAPE(2, 3) is one in an expression. */
#define DOR_NARG_(a, b, c, d, e, n, ...) n
#define DOR_NARG(...) DOR_NARG_(__VA_ARGS__, 5, 4, 3, 2, 1, 0)
#define DOR_DIMS(...) {DOR_NARG(__VA_ARGS__), {__VA_ARGS__}}
#define DOR_SHAPE(...) ((dor_shape)DOR_DIMS(__VA_ARGS__))

static inline int64_t dor_shape_size(dor_shape s)
{
  int64_t n = 1;
  for (int32_t i = 0; i < s.n; i++) n *= s.d[i];
  return n;
}

static inline bool dor_shape_same(dor_shape a, dor_shape b)
{
  if (a.n != b.n) return false;
  for (int32_t i = 0; i < a.n; i++)
    if (a.d[i] != b.d[i]) return false;
  return true;
}

static inline size_t dor_type_bytes(dor_type t) { return (size_t)dor_shape_size(t.shape) * dor_dtype_size(t.dtype); }

typedef char dor_shape_text[64];
const char *dor_shape_print(dor_shape s, dor_shape_text out); /* "[2,16,16,8]" */

#endif
