/* SPDX-License-Identifier: Apache-2.0
 *
 * Building: values, nodes, scopes. Every builder ends in append(), which checks
 * inputs, asks the op for its output types, and gives in-place outputs and views
 * the memory of their input. The first failure stays in the graph. */
#include "graph/graph.h"

#include "base/hash.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void dor_graph_init(dor_graph *g, dor_params *params, bool training)
{
  memset(g, 0, sizeof *g);
  g->params = params;
  g->training = training;
}

void dor_graph_release(dor_graph *g)
{
  dor_free(g->value);
  dor_free(g->node);
  dor_arena_release(&g->arena);
  memset(g, 0, sizeof *g);
}

dor_status dor_graph_status(const dor_graph *g) { return g->status; }

static dor_status grow(void **array, int32_t *cap, int32_t n, size_t size)
{
  if (n < *cap) return DOR_OK;
  DOR_NEED(n < INT32_MAX / 2, RANGE, "a graph of more than %d nodes or values", n);
  int32_t wanted = *cap ? *cap * 2 : 64;
  void *p = dor_realloc(*array, (size_t)wanted * size);
  DOR_NEED(p, NOMEM, "a graph of %d nodes or values", wanted);
  *array = p, *cap = wanted;
  return DOR_OK;
}

static dor_status new_value(dor_graph *g, dor_value v, dor_val *out)
{
  DOR_TRY(grow((void **)&g->value, &g->cap_value, g->nvalue, sizeof *g->value));
  v.name = v.name && *v.name ? dor_arena_str(&g->arena, v.name) : "";
  DOR_NEED(v.name, NOMEM, "the name of value %d", g->nvalue);
  g->value[g->nvalue] = v;
  *out = g->nvalue++;
  return DOR_OK;
}

/* The value a make_ function left in *out, or DOR_NONE with its failure remembered. */
static dor_val remember(dor_graph *g, dor_status s, const dor_val *out)
{
  g->status = s;
  return s ? DOR_NONE : *out;
}

dor_val dor_graph_find_input(const dor_graph *g, const char *name)
{
  for (int32_t v = 0; v < g->nvalue; v++)
    if (g->value[v].kind == DOR_INPUT && g->value[v].alias == DOR_NONE && !strcmp(g->value[v].name, name)) return v;
  return DOR_NONE;
}

dor_val dor_graph_find(const dor_graph *g, const char *name)
{
  for (int32_t v = 0; v < g->nvalue; v++)
    if (g->value[v].keep && !strcmp(g->value[v].name, name)) return v;
  return dor_graph_find_input(g, name);
}

static dor_status check_shape(const char *what, const char *name, dor_shape s)
{
  dor_shape_text text;
  DOR_NEED(s.n >= 0 && s.n <= DOR_MAX_DIMS, SHAPE, "%s %s has %d dimensions, at most %d are possible", what, name, s.n, DOR_MAX_DIMS);
  double size = 1;
  for (int32_t i = 0; i < s.n; i++) {
    DOR_NEED(s.d[i] > 0, SHAPE, "%s %s %s: every size must be positive", what, name, dor_shape_print(s, text));
    size *= s.d[i];
  }
  DOR_NEED(size < 0x1p40, RANGE, "%s %s %s is larger than 2^40 elements", what, name, dor_shape_print(s, text));
  return DOR_OK;
}

static dor_status make_input(dor_graph *g, const char *name, dor_type t, dor_val *out)
{
  DOR_TRY(check_shape("input", name, t.shape));
  DOR_NEED(!*name || dor_graph_find_input(g, name) == DOR_NONE, ARG, "two inputs are called '%s'", name);
  return new_value(g, (dor_value){.type = t, .kind = DOR_INPUT, .alias = DOR_NONE, .name = name}, out);
}

dor_val dor_graph_input(dor_graph *g, const char *name, dor_type t)
{
  dor_val out = DOR_NONE;
  return g->status ? DOR_NONE : remember(g, make_input(g, name, t, &out), &out);
}

