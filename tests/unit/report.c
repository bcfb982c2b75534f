/* SPDX-License-Identifier: Apache-2.0
 *
 * Reports: the figures of a small run against scikit-learn and SciPy, its files
 * against golden ones, and what must hold for any predictions. */
#include "report/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "eval/eval.h"
#include "report/plot.h"
#include "tests/test.h"

static const char *path_of(const char *folder, const char *name)
{
  static char path[4][700];
  static int at;
  at = (at + 1) % 4;
  snprintf(path[at], sizeof path[at], "%s/%s", folder, name);
  return path[at];
}

static void copy_file(const char *from, const char *to)
{
  char piece[4096];
  size_t n;
  FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
  REQUIRE(in && out, "%s to %s", from, to);
  while ((n = fread(piece, 1, sizeof piece, in)) > 0) REQUIRE(fwrite(piece, 1, n, out) == n, "%s", to);
  int failed = fclose(out);
  fclose(in);
  REQUIRE(!failed, "%s", to);
}

static void copy_tree(dor_arena *a, const char *from, const char *to)
{
  const char *const *name;
  size_t n;
  OK(dor_io_mkdirs(to));
  OK(dor_io_list(a, from, &name, &n));
  for (size_t i = 0; i < n; i++) {
    char *source = dor_path_join(a, from, name[i]), *target = dor_path_join(a, to, name[i]);
    if (dor_io_is_dir(source)) copy_tree(a, source, target);
    else copy_file(source, target);
  }
}

/* A fresh copy of the fixture, reported; the first screen in *screen. */
static const char *reported(dor_arena *a, const char *name, dor_str *screen)
{
  char *folder = dor_arena_str(a, test_folder(name));
  copy_tree(a, "tests/fixtures/run", folder);
  OK(dor_report_run(folder, screen));
  return folder;
}

/* One such folder for all tests that only look. */
static const char *shared(dor_str *screen)
{
  static char folder[600];
  static dor_str once;
  if (!folder[0]) {
    dor_arena a = {0};
    snprintf(folder, sizeof folder, "%s", reported(&a, "report_shared", &once));
    dor_arena_release(&a);
  }
  dor_str_add(screen, once.s);
  return folder;
}

static char *slurp(dor_arena *a, const char *path)
{
  char *data, *kept;
  size_t size;
  OK(dor_io_read(path, 1 << 26, &data, &size));
  kept = dor_arena_copy(a, data, size + 1);
  dor_free(data);
  return kept;
}

/* Equal but for the last digits of numbers: another libm may round them otherwise. */
static bool same_text(const char *a, const char *b)
{
  const char *start = a, *token = b;
  while (*a && *b) {
    if (*a == *b) {
      bool part = strchr("0123456789.-+e", *a) != NULL;
      a++, b++;
      if (!part) start = a, token = b;
      continue;
    }
    char *end_a, *end_b;
    double x = strtod(start, &end_a), y = strtod(token, &end_b);
    if (end_a <= a || end_b <= b || fabs(x - y) > 1e-9 * fmax(1, fabs(x))) return false;
    a = start = end_a, b = token = end_b;
  }
  return *a == *b;
}

static bool drawn(const char *folder) { return dor_io_exists(path_of(folder, "plots/arms.png")); }

TEST(report_golden)
{
  static const char *const file[] = {"metrics.csv", "metrics.json", "errors.csv", "tables/main.csv", "tables/main.md", "tables/main.tex", "tables/per_fold.csv",
                                     "tables/per_fold.md", "tables/per_fold.tex", "tables/ablation.csv", "tables/ablation.md", "tables/ablation.tex",
                                     "tables/confusion.csv", "plots/arms.gp", "plots/arms.dat", "plots/roc.gp", "plots/roc.dat", "plots/confusion.gp",
                                     "plots/confusion.dat", "plots/folds.gp", "plots/folds.dat", "plots/learning.gp", "plots/learning.dat", "report.md"};
  dor_arena a = {0};
  dor_str screen = {0};
  const char *folder = shared(&screen);
  for (size_t i = 0; i < sizeof file / sizeof *file; i++) {
    if (!strcmp(file[i], "report.md") && !drawn(folder)) continue;
    CHECK(same_text(slurp(&a, path_of(folder, file[i])), slurp(&a, path_of("tests/fixtures/report", file[i]))), "%s is not tests/fixtures/report/%s",
          file[i], file[i]);
  }
  CHECK(same_text(screen.s, slurp(&a, "tests/fixtures/report/screen.txt")), "the first screen:\n%s", screen.s);
  dor_str_release(&screen);
  dor_arena_release(&a);
}

