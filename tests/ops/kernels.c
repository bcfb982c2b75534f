/* SPDX-License-Identifier: Apache-2.0
 *
 * Every kernel of every column, on every case, for every instruction set this
 * machine has and for one and three threads: against the definition, with
 * poisoned outputs and scratch, and nothing written elsewhere. */
#include <math.h>

#include "backend/widen.h"
#include "ops/ops.h"
#include "tests/ops/trial.h"
#include "tests/test.h"

static bool try_case(const dor_backend *b, const dor_op *op, const dor_case *at, const dor_program_options *o, double *worst)
{
  trial_result r = trial_run(b, op, at, DOR_F32, o);
  CHECK(!r.stray, "%s: %lld bytes written outside outputs and scratch", r.what, (long long)r.stray);
  CHECK(r.worst <= 1, "%s: an output is at %.2f times its tolerance", r.what, r.worst);
  *worst = fmax(*worst, r.worst);
  return r.taken;
}

static void check_column(const dor_kernel *const *column, const char *name)
{
  dor_backend b = trial_backend(column, name);
  int ran = 0, declined = 0;
  double worst = 0;
  for (int32_t i = 0; i < DOR_OP_COUNT; i++) {
    bool fixed = column[i] && !column[i]->prepare; /* such a kernel cannot ask what the machine has */
    for (const dor_case *t = dor_ops[i]->cases; column[i] && t && t->name; t++)
      for (int32_t isa = 0; isa <= (fixed ? 0 : (int32_t)b.isa()) && !t->bench; isa++)
        for (int32_t threads = 1; threads <= 3; threads += 2) {
          bool taken = try_case(&b, dor_ops[i], t, &(dor_program_options){.threads = threads, .isa = (dor_isa)isa, .cap_isa = true, .no_fuse = true}, &worst);
          ran += taken, declined += !taken;
        }
  }
  print_message("    %s: %d runs, worst at %.2f of its tolerance; %d declined\n", name, ran, worst, declined);
}

TEST(op_own_kernels_match_definition) { check_column(dor_column_own, "own"); }
TEST(op_onednn_kernels_match_definition) { check_column(dor_column_onednn, "onednn"); }
TEST(op_fast_kernels_match_definition) { check_column(dor_column_fast, "fast"); }
TEST(op_direct_kernels_match_definition) { check_column(dor_column_direct, "direct"); }

/* Stored in bf16, computed in float: as one piece and as many. */
static void check_bf16(const dor_kernel *const *column, const char *name, int64_t numbers)
{
  const int64_t usual = dor_widen_numbers;
  dor_backend b = trial_backend(column, name);
  int ran = 0;
  double worst = 0;
  b.narrow = false, dor_widen_numbers = numbers;
  for (int32_t i = 0; i < DOR_OP_COUNT; i++)
    for (const dor_case *t = dor_ops[i]->cases; column[i] && t && t->name; t++)
      for (int32_t threads = 1; threads <= 3 && !t->bench && trial_narrows(dor_ops[i], t); threads += 2) {
        trial_result r = trial_run(&b, dor_ops[i], t, DOR_BF16, &(dor_program_options){.threads = threads, .no_fuse = true});
        CHECK(!r.stray, "%s: %lld bytes written outside outputs and scratch", r.what, (long long)r.stray);
        CHECK(r.worst <= 1, "%s, pieces of %lld: an output is at %.2f times its tolerance", r.what, (long long)numbers, r.worst);
        ran += r.taken, worst = fmax(worst, r.worst);
      }
  dor_widen_numbers = usual;
  print_message("    %s, pieces of %lld: %d runs, worst at %.2f of its tolerance\n", name, (long long)numbers, ran, worst);
}

TEST(op_cpu_kernels_match_definition_in_bf16)
{
  for (int64_t numbers = 24; numbers <= 1 << 17; numbers <<= 12) {
    check_bf16(dor_column_own, "own", numbers);
    check_bf16(dor_column_onednn, "onednn", numbers);
    check_bf16(dor_column_fast, "fast", numbers);
    check_bf16(dor_column_direct, "direct", numbers);
  }
}

static bool is_fused(const dor_op *op)
{
  for (const dor_fuse_row *row = dor_fuse_rows; row->fused; row++)
    if (row->fused == op) return true;
  return false;
}

/* Only a fused op, or what a library's kernels ask for, may have no kernel at all: it is not used then. Where there is one, every shape
 * is taken by somebody. */
static void check_served(const dor_backend *b)
{
  for (int32_t i = 0; i < DOR_OP_COUNT; i++)
    for (const dor_case *t = dor_ops[i]->cases; t && t->name; t++) {
      if ((is_fused(dor_ops[i]) || i == DOR_OP_copy_weights) && !dor_backend_has(b, dor_ops[i])) continue;
      dor_opcase c;
      dor_program *p;
      OK(dor_opcase_build(&c, dor_ops[i], t));
      dor_status s = dor_program_build(&p, &c.graph, b, &(dor_program_options){.no_fuse = true});
      CHECK(s == DOR_OK, "%s/%s: %s", dor_ops[i]->name, t->name, dor_errmsg());
      dor_program_release(s ? NULL : p);
    }
}

TEST(every_op_is_served_on_every_backend)
{
  check_served(&dor_backend_cpu);
  check_served(&dor_backend_plain);
  check_served(&dor_backend_null);
}
