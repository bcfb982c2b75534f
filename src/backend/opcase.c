/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/opcase.h"

#include "base/mem.h"
#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static dor_type input_type(const dor_case *at, int32_t i) { return (dor_type){at->in[i], at->dtype[i]}; }

static dor_status build(dor_opcase *c)
{
  dor_graph *g = &c->graph;
  DOR_NEED(c->nin <= DOR_CASE_IN && c->op->nout <= DOR_OPCASE_OUT, RANGE, "%s/%s: more inputs or outputs than a case holds", c->op->name, c->at->name);
  for (int32_t i = 0; i < c->nin; i++) {
    char name[16];
    snprintf(name, sizeof name, "in%d", i);
    c->in[i] = dor_graph_input(g, name, input_type(c->at, i));
  }
  dor_graph_add(g, c->op, c->at->attr, c->nin, c->in);
  DOR_TRY(g->status);
  c->nout = c->op->nout;
  memcpy(c->out, g->node[0].out, (size_t)c->nout * sizeof *c->out);
  for (int32_t i = 0; i < c->nout; i++) {
    char name[16];
    snprintf(name, sizeof name, "out%d", i);
    dor_graph_keep(g, c->out[i], name);
  }
  return g->status;
}

dor_status dor_opcase_build(dor_opcase *c, const dor_op *op, const dor_case *at)
{
  *c = (dor_opcase){.op = op, .at = at, .nin = at->nin ? at->nin : op->nin};
  dor_graph_init(&c->graph, NULL, true);
  dor_status s = build(c);
  if (s) dor_graph_release(&c->graph);
  return s;
}

/* A permutation of n values without memory: i -> (a i + b) mod n with a coprime to n. */
static int64_t scatter(int64_t i, int64_t n, uint64_t seed)
{
  int64_t a = (int64_t)((double)n * 0.6180339887) | 1, b = (int64_t)(seed % 1000003);
  for (;; a += 2) {
    int64_t x = a, y = n;
    while (y) {
      int64_t t = x % y;
      x = y, y = t;
    }
    if (x == 1) break;
  }
  return (a % n * (i % n) + b) % n;
}

static double draw(const dor_case *at, dor_fill fill, dor_rng *r)
{
  double x = dor_rng_real(r);
  switch (fill) {
  case DOR_FILL_NOISE: return 2 * x - 1;
  case DOR_FILL_POSITIVE: return x + 0.1;
  case DOR_FILL_LABELS: return (double)(int32_t)(x * at->labels);
  case DOR_FILL_BINARY: return x < 0.5 ? 0 : 1;
  case DOR_FILL_PROBABILITY: return 0.05 + 0.9 * x;
  case DOR_FILL_DISTINCT: break;
  }
  return 0;
}

void dor_opcase_fill(const dor_opcase *c, int32_t i, uint64_t seed, double *to)
{
  dor_fill fill = c->at->fill[i];
  int64_t n = dor_shape_size(c->at->in[i]);
  dor_rng r = dor_rng_stream(seed, (uint64_t)i, 0);
  for (int64_t j = 0; j < n; j++) {
    double x = fill == DOR_FILL_DISTINCT ? ((double)scatter(j, n, seed) + 0.5 - (double)(n / 2)) * 4 / (double)n : draw(c->at, fill, &r);
    to[j] = c->at->dtype[i] == DOR_F32 ? (double)(float)x : c->at->dtype[i] == DOR_U8 ? fmod(x, 256) : x;
  }
}
