/* SPDX-License-Identifier: Apache-2.0
 *
 * HigherHRNet-W32 against the authors' code run in double (tests/golden/
 * higherhrnet_w32_{eval,train}.h5): the maps, and one training step to the
 * parameters after Adam. Bounds are for direct convolutions; with Winograd ten times. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "base/mem.h"
#include "nn/pose_net.h"
#include "optim/optim.h"
#include "tests/golden/double.h"
#include "tests/golden/formula.h"
#include "tests/test.h"

#ifdef DOR_FAULTS
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif
enum { J = 17, PEOPLE = 30, FIRST = 4, NAME = 64, TRAINED = 907 };

static const dor_pose_loss factors = {.push = 1e-3, .pull = 1e-3, .people = PEOPLE};
static const dor_optim_cfg adam = {.rule = DOR_RULE_ADAM, .lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};

typedef struct model {
  dor_arena arena;
  dor_params params;
  dor_pose_net net;
  dor_program *program, *update;
  dor_instance *in, *in_update;
  dor_blocks blocks;
  double bound; /* times the bounds of direct convolutions */
} model;

static const dor_model *w32(model *m, void **cfg)
{
  const dor_model *of = dor_model_find("higherhrnet");
  *cfg = dor_arena_alloc(&m->arena, of->cfg_size);
  OK(dor_schema_defaults(of->keys, *cfg, &m->arena));
  return of;
}

static void add_block(model *m, dor_kind kind, size_t bytes)
{
  m->blocks.at[kind] = dor_block_alloc(bytes);
  REQUIRE(m->blocks.at[kind], "no memory");
}

static void build_on(model *m, dor_graph *g, const dor_backend *b, const char *conv, dor_program **out)
{
  m->bound = strcmp(conv, "direct") ? 10 : 1;
  OK(dor_program_build(out, g, b, &(dor_program_options){.threads = 1, .conv = conv}));
}

static void build(model *m, dor_graph *g, const char *conv, dor_program **out) { build_on(m, g, &dor_backend_cpu, conv, out); }

static void fill(model *m)
{
  add_block(m, DOR_PARAM, m->params.param_bytes);
  add_block(m, DOR_STATE, m->params.state_bytes);
  formula_fill(&m->params, m->blocks.at[DOR_PARAM], m->blocks.at[DOR_STATE]);
}

static void drop(model *m)
{
  dor_instance_free(m->in);
  dor_instance_free(m->in_update);
  dor_program_release(m->program);
  dor_program_release(m->update);
  size_t param = m->params.param_bytes;
  const size_t bytes[DOR_KIND_COUNT] = {[DOR_PARAM] = param, [DOR_GRAD] = param, [DOR_STATE] = m->params.state_bytes, [DOR_MOMENT] = 2 * param};
  for (int k = 0; k < DOR_KIND_COUNT; k++)
    if (m->blocks.at[k]) dor_block_free(m->blocks.at[k], bytes[k]);
  dor_params_release(&m->params);
  dor_arena_release(&m->arena);
}

static double map_error(const model *m, hid_t f, const char *golden, const char *ours, dor_shape s)
{
  size_t n = (size_t)dor_shape_size(s);
  double *nchw = calloc(3 * n, sizeof *nchw), *want = nchw + n, *got = want + n;
  golden_read(f, golden, (int64_t)n, nchw);
  golden_nhwc(nchw, s, want);
  const float *x = dor_instance_named(m->in, ours);
  for (size_t i = 0; i < n; i++) got[i] = (double)x[i];
  double error = golden_l2(got, want, (int64_t)n);
  free(nchw);
  return error;
}

/* ---- inference ---- */

static const struct probe { const char *name, *scope; int32_t nth; } probes[] = { /* the nth ReLU of a scope */
    {"stem_bn2/0", "", 1},     {"layer1/0", "layer1.3", 2}, {"stage2/0", "stage2.0", 0}, {"stage2/1", "stage2.0", 1},
    {"stage3/0", "stage3.3", 0}, {"stage3/1", "stage3.3", 1}, {"stage3/2", "stage3.3", 2}, {"stage4/0", "stage4.2", 0},
};
enum { PROBES = sizeof probes / sizeof *probes };

