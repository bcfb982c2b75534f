/* SPDX-License-Identifier: Apache-2.0
 *
 * The update graph: clip, then one optimiser node for each run of parameters that
 * lie together and share rate and decay, then the average of the weights. The
 * moment block holds what the rule keeps (first moments, second moments, average),
 * each laid out as the parameter block. */
#include "optim/optim.h"

typedef struct range { size_t begin, end; double lr_factor; bool decayed; } range; /* bytes of the parameter block */

static size_t kept_moments(const dor_optim_cfg *c)
{
  return c->rule != DOR_RULE_SGD ? 2 : c->momentum > 0 ? 1 : 0;
}

size_t dor_optim_ema_offset(const dor_params *p, const dor_optim_cfg *c) { return kept_moments(c) * p->param_bytes; }

size_t dor_optim_moment_bytes(const dor_params *p, const dor_optim_cfg *c)
{
  return dor_optim_ema_offset(p, c) + (c->ema > 0 ? p->param_bytes : 0);
}

static bool joins(const range *r, const dor_param_spec *s, bool decayed)
{
  return r->lr_factor >= (double)s->lr_factor && r->lr_factor <= (double)s->lr_factor && r->decayed == decayed;
}

/* Runs of trained parameters in the order of the table, which is that of the block. A frozen one ends a run. */
static int32_t find_ranges(const dor_params *p, const dor_optim_cfg *c, range *r)
{
  int32_t n = 0;
  bool open = false;
  for (int32_t i = 0; i < p->n; i++) {
    const dor_param_spec *s = &p->at[i].spec;
    if (s->state) continue;
    size_t end = p->at[i].offset + (size_t)dor_shape_size(s->shape) * sizeof(float);
    bool decayed = c->decay > 0 && (c->decay_all || !s->no_decay);
    if (s->frozen) open = false;
    else if (open && joins(&r[n - 1], s, decayed)) r[n - 1].end = end;
    else r[n++] = (range){p->at[i].offset, end, (double)s->lr_factor, decayed}, open = true;
  }
  return n;
}

static dor_val block_of(dor_graph *g, dor_kind kind, size_t offset, const range *r, const char *name)
{
  return dor_graph_block(g, kind, offset + r->begin, (int64_t)((r->end - r->begin) / sizeof(float)), name);
}

static dor_val sgd(dor_graph *g, const dor_optim_cfg *c, const range *r, dor_val p, dor_val grad, dor_val clip)
{
  dor_sgd_attr a = {r->lr_factor, r->decayed ? c->decay : 0, c->momentum, c->nesterov};
  if (!(c->momentum > 0)) return dor_sgd(g, p, grad, clip, &a);
  return dor_sgd_momentum(g, p, block_of(g, DOR_MOMENT, 0, r, "m"), grad, clip, &a);
}

static dor_val adam(dor_graph *g, const dor_optim_cfg *c, const range *r, dor_val p, dor_val grad, dor_val clip)
{
  dor_adam_attr a = {r->lr_factor, c->beta1, c->beta2, c->eps, r->decayed ? c->decay : 0, c->rule == DOR_RULE_ADAMW};
  return dor_adam(g, p, block_of(g, DOR_MOMENT, 0, r, "m"), block_of(g, DOR_MOMENT, g->params->param_bytes, r, "v"), grad, clip, &a);
}

static void update(dor_graph *g, const dor_optim_cfg *c, const range *r, dor_val grad, dor_val clip)
{
  dor_val p = block_of(g, DOR_PARAM, 0, r, "p");
  p = c->rule == DOR_RULE_SGD ? sgd(g, c, r, p, grad, clip) : adam(g, c, r, p, grad, clip);
  if (c->ema > 0) dor_ema(g, block_of(g, DOR_MOMENT, dor_optim_ema_offset(g->params, c), r, "ema"), p, c->ema);
}

dor_status dor_optim_build(dor_graph *g, const dor_optim_cfg *c)
{
  DOR_TRY(g->status);
  DOR_NEED(g->params && g->params->n, ARG, "there are no parameters to update");
  range *r = dor_arena_alloc(&g->arena, (size_t)g->params->n * sizeof *r);
  dor_val *grad = dor_arena_alloc(&g->arena, (size_t)g->params->n * sizeof *grad), clip = DOR_NONE;
  DOR_NEED(r && grad, NOMEM, "an update of %d parameters", g->params->n);
  int32_t n = find_ranges(g->params, c, r);
  DOR_NEED(n, ARG, "all parameters are frozen");
  for (int32_t i = 0; i < n; i++) grad[i] = block_of(g, DOR_GRAD, 0, &r[i], "g");
  if (c->clip > 0) {
    clip = dor_clip_norm(g, n, grad, c->clip);
    dor_graph_keep(g, dor_graph_output(g, clip, 1), "grad_norm");
  }
  for (int32_t i = 0; i < n; i++) update(g, c, &r[i], grad[i], clip);
  return g->status;
}
