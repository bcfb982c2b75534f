/* SPDX-License-Identifier: Apache-2.0
 *
 * Videos: every frame once and upright, with its time; what is damaged, hostile or
 * no video at all is an error; no child program outlives its video. */
#include "data/video.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"
#include "tests/test.h"
#include "tests/unit/film.h"

enum { W = 64, H = 48, LEAST_SIDE = 8 };

/* A grey slope with a bright square that moves right with i; its red tells the corners apart. */
static void picture(int32_t h, int32_t w, int32_t i, uint8_t *rgb)
{
  for (int32_t y = 0; y < h; y++)
    for (int32_t x = 0; x < w; x++, rgb += 3) {
      const bool in_square = x >= 4 + 2 * i && x < 14 + 2 * i && y >= 8 && y < 20;
      rgb[0] = (uint8_t)(in_square ? 250 : 3 * y), rgb[1] = (uint8_t)(in_square ? 240 : 40), rgb[2] = (uint8_t)(in_square ? 20 : 2 * x);
    }
}

static void make_film(const char *path, int32_t h, int32_t w, int32_t n, const double *time_s, const char *tag)
{
  dor_film *f;
  uint8_t *rgb = malloc((size_t)h * (size_t)w * 3);
  OK(dor_film_open(path, h, w, 25, tag, &f));
  for (int32_t i = 0; i < n; i++) {
    picture(h, w, i, rgb);
    OK(dor_film_put(f, rgb, time_s ? time_s[i] : i / 25.0));
  }
  OK(dor_film_close(f));
  free(rgb);
}

typedef struct heard { int32_t n; double time_s[300], off; } heard; /* off: most of the mean distances to what picture() makes */

/* Read a film of picture()s. */
static dor_status hear(const char *path, heard *o)
{
  dor_video *v;
  bool more = true;
  *o = (heard){.n = 0};
  DOR_TRY(dor_video_open(path, &v));
  const int32_t h = dor_video_of(v)->h, w = dor_video_of(v)->w;
  uint8_t *got = malloc((size_t)h * (size_t)w * 3), *want = malloc((size_t)h * (size_t)w * 3);
  dor_status s = DOR_OK;
  while (!s && more && o->n < 300) {
    s = dor_video_next(v, got, &o->time_s[o->n], &more);
    if (s || !more) break;
    double sum = 0;
    o->n++;
    if (w > 200) continue;                                /* no film of ours */
    picture(h, w, o->n - 1, want);
    for (int32_t i = 0; i < h * w * 3; i++) sum += abs(got[i] - want[i]);
    o->off = fmax(o->off, sum / (h * w * 3));
  }
  dor_video_close(v);
  free(got), free(want);
  return s;
}

static bool no_child_left(void)
{
  int state;
  return waitpid(-1, &state, WNOHANG) < 0;
}

TEST(video_shared_files_have_their_frames_and_times)
{
  static const struct { const char *name; int32_t n, w, h; double fps; } files[] = {
    {"videos/sports2d_demo.mp4", 230, 1768, 994, 30}, {"videos/mmpose_demo.mp4", 5, 960, 540, 5}};
  if (!film_have_ffmpeg()) SKIP("2 videos: ffmpeg is not installed");
  for (size_t i = 0; i < 2; i++) {
    const char *path = test_shared(files[i].name);
    dor_video_info info;
    heard o;
    if (!path) SKIP("%zu videos: no shared data", 2 - i);
    OK(dor_video_probe(path, &info));
    CHECK(info.w == files[i].w && info.h == files[i].h && info.n_frames == files[i].n && fabs(info.fps - files[i].fps) < 1e-9 && !info.variable,
          "%s: %d x %d, %lld frames, %g/s", path, info.w, info.h, (long long)info.n_frames, info.fps);
    OK(hear(path, &o));
    CHECK(o.n == files[i].n, "%s: %d frames, wanted %d", path, o.n, files[i].n);
    for (int32_t f = 0; f < o.n; f++) CHECK(fabs(o.time_s[f] - f / files[i].fps) < 1e-6, "%s: frame %d at %.7f s", path, f, o.time_s[f]);
  }
  CHECK(no_child_left(), "a child program is left");
}

