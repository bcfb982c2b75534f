/* SPDX-License-Identifier: Apache-2.0
 *
 * All ops: ids, descriptors, and the builders models call. Made from ops.def.
 * Each op is one file: doc, attributes, infer, cost, ref, grad, cases. */
#ifndef DOR_OPS_OPS_H
#define DOR_OPS_OPS_H

#include "graph/graph.h"
#include "ops/attrs.h"

typedef enum dor_op_id {
#define OP(name, ...) DOR_OP_##name,
#include "ops/ops.def"
#undef OP
  DOR_OP_COUNT
} dor_op_id;

#define OP(name, ...) extern const dor_op dor_op_##name;
#include "ops/ops.def"
#undef OP

extern const dor_op *const dor_ops[DOR_OP_COUNT];
extern const dor_fuse_row dor_fuse_rows[]; /* from fuse.def */
const dor_op *dor_op_find(const char *name);

/* A batch norm's states: running moments [C], and batches seen, one i32. */
typedef struct dor_norm_state { dor_val mean, var, batches; } dor_norm_state;

/* OP(name, own CPU kernel, oneDNN, own CUDA kernel, cuDNN or cuBLASLt, builder's parameters) */
#define OP(name, cpu, onednn, cuda, cudnn, params) dor_val dor_##name params;
#include "ops/ops.def"
#undef OP

/* [N, ...] -> [N, rest]: a reshape. */
dor_val dor_flatten(dor_graph *g, dor_val x);

/* Batch norm by the graph's mode: training normalises with the batch's moments, moves the running ones and counts the batch (in
 * place), otherwise the running ones serve. x [N,C] or [N,H,W,C]; gamma, beta [C]. */
dor_val dor_batch_norm(dor_graph *g, dor_val x, dor_val gamma, dor_val beta, const dor_norm_state *s, double eps, double momentum);

/* Multiply-adds of a graph's forward convolutions, as written (before fusion). charge_output: a transposed one at every pixel of its
 * output, stride^2 times too many, as the profiler of HRNet's authors counts; published figures are in that currency. */
double dor_conv_macs(const dor_graph *g, bool charge_output);

/* Shared by op files. */
DOR_MUST dor_status dor_infer_same(const dor_infer *c);  /* all inputs and the output alike */
dor_cost dor_cost_stream(const dor_infer *c);            /* one operation an output element, every value moved once */
dor_status dor_infer_ranges(const char *what, int32_t n, const dor_range *range, dor_shape block); /* are these the runs of a flat block? */
int32_t dor_last_dim(dor_shape s);

#endif
