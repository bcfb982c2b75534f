/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch normalisation in pieces: training is bn_stats, bn_norm and bn_running,
 * backward bn_reduce and bn_dx, inference bn_infer.
 *
 *   x [...,C], n numbers a channel   mean, var, gamma, beta [C]   h = (x - mean) / sqrt(var + eps)
 *   bn_stats   mean = sum x / n, var = sum (x - mean)^2 / n
 *   bn_norm    y = gamma h + beta
 *   grad       of bn_norm, for mean and var that bn_stats made of this very x: dgamma = sum dy h, dbeta = sum dy,
 *              dx = gamma / sqrt(var + eps) (dy - dbeta / n - h dgamma / n).
 *              What mean and var contribute is in that dx already: they carry no gradient of their own.
 *   bn_infer   the same with the running moments, which are constants: dx = gamma / sqrt(var + eps) dy (bn_infer_dx),
 *              dgamma and dbeta as above
 *   bn_running r <- (1 - momentum) r + momentum s, in place; the variance of n - 1 goes into the running one; one batch more is counted
 *   source     Ioffe & Szegedy, arXiv:1502.03167; PyTorch BatchNorm2d */
#include "ops/ops.h"

#include <math.h>
#include <string.h>

static const dor_key keys[] = {DOR_ATTR_REAL(dor_bn_attr, eps, "under the root"), {0}};

static dor_status vectors(const dor_infer *c, int32_t from, int32_t channels)
{
  for (int32_t i = from; i < c->nin; i++)
    DOR_NEED(c->in[i].shape.n == 1 && c->in[i].shape.d[0] == channels, SHAPE, "batch norm: input %d must be [%d]", i, channels);
  return DOR_OK;
}

static dor_cost per_element(const dor_infer *c, double flops, double passes)
{
  double n = (double)dor_shape_size(c->in[0].shape);
  return (dor_cost){flops * n, 4 * passes * n};
}

static dor_status stats_infer(const dor_infer *c)
{
  DOR_NEED(c->in[0].shape.n >= 2, SHAPE, "bn_stats: wants [...,C]");
  c->out[0].shape = c->out[1].shape = DOR_SHAPE(dor_last_dim(c->in[0].shape));
  return DOR_OK;
}

static dor_cost stats_cost(const dor_infer *c) { return per_element(c, 4, 1); }

static void stats_ref(const dor_refcall *c)
{
  int64_t k = dor_last_dim(c->type_in[0].shape), n = dor_shape_size(c->type_in[0].shape) / k;
  for (int64_t j = 0; j < k; j++) {
    double s = 0, v = 0;
    for (int64_t r = 0; r < n; r++) s += c->in[0][r * k + j];
    for (int64_t r = 0; r < n; r++) v += pow(c->in[0][r * k + j] - s / (double)n, 2);
    c->out[0][j] = s / (double)n;
    c->out[1][j] = v / (double)n;
  }
}

#define IMAGE DOR_DIMS(3, 4, 5, 7)
#define BIG DOR_DIMS(32, 64, 64, 32)
#define C7 DOR_DIMS(7)
#define C32 DOR_DIMS(32)
static const dor_case stats_cases[] = {
    {.name = "rows", .in = {DOR_DIMS(9, 5)}},
    {.name = "image", .in = {IMAGE}},
    {.name = "64x64", .in = {BIG}, .bench = true},
    {0},
};

const dor_op dor_op_bn_stats = {.id = DOR_OP_bn_stats, .name = "bn_stats", .formula = "mean, var over all but channels", .nin = 1, .nout = 2,
                                .narrow = {"x", "-"}, .infer = stats_infer, .cost = stats_cost, .ref = stats_ref, .cases = stats_cases};

static dor_status norm_infer(const dor_infer *c)
{
  DOR_NEED(c->in[0].shape.n >= 2, SHAPE, "batch norm: wants x [...,C]");
  DOR_TRY(vectors(c, 1, dor_last_dim(c->in[0].shape)));
  c->out[0] = c->in[0];
  return DOR_OK;
}

static dor_cost norm_cost(const dor_infer *c) { return per_element(c, 2, 2); }

static void norm_ref(const dor_refcall *c)
{
  const dor_bn_attr *a = c->attr;
  int64_t k = dor_last_dim(c->type_in[0].shape), n = dor_shape_size(c->type_in[0].shape);
  const double *x = c->in[0], *mean = c->in[1], *var = c->in[2], *gamma = c->in[3], *beta = c->in[4];
  for (int64_t i = 0; i < n; i++)
    c->out[0][i] = gamma[i % k] * (x[i] - mean[i % k]) / sqrt(var[i % k] + a->eps) + beta[i % k];
}

