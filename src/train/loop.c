/* SPDX-License-Identifier: Apache-2.0
 *
 * Epochs, steps, the inner validation loss and the best epoch. Nothing that is
 * not finite gets past a step, so it can reach neither a checkpoint nor "best". */
#include "train/loop.h"

#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "base/rng.h"
#include "base/csv.h"

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
static void feed(const dor_network *net, const dor_batch *b, size_t from, size_t n, dor_instance *i, const dor_feed *f)
{
  for (int32_t j = 0; j < net->n_slots; j++) memcpy(dor_instance_input(i, f->x[j]), b->x[j] + from * net->row[j], n * net->row[j] * sizeof(float));
  if (f->label == DOR_NONE) return;
  memcpy(dor_instance_input(i, f->label), b->label + from, n * sizeof(float));
  memcpy(dor_instance_input(i, f->weight), b->weight + from, n * sizeof(float));
}

static dor_status take_loss(void *to, const double mean[])
{
  dor_loop *l = to;
  if (!isfinite(mean[0])) return refuse_numbers(l, "loss", l->read);
  l->at.loss_sum += mean[0];
  l->read++;
  return DOR_OK;
}

/* The losses of all steps run, and the newest gradient. */
static dor_status read_steps(dor_loop *l)
{
  dor_replica *r = l->replica;
  DOR_TRY(dor_replica_read(r, take_loss, l));
  if (r->net->scale_offset) return DOR_OK; /* one that overflows is left out */
  DOR_TRY(dor_store_pull(&r->store, DOR_GRAD));
  if (dor_finite_all(r->store.host[DOR_GRAD], r->net->params.param_bytes / sizeof(float))) return DOR_OK;
  return refuse_numbers(l, "gradient", l->read - 1);
}

static dor_status accumulate(dor_loop *l, const dor_batch *b, const dor_step *step)
{
  dor_replica *r = l->replica;
  const dor_network *net = r->net;
  const size_t n = (size_t)(net->batch / net->parts);
  for (int32_t k = 0; k < net->parts; k++) {
    feed(net, b, (size_t)k * n, n, k ? r->more : r->first, &r->feed[k > 0]);
    dor_replica_run(r, step);
    if (!dor_replica_full(r)) continue;
    DOR_TRY(k + 1 < net->parts ? dor_replica_read(r, take_loss, l) : read_steps(l));
  }
  return DOR_OK;
}

dor_status dor_loop_step(dor_loop *l)
{
  const dor_replica *r = l->replica;
  dor_batch b;
  double rate = dor_schedule_rate(&l->schedule, (uint64_t)l->at.step);
  dor_step step = {.seed = l->seed, .step = (uint64_t)l->at.step, .lr = (float)rate, .grad_scale = 1.0f / (float)r->net->parts};
  DOR_TRY(dor_loader_next(l->train, &b));
  if (!r->open) l->read = l->at.step;
  DOR_TRY(accumulate(l, &b, &step));
  dor_instance_run(r->update, &step);
  l->at.last_lr = rate;
  l->at.step++;
  l->at.batch++;
  return DOR_OK;
}

/* Evaluation of a batch: logits [n, n_out], until the next. */
static dor_status evaluate(const dor_replica *r, const dor_batch *b, const float **logits)
{
  const dor_step step = {.grad_scale = 1};
  feed(r->net, b, 0, (size_t)r->net->eval_batch, r->eval, &r->feed_eval);
  dor_instance_run(r->eval, &step);
  DOR_TRY(dor_instance_wait(r->eval));
  *logits = dor_instance_kept(r->eval, r->logits, 0);
  return DOR_OK;
}

dor_status dor_loop_logits(const dor_replica *r, dor_loader *l, float *logits)
{
  const size_t out = (size_t)r->net->n_out;
  const float *from;
  dor_batch b;
  DOR_TRY(dor_loader_seek(l, 0, 0));
  for (int64_t k = 0; k < dor_loader_batches(l); k++) {
    DOR_TRY(dor_loader_next(l, &b));
    DOR_TRY(evaluate(r, &b, &from));
    memcpy(logits, from, (size_t)b.n_real * out * sizeof *logits);
    logits += (size_t)b.n_real * out;
  }
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
static dor_status inner_loss(const dor_loop *l, double *out)
{
  const dor_replica *r = l->replica;
  double loss = 0, weight = 0;
  const float *logits;
  dor_batch b;
  DOR_TRY(dor_loader_seek(l->inner, 0, 0));
  for (int64_t k = 0; k < dor_loader_batches(l->inner); k++) {
    DOR_TRY(dor_loader_next(l->inner, &b));
    DOR_TRY(evaluate(r, &b, &logits));
    for (int32_t i = 0; i < b.n_real; i++) {
      loss += (double)b.weight[i] * sample_loss(logits + (size_t)i * (size_t)r->net->n_out, r->net->n_out, b.label[i]);
      weight += (double)b.weight[i];
    }
  }
  *out = loss / weight;
  return isfinite(*out) ? DOR_OK : refuse_numbers(l, "inner validation loss", l->at.step - 1);
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

static dor_status end_epoch(dor_loop *l)
{
  dor_replica *r = l->replica;
  double inner = NAN;
  if (r->open) DOR_TRY(read_steps(l));
  DOR_TRY(dor_replica_pull(r));
  if (dor_replica_scale_lost(r)) return refuse_numbers(l, "gradient", l->at.step - 1);
  const double loss = l->at.loss_sum / (double)l->at.batch;
  if (!dor_finite_all(r->param, r->net->params.param_bytes / sizeof(float)) ||
      !dor_finite_all(r->store.host[DOR_STATE], r->net->params.state_bytes / sizeof(float)))
    return refuse_numbers(l, "weight", l->at.step - 1);
  l->at.epoch++;
  l->at.batch = 0;
  l->at.loss_sum = 0;
  if (l->inner) {
    DOR_TRY(inner_loss(l, &inner));
    l->at.since_best++;
    if (inner < l->at.best) {
      l->at.best = inner, l->at.best_epoch = l->at.epoch, l->at.since_best = 0;
      dor_replica_keep_best(r);
    }
  }
  write_row(l, loss, inner);
  l->on_epoch(l->to, l, loss, inner);
  return dor_str_status(l->csv);
}

static bool ended(const dor_loop *l)
{
  const dor_train_cfg *t = &l->arm->arm->train;
  return l->at.epoch >= t->epochs || (l->inner && t->patience && l->at.since_best >= t->patience);
}

dor_status dor_loop_run(dor_loop *l)
{
  const int64_t batches = dor_loader_batches(l->train);
  DOR_TRY(dor_loader_seek(l->train, l->at.epoch, l->at.batch));
  while (!ended(l)) {
    DOR_TRY(dor_loop_step(l));
    if (l->at.batch == batches) DOR_TRY(end_epoch(l));
    if (!l->replica->open) DOR_TRY(l->on_step(l->to, l));
  }
  if (!l->inner) {
    l->at.best_epoch = l->at.epoch;
    dor_replica_keep_best(l->replica);
  }
  l->at.done = 1;
  return DOR_OK;
}
