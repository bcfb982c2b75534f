/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/widen.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "ops/ops.h"

extern const dor_kernel cast_cpu;

/* How the rows of an op's maps hang together. */
typedef enum manner {
  WHOLE,  /* in ways that are not known here */
  IMAGES, /* not at all: outputs of an image are made of its inputs */
  PIXELS, /* likewise for each vector along the last axis: how the others are cut does not matter */
  SUMS    /* each output is a sum over the images */
} manner;

static const uint8_t manners[DOR_OP_COUNT] = {
    [DOR_OP_add] = PIXELS, [DOR_OP_accumulate] = PIXELS, [DOR_OP_scale] = PIXELS, [DOR_OP_bias] = PIXELS, [DOR_OP_relu] = PIXELS,
    [DOR_OP_relu_bwd] = PIXELS, [DOR_OP_leaky_relu] = PIXELS, [DOR_OP_leaky_relu_bwd] = PIXELS, [DOR_OP_sigmoid] = PIXELS,
    [DOR_OP_sigmoid_bwd] = PIXELS, [DOR_OP_tanh] = PIXELS, [DOR_OP_tanh_bwd] = PIXELS, [DOR_OP_loss_bwd] = PIXELS,
    [DOR_OP_bn_norm] = PIXELS, [DOR_OP_bn_infer] = PIXELS, [DOR_OP_bn_infer_dx] = PIXELS, [DOR_OP_bn_act] = PIXELS,
    [DOR_OP_softmax] = IMAGES, [DOR_OP_softmax_bwd] = IMAGES, [DOR_OP_linear] = IMAGES, [DOR_OP_linear_dx] = IMAGES,
    [DOR_OP_conv2d] = IMAGES, [DOR_OP_conv2d_dx] = IMAGES, [DOR_OP_conv_transpose2d] = IMAGES, [DOR_OP_conv2d_affine] = IMAGES,
    [DOR_OP_conv2d_dx_add] = IMAGES, [DOR_OP_bn_relu_pool] = IMAGES, [DOR_OP_max_pool] = IMAGES, [DOR_OP_max_pool_dx] = IMAGES,
    [DOR_OP_avg_pool] = IMAGES, [DOR_OP_avg_pool_dx] = IMAGES, [DOR_OP_global_pool] = IMAGES, [DOR_OP_global_pool_dx] = IMAGES,
    [DOR_OP_resize] = IMAGES, [DOR_OP_resize_dx] = IMAGES, [DOR_OP_resize_bilinear] = IMAGES, [DOR_OP_resize_bilinear_dx] = IMAGES,
    [DOR_OP_resize_sum] = IMAGES,
    [DOR_OP_linear_dw] = SUMS, [DOR_OP_conv2d_dw] = SUMS, [DOR_OP_bias_db] = SUMS, [DOR_OP_bn_reduce] = SUMS};

enum { OPERANDS = DOR_FUSED_IN + DOR_FUSED_OUT, ALIGN = 64 };
int64_t dor_widen_numbers = 1 << 17;
static const size_t NOWHERE = SIZE_MAX;

typedef struct operand { /* an input or output */
  bool cut;       /* pieces have a part of it each */
  size_t buffer;  /* of its float copy, in scratch; NOWHERE: the kernel works on it as it lies */
  size_t step;    /* bytes from a row to the next, where it lies */
} operand;

typedef struct piece { /* the kernel for so many rows */
  dor_type type[OPERANDS];
  void *plan;
  int64_t rows, times;
} piece;

typedef struct widened {
  const dor_kernel *kernel;
  int32_t nin, n;         /* operands: inputs, then outputs */
  manner manner;
  operand at[OPERANDS];
  piece piece[2];         /* as many as fit, and what is left */
  size_t inner, total;    /* scratch: where the kernel's begins; all */
  char name[120];
} widened;

typedef struct bound { /* of an instance */
  dor_call call[2];
  dor_view view[2][OPERANDS];
  bool attached[2];
} bound;

static void drop(void *plan)
{
  widened *w = plan;
  for (int i = 0; i < 2; i++)
    if (w->piece[i].plan && w->kernel->drop) w->kernel->drop(w->piece[i].plan);
  dor_free(w);
}

/* ---- what is cut, and how small ---- */

static bool real(dor_dtype t) { return t == DOR_F32 || dor_dtype_narrow(t); }
static const dor_type *type_of(const dor_prep *p, int32_t i) { return i < p->nin ? &p->in[i] : &p->out[i - p->nin]; }

/* Maps, and what is no number (places in a window): both have a row for each row. Vectors by channel and weights have not. */
static bool is_cut(const dor_prep *p, int32_t i)
{
  const bool output = i >= p->nin;
  return dor_op_narrow(p->node->op, output, output ? i - p->nin : i) || !real(type_of(p, i)->dtype);
}

static int64_t rows_of(dor_shape s, manner m) { return m == PIXELS ? dor_shape_size(s) / s.d[s.n - 1] : s.d[0]; }

