/* SPDX-License-Identifier: Apache-2.0
 *
 * Sizes at which own CUDA kernels do otherwise than on the ops' own cases: sums in more than one block, large tiles, k in runs,
 * more classes than a warp has lanes. In two orders of threads, which must give the same bits. */
#include <math.h>
#include <string.h>

#include "ops/ops.h"
#include "tests/ops/emulated.h"
#include "tests/ops/trial.h"
#include "tests/test.h"

#define FILLS {[1] = DOR_FILL_LABELS, [2] = DOR_FILL_POSITIVE, [3] = DOR_FILL_POSITIVE}
#define N 9001
enum { ROUND = N + 7, RUNS = 1100 }; /* more than a launch of the update takes */
static const dor_range long_runs[] = {{0, 5003, 0.5, 0.01}, {5008, N, 1, 0}};
static dor_range many_runs[RUNS];
static const struct { const dor_op *op; dor_case at; } larger[] = {
    {&dor_op_matmul, {.name = "deep", .attr = &(dor_matmul_attr){false, true}, .in = {DOR_DIMS(5, 1100), DOR_DIMS(7, 1100)}}},
    {&dor_op_matmul, {.name = "wide", .attr = &(dor_matmul_attr){true, false}, .in = {DOR_DIMS(20, 515), DOR_DIMS(20, 520)}}},
    {&dor_op_linear, {.name = "deep", .attr = &(dor_linear_attr){true}, .in = {DOR_DIMS(6, 800), DOR_DIMS(800, 40), DOR_DIMS(40)}}},
    {&dor_op_linear, {.name = "wide", .attr = &(dor_linear_attr){true}, .in = {DOR_DIMS(515, 17), DOR_DIMS(17, 520), DOR_DIMS(520)}}},
    {&dor_op_linear_dx, {.name = "deep", .attr = &(dor_linear_attr){true}, .in = {DOR_DIMS(6, 800), DOR_DIMS(6, 800), DOR_DIMS(40, 800)}}},
    {&dor_op_linear_dw, {.name = "deep", .attr = &(dor_linear_attr){true}, .in = {DOR_DIMS(800, 6), DOR_DIMS(800, 40), DOR_DIMS(800, 40)}}},
    {&dor_op_linear_dw, {.name = "wide", .attr = &(dor_linear_attr){true}, .in = {DOR_DIMS(17, 515), DOR_DIMS(17, 520), DOR_DIMS(17, 520)}}},
    {&dor_op_softmax_ce, {.name = "many", .attr = &(dor_ce_attr){0.1}, .in = {DOR_DIMS(150, 40), DOR_DIMS(150), DOR_DIMS(150), DOR_DIMS(40)}, .fill = FILLS,
                          .nin = 4, .labels = 40}},
    {&dor_op_bce, {.name = "long", .in = {DOR_DIMS(N), DOR_DIMS(N), DOR_DIMS(N)}, .fill = {[1] = DOR_FILL_BINARY, [2] = DOR_FILL_POSITIVE}}},
    {&dor_op_mse, {.name = "long", .in = {DOR_DIMS(3, N), DOR_DIMS(3, N), DOR_DIMS(3)}, .fill = {[2] = DOR_FILL_POSITIVE}}},
    {&dor_op_mae, {.name = "long", .in = {DOR_DIMS(3, N), DOR_DIMS(3, N), DOR_DIMS(3)}, .fill = {DOR_FILL_DISTINCT, DOR_FILL_NOISE, DOR_FILL_POSITIVE}}},
    {&dor_op_clip_norm, {.name = "long", .attr = &(dor_clip_attr){1, 2, long_runs}, .in = {DOR_DIMS(ROUND)}}},
    {&dor_op_clip_norm, {.name = "many", .attr = &(dor_clip_attr){1, RUNS, many_runs}, .in = {DOR_DIMS(16 * RUNS)}}},
    {&dor_op_update, {.name = "long", .attr = &(dor_update_attr){.rule = DOR_RULE_ADAMW, .n = 2, .run = long_runs, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8},
                      .in = {DOR_DIMS(ROUND), DOR_DIMS(2 * ROUND), DOR_DIMS(ROUND)}, .fill = {[1] = DOR_FILL_POSITIVE}, .nin = 3}},
    {&dor_op_update, {.name = "many", .attr = &(dor_update_attr){.rule = DOR_RULE_SGD, .n = RUNS, .run = many_runs, .momentum = 0.9},
                      .in = {DOR_DIMS(16 * RUNS), DOR_DIMS(16 * RUNS), DOR_DIMS(16 * RUNS)}, .nin = 3}},
};

static double check_one(const dor_backend *b, const dor_op *op, const dor_case *at, dor_dtype store)
{
  char hash[65] = "";
  double worst = 0;
  for (cuemu_order = 0; cuemu_order < 2; cuemu_order++) {
    trial_result r = trial_run(b, op, at, store, &(dor_program_options){.no_fuse = true});
    CHECK(r.taken && r.worst <= 1 && !r.stray && !cuemu_complaint, "%s: %.2f times its tolerance, %lld bytes astray %s", r.what, r.worst, (long long)r.stray,
          cuemu_complaint ? cuemu_complaint : "");
    CHECK(!*hash || !strcmp(hash, r.hash), "%s: other bits in another order of threads", r.what);
    memcpy(hash, r.hash, sizeof hash);
    worst = fmax(worst, r.worst);
    cuemu_complaint = NULL;
  }
  cuemu_order = 0;
  return worst;
}

TEST(op_cuda_large_sizes_match_definition)
{
  for (int i = 0; i < RUNS; i++) /* of more kinds than it takes, too */
    many_runs[i] = (dor_range){16 * i, 16 * i + 1 + i % 16, 1 + i / 20 % 11, 0.01 * (i % 2)};
  dor_backend b = trial_backend(dor_column_cuda, "cuda");
  double worst = 0;
  int n = sizeof larger / sizeof *larger;
  for (int i = 0; i < n; i++) {
    worst = fmax(worst, check_one(&b, larger[i].op, &larger[i].at, DOR_F32));
    if (trial_narrows(larger[i].op, &larger[i].at)) worst = fmax(worst, check_one(&b, larger[i].op, &larger[i].at, DOR_BF16));
  }
  print_message("    %d cases, worst at %.2f of its tolerance\n", n, worst);
}
