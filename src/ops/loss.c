/* SPDX-License-Identifier: Apache-2.0
 *
 * bce, mse, mae: losses of x against a target, averaged over weighted samples.
 *
 *   x, target t [N,...]   weight w [N]   l_ij for the j-th of the M numbers of sample i:
 *   bce   l = max(x, 0) - x t + log(1 + exp(-|x|)), t in [0, 1], x a logit
 *   mse   l = (x - t)^2            mae   l = |x - t|
 *   loss [1] = sum_i w_i sum_j l_ij / (M sum_i w_i); 0 when the weights' sum is 0
 *   slope [like x] = dloss/dx, made on the way; for all losses the backward is
 *   loss_bwd: dx = dloss slope. Target and weight have no gradient.
 *   source    PyTorch binary_cross_entropy_with_logits, mse_loss, l1_loss (0 at x = t) */
#include "ops/ops.h"

#include <math.h>

static dor_status infer(const dor_infer *c)
{
  dor_shape x = c->in[0].shape, w = c->in[2].shape;
  DOR_NEED(x.n >= 1 && dor_shape_same(x, c->in[1].shape), SHAPE, "loss: output and target differ");
  DOR_NEED(w.n == 1 && w.d[0] == x.d[0], SHAPE, "loss: weights must be [%d]", x.d[0]);
  c->out[0].shape = DOR_SHAPE(1);
  c->out[1].shape = x;
  return DOR_OK;
}

static void weighted(const dor_refcall *c, double (*loss)(double x, double t), double (*slope)(double x, double t))
{
  int64_t n = c->type_in[0].shape.d[0], size = dor_shape_size(c->type_in[0].shape), m = n ? size / n : 1;
  double sum = 0, w = 0;
  for (int64_t i = 0; i < n; i++) w += c->in[2][i] * (double)m;
  for (int64_t k = 0; k < size; k++) {
    sum += c->in[2][k / m] * loss(c->in[0][k], c->in[1][k]);
    c->out[1][k] = w > 0 ? c->in[2][k / m] * slope(c->in[0][k], c->in[1][k]) / w : 0;
  }
  c->out[0][0] = w > 0 ? sum / w : 0;
}

static dor_status grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  gin[0] = dor_loss_bwd(g, gout[0], n->out[1]);
  return g->status;
}

static double bce_loss(double x, double t) { return fmax(x, 0) - x * t + log1p(exp(-fabs(x))); }
static double bce_slope(double x, double t) { return 1 / (1 + exp(-x)) - t; }
static double mse_loss(double x, double t) { return (x - t) * (x - t); }
static double mse_slope(double x, double t) { return 2 * (x - t); }
static double mae_loss(double x, double t) { return fabs(x - t); }
static double mae_slope(double x, double t) { return x > t ? 1 : x < t ? -1 : 0; }

static void bce_ref(const dor_refcall *c) { weighted(c, bce_loss, bce_slope); }
static void mse_ref(const dor_refcall *c) { weighted(c, mse_loss, mse_slope); }
static void mae_ref(const dor_refcall *c) { weighted(c, mae_loss, mae_slope); }

static const dor_case bce_cases[] = {
    {.name = "small", .in = {DOR_DIMS(33), DOR_DIMS(33), DOR_DIMS(33)}, .fill = {[1] = DOR_FILL_BINARY, [2] = DOR_FILL_POSITIVE}},
    {.name = "map", .in = {DOR_DIMS(2, 3, 5, 3), DOR_DIMS(2, 3, 5, 3), DOR_DIMS(2)}, .fill = {[1] = DOR_FILL_PROBABILITY, [2] = DOR_FILL_POSITIVE}},
    {0},
};
static const dor_case cases[] = {
    {.name = "small", .in = {DOR_DIMS(33), DOR_DIMS(33), DOR_DIMS(33)}, .fill = {DOR_FILL_DISTINCT, DOR_FILL_NOISE, DOR_FILL_POSITIVE}},
    {.name = "map", .in = {DOR_DIMS(2, 3, 5, 3), DOR_DIMS(2, 3, 5, 3), DOR_DIMS(2)}, .fill = {[2] = DOR_FILL_POSITIVE}},
    {0},
};

#define LOSS(op, text, its_cases)                                                                                           \
  const dor_op dor_op_##op = {.id = DOR_OP_##op, .name = #op, .formula = text, .nin = 3, .nout = 2, .given = 6, .naux = 1, .infer = infer, \
                              .cost = dor_cost_stream, .ref = op##_ref, .grad = grad, .cases = its_cases};                  \
  dor_val dor_##op(dor_graph *g, dor_val x, dor_val target, dor_val weight)                                                 \
  {                                                                                                                         \
    return dor_graph_add(g, &dor_op_##op, NULL, 3, (dor_val[]){x, target, weight});                                         \
  }
LOSS(bce, "loss = mean_w log(1 + exp(x)) - x t", bce_cases)
LOSS(mse, "loss = mean_w (x - t)^2", cases)
LOSS(mae, "loss = mean_w |x - t|", cases)

/* loss_bwd: (dloss [1], slope) -> dx = dloss slope */
static dor_status bwd_infer(const dor_infer *c)
{
  DOR_NEED(dor_shape_size(c->in[0].shape) == 1, SHAPE, "loss_bwd: dloss must be one number");
  c->out[0].shape = c->in[1].shape;
  return DOR_OK;
}

static void bwd_ref(const dor_refcall *c)
{
  int64_t n = dor_shape_size(c->type_out[0].shape);
  for (int64_t i = 0; i < n; i++) c->out[0][i] = c->in[0][0] * c->in[1][i];
}

static const dor_case bwd_cases[] = {{.name = "small", .in = {DOR_DIMS(1), DOR_DIMS(7, 5)}}, {0}};

const dor_op dor_op_loss_bwd = {.id = DOR_OP_loss_bwd, .name = "loss_bwd", .formula = "dx = dloss slope", .nin = 2, .nout = 1,
                                .narrow = {"-x", "x"}, .infer = bwd_infer, .cost = dor_cost_stream, .ref = bwd_ref, .cases = bwd_cases};

dor_val dor_loss_bwd(dor_graph *g, dor_val dloss, dor_val slope)
{
  return dor_graph_add(g, &dor_op_loss_bwd, NULL, 2, (dor_val[]){dloss, slope});
}