TEST(video_uneven_times_go_in_and_come_out)
{
  static const double time_s[] = {0, 0.04, 0.08, 0.2, 0.21, 0.5, 1, 1.0333333, 2.5, 2.54};
  if (!film_have_ffmpeg()) SKIP("1 film: ffmpeg is not installed");
  const char *dir = test_folder("video_uneven"), *path = film_in(dir, "uneven.mp4"), *again = film_in(dir, "again.mp4");
  dor_video_info info;
  heard o;
  char a[DOR_HASH_HEX], b[DOR_HASH_HEX];
  make_film(path, H, W, 10, time_s, "SYNTHETIC: a test");
  OK(hear(path, &o));
  CHECK(o.n == 10 && o.off < 4, "%d frames, %.2f of 255 off", o.n, o.off);
  for (int32_t i = 0; i < o.n; i++) CHECK(fabs(o.time_s[i] - time_s[i]) < 1.2e-5, "frame %d at %.6f s, wanted %.6f", i, o.time_s[i], time_s[i]);
  OK(dor_video_probe(path, &info));
  CHECK(info.synthetic && info.variable && !strcmp(info.codec, "h264") && info.rotation_deg == 0, "%d %d %s", info.synthetic, info.variable, info.codec);
  make_film(again, H, W, 10, time_s, "SYNTHETIC: a test");
  OK(dor_hash_file(path, a));
  OK(dor_hash_file(again, b));
  CHECK(!strcmp(a, b), "the same film has other bytes");
}

TEST(video_odd_sides_keep_their_pixels)
{
  if (!film_have_ffmpeg()) SKIP("1 film: ffmpeg is not installed");
  const char *path = film_in(test_folder("video_odd"), "odd.mp4");
  dor_video_info info;
  heard o;
  make_film(path, H + 1, W + 1, 5, NULL, NULL);
  OK(dor_video_probe(path, &info));
  CHECK(info.w == W + 2 && info.h == H + 2 && !info.synthetic && fabs(info.fps - 25) < 1e-9, "%d x %d at %g", info.w, info.h, info.fps);
  OK(hear(path, &o));
  CHECK(o.n == 5, "%d frames", o.n);
}

TEST(video_portrait_comes_upright)
{
  if (!film_have_ffmpeg()) SKIP("1 film: ffmpeg is not installed");
  const char *dir = test_folder("video_turn"), *flat = film_in(dir, "flat.mp4"), *turned = film_in(dir, "turned.mp4");
  static uint8_t upright[W * H * 3], lying[W * H * 3], got[W * H * 3];
  dor_film *f;
  dor_video *v;
  double time_s, sum = 0;
  bool more;
  OK(dor_film_open(flat, H, W, 25, NULL, &f));
  picture(W, H, 0, upright);                              /* as people should see it: W high, H wide */
  for (int32_t y = 0; y < H; y++)
    for (int32_t x = 0; x < W; x++) memcpy(lying + 3 * (y * W + x), upright + 3 * (x * H + (H - 1 - y)), 3);
  OK(dor_film_put(f, lying, 0));
  OK(dor_film_close(f));
  film_turn_header(flat, turned);
  OK(dor_video_open(turned, &v));
  const dor_video_info info = *dor_video_of(v);
  CHECK(info.w == H && info.h == W && info.rotation_deg == 90 && info.coded_w == W, "%d x %d, turned by %d", info.w, info.h, info.rotation_deg);
  OK(dor_video_next(v, got, &time_s, &more));
  for (int32_t i = 0; i < W * H * 3; i++) sum += abs(got[i] - upright[i]);
  CHECK(more && sum / (W * H * 3) < 5, "%.2f of 255 off", sum / (W * H * 3));
  dor_video_close(v);
}