TEST(report_twice)
{
  dor_arena a = {0};
  dor_str one = {0}, two = {0};
  const char *first = reported(&a, "report_twice_1", &one), *second = reported(&a, "report_twice_2", &two);
  CHECK(!strcmp(one.s, two.s), "the screens differ");
  CHECK(!strcmp(slurp(&a, path_of(first, "SHA256SUMS")), slurp(&a, path_of(second, "SHA256SUMS"))), "some file differs");
  CHECK(!drawn(first) || strstr(slurp(&a, path_of(first, "SHA256SUMS")), "plots/roc.pdf"), "no PDF was hashed");
  char *done = slurp(&a, path_of(first, "DONE"));
  dor_str_clear(&two);
  OK(dor_report_run(first, &two));
  CHECK(!strcmp(one.s, two.s) && !strcmp(done, slurp(&a, path_of(first, "DONE"))), "a report of a reported folder");
  CHECK(!strcmp(slurp(&a, path_of(first, "SHA256SUMS")), slurp(&a, path_of(second, "SHA256SUMS"))), "made again, the sums are the same");
  dor_str_release(&one);
  dor_str_release(&two);
  dor_arena_release(&a);
}

static double metric(dor_arena *a, const char *folder, const char *arm, const char *fold, const char *seed, const char *name, const char *column)
{
  dor_csv t;
  double v = NAN;
  OK(dor_csv_read(a, path_of(folder, "metrics.csv"), &t));
  for (int32_t i = 0; i < t.n_rows; i++) {
    bool same = !strcmp(dor_csv_at(&t, i, dor_csv_find(&t, "arm")), arm) && !strcmp(dor_csv_at(&t, i, dor_csv_find(&t, "fold")), fold) &&
                !strcmp(dor_csv_at(&t, i, dor_csv_find(&t, "seed")), seed) && !strcmp(dor_csv_at(&t, i, dor_csv_find(&t, "metric")), name);
    if (!same) continue;
    if (dor_csv_at(&t, i, dor_csv_find(&t, column))[0]) OK(dor_csv_real(&t, i, dor_csv_find(&t, column), &v));
    return v;
  }
  return v;
}

#define METRIC_IS(arm, fold, seed, name, want)                                                 \
  do {                                                                                         \
    double got = metric(&a, folder, arm, fold, seed, name, "value");                           \
    CHECK(fabs(got - (want)) < 1e-12, "%s %s: %.17g", arm, name, got);                          \
  } while (0)

TEST(report_figures) /* scikit-learn 1.9 and SciPy on the fixture's predictions, averaged over seeds */
{
  dor_arena a = {0};
  dor_str screen = {0};
  const char *folder = shared(&screen);
  METRIC_IS("backward", "all", "all", "accuracy", 33.0 / 36);
  METRIC_IS("backward", "all", "all", "auc", 0.99375);
  METRIC_IS("backward", "all", "all", "f1", 0.896551724137931);
  METRIC_IS("proms", "all", "all", "mcc", 0.4332001127219817);
  METRIC_IS("proms", "all", "all", "brier", 0.19729815569444442);
  METRIC_IS("logistic_proms", "all", "all", "log_loss", 0.5793730452338299);
  METRIC_IS("proms", "all", "1", "accuracy", 0.6944444444444444);
  METRIC_IS("proms", "all", "2", "auc", 0.75625);
  METRIC_IS("proms", "all", "mean", "accuracy", (0.6944444444444444 + 0.6666666666666666) / 2);
  METRIC_IS("proms", "mean", "all", "auc", 0.75);
  METRIC_IS("majority", "all", "all", "auc", 0.5);
  METRIC_IS("proms", "all", "all", "seed_agreement", 33.0 / 36); /* of people: both seeds decide alike */
  METRIC_IS("forward", "all", "all", "seed_agreement", 34.0 / 36);
  CHECK(metric(&a, folder, "proms", "all", "all", "seed_agreement", "k") == 33, "k");
  CHECK(fabs(metric(&a, folder, "proms", "all", "all", "seed_agreement", "ci_lo") - 0.7817330875072737) < 1e-9, "Wilson's interval");
  CHECK(isnan(metric(&a, folder, "majority", "all", "all", "seed_agreement", "value")), "one seed agrees with nobody");
  CHECK(isnan(metric(&a, folder, "majority", "all", "all", "precision", "value")), "0/0 is not a number");
  CHECK(metric(&a, folder, "backward", "all", "all", "accuracy", "k") == 33 && metric(&a, folder, "backward", "all", "all", "sensitivity", "n") == 16,
        "counts");
  dor_csv t;
  double p[2];
  OK(dor_csv_read(&a, path_of(folder, "tables/ablation.csv"), &t));
  for (int32_t i = 0; i < 2; i++) OK(dor_csv_real(&t, i + 1, dor_csv_find(&t, "p"), &p[i])); /* row 0 is the reference */
  CHECK(p[0] == 0.125 && p[1] == 0.0390625, "McNemar %g, %g", p[0], p[1]);
  CHECK(!dor_csv_at(&t, 1, dor_csv_find(&t, "p_holm"))[0], "the primary contrast is not corrected");
  CHECK(!strcmp(dor_csv_at(&t, 2, dor_csv_find(&t, "p_holm")), dor_csv_at(&t, 2, dor_csv_find(&t, "p"))), "one other contrast: Holm changes nothing");
  dor_str_release(&screen);
  dor_arena_release(&a);
}