/* As the table says, unless shapes or a kernel that is bound to addresses say otherwise. */
static manner manner_of(const dor_kernel *k, const dor_prep *p)
{
  const manner m = (manner)manners[p->node->op->id];
  int64_t rows = -1;
  for (int32_t i = 0; m != WHOLE && i < p->nin + p->nout; i++) {
    const dor_type *t = type_of(p, i);
    if (!is_cut(p, i)) continue;
    if (t->shape.n < (m == PIXELS ? 1 : 2) || (k->attach && !dor_dtype_narrow(t->dtype))) return WHOLE;
    const int64_t n = rows_of(t->shape, m);
    if (rows >= 0 && n != rows) return WHOLE;
    rows = n;
  }
  return rows > 0 ? m : WHOLE;
}

static dor_type cut_type(dor_type t, manner m, int64_t rows)
{
  if (m == PIXELS) t.shape = DOR_SHAPE((int32_t)rows, t.shape.d[t.shape.n - 1]);
  else t.shape.d[0] = (int32_t)rows;
  return t;
}

/* Rows of a piece: the largest of its copies stays in a core's cache. */
static int64_t rows_together(const dor_prep *p, const widened *w, int64_t rows)
{
  int64_t widest = 1;
  for (int32_t i = 0; i < w->n; i++)
    if (w->at[i].cut && dor_shape_size(type_of(p, i)->shape) / rows > widest) widest = dor_shape_size(type_of(p, i)->shape) / rows;
  const int64_t fit = dor_widen_numbers * p->threads / widest;
  return fit < 1 ? 1 : fit < rows ? fit : rows;
}

static void divide(const dor_prep *p, widened *w)
{
  int64_t rows = 1, together = 1;
  for (int32_t i = 0; i < w->n; i++) {
    w->at[i].cut = w->manner != WHOLE && is_cut(p, i);
    if (w->at[i].cut) rows = rows_of(type_of(p, i)->shape, w->manner);
  }
  if (w->manner != WHOLE) together = rows_together(p, w, rows);
  w->piece[0].rows = together, w->piece[0].times = rows / together;
  w->piece[1].rows = rows % together, w->piece[1].times = w->piece[1].rows > 0;
  for (int32_t i = 0; i < w->n; i++) w->at[i].step = dor_type_bytes(*type_of(p, i)) / (size_t)rows;
}

/* ---- the plan ---- */

static size_t take(size_t *total, size_t bytes)
{
  const size_t at = *total;
  *total = (at + bytes + ALIGN - 1) / ALIGN * ALIGN;
  return at;
}

/* A float copy of what is narrow, and of sums, which come in parts. What an output overwrites it overwrites in the copy too. */
static void lay_out(const dor_prep *p, widened *w)
{
  for (int k = 0; k < 2; k++)
    for (int32_t i = 0; i < w->n; i++) {
      dor_type t = *type_of(p, i);
      if (w->at[i].cut) t = cut_type(t, w->manner, w->piece[k].rows);
      if (dor_dtype_narrow(t.dtype)) t.dtype = DOR_F32;
      w->piece[k].type[i] = t;
    }
  for (int32_t i = 0; i < w->n; i++) {
    const int32_t output = i - w->nin;
    const bool copied = dor_dtype_narrow(type_of(p, i)->dtype) || (output >= 0 && w->manner == SUMS);
    const int32_t over = output >= 0 && output < DOR_OP_ALIAS ? p->node->op->alias[output] - 1 : -1;
    w->at[i].buffer = !copied ? NOWHERE : over >= 0 ? w->at[over].buffer : take(&w->total, dor_type_bytes(w->piece[0].type[i]));
  }
  w->inner = w->total;
}

static dor_status prepare_piece(const dor_prep *p, widened *w, piece *of)
{
  size_t scratch = 0;
  dor_prep inner = *p;
  if (!of->times) return DOR_OK;
  inner.in = of->type, inner.out = of->type + w->nin;
  if (w->kernel->prepare) DOR_TRY(w->kernel->prepare(&inner, &of->plan, &scratch));
  if (w->inner + scratch > w->total) w->total = w->inner + scratch;
  return DOR_OK;
}

static void name(widened *w)
{
  const dor_kernel *k = w->kernel;
  const char *more = k->describe ? k->describe(w->piece[0].plan) : "";
  snprintf(w->name, sizeof w->name, "%s %s%s", k->name, more, *more ? ", " : "");
  const size_t n = strlen(w->name);
  if (w->manner == WHOLE) snprintf(w->name + n, sizeof w->name - n, "whole");
  else snprintf(w->name + n, sizeof w->name - n, "%lld rows at a time", (long long)w->piece[0].rows);
}

static dor_status prepare(const dor_kernel *k, const dor_prep *p, widened *w)
{
  for (int32_t i = 0; i < p->nin + p->nout; i++)
    DOR_NEED(type_of(p, i)->dtype != DOR_F16, UNSUPPORTED, "%s in f16: it is bf16 that is widened", p->node->op->name);
  DOR_NEED(p->nin <= DOR_FUSED_IN && p->nout <= DOR_FUSED_OUT, UNSUPPORTED, "%s of %d inputs in 16 bits", p->node->op->name, p->nin);
  w->kernel = k, w->nin = p->nin, w->n = p->nin + p->nout;
  w->manner = manner_of(k, p);
  divide(p, w);
  lay_out(p, w);
  for (int i = 0; i < 2; i++) DOR_TRY(prepare_piece(p, w, &w->piece[i]));
  name(w);
  return DOR_OK;
}

