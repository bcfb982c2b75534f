/* SPDX-License-Identifier: Apache-2.0
 *
 * What the cuDNN kernels ask for, carried out to the letter in double: if an operation graph is right, so is what it gives. The real
 * library is asked the same by src/backend/cuda/dnn.c. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/program.h"
#include "base/mem.h"
#include "kernels/opgraph.h"
#include "ops/ops.h"
#include "tensor/convert.h"
#include "tests/ops/trial.h"
#include "tests/test.h"

typedef struct loops_plan {
  dor_library_plan head;
  dor_opgraph g;
} loops_plan;

typedef struct loops { const dor_opgraph *g; double *at[DOR_OG_TENSORS]; } loops;

static int64_t count(const dor_og_tensor *t) { return (int64_t)t->dim[0] * t->dim[1] * t->dim[2] * t->dim[3]; }
static dor_type map_type(const dor_og_tensor *t) { return (dor_type){{4, {t->dim[0], t->dim[1], t->dim[2], t->dim[3]}}, DOR_F32}; }

/* What is stored is rounded to its type; what is virtual is not. */
static void settle(const loops *l, dor_og v)
{
  const dor_og_tensor *t = &l->g->tensor[v];
  if (t->place == DOR_OG_VIRTUAL || t->dtype == DOR_F32) return;
  void *narrow = malloc(dor_og_bytes(t));
  dor_from_real(t->dtype, l->at[v], count(t), narrow);
  dor_to_real(t->dtype, narrow, count(t), l->at[v]);
  free(narrow);
}

/* [rows][columns] -> [columns][rows] */
static void turn(const double *from, int64_t rows, int64_t columns, double *to)
{
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = 0; c < columns; c++) to[c * rows + r] = from[r * columns + c];
}

/* A filter [O,K,K,C] as the ops know it, [K,K,C,O]: its type. */
static dor_type weights_type(const dor_og_tensor *f) { return (dor_type){{4, {f->dim[1], f->dim[2], f->dim[3], f->dim[0]}}, DOR_F32}; }

static void convolve(const loops *l, const dor_og_op *op)
{
  static const dor_op *const which[] = {[DOR_OG_CONV] = &dor_op_conv2d, [DOR_OG_DX] = &dor_op_conv2d_dx, [DOR_OG_DW] = &dor_op_conv2d_dw};
  const dor_og_tensor *t = l->g->tensor;
  dor_og filter = op->kind == DOR_OG_DW ? op->out[0] : op->in[1];
  int64_t n = count(&t[filter]), o = t[filter].dim[0];
  double *w = calloc((size_t)n, sizeof *w);
  if (op->kind != DOR_OG_DW) turn(l->at[filter], o, n / o, w);
  dor_type in[2] = {map_type(&t[op->in[0]]), op->kind == DOR_OG_DW ? map_type(&t[op->in[1]]) : weights_type(&t[filter])};
  dor_type out[1] = {op->kind == DOR_OG_DW ? weights_type(&t[filter]) : map_type(&t[op->out[0]])};
  const double *from[2] = {l->at[op->in[0]], op->kind == DOR_OG_DW ? l->at[op->in[1]] : w};
  double *to[1] = {op->kind == DOR_OG_DW ? w : l->at[op->out[0]]};
  dor_type inferred[1] = {{{0}, DOR_F32}};
  OK(which[op->kind]->infer(&(dor_infer){&l->g->conv, 2, 1, in, inferred}));
  CHECK(dor_shape_same(inferred[0].shape, out[0].shape), "the graph's result is of another shape than the convolution's");
  which[op->kind]->ref(&(dor_refcall){&l->g->conv, 2, 1, in, out, from, to, NULL, 0});
  if (op->kind == DOR_OG_DW) turn(w, n / o, o, l->at[filter]);
  free(w);
}

static void pointwise(const loops *l, const dor_og_op *op)
{
  const dor_og_tensor *t = l->g->tensor;
  const double *a = l->at[op->in[0]], *b = op->in[1] < 0 ? NULL : l->at[op->in[1]];
  int64_t n = count(&t[op->out[0]]), many = b ? count(&t[op->in[1]]) : 1;
  CHECK(count(&t[op->in[0]]) == n && (many == n || many == t[op->out[0]].dim[3] || !b), "an operand does not fit");
  for (int64_t i = 0; i < n; i++)
    l->at[op->out[0]][i] = op->kind == DOR_OG_ADD ? a[i] + b[i % many] : op->kind == DOR_OG_MUL ? a[i] * b[i % many] : fmax(a[i], 0);
}