static void fits(const char *screen)
{
  for (const char *line = screen, *end; *line; line = end + 1) {
    int columns = 0;
    end = strchr(line, '\n');
    REQUIRE(end, "the screen ends inside a line");
    for (const char *c = line; c < end; c++) columns += ((unsigned char)*c & 0xC0) != 0x80;
    CHECK(columns <= 100, "%d columns: %.*s", columns, (int)(end - line), line);
    CHECK(end == line || end[-1] != ' ', "blanks at the end of: %.*s", (int)(end - line), line);
  }
}

TEST(report_screen)
{
  dor_arena a = {0};
  dor_str screen = {0};
  const char *folder = shared(&screen);
  static const char *const says[] = {"SYNTHETIC COHORT: NOT PATIENTS", "36 people of 38 (2 left out", "FP 20, EP 16", "about EP",
                                     "4 folds by person, seed 2026", "leakage L1-L7 passed", "Backward bend is better than always answering FP",
                                     "91.7 (78.2-97.1) 33/36", "13/16", ".99 (.94-1.00)", "1 / 6", "not shown to differ", "worse", "Published row: 92 %"};
  for (size_t i = 0; i < sizeof says / sizeof *says; i++) CHECK(strstr(screen.s, says[i]), "no '%s' in\n%s", says[i], screen.s);
  fits(screen.s);
  CHECK(strstr(slurp(&a, path_of(folder, "report.md")), screen.s), "report.md begins with the first screen");
  dor_str_release(&screen);
  dor_arena_release(&a);
}

TEST(report_html_stands_alone)
{
  dor_arena a = {0};
  dor_str screen = {0};
  const char *folder = shared(&screen), *html = slurp(&a, path_of(folder, "report.html"));
  CHECK(!strstr(html, "http") && !strstr(html, "href") && !strstr(html, "<script") && !strstr(html, "url("), "a reference to the outside");
  for (const char *c = html; (c = strstr(c, "src=\"")) != NULL; c++) CHECK(!strncmp(c, "src=\"data:image/", 16), "%.40s", c);
  CHECK(!drawn(folder) || strstr(html, "src=\"data:image/png;base64,iVBOR"), "no picture inside");
  CHECK(strstr(html, "SYNTHETIC"), "no stamp");
  dor_str_release(&screen);
  dor_arena_release(&a);
}

TEST(report_stamps)
{
  static const char *const file[] = {"metrics.csv", "errors.csv", "tables/main.csv", "tables/main.md", "tables/main.tex", "tables/per_fold.csv",
                                     "tables/per_fold.md",
                                     "tables/ablation.csv", "tables/ablation.tex", "tables/confusion.csv", "plots/arms.gp", "plots/roc.gp",
                                         "plots/confusion.gp",
                                     "plots/folds.gp", "plots/learning.gp", "plots/arms.dat", "plots/roc.dat", "plots/confusion.dat",
                                     "plots/folds.dat", "plots/learning.dat", "report.md", "report.html", "metrics.json"};
  dor_arena a = {0};
  dor_str screen = {0};
  char *folder = dor_arena_str(&a, test_folder("report_stamps"));
  copy_tree(&a, "tests/fixtures/run", folder);
  char *config = slurp(&a, path_of(folder, "config.json")), *unit = strstr(config, "\"unit\": \"subject\""), *quick = strstr(config, "\"quick\": false");
  REQUIRE(unit && quick, "the fixture has changed");
  memcpy(unit, "\"unit\": \"clip\"   ", 17);
  memcpy(quick, "\"quick\": true ", 14);
  OK(dor_io_write(path_of(folder, "config.json"), config, strlen(config)));
  OK(dor_report_run(folder, &screen));
  for (size_t i = 0; i < sizeof file / sizeof *file; i++)
    CHECK(strstr(slurp(&a, path_of(folder, file[i])), "SYNTHETIC LEAKS QUICK"), "%s bears no stamp", file[i]);
  CHECK(strstr(screen.s, "SYNTHETIC, LEAKS, QUICK") && strstr(screen.s, "people and groups ignored"), "%s", screen.s);
  dor_str_release(&screen);
  dor_arena_release(&a);
}

