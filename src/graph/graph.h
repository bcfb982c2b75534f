/* SPDX-License-Identifier: Apache-2.0
 *
 * The graph: values and the nodes that make them, in execution order.
 *
 * A node knows its op only through `const dor_op *`; no code here names a
 * concrete op. Differentiation adds ordinary nodes, so forward, backward and
 * update are one list that one planner and one executor handle.
 *
 *   build -> infer -> differentiate -> fuse -> plan -> bind (backend/program.h) -> run
 *
 * A build error is remembered in the graph, so that model code reads as
 * arithmetic and is checked once with dor_graph_status(). */
#ifndef DOR_GRAPH_GRAPH_H
#define DOR_GRAPH_GRAPH_H

#include "base/arena.h"
#include "base/schema.h"
#include "base/status.h"
#include "base/str.h"
#include "graph/params.h"
#include "tensor/shape.h"

typedef int32_t dor_val; /* a value's index; DOR_NONE where there is none */
enum { DOR_NONE = -1 };

/* Where a value lives. INPUT and TEMP belong to an instance; the others are blocks that live as long as a model. */
typedef enum dor_kind { DOR_TEMP, DOR_INPUT, DOR_PARAM, DOR_GRAD, DOR_STATE, DOR_MOMENT, DOR_KIND_COUNT } dor_kind;

typedef struct dor_value {
  dor_type type;
  dor_kind kind;
  size_t offset;    /* bytes into its block (all kinds but TEMP and INPUT) */
  bool keep;        /* read after the program ends: its memory is never reused */
  dor_val alias;    /* the value whose memory this one is (an in-place output, a view); DOR_NONE: its own */
  const char *name; /* "" for unnamed temporaries */
  bool lasting;     /* a temporary that nodes read behind the graph's back: alive to the end */
} dor_value;

typedef struct dor_cost { double flops, bytes; } dor_cost;

/* What changes from step to step; copied in before a program runs, read by any op that cares. */
typedef struct dor_step {
  uint64_t seed;    /* of the model */
  uint64_t step;    /* updates done before this one: the random counter */
  uint64_t micro;   /* which part of an accumulated batch */
  float lr;         /* from the schedule, host maths */
  float grad_scale; /* 1 / (loss scale x accumulated parts) */
  uint32_t idle;    /* 1: a model of a fleet sits this step out; on a device its parameters, states and moments stay as they are */
} dor_step;

typedef struct dor_infer { /* shapes in, shapes out */
  const void *attr;
  int32_t nin, nout;
  const dor_type *in;
  dor_type *out;    /* preset to f32; infer writes the shapes, dor_op_infer the types of activations */
} dor_infer;

typedef struct dor_refcall { /* the definition runs in double, whatever the dtype */
  const void *attr;
  int32_t nin, nout;
  const dor_type *type_in, *type_out;
  const double *const *in;
  double *const *out;
  const dor_step *step;
  uint64_t key;     /* of a stochastic node */
} dor_refcall;

enum { DOR_CASE_IN = 8 };

typedef enum dor_fill { DOR_FILL_NOISE, DOR_FILL_POSITIVE, DOR_FILL_LABELS, DOR_FILL_BINARY, DOR_FILL_PROBABILITY, DOR_FILL_DISTINCT } dor_fill;

typedef struct dor_case { /* an input worth testing and timing */
  const char *name;
  const void *attr;
  dor_shape in[DOR_CASE_IN];
  dor_dtype dtype[DOR_CASE_IN];
  dor_fill fill[DOR_CASE_IN];
  int32_t nin;      /* 0: the op's own number */
  int32_t labels;   /* FILL_LABELS: values in [0, labels) */
  bool bench;       /* paper-sized: timed, not tested */
} dor_case;

struct dor_graph;
struct dor_node;
struct dor_match;
struct dor_fused;

enum { DOR_OP_ALIAS = 8 };

/* Activations and their gradients: what may be stored in bf16 or f16, a letter an input and an output: x may, - stays as infer says; the last
 * letter serves all that follow. All x of a node have one type. X: an x for which float is cast where a program is to be narrow (the others
 * follow what they get). NULL: the op is for float alone, as losses, updates and moments are. */
