/* SPDX-License-Identifier: Apache-2.0
 *
 * Splits: who is tested in which fold. Always whole subjects, and whole groups
 * where the dataset has groups; unit = "clip" alone ignores both, and stamps
 * everything LEAKS. Folds depend on labels, order of rows and the split's seed:
 * never on the bytes of an id, nor on a model's seed. */
#ifndef DOR_DATA_SPLIT_H
#define DOR_DATA_SPLIT_H

#include "base/schema.h"
#include "data/dataset.h"

/* split in a config (split.def): scheme = kfold|loso|losite|holdout|rank, folds, seed, repeats, test, file, unit = subject|clip */
typedef struct dor_split_cfg {
#include "base/keys_fields.h"
#include "data/split.def"
#include "base/keys_end.h"
} dor_split_cfg;
extern const dor_key dor_split_keys[];

typedef struct dor_units {     /* what is split: labelled things (subjects, trials, images, or clips) */
  int32_t n, n_classes;
  const int32_t *cluster;      /* [n] things of one cluster stay together (group, else subject; the thing itself for unit = clip) */
  const int32_t *label;        /* [n] class index; -1 for values */
  const int32_t *site;         /* [n]; NULL: none */
  const char *const *id;       /* [n] subject pseudonym: for files only */
  const int32_t *row;          /* [n] place in the file: rank, first:N, last:N */
} dor_units;

typedef struct dor_split {
  int32_t repeats, folds, n;
  const int32_t *fold;         /* [repeats * n] the fold that tests the thing; -1: in no test fold (holdout's training part) */
} dor_split;

DOR_MUST dor_status dor_split_make(dor_arena *a, const dor_split_cfg *c, const dor_units *u, dor_split *out);
/* A grouped, stratified fraction 1/k of the given things, held out inside a training part (early stopping). out[i] true: held out */
DOR_MUST dor_status dor_split_inner(dor_arena *a, const dor_units *u, const int32_t *rows, int32_t n, int32_t k, uint64_t seed, bool *out);

/* {"schema":1,"repeats":[{"folds":[["id",...],...]}]} both ways. errors DATA: an unknown id, a person twice, one left out */
DOR_MUST dor_status dor_split_read(dor_arena *a, const char *path, const dor_units *u, dor_split *out);
DOR_MUST dor_status dor_split_write(const dor_split *s, const dor_units *u, const char *path);

#endif
