/* SPDX-License-Identifier: Apache-2.0
 *
 * The synthetic cohort: its numbers are those it claims, its pictures are of one
 * person each, and nobody depends on how many there are. */
#include "data/synth.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "data/synth_body.h"
#include "eval/eval.h"
#include "tests/test.h"

static dor_synth_cfg settings(dor_arena *a, const char *text)
{
  dor_synth_cfg c;
  OK(dor_synth_parse(a, text, &c));
  return c;
}

typedef struct moments { double sum, square; int32_t n; } moments;

static void add(moments *m, double x) { m->sum += x, m->square += x * x, m->n++; }
static double mean_of(const moments *m) { return m->sum / m->n; }
static double sd_of(const moments *m) { return sqrt((m->square - m->sum * m->sum / m->n) / (m->n - 1)); }

/* Within three standard errors of what is claimed (`slack`: by how much the table itself is said to be off). */
static void check_moments(const char *what, const moments *m, double mean, double sd, double slack)
{
  const double se = sd / sqrt(m->n);
  CHECK(fabs(mean_of(m) - mean) < 3 * se + slack, "%s: mean %.2f, wanted %.2f", what, mean_of(m), mean);
  CHECK(fabs(sd_of(m) - sd) < 3 * sd / sqrt(2.0 * m->n) + slack, "%s: SD %.2f, wanted %.2f", what, sd_of(m), sd);
}

TEST(synth_mixes_to_the_published_table)
{
  dor_arena a = {0};
  const dor_synth_cfg c = settings(&a, "subjects=400,seed=3");
  moments trunk = {0}, lumbar[3] = {0}, pelvis[3] = {0}, time[3] = {0};
  for (int32_t k = 0; k < 400; k++) {
    dor_synth_person p;
    dor_synth_draw(&c, k, &p);
    add(&trunk, p.lumbar + p.pelvis);
    for (int32_t i = 0; i < 2; i++) {
      const int32_t to = i ? 2 : p.mci;
      add(&lumbar[to], p.lumbar), add(&pelvis[to], p.pelvis), add(&time[to], p.duration_s[0]);
    }
  }
  CHECK(abs(lumbar[0].n - 275) <= 1, "%d of 400 are MI", lumbar[0].n);
  check_moments("trunk", &trunk, 93, 16, 1);
  check_moments("lumbar", &lumbar[2], 46, 12, 0), check_moments("lumbar MI", &lumbar[0], 42.2, 10.6, 0), check_moments("lumbar MCI", &lumbar[1], 54.2, 10.6, 0);
  check_moments("pelvis", &pelvis[2], 48, 15, 0), check_moments("pelvis MI", &pelvis[0], 44.9, 14.3, 0), check_moments("pelvis MCI", &pelvis[1], 54.9, 14.3, 0);
  check_moments("time MI", &time[0], 3.5, 0.9, 0), check_moments("time MCI", &time[1], 2.5, 0.6, 0);
  dor_arena_release(&a);
}

TEST(synth_without_effect_has_no_classes)
{
  dor_arena a = {0};
  const dor_synth_cfg c = settings(&a, "d=0,d_proms=0");
  moments extension[2] = {0}, lumbar[2] = {0}, odi[2] = {0};
  for (int32_t k = 0; k < 400; k++) {
    dor_synth_person p;
    dor_synth_draw(&c, k, &p);
    add(&extension[p.ep], p.extension), add(&lumbar[p.mci], p.lumbar);
    if (!isnan(p.odi)) add(&odi[p.ep], p.odi);
  }
  CHECK(fabs(mean_of(&extension[1]) - mean_of(&extension[0])) < 3 * 15 * sqrt(4.0 / 400), "%g", mean_of(&extension[1]) - mean_of(&extension[0]));
  CHECK(fabs(mean_of(&lumbar[1]) - mean_of(&lumbar[0])) < 3 * 12 * sqrt(5.0 / 400), "%g", mean_of(&lumbar[1]) - mean_of(&lumbar[0]));
  CHECK(fabs(mean_of(&odi[1]) - mean_of(&odi[0])) < 3 * 21 * sqrt(4.0 / 400), "%g", mean_of(&odi[1]) - mean_of(&odi[0]));
  dor_arena_release(&a);
}

static double correlation(double (*v)[2], int32_t n)
{
  double s[2] = {0}, q[3] = {0};
  for (int32_t i = 0; i < n; i++) s[0] += v[i][0] / n, s[1] += v[i][1] / n;
  for (int32_t i = 0; i < n; i++)
    q[0] += (v[i][0] - s[0]) * (v[i][0] - s[0]), q[1] += (v[i][1] - s[1]) * (v[i][1] - s[1]), q[2] += (v[i][0] - s[0]) * (v[i][1] - s[1]);
  return q[2] / sqrt(q[0] * q[1]);
}