static void vectors(const loops *l, const dor_og_op *op) /* FOLD, SUMS, MOMENTS */
{
  const dor_og_tensor *t = l->g->tensor;
  double *const *v = l->at;
  int64_t n = t[op->out[0]].dim[3];
  if (op->kind == DOR_OG_SUMS) {
    memset(v[op->out[0]], 0, (size_t)n * sizeof(double)), memset(v[op->out[1]], 0, (size_t)n * sizeof(double));
    for (int64_t i = 0; i < count(&t[op->in[0]]); i++)
      v[op->out[0]][i % n] += v[op->in[0]][i], v[op->out[1]][i % n] += v[op->in[0]][i] * v[op->in[0]][i];
    return;
  }
  for (int64_t i = 0; i < n; i++) {
    double pixels = op->kind == DOR_OG_MOMENTS ? (double)(count(&t[op->in[2]]) / n) : 1, first = v[op->in[0]][i] / pixels, second = v[op->in[1]][i] / pixels;
    double scale = op->kind == DOR_OG_FOLD ? v[op->in[2]][i] / sqrt(second + l->g->eps) : first;
    v[op->out[0]][i] = scale;
    v[op->out[1]][i] = op->kind == DOR_OG_FOLD ? v[op->in[3]][i] - first * scale : second - first * first;
  }
}

static void step(const loops *l, const dor_og_op *op)
{
  const dor_og_tensor *t = l->g->tensor;
  if (op->kind == DOR_OG_TURN) turn(l->at[op->in[0]], count(&t[op->in[0]]) / t[op->out[0]].dim[0], t[op->out[0]].dim[0], l->at[op->out[0]]);
  else if (op->kind == DOR_OG_TURN_BACK) turn(l->at[op->in[0]], t[op->in[0]].dim[0], count(&t[op->in[0]]) / t[op->in[0]].dim[0], l->at[op->out[0]]);
  else if (op->kind <= DOR_OG_DW && op->kind >= DOR_OG_CONV) convolve(l, op);
  else if (op->kind <= DOR_OG_RELU && op->kind >= DOR_OG_ADD) pointwise(l, op);
  else vectors(l, op);
  for (int32_t i = 0; i < DOR_OG_OUT && op->out[i] >= 0; i++) settle(l, op->out[i]);
}

/* The order of a call: own steps before, the graph, own steps after. */
static int phase(dor_og_kind k) { return k <= DOR_OG_FOLD ? 0 : dor_og_is_own(k) ? 2 : 1; }

static void run(const dor_call *c)
{
  const dor_opgraph *g = &((const loops_plan *)c->plan)->g;
  loops l = {.g = g};
  for (int32_t i = 0; i < g->ntensor; i++) {
    l.at[i] = calloc((size_t)count(&g->tensor[i]), sizeof(double));
    const dor_view *v = g->tensor[i].place == DOR_OG_VIEW ? dor_from_view(c, g->tensor[i].from) : NULL;
    const dor_og_tensor *t = &g->tensor[i];
    if (v && t->from < DOR_FROM_OUT) dor_to_real(v->dtype, v->data, count(t), l.at[i]);
    if (t->place == DOR_OG_COPY) dor_to_real(t->dtype, dor_from_copy(c, t->dtype, t->from), count(t), l.at[i]);
  }
  for (int p = 0; p < 3; p++)
    for (int32_t i = 0; i < g->nop; i++)
      if (phase(g->op[i].kind) == p) step(&l, &g->op[i]);
  for (int32_t i = 0; i < g->ntensor; i++) {
    const dor_view *v = g->tensor[i].place == DOR_OG_VIEW ? dor_from_view(c, g->tensor[i].from) : NULL;
    if (v && g->tensor[i].from >= DOR_FROM_OUT) dor_from_real(v->dtype, l.at[i], count(&g->tensor[i]), v->data);
    free(l.at[i]);
  }
}

