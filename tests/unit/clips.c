/* SPDX-License-Identifier: Apache-2.0
 *
 * Clips of a cohort: who is in which video, and the dataset that comes of it. */
#include "movement/clips.h"

#include <math.h>
#include <string.h>

#include "base/io.h"
#include "data/check.h"
#include "tests/test.h"
#include "tests/unit/film.h"

enum { K = 5, MOST = 12 };

static const char *const joints[K] = {"nose", "left_shoulder", "right_shoulder", "right_hip", "right_ankle"};
static const dor_keypoints set = {.name = "custom", .k = K, .joint = joints};

static void put(const char *folder, const char *name, const char *text) { OK(dor_io_write(film_in(folder, name), text, strlen(text))); }

/* A cohort of three people and four videos, one of which nobody labelled. */
static void cohort(const char *folder)
{
  put(folder, "cohort.cfg", "name = \"bending\"; license = \"CC0-1.0\"; ids = \"keep\";\n"
                            "videos = { table = \"manifest.csv\"; folder = \"v\"; };\n"
                            "labels = { table = \"labels.csv\"; subject = \"code\"; targets = ( { name = \"class\"; classes = [\"MI\", \"MCI\"]; } ); };\n"
                            "people = { table = \"labels.csv\"; subject = \"code\"; age = \"age\"; };\n");
  put(folder, "labels.csv", "code,class,age\nA,MI,40\nB,MCI,50\n");
  put(folder, "manifest.csv", "file,code,movement,side,remark\nb.mp4,B,forward,right,\na.mp4,A,forward,,\nday2/a.mp4,A,backward,right,\nc.mp4,C,forward,,\n");
  OK(dor_io_mkdirs(film_in(folder, "v/day2")));
  put(folder, "v/a.mp4", "a"), put(folder, "v/b.mp4", "b"), put(folder, "v/day2/a.mp4", "c"), put(folder, "v/c.mp4", "d");
}

typedef struct shot { dor_watched w; dor_track t; dor_watched_frame frame[MOST]; float joint[MOST * K * 3]; uint8_t state[MOST * K]; } shot;

/* A person who stands (odd frames) or bends by 90 degrees and looks to the right, n frames. */
static void shoot(shot *s, int32_t n, double begin_s)
{
  static const double standing[K][2] = {{108, 20}, {100, 30}, {100, 30}, {100, 60}, {100, 100}};
  static const double bent[K][2] = {{140, 64}, {130, 60}, {130, 60}, {100, 60}, {100, 100}};
  *s = (shot){.w = {.n = n, .k = K, .frame = s->frame, .video = {.w = 320, .h = 240}}, .t = {.n = n, .k = K, .joint = s->joint, .state = s->state}};
  for (int32_t i = 0; i < n; i++) {
    s->frame[i].time_s = begin_s + i / 25.0;
    for (int32_t k = 0; k < K; k++) {
      float *j = s->joint + 3 * (i * K + k);
      j[0] = (float)(i % 2 ? standing : bent)[k][0], j[1] = (float)(i % 2 ? standing : bent)[k][1], j[2] = 0.75f;
      s->state[i * K + k] = DOR_TRACK_SEEN;
    }
  }
  s->state[3 * K + 1] = DOR_TRACK_FILLED, s->joint[3 * (3 * K + 1) + 2] = 0;
  s->state[4 * K + 3] = DOR_TRACK_ABSENT;
  float *gone = s->joint + 3 * (4 * K + 3);
  gone[0] = gone[1] = NAN, gone[2] = 0;
}

static void check_trials(const dor_dataset *d)
{
  REQUIRE(d->n_subjects == 3 && d->n_trials == 3 && d->n_keypoints == 1 && d->n_angles == 1, "%d people, %d trials", d->n_subjects, d->n_trials);
  CHECK(!strcmp(d->id[0], "A") && !strcmp(d->id[1], "B") && !strcmp(d->id[2], "C") && d->age[1] == 50 && isnan(d->age[2]), "%s %s", d->id[0], d->id[1]);
  CHECK(d->trial_subject[0] == 1 && d->trial_subject[1] == 0 && d->trial_subject[2] == 0, "who: %d %d", d->trial_subject[0], d->trial_subject[1]);
  CHECK(!strcmp(d->movement[0], "forward") && !strcmp(d->movement[2], "backward") && !strcmp(d->side[0], "right") && !d->side[1][0], "%s", d->movement[2]);
  CHECK(fabsf(d->fps[0] - 25) < 1e-4f && d->width[0] == 320 && d->height[0] == 240 && d->synthetic && !strcmp(d->stamp, "SYNTHETIC QUICK"), "%g",
        (double)d->fps[0]);
  const dor_target *t = dor_dataset_target(d, "class");
  REQUIRE(t && t->n == 3, "the target");
  CHECK(t->value[0] == 0 && t->value[1] == 1 && isnan(t->value[2]), "labels");
}

