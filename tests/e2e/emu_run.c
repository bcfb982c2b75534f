/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole experiment on the emulated device: parts of a batch, an average of weights, the best epoch, checkpoints; held against
 * the CPU's run. And a device without room, and one that is lost on the way. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "tests/e2e/run_fixture.h"
#include "tests/ops/emu.h"
#include "tests/test.h"

static const char config[] = "experiment = \"device\";\n"
                             "data = \"data.h5\";\n"
                             "target = { column = \"kind\"; positive = \"B\"; };\n"
                             "split = { scheme = \"kfold\"; folds = 2; seed = 5; };\n"
                             "seeds = [1];\n"
                             "inputs = { x = { from = \"tables\"; name = \"features\"; impute = \"mean\"; scale = \"zscore\"; net = \"mlp\"; }; };\n"
                             "nets = { mlp = { kind = \"mlp\"; hidden = [8]; dropout = 0.2; }; };\n"
                             "train = { optimizer = \"adamw\"; lr = 0.01; epochs = 12; batch = 12; accumulate = 3; clip = 1.0; ema = 0.9;\n"
                             "          stop = \"inner\"; patience = 12; checkpoint_s = 0.0; };\n"
                             "arms = { net = { use = [\"x\"]; }; };\n"
                             "baselines = [];\n";

static const char *precision = "fp32";

static dor_status run_on(const dor_backend *b, const char *folder, const char *results, dor_run_result *r)
{
  char path[1200], to[1200], key[32];
  dor_experiment e;
  dor_run_options o = default_options(folder);
  snprintf(path, sizeof path, "%s/device.cfg", folder);
  snprintf(to, sizeof to, "%s/%s", folder, results);
  OK(dor_io_write(path, config, strlen(config)));
  snprintf(key, sizeof key, "precision=%s", precision);
  OK(dor_experiment_read(&e, path, (const char *const[]){key}, 1));
  e.backend = b;
  o.results = to, o.jobs = 1;
  dor_status s = dor_run(&e, &o, r);
  dor_experiment_release(&e);
  return s;
}

/* Two tables, word by word: numbers may differ by a share of themselves, or of 1. */
static double apart(const char *name, const char *a, const char *b)
{
  double worst = 0;
  while (*a && *b) {
    const size_t n = strcspn(a, ",\n"), m = strcspn(b, ",\n");
    char *end_a, *end_b;
    const double x = strtod(a, &end_a), y = strtod(b, &end_b);
    if (end_a == a + n && end_b == b + m && n) worst = fmax(worst, fabs(x - y) / fmax(1, fabs(y)));
    else CHECK(n == m && !strncmp(a, b, n), "%s: %.*s is not %.*s", name, (int)n, a, (int)m, b);
    a += n + (a[n] != 0), b += m + (b[m] != 0);
  }
  CHECK(!*a && !*b, "%s: one is longer", name);
  return worst;
}

static double differ(const dor_run_result *x, const dor_run_result *y, const char *name)
{
  char *first = strdup(text_of(x->folder, name));
  CHECK(*first, "%s is empty", name);
  const double d = apart(name, first, text_of(y->folder, name));
  free(first);
  return d;
}

TEST(emu_run_is_that_of_the_cpu)
{
  const char *folder = test_folder("emu_run");
  dor_run_result cpu, emu;
  make_data(folder, (made){.subjects = 40, .features = 5, .apart = 2});
  OK(run_on(NULL, folder, "cpu", &cpu));
  OK(run_on(test_backend_emu(), folder, "emu", &emu));
  const double p = differ(&emu, &cpu, "predictions.csv"), t = differ(&emu, &cpu, "cells/net/seed_1/fold_1/train.csv");
  print_message("    predictions within %.1e, losses %.1e\n", p, t);
  CHECK(p < 1e-4 && t < 1e-4, "the emulated device gives other results");
  CHECK(strstr(text_of(emu.folder, "run.json"), test_backend_emu()->device->describe()) &&
        strstr(text_of(cpu.folder, "run.json"), "\"device\": \"cpu\""), "run.json names another device");
}

TEST(emu_run_without_room_does_not_begin)
{
  const char *folder = test_folder("emu_room");
  dor_run_result r;
  make_data(folder, (made){.subjects = 40, .features = 5, .apart = 2});
  test_emu_room = 100;
  dor_status s = run_on(test_backend_emu(), folder, "emu", &r);
  test_emu_room = (size_t)1 << 30;
  CHECK(dor_status_exit(s) == 8 && strstr(dor_errmsg(), "bytes on the device, 100 of"), "exit %d: %s", dor_status_exit(s), dor_errmsg());
}

