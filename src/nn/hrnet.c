/* SPDX-License-Identifier: Apache-2.0
 *
 * hrnet: a body that keeps its finest maps to the end and exchanges with 2, 4 and
 * 8 times coarser ones after every few blocks.
 *
 *   x [N,H,W,3]   conv1, bn1, conv2, bn2 [N,H/4,W/4,64]   layer1: 4 bottlenecks [N,H/4,W/4,256]
 *   stage S in 2, 3, 4: S branches of width 2^b channels at 1/(4 2^b); 1, 4, 3 modules of 4 basic blocks a branch, then fusion
 *   fusion of branch j into i: j > i 1x1 convolution and nearest upsampling; j < i i - j 3x3 convolutions of stride 2; sum, ReLU
 *   transitionT makes the branches of stage T + 1: the first two from layer1, the last ones from the coarsest before
 *   the last module gives the finest maps alone, [N,H/4,W/4,width]; as a net of a config, their mean [N,width]
 *   source    Sun et al., CVPR 2019; Cheng et al., CVPR 2020, whose code's parameter names these are */
#include <string.h>

#include "nn/nn.h"

enum { BRANCHES = 4, BLOCKS = 4, STEM = 64, COARSEST = 32 };

typedef struct hrnet_cfg {
#include "base/keys_fields.h"
#include "nn/hrnet.def"
#include "base/keys_end.h"
} hrnet_cfg;

static const dor_key keys[] = {
#define KEYS_OF hrnet_cfg
#include "base/keys_rows.h"
#include "nn/hrnet.def"
#include "base/keys_end.h"
    {0}};

typedef struct body {
  dor_graph *g;
  int32_t width;
  dor_start start;
} body;

static int32_t channels(const body *b, int32_t branch) { return b->width << branch; }

/* nn.Sequential(convolution, batch norm, ReLU) under the current scope */
static dor_val unit(const body *b, dor_val x, int32_t out, int32_t kernel, int32_t stride, bool relu)
{
  return dor_layer_conv_bn(b->g, x, &(dor_conv_bn){"0", "1", out, kernel, stride, relu, b->start});
}

static dor_val stem(const body *b, dor_val x)
{
  x = dor_layer_conv_bn(b->g, x, &(dor_conv_bn){"conv1", "bn1", STEM, 3, 2, true, b->start});
  x = dor_layer_conv_bn(b->g, x, &(dor_conv_bn){"conv2", "bn2", STEM, 3, 2, true, b->start});
  for (int32_t k = 0; k < BLOCKS; k++) {
    size_t mark = dor_graph_push(b->g, "layer1.%d", k);
    x = dor_layer_bottleneck(b->g, x, STEM, 1, b->start);
    dor_graph_pop(b->g, mark);
  }
  return x;
}

/* The first two branches, both from layer1. */
static void split(const body *b, dor_val x, dor_val branch[])
{
  size_t mark = dor_graph_push(b->g, "transition1.0");
  branch[0] = unit(b, x, channels(b, 0), 3, 1, true);
  dor_graph_pop(b->g, mark);
  dor_graph_push(b->g, "transition1.1.0");
  branch[1] = unit(b, x, channels(b, 1), 3, 2, true);
  dor_graph_pop(b->g, mark);
}

/* Branch n, from the coarsest there is. */
static void add_branch(const body *b, int32_t n, dor_val branch[])
{
  size_t mark = dor_graph_push(b->g, "transition%d.%d.0", n, n);
  branch[n] = unit(b, branch[n - 1], channels(b, n), 3, 2, true);
  dor_graph_pop(b->g, mark);
}

static dor_val blocks(const body *b, int32_t branch, dor_val x)
{
  for (int32_t k = 0; k < BLOCKS; k++) {
    size_t mark = dor_graph_push(b->g, "branches.%d.%d", branch, k);
    x = dor_layer_basic_block(b->g, x, channels(b, branch), 1, b->start);
    dor_graph_pop(b->g, mark);
  }
  return x;
}