static dor_val find_block(const dor_graph *g, dor_kind kind, size_t offset, dor_shape shape)
{
  for (int32_t v = 0; v < g->nvalue; v++) {
    const dor_value *x = &g->value[v];
    if (x->kind == kind && x->alias == DOR_NONE && x->offset == offset && dor_shape_same(x->type.shape, shape)) return v;
  }
  return DOR_NONE;
}

static dor_status make_param(dor_graph *g, const dor_param_spec *spec, dor_val *out)
{
  DOR_NEED(g->params, ARG, "parameter '%s': the graph has no parameter table", spec->name);
  dor_param_spec full = *spec;
  full.name = dor_arena_fmt(&g->arena, "%s%s", g->scope, spec->name);
  DOR_NEED(full.name, NOMEM, "the name of parameter '%s'", spec->name);
  DOR_TRY(check_shape("parameter", full.name, spec->shape));
  int32_t index;
  DOR_TRY(dor_params_add(g->params, &full, &index));
  const dor_param *p = &g->params->at[index];
  dor_kind kind = spec->state ? DOR_STATE : DOR_PARAM;
  *out = find_block(g, kind, p->offset, spec->shape);
  if (*out != DOR_NONE) return DOR_OK;
  return new_value(g, (dor_value){.type = {spec->shape, spec->dtype}, .kind = kind, .offset = p->offset, .alias = DOR_NONE, .name = p->spec.name}, out);
}

dor_val dor_graph_param(dor_graph *g, const dor_param_spec *spec)
{
  dor_val out = DOR_NONE;
  return g->status ? DOR_NONE : remember(g, make_param(g, spec, &out), &out);
}

static dor_status make_block(dor_graph *g, dor_kind kind, size_t offset, int64_t n, const char *name, dor_val *out)
{
  DOR_NEED(kind > DOR_INPUT && kind < DOR_KIND_COUNT, ARG, "block '%s' is of no kind that has a block", name);
  DOR_NEED(n > 0 && n <= INT32_MAX, RANGE, "block '%s' of %lld numbers", name, (long long)n);
  DOR_NEED(offset % sizeof(float) == 0, ARG, "block '%s' starts at byte %zu, between two numbers", name, offset);
  return new_value(g, (dor_value){.type = {DOR_SHAPE((int32_t)n), DOR_F32}, .kind = kind, .offset = offset, .alias = DOR_NONE, .name = name}, out);
}

dor_val dor_graph_block(dor_graph *g, dor_kind kind, size_t offset, int64_t n, const char *name)
{
  dor_val out = DOR_NONE;
  return g->status ? DOR_NONE : remember(g, make_block(g, kind, offset, n, name, &out), &out);
}

/* A stochastic node's key comes from its scope name and its number under that name, so other nodes never change it. */
static uint64_t key_of(const dor_graph *g, const dor_op *op, const char *scope)
{
  if (g->grad_key) return g->grad_key;
  int32_t before = 0;
  for (int32_t k = 0; k < g->nnode; k++) before += g->node[k].op == op && !strcmp(g->node[k].scope, scope);
  char text[320];
  snprintf(text, sizeof text, "%s#%s#%d", scope, op->name, before);
  return dor_hash_name(text);
}

static dor_status new_node(dor_graph *g, const dor_op *op, const char *name, const void *attr, int32_t nin, const dor_val in[])
{
  DOR_TRY(grow((void **)&g->node, &g->cap_node, g->nnode, sizeof *g->node));
  size_t scope = strlen(g->scope);
  dor_node n = {.op = op, .nin = nin, .nout = op->nout};
  n.scope = *name ? dor_arena_fmt(&g->arena, "%s%s", g->scope, name) : dor_arena_fmt(&g->arena, "%.*s", scope ? (int)scope - 1 : 0, g->scope);
  n.attr = op->attr_size ? dor_arena_copy(&g->arena, attr, op->attr_size) : NULL;
  n.in = dor_arena_copy(&g->arena, in, (size_t)nin * sizeof *in);
  n.out = dor_arena_alloc(&g->arena, (size_t)op->nout * sizeof *n.out);
  DOR_NEED(n.scope && n.in && n.out && (n.attr || !op->attr_size), NOMEM, "%s: node %d", op->name, g->nnode);
  if (op->stochastic) n.key = key_of(g, op, n.scope);
  g->node[g->nnode] = n;
  return DOR_OK;
}

