/* SPDX-License-Identifier: Apache-2.0
 *
 * A ring of batches. Rows are handed to threads in order, one at a time; a batch
 * is ready when all its rows are. The ring's place and the order of an epoch are
 * set under the lock, the rest is each row's own. */
#include "data/pose_loader.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/rng.h"
#include "data/picture.h"
#include "data/pixels.h"

enum { RING = 3, MOST_THREADS = 64 };

typedef struct buffer {
  uint8_t *picture, *mask;
  int32_t *size, *path, *path_map[DOR_POSE_SCALES], *joint[DOR_POSE_SCALES], *tag, *image;
  uint64_t epoch;
  int32_t left;                 /* rows not filled yet */
  dor_status status;            /* the first failure of its rows */
  char message[1024];
} buffer;

struct dor_pose_loader {
  dor_pose_loader_cfg c;
  dor_arena arena;
  int64_t batches;              /* per epoch */
  int32_t *order;               /* [set.n] of epoch `ordered` */
  int64_t ordered;
  buffer ring[RING];
  int64_t from;                 /* batches from the start of epoch 0 to the one `seek` went to */
  int64_t row, taken;           /* since then: rows handed to threads, batches handed to the caller */
  int32_t busy, n_threads;
  bool stop;
  pthread_t thread[MOST_THREADS];
  pthread_mutex_t lock;
  pthread_cond_t changed;
};

/* ---- building ---- */

static size_t canvas(const dor_pose_loader *l) { return (size_t)l->c.set->h * (size_t)l->c.set->w; }

/* Numbers of one picture's people, `each` a joint. */
static size_t people_size(const dor_pose_loader *l, size_t each) { return (size_t)l->c.people * (size_t)l->c.set->keypoints->k * each; }

static dor_status make_buffer(dor_pose_loader *l, buffer *b)
{
  const dor_pose_loader_cfg *c = &l->c;
  const size_t n = (size_t)c->batch, i = sizeof(int32_t);
  b->picture = dor_block_alloc(n * canvas(l) * 3);
  b->mask = dor_block_alloc(n * canvas(l));
  b->size = dor_arena_alloc(&l->arena, n * 2 * i);
  b->path = dor_arena_alloc(&l->arena, n * 4 * (size_t)c->input * i);
  b->image = dor_arena_alloc(&l->arena, n * i);
  b->tag = dor_arena_alloc(&l->arena, n * people_size(l, 2) * i);
  bool got = b->picture && b->mask && b->size && b->path && b->image && b->tag;
  for (int32_t s = 0; s < c->n_scales; s++) {
    b->path_map[s] = dor_arena_alloc(&l->arena, n * 4 * (size_t)c->map[s] * i);
    b->joint[s] = dor_arena_alloc(&l->arena, n * people_size(l, 3) * i);
    got = got && b->path_map[s] && b->joint[s];
  }
  DOR_NEED(got, NOMEM, "loader: no memory for %zu pictures of %d x %d", n, c->set->h, c->set->w);
  return DOR_OK;
}

static dor_status build(dor_pose_loader *l)
{
  const dor_pose_loader_cfg *c = &l->c;
  const int32_t n = c->set->n;
  DOR_NEED(n > 0 && c->batch > 0 && c->people > 0 && c->n_scales > 0, RANGE, "loader: %d pictures in batches of %d", n, c->batch);
  l->batches = c->drop_last ? n / c->batch : (n + c->batch - 1) / c->batch;
  DOR_NEED(l->batches, RANGE, "%d pictures make no batch of %d; say train.last = \"fill\" or a smaller train.batch", n, c->batch);
  l->order = dor_arena_alloc(&l->arena, (size_t)n * sizeof *l->order);
  DOR_NEED(l->order, NOMEM, "loader: %d pictures", n);
  for (int32_t i = 0; i < RING; i++) DOR_TRY(make_buffer(l, &l->ring[i]));
  return DOR_OK;
}

/* ---- a row ---- */

/* Pixels [h,w,c] of row's picture onto its canvas, at the size at which it is held. */
static dor_status lay(const dor_pose_loader *l, const buffer *b, int32_t row, const dor_picture *p, uint8_t *canvas_of_row)
{
  const int32_t h = b->size[2 * row], w = b->size[2 * row + 1];
  const size_t line = (size_t)w * (size_t)p->c, step = (size_t)l->c.set->w * (size_t)p->c;
  const bool whole = h == p->h && w == p->w;
  uint8_t *held = whole ? p->pixels : dor_calloc((size_t)h, line);
  DOR_NEED(held, NOMEM, "no memory for %d x %d pixels", h, w);
  dor_status s = whole ? DOR_OK : dor_pixels_resize(p->h, p->w, p->c, p->pixels, h, w, held);
  for (int32_t y = 0; y < h && !s; y++) memcpy(canvas_of_row + (size_t)y * step, held + (size_t)y * line, line);
  if (!whole) dor_free(held);
  return s;
}

