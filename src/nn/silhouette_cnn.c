/* SPDX-License-Identifier: Apache-2.0
 *
 * silhouette_cnn: a small convolutional network over one silhouette (or image).
 * Blocks of convolution (same size), batch norm, ReLU and 2x2 max pool; then the
 * mean of the last maps or all of them, hidden layers, and their last vector.
 *
 *   x [N,H,W,C]   conv0, bn0, conv1, bn1, ...   fc0, fc1, ...
 *   a convolution has a bias only without batch norm, which would cancel it */
#include <stdio.h>

#include "nn/nn.h"

typedef struct cnn_cfg {
#include "base/keys_fields.h"
#include "nn/silhouette_cnn.def"
#include "base/keys_end.h"
} cnn_cfg;

static const dor_key keys[] = {
#define KEYS_OF cnn_cfg
#include "base/keys_rows.h"
#include "nn/silhouette_cnn.def"
#include "base/keys_end.h"
    {0}};

enum { NORM_BATCH, NORM_NONE };
enum { HEAD_GAP, HEAD_FLATTEN };

static dor_val block(dor_graph *g, const cnn_cfg *c, int32_t i, dor_val x)
{
  char conv[16], bn[16];
  snprintf(conv, sizeof conv, "conv%d", i);
  snprintf(bn, sizeof bn, "bn%d", i);
  x = dor_layer_conv(g, conv, x, (int32_t)c->channels.v[i], (int32_t)c->kernel, 1, c->norm == NORM_NONE);
  if (c->norm == NORM_BATCH) x = dor_layer_batch_norm(g, bn, x, 0.1f, 1e-5f);
  return dor_max_pool(g, dor_relu(g, x), 2, 2, 0);
}

static dor_status check(const dor_graph *g, const cnn_cfg *c, dor_val x)
{
  dor_shape s = dor_graph_type(g, x).shape;
  dor_shape_text text;
  DOR_NEED(s.n == 4, SHAPE, "silhouette_cnn takes images, got %s", dor_shape_print(s, text));
  DOR_NEED(c->kernel % 2 == 1, CONFIG, "silhouette_cnn: kernel must be odd, got %d", (int)c->kernel);
  int32_t side = s.d[1] < s.d[2] ? s.d[1] : s.d[2];
  DOR_NEED(c->channels.n < 31 && side >> c->channels.n >= 1, CONFIG, "silhouette_cnn: %d blocks halve a side of %d pixels away", c->channels.n, side);
  return DOR_OK;
}

static dor_val body(dor_graph *g, const void *p, dor_val x)
{
  const cnn_cfg *c = p;
  if (!g->status) g->status = check(g, c, x);
  for (int32_t i = 0; i < c->channels.n && !g->status; i++) x = block(g, c, i, x);
  x = c->head == HEAD_GAP ? dor_global_pool(g, x) : dor_flatten(g, x);
  if (!c->hidden.n) x = dor_layer_dropout(g, "dropout", x, c->dropout);
  for (int32_t i = 0; i < c->hidden.n; i++) {
    char fc[16], drop[24];
    snprintf(fc, sizeof fc, "fc%d", i);
    snprintf(drop, sizeof drop, "dropout%d", i);
    x = dor_layer_dropout(g, drop, dor_layer_dense(g, fc, x, (int32_t)c->hidden.v[i], true), c->dropout);
  }
  return x;
}

const dor_model dor_model_silhouette_cnn = {.name = "silhouette_cnn", .takes = "image", .source = "after Liu et al., Int J Med Inform 211 (2026)",
                                            .keys = keys, .cfg_size = sizeof(cnn_cfg), .body = body};
