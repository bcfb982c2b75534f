/* SPDX-License-Identifier: Apache-2.0
 *
 * From an arm's inputs, nets and fusion to graphs, from graphs to programs, and
 * the memory one worker needs to run them. Training and evaluation build the same
 * layers over one parameter table, so their weights cannot drift apart. */
#include "train/network.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "train/study.h"

typedef struct maker {
  dor_network *net;
  const dor_arm *arm;
  const dor_branch *branch;
  const dor_cpu_cfg *cpu;
} maker;

/* ---- the graph ---- */

static dor_type slot_type(const dor_slot *s, int32_t batch)
{
  const dor_source *first = s->source[0];
  if (first->image) return (dor_type){DOR_SHAPE(batch, first->h, first->w, first->c), DOR_F32};
  int32_t p = first->p;
  for (int32_t k = 1; k < s->n_sources && !s->pooled; k++) p += s->source[k]->p;
  return (dor_type){DOR_SHAPE(batch, p), DOR_F32};
}

static const dor_net *net_of(const maker *m, int32_t slot)
{
  const char *name = m->branch->input[m->branch->input_of[slot][0]]->net;
  for (int32_t i = 0; i < m->arm->n_nets; i++)
    if (*name && !strcmp(m->arm->net[i].name, name)) return &m->arm->net[i];
  return NULL;
}

static dor_status check_takes(const maker *m, const dor_net *net, int32_t slot)
{
  const dor_branch *b = m->branch;
  const char *input = b->input[b->input_of[slot][0]]->name, *takes = b->slot[slot].source[0]->image ? "image" : "vector";
  char where[256];
  DOR_NEED(net || m->arm->head, CONFIG, "%s: input '%s' of arm '%s' has no net, and there is no head",
           m->arm->tree ? dor_tree_where(m->arm->tree, where) : "config", input, m->arm->name);
  const dor_model *model = net ? net->model : m->arm->head->model;
  DOR_NEED(model->body, CONFIG, "%s: net '%s' (%s) gives maps, and an arm needs a vector", net && net->tree ? dor_tree_where(net->tree, where) : "config",
           net ? net->name : m->arm->head->name, model->name);
  DOR_NEED(!strcmp(model->takes, takes), CONFIG, "%s: net '%s' (%s) takes a %s, input '%s' is a%s %s",
           net && net->tree ? dor_tree_where(net->tree, where) : "config", net ? net->name : m->arm->head->name, model->name, model->takes, input,
           *takes == 'i' ? "n" : "", takes);
  return DOR_OK;
}

/* A slot through its net. Joint branches keep their names apart by the input's. */
static dor_val slot_vector(const maker *m, dor_graph *g, int32_t slot, dor_val x)
{
  const dor_net *net = net_of(m, slot);
  if (!net) return x;
  size_t mark = m->branch->n_slots > 1 ? dor_graph_push(g, "%s", m->branch->input[m->branch->input_of[slot][0]]->name) : 0;
  dor_val v = net->model->body(g, net->cfg, x);
  if (m->branch->n_slots > 1) dor_graph_pop(g, mark);
  return v;
}

/* [N,out]: every slot through its net, joined, through the head if there is one, through one linear layer. */
static dor_val build_output(const maker *m, dor_graph *g, int32_t batch)
{
  dor_val v[DOR_MAX_SLOTS], joined;
  for (int32_t j = 0; j < m->branch->n_slots; j++) {
    char name[16];
    snprintf(name, sizeof name, "x%d", j);
    v[j] = slot_vector(m, g, j, dor_graph_input(g, name, slot_type(&m->branch->slot[j], batch)));
  }
  joined = m->branch->n_slots > 1 ? dor_concat(g, m->branch->n_slots, v, 1) : v[0];
  if (m->arm->head) {
    size_t mark = dor_graph_push(g, "head");
    joined = m->arm->head->model->body(g, m->arm->head->cfg, joined);
    dor_graph_pop(g, mark);
  }
  return dor_layer_linear(g, "out", joined, m->net->n_out);
}

static void build_training(const maker *m, dor_graph *g, bool accumulate)
{
  int32_t n = m->net->batch / m->net->parts;
  dor_val y = build_output(m, g, n);
  dor_val label = dor_graph_input(g, "label", (dor_type){DOR_SHAPE(n), DOR_F32});
  dor_val weight = dor_graph_input(g, "weight", (dor_type){DOR_SHAPE(n), DOR_F32});
  dor_val one = dor_graph_input(g, "one", (dor_type){DOR_SHAPE(1), DOR_F32});
  dor_val loss = m->net->n_out > 1 ? dor_softmax_ce(g, y, label, weight, DOR_NONE, m->arm->train.label_smoothing)
                                   : dor_mse(g, y, dor_reshape(g, label, DOR_SHAPE(n, 1)), weight);
  dor_graph_keep(g, loss, "loss");
  if (dor_graph_grad_params(g, &dor_op_add, &dor_op_add_into, loss, one, accumulate)) return;
}

/* ---- programs ---- */

