/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights that a net begins with in place of drawn ones: nets.NAME.weights. What
 * matches by name and shape is taken; the last linear layer is always drawn. */
#ifndef DOR_TRAIN_PRETRAINED_H
#define DOR_TRAIN_PRETRAINED_H

#include "data/dataset.h"
#include "graph/params.h"
#include "train/experiment.h"

typedef struct dor_pretrained {
  void *param, *state;          /* blocks as the table's; NULL: no net has such weights */
  bool *taken;                  /* [table] which of them count */
} dor_pretrained; /* zero-initialised is releasable */

/* Are the weights of all nets files that may be used with these data? Weights of made data make the results SYNTHETIC.
 * errors LEAK: trained on this very data set; DATA */
DOR_MUST dor_status dor_pretrained_check(const dor_experiment *e, dor_dataset *d);

/* Of the file's bytes. errors CONFIG "file:line: no such file", IO */
DOR_MUST dor_status dor_pretrained_hash(const dor_net *net, char hex[DOR_HASH_HEX]);
bool dor_pretrained_met(const dor_experiment *e, int32_t arm, int32_t net); /* has an arm before it this net with this file? */

/* Take the net's weights into the parameters whose names begin with `scope` ("" or "head."), and say how many. errors DATA */
DOR_MUST dor_status dor_pretrained_take(dor_pretrained *s, const dor_params *p, const char *scope, const dor_net *net);
void dor_pretrained_release(dor_pretrained *s, const dor_params *p);

/* Lay them over drawn weights. */
void dor_pretrained_apply(const dor_pretrained *s, const dor_params *p, void *param, void *state);

#endif
