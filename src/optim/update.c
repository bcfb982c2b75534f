/* SPDX-License-Identifier: Apache-2.0
 *
 * The update graph: clip, then one node that moves all parameters, over the runs of
 * them that lie together and share rate and decay. The moment block holds what the
 * rule keeps (first moments, second moments, average), each laid out as the parameter
 * block. */
#include "optim/optim.h"

#include <string.h>

enum { SCALE_BYTES = 64, PATIENCE = 2000 };

static dor_update_attr attr_of(const dor_optim_cfg *c)
{
  return (dor_update_attr){.rule = (int32_t)c->rule, .beta1 = c->beta1, .beta2 = c->beta2, .eps = c->eps, .momentum = c->momentum, .nesterov = c->nesterov,
                           .ema = c->ema};
}

static size_t kept_moments(const dor_optim_cfg *c)
{
  const dor_update_attr a = attr_of(c);
  return (size_t)dor_update_kept(&a);
}

size_t dor_optim_ema_offset(const dor_params *p, const dor_optim_cfg *c) { return kept_moments(c) * p->param_bytes; }

/* Of the moments and the average. */
static size_t averaged_bytes(const dor_params *p, const dor_optim_cfg *c) { return dor_optim_ema_offset(p, c) + (c->ema > 0 ? p->param_bytes : 0); }

size_t dor_optim_moment_bytes(const dor_params *p, const dor_optim_cfg *c)
{
  return averaged_bytes(p, c) + (c->loss_scale ? (size_t)SCALE_BYTES : 0);
}

size_t dor_optim_scale_offset(const dor_params *p, const dor_optim_cfg *c) { return c->loss_scale ? averaged_bytes(p, c) : 0; }

static bool joins(const dor_range *r, const dor_range *next)
{
  return r->lr_factor >= next->lr_factor && r->lr_factor <= next->lr_factor && r->decay >= next->decay && r->decay <= next->decay;
}

/* Runs of trained parameters in the order of the table, which is that of the block. A frozen one ends a run. */
static int32_t find_runs(const dor_params *p, const dor_optim_cfg *c, dor_range *r)
{
  int32_t n = 0;
  bool open = false;
  for (int32_t i = 0; i < p->n; i++) {
    const dor_param_spec *s = &p->at[i].spec;
    if (s->state) continue;
    const int64_t begin = (int64_t)(p->at[i].offset / sizeof(float));
    const dor_range one = {begin, begin + dor_shape_size(s->shape), (double)s->lr_factor, c->decay_all || !s->no_decay ? c->decay : 0};
    if (s->frozen) open = false;
    else if (open && joins(&r[n - 1], &one)) r[n - 1].end = one.end;
    else r[n++] = one, open = true;
  }
  return n;
}

static dor_val block_of(dor_graph *g, dor_kind kind, size_t bytes, const char *name)
{
  return dor_graph_block(g, kind, 0, bytes ? (int64_t)(bytes / sizeof(float)) : 1, name);
}

static dor_val scale_state(dor_graph *g, const dor_optim_cfg *c)
{
  return dor_graph_block(g, DOR_MOMENT, averaged_bytes(g->params, c), DOR_SCALE_STATE, "scale");
}

dor_status dor_optim_scale_seed(dor_graph *g, dor_val seed, const dor_optim_cfg *c)
{
  dor_loss_scale(g, scale_state(g, c));
  DOR_TRY(g->status);
  DOR_NEED(seed >= 0 && g->value[seed].kind == DOR_INPUT, ARG, "a loss scale takes the place of an input");
  const dor_node first = g->node[g->nnode - 1];
  memmove(g->node + 1, g->node, ((size_t)g->nnode - 1) * sizeof *g->node);
  g->node[0] = first;
  g->node[0].out[0] = seed, g->value[seed].kind = DOR_TEMP;
  return DOR_OK;
}

/* What the gradient is multiplied with; DOR_NONE: nothing. */
static dor_val build_clip(dor_graph *g, const dor_optim_cfg *c, dor_val grad, const dor_update_attr *a)
{
  const dor_clip_attr clip = {c->clip, a->n, a->run};
  if (!c->loss_scale && !(c->clip > 0)) return DOR_NONE;
  const dor_val v = c->loss_scale ? dor_clip_scaled(g, grad, scale_state(g, c), &(dor_scaled_attr){clip, PATIENCE}) : dor_clip_norm(g, grad, &clip);
  dor_graph_keep(g, dor_graph_output(g, v, 1), "grad_norm");
  return v;
}

dor_status dor_optim_build(dor_graph *g, const dor_optim_cfg *c)
{
  DOR_TRY(g->status);
  DOR_NEED(g->params && g->params->n, ARG, "there are no parameters to update");
  dor_update_attr a = attr_of(c);
  dor_range *run = dor_arena_alloc(&g->arena, (size_t)g->params->n * sizeof *run);
  DOR_NEED(run, NOMEM, "an update of %d parameters", g->params->n);
  a.run = run, a.n = find_runs(g->params, c, run);
  DOR_NEED(a.n, ARG, "all parameters are frozen");
  const dor_val grad = block_of(g, DOR_GRAD, g->params->param_bytes, "g");
  const dor_val clip = build_clip(g, c, grad, &a);
  dor_update(g, block_of(g, DOR_PARAM, g->params->param_bytes, "p"), block_of(g, DOR_MOMENT, averaged_bytes(g->params, c), "m"), grad, clip, &a);
  return g->status;
}
