/* SPDX-License-Identifier: Apache-2.0
 *
 * higherhrnet: HRNet with a head for bottom-up pose estimation: heat maps at two
 * sizes, and at the coarser one a map for each joint whose values (tags) are alike
 * within a person.
 *
 *   x [N,H,W,3]   features f [N,H/4,W/4,width] (nn/hrnet.c), J joints
 *   final_layers.0    1x1, bias: map 0 [N,H/4,W/4,2J], heat maps then tags
 *   deconv_layers.0   [f, map 0] -> transposed 4x4 of stride 2, batch norm, ReLU, 4 basic blocks: [N,H/2,W/2,width]
 *   final_layers.1    1x1, bias: map 1 [N,H/2,W/2,J], heat maps
 *   init      "original": all weights of sd 0.001. "kaiming" is our choice: all but the final layers', which stay at 0.001, so that
 *             the maps begin near 0
 *   source    Cheng et al., CVPR 2020, arXiv:1908.10357, and its code's parameter names */
#include "nn/nn.h"

enum { HEAD_BLOCKS = 4 };

typedef struct higherhrnet_cfg {
#include "base/keys_fields.h"
#include "nn/higherhrnet.def"
#include "base/keys_end.h"
} higherhrnet_cfg;

static const dor_key keys[] = {
#define KEYS_OF higherhrnet_cfg
#include "base/keys_rows.h"
#include "nn/higherhrnet.def"
#include "base/keys_end.h"
    {0}};

static const dor_start small = {DOR_INIT_NORMAL, 0.001f};

static dor_val final_layer(dor_graph *g, const char *name, dor_val x, int32_t out)
{
  return dor_layer_conv_from(g, x, &(dor_conv_layer){name, out, 1, 1, true, small});
}

/* Twice the size. */
static dor_val enlarge(dor_graph *g, dor_val x, int32_t width, dor_start start)
{
  size_t mark = dor_graph_push(g, "deconv_layers.0.0");
  x = dor_layer_conv_transpose(g, x, &(dor_conv_layer){"0", width, 4, 2, false, start}, 1, 0);
  x = dor_relu(g, dor_layer_batch_norm(g, "1", x, 0.1f, 1e-5f));
  dor_graph_pop(g, mark);
  for (int32_t k = 1; k <= HEAD_BLOCKS; k++) {
    dor_graph_push(g, "deconv_layers.0.%d.0", k);
    x = dor_layer_basic_block(g, x, width, 1, start);
    dor_graph_pop(g, mark);
  }
  return x;
}

static int32_t maps(dor_graph *g, const void *p, dor_val x, dor_val map[DOR_MAPS])
{
  const higherhrnet_cfg *c = p;
  int32_t width = (int32_t)c->width, joints = (int32_t)c->joints;
  dor_start start = c->init ? small : DOR_START_KAIMING;
  x = dor_hrnet_features(g, x, width, start);
  map[0] = final_layer(g, "final_layers.0", x, 2 * joints);
  x = enlarge(g, dor_concat(g, 2, (dor_val[]){x, map[0]}, 3), width, start);
  map[1] = final_layer(g, "final_layers.1", x, joints);
  return 2;
}

const dor_model dor_model_higherhrnet = {.name = "higherhrnet", .takes = "image", .source = "Cheng et al., CVPR 2020", .keys = keys,
                                         .cfg_size = sizeof(higherhrnet_cfg), .maps = maps};
