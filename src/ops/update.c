/* SPDX-License-Identifier: Apache-2.0
 *
 * The update of all parameters, in place: one node for a model, over the runs [begin, end) of its flat blocks that share
 * rate and decay. Rate, step number and gradient scale are the step block's: t = step + 1 counts this update,
 * lr = step.lr lr_factor, g = grad step.grad_scale (times clip, if given).
 *
 *   clip_norm     grad [n] -> c = min(1, max / (|g| + 1e-6)), |g| over all runs; outputs c [1] and |g| [1]
 *   update        p [n], m [k n], grad [n], clip [1]? -> p, m, n a multiple of 16; m is what the rule keeps, one [n] after another, then the
 *                 average where there is one; it is [1], and left alone, where nothing is kept
 *     sgd         g += decay p; p -= lr g
 *       momentum  g += decay p; m = momentum m + g; p -= lr (nesterov ? g + momentum m : m)
 *     adam        adam: g += decay p. adamw: p -= lr decay p.
 *                 m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2
 *                 p -= lr / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps)
 *     average     a = ema a + (1 - ema) p
 *     clip        below 0: the step is left out; a second number says how many were, which t does not count (loss_scale.c)
 *   source        PyTorch SGD, Adam, AdamW, clip_grad_norm_; Sutskever et al. 2013; Kingma & Ba, arXiv:1412.6980;
 *                 Loshchilov & Hutter, arXiv:1711.05101 */
#include "ops/ops.h"

#include <math.h>
#include <string.h>

static const dor_key clip_keys[] = {DOR_ATTR_REAL(dor_clip_attr, max_norm, ""), DOR_ATTR_INT(dor_clip_attr, n, "runs"), {0}};
static const dor_key update_keys[] = {DOR_ATTR_INT(dor_update_attr, rule, "adam, adamw, sgd"), DOR_ATTR_INT(dor_update_attr, n, "runs"),
                                      DOR_ATTR_REAL(dor_update_attr, beta1, ""), DOR_ATTR_REAL(dor_update_attr, beta2, ""),
                                      DOR_ATTR_REAL(dor_update_attr, eps, ""), DOR_ATTR_REAL(dor_update_attr, momentum, ""),
                                      DOR_ATTR_BOOL(dor_update_attr, nesterov, ""), DOR_ATTR_REAL(dor_update_attr, ema, ""), {0}};

dor_status dor_infer_ranges(const char *what, int32_t n, const dor_range *run, dor_shape block)
{
  int64_t last = 0, all = dor_shape_size(block);
  DOR_NEED(n > 0 && block.n == 1 && all % DOR_RANGE_ALIGN == 0, ARG, "%s: %d runs of a block of %lld numbers", what, n, (long long)all);
  for (int32_t i = 0; i < n; i++) {
    DOR_NEED(run[i].begin >= last && run[i].begin % DOR_RANGE_ALIGN == 0 && run[i].end > run[i].begin && run[i].end <= all, RANGE,
             "%s: run %d, numbers %lld to %lld, of %lld", what, i, (long long)run[i].begin, (long long)run[i].end, (long long)all);
    last = run[i].end;
  }
  return DOR_OK;
}

static dor_status clip_infer(const dor_infer *c)
{
  const dor_clip_attr *a = c->attr;
  DOR_NEED(a->max_norm > 0, RANGE, "clip_norm: the largest norm must be above 0, got %g", a->max_norm);
  c->out[0].shape = c->out[1].shape = DOR_SHAPE(1);
  return dor_infer_ranges("clip_norm", a->n, a->run, c->in[0].shape);
}

static void clip_ref(const dor_refcall *c)
{
  const dor_clip_attr *a = c->attr;
  double s = 0;
  for (int32_t i = 0; i < a->n; i++)
    for (int64_t k = a->run[i].begin; k < a->run[i].end; k++) s += c->in[0][k] * c->in[0][k];
  double norm = sqrt(s) * (double)c->step->grad_scale;
  c->out[0][0] = fmin(1, a->max_norm / (norm + 1e-6));
  c->out[1][0] = norm;
}

