/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole runs over a made-up cohort: they learn what is there and nothing else,
 * give the same bytes however they are run, and refuse what they must. */
#include <math.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "data/import.h"
#include "tests/e2e/run_fixture.h"
#include "tests/test.h"
#include "train/checkpoint.h"

static const made easy = {.subjects = 60, .features = 4, .apart = 5};

/* Replace the first `what` in the plain config. */
static const char *with(const char *what, const char *by)
{
  static char text[4096];
  const char *at = strstr(plain_config, what);
  REQUIRE(at, "'%s' is not in the config", what);
  snprintf(text, sizeof text, "%.*s%s%s", (int)(at - plain_config), plain_config, by, at + strlen(what));
  return text;
}

TEST(run_learns_what_is_there)
{
  (void)state;
  const char *folder = test_folder("run_learns");
  dor_run_options o = default_options(folder);
  dor_run_result r;
  make_data(folder, easy);
  OK(run_text(folder, plain_config, &o, &r));
  CHECK(r.complete && r.cells == 3 && r.trained == 3 && !r.reused, "%d cells, %d trained", r.cells, r.trained);
  double net = accuracy_of(r.folder, "net"), majority = accuracy_of(r.folder, "majority");
  CHECK(net > .95, "accuracy %g", net);
  CHECK(majority > .55 && majority < .65, "majority %g", majority);
  CHECK(strstr(text_of(r.folder, "flow.csv"), "excluded,no label,,,F,1"), "flow.csv: %s", text_of(r.folder, "flow.csv"));
  CHECK(strstr(text_of(r.folder, "run.json"), "\"classes\": [\n  \"A\",\n  \"B\"\n ]"), "run.json: %s", text_of(r.folder, "run.json"));
  CHECK(strstr(text_of(r.folder, "run.json"), "\"onednn\": \""), "run.json names no libraries");
  CHECK(strstr(text_of(r.folder, "cells/net/seed_1/fold_2/train.csv"), "epoch,step,loss,lr,val,branch\n1,3,"), "train.csv: %.99s",
        text_of(r.folder, "cells/net/seed_1/fold_2/train.csv"));
  CHECK(!*text_of(r.folder, "cells/net/seed_1/fold_2/resume.ckpt"), "resume.ckpt is left");
}

TEST(run_learns_nothing_from_noise)
{
  (void)state;
  const char *folder = test_folder("run_noise");
  dor_run_options o = default_options(folder);
  dor_run_result r;
  made noise = easy;
  noise.apart = 0, noise.subjects = 150;
  make_data(folder, noise);
  OK(run_text(folder, plain_config, &o, &r));
  double net = accuracy_of(r.folder, "net");
  CHECK(net > .38 && net < .68, "accuracy %g on noise", net);
}

static void run_hash(const char *folder, const char *out, const char *text, int32_t jobs, char hex[65])
{
  char path[1200];
  dor_run_options o = default_options(folder);
  dor_run_result r;
  snprintf(path, sizeof path, "%s/%s", folder, out);
  o.out = path, o.jobs = jobs;
  OK(run_text(folder, text, &o, &r));
  hash_run(r.folder, hex);
}

TEST(run_gives_the_same_bytes_again_and_with_more_jobs)
{
  (void)state;
  char first[65], second[65], jobs[65];
  const char *folder = test_folder("run_same");
  make_data(folder, easy);
  const char *text = with("stop = \"none\"", "stop = \"inner\"; class_weight = \"balanced\"; label_smoothing = 0.1");
  run_hash(folder, "a", text, 1, first);
  run_hash(folder, "b", text, 1, second);
  run_hash(folder, "c", text, 3, jobs);
  CHECK(!strcmp(first, second), "two runs differ");
  CHECK(!strcmp(first, jobs), "three jobs differ from one");
}

