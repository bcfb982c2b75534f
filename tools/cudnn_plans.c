/* SPDX-License-Identifier: Apache-2.0
 *
 * Has cuDNN a deterministic plan for every operation graph that dorsum's models ask for? Asked without a GPU: cuDNN plans and
 * compiles for a device that a JSON text describes. The models' programs are bound in bf16 to the kernels of a GPU, with a library
 * that collects graphs; each distinct one is then planned. What cuDNN compiles at run time takes about a second a graph, so only
 * some of those are asked for unless all are wanted.
 *
 *   cudnn-plans tests/fixtures/h200.json [how many compiled ones, or "all" [a folder to keep plans in]] */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "backend/cuda/dnn.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "nn/pose_net.h"

enum { GRAPHS = 512 };

static struct collected {
  int32_t n;
  dor_opgraph g[GRAPHS];
  char *text[GRAPHS];
} all;

static dor_status library_takes(const dor_library *l, void **plan, size_t *scratch)
{
  dor_library_plan *p = dor_calloc(1, sizeof *p);
  DOR_NEED(p, NOMEM, "a plan");
  p->library = l;
  *plan = p;
  *scratch = 0;
  return DOR_OK;
}

static dor_status collect(const dor_library *l, const dor_opgraph *g, void **plan, size_t *scratch)
{
  dor_str text = {0};
  dor_og_print(g, &text);
  DOR_TRY(dor_str_status(&text));
  bool known = false;
  for (int32_t i = 0; i < all.n && !known; i++) known = !strcmp(all.text[i], text.s);
  DOR_NEED(known || all.n < GRAPHS, RANGE, "more than %d graphs", (int)GRAPHS);
  if (known) dor_str_release(&text);
  else all.g[all.n] = *g, all.text[all.n++] = text.s;
  return library_takes(l, plan, scratch);
}

static dor_status product(const dor_library *l, const dor_product *p, void **plan, size_t *scratch)
{
  (void)p;
  return library_takes(l, plan, scratch);
}

static const dor_library collector = {.name = "collector", .product = product, .graph = collect, .drop = dor_free};

/* ---- the models ---- */

static dor_status bind(dor_graph *g)
{
  dor_backend b = dor_backend_plain; /* with the columns of a GPU */
  dor_program *p;
  b.column[0] = dor_column_library, b.column[1] = dor_column_cuda;
  b.library = &collector, b.narrow = true;
  DOR_TRY(dor_program_build(&p, g, &b, &(dor_program_options){.precision = DOR_FORMAT_BF16}));
  dor_program_release(p);
  return DOR_OK;
}

static dor_status pose(const dor_model *m, const void *cfg, dor_params *params, dor_shape x, bool training)
{
  dor_graph g;
  dor_pose_net net;
  dor_graph_init(&g, params, training);
  dor_pose_loss loss = {.push = 1e-3, .pull = 1e-3, .people = 30};
  DOR_TRY(training ? dor_pose_graph_train(&g, m, cfg, x, &loss, false, &net) : dor_pose_graph_eval(&g, m, cfg, x, &net));
  return bind(&g);
}

static dor_status silhouettes(const dor_model *m, const void *cfg, dor_params *params, dor_shape x, bool training)
{
  dor_graph g;
  dor_graph_init(&g, params, training);
  dor_val y = m->body(&g, cfg, dor_graph_input(&g, "x", (dor_type){x, DOR_F32}));
  y = dor_layer_linear(&g, "classifier", y, 2);
  if (training) {
    dor_val label = dor_graph_input(&g, "label", (dor_type){DOR_SHAPE(x.d[0]), DOR_F32}), weight = dor_graph_input(&g, "weight", (dor_type){DOR_SHAPE(x.d[0]), DOR_F32});
    dor_val one = dor_graph_input(&g, "one", (dor_type){DOR_SHAPE(1), DOR_F32});
    y = dor_softmax_ce(&g, y, label, weight, DOR_NONE, 0);
    DOR_TRY(dor_graph_grad_params(&g, &dor_op_accumulate, &dor_op_add_into, y, one, false));
  }
  dor_graph_keep(&g, y, "y");
  return bind(&g);
}

