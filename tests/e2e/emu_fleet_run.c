/* SPDX-License-Identifier: Apache-2.0
 *
 * Experiments whose cells train as fleets, on the emulated device: every file of every cell is the one it gets alone, however
 * the cells are grouped, when they end at different epochs, when epochs differ in length, and when a run is cut and goes on in other
 * groups. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/calls.h"
#include "base/io.h"
#include "base/mem.h"
#include "tests/e2e/run_fixture.h"
#include "tests/ops/emu.h"
#include "tests/test.h"

/* 41 people have a label: folds of 14, 14 and 13, so a training part of 27 or 28, of which 21, 22 or 23 are left by the inner part. */
static const char tables[] = "experiment = \"fleet\";\n"
                             "data = \"data.h5\";\n"
                             "target = { column = \"kind\"; positive = \"B\"; };\n"
                             "split = { scheme = \"kfold\"; folds = 3; seed = 5; };\n"
                             "seeds = [1, 2];\n"
                             "inputs = { x = { from = \"tables\"; name = \"features\"; impute = \"mean\"; scale = \"zscore\"; net = \"mlp\"; };\n"
                             "           y = { from = \"proms\"; impute = \"mean\"; scale = \"zscore\"; net = \"mlp\"; }; };\n"
                             "nets = { mlp = { kind = \"mlp\"; hidden = [8]; dropout = 0.2; }; };\n"
                             "train = { optimizer = \"adamw\"; lr = 0.02; epochs = 10; batch = 3; accumulate = 3; clip = 1.0; ema = 0.5;\n"
                             "          stop = \"inner\"; patience = 3; };\n"
                             "arms = { slow = { use = [\"x\"]; }; fast = { use = [\"x\"]; train = { lr = 0.1; epochs = 9; }; };\n"
                             "         both = { use = [\"x\", \"y\"]; fusion = \"late\"; train = { epochs = 5; patience = 1; }; }; };\n"
                             "baselines = [];\n";

static const char pictures[] = "experiment = \"fleet\";\n"
                               "data = \"synth:subjects=12,seed=1,d=1.0,frames=4,size=16\";\n"
                               "target = { column = \"pattern\"; positive = \"EP\"; };\n"
                               "split = { folds = 3; };\n"
                               "inputs = { s = { from = \"silhouettes\"; net = \"c\"; }; };\n"
                               "nets = { c = { kind = \"silhouette_cnn\"; channels = [4, 4]; }; };\n"
                               "train = { epochs = 2; batch = 8; stop = \"none\"; };\n"
                               "use = [\"s\"];\n"
                               "baselines = [];\n";

typedef struct told { /* what a watcher hears */
  int32_t running;    /* at most */
  char fleets[600];   /* lines on how many go at once */
  int64_t stop_at;    /* epochs; 0: never */
} told;

static void hear(void *to, const dor_progress *p)
{
  told *t = to;
  if (p->running > t->running) t->running = p->running;
  if (p->line && strstr(p->line, " at once")) snprintf(t->fleets + strlen(t->fleets), sizeof t->fleets - strlen(t->fleets), "%s\n", p->line);
  if (t->stop_at && p->epochs_done >= t->stop_at) dor_stop_request();
}

typedef struct asked { const char *config, *results, *fleet; bool saves; } asked; /* saves: a checkpoint whenever there can be one */

static dor_status run_fleet(const char *folder, asked a, told *t, dor_run_result *r)
{
  char path[1200], to[1200];
  dor_experiment e;
  dor_run_options o = default_options(folder);
  snprintf(path, sizeof path, "%s/fleet.cfg", folder);
  snprintf(to, sizeof to, "%s/%s", folder, a.results);
  OK(dor_io_write(path, a.config, strlen(a.config)));
  OK(dor_experiment_read(&e, path, (const char *const[]){a.fleet, "train.checkpoint_s=0"}, a.saves ? 2 : 1));
  e.backend = test_backend_emu();
  o.results = to, o.progress = hear, o.to = t;
  dor_status s = dor_run(&e, &o, r);
  dor_experiment_release(&e);
  return s;
}

