/* SPDX-License-Identifier: Apache-2.0
 *
 * The programs and memory of the timed pieces, and the loops over them. The
 * k-fold training shuffles, gathers, steps and updates as a run does, each
 * thread on folds of its own. */
#include "train/bench.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "backend/fleet.h"
#include "backend/store.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/tree.h"
#include "nn/pose_net.h"
#include "optim/optim.h"

const dor_key dor_bench_keys[] = {
#define KEYS_OF dor_bench_cfg
#include "base/keys_rows.h"
#include "train/bench.def"
#include "base/keys_end.h"
    {0}};

enum { PEOPLE = 30, JOINTS = 17 }; /* of the pose loss */

typedef struct copy { /* one model being trained */
  dor_store store;
  dor_instance *accumulate, *update;
  dor_val x, label, weight;
  int32_t *order; /* of the fold's training rows */
  dor_step step;
} copy;

struct dor_bench {
  const dor_backend *backend;
  dor_bench_cfg cfg;
  dor_params params;
  size_t moment_bytes;
  bool inference;                   /* no gradients */
  dor_program *accumulate, *update; /* conv and pose have no update */
  int32_t n_copies;
  copy *copies;
  dor_fleet fleet;      /* fleet: in place of copies */
  dor_instance *together, *together_update;
  dor_step *steps;      /* one a model */
  float *table, *label; /* mlp: [rows,features], [rows] */
  dor_status (*once)(dor_bench *b);
  dor_arena arena;
};

/* --- programs ------------------------------------------------------------- */

static dor_type vector(int64_t n) { return (dor_type){DOR_SHAPE((int32_t)n), DOR_F32}; }

static dor_status model_body(dor_bench *b, dor_graph *g, const char *name, dor_val x, dor_val *y)
{
  const dor_model *m = dor_model_find(name);
  DOR_NEED(m, NOTFOUND, "no model '%s'", name);
  void *cfg = dor_arena_alloc(&b->arena, m->cfg_size);
  DOR_NEED(cfg, NOMEM, "bench: out of memory");
  DOR_TRY(dor_schema_defaults(m->keys, cfg, &b->arena));
  *y = dor_layer_linear(g, "out", m->body(g, cfg, x), 2);
  return g->status;
}

static dor_status add_loss(dor_bench *b, dor_graph *g, dor_val y)
{
  dor_val label = dor_graph_input(g, "label", vector(b->cfg.batch)), weight = dor_graph_input(g, "weight", vector(b->cfg.batch));
  dor_val one = dor_graph_input(g, "one", vector(1)), loss = dor_softmax_ce(g, y, label, weight, DOR_NONE, 0);
  dor_graph_keep(g, loss, "loss");
  return dor_graph_grad_params(g, &dor_op_add, &dor_op_add_into, loss, one, false);
}

static dor_status training_graph(dor_bench *b, dor_graph *g, const char *model, dor_shape shape)
{
  dor_val y = DOR_NONE;
  DOR_TRY(model_body(b, g, model, dor_graph_input(g, "x", (dor_type){shape, DOR_F32}), &y));
  return add_loss(b, g, y);
}

static dor_status pose_graph(dor_bench *b, dor_graph *g)
{
  const dor_model *m = dor_model_find("higherhrnet");
  int32_t n = (int32_t)b->cfg.batch, s = (int32_t)b->cfg.size;
  char text[32];
  dor_tree *tree;
  dor_pose_net net;
  DOR_NEED(m, NOTFOUND, "no model 'higherhrnet'");
  void *cfg = dor_arena_alloc(&b->arena, m->cfg_size);
  DOR_NEED(cfg, NOMEM, "bench: out of memory");
  snprintf(text, sizeof text, "width = %d;", (int)b->cfg.channels);
  DOR_TRY(dor_schema_defaults(m->keys, cfg, &b->arena));
  DOR_TRY(dor_tree_parse(&b->arena, "channels", text, &tree));
  DOR_TRY(dor_schema_load(m->keys, cfg, tree, NULL, &b->arena));
  dor_shape x = DOR_SHAPE(n, s, s, 3);
  if (b->inference) return dor_pose_graph_eval(g, m, cfg, x, &net);
  return dor_pose_graph_train(g, m, cfg, x, &(dor_pose_loss){.push = 1e-3, .pull = 1e-3, .people = PEOPLE}, false, &net);
}

