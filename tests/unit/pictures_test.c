/* SPDX-License-Identifier: Apache-2.0
 *
 * Pictures: decoded exactly where the format is exact, refused where a file is
 * cut; imported with the person white, near-duplicates grouped, people whole. */
#include "tests/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <png.h>

#include "base/csv.h"
#include "base/io.h"
#include "base/mem.h"
#include "data/import.h"
#include "data/near.h"
#include "data/picture.h"

enum { SIDE = 64 };

static char folder[512];

static const char *path_of(const char *name)
{
  static char path[4][1024];
  static int turn;
  turn = (turn + 1) % 4;
  snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
  return path[turn];
}

static void begin(const char *name)
{
  snprintf(folder, sizeof folder, "%s", test_folder(name));
  if (dor_io_remove_tree(folder) || dor_io_mkdirs(folder)) abort();
}

/* A black figure on white: a disc of radius r at x, y, `depth` dark. */
static void figure(uint8_t *p, int x, int y, int r, int dark, int bright)
{
  for (int v = 0; v < SIDE; v++)
    for (int u = 0; u < SIDE; u++) p[v * SIDE + u] = (uint8_t)((u - x) * (u - x) + (v - y) * (v - y) <= r * r ? dark : bright);
}

static void put_png(const char *name, const uint8_t *pixels, int h, int w)
{
  png_image im = {.version = PNG_IMAGE_VERSION, .width = (unsigned)w, .height = (unsigned)h, .format = PNG_FORMAT_GRAY};
  REQUIRE(png_image_write_to_file(&im, path_of(name), 0, pixels, 0, NULL), "%s", im.message);
}

static void put_jpeg(const char *name, const uint8_t *pixels, int h, int w, bool progressive)
{
  struct jpeg_compress_struct c;
  struct jpeg_error_mgr e;
  unsigned char *bytes = NULL;
  unsigned long n = 0;
  c.err = jpeg_std_error(&e);
  jpeg_create_compress(&c);
  jpeg_mem_dest(&c, &bytes, &n);
  c.image_width = (unsigned)w, c.image_height = (unsigned)h, c.input_components = 1, c.in_color_space = JCS_GRAYSCALE;
  jpeg_set_defaults(&c);
  jpeg_set_quality(&c, 95, TRUE);
  if (progressive) jpeg_simple_progression(&c);
  jpeg_start_compress(&c, TRUE);
  for (int y = 0; y < h; y++) {
    JSAMPROW row = (JSAMPROW)(uintptr_t)(pixels + (size_t)y * (size_t)w);
    jpeg_write_scanlines(&c, &row, 1);
  }
  jpeg_finish_compress(&c);
  jpeg_destroy_compress(&c);
  if (dor_io_write(path_of(name), bytes, n)) abort();
  free(bytes);
}

/* a.png: a disc. */
static void begin_with_disc(uint8_t pixels[SIDE * SIDE])
{
  begin("picture");
  figure(pixels, 20, 30, 12, 10, 240);
  put_png("a.png", pixels, SIDE, SIDE);
}

TEST(picture_png_and_jpeg)
{
  uint8_t pixels[SIDE * SIDE];
  dor_picture im;
  begin_with_disc(pixels);
  OK(dor_picture_read(path_of("a.png"), 1, &im));
  CHECK(im.h == SIDE && im.w == SIDE && im.c == 1 && !memcmp(im.pixels, pixels, sizeof pixels), "a PNG is exact");
  dor_free(im.pixels);
  OK(dor_picture_read(path_of("a.png"), 3, &im));
  CHECK(im.c == 3 && im.pixels[0] == 240 && im.pixels[2] == 240, "grey as RGB");
  dor_free(im.pixels);
  for (int progressive = 0; progressive < 2; progressive++) {
    put_jpeg("a.jpg", pixels, SIDE, SIDE, progressive);
    OK(dor_picture_read(path_of("a.jpg"), 1, &im));
    int worst = 0;
    for (int i = 0; i < SIDE * SIDE; i++) worst = abs(im.pixels[i] - pixels[i]) > worst ? abs(im.pixels[i] - pixels[i]) : worst;
    CHECK(im.h == SIDE && worst < 60, "JPEG differs by %d", worst);
    dor_free(im.pixels);
  }
}