/* Each tensor is made once and read, or is the call's; views are of their type and size. */
static dor_status attach(dor_call *c)
{
  const dor_opgraph *g = &((const loops_plan *)c->plan)->g;
  int32_t made[DOR_OG_TENSORS] = {0};
  for (int32_t i = 0; i < g->nop; i++)
    for (int32_t k = 0; k < DOR_OG_OUT && g->op[i].out[k] >= 0; k++) made[g->op[i].out[k]]++;
  for (int32_t i = 0; i < g->ntensor; i++) {
    const dor_og_tensor *t = &g->tensor[i];
    const dor_view *v = t->place == DOR_OG_VIEW ? dor_from_view(c, t->from) : NULL;
    const bool given = t->place == DOR_OG_COPY || (v && t->from < DOR_FROM_OUT);
    CHECK(made[i] == !given, "tensor %d is made %d times", i, made[i]);
    CHECK(!v || (v->dtype == t->dtype && dor_shape_size(v->shape) == count(t)), "tensor %d is not its view", i);
  }
  return DOR_OK;
}

static dor_status plan_graph(const dor_library *l, const dor_opgraph *g, void **plan, size_t *scratch)
{
  loops_plan *p = dor_calloc(1, sizeof *p);
  REQUIRE(p, "no memory");
  *p = (loops_plan){{l}, *g};
  *plan = p;
  *scratch = 64;
  return DOR_OK;
}

static const dor_library interpreter = {.name = "loops", .graph = plan_graph, .attach = attach, .run = run, .drop = dor_free};

TEST(op_graphs_are_described_as_defined)
{
  static const dor_dtype store[] = {DOR_F32, DOR_BF16, DOR_F16};
  static const double wider[] = {1, 0x1p15, 0x1p12}; /* cuDNN has filters and their gradients in the maps' type: so much coarser than float */
  const dor_op *const op[] = {&dor_op_conv2d, &dor_op_conv2d_dx, &dor_op_conv2d_dw, &dor_op_conv_transpose2d,
                              &dor_op_conv2d_stats, &dor_op_conv2d_affine, &dor_op_conv2d_dx_add};
  dor_backend b = trial_backend(dor_column_library, "library");
  b.library = &interpreter;
  int runs = 0, declined = 0;
  double worst = 0;
  for (size_t i = 0; i < sizeof op / sizeof *op; i++)
    for (const dor_case *at = op[i]->cases; at->name; at++)
      for (int k = 0; k < 3 && !at->bench; k++) {
        trial_result r = trial_run(&b, op[i], at, store[k], &(dor_program_options){.no_fuse = true});
        runs += r.taken, declined += !r.taken;
        if (!r.taken) continue;
        CHECK(r.worst <= wider[k] && !r.stray, "%s: %.2f times its tolerance", r.what, r.worst);
        worst = fmax(worst, r.worst / wider[k]);
      }
  CHECK(runs > 60, "%d graphs only", runs);
  print_message("    %d graphs, worst at %.2f of its tolerance; %d declined\n", runs, worst, declined);
}

static const char *line_of(const dor_op *op, const dor_case *at, dor_str *text)
{
  dor_backend b = trial_backend(dor_column_library, "library");
  dor_opcase c;
  dor_program *p;
  b.library = &interpreter;
  OK(dor_opcase_build(&c, op, at));
  OK(dor_program_build(&p, &c.graph, &b, &(dor_program_options){.no_fuse = true}));
  dor_og_print(&((const loops_plan *)p->bound[0].plan)->g, text);
  dor_program_release(p);
  return text->s;
}

