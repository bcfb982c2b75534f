/* SPDX-License-Identifier: Apache-2.0
 *
 * The pose loader: the same batches whatever the threads, from any place; what it
 * refuses. Pictures are PNG files of one colour each, so that a row shows whose it is. */
#include "tests/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

#include "base/io.h"
#include "base/mem.h"
#include "data/pose_loader.h"

enum { PICTURES = 7, BATCH = 3, INPUT = 32 };

static char folder[512];

static void put_picture(int i, int h, int w)
{
  char path[600];
  png_image im = {.version = PNG_IMAGE_VERSION, .width = (unsigned)w, .height = (unsigned)h, .format = PNG_FORMAT_RGB};
  uint8_t *p = malloc((size_t)(h * w * 3));
  memset(p, 10 * (i + 1), (size_t)(h * w * 3));
  snprintf(path, sizeof path, "%s/%d.png", folder, i);
  REQUIRE(png_image_write_to_file(&im, path, 0, p, 0, NULL), "%s", im.message);
  free(p);
}

static int height(int i) { return 20 + 3 * i; }
static int width(int i) { return 40 - 4 * i; }

/* Each picture with a person, a crowd over its left half, and a second person without joints in the corner. */
static void put_annotations(dor_str *s)
{
  dor_str_add(s, "{\"categories\": [{\"id\": 1, \"name\": \"person\", \"keypoints\": [\"left_a\", \"right_a\", \"b\"]}],\n\"images\": [");
  for (int i = 0; i < PICTURES; i++)
    dor_str_fmt(s, "%s{\"id\": %d, \"file_name\": \"%d.png\", \"height\": %d, \"width\": %d}", i ? ", " : "", i, i, height(i), width(i));
  dor_str_add(s, "],\n\"annotations\": [");
  for (int i = 0; i < PICTURES; i++) {
    const int h = height(i), left = width(i) / 2, right = width(i) - left;
    dor_str_fmt(s, "%s{\"id\": %d, \"image_id\": %d, \"category_id\": 1, \"keypoints\": [3, 4, 2, 12, 9, 1, 0, 0, 0]},\n", i ? ", " : "", 3 * i, i);
    dor_str_fmt(s, "{\"id\": %d, \"image_id\": %d, \"category_id\": 1, \"iscrowd\": 1, \"keypoints\": [0, 0, 0, 0, 0, 0, 0, 0, 0], "
                "\"segmentation\": {\"size\": [%d, %d], \"counts\": [0, %d, %d]}},\n", 3 * i + 1, i, h, width(i), h * left, h * right);
    dor_str_fmt(s, "{\"id\": %d, \"image_id\": %d, \"category_id\": 1, \"keypoints\": [0, 0, 0, 0, 0, 0, 0, 0, 0], "
                "\"segmentation\": [[%d, -1, %d, -1, %d, 4]]}", 3 * i + 2, i, width(i) - 4, width(i) + 1, width(i) + 1);
  }
  dor_str_add(s, "]}");
}

typedef struct world { dor_coco coco; dor_arena arena; dor_keypoints keypoints; dor_pose_set set; dor_pose_augment_cfg augment; } world;

static void open_world(world *w, const char *name)
{
  static const char *const names[] = {"left_a", "right_a", "b"};
  dor_str s = {0};
  *w = (world){0};
  snprintf(folder, sizeof folder, "%s", test_folder(name));
  if (dor_io_remove_tree(folder) || dor_io_mkdirs(folder)) abort();
  for (int i = 0; i < PICTURES; i++) put_picture(i, height(i), width(i));
  put_annotations(&s);
  OK(dor_coco_parse(&w->coco, "a.json", s.s, s.n));
  dor_str_release(&s);
  dor_keypoints_cfg c = {.set = "custom", .names = {3, names}};
  OK(dor_keypoints_make(&w->arena, &c, NULL, &w->keypoints));
  OK(dor_pose_set_make(&w->arena, &w->coco, 0, &w->keypoints, folder, &w->set));
  OK(dor_schema_defaults(dor_pose_augment_keys, &w->augment, &w->arena));
}

static void close_world(world *w)
{
  dor_coco_release(&w->coco);
  dor_arena_release(&w->arena);
}

static dor_pose_loader_cfg loader_of(const world *w, int threads)
{
  return (dor_pose_loader_cfg){.set = &w->set, .augment = &w->augment, .seed = 5, .batch = BATCH, .threads = threads, .input = INPUT, .n_scales = 2,
                               .map = {INPUT / 4, INPUT / 2}, .people = 4};
}

static uint64_t add(uint64_t h, const void *p, size_t n)
{
  for (size_t i = 0; i < n; i++) h = (h ^ ((const uint8_t *)p)[i]) * 0x100000001b3u;
  return h;
}

