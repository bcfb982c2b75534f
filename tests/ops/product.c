/* SPDX-License-Identifier: Apache-2.0
 *
 * What the cuBLASLt kernels ask for, carried out to the letter by plain loops: if a description is right, so is its product.
 * The real library is asked the same by src/backend/cuda/blas.c. */
#include <math.h>
#include <stdlib.h>

#include "backend/program.h"
#include "base/mem.h"
#include "kernels/library.h"
#include "ops/ops.h"
#include "tensor/convert.h"
#include "tests/ops/trial.h"
#include "tests/test.h"

typedef struct loops_plan {
  dor_library_plan head;
  dor_product d;
} loops_plan;

static double get(const dor_view *v, int64_t i)
{
  double x = 0;
  dor_to_real(v->dtype, (const char *)v->data + (size_t)i * dor_dtype_size(v->dtype), 1, &x);
  return x;
}

static void put(const dor_view *v, int64_t i, double x)
{
  dor_from_real(v->dtype, &x, 1, (char *)v->data + (size_t)i * dor_dtype_size(v->dtype));
}

/* B: the call's view, or the program's copy of it. */
static dor_view b_of(const dor_call *c, const dor_product *d)
{
  dor_view b = *dor_from_view(c, d->b);
  if (d->copied_b) b.dtype = d->type_b, b.data = (void *)(uintptr_t)dor_from_copy(c, d->type_b, d->copy_b);
  return b;
}

static double gated(const dor_view *v, const dor_view *gate, int64_t i) { return gate && !(get(gate, i) > 0) ? 0 : get(v, i); }

static void column(const dor_call *c, const dor_product *d, int64_t j) /* one of C's, and its sum of B */
{
  const dor_view factor = b_of(c, d), *a = dor_from_view(c, d->a), *b = &factor, *bias = dor_from_view(c, d->bias);
  const dor_view *gate_a = dor_from_view(c, d->gate_a), *gate_b = dor_from_view(c, d->gate_b);
  double total = 0;
  for (int64_t p = 0; p < d->k; p++) total += gated(b, gate_b, d->tb ? j * d->k + p : p * d->n + j);
  for (int64_t i = 0; i < d->m; i++) {
    double s = 0;
    for (int64_t p = 0; p < d->k; p++)
      s += gated(a, gate_a, d->ta ? p * d->m + i : i * d->k + p) * gated(b, gate_b, d->tb ? j * d->k + p : p * d->n + j);
    if (d->epilogue == DOR_EPILOGUE_BIAS || d->epilogue == DOR_EPILOGUE_BIAS_RELU) s += get(bias, j);
    put(dor_from_view(c, d->c), i * d->n + j, d->epilogue == DOR_EPILOGUE_BIAS_RELU ? fmax(s, 0) : s);
  }
  if (d->epilogue == DOR_EPILOGUE_SUM_B) put(bias, j, total);
}

static void run(const dor_call *c)
{
  const loops_plan *p = c->plan;
  for (int64_t j = 0; j < p->d.n; j++) column(c, &p->d, j);
}

static bool types_fit(const dor_call *c, const dor_product *d)
{
  const dor_view b = b_of(c, d), *a = dor_from_view(c, d->a), *y = dor_from_view(c, d->c), *bias = dor_from_view(c, d->bias);
  return a->dtype == d->type_a && b.dtype == d->type_b && y->dtype == d->type_c && (!bias || bias->dtype == d->type_bias);
}

static dor_status attach(dor_call *c)
{
  const dor_product *d = &((const loops_plan *)c->plan)->d;
  CHECK(types_fit(c, d), "the types described are not those of the call");
  CHECK((d->bias == DOR_FROM_NONE) == (d->epilogue == DOR_EPILOGUE_NONE), "an epilogue without a bias, or a bias without one");
  return DOR_OK;
}

static dor_status plan_product(const dor_library *l, const dor_product *d, void **plan, size_t *scratch)
{
  loops_plan *p = dor_calloc(1, sizeof *p);
  REQUIRE(p, "no memory");
  *p = (loops_plan){{l}, *d};
  *plan = p;
  *scratch = 64;
  return DOR_OK;
}

static const dor_library loops = {.name = "loops", .product = plan_product, .attach = attach, .run = run, .drop = dor_free};

