/* SPDX-License-Identifier: Apache-2.0
 *
 * The short types bit by bit: what kernels do by whole numbers against what
 * tensor/convert.h does by ldexp and rounding. */
#include <math.h>
#include <string.h>

#include "backend/backend.h"
#include "kernels/scalar.h"
#include "ops/ops.h"
#include "tensor/convert.h"
#include "tests/test.h"

typedef struct kind { dor_dtype type; float (*from)(uint16_t); uint16_t (*to)(float); } kind;
static const kind kinds[] = {{DOR_BF16, scalar_from_bf16, scalar_to_bf16}, {DOR_F16, scalar_from_f16, scalar_to_f16}};

static bool same(float a, double b) { return isnan(b) ? isnan(a) : (double)a == b && !signbit(a) == !signbit(b); }

static int64_t wrong_to(const kind *k, float x)
{
  uint16_t want;
  dor_from_real(k->type, &(double){(double)x}, 1, &want);
  return k->to(x) != want;
}

TEST(op_cast_rounds_as_the_definition_does)
{
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    const kind *k = &kinds[i];
    int64_t from = 0, to = 0;
    for (uint32_t h = 0; h < 65536; h++) {
      uint16_t bits = (uint16_t)h, next = (uint16_t)(h ^ 1);
      double want, beside;
      dor_to_real(k->type, &bits, 1, &want);
      dor_to_real(k->type, &next, 1, &beside);
      from += !same(k->from(bits), want);
      float middle = (float)((want + beside) / 2); /* between neighbours: a tie, and a hair to either side of it */
      to += wrong_to(k, (float)want) + wrong_to(k, middle) + wrong_to(k, nextafterf(middle, INFINITY)) + wrong_to(k, nextafterf(middle, -INFINITY));
    }
    for (uint32_t u = 0; u < 1u << 20; u++) to += wrong_to(k, scalar_float(u * 4099u));
    CHECK(!from && !to, "%s: %lld of 65536 are read wrongly, %lld written", dor_dtype_name(k->type), (long long)from, (long long)to);
  }
}

/* Into a short type and back the gradient comes in the parameter's own type. */
TEST(op_cast_gives_the_gradient_in_the_type_of_its_input)
{
  dor_graph g;
  dor_val dx;
  dor_graph_init(&g, NULL, true);
  dor_val x = dor_graph_input(&g, "x", (dor_type){DOR_SHAPE(4), DOR_F32});
  dor_val y = dor_relu(&g, dor_cast(&g, x, DOR_BF16));
  CHECK(dor_graph_type(&g, y).dtype == DOR_BF16, "relu of bf16 is %s", dor_dtype_name(dor_graph_type(&g, y).dtype));
  dor_val seed = dor_graph_input(&g, "seed", dor_graph_type(&g, y));
  OK(dor_graph_grad(&g, &dor_op_accumulate, y, seed, 1, &x, &dx));
  CHECK(dor_graph_type(&g, dx).dtype == DOR_F32, "the gradient is %s", dor_dtype_name(dor_graph_type(&g, dx).dtype));
  CHECK(dor_cast(&g, x, DOR_F32) == x, "a cast to the type it has makes a node");
  dor_graph_release(&g);
}

static dor_val pair(dor_graph *g, dor_dtype a, dor_dtype b)
{
  dor_graph_init(g, NULL, true);
  return dor_add(g, dor_graph_input(g, "a", (dor_type){DOR_SHAPE(4), a}), dor_graph_input(g, "b", (dor_type){DOR_SHAPE(4), b}));
}

static void refused(dor_graph *g, const char *says)
{
  CHECK(g->status == DOR_E_ARG && strstr(dor_errmsg(), says), "wanted '%s', got '%s'", says, g->status ? dor_errmsg() : "no error");
  dor_graph_release(g);
}

TEST(op_types_that_do_not_fit_are_refused)
{
  dor_graph g;
  pair(&g, DOR_F32, DOR_BF16);
  refused(&g, "add: input 1 is bf16 where another is f32");
  pair(&g, DOR_I32, DOR_I32);
  refused(&g, "add: input 0 is i32, wants f32, bf16 or f16");
  dor_graph_init(&g, NULL, true);
  dor_val x = dor_graph_input(&g, "x", (dor_type){DOR_SHAPE(4, 3), DOR_F16}), w = dor_graph_input(&g, "w", (dor_type){DOR_SHAPE(4), DOR_F32});
  dor_softmax_ce(&g, x, w, w, DOR_NONE, 0);
  refused(&g, "softmax_ce: input 0 is f16, wants f32");
}

/* The CPU computes in float; it can store for another. */
TEST(op_cpu_kernels_do_not_take_short_types_for_floats)
{
  dor_graph g;
  dor_program *p;
  dor_val y = pair(&g, DOR_F16, DOR_F16);
  dor_graph_keep(&g, y, "y");
  dor_status s = dor_program_build(&p, &g, &dor_backend_cpu, NULL);
  CHECK(s == DOR_E_UNSUPPORTED && strstr(dor_errmsg(), "add [4] f16 [4] f16 has no cpu kernel"), "got '%s'", s ? dor_errmsg() : "a program");
  dor_program_release(s ? NULL : p);
  dor_graph_init(&g, NULL, true);
  dor_graph_keep(&g, dor_cast(&g, dor_graph_input(&g, "x", (dor_type){DOR_SHAPE(4), DOR_F16}), DOR_BF16), "y");
  OK(dor_program_build(&p, &g, &dor_backend_cpu, NULL));
  dor_program_release(p);
}