/* tail: the end marker; without it all pixels are there still */
static void cut_everywhere(const char *name, size_t tail)
{
  char *bytes;
  size_t n;
  OK(dor_io_read(path_of(name), 1 << 20, &bytes, &n));
  for (size_t at = 0; at + tail < n; at += 1 + at / 40) {
    dor_picture im = {0};
    FILE *f = fopen(path_of("cut"), "wb"); /* no syncs */
    if (!f || fwrite(bytes, 1, at, f) != at || fclose(f)) abort();
    dor_status s = dor_picture_read(path_of("cut"), 1, &im);
    CHECK(s == DOR_E_DATA && !im.pixels, "%s cut at %zu of %zu: status %d", name, at, n, s);
    dor_free(im.pixels);
  }
  dor_free(bytes);
}

TEST(picture_cut_short_is_refused)
{
  uint8_t pixels[SIDE * SIDE];
  dor_picture im;
  begin_with_disc(pixels);
  put_jpeg("a.jpg", pixels, SIDE, SIDE, false);
  put_jpeg("p.jpg", pixels, SIDE, SIDE, true);
  cut_everywhere("a.png", 12);
  cut_everywhere("a.jpg", 2);
  cut_everywhere("p.jpg", 2);
  if (dor_io_write(path_of("b.png"), "GIF89a          ", 16)) abort();
  CHECK(dor_picture_read(path_of("b.png"), 1, &im) == DOR_E_DATA && strstr(dor_errmsg(), "neither PNG nor JPEG"), "%s", dor_errmsg());
}

TEST(picture_failure_has_a_place)
{
  static uint8_t pixels[256 * 256];
  char *bytes;
  size_t n;
  dor_picture im;
  begin("picture_place");
  for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * 2654435761u >> 13);
  OK(dor_picture_write(path_of("a.jpg"), &(dor_picture){.h = 256, .w = 256, .c = 1, .pixels = pixels}, NULL));
  OK(dor_io_read(path_of("a.jpg"), 1 << 20, &bytes, &n));
  OK(dor_io_write(path_of("half.jpg"), bytes, n / 2));
  CHECK(dor_picture_read(path_of("half.jpg"), 1, &im) == DOR_E_DATA && strstr(dor_errmsg(), "damaged JPEG, at row 1") && strstr(dor_errmsg(), "of 256"), "%s",
        dor_errmsg());
  OK(dor_io_write(path_of("none.jpg"), "", 0));
  CHECK(dor_picture_read(path_of("none.jpg"), 1, &im) == DOR_E_DATA && strstr(dor_errmsg(), "an empty file"), "%s", dor_errmsg());
  dor_free(bytes);
}

TEST(picture_tag_is_kept_and_read)
{
  static const char *const names[] = {"t.png", "t.jpg"};
  uint8_t pixels[3 * 16 * 16] = {7, 8, 9};
  begin("picture_tag");
  for (int i = 0; i < 4; i++) {
    dor_picture im;
    OK(dor_picture_write(path_of(names[i / 2]), &(dor_picture){.h = 16, .w = 16, .c = 3, .pixels = pixels}, i % 2 ? "SYNTHETIC QUICK: a test" : NULL));
    OK(dor_picture_read(path_of(names[i / 2]), 3, &im));
    CHECK(im.synthetic == (i % 2 == 1) && (i > 1 || !memcmp(im.pixels, pixels, sizeof pixels)), "%s: %d", names[i / 2], im.synthetic);
    dor_free(im.pixels);
  }
}

TEST(picture_size_is_limited)
{
  begin("picture");
  static uint8_t line[DOR_PICTURE_SIDE + 1];
  dor_picture im;
  put_png("wide.png", line, 1, DOR_PICTURE_SIDE + 1);
  CHECK(dor_picture_read(path_of("wide.png"), 1, &im) == DOR_E_DATA && strstr(dor_errmsg(), "at most"), "%s", dor_errmsg());
  put_png("fits.png", line, 1, DOR_PICTURE_SIDE);
  OK(dor_picture_read(path_of("fits.png"), 1, &im));
  dor_free(im.pixels);
}

static dor_status import_from(const char *format, const char *src, const dor_import_cfg *c, dor_dataset *d)
{
  const char *out = path_of("out.h5");
  dor_status s = dor_import(format, src, out, c, false, NULL);
  return s ? s : dor_dataset_read(d, out);
}

static dor_status import(const char *format, const dor_import_cfg *c, dor_dataset *d) { return import_from(format, path_of("src"), c, d); }

static dor_import_cfg options(dor_arena *a)
{
  dor_import_cfg c;
  OK(dor_schema_defaults(dor_import_keys, &c, a));
  return c;
}

