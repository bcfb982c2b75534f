/* SPDX-License-Identifier: Apache-2.0
 *
 * Reverse-mode differentiation, graph to graph: walk the nodes backwards, ask
 * each op for the nodes that carry the gradient on, add where paths meet. Nodes
 * that no wanted value reaches are passed over. */
#include "graph/graph.h"

#include <string.h>

typedef struct walk {
  dor_graph *g;
  const dor_op *sum;
  dor_val *at;   /* the gradient found so far, by value */
  bool *wanted;  /* values that depend on a wanted one */
} walk;

static dor_status meet(walk *w, dor_val *slot, dor_val more)
{
  if (more == DOR_NONE) return w->g->status;
  *slot = *slot == DOR_NONE ? more : dor_graph_add(w->g, w->sum, NULL, 2, (dor_val[]){*slot, more});
  return w->g->status;
}

static bool wanted_input(const walk *w, const dor_node *n, int32_t i)
{
  return w->wanted[n->in[i]] && !(i < 32 && n->op->given >> i & 1);
}

static bool any_wanted(const walk *w, const dor_node *n)
{
  bool wanted = false;
  for (int32_t i = 0; i < n->nin; i++) wanted |= wanted_input(w, n, i);
  return wanted;
}

/* Every wanted input got a gradient, in its own shape and type. */
static dor_status check_gradients(const walk *w, const dor_node *n, const dor_val gin[])
{
  const dor_graph *g = w->g;
  dor_shape_text a, b;
  for (int32_t i = 0; i < n->nin; i++) {
    DOR_NEED(gin[i] != DOR_NONE || !wanted_input(w, n, i), UNSUPPORTED, "%s gives no gradient for input %d (%s)", n->op->name, i, n->scope);
    if (gin[i] == DOR_NONE) continue;
    dor_type have = g->value[gin[i]].type, want = g->value[n->in[i]].type;
    DOR_NEED(dor_shape_same(have.shape, want.shape), SHAPE, "%s: the gradient of input %d is %s, the input %s", n->op->name, i,
             dor_shape_print(have.shape, a), dor_shape_print(want.shape, b));
    DOR_NEED(have.dtype == want.dtype, ARG, "%s: the gradient of input %d is %s, the input %s", n->op->name, i, dor_dtype_name(have.dtype),
             dor_dtype_name(want.dtype));
  }
  return DOR_OK;
}

static dor_status call_grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  char scope[sizeof g->scope];
  memcpy(scope, g->scope, sizeof scope);
  dor_graph_pop(g, 0);
  if (*n->scope) dor_graph_push(g, "%s", n->scope);
  g->grad_key = n->key;
  dor_status s = n->op->grad(g, n, gout, gin);
  g->grad_key = 0;
  memcpy(g->scope, scope, sizeof scope);
  return s ? s : g->status;
}

static dor_status back(walk *w, int32_t k)
{
  dor_graph *g = w->g;
  dor_node n = g->node[k]; /* a copy: the array may move while nodes are added */
  dor_val *gout = dor_arena_alloc(&g->arena, (size_t)(n.nin + n.nout) * sizeof *gout), *gin = gout + n.nout;
  DOR_NEED(gout, NOMEM, "%s: gradients", n.op->name);
  bool reached = false;
  for (int32_t i = 0; i < n.nout; i++) reached |= (gout[i] = w->at[n.out[i]]) != DOR_NONE;
  if (!reached || !any_wanted(w, &n)) return DOR_OK;
  DOR_NEED(n.op->grad, UNSUPPORTED, "%s has no gradient (%s)", n.op->name, n.scope);
  for (int32_t i = n.nout - n.op->naux; i < n.nout; i++)
    DOR_NEED(gout[i] == DOR_NONE, UNSUPPORTED, "%s: output %d is a by-product, no gradient goes through it (%s)", n.op->name, i, n.scope);
  for (int32_t i = 0; i < n.nin; i++) gin[i] = DOR_NONE;
  DOR_TRY(call_grad(g, &n, gout, gin));
  DOR_TRY(check_gradients(w, &n, gin));
  for (int32_t i = 0; i < n.nin; i++)
    if (wanted_input(w, &n, i)) DOR_TRY(meet(w, &w->at[n.in[i]], gin[i]));
  return DOR_OK;
}

static void mark_wanted(walk *w, int32_t n, const dor_val wrt[])
{
  for (int32_t i = 0; i < n; i++) w->wanted[wrt[i]] = true;
  for (int32_t k = 0; k < w->g->nnode; k++) {
    const dor_node *node = &w->g->node[k];
    if (!any_wanted(w, node)) continue;
    for (int32_t i = 0; i < node->nout - node->op->naux; i++) w->wanted[node->out[i]] = true;
  }
}

