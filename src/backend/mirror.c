/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/mirror.h"

#include <stdio.h>
#include <string.h>

#include "backend/fleet.h"
#include "base/mem.h"

enum { SIDES = 2, ALIGN = 256, SMALL = 4096, RING = 32 }; /* small kept values are read long after their run */

struct dor_mirror {
  const dor_program *program;
  const dor_backend *backend;
  const dor_device *device;
  void *stream, *upload;            /* of the runs; of inputs on their way up */
  bool own_stream, own_step;
  int32_t models;                   /* of a fleet; 1 */
  size_t stride;                    /* on the device; a side, a slot and the steps have model after model */
  size_t *at;                       /* [values] place of an input in a side, of a kept value in a slot; SIZE_MAX: neither */
  size_t in_bytes, out_bytes;       /* of a model in a side, in a slot */
  char *in[SIDES], *staged[SIDES];  /* pinned; the device's */
  void *arrived[SIDES], *taken[SIDES];
  char *out;                        /* [depth][models][out_bytes] pinned */
  dor_step *steps;                  /* [depth][models] pinned */
  void *step;                       /* the step block kernels read */
  int32_t depth;
  int64_t runs, waited, asked;      /* done by now; known to be finished; the run whose side is free to be filled */
  void *graph;
  uint64_t last_step;
  dor_status failed;                /* the first failure: nothing is enqueued after it */
  char message[512];
};

/* ---- making ---- */

static size_t round_up(size_t n) { return (n + ALIGN - 1) / ALIGN * ALIGN; }

/* Is there such a value, when programs are pruned? */
static bool is_there(const dor_program *p, dor_val v)
{
  const dor_kind kind = p->graph.value[v].kind;
  return p->plan.offset[v] != SIZE_MAX || (kind != DOR_TEMP && kind != DOR_INPUT);
}

size_t dor_mirror_bytes(const dor_program *p, int32_t models)
{
  const dor_graph *g = &p->graph;
  size_t inputs = 0;
  for (dor_val v = 0; v < g->nvalue; v++)
    if (g->value[v].kind == DOR_INPUT && is_there(p, v)) inputs += round_up(dor_type_bytes(g->value[v].type));
  return (size_t)models * (SIDES * inputs + round_up(sizeof(dor_step)));
}

static void place(dor_mirror *m)
{
  const dor_graph *g = &m->program->graph;
  for (dor_val v = 0; v < g->nvalue; v++) {
    const dor_value *x = &g->value[v];
    const bool input = x->kind == DOR_INPUT, there = is_there(m->program, v);
    size_t *bytes = input ? &m->in_bytes : &m->out_bytes;
    m->at[v] = SIZE_MAX;
    if (!there || !(input || x->keep)) continue;
    m->at[v] = *bytes;
    *bytes += round_up(dor_type_bytes(x->type));
  }
  m->depth = m->out_bytes <= SMALL ? RING : 1;
}

static dor_status make_streams(dor_mirror *m)
{
  const dor_device *d = m->device;
  if (m->own_stream) DOR_TRY(d->stream_new(&m->stream));
  DOR_TRY(d->stream_new(&m->upload));
  for (int k = 0; k < SIDES; k++) {
    DOR_TRY(d->event_new(&m->arrived[k]));
    DOR_TRY(d->event_new(&m->taken[k]));
  }
  return DOR_OK;
}

static size_t side_bytes(const dor_mirror *m) { return (size_t)m->models * m->in_bytes; }
static size_t slot_bytes(const dor_mirror *m) { return (size_t)m->models * m->out_bytes; }
static size_t ring_bytes(const dor_mirror *m) { return (size_t)m->depth * (size_t)m->models * sizeof *m->steps; }

static dor_status make(dor_mirror *m, dor_fleet *f)
{
  const dor_device *d = m->device;
  m->at = dor_calloc((size_t)m->program->graph.nvalue + 1, sizeof *m->at);
  DOR_NEED(m->at, NOMEM, "an instance of %d values", m->program->graph.nvalue);
  place(m);
  DOR_TRY(make_streams(m));
  for (int k = 0; k < SIDES && m->in_bytes; k++) {
    void *p;
    DOR_TRY(d->pin(side_bytes(m), &p));
    m->in[k] = p;
    DOR_TRY(m->backend->alloc(side_bytes(m), &p));
    m->staged[k] = p;
  }
  void *out = NULL, *steps = NULL;
  if (m->out_bytes) DOR_TRY(d->pin(slot_bytes(m) * (size_t)m->depth, &out));
  m->out = out;
  DOR_TRY(d->pin(ring_bytes(m), &steps));
  m->steps = steps;
  m->own_step = !f;
  return f ? dor_fleet_take(f, sizeof *m->steps, &m->step) : m->backend->alloc(sizeof *m->steps, &m->step);
}