/* Output i of the node being made: new memory, or the input's that it overwrites or shows. */
static dor_status new_output(dor_graph *g, const dor_node *n, int32_t i, dor_type t)
{
  const dor_op *op = n->op;
  DOR_TRY(check_shape(op->name, "output", t.shape));
  dor_value v = {.type = t, .kind = DOR_TEMP, .alias = DOR_NONE, .name = ""};
  int32_t shares = op->view && !i ? 0 : i < DOR_OP_ALIAS ? op->alias[i] - 1 : -1;
  if (shares >= 0) {
    dor_val from = n->in[shares];
    const dor_value *x = &g->value[from];
    DOR_NEED(dor_type_bytes(t) == dor_type_bytes(x->type), SHAPE, "%s: output %d must be as large as input %d, whose memory it takes", op->name, i, shares);
    v.kind = x->kind, v.offset = x->offset;
    v.alias = x->alias == DOR_NONE ? from : x->alias;
  }
  return new_value(g, v, &n->out[i]);
}

enum { FEW = 8 }; /* most nodes have no more inputs or outputs than this */

char dor_op_mark(const dor_op *op, bool output, int32_t i)
{
  const char *mark = output ? op->narrow.out : op->narrow.in;
  if (!mark) return '-';
  size_t last = strlen(mark) - 1;
  return mark[(size_t)i < last ? (size_t)i : last];
}

bool dor_op_narrow(const dor_op *op, bool output, int32_t i) { return dor_op_mark(op, output, i) != '-'; }

/* The one type of all activations that come in; a view shows whatever it is given. */
static dor_status type_of_activations(const dor_op *op, const dor_infer *c, dor_dtype *type)
{
  bool found = false;
  *type = DOR_F32;
  for (int32_t i = 0; i < c->nin; i++) {
    dor_dtype t = c->in[i].dtype;
    bool may = dor_op_narrow(op, false, i);
    DOR_NEED(may || !dor_dtype_narrow(t), ARG, "%s: input %d is %s, wants f32; cast it", op->name, i, dor_dtype_name(t));
    if (!may) continue;
    DOR_NEED(op->view || t == DOR_F32 || dor_dtype_narrow(t), ARG, "%s: input %d is %s, wants f32, bf16 or f16", op->name, i, dor_dtype_name(t));
    DOR_NEED(!found || t == *type, ARG, "%s: input %d is %s where another is %s; cast one", op->name, i, dor_dtype_name(t), dor_dtype_name(*type));
    found = true, *type = t;
  }
  return DOR_OK;
}

dor_status dor_op_infer(const dor_op *op, dor_infer *c)
{
  dor_dtype type;
  DOR_TRY(type_of_activations(op, c, &type));
  for (int32_t i = 0; i < c->nout; i++) c->out[i].dtype = DOR_F32;
  DOR_TRY(op->infer(c));
  for (int32_t i = 0; i < c->nout; i++)
    if (dor_op_narrow(op, true, i)) c->out[i].dtype = type;
  return DOR_OK;
}

