/* SPDX-License-Identifier: Apache-2.0
 *
 * softmax_ce: cross-entropy of softmax(x) with a class label, averaged over weighted samples.
 *
 *   x [N,K]   label [N] f32, a whole number in [0, K)   weight [N]   class_weight c [K] or left out (ones)
 *   q_ik = (1 - e)[k = label_i] + e / K with label smoothing e
 *   loss [1] = sum_i w_i sum_k -c_k q_ik log softmax(x_i)_k / sum_i w_i c_label_i; 0 when that sum is 0
 *   slope [N,K] = dloss/dx, made on the way: the backward only multiplies (loss_bwd)
 *   source    PyTorch cross_entropy(weight, label_smoothing, reduction = "mean") with weights of samples beside those of classes */
#include "ops/ops.h"

#include <math.h>

static const dor_key keys[] = {DOR_ATTR_REAL(dor_ce_attr, smoothing, "of labels"), {0}};

static dor_status infer(const dor_infer *c)
{
  const dor_ce_attr *a = c->attr;
  dor_shape x = c->in[0].shape;
  DOR_NEED(c->nin == 3 || c->nin == 4, ARG, "softmax_ce: wants 3 or 4 inputs");
  DOR_NEED(x.n == 2, SHAPE, "softmax_ce: wants logits [N,K]");
  for (int32_t i = 1; i < 3; i++)
    DOR_NEED(c->in[i].shape.n == 1 && c->in[i].shape.d[0] == x.d[0], SHAPE, "softmax_ce: labels and weights must be [%d]", x.d[0]);
  DOR_NEED(c->nin == 3 || (c->in[3].shape.n == 1 && c->in[3].shape.d[0] == x.d[1]), SHAPE, "softmax_ce: class weights must be [%d]", x.d[1]);
  DOR_NEED(a->smoothing >= 0 && a->smoothing < 1, RANGE, "softmax_ce: smoothing must lie in [0, 1), got %g", a->smoothing);
  c->out[0].shape = DOR_SHAPE(1);
  c->out[1].shape = x;
  return DOR_OK;
}

static dor_cost cost(const dor_infer *c)
{
  dor_cost r = dor_cost_stream(c);
  r.flops = 8.0 * (double)dor_shape_size(c->in[0].shape);
  return r;
}

/* One sample: its loss and slope, both before the division by the weights' sum. */
static double sample(const dor_refcall *c, int32_t i, int32_t k)
{
  const double *x = c->in[0] + (int64_t)i * k, *cw = c->nin == 4 ? c->in[3] : NULL;
  double e = ((const dor_ce_attr *)c->attr)->smoothing, w = c->in[2][i], top = x[0], s = 0, loss = 0, mass = 0;
  int32_t label = (int32_t)c->in[1][i];
  for (int32_t j = 1; j < k; j++) top = fmax(top, x[j]);
  for (int32_t j = 0; j < k; j++) s += exp(x[j] - top);
  for (int32_t j = 0; j < k; j++) {
    double q = (cw ? cw[j] : 1) * ((j == label ? 1 - e : 0) + e / k);
    loss -= q * (x[j] - top - log(s));
    mass += q;
  }
  for (int32_t j = 0; j < k; j++) {
    double q = (cw ? cw[j] : 1) * ((j == label ? 1 - e : 0) + e / k);
    c->out[1][(int64_t)i * k + j] = w * (mass * exp(x[j] - top) / s - q);
  }
  return w * loss;
}

static void ref(const dor_refcall *c)
{
  int32_t n = c->type_in[0].shape.d[0], k = c->type_in[0].shape.d[1];
  double loss = 0, sum = 0;
  for (int32_t i = 0; i < n; i++) {
    loss += sample(c, i, k);
    sum += c->in[2][i] * (c->nin == 4 ? c->in[3][(int32_t)c->in[1][i]] : 1);
  }
  c->out[0][0] = sum > 0 ? loss / sum : 0;
  for (int64_t j = 0; j < (int64_t)n * k; j++) c->out[1][j] = sum > 0 ? c->out[1][j] / sum : 0;
}

static dor_status grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  gin[0] = dor_loss_bwd(g, gout[0], n->out[1]);
  return g->status;
}

#define FILLS {[1] = DOR_FILL_LABELS, [2] = DOR_FILL_POSITIVE, [3] = DOR_FILL_POSITIVE}
static const dor_ce_attr hard = {0}, soft = {0.1};
static const dor_case cases[] = {
    {.name = "two", .attr = &hard, .in = {DOR_DIMS(33, 2), DOR_DIMS(33), DOR_DIMS(33)}, .fill = FILLS, .nin = 3, .labels = 2},
    {.name = "five", .attr = &hard, .in = {DOR_DIMS(7, 5), DOR_DIMS(7), DOR_DIMS(7), DOR_DIMS(5)}, .fill = FILLS, .nin = 4, .labels = 5},
    {.name = "soft", .attr = &soft, .in = {DOR_DIMS(7, 5), DOR_DIMS(7), DOR_DIMS(7), DOR_DIMS(5)}, .fill = FILLS, .nin = 4, .labels = 5},
    {0},
};

const dor_op dor_op_softmax_ce = {.id = DOR_OP_softmax_ce, .name = "softmax_ce", .formula = "loss = mean_w -log softmax(x)_label", .nin = -1,
                                  .nout = 2, .given = 14, .naux = 1, .attr_size = sizeof(dor_ce_attr), .keys = keys, .infer = infer, .cost = cost, .ref = ref,
                                  .grad = grad, .cases = cases};

dor_val dor_softmax_ce(dor_graph *g, dor_val x, dor_val label, dor_val weight, dor_val class_weight, double smoothing)
{
  return dor_graph_add(g, &dor_op_softmax_ce, &(dor_ce_attr){smoothing}, class_weight == DOR_NONE ? 3 : 4,
                       (dor_val[]){x, label, weight, class_weight});
}
