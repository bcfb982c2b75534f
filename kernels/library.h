/* SPDX-License-Identifier: Apache-2.0
 *
 * What kernels ask of a GPU's libraries, in plain structs: no cuDNN or cuBLASLt header is needed to say what is wanted,
 * so these kernels are built, bound and tested everywhere. `prepare` describes and hands the description to p->library;
 * the real libraries answer on a GPU (src/backend/cuda), a recorder on the null backend, plain loops in the tests.
 *
 * A description names its operands by where they lie in a call: dor_from_in(i), dor_from_out(i). What a library makes of
 * one is a plan; each begins with the library's table, so the kernels' other functions are those below for all of them:
 *
 *   const dor_kernel matmul_cublas = {.name = "matmul_cublas", .prepare = prepare, DOR_LIBRARY_KERNEL}; */
#ifndef DOR_KERNELS_LIBRARY_H
#define DOR_KERNELS_LIBRARY_H

#include "kernels/kernel.h"

typedef int32_t dor_from; /* an operand's place among a call's views */
enum { DOR_FROM_NONE = -1, DOR_FROM_OUT = 1 << 16 };
static inline dor_from dor_from_in(int32_t i) { return i; }
static inline dor_from dor_from_out(int32_t i) { return DOR_FROM_OUT + i; }
static inline const void *dor_from_copy(const dor_call *c, dor_dtype t, int64_t at) { return (const char *)c->copies + (size_t)at * dor_dtype_size(t); }
static inline const dor_view *dor_from_view(const dor_call *c, dor_from f) /* NULL for DOR_FROM_NONE */
{
  return f == DOR_FROM_NONE ? NULL : f >= DOR_FROM_OUT ? &c->out[f - DOR_FROM_OUT] : &c->in[f];
}

/* ---- matrix products ---- */

typedef enum dor_epilogue {
  DOR_EPILOGUE_NONE,
  DOR_EPILOGUE_BIAS,        /* C + bias, one a column */
  DOR_EPILOGUE_BIAS_RELU,   /* max(C + bias, 0) */
  DOR_EPILOGUE_SUM_B        /* C, and the sums of B's columns over k in `bias`, which is then an output */
} dor_epilogue;

/* C [m,n] = op(A) op(B), row-major, sums in float. A is [m,k] as stored, or [k,m] with ta; B is [k,n], or [n,k] with tb.
 * A gate is stored like its matrix, which counts as 0 wherever the gate is not above 0: the gradient of a ReLU. */
typedef struct dor_product {
  int64_t m, n, k;
  int32_t batch;                                /* so many products; 1: one */
  int64_t step_a, step_b, step_c, step_bias;    /* elements from one of a batch to the next */
  bool ta, tb;
  dor_dtype type_a, type_b, type_c, type_bias;
  dor_epilogue epilogue;
  dor_from a, b, c, bias;                       /* bias: DOR_FROM_NONE where the epilogue has none */
  dor_from gate_a, gate_b;                      /* DOR_FROM_NONE: none; at most one */
  bool copied_b;                                /* B, in type_b, is not the view: it begins at number copy_b of the call's copies (copies.h) */
  int64_t copy_b;
} dor_product;

/* ---- convolutions and what fuses with them: opgraph.h ---- */

typedef struct dor_opgraph dor_opgraph;

/* ---- the library ---- */

typedef struct dor_library dor_library;
typedef struct dor_library_plan { const dor_library *library; } dor_library_plan; /* what every plan begins with */

struct dor_library {
  const char *name;
  void *self;               /* the backend's: handles, caches */
  bool tf32;                /* float products may round their factors to 11 bits */
  bool deterministic;       /* only algorithms that give the same bits each time */
  /* Plan it, once. *scratch: bytes of device memory a call needs. errors UNSUPPORTED: the next column is asked */
  dor_status (*product)(const dor_library *l, const dor_product *p, void **plan, size_t *scratch);
  dor_status (*graph)(const dor_library *l, const dor_opgraph *g, void **plan, size_t *scratch); /* likewise */
  dor_status (*attach)(dor_call *c);            /* may be NULL, as detach may */
  void (*run)(const dor_call *c);               /* enqueue on c->stream */
  void (*detach)(dor_call *c);
  void (*drop)(void *plan);
  const char *(*describe)(const void *plan);    /* may be NULL */
};

/* For prepare. errors UNSUPPORTED where there is no library or it has no such thing */
dor_status dor_library_product(const dor_prep *p, const dor_product *d, void **plan, size_t *scratch);
dor_status dor_library_graph(const dor_prep *p, const dor_opgraph *g, void **plan, size_t *scratch);

/* A kernel's other functions, whichever library made its plan. */
static inline const dor_library *dor_library_of(const void *plan) { return ((const dor_library_plan *)plan)->library; }
dor_status dor_library_attach(dor_call *c);
void dor_library_run(const dor_call *c);
void dor_library_detach(dor_call *c);
void dor_library_drop(void *plan);
const char *dor_library_describe(const void *plan);
#define DOR_LIBRARY_KERNEL                                                                                            \
  .attach = dor_library_attach, .run = dor_library_run, .detach = dor_library_detach, .drop = dor_library_drop, \
  .describe = dor_library_describe

#endif
