/* SPDX-License-Identifier: Apache-2.0
 *
 * An experiment: a config after `extends`, arms and key=value were laid over
 * each other and checked against the schemas. One `dor_arm` is one row of the
 * table: the experiment with that arm's changes, complete in itself. */
#ifndef DOR_TRAIN_EXPERIMENT_H
#define DOR_TRAIN_EXPERIMENT_H

#include "base/schema.h"
#include "data/loader.h"
#include "data/source.h"
#include "data/split.h"
#include "nn/nn.h"
#include "optim/optim.h"

/* train in a config (train.def): optimizer lr decay momentum nesterov beta1 beta2 eps epochs batch accumulate last clip ema
 * schedule gamma at every floor warmup class_weight label_smoothing stop patience checkpoint_s */
typedef struct dor_train_cfg {
#include "base/keys_fields.h"
#include "train/train.def"
#include "base/keys_end.h"
} dor_train_cfg;
extern const dor_key dor_train_keys[];

typedef struct dor_target_cfg { /* target.def: column positive against */
#include "base/keys_fields.h"
#include "train/target.def"
#include "base/keys_end.h"
} dor_target_cfg;
extern const dor_key dor_target_keys[];

typedef struct dor_score_cfg { /* score.def: pool = auto|mean_logit|mean_prob, threshold */
#include "base/keys_fields.h"
#include "train/score.def"
#include "base/keys_end.h"
} dor_score_cfg;
extern const dor_key dor_score_keys[];

typedef struct dor_compare_cfg { /* compare.def: reference primary metric subjects */
#include "base/keys_fields.h"
#include "train/compare.def"
#include "base/keys_end.h"
} dor_compare_cfg;
extern const dor_key dor_compare_keys[];

typedef struct dor_cpu_cfg { /* cpu.def: threads conv */
#include "base/keys_fields.h"
#include "train/cpu.def"
#include "base/keys_end.h"
} dor_cpu_cfg;
extern const dor_key dor_cpu_keys[];

typedef struct dor_cuda_cfg { /* cuda.def: autotune workspace_mb plan_cache fleet */
#include "base/keys_fields.h"
#include "train/cuda.def"
#include "base/keys_end.h"
} dor_cuda_cfg;
extern const dor_key dor_cuda_keys[];

enum { DOR_TASK_CLASSIFY, DOR_TASK_POSE }; /* task */
typedef struct dor_top_cfg { /* top.def: experiment task title question data seeds baselines fusion net use precision deterministic quick level bootstrap */
#include "base/keys_fields.h"
#include "train/top.def"
#include "base/keys_end.h"
} dor_top_cfg;
extern const dor_key dor_top_keys[];

typedef struct dor_input { /* inputs.NAME */
  const char *name;
  dor_source_cfg source;
  const char *net;           /* of nets; "" when the head takes it as it is (always so with early fusion) */
  const dor_tree *tree;
} dor_input;

typedef struct dor_net { /* nets.NAME */
  const char *name;
  const dor_model *model;
  void *cfg;                 /* of model->cfg_size, by model->keys */
  const char *weights;       /* file that it begins with what fits of; "": drawn weights */
  const dor_tree *tree;
} dor_net;

typedef enum dor_fusion { DOR_FUSION_NONE, DOR_FUSION_EARLY, DOR_FUSION_JOINT, DOR_FUSION_LATE } dor_fusion;

typedef struct dor_arm {
  const char *name, *title;
  dor_top_cfg top;
  dor_target_cfg target;
  struct { const char *column, *positive, *against; } where; /* file:line that says so, for what only the data can refuse */
  dor_split_cfg split;
  dor_train_cfg train;
  dor_score_cfg score;
  dor_augment_cfg augment;
  dor_fusion fusion;
  int32_t n_inputs;          /* the used ones, in the order of `use` */
  const dor_input *input;
  int32_t n_nets;
  const dor_net *net;
  const dor_net *head;       /* `net`, over the (joined) vectors; with late fusion each branch has its own; NULL: one linear layer */
  const dor_tree *tree;      /* this arm with every key written out, typed: for hashes and the resolved config */
} dor_arm;

typedef struct dor_experiment {
  dor_arena arena;
  const char *path, *folder; /* of the config */
  const char *data;          /* as dor_experiment_data() gives it */
  dor_top_cfg top;           /* as without an arm */
  dor_target_cfg target;
  dor_split_cfg split;
  dor_compare_cfg compare;
  dor_cpu_cfg cpu;
  dor_cuda_cfg cuda;         /* plan_cache resolved */
  const char *precision_where; /* file:line that says so, for what only the backend can refuse */
  int32_t n_arms;            /* 0 with `pose` */
  const dor_arm *arm;
  const struct dor_pose_plan *pose; /* task = "pose" (train/pose_plan.h); else NULL */
  const struct dor_backend *backend; /* what it runs on: no part of the config */
  const dor_tree *tree;      /* resolved, arms inside, paths as written */
} dor_experiment;

/* The net of an arm by name; NULL when there is none. */
const dor_net *dor_arm_net(const dor_arm *a, const char *name);

typedef struct dor_section { /* a group of the config with a fixed schema; "": the keys outside groups */
  const char *name, *help;
  const dor_key *keys;
  size_t at;                 /* in dor_settings */
  bool arm;                  /* an arm may have its own */
} dor_section;
extern const dor_section dor_sections[]; /* ends with a NULL name */

/* configs/base.cfg: every key of the fixed groups with its default and meaning. */
DOR_MUST dor_status dor_experiment_base(dor_str *out);

/* errors CONFIG "file:line: ..." ; unknown keys, kinds, sources and groups name what exists */
DOR_MUST dor_status dor_experiment_read(dor_experiment *e, const char *path, const char *const assign[], int32_t n_assign);
void dor_experiment_release(dor_experiment *e);

/* Absolute or relative path of `data`, resolved against the config's folder (against the working folder from the command line). */
const char *dor_experiment_data(const dor_experiment *e);

/* The resolved config, every key written out; reads back as the same experiment. Without `folders`, data and other files are
 * called by their bare names: what a run folder may know of where they lay. */
DOR_MUST dor_status dor_experiment_write(const dor_experiment *e, bool folders, dor_str *cfg, dor_str *json);

#endif
