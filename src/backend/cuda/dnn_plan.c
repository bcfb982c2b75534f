/* SPDX-License-Identifier: Apache-2.0
 *
 * From a graph to a plan: cuDNN's heuristics name configurations of engines in the order of their hope; those that may not be taken
 * (other bits each time, less precision than asked, too much workspace) are passed over, and the first that can be built is
 * taken, or the first few are timed. The heuristics depend on graph and device alone, so the choice is the same each time. */
#include "backend/cuda/dnn_plan.h"

#include <math.h>
#include <string.h>

enum { CONFIGS = 48, TIMED = 8, NOTES = 16 };

static dor_status number(dor_desc d, cudnnBackendAttributeName_t name, int64_t *out)
{
  int64_t n;
  return dor_desc_check(cudnnBackendGetAttribute(d, name, CUDNN_TYPE_INT64, 1, &n, out), "a number");
}

static dor_status ask(const dor_dnn *d, dor_descs *all, dor_desc graph, cudnnBackendHeurMode_t mode, dor_desc *config, int64_t *n)
{
  dor_desc h;
  *n = 0;
  DOR_TRY(dor_desc_make(all, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, &h));
  DOR_TRY(dor_desc_link(h, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph));
  DOR_TRY(dor_desc_set(h, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode));
  if (d->device) DOR_TRY(dor_desc_link(h, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, d->device));
  DOR_TRY(dor_desc_done(h, "the heuristics"));
  int64_t known = 0;
  DOR_TRY(dor_desc_check(cudnnBackendGetAttribute(h, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &known, NULL), "the heuristics"));
  if (known > CONFIGS) known = CONFIGS;
  for (int64_t i = 0; i < known; i++) DOR_TRY(dor_desc_make(all, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &config[i]));
  return dor_desc_check(cudnnBackendGetAttribute(h, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, known, n, config), "the heuristics");
}

typedef struct search { /* of a plan */
  dor_dnn *d;
  const dor_opgraph *g;
  bool tf32;
  dor_descs *all;
  dor_dnn_choice best;
  double time_s;
  int32_t built, tried;
} search;

/* Which numerical notes an engine may not have. */
static bool refused(const search *s, cudnnBackendNumericalNote_t note)
{
  bool exact = dor_og_type(s->g) == DOR_F32 && !s->tf32;
  switch (note) {
  case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC: return s->d->is.deterministic;
  case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION: return true;
  case CUDNN_NUMERICAL_NOTE_TENSOR_CORE:
  case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS: return exact;
  case CUDNN_NUMERICAL_NOTE_FFT:
  case CUDNN_NUMERICAL_NOTE_WINOGRAD:
  case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_4x4:
  case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6:
  case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13: return !s->tf32;
  default: return false;
  }
}

static dor_status inspect(const search *s, dor_desc config, dor_dnn_choice *c, bool *good)
{
  dor_desc engine;
  int64_t n = 0;
  cudnnBackendNumericalNote_t note[NOTES];
  cudnnBackendBehaviorNote_t behaviour[NOTES];
  *good = true;
  DOR_TRY(dor_desc_make(s->all, CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine));
  DOR_TRY(dor_desc_check(cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &n, &engine), "an engine"));
  DOR_TRY(number(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, &c->engine));
  DOR_TRY(dor_desc_check(cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, NOTES, &n, note), "an engine's notes"));
  for (int64_t i = 0; i < n; i++) *good = *good && !refused(s, note[i]);
  DOR_TRY(dor_desc_check(cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE, NOTES, &n, behaviour), "its notes"));
  c->compiled = false;
  for (int64_t i = 0; i < n; i++) c->compiled = c->compiled || behaviour[i] == CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION;
  return DOR_OK;
}

