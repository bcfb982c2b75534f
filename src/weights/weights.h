/* SPDX-License-Identifier: Apache-2.0
 *
 * The parameter table against tensors of a file, by name and layout: memory is
 * permuted to the original's layout on the way out and back on the way in. */
#ifndef DOR_WEIGHTS_WEIGHTS_H
#define DOR_WEIGHTS_WEIGHTS_H

#include "graph/params.h"
#include "weights/safetensors.h"

/* Every parameter and state (F32; counters I64) as a tensor in file layout, named prefix + name; names and data in `a`. out [p->n] */
DOR_MUST dor_status dor_weights_collect(dor_arena *a, const dor_params *p, const char *prefix, const void *param_block, const void *state_block,
                                        dor_tensor *out);

/* Fill both blocks from the tensors named prefix + name; a counter that a file lacks starts at 0. errors DATA naming the tensor:
 * missing, not F32, another shape, not finite */
DOR_MUST dor_status dor_weights_apply(const dor_params *p, const char *prefix, const dor_tensors *t, const char *path, void *param_block, void *state_block);

#endif
