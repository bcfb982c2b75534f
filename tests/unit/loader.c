/* SPDX-License-Identifier: Apache-2.0
 *
 * The loader: order, fullness, weights, padding, resume, and that neither a
 * thread nor timing changes a bit. */
#include "data/loader.h"

#include <math.h>
#include <string.h>

#include "tests/test.h"

enum { N = 11, SIDE = 5, BATCH = 4 };

static uint8_t pixels[N][SIDE * SIDE];
static float features[N][2];
static const int32_t subject[N] = {0, 0, 0, 1, 1, 2, 2, 2, 2, 2, 3};

typedef struct bench {
  dor_source image, vector, other;
  dor_slot slot[2];
  dor_sample sample[N];
  dor_loader_cfg c;
} bench;

static void set_up(bench *b)
{
  static const char *const names[] = {"x", "y"};
  static const float second[] = {100, 101, 102, 103}; /* one row for each person, last person first */
  static const int32_t backwards[] = {3, 2, 1, 0};
  memset(b, 0, sizeof *b);
  for (int32_t i = 0; i < N; i++) {
    for (int32_t k = 0; k < SIDE * SIDE; k++) pixels[i][k] = (uint8_t)((i * 31 + k * 7) % 256);
    features[i][0] = (float)i, features[i][1] = (float)-i;
    b->sample[i] = (dor_sample){.row = {i, i}, .subject = subject[i], .unit = subject[i], .label = (float)(i % 2), .weight = 1};
  }
  b->image = (dor_source){.name = "image", .image = true, .n = N, .subject = subject, .h = SIDE, .w = SIDE, .c = 1, .pixels = &pixels[0][0]};
  b->vector = (dor_source){.name = "vector", .n = N, .subject = subject, .p = 2, .feature = names, .values = &features[0][0]};
  b->other = (dor_source){.name = "other", .n = 4, .subject = backwards, .p = 1, .feature = names, .values = second};
  b->slot[0] = (dor_slot){.source = {&b->image}, .n_sources = 1};
  b->slot[1] = (dor_slot){.source = {&b->vector, &b->other}, .n_sources = 2};
  b->c = (dor_loader_cfg){.slot = b->slot, .n_slots = 2, .sample = b->sample, .n = N, .batch = BATCH, .train = true, .seed = 7};
}

TEST(loader_batches_are_full_and_hold_every_sample)
{
  bench s;
  set_up(&s);
  dor_loader *l;
  OK(dor_loader_new(&l, &s.c, false));
  CHECK(dor_loader_batches(l) == 3, "%lld batches", (long long)dor_loader_batches(l));
  int32_t order[12], seen[N] = {0};
  for (int32_t i = 0; i < 3; i++) {
    dor_batch b;
    OK(dor_loader_next(l, &b));
    CHECK(b.n_real == BATCH, "%d rows", b.n_real);
    for (int32_t k = 0; k < BATCH; k++) {
      const int32_t at = order[i * BATCH + k] = b.sample[k];
      seen[at]++;
      CHECK(b.label[k] == (float)(at % 2), "label of sample %d", at);
      CHECK(b.x[0][k * SIDE * SIDE + 3] == (float)pixels[at][3] / 255.0f, "pixel of sample %d", at);
      CHECK(b.x[1][3 * k] == (float)at && b.x[1][3 * k + 1] == (float)-at && b.x[1][3 * k + 2] == (float)(103 - subject[at]),
            "joined vectors of sample %d: other %g", at, (double)b.x[1][3 * k + 2]);
    }
  }
  CHECK(order[11] == order[0], "the last batch is filled from the start: %d, wanted %d", order[11], order[0]);
  for (int32_t i = 0; i < N; i++) CHECK(seen[i] == 1 + (i == order[0]), "sample %d seen %d times", i, seen[i]);
  dor_loader_free(l);
}

TEST(loader_drop_leaves_out_the_rest)
{
  bench s;
  set_up(&s);
  s.c.drop_last = true;
  dor_loader *l;
  OK(dor_loader_new(&l, &s.c, false));
  CHECK(dor_loader_batches(l) == 2, "%lld batches", (long long)dor_loader_batches(l));
  dor_loader_free(l);
  s.c.batch = 12;
  CHECK(dor_loader_new(&l, &s.c, false) == DOR_E_RANGE && strstr(dor_errmsg(), "11 samples make no batch of 12"), "%s", dor_errmsg());
}

