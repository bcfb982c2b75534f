/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole runs over a made-up cohort: they learn what is there and nothing else,
 * give the same bytes however they are run, and refuse what they must. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "data/import.h"
#include "report/report.h"
#include "tests/e2e/run_fixture.h"
#include "tests/test.h"
#include "train/checkpoint.h"

static const made easy = {.subjects = 60, .features = 4, .apart = 5}, two_rows = {.subjects = 60, .features = 4, .apart = 5, .two_rows = true};

typedef struct stage { /* a cohort in a folder of the test's own, and what is run over it */
  const char *folder;
  dor_run_options o;
  dor_run_result r;      /* of the last run */
} stage;

static stage begin(const char *name, made m)
{
  stage t = {.folder = test_folder(name)};
  t.o = default_options(t.folder);
  make_data(t.folder, m);
  return t;
}

static dor_status go(stage *t, const char *text) { return run_text(t->folder, text, &t->o, &t->r); }
static const char *said(const stage *t, const char *file) { return text_of(t->r.folder, file); }

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
  stage t = begin("run_learns", easy);
  OK(go(&t, plain_config));
  CHECK(t.r.complete && t.r.cells == 3 && t.r.trained == 3 && !t.r.reused, "%d cells, %d trained", t.r.cells, t.r.trained);
  double net = accuracy_of(t.r.folder, "net"), majority = accuracy_of(t.r.folder, "majority");
  CHECK(net > .95, "accuracy %g", net);
  CHECK(majority > .55 && majority < .65, "majority %g", majority);
  CHECK(strstr(said(&t, "flow.csv"), "excluded,no label,,,F,1"), "flow.csv: %s", said(&t, "flow.csv"));
  CHECK(strstr(said(&t, "run.json"), "\"classes\": [\n  \"A\",\n  \"B\"\n ]"), "run.json: %s", said(&t, "run.json"));
  CHECK(strstr(said(&t, "run.json"), "\"onednn\": \""), "run.json names no libraries");
  CHECK(strstr(said(&t, "cells/net/seed_1/fold_2/train.csv"), "epoch,step,loss,lr,val,branch\n1,3,"), "train.csv: %.99s",
        said(&t, "cells/net/seed_1/fold_2/train.csv"));
  CHECK(!*said(&t, "cells/net/seed_1/fold_2/resume.ckpt"), "resume.ckpt is left");
  const char *progress = said(&t, "private/progress.json");
  CHECK(strstr(progress, "{\"cells\": 3, \"done\": 3, \"running\": 0,") && strstr(progress, "\"left_s\": 0.0"), "progress.json: %s", progress);
  const char *run = strstr(said(&t, "run.json"), "\"id\": \"");
  REQUIRE(run, "run.json has no id");
  char id[13];
  snprintf(id, sizeof id, "%.12s", run + 7);
  static const char *const named[] = {"flow.csv", "cost.csv", "leakage.json"};
  for (int i = 0; i < 3; i++) CHECK(strstr(said(&t, named[i]), id), "%s does not name run %s", named[i], id);
  CHECK(strstr(said(&t, "run.json"), "\"unit\": \"person\""), "run.json: %s", said(&t, "run.json"));
}

TEST(run_learns_nothing_from_noise)
{
  stage t = begin("run_noise", (made){.subjects = 150, .features = 4});
  OK(go(&t, plain_config));
  double net = accuracy_of(t.r.folder, "net");
  CHECK(net > .38 && net < .68, "accuracy %g on noise", net);
}

static void run_hash(stage *t, const char *out, const char *text, int32_t jobs, char hex[65])
{
  char path[1200];
  snprintf(path, sizeof path, "%s/%s", t->folder, out);
  t->o.out = path, t->o.jobs = jobs;
  OK(go(t, text));
  hash_run(t->r.folder, hex);
  t->o.out = NULL;
}

