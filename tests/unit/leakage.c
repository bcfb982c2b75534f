/* SPDX-License-Identifier: Apache-2.0
 *
 * The leakage checks against planted leaks, one of each kind: a study is made as
 * for a run, then spoiled in one place, and the check of that name must find it. */
#include "train/leakage.h"

#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/rng.h"
#include "tests/test.h"
#include "train/twins.h"

enum { PEOPLE = 40, SIDE = 16 };

typedef struct clinic { /* 40 people, two pictures each, people 2i and 2i + 1 one group when told */
  dor_dataset data;
  dor_experiment experiment;
  dor_study study;
  dor_leakage leakage;
  uint8_t pixels[2 * PEOPLE][SIDE][SIDE];
  int32_t subject[2 * PEOPLE], group[PEOPLE], rows[PEOPLE];
  float label[PEOPLE], features[PEOPLE][2];
  char id[PEOPLE][16];
  const char *ids[PEOPLE];
  dor_frames images;
  dor_table table;
  dor_target target;
} clinic;

static const char *const classes[] = {"A", "B"}, *const columns[] = {"f0", "f1"}, *const no_units[] = {"", ""};

static void make_clinic(clinic *c, bool grouped)
{
  *c = (clinic){0};
  for (int i = 0; i < PEOPLE; i++) {
    snprintf(c->id[i], sizeof c->id[i], "P%02d", i);
    c->ids[i] = c->id[i], c->label[i] = (float)(i / 2 % 2), c->rows[i] = i, c->group[i] = i / 2;
    c->features[i][0] = (float)(i * 37 % 11), c->features[i][1] = (float)(i * 17 % 7);
  }
  for (int i = 0; i < 2 * PEOPLE; i++) {
    c->subject[i] = i / 2;
    for (int k = 0; k < SIDE * SIDE; k++) c->pixels[i][k / SIDE][k % SIDE] = (uint8_t)dor_philox(5, (uint64_t)i, (uint64_t)k).v[0];
  }
  c->images = (dor_frames){.name = "photo", .n = 2 * PEOPLE, .h = SIDE, .w = SIDE, .c = 1, .data = &c->pixels[0][0][0], .subject = c->subject};
  c->table = (dor_table){.name = "features", .n = PEOPLE, .items = {.n = 2, .name = columns, .unit = no_units},
                         .subject = c->rows, .values = &c->features[0][0]};
  c->target = (dor_target){"kind", DOR_TARGET_CLASS, DOR_PER_SUBJECT, PEOPLE, 2, classes, c->label};
  c->data = (dor_dataset){.n_subjects = PEOPLE, .id = c->ids, .group = grouped ? c->group : NULL, .n_targets = 1, .target = &c->target, .n_images = 1,
                          .images = &c->images, .n_tables = 1, .tables = &c->table};
}

static void read_config(clinic *c, const char *more)
{
  char text[1024], path[600];
  snprintf(text, sizeof text,
           "experiment = \"leaks\"; data = \"d.h5\"; target = { column = \"kind\"; positive = \"B\"; };\n"
           "inputs = { photo = { from = \"images\"; net = \"cnn\"; }; t = { from = \"tables\"; scale = \"zscore\"; net = \"mlp\"; }; };\n"
           "nets = { cnn = { kind = \"silhouette_cnn\"; channels = [4]; }; mlp = { kind = \"mlp\"; hidden = [4]; }; };\n"
           "train = { stop = \"inner\"; };\n%s\n", more);
  snprintf(path, sizeof path, "%s/leaks.cfg", test_folder("leakage"));
  OK(dor_io_write(path, text, strlen(text)));
  OK(dor_experiment_read(&c->experiment, path, NULL, 0));
}

static void open_clinic(clinic *c, bool grouped, const char *more)
{
  make_clinic(c, grouped);
  read_config(c, more);
  OK(dor_study_make(&c->study, &c->experiment, &c->data));
}

static void close_clinic(clinic *c)
{
  dor_leakage_release(&c->leakage);
  dor_study_release(&c->study);
  dor_experiment_release(&c->experiment);
}

