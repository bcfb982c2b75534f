/* SPDX-License-Identifier: Apache-2.0
 *
 * What `dorsum bench` times can be opened, run and closed; another name is refused. */
#include "tests/test.h"
#include "train/bench.h"

TEST(bench_pieces_run)
{
  static const char *const kinds[] = {"step", "conv", "mlp", "pose", "pose", "step", "block", "fleet", "fleet"};
  dor_arena a = {0};
  dor_bench_cfg c;
  OK(dor_schema_defaults(dor_bench_keys, &c, &a));
  c.size = 32, c.batch = 2, c.channels = 8, c.rows = 23, c.epochs = 2, c.threads = 2;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    c.train = i == 4, c.infer = i == 5, c.net = i == 8;
    dor_bench *b = NULL;
    OK(dor_bench_open(&b, kinds[i], &c, NULL));
    double time_s = 0;
    OK(dor_bench_run(b, 2, &time_s));
    CHECK(time_s > 0, "%s takes no time", kinds[i]);
    CHECK(dor_bench_bytes(b) > 0, "%s has no tensors", kinds[i]);
    dor_bench_close(b);
  }
  dor_bench *b = NULL;
  CHECK(dor_bench_open(&b, "nothing", &c, NULL) == DOR_E_USAGE && !b, "an unknown piece is opened");
  dor_arena_release(&a);
}
