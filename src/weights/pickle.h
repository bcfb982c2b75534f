/* SPDX-License-Identifier: Apache-2.0
 *
 * A pickle as data: the stack machine of Python's protocol 2, cut down to what a
 * dictionary of tensors needs. Opcodes and names of classes are allow-listed and
 * none of them is ever called; OrderedDict and torch's rebuilding functions are
 * the machine's own, and an object of the two passed-over classes is an empty dictionary. Every length, index and product is checked before use.
 * Limits: 64 MiB, 10^6 opcodes, 10^6 memo entries, 64 open marks. */
#ifndef DOR_WEIGHTS_PICKLE_H
#define DOR_WEIGHTS_PICKLE_H

#include "base/intern.h"
#include "weights/tensor.h"

enum { DOR_PICKLE_BYTES = 64 << 20, DOR_PICKLE_OPS = 1000000, DOR_PICKLE_MARKS = 64 };

typedef enum dor_pickle_kind {
  DOR_PICKLE_NONE, DOR_PICKLE_BOOL, DOR_PICKLE_INT, DOR_PICKLE_REAL, DOR_PICKLE_TEXT, DOR_PICKLE_TUPLE, DOR_PICKLE_LIST, DOR_PICKLE_DICT,
  DOR_PICKLE_CLASS, DOR_PICKLE_STORAGE, DOR_PICKLE_TENSOR
} dor_pickle_kind;

typedef struct dor_pickle_storage { /* what a persistent id says; the bytes lie elsewhere */
  const char *key;              /* digits */
  dor_tensor_type type;
  int64_t n;                    /* elements */
  const char *data;             /* set by the file's reader: n elements */
} dor_pickle_storage;

typedef struct dor_pickle_tensor { /* a view: never leaves its storage */
  int32_t storage;              /* in dor_pickle.storage */
  int32_t rank;
  int64_t offset, dim[DOR_TENSOR_RANK], stride[DOR_TENSOR_RANK];
} dor_pickle_tensor;

typedef struct dor_pickle_value {
  dor_pickle_kind kind;
  int32_t n;                    /* TEXT: bytes; CLASS: which; STORAGE: number */
  union {
    bool yes;
    int64_t i;
    double x;
    const char *text;           /* in the pickle, not NUL-terminated */
    struct dor_pickle_items *items;  /* TUPLE, LIST, DICT (key, value, key, value, ...) */
    const dor_pickle_tensor *tensor;
  };
} dor_pickle_value;

typedef struct dor_pickle_items { /* in the pieces they came in */
  struct dor_pickle_piece {
    struct dor_pickle_piece *next;
    int32_t n;
    dor_pickle_value at[];
  } *first, *last;
  int64_t n;
} dor_pickle_items;

typedef struct dor_pickle {
  dor_arena *arena;
  const char *file, *part;      /* of messages: "w.pth", "data.pkl" */
  dor_pickle_value value;
  size_t used;                  /* bytes read, STOP being the last; while reading: where the opcode stands */
  int32_t n_storages, most_storages;
  dor_pickle_storage *storage;  /* by first appearance */
  dor_intern keys;              /* number of a storage by key */
} dor_pickle;

/* arena, file and part are set by the caller, who keeps `bytes` alive. errors DATA "file: part, byte N: what", NOMEM */
DOR_MUST dor_status dor_pickle_read(dor_pickle *p, const void *bytes, size_t size);
/* DATA "file: part, byte N: what" for the opcode that is being read. */
dor_status dor_pickle_refuse(const dor_pickle *p, const char *fmt, ...) DOR_PRINTF(2, 3);

bool dor_pickle_is(const dor_pickle_value *v, const char *text);                      /* this very text? */
const dor_pickle_value *dor_pickle_get(const dor_pickle_value *dict, const char *key); /* NULL when absent or no dictionary */
char *dor_pickle_text(dor_arena *a, const dor_pickle_value *v);                        /* NUL-terminated; NULL: no text, a NUL in it, or out of memory */

#endif
