/* SPDX-License-Identifier: Apache-2.0
 *
 * Updates of parameters, in place, over flat ranges [n] of the blocks. Rate,
 * step number and gradient scale are the step block's: t = step + 1 counts this
 * update, lr = step.lr lr_factor, g = grad step.grad_scale (times clip, if given).
 *
 *   clip_norm     c = min(1, max / (|g| + 1e-6)), |g| over all its inputs; outputs c [1] and |g| [1]
 *   sgd           g += decay p; p -= lr g
 *   sgd_momentum  g += decay p; m = momentum m + g; p -= lr (nesterov ? g + momentum m : m)
 *   adam          adam: g += decay p. adamw (decoupled): p -= lr decay p.
 *                 m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2
 *                 p -= lr / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps)
 *   ema           average = decay average + (1 - decay) p
 *   source        PyTorch SGD, Adam, AdamW, clip_grad_norm_; Sutskever et al. 2013; Kingma & Ba, arXiv:1412.6980;
 *                 Loshchilov & Hutter, arXiv:1711.05101 */
#include "ops/ops.h"

#include <math.h>

static const dor_key clip_keys[] = {DOR_ATTR_REAL(dor_clip_attr, max_norm, ""), {0}};
static const dor_key sgd_keys[] = {DOR_ATTR_REAL(dor_sgd_attr, lr_factor, ""), DOR_ATTR_REAL(dor_sgd_attr, decay, "L2"),
                                   DOR_ATTR_REAL(dor_sgd_attr, momentum, ""), DOR_ATTR_BOOL(dor_sgd_attr, nesterov, ""), {0}};
static const dor_key adam_keys[] = {DOR_ATTR_REAL(dor_adam_attr, lr_factor, ""), DOR_ATTR_REAL(dor_adam_attr, beta1, ""),
                                    DOR_ATTR_REAL(dor_adam_attr, beta2, ""), DOR_ATTR_REAL(dor_adam_attr, eps, ""),
                                    DOR_ATTR_REAL(dor_adam_attr, decay, ""), DOR_ATTR_BOOL(dor_adam_attr, decoupled, "adamw"), {0}};
static const dor_key ema_keys[] = {DOR_ATTR_REAL(dor_ema_attr, decay, ""), {0}};

static dor_status clip_infer(const dor_infer *c)
{
  const dor_clip_attr *a = c->attr;
  DOR_NEED(a->max_norm > 0, RANGE, "clip_norm: the largest norm must be above 0, got %g", a->max_norm);
  c->out[0].shape = c->out[1].shape = DOR_SHAPE(1);
  return DOR_OK;
}

static void clip_ref(const dor_refcall *c)
{
  const dor_clip_attr *a = c->attr;
  double s = 0;
  for (int32_t i = 0; i < c->nin; i++)
    for (int64_t k = 0, n = dor_shape_size(c->type_in[i].shape); k < n; k++) s += c->in[i][k] * c->in[i][k];
  double norm = sqrt(s) * (double)c->step->grad_scale;
  c->out[0][0] = fmin(1, a->max_norm / (norm + 1e-6));
  c->out[1][0] = norm;
}

static const dor_case clip_cases[] = {
    {.name = "small", .attr = &(dor_clip_attr){1}, .in = {DOR_DIMS(33), DOR_DIMS(5)}, .nin = 2},
    {.name = "under", .attr = &(dor_clip_attr){1e3}, .in = {DOR_DIMS(33)}, .nin = 1},
    {0},
};

const dor_op dor_op_clip_norm = {.id = DOR_OP_clip_norm, .name = "clip_norm", .formula = "c = min(1, max / |g|)", .nin = -1, .nout = 2,
                                 .attr_size = sizeof(dor_clip_attr), .keys = clip_keys, .infer = clip_infer, .cost = dor_cost_stream,
                                 .ref = clip_ref, .cases = clip_cases};