#define PHOTO "arms = { photo = { use = [\"photo\"]; }; }; augment = { flip = 0.5; };"
#define TABLE "arms = { table = { use = [\"t\"]; }; };"

static void expect_leak(clinic *c, int check)
{
  dor_status s = dor_leakage_check(&c->study, &c->leakage);
  char id[8];
  snprintf(id, sizeof id, "L%d: ", check);
  CHECK(s == DOR_E_LEAK && dor_status_exit(s) == 3, "L%d: status %d", check, s);
  CHECK(c->leakage.check[check - 1].found > 0, "L%d: not found; message: %s", check, dor_errmsg());
  close_clinic(c);
}

TEST(leakage_passes_a_clean_study)
{
  (void)state;
  static clinic c;
  const char *arms[] = {PHOTO, TABLE};
  for (int i = 0; i < 4; i++) {
    open_clinic(&c, i % 2, arms[i / 2]);
    OK(dor_leakage_check(&c.study, &c.leakage));
    for (int k = 0; k < DOR_LEAKAGE_CHECKS; k++) CHECK(c.leakage.check[k].passed, "L%d", k + 1);
    CHECK(c.leakage.check[0].looked > 0 && c.leakage.check[4].looked > 0, "nothing was looked at");
    close_clinic(&c);
  }
}

TEST(leakage_finds_a_group_across_folds)
{
  (void)state;
  static clinic c;
  open_clinic(&c, true, TABLE);
  int32_t *fold = (int32_t *)(uintptr_t)c.study.roster[0].split.fold;
  fold[1] = (fold[0] + 1) % 5;
  expect_leak(&c, 1);
}

TEST(leakage_finds_a_group_across_an_inner_split)
{
  (void)state;
  static clinic c;
  open_clinic(&c, true, TABLE);
  int32_t *cluster = (int32_t *)(uintptr_t)c.study.roster[0].units.cluster;
  for (int i = 0; i < PEOPLE; i++) cluster[i] = i;
  CHECK(dor_leakage_check(&c.study, &c.leakage) == DOR_E_LEAK && !c.leakage.check[0].found, "message: %s", dor_errmsg());
  dor_leakage_release(&c.leakage);
  expect_leak(&c, 2);
}

/* A test person's sample shows a training person's picture. */
TEST(leakage_finds_a_picture_on_both_sides)
{
  (void)state;
  static clinic c;
  open_clinic(&c, false, PHOTO);
  const dor_branch *b = &c.study.arm[0].branch[0];
  const int32_t *fold = c.study.roster[0].split.fold;
  int other = 1;
  while (fold[other] == fold[0]) other++;
  dor_sample *s = (dor_sample *)(uintptr_t)b->sample;
  s[b->first[0]].row[0] = s[b->first[other]].row[0];
  CHECK(dor_leakage_check(&c.study, &c.leakage) == DOR_E_LEAK && c.leakage.check[6].found, "L7: message: %s", dor_errmsg());
  dor_leakage_release(&c.leakage);
  expect_leak(&c, 3);
}

/* The rows a scaler is fitted on hold a row of somebody else, who is tested. */
TEST(leakage_finds_a_scaler_fitted_on_a_tested_row)
{
  (void)state;
  static clinic c;
  open_clinic(&c, false, TABLE);
  dor_rows *rows = &c.study.arm[0].branch[0].rows[0];
  const int32_t *fold = c.study.roster[0].split.fold;
  for (int i = 1; i < PEOPLE; i++)
    if (fold[i] != fold[0]) rows->row[rows->first[i]] = rows->row[rows->first[0]];
  expect_leak(&c, 5);
}

