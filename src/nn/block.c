/* SPDX-License-Identifier: Apache-2.0
 *
 * Layers: functions from value to value that make their parameters by PyTorch's
 * names, layouts and initial distributions. */
#include "nn/nn.h"

#include <string.h>

static const dor_node *maker_of(const dor_graph *g, dor_val v)
{
  for (int32_t k = g->nnode - 1; k >= 0; k--)
    for (int32_t i = 0; i < g->node[k].nout; i++)
      if (g->node[k].out[i] == v) return &g->node[k];
  return NULL;
}

/* Is x [N,HWC] a flatten of [N,H,W,C], perhaps after dropout? Then files order its columns CHW. */
static bool flattened(const dor_graph *g, dor_val x, int32_t chw[3])
{
  const dor_node *n = maker_of(g, x);
  while (n && n->op == &dor_op_dropout) n = maker_of(g, n->in[0]);
  if (!n || n->op != &dor_op_reshape) return false;
  dor_shape s = dor_graph_type(g, n->in[0]).shape;
  if (s.n != 4 || dor_graph_type(g, n->out[0]).shape.n != 2 || dor_graph_type(g, n->out[0]).shape.d[0] != s.d[0]) return false;
  chw[0] = s.d[3], chw[1] = s.d[1], chw[2] = s.d[2];
  return true;
}

/* torch.nn.Linear and Conv2d draw weight and bias from U(-1, 1) / sqrt(fan-in) (kaiming_uniform_ with a = sqrt 5) */
static dor_val bias_param(dor_graph *g, int32_t out, int32_t fan)
{
  return dor_graph_param(g, &(dor_param_spec){.name = "bias", .shape = DOR_SHAPE(out), .init = DOR_INIT_KAIMING_UNIFORM, .fan = fan, .no_decay = true});
}

dor_val dor_layer_dense(dor_graph *g, const char *name, dor_val x, int32_t out, bool relu)
{
  if (g->status) return DOR_NONE;
  dor_shape s = dor_graph_type(g, x).shape;
  dor_param_spec w = {.name = "weight", .shape = DOR_SHAPE(s.d[1], out), .layout = DOR_FILE_LINEAR, .init = DOR_INIT_KAIMING_UNIFORM, .fan = s.d[1]};
  if (flattened(g, x, w.chw)) w.layout = DOR_FILE_LINEAR_CHW;
  size_t mark = dor_graph_push(g, "%s", name);
  dor_val weight = dor_graph_param(g, &w), bias = bias_param(g, out, s.d[1]);
  dor_val y = dor_linear(g, x, weight, bias, relu);
  dor_graph_pop(g, mark);
  return y;
}

dor_val dor_layer_linear(dor_graph *g, const char *name, dor_val x, int32_t out) { return dor_layer_dense(g, name, x, out, false); }

static int32_t fan_of(dor_start s, int32_t in, int32_t out) { return s.init == DOR_INIT_KAIMING_NORMAL_OUT ? out : in; }

static dor_val conv_weight(dor_graph *g, const dor_conv_layer *c, int32_t in, int32_t out, int32_t fan)
{
  return dor_graph_param(g, &(dor_param_spec){.name = "weight", .shape = DOR_SHAPE(c->kernel, c->kernel, in, out), .layout = DOR_FILE_OIHW,
                                              .init = c->start.init, .init_a = c->start.sd, .fan = fan});
}

static dor_val conv_bias(dor_graph *g, const dor_conv_layer *c, int32_t fan)
{
  dor_init init = c->start.init == DOR_INIT_KAIMING_UNIFORM ? DOR_INIT_KAIMING_UNIFORM : DOR_INIT_ZERO;
  return dor_graph_param(g, &(dor_param_spec){.name = "bias", .shape = DOR_SHAPE(c->out), .init = init, .fan = fan, .no_decay = true});
}

