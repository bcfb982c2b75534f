/* SPDX-License-Identifier: Apache-2.0
 *
 * Own CUDA kernels that go down columns, on more shapes than the ops' cases have: any number of channels, so many rows that a thread
 * adds up in stretches and blocks have shares, and numbers far from zero. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/ops.h"
#include "tests/ops/emulated.h"
#include "tests/ops/trial.h"
#include "tests/test.h"

static const dor_dtype types[] = {DOR_F32, DOR_BF16, DOR_F16};

static void check(const dor_op *op, const dor_case *at)
{
  const dor_backend b = trial_backend(dor_column_cuda, "cuda");
  cuemu_order = 2;
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    trial_result r = trial_run(&b, op, at, types[i], &(dor_program_options){.no_fuse = true});
    CHECK(r.taken && !cuemu_complaint, "%s: %s", op->name, cuemu_complaint ? cuemu_complaint : "declined");
    CHECK(!r.stray && r.worst <= 1, "%s, %d channels: %lld stray bytes, %.2f times its tolerance", r.what, at->in[0].d[at->in[0].n - 1], (long long)r.stray,
          r.worst);
    cuemu_complaint = NULL;
  }
  cuemu_order = 0;
}

/* rows x channels of every op over columns */
static void check_columns(int32_t rows, int32_t channels)
{
  const dor_shape x = DOR_SHAPE(rows, channels), v = DOR_SHAPE(channels);
  const dor_bn_attr eps = {1e-5};
  const dor_bn_act_attr act = {1e-5, true};
  const dor_fill one = channels < 3 ? DOR_FILL_POSITIVE : DOR_FILL_NOISE; /* a sum by itself may be as good as 0, and nothing near that */
  check(&dor_op_bn_stats, &(dor_case){.name = "columns", .in = {x}, .fill = {one}});
  check(&dor_op_bias_db, &(dor_case){.name = "columns", .in = {x}, .fill = {one}});
  check(&dor_op_bn_norm, &(dor_case){.name = "columns", .attr = &eps, .in = {x, v, v, v, v}, .fill = {[2] = DOR_FILL_POSITIVE}});
  check(&dor_op_bn_act, &(dor_case){.name = "columns", .attr = &act, .in = {x, v, v, v, v, x}, .nin = 6, .fill = {[2] = DOR_FILL_POSITIVE}});
  check(&dor_op_bn_bwd, &(dor_case){.name = "columns", .attr = &eps, .in = {x, x, v, v, v, x}, .nin = 6, .fill = {[3] = DOR_FILL_POSITIVE}});
}

TEST(op_cuda_columns_of_any_number)
{
  static const int32_t channels[] = {1, 2, 3, 8, 16, 17, 24, 32, 48, 64, 66, 136, 300};
  for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) check_columns(37, channels[i]);
  check_columns(3, 2064); /* more than a block is wide, at any width */
}

/* More rows than the grid's threads take at once, so that some take several and one more stretch. */
TEST(op_cuda_columns_that_are_long)
{
  check_columns(9001, 32);
  check_columns(2 * 528 * 8 + 5, 128); /* two channels' worth of threads are a block, so each block has a share of the rest or none */
}

/* bn_stats of numbers about `centre` with spread 1 on n rows: relative errors of mean and variance */
static void far_from_zero(int32_t n, int32_t channels, double centre, bool odd_first, double *mean_error, double *var_error)
{
  dor_graph g;
  dor_graph_init(&g, NULL, false);
  dor_val x = dor_graph_input(&g, "x", (dor_type){DOR_SHAPE(n, channels), DOR_F32}), mean = dor_bn_stats(&g, x), var = dor_graph_output(&g, mean, 1);
  dor_graph_keep(&g, mean, "mean"), dor_graph_keep(&g, var, "var");
  const dor_backend b = trial_backend(dor_column_cuda, "cuda");
  dor_program *p;
  dor_instance *i;
  OK(dor_program_build(&p, &g, &b, NULL));
  OK(dor_instance_new(&i, p, NULL));
  float *to = dor_instance_data(i, x);
  for (int64_t k = 0; k < (int64_t)n * channels; k++) to[k] = (float)(centre + 3.4 * ((double)(k * 7919 % 10007) / 10007 - 0.5));
  for (int32_t k = 0; k < channels && odd_first; k++) to[k] = 0;
  dor_instance_run(i, &(dor_step){0});
  *mean_error = *var_error = 0;
  for (int32_t c = 0; c < channels; c++) {
    double m = 0, v = 0;
    for (int32_t r = 0; r < n; r++) m += (double)to[r * channels + c] / n;
    for (int32_t r = 0; r < n; r++) v += pow((double)to[r * channels + c] - m, 2) / n;
    *mean_error = fmax(*mean_error, fabs((double)((const float *)dor_instance_data(i, mean))[c] - m) / fmax(fabs(m), 1));
    *var_error = fmax(*var_error, fabs((double)((const float *)dor_instance_data(i, var))[c] - v) / v);
  }
  dor_instance_free(i);
  dor_program_release(p);
}

TEST(op_cuda_moments_far_from_zero)
{
  double worst[2] = {0, 0}, m, v;
  for (int32_t k = 0; k < 8; k++) {
    far_from_zero(k & 1 ? 6000 : 700, k & 2 ? 17 : 32, k & 4 ? -3e4 : 1e3, false, &m, &v);
    CHECK(m < 2e-7 && v < 2e-6, "case %d: mean off by %.1e, variance by %.1e", k, m, v);
    worst[0] = fmax(worst[0], m), worst[1] = fmax(worst[1], v);
    far_from_zero(k & 1 ? 6000 : 700, k & 2 ? 17 : 32, k & 4 ? -300 : 100, true, &m, &v); /* the first row is what all others are not */
    CHECK(m < 2e-7 && v < 1e-5, "case %d with an odd first row: mean off by %.1e, variance by %.1e", k, m, v);
    worst[0] = fmax(worst[0], m), worst[1] = fmax(worst[1], v);
  }
  print_message("    mean within %.1e, variance within %.1e of itself\n", worst[0], worst[1]);
}
