/* SPDX-License-Identifier: Apache-2.0
 *
 * Timed pieces of training, on made-up numbers, for `dorsum bench`:
 *   step   one training step of the silhouette CNN (default net, Adam), [batch,size,size,1]; with `infer` its inference
 *   conv   forward and both gradients of a 3x3 convolution, [batch,size,size,channels] to as many
 *   block  forward and backward of two blocks of such a convolution, batch norm and ReLU
 *   fleet  one training step of `models` models at once: the MLP or the silhouette CNN, Adam
 *   pose   HigherHRNet on [batch,size,size,3]: inference, or with `train` a step's forward and backward
 *   mlp    the training of a whole k-fold experiment: F-32-2, Adam, batches of `batch` */
#ifndef DOR_TRAIN_BENCH_H
#define DOR_TRAIN_BENCH_H

#include <stdint.h>

#include "backend/backend.h"
#include "base/schema.h"

typedef struct dor_bench_cfg {
#include "base/keys_fields.h"
#include "train/bench.def"
#include "base/keys_end.h"
} dor_bench_cfg;
extern const dor_key dor_bench_keys[];

typedef struct dor_bench dor_bench;
/* kind: "step", "conv", "block", "fleet", "pose", "mlp". backend NULL: the CPU. errors USAGE on another; those of dor_program_build */
DOR_MUST dor_status dor_bench_open(dor_bench **out, const char *kind, const dor_bench_cfg *c, const dor_backend *backend);
DOR_MUST dor_status dor_bench_run(dor_bench *b, int64_t n, double *time_s); /* what n of them took; on a device until they are done */
size_t dor_bench_bytes(const dor_bench *b);    /* of tensors */
dor_cost dor_bench_cost(const dor_bench *b);   /* of one, by the ops' own account; not of mlp, which is many steps */
void dor_bench_close(dor_bench *b);

#endif