static dor_status block_graph(dor_bench *b, dor_graph *g)
{
  const int32_t s = (int32_t)b->cfg.size, c = (int32_t)b->cfg.channels;
  const dor_type map = {DOR_SHAPE((int32_t)b->cfg.batch, s, s, c), DOR_F32};
  static const char *const conv[] = {"conv0", "conv1"}, *const norm[] = {"norm0", "norm1"};
  dor_val y = dor_graph_input(g, "x", map), dy = dor_graph_input(g, "dy", map);
  for (int i = 0; i < 2; i++)
    y = dor_layer_activation(g, "relu", dor_layer_batch_norm(g, norm[i], dor_layer_conv(g, conv[i], y, c, 3, 1, false), 0.1f, 1e-5f));
  dor_graph_keep(g, y, "y");
  return dor_graph_grad_params(g, &dor_op_add, &dor_op_add_into, y, dy, false);
}

/* dy stands for what a loss would send. */
static dor_status conv_graph(dor_bench *b, dor_graph *g)
{
  int32_t n = (int32_t)b->cfg.batch, s = (int32_t)b->cfg.size, c = (int32_t)b->cfg.channels;
  dor_type map = {DOR_SHAPE(n, s, s, c), DOR_F32};
  dor_val x = dor_graph_input(g, "x", map), dy = dor_graph_input(g, "dy", map), w = dor_graph_input(g, "w", (dor_type){DOR_SHAPE(3, 3, c, c), DOR_F32});
  dor_conv2d_attr a = {{3, 3}, {1, 1}, {1, 1}, {1, 1}, 1, {s, s}};
  dor_graph_keep(g, dor_conv2d(g, x, w, 1, 1, 1, 1), "y");
  dor_graph_keep(g, dor_conv2d_dx(g, dy, w, &a), "dx");
  dor_graph_keep(g, dor_conv2d_dw(g, x, dy, &a), "dw");
  return g->status;
}

static dor_status compile(dor_bench *b, dor_graph *g, dor_status made, int32_t threads, dor_program **out)
{
  static const char *const conv[] = {"auto", "direct", "winograd"};
  static const dor_format formats[] = {DOR_FORMAT_FP32, DOR_FORMAT_TF32, DOR_FORMAT_BF16, DOR_FORMAT_FP16};
  const dor_format format = out == &b->update ? DOR_FORMAT_FP32 : dor_backend_format(b->backend, formats[b->cfg.precision]);
  if (made) {
    dor_graph_release(g);
    return made;
  }
  return dor_program_build(out, g, b->backend, &(dor_program_options){.threads = threads, .name = "bench", .conv = conv[b->cfg.conv],
                           .precision = format, .fleet = b->steps != NULL});
}

