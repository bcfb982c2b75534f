/* SPDX-License-Identifier: Apache-2.0
 *
 * An instance: a program with memory. Every pointer is resolved when it is made,
 * so that a step is a loop over function pointers and allocates nothing. */
#include <string.h>

#include "backend/fleet.h"
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
  else
    for (int32_t z = 0; to && z < i->models; z++) memcpy((char *)to + (size_t)z * i->stride, data, dor_type_bytes(i->program->graph.value[v].type));
}

void *dor_instance_input_of(dor_instance *i, int32_t model, dor_val v)
{
  char *first = dor_instance_input(i, v);
  return first ? first + (size_t)model * (i->mirror ? dor_mirror_input_step(i->mirror) : i->stride) : NULL;
}

const void *dor_instance_kept_of(const dor_instance *i, int32_t model, dor_val v, int32_t back)
{
  const char *first = dor_instance_kept(i, v, back);
  return first ? first + (size_t)model * (i->mirror ? dor_mirror_kept_step(i->mirror) : i->stride) : NULL;
}

static dor_status make_views(dor_instance *in, int32_t n, const dor_val v[], size_t shift, const dor_view **out)
{
  const dor_graph *g = &in->program->graph;
  dor_view *view = dor_arena_alloc(&in->arena, (size_t)n * sizeof *view);
  DOR_NEED(view, NOMEM, "views of an instance");
  for (int32_t i = 0; i < n; i++) {
    view[i] = (dor_view){g->value[v[i]].type.shape, g->value[v[i]].type.dtype, dor_instance_data(in, v[i])};
    DOR_NEED(view[i].data, ARG, "the program uses '%s' and the model's block of that kind is missing", g->value[v[i]].name);
    view[i].data = (char *)view[i].data + shift;
  }
  *out = view;
  return DOR_OK;
}

/* Node k for `models` models, of which the first one's memory is `shift` bytes on. */
static dor_status make_call(dor_instance *in, int32_t k, int32_t models, size_t shift)
{
  const dor_program *p = in->program;
  const dor_node *n = &p->graph.node[k];
  const dor_bound *b = &p->bound[k];
  dor_call *c = &in->call[in->ncall];
  *c = (dor_call){.attr = n->attr, .plan = b->plan, .nin = n->nin, .nout = n->nout, .threads = p->threads, .step = in->steps, .key = n->key,
                  .models = models, .stride = in->stride};
  if (in->mirror) dor_mirror_bind(in->mirror, c);
  c->step = (const dor_step *)(const void *)((const char *)c->step + shift);
  if (p->copies != DOR_NONE) c->copies = (char *)dor_instance_data(in, p->copies) + shift;
  if (b->scratch) c->scratch = (char *)in->pool + p->plan.scratch[k] + shift;
  DOR_TRY(make_views(in, n->nin, n->in, shift, &c->in));
  DOR_TRY(make_views(in, n->nout, n->out, shift, &c->out));
  in->kernel[in->ncall] = b->kernel;
  in->node[in->ncall] = k;
  if (b->kernel->attach) DOR_TRY(b->kernel->attach(c));
  in->ncall++;
  return DOR_OK;
}

/* One call for all models where the kernel can, else one for each. */
static dor_status make_calls(dor_instance *in, int32_t k)
{
  const dor_kernel *kernel = in->program->bound[k].kernel;
  if (!kernel) return DOR_OK;
  if (kernel->fleet) return make_call(in, k, in->models, 0);
  for (int32_t z = 0; z < in->models; z++) DOR_TRY(make_call(in, k, 1, (size_t)z * in->stride));
  return DOR_OK;
}

static dor_status make_memory(dor_instance *in)
{
  const dor_program *p = in->program;
  dor_fleet *f = in->blocks.fleet;
  in->models = f ? f->models : 1;
  in->stride = f ? f->stride : 0;
  in->steps = &in->step;
  if (p->plan.total) DOR_TRY(f ? dor_fleet_take(f, p->plan.total, &in->pool) : p->backend->alloc(p->plan.total, &in->pool));
  if (p->backend->device) return dor_mirror_new(&in->mirror, p, &in->blocks);
  if (!f) return DOR_OK;
  void *steps;
  DOR_TRY(dor_fleet_take(f, sizeof *in->steps, &steps));
  in->steps = steps;
  return DOR_OK;
}

static dor_status make(dor_instance *in)
{
  const dor_program *p = in->program;
  DOR_TRY(make_memory(in));
  size_t n = (size_t)p->graph.nnode * (size_t)in->models;
  in->call = dor_arena_alloc(&in->arena, n * sizeof *in->call);
  in->kernel = dor_arena_alloc(&in->arena, n * sizeof *in->kernel);
  in->node = dor_arena_alloc(&in->arena, n * sizeof *in->node);
  DOR_NEED(in->call && in->kernel && in->node, NOMEM, "an instance of %d nodes", p->graph.nnode);
  p->backend->enter(p->threads);
  for (int32_t k = 0; k < p->graph.nnode; k++) DOR_TRY(make_calls(in, k));
  return DOR_OK;
}

size_t dor_instance_bytes(const dor_program *p, int32_t models)
{
  return (size_t)models * p->plan.total + (p->backend->device ? dor_mirror_bytes(p, models) : 0);
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
  if (in->pool && !in->blocks.fleet) in->program->backend->free(in->pool, in->program->plan.total);
  dor_arena_release(&in->arena);
  dor_free(in);
}

void dor_instance_run(dor_instance *in, const dor_step *step)
{
  if (!in->mirror)
    for (int32_t z = 0; z < in->models; z++) memcpy((char *)in->steps + (size_t)z * in->stride, &step[z], sizeof *step);
  in->program->backend->enter(in->program->threads);
  if (in->mirror) dor_mirror_run(in->mirror, in, step);
  else for (int32_t i = 0; i < in->ncall; i++) in->kernel[i]->run(&in->call[i]);
}
