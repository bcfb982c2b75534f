/* SPDX-License-Identifier: Apache-2.0 */
#include "train/pretrained.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "weights/weights.h"

static const char *where(const dor_net *net, char out[256])
{
  const dor_tree *t = dor_tree_find(net->tree, "weights");
  return dor_tree_where(t ? t : net->tree, out);
}

dor_status dor_pretrained_hash(const dor_net *net, char hex[DOR_HASH_HEX])
{
  char at[256];
  dor_status s = dor_hash_file(net->weights, hex);
  return s == DOR_E_NOTFOUND ? DOR_FAIL(CONFIG, "%s: net '%s': %s: no such file", where(net, at), net->name, net->weights) : s;
}

/* ---- may they be used? ---- */

static dor_status check_record(const dor_net *net, const dor_tensors *t, dor_dataset *d)
{
  dor_weights_record r;
  dor_str line = {0};
  char at[256];
  dor_weights_record_of(t, &r);
  bool same = r.data_sha256 && !strcmp(r.data_sha256, d->sha256);
  DOR_NEED(!same, LEAK, "%s: %s was trained on this very data set: people who are tested may be among those it has seen", where(net, at), net->weights);
  if (dor_weights_synthetic(&r)) d->synthetic = true;
  dor_weights_record_line(&r, &line);
  dor_note("net '%s': its first weights are %s", net->name, line.s ? line.s : "");
  dor_str_release(&line);
  return DOR_OK;
}

bool dor_pretrained_met(const dor_experiment *e, int32_t arm, int32_t net)
{
  const dor_net *this = &e->arm[arm].net[net];
  for (int32_t i = 0; i < arm; i++)
    for (int32_t k = 0; k < e->arm[i].n_nets; k++)
      if (!strcmp(e->arm[i].net[k].name, this->name) && !strcmp(e->arm[i].net[k].weights, this->weights)) return true;
  return false;
}

dor_status dor_pretrained_check(const dor_experiment *e, dor_dataset *d)
{
  for (int32_t i = 0; i < e->n_arms; i++)
    for (int32_t k = 0; k < e->arm[i].n_nets; k++) {
      const dor_net *net = &e->arm[i].net[k];
      dor_tensors t;
      if (!*net->weights || dor_pretrained_met(e, i, k)) continue;
      dor_status s = dor_weights_read(&t, net->weights);
      if (!s) s = check_record(net, &t, d);
      dor_tensors_release(&t);
      DOR_TRY(s);
    }
  return DOR_OK;
}

/* ---- into the table ---- */

static bool of_scope(const char *name, const char *scope)
{
  if (*scope) return !strncmp(name, scope, strlen(scope));
  return strncmp(name, "out.", 4) && strncmp(name, "head.", 5);
}

/* The part of the table under `scope`, by the names that the net's own file has. */
static dor_status part_of(dor_arena *a, const dor_params *p, const char *scope, dor_params *part, int32_t **index)
{
  *part = (dor_params){0};
  part->at = dor_arena_alloc(a, ((size_t)p->n + 1) * sizeof *part->at);
  *index = dor_arena_alloc(a, ((size_t)p->n + 1) * sizeof **index);
  DOR_NEED(part->at && *index, NOMEM, "no memory for %d parameters", p->n);
  for (int32_t i = 0; i < p->n; i++) {
    if (!of_scope(p->at[i].spec.name, scope)) continue;
    part->at[part->n] = p->at[i];
    part->at[part->n].spec.name += strlen(scope);
    (*index)[part->n++] = i;
  }
  return DOR_OK;
}

static dor_status make_blocks(dor_pretrained *s, const dor_params *p)
{
  if (s->param) return DOR_OK;
  s->param = dor_block_alloc(p->param_bytes + 1);
  s->state = dor_block_alloc(p->state_bytes + 1);
  s->taken = dor_calloc((size_t)p->n + 1, sizeof *s->taken);
  DOR_NEED(s->param && s->state && s->taken, NOMEM, "no memory for weights to begin with");
  return DOR_OK;
}

static dor_status take(dor_arena *a, dor_pretrained *s, const dor_params *p, const char *scope, const dor_net *net, const dor_tensors *t)
{
  dor_params part;
  int32_t *index;
  dor_weights_tally y;
  DOR_TRY(make_blocks(s, p));
  DOR_TRY(part_of(a, p, scope, &part, &index));
  DOR_TRY(dor_weights_fill(&part, "", t, net->weights, DOR_WEIGHTS_MATCHING, s->param, s->state, &y));
  for (int32_t i = 0; i < part.n; i++) s->taken[index[i]] = dor_weights_has(&part.at[i], "", t);
  dor_note("net '%s': %d of %d tensors begin as in its weight file; %d are not in it, %d have another shape there; %d of the file's are not used",
           net->name, y.loaded, part.n, y.missing, y.misfit, y.unexpected);
  return DOR_OK;
}

dor_status dor_pretrained_take(dor_pretrained *s, const dor_params *p, const char *scope, const dor_net *net)
{
  dor_arena a = {0};
  dor_tensors t;
  if (!net || !*net->weights) return DOR_OK;
  dor_status status = dor_weights_read(&t, net->weights);
  if (!status) status = take(&a, s, p, scope, net, &t);
  dor_tensors_release(&t);
  dor_arena_release(&a);
  return status;
}

void dor_pretrained_release(dor_pretrained *s, const dor_params *p)
{
  if (s->param) dor_block_free(s->param, p->param_bytes + 1);
  if (s->state) dor_block_free(s->state, p->state_bytes + 1);
  dor_free(s->taken);
  *s = (dor_pretrained){0};
}

void dor_pretrained_apply(const dor_pretrained *s, const dor_params *p, void *param, void *state)
{
  for (int32_t i = 0; s->taken && i < p->n; i++) {
    const dor_param *q = &p->at[i];
    size_t bytes = dor_type_bytes((dor_type){q->spec.shape, q->spec.dtype});
    if (s->taken[i]) memcpy((char *)(q->spec.state ? state : param) + q->offset, (const char *)(q->spec.state ? s->state : s->param) + q->offset, bytes);
  }
}