TEST(op_products_are_described_as_defined)
{
  static const dor_dtype store[] = {DOR_F32, DOR_BF16, DOR_F16};
  const dor_op *const op[] = {&dor_op_matmul, &dor_op_linear, &dor_op_linear_dx, &dor_op_linear_dw};
  dor_backend b = trial_backend(dor_column_library, "library");
  b.library = &loops;
  int runs = 0;
  double worst = 0;
  for (size_t i = 0; i < sizeof op / sizeof *op; i++)
    for (const dor_case *at = op[i]->cases; at->name; at++)
      for (int k = 0; k < 3 && !at->bench; k++, runs++) {
        trial_result r = trial_run(&b, op[i], at, store[k], &(dor_program_options){.no_fuse = true});
        CHECK(r.taken && r.worst <= 1 && !r.stray, "%s: %.2f times its tolerance", r.what, r.worst);
        worst = fmax(worst, r.worst);
      }
  print_message("    %d products, worst at %.2f of its tolerance\n", runs, worst);
}

TEST(op_products_are_declined_without_a_library)
{
  void *plan = NULL;
  size_t scratch = 0;
  dor_status s = dor_column_library[DOR_OP_matmul]->prepare(
      &(dor_prep){.attr = &(dor_matmul_attr){false, false}, .in = (dor_type[]){{DOR_SHAPE(2, 3), DOR_F32}, {DOR_SHAPE(3, 4), DOR_F32}},
                  .out = (dor_type[]){{DOR_SHAPE(2, 4), DOR_F32}}, .nin = 2, .nout = 1},
      &plan, &scratch);
  CHECK(s == DOR_E_UNSUPPORTED && !plan, "a product without a library: %d", (int)s);
}

/* y = x w, z = y w' in bf16: w is copied once, before all else, and its copy read by both. */
TEST(op_products_read_copies_of_weights)
{
  enum { N = 4, I = 6, O = 16 };
  dor_backend b = trial_backend(dor_column_library, "library");
  b.column[1] = dor_column_cuda, b.library = &loops;
  dor_params params = {0};
  dor_graph g;
  dor_program *p;
  dor_instance *in;
  float block[I * O + O] = {0};
  dor_graph_init(&g, &params, true);
  dor_val x = dor_graph_input(&g, "x", (dor_type){DOR_SHAPE(N, I), DOR_F32});
  dor_val w = dor_graph_param(&g, &(dor_param_spec){.name = "w", .shape = DOR_SHAPE(I, O)});
  dor_val y = dor_linear(&g, x, w, dor_graph_param(&g, &(dor_param_spec){.name = "b", .shape = DOR_SHAPE(O)}), false);
  dor_graph_keep(&g, dor_linear_dx(&g, y, y, w, false), "z");
  OK(dor_program_build(&p, &g, &b, &(dor_program_options){.no_fuse = true, .precision = DOR_FORMAT_BF16}));
  REQUIRE(p->graph.node[0].op == &dor_op_copy_weights, "weights are not copied first");
  CHECK(((const dor_copies_attr *)p->graph.node[0].attr)->n == 1, "w is copied twice");
  REQUIRE(params.param_bytes == sizeof block, "%zu bytes", params.param_bytes);
  OK(dor_instance_new(&in, p, &(dor_blocks){.at = {[DOR_PARAM] = block}}));
  float *from = dor_instance_named(in, "x");
  for (int i = 0; i < N * I; i++) from[i] = (float)(i % 5 - 2);
  for (int round = 1; round < 3; round++) {
    for (int i = 0; i < I * O; i++) block[i] = (float)(round * (i % 7 - 3)); /* the copy is made anew in each run */
    dor_instance_run(in, &(dor_step){.grad_scale = 1});
    const float *z = dor_instance_named(in, "z");
    double worst = 0;
    for (int n = 0; n < N; n++)
      for (int i = 0; i < I; i++) {
        double want = 0;
        for (int o = 0; o < O; o++)
          for (int k = 0; k < I; k++) want += (double)(from[n * I + k] * block[k * O + o] * block[i * O + o]);
        worst = fmax(worst, fabs((double)z[n * I + i] - want) / (1 + fabs(want)));
      }
    CHECK(worst < 0.02, "z is %.2g of itself off", worst);
  }
  dor_instance_free(in);
  dor_program_release(p);
  dor_params_release(&params);
}
