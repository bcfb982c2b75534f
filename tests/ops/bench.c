/* SPDX-License-Identifier: Apache-2.0
 *
 * The op benchmark gives a row for each case, with numbers that can be. */
#include <string.h>

#include "backend/opbench.h"
#include "tests/test.h"

static void count(void *to, const dor_opbench_row *row)
{
  int *rows = to;
  ++*rows;
  CHECK(strstr(row->op, "relu"), "%s was not asked for", row->op);
  CHECK(row->time_s > 0 && row->time_s < 1 && row->cost.flops > 0 && row->cost.bytes > 0 && strstr(row->kernel, "relu"), "%s/%s by %s: %g s", row->op,
        row->name, row->kernel, row->time_s);
}

TEST(op_bench_times_the_cases_asked_for)
{
  int large = 0, all = 0;
  OK(dor_opbench(&dor_backend_cpu, "relu_bwd", false, 1, 1e-4, count, &large));
  OK(dor_opbench(&dor_backend_plain, "relu_bwd", true, 1, 1e-4, count, &all));
  CHECK(large && all > large, "%d large cases of %d", large, all);
}
