/* SPDX-License-Identifier: Apache-2.0
 *
 * Batches of pictures for a pose network. Threads decode the pictures of the
 * next batches while one is trained on; crops are made of integers here and
 * carried out by the program (ops warp_affine and heatmap_target), so that a
 * batch is small. What it holds depends on (seed, epoch, position) alone. */
#ifndef DOR_DATA_POSE_LOADER_H
#define DOR_DATA_POSE_LOADER_H

#include "data/pose_sample.h"

enum { DOR_POSE_SCALES = 4 };

typedef struct dor_pose_loader_cfg {
  const dor_pose_set *set;
  const dor_pose_augment_cfg *augment;
  uint64_t seed;
  int32_t batch, threads;       /* threads 0: the caller does the work */
  bool drop_last;               /* else the last batch of an epoch is completed from the start of the same order */
  int32_t input;                /* side of the network's input */
  int32_t n_scales, map[DOR_POSE_SCALES]; /* sides of its outputs */
  int32_t people;               /* places for people; further ones are left out */
} dor_pose_loader_cfg;

typedef struct dor_pose_batch { /* borrowed until the next call */
  const uint8_t *picture;       /* [batch,H,W,3], H, W of the set; RGB */
  const uint8_t *mask;          /* [batch,H,W,1] 255 where the loss counts, 0 on crowds and people without joints */
  const int32_t *size;          /* [batch,2] height, width, as they are held */
  const int32_t *path;          /* [batch,4 input] to the input */
  const int32_t *path_map[DOR_POSE_SCALES]; /* [batch,4 map] to each output */
  const int32_t *joint[DOR_POSE_SCALES];    /* [batch,people,K,3] on each output */
  const int32_t *tag;           /* [batch,people,K,2] dor_pose_tags of the first output */
  const int32_t *image;         /* [batch] indices into the COCO file */
} dor_pose_batch;

typedef struct dor_pose_loader dor_pose_loader;
/* Keeps what c points to. errors RANGE: nothing to load, or nothing left by drop_last; NOMEM */
DOR_MUST dor_status dor_pose_loader_new(dor_pose_loader **out, const dor_pose_loader_cfg *c);
/* Of the pictures and masks that wait their turn. */
size_t dor_pose_loader_bytes(const dor_pose_loader_cfg *c);
int64_t dor_pose_loader_batches(const dor_pose_loader *l);                       /* per epoch */
DOR_MUST dor_status dor_pose_loader_seek(dor_pose_loader *l, int64_t epoch, int64_t batch);
/* errors DATA, IO: a picture that cannot be read, or is of another size than its annotation says */
DOR_MUST dor_status dor_pose_loader_next(dor_pose_loader *l, dor_pose_batch *b);
void dor_pose_loader_free(dor_pose_loader *l);

#endif