TEST(synth_correlates_fear_and_pain_with_motion)
{
  enum { PEOPLE = 2000 };
  static double v[6][PEOPLE][2];
  dor_arena a = {0};
  const dor_synth_cfg c = settings(&a, "missing=0,d=0,d_proms=0");
  for (int32_t k = 0; k < PEOPLE; k++) {
    dor_synth_person p;
    dor_synth_draw(&c, k, &p);
    const double pair[6][2] = {{p.tsk11, p.nrs}, {p.tsk11, p.odi}, {p.lumbar, p.tsk11}, {p.lumbar, p.nrs}, {p.pelvis, p.nrs}, {p.pelvis, p.tsk11}};
    for (int32_t i = 0; i < 6; i++) v[i][k][0] = pair[i][0], v[i][k][1] = pair[i][1];
  }
  const double want[] = {0.187, 0.37, -0.24, 0, -0.24, 0}; /* rounding and cutting to the range cost some */
  for (int32_t i = 0; i < 6; i++) {
    const double r = correlation(v[i], PEOPLE);
    CHECK(fabs(r - want[i]) < 0.08, "pair %d: r %.3f, wanted %.3f", i, r, want[i]);
  }
  dor_arena_release(&a);
}

/* ---- what can be learned: a logistic regression on the drawn numbers, fitted on one half and tried on the other ---- */

enum { CROWD = 4000, MOTION = 4, PROMS = 3 };

static void features(const dor_synth_person *p, bool proms, double *x)
{
  const double motion[] = {p->lordosis, p->extension, 100 * p->extension_low, 5 * p->upper}, told[] = {p->odi, 5 * p->tsk11, 10 * p->nrs};
  for (int32_t j = 0; j < (proms ? PROMS : MOTION); j++) x[j] = (proms ? told : motion)[j] / 20;
}

typedef struct learned { double auc, auc_rated, accuracy_rated; } learned;

static learned learn(const char *text, bool proms)
{
  static double x[CROWD][MOTION], score[CROWD];
  static int32_t y[CROWD];
  static uint8_t truth[CROWD], rated[CROWD];
  const int32_t half = CROWD / 2, p = proms ? PROMS : MOTION;
  dor_arena a = {0};
  const dor_synth_cfg c = settings(&a, text);
  double w[2 * (MOTION + 1)], prob[2], right = 0;
  for (int32_t k = 0; k < CROWD; k++) {
    dor_synth_person person;
    dor_synth_draw(&c, k, &person);
    features(&person, proms, &x[0][0] + k * p);
    y[k] = rated[k] = person.rated_ep, truth[k] = person.ep;
  }
  OK(dor_logistic_fit(half, p, &x[0][0], y, 2, 1e-3, w));
  for (int32_t k = half; k < CROWD; k++) {
    dor_logistic_predict(p, 2, w, &x[0][0] + k * p, prob);
    score[k] = prob[1], right += (prob[1] > 0.5) == rated[k];
  }
  dor_auc t, r;
  OK(dor_delong(half, score + half, truth + half, &t));
  OK(dor_delong(half, score + half, rated + half, &r));
  dor_arena_release(&a);
  return (learned){t.auc, r.auc, right / half};
}

TEST(synth_pattern_can_be_learned_from_motion_and_not_from_proms)
{
  const learned motion = learn("missing=0", false), weak = learn("missing=0,d=0.4", false), proms = learn("missing=0", true);
  print_message("             FP v EP from the drawn motion at d = 1: AUC %.3f to the truth, %.3f to the rater (accuracy %.3f); d = 0.4: %.3f;"
                " from PROMs %.3f\n", motion.auc, motion.auc_rated, motion.accuracy_rated, weak.auc, proms.auc);
  CHECK(motion.auc > 0.90 && motion.auc < 0.97, "%.3f", motion.auc);
  CHECK(fabs(motion.auc_rated - (0.5 + 0.76 * (motion.auc - 0.5))) < 0.03, "12 %% of wrong labels make %.3f of %.3f", motion.auc_rated, motion.auc);
  CHECK(weak.auc > 0.65 && weak.auc < 0.80, "%.3f", weak.auc);
  CHECK(proms.auc > 0.48 && proms.auc < 0.60, "%.3f", proms.auc);
}

/* ---- bodies and pictures ---- */

