/* SPDX-License-Identifier: Apache-2.0
 *
 * Building a program: prune, fuse, find a kernel for every node, plan memory.
 * The first column whose kernel accepts a node's shapes serves it; a node that
 * nobody accepts is an error that names it. */
#include "backend/program.h"
#include "backend/widen.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "kernels/copies.h"
#include "ops/ops.h"

static dor_status conv_choice(const char *text, dor_conv_choice *out)
{
  static const char *const names[] = {[DOR_CONV_AUTO] = "auto", [DOR_CONV_DIRECT] = "direct", [DOR_CONV_WINOGRAD] = "winograd"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!strcmp(text ? text : "auto", names[i])) {
      *out = (dor_conv_choice)i;
      return DOR_OK;
    }
  return DOR_FAIL(ARG, "cpu.conv must be one of auto|direct|winograd, got '%s'", text);
}

static dor_dtype type_of_maps(dor_format f) { return f == DOR_FORMAT_BF16 ? DOR_BF16 : f == DOR_FORMAT_FP16 ? DOR_F16 : DOR_F32; }

static dor_status narrow(dor_program *p, dor_format precision)
{
  if (precision == DOR_FORMAT_FP32 || precision == DOR_FORMAT_TF32) return DOR_OK;
  DOR_NEED(dor_backend_takes(p->backend, precision), UNSUPPORTED, "the %s backend has no %s", p->backend->name, dor_format_name(precision));
  return dor_graph_narrow(&p->graph, &(dor_narrowing){type_of_maps(precision), dor_cast});
}

static dor_status adopt(dor_program *p, const dor_program_options *o)
{
  const dor_backend *b = p->backend;
  DOR_TRY(p->graph.status);
  DOR_NEED(o->threads >= 0 && o->threads <= 1024, RANGE, "a program of %d threads", o->threads);
  p->threads = o->threads ? o->threads : 1;
  p->name = dor_arena_str(&p->graph.arena, o->name ? o->name : "");
  DOR_NEED(p->name, NOMEM, "a program's name");
  p->isa = b->isa();
  if (o->cap_isa && o->isa < p->isa) p->isa = o->isa;
  p->fleet = o->fleet;
  if (b->library) p->library = *b->library, p->library.tf32 = o->precision == DOR_FORMAT_TF32;
  DOR_TRY(conv_choice(o->conv, &p->conv));
  DOR_TRY(dor_graph_prune(&p->graph)); /* first: a reader that nobody needs would keep a chain from fusing */
  DOR_TRY(narrow(p, o->precision));
  return o->no_fuse ? DOR_OK : dor_graph_fuse(&p->graph, dor_fuse_rows, dor_backend_has, b);
}

static void node_types(const dor_graph *g, const dor_node *n, dor_type *type)
{
  for (int32_t i = 0; i < n->nin; i++) type[i] = g->value[n->in[i]].type;
  for (int32_t i = 0; i < n->nout; i++) type[n->nin + i] = g->value[n->out[i]].type;
}

static dor_status nobody_serves(const dor_program *p, const dor_node *n, const dor_type *type)
{
  char shapes[256];
  size_t at = 0;
  shapes[0] = 0;
  for (int32_t i = 0; i < n->nin && at < sizeof shapes - 80; i++) {
    dor_shape_text text;
    const char *kind = type[i].dtype == DOR_F32 ? "" : dor_dtype_name(type[i].dtype);
    at += (size_t)snprintf(shapes + at, sizeof shapes - at, " %s%s%s", dor_shape_print(type[i].shape, text), *kind ? " " : "", kind);
  }
  return DOR_FAIL(UNSUPPORTED, "%s%s has no %s kernel (%s)", n->op->name, shapes, p->backend->name, n->scope);
}

static dor_status try_kernel(dor_bound *b, const dor_kernel *k, const dor_prep *prep, bool widen, bool *served)
{
  const dor_copies before = prep->copies ? *prep->copies : (dor_copies){0};
  *served = true;
  b->kernel = widen ? &dor_kernel_widened : k, b->plan = NULL, b->scratch = 0;
  dor_status s = widen ? dor_widen(k, prep, &b->plan, &b->scratch) : k->prepare ? k->prepare(prep, &b->plan, &b->scratch) : DOR_OK;
  if (s == DOR_OK) return DOR_OK;
  b->kernel = NULL;
  *served = false;
  if (prep->copies) prep->copies->n = before.n, prep->copies->size = before.size; /* what it asked for nobody reads */
  return s == DOR_E_UNSUPPORTED ? DOR_OK : s;
}

/* A CPU kernel would read short numbers as floats. */
static bool reads(const dor_backend *b, const dor_kernel *k, const dor_type *type, int32_t n)
{
  for (int32_t i = 0; i < n; i++)
    if (!b->narrow && !k->narrow && dor_dtype_narrow(type[i].dtype)) return false;
  return true;
}

