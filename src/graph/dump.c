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

/* Attributes hold int32_t, double, bool or text; a field may be an array of its type. */
static void attribute_text(const dor_key *key, const void *attr, dor_str *out)
{
  const char *field = (const char *)attr + key->offset;
  dor_str_fmt(out, " %s=", key->name);
  if (key->type == DOR_KEY_BOOL) dor_str_add(out, *(const bool *)(const void *)field ? "true" : "false");
  if (key->type == DOR_KEY_TEXT) dor_str_add(out, *(const char *const *)(const void *)field);
  for (size_t i = 0; key->type == DOR_KEY_REAL && i < key->size; i += sizeof(double)) {
    dor_str_add(out, i ? "," : "");
    dor_str_real(out, *(const double *)(const void *)(field + i));
  }
  for (size_t i = 0; (key->type == DOR_KEY_INT || key->type == DOR_KEY_INTS) && i < key->size; i += sizeof(int32_t))
    dor_str_fmt(out, i ? ",%d" : "%d", *(const int32_t *)(const void *)(field + i));
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