static dor_status norm_grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  double eps = ((const dor_bn_attr *)n->attr)->eps;
  dor_val x = n->in[0], mean = n->in[1], var = n->in[2], gamma = n->in[3];
  dor_val dgamma = dor_bn_reduce(g, gout[0], x, mean, var, eps), dbeta = dor_graph_output(g, dgamma, 1);
  gin[0] = dor_bn_dx(g, gout[0], x, mean, var, gamma, dgamma, dbeta, eps);
  gin[3] = dgamma;
  gin[4] = dbeta;
  return g->status;
}

static const dor_bn_attr eps5 = {1e-5};
static const dor_case norm_cases[] = {
    {.name = "rows", .attr = &eps5, .in = {DOR_DIMS(9, 7), C7, C7, C7, C7}, .fill = {[2] = DOR_FILL_POSITIVE}},
    {.name = "image", .attr = &eps5, .in = {IMAGE, C7, C7, C7, C7}, .fill = {[2] = DOR_FILL_POSITIVE}},
    {.name = "64x64", .attr = &eps5, .in = {BIG, C32, C32, C32, C32}, .fill = {[2] = DOR_FILL_POSITIVE}, .bench = true},
    {0},
};

const dor_op dor_op_bn_norm = {.id = DOR_OP_bn_norm, .name = "bn_norm", .formula = "y = gamma (x - mean) / sqrt(var + eps) + beta",
                               .nin = 5, .nout = 1, .given = 6, .attr_size = sizeof(dor_bn_attr), .keys = keys, .narrow = {"x-", "x"}, .infer = norm_infer,
                               .cost = norm_cost, .ref = norm_ref, .grad = norm_grad, .cases = norm_cases};

/* bn_infer: the same with the running moments, which are constants. */
static dor_status infer_grad(dor_graph *g, const dor_node *n, const dor_val gout[], dor_val gin[])
{
  double eps = ((const dor_bn_attr *)n->attr)->eps;
  gin[0] = dor_bn_infer_dx(g, gout[0], n->in[2], n->in[3], eps);
  gin[3] = dor_bn_reduce(g, gout[0], n->in[0], n->in[1], n->in[2], eps);
  gin[4] = dor_graph_output(g, gin[3], 1);
  return g->status;
}

const dor_op dor_op_bn_infer = {.id = DOR_OP_bn_infer, .name = "bn_infer", .formula = "y = gamma (x - mean) / sqrt(var + eps) + beta",
                                .nin = 5, .nout = 1, .given = 6, .attr_size = sizeof(dor_bn_attr), .keys = keys, .narrow = {"x-", "x"}, .infer = norm_infer,
                                .cost = norm_cost, .ref = norm_ref, .grad = infer_grad, .cases = norm_cases};

/* bn_infer_dx: (dy, var, gamma) -> dx */
static void infer_dx_ref(const dor_refcall *c)
{
  const dor_bn_attr *a = c->attr;
  int64_t k = dor_last_dim(c->type_in[0].shape), n = dor_shape_size(c->type_in[0].shape);
  for (int64_t i = 0; i < n; i++) c->out[0][i] = c->in[2][i % k] / sqrt(c->in[1][i % k] + a->eps) * c->in[0][i];
}

static const dor_case infer_dx_cases[] = {
    {.name = "rows", .attr = &eps5, .in = {DOR_DIMS(9, 7), C7, C7}, .fill = {[1] = DOR_FILL_POSITIVE}},
    {.name = "image", .attr = &eps5, .in = {IMAGE, C7, C7}, .fill = {[1] = DOR_FILL_POSITIVE}},
    {0},
};

const dor_op dor_op_bn_infer_dx = {.id = DOR_OP_bn_infer_dx, .name = "bn_infer_dx", .formula = "dx = gamma / sd dy", .nin = 3, .nout = 1,
                                   .attr_size = sizeof(dor_bn_attr), .keys = keys,
                                   .narrow = {"x-", "x"}, .infer = norm_infer, .cost = norm_cost, .ref = infer_dx_ref,
                                   .cases = infer_dx_cases};

/* bn_reduce: (dy, x, mean, var) -> dgamma, dbeta */
static dor_status reduce_infer(const dor_infer *c)
{
  DOR_NEED(c->in[0].shape.n >= 2 && dor_shape_same(c->in[0].shape, c->in[1].shape), SHAPE, "bn_reduce: dy and x differ");
  DOR_TRY(vectors(c, 2, dor_last_dim(c->in[0].shape)));
  c->out[0].shape = c->out[1].shape = DOR_SHAPE(dor_last_dim(c->in[0].shape));
  return DOR_OK;
}

static dor_cost reduce_cost(const dor_infer *c) { return per_element(c, 4, 2); }

