/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/ops/reference.h"

#include <stdlib.h>

#include "tests/test.h"

const dor_step test_step = {.seed = 7, .step = 3, .lr = 0.01f, .grad_scale = 0.5f};

numbers numbers_new(const dor_graph *g)
{
  numbers x = {g, g->nvalue, calloc((size_t)g->nvalue, sizeof *x.at)};
  for (dor_val v = 0; v < x.n; v++) x.at[v] = calloc((size_t)dor_shape_size(g->value[v].type.shape), sizeof **x.at);
  return x;
}

void numbers_free(numbers x)
{
  for (dor_val v = 0; v < x.n; v++) free(x.at[v]);
  free(x.at);
}

static void run_node(numbers x, const dor_node *n)
{
  enum { MOST = 64 };
  dor_type type[MOST];
  const double *in[MOST];
  double *out[MOST];
  REQUIRE(n->nin + n->nout <= MOST, "%s: %d inputs", n->op->name, n->nin);
  for (int32_t i = 0; i < n->nin; i++) type[i] = x.g->value[n->in[i]].type, in[i] = x.at[n->in[i]];
  for (int32_t i = 0; i < n->nout; i++) type[n->nin + i] = x.g->value[n->out[i]].type, out[i] = x.at[n->out[i]];
  n->op->ref(&(dor_refcall){n->attr, n->nin, n->nout, type, type + n->nin, in, out, &test_step, n->key});
}

void numbers_run(numbers x, int32_t first, int32_t end)
{
  for (int32_t k = first; k < end; k++) run_node(x, &x.g->node[k]);
}
