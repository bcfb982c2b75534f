/* SPDX-License-Identifier: Apache-2.0
 *
 * Sources and scalers on a dataset of three people that fits on a page. */
#include "data/source.h"

#include <math.h>
#include <string.h>

#include "data/pixels.h"
#include "tests/test.h"

enum { SIDE = 4, FRAMES = 6, TRIALS = 4 };

/* Two forward trials and two backward ones, in turn; frame i of all is filled with 10 i. */
static uint8_t pixels[TRIALS * FRAMES][SIDE * SIDE];
static const int32_t first[] = {0, 6, 12, 18}, count[] = {6, 6, 6, 6}, trial_subject[] = {0, 0, 2, 2};
static const char *const movement[] = {"forward", "backward", "forward", "backward"};
static const char *const columns[] = {"odi", "tsk11"};
static const float proms[] = {10, 1, 20, 2, NAN, 6};
static const int32_t people[] = {0, 1, 2};
static const char *const ids[] = {"a", "b", "c"};

static dor_dataset tiny(dor_frames *f)
{
  for (int32_t i = 0; i < TRIALS * FRAMES; i++) memset(pixels[i], 10 * i, sizeof pixels[i]);
  *f = (dor_frames){.name = "truth", .n = TRIALS * FRAMES, .h = SIDE, .w = SIDE, .c = 1, .data = &pixels[0][0], .first = first, .count = count};
  return (dor_dataset){.name = "tiny", .n_subjects = 3, .id = ids, .n_trials = TRIALS, .trial_subject = trial_subject, .movement = movement,
                       .n_silhouettes = 1, .silhouettes = f,
                       .proms = {.name = "proms", .n = 3, .items = {.n = 2, .name = columns}, .subject = people, .values = proms}};
}

static dor_status load(dor_arena *a, const char *text, dor_source_cfg *c, dor_tree **tree)
{
  DOR_TRY(dor_schema_defaults(dor_source_keys, c, a));
  DOR_TRY(dor_tree_parse(a, "x.cfg", text, tree));
  return dor_schema_load(dor_source_keys, c, *tree, NULL, a);
}

static dor_status make(dor_arena *a, const char *text, dor_source *out)
{
  dor_frames f;
  dor_dataset d = tiny(&f);
  dor_source_cfg c;
  dor_tree *tree;
  DOR_TRY(load(a, text, &c, &tree));
  return dor_source_make(a, &d, "in", &c, tree, out);
}

TEST(source_takes_frames_of_a_movement_at_even_phase)
{
  dor_arena a = {0};
  dor_source s;
  OK(make(&a, "from = \"silhouettes\"; movement = \"backward\"; frames = 3;", &s));
  REQUIRE(s.n == 6 && s.image && s.h == SIDE && s.c == 1, "n %d", s.n);
  static const int32_t subject[] = {0, 0, 0, 2, 2, 2}, trial[] = {1, 1, 1, 3, 3, 3}, frame[] = {7, 9, 11, 19, 21, 23};
  for (int32_t i = 0; i < 6; i++) {
    CHECK(s.subject[i] == subject[i] && s.trial[i] == trial[i], "sample %d: subject %d trial %d", i, s.subject[i], s.trial[i]);
    CHECK(s.pixels[i * SIDE * SIDE] == (uint8_t)(10 * frame[i]), "sample %d is of frame %d", i, s.pixels[i * SIDE * SIDE] / 10);
  }
  dor_arena_release(&a);
}

TEST(source_borrows_pixels_that_stand_as_they_are)
{
  dor_arena a = {0};
  dor_source s;
  OK(make(&a, "from = \"silhouettes\";", &s));
  CHECK(s.pixels == &pixels[0][0] && s.n == TRIALS * FRAMES, "%d samples copied", s.n);
  OK(make(&a, "from = \"silhouettes\"; size = [2, 2];", &s));
  CHECK(s.h == 2 && s.w == 2 && s.pixels[4 * 5] == 50, "got %d", s.pixels[4 * 5]);
  dor_arena_release(&a);
}

TEST(source_takes_columns_by_name)
{
  dor_arena a = {0};
  dor_source s;
  OK(make(&a, "from = \"proms\"; columns = [\"tsk11\"];", &s));
  REQUIRE(s.p == 1 && s.n == 3 && !s.image, "p %d n %d", s.p, s.n);
  CHECK(s.values[2] == 6 && s.subject[2] == 2 && s.trial[2] == -1 && !strcmp(s.feature[0], "tsk11"), "got %g", (double)s.values[2]);
  dor_arena_release(&a);
}

TEST(source_refuses_what_is_not_there)
{
  static const struct { const char *text, *says; } bad[] = {
    {"net = \"cnn\";", "does not say what it is from"},
    {"from = \"keypoints\";", "no source 'keypoints'; there are 'silhouettes', 'images', 'proms', 'tables'"},
    {"from = \"silhouete\";", "did you mean 'silhouettes'?"},
    {"from = \"silhouettes\"; movement = \"sideways\";", "the dataset has 'forward', 'backward'"},
    {"from = \"silhouettes\"; name = \"mask\";", "no silhouettes 'mask'; it has 'truth'"},
    {"from = \"silhouettes\"; frames = 7;", "trial row 0 has 6 frames, 7 wanted"},
    {"from = \"silhouettes\"; size = [4];", "size must be [height, width]"},
    {"from = \"silhouettes\"; scale = \"zscore\";", "key 'scale' does not go with from = \"silhouettes\""},
    {"from = \"proms\"; frames = 3;", "key 'frames' does not go with"},
    {"from = \"proms\"; columns = [\"ods\"];", "did you mean 'odi'?"},
    {"from = \"proms\";", "1 of 3 values of 'odi' are missing"},
    {"from = \"images\";", "the dataset has no images"},
    {"from = \"tables\";", "the dataset has no tables"},
  };
  dor_arena a = {0};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    dor_source s;
    dor_status status = make(&a, bad[i].text, &s);
    CHECK(status == DOR_E_CONFIG && strstr(dor_errmsg(), bad[i].says) && strstr(dor_errmsg(), "x.cfg:"), "%s: %s", bad[i].text,
          status ? dor_errmsg() : "passed");
  }
  dor_arena_release(&a);
}

