/* SPDX-License-Identifier: Apache-2.0
 *
 * Epochs, steps, the inner validation loss and the best epoch, for all loops of a fleet side by side. Nothing that is
 * not finite gets past a step, so it can reach neither a checkpoint nor "best". */
#include "train/loop.h"

#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "base/rng.h"
#include "base/csv.h"
#include "base/mem.h"

uint64_t dor_loop_seed(int64_t seed, int32_t repeat, int32_t fold)
{
  return dor_rng_key(dor_rng_key((uint64_t)seed, dor_hash_name("cell")), (uint64_t)repeat << 32 | (uint32_t)fold);
}

dor_status dor_loop_begin(dor_loop *l)
{
  l->at = (dor_position){.best = INFINITY};
  return dor_replica_init(l->replica, l->seed);
}

/* Exponent bits all set: infinite or not a number. */
bool dor_finite_all(const float *x, size_t n)
{
  uint32_t bad = 0;
#pragma omp simd reduction(| : bad)
  for (size_t i = 0; i < n; i++) {
    uint32_t bits;
    memcpy(&bits, &x[i], sizeof bits);
    bad |= (bits & 0x7f800000u) == 0x7f800000u;
  }
  return !bad;
}

static dor_status refuse_numbers(const dor_loop *l, const char *what, int64_t step)
{
  return DOR_FAIL(NUMERIC, "arm '%s', epoch %lld, step %lld: a %s is not finite (rate %g); a smaller train.lr or train.clip may help", l->arm->arm->name,
                  (long long)l->at.epoch + 1, (long long)step + 1, what, dor_schedule_rate(&l->schedule, (uint64_t)step));
}

/* Rows [from, from + n) of a batch into an instance's inputs. */
static void feed(const dor_replica *r, const dor_batch *b, size_t from, size_t n, dor_instance *i, const dor_feed *f)
{
  const dor_network *net = r->net;
  for (int32_t j = 0; j < net->n_slots; j++)
    memcpy(dor_instance_input_of(i, r->model, f->x[j]), b->x[j] + from * net->row[j], n * net->row[j] * sizeof(float));
  if (f->label == DOR_NONE) return;
  memcpy(dor_instance_input_of(i, r->model, f->label), b->label + from, n * sizeof(float));
  memcpy(dor_instance_input_of(i, r->model, f->weight), b->weight + from, n * sizeof(float));
}

static dor_step *seats(const dor_replica *r) /* all of its fleet idle */
{
  for (int32_t z = 0; z < r->models; z++) r->steps[z] = (dor_step){.idle = 1};
  return r->steps;
}

/* ---- steps ---- */

static bool going(const dor_loop *l) { return !l->at.done && l->at.batch < l->batches; }

static dor_status take_loss(void *to, const double mean[])
{
  dor_loop *l = to;
  if (!isfinite(mean[0])) return refuse_numbers(l, "loss", l->read);
  l->at.loss_sum += mean[0];
  l->read++;
  return DOR_OK;
}

static dor_status check_gradient(const dor_loop *l)
{
  const dor_replica *r = l->replica;
  if (r->net->scale_offset) return DOR_OK; /* one that overflows is left out */
  if (dor_finite_all(r->store.host[DOR_GRAD], r->net->params.param_bytes / sizeof(float))) return DOR_OK;
  return refuse_numbers(l, "gradient", l->read - 1);
}

/* The losses of all steps run and the newest gradient of all loops, or of those that are about to sit steps out. */
static dor_status read_steps(int32_t n, dor_loop l[], bool leaving)
{
  bool any = false;
  for (int32_t z = 0; z < n; z++) {
    l[z].fresh = l[z].replica->open && (!leaving || !going(&l[z]));
    if (l[z].fresh) DOR_TRY(dor_replica_read(l[z].replica, take_loss, &l[z]));
    any = any || l[z].fresh;
  }
  if (any) DOR_TRY(dor_store_pull_all(&l->replica->store, DOR_GRAD));
  for (int32_t z = 0; z < n; z++)
    if (l[z].fresh) DOR_TRY(check_gradient(&l[z]));
  return DOR_OK;
}

static dor_status read_losses(int32_t n, dor_loop l[])
{
  for (int32_t z = 0; z < n; z++)
    if (l[z].replica->open) DOR_TRY(dor_replica_read(l[z].replica, take_loss, &l[z]));
  return DOR_OK;
}