static void keep_probes(dor_graph *g)
{
  for (int i = 0; i < PROBES; i++) {
    int32_t seen = 0, k = 0;
    for (; k < g->nnode; k++)
      if (g->node[k].op == &dor_op_relu && !strcmp(g->node[k].scope, probes[i].scope) && seen++ == probes[i].nth) break;
    REQUIRE(k < g->nnode, "no ReLU %d under '%s'", (int)probes[i].nth, probes[i].scope);
    dor_graph_keep(g, g->node[k].out[0], probes[i].name);
  }
}

/* Where a port departs: mean, sd and the first 64 values of the first map, stage by stage. */
static void check_probe(const model *m, hid_t f, const char *name)
{
  char where[64];
  double first[64], sum = 0, square = 0, worst = 0;
  dor_shape s = dor_graph_type(dor_program_graph(m->program), dor_graph_find(dor_program_graph(m->program), name)).shape;
  int64_t n = dor_shape_size(s);
  const float *x = dor_instance_named(m->in, name);
  for (int64_t i = 0; i < n; i++) sum += (double)x[i];
  double mean = sum / (double)n;
  for (int64_t i = 0; i < n; i++) square += ((double)x[i] - mean) * ((double)x[i] - mean);
  snprintf(where, sizeof where, "probe/%s", name);
  double sd = golden_attr(f, where, "std"), off_mean = fabs(mean - golden_attr(f, where, "mean")) / sd, off_sd = fabs(sqrt(square / (double)n) / sd - 1);
  snprintf(where, sizeof where, "probe/%s/first64", name);
  golden_read(f, where, 64, first);
  for (int i = 0; i < 64; i++) worst = fmax(worst, fabs((double)x[golden_place(s, i)] - first[i]) / sd);
  CHECK(off_mean < 1e-4 * m->bound && off_sd < 1e-3 * m->bound && worst < 1e-3 * m->bound, "%s: mean %g, sd %g, values %g off", name, off_mean, off_sd, worst);
}

static void check_eval(const dor_backend *b, const char *conv)
{
  model m = {0};
  void *cfg;
  const dor_model *of = w32(&m, &cfg);
  dor_graph g;
  dor_graph_init(&g, &m.params, false);
  dor_shape x = DOR_SHAPE(1, 128, 96, 3);
  OK(dor_pose_graph_eval(&g, of, cfg, x, &m.net));
  keep_probes(&g);
  build_on(&m, &g, b, conv, &m.program);
  fill(&m);
  OK(dor_instance_new(&m.in, m.program, &m.blocks));
  formula_image("input", x, dor_instance_named(m.in, "x"));
  dor_instance_run(m.in, &(dor_step){0});
  hid_t f = golden_open("higherhrnet_w32_eval.h5");
  for (int i = 0; i < PROBES; i++) check_probe(&m, f, probes[i].name);
  double error[2] = {map_error(&m, f, "out0", "map0", m.net.map[0]), map_error(&m, f, "out1", "map1", m.net.map[1])};
  CHECK(error[0] < 1e-4 * m.bound && error[1] < 1e-4 * m.bound, "%s: maps %g and %g off", b->name, error[0], error[1]);
  print_message("    %s, %-8s maps %.1e %.1e off\n", b->name, conv, error[0], error[1]);
  H5Fclose(f);
  drop(&m);
}

TEST(golden_higherhrnet_eval_direct) { check_eval(&dor_backend_cpu, "direct"); }
TEST(golden_higherhrnet_eval_auto) { check_eval(&dor_backend_cpu, "auto"); }
TEST(golden_higherhrnet_eval_plain)
{
  if (SANITIZED) SKIP("too slow in a sanitizer build: convolutions by portable kernels");
  check_eval(&dor_backend_plain, "direct");
}

/* ---- one training step ---- */

static void set_input(const model *m, hid_t f, const char *golden, const char *ours, dor_shape s)
{
  size_t n = (size_t)dor_shape_size(s);
  double *nchw = calloc(2 * n, sizeof *nchw), *nhwc = nchw + n;
  golden_read(f, golden, (int64_t)n, nchw);
  golden_nhwc(nchw, s, nhwc);
  float *x = dor_instance_named(m->in, ours);
  for (size_t i = 0; i < n; i++) x[i] = (float)nhwc[i];
  free(nchw);
}

