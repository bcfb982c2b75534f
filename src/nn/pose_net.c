/* SPDX-License-Identifier: Apache-2.0
 *
 * From a model's maps to a graph for inference, or to its losses and gradients. */
#include "nn/pose_net.h"

#include <stdio.h>

static dor_status build_maps(dor_graph *g, const dor_model *m, const void *cfg, dor_val x, dor_pose_net *net, dor_val map[DOR_MAPS])
{
  DOR_NEED(m->maps, ARG, "model %s gives no maps", m->name);
  *net = (dor_pose_net){.n_maps = m->maps(g, cfg, x, map)};
  DOR_TRY(g->status);
  for (int32_t k = 0; k < net->n_maps; k++) net->map[k] = dor_graph_type(g, map[k]).shape;
  net->joints = net->map[net->n_maps - 1].d[3];
  return DOR_OK;
}

static dor_val picture(dor_graph *g, dor_shape x) { return dor_graph_input(g, "x", (dor_type){x, DOR_F32}); }

dor_status dor_pose_graph_eval(dor_graph *g, const dor_model *m, const void *cfg, dor_shape x, dor_pose_net *net)
{
  dor_val map[DOR_MAPS];
  DOR_TRY(g->status);
  DOR_TRY(build_maps(g, m, cfg, picture(g, x), net, map));
  for (int32_t k = 0; k < net->n_maps; k++) {
    char name[16];
    snprintf(name, sizeof name, "map%d", k);
    dor_graph_keep(g, map[k], name);
  }
  return g->status;
}

/* Channels [from, from + J) of a map: heat maps, or tags. */
static dor_val part(dor_graph *g, const dor_pose_net *net, int32_t k, dor_val map, int32_t from)
{
  dor_shape s = net->map[k];
  if (s.d[3] == net->joints) return map;
  return dor_slice(g, map, (const int32_t[]){0, 0, 0, from}, (const int32_t[]){s.d[0], s.d[1], s.d[2], net->joints});
}

/* What a training program is fed, as inputs of the graph. */
static void make_inputs(dor_graph *g, const dor_pose_net *net, const dor_pose_loss *l, dor_pose_feed *f)
{
  dor_shape first = net->map[0];
  f->joints = dor_graph_input(g, "joints", (dor_type){DOR_SHAPE(first.d[0], l->people, net->joints, 2), DOR_I32});
  for (int32_t k = 0; k < net->n_maps; k++) {
    char heat[16], mask[16];
    dor_shape s = net->map[k];
    snprintf(heat, sizeof heat, "heat%d", k);
    snprintf(mask, sizeof mask, "mask%d", k);
    f->heat[k] = dor_graph_input(g, heat, (dor_type){DOR_SHAPE(s.d[0], s.d[1], s.d[2], net->joints), DOR_F32});
    f->mask[k] = dor_graph_input(g, mask, (dor_type){DOR_SHAPE(s.d[0], s.d[1], s.d[2]), DOR_F32});
  }
}

static dor_val heat_loss(dor_graph *g, const dor_pose_net *net, int32_t k, dor_val map, const dor_pose_feed *f)
{
  char loss[24];
  snprintf(loss, sizeof loss, "heat_loss%d", k);
  dor_val y = dor_heatmap_mse(g, part(g, net, k, map, 0), f->heat[k], f->mask[k]);
  dor_graph_keep(g, y, loss);
  return y;
}

static dor_val tag_loss(dor_graph *g, const dor_pose_net *net, dor_val map, const dor_pose_feed *f, const dor_pose_loss *l)
{
  dor_val y = dor_ae_loss(g, part(g, net, 0, map, net->joints), f->joints, &(dor_ae_attr){l->push, l->pull, l->hinge});
  dor_graph_keep(g, dor_graph_output(g, y, 1), "push");
  dor_graph_keep(g, dor_graph_output(g, y, 2), "pull");
  return y;
}

static dor_status add_losses(dor_graph *g, const dor_pose_net *net, const dor_val map[], const dor_pose_feed *f, const dor_pose_loss *l, bool accumulate)
{
  dor_val loss = tag_loss(g, net, map[0], f, l), one = dor_graph_input(g, "one", (dor_type){DOR_SHAPE(1), DOR_F32});
  for (int32_t k = 0; k < net->n_maps; k++) loss = dor_add(g, loss, heat_loss(g, net, k, map[k], f));
  dor_graph_keep(g, loss, "loss");
  return dor_graph_grad_params(g, &dor_op_accumulate, &dor_op_add_into, loss, one, accumulate);
}

dor_status dor_pose_graph_train_on(dor_graph *g, const dor_model *m, const void *cfg, const dor_pose_feed *f, const dor_pose_loss *l, bool accumulate,
                                   dor_pose_net *net)
{
  dor_val map[DOR_MAPS];
  DOR_TRY(g->status);
  DOR_TRY(build_maps(g, m, cfg, f->x, net, map));
  return add_losses(g, net, map, f, l, accumulate);
}

dor_status dor_pose_graph_train(dor_graph *g, const dor_model *m, const void *cfg, dor_shape x, const dor_pose_loss *l, bool accumulate, dor_pose_net *net)
{
  dor_val map[DOR_MAPS];
  dor_pose_feed f;
  DOR_TRY(g->status);
  DOR_TRY(build_maps(g, m, cfg, picture(g, x), net, map));
  make_inputs(g, net, l, &f);
  return add_losses(g, net, map, &f, l, accumulate);
}