dor_status dor_mirror_new(dor_mirror **out, const dor_program *p, const dor_blocks *b)
{
  dor_mirror *m = *out = dor_calloc(1, sizeof *m);
  DOR_NEED(m, NOMEM, "an instance");
  *m = (dor_mirror){.program = p, .backend = p->backend, .device = p->backend->device, .stream = b->stream, .own_stream = !b->stream,
                    .models = b->fleet ? b->fleet->models : 1, .stride = b->fleet ? b->fleet->stride : 0};
  return make(m, b->fleet);
}

void dor_mirror_free(dor_mirror *m)
{
  if (!m) return;
  const dor_device *d = m->device;
  if (m->stream && d->settle(m->stream)) m->failed = DOR_E_DEVICE; /* what still runs uses this memory; nobody is left to tell of a failure */
  if (m->graph) d->graph_free(m->graph);
  for (int k = 0; k < SIDES; k++) {
    if (m->in[k]) d->unpin(m->in[k], side_bytes(m));
    if (m->staged[k]) m->backend->free(m->staged[k], side_bytes(m));
    if (m->arrived[k]) d->event_free(m->arrived[k]);
    if (m->taken[k]) d->event_free(m->taken[k]);
  }
  if (m->out) d->unpin(m->out, slot_bytes(m) * (size_t)m->depth);
  if (m->steps) d->unpin(m->steps, ring_bytes(m));
  if (m->step && m->own_step) m->backend->free(m->step, sizeof *m->steps);
  if (m->upload) d->stream_free(m->upload);
  if (m->own_stream && m->stream) d->stream_free(m->stream);
  dor_free(m->at);
  dor_free(m);
}

void dor_mirror_bind(const dor_mirror *m, dor_call *c)
{
  c->stream = m->stream;
  c->step = m->step;
}

/* ---- failures ---- */

/* The first one is kept for whoever waits; the program then stands still. */
static void keep_failure(dor_mirror *m, dor_status s)
{
  if (!s || m->failed) return;
  m->failed = s;
  snprintf(m->message, sizeof m->message, "%s", dor_errmsg());
}

static dor_status tell(const dor_mirror *m)
{
  if (!m->failed) return DOR_OK;
  char message[700];
  snprintf(message, sizeof message, "%s (program '%s', at the latest in step %llu)", m->message, m->program->name, (unsigned long long)m->last_step);
  dor_errmsg_set(message);
  return m->failed;
}

dor_status dor_mirror_wait(dor_mirror *m)
{
  if (!m->failed) keep_failure(m, m->device->settle(m->stream));
  m->waited = m->runs;
  return tell(m);
}

/* ---- feeding and reading ---- */

void *dor_mirror_input(dor_mirror *m, dor_val v)
{
  if (m->at[v] == SIZE_MAX || m->program->graph.value[v].kind != DOR_INPUT) return NULL;
  const int k = (int)(m->runs % SIDES);
  if (m->asked <= m->runs) {
    keep_failure(m, m->device->reach(m->arrived[k])); /* two runs ago: what was in this side is on the device */
    m->asked = m->runs + 1;
  }
  return m->in[k] + m->at[v];
}

void dor_mirror_set(dor_mirror *m, dor_val v, const void *data)
{
  if (m->at[v] == SIZE_MAX) return;
  for (int k = 0; k < SIDES; k++)
    for (int32_t z = 0; z < m->models; z++) memcpy(m->in[k] + (size_t)z * m->in_bytes + m->at[v], data, dor_type_bytes(m->program->graph.value[v].type));
}

const void *dor_mirror_kept(const dor_mirror *m, dor_val v, int32_t back)
{
  const dor_value *x = &m->program->graph.value[v];
  if (x->kind == DOR_INPUT || !x->keep || m->at[v] == SIZE_MAX || back >= m->depth || back >= m->runs) return NULL;
  return m->out + (size_t)((m->runs - 1 - back) % m->depth) * slot_bytes(m) + m->at[v];
}