/* A foreign file, reported; the folder. */
static const char *foreign(dor_arena *a, const char *name, const char *text, const dor_predictions_options *o, dor_str *screen)
{
  char *folder = dor_arena_str(a, test_folder(name)), *csv = dor_arena_fmt(a, "%s/p.csv", folder), *out = dor_arena_fmt(a, "%s/out", folder);
  OK(dor_io_write(csv, text, strlen(text)));
  OK(dor_report_file(csv, out, o, screen));
  fits(screen->s);
  return out;
}

TEST(report_foreign_degenerate)
{
  static const char *const text[] = {
      "subject,label,probability,fold\na,ill,.9,0\nb,ill,.4,1\nc,ill,.6,1\n",                         /* one class */
      "subject,label,probability,fold\na,ill,.9,0\nb,well,.1,0\nc,ill,.9,1\nd,well,.1,1\n",           /* perfect, n = 4 */
      "subject,label,probability,fold\na,well,.9,7\nb,well,.1,7\nc,ill,.9,900000000\nd,well,.1,900000000\n", /* a fold without positives */
      "subject,label,probability\na,ill,.5\nb,well,.5\nc,ill,.5\nd,well,.5\n",                       /* a constant */
      "subject,label,probability\na,ill,.2\nb,well,.9\n",                                           /* nothing right */
      "subject,label,probability\na,ill,0\nb,well,.9\nc,well,0\n"};                                /* sure, and wrong */
  static const char *const name[] = {"one_class", "perfect", "fold_without", "constant", "nothing_right", "sure"};
  const dor_predictions_options o = {.positive = "ill"};
  for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
    dor_arena a = {0};
    dor_str screen = {0};
    const char *out = foreign(&a, name[i], text[i], &o, &screen);
    char *csv = slurp(&a, path_of(out, "metrics.csv"));
    CHECK(!strstr(csv, ",nan") && !strstr(csv, ",inf") && !strstr(csv, ",-inf"), "%s: what is undefined is an empty cell", name[i]);
    CHECK(!strstr(slurp(&a, path_of(out, "metrics.json")), "nan"), "%s: and null", name[i]);
    if (i == 0) CHECK(isnan(metric(&a, out, "predictions", "all", "all", "auc", "value")), "AUC of one class");
    if (i == 1) CHECK(metric(&a, out, "predictions", "all", "all", "auc", "ci_hi") == 1, "AUC 1");
    if (i == 2) CHECK(isnan(metric(&a, out, "predictions", "7", "all", "sensitivity", "value")), "no positives, no sensitivity");
    CHECK(metric(&a, out, "predictions", "all", "all", "log_loss_clipped", "value") == (i == 5), "%s: clipped", name[i]);
    dor_str_release(&screen);
    dor_arena_release(&a);
  }
}

TEST(report_names_its_only_arm)
{
  dor_arena a = {0};
  dor_str screen = {0};
  foreign(&a, "only_arm", "subject,label,probability,arm\na,ill,.9,the one\nb,well,.2,the one\nc,ill,.7,the one\n",
          &(dor_predictions_options){.positive = "ill"}, &screen);
  CHECK(strstr(screen.s, "\nthe one  100.0 (43.9-100.0) 3/3"), "%s", screen.s);
  dor_str_release(&screen);
  dor_arena_release(&a);
}

/* The first screen of a foreign file with two classes, in the test's own folder. */
static void screen_of(const char *title, const char *arm, const char *ill, const char *well, dor_str *screen)
{
  dor_arena a = {0};
  dor_str text = {0};
  dor_str_fmt(&text, "subject,label,probability,arm\n");
  for (int i = 0; i < 20; i++) dor_str_fmt(&text, "s%d,%s,%g,%s\n", i, i % 2 ? ill : well, i % 2 ? .9 - i * .01 : .1, arm);
  char *csv = dor_arena_fmt(&a, "%s/%s.csv", test_folder("report_names"), title);
  OK(dor_io_write(csv, text.s, text.n));
  OK(dor_report_file(csv, NULL, &(dor_predictions_options){.positive = ill}, screen));
  fits(screen->s);
  dor_str_release(&text);
  dor_arena_release(&a);
}

