/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/ops/tolerance.h"

#include <math.h>
#include <string.h>

/* One rounding error of each type, with room for a few operations on it. */
static const double base[] = {
    [DOR_F32] = 4 * 0x1p-24,
    [DOR_BF16] = 2 * 0x1p-8,
    [DOR_F16] = 2 * 0x1p-11,
    [DOR_I32] = 0, /* indices and labels are exact */
    [DOR_U8] = 0,
};

static const struct {
  const char *name; /* op or kernel; a trailing * matches any rest */
  double factor;
  const char *why;
} table[] = {
    {"*", 1, "sums of random signs lose about sqrt(length) roundings"},
    {"conv2d_winograd", 10, "Winograd F(4,3): its transforms cost about a decimal digit (Lavin & Gray, section 5)"},
    {"conv2d_stats_winograd", 10, "the same"},
    {"conv2d_affine_winograd", 10, "the same"},
    {"conv2d_dx_winograd", 10, "the same"},
    {"conv2d_dx_add_winograd", 10, "the same"},
    {"conv2d_dw_winograd", 10, "the same"},
};

static bool matches(const char *pattern, const char *name)
{
  size_t n = strlen(pattern);
  return n && pattern[n - 1] == '*' ? !strncmp(pattern, name, n - 1) : !strcmp(pattern, name);
}

double test_tolerance(const dor_op *op, const dor_kernel *k, dor_dtype t, dor_cost cost, int64_t outputs)
{
  double factor = 1, length = cost.flops / 2 / (double)(outputs > 0 ? outputs : 1);
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (matches(table[i].name, op->name) || matches(table[i].name, k->name)) factor = fmax(factor, table[i].factor);
  return base[t] * factor * (1 + sqrt(length) / 4);
}