/* Pixels of the largest piece of what is darker than half; *total: of all. */
static int32_t largest_piece(const uint8_t *p, int32_t side, int32_t *total)
{
  static int32_t stack[128 * 128];
  static bool seen[128 * 128];
  int32_t best = 0;
  memset(seen, 0, sizeof seen);
  *total = 0;
  for (int32_t start = 0; start < side * side; start++) {
    int32_t depth = 0, size = 0;
    if (p[start] > 127 && !seen[start]) stack[depth++] = start, seen[start] = true;
    while (depth) {
      const int32_t at = stack[--depth], x = at % side, y = at / side;
      const int32_t next[] = {x ? at - 1 : at, x + 1 < side ? at + 1 : at, y ? at - side : at, y + 1 < side ? at + side : at};
      size++;
      for (int32_t i = 0; i < 4; i++)
        if (p[next[i]] > 127 && !seen[next[i]]) stack[depth++] = next[i], seen[next[i]] = true;
    }
    *total += size, best = size > best ? size : best;
  }
  return best;
}

TEST(synth_pictures_show_one_whole_person)
{
  dor_arena a = {0};
  const dor_synth_cfg c = settings(&a, "seed=5");
  static uint8_t out[128 * 128];
  for (int32_t k = 0; k < 60; k++)
    for (int32_t i = 0; i < 10; i++) {
      dor_synth_person p;
      dor_synth_body b;
      int32_t total, edge = 0;
      dor_synth_draw(&c, k, &p);
      dor_synth_pose(&p, i % 2, 0.1 * (i / 2), &b);
      dor_synth_raster(&b, dor_synth_view(&p, 128), 128, out);
      const int32_t piece = largest_piece(out, 128, &total);
      CHECK(piece == total, "person %d picture %d: %d of %d pixels hang together", k, i, piece, total);
      CHECK(total > 600 && total < 2600, "person %d picture %d: %d pixels", k, i, total);
      for (int32_t e = 0; e < 128; e++) edge += out[e] + out[127 * 128 + e] + out[128 * e] + out[128 * e + 127];
      CHECK(!edge, "person %d picture %d touches the edge", k, i);
    }
  dor_arena_release(&a);
}

TEST(synth_bodies_stand_move_and_balance_as_drawn)
{
  dor_arena a = {0};
  const dor_synth_cfg c = settings(&a, "");
  for (int32_t k = 0; k < 60; k++) {
    dor_synth_person p;
    dor_synth_body up, deep, back;
    dor_synth_draw(&c, k, &p);
    dor_synth_pose(&p, DOR_SYNTH_FORWARD, 0, &up), dor_synth_pose(&p, DOR_SYNTH_FORWARD, 0.5, &deep), dor_synth_pose(&p, DOR_SYNTH_BACKWARD, 0.5, &back);
    CHECK(up.head.y > 0.90 * p.height_m && up.head.y < 1.04 * p.height_m, "person %d of %.2f m: head at %.2f m", k, p.height_m, up.head.y);
    CHECK(fabs(dor_synth_flexion(&up)) < 25, "person %d stands at %.1f deg", k, dor_synth_flexion(&up));
    const double ahead = dor_synth_flexion(&deep) - dor_synth_flexion(&up), behind = dor_synth_flexion(&back) - dor_synth_flexion(&up);
    CHECK(ahead > 0.6 * (p.lumbar / 2 + p.pelvis) && ahead < p.lumbar + p.pelvis + 40, "person %d: %.1f of %.1f deg", k, ahead, p.lumbar + p.pelvis);
    CHECK(behind < -0.4 * (p.extension / 2 + p.hip_extension), "person %d: %.1f of %.1f deg back", k, behind, p.extension + p.hip_extension);
    CHECK(deep.joint[DOR_JOINT_right_hip].x < up.joint[DOR_JOINT_right_hip].x && back.joint[DOR_JOINT_right_hip].x > up.joint[DOR_JOINT_right_hip].x,
          "person %d: the hips do not counterbalance", k);
    const dor_point *j = deep.joint, n = j[DOR_JOINT_neck], h = j[DOR_JOINT_right_hip], f = j[DOR_JOINT_right_ankle];
    const double hn = hypot(h.x - n.x, h.y - n.y), ah = hypot(f.x - h.x, f.y - h.y), an = hypot(f.x - n.x, f.y - n.y);
    const double hip = acos((hn * hn + ah * ah - an * an) / (2 * hn * ah)) * (180 / 3.14159265358979323846);
    CHECK(fabs(dor_synth_flexion(&deep) - (180 - hip)) < 1e-6, "law of cosines: %.3f, %.3f", 180 - hip, dor_synth_flexion(&deep));
  }
  dor_arena_release(&a);
}

/* ---- the dataset ---- */