TEST(report_names_classes_in_full_where_there_is_room)
{
  dor_str screen = {0};
  screen_of("short", "a network", "nociceptive", "neuropathic", &screen);
  CHECK(strstr(screen.s, "nociceptive  neuropathic") && strstr(screen.s, "found        found") &&
        strstr(screen.s, "AUC (95 % CI)    neuropathic\n"), "%s", screen.s);
  dor_str_clear(&screen);
  screen_of("long", "an arm with a name of some length", "nociceptive pain peripheral", "neuropathic pain central", &screen);
  CHECK(strstr(screen.s, " nociceptiv.  neuropathi.  ") && strstr(screen.s, " commonest\n") && strstr(screen.s, "\nan arm with a name."), "%s", screen.s);
  dor_str_release(&screen);
}

TEST(report_long_title_pushes_nothing_off_the_screen)
{
  dor_str screen = {0};
  screen_of("predictions-of-a-program-that-writes-its-whole-configuration-into-the-name-of-the-file-2026-11-21-final", "net", "ill", "well", &screen);
  CHECK(strstr(screen.s, "-fi\n  nal.csv\n") && strstr(screen.s, " result "), "%s", screen.s);
  dor_str_release(&screen);
}

TEST(report_calls_pictures_pictures)
{
  dor_arena a = {0};
  dor_str screen = {0};
  char *folder = dor_arena_str(&a, test_folder("report_pictures"));
  copy_tree(&a, "tests/fixtures/run", folder);
  char *run = slurp(&a, path_of(folder, "run.json")), *with = dor_arena_fmt(&a, "{\"unit\": \"picture\", %s", strchr(run, '{') + 1);
  OK(dor_io_write(path_of(folder, "run.json"), with, strlen(with)));
  OK(dor_report_run(folder, &screen));
  CHECK(strstr(screen.s, "36 pictures of 38") && strstr(screen.s, "4 folds by picture") &&
        strstr(screen.s, "averaged per picture"), "%s", screen.s);
  CHECK(!strstr(screen.s, "people") && !strstr(screen.s, "person"), "%s", screen.s);
  CHECK(strstr(slurp(&a, path_of(folder, "tables/main.md")), "Unit of analysis: picture, n = 36"), "the caption");
  dor_str_release(&screen);
  dor_arena_release(&a);
}

TEST(report_prints_what_a_passed_check_has_to_say)
{
  dor_arena a = {0};
  dor_str screen = {0};
  const char *text = "{\"checks\": [{\"id\": \"L4\", \"passed\": true, \"note\": \"3 similar pairs\"}, "
                     "{\"id\": \"L5\", \"passed\": false, \"note\": \"waived\"}]}";
  char *folder = dor_arena_str(&a, test_folder("report_notes"));
  copy_tree(&a, "tests/fixtures/run", folder);
  OK(dor_io_write(path_of(folder, "leakage.json"), text, strlen(text)));
  OK(dor_report_run(folder, &screen));
  CHECK(strstr(screen.s, "L4: 3 similar pairs.") && strstr(screen.s, "NOT passed: L5") && !strstr(screen.s, "waived"), "%s", screen.s);
  dor_str_release(&screen);
  dor_arena_release(&a);
}

TEST(report_keeps_the_names_of_folds)
{
  dor_arena a = {0};
  dor_str screen = {0};
  const char *out = foreign(&a, "fold_names", "subject,label,probability,fold\na,ill,.9,\"site A, 1\"\nb,well,.1,\"site A, 1\"\nc,ill,.4,2.0\nd,well,.1,2.0\n",
                            &(dor_predictions_options){.positive = "ill"}, &screen);
  CHECK(strstr(screen.s, "2 folds, as the file says"), "%s", screen.s);
  CHECK(metric(&a, out, "predictions", "site A, 1", "all", "accuracy", "value") == 1 && metric(&a, out, "predictions", "2.0", "all", "accuracy", "value") == .5,
        "by fold");
  CHECK(strstr(slurp(&a, path_of(out, "tables/per_fold.md")), "| site A, 1 |") && strstr(slurp(&a, path_of(out, "errors.csv")), ",2.0,"), "names in tables");
  CHECK(strstr(slurp(&a, path_of(out, "metrics.json")), "\"fold\": \"site A, 1\""), "names in metrics.json");
  dor_str_release(&screen);
  dor_arena_release(&a);
}

