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

/* OP(name, own CPU kernel, oneDNN, own CUDA kernel, cuDNN or cuBLASLt, builder's parameters) */
#define OP(name, cpu, onednn, cuda, cudnn, params) dor_val dor_##name params;
#include "ops/ops.def"
#undef OP

#endif