TEST(even_frames_are_distinct_and_follow_the_phase)
{
  const float phase[] = {0, 0.02f, 0.04f, 0.06f, 0.5f, 0.55f, 0.9f, 1};
  int32_t got[8];
  dor_pixels_even(8, phase, 2, got);
  CHECK(got[0] == 3 && got[1] == 6, "%d %d", got[0], got[1]); /* wanted .25 and .75: .06 and .9 */
  dor_pixels_even(8, phase, 8, got);
  for (int32_t i = 0; i < 8; i++) CHECK(got[i] == i, "%d", got[i]);
  dor_pixels_even(8, NULL, 4, got);
  for (int32_t i = 0; i < 4; i++) CHECK(got[i] == 2 * i + 1, "%d", got[i]);
}

TEST(resize_is_the_box_average)
{
  uint8_t in[6 * 5 * 2], out[4 * 3 * 2];
  for (size_t i = 0; i < sizeof in; i++) in[i] = (uint8_t)(i * 37 % 256);
  OK(dor_pixels_resize(6, 5, 2, in, 4, 3, out));
  for (int32_t oy = 0; oy < 4; oy++)
    for (int32_t ox = 0; ox < 3; ox++)
      for (int32_t k = 0; k < 2; k++) {
        double sum = 0; /* sampled on a grid that every boundary falls on */
        for (int32_t y = 0; y < 6; y++)
          for (int32_t x = 0; x < 5; x++) sum += in[(((oy * 6 + y) / 4) * 5 + (ox * 5 + x) / 3) * 2 + k];
        int32_t want = (int32_t)floor(sum / 30 + 0.5);
        CHECK(out[(oy * 3 + ox) * 2 + k] == want, "[%d,%d,%d] %d, wanted %d", oy, ox, k, out[(oy * 3 + ox) * 2 + k], want);
      }
  uint8_t same[sizeof in];
  OK(dor_pixels_resize(6, 5, 2, in, 6, 5, same));
  CHECK(!memcmp(in, same, sizeof in), "a resize to the same size changes it");
}

/* Two rows of one person count as much as the one of another. */
TEST(scaler_counts_people_not_rows)
{
  static const float v[] = {0, 5, 4, 5, 8, 5, NAN, 5};
  static const int32_t subject[] = {0, 0, 1, 2}, rows[] = {0, 1, 2, 3};
  static const char *const names[] = {"x", "constant"};
  const dor_source s = {.name = "in", .n = 4, .subject = subject, .p = 2, .feature = names, .values = v};
  dor_arena a = {0};
  dor_source_cfg c;
  dor_tree *tree;
  dor_scaler t;
  float out[2];
  OK(load(&a, "from = \"proms\"; impute = \"mean\"; scale = \"zscore\";", &c, &tree));
  OK(dor_scaler_fit(&a, &s, &c, rows, 4, &t));
  /* present: 0 and 4 at 1/2, 8 at 1: mean 5; filled: variance (25/2 + 1/2 + 9 + 0) / 3 */
  dor_scaler_apply(&t, &v[4], out);
  CHECK(fabs((double)out[0] - 3 / sqrt(22.0 / 3)) < 1e-6 && out[1] == 0, "%g %g", (double)out[0], (double)out[1]);
  dor_scaler_apply(&t, &v[6], out);
  CHECK(out[0] == 0, "a filled value is the mean, got %g", (double)out[0]);
  OK(load(&a, "from = \"proms\"; impute = \"median\"; scale = \"minmax\";", &c, &tree));
  OK(dor_scaler_fit(&a, &s, &c, rows, 4, &t));
  CHECK(t.fill[0] == 6, "median %g of {0: .5, 4: .5, 8: 1}, wanted 6", (double)t.fill[0]);
  dor_scaler_apply(&t, &v[2], out);
  CHECK(out[0] == 0.5f, "%g", (double)out[0]);
  CHECK(dor_scaler_fit(&a, &s, &c, &rows[3], 1, &t) == DOR_E_DATA && strstr(dor_errmsg(), "'x' has no value"), "%s", dor_errmsg());
  dor_arena_release(&a);
}

/* The test part must not move the fit. */
TEST(scaler_sees_the_training_rows_only)
{
  static float v[] = {1, 2, 3, 1000};
  static const int32_t subject[] = {0, 1, 2, 3}, rows[] = {0, 1, 2};
  static const char *const names[] = {"x"};
  const dor_source s = {.name = "in", .n = 4, .subject = subject, .p = 1, .feature = names, .values = v};
  dor_arena a = {0};
  dor_source_cfg c;
  dor_tree *tree;
  dor_scaler t, u;
  OK(load(&a, "from = \"proms\"; scale = \"zscore\";", &c, &tree));
  OK(dor_scaler_fit(&a, &s, &c, rows, 3, &t));
  v[3] = -7;
  OK(dor_scaler_fit(&a, &s, &c, rows, 3, &u));
  CHECK(t.shift[0] == 2 && t.shift[0] == u.shift[0] && t.factor[0] == u.factor[0], "shift %g", (double)t.shift[0]);
  dor_arena_release(&a);
}