/* All that a batch says; pictures only as far as they go. */
static uint64_t digest(const world *w, const dor_pose_batch *b)
{
  uint64_t h = 0xcbf29ce484222325u;
  const size_t canvas = (size_t)w->set.h * (size_t)w->set.w;
  for (int i = 0; i < BATCH; i++)
    for (int32_t y = 0; y < b->size[2 * i]; y++) {
      h = add(h, b->picture + ((size_t)i * canvas + (size_t)(y * w->set.w)) * 3, (size_t)b->size[2 * i + 1] * 3);
      h = add(h, b->mask + (size_t)i * canvas + (size_t)(y * w->set.w), (size_t)b->size[2 * i + 1]);
    }
  h = add(h, b->path, BATCH * 4 * INPUT * sizeof(int32_t));
  for (int s = 0; s < 2; s++) h = add(h, b->joint[s], BATCH * 4 * 3 * 3 * sizeof(int32_t));
  return add(add(h, b->tag, BATCH * 4 * 3 * 2 * sizeof(int32_t)), b->image, BATCH * sizeof(int32_t));
}

TEST(pose_loader_is_the_same_whatever_the_threads)
{
  enum { BATCHES = 10 };
  uint64_t want[BATCHES];
  world w;
  open_world(&w, "pose_loader");
  CHECK(w.set.n == PICTURES && w.set.people == 2 && w.set.h == height(PICTURES - 1) && w.set.w == width(0), "%d pictures, %d people", w.set.n, w.set.people);
  static const int threads[] = {0, 1, 4};
  for (int t = 0; t < 3; t++) {
    dor_pose_loader_cfg c = loader_of(&w, threads[t]);
    dor_pose_loader *l;
    dor_pose_batch b;
    OK(dor_pose_loader_new(&l, &c));
    CHECK(dor_pose_loader_batches(l) == 3, "%lld batches", (long long)dor_pose_loader_batches(l));
    for (int k = 0; k < BATCHES; k++) {
      OK(dor_pose_loader_next(l, &b));
      if (!t) want[k] = digest(&w, &b);
      CHECK(digest(&w, &b) == want[k], "batch %d with %d threads", k, threads[t]);
    }
    OK(dor_pose_loader_seek(l, 1, 2));
    for (int k = 5; k < BATCHES; k++) {
      OK(dor_pose_loader_next(l, &b));
      CHECK(digest(&w, &b) == want[k], "batch %d after a seek with %d threads", k, threads[t]);
    }
    dor_pose_loader_free(l);
  }
  for (int i = 0; i < BATCHES; i++)
    for (int j = 0; j < i; j++) CHECK(want[i] != want[j], "batches %d and %d are equal", i, j);
  close_world(&w);
}

TEST(pose_loader_rows_are_what_the_file_says)
{
  world w;
  dor_pose_loader *l;
  dor_pose_batch b;
  int seen[PICTURES] = {0};
  open_world(&w, "pose_rows");
  w.augment = (dor_pose_augment_cfg){.side = DOR_SIDE_LONG, .scale_min = 1, .scale_max = 1, .flip = 1};
  dor_pose_loader_cfg c = loader_of(&w, 2);
  OK(dor_pose_loader_new(&l, &c));
  for (int k = 0; k < 3; k++) {
    OK(dor_pose_loader_next(l, &b));
    for (int i = 0; i < BATCH; i++) {
      const int n = b.image[i], h = height(n), v = width(n), side = h > v ? h : v;
      const uint8_t *mask = b.mask + (size_t)i * (size_t)(w.set.h * w.set.w);
      seen[n]++;
      CHECK(b.size[2 * i] == h && b.size[2 * i + 1] == v && b.picture[(size_t)i * (size_t)(w.set.h * w.set.w * 3)] == 10 * (n + 1), "picture %d", n);
      CHECK(mask[0] == 0 && mask[v / 2] == 255 && mask[v - 1] == 0, "mask of picture %d: %d %d %d", n, mask[0], mask[v / 2], mask[v - 1]);
      const int32_t *j = b.joint[1] + i * 4 * 9, r = INPUT / 2; /* mirrored: left_a of the file is right_a, from the right */
      const double x = r - (r * (3 - v / 2.0) / side + r / 2.0) - 1, y = r * (4 - h / 2.0) / side + r / 2.0;
      CHECK(j[3] == (int)x && j[4] == (int)y && j[5] == 1 && j[2] == 1 && j[8] == 0, "joints of picture %d: %d,%d for %g,%g", n, j[3], j[4], x, y);
    }
  }
  for (int i = 0; i < PICTURES; i++) CHECK(seen[i] >= 1 && seen[i] <= 2, "picture %d was seen %d times in an epoch", i, seen[i]);
  dor_pose_loader_free(l);
  close_world(&w);
}