int32_t dor_mirror_depth(const dor_mirror *m) { return m->depth; }
size_t dor_mirror_input_step(const dor_mirror *m) { return m->in_bytes; }
size_t dor_mirror_kept_step(const dor_mirror *m) { return m->out_bytes; }

/* ---- running ---- */

/* As many bytes for each model. */
static dor_status copy_each(const dor_mirror *m, void *to, size_t to_step, const void *from, size_t from_step, size_t bytes)
{
  const dor_device *d = m->device;
  if (m->models > 1 && d->copy_rows) return d->copy_rows(to, to_step, from, from_step, bytes, m->models, m->stream);
  for (size_t z = 0; z < (size_t)m->models; z++) DOR_TRY(d->copy((char *)to + z * to_step, (const char *)from + z * from_step, bytes, m->stream));
  return DOR_OK;
}

static dor_status move_inputs(dor_mirror *m, dor_instance *in)
{
  const dor_device *d = m->device;
  const dor_graph *g = &m->program->graph;
  const int k = (int)(m->runs % SIDES);
  DOR_TRY(d->after(m->upload, m->taken[k]));
  DOR_TRY(d->copy(m->staged[k], m->in[k], side_bytes(m), m->upload));
  DOR_TRY(d->mark(m->arrived[k], m->upload));
  DOR_TRY(d->after(m->stream, m->arrived[k]));
  for (dor_val v = 0; v < g->nvalue; v++)
    if (g->value[v].kind == DOR_INPUT && m->at[v] != SIZE_MAX)
      DOR_TRY(copy_each(m, dor_instance_data(in, v), m->stride, m->staged[k] + m->at[v], m->in_bytes, dor_type_bytes(g->value[v].type)));
  return d->mark(m->taken[k], m->stream);
}

static void run_calls(dor_instance *in)
{
  for (int32_t i = 0; i < in->ncall; i++) in->kernel[i]->run(&in->call[i]);
}

/* The first run loads what kernels need, which a recording may not. */
static dor_status run_list(dor_mirror *m, dor_instance *in)
{
  const dor_device *d = m->device;
  if (!d->record || !m->runs) return run_calls(in), DOR_OK;
  if (!m->graph) {
    DOR_TRY(d->record(m->stream));
    run_calls(in);
    DOR_TRY(d->recorded(m->stream, &m->graph));
  }
  return d->replay(m->graph, m->stream);
}

static dor_status move_kept(dor_mirror *m, dor_instance *in)
{
  const dor_graph *g = &m->program->graph;
  char *slot = m->out + (size_t)(m->runs % m->depth) * slot_bytes(m);
  for (dor_val v = 0; v < g->nvalue; v++)
    if (g->value[v].kind != DOR_INPUT && m->at[v] != SIZE_MAX)
      DOR_TRY(copy_each(m, slot + m->at[v], m->out_bytes, dor_instance_data(in, v), m->stride, dor_type_bytes(g->value[v].type)));
  return DOR_OK;
}

static dor_status enqueue(dor_mirror *m, dor_instance *in, const dor_step *step)
{
  if (m->runs - m->waited >= m->depth) { /* the slots come round: what they are still written to by has to be over */
    DOR_TRY(m->device->settle(m->stream));
    m->waited = m->runs;
  }
  dor_step *slot = &m->steps[m->runs % m->depth * m->models];
  memcpy(slot, step, (size_t)m->models * sizeof *slot);
  if (m->in_bytes) DOR_TRY(move_inputs(m, in));
  DOR_TRY(copy_each(m, m->step, m->stride, slot, sizeof *slot, sizeof *slot));
  DOR_TRY(run_list(m, in));
  return m->out_bytes ? move_kept(m, in) : DOR_OK;
}

void dor_mirror_run(dor_mirror *m, dor_instance *in, const dor_step *step)
{
  if (m->failed) return;
  keep_failure(m, enqueue(m, in, step));
  m->last_step = step->step;
  m->runs++;
}

dor_status dor_mirror_feed(dor_mirror *m, dor_instance *in, const dor_step *step)
{
  DOR_TRY(dor_mirror_wait(m));
  m->steps[0] = *step;
  if (m->in_bytes) DOR_TRY(move_inputs(m, in));
  DOR_TRY(m->device->copy(m->step, m->steps, sizeof *step, m->stream));
  return dor_mirror_wait(m);
}
