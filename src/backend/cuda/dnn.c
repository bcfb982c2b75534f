/* SPDX-License-Identifier: Apache-2.0
 *
 * cuDNN as a library of operation graphs: opened once for a device; a plan for each graph, shared by all instances; in each
 * instance the pointers it runs on; and around a plan the steps that are own kernels. */
#include "backend/cuda/dnn_plan.h"

#include <cuda_runtime_api.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "kernels/graph_steps.h"

enum { OLDEST = 91100, ALIGN = 256 };

typedef struct plan {
  dor_library_plan head;
  dor_dnn *dnn;
  dor_opgraph graph;
  dor_descs all;
  dor_dnn_choice choice;
  size_t offset[DOR_OG_TENSORS], workspace; /* in scratch */
  char name[120];
} plan;

typedef struct bound { /* of one instance */
  dor_descs all;
  dor_desc pack;
  dor_view at[DOR_OG_TENSORS];
} bound;

/* ---- opening ---- */

static dor_status describe_device(dor_dnn *d)
{
  const int64_t n = (int64_t)strlen(d->is.device_json);
  DOR_TRY(dor_desc_make(&d->own, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &d->device));
  DOR_TRY(dor_desc_set(d->device, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, n, d->is.device_json));
  return dor_desc_done(d->device, "the device's description");
}

static dor_status read_description(const dor_dnn *d, dor_descs *all, dor_str *out)
{
  dor_desc device;
  int64_t n = 0;
  const char *what = "the device's description";
  DOR_TRY(dor_desc_make(all, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &device));
  DOR_TRY(dor_desc_set(device, CUDNN_ATTR_DEVICEPROP_HANDLE, CUDNN_TYPE_HANDLE, 1, &d->handle));
  DOR_TRY(dor_desc_done(device, what));
  DOR_TRY(dor_desc_check(cudnnBackendGetAttribute(device, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, 0, &n, NULL), what));
  char *text = dor_calloc((size_t)n + 1, 1);
  DOR_NEED(text, NOMEM, "a description of %lld bytes", (long long)n);
  dor_status s = dor_desc_check(cudnnBackendGetAttribute(device, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, n, &n, text), what);
  if (!s) dor_str_add(out, text);
  dor_free(text);
  return s ? s : dor_str_status(out);
}

dor_status dor_dnn_description(const dor_dnn *d, dor_str *out)
{
  dor_descs all = {0};
  dor_status s = d->handle ? read_description(d, &all, out) : DOR_FAIL(UNSUPPORTED, "no device is here to be described");
  dor_desc_keep(&all, 0);
  return s;
}

static dor_status name_device(dor_dnn *d)
{
  struct cudaDeviceProp p;
  int device, driver = 0;
  if (d->is.device_json) {
    char hex[DOR_HASH_HEX];
    dor_hash_bytes(d->is.device_json, strlen(d->is.device_json), hex);
    snprintf(d->about, sizeof d->about, "cuDNN %zu, described device %.16s", cudnnGetVersion(), hex);
    return DOR_OK;
  }
  bool known = cudaGetDevice(&device) == cudaSuccess && cudaGetDeviceProperties(&p, device) == cudaSuccess && cudaDriverGetVersion(&driver) == cudaSuccess;
  DOR_NEED(known, DEVICE, "cuDNN: no device");
  snprintf(d->about, sizeof d->about, "cuDNN %zu, %.80s, sm_%d%d, %d multiprocessors, driver %d", cudnnGetVersion(), p.name, p.major, p.minor,
           p.multiProcessorCount, driver);
  return DOR_OK;
}

static dor_status open_device(dor_dnn *d)
{
  DOR_NEED(cudnnGetVersion() >= OLDEST, DEVICE, "cuDNN %zu is too old, wants %d.%d", cudnnGetVersion(), OLDEST / 10000, OLDEST / 100 % 100);
  if (!d->is.device_json) DOR_TRY(dor_desc_check(cudnnCreate(&d->handle), "opening the device"));
  DOR_TRY(name_device(d));
  return d->is.device_json ? describe_device(d) : DOR_OK;
}

/* ---- running ---- */