/* The first row of a loader without any augmentation, copied. */
typedef struct first { int32_t image, size[2], path[4 * 8], joint[4 * 9]; uint8_t corner, mask[3]; } first;

static first first_of(const world *w)
{
  first f;
  dor_pose_loader *l;
  dor_pose_batch b;
  dor_pose_loader_cfg c = loader_of(w, 0);
  c.input = 8, c.map[0] = 2, c.map[1] = 4;
  OK(dor_pose_loader_new(&l, &c));
  OK(dor_pose_loader_next(l, &b));
  f.image = b.image[0];
  memcpy(f.size, b.size, sizeof f.size), memcpy(f.path, b.path, sizeof f.path), memcpy(f.joint, b.joint[1], sizeof f.joint);
  f.corner = b.picture[((size_t)(f.size[0] - 1) * (size_t)w->set.w + (size_t)f.size[1]) * 3 - 1];
  f.mask[0] = b.mask[0], f.mask[1] = b.mask[f.size[1] / 2 + 1], f.mask[2] = b.mask[f.size[1] - 1];
  CHECK(dor_pose_loader_bytes(&c) == (size_t)(3 * BATCH * 4 * w->set.h * w->set.w), "%zu bytes", dor_pose_loader_bytes(&c));
  dor_pose_loader_free(l);
  return f;
}

/* A picture of at least twice the pixels that its tightest crop needs is held smaller; the crop shows the same. */
TEST(pose_loader_holds_large_pictures_smaller)
{
  world w;
  open_world(&w, "pose_held");
  w.augment = (dor_pose_augment_cfg){.side = DOR_SIDE_SHORT, .scale_min = 0.5, .scale_max = 0.5};
  const first whole = first_of(&w);
  dor_pose_set_reduce(&w.set, &w.augment, 3); /* the short side must keep 6 pixels: 20 x 40 becomes 7 x 14 */
  const first held = first_of(&w);
  const int h = height(whole.image), v = width(whole.image), n = (h < v ? h : v) / 6;
  const double sx = (double)v / held.size[1], sy = (double)h / held.size[0];
  CHECK(w.set.h < 20 && w.set.w <= 20 && n > 1 && held.image == whole.image, "held at up to %d x %d", w.set.h, w.set.w);
  CHECK(held.size[0] == (h + n - 1) / n && held.size[1] == (v + n - 1) / n && held.corner == whole.corner,
        "%d x %d of %d x %d", held.size[0], held.size[1], h, v);
  CHECK(held.mask[0] == 0 && held.mask[1] == 255 && held.mask[2] < 255, "mask: %d %d %d", held.mask[0], held.mask[1], held.mask[2]);
  CHECK(!memcmp(held.joint, whole.joint, sizeof held.joint), "the joints moved");
  for (int i = 0; i < 8; i++)
    for (int j = 0; j < 8; j++) { /* where each pixel of the crop comes from */
      const double x = (whole.path[j] + whole.path[16 + i] - 16) / 1024.0, y = (whole.path[8 + j] + whole.path[24 + i] - 16) / 1024.0;
      const double hx = (held.path[j] + held.path[16 + i] - 16) / 1024.0, hy = (held.path[8 + j] + held.path[24 + i] - 16) / 1024.0;
      const double off = fmax(fabs((hx + 0.5) * sx - 0.5 - x), fabs((hy + 0.5) * sy - 0.5 - y));
      CHECK(off < 0.02, "pixel %d, %d of the crop comes from %.3f %.3f, wanted %.3f %.3f", i, j, (hx + 0.5) * sx - 0.5, (hy + 0.5) * sy - 0.5, x, y);
    }
  close_world(&w);
}

TEST(pose_loader_refuses_what_it_cannot_read)
{
  world w;
  dor_pose_loader *l;
  dor_pose_batch b;
  open_world(&w, "pose_refused");
  put_picture(2, height(2), width(2) + 1);
  for (int threads = 0; threads < 3; threads += 2) {
    dor_pose_loader_cfg c = loader_of(&w, threads);
    dor_status s = DOR_OK;
    OK(dor_pose_loader_new(&l, &c));
    for (int k = 0; k < 3 && !s; k++) s = dor_pose_loader_next(l, &b);
    CHECK(s == DOR_E_DATA && strstr(dor_errmsg(), "2.png: 26 x 33 pixels, a.json says 26 x 32"), "%s", s ? dor_errmsg() : "taken");
    dor_pose_loader_free(l);
  }
  dor_pose_loader_cfg none = loader_of(&w, 0);
  none.batch = PICTURES + 1, none.drop_last = true;
  CHECK(dor_pose_loader_new(&l, &none) == DOR_E_RANGE, "a batch of more pictures than there are");
  close_world(&w);
}
