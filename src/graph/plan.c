/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory planning: lifetimes, then offsets. Largest first, each at the lowest
 * offset free for its whole life (greedy by size: Pisarchyk & Lee,
 * arXiv:2001.03288). A node's scratch is one more value, alive at that node only.
 * Values that share memory (views, in-place outputs) are planned as one. */
#include "graph/graph.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGN = 256 };

typedef struct item {
  size_t size, at;
  int32_t first, last; /* nodes between which it is alive */
  int32_t id;          /* value, or nvalue + node for scratch */
} item;

static size_t round_up(size_t n) { return (n + ALIGN - 1) / ALIGN * ALIGN; }
static dor_val memory_of(const dor_graph *g, dor_val v) { return g->value[v].alias == DOR_NONE ? v : g->value[v].alias; }
static bool in_pool(const dor_value *x) { return x->kind == DOR_TEMP || x->kind == DOR_INPUT; }

/* Reading an old version of memory that a node has overwritten since is a mistake of the graph's maker. */
static dor_status check_versions(dor_graph *g)
{
  dor_val *now = dor_arena_alloc(&g->arena, (size_t)g->nvalue * sizeof *now);
  DOR_NEED(now, NOMEM, "plan of %d values", g->nvalue);
  for (dor_val v = 0; v < g->nvalue; v++) now[v] = DOR_NONE;
  for (int32_t k = 0; k < g->nnode; k++) {
    const dor_node *n = &g->node[k];
    for (int32_t i = 0; i < n->nin; i++) {
      dor_val over = now[memory_of(g, n->in[i])];
      DOR_NEED(over == DOR_NONE || n->in[i] >= over, ARG, "%s (%s) reads input %d after a node has overwritten it", n->op->name, n->scope, i);
    }
    for (int32_t i = 0; i < n->nout && !n->op->view; i++)
      if (g->value[n->out[i]].alias != DOR_NONE) now[g->value[n->out[i]].alias] = n->out[i];
  }
  return DOR_OK;
}

static void lifetimes(const dor_graph *g, dor_plan *p)
{
  for (dor_val v = 0; v < g->nvalue; v++) {
    bool input = g->value[v].kind == DOR_INPUT;
    p->first[v] = input ? 0 : INT32_MAX, p->last[v] = input ? g->nnode : -1;
  }
  for (int32_t k = 0; k < g->nnode; k++) {
    const dor_node *n = &g->node[k];
    for (int32_t i = 0; i < n->nin + n->nout; i++) {
      dor_val v = memory_of(g, i < n->nin ? n->in[i] : n->out[i - n->nin]);
      if (k < p->first[v]) p->first[v] = k;
      if (k > p->last[v]) p->last[v] = k;
    }
  }
  for (dor_val v = 0; v < g->nvalue; v++)
    if (g->value[v].keep || g->value[v].lasting) p->last[memory_of(g, v)] = g->nnode;
  for (dor_val v = 0; v < g->nvalue; v++)
    if (g->value[v].alias != DOR_NONE) p->first[v] = p->first[g->value[v].alias], p->last[v] = p->last[g->value[v].alias];
}

static int larger_first(const void *a, const void *b)
{
  const item *x = a, *y = b;
  if (x->size != y->size) return x->size < y->size ? 1 : -1;
  return x->id < y->id ? -1 : x->id > y->id;
}

static int lower_first(const void *a, const void *b)
{
  const size_t *x = a, *y = b;
  return *x < *y ? -1 : *x > *y;
}

/* The lowest offset at which item i fits between the placed ones that live when it does. */
static size_t place(const item *list, int32_t i, size_t (*busy)[2])
{
  size_t m = 0, at = 0;
  for (int32_t j = 0; j < i; j++) {
    if (list[j].first > list[i].last || list[j].last < list[i].first) continue;
    busy[m][0] = list[j].at;
    busy[m++][1] = list[j].at + list[j].size;
  }
  qsort(busy, m, sizeof *busy, lower_first);
  for (size_t j = 0; j < m && busy[j][0] < at + list[i].size; j++)
    if (busy[j][1] > at) at = busy[j][1];
  return at;
}