/* Every file of every cell, and the predictions of all; how many there are. */
static int same_folder(dor_arena *a, const char *one, const char *other)
{
  const char *const *name;
  size_t n;
  int files = 0;
  OK(dor_io_list(a, one, &name, &n));
  for (size_t i = 0; i < n; i++) {
    const char *x = dor_path_join(a, one, name[i]), *y = dor_path_join(a, other, name[i]);
    char *left, *right;
    size_t nx, ny;
    if (!strcmp(name[i], "log.txt")) continue;
    if (dor_io_is_dir(x)) {
      files += same_folder(a, x, y);
      continue;
    }
    OK(dor_io_read(x, 1 << 28, &left, &nx));
    OK(dor_io_read(y, 1 << 28, &right, &ny));
    CHECK(nx == ny && !memcmp(left, right, nx), "%s is not %s", y, x);
    dor_free(left), dor_free(right);
    files++;
  }
  return files;
}

static void check_same(const dor_run_result *x, const dor_run_result *y, int files_each)
{
  dor_arena a = {0};
  const int files = same_folder(&a, dor_path_join(&a, x->folder, "cells"), dor_path_join(&a, y->folder, "cells"));
  CHECK(files == files_each * x->cells, "%d files of %d cells", files, x->cells);
  char *first = strdup(text_of(x->folder, "predictions.csv"));
  CHECK(strlen(first) > 1000 && !strcmp(first, text_of(y->folder, "predictions.csv")), "predictions.csv differs");
  free(first);
  dor_arena_release(&a);
}

/* Of a cell: its epochs, and the steps of the first. */
static void course(const dor_run_result *r, const char *cell, int32_t *epochs, int64_t *steps)
{
  char name[200];
  snprintf(name, sizeof name, "cells/%s/train.csv", cell);
  const char *s = text_of(r->folder, name);
  *epochs = -1;
  *steps = 0;
  for (const char *at = s; *at; at++) *epochs += *at == '\n';
  if ((s = strchr(s, '\n'))) *steps = strtol(strchr(s, ',') + 1, NULL, 10);
}

TEST(emu_fleet_run_gives_each_cell_the_files_it_gets_alone)
{
  const char *folder = test_folder("emu_fleet");
  static const char *const cells[] = {"slow/seed_1/fold_1", "slow/seed_1/fold_2", "slow/seed_1/fold_3", "slow/seed_2/fold_1", "fast/seed_1/fold_1"};
  told one = {0}, all = {0}, five = {0};
  dor_run_result alone, r;
  int32_t epochs[5], differ = 0;
  int64_t steps[5];
  make_data(folder, (made){.subjects = 42, .features = 5, .apart = 1});
  OK(run_fleet(folder, (asked){tables, "one", "cuda.fleet=1", false}, &one, &alone));
  CHECK(one.running == 1 && !*one.fleets, "%d at once, switched off: %s", one.running, one.fleets);
  OK(run_fleet(folder, (asked){tables, "all", "cuda.fleet=0", false}, &all, &r));
  CHECK(all.running == 12 && !strcmp(all.fleets, "12 cells at once: arm slow to fast\n6 cells at once: arm both\n"), "%d: %s", all.running, all.fleets);
  check_same(&alone, &r, 5);
  OK(run_fleet(folder, (asked){tables, "five", "cuda.fleet=5", false}, &five, &r));
  CHECK(five.running == 5 && strstr(five.fleets, "2 cells at once: arm fast\n5 cells at once: arm both\n"), "%d: %s", five.running, five.fleets);
  check_same(&alone, &r, 5);
  for (int i = 0; i < 5; i++) {
    course(&alone, cells[i], &epochs[i], &steps[i]);
    differ += epochs[i] != epochs[0];
  }
  print_message("    epochs %d %d %d %d %d, steps %lld %lld %lld\n", epochs[0], epochs[1], epochs[2], epochs[3], epochs[4], (long long)steps[0],
                (long long)steps[1], (long long)steps[2]);
  CHECK(differ, "all cells end at the same epoch: nothing is shown");
  CHECK(steps[0] != steps[2] || steps[1] != steps[2], "all epochs have the same length: nothing is shown");
}

