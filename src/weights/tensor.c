/* SPDX-License-Identifier: Apache-2.0
 *
 * What every reader of weights shares: names, sizes, conversion to float. */
#include "weights/tensor.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

static const struct { const char *name; size_t bytes; } types[DOR_TENSOR_TYPE_COUNT] = {
#define X(name, bytes) {#name, bytes},
  DOR_TENSOR_TYPES(X)
#undef X
};

size_t dor_tensor_type_bytes(dor_tensor_type t) { return types[t].bytes; }
const char *dor_tensor_type_name(dor_tensor_type t) { return types[t].name; }
bool dor_tensor_type_real(dor_tensor_type t) { return t == DOR_TENSOR_F64 || t == DOR_TENSOR_F32 || t == DOR_TENSOR_F16 || t == DOR_TENSOR_BF16; }

void dor_tensors_release(dor_tensors *t)
{
  dor_arena_release(&t->arena);
  dor_free(t->file);
  *t = (dor_tensors){0};
}

const dor_tensor *dor_tensors_find(const dor_tensors *t, const char *name)
{
  for (int32_t i = 0; i < t->n; i++)
    if (!strcmp(t->at[i].name, name)) return &t->at[i];
  return NULL;
}

const char *dor_tensors_meta(const dor_tensors *t, const char *key)
{
  for (int32_t i = 0; i < t->n_meta; i++)
    if (!strcmp(t->meta[i].key, key)) return t->meta[i].value;
  return NULL;
}

/* ---- names and sizes ---- */

bool dor_tensor_name_good(const char *name)
{
  const char *s = name;
  uint32_t c;
  if (!*s || strlen(name) > DOR_TENSOR_NAME) return false;
  for (int n; *s; s += n) {
    n = dor_utf8(s, &c);
    if (!n || c < 0x20 || (c >= 0x7f && c < 0xa0)) return false;
  }
  return true;
}

bool dor_tensor_measure(const dor_tensor *t, int64_t *n, size_t *bytes)
{
  *n = 1;
  for (int32_t i = 0; i < t->rank; i++)
    if (t->dim[i] < 0 || __builtin_mul_overflow(*n, t->dim[i], n)) return false;
  return !__builtin_mul_overflow((uint64_t)*n, types[t->type].bytes, bytes);
}

static const char *put_list(int32_t n, const int64_t *v, dor_tensor_text out)
{
  size_t used = (size_t)snprintf(out, sizeof(dor_tensor_text), "[");
  for (int32_t i = 0; i < n; i++) used += (size_t)snprintf(out + used, sizeof(dor_tensor_text) - used, "%s%lld", i ? "," : "", (long long)v[i]);
  snprintf(out + used, sizeof(dor_tensor_text) - used, "]");
  return out;
}

const char *dor_tensor_shape(const dor_tensor *t, dor_tensor_text out) { return put_list(t->rank, t->dim, out); }

const char *dor_tensor_place(const dor_tensor *t, int64_t i, dor_tensor_text out)
{
  int64_t at[DOR_TENSOR_RANK] = {0};
  for (int32_t k = t->rank - 1; k >= 0 && t->dim[k]; i /= t->dim[k], k--) at[k] = i % t->dim[k];
  return put_list(t->rank, at, out);
}

/* ---- numbers ---- */

static float from_bits(uint32_t bits)
{
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* A half's exponent and fraction stand 13 bits higher in a float; 2^112 makes up for the difference of the biases, exactly. */
static float from_half(uint16_t h)
{
  float size = (h & 0x7c00) == 0x7c00 ? from_bits(0x7f800000u | (uint32_t)(h & 0x3ff) << 13) : from_bits((uint32_t)(h & 0x7fff) << 13) * 0x1p112f;
  return h & 0x8000 ? -size : size;
}

static float from_bfloat(uint16_t b) { return from_bits((uint32_t)b << 16); }

/* Elements lie unaligned in the file, hence the copy of each. */
#define LOOP(type, convert)                                     \
  for (int64_t k = 0; k < n; k++) {                             \
    type v;                                                     \
    memcpy(&v, from + (size_t)k * sizeof v, sizeof v);          \
    out[k] = convert(v);                                        \
  }                                                             \
  return DOR_OK

dor_status dor_tensor_floats(const dor_tensor *t, int64_t i, int64_t n, float *out)
{
  const char *from = (const char *)t->data + (size_t)i * types[t->type].bytes;
  switch (t->type) {
    case DOR_TENSOR_F32:
      if (n) memcpy(out, from, (size_t)n * sizeof *out);
      return DOR_OK;
    case DOR_TENSOR_F16: LOOP(uint16_t, from_half);
    case DOR_TENSOR_BF16: LOOP(uint16_t, from_bfloat);
    case DOR_TENSOR_F64: LOOP(double, (float));
    case DOR_TENSOR_I64: LOOP(int64_t, (float));
    case DOR_TENSOR_I32: LOOP(int32_t, (float));
    case DOR_TENSOR_I16: LOOP(int16_t, (float));
    case DOR_TENSOR_I8: LOOP(int8_t, (float));
    case DOR_TENSOR_U64: LOOP(uint64_t, (float));
    case DOR_TENSOR_U32: LOOP(uint32_t, (float));
    case DOR_TENSOR_U16: LOOP(uint16_t, (float));
    case DOR_TENSOR_U8:
    case DOR_TENSOR_BOOL: LOOP(uint8_t, (float));
    default: return DOR_FAIL(UNSUPPORTED, "tensor '%s': %s is not read", t->name, dor_tensor_type_name(t->type));
  }
}

dor_status dor_tensor_finite(const dor_tensor *t, int64_t *at)
{
  enum { PIECE = 4096 };
  float x[PIECE];
  int64_t n = (int64_t)(t->bytes / types[t->type].bytes);
  *at = -1;
  for (int64_t i = 0; i < n; i += PIECE) {
    int64_t m = n - i < PIECE ? n - i : PIECE, bad = 0;
    DOR_TRY(dor_tensor_floats(t, i, m, x));
    for (int64_t k = 0; k < m; k++) bad += !isfinite(x[k]);
    for (int64_t k = 0; bad && k < m; k++)
      if (!isfinite(x[k])) return *at = i + k, DOR_OK;
  }
  return DOR_OK;
}
