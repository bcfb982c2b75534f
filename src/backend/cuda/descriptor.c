/* SPDX-License-Identifier: Apache-2.0
 *
 * An operation graph in cuDNN's descriptors. Tensors are NHWC, filters KRSC: both are four sizes in memory order, which cuDNN
 * wants as (first, last, second, third) with strides that say so. Sums are in float. */
#include "backend/cuda/descriptor.h"

dor_status dor_desc_check(cudnnStatus_t s, const char *what)
{
  if (s == CUDNN_STATUS_SUCCESS) return DOR_OK;
  char text[400] = "";
  cudnnGetLastErrorString(text, sizeof text);
  for (char *c = text; *c; c++)
    if (*c == '\n') *c = ' ';
  int32_t family = (int32_t)s / 1000; /* 2: bad parameters, 3: not supported, and above: failures */
  if (s == CUDNN_STATUS_ALLOC_FAILED) return DOR_FAIL(DEVMEM, "cuDNN: %s: out of memory", what);
  if (family == 2 || family == 3) return DOR_FAIL(UNSUPPORTED, "cuDNN: %s: %s %s", what, cudnnGetErrorString(s), text);
  return DOR_FAIL(DEVICE, "cuDNN: %s: %s %s", what, cudnnGetErrorString(s), text);
}

dor_status dor_desc_make(dor_descs *all, cudnnBackendDescriptorType_t type, dor_desc *out)
{
  DOR_NEED(all->n < DOR_DESCS, UNSUPPORTED, "cuDNN: a graph of more than %d descriptors", (int)DOR_DESCS);
  DOR_TRY(dor_desc_check(cudnnBackendCreateDescriptor(type, out), "making a descriptor"));
  all->at[all->n++] = *out;
  return DOR_OK;
}

void dor_desc_keep(dor_descs *all, int32_t n)
{
  while (all->n > n) cudnnBackendDestroyDescriptor(all->at[--all->n]);
}

dor_status dor_desc_set(dor_desc d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t n, const void *values)
{
  return dor_desc_check(cudnnBackendSetAttribute(d, name, type, n, values), "an attribute");
}

dor_status dor_desc_link(dor_desc d, cudnnBackendAttributeName_t name, dor_desc to)
{
  return dor_desc_set(d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &to);
}

dor_status dor_desc_done(dor_desc d, const char *what) { return dor_desc_check(cudnnBackendFinalize(d), what); }

static cudnnDataType_t data_type(dor_dtype t)
{
  return t == DOR_BF16 ? CUDNN_DATA_BFLOAT16 : t == DOR_F16 ? CUDNN_DATA_HALF : CUDNN_DATA_FLOAT;
}

static dor_status set_type(dor_desc d, cudnnBackendAttributeName_t name)
{
  return dor_desc_set(d, name, CUDNN_TYPE_DATA_TYPE, 1, &(cudnnDataType_t){CUDNN_DATA_FLOAT});
}

static dor_status tensor(dor_descs *all, const dor_og_tensor *t, int64_t id, dor_desc *out)
{
  const int32_t *k = t->dim;
  int64_t dim[4] = {k[0], k[3], k[1], k[2]}, stride[4] = {(int64_t)k[1] * k[2] * k[3], 1, (int64_t)k[2] * k[3], k[3]};
  cudnnDataType_t type = data_type(t->dtype);
  bool inner = t->place == DOR_OG_VIRTUAL;
  DOR_TRY(dor_desc_make(all, CUDNN_BACKEND_TENSOR_DESCRIPTOR, out));
  DOR_TRY(dor_desc_set(*out, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type));
  DOR_TRY(dor_desc_set(*out, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dim));
  DOR_TRY(dor_desc_set(*out, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, stride));
  DOR_TRY(dor_desc_set(*out, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id));
  DOR_TRY(dor_desc_set(*out, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &(int64_t){16}));
  if (inner) DOR_TRY(dor_desc_set(*out, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &inner));
  return dor_desc_done(*out, "a tensor");
}

static dor_status window(dor_descs *all, const dor_conv2d_attr *a, dor_desc *out)
{
  int64_t pad[2] = {a->pad[0], a->pad[1]}, stride[2] = {a->stride[0], a->stride[1]}, dilation[2] = {a->dilation[0], a->dilation[1]};
  DOR_TRY(dor_desc_make(all, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, out));
  DOR_TRY(dor_desc_set(*out, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &(int64_t){2}));
  DOR_TRY(set_type(*out, CUDNN_ATTR_CONVOLUTION_COMP_TYPE));
  DOR_TRY(dor_desc_set(*out, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &(cudnnConvolutionMode_t){CUDNN_CROSS_CORRELATION}));
  DOR_TRY(dor_desc_set(*out, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, pad));
  DOR_TRY(dor_desc_set(*out, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, pad));
  DOR_TRY(dor_desc_set(*out, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, stride));
  DOR_TRY(dor_desc_set(*out, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, dilation));
  return dor_desc_done(*out, "a convolution's window");
}

