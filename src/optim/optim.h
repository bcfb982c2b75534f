/* SPDX-License-Identifier: Apache-2.0
 *
 * Optimisers and schedules. The update is a program of its own: clip, then one
 * node for all parameters, which knows the runs of them that share rate and decay.
 * Schedules are host maths; the rate of a step travels in the step block. */
#ifndef DOR_OPTIM_OPTIM_H
#define DOR_OPTIM_OPTIM_H

#include "graph/graph.h"
#include "ops/ops.h"

typedef enum dor_schedule_rule { DOR_SCHEDULE_CONSTANT, DOR_SCHEDULE_STEP, DOR_SCHEDULE_COSINE, DOR_SCHEDULE_EXPONENTIAL } dor_schedule_rule;

typedef struct dor_optim_cfg {
  dor_optim_rule rule;
  double lr, beta1, beta2, eps, decay;  /* decay: L2 in the gradient (sgd, adam) or decoupled (adamw) */
  double momentum;
  bool nesterov;
  double clip;                          /* global gradient norm; 0: none */
  double ema;                           /* decay of an average of the weights; 0: none */
  bool loss_scale;                      /* the gradient is of a loss times dor_optim_seed: training in f16 */
  bool decay_all;                       /* also biases and norms, as PyTorch does when told nothing */
} dor_optim_cfg;

typedef struct dor_schedule_cfg {
  dor_schedule_rule rule;
  double lr, gamma, floor;              /* STEP, EXPONENTIAL: x gamma; COSINE: down to floor */
  int32_t n_at;                         /* STEP: epochs at which the rate falls */
  const int64_t *at;
  int64_t every;                        /* STEP without `at`: every so many epochs */
  double warmup_epochs;
  int64_t epochs, steps_per_epoch;
} dor_schedule_cfg;

/* The rate of the step-th update, from 0. STEP and EXPONENTIAL fall between epochs, as PyTorch's schedulers stepped once an
 * epoch; COSINE goes with every update, from lr after the warm-up to floor at the end. The warm-up rises linearly from
 * lr / n to lr over its n updates, on top of the rule. */
double dor_schedule_rate(const dor_schedule_cfg *c, uint64_t step);

/* Bytes of the moment block (0 for plain SGD), and the update graph over the table's parameters. The gradient's norm is
 * kept as "grad_norm" where there is clipping. The average of the weights lies at dor_optim_ema_offset of the moment
 * block, laid out as the parameter block; the caller starts it as a copy of that. */
size_t dor_optim_moment_bytes(const dor_params *p, const dor_optim_cfg *c);
size_t dor_optim_ema_offset(const dor_params *p, const dor_optim_cfg *c);
/* The loss scale's state lies there; 0: it has none. Zeroed, it is ready to begin (ops/loss_scale.c). */
size_t dor_optim_scale_offset(const dor_params *p, const dor_optim_cfg *c);
/* In a graph over the same blocks, of which all parameters are known: the scale takes the place of `seed`, an input that the gradient began with. */
DOR_MUST dor_status dor_optim_scale_seed(dor_graph *g, dor_val seed, const dor_optim_cfg *c);
DOR_MUST dor_status dor_optim_build(dor_graph *g, const dor_optim_cfg *c);

#endif
