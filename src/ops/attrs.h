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

typedef struct dor_clip_attr { double max_norm; } dor_clip_attr;
typedef struct dor_sgd_attr { double lr_factor, decay, momentum; bool nesterov; } dor_sgd_attr;
typedef struct dor_adam_attr { double lr_factor, beta1, beta2, eps, decay; bool decoupled; } dor_adam_attr;
typedef struct dor_ema_attr { double decay; } dor_ema_attr;

#endif