static void set_inputs(const model *m, hid_t f, dor_shape x)
{
  static double list[2 * PEOPLE * J * 2];
  dor_shape a = m->net.map[0], b = m->net.map[1];
  formula_image("train_input", x, dor_instance_named(m->in, "x"));
  set_input(m, f, "heatmaps0", "heat0", DOR_SHAPE(a.d[0], a.d[1], a.d[2], J));
  set_input(m, f, "heatmaps1", "heat1", DOR_SHAPE(b.d[0], b.d[1], b.d[2], J));
  set_input(m, f, "mask0", "mask0", DOR_SHAPE(a.d[0], a.d[1], a.d[2], 1));
  set_input(m, f, "mask1", "mask1", DOR_SHAPE(b.d[0], b.d[1], b.d[2], 1));
  golden_read(f, "joints0", 2 * PEOPLE * J * 2, list);
  int32_t *joints = dor_instance_named(m->in, "joints");
  for (int i = 0; i < 2 * PEOPLE * J * 2; i++) joints[i] = (int32_t)list[i];
  *(float *)dor_instance_named(m->in, "one") = 1;
}

/* bound: in float32 the push, whose exponents are differences of large tags, turns on the maps' own rounding (PyTorch: 4e-5 to 7e-5 off). */
static const struct term { const char *ours, *golden; double factor, bound; } terms[] = {
    {"heat_loss0", "heatmap0", 1, 1e-5}, {"heat_loss1", "heatmap1", 1, 1e-5}, {"push", "push0", 1e-3, 1e-4}, {"pull", "pull0", 1e-3, 1e-5},
    {"loss", "loss", 1, 1e-5}};
enum { TERMS = sizeof terms / sizeof *terms };

static void check_losses(const model *m, hid_t f)
{
  for (int i = 0; i < TERMS; i++) {
    double got = (double)*(float *)dor_instance_named(m->in, terms[i].ours) * terms[i].factor, want = golden_attr(f, "/", terms[i].golden);
    CHECK(fabs(got / want - 1) < terms[i].bound * m->bound, "%s is %.9g, wanted %.9g", terms[i].ours, got, want);
  }
}

static void read_names(hid_t f, char name[TRAINED][NAME])
{
  hid_t d = H5Dopen2(f, "param_names", H5P_DEFAULT), t = H5Tcopy(H5T_C_S1);
  H5Tset_size(t, NAME);
  H5Tset_strpad(t, H5T_STR_NULLPAD);
  REQUIRE(d >= 0 && H5Dread(d, t, H5S_ALL, H5S_ALL, H5P_DEFAULT, name) >= 0, "param_names cannot be read");
  H5Tclose(t);
  H5Dclose(d);
}

/* Norm and first values of a parameter's numbers in a block, in file order. */
static double norm_of(const model *m, dor_kind block, const char *name, double first[FIRST])
{
  int32_t k = dor_params_find(&m->params, name);
  REQUIRE(k >= 0, "no parameter %s", name);
  const dor_param *p = &m->params.at[k];
  int64_t n = dor_shape_size(p->spec.shape);
  float *file = malloc((size_t)n * sizeof *file);
  dor_param_to_file(p, (const float *)(const void *)((const char *)m->blocks.at[block] + p->offset), file);
  double square = 0;
  for (int64_t i = 0; i < n; i++) square += (double)file[i] * (double)file[i];
  for (int i = 0; i < FIRST; i++) first[i] = (double)file[i];
  free(file);
  return sqrt(square);
}

static int by_size(const void *a, const void *b)
{
  const double *x = a, *y = b;
  return (*x > *y) - (*x < *y);
}

/* All norms and first values. In float32 a few of 10^7 activations lie so near 0 that rounding decides whether a ReLU passes them, and a
 * gradient that is a sum of many signs may turn on one: PyTorch's own float32 departs from double by up to 8e-3 in a norm, 1.2e-2 in
 * values. So the median and the whole gradient are held to the bound, each parameter to `most`; in double all are exact (below). */
