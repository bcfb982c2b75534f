/* SPDX-License-Identifier: Apache-2.0
 *
 * A source: one named input of an experiment, as the samples it yields from a
 * dataset. Rows of a questionnaire or feature table are vectors; silhouettes and
 * images are pixels, resized by box average and thinned to `frames` at even phase. */
#ifndef DOR_DATA_SOURCE_H
#define DOR_DATA_SOURCE_H

#include "base/schema.h"
#include "data/dataset.h"

enum { DOR_IMPUTE_NONE, DOR_IMPUTE_MEAN, DOR_IMPUTE_MEDIAN };  /* choices of source.def, in order */
enum { DOR_SCALE_NONE, DOR_SCALE_ZSCORE, DOR_SCALE_MINMAX };

/* inputs.NAME in a config (source.def) */
typedef struct dor_source_cfg {
#include "base/keys_fields.h"
#include "data/source.def"
#include "base/keys_end.h"
} dor_source_cfg;
extern const dor_key dor_source_keys[];

typedef struct dor_source {
  const char *name;            /* of the input */
  bool image;                  /* pixels, else features */
  int32_t n;                   /* samples */
  const int32_t *subject;      /* [n] */
  const int32_t *trial;        /* [n] index of trial or image; -1 where rows are people */
  int32_t h, w, c;             /* image */
  const uint8_t *pixels;       /* [n,h,w,c]; borrowed from the dataset when nothing was changed */
  int32_t p;                   /* vector: features, NaN where missing */
  const char *const *feature;  /* [p] */
  const float *values;         /* [n,p] */
} dor_source;

/* Does the config of an input make sense by itself? errors CONFIG: an unknown `from` (names what exists), a key that does not go with it */
DOR_MUST dor_status dor_source_check(const char *name, const dor_source_cfg *c, const dor_tree *where);
/* The samples, in order of trials (or of images, or of rows). What `out` points to lies in `a` or in `d`.
 * errors CONFIG (file:line of the input) when the dataset has no such thing, naming what it has */
DOR_MUST dor_status dor_source_make(dor_arena *a, const dor_dataset *d, const char *name, const dor_source_cfg *c, const dor_tree *where, dor_source *out);

/* Imputation and scaling, fitted on the training part only. */
typedef struct dor_scaler {
  int32_t p;
  const float *fill, *shift, *factor; /* x -> ((x or fill) - shift) * factor */
} dor_scaler;
/* rows: indices of samples to fit on, each weighted by 1 / its subject's count among them. Filled first, then scaled
 * (SD over n, as scikit-learn); a constant column becomes 0. errors DATA: a column without a value; NOMEM */
DOR_MUST dor_status dor_scaler_fit(dor_arena *a, const dor_source *s, const dor_source_cfg *c, const int32_t *rows, int32_t n, dor_scaler *out);
void dor_scaler_apply(const dor_scaler *t, const float *in, float *out); /* one row */

#endif