static void put_people(int dark, int bright)
{
  uint8_t p[SIDE * SIDE];
  begin("pictures");
  for (int i = 0; i < 3; i++) {
    OK(dor_io_mkdirs(path_of(i ? "src/sit" : "src/bend")));
    figure(p, 20, 20 + 10 * i, 9, dark, bright);
    put_png(i == 0 ? "src/bend/1.png" : i == 1 ? "src/sit/1.png" : "src/sit/2.png", p, SIDE, SIDE);
  }
  figure(p, 43, 20, 9, dark, bright); /* the mirror image of bend/1 */
  put_png("src/bend/2.png", p, SIDE, SIDE);
  OK(dor_io_write(path_of("src/notes.txt"), "x", 1));
}

TEST(import_silhouettes_person_is_white_and_mirrors_are_groups)
{
  for (int colour = 0; colour < 2; colour++) {
    dor_arena a = {0};
    dor_import_cfg c = options(&a);
    static const int64_t size[2] = {SIDE / 2, SIDE / 2};
    dor_dataset d;
    put_people(colour ? 200 : 10, colour ? 10 : 200);
    c.threshold = 127, c.size = (dor_ints){2, size};
    OK(import("silhouettes", &c, &d));
    const dor_frames *f = &d.silhouettes[0];
    CHECK(d.n_subjects == 4 && d.n_trials == 4 && f->h == SIDE / 2 && f->w == SIDE / 2, "%d people, %d trials of %d x %d", d.n_subjects, d.n_trials, f->h,
        f->w);
    CHECK(f->data[0] == 0 && f->data[10 * (SIDE / 2) + 10] == 255, "person %d, ground %d", f->data[10 * (SIDE / 2) + 10], f->data[0]);
    CHECK(!strcmp(d.id[0], "1") && d.n_targets == 1 && d.target[0].per == DOR_PER_SUBJECT && !strcmp(d.target[0].names[0], "bend") &&
        d.target[0].value[2] == 1, "a label each");
    REQUIRE(d.group, "no groups");
    CHECK(d.group[0] == d.group[1] && d.group[2] != d.group[0] && d.group[3] != d.group[2], "groups %d %d %d %d", d.group[0], d.group[1], d.group[2],
        d.group[3]);
    dor_dataset_release(&d);
    dor_arena_release(&a);
  }
}

static void write_manifest(const char *text)
{
  if (dor_io_write(path_of("m.csv"), text, strlen(text))) abort();
}

TEST(import_silhouettes_manifest_people_and_groups_win)
{
  dor_arena a = {0};
  dor_import_cfg c = options(&a);
  dor_dataset d;
  put_people(10, 200);
  c.ids = 1;
  c.manifest = dor_arena_fmt(&a, "%s/m.csv", folder);
  write_manifest("file,class,subject,group,movement\n"
                 "bend/1.png,FP,anna,x,forward\nsit/1.png,EP,bert,y,forward\nsit/2.png,FP,anna,x,forward\nbend/2.png,FP,anna,z,backward\n");
  OK(import("silhouettes", &c, &d));
  CHECK(d.n_subjects == 2 && d.n_trials == 3 && !strcmp(d.id[1], "bert"), "%d people, %d trials", d.n_subjects, d.n_trials);
  CHECK(d.silhouettes[0].count[0] == 2 && d.silhouettes[0].first[1] == 2 && !strcmp(d.movement[2], "backward"), "frames of a trial lie together");
  CHECK(d.group[0] != d.group[1], "the manifest's groups, not the mirror's");
  dor_dataset_release(&d);
  write_manifest("file,class,subject\nbend/1.png,FP,anna\nsit/1.png,EP,bert\nsit/2.png,EP,anna\n");
  OK(import("silhouettes", &c, &d));
  CHECK(d.target[0].per == DOR_PER_TRIAL && d.target[0].n == 3, "anna has two labels: they are the trials'");
  dor_dataset_release(&d);
  write_manifest("file,class\nbend/1.png,FP\n../m.csv,EP\n");
  CHECK(import("silhouettes", &c, &d) == DOR_E_DATA && strstr(dor_errmsg(), "m.csv:3: file"), "%s", dor_errmsg());
  write_manifest("file,class,subject\nbend/1.png,FP,anna\nsit/1.png,EP,bert\nsit/2.png,EP,\"anna \"\n");
  CHECK(import("silhouettes", &c, &d) == DOR_E_DATA && strstr(dor_errmsg(), "m.csv:4: subject begins or ends with a blank"), "%s", dor_errmsg());
  write_manifest("file,klass\nbend/1.png,FP\nsit/1.png,EP\n");
  CHECK(import("silhouettes", &c, &d) == DOR_E_DATA && strstr(dor_errmsg(), "m.csv:1: no column 'klass' is known; did you mean 'class'?"), "%s", dor_errmsg());
  write_manifest("file,class\nbend/1.png,FP\nbend/9.png,EP\n");
  CHECK(import("silhouettes", &c, &d) == DOR_E_NOTFOUND && strstr(dor_errmsg(), "9.png"), "%s", dor_errmsg());
  dor_arena_release(&a);
}