TEST(op_graphs_print_as_one_line)
{
  dor_str text = {0};
  const dor_case *residual = dor_op_conv2d_affine.cases;
  while (strcmp(residual->name, "residual")) residual++;
  const char *want = "turn(1)>2 conv(0,2)>3 fold(4,5,6,7)>8,9 mul(3,8)>10 add(10,9)>11 add(11,12)>13 relu(13)>14 kernel 3x3 stride 1,1 pad 1,1 "
                     "dilation 1,1 groups 1; 0=in0:f32[2,8,12,16] 1=in1:f32[3,3,16,16] 2=scratch:f32[16,3,3,16] 3=virtual:f32[2,8,12,16] "
                     "4=in2:f32[1,1,1,16] 5=in3:f32[1,1,1,16] 6=in4:f32[1,1,1,16] 7=in5:f32[1,1,1,16] 8=scratch:f32[1,1,1,16] 9=scratch:f32[1,1,1,16] "
                     "10=virtual:f32[2,8,12,16] 11=virtual:f32[2,8,12,16] 12=in6:f32[2,8,12,16] 13=virtual:f32[2,8,12,16] 14=out0:f32[2,8,12,16]";
  const char *got = line_of(&dor_op_conv2d_affine, residual, &text);
  CHECK(!strcmp(got, want), "got  %s\nwant %s", got, want);
  dor_str_release(&text);
}

typedef struct twice { dor_params params; dor_program *p; dor_instance *in; } twice; /* y = conv(x, w), z = its gradient by x at y */

static void make_twice(twice *t, const dor_backend *b, dor_format precision, float *block)
{
  dor_graph g;
  dor_graph_init(&g, &t->params, true);
  dor_val x = dor_graph_input(&g, "x", (dor_type){DOR_SHAPE(2, 5, 7, 8), DOR_F32});
  dor_val w = dor_graph_param(&g, &(dor_param_spec){.name = "w", .shape = DOR_SHAPE(3, 3, 8, 16)}), y = dor_conv2d(&g, x, w, 1, 1, 1, 1);
  const dor_conv2d_attr a = {.kernel = {3, 3}, .stride = {1, 1}, .pad = {1, 1}, .dilation = {1, 1}, .groups = 1, .size = {5, 7}};
  dor_graph_keep(&g, dor_conv2d_dx(&g, y, w, &a), "z");
  OK(dor_program_build(&t->p, &g, b, &(dor_program_options){.no_fuse = true, .precision = precision}));
  OK(dor_instance_new(&t->in, t->p, &(dor_blocks){.at = {[DOR_PARAM] = block}}));
  float *from = dor_instance_named(t->in, "x");
  for (int i = 0; i < 2 * 5 * 7 * 8; i++) from[i] = (float)(i % 5 - 2);
}

static void free_twice(twice *t)
{
  dor_instance_free(t->in);
  dor_program_release(t->p);
  dor_params_release(&t->params);
}

TEST(op_graphs_read_copies_of_weights)
{
  enum { WEIGHTS = 3 * 3 * 8 * 16, SIZE = 2 * 5 * 7 * 8 };
  static const dor_format precision[] = {DOR_FORMAT_FP32, DOR_FORMAT_BF16, DOR_FORMAT_FP16};
  static const double bound[] = {1e-5, 3e-2, 3e-3};
  dor_backend b = trial_backend(dor_column_library, "library");
  float block[WEIGHTS];
  b.column[1] = dor_column_cuda, b.library = &interpreter;
  for (int k = 0; k < 3; k++) {
    twice gpu = {0}, cpu = {0};
    make_twice(&gpu, &b, precision[k], block), make_twice(&cpu, &dor_backend_plain, DOR_FORMAT_FP32, block);
    REQUIRE(gpu.p->graph.node[0].op == &dor_op_copy_weights, "weights are not copied first");
    CHECK(((const dor_copies_attr *)gpu.p->graph.node[0].attr)->n == 1, "forward and backward do not share a copy");
    for (int round = 1; round < 3; round++) {
      double worst = 0, scale = 1e-30;
      for (int i = 0; i < WEIGHTS; i++) block[i] = (float)(round * (i % 7 - 3)) / 8; /* the copy is made anew in each run */
      dor_instance_run(gpu.in, &(dor_step){.grad_scale = 1}), dor_instance_run(cpu.in, &(dor_step){.grad_scale = 1});
      const float *got = dor_instance_named(gpu.in, "z"), *want = dor_instance_named(cpu.in, "z");
      for (int i = 0; i < SIZE; i++) scale = fmax(scale, fabs((double)want[i])), worst = fmax(worst, fabs((double)got[i] - (double)want[i]));
      CHECK(worst < bound[k] * scale, "format %d: %.2g of the largest", k, worst / scale);
    }
    free_twice(&gpu), free_twice(&cpu);
  }
}
