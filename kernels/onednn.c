/* SPDX-License-Identifier: Apache-2.0
 *
 * oneDNN 2.6 and 3.x behind one face. Descriptors are made at bind time; a
 * bound primitive holds the memory objects of one instance; running allocates
 * nothing of ours. */
#include "kernels/onednn.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "kernels/onednn_version.h"

void dor_onednn_version(char text[32])
{
  const dnnl_version_t *d = dnnl_version();
  snprintf(text, 32, "%d.%d.%d", d->major, d->minor, d->patch);
}

#define DNN(call)                                                                                   \
  do {                                                                                              \
    dnnl_status_t dnn_status = (call);                                                              \
    if (dnn_status == dnnl_unimplemented) return DOR_FAIL(UNSUPPORTED, "onednn: not implemented");  \
    if (dnn_status == dnnl_out_of_memory) return DOR_FAIL(NOMEM, "onednn: out of memory");          \
    DOR_NEED(dnn_status == dnnl_success, DEVICE, "onednn: %s failed with code %d", #call, (int)dnn_status); \
  } while (0)

static dnnl_engine_t engine;
static dnnl_status_t engine_status;
static pthread_once_t engine_once = PTHREAD_ONCE_INIT;

static void make_engine(void) { engine_status = dnnl_engine_create(&engine, dnnl_cpu, 0); }

static dor_status need_engine(void)
{
  pthread_once(&engine_once, make_engine);
  DNN(engine_status);
  return DOR_OK;
}

/* --- the versions' differences -------------------------------------------- */

#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t layout;
static dor_dnn_layout borrow(const layout *l) { return *l; }
static void drop_layout(layout *l)
{
  if (*l) dnnl_memory_desc_destroy(*l);
}
static dnnl_status_t strided(layout *l, int n, const dnnl_dims_t dims, const dnnl_dims_t strides)
{
  return dnnl_memory_desc_create_with_strides(l, n, dims, dnnl_f32, strides);
}
static dnnl_status_t any(layout *l, int n, const dnnl_dims_t dims) { return dnnl_memory_desc_create_with_tag(l, n, dims, dnnl_f32, dnnl_format_tag_any); }
#else
typedef dnnl_memory_desc_t layout;
static dor_dnn_layout borrow(const layout *l) { return l; }
static void drop_layout(layout *l) { (void)l; }
static dnnl_status_t strided(layout *l, int n, const dnnl_dims_t dims, const dnnl_dims_t strides)
{
  return dnnl_memory_desc_init_by_strides(l, n, dims, dnnl_f32, strides);
}
static dnnl_status_t any(layout *l, int n, const dnnl_dims_t dims) { return dnnl_memory_desc_init_by_tag(l, n, dims, dnnl_f32, dnnl_format_tag_any); }
#endif

typedef struct conv {
  layout x, w, y, ours; /* w: any; ours: as our memory holds it */
  dnnl_dims_t stride, dilation, before, after;
} conv;

#if DNNL_VERSION_MAJOR >= 3
static dnnl_status_t describe_conv(dnnl_primitive_desc_t *out, dor_dnn_way way, const conv *c, dnnl_primitive_desc_t hint, dnnl_primitive_attr_t attr)
{
  dnnl_alg_kind_t direct = dnnl_convolution_direct;
  if (way == DOR_DNN_FORWARD)
    return dnnl_convolution_forward_primitive_desc_create(out, engine, dnnl_forward_training, direct, c->x, c->w, NULL, c->y, c->stride, c->dilation,
                                                          c->before, c->after, attr);
  if (way == DOR_DNN_DATA)
    return dnnl_convolution_backward_data_primitive_desc_create(out, engine, direct, c->x, c->w, c->y, c->stride, c->dilation, c->before, c->after,
                                                                hint, attr);
  return dnnl_convolution_backward_weights_primitive_desc_create(out, engine, direct, c->x, c->w, NULL, c->y, c->stride, c->dilation, c->before,
                                                                 c->after, hint, attr);
}
#else
static dnnl_status_t describe_conv(dnnl_primitive_desc_t *out, dor_dnn_way way, const conv *c, dnnl_primitive_desc_t hint, dnnl_primitive_attr_t attr)
{
  dnnl_convolution_desc_t d;
  dnnl_alg_kind_t direct = dnnl_convolution_direct;
  dnnl_status_t s = way == DOR_DNN_FORWARD ? dnnl_dilated_convolution_forward_desc_init(&d, dnnl_forward_training, direct, &c->x, &c->w, NULL, &c->y,
                                                                                        c->stride, c->dilation, c->before, c->after)
                    : way == DOR_DNN_DATA  ? dnnl_dilated_convolution_backward_data_desc_init(&d, direct, &c->x, &c->w, &c->y, c->stride, c->dilation,
                                                                                              c->before, c->after)
                                           : dnnl_dilated_convolution_backward_weights_desc_init(&d, direct, &c->x, &c->w, NULL, &c->y, c->stride,
                                                                                                 c->dilation, c->before, c->after);
  return s ? s : dnnl_primitive_desc_create(out, &d, attr, engine, hint);
}
#endif

static dor_dnn_layout asked(dnnl_primitive_desc_t desc, dnnl_query_t what) { return dnnl_primitive_desc_query_md(desc, what, 0); }

/* --- convolution ------------------------------------------------------------ */

static dnnl_status_t layout_nhwc(layout *l, dor_shape s)
{
  dnnl_dim_t h = s.d[1], w = s.d[2], c = s.d[3];
  return strided(l, 4, (dnnl_dims_t){s.d[0], c, h, w}, (dnnl_dims_t){h * w * c, 1, w * c, c});
}

/* Ours is [K,K,I,O] with the groups' outputs side by side in O; theirs is named (group,) output, input, row, column. */
static dnnl_status_t layout_weights(conv *c, dor_shape w, int32_t groups)
{
  dnnl_dim_t kh = w.d[0], kw = w.d[1], in = w.d[2], out = w.d[3], g = groups;
  dnnl_dims_t dims = {g, out / g, in, kh, kw}, strides = {out / g, 1, out, kw * in * out, in * out};
  int skip = groups == 1;
  dnnl_status_t s = strided(&c->ours, 5 - skip, dims + skip, strides + skip);
  return s ? s : any(&c->w, 5 - skip, dims + skip);
}

static dor_status layout_conv(conv *c, const dor_conv2d_attr *a, dor_shape x, dor_shape w, dor_shape y)
{
  DNN(layout_nhwc(&c->x, x));
  DNN(layout_nhwc(&c->y, y));
  DNN(layout_weights(c, w, a->groups));
  for (int i = 0; i < 2; i++) {
    int64_t reach = (int64_t)(y.d[1 + i] - 1) * a->stride[i] + (int64_t)a->dilation[i] * (a->kernel[i] - 1) + 1;
    c->stride[i] = a->stride[i];
    c->dilation[i] = a->dilation[i] - 1;
    c->before[i] = a->pad[i];
    c->after[i] = reach - x.d[1 + i] - a->pad[i];
  }
  return DOR_OK;
}

static dor_status need_good(dor_dnn_op *op)
{
  op->name = "";
  DNN(dnnl_primitive_desc_query(op->desc, dnnl_query_impl_info_str, 0, &op->name));
  DOR_NEED(!strstr(op->name, "ref") && !strstr(op->name, "simple"), UNSUPPORTED, "onednn: only '%s' serves", op->name);
  return DOR_OK;
}

static void ask_layouts(dor_dnn_op *op, dor_dnn_way way)
{
  bool dx = way == DOR_DNN_DATA, dw = way == DOR_DNN_WEIGHTS, back = dx || dw;
  op->arg[0] = dx ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC;
  op->arg[1] = dw ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS;
  op->arg[2] = back ? DNNL_ARG_DIFF_DST : DNNL_ARG_DST;
  op->layout[0] = asked(op->desc, dx ? dnnl_query_diff_src_md : dnnl_query_src_md);
  op->layout[1] = asked(op->desc, dw ? dnnl_query_diff_weights_md : dnnl_query_weights_md);
  op->layout[2] = asked(op->desc, back ? dnnl_query_diff_dst_md : dnnl_query_dst_md);
  dor_dnn_layout scratch = asked(op->desc, dnnl_query_scratchpad_md);
  op->scratch_bytes = scratch ? dnnl_memory_desc_get_size(scratch) : 0;
}

/* A reorder of the weights, where the implementation wants them otherwise than we hold them. */
static dor_status add_reorder(dor_dnn_op *op, dor_dnn_way way, dor_dnn_layout ours)
{
  op->ours = op->layout[1];
  if (dnnl_memory_desc_equal(ours, op->layout[1])) return DOR_OK;
  bool dw = way == DOR_DNN_WEIGHTS;
  dor_dnn_layout from = dw ? op->layout[1] : ours, to = dw ? ours : op->layout[1];
  DNN(dnnl_reorder_primitive_desc_create(&op->reorder_desc, from, engine, to, engine, NULL));
  DNN(dnnl_primitive_create(&op->reorder, op->reorder_desc));
  op->ours = asked(op->reorder_desc, dw ? dnnl_query_dst_md : dnnl_query_src_md);
  op->weights_bytes = dnnl_memory_desc_get_size(op->layout[1]);
  return DOR_OK;
}

static dor_status build_conv(dor_dnn_op *op, dor_dnn_way way, const conv *c, dnnl_primitive_attr_t attr)
{
  dnnl_primitive_desc_t hint = NULL;
  DNN(dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user));
  if (way != DOR_DNN_FORWARD) DNN(describe_conv(&hint, DOR_DNN_FORWARD, c, NULL, attr));
  dnnl_status_t s = describe_conv(&op->desc, way, c, hint, attr);
  if (hint) dnnl_primitive_desc_destroy(hint);
  DNN(s);
  DOR_TRY(need_good(op));
  ask_layouts(op, way);
  DOR_TRY(add_reorder(op, way, borrow(&c->ours)));
  DNN(dnnl_primitive_create(&op->run, op->desc));
  return DOR_OK;
}