TEST(import_refuses_more_than_memory_holds)
{
  dor_arena a = {0};
  dor_import_cfg c = options(&a);
  dor_dataset d;
  dor_str manifest = {0};
  static const int64_t size[2] = {8192, 8192};
  put_people(10, 200);
  dor_str_add(&manifest, "file,class\n");
  for (int i = 0; i < 200000; i++) dor_str_add(&manifest, i % 2 ? "bend/1.png,FP\n" : "sit/1.png,EP\n");
  write_manifest(manifest.s);
  dor_str_release(&manifest);
  c.size = (dor_ints){2, size}, c.manifest = path_of("m.csv");
  CHECK(import("silhouettes", &c, &d) == DOR_E_NOMEM && strstr(dor_errmsg(), "200000 pictures of 8192 x 8192 x 1: 13421.8 GB, at most"), "%s", dor_errmsg());
  dor_arena_release(&a);
}

TEST(import_images_are_rgb)
{
  dor_arena a = {0};
  dor_import_cfg c = options(&a);
  dor_dataset d;
  put_people(10, 200);
  OK(import("images", &c, &d));
  CHECK(d.n_images == 1 && d.images[0].c == 3 && d.images[0].n == 4 && d.images[0].data[0] == 200, "images");
  CHECK(d.images[0].subject[3] == 3 && d.group && d.group[0] == d.group[1], "people and groups");
  dor_dataset_release(&d);
  c.near = 0;
  OK(import("images", &c, &d));
  CHECK(!d.group, "near = 0 seeks none");
  dor_dataset_release(&d);
  dor_arena_release(&a);
}

