/* SPDX-License-Identifier: Apache-2.0
 *
 * A graph as text, one node a line: what tests compare and `describe` shows. */
#include "graph/graph.h"

static const char *const kinds[DOR_KIND_COUNT] = {
    [DOR_TEMP] = "", [DOR_INPUT] = "input", [DOR_PARAM] = "param", [DOR_GRAD] = "grad", [DOR_STATE] = "state", [DOR_MOMENT] = "moment"};

static void value_text(const dor_graph *g, dor_val v, dor_str *out)
{
  const dor_value *x = &g->value[v];
  dor_shape_text shape;
  if (*x->name) dor_str_fmt(out, "%s", x->name);
  else dor_str_fmt(out, "%%%d", v);
  dor_str_fmt(out, " %s", dor_shape_print(x->type.shape, shape));
  if (x->type.dtype != DOR_F32) dor_str_fmt(out, " %s", dor_dtype_name(x->type.dtype));
  if (x->kind != DOR_TEMP) dor_str_fmt(out, " %s", kinds[x->kind]);
  if (x->keep) dor_str_add(out, " kept");
}

static int64_t integer_of(const void *field, size_t size)
{
  if (size == 8) return *(const int64_t *)field;
  if (size == 4) return *(const int32_t *)field;
  return *(const int8_t *)field;
}

static void attribute_text(const dor_key *key, const void *attr, dor_str *out)
{
  const void *field = (const char *)attr + key->offset;
  dor_str_fmt(out, " %s=", key->name);
  if (key->type == DOR_KEY_INTS) {
    const int32_t *v = field;
    for (size_t i = 0; i < key->size / sizeof *v; i++) dor_str_fmt(out, "%s%d", i ? "," : "", v[i]);
    return;
  }
  if (key->type == DOR_KEY_REAL) dor_str_real(out, key->size == sizeof(float) ? (double)*(const float *)field : *(const double *)field);
  else if (key->type == DOR_KEY_BOOL) dor_str_add(out, *(const bool *)field ? "true" : "false");
  else if (key->type == DOR_KEY_INT || key->size < sizeof(const char *)) dor_str_fmt(out, "%lld", (long long)integer_of(field, key->size));
  else dor_str_add(out, *(const char *const *)field);
}

void dor_graph_dump_node(const dor_graph *g, int32_t k, const dor_plan *plan, dor_str *out)
{
  const dor_node *n = &g->node[k];
  dor_str_fmt(out, "%4d  %-16s", k, n->op->name);
  for (int32_t i = 0; i < n->nin; i++) {
    dor_str_add(out, i ? ", " : " ");
    value_text(g, n->in[i], out);
  }
  dor_str_add(out, " ->");
  for (int32_t i = 0; i < n->nout; i++) {
    dor_str_add(out, i ? ", " : " ");
    value_text(g, n->out[i], out);
    size_t at = plan ? plan->offset[n->out[i]] : SIZE_MAX;
    if (at != SIZE_MAX) dor_str_fmt(out, " @%zu", at);
  }
  for (const dor_key *key = n->op->keys; key && key->name; key++) attribute_text(key, n->attr, out);
  if (*n->scope) dor_str_fmt(out, "  (%s)", n->scope);
}

void dor_graph_dump(const dor_graph *g, const dor_plan *plan, dor_str *out)
{
  for (int32_t k = 0; k < g->nnode; k++) {
    dor_graph_dump_node(g, k, plan, out);
    dor_str_add(out, "\n");
  }
  if (plan) dor_str_fmt(out, "pool %zu bytes planned, %zu unplanned, %zu needed at least\n", plan->total, plan->unplanned, plan->bound);
}
