/* SPDX-License-Identifier: Apache-2.0
 *
 * Checkpoints: one flat safetensors-compatible file whose last tensor "sha256"
 * is the hash of every byte before it. Replaced whole (temporary file, fsync,
 * rename, fsync of the folder), so that the newest one that was acknowledged
 * always loads; a file that does not verify is never used. */
#ifndef DOR_TRAIN_CHECKPOINT_H
#define DOR_TRAIN_CHECKPOINT_H

#include "weights/safetensors.h"

/* Before a fresh write of `bytes`, are three such files free on the disk of `path`? errors IO naming what is free */
DOR_MUST dor_status dor_checkpoint_room(const char *path, size_t bytes);

/* `meta` holds the signature and the position; "version" is added. errors IO: the old file stands */
DOR_MUST dor_status dor_checkpoint_write(const char *path, int32_t n, const dor_tensor *at, int32_t n_meta, const dor_meta *meta);

/* Read, verify, and compare: every key of `want` must stand in the file with that value.
 * errors NOTFOUND; DATA: damaged or of another version; CONFIG naming the first key that differs */
DOR_MUST dor_status dor_checkpoint_read(dor_tensors *out, const char *path, int32_t n_want, const dor_meta *want);

#endif