TEST(run_gives_the_same_bytes_again_and_with_more_jobs)
{
  char first[65], second[65], jobs[65];
  stage t = begin("run_same", easy);
  const char *text = with("stop = \"none\"", "stop = \"inner\"; class_weight = \"balanced\"; label_smoothing = 0.1");
  run_hash(&t, "a", text, 1, first);
  run_hash(&t, "b", text, 1, second);
  run_hash(&t, "c", text, 3, jobs);
  CHECK(!strcmp(first, second), "two runs differ");
  CHECK(!strcmp(first, jobs), "three jobs differ from one");
}

TEST(run_is_reused_resumed_and_borrowed_from)
{
  stage t = begin("run_folders", easy);
  char first[4096], done[4200];
  OK(go(&t, plain_config));
  snprintf(first, sizeof first, "%s", t.r.folder);
  CHECK(strstr(first, "/plain/1"), "folder %s", first);
  OK(go(&t, plain_config));
  CHECK(!strcmp(t.r.folder, first) && !t.r.trained && !t.r.reused && t.r.complete, "resumed %s, %d trained", t.r.folder, t.r.trained);
  snprintf(done, sizeof done, "%s/DONE", first);
  OK(dor_io_write(done, "", 0));
  OK(go(&t, plain_config));
  CHECK(!strcmp(t.r.folder, first) && t.r.reused, "a finished run was not reused");
  OK(go(&t, with("arms = { ", "arms = { more = { title = \"new\"; use = [\"x\"]; train = { lr = 0.02; }; }; ")));
  CHECK(strstr(t.r.folder, "/plain/2") && t.r.copied == 3 && t.r.trained == 3, "%s: %d copied, %d trained", t.r.folder, t.r.copied, t.r.trained);
  OK(go(&t, with("epochs = 30", "epochs = 31")));
  CHECK(strstr(t.r.folder, "/plain/3") && t.r.trained == 3, "%s: %d trained", t.r.folder, t.r.trained);
  t.o.out = first;
  CHECK(go(&t, with("epochs = 30", "epochs = 31")) == DOR_E_CONFIG && strstr(dor_errmsg(), "train.epochs"), "message: %s", dor_errmsg());
}

TEST(run_subset_of_cells)
{
  stage t = begin("run_subset", easy);
  t.o.fold = 2;
  OK(go(&t, plain_config));
  CHECK(t.r.trained == 1 && !t.r.complete, "%d trained", t.r.trained);
  CHECK(*said(&t, "cells/net/seed_1/fold_2/cell.json") && !*said(&t, "cells/net/seed_1/fold_1/cell.json"), "the wrong fold");
  t.o.fold = -1;
  OK(go(&t, plain_config));
  CHECK(t.r.trained == 2 && t.r.complete, "%d trained", t.r.trained);
  dor_str screen = {0};
  OK(dor_report_run(t.r.folder, &screen));
  dor_str_release(&screen);
  t.o.fold = 9;
  CHECK(go(&t, plain_config) == DOR_E_USAGE && strstr(dor_errmsg(), "--fold 9: no such cell; arms: net; folds: 1 to 3; seeds: 1"), "a finished run: %s",
        dor_errmsg());
  t.o.fold = 3, t.o.arm = "nobody";
  CHECK(go(&t, plain_config) == DOR_E_USAGE, "a finished run has no such arm: %s", dor_errmsg());
  t.o.arm = NULL, t.o.seed = 7;
  CHECK(go(&t, plain_config) == DOR_E_USAGE, "a finished run has no such seed: %s", dor_errmsg());
  t.o.seed = 1;
  OK(go(&t, plain_config));
  CHECK(t.r.reused && t.r.cells == 3, "%d cells", t.r.cells);
  t.o.seed = -1, t.o.fold = -1;
  t.o.arm = "nobody";
  CHECK(go(&t, with("\"plain\"", "\"other\"")) == DOR_E_USAGE, "an unknown arm: %s", dor_errmsg());
}

