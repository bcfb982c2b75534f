/* SPDX-License-Identifier: Apache-2.0
 *
 * A pose experiment from config to report on pictures of bright squares: what a
 * run folder holds, a stop and a resume that change no byte, parts of a batch,
 * weights to begin with, and what is refused. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <png.h>

#include "base/io.h"
#include "base/mem.h"
#include "report/report.h"
#include "tests/e2e/run_fixture.h"
#include "tests/test.h"
#include "train/pose_plan.h"
#include "weights/weights.h"

enum { SIDE = 64 };

static char folder[512];

static void put_file(const char *name, const char *text, size_t n)
{
  char path[600];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  OK(dor_io_write(path, text, n));
}

/* A dark picture with a square at each of three joints, and its annotation. */
static void put_picture(dor_str *images, dor_str *people, int id)
{
  static uint8_t p[SIDE * SIDE * 3];
  char path[600];
  png_image im = {.version = PNG_IMAGE_VERSION, .width = SIDE, .height = SIDE, .format = PNG_FORMAT_RGB};
  memset(p, id, sizeof p);
  dor_str_fmt(images, "%s{\"id\": %d, \"file_name\": \"%d.png\", \"height\": %d, \"width\": %d}", images->n ? ", " : "", id, id, SIDE, SIDE);
  dor_str_fmt(people, "%s{\"id\": %d, \"image_id\": %d, \"category_id\": 1, \"area\": 1200, \"bbox\": [10, 10, 40, 40], \"keypoints\": [",
              people->n ? ", " : "", id, id);
  for (int k = 0; k < 3; k++) {
    const int x = 12 + 17 * k + id % 5, y = 14 + 11 * ((k + id) % 3);
    for (int i = 0; i < 36; i++) p[((y - 3 + i / 6) * SIDE + x - 3 + i % 6) * 3 + k] = 255;
    dor_str_fmt(people, "%s%d, %d, 2", k ? ", " : "", x, y);
  }
  dor_str_add(people, "]}");
  snprintf(path, sizeof path, "%s/%d.png", folder, id);
  REQUIRE(png_image_write_to_file(&im, path, 0, p, 0, NULL), "%s", im.message);
}

static void put_set(const char *name, int first, int n)
{
  dor_str images = {0}, people = {0}, all = {0};
  for (int i = 0; i < n; i++) put_picture(&images, &people, first + i);
  dor_str_fmt(&all, "{\"info\": {\"description\": \"bright squares\", \"synthetic\": true}, \"licenses\": [{\"id\": 1, \"name\": \"CC0\"}],\n"
              "\"categories\": [{\"id\": 1, \"name\": \"thing\", \"keypoints\": [\"left_a\", \"right_a\", \"b\"]}],\n"
              "\"images\": [%s],\n\"annotations\": [%s]}", images.s, people.s);
  put_file(name, all.s, all.n);
  dor_str_release(&images), dor_str_release(&people), dor_str_release(&all);
}

/* The validation file again, with CrowdPose's measure of a crowd. */
static void put_crowd(void)
{
  char *text, path[600];
  size_t n;
  dor_str s = {0};
  snprintf(path, sizeof path, "%s/val.json", folder);
  OK(dor_io_read(path, 1 << 20, &text, &n));
  for (char *p = text, *at; p; p = at) {
    at = strstr(p + 1, "\"height\"");
    dor_str_fmt(&s, "%.*s", at ? (int)(at - p) : (int)strlen(p), p);
    if (at) dor_str_add(&s, "\"crowdIndex\": 0.5, ");
  }
  put_file("crowd.json", s.s, s.n);
  dor_str_release(&s);
  dor_free(text);
}

static void begin_folder(const char *name)
{
  snprintf(folder, sizeof folder, "%s", test_folder(name));
  if (dor_io_remove_tree(folder) || dor_io_mkdirs(folder)) abort();
  put_set("train.json", 1, 3);
  put_set("val.json", 11, 2);
}

static const char config[] =
    "experiment = \"squares\"; task = \"pose\"; seeds = [4]; bootstrap = 100;\n"
    "pose = { train = \"train.json\"; train_pictures = \".\"; validation = \"val.json\"; input = 64; people = 3; loaders = 1; };\n"
    "keypoints = { set = \"custom\"; names = [\"left_a\", \"right_a\", \"b\"]; };\n"
    "nets = { tiny = { kind = \"higherhrnet\"; width = 8; joints = 3; }; };\n"
    "train = { optimizer = \"adam\"; lr = 1e-3; epochs = 2; batch = 2; schedule = \"step\"; at = [1]; };\n"
    "decode = { size = 64; flip = false; };\n";