dor_status dor_dnn_pack(dor_descs *all, const dor_opgraph *g, void *const at[], void *workspace, dor_desc *out)
{
  int64_t id[DOR_OG_TENSORS], n = 0;
  void *data[DOR_OG_TENSORS];
  for (int32_t i = 0; i < g->ntensor; i++)
    if (dor_og_is_inside(g, i) && g->tensor[i].place != DOR_OG_VIRTUAL) id[n] = i + 1, data[n++] = at[i];
  DOR_TRY(dor_desc_make(all, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, out));
  DOR_TRY(dor_desc_set(*out, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, n, id));
  DOR_TRY(dor_desc_set(*out, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, n, data));
  DOR_TRY(dor_desc_set(*out, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace));
  return dor_desc_done(*out, "a plan's pointers");
}

static dor_view view_of(const plan *p, const dor_call *c, int32_t i)
{
  const dor_og_tensor *t = &p->graph.tensor[i];
  if (t->place == DOR_OG_VIEW) return *dor_from_view(c, t->from);
  dor_view v = {{4, {t->dim[0], t->dim[1], t->dim[2], t->dim[3]}}, t->dtype, NULL};
  if (t->place == DOR_OG_SCRATCH) v.data = (char *)c->scratch + p->offset[i];
  if (t->place == DOR_OG_COPY) v.data = (void *)(uintptr_t)dor_from_copy(c, t->dtype, t->from);
  return v;
}

static void detach(dor_call *c)
{
  bound *b = c->context;
  if (!b) return;
  dor_desc_keep(&b->all, 0);
  dor_free(b);
  c->context = NULL;
}

static dor_status attach(dor_call *c)
{
  const plan *p = c->plan;
  bound *b = dor_calloc(1, sizeof *b);
  DOR_NEED(b, NOMEM, "a plan's pointers");
  void *at[DOR_OG_TENSORS];
  for (int32_t i = 0; i < p->graph.ntensor; i++) b->at[i] = view_of(p, c, i), at[i] = b->at[i].data;
  void *workspace = p->choice.workspace ? (char *)c->scratch + p->workspace : NULL;
  dor_status s = dor_dnn_pack(&b->all, &p->graph, at, workspace, &b->pack);
  c->context = b;
  if (s) detach(c);
  return s;
}

static int64_t rows_of(const dor_og_tensor *filter) { return filter->dim[0]; }
static int64_t columns_of(const dor_og_tensor *filter) { return (int64_t)filter->dim[1] * filter->dim[2] * filter->dim[3]; }

static void own_step(const plan *p, const bound *b, const dor_og_op *op, void *stream)
{
  const dor_view *v = b->at;
  const dor_og *in = op->in, *out = op->out;
  const dor_og_tensor *t = p->graph.tensor;
  if (op->kind == DOR_OG_TURN) dor_step_turn(stream, &v[in[0]], &v[out[0]], columns_of(&t[out[0]]), rows_of(&t[out[0]]));
  if (op->kind == DOR_OG_TURN_BACK) dor_step_turn(stream, &v[in[0]], &v[out[0]], rows_of(&t[in[0]]), columns_of(&t[in[0]]));
  if (op->kind == DOR_OG_FOLD) {
    const float *moments[4] = {v[in[0]].data, v[in[1]].data, v[in[2]].data, v[in[3]].data};
    dor_step_fold(stream, moments, v[out[0]].data, v[out[1]].data, t[out[0]].dim[3], p->graph.eps);
  }
  if (op->kind == DOR_OG_MOMENTS) {
    const int32_t *y = t[in[2]].dim;
    dor_step_moments(stream, v[in[0]].data, v[in[1]].data, v[out[0]].data, v[out[1]].data, t[in[0]].dim[3], (int64_t)y[0] * y[1] * y[2]);
  }
}

/* A run cannot return: the first failure waits for the next synchronisation. */
static void note(dor_dnn *d, dor_status s)
{
  if (!s || d->failed) return;
  d->failed = s;
  int none = 0;
  atomic_compare_exchange_strong(&d->handles->failed, &none, (int)s);
  snprintf(d->reason, sizeof d->reason, "%s", dor_errmsg());
}

static void run(const dor_call *c)
{
  const plan *p = c->plan;
  const bound *b = c->context;
  dor_dnn *d = p->dnn;
  const dor_og_op *op = p->graph.op;
  for (int32_t i = 0; i < p->graph.nop; i++)
    if (op[i].kind <= DOR_OG_FOLD) own_step(p, b, &op[i], c->stream);
  pthread_mutex_lock(&d->lock);
  dor_status s = dor_desc_check(cudnnSetStream(d->handle, c->stream), "a stream");
  if (!s) s = dor_desc_check(cudnnBackendExecute(d->handle, p->choice.plan, b->pack), "running a plan");
  note(d, s);
  pthread_mutex_unlock(&d->lock);
  for (int32_t i = 0; i < p->graph.nop; i++)
    if (op[i].kind >= DOR_OG_TURN_BACK) own_step(p, b, &op[i], c->stream);
}