static dor_status append(dor_graph *g, const dor_op *op, const char *name, const void *attr, int32_t nin, const dor_val in[], dor_val *first)
{
  DOR_NEED(op->nin < 0 || nin == op->nin, ARG, "%s: takes %d inputs, got %d", op->name, op->nin, nin);
  DOR_NEED(attr || !op->attr_size, ARG, "%s: needs attributes", op->name);
  dor_type few[2 * FEW] = {0}, *type = few;
  if (nin + op->nout > 2 * FEW) type = dor_arena_alloc(&g->arena, (size_t)(nin + op->nout) * sizeof *type);
  DOR_NEED(type, NOMEM, "%s: %d inputs", op->name, nin);
  for (int32_t i = 0; i < nin; i++) {
    DOR_NEED(in[i] >= 0 && in[i] < g->nvalue, ARG, "%s: input %d is no value of this graph", op->name, i);
    type[i] = g->value[in[i]].type;
  }
  DOR_TRY(new_node(g, op, name, attr, nin, in));
  dor_node n = g->node[g->nnode];
  dor_infer c = {.attr = n.attr, .nin = nin, .nout = n.nout, .in = type, .out = type + nin};
  DOR_TRY(dor_op_infer(op, &c));
  for (int32_t i = 0; i < n.nout; i++) DOR_TRY(new_output(g, &n, i, c.out[i]));
  g->nnode++;
  *first = n.out[0];
  return DOR_OK;
}

dor_val dor_graph_add_named(dor_graph *g, const dor_op *op, const char *name, const void *attr, int32_t nin, const dor_val in[])
{
  dor_val out = DOR_NONE;
  return g->status ? DOR_NONE : remember(g, append(g, op, name, attr, nin, in, &out), &out);
}

dor_val dor_graph_add(dor_graph *g, const dor_op *op, const void *attr, int32_t nin, const dor_val in[])
{
  return dor_graph_add_named(g, op, "", attr, nin, in);
}

dor_val dor_graph_output(const dor_graph *g, dor_val first, int32_t i)
{
  for (int32_t k = g->nnode - 1; k >= 0 && first != DOR_NONE; k--)
    if (g->node[k].out[0] == first) return i < g->node[k].nout ? g->node[k].out[i] : DOR_NONE;
  return DOR_NONE;
}

size_t dor_graph_push(dor_graph *g, const char *fmt, ...)
{
  size_t mark = strlen(g->scope), room = sizeof g->scope - mark;
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(g->scope + mark, room, fmt, ap);
  va_end(ap);
  bool fits = n >= 0 && (size_t)n + 2 <= room;
  if (fits) memcpy(g->scope + mark + n, ".", 2);
  else if (!g->status) g->status = DOR_FAIL(RANGE, "the scope name '%s' is too long", g->scope);
  return mark;
}

void dor_graph_pop(dor_graph *g, size_t mark) { g->scope[mark] = 0; }

static dor_status keep(dor_graph *g, dor_val v, const char *name)
{
  DOR_NEED(v >= 0 && v < g->nvalue, ARG, "'%s' is no value of this graph", name);
  if (*name) g->value[v].name = dor_arena_str(&g->arena, name);
  DOR_NEED(g->value[v].name, NOMEM, "the name '%s'", name);
  g->value[v].keep = true;
  return DOR_OK;
}

void dor_graph_keep(dor_graph *g, dor_val v, const char *name)
{
  if (!g->status) g->status = keep(g, v, name);
}

dor_type dor_graph_type(const dor_graph *g, dor_val v)
{
  return v >= 0 && v < g->nvalue ? g->value[v].type : (dor_type){0};
}

dor_cost dor_node_cost(const dor_graph *g, int32_t node)
{
  enum { MOST = 64 };
  dor_type type[MOST];
  const dor_node *n = &g->node[node];
  if (!n->op->cost || n->nin + n->nout > MOST) return (dor_cost){0};
  for (int32_t i = 0; i < n->nin; i++) type[i] = g->value[n->in[i]].type;
  for (int32_t i = 0; i < n->nout; i++) type[n->nin + i] = g->value[n->out[i]].type;
  return n->op->cost(&(dor_infer){.attr = n->attr, .nin = n->nin, .nout = n->nout, .in = type, .out = type + n->nin});
}
