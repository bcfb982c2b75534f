/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights while memory runs out: every allocation of reading, filling and writing
 * fails in turn, once and for ever after. A message, no crash, no leak, and the
 * model's weights as they were. */
#include "tests/test.h"

#include <string.h>

#include "base/calls.h"
#include "base/io.h"
#include "base/mem.h"
#include "weights/weights.h"

#ifdef DOR_FAULTS
static const char *const files[] = {"zip.pth", "training_checkpoint_legacy.pth.tar", "plain.safetensors"};

static dor_status whole_way(const char *bytes, size_t n, const dor_params *p, float *param, dor_weights_tally *y)
{
  dor_tensors t;
  dor_arena a = {0};
  dor_weights_change c;
  dor_tensor out[64];
  dor_str s = {0};
  dor_status status = dor_weights_parse(&t, "w", bytes, n);
  if (!status) status = dor_weights_as_float(&a, &t, "w", out, &c);
  if (!status) status = dor_tensors_encode(&s, t.n, out, 0, NULL);
  if (!status) status = dor_weights_fill(p, "", &t, "w", DOR_WEIGHTS_MATCHING, param, NULL, y);
  dor_tensors_release(&t);
  dor_arena_release(&a);
  dor_str_release(&s);
  return status;
}

static int fail_each(const char *name, const char *how, const dor_params *p)
{
  char path[64], plan[32], *bytes;
  size_t n;
  snprintf(path, sizeof path, "weights/%s", name);
  const char *found = test_golden(path);
  REQUIRE(found, "%s is not here", path);
  OK(dor_io_read(found, 1 << 20, &bytes, &n));
  int failed = 0;
  for (bool more = true; more; failed += more) {
    float param[256] = {0}, none[256] = {0};
    dor_weights_tally y;
    snprintf(plan, sizeof plan, "mem@%d=ENOMEM%s", failed + 1, how);
    OK(dor_fault_plan(plan));
    dor_status s = whole_way(bytes, n, p, param, &y);
    OK(dor_fault_plan(NULL));
    CHECK(!s || s == DOR_E_NOMEM, "%s, allocation %d: status %d, %s", name, failed + 1, s, dor_errmsg());
    CHECK(!s == (memcmp(param, none, sizeof param) != 0), "%s, allocation %d: weights changed in spite of status %d", name, failed + 1, s);
    more = s != DOR_OK && failed < 1000;
  }
  dor_free(bytes);
  return failed;
}
#endif

TEST(fault_weights_without_memory)
{
  (void)state;
#ifdef DOR_FAULTS
  dor_params p = {0};
  int32_t i;
  OK(dor_params_add(&p, &(dor_param_spec){.name = "conv.weight", .shape = DOR_SHAPE(3, 3, 3, 4), .layout = DOR_FILE_OIHW}, &i));
  OK(dor_params_add(&p, &(dor_param_spec){.name = "0.weight", .shape = DOR_SHAPE(3, 3, 3, 4), .layout = DOR_FILE_OIHW}, &i));
  for (size_t f = 0; f < sizeof files / sizeof *files; f++)
    for (int once = 0; once < 2; once++) {
      int n = fail_each(files[f], once ? ",once" : "", &p);
      CHECK(n > 4 && n < 1000, "%s: %d allocations failed", files[f], n);
    }
  dor_params_release(&p);
#else
  SKIP("SKIP: faults are for test builds");
#endif
}