/* The first `state` inputs and the gradient after them are [n] alike; one more input is the clip. */
static dor_status update_infer(const dor_infer *c, int32_t state)
{
  DOR_NEED(c->nin == state + 1 || c->nin == state + 2, ARG, "update: %d inputs", c->nin);
  for (int32_t i = 1; i <= state; i++)
    DOR_NEED(dor_shape_same(c->in[0].shape, c->in[i].shape), SHAPE, "update: input %d is not as long as the parameters", i);
  DOR_NEED(c->nin == state + 1 || dor_shape_size(c->in[state + 1].shape) == 1, SHAPE, "update: clip must be one number");
  for (int32_t i = 0; i < c->nout; i++) c->out[i].shape = c->in[0].shape;
  return DOR_OK;
}

static dor_status one_infer(const dor_infer *c) { return update_infer(c, 1); }
static dor_status two_infer(const dor_infer *c) { return update_infer(c, 2); }
static dor_status three_infer(const dor_infer *c) { return update_infer(c, 3); }

static double gradient(const dor_refcall *c, int32_t at, int64_t i)
{
  return c->in[at][i] * (double)c->step->grad_scale * (c->nin > at + 1 ? c->in[at + 1][0] : 1);
}

static void sgd_ref(const dor_refcall *c)
{
  const dor_sgd_attr *a = c->attr;
  double lr = (double)c->step->lr * a->lr_factor;
  int64_t n = dor_shape_size(c->type_out[0].shape);
  for (int64_t i = 0; i < n; i++) c->out[0][i] = c->in[0][i] - lr * (gradient(c, 1, i) + a->decay * c->in[0][i]);
}

static void momentum_ref(const dor_refcall *c)
{
  const dor_sgd_attr *a = c->attr;
  double lr = (double)c->step->lr * a->lr_factor;
  int64_t n = dor_shape_size(c->type_out[0].shape);
  for (int64_t i = 0; i < n; i++) {
    double g = gradient(c, 2, i) + a->decay * c->in[0][i], m = a->momentum * c->in[1][i] + g;
    c->out[0][i] = c->in[0][i] - lr * (a->nesterov ? g + a->momentum * m : m);
    c->out[1][i] = m;
  }
}

static void adam_ref(const dor_refcall *c)
{
  const dor_adam_attr *a = c->attr;
  double t = (double)c->step->step + 1, lr = (double)c->step->lr * a->lr_factor;
  double c1 = 1 - pow(a->beta1, t), c2 = sqrt(1 - pow(a->beta2, t));
  int64_t n = dor_shape_size(c->type_out[0].shape);
  for (int64_t i = 0; i < n; i++) {
    double p = c->in[0][i], g = gradient(c, 3, i);
    if (a->decoupled) p -= lr * a->decay * p;
    else g += a->decay * p;
    double m = a->beta1 * c->in[1][i] + (1 - a->beta1) * g, v = a->beta2 * c->in[2][i] + (1 - a->beta2) * g * g;
    c->out[0][i] = p - lr / c1 * m / (sqrt(v) / c2 + a->eps);
    c->out[1][i] = m;
    c->out[2][i] = v;
  }
}

static void ema_ref(const dor_refcall *c)
{
  double d = ((const dor_ema_attr *)c->attr)->decay;
  int64_t n = dor_shape_size(c->type_out[0].shape);
  for (int64_t i = 0; i < n; i++) c->out[0][i] = d * c->in[0][i] + (1 - d) * c->in[1][i];
}