/* Part k of the batches at hand. */
static dor_status run_part(int32_t n, dor_loop l[], dor_step *steps, int32_t k)
{
  const dor_replica *r = l->replica;
  const size_t rows = (size_t)(r->net->batch / r->net->parts);
  dor_instance *i = k ? r->more : r->first;
  bool full = false;
  for (int32_t z = 0; z < n; z++) {
    if (!going(&l[z])) continue;
    feed(l[z].replica, &l[z].batch, (size_t)k * rows, rows, i, &r->feed[k > 0]);
    steps[l[z].replica->model].micro = (uint64_t)k;
  }
  dor_instance_run(i, steps);
  for (int32_t z = 0; z < n; z++) {
    if (!going(&l[z])) continue;
    dor_replica_ran(l[z].replica);
    full = full || dor_replica_full(l[z].replica);
  }
  if (!full) return DOR_OK;
  return k + 1 < r->net->parts ? read_losses(n, l) : read_steps(n, l, false);
}

static dor_status begin_step(dor_loop *l, dor_step *step)
{
  l->at.last_lr = dor_schedule_rate(&l->schedule, (uint64_t)l->at.step);
  *step = (dor_step){.seed = l->seed, .step = (uint64_t)l->at.step, .lr = (float)l->at.last_lr, .grad_scale = 1.0f / (float)l->replica->net->parts};
  if (!l->replica->open) l->read = l->at.step;
  return dor_loader_next(l->train, &l->batch);
}

/* A batch of every loop that has one left in its epoch. */
static dor_status step_all(int32_t n, dor_loop l[])
{
  const dor_replica *r = l->replica;
  dor_step *steps = seats(r);
  for (int32_t z = 0; z < n; z++)
    if (going(&l[z])) DOR_TRY(begin_step(&l[z], &steps[l[z].replica->model]));
  for (int32_t k = 0; k < r->net->parts; k++) DOR_TRY(run_part(n, l, steps, k));
  for (int32_t z = 0; z < r->models; z++) steps[z].micro = 0;
  dor_instance_run(r->update, steps);
  for (int32_t z = 0; z < n; z++)
    if (going(&l[z])) l[z].at.step++, l[z].at.batch++;
  return read_steps(n, l, true);
}

dor_status dor_loop_step(dor_loop *l)
{
  l->batches = INT64_MAX;
  return step_all(1, l);
}

/* ---- evaluation ---- */

/* The next batch of each that has one. */
static dor_status evaluate_round(int32_t n, dor_evaluated e[], int64_t k)
{
  const dor_replica *r = e->replica;
  dor_step *steps = seats(r);
  for (int32_t z = 0; z < n; z++) {
    if (!e[z].loader || k >= dor_loader_batches(e[z].loader)) continue;
    steps[e[z].replica->model] = (dor_step){.grad_scale = 1};
    DOR_TRY(dor_loader_next(e[z].loader, &e[z].batch));
    feed(e[z].replica, &e[z].batch, 0, (size_t)r->net->eval_batch, r->eval, &r->feed_eval);
  }
  dor_instance_run(r->eval, steps);
  DOR_TRY(dor_instance_wait(r->eval));
  for (int32_t z = 0; z < n; z++)
    if (!steps[e[z].replica->model].idle) DOR_TRY(e[z].take(e[z].to, &e[z].batch, dor_instance_kept_of(r->eval, e[z].replica->model, r->logits, 0)));
  return DOR_OK;
}

dor_status dor_loop_evaluate(int32_t n, dor_evaluated e[])
{
  int64_t rounds = 0;
  for (int32_t z = 0; z < n; z++) {
    if (!e[z].loader) continue;
    DOR_TRY(dor_loader_seek(e[z].loader, 0, 0));
    if (dor_loader_batches(e[z].loader) > rounds) rounds = dor_loader_batches(e[z].loader);
  }
  for (int64_t k = 0; k < rounds; k++) DOR_TRY(evaluate_round(n, e, k));
  return DOR_OK;
}

/* -log softmax(x)[label], or the squared error of a value. */
static double sample_loss(const float *x, int32_t n_out, float label)
{
  if (n_out == 1) return ((double)x[0] - (double)label) * ((double)x[0] - (double)label);
  double top = (double)x[0], sum = 0;
  for (int32_t c = 1; c < n_out; c++) top = fmax(top, (double)x[c]);
  for (int32_t c = 0; c < n_out; c++) sum += exp((double)x[c] - top);
  return top + log(sum) - (double)x[(int32_t)label];
}

/* Weighted as in training (each person once, classes by class_weight), without label smoothing. */
static dor_status add_inner(void *to, const dor_batch *b, const float *logits)
{
  dor_loop *l = to;
  const int32_t n_out = l->replica->net->n_out;
  for (int32_t i = 0; i < b->n_real; i++) {
    l->inner_sum += (double)b->weight[i] * sample_loss(logits + (size_t)i * (size_t)n_out, n_out, b->label[i]);
    l->inner_weight += (double)b->weight[i];
  }
  return DOR_OK;
}