TEST(run_is_reused_resumed_and_borrowed_from)
{
  (void)state;
  const char *folder = test_folder("run_folders");
  dor_run_options o = default_options(folder);
  dor_run_result r;
  char first[4096], done[4200];
  make_data(folder, easy);
  OK(run_text(folder, plain_config, &o, &r));
  snprintf(first, sizeof first, "%s", r.folder);
  CHECK(strstr(first, "/plain/1"), "folder %s", first);
  OK(run_text(folder, plain_config, &o, &r));
  CHECK(!strcmp(r.folder, first) && !r.trained && !r.reused && r.complete, "resumed %s, %d trained", r.folder, r.trained);
  snprintf(done, sizeof done, "%s/DONE", first);
  OK(dor_io_write(done, "", 0));
  OK(run_text(folder, plain_config, &o, &r));
  CHECK(!strcmp(r.folder, first) && r.reused, "a finished run was not reused");
  OK(run_text(folder, with("arms = { ", "arms = { more = { title = \"new\"; use = [\"x\"]; train = { lr = 0.02; }; }; "), &o, &r));
  CHECK(strstr(r.folder, "/plain/2") && r.copied == 3 && r.trained == 3, "%s: %d copied, %d trained", r.folder, r.copied, r.trained);
  OK(run_text(folder, with("epochs = 30", "epochs = 31"), &o, &r));
  CHECK(strstr(r.folder, "/plain/3") && r.trained == 3, "%s: %d trained", r.folder, r.trained);
  o.out = first;
  CHECK(run_text(folder, with("epochs = 30", "epochs = 31"), &o, &r) == DOR_E_CONFIG && strstr(dor_errmsg(), "train.epochs"), "message: %s", dor_errmsg());
}

TEST(run_subset_of_cells)
{
  (void)state;
  const char *folder = test_folder("run_subset");
  dor_run_options o = default_options(folder);
  dor_run_result r;
  make_data(folder, easy);
  o.fold = 2;
  OK(run_text(folder, plain_config, &o, &r));
  CHECK(r.trained == 1 && !r.complete, "%d trained", r.trained);
  CHECK(*text_of(r.folder, "cells/net/seed_1/fold_2/cell.json") && !*text_of(r.folder, "cells/net/seed_1/fold_1/cell.json"), "the wrong fold");
  o.fold = -1;
  OK(run_text(folder, plain_config, &o, &r));
  CHECK(r.trained == 2 && r.complete, "%d trained", r.trained);
  o.arm = "nobody";
  CHECK(run_text(folder, with("\"plain\"", "\"other\""), &o, &r) == DOR_E_USAGE, "an unknown arm: %s", dor_errmsg());
}

TEST(run_arms_of_every_fusion)
{
  (void)state;
  const char *folder = test_folder("run_fusion");
  dor_run_options o = default_options(folder);
  dor_run_result r;
  made m = easy;
  m.two_rows = true;
  make_data(folder, m);
  OK(run_text(folder,
              "experiment = \"fusion\"; data = \"data.h5\"; target = { column = \"kind\"; positive = \"B\"; }; split = { folds = 3; };\n"
              "inputs = { x = { from = \"tables\"; impute = \"mean\"; scale = \"zscore\"; net = \"mlp\"; };\n"
              "  p = { from = \"proms\"; impute = \"median\"; scale = \"zscore\"; net = \"mlp\"; }; };\n"
              "nets = { mlp = { kind = \"mlp\"; hidden = [8]; }; };\n"
              "train = { lr = 0.01; epochs = 30; batch = 16; };\n"
              "arms = { early = { use = [\"x\", \"p\"]; fusion = \"early\"; }; joint = { use = [\"p\", \"x\"]; fusion = \"joint\"; };\n"
              "  late = { use = [\"x\", \"p\"]; fusion = \"late\"; }; one = { use = [\"x\"]; }; };\n"
              "baselines = [\"majority\", \"logistic_age_sex\", \"logistic_proms\"];\n",
              &o, &r));
  const char *arms[] = {"early", "joint", "one"};
  for (int i = 0; i < 3; i++) CHECK(accuracy_of(r.folder, arms[i]) > .93, "%s: accuracy %g", arms[i], accuracy_of(r.folder, arms[i]));
  CHECK(accuracy_of(r.folder, "late") > .8, "late: accuracy %g", accuracy_of(r.folder, "late"));
  CHECK(accuracy_of(r.folder, "logistic_proms") > .4, "logistic_proms: %g", accuracy_of(r.folder, "logistic_proms"));
  CHECK(strstr(text_of(r.folder, "cells/late/seed_1/fold_1/train.csv"), ",p\n"), "late: no branch in train.csv");
  CHECK(*text_of(r.folder, "clips.csv"), "two rows a person, but no clips.csv");
}