static void reduce_ref(const dor_refcall *c)
{
  const dor_bn_attr *a = c->attr;
  int64_t k = dor_last_dim(c->type_in[0].shape), n = dor_shape_size(c->type_in[0].shape);
  const double *dy = c->in[0], *x = c->in[1], *mean = c->in[2], *var = c->in[3];
  memset(c->out[0], 0, (size_t)k * sizeof(double));
  memset(c->out[1], 0, (size_t)k * sizeof(double));
  for (int64_t i = 0; i < n; i++) {
    c->out[0][i % k] += dy[i] * (x[i] - mean[i % k]) / sqrt(var[i % k] + a->eps);
    c->out[1][i % k] += dy[i];
  }
}

static const dor_case reduce_cases[] = {
    {.name = "rows", .attr = &eps5, .in = {DOR_DIMS(9, 7), DOR_DIMS(9, 7), C7, C7}, .fill = {[3] = DOR_FILL_POSITIVE}},
    {.name = "image", .attr = &eps5, .in = {IMAGE, IMAGE, C7, C7}, .fill = {[3] = DOR_FILL_POSITIVE}},
    {.name = "64x64", .attr = &eps5, .in = {BIG, BIG, C32, C32}, .fill = {[3] = DOR_FILL_POSITIVE}, .bench = true},
    {0},
};

const dor_op dor_op_bn_reduce = {.id = DOR_OP_bn_reduce, .name = "bn_reduce", .formula = "dgamma = sum dy h, dbeta = sum dy", .nin = 4,
                                 .nout = 2, .attr_size = sizeof(dor_bn_attr), .keys = keys, .narrow = {"xx-", "-"}, .infer = reduce_infer,
                                 .cost = reduce_cost, .ref = reduce_ref, .cases = reduce_cases};

/* bn_dx: (dy, x, mean, var, gamma, dgamma, dbeta) -> dx */
static dor_status dx_infer(const dor_infer *c)
{
  DOR_NEED(c->in[0].shape.n >= 2 && dor_shape_same(c->in[0].shape, c->in[1].shape), SHAPE, "bn_dx: dy and x differ");
  DOR_TRY(vectors(c, 2, dor_last_dim(c->in[0].shape)));
  c->out[0] = c->in[0];
  return DOR_OK;
}

static dor_cost dx_cost(const dor_infer *c) { return per_element(c, 5, 3); }

static void dx_ref(const dor_refcall *c)
{
  const dor_bn_attr *a = c->attr;
  int64_t k = dor_last_dim(c->type_in[0].shape), size = dor_shape_size(c->type_in[0].shape);
  double n = (double)(size / k);
  const double *dy = c->in[0], *x = c->in[1], *mean = c->in[2], *var = c->in[3], *gamma = c->in[4], *dg = c->in[5], *db = c->in[6];
  for (int64_t i = 0; i < size; i++) {
    int64_t j = i % k;
    double inv = 1 / sqrt(var[j] + a->eps), h = (x[i] - mean[j]) * inv;
    c->out[0][i] = gamma[j] * inv * (dy[i] - db[j] / n - h * dg[j] / n);
  }
}

static const dor_case dx_cases[] = {
    {.name = "rows", .attr = &eps5, .in = {DOR_DIMS(9, 7), DOR_DIMS(9, 7), C7, C7, C7, C7, C7}, .fill = {[3] = DOR_FILL_POSITIVE}},
    {.name = "image", .attr = &eps5, .in = {IMAGE, IMAGE, C7, C7, C7, C7, C7}, .fill = {[3] = DOR_FILL_POSITIVE}},
    {.name = "64x64", .attr = &eps5, .in = {BIG, BIG, C32, C32, C32, C32, C32}, .fill = {[3] = DOR_FILL_POSITIVE}, .bench = true},
    {0},
};

const dor_op dor_op_bn_dx = {.id = DOR_OP_bn_dx, .name = "bn_dx", .formula = "dx = gamma / sd (dy - dbeta / n - h dgamma / n)", .nin = 7,
                             .nout = 1, .attr_size = sizeof(dor_bn_attr), .keys = keys, .narrow = {"xx-", "x"}, .infer = dx_infer, .cost = dx_cost,
                             .ref = dx_ref, .cases = dx_cases};

/* bn_running: (running_mean, running_var, batches, mean, var) -> the first three, in place; batches is one i32 */
static const dor_key running_keys[] = {DOR_ATTR_REAL(dor_bn_running_attr, momentum, "weight of this batch"),
                                       DOR_ATTR_REAL(dor_bn_running_attr, unbias, "n / (n - 1)"), {0}};

