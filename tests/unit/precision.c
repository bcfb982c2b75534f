/* SPDX-License-Identifier: Apache-2.0
 *
 * Programs in 16 bits: random nets with their gradients, narrowed. What is where is checked by the marks of the ops, and the numbers, each
 * rounded to how it is stored, against the same net in double. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "nn/pose_net.h"
#include "ops/ops.h"
#include "tensor/convert.h"
#include "tests/ops/reference.h"
#include "tests/test.h"
#include "tests/unit/net.h"

enum { NETS = 12 };

static bool narrow(dor_dtype t) { return t == DOR_BF16 || t == DOR_F16; }
static bool real(dor_dtype t) { return t == DOR_F32 || narrow(t); }

static void build(test_net *n, uint64_t seed, bool accumulate, dor_dtype store)
{
  test_net_build(n, seed, accumulate);
  OK(dor_graph_prune(&n->graph));
  if (narrow(store)) OK(dor_graph_narrow(&n->graph, &(dor_narrowing){store, dor_cast}));
}

/* Inputs (outputs) of a node: all that are marked alike, all others float. Returns whether they are narrow. */
static bool check_side(const dor_graph *g, const dor_node *n, bool output)
{
  int marked = 0, narrows = 0, wanted = 0;
  for (int32_t i = 0; i < (output ? n->nout : n->nin); i++) {
    const dor_dtype t = g->value[output ? n->out[i] : n->in[i]].type.dtype;
    const char mark = dor_op_mark(n->op, output, i);
    if (!real(t)) continue;
    CHECK(mark != '-' || !narrow(t) || n->op == &dor_op_cast, "%s: %s %d is %s", n->op->name, output ? "output" : "input", i, dor_dtype_name(t));
    marked += mark != '-', narrows += mark != '-' && narrow(t), wanted += mark == 'X';
  }
  CHECK(narrows == 0 || narrows == marked, "%s (%s): %d of %d are narrow", n->op->name, n->scope, narrows, marked);
  CHECK(!wanted || narrows == marked, "%s (%s) is float", n->op->name, n->scope);
  return narrows > 0;
}

static bool writes(const dor_graph *g, dor_val v)
{
  for (int32_t k = 0; k < g->nnode; k++)
    for (int32_t i = 0; i < g->node[k].nout; i++)
      if (g->node[k].out[i] == v) return true;
  return false;
}

TEST(precision_every_node_reads_and_writes_what_it_may)
{
  int nodes = 0, in16 = 0, casts = 0;
  for (uint64_t seed = 0; seed < NETS; seed++) {
    test_net wide, n;
    build(&wide, seed, seed % 2, DOR_F32);
    build(&n, seed, seed % 2, seed % 3 ? DOR_BF16 : DOR_F16);
    const dor_graph *g = &n.graph;
    for (int32_t k = 0; k < g->nnode; k++) {
      const bool in = check_side(g, &g->node[k], false), out = check_side(g, &g->node[k], true);
      CHECK(!out || in, "%s makes narrow numbers of wide ones", g->node[k].op->name);
      nodes++, in16 += in, casts += g->node[k].op == &dor_op_cast;
    }
    for (dor_val v = 0; v < wide.graph.nvalue; v++) {
      const dor_value *x = &g->value[v];
      const bool fixed = x->keep || x->kind != DOR_TEMP;
      CHECK(!fixed || !narrow(x->type.dtype), "'%s' must stay in float", x->name);
      CHECK(!fixed || writes(&wide.graph, v) == writes(g, v), "nobody writes '%s' any more", x->name);
    }
    dor_plan plan;
    OK(dor_graph_plan(&n.graph, NULL, &plan)); /* nothing reads what is overwritten */
    test_net_free(&n), test_net_free(&wide);
  }
  print_message("    %d nets: %d nodes, %d of them narrow, %d casts\n", NETS, nodes, in16, casts);
  CHECK(in16 > nodes / 2 && casts < nodes / 4, "%d of %d nodes are narrow, %d are casts", in16, nodes, casts);
}

static void stored(numbers v, dor_val k)
{
  const dor_type t = v.g->value[k].type;
  const int64_t n = dor_shape_size(t.shape);
  void *as = malloc((size_t)n * sizeof(double));
  dor_from_real(t.dtype, v.at[k], n, as);
  dor_to_real(t.dtype, as, n, v.at[k]);
  free(as);
}

/* A net's values: inputs and parameters as everywhere, then node by node. */
static numbers run(const test_net *n, bool rounded)
{
  const dor_graph *g = &n->graph;
  numbers v = numbers_new(g);
  dor_rng r = dor_rng_stream(9, 0, 0);
  for (dor_val k = 0; k < g->nvalue; k++) {
    const dor_value *x = &g->value[k];
    const int64_t size = dor_shape_size(x->type.shape);
    if (x->alias != DOR_NONE) continue;
    if (x->kind == DOR_PARAM || x->kind == DOR_STATE) dor_to_real(x->type.dtype, (char *)n->blocks.at[x->kind] + x->offset, size, v.at[k]);
    for (int64_t i = 0; x->kind == DOR_INPUT && i < size; i++)
      v.at[k][i] = !strcmp(x->name, "x") ? (double)(float)(2 * dor_rng_real(&r) - 1) : !strcmp(x->name, "label") ? (double)(i % 4) : 1;
  }
  for (int32_t k = 0; k < g->nnode; k++) {
    numbers_run(v, k, k + 1);
    for (int32_t i = 0; rounded && i < g->node[k].nout; i++) stored(v, g->node[k].out[i]);
  }
  return v;
}

