/* SPDX-License-Identifier: Apache-2.0
 *
 * Two batch buffers in a ring: the caller holds one while the other is filled, by
 * a thread or, without one, when it is asked for. A position (epoch, batch) is all
 * the state there is; order and augmentation are counters away from it. */
#include "data/loader.h"

#include <pthread.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"
#include "data/pixels.h"

enum { RING = 2 };

typedef struct position { int64_t epoch, batch; } position;

typedef struct buffer {
  float *x[DOR_MAX_SLOTS];
  float *label, *weight;
  int32_t *sample;
  int32_t n_real;
  position at;
} buffer;

typedef struct slot {            /* of a program input, ready to be copied from */
  size_t size;                   /* floats of one row of a batch */
  float *vectors;                /* [n, size] of vector slots, by sample: scaled once */
} slot;

struct dor_loader {
  dor_loader_cfg c;
  dor_arena arena;
  slot slot[DOR_MAX_SLOTS];
  float *weight;                 /* [n], mean 1 */
  int32_t *order;                /* [n] of epoch `ordered` */
  int64_t ordered, batches;
  buffer ring[RING];
  position next;                 /* to be filled */
  int32_t held, ready;           /* ring place at the caller, -1: none; places filled and not handed out (the one after `held`) */
  bool threaded, filling, stop;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
};

/* ---- building ---- */

static dor_status make_weights(dor_loader *l)
{
  const dor_loader_cfg *c = &l->c;
  int32_t top = 0;
  for (int32_t i = 0; i < c->n; i++) top = c->sample[i].subject > top ? c->sample[i].subject : top;
  int32_t *count = dor_calloc((size_t)top + 1, sizeof *count);
  DOR_NEED(count, NOMEM, "%d subjects", top + 1);
  double sum = 0;
  for (int32_t i = 0; i < c->n; i++) count[c->sample[i].subject]++;
  for (int32_t i = 0; i < c->n; i++) sum += (double)c->sample[i].weight / count[c->sample[i].subject];
  for (int32_t i = 0; i < c->n; i++) l->weight[i] = (float)((double)c->sample[i].weight / count[c->sample[i].subject] * c->n / sum);
  dor_free(count);
  DOR_NEED(sum > 0, RANGE, "loader: the weights of %d samples sum to %g", c->n, sum);
  return DOR_OK;
}

/* The row of `s` that is of the same person as row `row` of `first`. */
static dor_status row_of_subject(const dor_source *first, int32_t row, const dor_source *s, int32_t *out)
{
  *out = -1;
  if (s->n == first->n && s->subject[row] == first->subject[row]) *out = row;
  for (int32_t i = 0; i < s->n && *out < 0; i++)
    if (s->subject[i] == first->subject[row]) *out = i;
  DOR_NEED(*out >= 0, DATA, "input '%s' has no row for subject row %d, which '%s' has", s->name, first->subject[row], first->name);
  return DOR_OK;
}

static void put_vector(const dor_slot *from, int32_t k, int32_t row, float *out)
{
  const dor_source *s = from->source[k];
  const float *in = s->values + (size_t)row * (size_t)s->p;
  if (from->scaler[k]) dor_scaler_apply(from->scaler[k], in, out);
  else memcpy(out, in, (size_t)s->p * sizeof *out);
}

static int32_t pooled_source(const dor_loader *l, int32_t j, const dor_sample *s) { return j == 0 && l->c.slot[0].n_sources > 1 ? s->source : 0; }

static dor_status fill_vectors(dor_loader *l, int32_t j)
{
  const dor_slot *from = &l->c.slot[j];
  slot *to = &l->slot[j];
  to->vectors = dor_arena_alloc(&l->arena, (size_t)l->c.n * to->size * sizeof(float));
  DOR_NEED(to->vectors, NOMEM, "loader: %d rows of %zu features", l->c.n, to->size);
  for (int32_t i = 0; i < l->c.n; i++) {
    float *out = to->vectors + (size_t)i * to->size;
    const int32_t row = l->c.sample[i].row[j];
    if (from->pooled) put_vector(from, pooled_source(l, j, &l->c.sample[i]), row, out);
    for (int32_t k = 0, same; !from->pooled && k < from->n_sources; out += from->source[k++]->p) {
      DOR_TRY(row_of_subject(from->source[0], row, from->source[k], &same));
      put_vector(from, k, same, out);
    }
  }
  return DOR_OK;
}

static size_t row_size(const dor_source *s) { return s->image ? (size_t)s->h * (size_t)s->w * (size_t)s->c : (size_t)s->p; }

