/* SPDX-License-Identifier: Apache-2.0
 *
 * An instance: a program with memory. Every pointer is resolved when it is made,
 * so that a step is a loop over function pointers and allocates nothing. */
#include <string.h>

#include "backend/mirror.h"
#include "base/mem.h"

void *dor_instance_data(const dor_instance *i, dor_val v)
{
  const dor_value *x = &i->program->graph.value[v];
  size_t at = i->program->plan.offset[v];
  bool pooled = x->kind == DOR_TEMP || x->kind == DOR_INPUT;
  if (pooled) return at == SIZE_MAX ? NULL : (char *)i->pool + at;
  return i->blocks.at[x->kind] ? (char *)i->blocks.at[x->kind] + x->offset : NULL;
}

void *dor_instance_named(const dor_instance *i, const char *name)
{
  dor_val v = dor_graph_find(&i->program->graph, name);
  return v == DOR_NONE ? NULL : dor_instance_data(i, v);
}

void *dor_instance_input(dor_instance *i, dor_val v) { return i->mirror ? dor_mirror_input(i->mirror, v) : dor_instance_data(i, v); }
int32_t dor_instance_depth(const dor_instance *i) { return i->mirror ? dor_mirror_depth(i->mirror) : 1; }
dor_status dor_instance_wait(dor_instance *i) { return i->mirror ? dor_mirror_wait(i->mirror) : DOR_OK; }

const void *dor_instance_kept(const dor_instance *i, dor_val v, int32_t back)
{
  return i->mirror ? dor_mirror_kept(i->mirror, v, back) : dor_instance_data(i, v);
}

void dor_instance_set(dor_instance *i, dor_val v, const void *data)
{
  void *to = dor_instance_data(i, v);
  if (i->mirror) dor_mirror_set(i->mirror, v, data);
  else if (to) memcpy(to, data, dor_type_bytes(i->program->graph.value[v].type));
}

static dor_status make_views(dor_instance *in, int32_t n, const dor_val v[], const dor_view **out)
{
  const dor_graph *g = &in->program->graph;
  dor_view *view = dor_arena_alloc(&in->arena, (size_t)n * sizeof *view);
  DOR_NEED(view, NOMEM, "views of an instance");
  for (int32_t i = 0; i < n; i++) {
    view[i] = (dor_view){g->value[v[i]].type.shape, g->value[v[i]].type.dtype, dor_instance_data(in, v[i])};
    DOR_NEED(view[i].data, ARG, "the program uses '%s' and the model's block of that kind is missing", g->value[v[i]].name);
  }
  *out = view;
  return DOR_OK;
}

static dor_status make_call(dor_instance *in, int32_t k)
{
  const dor_program *p = in->program;
  const dor_node *n = &p->graph.node[k];
  const dor_bound *b = &p->bound[k];
  if (!b->kernel) return DOR_OK;
  dor_call *c = &in->call[in->ncall];
  *c = (dor_call){.attr = n->attr, .plan = b->plan, .nin = n->nin, .nout = n->nout, .threads = p->threads, .step = &in->step, .key = n->key};
  if (in->mirror) dor_mirror_bind(in->mirror, c);
  if (b->scratch) c->scratch = (char *)in->pool + p->plan.scratch[k];
  DOR_TRY(make_views(in, n->nin, n->in, &c->in));
  DOR_TRY(make_views(in, n->nout, n->out, &c->out));
  in->kernel[in->ncall] = b->kernel;
  in->node[in->ncall] = k;
  if (b->kernel->attach) DOR_TRY(b->kernel->attach(c));
  in->ncall++;
  return DOR_OK;
}

static dor_status make(dor_instance *in)
{
  const dor_program *p = in->program;
  size_t n = (size_t)p->graph.nnode;
  in->call = dor_arena_alloc(&in->arena, n * sizeof *in->call);
  in->kernel = dor_arena_alloc(&in->arena, n * sizeof *in->kernel);
  in->node = dor_arena_alloc(&in->arena, n * sizeof *in->node);
  DOR_NEED(in->call && in->kernel && in->node, NOMEM, "an instance of %d nodes", p->graph.nnode);
  if (p->plan.total) DOR_TRY(p->backend->alloc(p->plan.total, &in->pool));
  if (p->backend->device) DOR_TRY(dor_mirror_new(&in->mirror, p, in->blocks.stream));
  p->backend->enter(p->threads);
  for (int32_t k = 0; k < p->graph.nnode; k++) DOR_TRY(make_call(in, k));
  return DOR_OK;
}

dor_status dor_instance_new(dor_instance **out, const dor_program *p, const dor_blocks *blocks)
{
  *out = NULL;
  dor_instance *in = dor_calloc(1, sizeof *in);
  DOR_NEED(in, NOMEM, "an instance");
  in->program = p;
  if (blocks) in->blocks = *blocks;
  dor_status s = make(in);
  if (s) dor_instance_free(in);
  else *out = in;
  return s;
}

void dor_instance_free(dor_instance *in)
{
  if (!in) return;
  dor_mirror_free(in->mirror); /* first: it waits, and nothing may run on when its memory goes */
  for (int32_t i = 0; i < in->ncall; i++)
    if (in->kernel[i]->detach) in->kernel[i]->detach(&in->call[i]);
  if (in->pool) in->program->backend->free(in->pool, in->program->plan.total);
  dor_arena_release(&in->arena);
  dor_free(in);
}

void dor_instance_run(dor_instance *in, const dor_step *step)
{
  in->step = *step;
  in->program->backend->enter(in->program->threads);
  if (in->mirror) dor_mirror_run(in->mirror, in, step);
  else for (int32_t i = 0; i < in->ncall; i++) in->kernel[i]->run(&in->call[i]);
}
