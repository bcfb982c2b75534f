/* SPDX-License-Identifier: Apache-2.0
 *
 * dorsum describe: the programs of a config's arms, or of a model by name: layers,
 * shapes, parameters, FLOPs, memory plan, and the kernel that serves each node;
 * or the tensors of a weight file. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "cli/describe_weights.h"
#include "nn/pose_net.h"
#include "train/device.h"
#include "train/setup.h"
#include "weights/weights.h"

static void parameters(const dor_params *p)
{
  char shape[64];
  for (int32_t i = 0; i < p->n; i++) {
    const dor_param_spec *s = &p->at[i].spec;
    size_t n = 0;
    for (int32_t d = 0; d < s->shape.n; d++) n += (size_t)snprintf(shape + n, sizeof shape - n, "%s%d", d ? "," : "", s->shape.d[d]);
    dor_out("  %-40s [%s]%s\n", s->name, s->shape.n ? shape : "", s->state ? "  running statistic" : "");
  }
}

static void program(const char *what, const dor_program *p)
{
  dor_cost cost = dor_program_cost(p);
  dor_str s = {0};
  dor_out("\n%s: %.4g MFLOP, %.4g MB moved, %.4g MiB planned\n", what, cost.flops * 1e-6, cost.bytes * 1e-6, (double)dor_program_pool_bytes(p) / 1048576.0);
  dor_program_dump(p, &s);
  dor_out_str(&s);
}

/* An object left open: the caller may add to it, and closes it. */
static void summary_json(const char *name, dor_format precision, const dor_params *p, const dor_program *eval, const dor_program *train, bool *started)
{
  dor_cost e = dor_program_cost(eval);
  dor_out("%s{\"name\": \"%s\", \"precision\": \"%s\", \"parameters\": %lld, \"eval_flops\": %.17g, \"eval_bytes\": %zu", *started ? ",\n " : "[", name,
          dor_format_name(precision), (long long)dor_params_count(p, true), e.flops, dor_program_pool_bytes(eval));
  if (train) dor_out(", \"train_flops\": %.17g, \"train_bytes\": %zu", dor_program_cost(train).flops, dor_program_pool_bytes(train));
  *started = true;
}

/* ---- a config ---- */

static void branch(const dor_cli *c, const dor_arm *arm, const dor_branch *b, bool *started)
{
  char name[256], title[64];
  const dor_network *n = &b->net;
  snprintf(name, sizeof name, "%s%s%s", arm->name, *b->name ? "/" : "", b->name);
  if (c->json) {
    summary_json(name, n->precision, &n->params, n->eval, n->first, started);
    dor_out("}");
    return;
  }
  dor_out("%sarm %s: %lld parameters, %d outputs, batch %d in %d part%s, %s\n", *started ? "\n" : "", name, (long long)dor_params_count(&n->params, true),
          n->n_out, n->batch, n->parts, n->parts == 1 ? "" : "s", dor_format_name(n->precision));
  *started = true;
  parameters(&n->params);
  snprintf(title, sizeof title, "evaluation of %d", n->eval_batch);
  program(title, n->eval);
  snprintf(title, sizeof title, "training step of %d, forward and backward", n->batch / n->parts);
  program(title, n->first);
  program("update", n->update);
}

static dor_status of_setup(const dor_cli *c, dor_setup *u)
{
  bool started = false;
  for (int32_t i = 0; i < u->study.n_arms; i++) {
    const dor_study_arm *sa = &u->study.arm[i];
    if (c->arm && strcmp(c->arm, sa->arm->name)) continue;
    DOR_TRY(dor_study_compile(&u->study, i));
    for (int32_t k = 0; k < sa->n_branches; k++) branch(c, sa->arm, &sa->branch[k], &started);
  }
  DOR_NEED(started, USAGE, "no arm '%s' in this config", c->arm ? c->arm : "");
  if (c->json) dor_out("]\n");
  return DOR_OK;
}

static dor_status of_config(dor_cli *c, const char *path)
{
  dor_experiment e;
  dor_setup u = {0};
  DOR_TRY(dor_experiment_read(&e, path, c->assign, c->n_assign));
  dor_status s = dor_cli_device(c, true, &e.backend);
  if (!s) s = dor_device_ready(&e);
  if (!s) s = dor_setup_data(&u, &e, NULL);
  if (!s) s = dor_study_make(&u.study, &e, &u.data);
  if (!s) s = of_setup(c, &u);
  dor_setup_release(&u);
  dor_experiment_release(&e);
  if (!s) dor_say(c, "next: dorsum run %s --dry-run", path);
  return s;
}

/* ---- a model ---- */

typedef struct shape_cfg { /* what a model's own keys do not say */
  dor_ints size;
  int64_t features, outputs, batch;
  int precision;
} shape_cfg;

