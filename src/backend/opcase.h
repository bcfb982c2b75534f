/* SPDX-License-Identifier: Apache-2.0
 *
 * One op on one of its cases, as a graph with inputs to fill: what the op tests
 * check and the op benchmark times. */
#ifndef DOR_BACKEND_OPCASE_H
#define DOR_BACKEND_OPCASE_H

#include "backend/backend.h"

enum { DOR_OPCASE_OUT = 16 };

typedef struct dor_opcase {
  const dor_op *op;
  const dor_case *at;
  dor_graph graph;              /* one node; its outputs are kept */
  int32_t nin, nout;
  dor_val in[DOR_CASE_IN], out[DOR_OPCASE_OUT];
} dor_opcase;

/* Build it; release the graph (or hand it to dor_program_build). errors those of the op's infer */
DOR_MUST dor_status dor_opcase_build(dor_opcase *c, const dor_op *op, const dor_case *at);

/* Numbers for input i as its fill says, exact in its type; the same for the same seed.
 *   NOISE in (-1, 1) · POSITIVE in (.1, 1.1) · LABELS 0..labels-1 (modulo 256 in bytes) · BINARY 0 or 1 · PROBABILITY in (.05, .95)
 *   DISTINCT in (-2, 2), no two alike and none near 0, so that nothing lies at a kink or a tie */
void dor_opcase_fill(const dor_opcase *c, int32_t i, uint64_t seed, double *to);

#endif
