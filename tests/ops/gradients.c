/* SPDX-License-Identifier: Apache-2.0
 *
 * Every op in ops.def, every case: the gradient against central differences, in
 * double, on the definitions alone. Each differentiable output is tested on its
 * own, with the others' gradients absent. */
#include <math.h>

#include "backend/opcase.h"
#include "base/rng.h"
#include "ops/ops.h"
#include "tests/ops/reference.h"
#include "tests/test.h"

static const double LIMIT = 1e-7, H = 1e-5;
enum { PROBES = 61 }; /* elements of an input that are moved, evenly from the first to the last */

/* An op's moments of its own x are no free inputs: its gradient is that of the pair, so the pair is tested. */
static dor_status build(dor_opcase *c, const dor_op *op, const dor_case *at)
{
  DOR_TRY(dor_opcase_build(c, op, at));
  if (op != &dor_op_bn_norm) return DOR_OK;
  dor_graph *g = &c->graph;
  dor_val mean = dor_bn_stats(g, c->in[0]), var = dor_graph_output(g, mean, 1);
  dor_graph_add(g, op, at->attr, 5, (dor_val[]){c->in[0], mean, var, c->in[3], c->in[4]});
  DOR_TRY(g->status);
  c->out[0] = g->node[g->nnode - 1].out[0];
  return DOR_OK;
}

static double dot(const double *a, const double *b, int64_t n)
{
  double s = 0;
  for (int64_t i = 0; i < n; i++) s += a[i] * b[i];
  return s;
}

/* The worst error of one input's gradient, where the loss is <output, r>. */
static double compare(numbers x, int32_t forward, dor_val in, dor_val grad, dor_val y, dor_val r)
{
  double worst = 0;
  int64_t n = dor_shape_size(x.g->value[in].type.shape), ny = dor_shape_size(x.g->value[y].type.shape);
  for (int64_t p = 0, probes = n < PROBES ? n : PROBES; p < probes; p++) {
    int64_t j = probes > 1 ? p * (n - 1) / (probes - 1) : 0;
    double keep = x.at[in][j], side[2];
    for (int s = 0; s < 2; s++) {
      x.at[in][j] = keep + (s ? H : -H);
      numbers_run(x, 0, forward);
      side[s] = dot(x.at[y], x.at[r], ny);
    }
    x.at[in][j] = keep;
    double want = x.at[grad][j], error = fabs((side[1] - side[0]) / (2 * H) - want) / fmax(1, fabs(want));
    worst = error > worst || isnan(error) ? error : worst;
  }
  return worst;
}

static int32_t learnt_inputs(const dor_opcase *c, dor_val wrt[])
{
  int32_t n = 0;
  for (int32_t i = 0; i < c->nin; i++)
    if (c->at->dtype[i] == DOR_F32 && !(c->op->given >> i & 1)) wrt[n++] = c->in[i];
  return n;
}

static double gradient_error(const dor_op *op, const dor_case *at, int32_t output)
{
  dor_opcase c;
  dor_val wrt[DOR_CASE_IN], grad[DOR_CASE_IN];
  OK(build(&c, op, at));
  int32_t forward = c.graph.nnode;
  int32_t n = learnt_inputs(&c, wrt);
  dor_val r = dor_graph_input(&c.graph, "r", dor_graph_type(&c.graph, c.out[output]));
  OK(dor_graph_grad(&c.graph, &dor_op_accumulate, c.out[output], r, n, wrt, grad));
  numbers x = numbers_new(&c.graph);
  for (int32_t i = 0; i < c.nin; i++) dor_opcase_fill(&c, i, 7, x.at[c.in[i]]);
  dor_rng noise = dor_rng_stream(11, 0, 0);
  for (int64_t i = 0, ny = dor_shape_size(c.graph.value[r].type.shape); i < ny; i++) x.at[r][i] = 2 * dor_rng_real(&noise) - 1;
  numbers_run(x, 0, c.graph.nnode);
  double worst = 0;
  for (int32_t i = 0; i < n; i++) worst = fmax(worst, compare(x, forward, wrt[i], grad[i], c.out[output], r));
  numbers_free(x);
  dor_graph_release(&c.graph);
  return worst;
}

TEST(op_gradients_match_finite_differences)
{
  int checked = 0;
  double worst = 0;
  for (int32_t i = 0; i < DOR_OP_COUNT; i++) {
    const dor_op *op = dor_ops[i];
    for (const dor_case *t = op->cases; op->grad && t && t->name; t++)
      for (int32_t o = 0; o < op->nout - op->naux && !t->bench; o++, checked++) {
        double error = gradient_error(op, t, o);
        CHECK(error < LIMIT, "%s/%s output %d: relative error %g", op->name, t->name, o, error);
        worst = fmax(worst, error);
      }
  }
  print_message("    %d gradients, worst relative error %.1e\n", checked, worst);
}

TEST(every_op_has_a_reference_cases_and_a_cost)
{
  for (int32_t i = 0; i < DOR_OP_COUNT; i++) {
    const dor_op *op = dor_ops[i];
    CHECK(op->id == i && op->infer && op->ref && (op->cost || op->view) && op->formula, "%s is incomplete", op->name);
    CHECK(op->cases && op->cases[0].name, "%s has no cases", op->name);
  }
}