TEST(run_refuses_bad_numbers)
{
  (void)state;
  const char *folder = test_folder("run_numeric");
  dor_run_options o = default_options(folder);
  dor_run_result r;
  make_data(folder, easy);
  CHECK(run_text(folder, with("\"adam\"; lr = 0.01", "\"sgd\"; momentum = 0; lr = 100; decay = 10"), &o, &r) == DOR_E_NUMERIC,
        "diverging training: %s", dor_errmsg());
  CHECK(dor_status_exit(DOR_E_NUMERIC) == 10 && strstr(dor_errmsg(), "not finite"), "message: %s", dor_errmsg());
  char best[5000];
  snprintf(best, sizeof best, "%s/cells/net/seed_1/fold_1/best.safetensors", r.folder);
  CHECK(!dor_io_exists(best), "weights were written");
}

TEST(run_refuses_wrong_configs)
{
  (void)state;
  const char *folder = test_folder("run_refuses");
  dor_run_options o = default_options(folder);
  dor_run_result r;
  made m = easy;
  make_data(folder, m);
  const struct { const char *what, *by, *says; } wrong[] = {
    {"\"kind\"; positive = \"B\"", "\"kind\"; positive = \"C\"", "test.cfg:3: target 'kind' has no class 'C'"},
    {"column = \"kind\"", "column = \"knid\"", "test.cfg:3: the data have no target 'knid'; did you mean 'kind'"},
    {"positive = \"B\"", "positive = \"\"", "positive"},
    {"\"majority\"", "\"range_of_motion\"", "flexion"},
    {"\"majority\"", "\"majoritty\"", "did you mean 'majority'"},
    {"batch = 16", "batch = 16; accumulate = 3", "accumulate"},
    {"folds = 3", "folds = 100", "100"},
    {"epochs = 30", "epohcs = 30", "epochs"},
    {"name = \"features\"", "name = \"featurs\"", "features"}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    dor_status s = run_text(folder, with(wrong[i].what, wrong[i].by), &o, &r);
    CHECK(dor_status_exit(s) == 2 && strstr(dor_errmsg(), wrong[i].says), "%s: status %d, message: %s", wrong[i].by, s, dor_errmsg());
  }
  char results[1300];
  snprintf(results, sizeof results, "%s/results/plain/1", folder);
  CHECK(!dor_io_exists(results), "a refused run left a folder");
}

TEST(run_dry_counts_cells)
{
  (void)state;
  const char *folder = test_folder("run_dry");
  char path[1200];
  dor_experiment e;
  dor_arena a = {0};
  dor_dry_run d;
  dor_run_options o = default_options(folder);
  make_data(folder, easy);
  snprintf(path, sizeof path, "%s/dry.cfg", folder);
  OK(dor_io_write(path, plain_config, strlen(plain_config)));
  OK(dor_experiment_read(&e, path, NULL, 0));
  OK(dor_run_dry(&a, &e, &o, &d));
  CHECK(d.cells == 3 && d.step_s > 0 && d.total_s > 0 && d.instance_bytes > 0, "%d cells, %g s", d.cells, d.step_s);
  CHECK(d.n_arms == 1 && !strcmp(d.arm[0].name, "net") && d.arm[0].cells == 3 && d.arm[0].parameters > 0, "%d arms, %d cells", d.n_arms, d.arm[0].cells);
  o.fold = 2, o.seed = 1;
  OK(dor_run_dry(&a, &e, &o, &d));
  CHECK(d.cells == 1, "%d cells of one fold and seed", d.cells);
  o.seed = 2;
  CHECK(dor_run_dry(&a, &e, &o, &d) == DOR_E_USAGE && strstr(dor_errmsg(), "--fold 2 --seed 2: no such cell"), "%s", dor_errmsg());
  dor_arena_release(&a);
  dor_experiment_release(&e);
}

