/* SPDX-License-Identifier: Apache-2.0
 *
 * predictions.csv: what is written reads back, foreign files are understood,
 * and what is wrong is refused with its line. */
#include "eval/predictions.h"

#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "tests/test.h"

static dor_status read_text(dor_arena *a, const char *text, const dor_predictions_options *o, dor_predictions *out)
{
  char path[600];
  snprintf(path, sizeof path, "%s/p.csv", test_folder("predictions"));
  OK(dor_io_write(path, text, strlen(text)));
  return dor_predictions_read(a, path, o, out);
}

TEST(predictions_round_trip)
{
  dor_arena a = {0};
  static const char *const classes[] = {"FP", "EP, late"}, *const arms[] = {"x", "y"};
  static const char *const subject[] = {"s2", "s1", "s2", "s1"}, *const group[] = {"", "g", "", "g"};
  const int32_t arm[] = {0, 0, 1, 1}, fold[] = {0, 1, 0, 1}, repeat[4] = {0}, label[] = {1, 0, 1, 0};
  const int64_t seed[] = {1, 1, 1, 1};
  const double p[] = {.1, .9, 1.0 / 3, 2.0 / 3, .6, .4, .5, .5};
  dor_predictions t = {.n = 4, .n_classes = 2, .n_arms = 2, .class_name = classes, .arm_name = arms, .subject = subject, .group = group,
                       .arm = arm, .fold = fold, .repeat = repeat, .truth = label, .seed = seed, .p = p, .stamp = "SYNTHETIC QUICK"}, back;
  char path[600];
  snprintf(path, sizeof path, "%s/predictions.csv", test_folder("predictions"));
  OK(dor_predictions_write(&t, path));
  OK(dor_predictions_read(&a, path, NULL, &back));
  CHECK(back.n == 4 && back.n_arms == 2 && back.n_units == 2 && back.n_clusters == 2, "%d rows, %d arms, %d units", back.n, back.n_arms, back.n_units);
  CHECK(!strcmp(back.class_name[1], "EP, late") && !strcmp(back.subject[1], "s1") && !strcmp(back.group[1], "g"), "names");
  CHECK(!memcmp(back.p, p, sizeof p) && !memcmp(back.truth, label, sizeof label) && back.threshold[3] == 0.5, "numbers come back bit for bit");
  CHECK(!strcmp(back.stamp, "SYNTHETIC QUICK"), "stamped '%s'", back.stamp);
  dor_arena_release(&a);
}

TEST(predictions_averaged_over_seeds)
{
  dor_arena a = {0};
  dor_predictions t;
  dor_scores s;
  OK(read_text(&a, "subject,y_true,p_n,p_y,seed,repeat,fold\n"
                   "a,y,.6,.4,1,0,2\nb,n,.9,.1,1,0,3\na,y,.2,.8,2,0,4\nb,n,.1,.9,2,0,3\na,y,.5,.5,1,1,0\n", NULL, &t));
  OK(dor_scores_of(&a, &t, 0, -1, -1, &s));
  CHECK(s.n == 2 && s.p[1] == (.4 + .8 + .5) / 3 && s.decided[0] == 1 && s.decided[1] == 1 && s.fold[0] == 2, "%d units, p %g", s.n, s.p[1]);
  OK(dor_scores_of(&a, &t, 0, 1, 0, &s));
  CHECK(s.p[1] == .4 && s.decided[0] == 0 && s.decided[1] == 0, "one seed, one repeat: p %g", s.p[1]);
  dor_arena_release(&a);
}

TEST(predictions_foreign)
{
  dor_arena a = {0};
  dor_predictions t;
  const char *const rename[] = {"label=diagnosis", "subject=who"};
  dor_predictions_options o = {.positive = "ill", .rename = rename, .n_rename = 2};
  OK(read_text(&a, "who,diagnosis,probability\nx,ill,.7\ny,well,.2\nx,ill,.4\n", &o, &t));
  CHECK(t.n_classes == 2 && !strcmp(t.class_name[1], "ill") && !strcmp(t.class_name[0], "well"), "classes");
  CHECK(t.n_units == 3 && t.n_clusters == 2 && !strcmp(t.trial[2], "2") && t.p[0] == 1 - .7, "%d units in %d clusters", t.n_units, t.n_clusters);
  o = (dor_predictions_options){.positive = "a"};
  OK(read_text(&a, "subject_id,y_true,p_a,p_b\nx,a,.7,.3\n", &o, &t));
  CHECK(!strcmp(t.class_name[1], "a") && t.p[1] == .7 && t.truth[0] == 1, "the positive class stands second");
  const char *const order[] = {"c", "a", "b"};
  o = (dor_predictions_options){.order = order, .n_order = 3};
  OK(read_text(&a, "subject_id,y_true,p_a,p_b,p_c\nx,a,.7,.2,.1\n", &o, &t));
  CHECK(t.truth[0] == 1 && t.p[0] == .1 && t.p[2] == .2, "the order asked for");
  OK(read_text(&a, "subject_id,y_true,y_pred\nx,3.5,4\n", NULL, &t));
  CHECK(t.n_classes == 0 && t.value[0] == 3.5 && t.predicted[0] == 4, "values");
  CHECK(!*t.stamp, "stamped '%s'", t.stamp);
  OK(read_text(&a, "subject_id,y_true,y_pred,stamp\nx,3.5,4,QUICK\ny,3,4,SYNTHETIC LEAKS\n", NULL, &t));
  CHECK(!strcmp(t.stamp, "SYNTHETIC LEAKS QUICK"), "of a mixture: '%s'", t.stamp);
  dor_arena_release(&a);
}

