/* SPDX-License-Identifier: Apache-2.0
 *
 * The parameter table: every parameter and running statistic of a model, by the
 * original's state_dict name. It says where each lies in the flat blocks, how it
 * is laid out in files, how it starts, and how it is trained. All programs of a
 * model (training, evaluation, other batch sizes) share one table. */
#ifndef DOR_GRAPH_PARAMS_H
#define DOR_GRAPH_PARAMS_H

#include "base/arena.h"
#include "base/status.h"
#include "tensor/shape.h"

/* Files hold PyTorch's layouts; memory holds ours. Permuted on load and save, nowhere else. */
typedef enum dor_file_layout {
  DOR_FILE_SAME,     /* vectors */
  DOR_FILE_LINEAR,   /* Linear: memory [I,O] <-> file [O,I] */
  DOR_FILE_OIHW,     /* convolution: memory [K,K,I/groups,O] (hwio) <-> file [O,I/groups,K,K]. A transposed one is kept as the
                      * convolution it transposes, memory [K,K,O/groups,I], so its file is PyTorch's [I,O/groups,K,K] by the same rule */
  DOR_FILE_LINEAR_CHW /* Linear after a flatten of [C,H,W]: memory [HWC,O] <-> file [O,CHW] */
} dor_file_layout;

typedef enum dor_init { DOR_INIT_ZERO, DOR_INIT_ONE, DOR_INIT_NORMAL, DOR_INIT_UNIFORM, DOR_INIT_KAIMING_UNIFORM, DOR_INIT_KAIMING_NORMAL_OUT } dor_init;

typedef struct dor_param_spec {
  const char *name;             /* "weight"; the scope is put before it */
  dor_shape shape;              /* in memory */
  dor_dtype dtype;              /* F32, or I32: a counter among the states, I64 in files, from 0 */
  bool state;                   /* a running statistic: not trained, saved with the parameters */
  dor_file_layout layout;
  int32_t chw[3];               /* LINEAR_CHW */
  dor_init init;
  float init_a;                 /* NORMAL: sd; UNIFORM: half width; others unused */
  int32_t fan;                  /* KAIMING: fan-in or fan-out */
  bool no_decay;                /* biases and norms when the optimiser says so */
  float lr_factor;              /* 0: taken as 1 */
  bool frozen;
} dor_param_spec;

typedef struct dor_param {
  dor_param_spec spec;          /* name is the full one, owned by the table */
  size_t offset;                /* bytes into the parameter or state block, 64-byte aligned */
} dor_param;

typedef struct dor_params {
  dor_arena arena;
  dor_param *at;
  int32_t n, cap;
  size_t param_bytes, state_bytes; /* of the two blocks */
} dor_params; /* zero-initialised is ready to use */

void dor_params_release(dor_params *p);
DOR_MUST dor_status dor_params_add(dor_params *p, const dor_param_spec *spec, int32_t *index); /* finds an equal one; SHAPE when it differs */
int32_t dor_params_find(const dor_params *p, const char *name);
int64_t dor_params_count(const dor_params *p, bool trainable_only);                            /* numbers, without states */

/* Fill both blocks: counter RNG keyed by seed and name, in file order of elements, so that layout never changes the values. */
void dor_params_init(const dor_params *p, uint64_t seed, void *param_block, void *state_block);

/* One parameter between memory and file layout; of numbers, not of counters. */
void dor_param_to_file(const dor_param *p, const float *memory, float *file);
void dor_param_from_file(const dor_param *p, const float *file, float *memory);
dor_shape dor_param_file_shape(const dor_param *p);

#endif
