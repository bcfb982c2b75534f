/* SPDX-License-Identifier: Apache-2.0
 *
 * The synthetic cohort on film: videos, pictures and annotations agree with the
 * truth beside them, and say that they are synthetic. */
#include "data/synth_film.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/tree.h"
#include "data/coco.h"
#include "data/picture.h"
#include "data/synth_body.h"
#include "data/video.h"
#include "tests/test.h"

enum { PEOPLE = 2, SIDE = 96 };

static const char *in(const char *folder, const char *name)
{
  static char path[8][1024];
  static int i;
  char *p = path[i++ % 8];
  snprintf(p, sizeof path[0], "%s/%s", folder, name);
  return p;
}

static dor_synth_film_cfg filming(dor_arena *a)
{
  dor_synth_film_cfg f;
  OK(dor_schema_defaults(dor_synth_film_keys, &f, a));
  f.side = SIDE, f.fps = 8, f.every = 4, f.grain = 1;
  return f;
}

static dor_status film(const char *dir, const dor_synth_film_cfg *f, dor_synth_watch *watch, dor_dataset *d)
{
  dor_arena a = {0};
  dor_synth_cfg c;
  OK(dor_synth_parse(&a, "subjects=2,size=32,seed=4", &c));
  OK(dor_synth_make_film(d, &c, f));
  dor_status s = dor_synth_film(d, &c, f, dir, watch, NULL);
  dor_arena_release(&a);
  return s;
}

/* Each annotated key point is that of the truth, in its picture, and inside the person's box but for the outermost. */
static void check_annotations(const char *dir, const dor_dataset *d)
{
  dor_coco c = {0};
  OK(dor_coco_read(&c, in(dir, "annotations.json")));
  CHECK(c.synthetic && c.n_images == c.n_annotations && c.n_images >= 2 * PEOPLE * 4 && c.category->k == 17, "%d pictures", c.n_images);
  CHECK(!strcmp(c.category->joint[10], "right_wrist") && c.category->n_bones > 8, "%s, %d bones", c.category->joint[10], c.category->n_bones);
  CHECK(c.image[0].id == 4000001 && c.image[1].id == 4000002, "image ids from %lld", (long long)c.image[0].id);
  int32_t at = 0;
  for (int32_t t = 0; t < d->n_trials; t++)
    for (int32_t i = 0; i < d->keypoints->count[t]; i += 4, at++) {
      const dor_coco_annotation *x = &c.annotation[at];
      const float *truth = d->keypoints->data + ((size_t)d->keypoints->first[t] + (size_t)i) * DOR_SYNTH_JOINTS * 3;
      dor_picture p;
      for (int32_t j = 0; j < 17; j++)
        CHECK(fabs(x->keypoint[3 * j] - (double)truth[3 * j]) < 1e-3 &&
              fabs(x->keypoint[3 * j + 1] - (double)truth[3 * j + 1]) < 1e-3, "annotation %d, %d", at, j);
      CHECK(x->keypoint[DOR_JOINT_left_hip * 3 + 2] == 1 && x->keypoint[DOR_JOINT_right_hip * 3 + 2] == 2, "hidden and seen");
      const double *hip = &x->keypoint[3 * DOR_JOINT_right_hip];
      CHECK(hip[0] > x->bbox[0] && hip[0] < x->bbox[0] + x->bbox[2] && hip[1] > x->bbox[1] && hip[1] < x->bbox[1] + x->bbox[3], "the hip is outside");
      CHECK(x->area > 0.15 * x->bbox[2] * x->bbox[3] && x->area < 0.9 * x->bbox[2] * x->bbox[3] && x->segment.n_runs > 20, "area %g", x->area);
      OK(dor_picture_read(in(dir, dor_arena_fmt(&c.arena, "frames/%s", c.image[x->image].file)), 3, &p));
      CHECK(p.h == SIDE && p.w == SIDE && p.synthetic, "%d x %d, its tag %d", p.h, p.w, p.synthetic);
      dor_free(p.pixels);
    }
  CHECK(at == c.n_annotations, "%d of %d", at, c.n_annotations);
  dor_coco_release(&c);
}

static void check_videos(const char *dir, const dor_dataset *d)
{
  dor_arena a = {0};
  dor_csv m;
  static uint8_t rgb[SIDE * SIDE * 3];
  OK(dor_csv_read(&a, in(dir, "manifest.csv"), &m));
  REQUIRE(m.n_rows == d->n_trials, "%d rows", m.n_rows);
  for (int32_t t = 0; t < m.n_rows; t++) {
    dor_video *v;
    double time_s;
    bool more = true;
    int32_t n = 0;
    OK(dor_video_open(in(dir, dor_arena_fmt(&a, "videos/%s", dor_csv_at(&m, t, 0))), &v));
    CHECK(dor_video_of(v)->synthetic && dor_video_of(v)->w == SIDE && !dor_video_of(v)->variable, "%s", dor_csv_at(&m, t, 0));
    while (more) {
      OK(dor_video_next(v, rgb, &time_s, &more));
      if (more) CHECK(fabs(time_s - n++ / 8.0) < 1.2e-5, "frame %d at %g s", n, time_s);
    }
    CHECK(n == d->keypoints->count[t], "%d frames, the truth has %d", n, d->keypoints->count[t]);
    dor_video_close(v);
  }
  dor_arena_release(&a);
}

