/* SPDX-License-Identifier: Apache-2.0
 *
 * One arm of an experiment: its settings, inputs and nets out of a merged tree,
 * and the rules that make them fit each other. */
#ifndef DOR_TRAIN_ARM_H
#define DOR_TRAIN_ARM_H

#include "train/settings.h"

typedef struct dor_variant { /* an experiment with or without an arm's changes */
  const char *name;          /* of the arm; NULL: without one */
  const dor_tree *root;      /* merged, as written */
  dor_settings set;
  int32_t n_inputs, n_nets;
  dor_input *input;          /* all inputs, in file order */
  dor_net *net;
} dor_variant;

DOR_MUST dor_status dor_variant_load(dor_arena *a, const dor_tree *root, const char *path, dor_variant *v);

/* Every key written out, typed: what the resolved config is made of. */
DOR_MUST dor_status dor_variant_save(dor_arena *a, const dor_variant *v, dor_tree **out);

/* The arm itself: the inputs it uses, fusion, head. errors CONFIG */
DOR_MUST dor_status dor_variant_arm(dor_arena *a, const dor_variant *v, const char *path, dor_arm *out);

/* nets.NAME out of a tree, and into the group `nets` of one. errors CONFIG */
DOR_MUST dor_status dor_net_load(dor_arena *a, const dor_tree *t, dor_net *net);
DOR_MUST dor_status dor_net_save(dor_arena *a, const dor_net *net, dor_tree *nets);
dor_tree *dor_tree_group(dor_arena *a, dor_tree *to, const char *name); /* a new last member; NULL when out of memory */

bool dor_is_baseline(const char *name); /* majority, ...: names that `baselines` takes, and no arm may have */

/* "file:line" of a key, or of the file's first line when it is not said anywhere. */
const char *dor_where(const dor_tree *root, const char *key, const char *path, char out[256]);

#endif