#define N37 DOR_DIMS(37)
#define BIG DOR_DIMS(1 << 22)
static const dor_case sgd_cases[] = {
    {.name = "plain", .attr = &(dor_sgd_attr){1, 0, 0, false}, .in = {N37, N37}, .nin = 2},
    {.name = "clipped", .attr = &(dor_sgd_attr){0.5, 0.01, 0, false}, .in = {N37, N37, DOR_DIMS(1)}, .nin = 3},
    {0},
};
static const dor_case momentum_cases[] = {
    {.name = "heavy", .attr = &(dor_sgd_attr){1, 0.01, 0.9, false}, .in = {N37, N37, N37}, .nin = 3},
    {.name = "nesterov", .attr = &(dor_sgd_attr){1, 0.01, 0.9, true}, .in = {N37, N37, N37, DOR_DIMS(1)}, .nin = 4},
    {0},
};
static const dor_case adam_cases[] = {
    {.name = "adam", .attr = &(dor_adam_attr){1, 0.9, 0.999, 1e-8, 0.01, false}, .in = {N37, N37, N37, N37},
     .fill = {[2] = DOR_FILL_POSITIVE}, .nin = 4},
    {.name = "adamw", .attr = &(dor_adam_attr){0.5, 0.9, 0.999, 1e-8, 0.01, true}, .in = {N37, N37, N37, N37, DOR_DIMS(1)},
     .fill = {[2] = DOR_FILL_POSITIVE}, .nin = 5},
    {.name = "4M", .attr = &(dor_adam_attr){1, 0.9, 0.999, 1e-8, 0, false}, .in = {BIG, BIG, BIG, BIG}, .fill = {[2] = DOR_FILL_POSITIVE},
     .nin = 4, .bench = true},
    {0},
};
static const dor_case ema_cases[] = {{.name = "small", .attr = &(dor_ema_attr){0.99}, .in = {N37, N37}}, {0}};

const dor_op dor_op_sgd = {.id = DOR_OP_sgd, .name = "sgd", .formula = "p -= lr g", .nin = -1, .nout = 1, .alias = {1},
                           .attr_size = sizeof(dor_sgd_attr), .keys = sgd_keys, .infer = one_infer, .cost = dor_cost_stream,
                           .ref = sgd_ref, .cases = sgd_cases};
const dor_op dor_op_sgd_momentum = {.id = DOR_OP_sgd_momentum, .name = "sgd_momentum", .formula = "m = u m + g, p -= lr m", .nin = -1, .nout = 2,
                                    .alias = {1, 2}, .attr_size = sizeof(dor_sgd_attr), .keys = sgd_keys, .infer = two_infer,
                                    .cost = dor_cost_stream, .ref = momentum_ref, .cases = momentum_cases};
const dor_op dor_op_adam = {.id = DOR_OP_adam, .name = "adam", .formula = "p -= lr m / (sqrt v + eps)", .nin = -1, .nout = 3, .alias = {1, 2, 3},
                            .attr_size = sizeof(dor_adam_attr), .keys = adam_keys, .infer = three_infer, .cost = dor_cost_stream,
                            .ref = adam_ref, .cases = adam_cases};
const dor_op dor_op_ema = {.id = DOR_OP_ema, .name = "ema", .formula = "a = d a + (1 - d) p", .nin = 2, .nout = 1, .alias = {1},
                           .attr_size = sizeof(dor_ema_attr), .keys = ema_keys, .infer = one_infer, .cost = dor_cost_stream,
                           .ref = ema_ref, .cases = ema_cases};

dor_val dor_clip_norm(dor_graph *g, int32_t n, const dor_val grad[], double max_norm)
{
  return dor_graph_add(g, &dor_op_clip_norm, &(dor_clip_attr){max_norm}, n, grad);
}

dor_val dor_sgd(dor_graph *g, dor_val p, dor_val grad, dor_val clip, const dor_sgd_attr *a)
{
  return dor_graph_add(g, &dor_op_sgd, a, clip == DOR_NONE ? 2 : 3, (dor_val[]){p, grad, clip});
}

dor_val dor_sgd_momentum(dor_graph *g, dor_val p, dor_val m, dor_val grad, dor_val clip, const dor_sgd_attr *a)
{
  return dor_graph_add(g, &dor_op_sgd_momentum, a, clip == DOR_NONE ? 3 : 4, (dor_val[]){p, m, grad, clip});
}

dor_val dor_adam(dor_graph *g, dor_val p, dor_val m, dor_val v, dor_val grad, dor_val clip, const dor_adam_attr *a)
{
  return dor_graph_add(g, &dor_op_adam, a, clip == DOR_NONE ? 4 : 5, (dor_val[]){p, m, v, grad, clip});
}

dor_val dor_ema(dor_graph *g, dor_val average, dor_val p, double decay)
{
  return dor_graph_add(g, &dor_op_ema, &(dor_ema_attr){decay}, 2, (dor_val[]){average, p});
}
