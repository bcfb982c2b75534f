/* SPDX-License-Identifier: Apache-2.0
 *
 * expect.cfg: held, not held, for other data, and what is wrong in it. */
#include "report/expect.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/io.h"
#include "tests/test.h"

static const char metrics[] = "run,arm,level,fold,seed,metric,average,class,value,ci_lo,ci_hi,ci_level,ci_method,n,k,n_pos,n_neg,stamp\n"
                              "r,mlp,subject,all,all,accuracy,none,,0.86,0.81,0.89,0.95,Wilson,310,267,,,\n"
                              "r,mlp,subject,all,mean,accuracy,none,,0.85,,,,,3,,,,\n"
                              "r,mlp,subject,all,all,sensitivity,none,Abnormal,0.9,0.85,0.93,0.95,Wilson,210,189,,,\n"
                              "r,mlp,subject,0,all,auc,none,Abnormal,0.5,,,,,62,,,,\n"
                              "r,mlp,subject,all,all,auc,none,Abnormal,0.936,0.91,0.96,0.95,\"DeLong, logit\",310,,210,100,\n";

static dor_status check_rows(const char *expect, const char *data, dor_str *out, json_t *rows, int32_t *tested)
{
  static char cfg[600], csv[600], folder[500];
  snprintf(folder, sizeof folder, "%s", test_folder("expect"));
  snprintf(cfg, sizeof cfg, "%s/expect.cfg", folder);
  snprintf(csv, sizeof csv, "%s/metrics.csv", folder);
  OK(dor_io_write(csv, metrics, strlen(metrics)));
  OK(dor_io_write(cfg, expect, strlen(expect)));
  dor_str_clear(out);
  return dor_expect_check(cfg, folder, data, out, rows, tested);
}

static dor_status check(const char *expect, const char *data, dor_str *out, int32_t *tested) { return check_rows(expect, data, out, NULL, tested); }

TEST(expect_held)
{
  dor_str out = {0};
  int32_t tested;
  OK(check("published = { source = \"Mota 2005\"; n = 310; mlp = { accuracy = 0.856; auc = 0.9; }; other = { f1 = 1; }; };\n"
           "expected = ( { arm = \"mlp\"; metric = \"accuracy\"; seed = \"mean\"; value = 0.856; tolerance = 0.03; },\n"
           "             { arm = \"mlp\"; metric = \"auc\"; class = \"Abnormal\"; at_least = 0.936; },\n"
           "             { arm = \"mlp\"; metric = \"auc\"; at_least = 1; data = \"synth:seed=1\"; } );\n", "real.h5", &out, &tested));
  CHECK(tested == 2, "%d tested", tested);
  static const char *const says[] = {"0.8560", "0.8600 (0.8100-0.8900) 267/310", "published: Mota 2005, n = 310", "0.8500 mean of single seeds   held",
                                     "not in this run", ">= 0.9360", "not tested: for data = \"synth:seed=1\""};
  for (size_t i = 0; i < sizeof says / sizeof *says; i++) CHECK(strstr(out.s, says[i]), "no '%s' in\n%s", says[i], out.s);
  dor_str_release(&out);
}

/* Counts are whole numbers, and what a mean over seeds counts is seeds. */
TEST(expect_json_counts)
{
  static const char text[] = "expected = ( { arm = \"mlp\"; metric = \"accuracy\"; seed = \"mean\"; at_least = 0.5; },\n"
                             "             { arm = \"mlp\"; metric = \"accuracy\"; at_least = 0.5; } );\n";
  dor_str out = {0};
  int32_t tested;
  json_t *rows = json_array();
  OK(check_rows(text, "", &out, rows, &tested));
  const json_t *mean = json_array_get(rows, 0), *all = json_array_get(rows, 1);
  CHECK(!json_object_get(mean, "n") && json_integer_value(json_object_get(mean, "n_seeds")) == 3, "the mean of three seeds");
  CHECK(json_integer_value(json_object_get(all, "n")) == 310 && json_integer_value(json_object_get(all, "k")) == 267, "267 of 310 people");
  json_decref(rows);
  dor_str_release(&out);
}

