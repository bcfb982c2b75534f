/* SPDX-License-Identifier: Apache-2.0
 *
 * From an arm's inputs, nets and fusion to graphs, from graphs to programs, and
 * the memory one worker needs to run them. Training and evaluation build the same
 * layers over one parameter table, so their weights cannot drift apart. */
#include "train/network.h"

#include <math.h>
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

/* Weights, their gradients and what the optimiser keeps of each; said by the net's name before anything is asked for. */
static dor_status check_size(const maker *m)
{
  enum { COPIES = 3 };
  char where[256], nets[256] = "";
  const double numbers = (double)dor_params_count(&m->net->params, false), bytes = COPIES * sizeof(float) * numbers, most = (double)dor_memory_bytes();
  const dor_net *first = NULL;
  for (int32_t j = 0; j <= m->branch->n_slots; j++) {
    const dor_net *net = j < m->branch->n_slots ? net_of(m, j) : m->arm->head;
    size_t used = strlen(nets);
    if (!net) continue;
    snprintf(nets + used, sizeof nets - used, "%s'%.60s'", used ? ", " : "", net->name);
    first = first ? first : net;
  }
  DOR_NEED(bytes <= most && numbers <= INT32_MAX, NOMEM,
           "%s: net %s of arm '%s': %.0f weights take %.1f GB with gradients and moments; this machine has %.1f GB, and a net at most %d weights",
           first && first->tree ? dor_tree_where(first->tree, where) : "config", nets, m->arm->name, numbers, bytes * 1e-9, most * 1e-9, INT32_MAX);
  return DOR_OK;
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
  if (dor_network_scale(m->net, &m->arm->train, g)) return;
}

/* ---- programs ---- */

static dor_status compile(const dor_network *net, dor_graph *g, const dor_cpu_cfg *cpu, const char *name, dor_format precision, dor_program **out)
{
  static const char *const conv[] = {"auto", "direct", "winograd"};
  dor_program_options o = {.threads = (int32_t)cpu->threads, .name = name, .conv = conv[cpu->conv], .precision = precision, .fleet = net->fleet};
  dor_status s = dor_graph_status(g);
  if (s) return dor_graph_release(g), s;
  return dor_program_build(out, g, net->backend, &o);
}

dor_status dor_network_compile(const dor_network *net, dor_graph *g, const dor_cpu_cfg *cpu, const char *name, dor_program **out)
{
  return compile(net, g, cpu, name, net->precision, out);
}

static dor_optim_cfg optim_of(const dor_network *net, const dor_train_cfg *t)
{
  return (dor_optim_cfg){.rule = (dor_optim_rule)t->optimizer, .lr = t->lr, .beta1 = t->beta1, .beta2 = t->beta2, .eps = t->eps, .decay = t->decay,
                         .momentum = t->momentum, .nesterov = t->nesterov, .clip = t->clip, .ema = t->ema,
                         .loss_scale = net->precision == DOR_FORMAT_FP16};
}

dor_status dor_network_scale(const dor_network *net, const dor_train_cfg *t, dor_graph *g)
{
  const dor_optim_cfg c = optim_of(net, t);
  return g->status || !c.loss_scale ? g->status : dor_optim_scale_seed(g, dor_graph_find_input(g, "one"), &c);
}

static const double fleet_flops = 4e9; /* of a step: about 0.2 ms of float32 on a large GPU; beyond, it has work enough */
enum { MOST_SEATS = 256 };

/* Bits must not depend on how many there are, so neither may this choice. */
static void choose_fleet(dor_network *net, const dor_graph *g)
{
  net->step_flops = 0;
  for (int32_t k = 0; k < g->nnode; k++) net->step_flops += net->parts * dor_node_cost(g, k).flops;
  net->fleet = net->backend->device && 2 * net->step_flops <= fleet_flops;
}

int32_t dor_network_seats(const dor_network *net)
{
  if (!net->fleet) return 1;
  const double seats = fleet_flops / fmax(net->step_flops, 1);
  return seats < MOST_SEATS ? (int32_t)seats : MOST_SEATS;
}

static dor_status build_accumulate(const maker *m, bool more, dor_program **out)
{
  dor_graph g;
  dor_graph_init(&g, &m->net->params, true);
  build_training(m, &g, more);
  dor_status s = check_size(m); /* a graph that is too large for its own numbers has failed by now, and does not say whose they are */
  if (!s) s = dor_graph_status(&g);
  if (s) return dor_graph_release(&g), s;
  if (!more) choose_fleet(m->net, &g);
  return dor_network_compile(m->net, &g, m->cpu, "accumulate", out);
}