static dor_status make_slot(dor_loader *l, int32_t j)
{
  const dor_slot *from = &l->c.slot[j];
  const dor_source *first = from->source[0];
  const bool joined = !first->image && !from->pooled;
  for (int32_t k = 0; k < from->n_sources; k++) {
    const dor_source *s = from->source[k];
    DOR_NEED(s->image == first->image && (joined || (s->h == first->h && s->w == first->w && s->c == first->c && s->p == first->p)), SHAPE,
             "inputs '%s' and '%s' cannot share a net: their sizes differ", first->name, s->name);
    if (joined || !k) l->slot[j].size += row_size(s);
  }
  return first->image ? DOR_OK : fill_vectors(l, j);
}

static dor_status make_buffers(dor_loader *l)
{
  const size_t n = (size_t)l->c.batch;
  for (int32_t i = 0; i < (l->threaded ? RING : 1); i++) {
    buffer *b = &l->ring[i];
    b->label = dor_arena_alloc(&l->arena, n * sizeof(float));
    b->weight = dor_arena_alloc(&l->arena, n * sizeof(float));
    b->sample = dor_arena_alloc(&l->arena, n * sizeof(int32_t));
    bool got = b->label && b->weight && b->sample;
    for (int32_t j = 0; j < l->c.n_slots; j++) got = (b->x[j] = dor_block_alloc(n * l->slot[j].size * sizeof(float))) && got;
    DOR_NEED(got, NOMEM, "loader: a batch of %zu", n);
  }
  return DOR_OK;
}

static dor_status build(dor_loader *l)
{
  const dor_loader_cfg *c = &l->c;
  DOR_NEED(c->n > 0 && c->batch > 0, RANGE, "loader: %d samples in batches of %d", c->n, c->batch);
  l->batches = c->train && c->drop_last ? c->n / c->batch : (c->n + c->batch - 1) / c->batch;
  DOR_NEED(l->batches, RANGE, "%d samples make no batch of %d; say train.last = \"fill\" or a smaller train.batch", c->n, c->batch);
  l->weight = dor_arena_alloc(&l->arena, (size_t)c->n * sizeof *l->weight);
  l->order = dor_arena_alloc(&l->arena, (size_t)c->n * sizeof *l->order);
  DOR_NEED(l->weight && l->order, NOMEM, "loader: %d samples", c->n);
  for (int32_t i = 0; i < c->n; i++) l->order[i] = i;
  DOR_TRY(make_weights(l));
  for (int32_t j = 0; j < c->n_slots; j++) DOR_TRY(make_slot(l, j));
  return make_buffers(l);
}

/* ---- filling ---- */

static void order_epoch(dor_loader *l, int64_t epoch)
{
  if (!l->c.train || l->ordered == epoch) return;
  for (int32_t i = 0; i < l->c.n; i++) l->order[i] = i;
  dor_rng r = dor_rng_stream(l->c.seed, dor_hash_name("loader"), (uint64_t)epoch);
  dor_rng_shuffle(&r, l->order, l->c.n);
  l->ordered = epoch;
}

static void put_picture(const dor_loader *l, int32_t j, int64_t epoch, int32_t i, float *out)
{
  const dor_sample *sample = &l->c.sample[i];
  const dor_source *s = l->c.slot[j].source[pooled_source(l, j, sample)];
  const uint8_t *in = s->pixels + (size_t)sample->row[j] * l->slot[j].size;
  if (l->c.train && l->c.augment && dor_augment_any(l->c.augment))
    dor_augment(l->c.augment, l->c.seed, (uint64_t)epoch, i, s->h, s->w, s->c, in, out);
  else dor_pixels_unit(l->slot[j].size, in, out);
}

static void put_row(const dor_loader *l, buffer *b, int32_t at, int32_t i)
{
  b->sample[at] = i, b->label[at] = l->c.sample[i].label, b->weight[at] = at < b->n_real ? l->weight[i] : 0;
  for (int32_t j = 0; j < l->c.n_slots; j++) {
    const size_t size = l->slot[j].size;
    if (l->slot[j].vectors) memcpy(b->x[j] + (size_t)at * size, l->slot[j].vectors + (size_t)i * size, size * sizeof(float));
    else put_picture(l, j, b->at.epoch, i, b->x[j] + (size_t)at * size);
  }
}

static void fill(dor_loader *l, buffer *b, position at)
{
  const int64_t first = at.batch * l->c.batch, left = l->c.n - first;
  order_epoch(l, at.epoch);
  b->at = at;
  b->n_real = l->c.train || left > l->c.batch ? l->c.batch : (int32_t)left;
  for (int32_t k = 0; k < l->c.batch; k++) {
    int64_t place = k < b->n_real ? first + k : l->c.n - 1;
    put_row(l, b, k, l->order[place % l->c.n]);
  }
}

