/* SPDX-License-Identifier: Apache-2.0
 *
 * The parameter table: file layouts, and start values that do not depend on them. */
#include "graph/params.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/test.h"

static dor_param added(dor_params *p, dor_param_spec spec)
{
  int32_t i;
  OK(dor_params_add(p, &spec, &i));
  return p->at[i];
}

static void round_trip(const dor_param *p, float *file, int64_t n)
{
  float *memory = calloc((size_t)n, sizeof *memory), *back = calloc((size_t)n, sizeof *back);
  for (int64_t i = 0; i < n; i++) memory[i] = (float)i;
  dor_param_to_file(p, memory, file);
  dor_param_from_file(p, file, back);
  CHECK(!memcmp(memory, back, (size_t)n * sizeof *back), "%s does not come back", p->spec.name);
  free(memory);
  free(back);
}

TEST(params_convolution_layouts)
{
  dor_params t = {0};
  enum { KH = 2, KW = 3, I = 4, O = 5, N = KH * KW * I * O };
  float file[N];
  dor_param conv = added(&t, (dor_param_spec){.name = "conv", .shape = DOR_SHAPE(KH, KW, I, O), .layout = DOR_FILE_OIHW});
  CHECK(dor_shape_same(dor_param_file_shape(&conv), DOR_SHAPE(O, I, KH, KW)), "OIHW shape");
  int wrong = 0;
  round_trip(&conv, file, N);
  for (int o = 0; o < O; o++)
    for (int i = 0; i < I; i++)
      for (int h = 0; h < KH; h++)
        for (int w = 0; w < KW; w++) wrong += file[((o * I + i) * KH + h) * KW + w] != (float)(((h * KW + w) * I + i) * O + o);
  CHECK(!wrong, "%d elements elsewhere than the layout says", wrong);
  dor_params_release(&t);
}

TEST(params_linear_layouts)
{
  dor_params t = {0};
  enum { C = 3, H = 2, W = 5, OUT = 4, N = C * H * W * OUT };
  float file[N];
  dor_param plain = added(&t, (dor_param_spec){.name = "linear", .shape = DOR_SHAPE(C * H * W, OUT), .layout = DOR_FILE_LINEAR});
  CHECK(dor_shape_same(dor_param_file_shape(&plain), DOR_SHAPE(OUT, C * H * W)), "LINEAR shape");
  round_trip(&plain, file, N);
  int wrong = 0;
  for (int o = 0; o < OUT; o++)
    for (int i = 0; i < C * H * W; i++) wrong += file[o * C * H * W + i] != (float)(i * OUT + o);
  CHECK(!wrong, "%d elements of a linear layer are elsewhere", wrong);
  dor_param p = added(&t, (dor_param_spec){.name = "fc", .shape = DOR_SHAPE(C * H * W, OUT), .layout = DOR_FILE_LINEAR_CHW, .chw = {C, H, W}});
  CHECK(dor_shape_same(dor_param_file_shape(&p), DOR_SHAPE(OUT, C * H * W)), "LINEAR_CHW shape");
  round_trip(&p, file, N);
  for (int o = 0; o < OUT; o++)
    for (int c = 0; c < C; c++)
      for (int h = 0; h < H; h++)
        for (int w = 0; w < W; w++) wrong += file[o * C * H * W + (c * H + h) * W + w] != (float)(((h * W + w) * C + c) * OUT + o);
  CHECK(!wrong, "%d elements elsewhere than the layout says", wrong);
  int32_t i;
  CHECK(dor_params_add(&t, &(dor_param_spec){.name = "x", .shape = DOR_SHAPE(31, 4), .layout = DOR_FILE_LINEAR_CHW, .chw = {C, H, W}}, &i) == DOR_E_SHAPE,
        "31 rows of 30");
  dor_params_release(&t);
}

/* The weights a file would hold, for a memory layout that is or is not the file's. */
static void file_values(dor_file_layout layout, uint64_t seed, float *file)
{
  dor_params t = {0};
  added(&t, (dor_param_spec){.name = "before", .shape = DOR_SHAPE(layout ? 3 : 77), .init = DOR_INIT_NORMAL, .init_a = 1});
  dor_shape s = layout == DOR_FILE_OIHW ? DOR_SHAPE(3, 3, 16, 32) : DOR_SHAPE(32, 16, 3, 3);
  dor_param p = added(&t, (dor_param_spec){.name = "w", .shape = s, .layout = layout, .init = DOR_INIT_KAIMING_UNIFORM, .fan = 144});
  float *block = dor_block_alloc(t.param_bytes);
  dor_params_init(&t, seed, block, NULL);
  dor_param_to_file(&p, block + p.offset / sizeof *block, file);
  dor_block_free(block, t.param_bytes);
  dor_params_release(&t);
}

TEST(params_start_values_follow_name_and_seed_not_layout)
{
  enum { N = 32 * 16 * 9 };
  static float a[N], b[N], c[N];
  file_values(DOR_FILE_SAME, 5, a);
  file_values(DOR_FILE_OIHW, 5, b);
  file_values(DOR_FILE_OIHW, 6, c);
  CHECK(!memcmp(a, b, sizeof a), "another memory layout gives other weights");
  CHECK(memcmp(b, c, sizeof b), "another seed gives the same weights");
  double sum = 0, square = 0, most = 0;
  for (int i = 0; i < N; i++) sum += (double)a[i], square += (double)a[i] * (double)a[i], most = fmax(most, fabs((double)a[i]));
  CHECK(most <= 1.0 / 12 && most > 0.999 / 12, "largest %g, wanted 1 / sqrt(144)", most);
  CHECK(fabs(sum / N) < 0.003 && fabs(square / N * 3 * 144 - 1) < 0.05, "mean %g, variance %g of a uniform's", sum / N, square / N * 3 * 144);
}

TEST(params_kinds_of_start)
{
  dor_params t = {0};
  dor_param one = added(&t, (dor_param_spec){.name = "gamma", .shape = DOR_SHAPE(5), .init = DOR_INIT_ONE});
  dor_param moved = added(&t, (dor_param_spec){.name = "mean", .shape = DOR_SHAPE(7), .state = true});
  dor_param normal = added(&t, (dor_param_spec){.name = "w", .shape = DOR_SHAPE(100, 100), .init = DOR_INIT_KAIMING_NORMAL_OUT, .fan = 50});
  CHECK(t.state_bytes == 64 && moved.offset == 0 && normal.offset == 64, "blocks: state %zu, w at %zu", t.state_bytes, normal.offset);
  CHECK(dor_params_count(&t, false) == 10005, "%lld parameters", (long long)dor_params_count(&t, false));
  float *block = dor_block_alloc(t.param_bytes), states[16];
  memset(states, 0x55, sizeof states);
  dor_params_init(&t, 1, block, states);
  CHECK(block[one.offset / 4 + 4] == 1 && block[5] == 0 && states[6] == 0, "ones, then a gap of zeros; states zero");
  double square = 0;
  for (int i = 0; i < 10000; i++) square += pow((double)block[normal.offset / 4 + (size_t)i], 2);
  CHECK(fabs(square / 10000 - 2.0 / 50) < 0.002, "variance %g, wanted 2 / 50", square / 10000);
  dor_block_free(block, t.param_bytes);
  dor_params_release(&t);
}