TEST(video_ten_bits_of_hevc_are_eight_of_rgb)
{
  const char *dir = test_folder("video_hevc"), *plain = film_in(dir, "plain.mp4"), *deep = film_in(dir, "deep.mkv");
  const char *const argv[] = {"ffmpeg", "-v", "error", "-nostdin", "-i", plain, "-c:v", "libx265", "-x265-params", "log-level=none:pools=1", "-pix_fmt",
                              "yuv420p10le", "-crf", "12", deep, NULL};
  dor_video_info info;
  heard o;
  if (!film_have_ffmpeg()) SKIP("1 film: ffmpeg is not installed");
  make_film(plain, H, W, 8, NULL, NULL);
  if (!film_runs(argv)) SKIP("1 film: this ffmpeg writes no 10-bit HEVC");
  OK(dor_video_probe(deep, &info));
  CHECK(!strcmp(info.codec, "hevc") && !strcmp(info.pixels, "yuv420p10le"), "%s %s", info.codec, info.pixels);
  OK(hear(deep, &o));
  CHECK(o.n == 8 && o.off < 5, "%d frames, %.2f of 255 off", o.n, o.off);
  for (int32_t i = 0; i < o.n; i++) CHECK(fabs(o.time_s[i] - i / 25.0) < 1e-3, "frame %d at %.6f s", i, o.time_s[i]); /* matroska: milliseconds */
}

TEST(video_pixels_that_are_not_square_are_made_so)
{
  const char *dir = test_folder("video_sar"), *plain = film_in(dir, "plain.mp4"), *wide = film_in(dir, "wide.mp4");
  const char *const argv[] = {"ffmpeg", "-v", "error", "-nostdin", "-i", plain, "-vf", "setsar=3/2", wide, NULL};
  dor_video_info info;
  heard o;
  if (!film_have_ffmpeg()) SKIP("1 film: ffmpeg is not installed");
  make_film(plain, H, W, 3, NULL, NULL);
  REQUIRE(film_runs(argv), "ffmpeg");
  OK(dor_video_probe(wide, &info));
  CHECK(info.w == 96 && info.h == H && info.coded_w == W, "%d x %d", info.w, info.h);
  OK(hear(wide, &o));
  CHECK(o.n == 3, "%d frames", o.n);
}

/* ---- what must not work ---- */

static void refused(const char *path, int code, const char *says)
{
  heard o;
  dor_status s = hear(path, &o);
  CHECK(dor_status_exit(s) == code && strstr(dor_errmsg(), says), "%s: exit %d, wanted %d; '%s', wanted '%s'", path, dor_status_exit(s), code,
        s ? dor_errmsg() : "read", says);
}

TEST(video_damage_is_an_error)
{
  if (!film_have_ffmpeg()) SKIP("8 files: ffmpeg is not installed");
  const char *dir = test_folder("video_bad"), *whole = film_in(dir, "whole.mp4"), *part = film_in(dir, "part.mp4"), *other = film_in(dir, "whole.mkv");
  const char *const copy[] = {"ffmpeg", "-v", "error", "-nostdin", "-i", whole, "-c", "copy", other, NULL};
  OK(dor_io_write(film_in(dir, "empty.mp4"), "", 0));
  refused(film_in(dir, "empty.mp4"), 3, "empty file");
  OK(dor_io_write(film_in(dir, "text.mp4"), "no video at all\n", 16));
  refused(film_in(dir, "text.mp4"), 3, "text.mp4: not a video that can be read: Invalid data");
  static const char list[] = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n";
  OK(dor_io_write(film_in(dir, "list.mp4"), list, sizeof list - 1));
  refused(film_in(dir, "list.mp4"), 3, "not a video");
  refused(film_in(dir, "none.mp4"), 2, "none.mp4: no such file");
  refused(dir, 3, "not a regular file");
  REQUIRE(!mkfifo(film_in(dir, "fifo.mp4"), 0600), "mkfifo");
  refused(film_in(dir, "fifo.mp4"), 3, "not a regular file");
  make_film(whole, H, W, 100, NULL, NULL);
  film_cut(whole, part, 0.6);
  refused(part, 3, "part.mp4: frame ");
  REQUIRE(film_runs(copy), "ffmpeg");
  film_cut(other, film_in(dir, "part.mkv"), 0.5);
  refused(film_in(dir, "part.mkv"), 3, "part.mkv: ");
  CHECK(no_child_left(), "a child program is left");
}

