/* SPDX-License-Identifier: Apache-2.0
 *
 * Two rewrites of a finished graph: chains become fused ops where the table and
 * the target say so, and nodes that nobody needs go. A fused node stands where
 * the chain's last node stood, so everything it reads is there already; who reads
 * its outputs from before that place is moved behind it. */
#include "graph/graph.h"

#include <string.h>

static dor_val memory_of(const dor_graph *g, dor_val v) { return g->value[v].alias == DOR_NONE ? v : g->value[v].alias; }

static bool reads(const dor_node *n, dor_val v)
{
  for (int32_t i = 0; n->op && i < n->nin; i++)
    if (n->in[i] == v) return true;
  return false;
}

static bool makes(const dor_node *n, dor_val v)
{
  for (int32_t i = 0; n->op && i < n->nout; i++)
    if (n->out[i] == v) return true;
  return false;
}

static bool in_chain(const dor_match *m, const dor_node *n)
{
  for (int32_t i = 0; i < m->n; i++)
    if (m->node[i] == n) return true;
  return false;
}

static bool read_outside(const dor_match *m, dor_val v)
{
  for (const dor_node *n = m->node[0]; n < m->graph->node + m->graph->nnode; n++)
    if (!in_chain(m, n) && reads(n, v)) return true;
  return false;
}

bool dor_match_needed(const dor_match *m, dor_val v)
{
  const dor_value *x = &m->graph->value[v];
  return x->keep || x->kind != DOR_TEMP || read_outside(m, v);
}

static bool made_inside(const dor_match *m, dor_val v)
{
  for (int32_t i = 0; i < m->n; i++)
    if (makes(m->node[i], v)) return true;
  return false;
}

static bool fuse_default(const dor_match *m, const dor_op *op, dor_fused *f)
{
  const dor_node *with = NULL, *last = m->node[m->n - 1];
  for (int32_t i = m->n - 1; i >= 0; i--) {
    const dor_node *n = m->node[i];
    if (op->attr_size && n->op->attr_size == op->attr_size) with = n;
  }
  if (op->attr_size && !with) return false;
  if (with) memcpy(f->attr, with->attr, op->attr_size);
  for (int32_t i = 0; i < m->n; i++)
    for (int32_t j = 0; j < m->node[i]->nin; j++) {
      dor_val v = m->node[i]->in[j];
      if (made_inside(m, v)) continue;
      if (f->nin == DOR_FUSED_IN) return false;
      f->in[f->nin++] = v;
    }
  if (last->nout > DOR_FUSED_OUT) return false;
  for (int32_t i = 0; i < last->nout; i++) f->out[f->nout++] = last->out[i];
  return true;
}

static bool listed(const dor_fused *f, dor_val v)
{
  for (int32_t i = 0; i < f->nout; i++)
    if (f->out[i] == v) return true;
  return false;
}

static bool writes_over(const dor_graph *g, const dor_node *n, dor_val memory)
{
  for (int32_t i = 0; n->op && !n->op->view && i < n->nout; i++)
    if (g->value[n->out[i]].alias == memory) return true;
  return false;
}

static bool reads_memory(const dor_graph *g, const dor_node *n, dor_val memory)
{
  for (int32_t i = 0; n->op && i < n->nin; i++)
    if (memory_of(g, n->in[i]) == memory) return true;
  return false;
}

/* May a node that reads what the chain makes wait until the fused node has made it? */
static bool can_wait(const dor_match *m, const dor_node *n)
{
  const dor_graph *g = m->graph;
  for (const dor_node *q = n + 1; q <= m->node[m->n - 1]; q++) {
    for (int32_t i = 0; i < n->nout; i++)
      if (reads_memory(g, q, memory_of(g, n->out[i]))) return false;
    for (int32_t i = 0; i < n->nin; i++)
      if (writes_over(g, q, memory_of(g, n->in[i]))) return false;
  }
  return true;
}

