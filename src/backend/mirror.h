/* SPDX-License-Identifier: Apache-2.0
 *
 * The host side of an instance on a device. Inputs are filled in pinned memory and go up on a stream of their own while the run
 * before still computes, so there are two of each; the step block and kept values have a slot for each of the last runs. The list
 * of kernels is run once as it is, then recorded and replayed as one graph. */
#ifndef DOR_BACKEND_MIRROR_H
#define DOR_BACKEND_MIRROR_H

#include "backend/program.h"

typedef struct dor_mirror dor_mirror;

DOR_MUST dor_status dor_mirror_new(dor_mirror **out, const dor_program *p, const dor_blocks *b); /* without a stream: one of its own */
size_t dor_mirror_bytes(const dor_program *p, int32_t models); /* that one takes of the device */
void dor_mirror_free(dor_mirror *m); /* waits; NULL is fine */
void dor_mirror_bind(const dor_mirror *m, dor_call *c); /* the call's stream and step block */

void *dor_mirror_input(dor_mirror *m, dor_val v);
void dor_mirror_set(dor_mirror *m, dor_val v, const void *data);
const void *dor_mirror_kept(const dor_mirror *m, dor_val v, int32_t back);
int32_t dor_mirror_depth(const dor_mirror *m);
size_t dor_mirror_input_step(const dor_mirror *m); /* bytes from a model's to the next one's, in a fleet */
size_t dor_mirror_kept_step(const dor_mirror *m);

void dor_mirror_run(dor_mirror *m, dor_instance *in, const dor_step *step);
DOR_MUST dor_status dor_mirror_feed(dor_mirror *m, dor_instance *in, const dor_step *step); /* inputs and step block alone: for checked runs */
DOR_MUST dor_status dor_mirror_wait(dor_mirror *m);

#endif
