/* SPDX-License-Identifier: Apache-2.0
 *
 * Activations and their gradients in 16 bits: one walk over a finished graph, before fusion. A node is narrow when what it reads
 * is, or when its op is worth a cast; its other inputs of that sort are cast, once for all readers. What lives in blocks, what is
 * kept, and every input that an op wants in float stays or comes back. */
#include "graph/graph.h"

#include "base/mem.h"

#include <string.h>

typedef struct walk {
  dor_graph *g;
  const dor_narrowing *how;
  int32_t nvalue;
  dor_val *narrow, *wide; /* by value of the graph as it was: the same in the other width, where there is one already */
} walk;

static bool is_real(dor_dtype t) { return t == DOR_F32 || dor_dtype_narrow(t); }
static dor_type type_of(const walk *w, dor_val v) { return w->g->value[v].type; }
static dor_val memory_of(const dor_graph *g, dor_val v) { return g->value[v].alias == DOR_NONE ? v : g->value[v].alias; }

/* The input whose memory output i takes; -1: it has its own. */
static int32_t shared_input(const dor_op *op, int32_t i) { return op->view && !i ? 0 : i < DOR_OP_ALIAS ? op->alias[i] - 1 : -1; }

/* Worth a cast, or given narrow numbers; but what is overwritten in a block is float. */
static bool runs_narrow(const walk *w, const dor_node *n)
{
  bool any = false;
  for (int32_t i = 0; i < n->nin; i++) {
    const char mark = dor_op_mark(n->op, false, i);
    any = any || mark == 'X' || (mark == 'x' && dor_dtype_narrow(type_of(w, n->in[i]).dtype));
  }
  for (int32_t i = 0; i < n->nout; i++) {
    const int32_t from = n->op->view ? -1 : shared_input(n->op, i);
    if (from >= 0 && w->g->value[n->in[from]].kind != DOR_TEMP) return false;
  }
  return any;
}

/* v in the width wanted: itself, or a cast of it made now or before. */
static dor_val in_width(walk *w, dor_val v, bool narrow)
{
  const dor_dtype now = type_of(w, v).dtype;
  if (!is_real(now) || dor_dtype_narrow(now) == narrow) return v;
  dor_val *other = narrow ? &w->narrow[v] : &w->wide[v];
  if (*other == DOR_NONE) *other = w->how->cast(w->g, v, narrow ? w->how->dtype : DOR_F32);
  return *other;
}

static dor_status take_inputs(walk *w, dor_node *n, bool narrow, dor_type *type)
{
  for (int32_t i = 0; i < n->nin; i++) {
    n->in[i] = in_width(w, n->in[i], narrow && dor_op_mark(n->op, false, i) != '-');
    DOR_TRY(w->g->status);
    type[i] = type_of(w, n->in[i]);
  }
  return DOR_OK;
}

/* Output i is of type t. Float numbers that must stay are made in a new value and cast back behind the node: *late says from where. */
static dor_status give_output(walk *w, dor_node *n, int32_t i, dor_type t, dor_val *late)
{
  dor_graph *g = w->g;
  const int32_t from = shared_input(n->op, i);
  dor_val v = n->out[i];
  if (dor_dtype_narrow(t.dtype) && !dor_dtype_narrow(g->value[v].type.dtype) && (g->value[v].keep || g->value[v].kind != DOR_TEMP)) {
    DOR_NEED(from < 0 || n->op->view, UNSUPPORTED, "%s writes over a value that is kept (%s)", n->op->name, n->scope);
    *late = dor_graph_input(g, "", t);
    DOR_TRY(g->status);
    g->value[*late].kind = DOR_TEMP;
    if (n->op->view) g->value[v].alias = DOR_NONE;
    w->narrow[v] = *late;
    v = n->out[i] = *late;
  }
  g->value[v].type = t;
  if (from < 0) return DOR_OK;
  const dor_val memory = memory_of(g, n->in[from]);
  g->value[v].alias = memory, g->value[v].kind = g->value[memory].kind, g->value[v].offset = g->value[memory].offset;
  return DOR_OK;
}

/* A cast that a node writes over is no longer what it was made of. */
static void forget_overwritten(walk *w, const dor_node *n)
{
  for (int32_t i = 0; i < n->nout && !n->op->view; i++) {
    const int32_t from = shared_input(n->op, i);
    for (dor_val v = 0; v < w->nvalue && from >= 0; v++) {
      if (w->narrow[v] == n->in[from]) w->narrow[v] = DOR_NONE;
      if (w->wide[v] == n->in[from]) w->wide[v] = DOR_NONE;
    }
  }
}

static dor_status append(dor_graph *g, dor_node n)
{
  if (g->nnode == g->cap_node) {
    const int32_t cap = g->cap_node ? 2 * g->cap_node : 64;
    dor_node *node = dor_realloc(g->node, (size_t)cap * sizeof *node);
    DOR_NEED(node, NOMEM, "a graph of %d nodes", cap);
    g->node = node, g->cap_node = cap;
  }
  g->node[g->nnode++] = n;
  return DOR_OK;
}

/* The cast that the builder has put last gets `to` as its output, which it writes where `to` lives. */
static dor_status cast_into(walk *w, dor_val from, dor_val to)
{
  w->how->cast(w->g, from, type_of(w, to).dtype);
  DOR_TRY(w->g->status);
  w->g->node[w->g->nnode - 1].out[0] = to;
  return DOR_OK;
}

static dor_status visit(walk *w, dor_node n)
{
  dor_graph *g = w->g;
  const bool narrow = runs_narrow(w, &n);
  dor_type *type = dor_arena_alloc(&g->arena, (size_t)(n.nin + n.nout) * sizeof *type);
  dor_val *kept = dor_arena_alloc(&g->arena, 2 * (size_t)n.nout * sizeof *kept), *late = kept + n.nout;
  DOR_NEED(type && kept, NOMEM, "%s: types", n.op->name);
  DOR_TRY(take_inputs(w, &n, narrow, type));
  DOR_TRY(dor_op_infer(n.op, &(dor_infer){.attr = n.attr, .nin = n.nin, .nout = n.nout, .in = type, .out = type + n.nin}));
  forget_overwritten(w, &n);
  for (int32_t i = 0; i < n.nout; i++) {
    kept[i] = n.out[i], late[i] = DOR_NONE;
    DOR_TRY(give_output(w, &n, i, type[n.nin + i], &late[i]));
  }
  DOR_TRY(append(g, n));
  for (int32_t i = 0; i < n.nout; i++)
    if (late[i] != DOR_NONE) DOR_TRY(cast_into(w, late[i], kept[i]));
  return DOR_OK;
}

dor_status dor_graph_narrow(dor_graph *g, const dor_narrowing *how)
{
  DOR_TRY(g->status);
  const int32_t nvalue = g->nvalue, nnode = g->nnode;
  dor_node *node = g->node;
  walk w = {.g = g, .how = how, .nvalue = nvalue, .narrow = dor_arena_alloc(&g->arena, 2 * ((size_t)nvalue + 1) * sizeof *w.narrow)};
  DOR_NEED(w.narrow, NOMEM, "types of %d values", nvalue);
  w.wide = w.narrow + nvalue;
  for (int32_t v = 0; v < 2 * nvalue; v++) w.narrow[v] = DOR_NONE;
  g->node = NULL, g->nnode = g->cap_node = 0; /* as the nodes are visited they are put back, with casts between */
  dor_status s = DOR_OK;
  for (int32_t k = 0; k < nnode && !s; k++) s = visit(&w, node[k]);
  dor_free(node);
  return s ? (g->status = s) : g->status;
}
