/* SPDX-License-Identifier: Apache-2.0
 *
 * Attributes of the ops that have any, one struct per family. Kernels and
 * references read these structs; dumps print them by their key rows. Integers
 * are int32_t; a row of type INTS is an array of them inside the struct. */
#ifndef DOR_OPS_ATTRS_H
#define DOR_OPS_ATTRS_H

#include "base/schema.h"
#include "tensor/shape.h"

#define DOR_ATTR_INT(T, f, text) {.name = #f, .type = DOR_KEY_INT, .offset = offsetof(T, f), .size = sizeof(((T *)0)->f), .help = text}
#define DOR_ATTR_INTS(T, f, text) {.name = #f, .type = DOR_KEY_INTS, .offset = offsetof(T, f), .size = sizeof(((T *)0)->f), .help = text}
#define DOR_ATTR_REAL(T, f, text) {.name = #f, .type = DOR_KEY_REAL, .offset = offsetof(T, f), .size = sizeof(((T *)0)->f), .help = text}
#define DOR_ATTR_BOOL(T, f, text) {.name = #f, .type = DOR_KEY_BOOL, .offset = offsetof(T, f), .size = sizeof(((T *)0)->f), .help = text}

typedef struct dor_conv2d_attr { /* pairs are height, width */
  int32_t kernel[2], stride[2], pad[2], dilation[2], groups;
  int32_t size[2]; /* of x: what dx must restore */
} dor_conv2d_attr;

typedef struct dor_affine_attr { dor_conv2d_attr conv; double eps; bool relu; } dor_affine_attr; /* conv2d_affine */

typedef struct dor_pool_attr {
  int32_t kernel[2], stride[2], pad[2];
  int32_t size[2]; /* of x */
} dor_pool_attr;

typedef struct dor_size_attr { int32_t size[2]; } dor_size_attr; /* height, width: of y (resize) or of x (its backward) */

enum { DOR_WARP_CHANNELS = 4 };
typedef struct dor_warp_attr { int32_t size[2]; bool mask; double mean[DOR_WARP_CHANNELS], sd[DOR_WARP_CHANNELS]; } dor_warp_attr; /* of y */
typedef struct dor_heatmap_attr { int32_t size[2], sigma; } dor_heatmap_attr;
typedef struct dor_sum_attr { int32_t size[2]; bool relu; } dor_sum_attr; /* resize_sum: of y */

typedef struct dor_matmul_attr { bool ta, tb; } dor_matmul_attr;    /* transpose A, B */
typedef struct dor_linear_attr { bool relu; } dor_linear_attr;      /* y = max(x w + b, 0) */
typedef struct dor_slope_attr { double slope; } dor_slope_attr;     /* leaky_relu: of the negative side */
typedef struct dor_scale_attr { double factor; } dor_scale_attr;

typedef struct dor_axis_attr { int32_t axis; } dor_axis_attr;
typedef struct dor_slice_attr { int32_t begin[DOR_MAX_DIMS], size[DOR_MAX_DIMS]; } dor_slice_attr;
typedef struct dor_pad_attr { int32_t before[DOR_MAX_DIMS], after[DOR_MAX_DIMS]; } dor_pad_attr; /* with zeros */
typedef struct dor_shape_attr { int32_t rank, dim[DOR_MAX_DIMS]; } dor_shape_attr;
typedef struct dor_transpose_attr { int32_t perm[DOR_MAX_DIMS]; } dor_transpose_attr; /* y's axis i is x's axis perm[i] */
typedef struct dor_reduce_attr { int32_t axes; } dor_reduce_attr;   /* bit i: axis i goes */
typedef struct dor_expand_attr { int32_t rank, dim[DOR_MAX_DIMS], axes; double factor; } dor_expand_attr; /* x's shape again */

typedef struct dor_bn_attr { double eps; } dor_bn_attr;
typedef struct dor_bn_act_attr { double eps; bool relu; } dor_bn_act_attr;
typedef struct dor_bn_pool_attr { double eps; int32_t size[2]; } dor_bn_pool_attr; /* size: of x */
typedef struct dor_bn_running_attr { double momentum, unbias; } dor_bn_running_attr; /* unbias: n / (n - 1) */

typedef struct dor_cast_attr { int32_t dtype; } dor_cast_attr; /* a dor_dtype: of y */

typedef struct dor_dropout_attr { double p; } dor_dropout_attr;

typedef struct dor_ce_attr { double smoothing; } dor_ce_attr;
typedef struct dor_ae_attr { double push, pull; bool hinge; } dor_ae_attr; /* factors of the two terms; hinge: of two means' distance */

/* A run of parameters that lie together in a flat block and share rate and decay: numbers [begin, end), begin a multiple of 16. Runs ascend
 * and do not overlap; what lies between them is left alone. An attribute only borrows them: they live with the graph, or for ever. */
typedef struct dor_range { int64_t begin, end; double lr_factor, decay; } dor_range;
enum { DOR_RANGE_ALIGN = 16 };
typedef struct dor_clip_attr { double max_norm; int32_t n; const dor_range *run; } dor_clip_attr;
enum { DOR_SCALE_STATE = 3, DOR_SCALE_FIRST = 16, DOR_SCALE_LEAST = -40, DOR_SCALE_MOST = 8 }; /* loss_scale.c: exponent above FIRST, and its bounds */
typedef struct dor_scaled_attr { dor_clip_attr clip; int32_t patience; } dor_scaled_attr; /* clip_scaled; max_norm 0: no clip */
typedef enum dor_optim_rule { DOR_RULE_ADAM, DOR_RULE_ADAMW, DOR_RULE_SGD } dor_optim_rule;
typedef struct dor_update_attr {
  int32_t rule, n;
  const dor_range *run;
  double beta1, beta2, eps, momentum; /* SGD: momentum, 0: none kept; else the others */
  bool nesterov;
  double ema;                         /* decay of the weights' average; 0: none */
} dor_update_attr;
static inline int32_t dor_update_kept(const dor_update_attr *a) { return a->rule != DOR_RULE_SGD ? 2 : a->momentum > 0 ? 1 : 0; } /* moments */

/* copy_weights: the matrix [rows,columns] at number `from` of the parameters, as it is or turned, at number `to` of the copies; in that order.
 * Borrowed as ranges are. */
typedef struct dor_copied { int32_t from, to, rows, columns; bool turned; } dor_copied;
typedef struct dor_copies_attr { int32_t dtype, n, size; const dor_copied *at; } dor_copies_attr;

#endif
