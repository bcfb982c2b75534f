/* SPDX-License-Identifier: Apache-2.0
 *
 * Batches. A thread fills the next batch while the current one is trained on;
 * what a batch holds depends only on (seed, epoch, position), never on timing.
 * Every batch is full: the last of an epoch is completed from the start of the
 * same permutation ("fill"), or left out ("drop"); in evaluation padding rows
 * repeat the last sample and n_real says how many count. */
#ifndef DOR_DATA_LOADER_H
#define DOR_DATA_LOADER_H

#include "base/schema.h"
#include "data/source.h"

/* augment in a config (augment.def): flip, shift_px, scale, rotate_deg */
typedef struct dor_augment_cfg {
#include "base/keys_fields.h"
#include "data/augment.def"
#include "base/keys_end.h"
} dor_augment_cfg;
extern const dor_key dor_augment_keys[];

bool dor_augment_any(const dor_augment_cfg *c); /* does it change anything? */
/* One picture, augmented: bilinear inverse warp, zero outside. in [h,w,ch] u8, out [h,w,ch] f32 in [0,1]. Keyed by (seed, epoch, sample). */
void dor_augment(const dor_augment_cfg *c, uint64_t seed, uint64_t epoch, int32_t sample, int32_t h, int32_t w, int32_t ch, const uint8_t *in, float *out);

enum { DOR_MAX_SLOTS = 8 };

typedef struct dor_slot {      /* one input of a program. Several sources: vectors are joined (early fusion), pictures are pooled */
  const dor_source *source[DOR_MAX_SLOTS];
  const dor_scaler *scaler[DOR_MAX_SLOTS]; /* NULL: as it is; pictures have none */
  int32_t n_sources;
  bool pooled;                 /* vectors too: a row is of the sample's `source` alone; all sources are of one shape */
} dor_slot;

typedef struct dor_sample {    /* what one row of a batch is made of */
  int32_t row[DOR_MAX_SLOTS];  /* per slot: row of its source; joined ones: of the first, the others' by subject */
  int32_t source;              /* slot 0 pooled: which of its sources the row is of; else 0. Further slots take source 0 */
  int32_t subject, unit;
  float label, weight;
} dor_sample;

typedef struct dor_loader_cfg {
  const dor_slot *slot;
  int32_t n_slots;
  const dor_sample *sample;
  int32_t n, batch;
  bool train, drop_last;
  uint64_t seed;
  const dor_augment_cfg *augment; /* NULL: none */
} dor_loader_cfg;

typedef struct dor_batch {     /* borrowed until the next call */
  const float *x[DOR_MAX_SLOTS];
  const float *label, *weight; /* [batch]; weights are scaled to mean 1 over the epoch; 0 on padding */
  const int32_t *sample;       /* [batch] index into cfg.sample */
  int32_t n_real;
} dor_batch;

typedef struct dor_loader dor_loader;
/* Keeps what c points to. thread: prefetch by a thread of its own, else the caller does the work.
 * errors RANGE: no samples, or none is left by drop_last; no weight; SHAPE: pooled sources differ; DATA: a joined source lacks a subject; NOMEM */
DOR_MUST dor_status dor_loader_new(dor_loader **out, const dor_loader_cfg *c, bool thread);
int64_t dor_loader_batches(const dor_loader *l);               /* per epoch */
DOR_MUST dor_status dor_loader_seek(dor_loader *l, int64_t epoch, int64_t batch); /* resume: the next batch is this one */
DOR_MUST dor_status dor_loader_next(dor_loader *l, dor_batch *b);                /* goes on into the next epoch */
void dor_loader_free(dor_loader *l);

#endif
