/* SPDX-License-Identifier: Apache-2.0
 *
 * What a kernel sees, and how one is offered to a backend.
 *
 * Check, then run: everything that can fail fails in `prepare` (once per
 * program) or `attach` (once per instance); `run` returns nothing and allocates
 * nothing. An own kernel usually has only `run`. */
#ifndef DOR_KERNELS_KERNEL_H
#define DOR_KERNELS_KERNEL_H

#include "graph/graph.h"

/* What a kernel may use: prepare picks its variant by it (files *_avx2.c, *_avx512.c). The plain backend says PLAIN. */
typedef enum dor_isa { DOR_ISA_PLAIN, DOR_ISA_AVX2, DOR_ISA_AVX512 } dor_isa; /* AVX2 includes FMA; AVX512: F, BW, VL, DQ */
typedef enum dor_conv_choice { DOR_CONV_AUTO, DOR_CONV_DIRECT, DOR_CONV_WINOGRAD } dor_conv_choice;

typedef struct dor_prep { /* one node, at bind time */
  const dor_node *node;
  const void *attr;
  int32_t nin, nout;
  const dor_type *in, *out;
  int32_t threads;             /* the program's */
  bool training;
  dor_isa isa;
  dor_conv_choice conv;        /* cpu.conv: which 3x3 convolution is wanted */
  const struct dor_library *library; /* of a GPU backend: what cuDNN and cuBLASLt kernels plan by (library.h); else NULL */
  struct dor_copies *copies;   /* of a GPU: where copies of weights are asked for (copies.h); else NULL */
  bool fleet;                  /* bits may not depend on how many models there are: own kernels, not a library that picks by size */
} dor_prep;

typedef struct dor_call { /* one node of one instance, in a step */
  const void *attr;
  const void *plan;            /* what prepare made, shared and immutable */
  void *context;               /* what attach made, of this instance */
  void *scratch;               /* as many bytes as prepare asked for, shared with other nodes, 64-byte aligned */
  const void *copies;          /* of weights, where a kernel of the program asked for one (copies.h); else NULL */
  int32_t nin, nout, threads;
  const dor_view *in;
  const dor_view *out;
  const dor_step *step;        /* in the backend's memory: on a device only kernels may read it */
  uint64_t key;
  void *stream;                /* of a device: what run enqueues on; else NULL */
  int32_t models;              /* of a fleet: run serves them all, where the kernel can; 0, 1: one model */
  size_t stride;               /* bytes from what one model has to what the next has, the same for views, scratch and step */
} dor_call;

typedef struct dor_kernel {
  const char *name;            /* "conv2d_onednn" */
  /* UNSUPPORTED declines the shape (the next column is asked); *plan and *scratch start as NULL and 0 */
  dor_status (*prepare)(const dor_prep *p, void **plan, size_t *scratch);
  dor_status (*attach)(dor_call *c);
  void (*run)(const dor_call *c);
  void (*detach)(dor_call *c);
  void (*drop)(void *plan);
  const char *(*describe)(const void *plan); /* the library's own name of what serves, for dumps; may be NULL */
  bool fleet;                  /* one run serves all models of a fleet; else it is called for each */
  bool narrow;                 /* takes bf16 and f16 also where the backend does not */
} dor_kernel;

#endif
