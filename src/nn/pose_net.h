/* SPDX-License-Identifier: Apache-2.0
 *
 * Pose networks: models that give maps, as graphs ready to become programs. For
 * J joints, map 0 is [N,H/4,W/4,2J], heat maps then tags; map 1, ... are heat maps
 * [N,H/2,W/2,J]. Heat maps are raw outputs near [0, 1] at a joint, tags any number.
 *
 *   dor_graph g;                                    dor_graph_init(&g, &params, training);
 *   DOR_TRY(dor_pose_graph_eval(&g, model, cfg, shape, &net));
 *   DOR_TRY(dor_program_build(&program, &g, &dor_backend_cpu, &options));
 *
 * All programs of a model (any size, batch, training or not) share one parameter table, so one pair of blocks serves them. */
#ifndef DOR_NN_POSE_NET_H
#define DOR_NN_POSE_NET_H

#include "nn/nn.h"

typedef struct dor_pose_net { /* what was built */
  int32_t n_maps, joints;
  dor_shape map[DOR_MAPS];    /* [N,h,w,channels]; 2 joints channels in the first, joints in the others */
} dor_pose_net;

typedef struct dor_pose_loss { /* factors of the terms; those of the heat maps are 1 */
  double push, pull;          /* 0.001 each in the original */
  bool hinge;                 /* push by max(1 - |d|, 0) in place of exp(-d^2) */
  int32_t people;             /* rows of joint lists, 30 in the original */
} dor_pose_loss;

/* Inference; the graph must not be a training one, so that batch norm uses running moments and fusion folds it into convolutions.
 *   input  "x" f32 [N,H,W,3], H and W multiples of 32: RGB, (v / 255 - mean) / sd by channel
 *   kept   "map0", "map1", ...
 * errors ARG: the model gives no maps; SHAPE */
DOR_MUST dor_status dor_pose_graph_eval(dor_graph *g, const dor_model *m, const void *cfg, dor_shape x, dor_pose_net *net);

/* One training step's forward and backward, with gradients in the gradient block (added to it when accumulating).
 *   inputs "x"; for map k: "heat<k>" f32 [N,h,w,J] target and "mask<k>" f32 [N,h,w], 0 where nothing is learnt;
 *          "joints" i32 [N,people,J,2], as the original packs them for map 0: (index, seen) with index = (joint h + y) w + x,
 *          people and joints in any order from slot 0 on, seen > 0 where there is one;
 *          "one" f32 [1], which must hold 1 (or a loss scale)
 *   kept   "loss" [1] = sum of "heat_loss0", "heat_loss1", ... + push_factor "push" + pull_factor "pull" (each [1], a mean over the batch,
 *          before its factor)
 * errors as above */
DOR_MUST dor_status dor_pose_graph_train(dor_graph *g, const dor_model *m, const void *cfg, dor_shape x, const dor_pose_loss *loss, bool accumulate,
                                         dor_pose_net *net);

/* The same on values of the graph in place of inputs, for programs that make pictures and targets themselves. Shapes as above, x
 * included; heat and mask by map. Nothing of them is differentiated. */
typedef struct dor_pose_feed { dor_val x, joints, heat[DOR_MAPS], mask[DOR_MAPS]; } dor_pose_feed;
DOR_MUST dor_status dor_pose_graph_train_on(dor_graph *g, const dor_model *m, const void *cfg, const dor_pose_feed *f, const dor_pose_loss *loss,
                                            bool accumulate, dor_pose_net *net);

#endif