TEST(emu_fleet_run_of_cnns_gives_each_cell_the_files_it_gets_alone)
{
  const char *folder = test_folder("emu_fleet_cnn");
  told one = {0}, all = {0};
  dor_run_result alone, r;
  OK(run_fleet(folder, (asked){pictures, "one", "cuda.fleet=1", false}, &one, &alone));
  OK(run_fleet(folder, (asked){pictures, "all", "cuda.fleet=0", false}, &all, &r));
  CHECK(one.running == 1 && all.running == 3, "%d and %d at once", one.running, all.running);
  check_same(&alone, &r, 6); /* one more: clips.csv */
}

static int no_sync(int fd) { return (void)fd, 0; }

/* What a run says that one model takes. */
static size_t bytes_needed(const char *folder)
{
  told t = {0};
  dor_run_result r;
  test_emu_room = 1;
  dor_status s = run_fleet(folder, (asked){tables, "room", "cuda.fleet=1", false}, &t, &r);
  test_emu_room = (size_t)1 << 30;
  const char *bytes = strstr(dor_errmsg(), "training needs ");
  REQUIRE(dor_status_exit(s) == 8 && bytes, "exit %d: %s", dor_status_exit(s), dor_errmsg());
  return strtoul(bytes + strlen("training needs "), NULL, 10);
}

TEST(emu_fleet_run_goes_on_in_other_groups)
{
  const char *folder = test_folder("emu_fleet_cut");
  static const size_t models[] = {10000, 10, 3}; /* that there is room for: half of it is used */
  const dor_io_calls calls = dor_io;
  told t = {0};
  dor_run_result alone, r;
  dor_io.fsync = no_sync;
  make_data(folder, (made){.subjects = 42, .features = 5, .apart = 1});
  OK(run_fleet(folder, (asked){tables, "one", "cuda.fleet=1", false}, &t, &alone));
  const size_t one = bytes_needed(folder);
  for (int k = 0; k < 3; k++) {
    test_emu_lost = 300, test_emu_room = models[k] * one;
    t = (told){0};
    dor_status s = run_fleet(folder, (asked){tables, "cut", "cuda.fleet=0", true}, &t, &r);
    print_message("    %d at once, then the device is lost\n", t.running);
    test_emu_lost = -1, test_emu_room = (size_t)1 << 30;
    CHECK(dor_status_exit(s) == 9, "exit %d: %s", dor_status_exit(s), dor_errmsg());
  }
  OK(run_fleet(folder, (asked){tables, "cut", "cuda.fleet=0", false}, &t, &r));
  check_same(&alone, &r, 5);
  dor_io = calls;
}

TEST(emu_fleet_run_stops_with_a_checkpoint_of_each)
{
  const char *folder = test_folder("emu_fleet_stop");
  told t = {.stop_at = 20};
  dor_run_result alone, r;
  int status = 0;
  make_data(folder, (made){.subjects = 42, .features = 5, .apart = 1});
  pid_t child = test_fork();
  if (!child) _exit(dor_status_exit(run_fleet(folder, (asked){tables, "cut", "cuda.fleet=0", false}, &t, &r)));
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 75, "the run was not stopped");
  t.stop_at = 0;
  for (int arm = 0; arm < 2; arm++)
    for (int cell = 0; cell < 6; cell++) {
      char path[1400];
      snprintf(path, sizeof path, "%s/cut/fleet/1/cells/%s/seed_%d/fold_%d/resume.ckpt", folder, arm ? "fast" : "slow", cell / 3 + 1, cell % 3 + 1);
      CHECK(dor_io_exists(path), "no %s", path);
    }
  OK(run_fleet(folder, (asked){tables, "cut", "cuda.fleet=5", false}, &t, &r));
  OK(run_fleet(folder, (asked){tables, "one", "cuda.fleet=1", false}, &t, &alone));
  check_same(&alone, &r, 5);
}