/* Arms of different folds are not compared, and what they do not share is said of each. */
TEST(report_arms_with_settings_of_their_own)
{
  dor_arena a = {0};
  dor_str screen = {0}, text = {0};
  dor_str_add(&text, "arm,subject,label,probability,fold,threshold\n");
  for (int arm = 0; arm < 3; arm++)
    for (int i = 0; i < 12; i++)
      dor_str_fmt(&text, "%c,s%d,%s,%s,%d,%s\n", 'a' + arm, i, i % 2 ? "ill" : "well", i % 2 ? ".9" : ".1", (arm == 1 ? i / 3 : i % 3) + 1,
                  arm == 2 ? ".8" : ".5");
  const char *out = foreign(&a, "own_settings", text.s, &(dor_predictions_options){.positive = "ill"}, &screen);
  CHECK(strstr(screen.s, "3 folds, as the file says") || strstr(screen.s, "4 folds, as the file says"), "%s", screen.s);
  CHECK(strstr(screen.s, "b: folds of its own, 4"), "%s", screen.s);
  CHECK(strstr(screen.s, "threshold .5, fixed; c: threshold .8, fixed"), "%s", screen.s);
  CHECK(strstr(screen.s, "other folds than the reference"), "%s", screen.s);
  const char *caption = slurp(&a, path_of(out, "tables/main.md"));
  CHECK(strstr(caption, "b: folds of its own, 4") && strstr(caption, "c: threshold .8, fixed"), "%s", caption);
  const char *against = slurp(&a, path_of(out, "tables/ablation.csv"));
  CHECK(strstr(against, "other folds") && !strstr(against, "\nb,accuracy,better"), "%s", against);
  dor_str_release(&text);
  dor_str_release(&screen);
  dor_arena_release(&a);
}

TEST(report_foreign_needs_positive)
{
  dor_arena a = {0};
  dor_str screen = {0};
  char *csv = dor_arena_fmt(&a, "%s/p.csv", test_folder("report_positive"));
  const char *text = "subject,label,p_a,p_b\nx,a,.2,.8\n";
  OK(dor_io_write(csv, text, strlen(text)));
  CHECK(dor_report_file(csv, NULL, NULL, &screen) == DOR_E_USAGE && strstr(dor_errmsg(), "positive=a or positive=b"), "%s", dor_errmsg());
  text = "subject,y_true,y_pred\nx,1.5,2\n";
  OK(dor_io_write(csv, text, strlen(text)));
  CHECK(dor_report_file(csv, NULL, NULL, &screen) == DOR_E_UNSUPPORTED, "%s", dor_errmsg());
  dor_str_release(&screen);
  dor_arena_release(&a);
}

/* Three classes, two arms, pairs of near-duplicates; `grouped` says so in the file. */
static void many_classes(bool grouped, dor_str *s)
{
  static const char *const name[] = {"sitting upright at a desk", "lying 50 %q", "x_y & <z>"};
  dor_str_fmt(s, "image,posture,arm,fold,%sp_%s,p_%s,p_%s\n", grouped ? "cluster," : "", name[0], name[1], name[2]);
  for (int arm = 0; arm < 2; arm++) {
    dor_rng r = dor_rng_stream(1, 2, (uint64_t)arm);
    for (int i = 0; i < 60; i++) {
      double p[3], sum = 0;
      int truth = i / 2 % 3;
      for (int k = 0; k < 3; k++) sum += p[k] = exp(dor_rng_normal(&r) + (k == truth) * (arm ? 0.5 : 2));
      dor_str_fmt(s, "i%d,%s,%s,%d,", i, name[truth], arm ? "linear 5 %" : "a convolutional net with a very long name that goes on", i / 2 % 5);
      if (grouped) dor_str_fmt(s, "g%d,", i / 2);
      dor_str_fmt(s, "%.6f,%.6f,%.6f\n", p[0] / sum, p[1] / sum, p[2] / sum);
    }
  }
}

