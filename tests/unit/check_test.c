/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/test.h"

#include <math.h>
#include <string.h>

#include "data/check.h"
#include "tests/unit/data_fixture.h"

TEST(check_counts_and_says_usable)
{
  (void)state;
  dor_dataset d;
  dor_check c;
  dor_str text = {0}, json = {0};
  fixture_dataset(&d);
  OK(dor_check_dataset(&d, &c));
  CHECK(c.n_groups == 3 && c.n_problems == 0, "%d groups, %d problems", c.n_groups, c.n_problems);
  REQUIRE(c.n_classes == 3, "%d classes", c.n_classes);
  CHECK(c.classes[0].n == 3 && c.classes[1].n == 2 && c.classes[2].n == 1 && !c.classes[2].name[0], "%d %d %d", c.classes[0].n, c.classes[1].n,
      c.classes[2].n);
  REQUIRE(c.n_columns == 5, "%d columns", c.n_columns);
  CHECK(!strcmp(c.columns[0].name, "age") && c.columns[0].missing == 1 && c.columns[2].missing == 1 && c.columns[1].missing == 0, "missing values");
  dor_check_text(&c, &text);
  dor_check_json(&c, &json);
  CHECK(strstr(text.s, "SYNTHETIC") && strstr(text.s, "\nusable\n") && strstr(text.s, "fewer than 5"), "%s", text.s);
  CHECK(strstr(json.s, "\"usable\": true") && strstr(json.s, "\"missing\": 1"), "%s", json.s);
  dor_str_release(&text);
  dor_str_release(&json);
  dor_check_release(&c);
  dor_dataset_release(&d);
}

TEST(check_finds_copies_and_emptiness)
{
  (void)state;
  dor_dataset d;
  dor_check c;
  fixture_dataset(&d);
  dor_frames *f = dor_arena_copy(&d.arena, d.silhouettes, sizeof *f);
  uint8_t *data = dor_arena_copy(&d.arena, f->data, FIX_FRAMES * 64);
  memcpy(data + 40 * 64, data, 4 * 64); /* trial 11, of person 6 and group 3, is trial 1 */
  f->data = data, d.silhouettes = f;
  OK(dor_check_dataset(&d, &c));
  CHECK(c.same_pictures == 4 && c.same_pictures_apart == 4 && c.same_trials_apart == 1, "%d %d %d", c.same_pictures, c.same_pictures_apart,
      c.same_trials_apart);
  dor_check_release(&c);
  dor_target *t = dor_arena_copy(&d.arena, d.target, 2 * sizeof *t);
  float none[FIX_SUBJECTS] = {0, 0, 0, NAN, NAN, 0};
  t[1].value = none, d.target = t;
  OK(dor_check_dataset(&d, &c));
  CHECK(c.n_problems == 1 && strstr(c.problems[0], "fewer than two"), "%d problems", c.n_problems);
  dor_check_release(&c);
  d.n_targets = 0;
  OK(dor_check_dataset(&d, &c));
  CHECK(c.n_problems == 0 && c.n_warnings && strstr(c.warnings[0], "no target: its angles"), "%d problems", c.n_problems);
  dor_check_release(&c);
  d.n_angles = 0;
  OK(dor_check_dataset(&d, &c));
  CHECK(c.n_problems == 1 && strstr(c.problems[0], "no target"), "%d problems", c.n_problems);
  dor_check_release(&c);
  dor_dataset_release(&d);
}