typedef struct dor_narrow { const char *in, *out; } dor_narrow;

typedef struct dor_op {
  const char *name, *formula;
  int32_t id, nin, nout;       /* nin -1: any number */
  uint32_t given;              /* bit i: no gradient is asked of input i: a label, a weight, or another input's gradient has its share */
  int32_t naux;                /* the last outputs that are by-products (a mask, a slope): no gradient may reach them */
  size_t attr_size;
  const dor_key *keys;         /* of the attributes, for dumps; may be NULL */
  bool stochastic;             /* reads step and key; nodes that its grad adds get the same key, so they can draw the same numbers */
  bool view;                   /* output 0 is input 0 with another shape: no kernel runs, no memory is copied */
  uint8_t alias[DOR_OP_ALIAS]; /* [i] = 1 + the input that output i overwrites (in place); 0: none. The input may not be read afterwards */
  dor_narrow narrow;
  dor_status (*infer)(const dor_infer *c);
  dor_cost (*cost)(const dor_infer *c);
  void (*ref)(const dor_refcall *c);
  dor_status (*grad)(struct dor_graph *g, const struct dor_node *n, const dor_val gout[], dor_val gin[]);
  bool (*fuse)(const struct dor_match *m, struct dor_fused *f); /* of a fused op: see dor_graph_fuse; NULL: the default */
  const dor_case *cases;       /* ends with a NULL name */
} dor_op;

typedef struct dor_node {
  const dor_op *op;
  const void *attr;
  int32_t nin, nout;
  dor_val *in, *out;           /* in the graph's arena */
  uint64_t key;                /* of a stochastic node: hash of its scope name */
  const char *scope;
} dor_node;

typedef struct dor_graph {
  dor_arena arena;
  dor_value *value;
  dor_node *node;
  int32_t nvalue, nnode, cap_value, cap_node;
  dor_params *params;          /* borrowed: the table that names parameters and states */
  char scope[256];             /* "features.0." while a model is being built */
  bool training;               /* batch norm and dropout behave as in training */
  uint64_t grad_key;           /* while a stochastic node is differentiated: its key; else 0 */
  dor_status status;           /* the first build failure; later calls return DOR_NONE */
} dor_graph;

char dor_op_mark(const dor_op *op, bool output, int32_t i);   /* 'x', 'X' or '-' */
bool dor_op_narrow(const dor_op *op, bool output, int32_t i); /* may this input or output be stored in bf16 or f16? */

/* The types of an op's outputs: shapes by its infer, activations in the type in which they come. errors those of infer; ARG two types, or a
 * short one where the op wants float */
DOR_MUST dor_status dor_op_infer(const dor_op *op, dor_infer *c);

void dor_graph_init(dor_graph *g, dor_params *params, bool training);
void dor_graph_release(dor_graph *g);
DOR_MUST dor_status dor_graph_status(const dor_graph *g);

dor_val dor_graph_input(dor_graph *g, const char *name, dor_type t);
dor_val dor_graph_find_input(const dor_graph *g, const char *name); /* DOR_NONE when there is none */
dor_val dor_graph_find(const dor_graph *g, const char *name);       /* an input or a kept value */

/* A parameter (or running statistic) by its name under the current scope; made in the table at first, found there afterwards. */
dor_val dor_graph_param(dor_graph *g, const dor_param_spec *spec);

/* A whole block, or a range of it, as one flat f32 value: what optimisers work on. */
dor_val dor_graph_block(dor_graph *g, dor_kind kind, size_t offset, int64_t n, const char *name);

dor_val dor_graph_add(dor_graph *g, const dor_op *op, const void *attr, int32_t nin, const dor_val in[]); /* first output */
dor_val dor_graph_add_named(dor_graph *g, const dor_op *op, const char *name, const void *attr, int32_t nin, const dor_val in[]);
dor_val dor_graph_output(const dor_graph *g, dor_val first, int32_t i); /* further outputs of the node that made `first` */

/* Scopes give parameters the originals' names: dor_graph_push(g, "layer%d", 1) ... dor_graph_pop(g, mark). */
size_t dor_graph_push(dor_graph *g, const char *fmt, ...) DOR_PRINTF(2, 3);
void dor_graph_pop(dor_graph *g, size_t mark);

