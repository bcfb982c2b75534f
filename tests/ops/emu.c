/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/ops/emu.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ops/ops.h"
#include "tensor/convert.h"
#include "tests/ops/emulated.h"
#include "tests/test.h"

int64_t test_emu_replays, test_emu_lost = -1;
const dor_kernel *test_emu_own;
size_t test_emu_room = (size_t)1 << 30, test_emu_bytes;

/* ---- streams: lists of what is still to be done ---- */

typedef struct event { struct stream *stream; int64_t marked, happened; } event;

typedef struct task {
  enum { COPY, KERNEL, MARK, AFTER } what;
  void *to;
  const void *from;
  size_t bytes, to_step, from_step;
  int32_t rows;
  const dor_call *call;
  event *event;
  int64_t which; /* time of the event */
} task;

typedef struct list { task *at; size_t n, cap; } list;
typedef struct stream { list todo, *recording; size_t done; } stream;

static void append(list *l, task t)
{
  if (l->n == l->cap) {
    l->cap = l->cap ? 2 * l->cap : 64;
    l->at = realloc(l->at, l->cap * sizeof *l->at);
    REQUIRE(l->at, "no memory");
  }
  l->at[l->n++] = t;
}

static void add(void *to, task t)
{
  stream *s = to;
  append(s->recording ? s->recording : &s->todo, t);
}

static void run_kernel(const dor_call *c);

static void do_next(stream *s)
{
  REQUIRE(s->done < s->todo.n, "a stream waits for an event that never comes");
  const task t = s->todo.at[s->done++];
  switch (t.what) {
  case COPY:
    for (size_t i = 0; i < (size_t)t.rows; i++) memcpy((char *)t.to + i * t.to_step, (const char *)t.from + i * t.from_step, t.bytes);
    break;
  case KERNEL: run_kernel(t.call); break;
  case MARK: t.event->happened = t.which; break;
  case AFTER: while (t.event->happened < t.which) do_next(t.event->stream); break;
  }
  if (s->done == s->todo.n) s->done = s->todo.n = 0;
}

static dor_status stream_new(void **out)
{
  *out = calloc(1, sizeof(stream));
  return DOR_OK;
}

static void stream_free(void *p)
{
  stream *s = p;
  CHECK(s->done == s->todo.n || !test_emu_lost, "a stream goes with work undone");
  free(s->todo.at);
  free(s);
}

static dor_status copy(void *to, const void *from, size_t bytes, void *on)
{
  add(on, (task){.what = COPY, .to = to, .from = from, .bytes = bytes, .rows = 1});
  return DOR_OK;
}

static dor_status copy_rows(void *to, size_t to_step, const void *from, size_t from_step, size_t bytes, int32_t rows, void *on)
{
  add(on, (task){.what = COPY, .to = to, .from = from, .bytes = bytes, .to_step = to_step, .from_step = from_step, .rows = rows});
  return DOR_OK;
}

static dor_status told(void)
{
  DOR_NEED(test_emu_lost, DEVICE, "the device is gone");
  DOR_NEED(!cuemu_complaint, DEVICE, "%s", cuemu_complaint);
  return DOR_OK;
}

static dor_status settle(void *on)
{
  stream *s = on;
  if (test_emu_lost > 0) test_emu_lost--;
  if (!test_emu_lost) s->done = s->todo.n; /* a lost device does nothing any more */
  while (s->done < s->todo.n) do_next(s);
  return told();
}

static dor_status event_new(void **out)
{
  *out = calloc(1, sizeof(event));
  return DOR_OK;
}

static dor_status mark(void *e, void *on)
{
  event *v = e;
  v->stream = on;
  add(on, (task){.what = MARK, .event = v, .which = ++v->marked});
  return DOR_OK;
}

static dor_status after(void *on, void *e)
{
  event *v = e;
  if (v->marked) add(on, (task){.what = AFTER, .event = v, .which = v->marked});
  return DOR_OK;
}

static dor_status reach(void *e)
{
  event *v = e;
  while (test_emu_lost && v->happened < v->marked) do_next(v->stream);
  return told();
}

static dor_status record(void *on)
{
  ((stream *)on)->recording = calloc(1, sizeof(list));
  return DOR_OK;
}

static dor_status recorded(void *on, void **graph)
{
  stream *s = on;
  *graph = s->recording;
  s->recording = NULL;
  return DOR_OK;
}

