/* SPDX-License-Identifier: Apache-2.0
 *
 * What weights were trained on: texts that travel with them in the metadata of a
 * safetensors file. No ids, no paths. Weights without such a record are of
 * unknown origin, and whoever uses them says so; SYNTHETIC never gets lost. */
#ifndef DOR_WEIGHTS_RECORD_H
#define DOR_WEIGHTS_RECORD_H

#include "base/str.h"
#include "weights/tensor.h"

/* X(key in __metadata__, what it says): in the order of files and pages */
#define DOR_WEIGHTS_RECORD(X)                                     \
  X(version, "dorsum version that wrote them")                    \
  X(experiment, "experiment")                                     \
  X(arm, "arm")                                                   \
  X(cell, "hash of all that training depended on")                \
  X(config, "hash of the config")                                 \
  X(data, "data set")                                             \
  X(data_sha256, "SHA-256 of the data set")                       \
  X(data_license, "licence of the data set")                      \
  X(trained_on, "trained on so many")                             \
  X(unit, "of these")                                             \
  X(seed, "seed")                                                 \
  X(keypoints, "key points, in order of the channels")            \
  X(stamp, "stamps")                                              \
  X(seen, "SHA-256 of each file trained on, first weights' too")  \
  X(began_with, "training began with weights")                    \
  X(began_sha256, "SHA-256 of their file")                        \
  X(source, "converted from")                                     \
  X(source_sha256, "SHA-256 of that file")

typedef struct dor_weights_record { /* NULL or "": not said */
#define X(key, says) const char *key;
  DOR_WEIGHTS_RECORD(X)
#undef X
} dor_weights_record;

enum { DOR_WEIGHTS_META = 20 }; /* entries at most: all keys and "format" */

/* Borrowed from the file. */
void dor_weights_record_of(const dor_tensors *t, dor_weights_record *r);
int32_t dor_weights_record_meta(const dor_weights_record *r, dor_meta out[DOR_WEIGHTS_META]);

bool dor_weights_known(const dor_weights_record *r);     /* is it said what they were trained on? */
bool dor_weights_synthetic(const dor_weights_record *r); /* SYNTHETIC among the stamps: every result of them is, too */
bool dor_weights_leaks(const dor_weights_record *r);     /* LEAKS among them: no result of them is one on unseen data */
bool dor_weights_saw(const dor_weights_record *r, const char *sha256); /* is this file among those trained on, as far as is said? */
/* A line for people: "trained on 72 subjects, experiment backtracker, arm backward; SYNTHETIC", "of unknown origin: ..." */
void dor_weights_record_line(const dor_weights_record *r, dor_str *out);

#endif
