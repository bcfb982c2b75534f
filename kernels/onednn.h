/* SPDX-License-Identifier: Apache-2.0
 *
 * The one place that knows oneDNN's versions: 2.6 (Debian 12) and 3.x differ in
 * how primitives and memory are described, and nothing above this header sees
 * it. Scratch memory is always the caller's; activations are NHWC.
 *
 * oneDNN falls back without a word to implementations called "ref" or "simple",
 * up to 800 times slower; those are declined here (UNSUPPORTED). */
#ifndef DOR_KERNELS_ONEDNN_H
#define DOR_KERNELS_ONEDNN_H

#include <oneapi/dnnl/dnnl.h>

#include "ops/attrs.h"
#include "tensor/shape.h"

#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t dor_dnn_layout;    /* borrowed */
#else
typedef const dnnl_memory_desc_t *dor_dnn_layout;
#endif

typedef enum dor_dnn_way { DOR_DNN_FORWARD, DOR_DNN_DATA, DOR_DNN_WEIGHTS } dor_dnn_way;

enum { DOR_DNN_ROLES = 3 }; /* source, weights, destination, or their gradients */

typedef struct dor_dnn_op {   /* one primitive, shared and immutable */
  dnnl_primitive_desc_t desc;
  dnnl_primitive_t run;
  dnnl_primitive_desc_t reorder_desc;
  dnnl_primitive_t reorder;   /* of weights, between ours and the implementation's; NULL: the same */
  int arg[DOR_DNN_ROLES];     /* DNNL_ARG_... of x, weights, y */
  dor_dnn_layout layout[DOR_DNN_ROLES], ours; /* what the primitive wants; our weights */
  size_t weights_bytes, scratch_bytes;
  const char *name;           /* the library's, of what serves */
} dor_dnn_op;

/* x [N,H,W,C], w [K,K,C/groups,O] as in memory, y [N,H',W',O].
 * errors UNSUPPORTED (nothing but "ref" or "simple" serves), DEVICE with the library's code */
DOR_MUST dor_status dor_dnn_conv(dor_dnn_op *op, dor_dnn_way way, const dor_conv2d_attr *a, dor_shape x, dor_shape w, dor_shape y);
void dor_dnn_drop(dor_dnn_op *op);
size_t dor_dnn_scratch(const dor_dnn_op *op); /* bytes: the library's, and its copy of the weights */

typedef struct dor_dnn_bound dor_dnn_bound;   /* a primitive with one instance's memory */
DOR_MUST dor_status dor_dnn_bind(dor_dnn_bound **out, const dor_dnn_op *op, dor_dnn_way way, void *x, void *w, void *y, void *scratch);
void dor_dnn_run(const dor_dnn_bound *b);
void dor_dnn_unbind(dor_dnn_bound *b);

/* c [m,n] = op(a) op(b) + beta c, row-major; lda, ldb: row lengths as stored. */
void dor_dnn_gemm(bool ta, bool tb, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c);

#endif