dor_status dor_network_compile(dor_graph *g, const dor_cpu_cfg *cpu, dor_program **out)
{
  static const char *const conv[] = {"auto", "direct", "winograd"};
  dor_program_options o = {.threads = (int32_t)cpu->threads, .conv = conv[cpu->conv]};
  dor_status s = dor_graph_status(g);
  if (s) return dor_graph_release(g), s;
  return dor_program_build(out, g, &dor_backend_cpu, &o);
}

static dor_status build_accumulate(const maker *m, bool more, dor_program **out)
{
  dor_graph g;
  dor_graph_init(&g, &m->net->params, true);
  build_training(m, &g, more);
  return dor_network_compile(&g, m->cpu, out);
}

static dor_optim_cfg optim_of(const dor_train_cfg *t)
{
  return (dor_optim_cfg){.rule = (dor_optim_rule)t->optimizer, .lr = t->lr, .beta1 = t->beta1, .beta2 = t->beta2, .eps = t->eps, .decay = t->decay,
                         .momentum = t->momentum, .nesterov = t->nesterov, .clip = t->clip, .ema = t->ema};
}

dor_status dor_network_update(dor_network *net, const dor_train_cfg *t, const dor_cpu_cfg *cpu)
{
  dor_optim_cfg c = optim_of(t);
  dor_graph g;
  dor_graph_init(&g, &net->params, true);
  dor_status s = dor_optim_build(&g, &c);
  if (s) return dor_graph_release(&g), s;
  net->moment_bytes = dor_optim_moment_bytes(&net->params, &c);
  net->ema = c.ema > 0;
  net->ema_offset = dor_optim_ema_offset(&net->params, &c);
  return dor_network_compile(&g, cpu, &net->update);
}

static dor_status build_eval(const maker *m)
{
  dor_graph g;
  dor_graph_init(&g, &m->net->params, false);
  dor_graph_keep(&g, build_output(m, &g, m->net->eval_batch), "logits");
  return dor_network_compile(&g, m->cpu, &m->net->eval);
}

static dor_status check_batch(const maker *m)
{
  char where[256];
  const dor_train_cfg *t = &m->arm->train;
  const dor_tree *at = dor_tree_find(m->arm->tree, "train.accumulate");
  DOR_NEED(t->batch % t->accumulate == 0, CONFIG, "%s: 'accumulate' %lld does not divide the batch of %lld", at ? dor_tree_where(at, where) : "train",
           (long long)t->accumulate, (long long)t->batch);
  return DOR_OK;
}

static dor_status take_starts(const maker *m)
{
  dor_network *net = m->net;
  char scope[256] = "";
  for (int32_t j = 0; j < net->n_slots; j++) {
    if (m->branch->n_slots > 1) snprintf(scope, sizeof scope, "%s.", m->branch->input[m->branch->input_of[j][0]]->name);
    DOR_TRY(dor_pretrained_take(&net->first_weights, &net->params, scope, net_of(m, j)));
  }
  return dor_pretrained_take(&net->first_weights, &net->params, "head.", m->arm->head);
}

static dor_status build(const maker *m)
{
  dor_network *net = m->net;
  DOR_TRY(check_batch(m));
  for (int32_t j = 0; j < net->n_slots; j++) DOR_TRY(check_takes(m, net_of(m, j), j));
  DOR_TRY(build_accumulate(m, false, &net->first));
  if (net->parts > 1) DOR_TRY(build_accumulate(m, true, &net->more));
  DOR_TRY(dor_network_update(net, &m->arm->train, m->cpu));
  DOR_TRY(build_eval(m));
  return take_starts(m);
}

/* Evaluation takes what is there in few runs without much padding: features are cheap, pictures cost memory. */
static int32_t eval_batch(const dor_branch *b, int32_t batch)
{
  bool image = false;
  for (int32_t j = 0; j < b->n_slots; j++) image = image || b->slot[j].source[0]->image;
  return image ? (batch < 32 ? batch : 32) : b->n < 64 ? b->n : 64;
}

dor_status dor_network_build(dor_network *net, const dor_arm *arm, const dor_branch *b, int32_t n_out, const dor_cpu_cfg *cpu)
{
  *net = (dor_network){.batch = (int32_t)arm->train.batch, .parts = (int32_t)arm->train.accumulate, .n_out = n_out, .n_slots = b->n_slots};
  net->eval_batch = eval_batch(b, net->batch);
  for (int32_t j = 0; j < b->n_slots; j++) net->row[j] = (size_t)dor_shape_size(slot_type(&b->slot[j], 1).shape);
  maker m = {net, arm, b, cpu};
  dor_status s = build(&m);
  if (s) dor_network_release(net);
  return s;
}

void dor_network_release(dor_network *net)
{
  dor_program_release(net->first);
  dor_program_release(net->more);
  dor_program_release(net->update);
  dor_program_release(net->eval);
  dor_pretrained_release(&net->first_weights, &net->params);
  dor_params_release(&net->params);
  *net = (dor_network){0};
}

/* ---- replicas ---- */

