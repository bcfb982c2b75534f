/* SPDX-License-Identifier: Apache-2.0
 *
 * Backends and programs. A backend is a table of kernels by op, in columns of
 * falling preference, and a way to get memory. A program is an immutable plan:
 * nodes, kernels, offsets. An instance adds its own pool and points at a model's
 * blocks; workers, folds and fleets share one program.
 *
 * A backend with a device has memory of its own and runs behind the host: work is enqueued on streams in the order in which it
 * is asked for, and what fails shows when somebody waits. On the CPU all of that is nothing: memory is the host's, a run is done
 * when it returns. */
#ifndef DOR_BACKEND_BACKEND_H
#define DOR_BACKEND_BACKEND_H

#include "graph/graph.h"
#include "kernels/kernel.h"

enum { DOR_COLUMNS = 4 };

/* What a device can do besides holding memory. Streams, events and graphs are the backend's own. errors
 * NOMEM of the host, DEVMEM of the device; DEVICE */
typedef struct dor_device {
  const char *(*describe)(void);                  /* what it is: "cuda: NVIDIA H200" */
  dor_status (*memory)(size_t *left, size_t *all); /* bytes */
  dor_status (*stream_new)(void **stream);
  void (*stream_free)(void *stream);
  dor_status (*pin)(size_t bytes, void **p);      /* zeroed host memory that copies need not go around */
  void (*unpin)(void *p, size_t bytes);
  dor_status (*copy)(void *to, const void *from, size_t bytes, void *stream); /* enqueued; pinned memory or the device's, either way */
  dor_status (*copy_rows)(void *to, size_t to_step, const void *from, size_t from_step, size_t bytes, int32_t rows, void *stream); /* NULL: one by one */
  dor_status (*settle)(void *stream);             /* waits until all that is enqueued has run */
  dor_status (*event_new)(void **event);
  void (*event_free)(void *event);
  dor_status (*mark)(void *event, void *stream);  /* the event happens when what is enqueued by now has run */
  dor_status (*after)(void *stream, void *event); /* what is enqueued from now on runs after it */
  dor_status (*reach)(void *event);               /* waits for it; at once when it was never marked */
  dor_status (*record)(void *stream);             /* from now on kernels are written down, not run; NULL: cannot */
  dor_status (*recorded)(void *stream, void **graph);
  dor_status (*replay)(void *graph, void *stream);
  void (*graph_free)(void *graph);
} dor_device;

/* How a library's plans are chosen: what may differ between machines and days, and what may not. */
typedef struct dor_tuning {
  bool deterministic;         /* only engines that give the same bits each time */
  bool autotune;              /* the fastest of a few, timed on the device; else the library's first choice */
  size_t workspace;           /* the most bytes that a plan may ask for; 0: the backend's own limit */
  const char *cache;          /* a folder where choices are kept, and found the next time; NULL: none. Outlives the programs */
} dor_tuning;

typedef enum dor_format { DOR_FORMAT_FP32, DOR_FORMAT_TF32, DOR_FORMAT_BF16, DOR_FORMAT_FP16 } dor_format; /* precision in a config */

typedef struct dor_backend {
  const char *name;                               /* "cpu" */
  dor_status (*open)(int32_t index);              /* the device: before anything else is asked; NULL: nothing to open */
  const dor_kernel *const *column[DOR_COLUMNS];   /* [op id]; first column that accepts the shape serves */
  dor_isa (*isa)(void);                           /* what its kernels may use on this machine */
  void (*enter)(int32_t threads);                 /* before preparing and running: the calling thread's team is this large */
  dor_status (*alloc)(size_t bytes, void **p);    /* zeroed, 256-byte aligned */
  void (*free)(void *p, size_t bytes);
  dor_status (*copy_in)(void *device, const void *host, size_t bytes);
  dor_status (*copy_out)(void *host, const void *device, size_t bytes);
  const dor_device *device;                       /* NULL: memory is the host's */
  bool narrow;                                    /* its kernels take activations in bf16 and f16 */
  const struct dor_library *library;              /* for dor_prep.library; NULL: no library kernels */
  void (*tune)(const dor_tuning *t);              /* for programs that are built from now on; NULL: nothing to choose */
} dor_backend;

/* The columns a backend may be made of: from ops.def, and own kernels that are asked before oneDNN (column_fast.c). */
extern const dor_kernel *const dor_column_own[], *const dor_column_onednn[], *const dor_column_fast[], *const dor_column_direct[];
extern const dor_kernel *const dor_column_cuda[], *const dor_column_library[]; /* own CUDA kernels; cuDNN and cuBLASLt */