TEST(report_many_classes_in_groups)
{
  const char *const rename[] = {"subject=image", "label=posture", "group=cluster"};
  for (int grouped = 0; grouped < 2; grouped++) {
    dor_predictions_options o = {.rename = rename, .n_rename = 2 + grouped};
    dor_arena a = {0};
    dor_str screen = {0}, text = {0};
    many_classes(grouped, &text);
    const char *out = foreign(&a, grouped ? "classes_grouped" : "classes", text.s, &o, &screen), *csv = slurp(&a, path_of(out, "metrics.csv"));
    CHECK(strstr(csv, "macro") && strstr(csv, ",auc,macro,,"), "macro averages");
    CHECK(!strstr(csv, "weighted"), "weighted recall is accuracy: left out");
    CHECK(!!strstr(csv, "over clusters") == grouped && !!strstr(csv, ",Wilson,") == !grouped, "intervals of grouped units resample groups, and only of those");
    CHECK(!!strstr(screen.s, "resample 30 clusters") == grouped, "%s", screen.s);
    CHECK(strstr(screen.s, "macro averages") && strstr(slurp(&a, path_of(out, "tables/main.md")), "are macro averages"), "%s", screen.s);
    CHECK(strstr(slurp(&a, path_of(out, "tables/per_class.md")), "| lying 50 %q | 20 |") && strstr(slurp(&a, path_of(out, "report.md")), "## Classes"),
          "each class against the rest");
    CHECK(strstr(slurp(&a, path_of(out, "tables/main.tex")), "x\\_y \\& $<$z$>$") && strstr(slurp(&a, path_of(out, "report.html")),
                                                                                            "x_y &amp; &lt;z&gt;"), "escapes");
    static const char *const figure[] = {"plots/arms.png", "plots/confusion.png", "plots/folds.png"};
    int drawn_of_three = 0;
    for (int k = 0; k < 3; k++) drawn_of_three += dor_io_exists(path_of(out, figure[k]));
    CHECK(drawn_of_three == 0 || drawn_of_three == 3, "%d of 3 figures were drawn", drawn_of_three); /* 0: no gnuplot */
    dor_str_release(&text);
    dor_str_release(&screen);
    dor_arena_release(&a);
  }
}

TEST(report_perfect_in_clusters) /* three people with two trials each: as much is known as of three people, not of six */
{
  dor_arena a = {0};
  dor_str screen = {0};
  const char *out = foreign(&a, "perfect_clusters",
                            "subject,trial,label,probability\na,1,ill,.9\na,2,ill,.9\nb,1,well,.1\nb,2,well,.1\nc,1,well,.1\nc,2,well,.1\n",
                            &(dor_predictions_options){.positive = "ill"}, &screen);
  const char *csv = slurp(&a, path_of(out, "metrics.csv"));
  dor_interval three = dor_wilson(3, 3, 0.95), two = dor_wilson(2, 2, 0.95);
  CHECK(fabs(metric(&a, out, "predictions", "all", "all", "accuracy", "ci_lo") - three.lo) < 1e-12, "%s", csv);
  CHECK(fabs(metric(&a, out, "predictions", "all", "all", "specificity", "ci_lo") - two.lo) < 1e-12, "%s", csv);
  CHECK(metric(&a, out, "predictions", "all", "all", "accuracy", "ci_hi") == 1 && strstr(csv, "Wilson over clusters, all replicates equal"), "%s", csv);
  CHECK(isnan(metric(&a, out, "predictions", "all", "all", "mcc", "ci_lo")) && strstr(csv, "none, all replicates equal"), "%s", csv);
  dor_str_release(&screen);
  dor_arena_release(&a);
}

TEST(report_verify)
{
  dor_arena a = {0};
  dor_str screen = {0};
  const char *folder = reported(&a, "report_verify", &screen);
  dor_verified n;
  OK(dor_report_verify(folder, &n));
  CHECK(n.files > 30 && !n.unlisted, "%d files, %d not listed", n.files, n.unlisted);
  OK(dor_io_write(path_of(folder, "cells/notes.txt"), "x", 1));
  OK(dor_report_verify(folder, &n));
  CHECK(n.unlisted == 1, "%d not listed", n.unlisted);
  char *sums = slurp(&a, path_of(folder, "SHA256SUMS"));
  CHECK(!strstr(sums, "DONE") && !strstr(sums, "private/") && !strstr(sums, "log.txt") && strstr(sums, "cells/"), "what is hashed");
  OK(dor_io_append(path_of(folder, "errors.csv"), "x\n", 2));
  CHECK(dor_report_verify(folder, &n) == DOR_E_MISMATCH && strstr(dor_errmsg(), "errors.csv has changed"), "%s", dor_errmsg());
  OK(dor_io_remove(path_of(folder, "config.json")));
  CHECK(dor_report_verify(folder, &n) == DOR_E_MISMATCH && strstr(dor_errmsg(), "config.json is missing"), "%s", dor_errmsg());
  memcpy(sums + 66, "../", 3);
  OK(dor_io_write(path_of(folder, "SHA256SUMS"), sums, strlen(sums)));
  CHECK(dor_report_verify(folder, &n) == DOR_E_DATA, "a path that leaves the folder: %s", dor_errmsg());
  dor_str_release(&screen);
  dor_arena_release(&a);
}