TEST(emu_run_goes_on_after_the_device_was_lost)
{
  const char *folder = test_folder("emu_lost");
  dor_run_result whole, r;
  make_data(folder, (made){.subjects = 40, .features = 5, .apart = 2});
  OK(run_on(test_backend_emu(), folder, "whole", &whole));
  for (int64_t n = 15; n < 200; n *= 3) {
    test_emu_lost = n;
    dor_status s = run_on(test_backend_emu(), folder, "lost", &r);
    test_emu_lost = -1;
    CHECK(dor_status_exit(s) == 9 && strstr(dor_errmsg(), "gone"), "after %lld waits: exit %d: %s", (long long)n, dor_status_exit(s), dor_errmsg());
  }
  OK(run_on(test_backend_emu(), folder, "lost", &r));
  CHECK(differ(&r, &whole, "predictions.csv") == 0 && differ(&r, &whole, "cells/net/seed_1/fold_1/train.csv") == 0, "a resumed run ends otherwise");
}

/* With its loss scale, parts of a batch and an average of weights; what a checkpoint holds of the scale goes on to the same bits. */
TEST(emu_run_in_fp16_is_near_the_cpu_and_is_resumed)
{
  const char *folder = test_folder("emu_fp16");
  dor_run_result cpu, whole, r;
  make_data(folder, (made){.subjects = 40, .features = 5, .apart = 2});
  OK(run_on(NULL, folder, "cpu", &cpu));
  precision = "fp16";
  OK(run_on(test_backend_emu(), folder, "whole", &whole));
  test_emu_lost = 45;
  CHECK(run_on(test_backend_emu(), folder, "lost", &r) == DOR_E_DEVICE, "it was not lost");
  test_emu_lost = -1;
  OK(run_on(test_backend_emu(), folder, "lost", &r));
  precision = "fp32";
  const double p = differ(&whole, &cpu, "predictions.csv"), t = differ(&whole, &cpu, "cells/net/seed_1/fold_1/train.csv");
  print_message("    predictions within %.1e, losses %.1e\n", p, t);
  CHECK(p < 2e-2 && t < 2e-2, "fp16 gives other results");
  CHECK(differ(&r, &whole, "predictions.csv") == 0 && differ(&r, &whole, "cells/net/seed_1/fold_1/train.csv") == 0, "a resumed run ends otherwise");
}

/* A run that is cut short in each precision; then one finds the other's checkpoint. */
TEST(emu_run_of_another_precision_is_not_resumed)
{
  static const char at[] = "cells/net/seed_1/fold_1/resume.ckpt";
  const char *folder = test_folder("emu_precision"), *const name[] = {"fp32", "bf16"};
  char path[2][4200];
  dor_run_result r;
  make_data(folder, (made){.subjects = 40, .features = 5, .apart = 2});
  for (int i = 0; i < 2; i++) {
    precision = name[i], test_emu_lost = 45;
    CHECK(run_on(test_backend_emu(), folder, name[i], &r) == DOR_E_DEVICE, "%s: it was not lost", name[i]);
    snprintf(path[i], sizeof path[i], "%s/%s", r.folder, at);
    CHECK(strstr(text_of(r.folder, "run.json"), i ? "\"precision\": \"bf16\"" : "\"precision\": \"fp32\""), "run.json names another precision");
    REQUIRE(dor_io_exists(path[i]), "%s: no checkpoint", path[i]);
  }
  test_emu_lost = -1;
  char *bytes;
  size_t n;
  OK(dor_io_read(path[0], (size_t)1 << 30, &bytes, &n));
  OK(dor_io_write(path[1], bytes, n));
  dor_free(bytes);
  dor_status s = run_on(test_backend_emu(), folder, "bf16", &r);
  CHECK(dor_status_exit(s) == 2 && strstr(dor_errmsg(), "made with another precision: fp32, now bf16"), "exit %d: %s", dor_status_exit(s), dor_errmsg());
  OK(dor_io_remove(path[1]));
  OK(run_on(test_backend_emu(), folder, "bf16", &r));
  CHECK(r.complete, "it did not end");
  OK(run_on(NULL, folder, "cpu", &r));
  CHECK(r.complete && strstr(text_of(r.folder, "run.json"), "\"precision\": \"bf16\""), "the CPU's run is not one in bf16");
  precision = "fp32";
}