static dor_status replay(void *graph, void *on)
{
  const list *l = graph;
  for (size_t i = 0; i < l->n; i++) add(on, l->at[i]);
  test_emu_replays++;
  return DOR_OK;
}

static void graph_free(void *graph)
{
  free(((list *)graph)->at);
  free(graph);
}

static dor_status pin(size_t bytes, void **p)
{
  *p = dor_block_alloc(bytes);
  DOR_NEED(*p, NOMEM, "%zu bytes", bytes);
  return DOR_OK;
}

static dor_status alloc(size_t bytes, void **p)
{
  test_emu_bytes += bytes;
  return pin(bytes, p);
}

static void give_back(void *p, size_t bytes)
{
  test_emu_bytes -= bytes;
  dor_block_free(p, bytes);
}

static const char *describe(void) { return "emulated"; }

static dor_status memory(size_t *left, size_t *all)
{
  *left = test_emu_room, *all = (size_t)1 << 30;
  return DOR_OK;
}

/* ---- kernels: one that stands for all, and knows by the node which ---- */

typedef struct planned {
  const dor_kernel *asked, *runs; /* the library's, that said yes; what does it. Own kernels: both the same */
  void *asked_plan, *plan;
  size_t scratch;                 /* of `runs` */
  char name[96];
} planned;

static dor_status prepare_one(const dor_kernel *k, const dor_prep *p, void **plan, size_t *scratch)
{
  *plan = NULL, *scratch = 0;
  return k->prepare ? k->prepare(p, plan, scratch) : DOR_OK;
}

static planned *planned_new(const dor_kernel *asked, const dor_kernel *runs)
{
  planned *d = calloc(1, sizeof *d);
  REQUIRE(d && runs, "%s cannot be stood in for", asked->name);
  d->asked = asked, d->runs = runs;
  return d;
}

static dor_status prepare_own(const dor_prep *p, void **plan, size_t *scratch)
{
  const dor_kernel *k = test_emu_own ? test_emu_own : dor_column_cuda[p->node->op->id];
  planned *d = planned_new(k, k);
  *plan = d;
  snprintf(d->name, sizeof d->name, "%s", k->name);
  dor_status s = prepare_one(k, p, &d->plan, &d->scratch);
  *scratch = d->scratch;
  if (s) free(d), *plan = NULL;
  return s;
}

static bool narrow(dor_dtype t) { return t == DOR_BF16 || t == DOR_F16; }

/* As the CPU kernel sees it: in float. Returns the bytes it takes to hold what is narrow. */
static size_t widen(int32_t n, const dor_type from[], dor_type to[])
{
  size_t bytes = 0;
  for (int32_t i = 0; i < n; i++) {
    to[i] = from[i];
    if (!narrow(from[i].dtype)) continue;
    to[i].dtype = DOR_F32;
    bytes += (dor_type_bytes(to[i]) + 255) / 256 * 256;
  }
  return bytes;
}

static dor_status prepare_library(const dor_prep *p, void **plan, size_t *scratch)
{
  enum { MOST = 64 };
  dor_type in[MOST], out[MOST];
  const int32_t id = p->node->op->id;
  planned *d = planned_new(dor_column_library[id], dor_column_own[id]);
  size_t ignored, wide = widen(p->nin, p->in, in) + widen(p->nout, p->out, out);
  dor_prep q = *p;
  q.in = in, q.out = out, q.library = NULL, q.isa = DOR_ISA_PLAIN;
  *plan = d;
  snprintf(d->name, sizeof d->name, "%s in place of %s", d->runs->name, d->asked->name);
  dor_status s = prepare_one(d->asked, p, &d->asked_plan, &ignored);
  if (!s) s = prepare_one(d->runs, &q, &d->plan, &d->scratch);
  d->scratch = (d->scratch + 255) / 256 * 256;
  *scratch = d->scratch + wide;
  if (s && d->asked_plan && d->asked->drop) d->asked->drop(d->asked_plan);
  if (s) free(d), *plan = NULL;
  return s;
}

static void drop(void *plan)
{
  planned *d = plan;
  if (d->plan && d->runs->drop) d->runs->drop(d->plan);
  if (d->asked_plan && d->asked->drop) d->asked->drop(d->asked_plan);
  free(d);
}

static const char *describe_plan(const void *plan) { return ((const planned *)plan)->name; }
static void enqueue(const dor_call *c) { add(c->stream, (task){.what = KERNEL, .call = c}); }