TEST(loader_weighs_people_alike)
{
  bench s;
  set_up(&s);
  for (int32_t i = 0; i < N; i++) s.sample[i].weight = subject[i] == 2 ? 3.0f : 1.0f; /* the caller's class weight */
  s.c.train = false, s.c.batch = N;
  dor_loader *l;
  dor_batch b;
  OK(dor_loader_new(&l, &s.c, false));
  OK(dor_loader_next(l, &b));
  double sum = 0, of[4] = {0};
  for (int32_t i = 0; i < N; i++) sum += (double)b.weight[i], of[subject[i]] += (double)b.weight[i];
  CHECK(fabs(sum / N - 1) < 1e-6, "mean %g", sum / N);
  CHECK(fabs(of[0] - of[3]) < 1e-6 && fabs(of[2] - 3 * of[0]) < 1e-5, "%g %g %g %g", of[0], of[1], of[2], of[3]);
  dor_loader_free(l);
}

TEST(loader_pads_in_evaluation_with_weight_zero)
{
  bench s;
  set_up(&s);
  s.c.train = false;
  dor_loader *l;
  OK(dor_loader_new(&l, &s.c, false));
  for (int32_t i = 0, at = 0; i < 3; i++) {
    dor_batch b;
    OK(dor_loader_next(l, &b));
    CHECK(b.n_real == (i < 2 ? 4 : 3), "batch %d has %d", i, b.n_real);
    for (int32_t k = 0; k < BATCH; k++) {
      CHECK(b.sample[k] == (k < b.n_real ? at++ : N - 1), "batch %d row %d is sample %d", i, k, b.sample[k]);
      CHECK((b.weight[k] > 0) == (k < b.n_real), "batch %d row %d weighs %g", i, k, (double)b.weight[k]);
    }
  }
  dor_loader_free(l);
}

/* The same bytes with and without a thread, and after a seek into the middle, over two epochs with augmentation. */
TEST(loader_contents_depend_on_the_position_only)
{
  bench s;
  set_up(&s);
  const dor_augment_cfg warp = {.flip = 0.5, .shift_px = 1, .scale = 0.1, .rotate_deg = 10};
  s.c.augment = &warp;
  dor_loader *inlined, *threaded, *later;
  OK(dor_loader_new(&inlined, &s.c, false));
  OK(dor_loader_new(&threaded, &s.c, true));
  OK(dor_loader_new(&later, &s.c, true));
  dor_batch a, b, c;
  OK(dor_loader_next(later, &c));
  OK(dor_loader_seek(later, 1, 1));
  int32_t moved = 0, start[BATCH];
  for (int32_t i = 0; i < 6; i++) {
    OK(dor_loader_next(inlined, &a));
    OK(dor_loader_next(threaded, &b));
    CHECK(!memcmp(a.sample, b.sample, sizeof(int32_t) * BATCH) && !memcmp(a.x[0], b.x[0], sizeof(float) * BATCH * SIDE * SIDE), "batch %d", i);
    if (i == 0) memcpy(start, a.sample, sizeof start);
    if (i == 3) moved = memcmp(start, a.sample, sizeof start) != 0;
    if (i < 4) continue;
    OK(dor_loader_next(later, &c));
    CHECK(!memcmp(a.sample, c.sample, sizeof(int32_t) * BATCH) && !memcmp(a.x[0], c.x[0], sizeof(float) * BATCH * SIDE * SIDE), "resumed batch %d", i);
  }
  CHECK(moved, "the second epoch has the order of the first");
  dor_loader_free(inlined), dor_loader_free(threaded), dor_loader_free(later);
}