/* No plan can need less than the most that is alive at one node. */
static dor_status live_bound(dor_graph *g, const item *list, int32_t n, dor_plan *p)
{
  size_t *starts = dor_arena_alloc(&g->arena, 2 * ((size_t)g->nnode + 2) * sizeof *starts), *ends = starts + g->nnode + 2, now = 0;
  DOR_NEED(starts, NOMEM, "plan of %d nodes", g->nnode);
  for (int32_t i = 0; i < n; i++) starts[list[i].first] += list[i].size, ends[list[i].last + 1] += list[i].size;
  for (int32_t k = 0; k <= g->nnode; k++) {
    now += starts[k], now -= ends[k];
    if (now > p->bound) p->bound = now;
  }
  return DOR_OK;
}

static int32_t collect(const dor_graph *g, const size_t scratch_bytes[], const dor_plan *p, item *list)
{
  int32_t n = 0;
  for (dor_val v = 0; v < g->nvalue; v++)
    if (in_pool(&g->value[v]) && g->value[v].alias == DOR_NONE && p->last[v] >= 0)
      list[n++] = (item){round_up(dor_type_bytes(g->value[v].type)), 0, p->first[v], p->last[v], v};
  for (int32_t k = 0; scratch_bytes && k < g->nnode; k++)
    if (scratch_bytes[k]) list[n++] = (item){round_up(scratch_bytes[k]), 0, k, k, g->nvalue + k};
  return n;
}

static void arrange(item *list, int32_t n, size_t (*busy)[2], dor_plan *p)
{
  qsort(list, (size_t)n, sizeof *list, larger_first);
  for (int32_t i = 0; i < n; i++) {
    list[i].at = place(list, i, busy);
    p->unplanned += list[i].size;
    if (list[i].at + list[i].size > p->total) p->total = list[i].at + list[i].size;
  }
}

static void write_offsets(const dor_graph *g, const item *list, int32_t n, dor_plan *p)
{
  for (dor_val v = 0; v < g->nvalue; v++) p->offset[v] = SIZE_MAX;
  for (int32_t i = 0; i < n; i++)
    if (list[i].id < g->nvalue) p->offset[list[i].id] = list[i].at;
    else p->scratch[list[i].id - g->nvalue] = list[i].at;
  for (dor_val v = 0; v < g->nvalue; v++)
    if (g->value[v].alias != DOR_NONE) p->offset[v] = p->offset[g->value[v].alias];
}

dor_status dor_graph_plan(dor_graph *g, const size_t scratch_bytes[], dor_plan *p)
{
  DOR_TRY(g->status);
  DOR_TRY(check_versions(g));
  size_t nv = (size_t)g->nvalue, nn = (size_t)g->nnode;
  memset(p, 0, sizeof *p);
  p->offset = dor_arena_alloc(&g->arena, nv * sizeof *p->offset);
  p->scratch = dor_arena_alloc(&g->arena, nn * sizeof *p->scratch);
  p->first = dor_arena_alloc(&g->arena, nv * sizeof *p->first);
  p->last = dor_arena_alloc(&g->arena, nv * sizeof *p->last);
  item *list = dor_arena_alloc(&g->arena, (nv + nn) * sizeof *list);
  size_t(*busy)[2] = dor_arena_alloc(&g->arena, (nv + nn) * sizeof *busy);
  DOR_NEED(p->offset && p->scratch && p->first && p->last && list && busy, NOMEM, "plan of %d values", g->nvalue);
  lifetimes(g, p);
  int32_t n = collect(g, scratch_bytes, p, list);
  arrange(list, n, busy, p);
  write_offsets(g, list, n, p);
  return live_bound(g, list, n, p);
}
