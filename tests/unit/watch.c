/* SPDX-License-Identifier: Apache-2.0
 *
 * A network over videos. The network here is made by hand and finds what it is
 * told to: three patches of pure colour, one a joint. So its keypoints have a
 * truth, and a portrait clip, one of uneven frames and one of 10-bit HEVC can be
 * held against the upright, even, 8-bit film that they were made of. */
#include "pose/watch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "nn/nn.h"
#include "tests/test.h"
#include "tests/unit/film.h"

enum { K = 3, W = 160, H = 128, FRAMES = 14 };

/* ---- the film ---- */

static double joint_x(int32_t k, double time_s) { return k == 0 ? 50 + 90 * time_s : k == 1 ? 62.25 : 60.5; }
static double joint_y(int32_t k, double time_s) { return k == 0 ? 28 + 25 * time_s : k == 1 ? 66.5 : 104; }

/* A grey slope with a red, a green and a blue patch on it. */
static void picture(double time_s, uint8_t *rgb)
{
  for (int32_t y = 0; y < H; y++)
    for (int32_t x = 0; x < W; x++, rgb += 3) {
      double c[3] = {70.0 + x / 2, 70.0 + x / 2, 70.0 + x / 2};
      for (int32_t k = 0; k < K; k++) {
        const double d = hypot(x - joint_x(k, time_s), y - joint_y(k, time_s)), share = exp(-d * d / 72);
        for (int32_t i = 0; i < 3; i++) c[i] += share * ((i == k ? 235 : 15) - c[i]);
      }
      for (int32_t i = 0; i < 3; i++) rgb[i] = (uint8_t)c[i];
    }
}

static void make_film(const char *path)
{
  static uint8_t rgb[H * W * 3];
  dor_film *f;
  OK(dor_film_open(path, H, W, 25, NULL, &f));
  for (int32_t i = 0; i < FRAMES; i++) {
    picture(i / 25.0, rgb);
    OK(dor_film_put(f, rgb, i / 25.0));
  }
  OK(dor_film_close(f));
}

/* ---- the network ---- */

static dor_val patches(dor_graph *g, dor_val x, const char *scope, int32_t stride, int32_t out)
{
  const size_t mark = dor_graph_push(g, "%s", scope);
  dor_val w = dor_graph_param(g, &(dor_param_spec){.name = "weight", .shape = DOR_SHAPE(2 * stride, 2 * stride, 3, out)});
  dor_val b = dor_graph_param(g, &(dor_param_spec){.name = "bias", .shape = DOR_SHAPE(out)});
  dor_val y = dor_relu(g, dor_bias(g, dor_conv2d(g, x, w, stride, stride / 2, 1, 1), b));
  dor_graph_pop(g, mark);
  return y;
}

static int32_t maps(dor_graph *g, const void *cfg, dor_val x, dor_val map[DOR_MAPS])
{
  (void)cfg;
  map[0] = patches(g, x, "coarse", 4, 2 * K), map[1] = patches(g, x, "fine", 2, K);
  return 2;
}

static const dor_model colours = {.name = "colours", .takes = "image", .source = "a test", .maps = maps};

/* How much more of a colour there is than of the other two, averaged over a window and less a tenth; tags are 0. */
static void fill(const dor_params *p, const char *scope, int32_t taps, int32_t out, char *block)
{
  static const float mean[3] = {0.485f, 0.456f, 0.406f}, sd[3] = {0.229f, 0.224f, 0.225f};
  char name[32];
  snprintf(name, sizeof name, "%s.weight", scope);
  float *w = (float *)(void *)(block + p->at[dor_params_find(p, name)].offset);
  snprintf(name, sizeof name, "%s.bias", scope);
  float *b = (float *)(void *)(block + p->at[dor_params_find(p, name)].offset);
  for (int32_t i = 0; i < taps * 3 * out; i++) {
    const int32_t k = i % out, c = i / out % 3;
    w[i] = k >= K ? 0 : (c == k ? 1 : -0.5f) * sd[c] / (float)taps;
  }
  for (int32_t k = 0; k < K; k++) b[k] = 1.5f * mean[k] - 0.5f * (mean[0] + mean[1] + mean[2]) - 0.1f;
}

static const char *const names[K] = {"neck", "right_hip", "right_ankle"};
static const int32_t selves[K] = {0, 1, 2};
static const double sigmas[K] = {0.05, 0.05, 0.05};
static const dor_keypoints keypoints = {.name = "custom", .k = K, .joint = names, .mirror = selves, .sigma = sigmas, .order = selves};

