/* SPDX-License-Identifier: Apache-2.0
 *
 * The memory plan on random graphs: values alive at the same time never share a
 * byte, kept values live to the end, and the plan lies between its two bounds. */
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "graph/graph.h"
#include "ops/ops.h"
#include "tests/test.h"

static dor_status copies(const dor_infer *c)
{
  for (int32_t i = 0; i < c->nout; i++) c->out[i].shape = c->in[0].shape;
  return DOR_OK;
}

static dor_status doubles(const dor_infer *c)
{
  c->out[0].shape = DOR_SHAPE(c->in[0].shape.d[0] % 4001 + 17);
  return DOR_OK;
}

static const dor_op pair = {.name = "pair", .nin = 1, .nout = 2, .infer = copies};
static const dor_op other_size = {.name = "other_size", .nin = -1, .nout = 1, .infer = doubles};
static const dor_op in_place = {.name = "in_place", .nin = 1, .nout = 1, .infer = copies, .alias = {1}};

/* A random graph; `last` are values that no later node has overwritten. */
static void grow(dor_graph *g, dor_rng *r, size_t scratch[])
{
  enum { NODES = 60 };
  dor_val live[3 * NODES] = {0};
  uint32_t n = 0;
  dor_graph_init(g, NULL, true);
  for (int i = 0; i < 3; i++) live[n++] = dor_graph_input(g, "", (dor_type){DOR_SHAPE((int32_t)dor_rng_below(r, 3000) + 1), DOR_F32});
  live[n++] = dor_graph_block(g, DOR_STATE, 0, 100, "state");
  for (int k = 0; k < NODES; k++) {
    uint32_t at = dor_rng_below(r, n), kind = dor_rng_below(r, 4);
    dor_val v = live[at], w[2] = {v, live[dor_rng_below(r, n)]}, made;
    if (kind == 0) made = dor_graph_add(g, &pair, NULL, 1, &v), live[n++] = dor_graph_output(g, made, 1);
    else if (kind == 1) made = dor_graph_add(g, &other_size, NULL, 2, w);
    else if (kind == 2) made = dor_reshape(g, v, dor_graph_type(g, v).shape);
    else made = dor_graph_add(g, &in_place, NULL, 1, &v);
    /* views of it would be old versions too: after an overwrite only the new one may be read */
    for (uint32_t i = 0; kind == 3 && i < n; i++)
      if (live[i] == v || g->value[live[i]].alias == g->value[made].alias || live[i] == g->value[made].alias) live[i] = made;
    live[n++] = made;
    if (!dor_rng_below(r, 8)) dor_graph_keep(g, made, "kept");
    scratch[g->nnode - 1] = dor_rng_below(r, 3) ? 0 : dor_rng_below(r, 9000);
  }
}

typedef struct span { size_t at, end; int32_t first, last; } span;

static dor_val memory_of(const dor_graph *g, dor_val v) { return g->value[v].alias == DOR_NONE ? v : g->value[v].alias; }

/* Lifetimes again, from the nodes alone and not from the planner. */
static int32_t spans_of(const dor_graph *g, const dor_plan *p, const size_t scratch[], span *s)
{
  int32_t n = 0;
  for (dor_val v = 0; v < g->nvalue; v++) {
    const dor_value *x = &g->value[v];
    if (x->alias != DOR_NONE || (x->kind != DOR_TEMP && x->kind != DOR_INPUT)) continue;
    span a = {p->offset[v], p->offset[v] + dor_type_bytes(x->type), x->kind == DOR_INPUT ? 0 : g->nnode, x->kind == DOR_INPUT ? g->nnode : -1};
    for (int32_t k = 0; k < g->nnode; k++)
      for (int32_t i = 0; i < g->node[k].nin + g->node[k].nout; i++) {
        dor_val u = i < g->node[k].nin ? g->node[k].in[i] : g->node[k].out[i - g->node[k].nin];
        if (memory_of(g, u) != v) continue;
        a.first = k < a.first ? k : a.first, a.last = k > a.last ? k : a.last;
        if (g->value[u].keep) a.last = g->nnode;
      }
    s[n++] = a;
  }
  for (int32_t k = 0; k < g->nnode; k++)
    if (scratch[k]) s[n++] = (span){p->scratch[k], p->scratch[k] + scratch[k], k, k};
  return n;
}

TEST(plan_never_lets_live_values_overlap)
{
  size_t planned = 0, bound = 0;
  for (uint64_t seed = 0; seed < 200; seed++) {
    dor_graph g;
    dor_plan p;
    size_t scratch[256] = {0};
    dor_rng r = dor_rng_stream(seed, 1, 0);
    grow(&g, &r, scratch);
    OK(dor_graph_plan(&g, scratch, &p));
    span s[512];
    int32_t n = spans_of(&g, &p, scratch, s), bad = 0;
    for (int32_t i = 0; i < n; i++) {
      bad += s[i].end > p.total || s[i].at % 256 != 0;
      for (int32_t j = 0; j < i; j++) bad += s[i].first <= s[j].last && s[j].first <= s[i].last && s[i].at < s[j].end && s[j].at < s[i].end;
    }
    CHECK(!bad, "seed %d: %d pairs alive together share memory, or lie outside the pool", (int)seed, bad);
    CHECK(p.bound <= p.total && p.total <= p.unplanned, "seed %d: bound %zu, planned %zu, unplanned %zu", (int)seed, p.bound, p.total, p.unplanned);
    planned += p.total, bound += p.bound;
    dor_graph_release(&g);
  }
  CHECK(planned < bound + bound / 5, "plans are %.3f of the lower bound on average", (double)planned / (double)bound);
}