TEST(run_arms_of_every_fusion)
{
  stage t = begin("run_fusion", two_rows);
  OK(go(&t,
              "experiment = \"fusion\"; data = \"data.h5\"; target = { column = \"kind\"; positive = \"B\"; }; split = { folds = 3; };\n"
              "inputs = { x = { from = \"tables\"; impute = \"mean\"; scale = \"zscore\"; net = \"mlp\"; };\n"
              "  p = { from = \"proms\"; impute = \"median\"; scale = \"zscore\"; net = \"mlp\"; }; };\n"
              "nets = { mlp = { kind = \"mlp\"; hidden = [8]; }; };\n"
              "train = { lr = 0.01; epochs = 30; batch = 16; };\n"
              "arms = { early = { use = [\"x\", \"p\"]; fusion = \"early\"; }; joint = { use = [\"p\", \"x\"]; fusion = \"joint\"; };\n"
              "  late = { use = [\"x\", \"p\"]; fusion = \"late\"; }; one = { use = [\"x\"]; }; };\n"
              "baselines = [\"majority\", \"logistic_age_sex\", \"logistic_proms\"];\n"));
  const char *arms[] = {"early", "joint", "one"};
  for (int i = 0; i < 3; i++) CHECK(accuracy_of(t.r.folder, arms[i]) > .93, "%s: accuracy %g", arms[i], accuracy_of(t.r.folder, arms[i]));
  CHECK(accuracy_of(t.r.folder, "late") > .8, "late: accuracy %g", accuracy_of(t.r.folder, "late"));
  CHECK(accuracy_of(t.r.folder, "logistic_proms") > .4, "logistic_proms: %g", accuracy_of(t.r.folder, "logistic_proms"));
  CHECK(strstr(said(&t, "cells/late/seed_1/fold_1/train.csv"), ",p\n"), "late: no branch in train.csv");
  CHECK(*said(&t, "clips.csv"), "two rows a person, but no clips.csv");
}

TEST(run_refuses_bad_numbers)
{
  stage t = begin("run_numeric", easy);
  CHECK(go(&t, with("\"adam\"; lr = 0.01", "\"sgd\"; momentum = 0; lr = 100; decay = 10")) == DOR_E_NUMERIC,
        "diverging training: %s", dor_errmsg());
  CHECK(dor_status_exit(DOR_E_NUMERIC) == 10 && strstr(dor_errmsg(), "not finite"), "message: %s", dor_errmsg());
  char best[5000];
  snprintf(best, sizeof best, "%s/cells/net/seed_1/fold_1/best.safetensors", t.r.folder);
  CHECK(!dor_io_exists(best), "weights were written");
}

TEST(run_refuses_wrong_configs)
{
  stage t = begin("run_refuses", easy);
  const struct { const char *what, *by, *says; } wrong[] = {
    {"\"kind\"; positive = \"B\"", "\"kind\"; positive = \"C\"", "test.cfg:3: target 'kind' has no class 'C'"},
    {"column = \"kind\"", "column = \"knid\"", "test.cfg:3: the data have no target 'knid'; did you mean 'kind'"},
    {"column = \"kind\"; positive = \"B\"", "column = \"score\"", "test.cfg:3: target 'score' is a number"},
    {"positive = \"B\"", "positive = \"\"", "positive"},
    {"\"majority\"", "\"range_of_motion\"", "flexion"},
    {"\"majority\"", "\"majoritty\"", "did you mean 'majority'"},
    {"batch = 16", "batch = 16; accumulate = 3", "accumulate"},
    {"folds = 3", "folds = 100", "100"},
    {"epochs = 30", "epohcs = 30", "epochs"},
    {"name = \"features\"", "name = \"featurs\"", "features"}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    dor_status s = go(&t, with(wrong[i].what, wrong[i].by));
    CHECK(dor_status_exit(s) == 2 && strstr(dor_errmsg(), wrong[i].says), "%s: status %d, message: %s", wrong[i].by, s, dor_errmsg());
  }
  dor_status huge = go(&t, with("hidden = [8]", "hidden = [65536, 65536, 65536]"));
  CHECK(dor_status_exit(huge) == 7 && strstr(dor_errmsg(), "net 'mlp' of arm") && strstr(dor_errmsg(), "GB"), "status %d, message: %s", huge, dor_errmsg());
  char results[1300];
  snprintf(results, sizeof results, "%s/results/plain/1", t.folder);
  CHECK(!dor_io_exists(results), "a refused run left a folder");
}