static dor_status model(const char *name, dor_shape x, bool training)
{
  dor_arena a = {0};
  dor_params params = {0};
  const dor_model *m = dor_model_find(name);
  void *cfg = dor_arena_alloc(&a, m->cfg_size);
  DOR_NEED(cfg, NOMEM, "settings of %s", name);
  DOR_TRY(dor_schema_defaults(m->keys, cfg, &a));
  int32_t before = all.n;
  DOR_TRY((m->maps ? pose : silhouettes)(m, cfg, &params, x, training));
  dor_shape_text shape;
  printf("%s, %s, %s: %d new graphs\n", name, dor_shape_print(x, shape), training ? "training" : "inference", all.n - before);
  dor_params_release(&params);
  dor_arena_release(&a);
  return DOR_OK;
}

/* ---- the question ---- */

static bool fused(const dor_opgraph *g) { return strstr(all.text[g - all.g], "virtual") || strstr(all.text[g - all.g], "sums"); }

/* Runtime compilation loads what it made by libcuda. Without a driver the toolkit's stub stands in: all but loading works. */
static void stand_in(void)
{
  if (!dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL)) dlopen(DOR_CUDA_STUB, RTLD_NOW | RTLD_GLOBAL);
}

typedef struct tally { int32_t ready, compiled, left, none; } tally;

static void ask(const dor_library *l, const dor_opgraph *g, tally *t)
{
  void *plan = NULL;
  size_t scratch = 0;
  dor_status s = dor_dnn_graph(l, g, &plan, &scratch);
  if (s) {
    printf("no plan: %s\n  %s\n", all.text[g - all.g], dor_errmsg());
    t->none++;
    return;
  }
  bool compiled = strstr(dor_library_describe(plan), "compiled") != NULL;
  t->compiled += compiled, t->ready += !compiled;
  dor_library_drop(plan);
}

static void ask_all(const dor_library *l, int32_t most, tally *t)
{
  int32_t n = 0, k = 0;
  for (int32_t i = 0; i < all.n; i++) n += fused(&all.g[i]);
  if (most > n) most = n;
  for (int32_t i = 0; i < all.n; i++) {
    bool taken = !fused(&all.g[i]) || (int64_t)k * most / n != (int64_t)(k + 1) * most / n; /* spread over the list */
    k += fused(&all.g[i]);
    if (taken) ask(l, &all.g[i], t);
    else t->left++;
  }
}

static dor_status run(const char *device, int32_t most, const char *folder)
{
  char *json;
  size_t size;
  dor_cuda_handles h = {0};
  tally t = {0};
  DOR_TRY(model("silhouette_cnn", DOR_SHAPE(32, 128, 128, 1), true));
  DOR_TRY(model("silhouette_cnn", DOR_SHAPE(32, 128, 128, 1), false));
  DOR_TRY(model("higherhrnet", DOR_SHAPE(16, 512, 512, 3), true));
  DOR_TRY(model("higherhrnet", DOR_SHAPE(1, 512, 512, 3), false));
  DOR_TRY(dor_io_read(device, 1 << 16, &json, &size));
  while (size && json[size - 1] == '\n') json[--size] = 0;
  stand_in();
  DOR_TRY(dor_dnn_open(&h, &(dor_dnn_options){.deterministic = true, .device_json = json, .cache = folder}));
  double began = dor_clock_s();
  ask_all(&(dor_library){.self = &h}, most, &t);
  printf("%s: %d graphs, %d with a ready kernel, %d compiled, %d without a plan, %d not asked; %.1f s\n", dor_dnn_device(h.dnn), all.n, t.ready, t.compiled, t.none,
         t.left, dor_clock_s() - began);
  dor_dnn_close(&h);
  dor_free(json);
  for (int32_t i = 0; i < all.n; i++) dor_free(all.text[i]);
  return t.none ? DOR_FAIL(MISMATCH, "%d graphs have no deterministic plan", t.none) : DOR_OK;
}

int main(int argc, char **argv)
{
  int64_t most = 6;
  bool good = argc == 2 || ((argc == 3 || argc == 4) && (!strcmp(argv[2], "all") ? (most = GRAPHS, true) : !dor_parse_int(argv[2], &most) && most >= 0 && most <= GRAPHS));
  if (!good) {
    fprintf(stderr, "usage: cudnn-plans DEVICE.json [NUMBER|all [FOLDER]]\n");
    return 2;
  }
  dor_status s = run(argv[1], (int32_t)most, argc > 3 ? argv[3] : NULL);
  if (s) fprintf(stderr, "cudnn-plans: %s\n", dor_errmsg());
  return dor_status_exit(s);
}