/* Weight decay, accumulation in parts, an average of weights, early end: each must train and stay reproducible. */
TEST(run_training_options)
{
  (void)state;
  const char *folder = test_folder("run_options");
  make_data(folder, easy);
  const char *options[] = {"accumulate = 4; batch = 16", "ema = 0.9; batch = 16", "clip = 1.0; batch = 16; schedule = \"cosine\"; warmup = 2.0",
                           "batch = 16; last = \"drop\"", "patience = 3; batch = 16"};
  for (int i = 0; i < 5; i++) {
    char name[16], hex[65], folder_path[1300];
    const char *text = i == 4 ? with("batch = 16; stop = \"none\"", "batch = 16; stop = \"inner\"; patience = 3") : with("batch = 16", options[i]);
    snprintf(name, sizeof name, "o%d", i);
    run_hash(folder, name, text, 1, hex);
    snprintf(folder_path, sizeof folder_path, "%s/%s", folder, name);
    CHECK(accuracy_of(folder_path, "net") > .9, "%s: accuracy %g", options[i], accuracy_of(folder_path, "net"));
  }
}

/* ---- no id in any byte ---- */

static void write_source(const char *folder)
{
  dor_str t = {0};
  char path[1200];
  dor_str_add(&t, "id,x,y,kind\n");
  for (int i = 0; i < 40; i++) dor_str_fmt(&t, "CANARY%03dQZ,%d,%d.5,%s\n", i, i * 7 % 13 + i % 2 * 9, i * 5 % 11, i % 2 ? "B" : "A");
  snprintf(path, sizeof path, "%s/people.csv", folder);
  OK(dor_io_write(path, t.s, t.n));
  const char config[] = "name = \"canaries\"; license = \"none\"; ids = \"pseudonymise\";\n"
                        "labels = { table = \"people.csv\"; subject = \"id\"; targets = ( { name = \"kind\"; classes = [\"A\", \"B\"]; } ); };\n"
                        "features = { table = \"people.csv\"; subject = \"id\"; columns = [\"x\", \"y\"]; };\n";
  snprintf(path, sizeof path, "%s/people.cfg", folder);
  OK(dor_io_write(path, config, sizeof config - 1));
  dor_str_release(&t);
}

static int files_with(dor_arena *a, const char *folder, const char *word, int *files)
{
  const char *const *names;
  size_t n, size;
  int found = 0;
  OK(dor_io_list(a, folder, &names, &n));
  for (size_t i = 0; i < n; i++) {
    const char *path = dor_path_join(a, folder, names[i]);
    char *data;
    if (dor_io_is_dir(path)) {
      found += files_with(a, path, word, files);
      continue;
    }
    OK(dor_io_read(path, 1 << 28, &data, &size));
    bool has = memmem(data, size, word, strlen(word)) != NULL;
    CHECK(!has, "%s holds an id", path);
    found += has, ++*files;
    dor_free(data);
  }
  return found;
}

TEST(run_names_nobody)
{
  (void)state;
  const char *folder = test_folder("run_canary");
  char source[1200], data[1200];
  int files = 0;
  dor_arena a = {0};
  dor_run_options o = default_options(folder);
  dor_run_result r;
  dor_import_cfg c = {0};
  write_source(folder);
  snprintf(source, sizeof source, "%s/people.cfg", folder), snprintf(data, sizeof data, "%s/data.h5", folder);
  OK(dor_schema_defaults(dor_import_keys, &c, &a));
  OK(dor_import("csv", source, data, &c, false, NULL));
  OK(run_text(folder, with("name = \"features\"; ", ""), &o, &r));
  CHECK(!files_with(&a, r.folder, "CANARY", &files) && files > 20, "%d files looked at", files);
  CHECK(!files_with(&a, r.folder, "QZ,", &files), "an id in a table");
  dor_arena_release(&a);
}