dor_val dor_layer_conv_from(dor_graph *g, dor_val x, const dor_conv_layer *c)
{
  if (g->status) return DOR_NONE;
  int32_t in = dor_graph_type(g, x).shape.d[3], taps = c->kernel * c->kernel;
  size_t mark = dor_graph_push(g, "%s", c->name);
  dor_val w = conv_weight(g, c, in, c->out, fan_of(c->start, in, c->out) * taps);
  dor_val b = c->bias ? conv_bias(g, c, in * taps) : DOR_NONE;
  dor_val y = dor_conv2d(g, x, w, c->stride, c->kernel / 2, 1, 1);
  if (c->bias) y = dor_bias(g, y, b);
  dor_graph_pop(g, mark);
  return y;
}

dor_val dor_layer_conv(dor_graph *g, const char *name, dor_val x, int32_t out, int32_t kernel, int32_t stride, bool bias)
{
  return dor_layer_conv_from(g, x, &(dor_conv_layer){name, out, kernel, stride, bias, DOR_START_PYTORCH});
}

/* In memory the weight is that of the convolution it transposes. An output pixel is reached by one in stride^2 taps. */
dor_val dor_layer_conv_transpose(dor_graph *g, dor_val x, const dor_conv_layer *c, int32_t pad, int32_t output_pad)
{
  if (g->status) return DOR_NONE;
  int32_t in = dor_graph_type(g, x).shape.d[3];
  size_t mark = dor_graph_push(g, "%s", c->name);
  dor_val w = conv_weight(g, c, c->out, in, in * c->kernel * c->kernel / (c->stride * c->stride));
  dor_val y = dor_conv_transpose2d(g, x, w, c->stride, pad, output_pad, 1);
  dor_graph_pop(g, mark);
  return y;
}

dor_val dor_layer_conv_bn(dor_graph *g, dor_val x, const dor_conv_bn *c)
{
  x = dor_layer_conv_from(g, x, &(dor_conv_layer){c->conv, c->out, c->kernel, c->stride, false, c->start});
  x = dor_layer_batch_norm(g, c->bn, x, 0.1f, 1e-5f);
  return c->relu ? dor_relu(g, x) : x;
}

dor_val dor_layer_batch_norm(dor_graph *g, const char *name, dor_val x, float momentum, float eps)
{
  if (g->status) return DOR_NONE;
  dor_shape s = DOR_SHAPE(dor_last_dim(dor_graph_type(g, x).shape));
  size_t mark = dor_graph_push(g, "%s", name);
  dor_val gamma = dor_graph_param(g, &(dor_param_spec){.name = "weight", .shape = s, .init = DOR_INIT_ONE, .no_decay = true});
  dor_val beta = dor_graph_param(g, &(dor_param_spec){.name = "bias", .shape = s, .init = DOR_INIT_ZERO, .no_decay = true});
  dor_val mean = dor_graph_param(g, &(dor_param_spec){.name = "running_mean", .shape = s, .state = true, .init = DOR_INIT_ZERO});
  dor_val var = dor_graph_param(g, &(dor_param_spec){.name = "running_var", .shape = s, .state = true, .init = DOR_INIT_ONE});
  dor_val batches = dor_graph_param(g, &(dor_param_spec){.name = "num_batches_tracked", .dtype = DOR_I32, .state = true});
  dor_val y = dor_batch_norm(g, x, gamma, beta, &(dor_norm_state){mean, var, batches}, (double)eps, (double)momentum);
  dor_graph_pop(g, mark);
  return y;
}

dor_val dor_layer_activation(dor_graph *g, const char *kind, dor_val x)
{
  if (g->status) return DOR_NONE;
  if (!strcmp(kind, "relu")) return dor_relu(g, x);
  if (!strcmp(kind, "leaky_relu")) return dor_leaky_relu(g, x, 0.01);
  if (!strcmp(kind, "tanh")) return dor_tanh(g, x);
  if (!strcmp(kind, "sigmoid")) return dor_sigmoid(g, x);
  g->status = DOR_FAIL(ARG, "no activation '%s': relu, leaky_relu, tanh, sigmoid", kind);
  return DOR_NONE;
}

dor_val dor_layer_dropout(dor_graph *g, const char *name, dor_val x, double p)
{
  if (g->status || !g->training || p <= 0) return x;
  size_t mark = dor_graph_push(g, "%s", name);
  dor_val y = dor_dropout(g, x, p);
  dor_graph_pop(g, mark);
  return y;
}