static dor_status build_update(dor_bench *b, int32_t threads)
{
  dor_optim_cfg adam = {.rule = DOR_RULE_ADAM, .lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
  dor_graph g;
  dor_graph_init(&g, &b->params, true);
  dor_status s = dor_optim_build(&g, &adam);
  b->moment_bytes = dor_optim_moment_bytes(&b->params, &adam);
  return compile(b, &g, s, threads, &b->update);
}

/* --- memory ---------------------------------------------------------------- */

static void block_bytes(const dor_bench *b, size_t bytes[DOR_KIND_COUNT])
{
  const size_t params = b->params.param_bytes, grads = b->inference ? 0 : params;
  memcpy(bytes, (size_t[DOR_KIND_COUNT]){[DOR_PARAM] = params, [DOR_GRAD] = grads, [DOR_STATE] = b->params.state_bytes, [DOR_MOMENT] = b->moment_bytes},
         DOR_KIND_COUNT * sizeof *bytes);
}

static void fill_noise(float *x, size_t n, uint64_t where)
{
  dor_rng r = dor_rng_stream(1, 1, where);
  for (size_t i = 0; i < n; i++) x[i] = dor_rng_unit(dor_rng_u32(&r)) - 0.5f;
}

/* (index in map 0, seen) of the pose loss: every joint of everybody, all over the map. */
static void fill_joints(const dor_bench *b, int32_t *at, int64_t n)
{
  int64_t pixels = b->cfg.size * b->cfg.size / 16;
  for (int64_t i = 0; i < n / 2; i++) {
    int64_t joint = i % JOINTS;
    at[2 * i] = (int32_t)(joint * pixels + i * 37 % pixels);
    at[2 * i + 1] = 1;
  }
}

/* Whatever inputs the program has; labels are 0 and 1 in turn. */
static void fill_input(const dor_bench *b, const dor_value *v, int32_t index, void *to)
{
  float *x = to;
  int64_t n = dor_shape_size(v->type.shape);
  if (v->type.dtype == DOR_I32) fill_joints(b, to, n);
  else if (!strcmp(v->name, "label")) for (int64_t i = 0; i < n; i++) x[i] = (float)(i % 2);
  else if (!strcmp(v->name, "one") || !strcmp(v->name, "weight")) for (int64_t i = 0; i < n; i++) x[i] = 1;
  else fill_noise(x, (size_t)n, (uint64_t)index);
}

static dor_status fill_inputs(const dor_bench *b, dor_instance *in)
{
  const dor_graph *g = dor_program_graph(b->accumulate);
  for (dor_val v = 0; v < g->nvalue; v++) {
    if (g->value[v].kind != DOR_INPUT) continue;
    const size_t bytes = dor_type_bytes(g->value[v].type);
    void *host = dor_block_alloc(bytes);
    DOR_NEED(host, NOMEM, "bench: out of memory");
    fill_input(b, &g->value[v], v, host);
    dor_instance_set(in, v, host);
    dor_block_free(host, bytes);
  }
  return DOR_OK;
}

static void find_inputs(const dor_bench *b, copy *c)
{
  const dor_graph *g = dor_program_graph(b->accumulate);
  c->x = dor_graph_find_input(g, "x");
  c->label = dor_graph_find_input(g, "label");
  c->weight = dor_graph_find_input(g, "weight");
}

static dor_status begin(const dor_bench *b, copy *c, uint64_t seed)
{
  static const dor_kind kinds[] = {DOR_PARAM, DOR_GRAD, DOR_STATE, DOR_MOMENT};
  void *const *host = c->store.host;
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) memset(host[kinds[k]], 0, c->store.bytes[kinds[k]]);
  dor_params_init(&b->params, seed, host[DOR_PARAM], host[DOR_STATE]);
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) DOR_TRY(dor_store_push(&c->store, kinds[k]));
  c->step = (dor_step){.seed = seed, .lr = 1e-3f, .grad_scale = 1};
  return DOR_OK;
}

static dor_status make_copy(dor_bench *b, copy *c)
{
  size_t bytes[DOR_KIND_COUNT];
  block_bytes(b, bytes);
  DOR_TRY(dor_store_make(&c->store, b->backend, bytes));
  DOR_TRY(dor_instance_new(&c->accumulate, b->accumulate, &c->store.blocks));
  if (b->update) DOR_TRY(dor_instance_new(&c->update, b->update, &c->store.blocks));
  DOR_TRY(fill_inputs(b, c->accumulate));
  find_inputs(b, c);
  DOR_TRY(begin(b, c, 1));
  c->order = dor_arena_alloc(&b->arena, (size_t)b->cfg.rows * sizeof *c->order);
  DOR_NEED(c->order, NOMEM, "bench: out of memory");
  return DOR_OK;
}

static dor_status make_copies(dor_bench *b, int32_t n)
{
  b->copies = dor_arena_alloc(&b->arena, (size_t)n * sizeof *b->copies);
  DOR_NEED(b->copies, NOMEM, "bench: out of memory");
  b->n_copies = n;
  for (int32_t i = 0; i < n; i++) DOR_TRY(make_copy(b, &b->copies[i]));
  return DOR_OK;
}

/* --- what is timed ----------------------------------------------------------- */

