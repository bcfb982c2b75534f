/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of programs and instances: what program.c makes, instance.c runs and
 * checked.c and the tests look into. */
#ifndef DOR_BACKEND_PROGRAM_H
#define DOR_BACKEND_PROGRAM_H

#include "backend/backend.h"
#include "kernels/library.h"

typedef struct dor_bound { /* a node and what serves it */
  const dor_kernel *kernel; /* NULL: a view, nothing runs */
  void *plan;
  size_t scratch;
} dor_bound;

struct dor_program {
  dor_graph graph;
  const dor_backend *backend;
  dor_plan plan;
  dor_bound *bound; /* by node; in the graph's arena */
  int32_t threads;
  dor_isa isa;
  dor_conv_choice conv;
  dor_library library; /* the backend's, where it has one, told of this program's precision */
  bool fleet;
  dor_val copies;   /* of weights, that kernels have asked for: made by node 0; DOR_NONE: none */
  const char *name; /* in the graph's arena */
};

struct dor_instance {
  const dor_program *program;
  dor_blocks blocks;
  void *pool;
  int32_t models;    /* 1 but for a fleet */
  size_t stride;     /* bytes from one model's memory to the next one's; 0 for one */
  dor_step step, *steps; /* without a device: of one model; what its calls read */
  struct dor_mirror *mirror; /* on a device: its host side; else NULL */
  int32_t ncall;
  dor_call *call;
  const dor_kernel **kernel; /* by call */
  int32_t *node;             /* by call */
  dor_arena arena;
};

#endif