static void put_idx(bool spoil)
{
  static const unsigned char images[] = {0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  static const unsigned char labels[] = {0, 0, 8, 1, 0, 0, 0, 3, 1, 0, 2};
  begin("idx");
  OK(dor_io_write(path_of("x-images-idx3-ubyte"), images, sizeof images - spoil));
  OK(dor_io_write(path_of("x-labels-idx1-ubyte"), labels, sizeof labels));
}

TEST(import_idx)
{
  dor_arena a = {0};
  dor_import_cfg c = options(&a);
  dor_dataset d;
  put_idx(false);
  OK(import_from("idx", path_of("x-images-idx3-ubyte"), &c, &d));
  CHECK(d.n_subjects == 3 && d.images[0].h == 2 && d.images[0].data[5] == 6 && d.target[0].value[2] == 2 && d.target[0].n_names == 3 && !d.group, "idx");
  dor_dataset_release(&d);
  put_idx(true);
  CHECK(import_from("idx", path_of("x-images-idx3-ubyte"), &c, &d) == DOR_E_DATA && strstr(dor_errmsg(), "11 bytes of values"), "%s", dor_errmsg());
  put_idx(false);
  static char labels[1024];
  snprintf(labels, sizeof labels, "%s", path_of("x-labels-idx1-ubyte"));
  char *text;
  size_t n;
  OK(dor_io_read(labels, 100, &text, &n)); /* whether it is packed is seen by its bytes */
  OK(dor_io_write(path_of("x-labels-idx1-ubyte.gz"), text, n));
  dor_free(text);
  OK(dor_io_remove(labels));
  OK(import_from("idx", path_of("x-images-idx3-ubyte"), &c, &d));
  CHECK(d.n_subjects == 3, "labels under their packed name");
  dor_dataset_release(&d);
  OK(dor_io_remove(path_of("x-labels-idx1-ubyte.gz")));
  CHECK(import_from("idx", path_of("x-images-idx3-ubyte"), &c, &d) == DOR_E_NOTFOUND && strstr(dor_errmsg(), "ubyte.gz: the labels are wanted"), "%s",
        dor_errmsg());
  dor_arena_release(&a);
}

TEST(import_takes_only_keys_it_uses)
{
  static const char *const size[] = {"name=x", "size=14,14"}, *const person[] = {"threshold=127", "person=black"};
  (void)state;
  OK(dor_import_takes("silhouettes", person, 2));
  CHECK(dor_import_takes("idx", size, 2) == DOR_E_USAGE && strstr(dor_errmsg(), "import idx does not use 'size'; it uses: name license target"), "%s",
        dor_errmsg());
  CHECK(dor_import_takes("images", person, 2) == DOR_E_USAGE && strstr(dor_errmsg(), "does not use 'threshold'"), "%s", dor_errmsg());
}

TEST(import_mnist)
{
  const char *path = test_shared("mnist_t10k/t10k-images-idx3-ubyte.gz");
  if (!path) SKIP("1 file skipped: ../shared/data is not here");
  dor_arena a = {0};
  dor_import_cfg c = options(&a);
  dor_dataset d;
  begin("idx");
  OK(import_from("idx", path, &c, &d));
  int32_t sevens = 0;
  for (int32_t i = 0; i < d.n_subjects; i++) sevens += d.target[0].value[i] == 7;
  CHECK(d.n_subjects == 10000 && d.images[0].h == 28 && d.target[0].value[0] == 7 && sevens == 1028, "%d images, %d sevens", d.n_subjects, sevens);
  dor_dataset_release(&d);
  dor_arena_release(&a);
}

/* The real silhouettes. derived_groups.csv was made from the full set, where more pictures link others: what we join in
 * this quarter of it must be joined there too. */
TEST(import_silhouettes_posture)
{
  char src[1024];
  dor_arena a = {0};
  dor_import_cfg c = options(&a);
  dor_dataset d;
  dor_csv t;
  dor_str manifest = {0};
  const char *list = test_shared("silhouettes_posture/derived_groups.csv");
  if (!list) SKIP("1200 pictures skipped: ../shared/data is not here");
  OK(dor_csv_read(&a, list, &t));
  snprintf(src, sizeof src, "%s", test_shared("silhouettes_posture/png1"));
  begin("posture");
  dor_str_add(&manifest, "file,class\n");
  for (int32_t r = 0; r < t.n_rows; r++) dor_str_fmt(&manifest, "%s/%s.png,%s\n", dor_csv_at(&t, r, 0), dor_csv_at(&t, r, 1), dor_csv_at(&t, r, 0));
  write_manifest(manifest.s);
  dor_str_release(&manifest);
  static const int64_t size[2] = {64, 64};
  c.threshold = 127, c.size = (dor_ints){2, size}, c.manifest = path_of("m.csv");
  OK(import_from("silhouettes", src, &c, &d));
  const char *of[1200] = {0};
  int32_t groups = 0;
  REQUIRE(d.n_subjects == 1200 && t.n_rows == 1200, "%d people", d.n_subjects);
  for (int32_t i = 0; i < 1200; i++) {
    const char *theirs = dor_csv_at(&t, i, 2), **ours = &of[d.group[i]];
    if (!*ours) *ours = theirs, groups++;
    CHECK(!strcmp(*ours, theirs), "picture %d: joined here, not in derived_groups.csv", i + 1);
  }
  CHECK(groups == 1084, "%d groups", groups);
  dor_dataset_release(&d);
  dor_arena_release(&a);
}

/* The recipe's two roads meet: the untouched JPEGs, cut at 127, are the 1-bit PNGs. */
TEST(picture_real_jpegs_are_the_real_pngs)
{
  static const char *const classes[] = {"bending", "lying", "sitting", "standing"};
  dor_arena a = {0};
  int32_t files = 0;
  if (!test_shared("silhouettes_posture/jpg_samples")) SKIP("40 pictures skipped: ../shared/data is not here");
  for (int k = 0; k < 4; k++) {
    const char *const *names, *folder_of = dor_arena_fmt(&a, "silhouettes_posture/jpg_samples/%s", classes[k]);
    size_t n;
    OK(dor_io_list(&a, test_shared(folder_of), &names, &n));
    for (size_t i = 0; i < n; i++, files++) {
      dor_picture jpeg, png;
      int32_t differ = 0;
      OK(dor_picture_read(test_shared(dor_arena_fmt(&a, "%s/%s", folder_of, names[i])), 1, &jpeg));
      const char *beside = dor_arena_fmt(&a, "silhouettes_posture/png1/%s/%.*s.png", classes[k], (int)strcspn(names[i], "."), names[i]);
      OK(dor_picture_read(test_shared(beside), 1, &png));
      for (int32_t p = 0; p < png.h * png.w; p++) differ += (jpeg.pixels[p] > 127) != (png.pixels[p] > 127);
      CHECK(differ == 0, "%s/%s: %d pixels differ", classes[k], names[i], differ);
      dor_free(jpeg.pixels);
      dor_free(png.pixels);
    }
  }
  CHECK(files == 40, "%d files", files);
  dor_arena_release(&a);
}
