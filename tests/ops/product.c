/* SPDX-License-Identifier: Apache-2.0
 *
 * What the cuBLASLt kernels ask for, carried out to the letter by plain loops: if a description is right, so is its product.
 * The real library is asked the same by src/backend/cuda/blas.c. */
#include <math.h>
#include <stdlib.h>

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

static double gated(const dor_view *v, const dor_view *gate, int64_t i) { return gate && !(get(gate, i) > 0) ? 0 : get(v, i); }

static void column(const dor_call *c, const dor_product *d, int64_t j) /* one of C's, and its sum of B */
{
  const dor_view *a = dor_from_view(c, d->a), *b = dor_from_view(c, d->b), *bias = dor_from_view(c, d->bias);
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
  const dor_view *a = dor_from_view(c, d->a), *b = dor_from_view(c, d->b), *y = dor_from_view(c, d->c), *bias = dor_from_view(c, d->bias);
  return a->dtype == d->type_a && b->dtype == d->type_b && y->dtype == d->type_c && (!bias || bias->dtype == d->type_bias);
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
