/* SPDX-License-Identifier: Apache-2.0
 *
 * Tensors of a weight file, whatever its format: a name, a type, a shape, and
 * bytes in C order, little-endian. A reader fills dor_tensors; conversion to
 * float and the rules for names are the same for all readers. */
#ifndef DOR_WEIGHTS_TENSOR_H
#define DOR_WEIGHTS_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

/* X(name, bytes of an element): the dtypes of safetensors */
#define DOR_TENSOR_TYPES(X)                                                                                   \
  X(F64, 8) X(F32, 4) X(F16, 2) X(BF16, 2) X(I64, 8) X(I32, 4) X(I16, 2) X(I8, 1) X(U64, 8) X(U32, 4) X(U16, 2) \
  X(U8, 1) X(BOOL, 1) X(F8_E5M2, 1) X(F8_E4M3, 1)

typedef enum dor_tensor_type {
#define X(name, bytes) DOR_TENSOR_##name,
  DOR_TENSOR_TYPES(X)
#undef X
  DOR_TENSOR_TYPE_COUNT
} dor_tensor_type;

enum { DOR_TENSOR_RANK = 8, DOR_TENSOR_NAME = 512, DOR_TENSOR_COUNT = 100000 }; /* at most, in every format */

typedef struct dor_tensor {
  const char *name;
  dor_tensor_type type;
  int32_t rank;
  int64_t dim[DOR_TENSOR_RANK];
  const void *data;             /* not aligned in a file that was read: copy it out */
  size_t bytes;
} dor_tensor;

typedef struct dor_meta { const char *key, *value; } dor_meta; /* texts that a file carries beside its tensors */

typedef struct dor_tensors {
  dor_arena arena;
  char *file;                   /* the bytes that the tensors point into; owned unless it was parsed */
  size_t size;
  int32_t n, n_meta;
  const dor_tensor *at;         /* safetensors: in order of their bytes; PyTorch: of the dictionary */
  const dor_meta *meta;
  const char *format;           /* "safetensors"; "PyTorch (legacy), best_state_dict, without 'module.'": what was found inside */
} dor_tensors; /* zero-initialised is releasable */

size_t dor_tensor_type_bytes(dor_tensor_type t);
const char *dor_tensor_type_name(dor_tensor_type t);
bool dor_tensor_type_real(dor_tensor_type t);   /* F64, F32, F16, BF16 */

void dor_tensors_release(dor_tensors *t);
const dor_tensor *dor_tensors_find(const dor_tensors *t, const char *name); /* NULL when there is none */
const char *dor_tensors_meta(const dor_tensors *t, const char *key);         /* NULL when there is none */

/* 1 to DOR_TENSOR_NAME bytes of UTF-8 without control characters. */
bool dor_tensor_name_good(const char *name);
/* Elements and bytes by shape and type; false when either overflows or a dimension is negative. */
bool dor_tensor_measure(const dor_tensor *t, int64_t *n, size_t *bytes);

typedef char dor_tensor_text[192];
const char *dor_tensor_shape(const dor_tensor *t, dor_tensor_text out);              /* "[4,3,3,3]" */
const char *dor_tensor_place(const dor_tensor *t, int64_t i, dor_tensor_text out);   /* the i-th element: "[0,2,1,1]" */

/* Numbers to float, nearest (a double beyond float's range becomes infinite); n from the i-th on. errors UNSUPPORTED: 8-bit floats */
DOR_MUST dor_status dor_tensor_floats(const dor_tensor *t, int64_t i, int64_t n, float *out);
/* The first element that is no finite float, in *at; -1: all are. The same errors. */
DOR_MUST dor_status dor_tensor_finite(const dor_tensor *t, int64_t *at);

#endif