/* By direction: the descriptor, and its attributes for window, factors, first and second operand and result. */
static const struct direction {
  cudnnBackendDescriptorType_t type;
  cudnnBackendAttributeName_t window, alpha, beta, a, b, out;
} directions[] = {
    [DOR_OG_CONV] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
                     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y},
    [DOR_OG_DX] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX},
    [DOR_OG_DW] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA,
                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW},
};

typedef struct building { dor_descs *all; const dor_opgraph *g; dor_desc tensor[DOR_OG_TENSORS], op[DOR_OG_OPS]; int64_t nop; } building;

static dor_status convolution(building *b, const dor_og_op *op, dor_desc *out)
{
  const struct direction *d = &directions[op->kind];
  dor_desc w;
  DOR_TRY(window(b->all, &b->g->conv, &w));
  DOR_TRY(dor_desc_make(b->all, d->type, out));
  DOR_TRY(dor_desc_link(*out, d->window, w));
  DOR_TRY(dor_desc_link(*out, d->a, b->tensor[op->in[0]]));
  DOR_TRY(dor_desc_link(*out, d->b, b->tensor[op->in[1]]));
  DOR_TRY(dor_desc_link(*out, d->out, b->tensor[op->out[0]]));
  DOR_TRY(dor_desc_set(*out, d->alpha, CUDNN_TYPE_FLOAT, 1, &(float){1}));
  return dor_desc_set(*out, d->beta, CUDNN_TYPE_FLOAT, 1, &(float){0});
}

static dor_status pointwise(building *b, const dor_og_op *op, dor_desc *out)
{
  cudnnPointwiseMode_t mode = op->kind == DOR_OG_ADD ? CUDNN_POINTWISE_ADD : op->kind == DOR_OG_MUL ? CUDNN_POINTWISE_MUL : CUDNN_POINTWISE_RELU_FWD;
  dor_desc how;
  DOR_TRY(dor_desc_make(b->all, CUDNN_BACKEND_POINTWISE_DESCRIPTOR, &how));
  DOR_TRY(dor_desc_set(how, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode));
  DOR_TRY(set_type(how, CUDNN_ATTR_POINTWISE_MATH_PREC));
  DOR_TRY(dor_desc_done(how, "an element's arithmetic"));
  DOR_TRY(dor_desc_make(b->all, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, out));
  DOR_TRY(dor_desc_link(*out, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, how));
  DOR_TRY(dor_desc_link(*out, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, b->tensor[op->in[0]]));
  if (op->in[1] >= 0) DOR_TRY(dor_desc_link(*out, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b->tensor[op->in[1]]));
  return dor_desc_link(*out, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, b->tensor[op->out[0]]);
}

static dor_status sums(building *b, const dor_og_op *op, dor_desc *out)
{
  DOR_TRY(dor_desc_make(b->all, CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR, out));
  DOR_TRY(dor_desc_set(*out, CUDNN_ATTR_OPERATION_GENSTATS_MODE, CUDNN_TYPE_GENSTATS_MODE, 1, &(cudnnGenStatsMode_t){CUDNN_GENSTATS_SUM_SQSUM}));
  DOR_TRY(set_type(*out, CUDNN_ATTR_OPERATION_GENSTATS_MATH_PREC));
  DOR_TRY(dor_desc_link(*out, CUDNN_ATTR_OPERATION_GENSTATS_XDESC, b->tensor[op->in[0]]));
  DOR_TRY(dor_desc_link(*out, CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC, b->tensor[op->out[0]]));
  return dor_desc_link(*out, CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC, b->tensor[op->out[1]]);
}

static dor_status operation(building *b, const dor_og_op *op)
{
  dor_desc made;
  if (dor_og_is_own(op->kind)) return DOR_OK;
  if (op->kind == DOR_OG_SUMS) DOR_TRY(sums(b, op, &made));
  else if (op->kind >= DOR_OG_ADD) DOR_TRY(pointwise(b, op, &made));
  else DOR_TRY(convolution(b, op, &made));
  DOR_TRY(dor_desc_done(made, "an operation"));
  b->op[b->nop++] = made;
  return DOR_OK;
}

dor_status dor_desc_graph(dor_descs *all, const dor_opgraph *g, cudnnHandle_t handle, dor_desc *out)
{
  building b = {.all = all, .g = g};
  for (int32_t i = 0; i < g->ntensor; i++)
    if (dor_og_is_inside(g, i)) DOR_TRY(tensor(all, &g->tensor[i], i + 1, &b.tensor[i]));
  for (int32_t i = 0; i < g->nop; i++) DOR_TRY(operation(&b, &g->op[i]));
  DOR_TRY(dor_desc_make(all, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, out));
  if (handle) DOR_TRY(dor_desc_set(*out, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle));
  DOR_TRY(dor_desc_set(*out, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, b.nop, b.op));
  return dor_desc_done(*out, "the graph");
}