static dor_status update_infer(const dor_infer *c)
{
  const dor_update_attr *a = c->attr;
  const int64_t n = dor_shape_size(c->in[0].shape), kept = (dor_update_kept(a) + (a->ema > 0)) * n;
  DOR_NEED(c->nin == 3 || c->nin == 4, ARG, "update: %d inputs", c->nin);
  DOR_NEED(dor_shape_same(c->in[0].shape, c->in[2].shape), SHAPE, "update: the gradient is not as long as the parameters");
  DOR_NEED(dor_shape_size(c->in[1].shape) == (kept ? kept : 1), SHAPE, "update: %lld numbers are kept, not %lld", (long long)kept,
           (long long)dor_shape_size(c->in[1].shape));
  DOR_NEED(c->nin == 3 || dor_shape_size(c->in[3].shape) <= 2, SHAPE, "update: clip must be one number, or two");
  for (int32_t i = 0; i < 2; i++) c->out[i].shape = c->in[i].shape;
  return dor_infer_ranges("update", a->n, a->run, c->in[0].shape);
}

typedef struct one { double p, m, v; } one; /* a parameter and what is kept of it */

static void sgd(const dor_update_attr *a, const dor_range *r, double lr, double g, one *x)
{
  g += r->decay * x->p;
  x->m = a->momentum * x->m + g;
  x->p -= lr * (a->nesterov ? g + a->momentum * x->m : x->m);
}

static void adam(const dor_update_attr *a, const dor_range *r, double lr, double t, double g, one *x)
{
  if (a->rule == DOR_RULE_ADAMW) x->p -= lr * r->decay * x->p;
  else g += r->decay * x->p;
  x->m = a->beta1 * x->m + (1 - a->beta1) * g;
  x->v = a->beta2 * x->v + (1 - a->beta2) * g * g;
  x->p -= lr / (1 - pow(a->beta1, t)) * x->m / (sqrt(x->v) / sqrt(1 - pow(a->beta2, t)) + a->eps);
}

static void update_run(const dor_refcall *c, const dor_range *r)
{
  const double skipped = c->nin > 3 && dor_shape_size(c->type_in[3].shape) > 1 ? c->in[3][1] : 0;
  const dor_update_attr *a = c->attr;
  const int32_t kept = dor_update_kept(a);
  const int64_t n = dor_shape_size(c->type_out[0].shape);
  const double lr = (double)c->step->lr * r->lr_factor, t = (double)c->step->step + 1 - skipped;
  double *m = c->out[1], *v = m + n, *average = m + kept * n;
  for (int64_t i = r->begin; i < r->end; i++) {
    const double g = c->in[2][i] * (double)c->step->grad_scale * (c->nin > 3 ? c->in[3][0] : 1);
    one x = {c->in[0][i], kept ? m[i] : 0, kept > 1 ? v[i] : 0};
    if (a->rule == DOR_RULE_SGD) sgd(a, r, lr, g, &x);
    else adam(a, r, lr, t, g, &x);
    c->out[0][i] = x.p;
    if (kept) m[i] = x.m;
    if (kept > 1) v[i] = x.v;
    if (a->ema > 0) average[i] = a->ema * average[i] + (1 - a->ema) * x.p;
  }
}

static void update_ref(const dor_refcall *c)
{
  const dor_update_attr *a = c->attr;
  for (int32_t i = 0; i < 2; i++) memcpy(c->out[i], c->in[i], (size_t)dor_shape_size(c->type_out[i].shape) * sizeof(double));
  if (c->nin > 3 && c->in[3][0] < 0) return;
  for (int32_t i = 0; i < a->n; i++) update_run(c, &a->run[i]);
}