dor_status dor_widen(const dor_kernel *k, const dor_prep *p, void **plan, size_t *scratch)
{
  widened *w = dor_calloc(1, sizeof *w);
  DOR_NEED(w, NOMEM, "a plan of %s in 16 bits", p->node->op->name);
  dor_status s = prepare(k, p, w);
  if (s) return drop(w), s;
  *plan = w, *scratch = w->total;
  return DOR_OK;
}

const dor_kernel *dor_widened_kernel(const void *plan) { return ((const widened *)plan)->kernel; }

/* ---- the call ---- */

static const dor_view *view_of(const dor_call *c, int32_t i) { return i < c->nin ? &c->in[i] : &c->out[i - c->nin]; }

static void bind(const widened *w, const dor_call *c, bound *b, int k)
{
  const piece *of = &w->piece[k];
  for (int32_t i = 0; i < w->n; i++) {
    void *data = w->at[i].buffer == NOWHERE ? view_of(c, i)->data : (char *)c->scratch + w->at[i].buffer;
    b->view[k][i] = (dor_view){of->type[i].shape, of->type[i].dtype, data};
  }
  b->call[k] = *c;
  b->call[k].plan = of->plan;
  b->call[k].context = NULL;
  b->call[k].in = b->view[k], b->call[k].out = b->view[k] + w->nin;
  b->call[k].scratch = (char *)c->scratch + w->inner;
}

static void detach(dor_call *c)
{
  const widened *w = c->plan;
  bound *b = c->context;
  for (int k = 0; b && k < 2; k++)
    if (b->attached[k] && w->kernel->detach) w->kernel->detach(&b->call[k]);
  dor_free(b);
  c->context = NULL;
}

static dor_status attach(dor_call *c)
{
  const widened *w = c->plan;
  bound *b = c->context = dor_calloc(1, sizeof *b);
  DOR_NEED(b, NOMEM, "a call in 16 bits");
  for (int k = 0; k < 2; k++) {
    if (!w->piece[k].times) continue;
    bind(w, c, b, k);
    dor_status s = w->kernel->attach ? w->kernel->attach(&b->call[k]) : DOR_OK;
    if (s) return detach(c), s;
    b->attached[k] = true;
  }
  return DOR_OK;
}

/* ---- a run ---- */

static void copy(const dor_call *c, dor_dtype from, const void *x, dor_dtype to, void *y, int64_t n)
{
  const dor_shape s = DOR_SHAPE((int32_t)n);
  const dor_view in = {s, from, (void *)(uintptr_t)x}, out = {s, to, y};
  cast_cpu.run(&(dor_call){.nin = 1, .nout = 1, .threads = c->threads, .in = &in, .out = &out});
}

static void add(const dor_view *part, float *restrict sum, bool first)
{
  const float *x = part->data;
  const int64_t n = dor_shape_size(part->shape);
  if (first) memcpy(sum, x, (size_t)n * sizeof *sum);
  for (int64_t i = 0; i < n && !first; i++) sum[i] += x[i];
}

/* Rows from `row` on: copies of the inputs, the kernel, its outputs back. */
static void run_piece(const widened *w, const dor_call *c, bound *b, int k, int64_t row)
{
  const dor_view *whole;
  for (int32_t i = 0; i < w->n; i++) {
    dor_view *v = &b->view[k][i];
    whole = view_of(c, i);
    char *at = (char *)whole->data + (w->at[i].cut ? (size_t)row * w->at[i].step : 0);
    if (w->at[i].buffer == NOWHERE) v->data = at;
    else if (i < w->nin) copy(c, whole->dtype, at, DOR_F32, v->data, dor_shape_size(v->shape));
  }
  w->kernel->run(&b->call[k]);
  for (int32_t i = w->nin; i < w->n; i++) {
    const dor_view *v = &b->view[k][i];
    whole = view_of(c, i);
    char *at = (char *)whole->data + (w->at[i].cut ? (size_t)row * w->at[i].step : 0);
    if (w->at[i].buffer == NOWHERE) continue;
    if (dor_dtype_narrow(whole->dtype)) copy(c, DOR_F32, v->data, whole->dtype, at, dor_shape_size(v->shape));
    else add(v, whole->data, row == 0);
  }
}

static void run(const dor_call *c)
{
  const widened *w = c->plan;
  int64_t row = 0;
  for (int k = 0; k < 2; k++)
    for (int64_t i = 0; i < w->piece[k].times; i++, row += w->piece[k].rows) run_piece(w, c, c->context, k, row);
}

static const char *describe(const void *plan) { return ((const widened *)plan)->name; }

const dor_kernel dor_kernel_widened = {.name = "in_float", .attach = attach, .run = run, .detach = detach, .drop = drop, .describe = describe};