/* The config with one text in place of another. */
static const char *with(const char *from, const char *to)
{
  static char text[4096];
  const char *at = strstr(config, from);
  REQUIRE(at, "'%s' is not in the config", from);
  snprintf(text, sizeof text, "%.*s%s%s", (int)(at - config), config, to, at + strlen(from));
  return text;
}

static dor_status go(const char *text, const char *out, dor_run_result *r)
{
  static char place[600];
  dor_run_options o = default_options(folder);
  snprintf(place, sizeof place, "%s/%s", folder, out);
  o.out = place;
  return run_text(folder, text, &o, r);
}

static void stop_soon(void *to, const dor_progress *p)
{
  (void)to;
  if (p->epochs_done >= 1) dor_stop_request();
}

/* In a process of its own, as a stop request stays. */
static void run_and_stop(const char *text, const char *out)
{
  pid_t child = test_fork();
  if (!child) {
    char place[600];
    dor_run_result r;
    dor_run_options o = default_options(folder);
    snprintf(place, sizeof place, "%s/%s", folder, out);
    o.out = place, o.progress = stop_soon;
    _exit(run_text(folder, text, &o, &r) == DOR_E_STOPPED ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the run did not stop on request");
}

TEST(pose_run_trains_validates_and_resumes)
{
  dor_run_result r;
  dor_str screen = {0};
  char whole[65], stopped[65];
  dor_verified held;
  begin_folder("pose_run");
  const char *parts = with("batch = 2", "batch = 2; accumulate = 2; ema = 0.5");
  OK(go(parts, "a", &r));
  CHECK(r.complete && r.cells == 1 && r.trained == 1, "%d cells, %d trained", r.cells, r.trained);
  const char *csv = text_of(r.folder, "cells/tiny/seed_4/fold_1/train.csv");
  CHECK(!strncmp(csv, "epoch,step,loss,lr,heat0,heat1,push,pull,ap\n1,2,", 48) && strstr(csv, "\n2,4,"), "train.csv: %s", csv);
  CHECK(strstr(text_of(r.folder, "cells/tiny/seed_4/fold_1/ap.csv"), "\nAP,"), "no ap.csv");
  CHECK(*text_of(r.folder, "cells/tiny/seed_4/fold_1/results.json") == '[', "no results.json");
  CHECK(strstr(text_of(r.folder, "leakage.json"), "\"passed\": true") && strstr(text_of(r.folder, "pictures.csv"), "train,3,3,3,0,SYNTHETIC"), "records");
  CHECK(strstr(text_of(r.folder, "private/progress.json"), "\"cells\": 1, \"done\": 1, \"running\": 0, \"epochs_done\": 2, \"epochs_total\": 2"), "%s",
        text_of(r.folder, "private/progress.json"));
  OK(dor_report_run(r.folder, &screen));
  CHECK(strstr(screen.s, "SYNTHETIC") && strstr(screen.s, "seed 4"), "%s", screen.s);
  CHECK(strstr(text_of(r.folder, "metrics.csv"), ",tiny,image,all,4,AP,"), "metrics.csv: %s", text_of(r.folder, "metrics.csv"));
  CHECK(strstr(text_of(r.folder, "metrics.json"), "\"seed\": 4, \"metric\": \"AP\""), "metrics.json: %s", text_of(r.folder, "metrics.json"));
  CHECK(strstr(text_of(r.folder, "plots/learning.dat"), "# tiny/seed_4/fold_1: epoch, loss, AP on the validation pictures\n1 "), "learning.dat: %s",
        text_of(r.folder, "plots/learning.dat"));
  CHECK(*text_of(r.folder, "plots/learning.gp") && strstr(text_of(r.folder, "report.md"), "## Figures"), "the figures");
  CHECK(*text_of(r.folder, "tables/main.md") && *text_of(r.folder, "report.html") && *text_of(r.folder, "DONE"), "the report");
  OK(dor_report_verify(r.folder, &held));
  CHECK(held.inputs == 2 && !held.absent && !held.unlisted, "%d inputs hold, %d are not here, %d not listed", held.inputs, held.absent, held.unlisted);
  hash_run(r.folder, whole);
  dor_str_release(&screen);

  run_and_stop(parts, "b");
  OK(go(parts, "b", &r));
  OK(dor_report_run(r.folder, &screen));
  hash_run(r.folder, stopped);
  CHECK(!strcmp(whole, stopped), "a run that was stopped and gone on with differs from one that was not");
  dor_str_release(&screen);
}

TEST(pose_run_judges_crowdpose_by_its_own_rules)
{
  dor_run_result r;
  dor_str screen = {0};
  begin_folder("pose_crowd");
  put_crowd();
  char one[4096];
  snprintf(one, sizeof one, "%s", with("validation = \"val.json\"", "validation = \"crowd.json\""));
  memcpy(strstr(one, "epochs = 2"), "epochs = 1", 10);
  char *end = strstr(one, "flip = false; };");
  memcpy(end, "flip=false; detection = 0; };\n", 31);
  OK(go(one, "a", &r));
  OK(dor_report_run(r.folder, &screen));
  CHECK(strstr(text_of(r.folder, "cells/tiny/seed_4/fold_1/ap.csv"), "\nAP-H,") && strstr(screen.s, "AP-E"), "%s", screen.s);
  const char *results = text_of(r.folder, "cells/tiny/seed_4/fold_1/results.json");
  CHECK(strstr(results, "\"stamp\": \"SYNTHETIC\"}"), "results.json: %.200s", results);
  CHECK(strstr(text_of(r.folder, "tables/main.md"), "CrowdPose's keypoint figures") && !strstr(text_of(r.folder, "metrics.csv"), "AP-L"), "%s",
        text_of(r.folder, "tables/main.md"));
  dor_str_release(&screen);
}

TEST(pose_run_tells_no_path)
{
  dor_run_result r;
  char path[1200];
  begin_folder("pose_paths");
  snprintf(path, sizeof path, "train = \"%s/train.json\"; train_pictures = \"%s\"", folder, folder);
  OK(go(with("train = \"train.json\"; train_pictures = \".\"", path), "a", &r));
  CHECK(strstr(text_of(r.folder, "config.cfg"), "train = \"train.json\"") && !strstr(text_of(r.folder, "config.cfg"), folder), "%s",
        text_of(r.folder, "config.cfg"));
  CHECK(!strstr(text_of(r.folder, "config.json"), folder) && strstr(text_of(r.folder, "private/paths.json"), folder), "a path is where it should not be");
}

static void read_record(const char *run, dor_tensors *t, dor_weights_record *r)
{
  char path[700];
  snprintf(path, sizeof path, "%s/%s/cells/tiny/seed_4/fold_1/best.safetensors", folder, run);
  OK(dor_weights_read(t, path));
  dor_weights_record_of(t, r);
}

static const char *begun_from(const char *run)
{
  static char text[200];
  snprintf(text, sizeof text, "joints = 3; weights = \"%s/cells/tiny/seed_4/fold_1/best.safetensors\"", run);
  return text;
}

TEST(pose_run_begins_with_given_weights)
{
  dor_run_result r;
  dor_tensors t;
  dor_weights_record record;
  begin_folder("pose_weights");
  OK(go(with("epochs = 2", "epochs = 1"), "a", &r));
  OK(go(with("joints = 3", begun_from("a")), "b", &r));
  CHECK(strstr(text_of(r.folder, "leakage.json"), "\"P3\"") && strstr(text_of(r.folder, "leakage.json"), "trained on 3 pictures of bright squares"), "%s",
        text_of(r.folder, "leakage.json"));
  read_record("b", &t, &record);
  CHECK(record.keypoints && !strcmp(record.keypoints, "left_a,right_a,b") && dor_weights_synthetic(&record) && !strcmp(record.trained_on, "3"),
        "the record says %s", record.keypoints ? record.keypoints : "nothing");
  CHECK(record.data && !strcmp(record.data, "bright squares") && record.data_license && !strcmp(record.data_license, "CC0"), "no name or licence of the data");
  CHECK(record.began_with && strstr(record.began_with, "trained on 3 pictures of bright squares, experiment squares, arm tiny") && record.began_sha256 &&
        strlen(record.began_sha256) == 64, "began with %s", record.began_with ? record.began_with : "nothing");
  CHECK(record.seen && strlen(record.seen) == 64 && !strchr(record.seen, ','), "seen: %s", record.seen ? record.seen : "nothing");
  dor_tensors_release(&t);
}

/* What weights were trained on may not be validated on, whichever training it was that saw it; LEAKS goes on with them. */
TEST(pose_run_refuses_weights_that_have_seen_its_validation_pictures)
{
  dor_run_result r;
  dor_tensors t;
  dor_weights_record record;
  char swapped[4096], more[4096];
  begin_folder("pose_seen");
  OK(go(with("epochs = 2", "epochs = 1"), "a", &r));
  snprintf(swapped, sizeof swapped, "%s", with("train = \"train.json\"", "train = \"val.json\""));
  char *val = strstr(swapped, "validation = \"val.json\"; ");
  memcpy(val, "validation=\"train.json\"; ", 25);
  char *net = strstr(swapped, "joints = 3");
  snprintf(more, sizeof more, "%.*s%s%s", (int)(net - swapped), swapped, begun_from("a"), net + 10);
  dor_status s = go(more, "b", &r);
  CHECK(s == DOR_E_LEAK && strstr(dor_errmsg(), "best.safetensors was trained on") && strstr(dor_errmsg(), "train.json"), "status %d: %s", s, dor_errmsg());
  char *people = strstr(more, "people = 3");
  memmove(people + 25, people + 10, strlen(people + 10) + 1);
  memcpy(people, "people = 3; leaks = true ", 25);
  OK(go(more, "c", &r));
  CHECK(strstr(text_of(r.folder, "leakage.json"), "\"found\": 1") && strstr(text_of(r.folder, "run.json"), "LEAKS"), "%s", text_of(r.folder, "leakage.json"));
  read_record("c", &t, &record);
  CHECK(record.seen && strlen(record.seen) == 129 && dor_weights_leaks(&record), "seen: %s", record.seen ? record.seen : "nothing");
  dor_tensors_release(&t);
  snprintf(more, sizeof more, "%.*s%s%s", (int)(net - swapped), swapped, begun_from("c"), net + 10);
  s = go(more, "d", &r);
  CHECK(s == DOR_E_LEAK && strstr(dor_errmsg(), "train.json"), "the training before the last is forgotten: status %d", s);
}

static const struct { const char *from, *to; dor_status status; const char *says; } refused[] = {
    {"validation = \"val.json\"", "validation = \"train.json\"", DOR_E_LEAK, "image 1 is in"},
    {"validation = \"val.json\"", "validation = \"copy.json\"", DOR_E_LEAK, "are one picture"},
    {"joints = 3", "joints = 4", DOR_E_CONFIG, "finds 4 joints, the set 'custom' has 3: joints = 3"},
    {"\"left_a\", \"right_a\", \"b\"", "\"left_a\", \"right_a\"", DOR_E_DATA, "has 3 keypoints, the set 'custom' has 2"},
    {"input = 64", "input = 60", DOR_E_CONFIG, "'input' 60 is no multiple of 32"},
    {"input = 64", "inptu = 64", DOR_E_CONFIG, "did you mean 'input'"},
    {"task = \"pose\"", "task = \"pose\"; arms = { }", DOR_E_CONFIG, "'arms'"},
    {"kind = \"higherhrnet\"; width = 8; joints = 3", "kind = \"mlp\"", DOR_E_CONFIG, "gives no heat maps"},
    {"train = \"train.json\"", "train = \"none.json\"", DOR_E_NOTFOUND, "none.json"},
    {"train_pictures = \".\"", "train_pictures = \"..\"", DOR_E_NOTFOUND, "3 of its pictures are missing"},
    {"joints = 3", "joints = 3; weights = \"train.json\"", DOR_E_DATA, "train.json"},
    {"batch = 2", "batch = 2; stop = \"inner\"", DOR_E_CONFIG, "trains to its last epoch"},
};

/* The first training picture under another id. */
static void put_copy(void)
{
  char *bytes, path[600];
  size_t n;
  snprintf(path, sizeof path, "%s/1.png", folder);
  OK(dor_io_read(path, 1 << 20, &bytes, &n));
  put_set("copy.json", 21, 1);
  put_file("21.png", bytes, n);
  dor_free(bytes);
}

TEST(pose_run_refuses_what_would_leak_or_does_not_fit)
{
  begin_folder("pose_refused_run");
  put_copy();
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    dor_run_result r;
    char out[32], place[700];
    snprintf(out, sizeof out, "r%zu", i);
    dor_status s = go(with(refused[i].from, refused[i].to), out, &r);
    CHECK(s == refused[i].status && strstr(dor_errmsg(), refused[i].says), "%s: status %d, '%s'", refused[i].to, s, s ? dor_errmsg() : "taken");
    snprintf(place, sizeof place, "%s/%s/cells", folder, out);
    CHECK(!dor_io_exists(place), "%s left something behind", refused[i].to);
  }
}