static int warnings;
static void count_warnings(void *to, dor_log_level level, const char *line)
{
  (void)to, (void)line;
  warnings += level == DOR_LOG_WARN;
}

TEST(report_without_gnuplot)
{
  dor_arena a = {0};
  dor_str screen = {0};
  char *path = dor_arena_str(&a, getenv("PATH"));
  warnings = 0;
  dor_log_install(count_warnings, NULL);
  setenv("PATH", "/nowhere", 1);
  const char *folder = reported(&a, "report_without_gnuplot", &screen);
  setenv("PATH", path, 1);
  dor_log_install(NULL, NULL);
  CHECK(warnings > 0 && !drawn(folder) && dor_io_exists(path_of(folder, "plots/roc.gp")) && dor_io_exists(path_of(folder, "DONE")), "%d warnings", warnings);
  dor_str_release(&screen);
  dor_arena_release(&a);
}

TEST(report_pdf_dates)
{
  char pdf[] = "1 0 obj\n<< /CreationDate (D:20261121142909Z)\n /ModDate (D:20261121142909+01'00) >>";
  dor_str out = {0};
  OK(dor_pdf_undate(pdf, sizeof pdf - 1, &out));
  CHECK(strstr(out.s, "/CreationDate (D:20000101000000Z)") && strstr(out.s, "/ModDate (D:20000101000000+01'00)"), "%s", out.s);
  dor_str_release(&out);
}

/* Two figures by gnuplot 6.0 and cairo 1.18 that differ in their date and its packed length. */
TEST(report_pdf_dates_in_object_streams)
{
  dor_arena a = {0};
  dor_str out[2] = {{0}};
  for (int i = 0; i < 2; i++) {
    char *data;
    size_t size;
    OK(dor_io_read(i ? "tests/fixtures/cairo_1.18_b.pdf" : "tests/fixtures/cairo_1.18_a.pdf", 1 << 24, &data, &size));
    OK(dor_pdf_undate(data, size, &out[i]));
    CHECK(out[i].n != size || memcmp(out[i].s, data, size) != 0, "nothing was changed");
    const char *start = memmem(out[i].s, out[i].n, "startxref\n", 10), *at = out[i].s + strtol(start + 10, NULL, 10);
    CHECK(strstr(at, " 0 obj\n<< /Type /XRef") && strstr(at, " 0 obj") - at < 6, "startxref points elsewhere");
    dor_free(data);
  }
  CHECK(out[0].n == out[1].n && !memcmp(out[0].s, out[1].s, out[0].n), "%zu and %zu bytes", out[0].n, out[1].n);
  for (int i = 0; i < 2; i++) dor_str_release(&out[i]);
  dor_arena_release(&a);
}

TEST(report_of_a_broken_folder)
{
  static const struct { const char *file, *text, *says; } broken[] = {
      {"run.json", "{\"arms\": []}", "no arms"},       {"run.json", "{", "run.json:1"},      {"run.json", "[]", "no JSON object"},
      {"flow.csv", "step,n\nanalysed,x\n", "flow.csv:2: n"}, {"predictions.csv", "subject_id,y_true\n", "no rows"}, {"config.json", NULL, "config.json"}};
  for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
    dor_arena a = {0};
    dor_str screen = {0};
    char name[32];
    snprintf(name, sizeof name, "report_broken_%zu", i);
    char *folder = dor_arena_str(&a, test_folder(name));
    copy_tree(&a, "tests/fixtures/run", folder);
    if (broken[i].text) OK(dor_io_write(path_of(folder, broken[i].file), broken[i].text, strlen(broken[i].text)));
    else OK(dor_io_remove(path_of(folder, broken[i].file)));
    dor_status s = dor_report_run(folder, &screen);
    CHECK(s && strstr(dor_errmsg(), broken[i].says), "'%s' does not say '%s'", s ? dor_errmsg() : "accepted", broken[i].says);
    CHECK(!dor_io_exists(path_of(folder, "DONE")), "DONE after a failure");
    dor_str_release(&screen);
    dor_arena_release(&a);
  }
}