static size_t block_bytes(const dor_network *net, dor_kind kind)
{
  size_t n = kind == DOR_STATE ? net->params.state_bytes : kind == DOR_MOMENT ? net->moment_bytes : net->params.param_bytes;
  return n ? n : sizeof(float);
}

static const dor_kind kinds[] = {DOR_PARAM, DOR_GRAD, DOR_STATE, DOR_MOMENT};

dor_status dor_replica_blocks(dor_replica *r, const dor_network *net)
{
  *r = (dor_replica){.net = net};
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
    r->blocks.at[kinds[k]] = dor_block_alloc(block_bytes(r->net, kinds[k]));
    DOR_NEED(r->blocks.at[kinds[k]], NOMEM, "no memory for a model of %zu bytes", block_bytes(r->net, kinds[k]));
  }
  r->param = r->net->ema ? (char *)r->blocks.at[DOR_MOMENT] + r->net->ema_offset : r->blocks.at[DOR_PARAM];
  r->best_param = dor_block_alloc(block_bytes(r->net, DOR_PARAM));
  r->best_state = dor_block_alloc(block_bytes(r->net, DOR_STATE));
  DOR_NEED(r->best_param && r->best_state, NOMEM, "no memory for the best weights");
  return DOR_OK;
}

static void find_inputs(const dor_instance *i, int32_t n, float *x[])
{
  for (int32_t j = 0; j < n; j++) {
    char name[16];
    snprintf(name, sizeof name, "x%d", j);
    x[j] = dor_instance_named(i, name);
  }
}

static void find_training(dor_instance *i, int32_t n, float *x[], void **label, float **weight, const float **loss)
{
  find_inputs(i, n, x);
  *label = dor_instance_named(i, "label");
  *weight = dor_instance_named(i, "weight");
  *loss = dor_instance_named(i, "loss");
  *(float *)dor_instance_named(i, "one") = 1;
}

static dor_status make_instances(dor_replica *r)
{
  const dor_network *net = r->net;
  dor_blocks evaluated = r->blocks;
  evaluated.at[DOR_PARAM] = r->param;
  DOR_TRY(dor_instance_new(&r->first, net->first, &r->blocks));
  if (net->more) DOR_TRY(dor_instance_new(&r->more, net->more, &r->blocks));
  DOR_TRY(dor_instance_new(&r->update, net->update, &r->blocks));
  DOR_TRY(dor_instance_new(&r->eval, net->eval, &evaluated));
  find_training(r->first, net->n_slots, r->x, &r->label, &r->weight, &r->loss);
  if (r->more) find_training(r->more, net->n_slots, r->x_more, &r->label_more, &r->weight_more, &r->loss_more);
  find_inputs(r->eval, net->n_slots, r->x_eval);
  r->logits = dor_instance_named(r->eval, "logits");
  return DOR_OK;
}

dor_status dor_replica_make(dor_replica *r, const dor_network *net)
{
  dor_status s = dor_replica_blocks(r, net);
  if (!s) s = make_instances(r);
  if (s) dor_replica_release(r);
  return s;
}

void dor_replica_release(dor_replica *r)
{
  dor_instance_free(r->first);
  dor_instance_free(r->more);
  dor_instance_free(r->update);
  dor_instance_free(r->eval);
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
    if (r->blocks.at[kinds[k]]) dor_block_free(r->blocks.at[kinds[k]], block_bytes(r->net, kinds[k]));
  if (r->best_param) dor_block_free(r->best_param, block_bytes(r->net, DOR_PARAM));
  if (r->best_state) dor_block_free(r->best_state, block_bytes(r->net, DOR_STATE));
  *r = (dor_replica){0};
}

size_t dor_replica_bytes(const dor_network *net)
{
  size_t n = block_bytes(net, DOR_PARAM) + block_bytes(net, DOR_STATE);
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) n += block_bytes(net, kinds[k]);
  n += dor_program_pool_bytes(net->first) + dor_program_pool_bytes(net->update);
  if (net->eval) n += dor_program_pool_bytes(net->eval);
  return net->more ? n + dor_program_pool_bytes(net->more) : n;
}

void dor_replica_init(dor_replica *r, uint64_t seed)
{
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) memset(r->blocks.at[kinds[k]], 0, block_bytes(r->net, kinds[k]));
  dor_params_init(&r->net->params, seed, r->blocks.at[DOR_PARAM], r->blocks.at[DOR_STATE]);
  dor_pretrained_apply(&r->net->first_weights, &r->net->params, r->blocks.at[DOR_PARAM], r->blocks.at[DOR_STATE]);
  if (r->net->ema) memcpy(r->param, r->blocks.at[DOR_PARAM], r->net->params.param_bytes);
  dor_replica_keep_best(r);
}

void dor_replica_keep_best(dor_replica *r)
{
  memcpy(r->best_param, r->param, r->net->params.param_bytes);
  memcpy(r->best_state, r->blocks.at[DOR_STATE], r->net->params.state_bytes);
}

void dor_replica_take_best(dor_replica *r)
{
  memcpy(r->param, r->best_param, r->net->params.param_bytes);
  memcpy(r->blocks.at[DOR_STATE], r->best_state, r->net->params.state_bytes);
}