TEST(run_dry_counts_cells)
{
  stage t = begin("run_dry", easy);
  char path[1200];
  dor_experiment e;
  dor_arena a = {0};
  dor_dry_run d;
  snprintf(path, sizeof path, "%s/dry.cfg", t.folder);
  OK(dor_io_write(path, plain_config, strlen(plain_config)));
  OK(dor_experiment_read(&e, path, NULL, 0));
  OK(dor_run_dry(&a, &e, &t.o, &d));
  CHECK(d.cells == 3 && d.step_s > 0 && d.total_s > 0 && d.instance_bytes > 0, "%d cells, %g s", d.cells, d.step_s);
  CHECK(d.n_arms == 1 && !strcmp(d.arm[0].name, "net") && d.arm[0].cells == 3 && d.arm[0].parameters > 0, "%d arms, %d cells", d.n_arms, d.arm[0].cells);
  t.o.fold = 2, t.o.seed = 1;
  OK(dor_run_dry(&a, &e, &t.o, &d));
  CHECK(d.cells == 1, "%d cells of one fold and seed", d.cells);
  t.o.seed = 2;
  CHECK(dor_run_dry(&a, &e, &t.o, &d) == DOR_E_USAGE && strstr(dor_errmsg(), "--fold 2 --seed 2: no such cell"), "%s", dor_errmsg());
  dor_arena_release(&a);
  dor_experiment_release(&e);
}