dor_status dor_dnn_conv(dor_dnn_op *op, dor_dnn_way way, const dor_conv2d_attr *a, dor_shape x, dor_shape w, dor_shape y)
{
  conv c;
  dnnl_primitive_attr_t attr = NULL;
  memset(op, 0, sizeof *op);
  memset(&c, 0, sizeof c);
  DOR_TRY(need_engine());
  dor_status s = layout_conv(&c, a, x, w, y);
  if (!s && dnnl_primitive_attr_create(&attr) != dnnl_success) s = DOR_FAIL(NOMEM, "onednn: out of memory");
  if (!s) s = build_conv(op, way, &c, attr);
  if (attr) dnnl_primitive_attr_destroy(attr);
  drop_layout(&c.x), drop_layout(&c.y), drop_layout(&c.w), drop_layout(&c.ours);
  if (s) dor_dnn_drop(op);
  return s;
}

void dor_dnn_drop(dor_dnn_op *op)
{
  if (op->run) dnnl_primitive_destroy(op->run);
  if (op->reorder) dnnl_primitive_destroy(op->reorder);
  if (op->reorder_desc) dnnl_primitive_desc_destroy(op->reorder_desc);
  if (op->desc) dnnl_primitive_desc_destroy(op->desc);
  memset(op, 0, sizeof *op);
}