static dor_status read_picture(const dor_pose_loader *l, buffer *b, int32_t row)
{
  const dor_pose_set *s = l->c.set;
  const dor_coco_image *im = &s->coco->image[b->image[row]];
  uint8_t *to = b->picture + (size_t)row * canvas(l) * 3;
  dor_arena a = {0};
  dor_picture p = {0};
  const char *path = dor_path_join(&a, s->folder, im->file);
  dor_status status = path ? dor_picture_read_stored(path, 3, &p) : DOR_FAIL(NOMEM, "no memory for a path");
  if (!status && (p.h != im->h || p.w != im->w))
    status = DOR_FAIL(DATA, "%s: %d x %d pixels, %s says %d x %d", path, p.h, p.w, s->coco->path, im->h, im->w);
  if (!status) status = lay(l, b, row, &p, to);
  dor_free(p.pixels);
  dor_arena_release(&a);
  return status;
}

/* 255 where the loss counts; painted tightly, then laid onto the canvas. */
static dor_status make_mask(const dor_pose_loader *l, buffer *b, int32_t row)
{
  const dor_pose_set *s = l->c.set;
  const dor_coco_image *im = &s->coco->image[b->image[row]];
  const size_t pixels = (size_t)im->h * (size_t)im->w;
  uint8_t *ignored = dor_calloc(pixels, 1);
  DOR_NEED(ignored, NOMEM, "no memory for a mask of %d x %d", im->h, im->w);
  dor_status status = dor_coco_ignored(s->coco, b->image[row], ignored);
  for (size_t i = 0; i < pixels; i++) ignored[i] = ignored[i] ? 0 : 255;
  if (!status) status = lay(l, b, row, &(dor_picture){.h = im->h, .w = im->w, .c = 1, .pixels = ignored}, b->mask + (size_t)row * canvas(l));
  dor_free(ignored);
  return status;
}

/* The path of a crop on an r x r map, from the picture as it is held. */
static void lay_path(const dor_pose_crop *crop, const dor_coco_image *im, const int32_t size[2], int32_t r, int32_t *path)
{
  dor_affine m = dor_affine_crop(crop->x, crop->y, crop->side, crop->deg, r, r);
  if (size[0] != im->h || size[1] != im->w) m = dor_affine_reduced(&m, (double)im->w / size[1], (double)im->h / size[0]);
  dor_warp_path(&m, r, r, crop->mirror, path);
}

static void make_geometry(const dor_pose_loader *l, buffer *b, int32_t row)
{
  const dor_pose_loader_cfg *c = &l->c;
  const int32_t image = b->image[row], in = c->input;
  const dor_coco_image *im = &c->set->coco->image[image];
  const dor_pose_crop crop = dor_pose_draw(c->augment, c->seed, b->epoch, image, im->h, im->w);
  int32_t *size = b->size + 2 * row;
  dor_pose_held(c->set, im->h, im->w, &size[0], &size[1]);
  lay_path(&crop, im, size, in, b->path + (size_t)row * 4 * (size_t)in);
  for (int32_t s = 0; s < c->n_scales; s++) {
    const int32_t r = c->map[s];
    int32_t people;
    lay_path(&crop, im, size, r, b->path_map[s] + (size_t)row * 4 * (size_t)r);
    dor_pose_joints(c->set, image, &crop, r, c->people, b->joint[s] + (size_t)row * people_size(l, 3), &people);
  }
  dor_pose_tags(b->joint[0] + (size_t)row * people_size(l, 3), c->people, c->set->keypoints->k, c->map[0], b->tag + (size_t)row * people_size(l, 2));
}

static dor_status fill_row(const dor_pose_loader *l, buffer *b, int32_t row)
{
  make_geometry(l, b, row);
  DOR_TRY(make_mask(l, b, row));
  return read_picture(l, b, row);
}

/* ---- order ---- */

static void order_epoch(dor_pose_loader *l, int64_t epoch)
{
  if (l->ordered == epoch) return;
  const int32_t n = l->c.set->n;
  for (int32_t i = 0; i < n; i++) l->order[i] = i;
  dor_rng r = dor_rng_stream(l->c.seed, dor_hash_name("loader"), (uint64_t)epoch);
  dor_rng_shuffle(&r, l->order, n);
  l->ordered = epoch;
}

/* The k-th batch since `seek` takes its place in the ring. */
static void open_batch(dor_pose_loader *l, int64_t k)
{
  buffer *b = &l->ring[k % RING];
  const int64_t at = l->from + k, epoch = at / l->batches, first = at % l->batches * l->c.batch;
  order_epoch(l, epoch);
  b->epoch = (uint64_t)epoch, b->left = l->c.batch, b->status = DOR_OK;
  for (int32_t i = 0; i < l->c.batch; i++) b->image[i] = l->c.set->image[l->order[(first + i) % l->c.set->n]];
}

/* ---- threads ---- */