static dor_status running_infer(const dor_infer *c)
{
  dor_shape s = c->in[0].shape;
  DOR_NEED(s.n == 1 && dor_shape_same(s, c->in[1].shape), SHAPE, "bn_running: wants [C]");
  DOR_TRY(vectors(c, 3, s.d[0]));
  DOR_NEED(c->in[2].dtype == DOR_I32 && dor_shape_size(c->in[2].shape) == 1, SHAPE, "bn_running: batches are counted in one i32");
  c->out[0].shape = c->out[1].shape = s;
  c->out[2] = c->in[2];
  return DOR_OK;
}

static void running_ref(const dor_refcall *c)
{
  const dor_bn_running_attr *a = c->attr;
  for (int32_t j = 0; j < c->type_in[0].shape.d[0]; j++) {
    c->out[0][j] = (1 - a->momentum) * c->in[0][j] + a->momentum * c->in[3][j];
    c->out[1][j] = (1 - a->momentum) * c->in[1][j] + a->momentum * a->unbias * c->in[4][j];
  }
  c->out[2][0] = c->in[2][0] + 1;
}

static const dor_case running_cases[] = {
    {.name = "small", .attr = &(dor_bn_running_attr){0.1, 60.0 / 59}, .in = {C7, C7, DOR_DIMS(1), C7, C7}, .dtype = {[2] = DOR_I32},
     .fill = {[1] = DOR_FILL_POSITIVE, [2] = DOR_FILL_LABELS, [4] = DOR_FILL_POSITIVE}, .labels = 1000},
    {0},
};

const dor_op dor_op_bn_running = {.id = DOR_OP_bn_running, .name = "bn_running", .formula = "r = (1 - m) r + m s, batches += 1", .nin = 5, .nout = 3,
                                  .alias = {1, 2, 3}, .attr_size = sizeof(dor_bn_running_attr), .keys = running_keys, .infer = running_infer,
                                  .cost = dor_cost_stream, .ref = running_ref, .cases = running_cases};

dor_val dor_bn_stats(dor_graph *g, dor_val x) { return dor_graph_add(g, &dor_op_bn_stats, NULL, 1, (dor_val[]){x}); }

dor_val dor_bn_norm(dor_graph *g, dor_val x, dor_val mean, dor_val var, dor_val gamma, dor_val beta, double eps)
{
  return dor_graph_add(g, &dor_op_bn_norm, &(dor_bn_attr){eps}, 5, (dor_val[]){x, mean, var, gamma, beta});
}

dor_val dor_bn_infer(dor_graph *g, dor_val x, dor_val mean, dor_val var, dor_val gamma, dor_val beta, double eps)
{
  return dor_graph_add(g, &dor_op_bn_infer, &(dor_bn_attr){eps}, 5, (dor_val[]){x, mean, var, gamma, beta});
}

dor_val dor_bn_reduce(dor_graph *g, dor_val dy, dor_val x, dor_val mean, dor_val var, double eps)
{
  return dor_graph_add(g, &dor_op_bn_reduce, &(dor_bn_attr){eps}, 4, (dor_val[]){dy, x, mean, var});
}

dor_val dor_bn_dx(dor_graph *g, dor_val dy, dor_val x, dor_val mean, dor_val var, dor_val gamma, dor_val dgamma, dor_val dbeta, double eps)
{
  return dor_graph_add(g, &dor_op_bn_dx, &(dor_bn_attr){eps}, 7, (dor_val[]){dy, x, mean, var, gamma, dgamma, dbeta});
}

dor_val dor_bn_infer_dx(dor_graph *g, dor_val dy, dor_val var, dor_val gamma, double eps)
{
  return dor_graph_add(g, &dor_op_bn_infer_dx, &(dor_bn_attr){eps}, 3, (dor_val[]){dy, var, gamma});
}

dor_val dor_bn_running(dor_graph *g, const dor_norm_state *s, dor_val mean, dor_val var, int64_t count, double momentum)
{
  dor_bn_running_attr a = {momentum, count > 1 ? (double)count / (double)(count - 1) : 1};
  return dor_graph_add(g, &dor_op_bn_running, &a, 5, (dor_val[]){s->mean, s->var, s->batches, mean, var});
}

dor_val dor_batch_norm(dor_graph *g, dor_val x, dor_val gamma, dor_val beta, const dor_norm_state *s, double eps, double momentum)
{
  if (g->status) return DOR_NONE;
  if (!g->training) return dor_bn_infer(g, x, s->mean, s->var, gamma, beta, eps);
  dor_shape shape = dor_graph_type(g, x).shape;
  dor_val mean = dor_bn_stats(g, x), var = dor_graph_output(g, mean, 1);
  dor_bn_running(g, s, mean, var, dor_shape_size(shape) / dor_last_dim(shape), momentum);
  return dor_bn_norm(g, x, mean, var, gamma, beta, eps);
}
