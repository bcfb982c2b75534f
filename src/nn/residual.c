/* SPDX-License-Identifier: Apache-2.0
 *
 * Residual blocks, under the scope the caller has pushed: two or three
 * convolutions, and what came in is added before the last ReLU.
 *
 *   source    He et al., CVPR 2016; parameter names of torchvision's BasicBlock and Bottleneck */
#include "nn/nn.h"

static dor_val shortcut(dor_graph *g, dor_val x, int32_t out, int32_t stride, dor_start start)
{
  if (stride == 1 && dor_last_dim(dor_graph_type(g, x).shape) == out) return x;
  return dor_layer_conv_bn(g, x, &(dor_conv_bn){"downsample.0", "downsample.1", out, 1, stride, false, start});
}

dor_val dor_layer_basic_block(dor_graph *g, dor_val x, int32_t out, int32_t stride, dor_start start)
{
  dor_val y = dor_layer_conv_bn(g, x, &(dor_conv_bn){"conv1", "bn1", out, 3, stride, true, start});
  y = dor_layer_conv_bn(g, y, &(dor_conv_bn){"conv2", "bn2", out, 3, 1, false, start});
  return dor_relu(g, dor_add(g, y, shortcut(g, x, out, stride, start)));
}

dor_val dor_layer_bottleneck(dor_graph *g, dor_val x, int32_t planes, int32_t stride, dor_start start)
{
  dor_val y = dor_layer_conv_bn(g, x, &(dor_conv_bn){"conv1", "bn1", planes, 1, 1, true, start});
  y = dor_layer_conv_bn(g, y, &(dor_conv_bn){"conv2", "bn2", planes, 3, stride, true, start});
  y = dor_layer_conv_bn(g, y, &(dor_conv_bn){"conv3", "bn3", 4 * planes, 1, 1, false, start});
  return dor_relu(g, dor_add(g, y, shortcut(g, x, 4 * planes, stride, start)));
}