/* ---- epochs ---- */

static bool ended(const dor_loop *l)
{
  const dor_train_cfg *t = &l->arm->arm->train;
  return l->at.epoch >= t->epochs || (l->inner && t->patience && l->at.since_best >= t->patience);
}

static void close_ended(dor_loop *l)
{
  if (l->at.done || !ended(l)) return;
  if (!l->inner) {
    l->at.best_epoch = l->at.epoch;
    dor_replica_keep_best(l->replica);
  }
  l->at.done = 1;
}

static void write_row(const dor_loop *l, double loss, double inner)
{
  dor_csv_put_int(l->csv, l->at.epoch, false);
  dor_csv_put_int(l->csv, l->at.step, false);
  dor_csv_put_real(l->csv, loss, false);
  dor_csv_put_real(l->csv, l->at.last_lr, false);
  dor_csv_put_real(l->csv, inner, false);
  dor_csv_put(l->csv, l->branch->name, true);
}

/* The weights after an epoch; what is pulled is checked before anything is made of it. */
static dor_status check_weights(const dor_loop *l)
{
  const dor_replica *r = l->replica;
  if (dor_replica_scale_lost(r)) return refuse_numbers(l, "gradient", l->at.step - 1);
  if (dor_finite_all(r->param, r->net->params.param_bytes / sizeof(float)) &&
      dor_finite_all(r->store.host[DOR_STATE], r->net->params.state_bytes / sizeof(float)))
    return DOR_OK;
  return refuse_numbers(l, "weight", l->at.step - 1);
}

static dor_status end_epoch(dor_loop *l)
{
  const double loss = l->at.loss_sum / (double)l->at.batch;
  double inner = NAN;
  l->at.epoch++;
  l->at.batch = 0;
  l->at.loss_sum = 0;
  if (l->inner) {
    inner = l->inner_sum / l->inner_weight;
    if (!isfinite(inner)) return refuse_numbers(l, "inner validation loss", l->at.step - 1);
    l->at.since_best++;
    if (inner < l->at.best) {
      l->at.best = inner, l->at.best_epoch = l->at.epoch, l->at.since_best = 0;
      dor_replica_keep_best(l->replica);
    }
  }
  write_row(l, loss, inner);
  l->on_epoch(l->to, l, loss, inner);
  close_ended(l);
  return dor_str_status(l->csv);
}

static dor_status end_epochs(int32_t n, dor_loop l[], dor_evaluated e[])
{
  DOR_TRY(dor_replica_pull_all(l->replica));
  for (int32_t z = 0; z < n; z++) {
    l[z].inner_sum = l[z].inner_weight = 0;
    e[z] = (dor_evaluated){.replica = l[z].replica, .loader = l[z].at.done ? NULL : l[z].inner, .take = add_inner, .to = &l[z]};
    if (!l[z].at.done) DOR_TRY(check_weights(&l[z]));
  }
  DOR_TRY(dor_loop_evaluate(n, e));
  for (int32_t z = 0; z < n; z++)
    if (!l[z].at.done) DOR_TRY(end_epoch(&l[z]));
  return DOR_OK;
}

static bool trains(const dor_loop *l) { return !l->at.done; }
static bool unread(const dor_loop *l) { return l->replica->open; }

static bool any(int32_t n, const dor_loop l[], bool (*is)(const dor_loop *l))
{
  bool one = false;
  for (int32_t z = 0; z < n; z++) one = one || is(&l[z]);
  return one;
}

static dor_status run(int32_t n, dor_loop l[], dor_evaluated e[], dor_status (*on_step)(void *to), void *to)
{
  for (int32_t z = 0; z < n; z++) {
    l[z].batches = dor_loader_batches(l[z].train);
    close_ended(&l[z]);
    DOR_TRY(dor_loader_seek(l[z].train, l[z].at.epoch, l[z].at.batch));
  }
  while (any(n, l, trains)) {
    if (any(n, l, going)) DOR_TRY(step_all(n, l));
    if (!any(n, l, going)) DOR_TRY(end_epochs(n, l, e));
    if (!any(n, l, unread)) DOR_TRY(on_step(to));
  }
  return DOR_OK;
}

dor_status dor_loop_run(int32_t n, dor_loop l[], dor_status (*on_step)(void *to), void *to)
{
  dor_evaluated *e = dor_calloc((size_t)n, sizeof *e);
  DOR_NEED(e, NOMEM, "no memory for %d loops", n);
  dor_status s = run(n, l, e, on_step, to);
  dor_free(e);
  return s;
}