#define N96 DOR_DIMS(96)
#define KEPT(k) DOR_DIMS((k) * 96)
#define BIG (1 << 22)
static const dor_range whole[] = {{0, 85, 1, 0}}, apart[] = {{0, 37, 1, 0.01}, {48, 50, 0.5, 0}, {64, 85, 1, 0}}, big[] = {{0, BIG, 1, 0}};
static const dor_case clip_cases[] = {
    {.name = "small", .attr = &(dor_clip_attr){1, 3, apart}, .in = {N96}},
    {.name = "under", .attr = &(dor_clip_attr){1e3, 1, whole}, .in = {N96}},
    {0},
};
static const dor_case update_cases[] = {
    {.name = "sgd", .attr = &(dor_update_attr){.rule = DOR_RULE_SGD, .n = 1, .run = whole}, .in = {N96, DOR_DIMS(1), N96}, .nin = 3},
    {.name = "sgd clipped", .attr = &(dor_update_attr){.rule = DOR_RULE_SGD, .n = 3, .run = apart, .ema = 0.9},
     .in = {N96, KEPT(1), N96, DOR_DIMS(1)}, .nin = 4},
    {.name = "heavy", .attr = &(dor_update_attr){.rule = DOR_RULE_SGD, .n = 3, .run = apart, .momentum = 0.9}, .in = {N96, KEPT(1), N96}, .nin = 3},
    {.name = "nesterov", .attr = &(dor_update_attr){.rule = DOR_RULE_SGD, .n = 1, .run = whole, .momentum = 0.9, .nesterov = true},
     .in = {N96, KEPT(1), N96, DOR_DIMS(1)}, .nin = 4},
    {.name = "adam", .attr = &(dor_update_attr){.rule = DOR_RULE_ADAM, .n = 3, .run = apart, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8},
     .in = {N96, KEPT(2), N96}, .fill = {[1] = DOR_FILL_POSITIVE}, .nin = 3},
    {.name = "adamw", .attr = &(dor_update_attr){.rule = DOR_RULE_ADAMW, .n = 3, .run = apart, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .ema = 0.99},
     .in = {N96, KEPT(3), N96, DOR_DIMS(1)}, .fill = {[1] = DOR_FILL_POSITIVE}, .nin = 4},
    {.name = "late", .attr = &(dor_update_attr){.rule = DOR_RULE_ADAM, .n = 3, .run = apart, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8},
     .in = {N96, KEPT(2), N96, DOR_DIMS(2)}, .fill = {[1] = DOR_FILL_POSITIVE, [3] = DOR_FILL_POSITIVE}, .nin = 4},
    {.name = "left out", .attr = &(dor_update_attr){.rule = DOR_RULE_SGD, .n = 3, .run = apart, .momentum = 0.9},
     .in = {N96, KEPT(1), N96, DOR_DIMS(2)}, .fill = {[3] = DOR_FILL_NOISE}, .nin = 4},
    {.name = "4M", .attr = &(dor_update_attr){.rule = DOR_RULE_ADAM, .n = 1, .run = big, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8},
     .in = {DOR_DIMS(BIG), DOR_DIMS(2 * BIG), DOR_DIMS(BIG)}, .fill = {[1] = DOR_FILL_POSITIVE}, .nin = 3, .bench = true},
    {0},
};

const dor_op dor_op_clip_norm = {.id = DOR_OP_clip_norm, .name = "clip_norm", .formula = "c = min(1, max / |g|)", .nin = 1, .nout = 2,
                                 .attr_size = sizeof(dor_clip_attr), .keys = clip_keys, .infer = clip_infer, .cost = dor_cost_stream,
                                 .ref = clip_ref, .cases = clip_cases};
const dor_op dor_op_update = {.id = DOR_OP_update, .name = "update", .formula = "p -= lr step(g, m), by the rule", .nin = -1, .nout = 2, .alias = {1, 2},
                              .attr_size = sizeof(dor_update_attr), .keys = update_keys, .infer = update_infer, .cost = dor_cost_stream,
                              .ref = update_ref, .cases = update_cases};

dor_val dor_clip_norm(dor_graph *g, dor_val grad, const dor_clip_attr *a) { return dor_graph_add(g, &dor_op_clip_norm, a, 1, (dor_val[]){grad}); }

dor_val dor_update(dor_graph *g, dor_val p, dor_val m, dor_val grad, dor_val clip, const dor_update_attr *a)
{
  return dor_graph_add(g, &dor_op_update, a, clip == DOR_NONE ? 3 : 4, (dor_val[]){p, m, grad, clip});
}