TEST(synth_person_k_does_not_depend_on_the_others)
{
  dor_arena a = {0};
  const dor_synth_cfg five = settings(&a, "subjects=5,frames=6,size=32,seed=9"), three = settings(&a, "subjects=3,frames=6,size=32,seed=9"),
                      other = settings(&a, "subjects=5,frames=6,size=32,seed=10");
  dor_dataset d, e, f, g;
  OK(dor_synth_make(&d, &five));
  OK(dor_synth_make(&e, &five));
  OK(dor_synth_make(&f, &three));
  OK(dor_synth_make(&g, &other));
  const size_t pixels = 32 * 32, all = 5 * 2 * 6 * pixels, trial = 6 * pixels;
  CHECK(!memcmp(d.silhouettes->data, e.silhouettes->data, all), "two cohorts of one seed differ");
  CHECK(memcmp(d.silhouettes->data, g.silhouettes->data, all), "two cohorts of two seeds do not differ");
  CHECK(!memcmp(d.silhouettes->data, f.silhouettes->data, 3 * trial), "forward bends change with the number of people");
  CHECK(!memcmp(d.silhouettes->data + 5 * trial, f.silhouettes->data + 3 * trial, 3 * trial), "backward bends change with the number of people");
  CHECK(!memcmp(d.age, f.age, 3 * sizeof(float)) && !memcmp(d.proms.values, f.proms.values, 9 * sizeof(float)) &&
        !memcmp(d.target[0].value, f.target[0].value, 3 * sizeof(float)), "columns change with the number of people");
  dor_dataset_release(&d), dor_dataset_release(&e), dor_dataset_release(&f), dor_dataset_release(&g);
  dor_arena_release(&a);
}

TEST(synth_cohort_is_a_valid_dataset_and_survives_a_file)
{
  dor_arena a = {0};
  const dor_synth_cfg c = settings(&a, "subjects=6,frames=10,size=48,missing=0.5");
  dor_dataset d, e;
  char path[600];
  snprintf(path, sizeof path, "%s/cohort.h5", test_folder("synth"));
  OK(dor_synth_make(&d, &c));
  OK(dor_dataset_validate(&d));
  OK(dor_dataset_write(&d, path));
  OK(dor_dataset_read(&e, path));
  CHECK(e.synthetic && e.n_subjects == 6 && e.n_trials == 12 && e.n_targets == 2 && e.proms.items.n == 3, "subjects %d trials %d", e.n_subjects, e.n_trials);
  for (int32_t i = 0; i < 2; i++) CHECK(!strcmp(d.target[i].name, e.target[i].name), "target '%s' comes back as '%s'", d.target[i].name, e.target[i].name);
  REQUIRE(e.n_silhouettes == 1 && e.n_keypoints == 1 && e.n_angles == 1, "%d %d %d", e.n_silhouettes, e.n_keypoints, e.n_angles);
  CHECK(!memcmp(d.silhouettes->data, e.silhouettes->data, 12 * 10 * 48 * 48), "silhouettes");
  CHECK(!memcmp(d.keypoints->data, e.keypoints->data, sizeof(float) * 120 * DOR_SYNTH_JOINTS * 3), "keypoints");
  CHECK(!strcmp(e.keypoints->joint[DOR_JOINT_s1], "s1") && e.keypoints->parent[DOR_JOINT_s1] == -1 && e.keypoints->parent[DOR_JOINT_nose] == DOR_JOINT_neck,
        "joints");
  int32_t missing = 0;
  for (int32_t i = 0; i < 18; i++) missing += isnan(e.proms.values[i]) != 0;
  CHECK(missing > 2 && missing < 16, "%d of 18 totals are missing", missing);
  CHECK(!strcmp(e.movement[0], "forward") && !strcmp(e.movement[6], "backward") && e.trial_subject[8] == 2, "trials");
  dor_dataset_release(&d), dor_dataset_release(&e);
  dor_arena_release(&a);
}

TEST(synth_settings_are_checked)
{
  static const struct { const char *text, *says; } bad[] = {
    {"subject=4", "did you mean 'subjects'"}, {"subjects=0", "subjects"}, {"d=9", "'d'"}, {"subjects", "subjects"}};
  dor_arena a = {0};
  dor_synth_cfg c;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    dor_status s = dor_synth_parse(&a, bad[i].text, &c);
    CHECK(dor_status_exit(s) == 2 && strstr(dor_errmsg(), bad[i].says), "%s: %s", bad[i].text, s ? dor_errmsg() : "passed");
  }
  OK(dor_synth_parse(&a, "subjects=7,d=0.6", &c));
  CHECK(c.subjects == 7 && c.d == 0.6 && c.seed == 1 && c.size == 128, "%lld %g", (long long)c.subjects, c.d);
  dor_arena_release(&a);
}

TEST(synth_says_what_it_assumes)
{
  dor_str s = {0};
  dor_synth_assumptions(&s);
  OK(dor_str_status(&s));
  CHECK(strstr(s.s, "| lumbar_gap | 12 | deg | assumed |") && strstr(s.s, "no patients"), "%.300s", s.s);
  dor_str_release(&s);
}
