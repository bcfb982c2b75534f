/* SPDX-License-Identifier: Apache-2.0
 *
 * Splits: who is tested in which fold. Always whole subjects, and whole groups
 * where the dataset has groups; unit = "clip" alone ignores both, and stamps
 * everything LEAKS. Folds depend on labels, order of rows and the split's seed:
 * never on the bytes of an id, nor on a model's seed. */
#ifndef DOR_DATA_SPLIT_H
#define DOR_DATA_SPLIT_H

#include "base/schema.h"
#include "base/str.h"
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
  const uint8_t *test;         /* [n] holdout by a column: 1 where it says so; NULL: no column named */
  const char *const *class_name; /* [n_classes] for messages; NULL: numbers */
  const char *const *name;     /* [n] what splits.json calls a clip, as one person has many; NULL: the id names the thing */
} dor_units;

enum { DOR_SPLIT_KFOLD, DOR_SPLIT_LOSO, DOR_SPLIT_LOSITE, DOR_SPLIT_HOLDOUT, DOR_SPLIT_RANK }; /* scheme */
enum { DOR_UNIT_SUBJECT, DOR_UNIT_CLIP };                                                      /* unit */

/* The labelled things of a target (people, trials or images, as it says), in file order. For unit = clip of a target per
 * subject the things are people still, each its own cluster: groups are ignored; whoever makes clips makes finer units.
 * errors CONFIG: no such target or test column, naming what there is */
DOR_MUST dor_status dor_units_of(dor_arena *a, const dor_dataset *d, const char *target, const dor_split_cfg *c, dor_units *out);

typedef struct dor_split {
  int32_t repeats, folds, n;
  const int32_t *fold;         /* [repeats * n] the fold that tests the thing; -1: in no test fold (holdout's training part) */
} dor_split;

/* Folds by the scheme of the config (not from its file: that is dor_split_read). Warns when a class is too small to be in every fold.
 * errors CONFIG: fewer people or groups than folds, no sites, a test part that is none; LEAK: a cut through a person or group */
DOR_MUST dor_status dor_split_make(dor_arena *a, const dor_split_cfg *c, const dor_units *u, dor_split *out);
/* A grouped, stratified fraction 1/k of the given things, held out inside a training part (early stopping). out[i] true: held out */
DOR_MUST dor_status dor_split_inner(dor_arena *a, const dor_units *u, const int32_t *rows, int32_t n, int32_t k, uint64_t seed, bool *out);

/* {"schema":1,"repeats":[{"folds":[["id",...],...]}]} both ways; a single fold is a holdout: who is not named is trained on.
 * With units.name (unit = clip) those names stand for the ids. errors DATA: an unknown id, a person twice, one left out */
DOR_MUST dor_status dor_split_read(dor_arena *a, const char *path, const dor_units *u, dor_split *out);
DOR_MUST dor_status dor_split_write(const dor_split *s, const dor_units *u, const char *path);
/* The balance table: a line per repeat and fold, with people or things, clusters, and the count of each class. names [n_classes] may be NULL */
void dor_split_table(const dor_split *s, const dor_units *u, const char *const *names, dor_str *out);
/* The same as one JSON object: repeats, folds, n, and a row per repeat and fold with tested, clusters and classes. */
void dor_split_json(const dor_split *s, const dor_units *u, const char *const *names, dor_str *out);

#endif