static void check_block(const model *m, hid_t f, dor_kind block, const char *norms, const char *firsts, double most)
{
  static char name[TRAINED][NAME];
  static double want[TRAINED], off[TRAINED], got_first[TRAINED][FIRST], want_first[TRAINED][FIRST];
  double whole[2] = {0, 0};
  read_names(f, name);
  golden_read(f, norms, TRAINED, want);
  golden_read(f, firsts, TRAINED * FIRST, want_first[0]);
  for (int i = 0; i < TRAINED; i++) {
    double got = norm_of(m, block, name[i], got_first[i]);
    off[i] = fabs(got / want[i] - 1);
    CHECK(off[i] < most, "%s of %s is %.9g, wanted %.9g", norms, name[i], got, want[i]);
    whole[0] += got * got, whole[1] += want[i] * want[i];
    for (int j = 0; j < FIRST; j++) got_first[i][j] /= want[i], want_first[i][j] /= want[i]; /* each parameter counts alike */
  }
  qsort(off, TRAINED, sizeof *off, by_size);
  double first = golden_l2(got_first[0], want_first[0], TRAINED * FIRST), all = fabs(sqrt(whole[0] / whole[1]) - 1);
  CHECK(off[TRAINED / 2] < 1e-3 * m->bound && all < 1e-3 * m->bound && first < 3 * most, "%s: median %g, whole %g, values %g off", norms,
        off[TRAINED / 2], all, first);
  print_message("    %-22s norms: median %.1e, worst %.1e, all together %.1e off; values %.1e\n", norms, off[TRAINED / 2], off[TRAINED - 1], all, first);
}

static void check_running(const model *m, hid_t f)
{
  static const struct { const char *name; int32_t n; } states[] = {
      {"bn1.running_mean", 64}, {"bn1.running_var", 64}, {"deconv_layers.0.0.1.running_var", 32},
      {"stage4.2.branches.3.3.bn2.running_mean", 256}, {"stage4.2.branches.3.3.bn2.running_var", 256}};
  double want[256], got[256];
  for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
    char where[96];
    snprintf(where, sizeof where, "running_after/%s", states[i].name);
    golden_read(f, where, states[i].n, want);
    const dor_param *p = &m->params.at[dor_params_find(&m->params, states[i].name)];
    const float *x = (const float *)(const void *)((const char *)m->blocks.at[DOR_STATE] + p->offset);
    for (int32_t k = 0; k < states[i].n; k++) got[k] = (double)x[k];
    CHECK(golden_l2(got, want, states[i].n) < 1e-5 * m->bound, "%s is %g off", states[i].name, golden_l2(got, want, states[i].n));
  }
  const dor_param *p = &m->params.at[dor_params_find(&m->params, "bn1.num_batches_tracked")];
  CHECK(*(const int32_t *)(const void *)((const char *)m->blocks.at[DOR_STATE] + p->offset) == 1, "batches are not counted");
}

static void build_step(model *m, const char *conv, dor_shape x)
{
  void *cfg;
  const dor_model *of = w32(m, &cfg);
  dor_graph g;
  dor_graph_init(&g, &m->params, true);
  OK(dor_pose_graph_train(&g, of, cfg, x, &factors, false, &m->net));
  build(m, &g, conv, &m->program);
  dor_graph_init(&g, &m->params, true);
  OK(dor_optim_build(&g, &adam));
  build(m, &g, conv, &m->update);
  fill(m);
  add_block(m, DOR_GRAD, m->params.param_bytes);
  add_block(m, DOR_MOMENT, dor_optim_moment_bytes(&m->params, &adam));
  OK(dor_instance_new(&m->in, m->program, &m->blocks));
  OK(dor_instance_new(&m->in_update, m->update, &m->blocks));
}

static void check_step(const char *conv)
{
  model m = {0};
  dor_shape x = DOR_SHAPE(2, 128, 128, 3);
  build_step(&m, conv, x);
  hid_t f = golden_open("higherhrnet_w32_train.h5");
  set_inputs(&m, f, x);
  dor_step step = {.lr = 1e-3f, .grad_scale = 1};
  dor_instance_run(m.in, &step);
  check_losses(&m, f);
  check_running(&m, f);
  check_block(&m, f, DOR_GRAD, "grad_norm", "grad_first4", 0.02 * sqrt(m.bound));
  dor_instance_run(m.in_update, &step);
  check_block(&m, f, DOR_PARAM, "param_norm_after_adam", "param_first4_after_adam", 1e-3 * m.bound);
  H5Fclose(f);
  drop(&m);
}

TEST(golden_higherhrnet_step_direct) { check_step("direct"); }
TEST(golden_higherhrnet_step_auto)
{
  if (SANITIZED) SKIP("too slow in a sanitizer build: Winograd convolutions of a training step");
  check_step("auto");
}