static void train_step(copy *c)
{
  dor_instance_run(c->accumulate, &c->step);
  if (c->update) dor_instance_run(c->update, &c->step);
  c->step.step++;
}

static dor_status step_once(dor_bench *b)
{
  train_step(&b->copies[0]);
  return DOR_OK;
}

static void gather(const dor_bench *b, copy *c, int32_t from, int32_t n)
{
  size_t p = (size_t)b->cfg.features;
  float *x = dor_instance_input(c->accumulate, c->x), *label = dor_instance_input(c->accumulate, c->label);
  float *weight = dor_instance_input(c->accumulate, c->weight);
  for (int32_t i = 0; i < (int32_t)b->cfg.batch; i++) {
    int32_t row = i < n ? c->order[from + i] : 0;
    memcpy(x + (size_t)i * p, b->table + (size_t)row * p, p * sizeof *x);
    label[i] = b->label[row];
    weight[i] = i < n ? 1 : 0;
  }
}

static dor_status train_fold(const dor_bench *b, int32_t fold)
{
  copy *c = &b->copies[fold];
  int32_t n = 0, batch = (int32_t)b->cfg.batch;
  for (int32_t i = 0; i < b->cfg.rows; i++)
    if (i % b->cfg.folds != fold) c->order[n++] = i;
  DOR_TRY(begin(b, c, (uint64_t)fold + 1));
  for (int64_t epoch = 0; epoch < b->cfg.epochs; epoch++) {
    dor_rng r = dor_rng_stream((uint64_t)fold, 2, (uint64_t)epoch);
    dor_rng_shuffle(&r, c->order, n);
    for (int32_t from = 0; from < n; from += batch) {
      gather(b, c, from, n - from < batch ? n - from : batch);
      train_step(c);
    }
  }
  return dor_instance_wait(c->accumulate);
}

typedef struct worker {
  const dor_bench *b;
  int32_t rank;
  dor_status status;
  char message[512];
} worker;

static void *train_folds(void *of)
{
  worker *w = of;
  for (int32_t fold = w->rank; fold < w->b->cfg.folds && !w->status; fold += (int32_t)w->b->cfg.threads) w->status = train_fold(w->b, fold);
  if (w->status) snprintf(w->message, sizeof w->message, "%s", dor_errmsg());
  return NULL;
}

/* A thread that cannot be had is no error: its folds are trained here. */
static dor_status mlp_once(dor_bench *b)
{
  const int32_t n = (int32_t)b->cfg.threads;
  dor_status s = DOR_OK;
  pthread_t *thread = dor_calloc((size_t)n, sizeof *thread);
  worker *w = dor_calloc((size_t)n, sizeof *w);
  bool *started = dor_calloc((size_t)n, sizeof *started);
  if (!thread || !w || !started) s = DOR_FAIL(NOMEM, "bench: out of memory");
  for (int32_t i = 1; i < n && !s; i++) {
    w[i].b = b, w[i].rank = i;
    started[i] = !pthread_create(&thread[i], NULL, train_folds, &w[i]);
    if (!started[i]) train_folds(&w[i]);
  }
  if (!s) w[0].b = b, train_folds(&w[0]);
  for (int32_t i = 0; i < n && w && started; i++) {
    if (started[i]) pthread_join(thread[i], NULL);
    if (!s && w[i].status) dor_errmsg_set(w[i].message), s = w[i].status;
  }
  dor_free(thread);
  dor_free(w);
  dor_free(started);
  return s;
}

static dor_status fleet_once(dor_bench *b)
{
  dor_instance_run(b->together, b->steps);
  dor_instance_run(b->together_update, b->steps);
  for (int64_t z = 0; z < b->cfg.models; z++) b->steps[z].step++;
  return DOR_OK;
}

static dor_status start_model(dor_bench *b, int32_t z, void *param, void *state)
{
  b->steps[z] = (dor_step){.seed = (uint64_t)z, .lr = 1e-3f, .grad_scale = 1};
  dor_params_init(&b->params, (uint64_t)z + 1, param, state);
  DOR_TRY(dor_fleet_put(&b->fleet, z, DOR_PARAM, param));
  return dor_fleet_put(&b->fleet, z, DOR_STATE, state);
}