static void check_series(const dor_dataset *d)
{
  const dor_series *s = &d->keypoints[0], *a = &d->angles[0];
  CHECK(!strcmp(s->name, "w8") && !strcmp(a->name, "w8") && !strcmp(s->axes, "x y conf") && s->n == 6 + 12 + 8 && s->k == K && s->a == 3, "%s", s->name);
  CHECK(s->first[0] == 0 && s->count[0] == 6 && s->first[1] == 6 && s->count[1] == 12 && s->first[2] == 18 && s->count[2] == 8, "%d", s->first[1]);
  CHECK(!strcmp(s->joint[3], "right_hip") && !strcmp(a->unit, "deg"), "%s", s->joint[3]);
  REQUIRE(s->time_s && s->state, "no times or flags");
  for (int32_t t = 0; t < 3; t++) {
    const int32_t at = s->first[t];
    CHECK(s->time_s[at] == (t == 1 ? 1234.5 : 0) && s->time_s[at + 5] == (t == 1 ? 1234.5 : 0) + 5 / 25.0, "trial %d from %.9g s", t, s->time_s[at]);
    CHECK(s->state[(at + 3) * K + 1] == 1 && s->state[(at + 4) * K + 3] == 0 && s->state[at * K] == 2, "flags of trial %d", t);
    CHECK(isnan(s->data[3 * ((at + 4) * K + 3)]) && s->data[3 * (at * K + 3)] == 100 && s->data[3 * (at * K + 3) + 2] == 0.75f, "joints of trial %d", t);
    CHECK(fabsf(a->data[at] - 90) < 1e-3f && fabsf(a->data[at + 1]) < 1e-3f && isnan(a->data[at + 4]), "trial %d: %g %g %g deg", t, (double)a->data[at],
          (double)a->data[at + 1], (double)a->data[at + 4]);
  }
}

TEST(clips_of_a_cohort_are_a_dataset)
{
  const char *dir = test_folder("clips"), *cfg = film_in(dir, "cohort.cfg"), *out = film_in(dir, "clips.h5");
  static const int32_t frames[3] = {6, 12, 8};
  static shot s;
  dor_clips c;
  dor_dataset d;
  dor_str said = {0};
  cohort(dir);
  OK(dor_clips_open(&c, cfg));
  REQUIRE(c.who.n == 4 && c.who.keypoints && c.who.angles && !c.named, "%d recordings", c.who.n);
  CHECK(strstr(c.who.at[2].path, "/v/day2/a.mp4") && !strcmp(c.who.at[2].file, "a.mp4"), "%s", c.who.at[2].path);
  OK(dor_clips_name(&c));
  for (int32_t i = 2; i >= 0; i--) { /* in any order; the last was left out */
    shoot(&s, frames[i], i == 1 ? 1234.5 : 0);
    OK(dor_clips_take(&c, i, &s.w, &s.t));
  }
  OK(dor_clips_write(&c, &(dor_clips_facts){.name = "w8", .keypoints = &set, .weights_sha256 = "0123456789abcdef", .stamp = "SYNTHETIC QUICK"}, out));
  dor_clips_release(&c);
  OK(dor_dataset_read(&d, out));
  CHECK(!strcmp(d.created_by, "dorsum pose, weights 0123456789ab") && !strcmp(d.name, "bending"), "%s", d.created_by);
  check_trials(&d);
  check_series(&d);
  dor_dataset_release(&d);
  OK(dor_check_file(out, false, &said));
  CHECK(said.s && strstr(said.s, "SYNTHETIC") && strstr(said.s, "26 frames of keypoints") && strstr(said.s, "usable"), "%s", said.s);
  dor_str_release(&said);
  CHECK(!dor_io_exists(film_in(dir, "cohort.cfg.private.key")), "study codes need no pseudonyms");
}

