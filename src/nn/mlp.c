/* SPDX-License-Identifier: Apache-2.0
 *
 * mlp: a feed-forward network over a vector; each hidden layer is linear, norm,
 * activation, dropout. The body ends in the last hidden vector.
 *
 *   x [N,F]   fc0 [F,hidden[0]], fc1, ...   bn0, bn1, ... with norm = "batch" */
#include <stdio.h>

#include "nn/nn.h"

typedef struct mlp_cfg {
#include "base/keys_fields.h"
#include "nn/mlp.def"
#include "base/keys_end.h"
} mlp_cfg;

static const dor_key keys[] = {
#define KEYS_OF mlp_cfg
#include "base/keys_rows.h"
#include "nn/mlp.def"
#include "base/keys_end.h"
    {0}};

static const char *const activations[] = {"relu", "leaky_relu", "tanh"};

static dor_val body(dor_graph *g, const void *p, dor_val x)
{
  const mlp_cfg *c = p;
  x = dor_flatten(g, x);
  for (int32_t i = 0; i < c->hidden.n; i++) {
    char fc[16], bn[16], drop[24];
    snprintf(fc, sizeof fc, "fc%d", i);
    snprintf(bn, sizeof bn, "bn%d", i);
    snprintf(drop, sizeof drop, "dropout%d", i);
    bool at_once = !c->norm && !c->activation; /* linear has ReLU built in */
    x = dor_layer_dense(g, fc, x, (int32_t)c->hidden.v[i], at_once);
    if (c->norm) x = dor_layer_batch_norm(g, bn, x, 0.1f, 1e-5f);
    if (!at_once) x = dor_layer_activation(g, activations[c->activation], x);
    x = dor_layer_dropout(g, drop, x, c->dropout);
  }
  return x;
}

const dor_model dor_model_mlp = {.name = "mlp", .takes = "vector", .source = "Rumelhart et al., Nature 323 (1986)", .keys = keys,
                                 .cfg_size = sizeof(mlp_cfg), .body = body};