static size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }
size_t dor_dnn_scratch(const dor_dnn_op *op) { return aligned(op->scratch_bytes) + aligned(op->weights_bytes); }

/* --- running ---------------------------------------------------------------- */

struct dor_dnn_bound {
  dnnl_stream_t stream;
  dnnl_primitive_t first, second; /* second: NULL without a reorder */
  dnnl_memory_t mem[DOR_DNN_ROLES], weights, scratch;
  dnnl_exec_arg_t arg[2][4];
  int nargs[2];
};

static void add_arg(dor_dnn_bound *b, int which, int arg, dnnl_memory_t mem)
{
  b->arg[which][b->nargs[which]++] = (dnnl_exec_arg_t){arg, mem};
}

/* The reorder runs before the primitive, or after it when weights are its result. */
static void list_args(dor_dnn_bound *b, const dor_dnn_op *op, dor_dnn_way way)
{
  int main = op->reorder && way != DOR_DNN_WEIGHTS, other = !main;
  b->first = main ? op->reorder : op->run;
  b->second = main ? op->run : op->reorder;
  for (int i = 0; i < DOR_DNN_ROLES; i++) add_arg(b, main, op->arg[i], i == 1 && op->reorder ? b->weights : b->mem[i]);
  if (b->scratch) add_arg(b, main, DNNL_ARG_SCRATCHPAD, b->scratch);
  if (!op->reorder) return;
  add_arg(b, other, DNNL_ARG_FROM, way == DOR_DNN_WEIGHTS ? b->weights : b->mem[1]);
  add_arg(b, other, DNNL_ARG_TO, way == DOR_DNN_WEIGHTS ? b->mem[1] : b->weights);
}