static dor_status make_fleet(dor_bench *b)
{
  const dor_program *const programs[] = {b->accumulate, b->update};
  size_t bytes[DOR_KIND_COUNT];
  block_bytes(b, bytes);
  DOR_TRY(dor_fleet_make(&b->fleet, b->backend, (int32_t)b->cfg.models, bytes, 2, programs));
  DOR_TRY(dor_instance_new(&b->together, b->accumulate, &b->fleet.blocks));
  DOR_TRY(dor_instance_new(&b->together_update, b->update, &b->fleet.blocks));
  void *param = dor_arena_alloc(&b->arena, b->fleet.bytes[DOR_PARAM]), *state = dor_arena_alloc(&b->arena, b->fleet.bytes[DOR_STATE]);
  DOR_NEED(param && state, NOMEM, "bench: out of memory");
  for (int32_t z = 0; z < b->cfg.models; z++) DOR_TRY(start_model(b, z, param, state));
  return fill_inputs(b, b->together);
}

/* --- opening ------------------------------------------------------------------ */

static dor_status open_step(dor_bench *b)
{
  int32_t s = (int32_t)b->cfg.size, threads = (int32_t)b->cfg.threads;
  dor_graph g;
  const dor_shape shape = DOR_SHAPE((int32_t)b->cfg.batch, s, s, 1);
  dor_val y = DOR_NONE;
  b->inference = b->cfg.infer;
  dor_graph_init(&g, &b->params, !b->inference);
  dor_status made = b->inference ? model_body(b, &g, "silhouette_cnn", dor_graph_input(&g, "x", (dor_type){shape, DOR_F32}), &y)
                                 : training_graph(b, &g, "silhouette_cnn", shape);
  if (b->inference && !made) dor_graph_keep(&g, y, "y");
  DOR_TRY(compile(b, &g, made, threads, &b->accumulate));
  if (!b->inference) DOR_TRY(build_update(b, threads));
  b->once = step_once;
  return make_copies(b, 1);
}

/* Some layers alone, forward and backward. */
static dor_status open_layers(dor_bench *b, dor_status (*layers)(dor_bench *, dor_graph *))
{
  dor_graph g;
  dor_graph_init(&g, &b->params, true);
  DOR_TRY(compile(b, &g, layers(b, &g), (int32_t)b->cfg.threads, &b->accumulate));
  b->once = step_once;
  return make_copies(b, 1);
}

static dor_status open_fleet(dor_bench *b)
{
  const int32_t n = (int32_t)b->cfg.batch, s = (int32_t)b->cfg.size, threads = (int32_t)b->cfg.threads;
  const dor_shape shape = b->cfg.net ? DOR_SHAPE(n, s, s, 1) : DOR_SHAPE(n, (int32_t)b->cfg.features);
  dor_graph g;
  b->steps = dor_arena_alloc(&b->arena, (size_t)b->cfg.models * sizeof *b->steps);
  DOR_NEED(b->steps, NOMEM, "bench: out of memory");
  dor_graph_init(&g, &b->params, true);
  dor_status made = training_graph(b, &g, b->cfg.net ? "silhouette_cnn" : "mlp", shape);
  DOR_TRY(compile(b, &g, made, threads, &b->accumulate));
  DOR_TRY(build_update(b, threads));
  b->once = fleet_once;
  return make_fleet(b);
}

static dor_status open_pose(dor_bench *b)
{
  dor_graph g;
  b->inference = !b->cfg.train;
  dor_graph_init(&g, &b->params, b->cfg.train);
  DOR_TRY(compile(b, &g, pose_graph(b, &g), (int32_t)b->cfg.threads, &b->accumulate));
  b->once = step_once;
  return make_copies(b, 1);
}

