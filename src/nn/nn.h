/* SPDX-License-Identifier: Apache-2.0
 *
 * Models. A model's body turns one input into the last hidden vector [N,F], and
 * one shared linear layer makes the outputs; or it gives maps (nn/pose_net.h).
 * Layers are functions from value to value; the scope gives parameters the
 * originals' names. */
#ifndef DOR_NN_NN_H
#define DOR_NN_NN_H

#include "graph/graph.h"
#include "ops/ops.h"

enum { DOR_MAPS = 4 };

typedef struct dor_model {
  const char *name, *takes;    /* "vector" | "image": what its input is */
  const char *source;          /* where it comes from */
  const dor_key *keys;         /* what nets.NAME may say besides kind */
  size_t cfg_size;
  dor_val (*body)(dor_graph *g, const void *cfg, dor_val x); /* NULL: it gives maps */
  int32_t (*maps)(dor_graph *g, const void *cfg, dor_val x, dor_val map[DOR_MAPS]); /* their number, coarsest first; NULL: it gives a vector */
} dor_model;

#define MODEL(name, ...) extern const dor_model dor_model_##name;
#include "nn/models.def"
#undef MODEL
extern const dor_model *const dor_models[]; /* NULL at the end */
const dor_model *dor_model_find(const char *name);

/* How the weights of a layer begin; its biases begin at 0 unless the weights are PyTorch's default. */
typedef struct dor_start { dor_init init; float sd; } dor_start; /* sd: of DOR_INIT_NORMAL */
#define DOR_START_PYTORCH ((dor_start){DOR_INIT_KAIMING_UNIFORM, 0})   /* U(-1, 1) / sqrt(fan-in): nn.Linear, nn.Conv2d */
#define DOR_START_KAIMING ((dor_start){DOR_INIT_KAIMING_NORMAL_OUT, 0}) /* N(0, 2 / fan-out): He et al., ICCV 2015, for ReLU */

/* Layers (nn/block.c). Names of parameters are "weight" and "bias" under the given scope, as in PyTorch; initial values
 * follow its defaults. A linear layer right after a flatten keeps PyTorch's CHW order in files;
 * a convolution pads by kernel / 2. */
dor_val dor_layer_linear(dor_graph *g, const char *name, dor_val x, int32_t out);                          /* [N,I] -> [N,O] */
dor_val dor_layer_dense(dor_graph *g, const char *name, dor_val x, int32_t out, bool relu);                /* the same with ReLU */
dor_val dor_layer_conv(dor_graph *g, const char *name, dor_val x, int32_t out, int32_t kernel, int32_t stride, bool bias);
dor_val dor_layer_batch_norm(dor_graph *g, const char *name, dor_val x, float momentum, float eps);        /* follows g->training */
dor_val dor_layer_activation(dor_graph *g, const char *kind, dor_val x);                                   /* relu leaky_relu tanh sigmoid */
dor_val dor_layer_dropout(dor_graph *g, const char *name, dor_val x, double p);                            /* x itself outside training */

/* Convolutions that say how they begin. */
typedef struct dor_conv_layer { const char *name; int32_t out, kernel, stride; bool bias; dor_start start; } dor_conv_layer;
dor_val dor_layer_conv_from(dor_graph *g, dor_val x, const dor_conv_layer *c);
dor_val dor_layer_conv_transpose(dor_graph *g, dor_val x, const dor_conv_layer *c, int32_t pad, int32_t output_pad); /* no bias; files [I,O,K,K] */

/* Convolution without bias, batch norm (PyTorch's momentum 0.1, eps 1e-5), and ReLU if wanted. */
typedef struct dor_conv_bn { const char *conv, *bn; int32_t out, kernel, stride; bool relu; dor_start start; } dor_conv_bn;
dor_val dor_layer_conv_bn(dor_graph *g, dor_val x, const dor_conv_bn *c);

/* Residual blocks (nn/residual.c), under the current scope: conv1, bn1, conv2, bn2 (, conv3, bn3), downsample.0 and .1 where
 * channels or size change. He et al., CVPR 2016, as torchvision has them: the bottleneck's stride is in its 3x3. */
dor_val dor_layer_basic_block(dor_graph *g, dor_val x, int32_t out, int32_t stride, dor_start start);
dor_val dor_layer_bottleneck(dor_graph *g, dor_val x, int32_t planes, int32_t stride, dor_start start); /* gives 4 planes */

/* HRNet's body: [N,H,W,3] with H and W multiples of 32 -> [N,H/4,W/4,width], under the current scope (nn/hrnet.c). */
dor_val dor_hrnet_features(dor_graph *g, dor_val x, int32_t width, dor_start start);

#endif
