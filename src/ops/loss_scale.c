/* SPDX-License-Identifier: Apache-2.0
 *
 * The dynamic loss scale of training in f16, whose state lies with the moments: three numbers, all 0 at first, so that it is
 * started, saved and resumed as they are, and nobody but the device looks at it.
 *
 *   state         [3]: what the scale's exponent is above 16, good steps since it last changed, steps left out
 *   loss_scale    state -> s [1] = 2^(16 + state[0]): the seed of the gradient
 *   clip_scaled   grad [n], which is s times too large, state -> c [2], |g| [1], state
 *                 |g| over all runs, of the gradient divided by s
 *     finite      c = min(1, max / (|g| + 1e-6)) / s (max 0: 1 / s); after `patience` such steps in a row the exponent rises by 1
 *     not         c = -1: update leaves the step out; the exponent falls by 1
 *                 c[1]: steps left out before this one, which Adam's t does not count
 *   source        Micikevicius et al., arXiv:1710.03740; PyTorch GradScaler (2^16, doubled after 2000 good steps, else halved) */
#include "ops/ops.h"

#include <math.h>
#include <string.h>

static dor_status scale_infer(const dor_infer *c)
{
  DOR_NEED(dor_shape_size(c->in[0].shape) == DOR_SCALE_STATE, SHAPE, "loss_scale: a state of %lld numbers", (long long)dor_shape_size(c->in[0].shape));
  c->out[0].shape = DOR_SHAPE(1);
  return DOR_OK;
}

static void scale_ref(const dor_refcall *c) { c->out[0][0] = exp2(DOR_SCALE_FIRST + c->in[0][0]); }

static const dor_case scale_cases[] = {{.name = "one", .in = {DOR_DIMS(3)}}, {0}};

const dor_op dor_op_loss_scale = {.id = DOR_OP_loss_scale, .name = "loss_scale", .formula = "s = 2^(16 + e)", .nin = 1, .nout = 1, .infer = scale_infer,
                                  .cost = dor_cost_stream, .ref = scale_ref, .cases = scale_cases};

static const dor_key keys[] = {DOR_ATTR_REAL(dor_scaled_attr, clip.max_norm, ""), DOR_ATTR_INT(dor_scaled_attr, clip.n, "runs"),
                               DOR_ATTR_INT(dor_scaled_attr, patience, "good steps until the scale grows"), {0}};

static dor_status clip_infer(const dor_infer *c)
{
  const dor_scaled_attr *a = c->attr;
  DOR_NEED(a->clip.max_norm >= 0 && a->patience > 0, RANGE, "clip_scaled: norm %g, %d steps", a->clip.max_norm, a->patience);
  DOR_NEED(dor_shape_size(c->in[1].shape) == DOR_SCALE_STATE, SHAPE, "clip_scaled: a state of %lld numbers", (long long)dor_shape_size(c->in[1].shape));
  c->out[0].shape = DOR_SHAPE(2), c->out[1].shape = DOR_SHAPE(1), c->out[2].shape = c->in[1].shape;
  return dor_infer_ranges("clip_scaled", a->clip.n, a->clip.run, c->in[0].shape);
}

static void clip_ref(const dor_refcall *c)
{
  const dor_scaled_attr *a = c->attr;
  double s = 0, state[DOR_SCALE_STATE];
  memcpy(state, c->in[1], sizeof state);
  for (int32_t i = 0; i < a->clip.n; i++)
    for (int64_t k = a->clip.run[i].begin; k < a->clip.run[i].end; k++) s += c->in[0][k] * c->in[0][k];
  const double scale = exp2(DOR_SCALE_FIRST + state[0]), norm = sqrt(s) * (double)c->step->grad_scale / scale;
  const bool good = isfinite(norm), grow = good && state[1] + 1 >= a->patience;
  c->out[0][0] = !good ? -1 : (a->clip.max_norm > 0 ? fmin(1, a->clip.max_norm / (norm + 1e-6)) : 1) / scale;
  c->out[0][1] = state[2];
  c->out[1][0] = norm;
  c->out[2][0] = !good ? fmax(state[0] - 1, DOR_SCALE_LEAST) : grow ? fmin(state[0] + 1, DOR_SCALE_MOST) : state[0];
  c->out[2][1] = good && !grow ? state[1] + 1 : 0;
  c->out[2][2] = state[2] + !good;
}

static const dor_range apart[] = {{0, 37, 1, 0.01}, {48, 50, 0.5, 0}, {64, 85, 1, 0}};
static const dor_case clip_cases[] = {
    {.name = "clips", .attr = &(dor_scaled_attr){{1e-6, 3, apart}, 2000}, .in = {DOR_DIMS(96), DOR_DIMS(3)}},
    {.name = "grows", .attr = &(dor_scaled_attr){{0, 3, apart}, 1}, .in = {DOR_DIMS(96), DOR_DIMS(3)}, .fill = {[1] = DOR_FILL_POSITIVE}},
    {0},
};

const dor_op dor_op_clip_scaled = {.id = DOR_OP_clip_scaled, .name = "clip_scaled", .formula = "c = min(1, max / |g|) / s, or -1", .nin = 2, .nout = 3,
                                   .alias = {0, 0, 2}, .attr_size = sizeof(dor_scaled_attr), .keys = keys, .infer = clip_infer, .cost = dor_cost_stream,
                                   .ref = clip_ref, .cases = clip_cases};

dor_val dor_loss_scale(dor_graph *g, dor_val state) { return dor_graph_add(g, &dor_op_loss_scale, NULL, 1, (dor_val[]){state}); }

dor_val dor_clip_scaled(dor_graph *g, dor_val grad, dor_val state, const dor_scaled_attr *a)
{
  return dor_graph_add(g, &dor_op_clip_scaled, a, 2, (dor_val[]){grad, state});
}