TEST(loader_augments_anew_in_each_epoch)
{
  bench s;
  set_up(&s);
  const dor_augment_cfg warp = {.shift_px = 2};
  s.c.augment = &warp, s.c.batch = N;
  float first[N][SIDE * SIDE];
  int32_t changed = 0;
  dor_loader *l;
  dor_batch b;
  OK(dor_loader_new(&l, &s.c, false));
  OK(dor_loader_next(l, &b));
  for (int32_t k = 0; k < N; k++) memcpy(first[b.sample[k]], b.x[0] + k * SIDE * SIDE, sizeof first[0]);
  OK(dor_loader_next(l, &b));
  for (int32_t k = 0; k < N; k++) changed += memcmp(first[b.sample[k]], b.x[0] + k * SIDE * SIDE, sizeof first[0]) != 0;
  CHECK(changed == N, "%d of %d pictures are as in the epoch before", N - changed, N);
  dor_loader_free(l);
}

TEST(loader_pools_pictures_of_two_sources)
{
  bench s;
  set_up(&s);
  static uint8_t white[SIDE * SIDE];
  memset(white, 255, sizeof white);
  const int32_t first[] = {0};
  dor_source other = s.image;
  other.n = 1, other.subject = first, other.pixels = white;
  s.slot[0].source[1] = &other, s.slot[0].n_sources = 2;
  s.sample[4].source = 1, s.sample[4].row[0] = 0;
  s.c.train = false, s.c.batch = N;
  dor_loader *l;
  dor_batch b;
  OK(dor_loader_new(&l, &s.c, false));
  OK(dor_loader_next(l, &b));
  CHECK(b.x[0][4 * SIDE * SIDE] == 1 && b.x[0][5 * SIDE * SIDE] == (float)pixels[5][0] / 255.0f, "%g", (double)b.x[0][4 * SIDE * SIDE]);
  dor_loader_free(l);
  other.w = SIDE + 1;
  CHECK(dor_loader_new(&l, &s.c, false) == DOR_E_SHAPE, "sources of two sizes were pooled");
}

static void augment_blob(const dor_augment_cfg *c, int32_t sample, float *out)
{
  uint8_t in[9 * 9] = {0};
  in[4 * 9 + 2] = 255;
  dor_augment(c, 1, 0, sample, 9, 9, 1, in, out);
}

TEST(augment_moves_what_it_should)
{
  float out[9 * 9];
  const dor_augment_cfg none = {0}, flip = {.flip = 1}, turn = {.rotate_deg = 90}, shift = {.shift_px = 2}, zoom = {.scale = 0.5};
  augment_blob(&none, 0, out);
  CHECK(out[4 * 9 + 2] == 1 && out[4 * 9 + 6] == 0 && !dor_augment_any(&none), "%g", (double)out[4 * 9 + 2]);
  augment_blob(&flip, 0, out);
  CHECK(out[4 * 9 + 6] == 1 && out[4 * 9 + 2] == 0 && dor_augment_any(&flip), "%g", (double)out[4 * 9 + 6]);
  double lo = 9, hi = 0, least = 9, most = 0;
  for (int32_t i = 0; i < 200; i++) {
    const dor_augment_cfg *c = i < 100 ? &shift : &turn;
    double mass = 0, x = 0, y = 0;
    augment_blob(c, i, out);
    for (int32_t k = 0; k < 81; k++) mass += (double)out[k], x += (double)out[k] * (k % 9), y += (double)out[k] * (k / 9);
    CHECK(mass > 0.9 && mass < 1.6, "sample %d: mass %g", i, mass);
    double r = hypot(x / mass - 4, y / mass - 4);
    CHECK(i < 100 || x / mass < 4.1, "a turn of 90 degrees at most takes it across the middle: %g", x / mass);
    if (i < 100) lo = fmin(lo, x / mass), hi = fmax(hi, x / mass);
    else least = fmin(least, r), most = fmax(most, r);
  }
  CHECK(lo > -0.01 && lo < 0.3 && hi < 4.01 && hi > 3.7, "shift of 2 takes 2 to [%g, %g]", lo, hi);
  CHECK(least > 1.8 && most < 2.2, "a turn keeps the distance 2 to the middle: [%g, %g]", least, most);
  augment_blob(&zoom, 3, out);
  CHECK(out[0] == 0, "a zoom of the middle reaches the corner");
}