TEST(synth_film_agrees_with_its_truth)
{
  dor_arena a = {0};
  const dor_synth_film_cfg f = filming(&a);
  dor_dataset d, e;
  char dir[512], one[DOR_HASH_HEX], two[DOR_HASH_HEX];
  snprintf(dir, sizeof dir, "%s", test_folder("film"));
  const dor_status s = film(dir, &f, NULL, &d);
  if (s == DOR_E_UNSUPPORTED) SKIP("1 cohort: ffmpeg is not installed");
  OK(s);
  OK(dor_dataset_validate(&d));
  check_annotations(dir, &d);
  check_videos(dir, &d);
  CHECK(d.n_angles == 2 && d.synthetic && d.fps[0] == 8 && d.width[0] == SIDE, "%d angles", d.n_angles);
  for (int32_t i = 0; i < d.angles[0].n; i++)
    CHECK(fabs((double)(d.angles[0].data[i] - d.angles[1].data[i])) < 25 && d.angles[0].data[i] != d.angles[1].data[i], "frame %d: %g and %g", i,
          (double)d.angles[0].data[i], (double)d.angles[1].data[i]);
  dor_tree *cfg;
  OK(dor_tree_read(&a, in(dir, "cohort.cfg"), &cfg));
  CHECK(dor_tree_find(cfg, "synthetic") && dor_tree_find(cfg, "synthetic")->b, "cohort.cfg does not say synthetic = true");
  OK(dor_hash_file(in(dir, "videos/S001_forward.mp4"), one));
  OK(film(dir, &f, NULL, &e));
  OK(dor_hash_file(in(dir, "videos/S001_forward.mp4"), two));
  CHECK(!strcmp(one, two), "the same video has other bytes");
  dor_dataset_release(&d), dor_dataset_release(&e);
  dor_arena_release(&a);
}

static bool never(void *to, int32_t done, int32_t of)
{
  (void)to, (void)of;
  return done < 1;
}

TEST(synth_film_can_be_stopped_and_refuses_joints_it_has_not)
{
  dor_arena a = {0};
  dor_synth_film_cfg f = filming(&a);
  const char *const names[] = {"neck", "right_hipp"}, *const good[] = {"neck", "right_hip", "right_ankle"};
  dor_dataset d;
  char dir[512];
  snprintf(dir, sizeof dir, "%s", test_folder("film_stop"));
  f.joints = (dor_texts){2, names};
  CHECK(film(dir, &f, NULL, &d) == DOR_E_CONFIG && strstr(dor_errmsg(), "did you mean 'right_hip'"), "%s", dor_errmsg());
  dor_dataset_release(&d);
  CHECK(!dor_io_exists(in(dir, "videos")) && !dor_synth_film_room(dir, false), "something was written");
  f.joints = (dor_texts){3, good};
  const dor_status s = film(dir, &f, never, &d);
  if (s == DOR_E_UNSUPPORTED) SKIP("1 cohort: ffmpeg is not installed");
  size_t n;
  const char *const *left;
  OK(dor_io_list(&a, dir, &left, &n));
  CHECK(s == DOR_E_STOPPED && n == 0, "%d, '%s' is left", s, n ? left[0] : "");
  dor_dataset_release(&d);
  OK(dor_io_mkdirs(in(dir, "videos")));
  OK(dor_io_write(in(dir, "videos/S009_forward.mp4"), "", 0));
  CHECK(dor_synth_film_room(dir, false) == DOR_E_USAGE && strstr(dor_errmsg(), "videos is not empty"), "%s", dor_errmsg());
  OK(dor_synth_film_room(dir, true));
  OK(film(dir, &f, NULL, &d));
  CHECK(!dor_io_exists(in(dir, "videos/S009_forward.mp4")) && dor_io_exists(in(dir, "videos/S001_forward.mp4")), "an earlier cohort's video is left");
  dor_dataset_release(&d);
  OK(dor_io_write(in(dir, "frames/mine.jpg"), "", 0));
  CHECK(dor_synth_film_room(dir, true) == DOR_E_USAGE && strstr(dor_errmsg(), "mine.jpg"), "%s", dor_errmsg());
  dor_arena_release(&a);
}

/* The body stands out from the room, in the colours it wears; a mask and a picture have one outline. */
TEST(synth_paint_covers_the_silhouette)
{
  enum { S = 128 };
  static uint8_t mask[S * S], room[S * S * 3], picture[S * S * 3];
  dor_arena a = {0};
  dor_synth_cfg c;
  OK(dor_synth_parse(&a, "seed=6", &c));
  for (int32_t k = 0; k < 12; k++) {
    dor_synth_person p;
    dor_synth_body b;
    dor_synth_look look;
    int32_t in_mask = 0, changed = 0, outside = 0;
    dor_synth_draw(&c, k, &p), dor_synth_dress(&c, k, &look);
    dor_synth_pose(&p, k % 2, 0.04 * k, &b);
    dor_synth_raster(&b, dor_synth_view(&p, S), S, mask);
    dor_synth_room(&c, k, S, room);
    memcpy(picture, room, sizeof room);
    dor_synth_paint(&b, dor_synth_view(&p, S), &look, S, picture);
    for (int32_t i = 0; i < S * S; i++) {
      const bool differs = memcmp(room + 3 * i, picture + 3 * i, 3) != 0;
      in_mask += mask[i] > 127, changed += mask[i] > 127 && differs, outside += mask[i] == 0 && differs;
    }
    CHECK(changed > 0.97 * in_mask, "person %d: %d of %d pixels are painted", k, changed, in_mask);
    CHECK(outside < 0.1 * in_mask, "person %d: %d pixels are painted outside", k, outside); /* clothes are a little wider than the body */
  }
  dor_arena_release(&a);
}