dor_status dor_graph_grad(dor_graph *g, const dor_op *sum, dor_val loss, dor_val seed, int32_t n, const dor_val wrt[], dor_val grad[])
{
  DOR_TRY(g->status);
  DOR_NEED(loss >= 0 && loss < g->nvalue && seed >= 0 && seed < g->nvalue, ARG, "the loss or its seed is no value of this graph");
  DOR_NEED(dor_shape_same(g->value[loss].type.shape, g->value[seed].type.shape), SHAPE, "the seed of a gradient must have the loss's shape");
  size_t nvalue = (size_t)g->nvalue;
  walk w = {.g = g, .sum = sum, .at = dor_arena_alloc(&g->arena, nvalue * sizeof *w.at), .wanted = dor_arena_alloc(&g->arena, nvalue)};
  DOR_NEED(w.at && w.wanted, NOMEM, "gradients of %d values", g->nvalue);
  for (size_t v = 0; v < nvalue; v++) w.at[v] = DOR_NONE;
  w.at[loss] = seed;
  mark_wanted(&w, n, wrt);
  for (int32_t k = g->nnode - 1; k >= 0; k--) DOR_TRY(back(&w, k));
  for (int32_t i = 0; i < n; i++) grad[i] = w.at[wrt[i]];
  return DOR_OK;
}

static int32_t maker(const dor_graph *g, dor_val v)
{
  for (int32_t k = g->nnode - 1; k >= 0; k--)
    for (int32_t i = 0; i < g->node[k].nout; i++)
      if (g->node[k].out[i] == v) return k;
  return -1;
}

/* Two parameters may share one gradient value. The second gets its own by running the node that made it once more:
 * rare, and it needs no op that copies. */
static dor_status again(dor_graph *g, dor_val *v)
{
  int32_t k = maker(g, *v), i = 0;
  DOR_NEED(k >= 0, UNSUPPORTED, "the gradient of a parameter is an input of the program");
  dor_node n = g->node[k];
  while (n.out[i] != *v) i++;
  dor_val first = dor_graph_add(g, n.op, n.attr, n.nin, n.in);
  DOR_TRY(g->status);
  g->node[g->nnode - 1].key = n.key;
  *v = dor_graph_output(g, first, i);
  return DOR_OK;
}

/* Let the gradient block be the memory of value v, instead of the pool. */
static dor_status home(dor_graph *g, dor_val v, size_t offset)
{
  if (g->value[v].alias != DOR_NONE) v = g->value[v].alias;
  if (g->value[v].kind != DOR_TEMP || g->value[v].keep) DOR_TRY(again(g, &v));
  DOR_NEED(g->value[v].alias == DOR_NONE, UNSUPPORTED, "a gradient is made in place of another value");
  g->value[v].kind = DOR_GRAD, g->value[v].offset = offset;
  for (int32_t u = 0; u < g->nvalue; u++)
    if (g->value[u].alias == v) g->value[u].kind = DOR_GRAD, g->value[u].offset = offset;
  return DOR_OK;
}

static bool frozen(const dor_graph *g, dor_val v)
{
  int32_t i = dor_params_find(g->params, g->value[v].name);
  return i >= 0 && g->params->at[i].spec.frozen;
}

static dor_status collect(const dor_graph *g, dor_val *wrt, int32_t *n)
{
  *n = 0;
  for (int32_t v = 0; v < g->nvalue; v++)
    if (g->value[v].kind == DOR_PARAM && g->value[v].alias == DOR_NONE && !frozen(g, v)) wrt[(*n)++] = v;
  DOR_NEED(*n, ARG, "the graph has no parameter to train");
  return DOR_OK;
}

dor_status dor_graph_grad_params(dor_graph *g, const dor_op *sum, const dor_op *add_into, dor_val loss, dor_val seed, bool accumulate)
{
  DOR_TRY(g->status);
  DOR_NEED(g->params, ARG, "the graph has no parameter table");
  dor_val *wrt = dor_arena_alloc(&g->arena, 2 * (size_t)g->nvalue * sizeof *wrt), *grad = wrt + g->nvalue;
  DOR_NEED(wrt, NOMEM, "gradients of %d values", g->nvalue);
  int32_t n;
  DOR_TRY(collect(g, wrt, &n));
  DOR_TRY(dor_graph_grad(g, sum, loss, seed, n, wrt, grad));
  for (int32_t i = 0; i < n; i++) {
    if (grad[i] == DOR_NONE) continue;
    dor_value p = g->value[wrt[i]];
    if (!accumulate) {
      DOR_TRY(home(g, grad[i], p.offset));
      continue;
    }
    dor_val block = dor_graph_block(g, DOR_GRAD, p.offset, dor_shape_size(p.type.shape), p.name);
    DOR_TRY(g->status);
    g->value[block].type = p.type;
    dor_graph_add(g, add_into, NULL, 2, (dor_val[]){block, grad[i]});
  }
  return g->status;
}