/* Every needed output of the chain is one of the fused node's, and who reads it earlier can wait. */
static bool outputs_survive(const dor_match *m, const dor_fused *f)
{
  for (int32_t i = 0; i < m->n; i++)
    for (int32_t j = 0; j < m->node[i]->nout; j++) {
      dor_val v = m->node[i]->out[j];
      if (dor_match_needed(m, v) && !listed(f, v)) return false;
      for (const dor_node *n = m->node[0]; n < m->node[m->n - 1]; n++)
        if (!in_chain(m, n) && reads(n, v) && !can_wait(m, n)) return false;
    }
  return true;
}

/* Nobody overwrites what the fused node reads while the chain's first node waits for the last one's place. */
static bool inputs_survive(const dor_match *m, const dor_fused *f)
{
  const dor_graph *g = m->graph;
  for (const dor_node *n = m->node[0]; n < m->node[m->n - 1]; n++) {
    if (!n->op || in_chain(m, n)) continue;
    for (int32_t j = 0; j < n->nout; j++)
      for (int32_t i = 0; !n->op->view && i < f->nin; i++)
        if (g->value[n->out[j]].alias != DOR_NONE && g->value[n->out[j]].alias == memory_of(g, f->in[i])) return false;
  }
  return true;
}

static bool check(const dor_match *m, const dor_op *op, const dor_fused *f)
{
  if (f->nout != op->nout || (op->nin >= 0 && f->nin != op->nin) || op->attr_size > sizeof f->attr) return false;
  for (int32_t i = 0; i < f->nin; i++)
    if (f->in[i] < 0 || f->in[i] >= m->graph->nvalue || made_inside(m, f->in[i])) return false;
  for (int32_t i = 0; i < f->nout; i++)
    if (f->out[i] != DOR_NONE && !made_inside(m, f->out[i])) return false;
  return outputs_survive(m, f) && inputs_survive(m, f);
}

static dor_status infer(const dor_graph *g, const dor_op *op, const dor_fused *f, dor_type out[])
{
  dor_type in[DOR_FUSED_IN];
  for (int32_t i = 0; i < f->nin; i++) in[i] = g->value[f->in[i]].type;
  DOR_TRY(dor_op_infer(op, &(dor_infer){.attr = f->attr, .nin = f->nin, .nout = f->nout, .in = in, .out = out}));
  dor_shape_text a, b;
  for (int32_t i = 0; i < f->nout; i++) {
    if (f->out[i] == DOR_NONE) continue;
    dor_type have = g->value[f->out[i]].type;
    const bool fits = dor_shape_same(have.shape, out[i].shape) && have.dtype == out[i].dtype;
    DOR_NEED(fits, SHAPE, "%s: output %d would be %s where the chain's is %s", op->name, i, dor_shape_print(out[i].shape, a), dor_shape_print(have.shape, b));
  }
  return DOR_OK;
}

static dor_status fresh_value(dor_graph *g, dor_type t, dor_val *out)
{
  *out = dor_graph_input(g, "", t);
  DOR_TRY(g->status);
  g->value[*out].kind = DOR_TEMP;
  return DOR_OK;
}

/* Nodes between `first` and the fused node that read its outputs go behind it, in their order. */
static void let_wait(dor_node *first, dor_node *fused, const dor_fused *f)
{
  for (dor_node *n = fused - 1; n >= first; n--) {
    bool waits = false;
    for (int32_t i = 0; i < f->nout; i++) waits |= reads(n, f->out[i]);
    if (!waits) continue;
    dor_node late = *n;
    memmove(n, n + 1, (size_t)(fused - n) * sizeof *n);
    *fused-- = late;
  }
}