static const char *describe(const void *of) { return ((const plan *)of)->name; }

static void drop(void *of)
{
  plan *p = of;
  dor_desc_keep(&p->all, 0);
  dor_free(p);
}

static const dor_library table = {.name = "cudnn", .attach = attach, .run = run, .detach = detach, .drop = drop, .describe = describe};

/* ---- planning ---- */

static void key_of(const dor_dnn *d, const dor_opgraph *g, bool tf32, dor_str *key)
{
  dor_str_fmt(key, "%s; deterministic %d tf32 %d autotune %d workspace %zu; ", d->about, d->is.deterministic, tf32, d->is.autotune, d->is.workspace);
  dor_og_print(g, key);
}

static dor_status choose_or_load(plan *p, bool tf32)
{
  dor_str key = {0};
  bool found = false;
  key_of(p->dnn, &p->graph, tf32, &key);
  dor_status s = dor_str_status(&key);
  if (!s && p->dnn->is.cache) s = dor_dnn_load(p->dnn, key.s, &p->all, &p->choice, &found);
  if (!s && !found) s = dor_dnn_choose(p->dnn, &p->graph, tf32, &p->all, &p->choice);
  if (!s && !found && p->dnn->is.cache && !p->choice.absent) s = dor_dnn_save(p->dnn, key.s, &p->choice);
  dor_str_release(&key);
  return s;
}

static size_t take(size_t *total, size_t bytes)
{
  size_t at = *total;
  *total += (bytes + ALIGN - 1) / ALIGN * ALIGN;
  return at;
}

static size_t lay_out(plan *p)
{
  size_t total = 0;
  for (int32_t i = 0; i < p->graph.ntensor; i++)
    if (p->graph.tensor[i].place == DOR_OG_SCRATCH) p->offset[i] = take(&total, dor_og_bytes(&p->graph.tensor[i]));
  p->workspace = take(&total, (size_t)p->choice.workspace);
  return total;
}

static void name_plan(plan *p)
{
  dor_str names = {0};
  dor_og_names(&p->graph, &names);
  snprintf(p->name, sizeof p->name, "%s by engine %lld%s", names.s ? names.s : "", (long long)p->choice.engine, p->choice.compiled ? ", compiled" : "");
  dor_str_release(&names);
}

dor_status dor_dnn_graph(const dor_library *l, const dor_opgraph *g, void **out, size_t *scratch)
{
  dor_dnn *d = ((dor_cuda_handles *)l->self)->dnn;
  plan *p = dor_calloc(1, sizeof *p);
  DOR_NEED(p, NOMEM, "a plan");
  p->head.library = &table, p->dnn = d, p->graph = *g;
  dor_status s = choose_or_load(p, l->tf32);
  if (s) {
    drop(p);
    return s;
  }
  name_plan(p);
  *scratch = lay_out(p);
  *out = p;
  return DOR_OK;
}

dor_status dor_dnn_open(dor_cuda_handles *h, const dor_dnn_options *o)
{
  dor_dnn *d = dor_calloc(1, sizeof *d);
  DOR_NEED(d, NOMEM, "cuDNN");
  d->is = *o;
  d->handles = h;
  h->dnn = d;
  pthread_mutex_init(&d->lock, NULL);
  dor_status s = open_device(d);
  if (s) dor_dnn_close(h);
  return s;
}

void dor_dnn_tune(dor_dnn *d, const dor_dnn_options *o)
{
  const char *device = d->is.device_json;
  d->is = *o;
  d->is.device_json = device;
}

void dor_dnn_close(dor_cuda_handles *h)
{
  dor_dnn *d = h->dnn;
  h->dnn = NULL;
  if (!d) return;
  dor_desc_keep(&d->own, 0);
  if (d->handle) cudnnDestroy(d->handle);
  pthread_mutex_destroy(&d->lock);
  dor_free(d);
}

const char *dor_dnn_device(const dor_dnn *d) { return d->about; }

dor_status dor_dnn_status(dor_dnn *d)
{
  dor_status s = d->failed;
  d->failed = DOR_OK;
  if (s == DOR_E_DEVMEM) return DOR_FAIL(DEVMEM, "%s", d->reason);
  return s ? DOR_FAIL(DEVICE, "%s", d->reason) : DOR_OK;
}
