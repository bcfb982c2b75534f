/* SPDX-License-Identifier: Apache-2.0
 *
 * A branch's network: its parameter table and its programs (accumulate, update,
 * evaluate), compiled once and shared by every fold, seed and worker. Inputs are
 * named x0, x1, ...; the evaluation program keeps "logits" [N,out]. */
#ifndef DOR_TRAIN_NETWORK_H
#define DOR_TRAIN_NETWORK_H

#include "backend/fleet.h"
#include "backend/store.h"
#include "train/experiment.h"
#include "train/pretrained.h"

typedef struct dor_network {
  const dor_backend *backend;
  dor_format precision;         /* of first, more and eval, as the backend has it */
  dor_params params;
  dor_program *first, *more;    /* accumulate: gradients written, and added (NULL when a batch is one part) */
  dor_program *update, *eval;
  int32_t batch, parts, eval_batch, n_out; /* rows of a batch; the parts it is run in; classes or 1 */
  int32_t n_slots;
  size_t row[DOR_MAX_SLOTS];    /* floats of one row of a slot */
  size_t moment_bytes;
  bool ema;                     /* an average of the weights is what is evaluated; it lies in the moment block */
  size_t ema_offset;
  size_t scale_offset;          /* of the loss scale's state among the moments; 0: none */
  double step_flops;            /* of one update */
  bool fleet;                   /* small, and for a device: its programs train any number of models at once, with the same bits (docs/adr/0010) */
  dor_pretrained first_weights; /* that nets begin with */
} dor_network; /* zero-initialised is releasable */

struct dor_branch;

/* n_out: classes, or 1 for a value. backend NULL: the CPU. errors CONFIG naming the input and net that do not fit; SHAPE, UNSUPPORTED */
DOR_MUST dor_status dor_network_build(dor_network *net, const dor_arm *arm, const struct dor_branch *b, int32_t n_out, const dor_cpu_cfg *cpu,
                                      const dor_backend *backend);
void dor_network_release(dor_network *net);

/* The parts, for networks that are put together elsewhere (pose_program.c): a graph as a program for net->backend in net->precision
 * (the graph is taken over), and the update over the table's parameters. */
DOR_MUST dor_status dor_network_compile(const dor_network *net, dor_graph *g, const dor_cpu_cfg *cpu, const char *name, dor_program **out);
DOR_MUST dor_status dor_network_update(dor_network *net, const dor_train_cfg *t, const dor_cpu_cfg *cpu);
/* After the gradient is built: in f16 its seed, the input "one", becomes the loss scale. */
DOR_MUST dor_status dor_network_scale(const dor_network *net, const dor_train_cfg *t, dor_graph *g);

typedef struct dor_feed { dor_val x[DOR_MAX_SLOTS], label, weight; } dor_feed; /* inputs of a program; evaluation has no label and weight */

enum { DOR_READINGS = 8 };

/* As many models as train well at once: 1 for those that are no fleet. It depends on the network alone. */
int32_t dor_network_seats(const dor_network *net);

/* A worker's memory of one network: blocks, instances, the best weights so far, and what the accumulate programs say. The models of
 * a fleet have a replica each and share the instances, which the first one holds. */
typedef struct dor_replica {
  const dor_network *net;       /* in a fleet: the model's own, whose programs are like the first one's */
  dor_store store;
  dor_fleet *fleet;             /* of the first model; else NULL */
  int32_t model, models;        /* which of how many */
  dor_step *steps;              /* [models] for the loop that drives them; the first one's */
  dor_instance *first, *more, *update, *eval;
  dor_feed feed[2], feed_eval;  /* of first, more; of eval */
  dor_val logits;
  float *param;                 /* the weights that are evaluated, on the host: the parameter block, or their average */
  void *best_param, *best_state;
  int32_t n_kept;               /* numbers read of each part */
  dor_val kept[2][DOR_READINGS];
  int64_t parts;                /* run so far */
  int32_t open, most_open;      /* parts not read; as many as may be */
  double sum[DOR_READINGS];     /* over the parts read of the step at hand */
} dor_replica; /* zero-initialised is releasable */

DOR_MUST dor_status dor_replica_blocks(dor_replica *r, const dor_network *net); /* the blocks alone; release also after a failure */
dor_blocks dor_replica_evaluated(const dor_replica *r); /* the blocks with the weights that are evaluated as PARAM */
void dor_replica_watch(dor_replica *r, int32_t n, const char *const name[]); /* kept numbers of first and more, to be read */
DOR_MUST dor_status dor_replica_training(dor_replica *r); /* first, more and update over the blocks */
/* For n models; more than one only where net->fleet. Release all, also after a failure; they go together. errors DEVMEM, NOMEM */
DOR_MUST dor_status dor_replica_make(int32_t n, dor_replica *const r[], const dor_network *net);
void dor_replica_release(dor_replica *r);
size_t dor_replica_bytes(const dor_network *net); /* blocks, pools and staging of one worker, in the backend's memory */

/* A part of a step: feed dor_replica_part's instance, run, and read when the replica is full. On the CPU it is full after each
 * part; on a device later, so that nobody waits for each step. `each` gets the means over the parts of every step that is complete. */
typedef dor_status dor_reading(void *to, const double mean[]);
int32_t dor_replica_part(const dor_replica *r); /* of the step, 0 .. parts - 1: 0 is `first`, the others `more` */
void dor_replica_run(dor_replica *r, const dor_step *step);
/* Of a fleet, whoever drives it runs the instances, and says here which models took part. What is read of one is of the instance's
 * last runs, so it is read before it sits one out. */
static inline void dor_replica_ran(dor_replica *r) { r->parts++, r->open++; }
static inline bool dor_replica_full(const dor_replica *r) { return r->open >= r->most_open; }
DOR_MUST dor_status dor_replica_read(dor_replica *r, dor_reading *each, void *to); /* errors DEVICE; those of each */

/* The host's copy of weights, statistics and moments from the device, and back (what was run before is not read any more). errors DEVICE */
DOR_MUST dor_status dor_replica_pull(dor_replica *r);
bool dor_replica_scale_lost(const dor_replica *r); /* after pull: the loss scale fell to its least, and gradients were not finite even so */
DOR_MUST dor_status dor_replica_pull_all(dor_replica *r); /* of all models of its fleet */
DOR_MUST dor_status dor_replica_push(dor_replica *r);

/* Fresh weights, zero gradients and moments. */
DOR_MUST dor_status dor_replica_init(dor_replica *r, uint64_t seed);
void dor_replica_keep_best(dor_replica *r); /* of what was pulled */
DOR_MUST dor_status dor_replica_take_best(dor_replica *r);

#endif