/* The same graph by the ops' definitions: what float32 blurs is exact here. */
static void set_double(numbers v, const model *m, hid_t f, dor_shape x)
{
  static const struct { const char *golden, *ours; int map, channels; } in[] = {
      {"heatmaps0", "heat0", 0, J}, {"heatmaps1", "heat1", 1, J}, {"mask0", "mask0", 0, 1}, {"mask1", "mask1", 1, 1}};
  size_t n = (size_t)dor_shape_size(x);
  float *picture = malloc(n * sizeof *picture);
  formula_image("train_input", x, picture);
  for (size_t i = 0; i < n; i++) v.at[dor_graph_find_input(v.g, "x")][i] = (double)picture[i];
  free(picture);
  for (size_t i = 0; i < sizeof in / sizeof *in; i++) {
    dor_shape s = m->net.map[in[i].map];
    s.d[3] = in[i].channels;
    double *nchw = malloc((size_t)dor_shape_size(s) * sizeof *nchw);
    golden_read(f, in[i].golden, dor_shape_size(s), nchw);
    golden_nhwc(nchw, s, v.at[dor_graph_find_input(v.g, in[i].ours)]);
    free(nchw);
  }
  golden_read(f, "joints0", 2 * PEOPLE * J * 2, v.at[dor_graph_find_input(v.g, "joints")]);
  v.at[dor_graph_find_input(v.g, "one")][0] = 1;
}

static void set_parameters(numbers v, const model *m)
{
  for (dor_val k = 0; k < v.g->nvalue; k++) {
    const dor_value *x = &v.g->value[k];
    if ((x->kind != DOR_PARAM && x->kind != DOR_STATE) || x->alias != DOR_NONE || x->type.dtype != DOR_F32) continue;
    const float *from = (const float *)(const void *)((const char *)m->blocks.at[x->kind] + x->offset);
    for (int64_t i = 0, n = dor_shape_size(x->type.shape); i < n; i++) v.at[k][i] = (double)from[i];
  }
}

static double gradient_norm(numbers v, const model *m, const char *name)
{
  size_t offset = m->params.at[dor_params_find(&m->params, name)].offset;
  dor_val k = 0;
  while (k < v.g->nvalue && !(v.g->value[k].kind == DOR_GRAD && v.g->value[k].offset == offset && v.g->value[k].alias == DOR_NONE)) k++;
  REQUIRE(k < v.g->nvalue, "%s has no gradient", name);
  double square = 0;
  for (int64_t i = 0, n = dor_shape_size(v.g->value[k].type.shape); i < n; i++) square += v.at[k][i] * v.at[k][i];
  return sqrt(square);
}

TEST(golden_higherhrnet_step_in_double)
{
  if (SANITIZED) SKIP("too slow in a sanitizer build: every product of a training step, in double");
  static char name[TRAINED][NAME];
  static double want[TRAINED];
  model m = {0};
  void *cfg;
  const dor_model *of = w32(&m, &cfg);
  dor_graph g;
  dor_graph_init(&g, &m.params, true);
  dor_shape x = DOR_SHAPE(2, 128, 128, 3);
  OK(dor_pose_graph_train(&g, of, cfg, x, &factors, false, &m.net));
  fill(&m);
  numbers v = numbers_new(&g);
  hid_t f = golden_open("higherhrnet_w32_train.h5");
  set_double(v, &m, f, x);
  set_parameters(v, &m);
  double_run(v);
  double loss = 0, worst = 0;
  for (int i = 0; i < TERMS; i++)
    loss = fmax(loss, fabs(v.at[dor_graph_find(&g, terms[i].ours)][0] * terms[i].factor / golden_attr(f, "/", terms[i].golden) - 1));
  CHECK(loss < 1e-9, "a term of the loss is %g off", loss);
  read_names(f, name);
  golden_read(f, "grad_norm", TRAINED, want);
  for (int i = 0; i < TRAINED; i++) worst = fmax(worst, fabs(gradient_norm(v, &m, name[i]) / want[i] - 1));
  CHECK(worst < 1e-9, "a gradient's norm is %g off", worst);
  print_message("    in double: losses %.1e, gradients' norms %.1e off at most\n", loss, worst);
  H5Fclose(f);
  numbers_free(v);
  dor_graph_release(&g);
  drop(&m);
}