/* A coarser branch j at the size of branch i, which `like` has. */
static dor_val up(const body *b, int32_t i, int32_t j, dor_val x, dor_val like)
{
  dor_shape s = dor_graph_type(b->g, like).shape;
  size_t mark = dor_graph_push(b->g, "fuse_layers.%d.%d", i, j);
  x = dor_resize(b->g, unit(b, x, channels(b, i), 1, 1, false), s.d[1], s.d[2]);
  dor_graph_pop(b->g, mark);
  return x;
}

/* A finer branch j at the size of branch i. */
static dor_val down(const body *b, int32_t i, int32_t j, dor_val x)
{
  for (int32_t k = 0; k < i - j; k++) {
    bool last = k == i - j - 1;
    size_t mark = dor_graph_push(b->g, "fuse_layers.%d.%d.%d", i, j, k);
    x = unit(b, x, channels(b, last ? i : j), 3, 2, !last);
    dor_graph_pop(b->g, mark);
  }
  return x;
}

static dor_val fuse(const body *b, int32_t n, int32_t i, const dor_val x[])
{
  dor_val sum = DOR_NONE;
  for (int32_t j = 0; j < n; j++) {
    dor_val term = j < i ? down(b, i, j, x[j]) : j > i ? up(b, i, j, x[j], x[i]) : x[i];
    sum = j ? dor_add(b->g, sum, term) : term;
  }
  return dor_relu(b->g, sum);
}

/* n branches exchange; the first n_out of them go on. */
static void module(const body *b, int32_t n, int32_t n_out, dor_val x[])
{
  dor_val y[BRANCHES];
  for (int32_t i = 0; i < n; i++) x[i] = blocks(b, i, x[i]);
  for (int32_t i = 0; i < n_out; i++) y[i] = fuse(b, n, i, x);
  memcpy(x, y, (size_t)n_out * sizeof *x);
}

static void stage(const body *b, int32_t n, int32_t modules, bool last, dor_val x[])
{
  for (int32_t m = 0; m < modules; m++) {
    size_t mark = dor_graph_push(b->g, "stage%d.%d", n, m);
    module(b, n, last && m == modules - 1 ? 1 : n, x);
    dor_graph_pop(b->g, mark);
  }
}

static dor_status check(const dor_graph *g, dor_val x)
{
  dor_shape s = dor_graph_type(g, x).shape;
  dor_shape_text text;
  DOR_TRY(g->status);
  DOR_NEED(s.n == 4 && s.d[1] % COARSEST == 0 && s.d[2] % COARSEST == 0, SHAPE, "sides of its pictures must be multiples of %d, got %s", COARSEST,
           dor_shape_print(s, text));
  return DOR_OK;
}

dor_val dor_hrnet_features(dor_graph *g, dor_val x, int32_t width, dor_start start)
{
  const body b = {g, width, start};
  dor_val branch[BRANCHES];
  g->status = check(g, x);
  if (g->status) return DOR_NONE;
  split(&b, stem(&b, x), branch);
  stage(&b, 2, 1, false, branch);
  add_branch(&b, 2, branch);
  stage(&b, 3, 4, false, branch);
  add_branch(&b, 3, branch);
  stage(&b, 4, 3, true, branch);
  return branch[0];
}

static dor_val mean_of_maps(dor_graph *g, const void *p, dor_val x)
{
  const hrnet_cfg *c = p;
  dor_start start = c->init ? (dor_start){DOR_INIT_NORMAL, 0.001f} : DOR_START_KAIMING;
  return dor_global_pool(g, dor_hrnet_features(g, x, (int32_t)c->width, start));
}

const dor_model dor_model_hrnet = {.name = "hrnet", .takes = "image", .source = "Sun et al., CVPR 2019", .keys = keys, .cfg_size = sizeof(hrnet_cfg),
                                   .body = mean_of_maps};
