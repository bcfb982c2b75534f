/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing down operation graphs, and printing them. */
#include "kernels/opgraph.h"

#include <string.h>

#include "kernels/copies.h"

dor_dtype dor_og_type(const dor_opgraph *g)
{
  for (int32_t i = 0; i < g->nop; i++)
    if (g->op[i].kind == DOR_OG_CONV || g->op[i].kind == DOR_OG_DX || g->op[i].kind == DOR_OG_DW) return g->tensor[g->op[i].in[0]].dtype;
  return DOR_F32;
}

bool dor_og_is_own(dor_og_kind k) { return k <= DOR_OG_FOLD || k >= DOR_OG_TURN_BACK; }

static bool uses(const dor_og_op *op, dor_og v)
{
  for (int32_t i = 0; i < DOR_OG_IN; i++)
    if (op->in[i] == v) return true;
  for (int32_t i = 0; i < DOR_OG_OUT; i++)
    if (op->out[i] == v) return true;
  return false;
}

bool dor_og_is_inside(const dor_opgraph *g, dor_og v)
{
  for (int32_t i = 0; i < g->nop; i++)
    if (!dor_og_is_own(g->op[i].kind) && uses(&g->op[i], v)) return true;
  return false;
}

size_t dor_og_bytes(const dor_og_tensor *t)
{
  return (size_t)t->dim[0] * (size_t)t->dim[1] * (size_t)t->dim[2] * (size_t)t->dim[3] * dor_dtype_size(t->dtype);
}

static dor_og tensor(dor_opgraph *g, dor_dtype dtype, dor_og_place place, dor_from from, const int32_t dim[4])
{
  if (g->ntensor == DOR_OG_TENSORS) {
    g->cannot = "too many tensors";
    return 0;
  }
  g->tensor[g->ntensor] = (dor_og_tensor){dtype, place, from, {dim[0], dim[1], dim[2], dim[3]}};
  return g->ntensor++;
}

static dor_og view(dor_opgraph *g, const dor_type *type, dor_from from)
{
  int32_t dim[4] = {1, 1, 1, 1};
  dor_shape s = type->shape;
  if (s.n > 4) g->cannot = "a tensor of five axes";
  for (int32_t k = 0; k < s.n && k < 4; k++) dim[4 - s.n + k] = s.d[k];
  return tensor(g, type->dtype, DOR_OG_VIEW, from, dim);
}

static dor_og_op *op(dor_opgraph *g, dor_og_kind kind)
{
  if (g->nop == DOR_OG_OPS) {
    g->cannot = "too many operations";
    return &g->op[0];
  }
  g->op[g->nop] = (dor_og_op){kind, {-1, -1, -1, -1}, {-1, -1}};
  return &g->op[g->nop++];
}

static dor_og result(dor_opgraph *g, dor_og_kind kind, dor_og a, dor_og b, const int32_t dim[4])
{
  dor_og_op *made = op(g, kind);
  made->in[0] = a, made->in[1] = b;
  return made->out[0] = tensor(g, DOR_F32, DOR_OG_VIRTUAL, DOR_FROM_NONE, dim);
}

dor_og dor_og_in(dor_opgraph *g, const dor_prep *p, int32_t i) { return view(g, &p->in[i], dor_from_in(i)); }

dor_og dor_og_weights(dor_opgraph *g, const dor_prep *p, int32_t i)
{
  const dor_shape w = p->in[i].shape;
  const int32_t dim[4] = {w.d[3], w.d[0], w.d[1], w.d[2]};
  const int64_t copy = dor_copy_ask(p, i, p->in[0].dtype, w.d[3], true);
  if (copy >= 0) return tensor(g, p->in[0].dtype, DOR_OG_COPY, (dor_from)copy, dim);
  dor_og_op *turn = op(g, DOR_OG_TURN);
  turn->in[0] = dor_og_in(g, p, i);
  return turn->out[0] = tensor(g, p->in[0].dtype, DOR_OG_SCRATCH, DOR_FROM_NONE, dim);
}

void dor_og_affine(dor_opgraph *g, const dor_prep *p, int32_t first, double eps, dor_og to[2])
{
  dor_og_op *fold = op(g, DOR_OG_FOLD);
  for (int32_t i = 0; i < 4; i++) fold->in[i] = dor_og_in(g, p, first + i);
  for (int32_t i = 0; i < 2; i++)
    to[i] = fold->out[i] = tensor(g, DOR_F32, DOR_OG_SCRATCH, DOR_FROM_NONE, (int32_t[]){1, 1, 1, p->in[first].shape.d[0]});
  g->eps = eps;
}

dor_og dor_og_conv(dor_opgraph *g, dor_og x, dor_og filter, const int32_t dim[4]) { return result(g, DOR_OG_CONV, x, filter, dim); }
dor_og dor_og_dx(dor_opgraph *g, dor_og dy, dor_og filter, const int32_t dim[4]) { return result(g, DOR_OG_DX, dy, filter, dim); }