TEST(expect_not_held)
{
  dor_str out = {0};
  int32_t tested;
  dor_status s = check("expected = ( { arm = \"mlp\"; metric = \"accuracy\"; value = 0.9; tolerance = 0.03; },\n"
                       "             { arm = \"mlp\"; metric = \"auc\"; at_least = 0.9; } );\n", "", &out, &tested);
  CHECK(s == DOR_E_MISMATCH && strstr(dor_errmsg(), "mlp accuracy: 0.8600 where 0.9000 +- 0.0300 is expected"), "%s", dor_errmsg());
  CHECK(tested == 2 && strstr(out.s, "NOT HELD") && strstr(out.s, "held\n"), "all rows are shown:\n%s", out.s);
  s = check("expected = ( { arm = \"gone\"; metric = \"accuracy\"; at_least = 0.1; } );\n", "", &out, &tested);
  CHECK(s == DOR_E_MISMATCH && strstr(dor_errmsg(), "gone accuracy: not in this run"), "an arm that is not there holds nothing: %s", dor_errmsg());
  dor_str_release(&out);
}

TEST(expect_refused)
{
  static const char *const bad[][2] = {
      {"expcted = ( );\n", "expect.cfg:1: no key 'expcted'"},
      {"expected = ( { arm = \"mlp\"; metric = \"acuracy\"; at_least = 1; } );\n", "did you mean 'accuracy'?"},
      {"expected = ( { arm = \"mlp\"; metric = \"accuracy\"; } );\n", "either value and tolerance or at_least"},
      {"expected = (\n { arm = \"mlp\"; metric = \"accuracy\"; tol = 1; } );\n", "expect.cfg:2: no key 'tol'"},
      {"expected = ( { arm = \"mlp\"; metric = \"accuracy\"; at_least = \"x\"; } );\n", "'at_least' must be a number"},
      {"expected = (\n { arm = \"mlp\"; metric = \"accuracy\"; value = 0.9; tolerance = -0.1; } );\n", "expect.cfg:2: a tolerance of -0.1 is never held"},
      {"expected = ( { arm = \"mlp\"; metric = \"accuracy\"; at_least = 1; seed = \"men\"; } );\n", "'seed' is"},
      {"published = { mlp = { recall = 1.0; }; };\n", "no metric 'recall'"},
      {"published = { mlp = 3; };\n", "must be an arm's group"}};
  dor_str out = {0};
  int32_t tested;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    dor_status s = check(bad[i][0], "", &out, &tested);
    CHECK(s == DOR_E_CONFIG && strstr(dor_errmsg(), bad[i][1]), "'%s' does not say '%s'", s ? dor_errmsg() : "accepted", bad[i][1]);
  }
  dor_str_release(&out);
}

TEST(expect_is_sound_before_a_run)
{
  static const char *const arm[] = {"mlp", "majority"};
  char cfg[600];
  static const char *const text[][2] = {
      {"expected = ( { arm = \"mlp\"; metric = \"accuracy\"; at_least = 1; } );\npublished = { other = { f1 = 1.0; }; };\n", NULL},
      {"expected = (\n{ arm = \"mpl\"; metric = \"accuracy\"; at_least = 1; } );\n", "expect.cfg:2: the experiment has no arm 'mpl'; did you mean 'mlp'?"},
      {"expected = ( { arm = \"mlp\"; metric = \"acuracy\"; at_least = 1; } );\n", "expect.cfg:1: no metric 'acuracy'; did you mean 'accuracy'?"}};
  (void)state;
  snprintf(cfg, sizeof cfg, "%s/expect.cfg", test_folder("expect"));
  for (int i = 0; i < 3; i++) {
    OK(dor_io_write(cfg, text[i][0], strlen(text[i][0])));
    dor_status s = dor_expect_sound(cfg, arm, 2);
    CHECK(text[i][1] ? s == DOR_E_CONFIG && strstr(dor_errmsg(), text[i][1]) : !s, "case %d: %s", i, s ? dor_errmsg() : "accepted");
  }
}
