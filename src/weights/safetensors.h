/* SPDX-License-Identifier: Apache-2.0
 *
 * safetensors files: u64 little-endian header length, a JSON header, the bytes.
 * The reader is strict and validates inside the only function that opens one:
 * header at most 16 MiB and 100,000 tensors, rank at most 8, checked products,
 * names of at most 512 bytes of printable UTF-8, every byte of the body owned
 * exactly once, no duplicate or unknown keys. Values are not looked at. */
#ifndef DOR_WEIGHTS_SAFETENSORS_H
#define DOR_WEIGHTS_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "base/str.h"

/* X(name, bytes of an element): the dtypes of the format */
#define DOR_TENSOR_TYPES(X)                                                                                   \
  X(F64, 8) X(F32, 4) X(F16, 2) X(BF16, 2) X(I64, 8) X(I32, 4) X(I16, 2) X(I8, 1) X(U64, 8) X(U32, 4) X(U16, 2) \
  X(U8, 1) X(BOOL, 1) X(F8_E5M2, 1) X(F8_E4M3, 1)

typedef enum dor_tensor_type {
#define X(name, bytes) DOR_TENSOR_##name,
  DOR_TENSOR_TYPES(X)
#undef X
  DOR_TENSOR_TYPE_COUNT
} dor_tensor_type;

enum { DOR_TENSOR_RANK = 8, DOR_TENSOR_NAME = 512, DOR_TENSOR_HEADER = 16 << 20, DOR_TENSOR_COUNT = 100000 };

typedef struct dor_tensor {
  const char *name;
  dor_tensor_type type;
  int32_t rank;
  int64_t dim[DOR_TENSOR_RANK];
  const void *data;             /* not aligned in a file that was read: copy it out */
  size_t bytes;
} dor_tensor;

typedef struct dor_meta { const char *key, *value; } dor_meta; /* of __metadata__ */

typedef struct dor_tensors {
  dor_arena arena;
  char *file;                   /* the bytes that the tensors point into; owned unless it was parsed */
  size_t size;
  int32_t n, n_meta;
  const dor_tensor *at;         /* in order of their bytes */
  const dor_meta *meta;
} dor_tensors; /* zero-initialised is releasable */

size_t dor_tensor_type_bytes(dor_tensor_type t);
const char *dor_tensor_type_name(dor_tensor_type t);

/* errors DATA "file: tensor 'a': what", IO, NOTFOUND. parse: `bytes` is borrowed and must outlive *out. */
DOR_MUST dor_status dor_tensors_read(dor_tensors *out, const char *path, size_t max_bytes);
DOR_MUST dor_status dor_tensors_parse(dor_tensors *out, const char *name, const void *bytes, size_t size);
void dor_tensors_release(dor_tensors *t);

const dor_tensor *dor_tensors_find(const dor_tensors *t, const char *name); /* NULL when there is none */
const char *dor_tensors_meta(const dor_tensors *t, const char *key);         /* NULL when there is none */

/* The whole file appended to `out` (empty before): metadata, then tensors in the order given, header padded so that the body is
 * 64-byte aligned. errors ARG: a name the reader would refuse, a name twice, bytes that do not fit the shape */
DOR_MUST dor_status dor_tensors_encode(dor_str *out, int32_t n, const dor_tensor *at, int32_t n_meta, const dor_meta *meta);
DOR_MUST dor_status dor_tensors_write(const char *path, int32_t n, const dor_tensor *at, int32_t n_meta, const dor_meta *meta);

#endif
