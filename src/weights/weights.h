/* SPDX-License-Identifier: Apache-2.0
 *
 * Weight files of every kind, told apart by their first bytes, and the parameter
 * table against their tensors: by name, shape and layout. Memory is permuted to
 * the original's layout on the way out and back on the way in; halves and doubles
 * become float. */
#ifndef DOR_WEIGHTS_WEIGHTS_H
#define DOR_WEIGHTS_WEIGHTS_H

#include "graph/params.h"
#include "weights/record.h"
#include "weights/safetensors.h"

/* safetensors, or PyTorch's zip or legacy format (weights/pth.h). errors DATA "file: place: what", IO, NOTFOUND, NOMEM */
DOR_MUST dor_status dor_weights_read(dor_tensors *out, const char *path);
DOR_MUST dor_status dor_weights_parse(dor_tensors *out, const char *name, const void *bytes, size_t size); /* bytes are borrowed */
/* Do the first bytes look like one of them? */
bool dor_weights_is(const char *path);

typedef enum dor_weights_mode {
  DOR_WEIGHTS_ALL,              /* every parameter and state must be in the file, and every tensor of the file in the table */
  DOR_WEIGHTS_MATCHING          /* what matches by name and shape is taken, the rest of the table left as it is */
} dor_weights_mode;

typedef struct dor_weights_tally { /* what became of the table and of the file's tensors */
  int32_t loaded, missing, misfit, unexpected; /* misfit: the name is there with another shape */
  int32_t narrowed;             /* loaded from halves, doubles or integers */
} dor_weights_tally;

/* Fill both blocks from the tensors named prefix + name; tensors without the prefix are somebody else's. A counter
 * (num_batches_tracked) that the file lacks starts at 0, and one that the table lacks is passed over. Nothing is written
 * unless all of it is good. MATCHING fails when nothing matches.
 * errors DATA naming the first missing, unexpected and wrong-shaped tensors; NUMERIC naming the element that is not finite */
DOR_MUST dor_status dor_weights_fill(const dor_params *p, const char *prefix, const dor_tensors *t, const char *path, dor_weights_mode mode,
                                     void *param_block, void *state_block, dor_weights_tally *tally);

/* Would this parameter be taken from the file? */
bool dor_weights_has(const dor_param *q, const char *prefix, const dor_tensors *t);

/* Every parameter and state (F32; counters I64) as a tensor in file layout, named prefix + name; names and data in `a`. out [p->n] */
DOR_MUST dor_status dor_weights_collect(dor_arena *a, const dor_params *p, const char *prefix, const void *param_block, const void *state_block,
                                        dor_tensor *out);

typedef struct dor_weights_change { /* what writing as float changed */
  int64_t numbers;
  int32_t from_f16, from_bf16, from_f64;
} dor_weights_change;

/* The tensors with F16, BF16 and F64 as F32, others as they are, in `a`: what `dorsum convert` writes. out [t->n]
 * errors NUMERIC: an element is not finite; UNSUPPORTED: a type that is not read */
DOR_MUST dor_status dor_weights_as_float(dor_arena *a, const dor_tensors *t, const char *path, dor_tensor *out, dor_weights_change *change);

#endif
