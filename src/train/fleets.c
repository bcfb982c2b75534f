/* SPDX-License-Identifier: Apache-2.0 */
#include "train/fleets.h"

#include <string.h>

/* What of train.def is in the step block, in the data or in the loop, and in no program. */
static dor_train_cfg of_programs(const dor_train_cfg *t)
{
  dor_train_cfg c = *t;
  c.lr = c.gamma = c.floor = c.warmup = c.checkpoint_s = 0;
  c.epochs = c.every = c.patience = 0;
  c.schedule = c.class_weight = c.stop = c.last = 0;
  c.at = (dor_ints){0};
  return c;
}

static dor_status hash_program(dor_hash *h, const dor_program *p)
{
  dor_str text = {0};
  if (!p) return DOR_OK;
  dor_program_dump(p, &text);
  dor_status s = dor_str_status(&text);
  if (!s) dor_hash_text(h, "program", text.s ? text.s : "");
  dor_str_release(&text);
  return s;
}

static dor_status hash_branch(dor_hash *h, const dor_network *net)
{
  const dor_program *const program[] = {net->first, net->more, net->update, net->eval};
  for (size_t k = 0; k < sizeof program / sizeof *program; k++) DOR_TRY(hash_program(h, program[k]));
  for (int32_t i = 0; i < net->params.n; i++) dor_hash_text(h, "parameter", net->params.at[i].spec.name);
  return DOR_OK;
}

static dor_status hash_arm(dor_hash *h, const dor_study_arm *sa)
{
  const dor_arm *arm = sa->arm;
  const dor_train_cfg train = of_programs(&arm->train);
  DOR_TRY(dor_cell_hash_keys(h, "train", dor_train_keys, &train));
  for (int32_t i = 0; i < arm->n_nets; i++) DOR_TRY(dor_cell_hash_keys(h, arm->net[i].model->name, arm->net[i].model->keys, arm->net[i].cfg));
  if (arm->head) DOR_TRY(dor_cell_hash_keys(h, arm->head->model->name, arm->head->model->keys, arm->head->cfg));
  for (int32_t k = 0; k < sa->n_branches; k++) DOR_TRY(hash_branch(h, &sa->branch[k].net));
  return DOR_OK;
}

dor_status dor_fleets_likeness(dor_study_arm *sa)
{
  dor_hash h;
  bool fleet = true;
  for (int32_t k = 0; k < sa->n_branches; k++) fleet = fleet && sa->branch[k].net.fleet;
  if (!fleet) return DOR_OK;
  dor_hash_init(&h);
  DOR_TRY(hash_arm(&h, sa));
  dor_hash_final(&h, sa->likeness);
  return DOR_OK;
}

int32_t dor_fleets_seats(const dor_study_arm *sa, int64_t most, size_t room)
{
  int64_t seats = INT32_MAX;
  size_t bytes = 1;
  if (!*sa->likeness) return 1;
  for (int32_t k = 0; k < sa->n_branches; k++) {
    const int32_t at_once = dor_network_seats(&sa->branch[k].net);
    bytes += dor_replica_bytes(&sa->branch[k].net);
    seats = at_once < seats ? at_once : seats;
  }
  if (most) seats = most;
  if ((size_t)seats > room / 2 / bytes) seats = (int64_t)(room / 2 / bytes);
  return seats > 1 ? (int32_t)seats : 1;
}

static bool together(const dor_study *s, const dor_cell *a, const dor_cell *b)
{
  return a->arm == b->arm || (*s->arm[a->arm].likeness && !strcmp(s->arm[a->arm].likeness, s->arm[b->arm].likeness));
}

int32_t dor_fleets_take(const dor_study *s, int32_t n, dor_cell *cell, bool *taken, const int32_t seats[], dor_cell *out[])
{
  int32_t found = 0;
  for (int32_t i = 0; i < n && (!found || found < seats[out[0]->arm]); i++) {
    if (taken[i] || (found && !together(s, out[0], &cell[i]))) continue;
    taken[i] = true;
    out[found++] = &cell[i];
  }
  return found;
}