static dor_status replace(dor_graph *g, const dor_match *m, const dor_op *op, dor_fused *f)
{
  dor_type type[DOR_FUSED_OUT];
  DOR_TRY(infer(g, op, f, type));
  for (int32_t i = 0; i < f->nout; i++)
    if (f->out[i] == DOR_NONE) DOR_TRY(fresh_value(g, type[i], &f->out[i]));
  dor_node *last = g->node + (m->node[m->n - 1] - g->node);
  dor_node n = {.op = op, .nin = f->nin, .nout = f->nout, .scope = m->node[0]->scope};
  for (int32_t i = 0; i < m->n && !n.key; i++) n.key = m->node[i]->key;
  n.attr = op->attr_size ? dor_arena_copy(&g->arena, f->attr, op->attr_size) : NULL;
  n.in = dor_arena_copy(&g->arena, f->in, (size_t)f->nin * sizeof *f->in);
  n.out = dor_arena_copy(&g->arena, f->out, (size_t)f->nout * sizeof *f->out);
  DOR_NEED(n.in && n.out && (n.attr || !op->attr_size), NOMEM, "%s: fused node", op->name);
  for (int32_t i = 0; i < m->n; i++) g->node[m->node[i] - g->node].op = NULL;
  *last = n;
  let_wait(g->node + (m->node[0] - g->node), last, f);
  return DOR_OK;
}

/* Follow the chain from m->node[0]: at each link the first later node of the wanted op that reads output 0. */
static bool follow(const dor_graph *g, const dor_fuse_row *row, dor_match *m)
{
  for (m->n = 1; m->n < DOR_CHAIN && row->chain[m->n]; m->n++) {
    const dor_node *n = m->node[m->n - 1], *end = g->node + g->nnode;
    dor_val link = n->out[0];
    while (++n < end && !(n->op == row->chain[m->n] && reads(n, link))) continue;
    if (n == end) return false;
    m->node[m->n] = n;
  }
  return true;
}

static dor_status try_row(dor_graph *g, const dor_fuse_row *row, int32_t k)
{
  dor_match m = {.graph = g, .node = {&g->node[k]}};
  if (!follow(g, row, &m)) return DOR_OK;
  dor_fused f = {0};
  bool wanted = row->fused->fuse ? row->fused->fuse(&m, &f) : fuse_default(&m, row->fused, &f);
  return wanted && check(&m, row->fused, &f) ? replace(g, &m, row->fused, &f) : DOR_OK;
}

static void compact(dor_graph *g)
{
  int32_t n = 0;
  for (int32_t k = 0; k < g->nnode; k++)
    if (g->node[k].op) g->node[n++] = g->node[k];
  g->nnode = n;
}

dor_status dor_graph_fuse(dor_graph *g, const dor_fuse_row *rows, bool (*has)(const void *backend, const dor_op *op), const void *backend)
{
  DOR_TRY(g->status);
  for (const dor_fuse_row *row = rows; row->fused; row++) {
    if (!has(backend, row->fused)) continue;
    for (int32_t k = 0; k < g->nnode; k++)
      if (g->node[k].op == row->chain[0]) DOR_TRY(try_row(g, row, k));
  }
  compact(g);
  return DOR_OK;
}

static bool node_needed(const dor_graph *g, const dor_node *n, const bool *needed)
{
  for (int32_t i = 0; i < n->nout; i++) {
    const dor_value *x = &g->value[n->out[i]];
    if (x->keep || needed[n->out[i]] || x->kind != DOR_TEMP) return true;
  }
  return false;
}

dor_status dor_graph_prune(dor_graph *g)
{
  DOR_TRY(g->status);
  bool *needed = dor_arena_alloc(&g->arena, (size_t)g->nvalue + 1);
  DOR_NEED(needed, NOMEM, "pruning %d values", g->nvalue);
  for (int32_t k = g->nnode - 1; k >= 0; k--) {
    dor_node *n = &g->node[k];
    if (!node_needed(g, n, needed)) n->op = NULL;
    for (int32_t i = 0; n->op && i < n->nin; i++) needed[n->in[i]] = true;
  }
  compact(g);
  return DOR_OK;
}