extern const dor_backend dor_backend_cpu;   /* oneDNN and own kernels */
extern const dor_backend dor_backend_plain; /* own portable kernels alone: what `make check` compares against */
extern const dor_backend dor_backend_null;  /* a GPU as far as one can be without: null.c */
extern const struct dor_library dor_library_recorder;
const dor_backend *dor_backend_find(const char *name);
const char *dor_backend_device(const dor_backend *b); /* what runs say they ran on: "cpu", or the device's own name; NULL: the CPU */
/* BF16 and FP16 are how activations and their gradients are stored, all else being float; TF32 lets a library's products of floats
 * round their factors to 11 bits. */
bool dor_backend_takes(const dor_backend *b, dor_format f); /* NULL: the CPU */
dor_format dor_backend_format(const dor_backend *b, dor_format asked); /* what it becomes there: TF32 is FP32 where no library serves */
const char *dor_format_name(dor_format f); /* "fp32" */
bool dor_backend_has(const void *backend, const dor_op *op); /* for dor_graph_fuse */

typedef struct dor_program_options {
  int32_t threads;            /* per instance; 0: 1 */
  bool no_fuse;               /* run the graph as written */
  bool fleet;                 /* for dor_fleet: a model's bits do not depend on how many there are */
  const char *name;           /* "update": for messages; may be NULL */
  const char *conv;           /* "auto" (NULL), "direct", "winograd" */
  dor_isa isa;                /* with cap_isa: no more than this */
  bool cap_isa;
  dor_format precision;       /* of a program that computes activations: not of updates */
} dor_program_options;

typedef struct dor_program dor_program;

/* Prune, fuse, plan and bind. Takes the graph over (also on failure). errors UNSUPPORTED naming op and shape */
DOR_MUST dor_status dor_program_build(dor_program **out, dor_graph *g, const dor_backend *b, const dor_program_options *o);
void dor_program_release(dor_program *p);
const dor_graph *dor_program_graph(const dor_program *p);
size_t dor_program_pool_bytes(const dor_program *p);
dor_cost dor_program_cost(const dor_program *p);
const dor_kernel *dor_program_kernel(const dor_program *p, int32_t node); /* what serves it; NULL for a view */
void dor_program_dump(const dor_program *p, dor_str *out); /* the graph's dump with the kernel that serves each node */

typedef struct dor_blocks { /* a model's memory: what an instance reads and writes besides its pool; dor_store makes it */
  void *at[DOR_KIND_COUNT]; /* by kind: PARAM, GRAD, STATE, MOMENT; the backend's memory */
  void *stream;             /* of a device: programs over these blocks run in the order in which they are asked to; else NULL */
  struct dor_fleet *fleet;  /* these are the blocks of the first of its models; NULL: of one alone */
} dor_blocks;

typedef struct dor_instance dor_instance;
size_t dor_instance_bytes(const dor_program *p, int32_t models); /* of the backend's memory: pools, and on a device room for inputs on their way */
DOR_MUST dor_status dor_instance_new(dor_instance **out, const dor_program *p, const dor_blocks *blocks);
void dor_instance_free(dor_instance *i);
void *dor_instance_data(const dor_instance *i, dor_val v);   /* an input's or kept value's memory (device memory on a device) */
void *dor_instance_named(const dor_instance *i, const char *name); /* NULL when there is none */

/* Feeding and reading, the same on all backends: fill all inputs, run, wait, read.
 * An input's host memory for the next run; on a device another place after each run, so ask each time. NULL: nobody reads it. */
void *dor_instance_input(dor_instance *i, dor_val v);
void dor_instance_set(dor_instance *i, dor_val v, const void *data); /* an input that stays the same: once is enough */
/* A kept value as it was `back` runs before the last, back < dor_instance_depth; after dor_instance_wait. NULL: not kept. */
const void *dor_instance_kept(const dor_instance *i, dor_val v, int32_t back);
int32_t dor_instance_depth(const dor_instance *i); /* 1 on the CPU */
/* Of a fleet: each model's; those above are the first one's, and what is set is set for all. */
void *dor_instance_input_of(dor_instance *i, int32_t model, dor_val v);
const void *dor_instance_kept_of(const dor_instance *i, int32_t model, dor_val v, int32_t back);

void dor_instance_run(dor_instance *i, const dor_step *step); /* allocates nothing; on a device it is enqueued. step: one for each model */
DOR_MUST dor_status dor_instance_wait(dor_instance *i);       /* until all runs are done. errors DEVICE, DEVMEM, naming program and step */

/* Node by node, each kernel against its reference and every value finite: for debugging. errors NUMERIC naming node and op */
DOR_MUST dor_status dor_instance_run_checked(dor_instance *i, const dor_step *step, double tolerance);

#endif