/* Weight decay, accumulation in parts, an average of weights, early end: each must train and stay reproducible. */
TEST(run_training_options)
{
  stage t = begin("run_options", easy);
  const char *options[] = {"accumulate = 4; batch = 16", "ema = 0.9; batch = 16", "clip = 1.0; batch = 16; schedule = \"cosine\"; warmup = 2.0",
                           "batch = 16; last = \"drop\"", "patience = 3; batch = 16"};
  for (int i = 0; i < 5; i++) {
    char name[16], hex[65];
    const char *text = i == 4 ? with("batch = 16; stop = \"none\"", "batch = 16; stop = \"inner\"; patience = 3") : with("batch = 16", options[i]);
    snprintf(name, sizeof name, "o%d", i);
    run_hash(&t, name, text, 1, hex);
    CHECK(accuracy_of(t.r.folder, "net") > .9, "%s: accuracy %g", options[i], accuracy_of(t.r.folder, "net"));
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
  stage t = {.folder = test_folder("run_canary")};
  char source[1200], data[1200];
  int files = 0;
  dor_arena a = {0};
  t.o = default_options(t.folder);
  dor_import_cfg c = {0};
  write_source(t.folder);
  snprintf(source, sizeof source, "%s/people.cfg", t.folder), snprintf(data, sizeof data, "%s/data.h5", t.folder);
  OK(dor_schema_defaults(dor_import_keys, &c, &a));
  OK(dor_import("csv", source, data, &c, false, NULL));
  OK(go(&t, with("name = \"features\"; ", "")));
  CHECK(!files_with(&a, t.r.folder, "CANARY", &files) && files > 20, "%d files looked at", files);
  CHECK(!files_with(&a, t.r.folder, "QZ,", &files), "an id in a table");
  dor_arena_release(&a);
}

static const char three_folds[] = "scheme = \"kfold\"; folds = 3; seed = 5";

/* Data and folds by absolute paths: outside private/ not a byte of a run knows them, and from elsewhere it is the same run. */
TEST(run_tells_no_path)
{
  stage t = begin("run_paths", easy);
  dor_arena a = {0};
  dor_str screen = {0};
  char before[4096];
  int files = 0;
  OK(go(&t, plain_config));
  const char *away = dor_arena_fmt(&a, "%s/FAR/AWAY", t.folder), *file = dor_arena_fmt(&a, "%s/folds.json", away);
  OK(dor_io_mkdirs(away));
  OK(dor_io_write(file, said(&t, "splits.json"), strlen(said(&t, "splits.json"))));
  make_data(away, easy);
  const char *text = with(three_folds, dor_arena_fmt(&a, "file = \"%s\"", file)), *at = strstr(text, "data.h5");
  const char *config = dor_arena_fmt(&a, "%.*s%s/%s", (int)(at - text), text, away, at);
  OK(go(&t, config));
  OK(dor_report_run(t.r.folder, &screen));
  CHECK(strstr(said(&t, "config.cfg"), "data = \"data.h5\"") && strstr(said(&t, "config.cfg"), "file = \"folds.json\""), "%s", said(&t, "config.cfg"));
  CHECK(strstr(said(&t, "private/paths.json"), "/FAR/AWAY/data.h5") && strstr(said(&t, "private/paths.json"), "/FAR/AWAY/folds.json"), "%s",
        said(&t, "private/paths.json"));
  dor_verified v;
  OK(dor_report_verify(t.r.folder, &v));
  CHECK(v.inputs == 2 && !v.absent && !v.unlisted, "%d inputs hold, %d are not here, %d not listed", v.inputs, v.absent, v.unlisted);
  snprintf(before, sizeof before, "%s", t.r.folder);
  OK(go(&t, with(three_folds, "file = \"FAR/AWAY/folds.json\"")));
  CHECK(t.r.reused && !strcmp(before, t.r.folder), "the same data and folds by another path are another run: %s", t.r.folder);
  OK(dor_io_append(file, " ", 1));
  CHECK(dor_report_verify(t.r.folder, &v) == DOR_E_MISMATCH && strstr(dor_errmsg(), "folds.json has changed since the run: it is not the 'splits_sha256'"),
        "%s", dor_errmsg());
  OK(dor_io_remove_tree(dor_path_join(&a, t.r.folder, "private")));
  OK(dor_report_verify(t.r.folder, &v));
  CHECK(!v.inputs && v.absent == 2, "%d inputs hold, %d are not here", v.inputs, v.absent);
  CHECK(!files_with(&a, t.r.folder, t.folder, &files) && !files_with(&a, t.r.folder, "AWAY", &files) && files > 40, "%d files looked at", files);
  dor_str_release(&screen);
  dor_arena_release(&a);
}

/* ---- schemes, values, checkpoints of others ---- */

TEST(run_schemes_of_splits)
{
  stage t = begin("run_schemes", (made){.subjects = 30, .features = 4, .apart = 5});
  const struct { const char *split; int cells, rows; } schemes[] = {
    {"scheme = \"loso\"", 29, 29}, {"scheme = \"holdout\"; test = \"last:9\"", 1, 9}, {"scheme = \"rank\"; folds = 4", 4, 29},
    {"scheme = \"kfold\"; folds = 2; repeats = 3", 6, 87}};
  for (int i = 0; i < 4; i++) {
    const char *text = with("scheme = \"kfold\"; folds = 3; seed = 5", schemes[i].split), *line;
    int rows = 0;
    OK(go(&t, text));
    for (line = said(&t, "predictions.csv"); (line = strstr(line, ",net,")); line++) rows++;
    CHECK(t.r.cells == schemes[i].cells && rows == schemes[i].rows, "%s: %d cells, %d rows", schemes[i].split, t.r.cells, rows);
    CHECK(strstr(said(&t, "run.json"), "\"always A\""), "run.json: %s", said(&t, "run.json"));
    int analysed = 0, only_trained = 0;
    for (line = said(&t, "flow.csv"); line && *line; line = strchr(line, '\n'), line += line != NULL) {
      bool tested = !strncmp(line, "analysed,", 9);
      if (!tested && strncmp(line, "trained_on_only,", 16)) continue;
      const char *n = line;
      for (int comma = 0; comma < 5 && n; comma++) n = strchr(n, ','), n += n != NULL;
      REQUIRE(n, "flow.csv: %s", line);
      *(tested ? &analysed : &only_trained) += atoi(n);
    }
    CHECK(analysed == (i == 1 ? 9 : 29) && analysed + only_trained == 29, "flow.csv: %d analysed, %d trained on only", analysed, only_trained);
  }
}

TEST(run_takes_folds_from_a_file_beside_the_config)
{
  stage t = begin("run_file", easy);
  char before[4096];
  char path[1200], folds[4096];
  OK(go(&t, plain_config));
  size_t n = (size_t)snprintf(folds, sizeof folds, "%s", said(&t, "splits.json"));
  snprintf(path, sizeof path, "%s/mine.json", t.folder);
  OK(dor_io_write(path, folds, n));
  OK(go(&t, with(three_folds, "file = \"mine.json\"")));
  CHECK(!strcmp(said(&t, "splits.json"), folds), "other folds than the file's");
  CHECK(strstr(said(&t, "inputs.json"), "splits_sha256"), "inputs.json: %s", said(&t, "inputs.json"));
  snprintf(before, sizeof before, "%s", t.r.folder);
  folds[n - 1] = ' '; /* the last line's end: the same folds in other bytes */
  OK(dor_io_write(path, folds, n));
  OK(go(&t, with(three_folds, "file = \"mine.json\"")));
  CHECK(strcmp(before, t.r.folder), "a changed splits.json was taken for the old one");
}

TEST(run_by_clips_cuts_people_and_says_so)
{
  stage t = begin("run_clips", two_rows);
  OK(go(&t, with(three_folds, "scheme = \"kfold\"; folds = 3; unit = \"clip\"")));
  CHECK(strstr(said(&t, "splits.json"), "\"s000/x/1\""), "splits.json names no clip: %.200s", said(&t, "splits.json"));
  CHECK(strstr(said(&t, "run.json"), "LEAKS"), "run.json bears no stamp");
  CHECK(strstr(said(&t, "leakage.json"), "waived"), "leakage.json: %s", said(&t, "leakage.json"));
  CHECK(strstr(said(&t, "predictions.csv"), "\ns000,x/1,"), "predictions.csv: %.200s", said(&t, "predictions.csv"));
}

TEST(run_by_clips_of_two_pooled_inputs)
{
  stage t = begin("run_clips_pooled", easy);
  OK(go(&t,
              "experiment = \"clips\"; data = \"synth:subjects=10,size=16,frames=4\"; target = { column = \"pattern\"; positive = \"EP\"; };"
              "split = { folds = 2; unit = \"clip\"; }; nets = { cnn = { kind = \"silhouette_cnn\"; channels = [2]; }; }; train = { epochs = 1; };"
              "inputs = { f = { from = \"silhouettes\"; movement = \"forward\"; net = \"cnn\"; };"
              " b = { from = \"silhouettes\"; movement = \"backward\"; net = \"cnn\"; }; };"
              "arms = { both = { use = [\"f\", \"b\"]; }; };"));
  CHECK(strstr(said(&t, "predictions.csv"), "\nS001,f/1,") && strstr(said(&t, "predictions.csv"), "\nS001,b/"), "predictions.csv: %.200s",
        said(&t, "predictions.csv"));
  static const char *const stamped[] = {"predictions.csv", "subjects.csv", "run.json", "flow.csv", "cost.csv", "leakage.json",
                                        "cells/both/seed_1/fold_1/cell.json"};
  for (int i = 0; i < 7; i++) CHECK(strstr(said(&t, stamped[i]), "SYNTHETIC") && strstr(said(&t, stamped[i]), "LEAKS"), "%s", stamped[i]);
  CHECK(!*said(&t, "clips.csv"), "a clip is scored by more than its own row");
}

/* One grey picture a subject, named by row numbers: a source that knows no people. */
static void make_pictures(const char *folder, int32_t n)
{
  static const char *const names[] = {"dark", "bright"};
  enum { SIDE = 8 };
  char path[1200];
  dor_dataset d = {.name = "pictures", .license = "CC0", .created_by = "a test", .n_subjects = n, .n_images = 1, .n_targets = 1};
  const char **id = dor_arena_alloc(&d.arena, (size_t)n * sizeof *id);
  int32_t *subject = dor_arena_alloc(&d.arena, (size_t)n * sizeof *subject);
  float *value = dor_arena_alloc(&d.arena, (size_t)n * sizeof *value);
  uint8_t *pixels = dor_arena_alloc(&d.arena, (size_t)n * SIDE * SIDE);
  for (int32_t i = 0; i < n; i++) {
    id[i] = dor_arena_fmt(&d.arena, "%d", i + 1), subject[i] = i, value[i] = (float)(i % 2);
    for (int k = 0; k < SIDE * SIDE; k++) pixels[i * SIDE * SIDE + k] = (uint8_t)(100 * (i % 2) + i + k);
  }
  const dor_frames frames = {.name = "images", .n = n, .h = SIDE, .w = SIDE, .c = 1, .data = pixels, .subject = subject};
  const dor_target target = {"kind", DOR_TARGET_CLASS, DOR_PER_SUBJECT, n, 2, names, value};
  d.id = id, d.images = &frames, d.target = &target;
  memset(d.source_sha256, '0', 64);
  snprintf(path, sizeof path, "%s/data.h5", folder);
  OK(dor_dataset_write(&d, path));
  dor_arena_release(&d.arena);
}

TEST(run_of_pictures_calls_them_so)
{
  stage t = {.folder = test_folder("run_pictures")};
  t.o = default_options(t.folder);
  make_pictures(t.folder, 24);
  OK(go(&t, "experiment = \"pictures\"; data = \"data.h5\"; target = { column = \"kind\"; positive = \"bright\"; }; split = { folds = 2; };"
            "nets = { cnn = { kind = \"silhouette_cnn\"; channels = [2]; }; }; train = { epochs = 1; };"
            "inputs = { p = { from = \"images\"; net = \"cnn\"; }; }; arms = { cnn = { use = [\"p\"]; }; };"));
  CHECK(strstr(said(&t, "run.json"), "\"unit\": \"picture\"") && strstr(said(&t, "run.json"), "\"per\": \"subject\""), "run.json: %s", said(&t, "run.json"));
}

TEST(run_three_classes_and_against)
{
  stage t = begin("run_three", easy);
  OK(go(&t, with("column = \"kind\"; positive = \"B\"", "column = \"three\"")));
  CHECK(strstr(said(&t, "predictions.csv"), "p_X,p_Y,p_Z"), "header: %.80s", said(&t, "predictions.csv"));
  OK(go(&t, with("column = \"kind\"; positive = \"B\"", "column = \"three\"; positive = \"X\"; against = \"Z\"")));
  CHECK(strstr(said(&t, "predictions.csv"), "p_Z,p_X"), "the positive class is not the second: %.80s", said(&t, "predictions.csv"));
  CHECK(strstr(said(&t, "flow.csv"), "excluded,class not compared,Y"), "flow.csv: %s", said(&t, "flow.csv"));
}

TEST(run_refuses_a_checkpoint_of_another_cell)
{
  stage t = begin("run_swap", easy);
  char path[4300], cell[4300], *data;
  size_t n;
  t.o.fold = 1;
  OK(go(&t, plain_config));
  snprintf(path, sizeof path, "%s/cells/net/seed_1/fold_1/best.safetensors", t.r.folder);
  snprintf(cell, sizeof cell, "%s/cells/net/seed_1/fold_2/resume.ckpt", t.r.folder);
  dor_meta meta[] = {{"code version", "1"}, {"config", "other"}};
  dor_tensor x = {.name = "x", .type = DOR_TENSOR_U8, .rank = 1, .dim = {1}, .data = "x", .bytes = 1};
  dor_arena a = {0};
  OK(dor_io_mkdirs(dor_path_dir(&a, cell)));
  dor_arena_release(&a);
  OK(dor_checkpoint_write(cell, 1, &x, 2, meta));
  t.o.fold = 2;
  CHECK(go(&t, plain_config) == DOR_E_CONFIG && strstr(dor_errmsg(), "another config"), "message: %s", dor_errmsg());
  OK(dor_io_read(path, 1 << 20, &data, &n));
  data[n - 1] = (char)(data[n - 1] ^ 1);
  OK(dor_io_write(cell, data, n));
  dor_free(data);
  OK(go(&t, plain_config)); /* damaged: the cell starts afresh */
}