/* A manifest alone: pseudonyms, no target, and so only a warning. */
TEST(clips_of_a_manifest_have_pseudonyms)
{
  const char *dir = test_folder("clips_manifest"), *csv = film_in(dir, "manifest.csv"), *out = film_in(dir, "clips.h5");
  static shot s;
  dor_clips c;
  dor_dataset d;
  dor_str said = {0};
  put(dir, "manifest.csv", "record_id,file\nSmith,x.mp4\n"), put(dir, "x.mp4", "x");
  OK(dor_clips_open(&c, csv));
  OK(dor_clips_name(&c));
  shoot(&s, 7, 0);
  OK(dor_clips_take(&c, 0, &s.w, &s.t));
  OK(dor_clips_write(&c, &(dor_clips_facts){.name = "w8", .keypoints = &set, .weights_sha256 = "00"}, out));
  dor_clips_release(&c);
  OK(dor_dataset_read(&d, out));
  CHECK(strlen(d.id[0]) == 13 && d.id[0][0] == 's' && !d.synthetic && d.n_trials == 1, "%s", d.id[0]);
  dor_dataset_release(&d);
  OK(dor_check_file(out, false, &said));
  CHECK(said.s && strstr(said.s, "warning: no target"), "%s", said.s);
  dor_str_release(&said);
  CHECK(dor_io_exists(film_in(dir, "manifest.csv.private.csv")), "nobody knows who is who");
}

/* Keypoints without a hip are kept without angles; nothing taken is an error. */
TEST(clips_without_a_hip_have_no_angles)
{
  static const char *const spine[K] = {"C7", "T12", "L1", "S1", "nose"};
  const dor_keypoints other = {.name = "custom", .k = K, .joint = spine};
  const char *dir = test_folder("clips_spine"), *out = film_in(dir, "clips.h5");
  const dor_clips_facts facts = {.name = "w8", .keypoints = &other, .weights_sha256 = "00"};
  static shot s;
  dor_clips c;
  dor_dataset d;
  cohort(dir);
  OK(dor_clips_open(&c, film_in(dir, "cohort.cfg")));
  CHECK(dor_clips_write(&c, &facts, out) == DOR_E_DATA && !dor_io_exists(out), "%s", dor_errmsg());
  shoot(&s, 6, 0);
  OK(dor_clips_take(&c, 0, &s.w, &s.t));
  OK(dor_clips_write(&c, &facts, out));
  dor_clips_release(&c);
  OK(dor_dataset_read(&d, out));
  CHECK(d.n_keypoints == 1 && d.n_angles == 0, "%d angles", d.n_angles);
  dor_dataset_release(&d);
}

static void refused(const char *dir, const char *cfg, const char *manifest, dor_status want, const char *says)
{
  dor_clips c;
  put(dir, "cohort.cfg", cfg), put(dir, "manifest.csv", manifest);
  const dor_status s = dor_clips_open(&c, film_in(dir, "cohort.cfg"));
  CHECK(s == want && strstr(dor_errmsg(), says), "%d: '%s', wanted '%s'", s, s ? dor_errmsg() : "accepted", says);
  dor_clips_release(&c);
}

TEST(clips_refuse_a_bad_manifest)
{
  static const char plain[] = "videos = { table = \"manifest.csv\"; };";
  const char *dir = test_folder("clips_bad");
  put(dir, "p.csv", "id,x\nA,1\n");
  refused(dir, plain, "subject,file\nA,/etc/a.mp4\n", DOR_E_DATA, "manifest.csv:2: file: a path below");
  refused(dir, plain, "subject,file\nA,../a.mp4\n", DOR_E_DATA, "manifest.csv:2: file: a path below");
  refused(dir, plain, "subject,file\nA,a.mp4\nB,\n", DOR_E_DATA, "manifest.csv:3: file is empty");
  refused(dir, plain, "subject,file\nA,a.mp4\n,b.mp4\n", DOR_E_DATA, "manifest.csv:3: subject is empty");
  refused(dir, plain, "subject,file\nA,a.mp4\nB,b.mp4\nB,a.mp4\n", DOR_E_DATA, "manifest.csv:4: file: this video has a row already");
  refused(dir, plain, "subject,movie\nA,a.mp4\n", DOR_E_DATA, "manifest.csv:1: no column 'file'");
  refused(dir, plain, "patient,file\nA,a.mp4\n", DOR_E_DATA, "manifest.csv:1: no column 'subject'");
  refused(dir, plain, "subject,file,movment\nA,a.mp4,forward\n", DOR_E_DATA, "did you mean 'movement'");
  refused(dir, "\nvideos = { table = \"manifest.csv\"; keep = [\"silhouettes\"]; };", "subject,file\nA,a.mp4\n", DOR_E_CONFIG,
          "cohort.cfg:2: keep: 'silhouettes' cannot be kept");
  refused(dir, "features = { table = \"p.csv\"; subject = \"id\"; columns = [\"x\"]; };", "", DOR_E_CONFIG, "no videos = { table");
  refused(dir, "videos = { table = \"manifest.csv\"; every = 2; };", "subject,file\nA,a.mp4\n", DOR_E_CONFIG, "videos.'every' does not exist yet");
}