TEST(video_names_are_only_names)
{
  static const char *const names[] = {"-i", "-version", "http:__x.mp4", "concat:a|b", "a\nb.mp4", "%d.mp4", "*.mp4", "$(id)"};
  if (!film_have_ffmpeg()) SKIP("8 names: ffmpeg is not installed");
  char *here = getcwd(NULL, 0);
  const char *dir = test_folder("video_names");
  heard o;
  REQUIRE(here && !chdir(dir), "%s", dir);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    make_film(names[i], LEAST_SIDE, LEAST_SIDE, 2, NULL, NULL);
    const dor_status s = hear(names[i], &o);
    CHECK(!s && o.n == 2, "%s: %s", names[i], s ? dor_errmsg() : "frames");
  }
  REQUIRE(!chdir(here), "%s", here);
  free(here);
}

static char *old_path;

static void use_path(const char *path)
{
  if (!old_path) old_path = strdup(getenv("PATH"));
  setenv("PATH", path ? path : old_path, 1);
}

static dor_status film_of_two(const char *path)
{
  static uint8_t rgb[W * H * 3];
  dor_film *f;
  DOR_TRY(dor_film_open(path, H, W, 25, NULL, &f));
  dor_status s = DOR_OK;
  for (int32_t i = 0; i < 200 && !s; i++) s = dor_film_put(f, rgb, i);
  if (!s) return dor_film_close(f);
  dor_film_drop(f);
  return s;
}

TEST(video_without_ffmpeg_says_so)
{
  const char *dir = test_folder("video_none"), *file = film_in(dir, "x.mp4"), *fake = film_in(dir, "ffmpeg");
  static const char script[] = "#!/bin/sh\necho 'first line' >&2\necho 'the disk is on fire' >&2\necho 'Conversion failed!' >&2\nexit 1\n";
  char folder[512];
  snprintf(folder, sizeof folder, "%s", dir);
  OK(dor_io_write(file, "x", 1));
  use_path(folder);
  refused(file, 1, "ffprobe is not installed");
  CHECK(film_of_two(film_in(folder, "out.mp4")) == DOR_E_UNSUPPORTED && strstr(dor_errmsg(), "ffmpeg is not installed"), "%s", dor_errmsg());
  OK(dor_io_write(fake, script, sizeof script - 1));
  REQUIRE(!chmod(fake, 0755), "chmod");
  use_path(NULL);
  char both[8192];
  snprintf(both, sizeof both, "%s:%s", folder, old_path);
  use_path(both);
  CHECK(film_of_two(film_in(folder, "out.mp4")) == DOR_E_IO && strstr(dor_errmsg(), "out.mp4: cannot be written: the disk is on fire"), "%s", dor_errmsg());
  use_path(NULL);
  CHECK(!dor_io_exists(film_in(folder, "out.mp4")) && film_of_two(film_in(folder, "no/such/out.mp4")) == DOR_E_IO, "%s", dor_errmsg());
  dor_arena a = {0};
  const char *const *left;
  size_t n;
  OK(dor_io_list(&a, folder, &left, &n));
  CHECK(n == 2, "%zu files, the first is %s", n, left[0]);
  dor_arena_release(&a);
  CHECK(no_child_left(), "a child program is left");
}

TEST(video_can_be_left_in_the_middle)
{
  const char *path = test_shared("videos/sports2d_demo.mp4");
  if (!path || !film_have_ffmpeg()) SKIP("1 video: no shared data, or ffmpeg is not installed");
  dor_video *v;
  double time_s;
  bool more;
  OK(dor_video_open(path, &v));
  uint8_t *rgb = malloc((size_t)dor_video_of(v)->w * (size_t)dor_video_of(v)->h * 3);
  OK(dor_video_next(v, rgb, &time_s, &more));
  CHECK(more && time_s == 0, "%g", time_s);
  dor_video_close(v);
  free(rgb);
  CHECK(no_child_left(), "a child program is left");
  CHECK(dor_video_name("a/B.MP4") && dor_video_name("x.mkv") && !dor_video_name("mp4") && !dor_video_name("a.mp4.png"), "names");
}