dor_status dor_network_update(dor_network *net, const dor_train_cfg *t, const dor_cpu_cfg *cpu)
{
  dor_optim_cfg c = optim_of(net, t);
  dor_graph g;
  dor_graph_init(&g, &net->params, true);
  dor_status s = dor_optim_build(&g, &c);
  if (s) return dor_graph_release(&g), s;
  net->moment_bytes = dor_optim_moment_bytes(&net->params, &c);
  net->ema = c.ema > 0;
  net->ema_offset = dor_optim_ema_offset(&net->params, &c);
  net->scale_offset = dor_optim_scale_offset(&net->params, &c);
  return compile(net, &g, cpu, "update", DOR_FORMAT_FP32, &net->update);
}

static dor_status build_eval(const maker *m)
{
  dor_graph g;
  dor_graph_init(&g, &m->net->params, false);
  dor_graph_keep(&g, build_output(m, &g, m->net->eval_batch), "logits");
  return dor_network_compile(m->net, &g, m->cpu, "evaluate", &m->net->eval);
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

dor_status dor_network_build(dor_network *net, const dor_arm *arm, const dor_branch *b, int32_t n_out, const dor_cpu_cfg *cpu,
                             const dor_backend *backend)
{
  *net = (dor_network){.backend = backend ? backend : &dor_backend_cpu, .batch = (int32_t)arm->train.batch, .parts = (int32_t)arm->train.accumulate,
                       .n_out = n_out, .n_slots = b->n_slots, .precision = dor_backend_format(backend, (dor_format)arm->top.precision)};
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

static void block_bytes(const dor_network *net, size_t bytes[DOR_KIND_COUNT])
{
  const size_t params = net->params.param_bytes;
  memcpy(bytes, (size_t[DOR_KIND_COUNT]){[DOR_PARAM] = params, [DOR_GRAD] = params, [DOR_STATE] = net->params.state_bytes, [DOR_MOMENT] = net->moment_bytes},
         DOR_KIND_COUNT * sizeof *bytes);
}

static size_t ema_offset(const dor_network *net) { return net->ema ? net->ema_offset : 0; }
static dor_kind evaluated(const dor_network *net) { return net->ema ? DOR_MOMENT : DOR_PARAM; }

/* On a device it is better to hear of too little memory before training than in it. */
static dor_status check_room(const dor_network *net, int32_t models)
{
  size_t left, all;
  const size_t needed = (size_t)models * dor_replica_bytes(net);
  if (!net->backend->device) return DOR_OK;
  DOR_TRY(net->backend->device->memory(&left, &all));
  DOR_NEED(needed <= left, DEVMEM, "training needs %zu bytes on the device, %zu of its %zu are free; try a smaller train.batch or a larger train.accumulate",
           needed, left, all);
  return DOR_OK;
}

static dor_status make_best(dor_replica *r)
{
  const dor_network *net = r->net;
  r->param = (void *)((char *)r->store.host[evaluated(net)] + ema_offset(net));
  r->best_param = dor_block_alloc(r->store.bytes[DOR_PARAM]);
  r->best_state = dor_block_alloc(r->store.bytes[DOR_STATE]);
  DOR_NEED(r->best_param && r->best_state, NOMEM, "no memory for the best weights");
  return DOR_OK;
}

dor_status dor_replica_blocks(dor_replica *r, const dor_network *net)
{
  size_t bytes[DOR_KIND_COUNT];
  *r = (dor_replica){.net = net, .most_open = 1, .models = 1};
  DOR_TRY(check_room(net, 1));
  block_bytes(net, bytes);
  DOR_TRY(dor_store_make(&r->store, net->backend, bytes));
  return make_best(r);
}

dor_blocks dor_replica_evaluated(const dor_replica *r)
{
  dor_blocks b = r->store.blocks;
  b.at[DOR_PARAM] = (char *)b.at[evaluated(r->net)] + ema_offset(r->net);
  return b;
}

static void find_inputs(const dor_program *p, int32_t n, dor_feed *f)
{
  const dor_graph *g = dor_program_graph(p);
  for (int32_t j = 0; j < n; j++) {
    char name[16];
    snprintf(name, sizeof name, "x%d", j);
    f->x[j] = dor_graph_find_input(g, name);
  }
  f->label = dor_graph_find_input(g, "label");
  f->weight = dor_graph_find_input(g, "weight");
}

void dor_replica_watch(dor_replica *r, int32_t n, const char *const name[])
{
  const dor_network *net = r->net;
  r->n_kept = n;
  for (int32_t i = 0; i < n; i++) {
    r->kept[0][i] = dor_graph_find(dor_program_graph(net->first), name[i]);
    if (net->more) r->kept[1][i] = dor_graph_find(dor_program_graph(net->more), name[i]);
  }
  r->most_open = dor_instance_depth(r->first);
  if (r->more && dor_instance_depth(r->more) < r->most_open) r->most_open = dor_instance_depth(r->more);
}

static void set_seed(dor_instance *i, const dor_program *p) /* of the gradients */
{
  const dor_val one = dor_graph_find_input(dor_program_graph(p), "one"); /* not where a loss scale takes its place */
  if (one != DOR_NONE) dor_instance_set(i, one, &(float){1});
}

dor_status dor_replica_training(dor_replica *r)
{
  const dor_network *net = r->net;
  DOR_TRY(dor_instance_new(&r->first, net->first, &r->store.blocks));
  if (net->more) DOR_TRY(dor_instance_new(&r->more, net->more, &r->store.blocks));
  DOR_TRY(dor_instance_new(&r->update, net->update, &r->store.blocks));
  set_seed(r->first, net->first);
  if (r->more) set_seed(r->more, net->more);
  return DOR_OK;
}

static dor_status make_instances(dor_replica *r)
{
  const dor_network *net = r->net;
  const dor_blocks blocks = dor_replica_evaluated(r);
  DOR_TRY(dor_replica_training(r));
  DOR_TRY(dor_instance_new(&r->eval, net->eval, &blocks));
  find_inputs(net->first, net->n_slots, &r->feed[0]);
  if (r->more) find_inputs(net->more, net->n_slots, &r->feed[1]);
  find_inputs(net->eval, net->n_slots, &r->feed_eval);
  r->logits = dor_graph_find(dor_program_graph(net->eval), "logits");
  dor_replica_watch(r, 1, (const char *const[]){"loss"});
  return DOR_OK;
}

static dor_status make_blocks(int32_t n, dor_replica *const r[], const dor_network *net)
{
  const dor_program *const some[] = {net->first, net->update, net->eval, net->more};
  size_t bytes[DOR_KIND_COUNT];
  *r[0] = (dor_replica){.net = net};
  if (!net->fleet) return dor_replica_blocks(r[0], net);
  DOR_TRY(check_room(net, n));
  dor_fleet *f = r[0]->fleet = dor_calloc(1, sizeof *f);
  DOR_NEED(f, NOMEM, "no memory for a fleet of %d models", n);
  block_bytes(net, bytes);
  DOR_TRY(dor_fleet_make(f, net->backend, n, bytes, net->more ? 4 : 3, some));
  for (int32_t z = 0; z < n; z++) {
    *r[z] = (dor_replica){.net = net, .most_open = 1, .fleet = z ? NULL : f, .model = z, .models = n};
    dor_store_join(&r[z]->store, f, z);
    DOR_TRY(make_best(r[z]));
  }
  return DOR_OK;
}

/* What a model of a fleet has of the first one's. */
static void share(dor_replica *r, const dor_replica *first)
{
  r->steps = first->steps;
  r->first = first->first, r->more = first->more, r->update = first->update, r->eval = first->eval;
  memcpy(r->feed, first->feed, sizeof r->feed);
  r->feed_eval = first->feed_eval, r->logits = first->logits;
  r->n_kept = first->n_kept, r->most_open = first->most_open;
  memcpy(r->kept, first->kept, sizeof r->kept);
}

dor_status dor_replica_make(int32_t n, dor_replica *const r[], const dor_network *net)
{
  DOR_NEED(n == 1 || net->fleet, ARG, "%d models of a program for one", n);
  DOR_TRY(make_blocks(n, r, net));
  r[0]->steps = dor_calloc((size_t)n, sizeof *r[0]->steps);
  DOR_NEED(r[0]->steps, NOMEM, "no memory for the steps of %d models", n);
  DOR_TRY(make_instances(r[0]));
  for (int32_t z = 1; z < n; z++) share(r[z], r[0]);
  return DOR_OK;
}

static void release_instances(dor_replica *r)
{
  dor_instance_free(r->first);
  dor_instance_free(r->more);
  dor_instance_free(r->update);
  dor_instance_free(r->eval);
}

void dor_replica_release(dor_replica *r)
{
  if (!r->model) {
    release_instances(r);
    dor_free(r->steps);
  }
  if (r->best_param) dor_block_free(r->best_param, r->store.bytes[DOR_PARAM]);
  if (r->best_state) dor_block_free(r->best_state, r->store.bytes[DOR_STATE]);
  dor_store_release(&r->store);
  if (r->fleet) dor_fleet_release(r->fleet);
  dor_free(r->fleet);
  *r = (dor_replica){0};
}

size_t dor_replica_bytes(const dor_network *net)
{
  size_t bytes[DOR_KIND_COUNT], n = 0;
  block_bytes(net, bytes);
  for (int k = 0; k < DOR_KIND_COUNT; k++) n += bytes[k];
  if (!net->backend->device) n += bytes[DOR_PARAM] + bytes[DOR_STATE]; /* the best so far, which the host keeps */
  n += dor_instance_bytes(net->first, 1) + dor_instance_bytes(net->update, 1);
  if (net->eval) n += dor_instance_bytes(net->eval, 1);
  return net->more ? n + dor_instance_bytes(net->more, 1) : n;
}

/* ---- steps ---- */

int32_t dor_replica_part(const dor_replica *r) { return (int32_t)(r->parts % r->net->parts); }

void dor_replica_run(dor_replica *r, const dor_step *step)
{
  dor_step s = *step;
  s.micro = (uint64_t)dor_replica_part(r);
  dor_instance_run(s.micro ? r->more : r->first, &s);
  dor_replica_ran(r);
}

/* The oldest open part; left: open parts of first and more. */
static void read_part(dor_replica *r, int32_t part, int32_t left[2])
{
  const int which = part > 0;
  left[which]--;
  for (int32_t i = 0; i < r->n_kept; i++) {
    const float *x = dor_instance_kept_of(which ? r->more : r->first, r->model, r->kept[which][i], left[which]);
    r->sum[i] = (part ? r->sum[i] : 0) + (double)*x;
  }
  r->open--;
}

dor_status dor_replica_read(dor_replica *r, dor_reading *each, void *to)
{
  const int32_t parts = r->net->parts;
  int32_t left[2] = {0};
  DOR_TRY(dor_instance_wait(r->first));
  if (r->more) DOR_TRY(dor_instance_wait(r->more));
  for (int32_t k = 0; k < r->open; k++) left[(r->parts - 1 - k) % parts > 0]++;
  while (r->open) {
    const int32_t part = (int32_t)((r->parts - r->open) % parts);
    double mean[DOR_READINGS];
    read_part(r, part, left);
    if (part < parts - 1) continue;
    for (int32_t i = 0; i < r->n_kept; i++) mean[i] = r->sum[i] / parts;
    DOR_TRY(each(to, mean));
  }
  return DOR_OK;
}

/* ---- weights ---- */

bool dor_replica_scale_lost(const dor_replica *r)
{
  const float *state = (const void *)((const char *)r->store.host[DOR_MOMENT] + r->net->scale_offset);
  return r->net->scale_offset && state[0] <= DOR_SCALE_LEAST;
}

static const dor_kind saved[] = {DOR_PARAM, DOR_STATE, DOR_MOMENT};

dor_status dor_replica_pull(dor_replica *r)
{
  for (size_t k = 0; k < sizeof saved / sizeof *saved; k++) DOR_TRY(dor_store_pull(&r->store, saved[k]));
  return DOR_OK;
}

dor_status dor_replica_pull_all(dor_replica *r)
{
  for (size_t k = 0; k < sizeof saved / sizeof *saved; k++) DOR_TRY(dor_store_pull_all(&r->store, saved[k]));
  return DOR_OK;
}

dor_status dor_replica_push(dor_replica *r)
{
  r->open = 0;
  r->parts = 0;
  for (size_t k = 0; k < sizeof saved / sizeof *saved; k++) DOR_TRY(dor_store_push(&r->store, saved[k]));
  return DOR_OK;
}

dor_status dor_replica_init(dor_replica *r, uint64_t seed)
{
  void *const *host = r->store.host;
  for (int k = 0; k < DOR_KIND_COUNT; k++)
    if (host[k]) memset(host[k], 0, r->store.bytes[k]);
  dor_params_init(&r->net->params, seed, host[DOR_PARAM], host[DOR_STATE]);
  dor_pretrained_apply(&r->net->first_weights, &r->net->params, host[DOR_PARAM], host[DOR_STATE]);
  if (r->net->ema) memcpy(r->param, host[DOR_PARAM], r->net->params.param_bytes);
  dor_replica_keep_best(r);
  DOR_TRY(dor_store_push(&r->store, DOR_GRAD));
  return dor_replica_push(r);
}

void dor_replica_keep_best(dor_replica *r)
{
  memcpy(r->best_param, r->param, r->net->params.param_bytes);
  memcpy(r->best_state, r->store.host[DOR_STATE], r->net->params.state_bytes);
}

dor_status dor_replica_take_best(dor_replica *r)
{
  memcpy(r->param, r->best_param, r->net->params.param_bytes);
  memcpy(r->store.host[DOR_STATE], r->best_state, r->net->params.state_bytes);
  return dor_replica_push(r);
}