/* ---- schemes, values, checkpoints of others ---- */

TEST(run_schemes_of_splits)
{
  (void)state;
  const char *folder = test_folder("run_schemes");
  made m = easy;
  m.subjects = 30;
  make_data(folder, m);
  const struct { const char *split; int cells, rows; } schemes[] = {
    {"scheme = \"loso\"", 29, 29}, {"scheme = \"holdout\"; test = \"last:9\"", 1, 9}, {"scheme = \"rank\"; folds = 4", 4, 29},
    {"scheme = \"kfold\"; folds = 2; repeats = 3", 6, 87}};
  for (int i = 0; i < 4; i++) {
    dor_run_options o = default_options(folder);
    dor_run_result r;
    const char *text = with("scheme = \"kfold\"; folds = 3; seed = 5", schemes[i].split), *line;
    int rows = 0;
    OK(run_text(folder, text, &o, &r));
    for (line = text_of(r.folder, "predictions.csv"); (line = strstr(line, ",net,")); line++) rows++;
    CHECK(r.cells == schemes[i].cells && rows == schemes[i].rows, "%s: %d cells, %d rows", schemes[i].split, r.cells, rows);
    CHECK(strstr(text_of(r.folder, "run.json"), "\"always A\""), "run.json: %s", text_of(r.folder, "run.json"));
  }
}

static const char three_folds[] = "scheme = \"kfold\"; folds = 3; seed = 5";

TEST(run_takes_folds_from_a_file_beside_the_config)
{
  (void)state;
  const char *folder = test_folder("run_file");
  dor_run_options o = default_options(folder);
  dor_run_result first, second;
  char path[1200], folds[4096];
  make_data(folder, easy);
  OK(run_text(folder, plain_config, &o, &first));
  size_t n = (size_t)snprintf(folds, sizeof folds, "%s", text_of(first.folder, "splits.json"));
  snprintf(path, sizeof path, "%s/mine.json", folder);
  OK(dor_io_write(path, folds, n));
  OK(run_text(folder, with(three_folds, "file = \"mine.json\""), &o, &second));
  CHECK(!strcmp(text_of(second.folder, "splits.json"), folds), "other folds than the file's");
  CHECK(strstr(text_of(second.folder, "inputs.json"), "splits_sha256"), "inputs.json: %s", text_of(second.folder, "inputs.json"));
  folds[n - 1] = ' '; /* the last line's end: the same folds in other bytes */
  OK(dor_io_write(path, folds, n));
  OK(run_text(folder, with(three_folds, "file = \"mine.json\""), &o, &first));
  CHECK(strcmp(first.folder, second.folder), "a changed splits.json was taken for the old one");
}

TEST(run_by_clips_cuts_people_and_says_so)
{
  (void)state;
  const char *folder = test_folder("run_clips");
  dor_run_options o = default_options(folder);
  dor_run_result r;
  made m = easy;
  m.two_rows = true;
  make_data(folder, m);
  OK(run_text(folder, with(three_folds, "scheme = \"kfold\"; folds = 3; unit = \"clip\""), &o, &r));
  CHECK(strstr(text_of(r.folder, "splits.json"), "\"s000/x/1\""), "splits.json names no clip: %.200s", text_of(r.folder, "splits.json"));
  CHECK(strstr(text_of(r.folder, "run.json"), "LEAKS"), "run.json bears no stamp");
  CHECK(strstr(text_of(r.folder, "leakage.json"), "waived"), "leakage.json: %s", text_of(r.folder, "leakage.json"));
  CHECK(strstr(text_of(r.folder, "predictions.csv"), "\ns000,x/1,"), "predictions.csv: %.200s", text_of(r.folder, "predictions.csv"));
}

