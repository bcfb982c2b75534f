/* SPDX-License-Identifier: Apache-2.0
 *
 * A branch's network: its parameter table and its programs (accumulate, update,
 * evaluate), compiled once and shared by every fold, seed and worker. Inputs are
 * named x0, x1, ...; the evaluation program keeps "logits" [N,out]. */
#ifndef DOR_TRAIN_NETWORK_H
#define DOR_TRAIN_NETWORK_H

#include "backend/backend.h"
#include "train/experiment.h"
#include "train/pretrained.h"

typedef struct dor_network {
  dor_params params;
  dor_program *first, *more;    /* accumulate: gradients written, and added (NULL when a batch is one part) */
  dor_program *update, *eval;
  int32_t batch, parts, eval_batch, n_out; /* rows of a batch; the parts it is run in; classes or 1 */
  int32_t n_slots;
  size_t row[DOR_MAX_SLOTS];    /* floats of one row of a slot */
  size_t moment_bytes;
  bool ema;                     /* an average of the weights is what is evaluated; it lies in the moment block */
  size_t ema_offset;
  dor_pretrained first_weights; /* that nets begin with */
} dor_network; /* zero-initialised is releasable */

struct dor_branch;

/* n_out: classes, or 1 for a value. errors CONFIG naming the input and net that do not fit; SHAPE, UNSUPPORTED */
DOR_MUST dor_status dor_network_build(dor_network *net, const dor_arm *arm, const struct dor_branch *b, int32_t n_out, const dor_cpu_cfg *cpu);
void dor_network_release(dor_network *net);

/* The parts, for networks that are put together elsewhere (pose_program.c): a graph as a program (the graph is taken over), and the
 * update over the table's parameters. */
DOR_MUST dor_status dor_network_compile(dor_graph *g, const dor_cpu_cfg *cpu, dor_program **out);
DOR_MUST dor_status dor_network_update(dor_network *net, const dor_train_cfg *t, const dor_cpu_cfg *cpu);

/* A worker's memory of one network: blocks, instances, the best weights so far. */
typedef struct dor_replica {
  const dor_network *net;
  dor_blocks blocks;
  dor_instance *first, *more, *update, *eval;
  float *x[DOR_MAX_SLOTS], *x_more[DOR_MAX_SLOTS], *x_eval[DOR_MAX_SLOTS];
  float *weight, *weight_more;
  void *label, *label_more;
  const float *loss, *loss_more, *logits;
  void *param;                  /* the weights that are evaluated: the parameter block, or their average */
  void *best_param, *best_state;
} dor_replica; /* zero-initialised is releasable */

DOR_MUST dor_status dor_replica_blocks(dor_replica *r, const dor_network *net); /* the blocks alone; release also after a failure */
DOR_MUST dor_status dor_replica_make(dor_replica *r, const dor_network *net);
void dor_replica_release(dor_replica *r);
size_t dor_replica_bytes(const dor_network *net); /* blocks and pools of one worker */

/* Fresh weights, zero gradients and moments. */
void dor_replica_init(dor_replica *r, uint64_t seed);
void dor_replica_keep_best(dor_replica *r);
void dor_replica_take_best(dor_replica *r);

#endif
