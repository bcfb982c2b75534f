/* SPDX-License-Identifier: Apache-2.0
 *
 * The own kernels around a cuDNN graph, run on the CPU by kernels/cuemu.h in three orders of threads. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "kernels/graph_steps.h"
#include "tensor/convert.h"
#include "tests/ops/emulated.h"
#include "tests/test.h"

enum { ROWS = 70, COLUMNS = 45, N = 300 };

static dor_view view(dor_dtype t, void *data) { return (dor_view){{2, {ROWS, COLUMNS}}, t, data}; }

/* There in a narrow type and back in float: every number where it was, rounded once. */
static void turn_and_back(dor_dtype narrow)
{
  float from[ROWS * COLUMNS], back[ROWS * COLUMNS];
  uint16_t turned[ROWS * COLUMNS];
  dor_rng r = dor_rng_stream(3, 0, 0);
  for (int32_t i = 0; i < ROWS * COLUMNS; i++) from[i] = (float)(2 * dor_rng_real(&r) - 1);
  memset(back, 0xFF, sizeof back);
  dor_view a = view(DOR_F32, from), b = view(narrow, turned), c = view(DOR_F32, back);
  dor_step_turn(NULL, &a, &b, ROWS, COLUMNS);
  dor_step_turn(NULL, &b, &c, COLUMNS, ROWS);
  for (int32_t i = 0; i < ROWS * COLUMNS; i++) {
    double want, x = from[i];
    uint16_t bits;
    dor_from_real(narrow, &x, 1, &bits);
    dor_to_real(narrow, &bits, 1, &want);
    CHECK((double)back[i] == want && turned[i % COLUMNS * ROWS + i / COLUMNS] == bits, "number %d: %g, wanted %g", i, (double)back[i], want);
  }
}

TEST(op_graph_steps_turn_weights)
{
  for (cuemu_order = 0; cuemu_order < 3; cuemu_order++) turn_and_back(DOR_BF16), turn_and_back(DOR_F16);
  cuemu_order = 0;
  CHECK(!cuemu_complaint, "%s", cuemu_complaint);
}

TEST(op_graph_steps_fold_and_finish_moments)
{
  float in[4][N], out[4][N];
  dor_rng r = dor_rng_stream(4, 0, 0);
  for (int32_t k = 0; k < 4; k++)
    for (int32_t i = 0; i < N; i++) in[k][i] = (float)(dor_rng_real(&r) + 0.1);
  dor_step_fold(NULL, (const float *const[]){in[0], in[1], in[2], in[3]}, out[0], out[1], N, 1e-5);
  dor_step_moments(NULL, in[0], in[1], out[2], out[3], N, 5);
  for (int32_t i = 0; i < N; i++) {
    double scale = (double)in[2][i] / sqrt((double)in[1][i] + 1e-5), shift = (double)in[3][i] - (double)in[0][i] * scale;
    double mean = (double)in[0][i] / 5, var = fmax((double)in[1][i] / 5 - mean * mean, 0);
    double want[4] = {scale, shift, mean, var};
    for (int32_t k = 0; k < 4; k++)
      CHECK(fabs((double)out[k][i] - want[k]) < 1e-6 * (1 + fabs(want[k])), "channel %d: %g, wanted %g", i, (double)out[k][i], want[k]);
  }
}
