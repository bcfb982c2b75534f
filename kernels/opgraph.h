/* SPDX-License-Identifier: Apache-2.0
 *
 * A small operation graph for cuDNN, in plain structs: the convolution part of library.h. A kernel's `prepare` writes down
 * one convolution and what fuses with it, as expressions over the call's views; the library plans it as one kernel where it can.
 *
 *   dor_opgraph g = {.conv = *a};
 *   dor_og x = dor_og_in(&g, p, 0), w = dor_og_weights(&g, p, 1), y = dor_og_conv(&g, x, w, p->out[0].shape.d);
 *   dor_og_out(&g, p, 0, dor_og_relu(&g, y));
 *   return dor_library_graph(p, &g, plan, scratch);
 *
 * Values are numbers of tensors. What an operation makes lies nowhere (it is virtual: one kernel hands it on) until it is named
 * an output. Weights lie in memory as [K,K,C,O] and cuDNN wants [O,K,K,C] in the maps' type: the program keeps such copies of
 * parameters (copies.h). Turning what is no parameter, and a few vectors of batch norm, are operations too, done by own kernels
 * (graph_steps.h) around the graph, through scratch. A graph that cannot be
 * written down remembers that, and dor_library_graph declines it. */
#ifndef DOR_KERNELS_OPGRAPH_H
#define DOR_KERNELS_OPGRAPH_H

#include "base/str.h"
#include "kernels/library.h"
#include "ops/attrs.h"

typedef enum dor_og_kind {
  /* own kernels, before the graph */
  DOR_OG_TURN,      /* weights of the call [K,K,C,O] -> filter [O,K,K,C] */
  DOR_OG_FOLD,      /* mean, var, gamma, beta -> scale, shift */
  /* cuDNN */
  DOR_OG_CONV,      /* x, filter -> y */
  DOR_OG_DX,        /* dy, filter -> dx */
  DOR_OG_DW,        /* x, dy -> filter */
  DOR_OG_ADD, DOR_OG_MUL, /* a map, and a map or a vector */
  DOR_OG_RELU,
  DOR_OG_SUMS,      /* map -> sum, sum of squares, by channel */
  /* own kernels, after it */
  DOR_OG_TURN_BACK, /* filter -> dw of the call */
  DOR_OG_MOMENTS,   /* sum, sum of squares, and the map they are of -> mean, var */
  DOR_OG_KINDS
} dor_og_kind;

typedef int32_t dor_og; /* a value: the number of a tensor */
enum { DOR_OG_TENSORS = 16, DOR_OG_OPS = 10, DOR_OG_IN = 4, DOR_OG_OUT = 2 };

typedef enum dor_og_place { DOR_OG_VIRTUAL, DOR_OG_SCRATCH, DOR_OG_VIEW, DOR_OG_COPY } dor_og_place;

typedef struct dor_og_tensor {
  dor_dtype dtype;
  dor_og_place place;
  dor_from from;   /* VIEW: which of the call's; COPY: which number of its copies (copies.h) it begins at */
  int32_t dim[4];  /* maps N,H,W,C; filters O,K,K,C/G; vectors 1,1,1,C; views that only own kernels touch: as they are */
} dor_og_tensor;

typedef struct dor_og_op {
  dor_og_kind kind;
  dor_og in[DOR_OG_IN], out[DOR_OG_OUT]; /* unused: -1 */
} dor_og_op;

struct dor_opgraph {
  dor_conv2d_attr conv;
  double eps;          /* of FOLD */
  int32_t ntensor, nop;
  dor_og_tensor tensor[DOR_OG_TENSORS];
  dor_og_op op[DOR_OG_OPS];
  const char *cannot;  /* why it could not be written down */
};

dor_og dor_og_in(dor_opgraph *g, const dor_prep *p, int32_t i);      /* the call's input: a map [N,H,W,C] or a vector [C] */
dor_og dor_og_weights(dor_opgraph *g, const dor_prep *p, int32_t i); /* input i, turned, in input 0's type */
void dor_og_affine(dor_opgraph *g, const dor_prep *p, int32_t first, double eps, dor_og to[2]); /* scale and shift of inputs first .. first + 3 */

dor_og dor_og_conv(dor_opgraph *g, dor_og x, dor_og filter, const int32_t dim[4]); /* dim: of the result */
dor_og dor_og_dx(dor_opgraph *g, dor_og dy, dor_og filter, const int32_t dim[4]);
dor_og dor_og_dw(dor_opgraph *g, dor_og x, dor_og dy, dor_shape weights);          /* weights: as the call has them, [K,K,C/G,O] */
dor_og dor_og_add(dor_opgraph *g, dor_og a, dor_og b);
dor_og dor_og_mul(dor_opgraph *g, dor_og a, dor_og b);
dor_og dor_og_relu(dor_opgraph *g, dor_og x);

dor_og dor_og_out(dor_opgraph *g, const dor_prep *p, int32_t i, dor_og v);         /* v is the call's output i; returns v */
void dor_og_out_weights(dor_opgraph *g, const dor_prep *p, int32_t i, dor_og dw);  /* turned back */
void dor_og_out_moments(dor_opgraph *g, const dor_prep *p, int32_t first, dor_og y); /* mean and var of an output map, to outputs first, first + 1 */

bool dor_og_is_own(dor_og_kind k);     /* done by an own kernel, not by cuDNN */
bool dor_og_is_inside(const dor_opgraph *g, dor_og v); /* does cuDNN's graph touch it? */
dor_dtype dor_og_type(const dor_opgraph *g);             /* of the maps that are convolved */
size_t dor_og_bytes(const dor_og_tensor *t);
void dor_og_names(const dor_opgraph *g, dor_str *out);   /* cuDNN's part in short: "conv+mul+add+relu" */
void dor_og_print(const dor_opgraph *g, dor_str *out);   /* one line; the same for the same graph: a key of plan caches */

#endif
