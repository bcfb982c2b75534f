/* SPDX-License-Identifier: Apache-2.0
 *
 * Learning rates as functions of the update's number.
 *   source   PyTorch MultiStepLR, StepLR, ExponentialLR; Loshchilov & Hutter, arXiv:1608.03983 (cosine) */
#include "optim/optim.h"

#include <math.h>

static double falls(const dor_schedule_cfg *c, int64_t epoch) /* how often the rate has fallen */
{
  if (!c->n_at) return c->every > 0 ? (double)(epoch / c->every) : 0;
  double n = 0;
  for (int32_t i = 0; i < c->n_at; i++) n += epoch >= c->at[i];
  return n;
}

static double cosine(const dor_schedule_cfg *c, double step, double warmup)
{
  double total = (double)(c->epochs * c->steps_per_epoch) - warmup;
  double t = total > 0 ? fmin(fmax((step - warmup) / total, 0), 1) : 1;
  return c->floor + (c->lr - c->floor) * (1 + cos(acos(-1) * t)) / 2;
}

double dor_schedule_rate(const dor_schedule_cfg *c, uint64_t step)
{
  int64_t epoch = c->steps_per_epoch > 0 ? (int64_t)step / c->steps_per_epoch : 0;
  double warmup = ceil(c->warmup_epochs * (double)c->steps_per_epoch), rate = c->lr;
  if (c->rule == DOR_SCHEDULE_STEP) rate = c->lr * pow(c->gamma, falls(c, epoch));
  if (c->rule == DOR_SCHEDULE_EXPONENTIAL) rate = c->lr * pow(c->gamma, (double)epoch);
  if (c->rule == DOR_SCHEDULE_COSINE) rate = cosine(c, (double)step, warmup);
  return (double)step < warmup ? rate * ((double)step + 1) / warmup : rate;
}