TEST(run_by_clips_of_two_pooled_inputs)
{
  (void)state;
  const char *folder = test_folder("run_clips_pooled");
  dor_run_options o = default_options(folder);
  dor_run_result r;
  OK(run_text(folder,
              "experiment = \"clips\"; data = \"synth:subjects=10,size=16,frames=4\"; target = { column = \"pattern\"; positive = \"EP\"; };"
              "split = { folds = 2; unit = \"clip\"; }; nets = { cnn = { kind = \"silhouette_cnn\"; channels = [2]; }; }; train = { epochs = 1; };"
              "inputs = { f = { from = \"silhouettes\"; movement = \"forward\"; net = \"cnn\"; };"
              " b = { from = \"silhouettes\"; movement = \"backward\"; net = \"cnn\"; }; };"
              "arms = { both = { use = [\"f\", \"b\"]; }; };", &o, &r));
  CHECK(strstr(text_of(r.folder, "predictions.csv"), "\nS001,f/1,") && strstr(text_of(r.folder, "predictions.csv"), "\nS001,b/"), "predictions.csv: %.200s",
        text_of(r.folder, "predictions.csv"));
  static const char *const stamped[] = {"predictions.csv", "subjects.csv", "run.json"};
  for (int i = 0; i < 3; i++) CHECK(strstr(text_of(r.folder, stamped[i]), "SYNTHETIC") && strstr(text_of(r.folder, stamped[i]), "LEAKS"), "%s", stamped[i]);
  CHECK(!*text_of(r.folder, "clips.csv"), "a clip is scored by more than its own row");
}

TEST(run_three_classes_and_against)
{
  (void)state;
  const char *folder = test_folder("run_three");
  dor_run_options o = default_options(folder);
  dor_run_result r;
  make_data(folder, easy);
  OK(run_text(folder, with("column = \"kind\"; positive = \"B\"", "column = \"three\""), &o, &r));
  CHECK(strstr(text_of(r.folder, "predictions.csv"), "p_X,p_Y,p_Z"), "header: %.80s", text_of(r.folder, "predictions.csv"));
  OK(run_text(folder, with("column = \"kind\"; positive = \"B\"", "column = \"three\"; positive = \"X\"; against = \"Z\""), &o, &r));
  CHECK(strstr(text_of(r.folder, "predictions.csv"), "p_Z,p_X"), "the positive class is not the second: %.80s", text_of(r.folder, "predictions.csv"));
  CHECK(strstr(text_of(r.folder, "flow.csv"), "excluded,class not compared,Y"), "flow.csv: %s", text_of(r.folder, "flow.csv"));
}

TEST(run_refuses_a_checkpoint_of_another_cell)
{
  (void)state;
  const char *folder = test_folder("run_swap");
  dor_run_options o = default_options(folder);
  dor_run_result r;
  char path[4300], cell[4300], *data;
  size_t n;
  make_data(folder, easy);
  o.fold = 1;
  OK(run_text(folder, plain_config, &o, &r));
  snprintf(path, sizeof path, "%s/cells/net/seed_1/fold_1/best.safetensors", r.folder);
  snprintf(cell, sizeof cell, "%s/cells/net/seed_1/fold_2/resume.ckpt", r.folder);
  dor_meta meta[] = {{"code version", "1"}, {"config", "other"}};
  dor_tensor t = {.name = "x", .type = DOR_TENSOR_U8, .rank = 1, .dim = {1}, .data = "x", .bytes = 1};
  dor_arena a = {0};
  OK(dor_io_mkdirs(dor_path_dir(&a, cell)));
  dor_arena_release(&a);
  OK(dor_checkpoint_write(cell, 1, &t, 2, meta));
  o.fold = 2;
  CHECK(run_text(folder, plain_config, &o, &r) == DOR_E_CONFIG && strstr(dor_errmsg(), "another config"), "message: %s", dor_errmsg());
  OK(dor_io_read(path, 1 << 20, &data, &n));
  data[n - 1] = (char)(data[n - 1] ^ 1);
  OK(dor_io_write(cell, data, n));
  dor_free(data);
  OK(run_text(folder, plain_config, &o, &r)); /* damaged: the cell starts afresh */
}
