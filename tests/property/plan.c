/* SPDX-License-Identifier: Apache-2.0
 *
 * The memory plan on random graphs: values alive at the same time never share a
 * byte, kept values live to the end, and the plan lies between its two bounds. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
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

static dor_val conv(dor_graph *g, dor_val x, int32_t out, int32_t kernel, int32_t stride)
{
  dor_shape s = dor_graph_type(g, x).shape;
  dor_val w = dor_graph_block(g, DOR_PARAM, 0, (int64_t)kernel * kernel * s.d[3] * out, "w");
  if (g->status) return DOR_NONE;
  g->value[w].type.shape = DOR_SHAPE(kernel, kernel, s.d[3], out);
  return dor_relu(g, dor_conv2d(g, x, w, stride, kernel / 2, 1, 1));
}

/* What branch j gives to branch i: smaller maps are enlarged, larger ones strided down. */
static dor_val exchange(dor_graph *g, dor_val x, int32_t j, int32_t i, int32_t width)
{
  if (j > i) {
    dor_shape s = dor_graph_type(g, x).shape;
    return dor_resize(g, conv(g, x, width << i, 1, 1), s.d[1] << (j - i), s.d[2] << (j - i));
  }
  for (int32_t u = j; u < i; u++) x = conv(g, x, width << (u + 1), 3, 2);
  return x;
}

/* A net shaped like HRNet: branches at 1/4, 1/8 .. 1/32 that exchange after each stage. */
static dor_val hrnet(dor_graph *g, int32_t size, int32_t width)
{
  enum { BRANCHES = 4, BLOCKS = 4 };
  dor_val b[BRANCHES], fused[BRANCHES], x = dor_graph_input(g, "image", (dor_type){DOR_SHAPE(4, size, size, 3), DOR_F32});
  b[0] = conv(g, conv(g, conv(g, x, 64, 3, 2), 64, 3, 2), width, 3, 1);
  for (int32_t n = 2; n <= BRANCHES; n++) {
    b[n - 1] = conv(g, b[n - 2], width << (n - 1), 3, 2);
    for (int32_t i = 0; i < n * BLOCKS; i++) b[i % n] = dor_add(g, b[i % n], conv(g, conv(g, b[i % n], width << i % n, 3, 1), width << i % n, 3, 1));
    for (int32_t i = 0; i < n; i++) {
      fused[i] = b[i];
      for (int32_t j = 0; j < n; j++)
        if (j != i) fused[i] = dor_add(g, fused[i], exchange(g, b[j], j, i, width));
    }
    memcpy(b, fused, (size_t)n * sizeof *b);
  }
  return conv(g, b[0], 17, 1, 1);
}

static void check_near_bound(const char *what, dor_graph *g)
{
  dor_plan p;
  double start = dor_clock_s();
  OK(dor_graph_plan(g, NULL, &p));
  double ms = (dor_clock_s() - start) * 1e3, mib = 1048576;
  CHECK(p.total <= p.bound + p.bound / 50, "%s: planned %zu, lower bound %zu", what, p.total, p.bound);
  print_message("    %-9s %4d nodes: %.1f MiB unplanned, %.1f planned, %.1f at least; %.0f ms\n", what, g->nnode, (double)p.unplanned / mib,
                (double)p.total / mib, (double)p.bound / mib, ms);
}

TEST(plan_of_a_net_like_hrnet_is_near_its_lower_bound)
{
  dor_graph g;
  dor_graph_init(&g, NULL, true);
  dor_val y = hrnet(&g, 256, 32);
  OK(dor_graph_status(&g));
  dor_graph_keep(&g, y, "maps");
  check_near_bound("inference", &g);
  dor_val wrt[1024], grad[1024], seed = dor_graph_input(&g, "seed", dor_graph_type(&g, y));
  int32_t n = 0;
  for (dor_val v = 0; v < g.nvalue; v++)
    if (g.value[v].kind == DOR_PARAM) wrt[n++] = v;
  OK(dor_graph_grad(&g, &dor_op_accumulate, y, seed, n, wrt, grad));
  check_near_bound("training", &g);
  dor_graph_release(&g);
}