static void refused(const char *text, const char *positive, const char *message)
{
  dor_arena a = {0};
  dor_predictions t;
  dor_predictions_options o = {.positive = positive};
  dor_status s = read_text(&a, text, &o, &t);
  CHECK(s != DOR_OK && strstr(dor_errmsg(), message), "'%s' does not say '%s'", s ? dor_errmsg() : "accepted", message);
  dor_arena_release(&a);
}

TEST(predictions_refused)
{
  refused("subject_id,y_true,p_a,p_b\n", NULL, "no rows");
  refused("subject_id,y_true,p_a,p_b\nx,A,.5,.5\n", NULL, "p.csv:2: y_true: no class 'A'; did you mean 'a'?");
  refused("subject_id,y_true,p_a,p_b\nx,a,.5,.5\ny,b,.5,.6\n", NULL, "p.csv:3: the probabilities add up to 1.1");
  refused("subject_id,y_true,p_a,p_b\nx,a,-.5,1.5\n", NULL, "p.csv:2: p_a: -0.5 is no probability");
  refused("subject_id,y_true,p_a,p_b\nx,a,one,0\n", NULL, "p.csv:2");
  refused("subject_id,y_true,p_a\nx,a,1\n", NULL, "every class wants one");
  refused("subject_id,y_true,probability\nx,a,1\n", NULL, "positive=CLASS");
  refused("subject_id,y_true,probability\nx,a,1\ny,b,1\nz,c,1\n", "a", "p.csv:4: y_true: a third class");
  refused("subject_id,y_true,p_a,p_b\nx,a,.5,.5\n", "c", "p.csv: positive=c: no such class; there are 'a', 'b'");
  refused("subject_id,y_true,p_a,p_b,p_c\nx,a,.5,.3,.2\n", "c", "positive=c: only one of two classes can be positive; there are 'a', 'b', 'c'");
  refused("subject_id,y_true,probability\nx,a,1\ny,b,1\n", "c", "positive=c: no such class; there are 'a', 'b'");
  refused("subject_id,y_true,p_one,p_two\nx,three,.5,.5\n", NULL, "p.csv:2: y_true: no class 'three'; there are 'one', 'two'");
  refused("subject_id,y_true,p_a,p_b,fold\nx,a,.2,.8,A\ny,a,.2,.8,-1\n", NULL, "p.csv:3: fold: '-1' is no number");
  refused("subject_id,y_true,y_pred,p_a,p_b\nx,a,a,.2,.8\n", NULL, "p.csv:2: y_pred says 'a' where the probabilities say 'b'");
  refused("subject_id,trial,y_true,p_a,p_b\nx,1,a,.2,.8\nx,1,a,.2,.8\n", NULL, "p.csv:3: this subject, trial, arm, seed and repeat came before");
  refused("subject_id,arm,y_true,p_a,p_b\nx,1,a,.2,.8\nx,2,b,.2,.8\n", NULL, "p.csv:3: y_true: not what line 2 says");
  refused("subject_id,y_true,p_a,p_b,fold\nx,a,.2,.8,-1\n", NULL, "p.csv:2: fold: '-1' is no number");
  refused("subject_id,y_true,y_pred\nx,a,a\n", NULL, "p.csv:1: no column p_CLASS or probability");
  refused("subject_id,y_true,probability\nx,a,1\ny,,1\nz,b,1\n", "a", "p.csv:3: y_true is empty");
  refused("subject_id,y_true,p_a,p_b\nx,,.2,.8\n", NULL, "p.csv:2: y_true is empty");
  refused("subject_id,y_true,p_a,p_b\n,a,.2,.8\n", NULL, "p.csv:2: subject_id is empty");
  refused("subject_id,y_treu,p_a,p_b\nx,a,.2,.8\n", NULL, "y_true");
}

TEST(predictions_names_are_known)
{
  static const char *const bad[][2] = {{"labl=y", "command line: no key 'labl'; did you mean 'label'?"},
                                       {"bootstrap=abc", "command line: no key 'bootstrap'; there are"},
                                       {"threshold=.7", "threshold=.7: a column is wanted, not a number"}};
  for (int i = 0; i < 3; i++) {
    dor_arena a = {0};
    dor_predictions t;
    dor_predictions_options o = {.rename = &bad[i][0], .n_rename = 1};
    dor_status s = read_text(&a, "subject,label,p_a,p_b\nx,a,.7,.3\n", &o, &t);
    CHECK(s == DOR_E_USAGE && strstr(dor_errmsg(), bad[i][1]), "%s: %s", bad[i][0], s ? dor_errmsg() : "accepted");
    dor_arena_release(&a);
  }
}

TEST(predictions_folds_by_name)
{
  dor_arena a = {0};
  dor_predictions t;
  OK(read_text(&a, "subject,y_true,p_a,p_b,fold\nx,a,.7,.3,north\ny,a,.7,.3,2\nz,b,.7,.3,north\nw,b,.7,.3,\n", NULL, &t));
  CHECK(t.fold[0] == 1 && t.fold[1] == 2 && t.fold[2] == 1 && t.fold[3] == 0, "folds %d %d %d %d", t.fold[0], t.fold[1], t.fold[2], t.fold[3]);
  REQUIRE(t.fold_name, "no names");
  CHECK(!strcmp(t.fold_name[1], "north") && !strcmp(t.fold_name[2], "2") && !strcmp(t.fold_name[0], ""), "names");
  OK(read_text(&a, "subject,y_true,p_a,p_b,fold\nx,a,.7,.3,7\ny,a,.7,.3,2\n", NULL, &t));
  CHECK(t.fold[0] == 7 && t.fold[1] == 2 && !t.fold_name, "numbers stay numbers");
  dor_arena_release(&a);
}