/* |a - b| / |b| over all gradients */
static double gradients_apart(const dor_graph *g, numbers a, numbers b)
{
  double error = 0, size = 0;
  for (dor_val v = 0; v < g->nvalue; v++)
    for (int64_t i = 0; g->value[v].kind == DOR_GRAD && g->value[v].alias == DOR_NONE && i < dor_shape_size(g->value[v].type.shape); i++)
      error += pow(a.at[v][i] - b.at[v][i], 2), size += pow(b.at[v][i], 2);
  return sqrt(error / size);
}

static int smaller_first(const void *a, const void *b)
{
  const double *x = a, *y = b;
  return *x < *y ? -1 : *x > *y;
}

/* The median of the nets' gradients is held: in one or the other a rounding makes another pixel the largest of its window. */
static void check_numbers(dor_dtype store, double loss_bound, double gradient_bound)
{
  double loss = 0, gradient[NETS];
  for (uint64_t seed = 0; seed < NETS; seed++) {
    test_net wide, n;
    build(&wide, seed, false, DOR_F32);
    build(&n, seed, false, store);
    numbers a = run(&n, true), b = run(&wide, false);
    const dor_val at = dor_graph_find(&wide.graph, "loss");
    gradient[seed] = gradients_apart(&wide.graph, a, b);
    loss = fmax(loss, fabs(*a.at[at] / *b.at[at] - 1));
    numbers_free(a), numbers_free(b);
    test_net_free(&n), test_net_free(&wide);
  }
  qsort(gradient, NETS, sizeof *gradient, smaller_first);
  const double least = gradient[0], median = gradient[NETS / 2], most = gradient[NETS - 1];
  print_message("    %s: losses within %.1e, gradients off by %.1e to %.1e, median %.1e\n", dor_dtype_name(store), loss, least, most, median);
  CHECK(loss < loss_bound && median < gradient_bound && most < 10 * gradient_bound, "%s: losses off by %.1e, gradients by %.1e, at most %.1e",
        dor_dtype_name(store), loss, median, most);
  CHECK(least > gradient_bound / 100, "nothing is rounded: a net's gradients are within %.1e", least);
}

TEST(precision_a_step_in_bf16_is_near_the_one_in_double) { check_numbers(DOR_BF16, 5e-3, 0.06); }
TEST(precision_a_step_in_f16_is_nearer) { check_numbers(DOR_F16, 1e-3, 0.02); }

/* A program of a small CNN on the null backend, as text. */
static void dump_of(dor_format precision, dor_str *out)
{
  test_net n;
  dor_program *p;
  test_net_build(&n, 1, false);
  OK(dor_program_build(&p, &n.graph, &dor_backend_null, &(dor_program_options){.precision = precision}));
  dor_program_dump(p, out);
  OK(dor_str_status(out));
  dor_program_release(p);
  test_net_free(&n);
}

TEST(precision_shows_on_the_null_backend)
{
  dor_str text[4] = {0};
  for (dor_format f = DOR_FORMAT_FP32; f <= DOR_FORMAT_FP16; f++) dump_of(f, &text[f]);
  CHECK(!strstr(text[DOR_FORMAT_FP32].s, "tf32") && strstr(text[DOR_FORMAT_TF32].s, " tf32"), "a library is not told of tf32");
  CHECK(!strstr(text[DOR_FORMAT_TF32].s, "bf16") && strstr(text[DOR_FORMAT_BF16].s, "bf16"), "nothing is stored in bf16");
  CHECK(!strstr(text[DOR_FORMAT_BF16].s, "f16 ") || strstr(text[DOR_FORMAT_FP16].s, "f16"), "nothing is stored in f16");
  for (int f = 0; f < 4; f++) dor_str_release(&text[f]);
}

TEST(precision_is_refused_where_kernels_compute_in_float)
{
  test_net n;
  dor_program *p;
  test_net_build(&n, 1, false);
  const dor_program_options narrow_one = {.precision = DOR_FORMAT_FP16};
  CHECK(dor_program_build(&p, &n.graph, &dor_backend_cpu, &narrow_one) == DOR_E_UNSUPPORTED && strstr(dor_errmsg(), "the cpu backend has no fp16"), "%s",
        dor_errmsg());
  test_net_free(&n);
}

/* What a training step of a small HigherHRNet plans on the CPU: there it is the activations that count. */
static size_t planned(dor_format precision)
{
  const dor_model *m = dor_model_find("higherhrnet");
  dor_arena a = {0};
  dor_params params = {0};
  dor_program *p;
  dor_pose_net net;
  dor_graph g;
  dor_tree *tree;
  void *cfg = dor_arena_alloc(&a, m->cfg_size);
  OK(dor_tree_parse(&a, "net", "width = 8;", &tree));
  OK(dor_schema_defaults(m->keys, cfg, &a));
  OK(dor_schema_load(m->keys, cfg, tree, NULL, &a));
  dor_graph_init(&g, &params, true);
  OK(dor_pose_graph_train(&g, m, cfg, DOR_SHAPE(2, 128, 128, 3), &(dor_pose_loss){.push = 1e-3, .pull = 1e-3, .people = 5}, false, &net));
  OK(dor_program_build(&p, &g, &dor_backend_cpu, &(dor_program_options){.precision = precision}));
  const size_t bytes = dor_program_pool_bytes(p);
  dor_program_release(p);
  dor_params_release(&params);
  dor_arena_release(&a);
  return bytes;
}

TEST(precision_bf16_takes_less_memory_on_the_cpu)
{
  const size_t full = planned(DOR_FORMAT_FP32), half = planned(DOR_FORMAT_BF16);
  print_message("    a training step: %zu bytes planned in fp32, %zu in bf16\n", full, half);
  CHECK((double)half < 0.6 * (double)full, "bf16 saves no memory");
}
