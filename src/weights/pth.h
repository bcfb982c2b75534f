/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights saved by torch.save, both formats: a zip archive (since 1.6), and the
 * legacy file of five pickles and raw storages. Nothing in them is ever run.
 *
 * Which dictionary: of a training checkpoint best_state_dict, else state_dict,
 * else model; a file whose top is a dictionary of tensors is taken as it is. Every
 * entry of it must be a tensor. If all names begin with "module." (DataParallel)
 * that is removed, then "1." (the official half-precision wrapper) if all names
 * begin with it and have a dot left. Views are unfolded to C order. */
#ifndef DOR_WEIGHTS_PTH_H
#define DOR_WEIGHTS_PTH_H

#include "weights/tensor.h"

bool dor_pth_is(const void *bytes, size_t size); /* by its first bytes */

/* `bytes` is borrowed and must outlive *out. errors DATA "file: place: what", NOMEM */
DOR_MUST dor_status dor_pth_parse(dor_tensors *out, const char *name, const void *bytes, size_t size);

#endif