dor_og dor_og_dw(dor_opgraph *g, dor_og x, dor_og dy, dor_shape w)
{
  dor_og dw = result(g, DOR_OG_DW, x, dy, (int32_t[]){w.d[3], w.d[0], w.d[1], w.d[2]});
  g->tensor[dw].dtype = g->tensor[x].dtype; /* no engine widens a sum of bf16 products */
  g->tensor[dw].place = DOR_OG_SCRATCH;
  return dw;
}

dor_og dor_og_add(dor_opgraph *g, dor_og a, dor_og b) { return result(g, DOR_OG_ADD, a, b, g->tensor[a].dim); }
dor_og dor_og_mul(dor_opgraph *g, dor_og a, dor_og b) { return result(g, DOR_OG_MUL, a, b, g->tensor[a].dim); }
dor_og dor_og_relu(dor_opgraph *g, dor_og x) { return result(g, DOR_OG_RELU, x, -1, g->tensor[x].dim); }

dor_og dor_og_out(dor_opgraph *g, const dor_prep *p, int32_t i, dor_og v)
{
  dor_og_tensor *t = &g->tensor[v];
  t->dtype = p->out[i].dtype, t->place = DOR_OG_VIEW, t->from = dor_from_out(i);
  return v;
}

void dor_og_out_weights(dor_opgraph *g, const dor_prep *p, int32_t i, dor_og dw)
{
  dor_og_op *turn = op(g, DOR_OG_TURN_BACK);
  turn->in[0] = dw;
  turn->out[0] = view(g, &p->out[i], dor_from_out(i));
}

void dor_og_out_moments(dor_opgraph *g, const dor_prep *p, int32_t first, dor_og y)
{
  dor_og_op *sums = op(g, DOR_OG_SUMS), *moments = op(g, DOR_OG_MOMENTS);
  sums->in[0] = moments->in[2] = y;
  for (int32_t i = 0; i < 2; i++) {
    moments->in[i] = sums->out[i] = tensor(g, DOR_F32, DOR_OG_SCRATCH, DOR_FROM_NONE, (int32_t[]){1, 1, 1, g->tensor[y].dim[3]});
    moments->out[i] = view(g, &p->out[first + i], dor_from_out(first + i));
  }
}

static void print_values(const dor_og *v, int32_t n, dor_str *out)
{
  for (int32_t i = 0; i < n && v[i] >= 0; i++) dor_str_fmt(out, "%s%d", i ? "," : "", v[i]);
}

static void print_tensor(const dor_og_tensor *t, dor_str *out)
{
  static const char *const places[] = {[DOR_OG_VIRTUAL] = "virtual", [DOR_OG_SCRATCH] = "scratch", [DOR_OG_VIEW] = "", [DOR_OG_COPY] = "copy"};
  dor_str_add(out, places[t->place]);
  if (t->place == DOR_OG_VIEW) dor_str_fmt(out, "%s%d", t->from >= DOR_FROM_OUT ? "out" : "in", t->from % DOR_FROM_OUT);
  dor_str_fmt(out, ":%s[%d,%d,%d,%d]", dor_dtype_name(t->dtype), t->dim[0], t->dim[1], t->dim[2], t->dim[3]);
}

static const char *const names[DOR_OG_KINDS] = {"turn", "fold", "conv", "dx", "dw", "add", "mul", "relu", "sums", "turn_back", "moments"};

void dor_og_names(const dor_opgraph *g, dor_str *out)
{
  bool first = true;
  for (int32_t i = 0; i < g->nop; i++)
    if (!dor_og_is_own(g->op[i].kind)) dor_str_fmt(out, "%s%s", first ? "" : "+", names[g->op[i].kind]), first = false;
}

void dor_og_print(const dor_opgraph *g, dor_str *out)
{
  const dor_conv2d_attr *a = &g->conv;
  for (int32_t i = 0; i < g->nop; i++) {
    dor_str_fmt(out, "%s%s(", i ? " " : "", names[g->op[i].kind]);
    print_values(g->op[i].in, DOR_OG_IN, out);
    dor_str_add(out, ")>");
    print_values(g->op[i].out, DOR_OG_OUT, out);
  }
  dor_str_fmt(out, " kernel %dx%d stride %d,%d pad %d,%d dilation %d,%d groups %d;", a->kernel[0], a->kernel[1], a->stride[0], a->stride[1], a->pad[0],
              a->pad[1], a->dilation[0], a->dilation[1], a->groups);
  for (int32_t i = 0; i < g->ntensor; i++) {
    dor_str_fmt(out, " %d=", i);
    print_tensor(&g->tensor[i], out);
  }
}