static const dor_key shape_keys[] = {
#define KEYS_OF shape_cfg
#include "base/keys_rows.h"
    KEY_INTS(size, "", 1, 65536, "pixel", "pictures: height, width; by default 128,128, or 512,512 for a model that gives maps")
    KEY_INT(features, 16, 1, 1000000, "", "numbers: how many")
    KEY_INT(outputs, 2, 1, 100000, "class", "of the last linear layer")
    KEY_INT(batch, 1, 1, 65536, "sample", "rows at a time")
    KEY_ENUM(precision, "fp32|tf32|bf16|fp16", "of activations")
#include "base/keys_end.h"
    {0}};

static const char *const *names_of(const dor_key *keys, const char *names[], size_t most)
{
  size_t n = 0;
  for (; keys->name && n + 1 < most; keys++) names[n++] = keys->name;
  names[n] = NULL;
  return names;
}

static dor_status model_settings(dor_cli *c, const dor_model *m, void *cfg, shape_cfg *s)
{
  dor_tree root = {.type = DOR_TREE_GROUP, .file = "command line"};
  const char *own[8], *models[64];
  for (int32_t i = 0; i < c->n_assign; i++) DOR_TRY(dor_tree_assign(&c->arena, &root, c->assign[i]));
  DOR_TRY(dor_schema_defaults(m->keys, cfg, &c->arena));
  DOR_TRY(dor_schema_defaults(shape_keys, s, &c->arena));
  DOR_TRY(dor_schema_load(m->keys, cfg, &root, names_of(shape_keys, own, 8), &c->arena));
  DOR_TRY(dor_schema_load(shape_keys, s, &root, names_of(m->keys, models, 64), &c->arena));
  static const int64_t small[] = {128, 128}, large[] = {512, 512};
  if (!s->size.n) s->size = (dor_ints){2, m->maps ? large : small};
  DOR_NEED(s->size.n == 2, CONFIG, "command line: 'size' wants height,width, got %d numbers", s->size.n);
  return DOR_OK;
}

typedef struct described {
  const dor_backend *backend;
  dor_format precision;
  dor_params params;
  dor_program *eval, *train; /* train: of models that give maps */
  double macs, charged;      /* of the convolutions, and as HRNet's authors count */
} described;

static dor_status compile(const described *d, dor_graph *g, dor_status made, dor_program **out)
{
  if (!made) return dor_program_build(out, g, d->backend, &(dor_program_options){.threads = 1, .precision = d->precision});
  dor_graph_release(g);
  return made;
}

static dor_status build_vector(const dor_model *m, const void *cfg, const shape_cfg *s, described *d)
{
  dor_graph g;
  dor_type t = {.dtype = DOR_F32};
  bool pictures = !strcmp(m->takes, "image");
  t.shape = pictures ? DOR_SHAPE((int32_t)s->batch, (int32_t)s->size.v[0], (int32_t)s->size.v[1], 1) : DOR_SHAPE((int32_t)s->batch, (int32_t)s->features);
  dor_graph_init(&g, &d->params, false);
  dor_val logits = dor_layer_linear(&g, "out", m->body(&g, cfg, dor_graph_input(&g, "x0", t)), (int32_t)s->outputs);
  dor_graph_keep(&g, logits, "logits");
  d->macs = d->charged = dor_conv_macs(&g, false);
  return compile(d, &g, dor_graph_status(&g), &d->eval);
}

static dor_status build_maps(const dor_model *m, const void *cfg, const shape_cfg *s, described *d)
{
  dor_graph g;
  dor_pose_net net;
  dor_shape x = DOR_SHAPE((int32_t)s->batch, (int32_t)s->size.v[0], (int32_t)s->size.v[1], 3);
  dor_graph_init(&g, &d->params, false);
  dor_status made = dor_pose_graph_eval(&g, m, cfg, x, &net);
  d->macs = dor_conv_macs(&g, false), d->charged = dor_conv_macs(&g, true);
  DOR_TRY(compile(d, &g, made, &d->eval));
  dor_graph_init(&g, &d->params, true);
  made = dor_pose_graph_train(&g, m, cfg, x, &(dor_pose_loss){.push = 1e-3, .pull = 1e-3, .people = 30}, false, &net);
  return compile(d, &g, made, &d->train);
}

