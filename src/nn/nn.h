/* SPDX-License-Identifier: Apache-2.0
 *
 * Models. A model's body turns one input into the last hidden vector [N,F] (or
 * maps); one shared linear layer makes the outputs. Layers are functions from
 * value to value; the scope gives parameters the originals' names. */
#ifndef DOR_NN_NN_H
#define DOR_NN_NN_H

#include "graph/graph.h"
#include "ops/ops.h"

typedef struct dor_model {
  const char *name, *takes;    /* "vector" | "image": what its input is */
  const char *source;          /* where it comes from */
  const dor_key *keys;         /* what nets.NAME may say besides kind */
  size_t cfg_size;
  dor_val (*body)(dor_graph *g, const void *cfg, dor_val x);
} dor_model;

#define MODEL(name, ...) extern const dor_model dor_model_##name;
#include "nn/models.def"
#undef MODEL
extern const dor_model *const dor_models[]; /* NULL at the end */
const dor_model *dor_model_find(const char *name);

/* Layers (nn/block.c). Names of parameters are "weight" and "bias" under the given scope, as in PyTorch; initial values
 * follow its defaults. A linear layer right after a flatten keeps PyTorch's CHW order in files;
 * a convolution pads by kernel / 2. */
dor_val dor_layer_linear(dor_graph *g, const char *name, dor_val x, int32_t out);                          /* [N,I] -> [N,O] */
dor_val dor_layer_dense(dor_graph *g, const char *name, dor_val x, int32_t out, bool relu);                /* the same with ReLU */
dor_val dor_layer_conv(dor_graph *g, const char *name, dor_val x, int32_t out, int32_t kernel, int32_t stride, bool bias);
dor_val dor_layer_batch_norm(dor_graph *g, const char *name, dor_val x, float momentum, float eps);        /* follows g->training */
dor_val dor_layer_activation(dor_graph *g, const char *kind, dor_val x);                                   /* relu leaky_relu tanh sigmoid */
dor_val dor_layer_dropout(dor_graph *g, const char *name, dor_val x, double p);                            /* x itself outside training */

#endif