static void convert(const dor_view *from, const dor_view *to)
{
  const int64_t n = dor_shape_size(from->shape);
  double *real = malloc((size_t)n * sizeof *real);
  dor_to_real(from->dtype, from->data, n, real);
  dor_from_real(to->dtype, real, n, to->data);
  free(real);
}

static void place(int32_t n, const dor_view from[], dor_view to[], char **room)
{
  for (int32_t i = 0; i < n; i++) {
    to[i] = from[i];
    if (!narrow(from[i].dtype)) continue;
    to[i].dtype = DOR_F32, to[i].data = *room;
    *room += (dor_type_bytes((dor_type){to[i].shape, DOR_F32}) + 255) / 256 * 256;
  }
}

enum { MOST_VIEWS = 64 };

typedef struct inner { /* the call as the kernel that runs sees it */
  dor_call call;
  dor_view in[MOST_VIEWS], out[MOST_VIEWS];
} inner;

static dor_status attach(dor_call *c)
{
  const planned *d = c->plan;
  inner *i = c->context = calloc(1, sizeof *i);
  char *room = (char *)c->scratch + d->scratch;
  REQUIRE(i && c->nin <= MOST_VIEWS && c->nout <= MOST_VIEWS, "%s: too many views", d->name);
  i->call = *c;
  i->call.plan = d->plan, i->call.stream = NULL, i->call.context = NULL;
  if (d->asked != d->runs) {
    place(c->nin, c->in, i->in, &room);
    place(c->nout, c->out, i->out, &room);
    i->call.in = i->in, i->call.out = i->out;
  }
  return d->runs->attach ? d->runs->attach(&i->call) : DOR_OK;
}

static void detach(dor_call *c)
{
  const planned *d = c->plan;
  inner *i = c->context;
  if (d->runs->detach) d->runs->detach(&i->call);
  free(i);
}

static void run_kernel(const dor_call *c)
{
  const planned *d = c->plan;
  const dor_call *i = &((const inner *)c->context)->call;
  for (int32_t k = 0; k < c->nin; k++)
    if (i->in[k].data != c->in[k].data) convert(&c->in[k], &i->in[k]);
  d->runs->run(i);
  for (int32_t k = 0; k < c->nout; k++)
    if (i->out[k].data != c->out[k].data) convert(&i->out[k], &c->out[k]);
}

static const dor_kernel own = {.name = "emu", .prepare = prepare_own,
                                .attach = attach, .run = enqueue, .detach = detach, .drop = drop, .describe = describe_plan};
static const dor_kernel own_fleet = {.name = "emu", .prepare = prepare_own, .fleet = true,
                                     .attach = attach, .run = enqueue, .detach = detach, .drop = drop, .describe = describe_plan};
static const dor_kernel library = {.name = "emu", .prepare = prepare_library,
                                .attach = attach, .run = enqueue, .detach = detach, .drop = drop, .describe = describe_plan};

/* ---- the backend ---- */

static dor_isa plain(void) { return DOR_ISA_PLAIN; }

static dor_status copy_now(void *to, const void *from, size_t bytes)
{
  memcpy(to, from, bytes);
  return DOR_OK;
}

const dor_backend *test_backend_emu(void)
{
  static const dor_device functions = {.describe = describe, .memory = memory, .stream_new = stream_new, .stream_free = stream_free, .pin = pin,
                                       .unpin = dor_block_free, .copy = copy, .copy_rows = copy_rows,
                                       .settle = settle, .event_new = event_new, .event_free = free, .mark = mark,
                                       .after = after, .reach = reach, .record = record, .recorded = recorded, .replay = replay, .graph_free = graph_free};
  static const dor_kernel *libraries[DOR_OP_COUNT], *owns[DOR_OP_COUNT];
  static dor_backend emu;
  for (int32_t i = 0; i < DOR_OP_COUNT; i++) {
    libraries[i] = dor_column_library[i] ? &library : NULL;
    owns[i] = !dor_column_cuda[i] ? NULL : dor_column_cuda[i]->fleet ? &own_fleet : &own;
  }
  emu = (dor_backend){.name = "emu", .column = {libraries, owns}, .isa = plain, .enter = dor_backend_cpu.enter, .alloc = alloc, .free = give_back,
                      .copy_in = copy_now, .copy_out = copy_now, .device = &functions, .narrow = true, .library = &dor_library_recorder};
  return &emu;
}