void dor_graph_keep(dor_graph *g, dor_val v, const char *name);
dor_type dor_graph_type(const dor_graph *g, dor_val v);

/* Append nodes that compute d(loss)/d(wrt[i]); `sum` adds where paths meet. grad[i] is DOR_NONE when the loss does not depend. */
DOR_MUST dor_status dor_graph_grad(dor_graph *g, const dor_op *sum, dor_val loss, dor_val seed, int32_t n, const dor_val wrt[], dor_val grad[]);

/* Make every parameter's gradient and home it in the gradient block: written (parts == 1) or added to it with `add_into`. */
DOR_MUST dor_status dor_graph_grad_params(dor_graph *g, const dor_op *sum, const dor_op *add_into, dor_val loss, dor_val seed, bool accumulate);

/* Fusion. A row of fuse.def, FUSE(fused, a, b[, c[, d]]), is a chain: output 0 of a is an input of b, and so on.
 * The fused op says what becomes of a found chain: its `fuse` fills the fused node's attributes, inputs and outputs
 * from the chain's nodes, or returns false to decline. Outputs are values of the graph that chain nodes made; any of
 * them that somebody else still reads or keeps must be among them (ask dor_match_needed), else the chain stays as it is.
 * Without `fuse`: attributes of the first chain node that has as many bytes, the chain's inputs in order without the
 * links, the last node's outputs; so every inner value must have one reader and not be kept. */
enum { DOR_CHAIN = 4, DOR_FUSED_IN = 16, DOR_FUSED_OUT = 8 };
typedef struct dor_match {
  const dor_graph *graph;
  int32_t n;
  const dor_node *node[DOR_CHAIN];
} dor_match;
typedef struct dor_fused {
  int64_t attr[32]; /* the fused op's attribute struct, copied in (attr_size bytes) */
  int32_t nin, nout;
  dor_val in[DOR_FUSED_IN], out[DOR_FUSED_OUT]; /* out DOR_NONE: a new value that nobody reads yet */
} dor_fused;
bool dor_match_needed(const dor_match *m, dor_val v); /* does somebody outside the chain read v, or is it kept or in a block? */

/* Replace chains by fused ops where `has(backend, op)` says the target runs them. rows end with a NULL fused op; earlier rows win. */
typedef struct dor_fuse_row { const dor_op *fused; const dor_op *chain[DOR_CHAIN]; } dor_fuse_row;
DOR_MUST dor_status dor_graph_fuse(dor_graph *g, const dor_fuse_row *rows, bool (*has)(const void *backend, const dor_op *op), const void *backend);

/* Store activations and their gradients in 16 bits; before fusion. Blocks, inputs and kept values stay in float. */
typedef struct dor_narrowing {
  dor_dtype dtype;                                           /* BF16 or F16 */
  dor_val (*cast)(struct dor_graph *g, dor_val x, dor_dtype to); /* appends the node */
} dor_narrowing;
DOR_MUST dor_status dor_graph_narrow(dor_graph *g, const dor_narrowing *how);

/* Drop nodes whose outputs nobody reads or keeps. */
DOR_MUST dor_status dor_graph_prune(dor_graph *g);

/* Give every temporary an offset in one buffer so that values alive at the same time never overlap. */
typedef struct dor_plan {
  size_t *offset;            /* bytes, per value; SIZE_MAX for values that live in blocks. Inputs are live throughout */
  int32_t *first, *last;     /* node indices that write first and read last */
  size_t *scratch;           /* per node, offset of its scratch */
  size_t total, unplanned, bound; /* bytes: planned peak, sum of all, live lower bound */
} dor_plan;
DOR_MUST dor_status dor_graph_plan(dor_graph *g, const size_t scratch_bytes[], dor_plan *plan); /* plan lives in the graph's arena */

dor_cost dor_node_cost(const dor_graph *g, int32_t node); /* zero where the op does not say */

/* One line per node: number, op, inputs with types, outputs, attributes, memory. Golden texts in tests. */
void dor_graph_dump(const dor_graph *g, const dor_plan *plan, dor_str *out);
void dor_graph_dump_node(const dor_graph *g, int32_t node, const dor_plan *plan, dor_str *out); /* without the line's end */

#endif