static dor_status open_mlp(dor_bench *b)
{
  size_t n = (size_t)b->cfg.rows * (size_t)b->cfg.features;
  b->table = dor_arena_alloc(&b->arena, n * sizeof *b->table);
  b->label = dor_arena_alloc(&b->arena, (size_t)b->cfg.rows * sizeof *b->label);
  DOR_NEED(b->table && b->label, NOMEM, "bench: out of memory");
  fill_noise(b->table, n, 3);
  for (int64_t i = 0; i < b->cfg.rows; i++) b->label[i] = b->table[i * b->cfg.features] > 0 ? 1 : 0;
  dor_graph g;
  dor_graph_init(&g, &b->params, true);
  dor_status made = training_graph(b, &g, "mlp", DOR_SHAPE((int32_t)b->cfg.batch, (int32_t)b->cfg.features));
  DOR_TRY(compile(b, &g, made, 1, &b->accumulate));
  DOR_TRY(build_update(b, 1));
  b->once = mlp_once;
  return make_copies(b, (int32_t)b->cfg.folds);
}

static dor_status open_kind(dor_bench *b, const char *kind)
{
  if (!strcmp(kind, "step")) return open_step(b);
  if (!strcmp(kind, "conv")) return open_layers(b, conv_graph);
  if (!strcmp(kind, "pose")) return open_pose(b);
  if (!strcmp(kind, "mlp")) return open_mlp(b);
  if (!strcmp(kind, "block")) return open_layers(b, block_graph);
  if (!strcmp(kind, "fleet")) return open_fleet(b);
  return DOR_FAIL(USAGE, "bench: no '%s'; there are step, conv, block, fleet, pose, mlp and ops", kind);
}

dor_status dor_bench_open(dor_bench **out, const char *kind, const dor_bench_cfg *c, const dor_backend *backend)
{
  dor_bench *b = *out = dor_calloc(1, sizeof *b);
  DOR_NEED(b, NOMEM, "bench: out of memory");
  b->cfg = *c;
  b->backend = backend ? backend : &dor_backend_cpu;
  if (c->autotune && b->backend->tune) b->backend->tune(&(dor_tuning){.deterministic = true, .autotune = true});
  dor_status s = open_kind(b, kind);
  if (!s) return DOR_OK;
  dor_bench_close(b);
  *out = NULL;
  return s;
}

dor_status dor_bench_run(dor_bench *b, int64_t n, double *time_s)
{
  double from = dor_clock_s();
  for (int64_t i = 0; i < n; i++) DOR_TRY(b->once(b));
  for (int32_t i = 0; i < b->n_copies; i++) {
    DOR_TRY(dor_instance_wait(b->copies[i].accumulate));
    if (b->copies[i].update) DOR_TRY(dor_instance_wait(b->copies[i].update));
  }
  if (b->together_update) DOR_TRY(dor_instance_wait(b->together_update));
  *time_s = dor_clock_s() - from;
  return DOR_OK;
}

size_t dor_bench_bytes(const dor_bench *b)
{
  size_t bytes[DOR_KIND_COUNT], n = dor_program_pool_bytes(b->accumulate) + (b->update ? dor_program_pool_bytes(b->update) : 0);
  block_bytes(b, bytes);
  for (int k = 0; k < DOR_KIND_COUNT; k++) n += bytes[k];
  return n * (size_t)(b->together ? b->fleet.models : b->n_copies);
}

dor_cost dor_bench_cost(const dor_bench *b)
{
  dor_cost c = dor_program_cost(b->accumulate), update = b->update ? dor_program_cost(b->update) : (dor_cost){0};
  const double models = b->together ? (double)b->fleet.models : 1;
  return (dor_cost){.flops = models * (c.flops + update.flops), .bytes = models * (c.bytes + update.bytes)};
}

void dor_bench_close(dor_bench *b)
{
  if (!b) return;
  for (int32_t i = 0; i < b->n_copies; i++) {
    copy *c = &b->copies[i];
    dor_instance_free(c->accumulate);
    dor_instance_free(c->update);
    dor_store_release(&c->store);
  }
  dor_instance_free(b->together);
  dor_instance_free(b->together_update);
  dor_fleet_release(&b->fleet);
  dor_program_release(b->accumulate);
  dor_program_release(b->update);
  dor_params_release(&b->params);
  dor_arena_release(&b->arena);
  dor_free(b);
}
