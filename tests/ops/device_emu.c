/* SPDX-License-Identifier: Apache-2.0
 *
 * What gpu-check asks of a GPU, asked of the emulated device: all sound kernels pass, and one that is wrong does not. */
#include <math.h>
#include <string.h>

#include "ops/ops.h"
#include "tests/ops/device.h"
#include "tests/ops/emu.h"
#include "tests/ops/emulated.h"
#include "tests/test.h"

typedef struct tally { int rows, taken, wrong; double worst; char first[300]; } tally;

static void count(void *to, const device_row *r)
{
  tally *t = to;
  t->rows++, t->taken += r->taken;
  t->worst = fmax(t->worst, r->worst);
  if (device_row_good(r)) return;
  if (!t->wrong++)
    snprintf(t->first, sizeof t->first, "%s/%s %s by %s: %.2f times its tolerance, %lld bytes astray, %s bits, %s", r->op, r->name, r->store, r->kernel,
             r->worst, (long long)r->stray, r->same ? "the same" : "other", r->says);
}

TEST(device_ops_match_definition_on_the_emulated_one)
{
  tally t = {0};
  for (int32_t i = 0; i < DOR_OP_COUNT; i++) device_check_op(test_backend_emu(), dor_ops[i], count, &t);
  print_message("    %d kernels on cases, %d taken, each run three times, two of them replayed; worst at %.2f of its tolerance\n", t.rows, t.taken, t.worst);
  CHECK(!t.wrong && t.taken > t.rows / 2, "%d of %d are wrong, the first: %s", t.wrong, t.rows, t.first);
}

TEST(device_check_sees_broken_kernels)
{
  static const dor_kernel *const broken[] = {&emulated_no_barrier_cuda, &emulated_wrong_index_cuda, &emulated_beyond_cuda, &emulated_deadlock_cuda,
                                             &emulated_bad_launch_cuda};
  for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
    tally t = {0};
    test_emu_own = broken[i];
    device_check_op(test_backend_emu(), &dor_op_relu, count, &t);
    test_emu_own = NULL;
    cuemu_complaint = NULL;
    CHECK(t.wrong, "%s passes", broken[i]->name);
  }
}