typedef struct eye { dor_arena arena; dor_params params; dor_finder_model m; dor_finder *finder; } eye;

static void open_eye(eye *e)
{
  dor_pose_cfg c;
  dor_graph g;
  dor_val map[DOR_MAPS];
  *e = (eye){.m = {.model = &colours, .params = &e->params, .keypoints = &keypoints}};
  dor_graph_init(&g, &e->params, false);
  maps(&g, NULL, dor_graph_input(&g, "x", (dor_type){DOR_SHAPE(1, 64, 64, 3), DOR_F32}), map);
  OK(dor_graph_status(&g));
  dor_graph_release(&g);
  e->m.blocks.at[DOR_PARAM] = dor_block_alloc(e->params.param_bytes);
  e->m.blocks.at[DOR_STATE] = dor_block_alloc(64);
  REQUIRE(e->m.blocks.at[DOR_PARAM] && e->m.blocks.at[DOR_STATE], "no memory");
  memset(e->m.blocks.at[DOR_PARAM], 0, e->params.param_bytes);
  fill(&e->params, "coarse", 64, 2 * K, e->m.blocks.at[DOR_PARAM]);
  fill(&e->params, "fine", 16, K, e->m.blocks.at[DOR_PARAM]);
  OK(dor_schema_defaults(dor_pose_keys, &c, &e->arena));
  c.size = 128, c.threads = 1, c.people = 3, c.batch = 3;
  OK(dor_finder_over(&e->finder, &e->m, &c));
}

static void close_eye(eye *e)
{
  dor_finder_close(e->finder);
  dor_block_free(e->m.blocks.at[DOR_PARAM], e->params.param_bytes);
  dor_block_free(e->m.blocks.at[DOR_STATE], 64);
  dor_params_release(&e->params);
  dor_arena_release(&e->arena);
}

/* ---- the tests ---- */

static bool count(void *to, const dor_watched *so_far)
{
  int32_t *calls = to;
  CHECK(so_far->n <= FRAMES, "%d frames", so_far->n);
  ++*calls;
  return true;
}

static bool enough(void *to, const dor_watched *so_far)
{
  (void)to;
  return so_far->n < 3;
}

static void watch(eye *e, const char *path, dor_watched *w)
{
  int32_t calls = 0;
  OK(dor_watch_video(e->finder, path, 3, &e->arena, count, &calls, w));
  CHECK(calls >= w->n / 3 && w->k == K && w->video.w == W && w->video.h == H, "%s: %d batches, %d x %d", path, calls, w->video.w, w->video.h);
}

/* Where the one person of each frame stands, against the truth at the frame's time and against the film's frame of that time. */
static void compare(const dor_watched *film, const dor_watched *w, const char *what)
{
  double off = 0, moved = 0;
  for (int32_t i = 0; i < w->n; i++) {
    const int32_t same = (int32_t)lround(w->frame[i].time_s * 25);
    REQUIRE(w->frame[i].people.n == 1 && same < film->n, "%s, frame %d: %d people", what, i, w->frame[i].people.n);
    CHECK(fabs(w->frame[i].time_s - film->frame[same].time_s) < 2e-3, "%s, frame %d at %.4f s", what, i, w->frame[i].time_s);
    for (int32_t k = 0; k < K; k++) {
      const float *j = w->frame[i].people.joint + 3 * k, *o = film->frame[same].people.joint + 3 * k;
      off = fmax(off, hypot((double)j[0] - joint_x(k, w->frame[i].time_s), (double)j[1] - joint_y(k, w->frame[i].time_s)));
      moved = fmax(moved, hypot((double)j[0] - (double)o[0], (double)j[1] - (double)o[1]));
      CHECK(j[2] > 0.2f, "%s, frame %d: %s scores %g", what, i, names[k], (double)j[2]);
    }
  }
  CHECK(off < 1.5 && moved <= 1.01, "%s: %.2f pixels from the truth, %.2f from the film", what, off, moved);
  print_message("%s: %d frames, at most %.2f pixels from the truth, %.2f from the film\n", what, w->n, off, moved);
}