static void advance(dor_loader *l)
{
  if (++l->next.batch == l->batches) l->next = (position){l->next.epoch + 1, 0};
}

/* ---- the thread ---- */

static void *prefetch(void *arg)
{
  dor_loader *l = arg;
  pthread_mutex_lock(&l->lock);
  while (!l->stop) {
    if (l->ready + (l->held >= 0) >= RING) {
      pthread_cond_wait(&l->changed, &l->lock);
      continue;
    }
    const position at = l->next;
    buffer *b = &l->ring[(l->held + 1 + l->ready) % RING];
    advance(l);
    l->filling = true;
    pthread_mutex_unlock(&l->lock);
    fill(l, b, at);
    pthread_mutex_lock(&l->lock);
    l->filling = false, l->ready++;
    pthread_cond_broadcast(&l->changed);
  }
  pthread_mutex_unlock(&l->lock);
  return NULL;
}

static dor_status start(dor_loader *l)
{
  pthread_mutex_init(&l->lock, NULL);
  pthread_cond_init(&l->changed, NULL);
  if (!pthread_create(&l->thread, NULL, prefetch, l)) return DOR_OK;
  pthread_mutex_destroy(&l->lock), pthread_cond_destroy(&l->changed);
  l->threaded = false;
  return DOR_FAIL(NOMEM, "loader: no thread to be had");
}

static void finish(dor_loader *l)
{
  pthread_mutex_lock(&l->lock);
  l->stop = true;
  pthread_cond_broadcast(&l->changed);
  pthread_mutex_unlock(&l->lock);
  pthread_join(l->thread, NULL);
  pthread_mutex_destroy(&l->lock), pthread_cond_destroy(&l->changed);
}

/* Give the held buffer back and take the next filled one. */
static buffer *take(dor_loader *l)
{
  pthread_mutex_lock(&l->lock);
  while (!l->ready) {
    pthread_cond_broadcast(&l->changed);
    pthread_cond_wait(&l->changed, &l->lock);
  }
  l->held = (l->held + 1) % RING, l->ready--;
  buffer *b = &l->ring[l->held];
  pthread_cond_broadcast(&l->changed);
  pthread_mutex_unlock(&l->lock);
  return b;
}

/* ---- calls ---- */

dor_status dor_loader_new(dor_loader **out, const dor_loader_cfg *c, bool thread)
{
  dor_loader *l = *out = dor_calloc(1, sizeof *l);
  DOR_NEED(l, NOMEM, "loader");
  l->c = *c, l->ordered = -1, l->held = -1, l->threaded = thread;
  dor_status status = build(l);
  if (status) l->threaded = false;
  if (!status && thread) status = start(l);
  if (!status) return DOR_OK;
  dor_loader_free(l);
  *out = NULL;
  return dor_trace_at(__FILE__, __LINE__, status);
}

int64_t dor_loader_batches(const dor_loader *l) { return l->batches; }

dor_status dor_loader_seek(dor_loader *l, int64_t epoch, int64_t batch)
{
  DOR_NEED(epoch >= 0 && batch >= 0 && batch <= l->batches, RANGE, "loader: no batch %lld of epoch %lld; there are %lld", (long long)batch,
           (long long)epoch, (long long)l->batches);
  if (l->threaded) pthread_mutex_lock(&l->lock);
  while (l->filling) pthread_cond_wait(&l->changed, &l->lock);
  l->next = batch == l->batches ? (position){epoch + 1, 0} : (position){epoch, batch};
  l->ready = 0, l->held = -1;
  if (l->threaded) {
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
  }
  return DOR_OK;
}

dor_status dor_loader_next(dor_loader *l, dor_batch *out)
{
  buffer *b = l->ring;
  if (l->threaded) b = take(l);
  else {
    fill(l, b, l->next);
    advance(l);
  }
  *out = (dor_batch){.label = b->label, .weight = b->weight, .sample = b->sample, .n_real = b->n_real};
  for (int32_t j = 0; j < l->c.n_slots; j++) out->x[j] = b->x[j];
  return DOR_OK;
}

void dor_loader_free(dor_loader *l)
{
  if (!l) return;
  if (l->threaded) finish(l);
  for (int32_t i = 0; i < RING; i++)
    for (int32_t j = 0; j < l->c.n_slots; j++)
      if (l->ring[i].x[j]) dor_block_free(l->ring[i].x[j], (size_t)l->c.batch * l->slot[j].size * sizeof(float));
  dor_arena_release(&l->arena);
  dor_free(l);
}