static dor_status finish(const dor_dnn *d, dor_descs *all, dor_desc config, dor_dnn_choice *c)
{
  DOR_TRY(dor_desc_make(all, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &c->plan));
  DOR_TRY(dor_desc_link(c->plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config));
  if (d->device) DOR_TRY(dor_desc_link(c->plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, d->device));
  else DOR_TRY(dor_desc_set(c->plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &d->handle)); /* only such a plan may run here */
  cudnnStatus_t made = cudnnBackendFinalize(c->plan);
  c->absent = d->is.device_json && made == CUDNN_STATUS_EXECUTION_FAILED_CUDA_DRIVER;
  if (c->absent) return DOR_OK; /* compiled, and there is no driver to load it: all that can be known without a device */
  DOR_TRY(dor_desc_check(made, "a plan"));
  DOR_TRY(number(c->plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, &c->workspace));
  size_t most = d->is.workspace ? d->is.workspace : (size_t)256 << 20;
  DOR_NEED((size_t)c->workspace <= most, UNSUPPORTED, "cuDNN: a plan with a workspace of %lld bytes, %zu allowed", (long long)c->workspace, most);
  return DOR_OK;
}

/* One configuration as a plan. errors UNSUPPORTED: it may not be taken, or cannot be built */
static dor_status build(const search *by, dor_desc config, dor_dnn_choice *out)
{
  int32_t before = by->all->n;
  bool good;
  *out = (dor_dnn_choice){0};
  dor_status s = inspect(by, config, out, &good);
  dor_desc_keep(by->all, before);
  if (!s && !good) return DOR_FAIL(UNSUPPORTED, "cuDNN: engine %lld is not of the precision or the determinism asked for", (long long)out->engine);
  if (!s) s = finish(by->d, by->all, config, out);
  if (s) dor_desc_keep(by->all, before);
  return s;
}

/* A configuration that may not be taken, or that cuDNN offers and then fails to build or run, is no reason to stop. */
static bool passed_over(dor_status s) { return s == DOR_E_UNSUPPORTED || s == DOR_E_DEVICE; }

/* Take the plan where it is the first, or the faster. */
static dor_status consider(search *s, const dor_dnn_choice *c)
{
  double time_s = 0;
  s->built++;
  if (s->d->is.autotune) {
    dor_status failed = dor_dnn_time(s->d, s->g, c, &time_s);
    if (failed) return passed_over(failed) ? DOR_OK : failed;
  }
  if (!s->best.plan || time_s < s->time_s) s->best = *c, s->time_s = time_s;
  return DOR_OK;
}

static bool enough(const search *s) { return s->best.plan && (!s->d->is.autotune || s->built >= TIMED); }

static dor_status try_mode(search *s, dor_desc graph, cudnnBackendHeurMode_t mode)
{
  dor_desc config[CONFIGS];
  int64_t n;
  dor_status asked = ask(s->d, s->all, graph, mode, config, &n);
  if (asked == DOR_E_UNSUPPORTED) return DOR_OK; /* no engine of this mode has the graph */
  DOR_TRY(asked);
  for (int64_t i = 0; i < n && !enough(s); i++, s->tried++) {
    dor_dnn_choice c;
    dor_status built = build(s, config[i], &c);
    if (passed_over(built)) continue;
    DOR_TRY(built);
    DOR_TRY(consider(s, &c));
  }
  return DOR_OK;
}

dor_status dor_dnn_choose(dor_dnn *d, const dor_opgraph *g, bool tf32, dor_descs *all, dor_dnn_choice *out)
{
  search s = {.d = d, .g = g, .tf32 = tf32, .all = all, .time_s = HUGE_VAL};
  dor_desc graph;
  DOR_TRY(dor_desc_graph(all, g, d->handle, &graph));
  DOR_TRY(try_mode(&s, graph, CUDNN_HEUR_MODE_A));
  if (!enough(&s)) DOR_TRY(try_mode(&s, graph, CUDNN_HEUR_MODE_FALLBACK));
  DOR_NEED(s.best.plan, UNSUPPORTED, "cuDNN: none of %d configurations can be taken; the last: %s", s.tried, dor_errmsg());
  *out = s.best;
  return DOR_OK;
}