static void print_model(const dor_cli *c, const dor_model *m, const shape_cfg *s, const described *d)
{
  dor_out("%s (%s): %lld parameters, %s", m->name, m->source, (long long)dor_params_count(&d->params, true), dor_format_name(d->precision));
  if (d->macs > 0) dor_out(", %.5g GMAC of convolution for %lld picture%s", d->macs * 1e-9, (long long)s->batch, s->batch == 1 ? "" : "s");
  if (d->charged > d->macs) dor_out(" (%.5g as published: transposed convolutions at every pixel of their output)", d->charged * 1e-9);
  dor_out("\n");
  parameters(&d->params);
  program("evaluation", d->eval);
  if (d->train) {
    double mib = (double)d->params.param_bytes / 1048576.0;
    program("training step, forward and backward", d->train);
    dor_out("weights %.4g MiB; with gradients and Adam's moments %.4g MiB\n", mib, 4 * mib);
  }
  else dor_say(c, "next: a config whose nets have kind = \"%s\"; dorsum describe CONFIG shows its training step too", m->name);
}

/* A size that the model cannot take was asked for here. */
static dor_status blame_size(const dor_model *m, const shape_cfg *s, dor_status status)
{
  char why[1024];
  if (status != DOR_E_SHAPE && status != DOR_E_RANGE) return status;
  snprintf(why, sizeof why, "%s", dor_errmsg());
  return DOR_FAIL(USAGE, "%s cannot take --size %lld,%lld: %s", m->name, (long long)s->size.v[0], (long long)s->size.v[1], why);
}

static dor_status of_model(dor_cli *c, const dor_model *m)
{
  shape_cfg s;
  described d = {0};
  bool started = false;
  void *cfg = dor_arena_alloc(&c->arena, m->cfg_size);
  DOR_NEED(cfg, NOMEM, "out of memory");
  DOR_TRY(dor_cli_device(c, true, &d.backend));
  DOR_TRY(model_settings(c, m, cfg, &s));
  d.precision = dor_backend_format(d.backend, (dor_format)s.precision);
  DOR_NEED(dor_backend_takes(d.backend, d.precision), CONFIG, "command line: precision %s is not to be had on %s", dor_format_name(d.precision),
           d.backend->name);
  dor_status status = blame_size(m, &s, m->maps ? build_maps(m, cfg, &s, &d) : build_vector(m, cfg, &s, &d));
  if (!status && c->json) {
    summary_json(m->name, d.precision, &d.params, d.eval, d.train, &started);
    dor_out(", \"conv_macs\": %.17g, \"conv_macs_as_published\": %.17g}]\n", d.macs, d.charged);
  } else if (!status) {
    print_model(c, m, &s, &d);
  }
  dor_program_release(d.train);
  dor_program_release(d.eval);
  dor_params_release(&d.params);
  return status;
}

/* Weights by what they are called: then also what lies there in their place (a web page, nothing at all) is described as such. */
static bool called_weights(const char *path)
{
  static const char *const ends[] = {".pth", ".pt", ".pth.tar", ".safetensors"};
  const size_t n = strlen(path);
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
    if (n > strlen(ends[i]) && !strcmp(path + n - strlen(ends[i]), ends[i])) return true;
  return false;
}

static dor_status run(dor_cli *c)
{
  const dor_model *m = dor_model_find(c->arg[0]);
  const char *names[64];
  size_t n = 0;
  for (; dor_models[n] && n < 64; n++) names[n] = dor_models[n]->name;
  const char *near = m || dor_io_exists(c->arg[0]) ? NULL : dor_nearest(c->arg[0], names, n);
  DOR_NEED(!near, USAGE, "no model and no file '%s'; did you mean '%s'?", c->arg[0], near);
  if (!m && dor_io_exists(c->arg[0]) && (called_weights(c->arg[0]) || dor_weights_is(c->arg[0]))) return dor_describe_weights(c, c->arg[0]);
  return m ? of_model(c, m) : of_config(c, c->arg[0]);
}

const dor_command dor_command_describe = {
    .name = "describe",
    .summary = "layers, shapes, FLOPs, memory plan and kernels; or what a weight file holds",
    .usage = "CONFIG|MODEL|WEIGHTS [key=value ...]",
    .options = "adzJq",
    .examples = "  dorsum describe silhouette_cnn channels=16,32 --size 64,64\n"
                "  dorsum describe mlp hidden=32 features=6\n"
                "  dorsum describe higherhrnet width=48 --size 640,640 batch=2\n"
                "  dorsum describe silhouette_cnn --device null precision=bf16\n"
                "  dorsum describe experiments/backtracker/quick.cfg --arm joint\n"
                "  dorsum describe pose_higher_hrnet_w32_512.pth\n",
    .text = "A config is described with its data, as it would be trained; a model by name alone (dorsum help models), with its own\n"
            "keys and size, features, outputs, batch, precision. One line a node: op, inputs, outputs with shapes, memory, kernel. Of a .pth or\n"
            ".safetensors file: its tensors, and what they were trained on. --device null: as on a GPU, without one.\n",
    .least = 1,
    .most = 1,
    .run = run};