TEST(watch_odd_clips_have_the_keypoints_of_their_film)
{
  if (!film_have_ffmpeg()) SKIP("4 clips: ffmpeg is not installed");
  const char *dir = test_folder("watch"), *film = film_in(dir, "film.mp4"), *lying = film_in(dir, "lying.mp4"), *turned = film_in(dir, "turned.mp4");
  const char *uneven = film_in(dir, "uneven.mp4"), *deep = film_in(dir, "deep.mp4");
  const char *const turn[] = {"ffmpeg", "-v", "error", "-nostdin", "-i", film, "-vf", "transpose=cclock", "-crf", "12", lying, NULL};
  const char *const drop[] = {"ffmpeg", "-v", "error", "-nostdin", "-i", film, "-vf", "select=not(eq(n\\,3)+eq(n\\,4)+eq(n\\,9))", "-fps_mode", "vfr", "-crf",
                              "12", uneven, NULL};
  const char *const deepen[] = {"ffmpeg", "-v", "error", "-nostdin", "-i", film, "-c:v", "libx265", "-x265-params", "log-level=none:pools=1", "-pix_fmt",
                                "yuv420p10le", "-crf", "12", deep, NULL};
  static const int32_t left[FRAMES - 3] = {0, 1, 2, 5, 6, 7, 8, 10, 11, 12, 13};
  dor_watched of_film, w;
  eye e;
  make_film(film);
  open_eye(&e);
  watch(&e, film, &of_film);
  CHECK(of_film.n == FRAMES && of_film.people == FRAMES, "%d frames, %lld people", of_film.n, (long long)of_film.people);
  compare(&of_film, &of_film, "film");
  REQUIRE(film_runs(turn) && film_runs(drop), "ffmpeg");
  film_turn_header(lying, turned);
  watch(&e, turned, &w);
  CHECK(w.n == FRAMES && w.video.rotation_deg == 90 && w.video.coded_w == H, "%d frames, turned by %d", w.n, w.video.rotation_deg);
  compare(&of_film, &w, "portrait");
  watch(&e, uneven, &w);
  CHECK(w.n == FRAMES - 3 && w.video.variable, "%d frames", w.n);
  for (int32_t i = 0; i < w.n && i < FRAMES - 3; i++) CHECK(fabs(w.frame[i].time_s - left[i] / 25.0) < 1e-4, "frame %d at %.4f s", i, w.frame[i].time_s);
  compare(&of_film, &w, "uneven");
  if (film_runs(deepen)) {
    watch(&e, deep, &w);
    CHECK(w.n == FRAMES && !strcmp(w.video.pixels, "yuv420p10le"), "%d frames of %s", w.n, w.video.pixels);
    compare(&of_film, &w, "10-bit HEVC");
  } else print_message("1 clip skipped: this ffmpeg writes no 10-bit HEVC\n");
  close_eye(&e);
}

TEST(watch_follows_one_person_and_gives_up_on_damage)
{
  if (!film_have_ffmpeg()) SKIP("2 clips: ffmpeg is not installed");
  const char *dir = test_folder("watch_track"), *film = film_in(dir, "film.mp4"), *part = film_in(dir, "part.mp4");
  dor_track_cfg c = {.person = DOR_TRACK_LARGEST, .least_score = 0.1, .gap_s = 0.3, .cutoff_hz = 6};
  dor_watched w;
  dor_track t;
  eye e;
  make_film(film);
  open_eye(&e);
  watch(&e, film, &w);
  OK(dor_watch_track(&e.arena, &w, &c, &t));
  CHECK(t.n == FRAMES && t.n_people == 1 && fabs(t.rate_hz - 25) < 1e-6, "%d frames, %d people, %g Hz", t.n, t.n_people, t.rate_hz);
  for (int32_t i = 0; i < t.n * K; i++) {
    const double time_s = i / K / 25.0, off = hypot((double)t.joint[3 * i] - joint_x(i % K, time_s), (double)t.joint[3 * i + 1] - joint_y(i % K, time_s));
    CHECK(t.state[i] == DOR_TRACK_SEEN && off < 1.5, "frame %d, %s: %.2f pixels off", i / K, names[i % K], off);
  }
  CHECK(dor_watch_video(e.finder, film, 3, &e.arena, enough, NULL, &w) == DOR_E_STOPPED && !w.frame && strstr(dor_errmsg(), "after 3 frames"), "%s",
        dor_errmsg());
  film_cut(film, part, 0.8);
  CHECK(dor_watch_video(e.finder, part, 3, &e.arena, NULL, NULL, &w) == DOR_E_DATA && !w.frame && strstr(dor_errmsg(), "part.mp4"), "%s", dor_errmsg());
  CHECK(dor_watch_video(e.finder, film_in(dir, "none.mp4"), 3, &e.arena, NULL, NULL, &w) == DOR_E_NOTFOUND && !w.frame, "%s", dor_errmsg());
  close_eye(&e);
}