static dor_status fill_bound(dor_dnn_bound *b, const dor_dnn_op *op, void *const data[DOR_DNN_ROLES], void *scratch)
{
  char *weights = (char *)scratch + aligned(op->scratch_bytes);
  DNN(dnnl_stream_create(&b->stream, engine, dnnl_stream_default_flags));
  for (int i = 0; i < DOR_DNN_ROLES; i++) DNN(dnnl_memory_create(&b->mem[i], i == 1 ? op->ours : op->layout[i], engine, data[i]));
  if (op->reorder) DNN(dnnl_memory_create(&b->weights, op->layout[1], engine, weights));
  if (op->scratch_bytes) DNN(dnnl_memory_create(&b->scratch, asked(op->desc, dnnl_query_scratchpad_md), engine, scratch));
  return DOR_OK;
}

dor_status dor_dnn_bind(dor_dnn_bound **out, const dor_dnn_op *op, dor_dnn_way way, void *x, void *w, void *y, void *scratch)
{
  dor_dnn_bound *b = *out = dor_calloc(1, sizeof *b);
  DOR_NEED(b, NOMEM, "onednn: out of memory");
  dor_status s = fill_bound(b, op, (void *[]){x, w, y}, scratch);
  if (s) {
    dor_dnn_unbind(b);
    *out = NULL;
    return s;
  }
  list_args(b, op, way);
  return DOR_OK;
}

void dor_dnn_run(const dor_dnn_bound *b)
{
  dnnl_primitive_execute(b->first, b->stream, b->nargs[0], b->arg[0]);
  if (b->second) dnnl_primitive_execute(b->second, b->stream, b->nargs[1], b->arg[1]);
}

void dor_dnn_unbind(dor_dnn_bound *b)
{
  if (!b) return;
  for (int i = 0; i < DOR_DNN_ROLES; i++)
    if (b->mem[i]) dnnl_memory_destroy(b->mem[i]);
  if (b->weights) dnnl_memory_destroy(b->weights);
  if (b->scratch) dnnl_memory_destroy(b->scratch);
  if (b->stream) dnnl_stream_destroy(b->stream);
  dor_free(b);
}

void dor_dnn_gemm(bool ta, bool tb, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c)
{
  dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', m, n, k, 1.0f, a, lda, b, ldb, beta, c, n);
}