static dor_status bind_node(dor_program *p, int32_t k, dor_copies *copies)
{
  dor_graph *g = &p->graph;
  const dor_node *n = &g->node[k];
  if (n->op->view) return DOR_OK;
  dor_type *type = dor_arena_alloc(&g->arena, (size_t)(n->nin + n->nout) * sizeof *type);
  DOR_NEED(type, NOMEM, "%s: binding", n->op->name);
  node_types(g, n, type);
  dor_prep prep = {.node = n, .attr = n->attr, .nin = n->nin, .nout = n->nout, .in = type, .out = type + n->nin, .threads = p->threads,
                   .training = g->training, .isa = p->isa, .conv = p->conv, .library = p->backend->library ? &p->library : NULL, .copies = copies,
                   .fleet = p->fleet};
  for (int32_t c = 0; c < DOR_COLUMNS; c++) {
    const dor_kernel *kernel = p->backend->column[c] ? p->backend->column[c][n->op->id] : NULL;
    bool served = false;
    const bool as_is = kernel && reads(p->backend, kernel, type, n->nin + n->nout);
    if (kernel) DOR_TRY(try_kernel(&p->bound[k], kernel, &prep, !as_is, &served));
    if (served) return DOR_OK;
  }
  return nobody_serves(p, n, type);
}

/* A program that changes its parameters on the way has no one copy of them. */
static bool keeps_parameters(const dor_graph *g)
{
  for (int32_t k = 0; k < g->nnode; k++)
    for (int32_t i = 0; i < g->node[k].nout && !g->node[k].op->view; i++)
      if (g->value[g->node[k].out[i]].kind == DOR_PARAM) return false;
  return true;
}

/* The copies of weights that kernels have asked for, by a node before all others. */
static dor_status copy_weights(dor_program *p, const dor_copies *c)
{
  dor_graph *g = &p->graph;
  if (!c->n) return DOR_OK;
  const dor_val all = dor_graph_block(g, DOR_PARAM, 0, (int64_t)(g->params->param_bytes / sizeof(float)), "weights");
  p->copies = dor_copy_weights(g, all, &(dor_copies_attr){(int32_t)c->dtype, c->n, (int32_t)c->size, c->at});
  DOR_TRY(g->status);
  g->value[p->copies].lasting = true;
  const dor_node first = g->node[g->nnode - 1];
  const size_t rest = (size_t)g->nnode - 1;
  memmove(g->node + 1, g->node, rest * sizeof *g->node);
  memmove(p->bound + 1, p->bound, rest * sizeof *p->bound);
  g->node[0] = first, p->bound[0] = (dor_bound){0};
  return bind_node(p, 0, NULL);
}

static dor_status build(dor_program *p, const dor_program_options *o)
{
  DOR_TRY(adopt(p, o));
  dor_graph *g = &p->graph;
  const size_t most = (size_t)g->nnode + 1;
  dor_copies copies = {.arena = &g->arena, .graph = g, .dtype = type_of_maps(o->precision)};
  const bool may = p->backend->library && keeps_parameters(g);
  size_t *scratch = dor_arena_alloc(&g->arena, most * sizeof *scratch);
  p->bound = dor_arena_alloc(&g->arena, most * sizeof *p->bound);
  DOR_NEED(p->bound && scratch, NOMEM, "a program of %d nodes", g->nnode);
  p->backend->enter(p->threads);
  for (int32_t k = 0; k < g->nnode; k++) DOR_TRY(bind_node(p, k, may ? &copies : NULL));
  DOR_TRY(copy_weights(p, &copies));
  for (int32_t k = 0; k < g->nnode; k++) scratch[k] = p->bound[k].scratch;
  return dor_graph_plan(g, scratch, &p->plan);
}

dor_status dor_program_build(dor_program **out, dor_graph *g, const dor_backend *b, const dor_program_options *o)
{
  *out = NULL;
  dor_program *p = dor_calloc(1, sizeof *p);
  if (!p) {
    dor_graph_release(g);
    return DOR_FAIL(NOMEM, "a program");
  }
  p->graph = *g;
  memset(g, 0, sizeof *g);
  p->backend = b;
  p->copies = DOR_NONE;
  dor_status s = build(p, o ? o : &(dor_program_options){0});
  if (s) dor_program_release(p);
  else *out = p;
  return s;
}

void dor_program_release(dor_program *p)
{
  if (!p) return;
  for (int32_t k = 0; p->bound && k < p->graph.nnode; k++)
    if (p->bound[k].plan && p->bound[k].kernel->drop) p->bound[k].kernel->drop(p->bound[k].plan);
  dor_graph_release(&p->graph);
  dor_free(p);
}

const dor_graph *dor_program_graph(const dor_program *p) { return &p->graph; }
size_t dor_program_pool_bytes(const dor_program *p) { return p->plan.total; }
const dor_kernel *dor_program_kernel(const dor_program *p, int32_t node) { return p->bound[node].kernel; }

dor_cost dor_program_cost(const dor_program *p)
{
  dor_cost all = {0};
  for (int32_t k = 0; k < p->graph.nnode; k++) {
    dor_cost c = dor_node_cost(&p->graph, k);
    all.flops += c.flops, all.bytes += c.bytes;
  }
  return all;
}

void dor_program_dump(const dor_program *p, dor_str *out)
{
  for (int32_t k = 0; k < p->graph.nnode; k++) {
    const dor_bound *b = &p->bound[k];
    dor_graph_dump_node(&p->graph, k, &p->plan, out);
    if (b->kernel) dor_str_fmt(out, "  %s", b->kernel->name);
    if (b->kernel && b->kernel->describe) dor_str_fmt(out, " %s", b->kernel->describe(b->plan));
    if (b->scratch) dor_str_fmt(out, " scratch %zu @%zu", b->scratch, p->plan.scratch[k]);
    dor_str_add(out, "\n");
  }
  dor_str_fmt(out, "pool %zu bytes planned, %zu unplanned, %zu needed at least\n", p->plan.total, p->plan.unplanned, p->plan.bound);
}