/* The batch being held counts: its place is free again when the caller asks for the next. */
static bool may_take(const dor_pose_loader *l)
{
  const int64_t first_held = l->taken > 0 ? l->taken - 1 : 0;
  return l->row / l->c.batch < first_held + RING;
}

static void do_row(dor_pose_loader *l) /* called and left with the lock held */
{
  const int64_t k = l->row / l->c.batch;
  const int32_t row = (int32_t)(l->row++ % l->c.batch);
  buffer *b = &l->ring[k % RING];
  if (!row) open_batch(l, k);
  l->busy++;
  pthread_mutex_unlock(&l->lock);
  const dor_status s = fill_row(l, b, row);
  pthread_mutex_lock(&l->lock);
  if (s && !b->status) {
    b->status = s;
    snprintf(b->message, sizeof b->message, "%s", dor_errmsg());
  }
  b->left--, l->busy--;
  pthread_cond_broadcast(&l->changed);
}

static void *work(void *arg)
{
  dor_pose_loader *l = arg;
  pthread_mutex_lock(&l->lock);
  while (!l->stop)
    if (may_take(l)) do_row(l);
    else pthread_cond_wait(&l->changed, &l->lock);
  pthread_mutex_unlock(&l->lock);
  return NULL;
}

static void stop_threads(dor_pose_loader *l)
{
  pthread_mutex_lock(&l->lock);
  l->stop = true;
  pthread_cond_broadcast(&l->changed);
  pthread_mutex_unlock(&l->lock);
  for (int32_t i = 0; i < l->n_threads; i++) pthread_join(l->thread[i], NULL);
  l->n_threads = 0;
}

/* ---- calls ---- */

dor_status dor_pose_loader_new(dor_pose_loader **out, const dor_pose_loader_cfg *c)
{
  dor_pose_loader *l = *out = dor_calloc(1, sizeof *l);
  DOR_NEED(l, NOMEM, "loader");
  l->c = *c, l->ordered = -1;
  pthread_mutex_init(&l->lock, NULL);
  pthread_cond_init(&l->changed, NULL);
  dor_status s = build(l);
  const int32_t want = c->threads < MOST_THREADS ? c->threads : MOST_THREADS;
  while (!s && l->n_threads < want && !pthread_create(&l->thread[l->n_threads], NULL, work, l)) l->n_threads++;
  if (!s) return DOR_OK;
  dor_pose_loader_free(l);
  *out = NULL;
  return s;
}

int64_t dor_pose_loader_batches(const dor_pose_loader *l) { return l->batches; }

size_t dor_pose_loader_bytes(const dor_pose_loader_cfg *c) { return (size_t)RING * (size_t)c->batch * 4 * (size_t)c->set->h * (size_t)c->set->w; }

dor_status dor_pose_loader_seek(dor_pose_loader *l, int64_t epoch, int64_t batch)
{
  DOR_NEED(epoch >= 0 && batch >= 0 && batch <= l->batches, RANGE, "loader: no batch %lld of epoch %lld; there are %lld", (long long)batch,
           (long long)epoch, (long long)l->batches);
  pthread_mutex_lock(&l->lock);
  l->row = (l->taken + RING) * l->c.batch; /* nothing more is begun */
  while (l->busy) pthread_cond_wait(&l->changed, &l->lock);
  l->from = epoch * l->batches + batch;
  l->row = l->taken = 0;
  pthread_cond_broadcast(&l->changed);
  pthread_mutex_unlock(&l->lock);
  return DOR_OK;
}

static bool filled(const dor_pose_loader *l, int64_t k) { return l->row >= (k + 1) * l->c.batch && !l->ring[k % RING].left; }

dor_status dor_pose_loader_next(dor_pose_loader *l, dor_pose_batch *out)
{
  pthread_mutex_lock(&l->lock);
  const int64_t k = l->taken++;
  pthread_cond_broadcast(&l->changed);
  while (!filled(l, k))
    if (!l->n_threads) do_row(l);
    else pthread_cond_wait(&l->changed, &l->lock);
  pthread_mutex_unlock(&l->lock);
  const buffer *b = &l->ring[k % RING];
  *out = (dor_pose_batch){.picture = b->picture, .mask = b->mask, .size = b->size, .path = b->path, .tag = b->tag,
                          .image = b->image};
  for (int32_t s = 0; s < l->c.n_scales; s++) out->path_map[s] = b->path_map[s], out->joint[s] = b->joint[s];
  if (b->status) dor_errmsg_set(b->message);
  return b->status;
}

void dor_pose_loader_free(dor_pose_loader *l)
{
  if (!l) return;
  stop_threads(l);
  for (int32_t i = 0; i < RING; i++) {
    const size_t n = (size_t)l->c.batch * canvas(l);
    if (l->ring[i].picture) dor_block_free(l->ring[i].picture, 3 * n);
    if (l->ring[i].mask) dor_block_free(l->ring[i].mask, n);
  }
  pthread_mutex_destroy(&l->lock), pthread_cond_destroy(&l->changed);
  dor_arena_release(&l->arena);
  dor_free(l);
}