/* The inner part of one fold shows a sample of its test part. */
TEST(leakage_finds_an_epoch_chosen_on_a_tested_sample)
{
  (void)state;
  static clinic c;
  dor_role role[PEOPLE];
  int inner = 0, test = 0;
  open_clinic(&c, false, TABLE);
  OK(dor_study_roles(&c.study.arm[0], 0, 0, role));
  while (role[inner] != DOR_ROLE_INNER) inner++;
  while (role[test] != DOR_ROLE_TEST) test++;
  const dor_branch *b = &c.study.arm[0].branch[0];
  ((dor_sample *)(uintptr_t)b->sample)[b->first[inner]].row[0] = b->sample[b->first[test]].row[0];
  expect_leak(&c, 6);
}

static void plant_twin(clinic *c, bool exact)
{
  const int32_t *fold = c->study.roster[0].split.fold;
  int other = 1;
  while (fold[other] == fold[0]) other++;
  memcpy(c->pixels[2 * other], c->pixels[0], sizeof c->pixels[0]);
  if (!exact) c->pixels[2 * other][SIDE - 1][SIDE - 1] = (uint8_t)(c->pixels[0][SIDE - 1][SIDE - 1] ^ 1);
}

TEST(leakage_finds_twins_and_lists_likenesses)
{
  (void)state;
  static clinic c;
  open_clinic(&c, false, PHOTO);
  plant_twin(&c, true);
  expect_leak(&c, 4);
  open_clinic(&c, false, PHOTO);
  plant_twin(&c, false);
  OK(dor_leakage_check(&c.study, &c.leakage));
  CHECK(c.leakage.n_similar == 1 && strstr(c.leakage.similar.s, "\"P00\""), "%d similar: %s", c.leakage.n_similar,
        c.leakage.similar.s ? c.leakage.similar.s : "");
  close_clinic(&c);
}

TEST(leakage_says_how_many_likenesses_are_listed)
{
  (void)state;
  static clinic c;
  char *text;
  size_t n;
  const char *folder = test_folder("leakage_listed");
  make_clinic(&c, false);
  for (int i = 0; i < PEOPLE; i++) {
    memcpy(c.pixels[2 * i], c.pixels[0], sizeof c.pixels[0]);
    c.pixels[2 * i][SIDE - 1][SIDE - 1] = (uint8_t)(c.pixels[0][SIDE - 1][SIDE - 1] ^ i % 4), c.pixels[2 * i][0][0] = (uint8_t)(c.pixels[0][0][0] ^ i / 4);
  }
  read_config(&c, PHOTO);
  OK(dor_study_make(&c.study, &c.experiment, &c.data));
  OK(dor_leakage_check(&c.study, &c.leakage));
  OK(dor_leakage_write(&c.leakage, folder, &(dor_marks){.id = "0123456789ab"}));
  char path[700];
  snprintf(path, sizeof path, "%s/leakage.json", folder);
  OK(dor_io_read(path, 1 << 20, &text, &n));
  CHECK(c.leakage.n_similar > 100, "%d similar", c.leakage.n_similar);
  CHECK(strstr(text, "\"similar_listed\": 100,") && strstr(text, "the first 100 are listed"), "%.1500s", text);
  dor_free(text);
  close_clinic(&c);
}

TEST(leakage_is_waived_for_clips)
{
  (void)state;
  static clinic c;
  open_clinic(&c, true, PHOTO "split = { unit = \"clip\"; };");
  CHECK(c.study.roster[0].n == 2 * PEOPLE && c.study.roster[0].clips, "%d units", c.study.roster[0].n);
  OK(dor_leakage_check(&c.study, &c.leakage));
  CHECK(!c.leakage.check[0].passed && c.leakage.check[0].waived, "pictures of one person in two folds were not seen");
  close_clinic(&c);
}

TEST(leakage_difference_hash)
{
  (void)state;
  uint8_t rising[8 * 9], flat[8 * 9] = {0};
  for (int i = 0; i < 72; i++) rising[i] = (uint8_t)(i % 9);
  CHECK(dor_twins_hash(rising, 8, 9, 1) == UINT64_MAX, "every neighbour is brighter");
  CHECK(dor_twins_hash(flat, 8, 9, 1) == 0, "no neighbour is brighter");
  CHECK(dor_twins_hash(flat, 3, 3, 1) == 0, "a picture smaller than the grid");
}
